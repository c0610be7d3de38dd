# SPDX-License-Identifier: Apache-2.0
# tools/house.awk: is the house as tools/house.txt draws it?
#     awk -f tools/house.awk tools/house.txt FILE.c FILE.h ...
# A file of src/FOLDER or app/FOLDER includes its own floor, the floors that its line names, <lar/...> and the system; project
# files are named "folder/file.h", so that every include can be judged. A file's floor is the first folder below src or
# app: src/kern/x86 is kern. Of <lar/...>, the floors below run see the error codes alone. Prints each breach as FILE:LINE and exits 1 when there is one.

FNR == NR { # the plan
    if ($0 ~ /^#/ || !NF) next
    me = $1
    sub(/:$/, "", me)
    if (me in floor) breach(FNR, me " is listed twice")
    for (i = 2; i <= NF; i++) {
        if (!($i in floor)) breach(FNR, me " looks up at " $i)
        may[me, $i]
    }
    floor[me]
    may[me, me]
    next
}

FNR == 1 {
    n = split(FILENAME, part, "/")
    for (i = 1; i < n && part[i] != "src" && part[i] != "app"; i++) ;
    me = part[i + 1]
    app = part[i] == "app"
    if (!(me in floor)) { breach(0, "folder " me " is not on the plan"); nextfile }
}

/^[ \t]*#[ \t]*include/ {
    split($0, quoted, "\"")
    if ($0 ~ /<lar\//) {
        if (!app && me != "api" && me != "run" && $0 !~ /<lar\/err\.h>/) breach(FNR, me " must not see the library's outside")
        next
    }
    if ($0 !~ /"/) next
    if (split(quoted[2], path, "/") < 2) { breach(FNR, "write \"folder/file.h\", not \"" quoted[2] "\""); next }
    if (!(path[1] in floor)) breach(FNR, "folder " path[1] " is not on the plan")
    else if (!((me, path[1]) in may)) breach(FNR, me " must not include " path[1])
}

function breach(line, what)
{
    print FILENAME (line ? ":" line : "") ": " what
    bad = 1
}

END { exit bad }
