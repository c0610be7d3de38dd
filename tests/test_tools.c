/* SPDX-License-Identifier: Apache-2.0
 * tests/test_tools.c: the grammars of calls. Whatever is written by following one is calls of tools that there are, with arguments that their
 * schemas accept: random walks in every form, read back and checked by another grammar, that of the schema alone. What the families' templates
 * write is accepted. Then a real model, which has never heard of tools, must call them. */
#include <lar/grammar.h>
#include <lar/tools.h>

#include "api/guide.h"
#include "base/rng.h"
#include "golden_file.h"
#include "tap.h"
#include "text/calls.h"
#include "text/grammar.h"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\","
    "\"properties\":"
    "{\"city\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":12},\"unit\":{\"enum\":[\"celsius\","
    "\"fahrenheit\"]},"
    "\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":14}},\"required\":[\"city\"]}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"a\":{\"$ref\":\"#/$defs/n\"},\"b\":{\"type\":\"number\"}},\"required\":[\"a\",\"b\"],"
    "\"additionalProperties\":false,\"$defs\":{\"n\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":99}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"now\",\"description\":\"No arguments.\"}}]";
/* Arguments that are objects, lists, unions and references back to themselves; more than six, so in their own order; in free order else. */
static const char deep_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"plan\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"trip\":{\"type\":\"object\",\"properties\":{\"to\":{\"type\":\"string\",\"pattern\":\"^[A-Z][a-z]+$\"},"
    "\"days\":"
    "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7},\"minItems\":1,\"maxItems\":3},"
    "\"class\":{\"enum\":[\"first\",\"second\"]}},\"required\":[\"to\"]},\"level\":{\"enum\":[1,2.5,null]},"
    "\"note\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"maxLength\":5}]},"
    "\"either\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"array\","
    "\"items\":"
    "{\"type\":\"string\",\"maxLength\":3}}]}},\"required\":[\"trip\",\"level\"],\"additionalProperties\":false}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"grow\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"tree\":{\"$ref\":\"#/$defs/node\"}},\"additionalProperties\":false,"
    "\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":"
    "{\"v\":{\"type\":\"number\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/node\"},"
    "\"maxItems\":2}},"
    "\"required\":[\"v\"],\"additionalProperties\":false}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"many\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"a\":{\"type\":"
    "\"boolean\"},\"b\":{\"type\":\"integer\"},\"c\":{\"type\":\"string\",\"maxLength\":5},"
    "\"d\":{\"type\":\"boolean\"},"
    "\"e\":{\"type\":\"boolean\"},"
    "\"f\":{\"type\":\"boolean\"},\"g\":{\"type\":\"boolean\"}},\"required\":[\"g\"],"
    "\"additionalProperties\":false}}}]";

static struct arena all;

static size_t rng_below(struct rng *r, size_t n) { return (size_t)(rng_u64(r) % n); }

/* In gpt-oss's messages: out of the text, and on to the one that is a call. */
static unsigned towards_a_call(const struct rx_set *set, struct rng *r, struct str s)
{
    char last = s.n ? s.p[s.n - 1] : 0;
    if (last == '<' && rx_set_has(set, '|')) return '|';
    if (last == '>' && rx_set_has(set, 'c') && !rx_set_has(set, '<')) return 'c';
    if (last == 'y' && rx_set_has(set, '<') && rx_set_has(set, ' ') && !rx_set_has(set, 'y')) return ' ';
    return rx_set_has(set, '<') && rng_below(r, 2) ? '<' : 256;
}

/* The byte that leads on fastest is not known, so after some bytes those are tried first that end things. */
static uint32_t walk(struct grammar *g, struct rng *r, struct buf *out, int messages)
{
    static const char enders[] = "\"}])<|>\n/abcdefghijklmnopqrstuvwxyz_=:,'{[ T0123456789";
    uint32_t s = grammar_start(g);
    size_t most = 20 + rng_below(r, 150);
    while (s && out->n < 4000) {
        struct rx_set set;
        unsigned pick = 256, n = 0;
        grammar_bytes_of(g, s, &set);
        if (grammar_accepts(g, s) && (out->n > most || rng_below(r, 4) == 0)) return s;
        if (out->n > most && messages) pick = towards_a_call(&set, r, buf_view(out));
        if (out->n > most)
            for (size_t i = 0; enders[i] && pick == 256; i++)
                if (rx_set_has(&set, (unsigned char)enders[i])) pick = (unsigned char)enders[i];
        for (unsigned b = 0; b < 256 && (out->n <= most || pick == 256); b++)
            if (rx_set_has(&set, b) && rng_below(r, ++n) == 0) pick = b;
        if (pick == 256) break;
        buf_putc(out, (char)pick);
        s = grammar_step(g, s, pick);
    }
    return s && grammar_accepts(g, s) ? s : 0;
}

struct check {
    const struct json *tools;
    struct grammar *schema[3];
    struct buf args;
    int tool, ncall, bad;
};

static void on_event(void *ctx, enum call_event e, size_t index, struct str s)
{
    struct check *k = ctx;
    (void)index;
    if (e == CALL_BEGIN) {
        int i = 0;
        buf_clear(&k->args);
        for (const struct json *t = k->tools->child; t; t = t->next, i++)
            if (str_eq(json_get(json_get(t, "function"), "name")->s, s)) k->tool = i;
    } else if (e == CALL_ARGS)
        buf_str(&k->args, s);
    else if (e == CALL_END) {
        uint32_t end = grammar_walk(k->schema[k->tool], grammar_start(k->schema[k->tool]), buf_view(&k->args), NULL);
        int ok = end && grammar_accepts(k->schema[k->tool], end);
        if (!ok) printf("# tool %d: %s\n", k->tool, buf_z(&k->args));
        k->bad += !ok;
        k->ncall++;
    } else if (e == CALL_BROKEN)
        k->bad++;
}

static void open_schemas(struct check *k)
{
    int i = 0;
    for (const struct json *t = k->tools->child; t; t = t->next, i++) {
        struct buf b = {0};
        const struct json *p = json_get(json_get(t, "function"), "parameters");
        if (p)
            json_write(&b, p);
        else
            buf_puts(&b, "{\"type\":\"object\",\"maxProperties\":0}");
        CHECK_EQ(grammar_open(&k->schema[i], GRAMMAR_SCHEMA, buf_view(&b), NULL, NULL, NULL), 0);
        buf_done(&b);
    }
}

/* Every other form has its marks as control tokens. */
static int is_control(void *ctx, struct str name)
{
    const struct call_form *f = ctx;
    return (strlen(f->name) & 1) && str_is(name, f->mark);
}

static struct str without_ff(struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] != (char)0xff) b->p[n++] = b->p[i];
    b->n = n;
    return buf_view(b);
}

static int walks(const struct call_form *f, int must, int single, int deep, const char *named)
{
    struct lar_err err = {0};
    struct rng r;
    struct check k = {.tools = json_parse(&all, str_of(deep ? deep_text : tools_text), NULL)};
    struct calls_choice q = {
        must ? CALLS_REQUIRED : CALLS_AUTO, str_of(named), single, is_control, (void *)(uintptr_t)f};
    struct grammar_options o = {.space = 1};
    struct grammar *g = NULL;
    struct buf b = {0};
    int rc = calls_grammar(f, k.tools, &q, &b, &err), calls = 0;
    if (rc == 0) rc = grammar_open(&g, GRAMMAR_PARTS, buf_view(&b), &o, NULL, &err);
    if (rc < 0) printf("# %s: %s\n# %s\n", f->name, err.msg, buf_z(&b));
    if (rc == 0) open_schemas(&k);
    rng_seed(&r, 7);
    for (int i = 0; rc == 0 && i < (getenv("LAR_SLOW") ? 3 : 12); i++) {
        struct buf text = {0};
        int before = k.ncall, bad = k.bad;
        if (!walk(g, &r, &text, f->body == CALL_HARMONY)) k.bad++;
        struct calls c = {.form = f, .tools = k.tools, .on = on_event, .ctx = &k};
        calls_begin(&c);
        calls_add(&c, without_ff(&text));
        calls_end(&c);
        if ((must && k.ncall == before) || (single && k.ncall > before + 1) || (must && c.warning[0])) k.bad++;
        if (*named && k.tool != 1) k.bad++;
        if (k.bad > bad && k.bad < 5) printf("# %s: %.*s (%s)\n", f->name, (int)text.n, buf_z(&text), c.warning);
        calls += k.ncall - before;
        calls_done(&c);
        buf_done(&text);
    }
    for (int i = 0; i < 3; i++) grammar_close(k.schema[i]);
    grammar_close(g);
    buf_done(&b);
    buf_done(&k.args);
    return rc == 0 && !k.bad && (calls > 0 || !must);
}

static void what_follows_a_grammar_calls_tools_with_valid_arguments(void)
{
    for (size_t i = 0; call_form_at(i); i++)
        for (int k = 0; k < 3; k++) {
            CHECK(walks(call_form_at(i), k != 2, k == 1, 0, ""));
            if (k == 1) CHECK(walks(call_form_at(i), 1, 1, 0, "add"));
            if (k == 0 && call_form_at(i)->body == CALL_BRACES) CHECK(walks(call_form_at(i), 1, 0, 1, ""));
        }
}

/* ---- calls that are none ---- */

struct given {
    struct buf text;
    int calls, broken, open;
};

static void on_given(void *ctx, enum call_event e, size_t index, struct str s)
{
    struct given *k = ctx;
    (void)index;
    k->calls += e == CALL_END;
    k->broken += e == CALL_BROKEN;
    k->open += (e == CALL_BEGIN) - (e == CALL_END) - (e == CALL_BROKEN);
    if (e == CALL_TEXT || e == CALL_BROKEN || e == CALL_THINKING) buf_str(&k->text, s);
}

/* Without white space, which goes with marks. */
static int alike(struct str a, struct str b)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a.n && strchr(" \n\r\t", a.p[i])) i++;
        while (j < b.n && strchr(" \n\r\t", b.p[j])) j++;
        if (i == a.n || j == b.n) return i == a.n && j == b.n;
        if (a.p[i] != b.p[j]) return 0;
    }
}

/* Reads it byte by byte; whether all of it came, as a call or as text with a warning. */
static int gives_all(const struct call_form *f, const struct json *list, struct str s, int may_call)
{
    struct given k = {.calls = 0};
    struct calls c = {.form = f, .tools = list, .on = on_given, .ctx = &k};
    calls_begin(&c);
    for (size_t i = 0; i < s.n; i++) calls_add(&c, (struct str){s.p + i, 1});
    calls_end(&c);
    size_t mark = strlen(f->mark);
    int whole = alike(buf_view(&k.text), s), headed = f->body == CALL_HARMONY;
    int began = !headed && s.n > mark && memmem(s.p, s.n, f->mark, mark) != NULL;
    int ok = k.open == 0 && (k.calls ? may_call && !k.broken : (whole || headed) && (!began || c.warning[0]));
    if (!ok)
        printf("# %s: %.*s: %d calls, %d broken, \"%s\" (%s)\n", f->name, STR_ARG(s), k.calls, k.broken,
               buf_z(&k.text), c.warning);
    calls_done(&c);
    buf_done(&k.text);
    return ok;
}

static void in_every_form_what_is_no_call_is_given_as_text_and_told(void)
{
    static const char other[] = "[{\"type\":\"function\",\"function\":{\"name\":\"nobody\"}}]";
    const struct json *own = json_parse(&all, str_of(tools_text), NULL), *none = json_parse(&all, str_of(other), NULL);
    for (size_t i = 0; call_form_at(i); i++) {
        const struct call_form *f = call_form_at(i);
        struct calls_choice q = {.choice = CALLS_REQUIRED, .name = STR("add"), .single = 1};
        struct grammar_options o = {.space = 1};
        struct grammar *g = NULL;
        struct buf b = {0}, text = {0};
        struct rng r;
        rng_seed(&r, i);
        CHECK_EQ(calls_grammar(f, own, &q, &b, NULL), 0);
        CHECK_EQ(grammar_open(&g, GRAMMAR_PARTS, buf_view(&b), &o, NULL, NULL), 0);
        for (int k = 0; k < 20 && !text.n; k++)
            if (!walk(g, &r, &text, f->body == CALL_HARMONY)) buf_clear(&text);
        struct str s = buf_view(&text);
        CHECK(s.n && gives_all(f, own, s, 1) && gives_all(f, none, s, 0));
        for (size_t n = 0; n < s.n; n++) CHECK(gives_all(f, own, (struct str){s.p, n}, 1));
        grammar_close(g);
        buf_done(&b);
        buf_done(&text);
    }
}

static enum calls_must must = CALLS_REQUIRED;

/* Whether a text is one that the form's grammar takes. */
static int takes(const char *form, const char *list, const char *text)
{
    const struct call_form *f = NULL;
    struct lar_err err = {0};
    struct calls_choice q = {.choice = must};
    struct grammar *g = NULL;
    struct buf b = {0};
    for (size_t i = 0; call_form_at(i); i++)
        if (!strcmp(call_form_at(i)->name, form)) f = call_form_at(i);
    int rc = calls_grammar(f, json_parse(&all, str_of(list), NULL), &q, &b, &err);
    if (rc == 0) rc = grammar_open(&g, GRAMMAR_PARTS, buf_view(&b), NULL, NULL, &err);
    if (rc < 0) printf("# %s: %s\n", form, err.msg);
    size_t at = 0;
    int ok = rc == 0 && grammar_accepts(g, grammar_walk(g, grammar_start(g), str_of(text), &at));
    if (rc == 0 && !ok) printf("# %s stops at byte %zu\n", form, at);
    grammar_close(g);
    buf_done(&b);
    return ok;
}

static void arguments_come_in_any_order_and_once(void)
{
    static const char city[] = "<parameter=city>\nOslo\n</parameter>\n",
        days[] = "<parameter=days>\n3\n</parameter>\n";
    char text[400];
    snprintf(text, sizeof text, "<tool_call>\n<function=get_weather>\n%s%s</function>\n</tool_call>", city, days);
    CHECK(takes("qwen3-coder", tools_text, text));
    snprintf(text, sizeof text, "<tool_call>\n<function=get_weather>\n%s%s</function>\n</tool_call>", days, city);
    CHECK(takes("qwen3-coder", tools_text, text));
    snprintf(text, sizeof text, "<tool_call>\n<function=get_weather>\n%s%s</function>\n</tool_call>", city, city);
    CHECK(!takes("qwen3-coder", tools_text, text));
    snprintf(text, sizeof text, "<tool_call>\n<function=get_weather>\n%s</function>\n</tool_call>",
        days); /* city must be there */
    CHECK(!takes("qwen3-coder", tools_text, text));
    CHECK(takes("gemma4", deep_text, "<|tool_call>call:plan{level:2.5,trip:{days:[1,7],"
           "to:<|\"|>Oslo<|\"|>}}<tool_call|>"));
    CHECK(takes("gemma4", deep_text, "<|tool_call>call:plan{note:null,trip:{to:<|\"|>Oslo<|\"|>},level:1,"
           "either:[<|\"|>ab<|\"|>]}<tool_call|>"));
    CHECK(takes("gemma4", deep_text, "<|tool_call>call:grow{tree:{kids:[{v:1},{kids:[],v:2}],v:0.5}}<tool_call|>"));
    CHECK(takes("gemma4", deep_text, "<|tool_call>call:grow{}<tool_call|>"));
    CHECK(takes("gemma4", deep_text, "<|tool_call>call:many{b:3,g:true}<tool_call|>"));
    CHECK(!takes("gemma4", deep_text, "<|tool_call>call:plan{level:2.5,trip:{days:[8],"
           "to:<|\"|>Oslo<|\"|>}}<tool_call|>"));
    CHECK(!takes("gemma4", deep_text, "<|tool_call>call:plan{level:2,trip:{to:<|\"|>Oslo<|\"|>}}<tool_call|>"));
    CHECK(!takes("gemma4", deep_text, "<|tool_call>call:grow{tree:{v:1,v:2}}<tool_call|>"));
    CHECK(!takes("gemma4", deep_text, "<|tool_call>call:many{b:3}<tool_call|>"));
}

static void gpt_oss_thinks_first_and_then_calls_or_answers(void)
{
    static const char think[] = "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant",
                      call[] = "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}";
    char text[400];
    snprintf(text, sizeof text, "%s%s", think, call);
    CHECK(takes("harmony", tools_text, call) && takes("harmony", tools_text, text));
    snprintf(text, sizeof text, "%s<|channel|>final<|message|>No.", think);
    CHECK(!takes("harmony", tools_text, text));
    must = CALLS_AUTO;
    CHECK(takes("harmony", tools_text, text));
    snprintf(text, sizeof text, "%s%s", think, call);
    CHECK(takes("harmony", tools_text, text));
    CHECK(!takes("harmony", tools_text, "<|channel|>commentary to=functions.nobody <|constrain|>json<|message|>{}"));
    must = CALLS_REQUIRED;
    CHECK(takes("lfm2", tools_text, "<|tool_call_start|>[get_weather(days=3, city=\"Oslo\"), now()]<|tool_call_end|>"));
    CHECK(!takes("lfm2", tools_text, "<|tool_call_start|>[get_weather(days=3)]<|tool_call_end|>"));
    CHECK(takes("lfm2", deep_text, "<|tool_call_start|>[many(a=True, g=False)]<|tool_call_end|>"));
}

/* ---- a model ------------------------------------------------------------------------------------------------------ */

static void on_call(void *ctx, enum lar_call_event e, size_t index, const char *text, size_t n)
{
    on_event(ctx, (enum call_event)e, index, (struct str){text, n});
}

static int to_reader(void *ctx, enum lar_text_kind kind, const char *text, size_t n)
{
    if (kind == LAR_TEXT_ANSWER) lar_calls_add(ctx, text, n);
    return 0;
}

static void asks(struct lar_model *m, const struct lar_tools_options *o, int64_t seed, struct check *k)
{
    struct lar_err err = {0};
    struct lar_session *s = NULL;
    struct lar_tools *t = NULL;
    struct lar_calls *c = NULL;
    struct lar_result r = {0};
    struct lar_sampling p;
    lar_sampling_default(&p, m);
    p.seed = seed;
    struct lar_message msg = {"user", "What is the weather?"};
    CHECK_EQ(lar_tools_open(&t, m, tools_text, sizeof tools_text - 1, o, &err), 0);
    CHECK_EQ(lar_session_open(&s, m, &(struct lar_session_options){.ctx = 512}, &err), 0);
    CHECK(t && lar_calls_open(&c, t, on_call, k, &err) == 0);
    struct lar_request req = {
        .messages = &msg, .nmessage = 1, .tools = t, .sampling = &p, .on_text = to_reader, .ctx = c};
    CHECK_EQ(lar_generate(s, &req, &r, &err), 0);
    lar_calls_end(c);
    CHECK_STR(lar_calls_warning(c), "");
    if (err.msg[0] || r.stop != LAR_STOP_END) printf("# %s: %s\n", err.msg, r.text);
    CHECK_EQ(r.stop, LAR_STOP_END);
    lar_result_free(&r);
    lar_calls_close(c);
    lar_tools_close(t);
    lar_session_close(s);
}

static void a_model_that_knows_no_tools_calls_them_when_it_must(void)
{
    struct lar_model *m = NULL;
    struct lar_err err = {0};
    struct check k = {.tools = json_parse(&all, str_of(tools_text), NULL)};
    struct lar_tools_options any = {.choice = LAR_TOOLS_REQUIRED, .single = 1},
                             named = {.choice = LAR_TOOLS_NAMED, .name = "add", .single = 1};
    open_schemas(&k);
    CHECK_EQ(lar_model_open(&m, "models/lar-demo-q8_0.gguf", NULL, &err), 0);
    for (int i = 0; m && i < 3; i++) {
        asks(m, &any, i, &k);
        CHECK_EQ(k.ncall, 2 * i + 1);
        asks(m, &named, i, &k);
        CHECK(k.ncall == 2 * i + 2 && k.tool == 1);
    }
    CHECK_EQ(k.bad, 0);
    struct lar_tools *t;
    struct lar_tools_options none = {.choice = LAR_TOOLS_NAMED, .name = "nobody"};
    CHECK(lar_tools_open(&t, m, tools_text, sizeof tools_text - 1, &none, &err) == LAR_EINVAL &&
          strstr(err.msg, "nobody"));
    CHECK(lar_tools_open(&t, m, "[{}]", 4, NULL, &err) == LAR_EINVAL &&
          lar_tools_open(&t, m, "[", 1, NULL, &err) < 0);
    for (int i = 0; i < 3; i++) grammar_close(k.schema[i]);
    buf_done(&k.args);
    lar_model_close(m);
}

static int told(struct lar_model *m, const char *params, const char *what)
{
    struct lar_tools *t = NULL;
    struct lar_err err = {0};
    char text[400];
    int n = snprintf(text, sizeof text, "[{\"name\":\"g\"},{\"type\":\"function\",\"function\":{\"name\":\"f\","
                     "\"parameters\":%s}}]", params);
    int rc = lar_tools_open(&t, m, text, (size_t)n, &(struct lar_tools_options){.strict = 1}, &err);
    lar_tools_close(t);
    if (!what && rc < 0) printf("# %s: %s\n", params, err.msg);
    if (what && (rc == 0 || !strstr(err.msg, what))) printf("# %s: %s\n", params, rc ? err.msg : "accepted");
    return what ? rc < 0 && strstr(err.msg, what) : rc == 0;
}

static void parameters_must_let_an_object_through(void)
{
    struct lar_model *m = NULL;
    CHECK_EQ(lar_model_open(&m, "models/lar-demo-q8_0.gguf", NULL, NULL), 0);
    CHECK(told(m, "{\"type\":\"string\"}", "tools[1] \"f\": parameters/type names no object"));
    CHECK(told(m, "{\"type\":[\"array\",\"null\"]}", "tools[1] \"f\": parameters/type names no object"));
    CHECK(told(m, "{\"enum\":[1,\"a\"]}", "tools[1] \"f\": no object satisfies parameters"));
    CHECK(told(m, "{\"$ref\":\"#/$defs/s\",\"$defs\":{\"s\":{\"type\":\"string\"}}}", "no object satisfies"));
    CHECK(told(m, "{\"type\":5}", "tools[1] \"f\": parameters/type names no object"));
    CHECK(told(m, "{\"properties\":{\"a\":{\"pattern\":\"\\\\h\"}}}",
               "tools[1] \"f\": parameters/properties/a: pattern: "));
    CHECK(told(m, "{\"properties\":{\"a\":{\"minimum\":\"5\"}}}",
               "tools[1] \"f\": parameters/properties/a/minimum: "));
    CHECK(told(m, "{\"type\":[\"object\",\"null\"],\"properties\":{\"a\":{}}}", NULL));
    CHECK(told(m, "{\"$ref\":\"#/$defs/o\",\"$defs\":{\"o\":{\"type\":\"object\"}}}", NULL));
    CHECK(told(m, "{}", NULL));
    lar_model_close(m);
    static const char either[] = "[{\"name\":\"f\",\"parameters\":{\"type\":[\"string\",\"object\"],"
                                 "\"properties\":{\"a\":{\"type\":\"integer\"}}}}]";
    CHECK(takes("hermes", either, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"));
    CHECK(!takes("hermes", either, "<tool_call>\n{\"name\": \"f\", \"arguments\": \"a\"}\n</tool_call>"));
}

/* ---- Berkeley's questions: tools/bfcl.py ------------------------------------------------------------------------------- */

struct tried {
    const char *form;
    struct str id;
    FILE *to;
    struct buf name, args;
    int calls, broken;
};

static void on_tried(void *ctx, enum call_event e, size_t index, struct str s)
{
    struct tried *t = ctx;
    (void)index;
    if (e == CALL_BEGIN) buf_clear(&t->name), buf_clear(&t->args), buf_str(&t->name, s);
    if (e == CALL_ARGS) buf_str(&t->args, s);
    t->broken += e == CALL_BROKEN;
    if (e != CALL_END) return;
    struct buf b = {0};
    buf_puts(&b, "{\"form\":\""), buf_puts(&b, t->form), buf_puts(&b, "\",\"id\":"), buf_json_str(&b, t->id);
    buf_puts(&b, ",\"name\":"), buf_json_str(&b, buf_view(&t->name));
    buf_puts(&b, ",\"arguments\":"), buf_json_str(&b, buf_view(&t->args));
    fprintf(t->to, "%s}\n", buf_z(&b));
    buf_done(&b);
    t->calls++;
}

/* A walk through the masks of what must be calls of these tools, read back. 0: no grammar, or no walk came to an end. */
static int tries(const struct call_form *f, const struct json *list, const struct toktrie *trie, uint64_t seed,
                 struct tried *t)
{
    struct lar_err err = {0};
    struct calls_choice q = {.choice = CALLS_REQUIRED, .single = seed & 1};
    struct grammar_options o = {.space = 1};
    struct grammar *g = NULL;
    struct masks *m = NULL;
    struct buf b = {0}, text = {0};
    int rc = calls_grammar(f, list, &q, &b, &err), before = t->calls;
    if (rc == 0) rc = grammar_open(&g, GRAMMAR_PARTS, buf_view(&b), &o, NULL, &err);
    if (rc == 0) rc = masks_open(&m, g, trie, 0, &err);
    for (int i = 0, no = rc == 0 ? -1 : 0; i < 8 && no < 0; i++) { /* text without quotes may go on and on */
        buf_clear(&text);
        no = rc = grammar_sample(g, m, trie, seed + (uint64_t)i * 1000, 200, &text, &err);
    }
    if (rc < 0) printf("# %s, %.*s: %s\n", f->name, STR_ARG(t->id), err.msg);
    if (rc == 0) {
        struct calls c = {.form = f, .tools = list, .on = on_tried, .ctx = t};
        calls_begin(&c);
        calls_add(&c, buf_view(&text));
        calls_end(&c);
        if (c.warning[0] || t->calls == before) {
            printf("# %s, %.*s: %s: %s\n", f->name, STR_ARG(t->id), c.warning, buf_z(&text));
            t->broken++;
        }
        calls_done(&c);
    }
    masks_close(m);
    grammar_close(g);
    buf_done(&b);
    buf_done(&text);
    return rc == 0;
}

/* LAR_BFCL=QUESTIONS LAR_BFCL_CALLS=FILE: the calls that walks made, a line each: every question in a fifth of the forms, every form for a fifth of
 * the questions. */
static void bfcl(const char *path, const char *to)
{
    struct lar_model *m = NULL;
    struct lar_err err = {0};
    struct lar_grammar *any = NULL;
    struct str lines = read_file(path);
    FILE *out = fopen(to, "w");
    if (!out || lar_model_open(&m, "models/lar-demo-q8_0.gguf", NULL, &err) < 0 ||
        lar_grammar_open(&any, LAR_GRAMMAR_JSON, "", 0, NULL, NULL, &err) < 0 || lar_grammar_bind(any, m, &err) < 0)
        printf("Bail out! %s %s\n", to, err.msg);
    for (size_t i = 0; any && any->m && call_form_at(i); i++) {
        struct tried t = {.form = call_form_at(i)->name, .to = out};
        uint64_t n = 0, asked = 0, walked = 0;
        for (struct str s = lines; s.n;) {
            const char *end = memchr(s.p, '\n', s.n);
            size_t k = end ? (size_t)(end - s.p) : s.n;
            struct arena keep = all;
            arena_init(&all, 0);
            const struct json *j = json_parse(&all, (struct str){arena_copy(&all, s.p, k), k}, &err);
            t.id = json_str(json_get(j, "id"), STR(""));
            if ((n++ + i) % 5 == 0) {
                asked++;
                walked += (uint64_t)tries(call_form_at(i), json_get(j, "tools"), m->trie, n, &t);
            }
            arena_done(&all);
            all = keep;
            s = str_from(s, k + (end != NULL));
        }
        printf("# %s: of %d questions %d walks, %d calls, %d not read back\n", t.form, (int)asked, (int)walked, t.calls,
               t.broken);
        CHECK(!t.broken);
        buf_done(&t.name);
        buf_done(&t.args);
    }
    lar_grammar_close(any);
    lar_model_close(m);
    if (out) fclose(out);
}

int main(void)
{
    arena_init(&all, 0);
    RUN(a_model_that_knows_no_tools_calls_them_when_it_must);
    RUN(parameters_must_let_an_object_through);
    RUN(what_follows_a_grammar_calls_tools_with_valid_arguments);
    RUN(in_every_form_what_is_no_call_is_given_as_text_and_told);
    RUN(arguments_come_in_any_order_and_once);
    RUN(gpt_oss_thinks_first_and_then_calls_or_answers);
    if (getenv("LAR_BFCL") && getenv("LAR_BFCL_CALLS")) bfcl(getenv("LAR_BFCL"), getenv("LAR_BFCL_CALLS"));
    arena_done(&all);
    return tap_done();
}
