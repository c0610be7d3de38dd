/* SPDX-License-Identifier: Apache-2.0
 * store/modelfile.c: see modelfile.h. Read line by line: a value that opens with a quote goes on until a line ends with the same one, as in
 * Ollama's parser, so that quotes inside a line need no escapes. */
#include "store/modelfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lar/lar.h>

#include "base/err.h"
#include "base/utf8.h"

static const char *const words[] = {"FROM",     "PARAMETER", "TEMPLATE", "SYSTEM",
                                    "ADAPTER",  "LICENSE",   "MESSAGE",  "REQUIRES",
                                    "RENDERER", "PARSER",    "DRAFT"};
enum { NWORD = sizeof words / sizeof *words };

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static int same_word(struct str a, const char *z)
{
    size_t n = strlen(z);
    if (a.n != n) return 0;
    for (size_t i = 0; i < n; i++)
        if (small(a.p[i]) != small(z[i])) return 0;
    return 1;
}

static struct str trim(struct str s)
{
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

/* The word at the beginning of s, which then begins behind it and its blanks. */
static struct str cut_word(struct str *s)
{
    struct str w = *s;
    w.n = 0;
    while (w.n < s->n && !is_space(s->p[w.n])) w.n++;
    *s = str_from(*s, w.n);
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t')) s->p++, s->n--;
    return w;
}

/* ---- parameters ------------------------------------------------------------------------------------------------------ */

/* clang-format off */
static const struct param params[] = {
    {"mirostat", PARAM_INT, 0},        {"mirostat_eta", PARAM_NUM, 0},      {"mirostat_tau", PARAM_NUM, 0},
    {"num_ctx", PARAM_INT, 0},         {"num_predict", PARAM_INT, 0},       {"num_thread", PARAM_INT, 0},
    {"repeat_last_n", PARAM_INT, 0},   {"repeat_penalty", PARAM_NUM, 0},    {"presence_penalty", PARAM_NUM, 0},
    {"frequency_penalty", PARAM_NUM, 0}, {"temperature", PARAM_NUM, 0},     {"seed", PARAM_INT, 0},
    {"stop", PARAM_TEXTS, 0},          {"top_k", PARAM_INT, 0},             {"top_p", PARAM_NUM, 0},
    {"min_p", PARAM_NUM, 0},           {"typical_p", PARAM_NUM, 0},
    {"num_keep", PARAM_INT, 1},        {"num_batch", PARAM_INT, 1},         {"num_gpu", PARAM_INT, 1},
    {"main_gpu", PARAM_INT, 1},        {"num_gqa", PARAM_INT, 1},           {"use_mmap", PARAM_BOOL, 1},
    {"use_mlock", PARAM_BOOL, 1},      {"numa", PARAM_BOOL, 1},             {"low_vram", PARAM_BOOL, 1},
    {"f16_kv", PARAM_BOOL, 1},         {"vocab_only", PARAM_BOOL, 1},       {"logits_all", PARAM_BOOL, 1},
    {"penalize_newline", PARAM_BOOL, 1}, {"tfs_z", PARAM_NUM, 1},           {"draft_num_predict", PARAM_INT, 1},
};
/* clang-format on */

const struct param *param_find(struct str name)
{
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (same_word(name, params[i].name)) return &params[i];
    return NULL;
}

static int bad_value(const struct param *p, struct str value, const char *wanted,
                     struct lar_err *err)
{
    return lar_fail(err, LAR_EINVAL, "PARAMETER %s needs %s, not '%.*s'", p->name, wanted,
                    STR_ARG(value));
}

/* Is x in the range that the library, and lar run, take? Then NULL, else what is. */
static const char *wrong_range(const struct param *p, double x, char text[64])
{
#define AT(field) offsetof(struct lar_sampling, field)
    static const struct {
        const char *name;
        size_t at;
    } place[] = {{"mirostat", AT(mirostat)},
                 {"mirostat_eta", AT(mirostat_eta)},
                 {"mirostat_tau", AT(mirostat_tau)},
                 {"repeat_last_n", AT(repeat_last_n)},
                 {"repeat_penalty", AT(repeat_penalty)},
                 {"presence_penalty", AT(presence_penalty)},
                 {"frequency_penalty", AT(frequency_penalty)},
                 {"temperature", AT(temp)},
                 {"top_k", AT(top_k)},
                 {"top_p", AT(top_p)},
                 {"min_p", AT(min_p)},
                 {"typical_p", AT(typical_p)}};
#undef AT
    struct lar_sampling s;
    struct lar_err why;
    if (strcmp(p->name, "num_ctx") == 0)
        return x >= 1 && x <= 1 << 28 ? NULL : "a whole number from 1 to 268435456";
    if (strcmp(p->name, "num_predict") == 0)
        return x <= 1 << 30 ? NULL : "a whole number up to 1073741824";
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        if (strcmp(p->name, place[i].name) != 0) continue;
        lar_sampling_default(&s, NULL);
        void *at = (char *)&s + place[i].at;
        if (p->kind == PARAM_INT && fabs(x) > INT32_MAX) return "a smaller number";
        if (p->kind == PARAM_INT)
            *(int *)at = (int)x;
        else
            *(float *)at = (float)x;
        if (lar_sampling_check(&s, &why) == 0) return NULL;
        const char *range = strstr(why.msg, "expected ");
        snprintf(text, 64, "a number from %s", range ? range + 9 : "its range");
        return text;
    }
    return NULL;
}

static int number_json(const struct param *p, struct str value, struct buf *b, struct lar_err *err)
{
    char t[64], range[64], *end;
    if (!value.n || value.n >= sizeof t || memchr(value.p, 0, value.n))
        return bad_value(p, value, "a number", err);
    memcpy(t, value.p, value.n);
    t[value.n] = 0;
    double x = strtod(t, &end);
    if (*end || is_space(t[0]) || !isfinite(x)) return bad_value(p, value, "a number", err);
    if (p->kind == PARAM_INT) {
        if (x != floor(x) || fabs(x) > 9007199254740992.0)
            return bad_value(p, value, "a whole number", err);
    }
    const char *wanted = wrong_range(p, x, range);
    if (wanted) return bad_value(p, value, wanted, err);
    if (p->kind == PARAM_INT) {
        buf_printf(b, "%lld", (long long)x);
    } else {
        buf_json_num(b, x);
    }
    return 0;
}

int param_json(const struct param *p, struct str value, struct buf *b, struct lar_err *err)
{
    if (p->kind == PARAM_TEXTS) return buf_json_str(b, value), 0;
    if (p->kind != PARAM_BOOL) return number_json(p, value, b, err);
    if (!same_word(value, "true") && !same_word(value, "false"))
        return bad_value(p, value, "true or false", err);
    buf_puts(b, same_word(value, "true") ? "true" : "false");
    return 0;
}

static int check_param(struct str name, struct str value, struct lar_err *err)
{
    const struct param *p = param_find(name);
    struct buf b = {0};
    if (!p) return lar_fail(err, LAR_EINVAL, "no PARAMETER is called '%.*s'", STR_ARG(name));
    int e = param_json(p, value, &b, err);
    buf_done(&b);
    return e;
}

/* ---- commands --------------------------------------------------------------------------------------------------------- */

static int grow(struct modelfile *m)
{
    size_t cap = m->cap ? m->cap * 2 : 16;
    struct modelfile_command *c = arena_array(&m->a, cap, sizeof *c);
    if (!c) return -1;
    if (m->n) memcpy(c, m->command, m->n * sizeof *c);
    m->command = c;
    m->cap = cap;
    return 0;
}

int modelfile_add(struct modelfile *m, enum modelfile_what what, struct str name, struct str value,
                  struct lar_err *err)
{
    if (m->n == MODELFILE_COMMANDS_MAX)
        return lar_fail(err, LAR_ELIMIT, "Modelfile: more than %d commands",
                        MODELFILE_COMMANDS_MAX);
    if (!m->cap) arena_init(&m->a, (size_t)256 << 20);
    char *n = NULL, *v = NULL;
    if ((m->n < m->cap || grow(m) == 0) && (n = arena_copy(&m->a, name.p, name.n)))
        v = arena_copy(&m->a, value.p, value.n);
    if (!v) return lar_fail(err, LAR_ENOMEM, "Modelfile: out of memory");
    for (size_t i = 0; i < name.n; i++) n[i] = small(n[i]);
    m->command[m->n++] = (struct modelfile_command){what, {n, name.n}, {v, value.n}, 0};
    return 0;
}

void modelfile_done(struct modelfile *m)
{
    if (m->cap) arena_done(&m->a);
    *m = (struct modelfile){0};
}

struct reader {
    struct str left; /* what is not yet read */
    int line;
};

static int next_line(struct reader *r, struct str *line)
{
    if (!r->left.n) return 0;
    const char *nl = memchr(r->left.p, '\n', r->left.n);
    *line = (struct str){r->left.p, nl ? (size_t)(nl - r->left.p) : r->left.n};
    r->left = str_from(r->left, line->n + (nl != NULL));
    r->line++;
    return 1;
}

/* Is s (trimmed) a value in whole quotes, or none in quotes at all? Then *out is what they hold. */
static int unquote(struct str s, struct str *out)
{
    static const struct str three = {"\"\"\"", 3}, one = {"\"", 1};
    struct str q = str_starts(s, three) ? three : str_starts(s, one) ? one : (struct str){"", 0};
    if (q.n && (s.n < 2 * q.n || !str_ends(s, q))) return 0;
    *out = (struct str){s.p + q.n, s.n - 2 * q.n};
    return 1;
}

/* A value begins in first, which lies at the end of the line last read. */
static int read_value(struct reader *r, struct str first, struct str *value, struct lar_err *err)
{
    struct str whole = first, line;
    int begun = r->line;
    while (!unquote(trim(whole), value)) {
        if (!next_line(r, &line))
            return lar_fail(err, LAR_EFORMAT, "line %d: the quotes of this value are never closed",
                            begun);
        whole.n = (size_t)(line.p + line.n - whole.p);
    }
    return 0;
}

/* Does it compile, and say something to one message? What Lar alone does not know of a language, or a template that refuses the message in its own
 * words, is no fault of the Modelfile's. */
static int check_template(struct str text, int at, struct lar_err *err)
{
    static const char hello[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}";
    struct lar_err why;
    char *out = NULL;
    size_t n;
    int jinja = memmem(text.p, text.n, "{%", 2) != NULL;
    int e = jinja ? lar_template_render(text.p, text.n, hello, sizeof hello - 1, &out, &n, &why)
                  : lar_template_render_go(text.p, text.n, hello, sizeof hello - 1, &out, &n, &why);
    lar_free(out);
    return e == LAR_EFORMAT ? lar_fail(err, e, "line %d: TEMPLATE: %s", at, why.msg) : 0;
}

static int read_command(struct modelfile *m, struct reader *r, struct str line, struct lar_err *err)
{
    struct str word = cut_word(&line), name = {"", 0}, value;
    int at = r->line, what = 0, e;
    while (what < NWORD && !same_word(word, words[what])) what++;
    if (what == NWORD)
        return lar_fail(
            err, LAR_EFORMAT,
            "line %d: '%.*s' is no command: FROM, PARAMETER, TEMPLATE, SYSTEM, ADAPTER, LICENSE, MESSAGE, "
            "REQUIRES, RENDERER, PARSER, DRAFT are",
            at, STR_ARG(word));
    if (what == MODELFILE_PARAMETER || what == MODELFILE_MESSAGE) name = cut_word(&line);
    int nothing = !trim(line).n;
    if ((e = read_value(r, line, &value, err)) < 0) return e;
    if (!value.n && what != MODELFILE_TEMPLATE && what != MODELFILE_SYSTEM &&
        what != MODELFILE_MESSAGE)
        return lar_fail(err, LAR_EFORMAT, "line %d: %s is given no value", at, words[what]);
    if (what == MODELFILE_MESSAGE && !same_word(name, "system") && !same_word(name, "user") &&
        !same_word(name, "assistant"))
        return lar_fail(err, LAR_EFORMAT,
                        "line %d: a MESSAGE is of system, user or assistant, not '%.*s'", at,
                        STR_ARG(name));
    if (what == MODELFILE_MESSAGE && nothing)
        return lar_fail(err, LAR_EFORMAT, "line %d: MESSAGE %.*s is given no text", at,
                        STR_ARG(name));
    if (what == MODELFILE_TEMPLATE && (e = check_template(value, at, err)) < 0) return e;
    if (what == MODELFILE_PARAMETER && (e = check_param(name, value, err)) < 0) {
        struct lar_err why = err ? *err : (struct lar_err){0};
        return lar_fail(err, e, "line %d: %s", at, why.msg);
    }
    if ((e = modelfile_add(m, (enum modelfile_what)what, name, value, err)) == 0)
        m->command[m->n - 1].line = at;
    return e;
}

int modelfile_parse(struct modelfile *m, struct str text, struct lar_err *err)
{
    struct reader r = {text, 0};
    struct str line;
    int e = 0;
    if (text.n > MODELFILE_BYTES_MAX)
        return lar_fail(err, LAR_ELIMIT, "Modelfile: %zu bytes; %d is the most", text.n,
                        MODELFILE_BYTES_MAX);
    if (!utf8_valid(text.p, text.n) || (text.n && memchr(text.p, 0, text.n)))
        return lar_fail(err, LAR_EFORMAT, "Modelfile: is no UTF-8 text");
    if (str_starts(r.left, STR("\xef\xbb\xbf"))) r.left = str_from(r.left, 3);
    while (e == 0 && next_line(&r, &line)) {
        while (line.n && is_space(line.p[0])) line.p++, line.n--;
        if (line.n && line.p[0] != '#') e = read_command(m, &r, line, err);
    }
    return e;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static int has(struct str s, char c) { return s.n && memchr(s.p, c, s.n) != NULL; }

void modelfile_write(struct buf *b, enum modelfile_what what, struct str name, struct str value)
{
    buf_puts(b, words[what]);
    if (name.n) buf_putc(b, ' '), buf_str(b, name);
    buf_putc(b, ' ');
    int edge = value.n && (is_space(value.p[0]) || is_space(value.p[value.n - 1]));
    const char *quote = has(value, '\n') || (value.n && value.p[0] == '"') ? "\"\"\""
                        : edge || !value.n                                 ? "\""
                                                                           : "";
    buf_puts(b, quote);
    buf_str(b, value);
    buf_puts(b, quote);
    buf_putc(b, '\n');
}
