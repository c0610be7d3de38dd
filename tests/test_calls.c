/* SPDX-License-Identifier: Apache-2.0
 * tests/test_calls.c: calls of functions in answers: what each family's template writes is read back (whole,
          and cut at every byte), what is no
 * call comes back as text, and nothing is held back that could be given. */
#include <dirent.h>
#include <stdlib.h>

#include "base/buf.h"
#include "golden_file.h"
#include "tap.h"
#include "text/calls.h"
#include "text/template.h"

#define GOLDEN "../shared/golden/templates/"
#define JINJA  "../shared/data/templates/jinja/"

/* What was read, as one text: the events, in order, those of one kind joined. */
struct seen {
    struct buf all, args;
    int last, broken;
};

static void on_event(void *ctx, enum call_event e, size_t index, struct str s)
{
    struct seen *x = ctx;
    static const char *const word[] = {"text", "thinking", "call", "args", "end", "broken"};
    (void)index;
    x->broken += e == CALL_BROKEN;
    if (e == CALL_ARGS) {
        buf_str(&x->args, s);
        return;
    }
    if (x->args.n) {
        buf_puts(&x->all, "|args:");
        struct arena a;
        arena_init(&a, 0);
        const struct json *j = json_parse(&a, buf_view(&x->args), NULL);
        if (j)
            json_write(&x->all, j);
        else
            buf_puts(&x->all, "(part)"), buf_str(&x->all, buf_view(&x->args));
        arena_done(&a);
        buf_clear(&x->args);
    }
    if (x->last != (int)e + 1 || e > CALL_THINKING) buf_printf(&x->all, "|%s:", word[e]);
    x->last = (int)e + 1;
    buf_str(&x->all, s);
}

/* cut: the answer comes in two parts; 0: whole; SIZE_MAX: byte by byte. The caller frees. */
static char *reads(const struct call_form *f, const struct json *tools, struct str answer, size_t cut, char *warning)
{
    struct seen x = {0};
    struct calls c = {.form = f, .tools = tools, .on = on_event, .ctx = &x};
    calls_begin(&c);
    if (cut == SIZE_MAX)
        for (size_t i = 0; i < answer.n; i++) calls_add(&c, (struct str){answer.p + i, 1});
    else {
        calls_add(&c, (struct str){answer.p, cut});
        calls_add(&c, str_from(answer, cut));
    }
    calls_end(&c);
    if (warning) snprintf(warning, 160, "%s", c.warning);
    calls_done(&c);
    if (x.args.n) buf_puts(&x.all, "|args without end");
    buf_done(&x.args);
    buf_putc(&x.all, 0);
    return x.all.p;
}

static const struct call_form *form(const char *name)
{
    for (size_t i = 0; call_form_at(i); i++)
        if (!strcmp(call_form_at(i)->name, name)) return call_form_at(i);
    return NULL;
}

static int quick; /* whole and byte by byte only */

static int same_everywhere(const struct call_form *f, const struct json *tools, struct str answer, const char *want)
{
    int ok = 1;
    for (size_t cut = 0; cut <= answer.n + 1 && ok; cut += quick ? answer.n + 1 : 1) {
        char *got = reads(f, tools, answer, cut > answer.n ? SIZE_MAX : cut, NULL);
        ok = !strcmp(got, want);
        if (!ok)
            printf("# %s cut at %zu: %.*s\n#   got  %s\n#   want %s\n", f->name, cut, STR_ARG(answer), got, want);
        mem_free(got);
    }
    return ok;
}

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"city\":{\"type\":\"string\"},\"unit\":{\"enum\":[\"celsius\",\"fahrenheit\"]}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"a\":{\"type\":\"number\"},\"b\":{\"type\":[\"number\",\"null\"]}}}}}]";

#define WEATHER "|call:get_weather|args:{\"city\":\"Z\xc3\xbcrich\",\"unit\":\"celsius\"}|end:"
#define ADD     "|call:add|args:{\"a\":1,\"b\":2.5}|end:"

static const struct json *tools;

static void gives(const char *name, const char *answer, const char *want)
{
    CHECK(form(name) && same_everywhere(form(name), tools, str_of(answer), want));
}

static void each_form_is_read_however_it_is_cut(void)
{
    gives("hermes",
          "Let me look.\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
          "\"Z\xc3\xbcrich\", \"unit\": \"celsius\"}}\n"
          "</tool_call>\n<tool_call>\n{\"arguments\": {\"a\": 1, \"b\": 2.5}, \"name\": \"add\"}\n</tool_call>\n",
          "|text:Let me look." WEATHER ADD);
    gives("hermes",
          "<tool_call>{\"name\":\"add\",\"arguments\":\"{\\\"a\\\": 1, \\\"b\\\": "
          "2.5}\"}</tool_call>done",
          ADD "|text:done");
    gives("hermes", "<tool_call>{\"name\":\"add\"}", "|call:add|args:{}|end:");
    gives("llama3",
          "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Z\xc3\xbcrich\", \"unit\": "
          "\"celsius\"}}; "
          "{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": 2.5}}",
          WEATHER ADD);
    gives("llama3",
          "<|python_tag|>{\"type\": \"function\", \"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": "
          "2.5}}",
          ADD);
    gives("mistral",
          "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Z\xc3\xbcrich\", "
          "\"unit\": \"celsius\"}, \"id\": \"x\"}, "
          "{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2.5}}]",
          WEATHER ADD);
    gives("mistral-args",
          "Yes.[TOOL_CALLS]get_weather[CALL_ID]abc[ARGS]{\"city\": \"Z\xc3\xbcrich\", \"unit\": "
          "\"celsius\"}"
          "[TOOL_CALLS]add[ARGS]{\"a\": 1, \"b\": 2.5}",
          "|text:Yes." WEATHER ADD);
    gives("phi4-mini",
          "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": "
          "2.5}}]<|/tool_call|>",
          ADD);
    gives("granite", "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2.5}}]", ADD);
    gives("command-r",
          "Action: ```json\n[\n    {\n        \"tool_name\": \"add\",\n        \"parameters\": "
          "{\"a\": 1, \"b\": 2.5}\n    }\n]```",
          ADD);
    gives(
        "qwen3-coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nZ\xc3\xbcrich\n</parameter>\n"
        "<parameter=unit>\ncelsius\n</parameter>\n"
        "</function>\n</tool_call>\n<tool_call>\n<function=add>\n<parameter=a>\n1\n"
        "</parameter>\n<parameter=b>\n2.5\n</parameter>\n</function>\n"
        "</tool_call>",
        WEATHER ADD);
    gives("qwen3-coder",
          "<tool_call>\n<function=get_weather>\n<parameter=city>\n\n a "
          "\"b\"\\\n</p>\n\n</parameter>\n</function>\n</tool_call>",
          "|call:get_weather|args:{\"city\":\"\\n a \\\"b\\\"\\\\\\n</p>\\n\"}|end:");
    gives("seed",
          "<seed:tool_call>\n<function=add>\n<parameter=a>['it', \"x's\", None, (True,)]</parameter>\n"
          "<parameter=b>{'k': [1, 2.5]}</parameter>\n</function>\n</seed:tool_call>",
          "|call:add|args:{\"a\":[\"it\",\"x's\",null,[true]],\"b\":\"{'k': [1, 2.5]}\"}|end:");
    gives("qwen3-coder",
          "<tool_call>\n<function=add>\n<parameter=a>\n1e3\n"
          "</parameter>\n<parameter=b>\nNone\n</parameter>\n</function>\n</tool_call>",
          "|call:add|args:{\"a\":1e3,\"b\":null}|end:");
    gives("functionary-v3.2", "all\nHello", "|text:Hello");
    gives("functionary-v3.2", "all\nWait.\n>>>add\n{\"a\": 1, \"b\": 2.5}", "|text:Wait." ADD);
    gives("harmony",
          "<|channel|>analysis<|message|>I must.<|end|><|start|>assistant<|channel|>commentary "
          "to=functions.add <|constrain|>json<|message|>"
          "{\"a\": 1, \"b\": 2.5}<|call|>",
          "|thinking:I must." ADD);
    gives("harmony",
          "<|channel|>analysis<|message|>No.<|end|><|start|>assistant<|channel|>final<|message|>Good "
          "<|day|>.",
          "|thinking:No.|text:Good <|day|>.");
    gives("lfm2",
          "<|tool_call_start|>[get_weather(city=\"Z\xc3\xbcrich\", unit='celsius'), add(a=1, b=2.5)]"
          "<|tool_call_end|>Let me see.",
          WEATHER ADD "|text:Let me see.");
    gives("lfm2",
          "<|tool_call_start|>[add(a = [1,(2,),'it\\'s \\x41\\u00e9'], b={'k': None, \"t\": True} )]<|tool_call_end|>",
          "|call:add|args:{\"a\":[1,[2],\"it's A\xc3\xa9\"],\"b\":{\"k\":null,\"t\":true}}|end:");
    gives("lfm2", "<|tool_call_start|>[add()]<|tool_call_end|>", "|call:add|args:{}|end:");
    gives("functiongemma",
          "<start_function_call>call:get_weather{city:<escape>Z\xc3\xbcrich"
          "<escape>,unit:<escape>celsius<escape>}<end_function_call>",
          WEATHER);
    gives("gemma4", "<|tool_call>call:add{a:1,b:[],c:{},d:[1,[true,<|\"|>x<|\"|>],{e:null}]}<tool_call|>",
          "|call:add|args:{\"a\":1,\"b\":[],\"c\":{},\"d\":[1,[true,\"x\"],{\"e\":null}]}|end:");
}

static void what_is_no_call_comes_back_as_text(void)
{
    static const char *const bad[][2] = {
        {"hermes", "<tool_call>\n{\"name\": \"nobody\", \"arguments\": {}}\n</tool_call>"},
        {"hermes", "<tool_call>\nnothing</tool_call>"},
        {"hermes", "I use <tool_call> so."},
        {"hermes", "<tool_call>\n{\"name\": \"add\", \"argu"},
        {"llama3", "{\"a\": 1}"},
        {"llama3", "{\"name\": 5}"},
        {"mistral", "[TOOL_CALLS]{}"},
        {"mistral-args", "[TOOL_CALLS]nobody[ARGS]{}"},
        {"qwen3-coder", "<tool_call>\n<function=nobody>\n</function>\n</tool_call>"},
        {"harmony", "Hello <|x|>"},
        {"functionary-v3.2", "Hello\nyou"},
        {"gemma4", "<|tool_call>call:add[1]"},
        {"lfm2", "<|tool_call_start|>[nobody(a=1)]<|tool_call_end|>"},
        {"lfm2", "<|tool_call_start|>[add]<|tool_call_end|>"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf want = {0};
        buf_printf(&want, "|text:%s", bad[i][1]);
        gives(bad[i][0], bad[i][1], buf_z(&want));
        buf_done(&want);
    }
}

static void a_call_that_breaks_off_gives_all_it_was_and_a_warning(void)
{
    char warning[160];
    char *got = reads(form("hermes"), tools,
                      STR("<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1,, "
                          "\"b\"}}"),
                      0, warning);
    CHECK(strstr(got, "|call:add") && strstr(got, "|broken:<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": "
                                                  "1,,"));
    CHECK(strstr(warning, "arguments"));
    mem_free(got);
    got = reads(form("hermes"), tools, STR("<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1"), 0, warning);
    CHECK(strstr(got, "|broken:<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1") &&
          strstr(warning, "ends within"));
    mem_free(got);
    got = reads(form("lfm2"), tools, STR("<|tool_call_start|>[add(a=1, b=one)]<|tool_call_end|>"), 0, warning);
    CHECK(strstr(got, "|broken:<|tool_call_start|>[add(a=1, b=one") && strstr(warning, "arguments"));
    mem_free(got);
    got = reads(form("hermes"), tools, STR("<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1}}"), 0, warning);
    CHECK_STR(warning, "");
    mem_free(got);
}

static void text_is_given_as_soon_as_it_cannot_be_a_call(void)
{
    struct seen x = {0};
    struct calls c = {.form = form("hermes"), .tools = tools, .on = on_event, .ctx = &x};
    static const char *const step[][2] = {{"Hi ", "|text:Hi"},
                                          {"you <to", "|text:Hi you"},
                                          {"ol_c", "|text:Hi "
                                                   "you"},
                                          {"at>", "|text:Hi you <tool_cat>"}};
    calls_begin(&c);
    for (size_t i = 0; i < 4; i++) {
        calls_add(&c, str_of(step[i][0]));
        CHECK_STR(buf_z(&x.all), step[i][1]);
    }
    calls_add(&c, STR("<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":"));
    CHECK_STR(buf_z(&x.args), "{\"a\":");
    calls_done(&c);
    buf_done(&x.all);
    buf_done(&x.args);
}

/* ---- the templates of the families --------------------------------------------------------------------------------------- */

/* Of a rendered conversation what the assistant wrote: behind the user's words and what opens the answer, up to what
 * ends the turn. */
static struct str answer_of(struct str text, struct str user, const struct call_form *f)
{
    static const char *const ends[] = {"<EOS>",
                                       "<|im_end|>",
                                       "<|eom_id|>",
                                       "<|eot_id|>",
                                       "<|END_OF_TURN_TOKEN|>",
                                       "<|observation|>",
                                       "<seed:eos>",
                                       "<turn|>",
                                       "<|tool_response>",
                                       ("<\xef\xbd\x9c"
                                        "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"),
                                       "<\xef\xbd\x9ctool\xe2\x96\x81outputs\xe2\x96\x81"
                                       "begin\xef\xbd\x9c>",
                                       "<|end_of_text|>",
                                       "\n<|end|>",
                                       "<|message_sep|>",
                                       "<|start|>functions",
                                       "<sep>",
                                       "[{\"temp\"",
                                       "<|START_OF_TURN_TOKEN|>",
                                       "[ok]"};
    const char *p = NULL, *q, *from = text.p;
    size_t best = SIZE_MAX;
    while ((q = memmem(from, text.n - (size_t)(from - text.p), user.p, user.n))) p = q, from = q + 1;
    if (!p) return (struct str){NULL, 0};
    struct str s = str_from(text, (size_t)(p - text.p) + user.n);
    const char *mark = f->body == CALL_HARMONY ? " to=functions" : f->mark,
               *open = memmem(s.p, s.n, mark, strlen(mark));
    if (!open && f->bare) open = memmem(s.p, s.n, "{\"name\"", 7);
    if (!open) return (struct str){NULL, 0};
    s = str_from(s, (size_t)(open - s.p));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if ((q = memmem(s.p, s.n, ends[i], strlen(ends[i]))) && (size_t)(q - s.p) < best) best = (size_t)(q - s.p);
    if (best < s.n) s.n = best;
    return s;
}

static void want_calls(struct buf *b, const struct json *calls)
{
    for (const struct json *c = calls->child; c; c = c->next) {
        buf_puts(b, "|call:");
        buf_str(b, json_str(json_get(json_get(c, "function"), "name"), STR("")));
        buf_puts(b, "|args:");
        json_write(b, json_get(json_get(c, "function"), "arguments"));
        buf_puts(b, "|end:");
    }
}

/* Gemma 4 sorts keys; what is Python's None there and in tags of text cannot be told from the word. */
static const struct json *sorted(const struct json *v)
{
    struct json *o = arena_alloc(&all, sizeof *o);
    *o = *v;
    o->child = NULL;
    for (const struct json *c = v->child; c; c = c->next) {
        struct json *k = arena_alloc(&all, sizeof *k), **at = &o->child;
        *k = v->kind == JSON_OBJECT ? *sorted(c) : *c;
        while (*at && (v->kind != JSON_OBJECT || strncmp((*at)->key.p, c->key.p, c->key.n) < 0)) at = &(*at)->next;
        k->next = *at;
        *at = k;
    }
    return o;
}

static int round_trip(const char *name, const char *key, const struct json *input, struct str text, struct str source)
{
    const struct call_form *f = call_form_of(source, NULL);
    const struct json *m = json_get(input, "messages")->child, *own = json_get(input, "tools");
    struct buf want = {0};
    struct str s = answer_of(text, json_str(json_get(m, "content"), STR("")), f);
    if (!s.p) {
        if (!quick) printf("# %s, %s: the template writes no calls\n", name, key);
        return -1;
    }
    want_calls(&want, json_get(m->next, "tool_calls"));
    if (f->body == CALL_BRACES) {
        struct buf b = {0};
        for (const struct json *c = json_get(m->next, "tool_calls")->child; c; c = c->next) {
            buf_puts(&b, "|call:"), buf_str(&b, json_str(json_get(json_get(c, "function"), "name"), STR("")));
            buf_puts(&b, "|args:"), json_write(&b, sorted(json_get(json_get(c, "function"), "arguments")));
            buf_puts(&b, "|end:");
        }
        buf_done(&want);
        want = b;
    }
    int ok = same_everywhere(f, own, s, buf_z(&want));
    buf_done(&want);
    return ok;
}

static void template_of_a_family(const char *file, const struct json *cases, const struct json *golden)
{
    static const char *const key[] = {"tool-call", "two-calls", "tool-call-nested"};
    char path[600], name[300];
    struct str t = json_str(json_get(golden, "template"), STR(""));
    snprintf(path, sizeof path, JINJA "%.*s", STR_ARG(t));
    struct str source = read_file(path);
    int n = 0, bad = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct json *text = json_get(json_get(json_get(golden, "results"), key[i]), "text");
        if (!text || !source.p) continue;
        if (i == 1 && strstr(file, "GigaChat")) continue; /* writes the first of several only */
        int rc = round_trip(file, key[i], json_get(cases, key[i]), text->s, source);
        n += rc >= 0;
        bad += rc == 0;
    }
    if (!n) return;
    snprintf(name, sizeof name, "%.*s's calls (%s) are read as they were", STR_ARG(t),
             call_form_of(source, NULL)->name);
    tap_ok(!bad, name);
}

static void families(void)
{
    struct lar_err err = {0};
    struct str s = read_file(GOLDEN "cases.json");
    const struct json *cases = s.p ? json_parse(&all, s, &err) : NULL;
    struct dirent **list = NULL;
    int n = cases ? scandir(GOLDEN, &list, NULL, alphasort) : 0;
    if (!cases) SKIP("no shared golden templates");
    for (int i = 0; i < n; i++) {
        char path[600];
        const char *f = list[i]->d_name;
        size_t len = strlen(f);
        snprintf(path, sizeof path, GOLDEN "%s", f);
        struct str text = len > 5 && !strcmp(f + len - 5, ".json") && strcmp(f, "cases.json") ? read_file(path)
                                                                                              : (struct str){NULL, 0};
        const struct json *j = text.p ? json_parse(&all, text, &err) : NULL;
        if (json_get(j, "template") && json_get(j, "results")) template_of_a_family(f, cases, j);
        free(list[i]);
    }
    free(list);
}

/* ---- Berkeley's calls: tools/bfcl.py ---- */

/* The same conversation as some templates want it. 1: no content beside calls, 2: arguments as the text of their JSON, 3: both. */
static const struct json *told_otherwise(struct str line, int how)
{
    const struct json *j = json_parse(&all, (struct str){arena_copy(&all, line.p, line.n), line.n}, NULL);
    struct json *said = (struct json *)(uintptr_t)json_get(j, "messages")->child->next,
                *content = (struct json *)(uintptr_t)json_get(said, "content");
    if (how & 1) content->kind = JSON_NULL;
    for (const struct json *c = how & 2 ? json_get(said, "tool_calls")->child : NULL; c; c = c->next) {
        struct json *args = (struct json *)(uintptr_t)json_get(json_get(c, "function"), "arguments");
        struct buf b = {0};
        json_write(&b, args);
        args->s = (struct str){arena_copy(&all, b.p, b.n), b.n};
        args->kind = JSON_STRING;
        buf_done(&b);
    }
    return j;
}

static void bfcl_template(const char *file, struct str cases)
{
    char path[600];
    struct lar_err err = {0};
    snprintf(path, sizeof path, JINJA "%s", file);
    struct str source = read_file(path);
    struct template *t = template_compile(source, &err);
    const char *name = t ? call_form_of(source, NULL)->name : "";
    int n = 0, bad = 0, no = 0;
    while (t && cases.n) {
        const char *end = memchr(cases.p, '\n', cases.n);
        size_t k = end ? (size_t)(end - cases.p) : cases.n;
        struct arena keep = all;
        struct buf text = {0};
        arena_init(&all, 0);
        const struct json *j = told_otherwise((struct str){cases.p, k}, 0);
        int rc = -1;
        for (int how = 0; how < 4 && rc < 0; how++) {
            buf_clear(&text);
            if (template_render(t, told_otherwise((struct str){cases.p, k}, how), 0, NULL, &text, &err) == 0)
                rc = round_trip(file, "", j, buf_view(&text), source);
        }
        if (rc < 0 && no < 2) printf("# %s: %s\n", file, err.msg);
        n++, bad += rc == 0, no += rc < 0;
        if (rc == 0 && bad < 3) printf("# %s, %s: %.*s\n", file, name, (int)(text.n < 1500 ? text.n : 1500), text.p);
        buf_done(&text);
        arena_done(&all);
        all = keep;
        cases = str_from(cases, k + (end != NULL));
    }
    printf("# %s (%s): of %d questions %d calls read as they were, %d otherwise, %d not written\n", file, name, n,
           n - bad - no, bad, no);
    template_free(t);
}

static void bfcl(const char *path)
{
    struct str cases = read_file(path);
    struct dirent **list = NULL;
    quick = 1;
    int n = cases.p ? scandir(JINJA, &list, NULL, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(list[i]->d_name);
        if (len > 6 && !strcmp(list[i]->d_name + len - 6, ".jinja")) bfcl_template(list[i]->d_name, cases);
        free(list[i]);
    }
    free(list);
}

int main(void)
{
    arena_init(&all, 0);
    tools = json_parse(&all, str_of(tools_text), NULL);
    RUN(each_form_is_read_however_it_is_cut);
    RUN(what_is_no_call_comes_back_as_text);
    RUN(a_call_that_breaks_off_gives_all_it_was_and_a_warning);
    RUN(text_is_given_as_soon_as_it_cannot_be_a_call);
    families();
    if (getenv("LAR_BFCL")) bfcl(getenv("LAR_BFCL"));
    arena_done(&all);
    return tap_done();
}
