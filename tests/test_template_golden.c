/* SPDX-License-Identifier: Apache-2.0
 * tests/test_template_golden.c: templates against what the reference implementation made of them:
 * our own cases (tests/data/templates.json), and where the shared data is present the snippets and
 * the real templates of many models over many conversations. Texts must agree to the byte; where the
 * reference fails we must fail, with the same words when the template itself raised them. */
#include <dirent.h>
#include <stdlib.h>

#include "base/time.h"
#include "golden_file.h"
#include "tap.h"
#include "text/template.h"

#define GOLDEN "../shared/golden/templates/"
#define JINJA  "../shared/data/templates/jinja/"
#define NOW    1767323045 /* 2026-01-02 03:04:05 */

static struct json *read_json(const char *path)
{
    struct lar_err err = {0};
    struct str s = read_file(path);
    struct json *j = s.p ? json_parse(&all, s, &err) : NULL;
    if (s.p && !j) printf("# %s: %s\n", path, err.msg);
    return j;
}

static void say(const char *what, struct str s)
{
    struct buf b = {0};
    buf_json_str(&b, s);
    printf("#   %s %.600s\n", what, buf_z(&b));
    buf_done(&b);
}

/* Renders and compares; what must come is {"text"} or {"error", "message"}. */
static int agrees(const char *name, struct str source, const struct json *input,
                  const struct json *want)
{
    struct lar_err err = {0};
    struct buf out = {0};
    long live = mem_live();
    const struct json *text = json_get(want, "text");
    struct str kind = json_str(json_get(want, "error"), STR(""));
    struct str words = json_str(json_get(want, "message"), STR(""));
    struct template *t = template_compile(source, &err);
    int rc = t ? template_render(t, input, NOW, NULL, &out, &err) : err.code, ok;
    if (text)
        ok = rc == 0 && str_eq(buf_view(&out), text->s);
    else
        ok = rc < 0 && err.msg[0] && (!str_is(kind, "TemplateError") || str_is(words, err.msg));
    if (ok && str_is(kind, "TemplateError")) ok = rc == LAR_EINVAL;
    if (!ok) {
        printf("# %s\n", name);
        say("template", source);
        say("want", text ? text->s : words.n ? words : kind);
        say("got ", rc ? str_of(err.msg) : buf_view(&out));
    }
    template_free(t);
    buf_done(&out);
    return ok && mem_live() == live;
}

static void snippets(const char *path, const char *list, const char *name)
{
    const struct json *j = read_json(path), *context = json_get(j, "context");
    int n = 0, bad = 0;
    if (!j) {
        SKIP("no shared golden data");
        return;
    }
    const struct json *cases = json_get(j, list);
    for (const struct json *c = cases ? cases->child : NULL; c; c = c->next, n++)
        bad += !agrees("snippet", json_str(json_get(c, "template"), STR("")), context, c);
    printf("# %d cases, %d differ\n", n, bad);
    tap_ok(n > 100 && !bad, name);
}

static void real_template(const char *file, const struct json *cases)
{
    char path[600], name[600];
    snprintf(path, sizeof path, GOLDEN "%s", file);
    const struct json *j = read_json(path), *results = json_get(j, "results");
    struct str source_name = json_str(json_get(j, "template"), STR(""));
    snprintf(path, sizeof path, JINJA "%.*s", STR_ARG(source_name));
    struct str source = read_file(path);
    int n = 0, bad = 0;
    for (const struct json *r = results ? results->child : NULL; r; r = r->next, n++) {
        char key[100];
        snprintf(key, sizeof key, "%.*s", STR_ARG(r->key));
        const struct json *input = json_get(cases, key);
        snprintf(name, sizeof name, "%s, conversation %s", file, key);
        bad += !input || !agrees(name, source, input, r);
    }
    snprintf(name, sizeof name, "%.*s renders as the reference does", STR_ARG(source_name));
    tap_ok(n > 0 && !bad, name);
}

static void real_templates(void)
{
    const struct json *cases = read_json(GOLDEN "cases.json");
    struct dirent **list = NULL;
    int n = cases ? scandir(GOLDEN, &list, NULL, alphasort) : 0;
    if (!cases) SKIP("no shared golden templates");
    for (int i = 0; i < n; i++) {
        const char *f = list[i]->d_name;
        size_t len = strlen(f);
        if (len > 5 && !strcmp(f + len - 5, ".json") && strcmp(f, "cases.json") &&
            strcmp(f, "snippets.json"))
            real_template(f, cases);
        free(list[i]);
    }
    free(list);
}

int main(void)
{
    tap_timeout(120);
    arena_init(&all, 0);
    snippets("tests/data/templates.json", "cases", "our_cases_render_as_the_reference_does");
    snippets(GOLDEN "snippets.json", "snippets",
             "the_golden_snippets_render_as_the_reference_does");
    real_templates();
    arena_done(&all);
    return tap_done();
}
