# SPDX-License-Identifier: Apache-2.0
# tools/lint.awk: what a compiler lets pass and we do not.
#     awk -f tools/lint.awk FILE ...
# Every text file: no tabs (but in Makefiles), no spaces at a line's end, no carriage returns, no invisible Unicode.
# C files: an SPDX line and a story at the top, at most 900 lines (but NAME_table.c) and 120 a function, 120 columns of code (100 are the aim), no `TODO`; and names that
# have no place where they stand: unbounded or locale-dependent functions everywhere, floats from and to text outside
# base/num.c, the allocator outside base,
# printing and exiting in the library, instruction sets outside the kernels, asserts that do something.
# Comments and strings are taken out before code is judged. Exits 1 when anything was found.

BEGIN {
    never = "sprintf vsprintf strcpy strcat strncat gets atoi atol atof strtok rand srand random system popen " \
            "alloca tmpnam mktemp setjmp longjmp gmtime localtime asctime ctime"
    heap = "malloc calloc realloc free aligned_alloc posix_memalign strdup strndup asprintf"
    loud = "signal sigaction printf vprintf puts putchar perror fprintf vfprintf fputs fputc exit _exit abort quick_exit"
    point = "strtod strtof strtold localeconv"
    n = split(point, word, " "); for (i = 1; i <= n; i++) ban_point[word[i]] = "follows the locale; base/num.h does not"
    n = split(never, word, " "); for (i = 1; i <= n; i++) ban[word[i]] = "is banned everywhere (STYLE.md)"
    n = split(heap, word, " ");  for (i = 1; i <= n; i++) ban_heap[word[i]] = "memory comes through base/mem.h"
    n = split(loud, word, " ");  for (i = 1; i <= n; i++) ban_loud[word[i]] = "the library never prints or exits, and takes no signals"
}

FNR == 1 {
    close_file()
    name = FILENAME
    c_file = name ~ /\.[ch]$/
    lib = name ~ /^(.*\/)?src\//
    app = name ~ /^(.*\/)?app\//
    base = name ~ /(^|\/)src\/base\//
    kern = name ~ /(^|\/)src\/kern\//
    num = name ~ /(^|\/)src\/base\/num\.c$/
    comment = lines = in_function = told = 0
    if (c_file && $0 !~ /^\/[*\/] SPDX-License-Identifier: Apache-2\.0/) fault("the first line names the licence (SPDX)")
}

{ lines = FNR }
/\t/ && name !~ /Makefile$|\.mk$/ { fault("tab") }
/[ \t]$/ { fault("space at the end of the line") }
/\r/ { fault("carriage return") }
/\302\240|\302\255|\342\200[\213-\217\252-\256]|\342\201[\240-\257]|\357\273\277/ { fault("invisible Unicode character") }
!c_file { next }

FNR <= 30 && /[a-z0-9_]+\.[ch]: / { told = 1 }
/TODO|FIXME|XXX/ { fault("open ends belong in an issue, not in the code") }

{
    code = strip($0)
    if (length(code) > 120) fault("code beyond column 120")
    if (code ~ /^{/) in_function = FNR
    if (code ~ /^}/ && in_function) {
        if (FNR - in_function > 121) fault("a function of " FNR - in_function - 1 " lines; 120 is the most")
        in_function = 0
    }
    if (!lib && !app) next
    text = $0
    gsub(/%%/, "", text)
    if (lib && !num && code ~ /"/ && text ~ /"[^"]*%[-+#0]*[0-9*]*(\.[0-9*]*)?[aefgAEFG]/)
        fault("a float in printf follows the locale; base/num.h does not")
    if (code ~ /^[ \t]*#/) { directive(code); next }
    rest = code
    while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        word_is = substr(rest, RSTART, RLENGTH - 1)
        sub(/[ \t]+$/, "", word_is)
        before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
        before2 = RSTART > 2 ? substr(rest, RSTART - 2, 2) : ""
        rest = substr(rest, RSTART + RLENGTH)
        if (before == "." || before2 == "->") continue
        if (word_is in ban) fault(word_is ": " ban[word_is])
        if (lib && !base && word_is in ban_heap) fault(word_is ": " ban_heap[word_is])
        if (lib && !num && word_is in ban_point) fault(word_is ": " ban_point[word_is])
        if (lib && word_is in ban_loud) fault(word_is ": " ban_loud[word_is])
    }
    if (match(code, /(^|[^a-z_])assert\(.*/)) {
        claim = substr(code, RSTART)
        gsub(/[=!<>]=/, "", claim)
        if (claim ~ /=|\+\+|--/) fault("an assert that does something")
    }
}

function directive(code)
{
    if (!kern && code ~ /__(AVX|SSE|FMA__|F16C__|ARM_FEATURE|ARM_NEON)/) fault("instruction sets are the kernels' business (src/kern)")
    if (!kern && code ~ /include.*(immintrin|arm_neon|x86intrin)\.h/) fault("intrinsics belong to src/kern")
}

# The line without comments and without what stands in quotes; `comment` carries an open comment to the next line.
function strip(s,    out, c, two, i, n, q)
{
    n = length(s)
    for (i = 1; i <= n; i++) {
        c = substr(s, i, 1)
        two = substr(s, i, 2)
        if (comment) { if (two == "*/") { comment = 0; i++ }; continue }
        if (two == "/*") { comment = 1; i++; continue }
        if (two == "//") break
        if (c == "\"" || c == "'") {
            q = c
            out = out c
            for (i++; i <= n && substr(s, i, 1) != q; i++) { if (substr(s, i, 1) == "\\") { i++; out = out "_" }; out = out "_" }
            out = out q
            continue
        }
        out = out c
    }
    sub(/[ \t]+$/, "", out)
    return out
}

function close_file()
{
    if (!name || !c_file) return
    if (lines > 900 && name !~ /_table\.[ch]$/) fault_at(name, lines " lines; 900 is the most")
    if (!told && name !~ /example/) fault_at(name, "the first comment says what the file is: \"" short(name) ": ...\"")
}
function short(path) { sub(/^.*\//, "", path); return path }
function fault(what) { fault_at(name ":" FNR, what) }
function fault_at(where, what) { print where ": " what; bad = 1 }

END { close_file(); exit bad }
