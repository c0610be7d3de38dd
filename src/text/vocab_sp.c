/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_sp.c: SentencePiece's tokenizer.model: a ModelProto (sentencepiece_model.proto) in protobuf's wire format.
 *
 * What is read: pieces (field 1: piece 1, score 2, type 3), trainer_spec (2: model_type 3, treat_whitespace_as_suffix 24, unk, bos, eos,
 * pad ids 40-43), normalizer_spec (3: precompiled_charsmap 2, add_dummy_prefix 3, remove_extra_whitespaces 4, escape_whitespaces 5).
 * Defaults are proto2's. Unknown fields are passed over, as protobuf does it.
 */
#include "text/vocab_make.h"

struct wire {
    const unsigned char *p, *end;
};

struct field {
    unsigned number, type;
    uint64_t value;   /* varint, or the bits of a fixed32 or fixed64 */
    struct str bytes; /* type 2 */
};

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

static int varint(struct wire *w, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        unsigned char c = *w->p++;
        *out |= (uint64_t)(c & 127) << shift;
        if (c < 128) return 0;
    }
    return -1;
}

/* 1: a field was read; 0: the end; -1: this is no protobuf. */
static int next(struct wire *w, struct field *f)
{
    uint64_t tag;
    if (w->p == w->end) return 0;
    if (varint(w, &tag) < 0 || tag >> 32 || !(tag >> 3)) return -1;
    *f = (struct field){.number = (unsigned)(tag >> 3), .type = tag & 7};
    size_t left;
    switch (f->type) {
    case VARINT: return varint(w, &f->value) < 0 ? -1 : 1;
    case BYTES:
        if (varint(w, &f->value) < 0 || f->value > (uint64_t)(w->end - w->p)) return -1;
        f->bytes = (struct str){(const char *)w->p, (size_t)f->value};
        w->p += f->value;
        return 1;
    case FIXED32:
    case FIXED64:
        left = f->type == FIXED32 ? 4 : 8;
        if ((size_t)(w->end - w->p) < left) return -1;
        for (size_t i = 0; i < left; i++) f->value |= (uint64_t)w->p[i] << 8 * i;
        w->p += left;
        return 1;
    default: return -1;
    }
}

static struct wire wire_of(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    return (struct wire){p, p + s.n};
}

static int malformed(struct lar_err *err)
{
    return lar_fail(err, LAR_EFORMAT,
                    "tokenizer.model: is no SentencePiece model: its protobuf is malformed");
}

/* SentencePiece's types are those of a GGUF (which has them from there), NORMAL = 1 to BYTE = 6, USER_DEFINED = 4, UNUSED = 5. */
static int read_piece(struct vocab_make *m, struct str s, size_t id, struct lar_err *err)
{
    struct wire w = wire_of(s);
    struct field f;
    struct str piece = STR("");
    uint64_t type = TOKEN_NORMAL;
    float score = 0;
    int rc;
    while ((rc = next(&w, &f)) > 0) {
        if (f.number == 1 && f.type == BYTES)
            piece = f.bytes;
        else if (f.number == 2 && f.type == FIXED32)
            memcpy(&score, &(uint32_t){(uint32_t)f.value}, 4);
        else if (f.number == 3 && f.type == VARINT)
            type = f.value;
    }
    if (rc < 0) return malformed(err);
    if (type < TOKEN_NORMAL || type > TOKEN_BYTE || !piece.n)
        return lar_fail(
            err, LAR_EFORMAT,
            "tokenizer.model: piece %zu \"%.*s\" is of type %llu, expected a text and a type from 1 to 6",
            id, STR_ARG(piece), (unsigned long long)type);
    return vocab_make_token(m, (int64_t)id, piece, (enum token_type)type, (double)score, err);
}

struct trainer {
    uint64_t model_type, suffix;
    int64_t unk, bos, eos, pad;
};

static int read_trainer(struct trainer *t, struct str s, struct lar_err *err)
{
    struct wire w = wire_of(s);
    struct field f;
    int rc;
    while ((rc = next(&w, &f)) > 0) {
        if (f.type != VARINT) continue;
        switch (f.number) {
        case 3: t->model_type = f.value; break;
        case 24: t->suffix = f.value; break;
        case 40: t->unk = (int32_t)f.value; break;
        case 41: t->bos = (int32_t)f.value; break;
        case 42: t->eos = (int32_t)f.value; break;
        case 43: t->pad = (int32_t)f.value; break;
        default: break;
        }
    }
    return rc < 0 ? malformed(err) : 0;
}

static int read_normalizer(struct vocab_make *m, struct str s, struct lar_err *err)
{
    struct wire w = wire_of(s);
    struct field f;
    int rc, escape = 1;
    while ((rc = next(&w, &f)) > 0) {
        if (f.number == 2 && f.type == BYTES) m->charsmap = f.bytes;
        if (f.type != VARINT) continue;
        if (f.number == 3)
            m->prefix = f.value ? PREFIX_ALWAYS : PREFIX_NONE;
        else if (f.number == 4)
            m->remove_spaces = f.value != 0;
        else if (f.number == 5)
            escape = f.value != 0;
    }
    if (rc < 0) return malformed(err);
    return escape
               ? 0
               : lar_fail(
                     err, LAR_EUNSUPPORTED,
                     "tokenizer.model: escape_whitespaces is off; Lar knows models that have it on");
}

static int32_t id_of(const struct vocab_make *m, int64_t id, enum token_type a, enum token_type b)
{
    return id >= 0 && id < (int64_t)m->n && (m->type[id] == (uint8_t)a || m->type[id] == (uint8_t)b)
               ? (int32_t)id
               : -1;
}

int vocab_sp_read(struct vocab_make *m, struct str file, struct lar_err *err)
{
    struct trainer t = {.model_type = 1, .unk = 0, .bos = 1, .eos = 2, .pad = -1};
    struct wire w = wire_of(file);
    struct field f;
    int rc = 0, more;
    m->prefix = PREFIX_ALWAYS;
    m->remove_spaces = 1;
    m->scores = 1;
    while ((more = next(&w, &f)) > 0 && rc == 0) {
        if (f.type != BYTES) continue;
        if (f.number == 1)
            rc = read_piece(m, f.bytes, m->n, err);
        else if (f.number == 2)
            rc = read_trainer(&t, f.bytes, err);
        else if (f.number == 3)
            rc = read_normalizer(m, f.bytes, err);
    }
    if (rc < 0) return rc;
    if (more < 0) return malformed(err);
    static const char *const kinds[] = {
        "", "t5", "llama", "", "llama"}; /* unigram 1, bpe 2, word 3, char 4: BPE without merges */
    if (t.model_type >= sizeof kinds / sizeof *kinds || !*kinds[t.model_type])
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.model: model_type %llu; known are 1 unigram, 2 bpe and 4 char",
                        (unsigned long long)t.model_type);
    if (t.suffix)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.model: treat_whitespace_as_suffix is not known");
    m->model = kinds[t.model_type];
    m->pre = STR("default");
    m->special.unk = id_of(m, t.unk, TOKEN_UNKNOWN, TOKEN_UNKNOWN);
    m->special.bos = id_of(m, t.bos, TOKEN_CONTROL, TOKEN_USER);
    m->special.eos = id_of(m, t.eos, TOKEN_CONTROL, TOKEN_USER);
    m->special.pad = id_of(m, t.pad, TOKEN_CONTROL, TOKEN_USER);
    return 0;
}
