/* SPDX-License-Identifier: Apache-2.0
 * text/calls_json.c: JSON (RFC 8259) asked byte by byte, so that arguments can be given on while they are written and are JSON for all
 * that. */
#include "text/calls.h"

enum {
    VALUE,
    FIRST_KEY,
    KEY,
    COLON,
    FIRST_ITEM,
    NEXT,
    STRING,
    WORD,
    SIGN,
    ZERO,
    WHOLE,
    DOT,
    FRACTION,
    EXP,
    EXP_SIGN,
    EXP_DIGIT
};

void call_json_begin(struct call_json *j) { *j = (struct call_json){.state = VALUE}; }

static int is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static int is_space(unsigned char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* A value has ended. */
static int ended(struct call_json *j)
{
    j->state = NEXT;
    return j->depth ? CALL_JSON_MORE : CALL_JSON_DONE;
}

static int closes(struct call_json *j, unsigned char c)
{
    if (!j->depth || j->stack[j->depth - 1] != (c == '}' ? '{' : '[')) return CALL_JSON_BAD;
    j->depth--;
    return ended(j);
}

static int starts(struct call_json *j, unsigned char c)
{
    static const char *const word[] = {"true", "false", "null"};
    if (c == '{' || c == '[') {
        if (j->depth == CALL_DEPTH_MAX) return CALL_JSON_BAD;
        j->stack[j->depth++] = c;
        j->state = c == '{' ? FIRST_KEY : FIRST_ITEM;
        return CALL_JSON_MORE;
    }
    for (int i = 0; i < 3; i++)
        if (c == (unsigned char)word[i][0]) return j->word = word[i] + 1, j->state = WORD, CALL_JSON_MORE;
    j->state = c == '"' ? STRING : c == '-' ? SIGN : c == '0' ? ZERO : WHOLE;
    j->value = 1;
    return c == '"' || c == '-' || is_digit(c) ? CALL_JSON_MORE : CALL_JSON_BAD;
}

static int in_string(struct call_json *j, unsigned char c)
{
    if (j->escape > 1) { /* digits of \u */
        int hex = is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
        if (j->escape++ == 5) j->escape = 0;
        return hex ? CALL_JSON_MORE : CALL_JSON_BAD;
    }
    if (j->escape) {
        j->escape = c == 'u' ? 2 : 0;
        return c && strchr("\"\\/bfnrtu", c) ? CALL_JSON_MORE : CALL_JSON_BAD;
    }
    if (c < 0x20) return CALL_JSON_BAD;
    j->escape = c == '\\';
    if (c != '"') return CALL_JSON_MORE;
    if (j->value) return ended(j);
    j->state = COLON;
    return CALL_JSON_MORE;
}

/* The next state of a number, -1: it has ended, -2: it cannot end so. */
static int number(int state, unsigned char c)
{
    int e = (c | 32) == 'e', d = is_digit(c);
    switch (state) {
    case SIGN: return c == '0' ? ZERO : d ? WHOLE : -2;
    case ZERO: return c == '.' ? DOT : e ? EXP : -1;
    case WHOLE: return d ? WHOLE : c == '.' ? DOT : e ? EXP : -1;
    case DOT: return d ? FRACTION : -2;
    case FRACTION: return d ? FRACTION : e ? EXP : -1;
    case EXP: return d ? EXP_DIGIT : c == '+' || c == '-' ? EXP_SIGN : -2;
    case EXP_SIGN: return d ? EXP_DIGIT : -2;
    default: return d ? EXP_DIGIT : -1;
    }
}

static int between(struct call_json *j, unsigned char c)
{
    if (is_space(c)) return CALL_JSON_MORE;
    switch (j->state) {
    case FIRST_ITEM:
        if (c == ']') return closes(j, c);
        return starts(j, c);
    case VALUE: return starts(j, c);
    case FIRST_KEY:
    case KEY:
        if (c == '}' && j->state == FIRST_KEY) return closes(j, c);
        j->state = STRING;
        j->value = 0;
        return c == '"' ? CALL_JSON_MORE : CALL_JSON_BAD;
    case COLON: j->state = VALUE; return c == ':' ? CALL_JSON_MORE : CALL_JSON_BAD;
    default:
        if (c == '}' || c == ']') return closes(j, c);
        if (c != ',' || !j->depth) return CALL_JSON_BAD;
        j->state = j->stack[j->depth - 1] == '{' ? KEY : VALUE;
        return CALL_JSON_MORE;
    }
}

int call_json_byte(struct call_json *j, unsigned char c)
{
    if (j->state == STRING) return in_string(j, c);
    if (j->state == WORD) {
        if (c != (unsigned char)*j->word) return CALL_JSON_BAD;
        return *++j->word ? CALL_JSON_MORE : ended(j);
    }
    if (j->state < STRING) return between(j, c);
    int next = number(j->state, c);
    if (next == -2) return CALL_JSON_BAD;
    if (next >= 0) return j->state = next, CALL_JSON_MORE;
    return ended(j) == CALL_JSON_DONE ? CALL_JSON_BEHIND : between(j, c);
}
