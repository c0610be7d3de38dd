# SPDX-License-Identifier: Apache-2.0
# tools/abi.awk include/lar/*.h: what a program is compiled with besides names of functions: LAR_ABI, then each struct and enum of the public
# headers without comments and spacing. tests/headers.t compares it with tests/data/abi.txt. Not seen: what macros hide, but for LAR_ABI.
/^#define LAR_ABI / { print $2, $3; next }
/^ *#/ { next }
{
    line = $0
    for (;;) {
        if (inside) {
            if (!(e = index(line, "*/"))) { line = ""; break }
            line = substr(line, e + 2)
            inside = 0
        }
        if (!(b = index(line, "/*"))) break
        head = substr(line, 1, b - 1)
        e = index(substr(line, b + 2), "*/")
        if (!e) { line = head; inside = 1; break }
        line = head " " substr(line, b + 2 + e + 1)
    }
    if (text == "" && line !~ /^(struct|enum)[ a-z_0-9]*\{/) next
    text = text " " line
    if (line ~ /\}.*;/) {
        gsub(/[ \t]+/, " ", text)
        sub(/^ /, "", text)
        sub(/ $/, "", text)
        print text
        text = ""
    }
}
