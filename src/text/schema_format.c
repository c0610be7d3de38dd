/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_format.c: the formats of JSON Schema as expressions, from the grammars of their RFCs: 3339 (date, time; the days of each
 * month, leap years), ISO 8601 durations (RFC 3339 A), 5321 (email), 1123 (host names), 2673 and 4291 (IP), 3986 and 3987 (URI, IRI),
 * 9562 (UUID), 6901 (JSON pointers), 6570 (templates), ECMA-262 (regex). Where a rule is not regular or needs tables (Punycode labels,
 * internationalised names, brackets in regular expressions) or lets through what common validators refuse (quoted names and hosts without a point in
 * addresses, a URI that is but a scheme, points in a template's names) the expression is narrower than the rule: what it lets through is right. */
#include "text/schema_impl.h"

#define HEX  "[0-9a-fA-F]"
#define BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IP4  "(?:" BYTE "\\.){3}" BYTE
#define H16  HEX "{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IP4 ")"
#define IP6                                                                                      \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32    \
    "|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16           \
    ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16     \
    ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16 ":){0,6}" H16 \
    ")?::)"
#define DATE                                                                                                           \
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|" \
    "1[0-9]|2[0-8]))|(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
#define TIME                                                                                                   \
    "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])|" \
    "23:59:60(?:\\.[0-9]+)?(?:[Zz]|[+-]00:00))"
#define DURATION_T "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
#define DURATION                                                                                \
    "P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:" DURATION_T \
    ")?|" DURATION_T ")"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define HOST  LABEL "(?:\\." LABEL ")*"
#define ATEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define MAIL  ATEXT "(?:\\." ATEXT ")*@" LABEL "(?:\\." LABEL ")+"
#define UCS \
    "\\u00A0-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFEF\\u{10000}-\\u{1FFFD}\\u{20000}-\\u{2FFFD}\\u{30000}-\\u{3FFFD}"
#define PCT "%" HEX HEX
#define SUB "!$&'()*+,;="
/* X: "" or UCS, what beside ASCII may stand in a path, a name or a query */
#define PCHAR(X)     "(?:[A-Za-z0-9._~" SUB ":@" X "-]|" PCT ")"
#define USER(X)      "(?:[A-Za-z0-9._~" SUB ":" X "-]|" PCT ")*"
#define REGNAME(X)   "(?:[A-Za-z0-9._~" SUB X "-]|" PCT ")*"
#define LITERAL      "\\[(?:" IP6 "|v" HEX "+\\.[A-Za-z0-9._~" SUB ":-]+)\\]"
#define AUTHORITY(X) "(?:" USER(X) "@)?(?:" LITERAL "|" REGNAME(X) ")(?::[0-9]*)?"
#define ABEMPTY(X)   "(?:/" PCHAR(X) "*)*"
#define ABSOLUTE(X)  "/(?:" PCHAR(X) "+(?:/" PCHAR(X) "*)*)?"
#define TAIL(X)      "(?:\\?(?:" PCHAR(X) "|[/?])*)?(?:#(?:" PCHAR(X) "|[/?])*)?"
#define URI(X)                                   \
    "[A-Za-z][A-Za-z0-9+.-]*:(?://" AUTHORITY(X) \
        ABEMPTY(X) "|" ABSOLUTE(X) "|" PCHAR(X) "+(?:/" PCHAR(X) "*)*)" TAIL(X)
#define SCHEME_ONLY(X) "[A-Za-z][A-Za-z0-9+.-]*:" TAIL(X)
#define RELATIVE(X)                                                                         \
    "(?://" AUTHORITY(X) ABEMPTY(X) "|" ABSOLUTE(X) "|(?:[A-Za-z0-9._~" SUB "@" X "-]|" PCT \
                                                    ")+(?:/" PCHAR(X) "*)*|)" TAIL(X)
#define VARNAME "(?:[A-Za-z0-9_]|" PCT ")+"
#define VARSPEC VARNAME "(?::[1-9][0-9]{0,3}|\\*)?"
/* Atoms with their counts, bars and anchors; X is one more kind of atom: a group of what stands inside. */
#define RE_SAFE  "[^\\\\\\[\\]\\x00-\\x1f-]|\\\\[dDwWsSnrtv^$.*+?()\\[\\]{}|/\\\\-]"
#define RE_CLASS "\\[\\^?-?(?:" RE_SAFE "|0-9|a-z|A-Z|a-f|A-F|1-9)+-?\\]"
#define RE_ATOM  "[^\\\\^$*+?()\\[\\]{}|\\x00-\\x1f]|\\\\[dDwWsSnrtv^$.*+?()\\[\\]{}|/\\\\]|" RE_CLASS
#define RE_LESS  "[01],[1-9]|2,[2-9]|3,[3-9]|4,[4-9]|5,[5-9]|6,[6-9]|7,[7-9]|[0-9],[1-9][0-9]"
#define RE_COUNT "[*+?]|\\{(?:[0-9]{1,3},?|" RE_LESS "|[0-9]{1,2},[1-9][0-9]{2,3})\\}"
#define RE_IN(X) "(?:(?:" RE_ATOM X ")(?:(?:" RE_COUNT ")\\?" "?)?|[|^$])*"
#define REGEX    RE_IN("|\\((?:\\?:)?" RE_IN("|\\((?:\\?:)?" RE_IN("") "\\)") "\\)")
#define POINTER "(?:/(?:[^~/]|~[01])*)*"

static const struct {
    const char *name, *re, *also; /* one expression or the other */
} table[] = {
    {"date-time", DATE "[Tt]" TIME, NULL},
    {"date", DATE, NULL},
    {"time", TIME, NULL},
    {"duration", DURATION, NULL},
    {"email", MAIL, NULL},
    {"idn-email", MAIL, NULL},
    {"hostname", HOST, NULL},
    {"idn-hostname", HOST, NULL},
    {"ipv4", IP4, NULL},
    {"ipv6", IP6, NULL},
    {"uri", URI(""), NULL},
    {"uri-reference", URI(""), RELATIVE("") "|" SCHEME_ONLY("")},
    {"iri", URI(UCS), NULL},
    {"iri-reference", URI(UCS), RELATIVE(UCS) "|" SCHEME_ONLY(UCS)},
    {"uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}", NULL},
    {"regex", REGEX, NULL},
    {"json-pointer", POINTER, NULL},
    {"relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")", NULL},
    {"uri-template",
     "(?:[!#$&(-;=?-\\[\\]_a-z~\\u00A0-\\uD7FF\\uE000-\\u{10FFFF}]|" PCT
     "|\\{[+#./;?&=,!@|]?" VARSPEC "(?:," VARSPEC ")*\\})*",
     NULL},
};

static uint32_t re(struct schema *s, const char *z)
{
    struct lar_err e;
    int64_t r = rx_parse(s->rx, str_of(z), 1, &e);
    if (r < 0) schema_fail(s, (int)r, "", "%s", e.msg);
    return r < 0 ? RX_EMPTY : (uint32_t)r;
}

uint32_t schema_format(struct schema *s, struct str name, int *is_known)
{
    *is_known = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!str_is(name, table[i].name)) continue;
        *is_known = 1;
        uint32_t r = re(s, table[i].re);
        if (table[i].also) r = rx_alt(s->rx, r, re(s, table[i].also));
        if (str_ends(
                name,
                STR("hostname"))) { /* at most 253 characters; no label of Punycode or with -- in its third and fourth place */
            r = rx_and(s->rx, r, rx_rep(s->rx, RX_CHAR, 1, 253));
            r = rx_diff(s->rx, r, re(s, "(?:[A-Za-z0-9.-]*\\.)?[A-Za-z0-9]{2}--[A-Za-z0-9.-]*"));
        }
        return r;
    }
    return RX_EMPTY;
}
