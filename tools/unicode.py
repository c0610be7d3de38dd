#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/unicode_table.c: what tokenizers need to know of every code point.

    pip install unicodedata2==16.0.0
    python3 tools/unicode.py > src/text/unicode_table.c

Source: the Unicode Character Database, read through Python's unicodedata (version 16.0, the one of the Oniguruma in
Hugging Face's tokenizers 0.23 and of the regex-syntax in tiktoken 0.14). Tokenizers must split as their reference
does, and some parts of the reference hold older tables: its NFC and NFD are of Unicode 9, its BERT punctuation, marks and
control characters of Unicode 8. The lists below are where these differ from 16.0, found by asking tokenizers 0.23.3
about each code point (for instance BertPreTokenizer().pre_tokenize_str("a" + c + "b")).

The table is a trie of three levels of 256, 16 and 16 whose leaves are classes (one byte); a class says everything.
"""
import sys

try:
    import unicodedata2 as ucd
except ImportError:
    import unicodedata as ucd
if ucd.unidata_version != "16.0.0":
    sys.exit("needs Unicode 16.0.0 (pip install unicodedata2==16.0.0), this Python has " + ucd.unidata_version)

# Word characters (Oniguruma's \\w) that are neither letters, marks, decimal digits nor connectors.
WORD = """
B2-B3 B9 BC-BE 16EE-16F0 2160-2182 2185-2188 24B6-24E9 3007 3021-3029 3038-303A A6E6-A6EF
10140-10174 10341 1034A 103D1-103D5 12400-1246E 1F130-1F149 1F150-1F169 1F170-1F189
"""

# P* in 16.0, no punctuation to BERT; and the other way round.
NOPUNCT = """
61D 9FD A76 C77 C84 1B4E-1B4F 1B7D-1B7F 2E43-2E4F 2E52-2E5D 10D6E 10EAD 10F55-10F59 10F86-10F89
113D4-113D5 113D7-113D8 1144B-1144F 1145A-1145B 1145D 11660-1166C 116B9 1183B 11944-11946 119E2
11A3F-11A46 11A9A-11A9C 11A9E-11AA2 11B00-11B09 11BE1 11C41-11C45 11C70-11C71 11EF7-11EF8
11F43-11F4F 11FFF 12FF1-12FF2 16D6D-16D6F 16E97-16E9A 16FE2 1E5FF 1E95E-1E95F
"""
PUNCT = """
24 2B 3C-3E 5E 60 7C 7E 166D 111C9
"""

# Mn in 16.0, not stripped by BERT; and the other way round.
NOMN = """
7FD 897-89F 8CA-8E1 9FE AFA-AFF B55 C04 C3C D00 D3B-D3C D81 EBA ECE 180F 1885-1886 1ABF-1ACE
1DF6-1DFB A82C A8C5 A8FF A9BD 10D24-10D27 10D69-10D6D 10EAB-10EAC 10EFC-10EFF 10F46-10F50
10F82-10F85 11070 11073-11074 110C2 111C9 111CF 1123E 11241 1133B 113BB-113C0 113CE 113D0 113D2
113E1-113E2 11438-1143F 11442-11444 11446 1145E 1182F-11837 11839-1183A 1193B-1193C 1193E 11943
119D4-119D7 119DA-119DB 119E0 11A01-11A0A 11A33-11A38 11A3B-11A3E 11A47 11A51-11A56 11A59-11A5B
11A8A-11A96 11A98-11A99 11C30-11C36 11C38-11C3D 11C3F 11C92-11CA7 11CAA-11CB0 11CB2-11CB3
11CB5-11CB6 11D31-11D36 11D3A 11D3C-11D3D 11D3F-11D45 11D47 11D90-11D91 11D95 11D97 11EF3-11EF4
11F00-11F01 11F36-11F3A 11F40 11F42 11F5A 13440 13447-13455 1611E-16129 1612D-1612F 16F4F 16FE4
1CF00-1CF2D 1CF30-1CF46 1E000-1E006 1E008-1E018 1E01B-1E021 1E023-1E024 1E026-1E02A 1E08F
1E130-1E136 1E2AE 1E2EC-1E2EF 1E4EC-1E4EF 1E5EE-1E5EF 1E944-1E94A
"""
MN = """
1734 1171E
"""

# M* in 16.0 that StripAccents leaves (its normalisation is of Unicode 9), and the other way round.
NOMARK = """
7FD 897-89F 8CA-8D3 9FE AFA-AFF B55 C04 C3C CF3 D00 D3B-D3C D81 EBA ECE 1715 180F 1ABF-1ACE 1CF7
1DF6-1DFA A82C A8FF 10D24-10D27 10D69-10D6D 10EAB-10EAC 10EFC-10EFF 10F46-10F50 10F82-10F85
11070 11073-11074 110C2 11145-11146 111C9 111CE-111CF 11241 1133B 113B8-113C0 113C2 113C5
113C7-113CA 113CC-113D0 113D2 113E1-113E2 1145E 1182C-1183A 11930-11935 11937-11938 1193B-1193E
11940 11942-11943 119D1-119D7 119DA-119E0 119E4 11A01-11A0A 11A33-11A39 11A3B-11A3E 11A47
11A51-11A5B 11A8A-11A99 11D31-11D36 11D3A 11D3C-11D3D 11D3F-11D45 11D47 11D8A-11D8E 11D90-11D91
11D93-11D97 11EF3-11EF6 11F00-11F01 11F03 11F34-11F3A 11F3E-11F42 11F5A 13440 13447-13455
1611E-1612F 16F4F 16F7F-16F87 16FE4 16FF0-16FF1 1CF00-1CF2D 1CF30-1CF46 1E08F 1E130-1E136 1E2AE
1E2EC-1E2EF 1E4EC-1E4EF 1E5EE-1E5EF
"""
MARK = """
1CF2-1CF3
"""

# Cc, Cf, Co in 16.0, not deleted by BERT.
NODEL = """
890-891 8E2 110CD 13430-1343F
"""

# Decompositions and combining classes younger than the reference's normalisation.
NODECOMP = """
105C9 105E4 11383 11385 1138E 11391 113C5 113C7-113C8 11938 16121-16128 16D68-16D6A
"""
NOCCC = """
7FD 897-89F 8CA-8D3 9FE C3C D3B-D3C EBA 1715 1ABF-1ACE 1DF6-1DFA A82C 10D24-10D27 10D69-10D6D
10EAB-10EAC 10EFD-10EFF 10F46-10F50 10F82-10F85 11070 1133B 113CE-113D0 1145E 11839-1183A
1193D-1193E 11943 119E0 11A34 11A47 11A99 11D42 11D44-11D45 11D97 11F41-11F42 1612F 16FF0-16FF1
1E08F 1E130-1E136 1E2AE 1E2EC-1E2EF 1E4EC-1E4EF 1E5EE-1E5EF
"""

# Compatibility decompositions younger than the reference's normalisation.
NOCOMPAT = """
32FF A7F2-A7F4 AB69 105C9 105E4 10781-10785 10787-107B0 107B2-107BA 11383 11385 1138E 11391 113C5 113C7-113C8
11938 16121-16128 16D68-16D6A 1CCD6-1CCF9 1E030-1E06D 1F16C 1FBF0-1FBF9
"""

# Lower case younger than Python 3.11's (first code point, last, distance).
LOWER = [(0x1C89, 0x1C89, 1), (0xA7CB, 0xA7CB, 0x264 - 0xA7CB), (0xA7CC, 0xA7CC, 1), (0xA7CE, 0xA7CE, 1),
         (0xA7D2, 0xA7D2, 1), (0xA7D4, 0xA7D4, 1), (0xA7DA, 0xA7DA, 1), (0xA7DC, 0xA7DC, 0x19B - 0xA7DC),
         (0x10D50, 0x10D65, 32), (0x16EA0, 0x16EB8, 27)]

CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co".split()
SPACE = {9, 10, 11, 12, 13, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
N = 0x110000


def ranges(text):
    out = set()
    for r in text.split():
        a, _, b = r.partition("-")
        out.update(range(int(a, 16), int(b or a, 16) + 1))
    return out


def canonical(c):
    """The canonical decomposition of c, one step, as a list (Hangul syllables are computed, not listed)."""
    d = ucd.decomposition(chr(c))
    return [int(x, 16) for x in d.split()] if d and d[0] != "<" else []


def classes():
    word, nopunct, punct, nomn, mn, nodel = map(ranges, (WORD, NOPUNCT, PUNCT, NOMN, MN, NODEL))
    nodecomp, noccc, nomark, mark = map(ranges, (NODECOMP, NOCCC, NOMARK, MARK))
    decomp = {c: canonical(c) for c in range(N) if c not in nodecomp and canonical(c)}
    comp = {tuple(d): c for c, d in decomp.items() if len(d) == 2 and ucd.normalize("NFC", chr(c)) == chr(c)}
    second = {b for _, b in comp} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    seen, of = {}, []
    for c in range(N):
        gc = ucd.category(chr(c))
        ccc = 0 if c in noccc else ucd.combining(chr(c))
        flags = []
        if c in SPACE: flags.append("UC_SPACE")
        if c in word or gc[0] in "LM" or gc in ("Nd", "Pc"): flags.append("UC_WORD")
        if (gc[0] == "P" and c not in nopunct) or c in punct: flags.append("UC_BERT_PUNCT")
        if (gc == "Mn" and c not in nomn) or c in mn: flags.append("UC_BERT_MARK")
        if (gc in ("Cc", "Cf", "Co") and c not in nodel and c not in (9, 10, 13)) or c in (0, 0xFFFD):
            flags.append("UC_BERT_DELETE")
        if c in second or (c in decomp and ucd.normalize("NFC", chr(c)) != chr(c)): flags.append("UC_UNSTABLE")
        if c in decomp: flags.append("UC_DECOMPOSES")
        if (gc[0] == "M" and c not in nomark) or c in mark: flags.append("UC_MARK")
        key = (gc, ccc, "|".join(flags) or "0")
        of.append(seen.setdefault(key, len(seen)))
    assert len(seen) < 256
    return list(seen), of, decomp, comp


def level(values, n):
    """Cuts values into blocks of n: the distinct blocks, one after the other, and the number of each."""
    blocks, index = {}, []
    for i in range(0, len(values), n):
        index.append(blocks.setdefault(tuple(values[i:i + n]), len(blocks)))
    return [v for b in blocks for v in b], index


def lower():
    """Runs (first, last, step, distance) of code points whose lower case is one code point."""
    pairs = {c: ord(chr(c).lower()) for c in range(N) if len(chr(c).lower()) == 1 and chr(c).lower() != chr(c)}
    for a, b, d in LOWER:
        pairs.update({c: c + d for c in range(a, b + 1)})
    runs = []
    for c in sorted(pairs):
        d = pairs[c] - c
        if runs and runs[-1][3] == d:
            a, b, step, _ = runs[-1]
            if a == b and c - b <= 2: runs[-1] = (a, c, c - b, d); continue
            if c - b == step and a != b: runs[-1] = (a, c, step, d); continue
        runs.append((c, c, 1, d))
    return runs


def compat():
    """What compatibility makes of code points, canonical mappings left to the normal form that follows: runs of those that become one
    code point (first, last, step, distance), and the others with their texts in one pool: (code point, place, bytes), pool."""
    no = ranges(NOCOMPAT)
    full = {c: ucd.normalize("NFC", ucd.normalize("NFKD", chr(c))) for c in range(N) if not 0xD800 <= c < 0xE000
            and c not in no and ucd.normalize("NFKD", chr(c)) != ucd.normalize("NFD", chr(c))}
    runs, pool, many = [], b"", []
    for c in sorted(c for c in full if len(full[c]) == 1):
        d = ord(full[c]) - c
        if runs and runs[-1][3] == d and c - runs[-1][0] < 1024:
            a, b, step, _ = runs[-1]
            if a == b and c - b <= 2: runs[-1] = (a, c, c - b, d); continue
            if c - b == step and a != b: runs[-1] = (a, c, step, d); continue
        runs.append((c, c, 1, d))
    for text in sorted({v.encode() for v in full.values() if len(v) > 1}, key=lambda t: (-len(t), t)):
        if text not in pool: pool += text
    for c in sorted(c for c in full if len(full[c]) > 1):
        text = full[c].encode()
        many.append((c, pool.index(text), len(text)))
    return runs, many, pool


def array(decl, items):
    print(decl + " = {")
    line = "   "
    for s in items:
        if len(line) + len(s) + 2 > 98:
            print(line)
            line = "   "
        line += " " + s + ","
    print(line + "\n};\n")


def main():
    cls, of, decomp, comp = classes()
    leaf, mid = level(of, 16)
    mid, top = level(mid, 16)
    print("""/* SPDX-License-Identifier: Apache-2.0
 * text/unicode_table.c: written by tools/unicode.py from the Unicode Character Database, version %s. Do not edit. */
#include "text/unicode.h"
""" % ucd.unidata_version)
    print("// clang-format off")
    array("const struct unicode_class unicode_classes[UNICODE_CLASSES_MAX]",
          ["{UC_%s, %d, %s}" % (g.upper() if g != "Cn" else "CN", ccc, f) for g, ccc, f in cls])
    array("const uint8_t unicode_top[0x1100]", map(str, top))
    array("const uint16_t unicode_mid[]", map(str, mid))
    array("const uint8_t unicode_leaf[]", map(str, leaf))
    order = sorted(decomp)
    array("const uint64_t unicode_decomp[]",
          ["0x%X" % (c << 42 | decomp[c][0] << 21 | (decomp[c] + [0])[1]) for c in order])
    print("const int unicode_ndecomp = %d;\n" % len(order))
    at = {c: i for i, c in enumerate(order)}
    array("const uint16_t unicode_comp[]", [str(at[comp[k]]) for k in sorted(comp)])
    print("const int unicode_ncomp = %d;\n" % len(comp))
    runs = lower()
    array("const struct unicode_run unicode_lower_runs[]", ["{0x%X, 0x%X, %d, %d}" % r for r in runs])
    print("const int unicode_nlower = %d;\n" % len(runs))
    runs, many, pool = compat()
    assert all(c < 1 << 21 and b - a < 1024 for a, b, _, _ in runs for c in (a, b)) and len(pool) < 65536
    array("const struct unicode_near unicode_compat_runs[]",
          ["{0x%X, %d}" % (a | (step - 1) << 21 | (b - a) << 22, d) for a, b, step, d in runs])
    print("const int unicode_ncompat_runs = %d;\n" % len(runs))
    array("const uint32_t unicode_compat[]", ["0x%X" % (c << 8 | n) for c, _, n in many])
    array("const uint16_t unicode_compat_at[]", [str(at) for _, at, _ in many])
    print("const int unicode_ncompat = %d;\n" % len(many))
    array("const unsigned char unicode_compat_text[]", map(str, pool))
    print("// clang-format on")


main()
