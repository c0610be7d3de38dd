#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/style.t: the house is as its plan says, the lint finds nothing, and both do find what they are there to find.
. tests/sh.inc

files() { find "$@" -type f 2>/dev/null | LC_ALL=C sort; }
lint() { LC_ALL=C awk -f tools/lint.awk "$@"; }
house() { awk -f tools/house.awk tools/house.txt "$@"; }

# Our own text: what is in the tree, less what others wrote or programs made.
text=$(files .ci src app include tests tools doc Makefile README.md TOUR.md STYLE.md .gitignore .clang-format |
    grep -Ev '/(corpus|fixtures|data)/|\.(gguf|bin|png|jpg|safetensors|jsonl|inp|out|orig|rej|swp)$|~$')

ok "every include stays on the plan of tools/house.txt" house $(files src app | grep '\.[ch]$')
ok "the lint finds nothing" lint $text
newline() { for f in $text; do [ -z "$(tail -c1 "$f")" ] || { echo "$f: no newline at the end"; return 1; }; done; }
ok "every file ends with a newline" newline

# What the rules are for: a file that breaks each of them, and the sentence that must come.
says() { words=$1; shift; "$@" > "$TMP/said"; grep -qF "$words" "$TMP/said"; }
mkdir -p "$TMP/src/io" "$TMP/src/kern" "$TMP/app/cli"
top='/* SPDX-License-Identifier: Apache-2.0
 * io/bad.c: broken on purpose. */'
catches() # WORDS LINE: lint must say WORDS about a library file that holds LINE
{
    printf '%s\n%b\n' "$top" "$2" > "$TMP/src/io/bad.c"
    ok "the lint knows: $1" says "$1" lint "$TMP/src/io/bad.c"
}
catches "tab" '\tint x;'
catches "space at the end" 'int x; '
catches "carriage return" 'int x;\r'
catches "invisible Unicode" 'int x; /* \0342\0200\0213 */'
catches "sprintf: is banned" 'void f(char *s) { sprintf(s, "x"); }'
catches "malloc: memory comes through" 'void *f(void) { return malloc(3); }'
catches "printf: the library never prints" 'void f(void) { printf("x"); }'
catches "exit: the library never prints or exits" 'void f(void) { if (1) exit(1); }'
catches "strtod: follows the locale" 'double f(const char *s) { return strtod(s, 0); }'
catches "a float in printf follows the locale" 'void f(char *s) { snprintf(s, 9, "%d: %-5.*f", 1, 2, 3.0); }'
catches "an assert that does something" 'void f(int i) { assert(i++ < 3); }'
catches "instruction sets are the kernels" '#ifdef __AVX2__\n#endif'
catches "intrinsics belong" '#include <immintrin.h>'
catches "code beyond column" "int $(printf '%0130d' 0 | tr 0 x);"
catches "open ends belong" "/* TO""DO: later */"
printf 'int x;\n' > "$TMP/src/io/bad.c"
ok "the lint wants the licence named" says 'SPDX' lint "$TMP/src/io/bad.c"
ok "and the file's story" says 'says what the file is' lint "$TMP/src/io/bad.c"
{ echo "$top"; echo 'void f(void)'; echo '{'; yes '    f();' | head -121; echo '}'; } > "$TMP/src/io/bad.c"
ok "and functions of a readable length" says '120 is the most' lint "$TMP/src/io/bad.c"
{ echo "$top"; yes 'int x;' | head -900; } > "$TMP/src/io/bad.c"
ok "and files of one too" says '900 is the most' lint "$TMP/src/io/bad.c"
printf '%s\nconst char *s = "printf(malloc(3)) \\" sprintf(";\nint a[1]; /* exit(1) is what we never\n * call: abort() */ // system(x)\nint f(struct x *p) { return p->free(p); }\n' "$top" > "$TMP/src/io/bad.c"
ok "but lets comments, strings and members be" lint "$TMP/src/io/bad.c"

breaks() # WORDS FILE LINE
{
    printf '%s\n' "$3" > "$TMP/$2"
    ok "the house rules know: $1" says "$1" house "$TMP/$2"
}
breaks "io must not include text" src/io/bad.c '#include "text/vocab.h"'
breaks "cli must not include model" app/cli/bad.c '#include "model/model.h"'
breaks 'write "folder/file.h"' src/io/bad.c '#include "gguf.h"'
breaks "not on the plan" src/io/bad.c '#include "cellar/wine.h"'
breaks "must not see the library's outside" src/io/bad.c '#include <lar/lar.h>'
printf 'base:\nio: text\ntext:\n' > "$TMP/plan"
ok "and a plan that looks up is refused" says "io looks up at text" awk -f tools/house.awk "$TMP/plan" /dev/null

subjects() # what a reader of the history sees first; the last 200 of them
{
    git log -200 --no-merges --format=%s | awk '
        length($0) > 72 { print "longer than 72, and 60 is the aim: " $0; bad = 1 }
        !/^[a-z0-9_.\/-]+(, [a-z0-9_.\/-]+)*: [^ ]/ { print "no area: " $0; bad = 1 }
        /\.$/ { print "ends with a full stop: " $0; bad = 1 }
        END { exit bad }'
}
if git log -1 >/dev/null 2>&1; then ok "commit subjects say area: what changes" subjects; else skip "no git history here"; fi
tap_done
