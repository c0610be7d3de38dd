/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_guard.c: somebody's text within a prompt must not become control tokens: a message that says <|im_end|> would end its own turn
 * and begin another.
 *
 * A chat template is text to text, so what came from whom is lost on its way. Therefore a mark (the guard: a noncharacter that the text does
 * not hold) is put before each name of a control token in the message; the template carries it along as it carries the text; the search for
 * names takes none that stands behind a guard (vocab_added.c), and the guards are gone before the text becomes ids. Text without such names is
 * not touched, so its ids are what they are without all this.
 */
#include "text/bpe.h"

/* Does a control token's name begin here? */
static int is_control(const struct vocab *v, const struct trie *t, struct str s)
{
    uint32_t node = 0;
    for (size_t i = 0; t->nnode && i < s.n && (node = trie_step(t, node, (unsigned char)s.p[i])); i++) {
        int type = t->value[node] < 0 ? 0 : vocab_type_of(v, t->value[node]);
        if (type == TOKEN_CONTROL || type == TOKEN_UNKNOWN) return 1;
    }
    return 0;
}

int vocab_guard(const struct vocab *v, struct str text, struct str guard, struct buf *out)
{
    size_t done = 0;
    int found = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (!is_control(v, &v->added, str_from(text, i)) && !is_control(v, &v->added_norm, str_from(text, i))) continue;
        buf_add(out, text.p + done, i - done);
        buf_str(out, guard);
        done = i;
        found = 1;
    }
    buf_add(out, text.p + done, text.n - done);
    return found;
}

int vocab_unguard(struct str guard, struct str s, struct buf *out)
{
    size_t done = 0;
    for (size_t i = 0; guard.n && i + guard.n <= s.n;) {
        const char *hit = memchr(s.p + i, guard.p[0], s.n - guard.n + 1 - i);
        if (!hit) break;
        i = (size_t)(hit - s.p);
        if (memcmp(hit, guard.p, guard.n) != 0) {
            i++;
            continue;
        }
        buf_add(out, s.p + done, i - done);
        done = i += guard.n;
    }
    if (!done) return 0;
    buf_add(out, s.p + done, s.n - done);
    return 1;
}
