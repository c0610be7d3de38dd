/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_hf.c: finding a tokenizer's files, and what the files beside it say: which tokens begin, end and fill, what is added, the
 * chat template.
 *
 * Of two forms of the same tokenizer in a folder tokenizer.json is read: it is what transformers runs. Ids of special tokens: what
 * tokenizer.json itself adds, then tokenizer_config.json and special_tokens_map.json (names), then generation_config.json and config.json (ids).
 */
#include <stdio.h>
#include <sys/stat.h>

#include "io/filemap.h"
#include "text/vocab_make.h"

enum { PATH_BYTES = 4096 };

/* Everything that is mapped until the keys are written. */
struct files {
    char dir[PATH_BYTES]; /* with a slash behind it, or empty */
    struct filemap map[12];
    int n;
};

static int path_of(const struct files *f, const char *name, char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, "%s%s", f->dir, name);
    return n > 0 && n < PATH_BYTES ? 0 : -1;
}

static int is_there(const struct files *f, const char *name)
{
    char path[PATH_BYTES];
    struct stat st;
    return path_of(f, name, path) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Maps a file; it stays until files_done. */
static int map_path(struct files *f, const char *path, struct str *out, struct lar_err *err)
{
    if (f->n == (int)(sizeof f->map / sizeof *f->map))
        return lar_fail(err, LAR_ELIMIT, "%s: one file too many", path);
    int rc = filemap_open(&f->map[f->n], path, err);
    if (rc < 0) return rc;
    *out = (struct str){(const char *)f->map[f->n].p, f->map[f->n].n};
    if (!out->p) *out = STR("");
    f->n++;
    return 0;
}

static int map_name(struct files *f, const char *name, struct str *out, struct lar_err *err)
{
    char path[PATH_BYTES];
    if (path_of(f, name, path) < 0)
        return lar_fail(err, LAR_ELIMIT, "%s%s: the path is too long", f->dir, name);
    return map_path(f, path, out, err);
}

/* A JSON file beside the tokenizer's; NULL in *out when there is none. */
static int side_json(struct files *f, struct vocab_make *m, const char *name,
                     const struct json **out, struct lar_err *err)
{
    struct str text;
    struct lar_err why;
    *out = NULL;
    if (!is_there(f, name)) return 0;
    int rc = map_name(f, name, &text, err);
    if (rc < 0) return rc;
    *out = json_parse(&m->a, text, &why);
    return *out ? 0 : lar_fail(err, why.code, "%s%s: %s", f->dir, name, why.msg);
}

/* ---- what the files beside it say ------------------------------------------------------------------------------------- */

/* A token is named by its text, or by an object that has it. */
static struct str token_name(const struct json *v)
{
    return json_str(v && v->kind == JSON_OBJECT ? json_get(v, "content") : v, STR(""));
}

static const struct {
    const char *key;
    size_t field;
} roles[] = {
#define F(name) offsetof(struct vocab_special, name)
    {"bos_token", F(bos)}, {"eos_token", F(eos)}, {"unk_token", F(unk)},   {"sep_token", F(sep)},
    {"pad_token", F(pad)}, {"cls_token", F(cls)}, {"mask_token", F(mask)},
#undef F
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int32_t *role(struct vocab_make *m, size_t i)
{
    return (int32_t *)(void *)((char *)&m->special + roles[i].field);
}

static void read_names(struct vocab_make *m, const struct json *v)
{
    for (size_t i = 0; v && i < COUNT(roles); i++)
        if (*role(m, i) < 0)
            *role(m, i) = vocab_make_find(m, token_name(json_get(v, roles[i].key)));
}

/* eos_token_id may be a list: the first is eos, a second one eot. */
static void read_ids(struct vocab_make *m, const struct json *v)
{
    for (size_t i = 0; v && i < COUNT(roles); i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_id", roles[i].key);
        const struct json *id = json_get(v, key), *second = NULL;
        if (id && id->kind == JSON_ARRAY) {
            second = id->child ? id->child->next : NULL;
            id = id->child;
        }
        int ok = id && id->is_int && id->i >= 0 && id->i < (int64_t)m->n;
        if (ok && *role(m, i) < 0) *role(m, i) = (int32_t)id->i;
        if (ok && second && second->is_int && second->i >= 0 && second->i < (int64_t)m->n &&
            !strcmp(roles[i].key, "eos_token") && m->special.eot < 0)
            m->special.eot = (int32_t)second->i;
    }
}

/* added_tokens_decoder: {"id": {"content": ..., "special": ...}}, for tokenizers without a tokenizer.json. */
static int read_decoder(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    int rc = 0;
    for (const struct json *e = v ? v->child : NULL; e && rc == 0; e = e->next) {
        struct json id = {.kind = JSON_NUMBER, .is_int = 1, .key = STR("id")}, object = *e,
                    list = {.kind = JSON_ARRAY, .child = &object};
        for (size_t i = 0; i < e->key.n && id.i < MAKE_IDS_MAX; i++) {
            if (e->key.p[i] < '0' || e->key.p[i] > '9')
                return lar_fail(err, LAR_EFORMAT,
                                "tokenizer_config.json: added_tokens_decoder: \"%.*s\" is no id",
                                STR_ARG(e->key));
            id.i = id.i * 10 + (e->key.p[i] - '0');
        }
        id.next = e->child;
        object.child = &id;
        object.next = NULL;
        if (id.i < (int64_t)m->n && m->type[id.i] == TOKEN_UNKNOWN)
            m->added[id.i] |= MAKE_ADDED;
        else
            rc = vocab_hf_added(m, &list, err);
    }
    return rc;
}

/* added_tokens.json: {"text": id}; the user's own, as transformers has it, unless a role is theirs (read_names comes later). */
static int read_added(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    int rc = 0;
    for (const struct json *e = v ? v->child : NULL; e && rc == 0; e = e->next) {
        if (!e->is_int)
            return lar_fail(err, LAR_EFORMAT, "added_tokens.json: the id of \"%.*s\" is no integer",
                            STR_ARG(e->key));
        if (e->i >= 0 && e->i < (int64_t)m->n && m->added[e->i]) continue;
        rc = vocab_make_token(m, e->i, e->key, TOKEN_USER, -1000, err);
        if (rc == 0) m->added[e->i] = MAKE_ADDED;
    }
    return rc;
}

static void read_template(struct vocab_make *m, const struct json *v)
{
    if (!v || m->chat_template.n) return;
    if (v->kind == JSON_STRING) m->chat_template = v->s;
    for (const struct json *e = v->kind == JSON_ARRAY ? v->child : NULL; e; e = e->next)
        if (str_is(json_str(json_get(e, "name"), STR("")), "default"))
            m->chat_template = json_str(json_get(e, "template"), STR(""));
}

static void say(int *flag, const struct json *v)
{
    if (v && v->kind == JSON_BOOL) *flag = v->boolean;
}

/* What is added without a post_processor: what tokenizer_config.json asks for. */
static void read_adds(struct vocab_make *m, const struct json *config, int whole)
{
    if (whole) return;
    say(&m->special.add_bos, json_get(config, "add_bos_token"));
    say(&m->special.add_eos, json_get(config, "add_eos_token"));
    if (strcmp(m->model, "bert") != 0) return;
    say(&m->lowercase, json_get(config, "do_lower_case"));
    m->strip_accents = m->lowercase;
    say(&m->strip_accents, json_get(config, "strip_accents"));
}

/* whole: tokenizer.json was read, which leaves nothing to say about tokens. */
static int read_side(struct files *f, struct vocab_make *m, int whole, struct lar_err *err)
{
    const struct json *config, *map, *added, *generation, *model, *chat;
    struct str jinja;
    int rc;
    if (is_there(f, "chat_template.jinja")) {
        if ((rc = map_name(f, "chat_template.jinja", &jinja, err)) < 0) return rc;
        m->chat_template = jinja;
    }
    if ((rc = side_json(f, m, "tokenizer_config.json", &config, err)) < 0) return rc;
    if ((rc = side_json(f, m, "special_tokens_map.json", &map, err)) < 0) return rc;
    if ((rc = side_json(f, m, "added_tokens.json", &added, err)) < 0) return rc;
    if ((rc = side_json(f, m, "generation_config.json", &generation, err)) < 0) return rc;
    if ((rc = side_json(f, m, "config.json", &model, err)) < 0) return rc;
    if ((rc = side_json(f, m, "chat_template.json", &chat, err)) < 0) return rc;
    if (!whole && (rc = read_decoder(m, json_get(config, "added_tokens_decoder"), err)) < 0)
        return rc;
    if (!whole && (rc = read_added(m, added, err)) < 0) return rc;
    read_names(m, config);
    read_names(m, map);
    read_ids(m, generation);
    read_ids(m, model);
    read_adds(m, config, whole);
    read_template(m, json_get(chat, "chat_template"));
    read_template(m, json_get(config, "chat_template"));
    return 0;
}

/* The keys that others know, from what the post_processor adds. */
static void adds_as_flags(struct vocab_make *m)
{
    struct vocab_special *sp = &m->special;
    if (!m->lists) return;
    int bert = !strcmp(m->model, "bert");
    sp->add_bos = m->nbefore > 0;
    sp->add_eos = !bert && m->nafter > 0;
    sp->add_sep = bert ? m->nafter > 0 : -1;
    if (bert) {
        if (sp->cls < 0 && m->nbefore) sp->cls = m->before[0];
        if (sp->sep < 0 && m->nafter) sp->sep = m->after[0];
        if (sp->bos < 0) sp->bos = sp->cls; /* by these names others put them around a text */
        if (sp->eos < 0) sp->eos = sp->sep;
    }
    if (!bert && sp->bos < 0 && m->nbefore) sp->bos = m->before[0];
    if (!bert && sp->eos < 0 && m->nafter) sp->eos = m->after[0];
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

static const char *const names[] = {"tokenizer.json",          "tokenizer.model", "spiece.model",
                                    "sentencepiece.bpe.model", "vocab.json",      "vocab.txt",
                                    "tiktoken.model",          "qwen.tiktoken"};

/* vocab.json and merges.txt say nothing of how text is cut; tokenizer_config.json's class does. */
static int read_pair(struct files *f, struct vocab_make *m, struct str vocab, struct lar_err *err)
{
    const struct json *config;
    struct str merges;
    int rc = map_name(f, "merges.txt", &merges, err);
    if (rc == 0) rc = side_json(f, m, "tokenizer_config.json", &config, err);
    return rc < 0 ? rc
                  : vocab_hf_pair(m, vocab, merges,
                                  json_str(json_get(config, "tokenizer_class"), STR("")), err);
}

/* XLM-R numbers SentencePiece's pieces as fairseq did: <s>, <pad>, </s>, <unk>, then those from the fourth on, <mask> at the end. */
static int as_fairseq(struct vocab_make *m, struct lar_err *err)
{
    static const char *const first[] = {"<s>", "<pad>", "</s>", "<unk>"};
    size_t n = m->n, rest;
    int rc = n < 4 ? lar_fail(err, LAR_EFORMAT, "sentencepiece.bpe.model: only %zu pieces", n)
                   : vocab_make_room(m, n + 2, err);
    if (rc < 0) return rc;
    rest = n - 3;
    memmove(m->token + 4, m->token + 3, rest * sizeof *m->token);
    memmove(m->type + 4, m->type + 3, rest * sizeof *m->type);
    memmove(m->added + 4, m->added + 3, rest * sizeof *m->added);
    memmove(m->score + 4, m->score + 3, rest * sizeof *m->score);
    for (size_t i = 0; i < 4 && rc == 0; i++) {
        m->added[i] = 0;
        rc = vocab_make_token(m, (int64_t)i, str_of(first[i]), i == 3 ? TOKEN_UNKNOWN : TOKEN_CONTROL, 0, err);
    }
    if (rc == 0) rc = vocab_make_token(m, (int64_t)n + 1, STR("<mask>"), TOKEN_CONTROL, 0, err);
    m->special.bos = m->special.cls = 0;
    m->special.pad = 1;
    m->special.eos = m->special.sep = 2;
    m->special.unk = 3;
    m->special.add_bos = m->special.add_eos = 1;
    return rc;
}

static int read_pieces(struct files *f, struct vocab_make *m, struct str text, struct lar_err *err)
{
    const struct json *config;
    int rc = vocab_sp_read(m, text, err);
    if (rc == 0) rc = side_json(f, m, "tokenizer_config.json", &config, err);
    if (rc < 0) return rc;
    struct str class = json_str(json_get(config, "tokenizer_class"), STR(""));
    return str_starts(class, STR("XLMRoberta")) ? as_fairseq(m, err) : 0;
}

static int has_tail(const char *path, const char *tail)
{
    return str_ends(str_of(path), str_of(tail));
}

static int read_file(struct files *f, struct vocab_make *m, const char *path, int *whole,
                     struct lar_err *err)
{
    struct str text;
    int rc = map_path(f, path, &text, err);
    if (rc < 0) return rc;
    *whole = 0;
    if (has_tail(path, "vocab.json")) return read_pair(f, m, text, err);
    if (has_tail(path, ".txt")) return vocab_hf_wordpieces(m, text, err);
    size_t i = 0;
    while (i < text.n && strchr(" \t\r\n", text.p[i]) && text.p[i]) i++;
    if (i < text.n && text.p[i] == '{') return *whole = 1, vocab_hf_json(m, text, err);
    return vocab_tiktoken_is(text) ? vocab_tiktoken_read(m, text, err)
                                   : read_pieces(f, m, text, err);
}

static int open_all(struct files *f, struct vocab_make *m, const char *path, struct lar_err *err)
{
    struct stat st;
    char file[PATH_BYTES];
    size_t n = strlen(path), k = 0;
    int whole;
    if (stat(path, &st) < 0) return lar_fail_errno(err, "%s", path);
    if (n + 2 > PATH_BYTES)
        return lar_fail(err, LAR_ELIMIT, "the path is too long: %.80s...", path);
    memcpy(f->dir, path, n + 1);
    memcpy(file, path, n + 1);
    if (S_ISDIR(st.st_mode)) {
        if (n && path[n - 1] != '/') memcpy(f->dir + n, "/", 2);
        while (k < COUNT(names) && !is_there(f, names[k])) k++;
        if (k == COUNT(names))
            return lar_fail(
                err, LAR_EFORMAT,
                "%s: no tokenizer.json, tokenizer.model, vocab.json with merges.txt, vocab.txt or tiktoken.model in it",
                path);
        if (path_of(f, names[k], file) < 0)
            return lar_fail(err, LAR_ELIMIT, "%s/%s: the path is too long", path, names[k]);
    } else {
        char *slash = strrchr(f->dir, '/');
        if (slash)
            slash[1] = 0;
        else
            f->dir[0] = 0;
    }
    int rc = read_file(f, m, file, &whole, err);
    if (rc == 0) rc = read_side(f, m, whole, err);
    return rc;
}

int vocab_hf_open(struct vocab_image *out, const char *path, int64_t rows, struct lar_err *err)
{
    struct files *f = mem_zalloc(sizeof *f);
    struct vocab_make m;
    *out = (struct vocab_image){.bytes = {0}};
    int rc = vocab_make_init(&m, err);
    if (!f) rc = lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
    if (rc == 0) rc = open_all(f, &m, path, err);
    if (rc == 0) adds_as_flags(&m);
    if (rc == 0 && rows > 0)
        rc = vocab_make_room(&m, rows > MAKE_IDS_MAX ? MAKE_IDS_MAX + 1 : (size_t)rows, err);
    if (rc == 0) rc = vocab_make_image(&m, &out->bytes, err);
    if (rc == 0) rc = gguf_open_memory(&out->g, out->bytes.p, out->bytes.n, err);
    for (int i = 0; f && i < f->n; i++) filemap_close(&f->map[i]);
    mem_free(f);
    vocab_make_done(&m);
    if (rc < 0) vocab_hf_close(out);
    return rc;
}

void vocab_hf_close(struct vocab_image *im)
{
    if (im->g.part || im->g.kv) gguf_close(&im->g);
    buf_done(&im->bytes);
    *im = (struct vocab_image){.bytes = {0}};
}

int vocab_hf_is(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) return 0;
    if (S_ISDIR(st.st_mode)) return 1;
    static const char *const tails[] = {".json", ".model", ".tiktoken", "vocab.txt"};
    for (size_t i = 0; i < COUNT(tails); i++)
        if (has_tail(path, tails[i])) return 1;
    return 0;
}
