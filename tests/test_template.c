/* SPDX-License-Identifier: Apache-2.0
 * tests/test_template.c: what a template promises beside the right text (test_template_golden.c):
 * places in errors, limits that hold, hostile input, memory failing anywhere, threads, speed of
 * building text. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/utf8.h"
#include "tap.h"
#include "text/template.h"
#include "text/template_char.h"

#define CHAT                                                                                    \
    "{\"bos_token\":\"<s>\",\"add_generation_prompt\":true,\"messages\":[{\"role\":\"system\"," \
    "\"content\":\"You are terse. é中😀\"},{\"role\":\"user\",\"content\":\"Hello!\"}],"    \
    "\"n\":3,\"xs\":[1,2,3]}"

struct result {
    int rc;
    struct lar_err err;
    struct buf out;
};

static struct result render_with(const char *source, const char *input,
                                 const struct template_limits *limits)
{
    struct result x = {0};
    struct arena a;
    arena_init(&a, 0);
    struct json *j = input ? json_parse(&a, str_of(input), &x.err) : NULL;
    struct template *t = template_compile(str_of(source), &x.err);
    x.rc = t ? template_render(t, j, 1767323045, limits, &x.out, &x.err) : x.err.code;
    template_free(t);
    arena_done(&a);
    return x;
}

static void gives(const char *source, const char *want)
{
    struct result x = render_with(source, CHAT, NULL);
    if (x.rc) printf("# %s: %s\n", source, x.err.msg);
    CHECK_EQ(x.rc, 0);
    CHECK_STR(buf_z(&x.out), want);
    buf_done(&x.out);
}

static void fails(const char *source, int code, const char *words)
{
    struct result x = render_with(source, CHAT, NULL);
    if (x.rc != code || !strstr(x.err.msg, words))
        printf("# %.60s: %d %s\n", source, x.rc, x.rc ? x.err.msg : buf_z(&x.out));
    CHECK_EQ(x.rc, code);
    CHECK(strstr(x.err.msg, words));
    buf_done(&x.out);
}

/* head, n times body, tail */
static char *repeated(const char *head, const char *body, int n, const char *tail)
{
    struct buf b = {0};
    buf_puts(&b, head);
    for (int i = 0; i < n; i++) buf_puts(&b, body);
    buf_puts(&b, tail);
    return b.p;
}

/* ---- the language, in one chat ---------------------------------------------------------------- */

static const char chatml[] =
    "{%- macro part(role, text) -%}\n<|im_start|>{{ role }}\n{{ text | trim }}<|im_end|>\n{% endmacro -%}\n"
    "{{- bos_token }}\n{%- set ns = namespace(n=0) %}\n{%- for m in messages %}\n"
    "    {%- if m.role not in ['system', 'user'] %}{{ raise_exception('role ' ~ m.role) }}{% endif %}\n"
    "    {%- set ns.n = ns.n + 1 %}\n{{ part(m['role'], m.content) }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}{{ ns.n }}";

static void a_chat_becomes_its_text(void)
{
    gives(chatml, "<s><|im_start|>system\nYou are terse. é中😀<|im_end|>\n<|im_start|>user\nHello!"
                  "<|im_end|>\n<|im_start|>assistant\n2");
}

static void input_may_be_missing_and_must_be_an_object(void)
{
    struct result x = render_with("{{ messages }}|{{ 1 + 1 }}", NULL, NULL);
    CHECK_EQ(x.rc, 0);
    CHECK_STR(buf_z(&x.out), "|2");
    buf_done(&x.out);
    x = render_with("x", "[1]", NULL);
    CHECK_EQ(x.rc, LAR_EINVAL);
    buf_done(&x.out);
}

static void output_is_appended(void)
{
    struct lar_err err;
    struct buf out = {0};
    struct template *t = template_compile(STR("b{{ 1 }}"), &err);
    buf_puts(&out, "a");
    CHECK_EQ(template_render(t, NULL, 0, NULL, &out, &err), 0);
    CHECK_EQ(template_render(t, NULL, 0, NULL, &out, NULL), 0);
    CHECK_STR(buf_z(&out), "ab1b1");
    template_free(t);
    template_free(NULL);
    buf_done(&out);
}

static void later_duplicate_keys_of_the_input_win(void)
{
    struct result x =
        render_with("{{ a }}{{ d }}", "{\"a\":1,\"a\":2,\"d\":{\"k\":1,\"j\":0,\"k\":2}}", NULL);
    CHECK_STR(buf_z(&x.out), "2{'k': 2, 'j': 0}");
    buf_done(&x.out);
}

static void strftime_now_sees_the_given_moment(void)
{
    struct lar_err err;
    struct buf out = {0};
    struct template *t =
        template_compile(STR("{{ strftime_now('%Y-%m-%d %H:%M:%S %j %G-W%V %a') }};"), &err);
    const int64_t moments[] = {0, -1, 951782400, 4102444799, 1735603200, 253402300800};
    for (int i = 0; i < 5; i++) CHECK_EQ(template_render(t, NULL, moments[i], NULL, &out, &err), 0);
    CHECK_STR(buf_z(&out),
              "1970-01-01 00:00:00 001 1970-W01 Thu;1969-12-31 23:59:59 365 1970-W01 Wed;"
              "2000-02-29 00:00:00 060 2000-W09 Tue;2099-12-31 23:59:59 365 2099-W53 Thu;"
              "2024-12-31 00:00:00 366 2025-W01 Tue;");
    CHECK_EQ(template_render(t, NULL, moments[5], NULL, &out, &err),
             LAR_EUNSUPPORTED); /* the year 10000 */
    template_free(t);
    buf_done(&out);
}

/* ---- errors ----------------------------------------------------------------------------------- */

static void errors_name_line_and_column(void)
{
    fails("{{ n }}\n  é {{ foo.bar }}", LAR_EFORMAT,
          "template line 2, column 11: 'foo' is undefined");
    fails("a\r\nb\rc{% if %}", LAR_EFORMAT, "line 3, column 8: expected an expression");
    fails("{% if n %}\n\n{% for x in xs %}", LAR_EFORMAT, "needs {% endfor %}");
    fails("{{ 'open", LAR_EFORMAT, "line 1, column 4: this string has no end");
    fails("{{ n | nope }}", LAR_EFORMAT, "column 8: no filter named 'nope'");
    fails("{{ n is nope }}", LAR_EFORMAT, "no test named 'nope'");
    fails("\n{% nope %}", LAR_EFORMAT, "line 2, column 4: unknown tag 'nope'");
    fails("{% for x in xs %}{% nope %}", LAR_EFORMAT, "unknown tag 'nope' inside of {% for %}");
    fails("{{ xs.append(1) }}", LAR_EFORMAT,
          "access to attribute 'append' of 'list' object is unsafe");
    fails("{{ 1 + 'a' }}", LAR_EFORMAT, "unsupported operand type(s) for +: 'int' and 'str'");
    fails("{% macro m(a) %}{{ a.b.c }}{% endmacro %}\n{{ m({}) }}", LAR_EFORMAT,
          "line 1, column 23: ");
    fails("{% include 'x' %}", LAR_EUNSUPPORTED, "no other templates");
    fails("{{ lipsum() }}", LAR_EUNSUPPORTED, "left out");
    fails("{{ '\\ud83d' }}", LAR_EFORMAT, "surrogate");
    fails("\xff", LAR_EFORMAT, "UTF-8");
}

static void raise_exception_speaks_in_its_own_words(void)
{
    struct result x = render_with("a{{ raise_exception('only ' ~ n) }}b", CHAT, NULL);
    CHECK_EQ(x.rc, LAR_EINVAL);
    CHECK_STR(x.err.msg, "only 3");
    CHECK_STR(buf_z(&x.out), "a"); /* what was written so far */
    buf_done(&x.out);
    fails("{{ raise_exception('\x1b[31m') }}", LAR_EINVAL, "?[31m");
    char *source = repeated("{{ raise_exception('", "long", 500, "') }}");
    x = render_with(source, CHAT, NULL);
    CHECK_EQ(x.rc, LAR_EINVAL);
    CHECK_EQ(strlen(x.err.msg), sizeof x.err.msg - 1);
    mem_free(source);
    buf_done(&x.out);
}

/* Of the processor's time: others may be using the machine. */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- limits ----------------------------------------------------------------------------------- */

static void what_never_ends_is_stopped(void)
{
    double start = cpu_ms();
    fails("{{ range(10**12) }}", LAR_ELIMIT, "range");
    fails("{{ 'a' * 10**9 }}", LAR_ELIMIT, "256 MiB");
    fails("{{ [1] * 10**9 }}", LAR_ELIMIT, "256 MiB");
    fails("{{ 'a' * 10**30 }}", LAR_ELIMIT, "");
    fails("{{ 'a'.center(10**12) }}", LAR_ELIMIT, "");
    fails("{{ '%*d' % (2**31 - 1, 1) }}", LAR_ELIMIT, "");
    fails("{{ '%.*f' % (2**31 - 1, 1.5) }}", LAR_ELIMIT, "precision");
    fails("{{ '{:2147483647}'.format(1) }}", LAR_ELIMIT, "");
    fails("{{ 10**100000 }}", LAR_ELIMIT, "65536 bits");
    fails(
        "{% set b = namespace(x=2) %}{% for i in range(99) %}{% set b.x = b.x * b.x %}{% endfor %}",
        LAR_ELIMIT, "bits");
    fails(
        "{% set b = namespace(x='a') %}{% for i in range(99) %}{% set b.x = b.x ~ b.x %}{% endfor %}",
        LAR_ELIMIT, "MiB");
    fails("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
          LAR_ELIMIT, "steps");
    fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", LAR_ELIMIT, "deep");
    fails(
        "{% macro m(k) %}{% if k %}{{ m(k - 1) }}{{ m(k - 1) }}{% endif %}{% endmacro %}{{ m(64) }}",
        LAR_ELIMIT, "steps");
    fails("{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}", LAR_ELIMIT, "deep");
    fails("{% block a %}{{ self.a() }}{% endblock %}", LAR_ELIMIT, "deep");
    fails("{{ range(5) | slice(10**12) | list }}", LAR_ELIMIT, "");
    fails("{{ range(5) | batch(10**12, 0) | list }}", LAR_ELIMIT, "");
    fails("{% set s = 'a' * 10**6 %}{% for i in range(99999) %}{{ 'b' in s }}{% endfor %}",
          LAR_ELIMIT, "steps");
    fails("{{ ('é' * 10**6).strip('ü' * 10**6) }}", LAR_ELIMIT, "steps");
    fails("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", LAR_ELIMIT, "writes more");
    CHECK(cpu_ms() - start < 30000); /* all of them; two seconds without a sanitizer */
}

static void the_caller_sets_the_limits(void)
{
    struct result x = render_with("{% for i in range(99) %}{{ i }}{% endfor %}", CHAT,
                                  &(struct template_limits){.steps = 50});
    CHECK_EQ(x.rc, LAR_ELIMIT);
    buf_done(&x.out);
    x = render_with("12345678{{ n }}", CHAT, &(struct template_limits){.output_bytes = 8});
    CHECK_EQ(x.rc, LAR_ELIMIT);
    CHECK_STR(buf_z(&x.out), "12345678");
    buf_done(&x.out);
    x = render_with("12345678{{ n }}", CHAT, &(struct template_limits){.output_bytes = 9});
    CHECK_EQ(x.rc, 0);
    buf_done(&x.out);
    x = render_with("{{ ('a' * 90000) | length }}", CHAT,
                    &(struct template_limits){.memory_bytes = 1 << 16});
    CHECK_EQ(x.rc, LAR_ELIMIT);
    buf_done(&x.out);
    x = render_with("{% set x %}{% for i in range(9999) %}aaaaaaaaaaaaaaa{% endfor %}{% endset %}",
                    CHAT, &(struct template_limits){.memory_bytes = 1 << 17});
    CHECK_EQ(x.rc, LAR_ELIMIT);
    buf_done(&x.out);
}

static void a_template_is_bounded_in_size_and_nesting(void)
{
    static const char *const nested[][3] = {
        {"{{ ", "(", "1"},
        {"{{ ", "[", ""},
        {"{{ ", "{1:", ""},
        {"{{ ", "-", "1 }}"},
        {"{{ ", "not ", "1 }}"},
        {"{{ 1", " + 1", " }}"},
        {"{{ n", ".a", " }}"},
        {"{{ n", "[0]", " }}"},
        {"{{ n", "()", " }}"},
        {"{{ n", "|e", " }}"},
        {"{{ 1", " if 1 else 1", " }}"},
        {"{{ 1", " and 1", " }}"},
        {"", "{% if n %}", ""},
        {"", "{% for x in xs %}", ""},
        {"", "{% macro m() %}", ""},
        {"", "{% call m() %}", ""},
        {"{{ m", "(m", ""},
        {"{{ 1", " ** 1", " }}"},
    };
    for (size_t i = 0; i < sizeof nested / sizeof *nested; i++) {
        char *source = repeated(nested[i][0], nested[i][1], 5000, nested[i][2]);
        fails(source, LAR_EFORMAT, "too deeply");
        mem_free(source);
    }
    char *source = repeated("", "0123456789abcdef", 65537, "");
    fails(source, LAR_ELIMIT, "limit is 1048576");
    mem_free(source);
    source = repeated("{{ 1", " ~ 1", 5000, " }}"); /* wide is not deep */
    struct result x = render_with(source, CHAT, NULL);
    CHECK_EQ(x.rc, 0);
    CHECK_EQ(x.out.n, 5001);
    buf_done(&x.out);
    mem_free(source);
}

/* Deep recursion of every kind, in a thread whose stack is what musl gives at least times eight. */
// clang-format off
#define GROW(init, step, last) \
    "{% set b = namespace(" init ") %}{% for i in range(9999) %}{% set b." step " %}{% endfor %}" last
static const char *const deep[] = {
    ("{% macro m(k) %}{% for i in [1] %}{% if k > 0 %}{% with q=1 %}{% filter upper %}"
     "{{ 'a' ~ ((m(k-1)) | trim) + 'b' }}"
     "{% endfilter %}{% endwith %}{% endif %}{% endfor %}{% endmacro %}{{ m(9999) }}"),
    GROW("l=[]", "l=[b.l]", "{{ b.l }}"),
    GROW("l=[]", "l={'a':b.l}", "{{ b.l|tojson(indent=1) }}"),
    GROW("l=[]", "l={'a':b.l}", "{{ b.l|pprint }}"),
    GROW("l=1", "l=(b.l,)", "{{ {b.l:1} }}"),
    GROW("a=[],b=[]", "a=[b.a] %}{% set b.b=[b.b]", "{{ b.a == b.b }}"),
    GROW("a=[],b=[]", "a=[b.a] %}{% set b.b=[b.b]", "{{ [b.a, b.b]|sort }}"),
    GROW("g=[1]", "g=b.g|map('string')", "{{ b.g|list }}"),
    "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
    ("{% macro a() %}{% call b() %}{{ a() }}{% endcall %}{% endmacro %}"
     "{% macro b() %}{{ caller() }}{% endmacro %}{{ a() }}"),
    "{% macro f(x) %}{% for i in [1] if f(x) %}{% endfor %}{% endmacro %}{{ f(1) }}",
    "{% set b = namespace() %}{% set b.b = [b] %}{{ b }}",
};
// clang-format on

static void *run_deep(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) fails(deep[i], LAR_ELIMIT, "deep");
    return NULL;
}

static void recursion_fits_into_a_small_stack(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    size_t stack = 6 << 20; /* sanitizers multiply frames */
#elif defined(__has_feature)
    size_t stack = 6 << 20;
#else
    size_t stack = 1 << 20;
#endif
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack);
    CHECK_EQ(pthread_create(&thread, &attr, run_deep, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

static void macros_recurse_as_deep_as_pythons(void)
{
    gives("{% macro m(k) %}{% for i in [1] %}{% if k > 0 %}{% set x = m(k - 1) %}"
          "{{ 'a' ~ (x | trim) }}{% endif %}{% endfor %}{% endmacro %}{{ m(197) | length }}",
          "197");
}

/* ---- time ------------------------------------------------------------------------------------- */

static double ms_of(const char *source)
{
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        double start = cpu_ms();
        struct result x = render_with(source, CHAT, NULL);
        double ms = cpu_ms() - start;
        if (x.rc) printf("# %s\n", x.err.msg);
        CHECK_EQ(x.rc, 0);
        buf_done(&x.out);
        if (ms < best) best = ms;
    }
    return best;
}

/* Eight times the work must not take 64 times as long. */
static void linear(const char *small, const char *large)
{
    double a = ms_of(small), b = ms_of(large);
    if (b > 32 * a + 20)
        printf("# %.1f ms, then %.1f ms for eight times as much: %s\n", a, b, large);
    CHECK(b <= 32 * a + 20);
}

static void text_and_lists_are_built_in_linear_time(void)
{
#define BUILD(n, body)                                                    \
    "{% set b = namespace(x='', l=[]) %}{% for i in range(" n ") %}" body \
    "{% endfor %}{{ b.x | length }}"
    linear(BUILD("10000", "{% set b.x = b.x + 'abcdefghij' %}"),
           BUILD("80000", "{% set b.x = b.x + 'abcdefghij' %}"));
    linear(BUILD("10000", "{% set b.x = b.x ~ 'abcdefghij' ~ i %}"),
           BUILD("80000", "{% set b.x = b.x ~ 'abcdefghij' ~ i %}"));
    linear(BUILD("10000", "{% set b.l = b.l + [i] %}"),
           BUILD("80000", "{% set b.l = b.l + [i] %}"));
#define ON(n, expr) "{% set s = 'aé ' * " n " %}{{ " expr " }}"
    static const char *const each[][2] = {
#define BOTH(expr) {ON("10000", expr), ON("80000", expr)}
        BOTH("s.split() | length"),
        BOTH("s.rsplit(' ') | length"),
        BOTH("s.replace('é', '') | length"),
        BOTH("s | upper | length"),
        BOTH("s | list | length"),
        BOTH("s | tojson | length"),
        BOTH("s | indent | length"),
        BOTH("s | wordwrap(9) | length"),
        BOTH("s | urlize | length"),
        BOTH("s | striptags | length"),
        BOTH("s[::-1] | length"),
        BOTH("s.count('a')"),
        BOTH("s.rfind('é' * 100)"),
        BOTH("('<!--' * (s | length)) | striptags | length"),
        BOTH("('Σ.' * (s | length)) | lower | length"),
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) linear(each[i][0], each[i][1]);
    linear("{% set s = 'é' * 10000 %}{% for i in range(10000) %}{{ s[i] }}{% endfor %}",
           "{% set s = 'é' * 80000 %}{% for i in range(80000) %}{{ s[i] }}{% endfor %}");
}

static void a_template_compiles_in_linear_time(void)
{
    static const char *const bodies[] = {
        "{{ a }}",
        "{% if a %}{% set b = a %}{% endif %}",
        "{% for x in [] %}{{ loop.index }}{% endfor %}",
        "{#- x -#}",
        "{% raw %}{{ x{% endraw %}",
        "{{ 'a' 'b' }}",
        "{{ x",
        "{% raw %}",
        "{% if a %}{% elif b %}{% endif %}",
        "{% set x %}{% endset %}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        double ms[2];
        for (int k = 0; k < 2; k++) {
            char *source = repeated("", bodies[i], k ? 16000 : 2000, "");
            double start = cpu_ms();
            struct template *t = template_compile(str_of(source), NULL);
            ms[k] = cpu_ms() - start;
            template_free(t);
            mem_free(source);
        }
        if (ms[1] > 32 * ms[0] + 20) printf("# %.1f and %.1f ms: %s\n", ms[0], ms[1], bodies[i]);
        CHECK(ms[1] <= 32 * ms[0] + 20);
    }
}

/* ---- memory and threads ----------------------------------------------------------------------- */

static long fail_at;

static int fail_once(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return --fail_at == 0;
}

static void every_allocation_may_fail(void)
{
    struct arena a;
    struct lar_err err;
    arena_init(&a, 0);
    struct json *j = json_parse(&a, STR(CHAT), &err);
    long live = mem_live();
    int ended = 0;
    for (long i = 1; i < 200 && !ended; i++) {
        struct buf out = {0};
        fail_at = i;
        mem_set_hook(fail_once, NULL);
        struct template *t = template_compile(
            STR("{% set x %}{{ 'y' * 100000 }}{% endset %}{{ messages }}{{ x }}"), &err);
        int rc = t ? template_render(t, j, 0, NULL, &out, &err) : err.code;
        mem_set_hook(NULL, NULL);
        ended = fail_at > 0; /* nothing failed this time */
        CHECK_EQ(rc, ended ? 0 : LAR_ENOMEM);
        template_free(t);
        buf_done(&out);
        CHECK_EQ(mem_live(), live);
    }
    CHECK(ended);
    arena_done(&a);
}

static const struct template *shared;

static void *render_often(void *arg)
{
    int *bad = arg;
    struct arena a;
    struct lar_err err;
    arena_init(&a, 0);
    struct json *j = json_parse(&a, STR(CHAT), &err);
    for (int i = 0; i < 200; i++) {
        struct buf out = {0};
        *bad += template_render(shared, j, i, NULL, &out, &err) != 0;
        *bad += !str_is(buf_view(&out), "中😀é😀中é|{'é': 'ü'}|MÄRZ é中😀|6");
        buf_done(&out);
    }
    arena_done(&a);
    return NULL;
}

static void threads_share_a_compiled_template(void)
{
    struct lar_err err;
    pthread_t t[4];
    int bad[4] = {0};
    struct template *own = template_compile(
        STR("{{ 'é中😀'[1:] }}{{ 'é中😀'[0] }}{{ 'é中😀'[::-1] }}|{{ {'é': 'ü'} }}|"
            "{{ ('mär' + 'z') | upper }} {{ 'é中😀' ~ '' }}|{{ ('é中😀' * 2) | length }}"),
        &err);
    shared = own;
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&t[i], NULL, render_often, &bad[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        CHECK_EQ(bad[i], 0);
    }
    template_free(own);
}

/* ---- tables ----------------------------------------------------------------------------------- */

static void the_character_tables_agree_with_themselves(void)
{
    for (uint32_t cp = 0; cp < 0x80;
         cp++) { /* ASCII is written out in code: the table says the same */
        size_t run = 0;
        while (run + 1 < tpl_table_runs_n && tpl_table_runs[run + 1] >> 8 <= cp) run++;
        CHECK_EQ(tpl_char_flags(cp), tpl_table_flags[tpl_table_runs[run] & 255]);
    }
    for (size_t i = 1; i < tpl_table_runs_n; i++) CHECK(tpl_table_runs[i] > tpl_table_runs[i - 1]);
    for (size_t i = 1; i < tpl_table_names_n; i++)
        CHECK(strcmp(tpl_table_names[i - 1].name, tpl_table_names[i].name) < 0);
    for (size_t i = 1; i < tpl_table_entities_n; i++)
        CHECK(strcmp(tpl_table_entities[i - 1].name, tpl_table_entities[i].name) < 0);
    for (uint32_t cp = 0; cp < 0x110000; cp++) { /* no mapping leaves Unicode */
        uint32_t to[3];
        char c[4];
        for (int how = 0; how < 4; how++) {
            size_t n = tpl_char_map(cp, how, to);
            for (size_t k = 0; k < n; k++)
                if (to[k] != cp &&
                    (!to[k] || !utf8_valid(c, utf8_encode(to[k], c)) || to[k] > 0x10ffff))
                    CHECK(!"a character");
        }
    }
}

int main(void)
{
    tap_timeout(240);
    RUN(a_chat_becomes_its_text);
    RUN(input_may_be_missing_and_must_be_an_object);
    RUN(output_is_appended);
    RUN(later_duplicate_keys_of_the_input_win);
    RUN(strftime_now_sees_the_given_moment);
    RUN(errors_name_line_and_column);
    RUN(raise_exception_speaks_in_its_own_words);
    RUN(what_never_ends_is_stopped);
    RUN(the_caller_sets_the_limits);
    RUN(a_template_is_bounded_in_size_and_nesting);
    RUN(recursion_fits_into_a_small_stack);
    RUN(macros_recurse_as_deep_as_pythons);
    RUN(text_and_lists_are_built_in_linear_time);
    RUN(a_template_compiles_in_linear_time);
    RUN(every_allocation_may_fail);
    RUN(threads_share_a_compiled_template);
    RUN(the_character_tables_agree_with_themselves);
    return tap_done();
}
