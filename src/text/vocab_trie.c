/* SPDX-License-Identifier: Apache-2.0
 * text/vocab_trie.c: see vocab_trie.h. */
#include "text/vocab_trie.h"

#include "base/err.h"
#include "base/mem.h"
#include "text/vocab_table.h"

void trie_done(struct trie *t)
{
    mem_free(t->edge);
    mem_free(t->value);
    *t = (struct trie){0};
}

/* Puts an edge into its place; how many places were tried. */
static uint32_t put(struct trie *t, uint64_t e)
{
    uint32_t i = (uint32_t)((e >> 28) * 0x9e3779b97f4a7c15 >> t->shift), tries = 1;
    for (; t->edge[i]; tries++) i = (i + 1) & t->mask;
    t->edge[i] = e;
    return tries;
}

static int grow_edges(struct trie *t)
{
    struct trie old = *t;
    uint64_t places = t->edge ? ((uint64_t)t->mask + 1) * 2 : 64;
    t->edge = mem_zalloc(places * 8);
    if (!t->edge) {
        t->edge = old.edge;
        return LAR_ENOMEM;
    }
    t->mask = (uint32_t)(places - 1);
    t->shift = vocab_table_shift(places);
    for (uint64_t i = 0; old.edge && i <= old.mask; i++)
        if (old.edge[i]) put(t, old.edge[i]);
    mem_free(old.edge);
    return 0;
}

static int new_node(struct trie *t, uint32_t *node)
{
    if (t->nnode == TRIE_NODES_MAX) return LAR_ELIMIT;
    if (t->nnode == t->node_cap) {
        uint32_t cap = t->node_cap ? t->node_cap * 2 : 64;
        int32_t *v = mem_resize(t->value, (size_t)cap * 4);
        if (!v) return LAR_ENOMEM;
        t->value = v;
        t->node_cap = cap;
    }
    t->value[*node = t->nnode++] = -1;
    return 0;
}

int trie_add(struct trie *t, struct str key, int32_t value)
{
    uint32_t node = 0, child;
    int rc;
    if (!t->nnode && (rc = new_node(t, &node)) < 0) return rc;
    if (!t->edge && (rc = grow_edges(t)) < 0) return rc;
    for (size_t i = 0; i < key.n; i++, node = child) {
        unsigned char c = (unsigned char)key.p[i];
        if ((child = trie_step(t, node, c))) continue;
        if ((rc = new_node(t, &child)) < 0) return rc;
        if (node == 0) {
            t->root[c] = child;
            continue;
        }
        if (((uint64_t)t->nedge + 1) * 8 > ((uint64_t)t->mask + 1) * 5 && (rc = grow_edges(t)) < 0)
            return rc;
        if (put(t, (uint64_t)node << 36 | (uint64_t)c << 28 | child) > PROBES_MAX) return LAR_ELIMIT;
        t->nedge++;
    }
    if (node && t->value[node] < 0) t->value[node] = value;
    return 0;
}

int32_t trie_longest(const struct trie *t, struct str s, size_t *n)
{
    int32_t best = -1;
    uint32_t node = 0;
    if (!t->nnode) return -1;
    for (size_t i = 0; i < s.n && (node = trie_step(t, node, (unsigned char)s.p[i])); i++) {
        if (t->value[node] < 0) continue;
        best = t->value[node];
        *n = i + 1;
    }
    return best;
}
