/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/config.c: see config.h. Two forms of the rotation are in the wild: rope_theta, rope_scaling and
 * partial_rotary_factor at the top (transformers 4), or all of them in rope_parameters, whole or one object for each kind of
 * layer (transformers 5). Readers here do not care which.
 */
#include "convert/config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/filemap.h"

enum { FILE_MAX = 64 << 20 };

char *config_path(struct config *c, const char *name)
{
    struct buf b = {0};
    buf_str(&b, buf_view(&c->folder));
    buf_putc(&b, '/');
    buf_puts(&b, name);
    char *p = b.failed ? NULL : arena_copy(&c->a, b.p, b.n);
    buf_done(&b);
    return p;
}

int config_file(struct config *c, const char *name, struct str *out, struct lar_err *err)
{
    struct filemap m;
    const char *path = config_path(c, name);
    if (!path) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", name);
    if (access(path, F_OK) && errno == ENOENT) return 0;
    int rc = filemap_open(&m, path, err);
    if (rc < 0) return rc;
    char *p = m.n > FILE_MAX ? NULL : arena_copy(&c->a, (const char *)m.p, m.n);
    *out = (struct str){p, m.n};
    if (m.n > FILE_MAX)
        rc = lar_fail(err, LAR_ELIMIT, "%s: more than %d MiB", path, FILE_MAX >> 20);
    else if (!p)
        rc = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    filemap_close(&m);
    return rc < 0 ? rc : 1;
}

static int read_kind(struct config *c, const char *name, enum json_kind kind, const struct json **out,
                     struct lar_err *err)
{
    struct str text;
    struct lar_err why = {0};
    int rc = config_file(c, name, &text, err);
    if (rc <= 0) return rc;
    *out = json_parse(&c->a, text, &why);
    if (!*out) return lar_fail(err, why.code, "%s/%s: %s", buf_z(&c->folder), name, why.msg);
    if ((*out)->kind != kind)
        return lar_fail(err, LAR_EFORMAT, "%s/%s: is no JSON %s", buf_z(&c->folder), name,
                        kind == JSON_ARRAY ? "array" : "object");
    return 1;
}

static int read_json(struct config *c, const char *name, const struct json **out, struct lar_err *err)
{
    return read_kind(c, name, JSON_OBJECT, out, err);
}

const struct json *config_in(const struct json *object, const char *names)
{
    char key[64];
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, "|");
        if (n < sizeof key) {
            memcpy(key, p, n);
            key[n] = 0;
            const struct json *v = json_get(object, key);
            if (v && v->kind != JSON_NULL) return v;
        }
        p += n + (p[n] == '|');
    }
    return NULL;
}

const struct json *config_find(const struct config *c, const char *names)
{
    const struct json *v = config_in(c->text, names);
    return v ? v : config_in(c->root, names);
}

static int not_so(const struct config *c, const struct json *v, const char *what, struct lar_err *err)
{
    return lar_fail(err, LAR_EFORMAT, "%s/config.json: %.*s is not %s", buf_z(&c->folder), STR_ARG(v->key), what);
}

static int as_u32(const struct config *c, const struct json *v, uint32_t *out, struct lar_err *err)
{
    if (!v) return 0;
    if (v->kind == JSON_NUMBER && !v->is_int && v->num >= 0 && v->num <= UINT32_MAX && floor(v->num) >= v->num) {
        *out = (uint32_t)v->num; /* 4096.0 */
        return 1;
    }
    if (v->kind != JSON_NUMBER || !v->is_int || v->i < 0 || v->i > UINT32_MAX)
        return not_so(c, v, "a whole number from 0 to 2^32 - 1", err);
    *out = (uint32_t)v->i;
    return 1;
}

static int as_num(const struct config *c, const struct json *v, double *out, struct lar_err *err)
{
    if (!v) return 0;
    if (v->kind != JSON_NUMBER || !isfinite(v->num)) return not_so(c, v, "a number", err);
    *out = v->num;
    return 1;
}

int config_u32(const struct config *c, const char *names, uint32_t *out, struct lar_err *err)
{
    return as_u32(c, config_find(c, names), out, err);
}

int config_num(const struct config *c, const char *names, double *out, struct lar_err *err)
{
    return as_num(c, config_find(c, names), out, err);
}

int config_rope(const struct config *c, const char *names, double *out, struct lar_err *err)
{
    const struct json *v = config_in(c->rope_full, names);
    if (!v) v = config_in(c->rope, names);
    return as_num(c, v ? v : config_find(c, names), out, err);
}

struct str config_rope_type(const struct config *c)
{
    return json_str(config_in(c->rope_full, "rope_type|type"), STR("default"));
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static void find_parts(struct config *c)
{
    c->text = config_in(c->root, "text_config|llm_config|language_config");
    if (c->text && c->text->kind != JSON_OBJECT) c->text = NULL;
    c->rope = config_find(c, "rope_parameters|rope_scaling");
    if (c->rope && c->rope->kind != JSON_OBJECT) c->rope = NULL;
    c->rope_full = config_in(c->rope, "full_attention");
    c->rope_window = config_in(c->rope, "sliding_attention");
    if (!c->rope_full) c->rope_full = c->rope;
    const struct json *names = config_in(c->root, "architectures");
    c->architecture = json_str(names && names->kind == JSON_ARRAY ? names->child : NULL, STR(""));
    c->model_type = json_str(config_find(c, "model_type"), STR(""));
}

const struct json *config_module(const struct config *c, const char *kind)
{
    size_t n = strlen(kind);
    for (const struct json *v = c->modules ? c->modules->child : NULL; v; v = v->next) {
        struct str type = json_str(config_in(v, "type"), STR(""));
        if (str_ends(type, str_of(kind)) && (type.n == n || type.p[type.n - n - 1] == '.')) return v;
    }
    return NULL;
}

/* What sentence-transformers keeps: an old release named its file by the kind of the model. */
static int read_sentence(struct config *c, struct lar_err *err)
{
    static const char *const names[] = {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"};
    char name[320] = "1_Pooling/config.json";
    int rc = read_kind(c, "modules.json", JSON_ARRAY, &c->modules, err);
    if (rc < 0) return rc;
    const struct json *pool = config_module(c, "Pooling");
    struct str at = json_str(config_in(pool, "path"), STR(""));
    if (pool && (!at.n || at.n > 255 || at.p[0] == '.' || memchr(at.p, '/', at.n) || memchr(at.p, 0, at.n)))
        return lar_fail(err, LAR_EFORMAT,
                        "%s/modules.json: the path \"%.*s\" of Pooling is no name of a folder beside it",
                        buf_z(&c->folder), STR_ARG(at));
    if (pool) snprintf(name, sizeof name, "%.*s/config.json", STR_ARG(at));
    if ((!c->modules || pool) && (rc = read_json(c, name, &c->pooling, err)) < 0) return rc;
    if (pool && rc == 0)
        return lar_fail(err, LAR_EFORMAT, "%s/%s: is missing, and modules.json names it", buf_z(&c->folder), name);
    for (size_t i = 0; i < sizeof names / sizeof *names && !c->sentence; i++) {
        snprintf(name, sizeof name, "sentence_%s_config.json", names[i]);
        if ((rc = read_json(c, name, &c->sentence, err)) < 0) return rc;
    }
    return read_json(c, "config_sentence_transformers.json", &c->prompts, err);
}

static int read_all(struct config *c, struct lar_err *err)
{
    int rc;
    if (c->folder.failed) return lar_fail(err, LAR_ENOMEM, "path: out of memory");
    const char *slash = strrchr(buf_z(&c->folder), '/');
    c->name = str_of(slash ? slash + 1 : buf_z(&c->folder));
    if ((rc = read_json(c, "config.json", &c->root, err)) < 0) return rc;
    if ((rc = read_json(c, "generation_config.json", &c->generation, err)) < 0) return rc;
    if ((rc = read_sentence(c, err)) < 0) return rc;
    if ((rc = config_file(c, "README.md", &c->readme, err)) < 0) return rc;
    find_parts(c);
    return 0;
}

int config_open(struct config *c, const char *folder, struct lar_err *err)
{
    size_t n = strlen(folder);
    *c = (struct config){0};
    arena_init(&c->a, (size_t)1 << 30);
    while (n > 1 && folder[n - 1] == '/') n--;
    buf_add(&c->folder, folder, n);
    int rc = read_all(c, err);
    if (rc < 0) config_close(c);
    return rc < 0 ? rc : 0;
}

int config_parse(struct config *c, struct str text, struct lar_err *err)
{
    *c = (struct config){0};
    arena_init(&c->a, (size_t)1 << 30);
    buf_puts(&c->folder, "export");
    c->given = 1;
    c->root = json_parse(&c->a, text, err);
    if (!c->root || c->folder.failed) {
        config_close(c);
        return lar_fail(err, LAR_ENOMEM, "config.json: out of memory");
    }
    find_parts(c);
    return 0;
}

void config_close(struct config *c)
{
    arena_done(&c->a);
    buf_done(&c->folder);
    *c = (struct config){0};
}
