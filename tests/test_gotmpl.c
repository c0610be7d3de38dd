/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_gotmpl.c: Go templates. What each of the table must give was made by Go 1.x's own text/template with the data that Ollama's
 * template.go makes of the same chat; the texts of Ollama's own templates are its test data.
 */
#include "base/json.h"
#include "base/mem.h"
#include "tap.h"
#include "text/gotmpl.h"

#define OLLAMA "../shared/data/templates/ollama"

// clang-format off
static const char chat[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be <brief> & \\\"nice\\\".\"},{\"role\":\"user"
     "\",\"content\":\"Hi\\n\303\251\342\200\250\"},{\"role\":\"assistant\",\"content\":\"\",\"thinkin"
     "g\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"get\",\"arguments\":{\"z\":1,"
     "\"a\":\"<b>\",\"f\":1e-06,\"g\":1e+21,\"h\":123456789.5,\"n\":null,\"t\":true,\"l\":[1,\"x\"],\""
     "tiny\":1e-07}}}]},{\"role\":\"tool\",\"content\":\"42\",\"tool_name\":\"get\"},{\"role\":\"user\""
     ",\"content\":\"ok\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"descrip"
     "tion\":\"Gets <it>\",\"parameters\":{\"type\":\"object\",\"required\":[\"q\"],\"properties\":{\""
     "q\":{\"type\":\"string\",\"description\":\"what\"},\"b\":{\"type\":[\"integer\",\"null\"],\"enum"
     "\":[1,2]}}}}}]}";

static const struct {
    const char *source, *want;
} row[] = {
    {"{{ .System }}|{{ len .Messages }}",
     "Be <brief> & \"nice\".|5"},
    {"{{- range $i, $m := .Messages }}{{ $i }}:{{ $m.Role }}:{{ .Content }};{{ end }}",
     "0:system:Be <brief> & \"nice\".;1:user:Hi\n\303\251\342\200\250;2:assistant:;3:tool:42;4:user:ok"
     ";"},
    {"{{ json .Messages | len }}",
     "752"},
    {"{{ .Tools }}{{ range .Messages }}{{ end }}",
     "[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"Gets \\u003cit\\u003e\""
     ",\"parameters\":{\"type\":\"object\",\"required\":[\"q\"],\"properties\":{\"b\":{\"type\":[\"int"
     "eger\",\"null\"],\"enum\":[1,2]},\"q\":{\"type\":\"string\",\"description\":\"what\"}}}}}]"},
    {"{{ json .Tools }}{{ range .Messages }}{{ end }}",
     "[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"Gets \\u003cit\\u003e\""
     ",\"parameters\":{\"type\":\"object\",\"required\":[\"q\"],\"properties\":{\"b\":{\"type\":[\"int"
     "eger\",\"null\"],\"enum\":[1,2]},\"q\":{\"type\":\"string\",\"description\":\"what\"}}}}}]"},
    {"{{ range .Tools }}{{ . }}|{{ .Function.Name }}|{{ .Function.Parameters.Properties }}|{{ json .Fu"
     "nction.Parameters }}{{ end }}{{ range .Messages }}{{ end }}",
     "{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"Gets \\u003cit\\u003e\","
     "\"parameters\":{\"type\":\"object\",\"required\":[\"q\"],\"properties\":{\"b\":{\"type\":[\"inte"
     "ger\",\"null\"],\"enum\":[1,2]},\"q\":{\"type\":\"string\",\"description\":\"what\"}}}}}|get|{\""
     "b\":{\"type\":[\"integer\",\"null\"],\"enum\":[1,2]},\"q\":{\"type\":\"string\",\"description\":"
     "\"what\"}}|{\"type\":\"object\",\"required\":[\"q\"],\"properties\":{\"b\":{\"type\":[\"integer\""
     ",\"null\"],\"enum\":[1,2]},\"q\":{\"type\":\"string\",\"description\":\"what\"}}}"},
    {"{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}|{{ range $k, $v := .Functio"
     "n.Arguments }}{{ $k }}={{ $v }},{{ end }}|{{ json .Function }}|{{ .ID }}|{{ .Function.Index }}{{"
     " end }}{{ end }}",
     "{\"a\":\"\\u003cb\\u003e\",\"f\":0.000001,\"g\":1e+21,\"h\":123456789.5,\"l\":[1,\"x\"],\"n\":nu"
     "ll,\"t\":true,\"tiny\":1e-7,\"z\":1}|a=<b>,f=1e-06,g=1e+21,h=1.234567895e+08,l=[1 x],n=<no value"
     ">,t=true,tiny=1e-07,z=1,|{\"Index\":0,\"Name\":\"get\",\"Arguments\":{\"a\":\"\\u003cb\\u003e\","
     "\"f\":0.000001,\"g\":1e+21,\"h\":123456789.5,\"l\":[1,\"x\"],\"n\":null,\"t\":true,\"tiny\":1e-7"
     ",\"z\":1}}|c1|0"},
    {"{{ range .Tools }}{{ range $n, $p := .Function.Parameters.Properties }}{{ $n }} {{ $p.Type }} {{"
     " $p.Description }} {{ $p.Enum }};{{ end }}{{ end }}{{ range .Messages }}{{ end }}",
     "b [integer null]  [1 2];q string what [];"},
    {"{{ range .Messages }}{{ end }}{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end "
     "}}{{ $x }}",
     "32"},
    {"{{ range .Messages }}{{ end }}{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}",
     "21"},
    {"{{ range .Messages }}{{ end }}{{ with .Nope }}a{{ else }}b{{ end }}{{ .Nope }}",
     "b<no value>"},
    {"{{ range .Messages }}{{ end }}{{ with $z := .System }}{{ $z }}{{ . }}{{ end }}",
     "Be <brief> & \"nice\".Be <brief> & \"nice\"."},
    {"{{ range .Messages }}{{ end }}{{ if and .System (not .Think) }}yes{{ end }}{{ or .Nope .System }"
     "}{{ and .Nope .System }}",
     "yesBe <brief> & \"nice\".<no value>"},
    {"{{ range .Messages }}{{ end }}{{ eq 1 1 }}{{ eq \"a\" \"b\" \"a\" }}{{ ne 1 2 }}{{ lt 1 2 }}{{ l"
     "e 2 2 }}{{ gt \"b\" \"a\" }}{{ ge 1.5 2.5 }}",
     "truetruetruetruetruetruefalse"},
    {"{{ range .Messages }}{{ end }}{{ eq .Nope \"x\" }}{{ eq .Nope nil }}",
     "falsetrue"},
    {"{{ range .Messages }}{{ end }}{{ printf \"%s-%d-%v-%5d|%-5s|%05d|%.2f|%q|%t|%c|%x|%%\" \"a\" 3 t"
     "rue 42 \"ab\" 7 3.14159 \"q\\\"\" true 65 255 }}",
     "a-3-true-   42|ab   |00007|3.14|\"q\\\"\"|true|A|ff|%"},
    {"{{ range .Messages }}{{ end }}{{ printf \"%6.2f|%e|%g|%v\" 1.5 1234.5 0.1 1e21 }}",
     "  1.50|1.234500e+03|0.1|1e+21"},
    {"{{ range .Messages }}{{ end }}{{ print 1 2 \"a\" \"b\" 3 4 true }}|{{ println 1 \"x\" }}",
     "1 2ab3 4 true|1 x\n"},
    {"{{ range .Messages }}{{ end }}{{ slice \"hello\" 1 3 }}{{ slice \"hello\" 2 }}{{ index .Messages"
     " 1 | json }}{{ len (slice .Messages 2) }}",
     "elllo{\"Role\":\"user\",\"Content\":\"Hi\\n\303\251\\u2028\",\"Thinking\":\"\",\"Images\":null,\""
     "ToolCalls\":null,\"ToolName\":\"\",\"ToolCallID\":\"\"}3"},
    {"{{ range .Messages }}{{ end }}{{ (index .Messages 1).Role }}",
     "user"},
    {"{{ range .Messages }}{{ end }}{{ range .Nope }}x{{ else }}none{{ end }}",
     "none"},
    {"{{ range .Messages }}{{ end }}{{ range $i := 3 }}{{ $i }}{{ end }}",
     "012"},
    {"{{ range .Messages }}{{ if eq .Role \"tool\" }}{{ break }}{{ end }}{{ if eq .Role \"system\" }}{"
     "{ continue }}{{ end }}[{{ .Role }}]{{ end }}",
     "[user][assistant]"},
    {"{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}{{ if $last }}LAST"
     "{{ end }}{{ end }}",
     "LAST"},
    {"{{ define \"t\" }}<{{ .Role }}{{ $.Content }}>{{ end }}{{ range .Messages }}{{ template \"t\" . "
     "}}{{ end }}",
     "<systemBe <brief> & \"nice\".><userHi\n\303\251\342\200\250><assistant><tool42><userok>"},
    {"{{ block \"b\" .System }}[{{ . }}]{{ end }}{{ range .Messages }}{{ end }}",
     "[Be <brief> & \"nice\".]"},
    {"a {{- 1 -}} b {{ 2 }} c{{/* x */}}d {{- /* y */ -}} e{{ range .Messages }}{{ end }}",
     "a1b 2 cde"},
    {"{{ range .Messages -}}\n  {{ .Role }}\n{{- end }}\n\n{{- \"x\" }}",
     "systemuserassistanttooluserx"},
    {"{{ `raw\\n` }}{{ \"e\\u00e9\\x41\\101\\t\" }}{{ 'A' }}{{ range .Messages }}{{ end }}",
     "raw\\ne\303\251AA\01165"},
    {"{{ 0x1F }} {{ 1_000 }} {{ -3 }} {{ 1.5e3 }}{{ range .Messages }}{{ end }}",
     "31 1000 -3 1500"},
    {"{{ if .A }}x{{ else if .System }}y{{ else }}z{{ end }}{{ range .Messages }}{{ end }}",
     "y"},
    {"{{ with .A }}x{{ else with .System }}{{ . }}{{ else }}z{{ end }}{{ range .Messages }}{{ end }}",
     "Be <brief> & \"nice\"."},
    {"{{ . | json | len | lt 10 }}{{ range .Messages }}{{ end }}",
     "true"},
    {"{{ .Messages | len | printf \"%d-%d\" 3 }}",
     "3-5"},
    {"{{ json nil }}{{ json true }}{{ json 3 }}{{ json \"<&>\\u2028\\n\\u0001\" }}{{ range .Messages }"
     "}{{ end }}",
     "nulltrue3\"\\u003c\\u0026\\u003e\\u2028\\n\\u0001\""},
    {"{{ range .Messages }}{{ end }}{{ .Think }}{{ $.IsThinkSet }}{{ .ThinkLevel }}",
     "falsefalse"},
    {"{{ range $k, $v := . }}{{ $k }},{{ end }}{{ range .Messages }}{{ end }}",
     "IsThinkSet,Messages,Response,System,Think,ThinkLevel,Tools,"},
    {"{{- with .Tools }}{{ . }}{{ end }}{{ range .Messages }}{{ end }}",
     "[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"Gets \\u003cit\\u003e\""
     ",\"parameters\":{\"type\":\"object\",\"required\":[\"q\"],\"properties\":{\"b\":{\"type\":[\"int"
     "eger\",\"null\"],\"enum\":[1,2]},\"q\":{\"type\":\"string\",\"description\":\"what\"}}}}}]"},
    {"{{ if ne .System \"\" }}a{{ end }}{{ if (gt (len .Messages) 2) }}b{{ end }}",
     "ab"},
    {"{{ index . \"System\" }}{{ range .Messages }}{{ end }}",
     "Be <brief> & \"nice\"."},
    {"{{(index .Messages 0).Content}}",
     "Be <brief> & \"nice\"."},
    {"{{ range .Messages }}{{ with .ToolCalls }}{{ range . }}{{ .Function.Name }}{{ end }}{{ else }}-{"
     "{ end }}{{ end }}",
     "--get--"},
    {"{{ range .Messages }}{{ end }}{{ $x := .System }}{{ len $x }}",
     "20"},
};

/* What Go refuses as well, with our words for it. */
static const struct {
    const char *source, *want;
} bad[] = {
    {"{{ range .Messages }}{{ end }}{{ eq 1 \"a\" }}",
     "template line 1, column 34: incompatible types for comparison: int and string"},
    {"{{ range .Messages }}{{ end }}{{ eq 1 1.0 }}",
     "template line 1, column 34: incompatible types for comparison: int and float"},
    {"{{ range .Messages }}{{ end }}{{ lt true false }}",
     "template line 1, column 34: a bool has no order"},
    {"{{ range .Messages }}{{ end }}{{ index .Messages 9 }}",
     "template line 1, column 34: index out of range: 9"},
    {"{{ range .Messages }}{{ end }}{{ slice .Messages 3 1 }}",
     "template line 1, column 34: invalid slice index: 3 > 1"},
    {"{{ range .Messages }}{{ end }}{{ .System.Foo }}",
     "template line 1, column 34: can't evaluate field Foo of a string"},
    {"{{ range .Messages }}{{ end }}{{ .Nope.Foo }}",
     "template line 1, column 34: nil has no field Foo"},
    {"{{ range .Messages }}{{ end }}{{ range .Messages }}{{ .Foo }}{{ end }}",
     "template line 1, column 55: can't evaluate field Foo: there is none of this name"},
    {"{{ range .Messages }}{{ end }}{{ range .System }}x{{ end }}",
     "template line 1, column 31: range can't iterate over a string"},
    {"{{ len 3 }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: len of type int"},
    {"{{ not }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: wrong number of args for not: 0"},
    {"{{ nope }}{{ range .Messages }}{{ end }}",
     "template line 1, column 8: function \"nope\" not defined"},
    {"{{ $q }}{{ range .Messages }}{{ end }}",
     "template line 1, column 6: undefined variable \"$q\""},
    {"{{ if }}{{ range .Messages }}{{ end }}",
     "template line 1, column 7: a command is missing"},
    {"{{ end }}{{ range .Messages }}{{ end }}",
     "template line 1, column 7: unexpected {{end}}"},
    {"{{ .A{{ range .Messages }}{{ end }}",
     "template line 1, column 6: unexpected \"{\" behind an operand"},
    {"{{ range .Messages }}",
     "template line 1, column 1: this action has no {{end}}"},
    {"{{ break }}{{ range .Messages }}{{ end }}",
     "template line 1, column 9: {{break}} outside {{range}}"},
    {"{{ else }}{{ range .Messages }}{{ end }}",
     "template line 1, column 8: unexpected {{else}}"},
    {"{{ \"abc }}{{ range .Messages }}{{ end }}",
     "template line 1, column 41: unterminated quoted string"},
    {"{{ 1 2 }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: can't give argument to what is no function"},
    {"{{ .System | 3 }}{{ range .Messages }}{{ end }}",
     "template line 1, column 14: what stands behind | must be a function"},
    {"{{ template \"zz\" . }}{{ range .Messages }}{{ end }}",
     "template line 1, column 1: template \"zz\" is not defined"},
    {"{{ and }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: wrong number of args for and: want at least 1"},
    {"{{ eq 1 }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: missing argument for comparison"},
    {"{{ .Messages.Role }}",
     "template line 1, column 4: can't evaluate field Role of a list"},
    {"{{ \"a\".B }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: can't evaluate field B of a string"},
    {"{{ true.x }}{{ range .Messages }}{{ end }}",
     "template line 1, column 4: can't evaluate field x of a bool"},
};
// clang-format on

static struct json *parse(struct arena *a, const char *text)
{
    struct lar_err err = {0};
    struct json *v = json_parse(a, str_of(text), &err);
    CHECK(v != NULL);
    return v;
}

/* The text, or the message of the refusal; "" is given for neither. */
static const char *render(const char *source, size_t n, const struct json *input,
                          const struct template_limits *l, int *rc)
{
    static char out[1 << 16];
    struct lar_err err = {0};
    struct buf b = {0};
    struct gotmpl *t = gotmpl_compile((struct str){source, n}, &err);
    *rc = t ? gotmpl_render(t, input, 1767323045, l, &b, &err) : err.code;
    snprintf(out, sizeof out, "%s", *rc < 0 ? err.msg : buf_z(&b));
    CHECK(*rc == err.code);
    buf_done(&b);
    gotmpl_free(t);
    return out;
}

static void templates_give_what_go_gives(void)
{
    struct arena a;
    int rc;
    arena_init(&a, 0);
    const struct json *input = parse(&a, chat);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        CHECK_STR(render(row[i].source, strlen(row[i].source), input, NULL, &rc), row[i].want);
        CHECK_EQ(rc, 0);
    }
    arena_done(&a);
}

static void what_go_refuses_is_refused_with_its_place(void)
{
    struct arena a;
    int rc;
    arena_init(&a, 0);
    const struct json *input = parse(&a, chat);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STR(render(bad[i].source, strlen(bad[i].source), input, NULL, &rc), bad[i].want);
        CHECK(rc < 0);
    }
    arena_done(&a);
}

/* The cases of Ollama's TestExecuteWithMessages and TestExecuteWithSuffix. */
static void templates_without_messages_run_turn_by_turn(void)
{
    static const char turns[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant!\"},"
        "{\"role\":\"user\",\"content\":\"Hello friend!\"},{\"role\":\"assistant\",\"content\":\"Hello human!\"},"
        "{\"role\":\"user\",\"content\":\"What is your name?\"}]}";
    static const char mistral[] =
        "[INST] You are a helpful assistant!\n\nHello friend![/INST] Hello human![INST] What is your name?[/INST] ";
    static const struct {
        const char *source, *input, *want;
    } c[] = {
        {"[INST] {{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}[/INST] ", turns, mistral},
        {"[INST] {{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}[/INST] {{ .Response }}",
         turns, mistral},
        {"{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ if .Prompt }}<|im"
         "_start|>user\n{{ .Prompt }}<|im_end|>\n"
         "{{ end }}<|im_start|>assistant\n{{ .Response }}<|im_end|>\n",
         turns,
         "<|im_start|>system\nYou are a helpful assistant!<|im_end|>\n<|im_start|>user\nHello friend"
         "!<|im_end|>\n<|im_start|>assistant\n"
         "Hello human!<|im_end|>\n<|im_start|>user\nWhat is your name?<|im_end|>\n<|im_start|>assistant\n"},
        {"{{- if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>\n{{- else }}{{ .Prompt }}\n{{- end }}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}", "hello"},
        {"{{- if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>\n{{- else }}{{ .Prompt }}\n{{- end }}",
         "{\"prompt\":\"def add(\",\"suffix\":\"return x\"}", "<PRE> def add( <SUF>return x <MID>"},
        {"{{ range .Messages }}{{ .Role }}:{{ .Content }};{{ end }}{{ .System }}",
         "{\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user"
         "\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},"
         "{\"role\":\"tool\",\"content\":\"1\"},{\"role\":\"tool\",\"content\":\"2\"}]}",
         "system:S;user:a\n\nb;tool:1;tool:2;S"},
        {"{{ range .Messages }}{{ end }}{{ currentDate }} {{ yesterdayDate }}", "{}",
         "2026-01-02 2026-01-01"},
        {"{{ range .Messages }}{{ end }}{{ .Think }}{{ .ThinkLevel }}{{ .IsThinkSet }}",
         "{\"think\":\"high\"}", "truehightrue"},
        {"{{ range .Messages }}{{ end }}{{ range .Tools }}{{ range $n, $p := .Function.Parameters.Pr"
         "operties }}{{ $n }}:{{ toTypeScriptType $p }};"
         "{{ end }}{{ end }}",
         "{\"tools\":[{\"function\":{\"parameters\":{\"properties\":{\"a\":{\"type\":\"integer"
         "\"},\"b\":{\"type\":[\"array\",\"null\"]},"
         "\"c\":{\"anyOf\":[{\"type\":\"object\"},{\"type\":\"x\"}]},\"d\":{}}}}}]}",
         "a:number;b:any[] | null;c:Record<string, any> | any;d:any;"},
    };
    struct arena a;
    int rc;
    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        CHECK_STR(render(c[i].source, strlen(c[i].source), parse(&a, c[i].input), NULL, &rc),
                  c[i].want);
    arena_done(&a);
}

static void limits_hold(void)
{
    static const struct template_limits low = {
        .steps = 20000, .memory_bytes = 1 << 18, .output_bytes = 1 << 12};
    static const char *const source[] = {
        "{{ range $i := 1000000000 }}{{ end }}",
        "{{ range $i := 10000 }}xxxxxxxxxxxxxxxx{{ end }}",
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ $x := \"ab\" }}{{ range $i := 40 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
        "{{ range $i := 1000 }}{{ range $j := 1000 }}{{ range $k := 1000 }}{{ $z := 1 }}{{ end }}{{ end }}{{ end }}",
    };
    struct arena a;
    int rc;
    arena_init(&a, 0);
    const struct json *input = parse(&a, chat);
    for (size_t i = 0; i < sizeof source / sizeof *source; i++) {
        const char *said = render(source[i], strlen(source[i]), input, &low, &rc);
        if (rc != LAR_ELIMIT) printf("# %s: %s\n", source[i], said);
        CHECK_EQ(rc, LAR_ELIMIT);
        CHECK(strstr(said, "line 1") != NULL);
    }
    char deep[4000];
    for (int i = 0; i < 100; i++)
        memcpy(deep + 11 * i, "{{if true}}", 12); /* too deep to be read */
    CHECK(render(deep, strlen(deep), input, &low, &rc) && rc == LAR_ELIMIT);
    for (int i = 0; i < 1000; i++) deep[i] = '(';
    memcpy(deep, "{{", 2);
    CHECK(render(deep, 1000, input, &low, &rc) && rc == LAR_ELIMIT);
    arena_done(&a);
}

static char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p = f ? malloc(1 << 16) : NULL;
    if (p) *n = fread(p, 1, 1 << 16, f);
    if (f) fclose(f);
    return p;
}

static void ollamas_templates_give_ollamas_texts(void)
{
    static const char *const name[] = {"alfred",
                                       "alpaca",
                                       "chatml",
                                       "chatqa",
                                       "codellama-70b-instruct",
                                       "command-r",
                                       "falcon-instruct",
                                       "gemma-instruct",
                                       "gemma3-instruct",
                                       "granite-instruct",
                                       "llama2-chat",
                                       "llama3-instruct",
                                       "magicoder",
                                       "mistral-instruct",
                                       "openchat",
                                       "phi-3",
                                       "solar-instruct",
                                       "starcoder2-instruct",
                                       "vicuna",
                                       "zephyr"};
    static const char *const trimmed =
        " chatqa llama2-chat mistral-instruct openchat vicuna "; /* by Ollama's own test */
#define U1 "{\"role\":\"user\",\"content\":\"Hello, how are you?\"}"
#define A1 ",{\"role\":\"assistant\",\"content\":\"I'm doing great. How can I help you today?\"}"
#define U2 ",{\"role\":\"user\",\"content\":\"I'd like to show off how chat templating works!\"}"
    static const struct {
        const char *name, *input;
    } c[] = {
        {"user", "{\"messages\":[" U1 "]}"},
        {"user-assistant-user", "{\"messages\":[" U1 A1 U2 "]}"},
        {"system-user-assistant-user",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"}," U1 A1
             U2 "]}"},
    };
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char path[300], key[40];
        size_t n = 0, m = 0;
        int rc;
        snprintf(path, sizeof path, OLLAMA "/%s.gotmpl", name[i]);
        char *source = read_all(path, &n);
        snprintf(key, sizeof key, " %s ", name[i]);
        for (size_t k = 0; source && k < 3; k++) {
            snprintf(path, sizeof path, OLLAMA "/testdata/%s.gotmpl/%s", name[i], c[k].name);
            char *want = read_all(path, &m), got[8192];
            snprintf(got, sizeof got, "%s", render(source, n, parse(&a, c[k].input), NULL, &rc));
            size_t len = strlen(got);
            if (strstr(trimmed, key) && len && got[len - 1] == ' ') got[len - 1] = 0;
            CHECK(want && m < 1 << 16);
            if (want) want[m] = 0;
            CHECK_STR(got, want);
            free(want);
        }
        CHECK(source != NULL);
        free(source);
    }
    arena_done(&a);
}

static long until; /* allocations that succeed */

static int fail_later(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return until-- <= 0;
}

static void every_allocation_may_fail(void)
{
    static const char source[] =
        "{{ $s := \"\" }}{{ range .Messages }}{{ $s = printf \"%s%s\" $s .Content }}{{ json . }}{{ end }}{{ .Tools }}";
    struct arena a;
    arena_init(&a, 0);
    const struct json *input = parse(&a, chat);
    long live = mem_live();
    int rc = -1;
    for (long k = 0; rc < 0 && k < 1000; k++) {
        struct lar_err err = {0};
        struct buf b = {0};
        until = k;
        mem_set_hook(fail_later, NULL);
        struct gotmpl *t = gotmpl_compile(str_of(source), &err);
        rc = t ? gotmpl_render(t, input, 0, NULL, &b, &err) : err.code;
        mem_set_hook(NULL, NULL);
        CHECK(rc == 0 || rc == LAR_ENOMEM || rc == LAR_ELIMIT);
        gotmpl_free(t);
        buf_done(&b);
        CHECK_EQ(mem_live(), live);
    }
    CHECK_EQ(rc, 0);
    arena_done(&a);
}

int main(void)
{
    tap_timeout(60);
    RUN(templates_give_what_go_gives);
    RUN(what_go_refuses_is_refused_with_its_place);
    RUN(templates_without_messages_run_turn_by_turn);
    RUN(limits_hold);
    RUN(every_allocation_may_fail);
    if (access(OLLAMA "/zephyr.gotmpl", R_OK) == 0)
        RUN(ollamas_templates_give_ollamas_texts);
    else
        SKIP(OLLAMA " is not here");
    return tap_done();
}
