/* SPDX-License-Identifier: Apache-2.0
 * store/name.c: see name.h. What has the right letters is copied whole; nothing is mended. */
#include "store/name.h"

enum part { HOST, SPACE, MODEL, TAG };

static int plain_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static int good(struct str s, enum part part)
{
    if (!s.n || s.n > (part == HOST ? NAME_HOST_MAX : NAME_PART_MAX) || !plain_letter(s.p[0]))
        return 0;
    for (size_t i = 1; i < s.n; i++) {
        char c = s.p[i];
        if (!plain_letter(c) && c != '-' && !(c == '.' && part != SPACE) &&
            !(c == ':' && part == HOST))
            return 0;
    }
    return 1;
}

static int take(char *to, struct str s, enum part part, struct str whole, struct lar_err *err)
{
    static const char *const what[] = {"host", "namespace", "model", "tag"};
    if (!good(s, part))
        return lar_fail(
            err, LAR_EINVAL,
            "'%.*s' is no model's name: its %s '%.*s' must begin with a letter or digit and go on with "
            "these, '_'%s and '-' (%d at most)",
            STR_ARG(whole), what[part], STR_ARG(s), part == SPACE ? "" : ", '.'",
            part == HOST ? NAME_HOST_MAX : NAME_PART_MAX);
    memcpy(to, s.p, s.n);
    to[s.n] = 0;
    return 0;
}

int name_is_digest(struct str hex)
{
    if (hex.n != SHA256_HEX) return 0;
    for (size_t i = 0; i < hex.n; i++)
        if (!(hex.p[i] >= '0' && hex.p[i] <= '9') && !(hex.p[i] >= 'a' && hex.p[i] <= 'f'))
            return 0;
    return 1;
}

int name_digest(struct str text, char hex[SHA256_HEX + 1])
{
    struct str rest = str_from(text, 7);
    if ((!str_starts(text, STR("sha256:")) && !str_starts(text, STR("sha256-"))) ||
        !name_is_digest(rest))
        return -1;
    memcpy(hex, rest.p, rest.n);
    hex[rest.n] = 0;
    return 0;
}

/* Cuts what follows the last c off *s; empty and 0 when there is none. */
static int cut_last(struct str *s, char c, struct str *tail)
{
    for (size_t i = s->n; i-- > 0;) {
        if (s->p[i] != c) continue;
        *tail = str_from(*s, i + 1);
        s->n = i;
        return 1;
    }
    *tail = (struct str){"", 0};
    return 0;
}

/* A colon behind the last slash begins a tag; one before it is a port's. */
static int cut_tag(struct str *s, struct str *tag)
{
    struct str rest = *s;
    if (!cut_last(&rest, ':', tag) || memchr(tag->p, '/', tag->n)) return 0;
    *s = rest;
    return 1;
}

static void cut_scheme(struct name *n, struct str *s)
{
    n->plain = str_starts(*s, STR("http://"));
    if (n->plain) *s = str_from(*s, 7);
    if (str_starts(*s, STR("https://"))) *s = str_from(*s, 8);
}

int name_parse(struct name *n, struct str text, struct lar_err *err)
{
    struct str s = text, at, tag, model, space = STR(NAME_SPACE), host = STR(NAME_HOST);
    *n = (struct name){.host = NAME_HOST, .space = NAME_SPACE, .tag = NAME_TAG};
    cut_scheme(n, &s);
    if (cut_last(&s, '@', &at) && name_digest(at, n->digest) < 0)
        return lar_fail(
            err, LAR_EINVAL,
            "'%.*s' is no model's name: behind @ stands sha256: and 64 hexadecimal digits",
            STR_ARG(text));
    if (n->digest[0] && !s.n) return 0;
    n->tagged = cut_tag(&s, &tag);
    int has_space = cut_last(&s, '/', &model), has_host = 0;
    if (has_space) {
        has_host = cut_last(&s, '/', &space);
        if (has_host)
            host = s;
        else
            space = s;
    } else {
        model = s;
    }
    if (str_is(host, "huggingface.co")) host = STR("hf.co");
    int e = take(n->model, model, MODEL, text, err);
    if (e == 0 && has_space) e = take(n->space, space, SPACE, text, err);
    if (e == 0 && has_host) e = take(n->host, host, HOST, text, err);
    if (e == 0 && n->tagged) e = take(n->tag, tag, TAG, text, err);
    return e;
}

void name_show(const struct name *n, struct buf *b)
{
    int home = strcmp(n->host, NAME_HOST) == 0;
    if (!home) buf_printf(b, "%s/", n->host);
    if (!home || strcmp(n->space, NAME_SPACE) != 0) buf_printf(b, "%s/", n->space);
    buf_printf(b, "%s:%s", n->model, n->tag);
}

void name_path(const struct name *n, struct buf *b)
{
    buf_printf(b, "%s/%s/%s/%s", n->host, n->space, n->model, n->tag);
}

int name_of_path(struct name *n, struct str path)
{
    struct str tag, model, space;
    *n = (struct name){.tagged = 1};
    if (!cut_last(&path, '/', &tag) || !cut_last(&path, '/', &model) ||
        !cut_last(&path, '/', &space))
        return -1;
    return take(n->host, path, HOST, path, NULL) || take(n->space, space, SPACE, path, NULL) ||
                   take(n->model, model, MODEL, path, NULL) || take(n->tag, tag, TAG, path, NULL)
               ? -1
               : 0;
}
