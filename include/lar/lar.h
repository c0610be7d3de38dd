/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/lar.h: the whole of liblar.
 *
 *     struct lar_err err;
 *     struct lar_model *m;
 *     struct lar_session *s;
 *     struct lar_result r;
 *     if (lar_model_open(&m, "models/lar-demo-q8_0.gguf", NULL, &err) < 0 ||
 *         lar_session_open(&s, m, NULL, &err) < 0)
 *         return fprintf(stderr, "%s\n", err.msg), 1;
 *     struct lar_message msg = {"user", "Where is my parcel 4711?"};
 *     struct lar_request req = {.messages = &msg, .nmessage = 1, .on_text = print_it};
 *     if (lar_generate(s, &req, &r, &err) < 0) return fprintf(stderr, "%s\n", err.msg), 1;
 *     lar_result_free(&r), lar_session_close(s), lar_model_close(m);
 *
 * Three kinds of things: a *model* is what a file holds, mapped and immutable after opening, and may be shared by any number of
 * threads and sessions; a *session* is one timeline of tokens with its memory of them, used by one thread at a time; a
 * *file* is for looking into a GGUF without running it.
 *
 * Errors: every int result is negative on failure (a code of lar/err.h; the sentence is in err, which may be NULL). The library
 * never prints, exits or aborts on input. Strings are UTF-8; where a length stands beside a pointer NULs are allowed, else they
 * end. Pointers that a function gives are borrowed until their object is closed unless it says that the caller frees them.
 * Options structs: zero means "the default" for every field unless it says otherwise, and NULL for the struct means all defaults.
 *
 * Growing: structs are plain, allocated by the caller, and carry no size. Whenever one of them or an enum changes, LAR_ABI is counted up, and with
 * it the name that programs are linked to (liblar.so.LAR_ABI): a program meets the library it was compiled for or is not started. Functions may be
 * added without that. Whoever loads the library by hand (dlopen, other languages) compares lar_abi() with the LAR_ABI of the header he wrote for.
 * Fill structs by field names ({.ctx = 2048}), so that compiling again is all that a new LAR_ABI asks of you.
 */
#ifndef LAR_LAR_H
#define LAR_LAR_H

#include <stddef.h>
#include <stdint.h>

#include <lar/err.h>
#include <lar/sample.h> /* struct lar_sampling, samplers */

#ifdef __cplusplus
extern "C" {
#endif

struct lar_model;
struct lar_session;
struct lar_file;
struct lar_grammar; /* lar/grammar.h */
struct lar_tools;   /* lar/tools.h */

#define LAR_ABI 6
LAR_API int lar_abi(void); /* the LAR_ABI that the library was built with */
LAR_API const char *lar_version(void); /* "0.1.0" */
/* The CPU level in use: "avx512", "avx2", "neon" or "c" (LAR_CPU in the environment lowers it). */
LAR_API const char *lar_cpu_level(void);
/* The i-th family of models that Lar knows, as GGUF's general.architecture has it; NULL: there are not so many. */
LAR_API const char *lar_family(size_t i);
/* Frees what a function says the caller frees; NULL is allowed. */
LAR_API void lar_free(void *p);

/* ---- model ------------------------------------------------------------------------------------------------------ */

struct lar_model_options {
    int threads; /* worker threads for this model, 0: as many as cores were given to the process */
    int deterministic; /* 1: results do not depend, to the last bit, on batch sizes, slices, threads, or what else a step evaluates; prompts are slower */
    int vocab_only; /* 1: tokenizer and template only, so the file need hold no more; lar_session_open refuses then */
    const char *chat_template; /* in place of the file's: Jinja when it has "{%", else Go's language, as Ollama's Modelfiles have it; NULL: the file's */
    const struct lar_adapter *adapters; /* lar/convert.h; all at once; one that does not fit wholly is refused */
    size_t nadapter;
};

/* Opens a .gguf (version 2 or 3; the first part of a split one opens all); with vocab_only also a Hugging Face folder, tokenizer.json,
 * tokenizer.model or .tiktoken file. The caller closes with lar_model_close. The file is mapped, not read: whoever cuts it short while it is
 * open kills the process (SIGBUS), as with any mapped file. Replace a model by renaming a new file over it, never in place. */
LAR_API int lar_model_open(struct lar_model **out, const char *path,
                           const struct lar_model_options *opt, struct lar_err *err);
LAR_API void lar_model_close(struct lar_model *m); /* it lives on until its last session is closed; NULL is allowed */

struct lar_model_info {
    const char *architecture; /* general.architecture */
    const char *name;         /* general.name, "" when absent */
    int ctx_train;            /* context length the model was trained with */
    int vocab;                /* number of token ids */
    int layers, width;        /* blocks; embedding length */
    int threads;              /* worker threads in use */
    int has_template;         /* a chat template is in the file */
    int can_think;            /* the template knows a thinking part */
    int64_t parameters;       /* number of weights */
    uint64_t weight_bytes;    /* their bytes in the file */
    int64_t token_weights;    /* weights that a prompt token is multiplied with: of layers, of experts those at work */
    uint64_t token_bytes;     /* bytes of weights that evaluating one token reads, the output matrix included */
    int integer;              /* most of them are multiplied as 8-bit integers, else as floats */
};
LAR_API void lar_model_info(const struct lar_model *m, struct lar_model_info *out);
/* The chat template's Jinja source, "" when the model has none. */
LAR_API const char *lar_model_template(const struct lar_model *m);
/* What a user should know of the file: keys of its recommended sampling that are wrong and were left out; "" for nothing. */
LAR_API const char *lar_model_warning(const struct lar_model *m);

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

enum {
    LAR_TOKENIZE_SPECIAL = 1, /* text such as <|im_end|> becomes the special token of that name */
    LAR_TOKENIZE_BOS = 2,     /* add what the model's tokenizer adds by itself (begin of sequence, ...) */
};

/* Token ids of text. Writes at most cap of them and gives the number there are, which may be more than cap. */
LAR_API int64_t lar_tokenize(const struct lar_model *m, const char *text, size_t n, unsigned flags,
                             int32_t *out, size_t cap, struct lar_err *err);
/* The bytes that one token stands for in running text (may be part of a character); special tokens give their name. n gets the length.
 * NULL for an id that is no token. */
LAR_API const char *lar_token_bytes(const struct lar_model *m, int32_t id, size_t *n);
/* The token's piece as the vocabulary writes it. NULL for an id that is no token. */
LAR_API const char *lar_token_piece(const struct lar_model *m, int32_t id, size_t *n);
enum { LAR_TOKEN_NORMAL = 1, LAR_TOKEN_UNKNOWN, LAR_TOKEN_CONTROL, LAR_TOKEN_USER, LAR_TOKEN_UNUSED, LAR_TOKEN_BYTE };
LAR_API int lar_token_type(const struct lar_model *m, int32_t id); /* 0 for an id that is no token */
LAR_API int lar_token_ends(const struct lar_model *m, int32_t id); /* 1 when the token ends an answer */
/* Text of ids. Control tokens are left out without LAR_DETOKENIZE_SPECIAL. Bytes that make no character become U+FFFD; with
 * LAR_DETOKENIZE_BYTES they stay as they are. The caller frees *out (terminated, length in *n) with lar_free. */
enum { LAR_DETOKENIZE_SPECIAL = 1, LAR_DETOKENIZE_BYTES = 2 };
LAR_API int lar_detokenize(const struct lar_model *m, const int32_t *ids, size_t nid, unsigned flags,
                           char **out, size_t *n, struct lar_err *err);

/* ---- chat templates ------------------------------------------------------------------------------------------------ */

struct lar_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* terminated UTF-8 */
};

enum lar_think { LAR_THINK_DEFAULT, LAR_THINK_ON, LAR_THINK_OFF };

/* The prompt text for messages with the opening of the assistant's turn. LAR_EUNSUPPORTED when the model has no template, LAR_EINVAL with the
 * template's own words when it refuses these messages. A template that is broken (it does not compile, fails, or takes too long) gives 1 and says
 * why in err: then the text is "Role: content" for each message, empty lines between, and "Assistant:". The caller frees *out with lar_free. */
LAR_API int lar_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                            enum lar_think think, char **out, size_t *n, struct lar_err *err);
/* The same for chat, the text of a JSON object: messages, and any other variable of the template (what it lacks is as for lar_chat_format). */
LAR_API int lar_chat_render(const struct lar_model *m, const char *chat, enum lar_think think,
                            char **out, size_t *n, struct lar_err *err);
/* Renders any Jinja chat template. input is a JSON object: messages, tools, add_generation_prompt and any other variable. Limits on steps,
 * depth and output hold. Caller frees *out. */
LAR_API int lar_template_render(const char *tmpl, size_t tmpl_n, const char *input, size_t input_n,
                                char **out, size_t *n, struct lar_err *err);
/* The same for a template in Go's language, as Ollama's Modelfiles have them. input: messages, tools, think, system; or prompt and suffix. */
LAR_API int lar_template_render_go(const char *tmpl, size_t tmpl_n, const char *input, size_t input_n,
                                   char **out, size_t *n, struct lar_err *err);

/* ---- sessions ------------------------------------------------------------------------------------------------------ */

enum lar_kv { LAR_KV_F16, LAR_KV_F32, LAR_KV_Q8_0 };

struct lar_session_options {
    int ctx;        /* tokens of room; 0: the model's trained length, at most 4096 */
    enum lar_kv kv; /* how keys and values are kept */
    int batch;      /* prompt tokens evaluated at once, 0: 512 */
};

/* All memory that decoding needs is taken here. LAR_ENOMEM names the bytes needed and available. Close with lar_session_close. */
LAR_API int lar_session_open(struct lar_session **out, struct lar_model *m,
                             const struct lar_session_options *opt, struct lar_err *err);
LAR_API void lar_session_close(struct lar_session *s);

/* Makes the session's timeline exactly these tokens: keeps the longest common beginning, drops what differs, evaluates the rest. Afterwards
 * lar_session_logits is the distribution after the last one. Gives the number of tokens that were evaluated. LAR_ELIMIT when n exceeds the room,
 * LAR_ECANCEL after lar_session_cancel (what was evaluated by then is kept). */
LAR_API int lar_session_sync(struct lar_session *s, const int32_t *tokens, size_t n, struct lar_err *err);
/* Evaluates further tokens at the end of the timeline; with all non-NULL also the logits of every one: all is [n][vocab], the caller's. */
LAR_API int lar_session_extend(struct lar_session *s, const int32_t *tokens, size_t n, float *all, struct lar_err *err);
LAR_API const float *lar_session_logits(const struct lar_session *s); /* [vocab]; NULL before the first token */
LAR_API const int32_t *lar_session_tokens(const struct lar_session *s, size_t *n);
LAR_API int lar_session_ctx(const struct lar_session *s);
/* May be called from a signal handler or another thread: what runs in s stops soon with LAR_ECANCEL. The next call runs again. lar_generate
 * gives LAR_ECANCEL, and no result, only until its prompt is evaluated; then 0, and what was written by then with LAR_STOP_CANCEL. */
LAR_API void lar_session_cancel(struct lar_session *s);
/* The timeline, with its keys and values, recurrent state and logits, in a file that only its owner may read, for a later process: whole or not
 * at all. lar_session_load makes it the timeline of a session whose model, adapters and kind of keys and values are the same (samples of each
 * tensor are compared, and the CPU level), and gives its number of tokens; what follows is then what would have followed. LAR_EFORMAT: damaged
 * or no such file; LAR_EINVAL: of another model; LAR_ELIMIT: longer than this context. After a failure the timeline is empty. */
LAR_API int lar_session_save(const struct lar_session *s, const char *path, struct lar_err *err);
LAR_API int64_t lar_session_load(struct lar_session *s, const char *path, struct lar_err *err);
/* Bytes that a session of this model with these options takes: keys and values, and work space. */
LAR_API int lar_session_bytes(const struct lar_model *m, const struct lar_session_options *opt,
                              uint64_t *kv_bytes, uint64_t *work_bytes, struct lar_err *err);

/* ---- generating ------------------------------------------------------------------------------------------------------ */

enum lar_text_kind { LAR_TEXT_ANSWER, LAR_TEXT_THINKING };
enum lar_stop {
    LAR_STOP_END,    /* the model ended its answer */
    LAR_STOP_STRING, /* one of stop[] appeared (it is not part of the text) */
    LAR_STOP_LENGTH, /* max_tokens */
    LAR_STOP_FULL,   /* the session's context is full */
    LAR_STOP_CANCEL  /* lar_session_cancel, or the callback asked */
};
LAR_API const char *lar_stop_name(enum lar_stop s); /* "end", "string", "length", "context", "cancel" */

struct lar_request {
    /* What to continue: one of messages or chat (through the model's template), text, or tokens. */
    const struct lar_message *messages;
    size_t nmessage;
    const char *chat; /* a JSON object for the template: messages, and tools or any other variable; terminated */
    const char *text; /* terminated; tokenised with special tokens parsed and the tokenizer's own ones added */
    const int32_t *tokens;
    size_t ntoken;
    enum lar_think think;
    /* 0: what a message says is text, names of control tokens too, but in messages of system and developer. 1: such names become those tokens
     * in all messages, as other programs have it: whoever writes a message can then end it and speak for somebody else. */
    int parse_special;
    const struct lar_sampling *sampling; /* NULL: lar_sampling_default of the model */
    const struct lar_bias *bias; size_t nbias;
    int max_tokens;                      /* 0: until the context is full */
    /* Up to so many next tokens (16 at most) are guessed from what stands in prompt and answer already, and evaluated together; those that are then
     * drawn are kept, so the answer is distributed as without. 0: none. Pays where answers repeat their prompt; how much is guessed follows from
     * how often it is right. Models with recurrent layers ignore it. */
    int lookup;
    const char *const *stop;             /* strings that end the answer */
    size_t nstop;
    const char *const *dry_breaker;      /* strings over which DRY follows no repetition; NULL: line break, ':', '"' and '*' */
    size_t ndry_breaker;
    struct lar_grammar *grammar;         /* NULL: any text; else what the answer, behind its thinking, must be: it ends when it is whole */
    const struct lar_tools *tools;       /* NULL: none; else calls of these may stand in the text, which lar/tools.h takes apart */
    /* Called with each new piece of text, whole UTF-8 characters only (bytes that are no UTF-8 come as U+FFFD). A non-zero answer stops. */
    int (*on_text)(void *ctx, enum lar_text_kind kind, const char *text, size_t n);
    void (*on_prompt)(void *ctx, size_t done, size_t total); /* called now and then while the prompt is evaluated */
    void *ctx;
};

struct lar_result {
    char warning[252];  /* what the user should know about the prompt: a broken chat template; "" for nothing */
    char *text;         /* the answer without its thinking; terminated */
    size_t text_n;
    char *thinking;     /* "" when there was none */
    size_t thinking_n;
    int32_t *tokens;    /* all generated ids, the ending one included */
    size_t ntoken;
    enum lar_stop stop;
    const char *stop_string; /* of LAR_STOP_STRING the request's own string that ended it, else NULL */
    int64_t seed;       /* that the tokens were drawn with: the request's, or the one that the system gave */
    size_t prompt_tokens; /* of the whole prompt */
    size_t prompt_reused; /* of these, already in the session */
    size_t guessed;       /* tokens, by lookup */
    size_t guessed_right; /* of these, those that became the answer's */
    double prompt_ms;     /* evaluating the rest */
    double first_token_ms; /* from the call to the first token's choice */
    double generate_ms;   /* from the first token's choice to the end */
};

/* Continues a prompt. The session keeps prompt and answer, so that a longer prompt which begins the same evaluates only what is new. On success
 * the caller frees the result with lar_result_free. A prompt that does not fit is LAR_ELIMIT and says both numbers. */
LAR_API int lar_generate(struct lar_session *s, const struct lar_request *req, struct lar_result *out,
                         struct lar_err *err);
LAR_API void lar_result_free(struct lar_result *r);

/* ---- embedding, ranking, classifying ------------------------------------------------------------------------------------- */

/* An embedder reads texts with a model and gives vectors, scores or labels, as the model's file has it. Many texts go together at
 * once, each as if it were alone. Used by one thread at a time; any number of embedders may share a model. */
struct lar_embedder;

enum lar_pooling { LAR_POOL_MODEL, LAR_POOL_MEAN, LAR_POOL_CLS, LAR_POOL_LAST };

struct lar_embed_options {
    enum lar_pooling pooling; /* how a text's tokens become one vector; LAR_POOL_MODEL: as the file says */
    int dimensions;           /* 0: all; else only so many first ones (for models trained so: Matryoshka) */
    int raw;                  /* vectors are not made unit length, scores stay logits */
    int truncate;             /* 0: what is too long is LAR_ELIMIT; else what is beyond so many tokens is dropped; -1: beyond what the model takes */
    int batch;                /* tokens evaluated at once, 0: 512; a longer text makes it grow */
};

/* LAR_EINVAL for options that do not go with the model. What the model cannot do is refused by the call that would do it. The model lives on until
 * the embedder is closed with lar_embedder_close. */
LAR_API int lar_embedder_open(struct lar_embedder **out, struct lar_model *m,
                              const struct lar_embed_options *opt, struct lar_err *err);
LAR_API void lar_embedder_close(struct lar_embedder *e);

struct lar_embedder_info {
    int dimensions;      /* of the vectors that lar_embed gives */
    int max_tokens;      /* of a text, with what is put round it */
    const char *pooling; /* "mean", "cls", "last", "rank", "none", or "" when neither the file nor the caller says */
    int nlabel;          /* of a classifier, 0: the model is none */
    int labels_tokens;   /* 1: it labels each token, else the whole text */
};
LAR_API void lar_embedder_info(const struct lar_embedder *e, struct lar_embedder_info *out);
/* Before each text that lar_embed reads stands the prompt that the file has by this name (NULL: none), until then the file's default. */
LAR_API int lar_embedder_prompt(struct lar_embedder *e, const char *name, struct lar_err *err);
/* A classifier's label i, terminated; NULL when there is none. */
LAR_API const char *lar_embedder_label(const struct lar_embedder *e, int i);

/* A text of n bytes (names of special tokens in it become these tokens, as in the reference), or, when tokens is not NULL, ids as they are. */
struct lar_text {
    const char *text;
    size_t n;
    const int32_t *tokens;
    size_t ntoken;
};

/* A vector a text: out is [n][dimensions], the caller's. Gives the number of tokens read. A file that names no pooling is LAR_EUNSUPPORTED
 * unless the options name one. */
LAR_API int64_t lar_embed(struct lar_embedder *e, const struct lar_text *text, size_t n, float *out,
                          struct lar_err *err);
/* How well each document answers the query, 0 to 1 (raw: the logit): score is [n]. For rerankers; LAR_EUNSUPPORTED for others, and for files
 * that lack a part without which scores would be wrong. Gives the number of tokens read. */
LAR_API int64_t lar_rank(struct lar_embedder *e, const struct lar_text *query,
                         const struct lar_text *doc, size_t n, float *score, struct lar_err *err);

/* A stretch of a text with its label. */
struct lar_span {
    int label;          /* lar_embedder_label */
    float score;        /* its probability; of a group the mean over its tokens */
    size_t begin, end;  /* bytes of the text */
    size_t char_begin, char_end; /* the same in characters (Unicode code points) */
    size_t word;        /* which token (of a group the first), counted with those put round the text */
};
enum lar_group {
    LAR_GROUP_TOKENS, /* every token of the text */
    LAR_GROUP_SPANS   /* neighbours of one kind together, by B- and I- before the kind; label "O" left out */
};
/* Labels the parts of a text with a token classifier, or the whole of it with a classifier of texts (then one span a label, the most
 * probable first). The caller frees *out with lar_free. */
LAR_API int lar_classify(struct lar_embedder *e, const struct lar_text *text, enum lar_group group,
                         struct lar_span **out, size_t *n, struct lar_err *err);
/* The logits of every token of a text, [tokens][nlabel] (of a classifier of texts [1][nlabel]). The caller frees *out. */
LAR_API int lar_classify_logits(struct lar_embedder *e, const struct lar_text *text, float **out,
                                size_t *rows, struct lar_err *err);

/* ---- looking into a file ------------------------------------------------------------------------------------------------ */

/* Opens any well-formed GGUF, also of architectures that Lar cannot run; of a Hugging Face folder, or a weights or tokenizer file of one, the keys
 * that a GGUF would have of its tokenizer, and its tensors as they are published (the names are not those of a GGUF). */
LAR_API int lar_file_open(struct lar_file **out, const char *path, struct lar_err *err);
LAR_API void lar_file_close(struct lar_file *f);

struct lar_file_info {
    unsigned version;          /* of GGUF; 0: it is none */
    uint64_t alignment, bytes; /* bytes of all parts */
    int parts;
    size_t nmeta, ntensor;
};
LAR_API void lar_file_info(const struct lar_file *f, struct lar_file_info *out);

enum lar_meta_type {
    LAR_META_U8, LAR_META_I8, LAR_META_U16, LAR_META_I16, LAR_META_U32, LAR_META_I32, LAR_META_F32, LAR_META_BOOL,
    LAR_META_STRING, LAR_META_ARRAY, LAR_META_U64, LAR_META_I64, LAR_META_F64
};
struct lar_meta {
    const char *key; /* not terminated: key_n bytes */
    size_t key_n;
    enum lar_meta_type type, element; /* element: of an array */
    uint64_t count;                   /* of an array, else 1 */
    uint64_t offset;                  /* of the key in the file */
};
/* i < nmeta, j < count. The number forms take any integer, float or bool; strings are not terminated. */
LAR_API void lar_file_meta(const struct lar_file *f, size_t i, struct lar_meta *out);
LAR_API int64_t lar_file_meta_int(const struct lar_file *f, size_t i, uint64_t j);
LAR_API double lar_file_meta_num(const struct lar_file *f, size_t i, uint64_t j);
LAR_API const char *lar_file_meta_str(const struct lar_file *f, size_t i, uint64_t j, size_t *n);

struct lar_tensor {
    const char *name; /* not terminated: name_n bytes */
    size_t name_n;
    const char *type; /* "F32", "Q4_K", ... */
    int ndim;
    int64_t shape[8]; /* shape[0] is contiguous */
    uint64_t offset, bytes; /* offset: in its file */
    int part;
    const char *file; /* of a folder's tensors: the name of theirs; NULL in a GGUF */
};
LAR_API void lar_file_tensor(const struct lar_file *f, size_t i, struct lar_tensor *out);

/* ---- the machine's limits -------------------------------------------------------------------------------------------- */

struct lar_limits {
    double read_gbs;   /* reading memory, 10^9 bytes a second */
    double int8_gops;  /* 8-bit products and sums, 10^9 operations a second (a product and its sum count as two) */
    double f32_gflops; /* F32 fused multiply-adds, likewise */
    double bf16_gflops; /* BF16 products summed in F32, likewise; 0 where the processor has none */
    double handover_ns; /* from one core's write until another has read it: near cores some tens, far ones hundreds; 0 on one thread */
};
/* Measures for a fifth of a second with this many threads (0: all cores) what the processor could do at best at the CPU level in use. */
LAR_API int lar_machine_limits(int threads, struct lar_limits *out, struct lar_err *err);
/* What attention has to do for one token more behind `past` others: bytes of keys and values that it reads, operations that it makes (a product and
 * its sum count as two). 0 for both in a model without attention. */
LAR_API void lar_attention_cost(const struct lar_model *m, enum lar_kv kv, int64_t past, double *bytes, double *ops);

/* ---- writing results ------------------------------------------------------------------------------------------------ */

struct lar_array {
    const char *name;
    const char *type; /* "F32" or "I32" */
    int ndim;         /* 1..4 */
    int64_t shape[4]; /* the last one is contiguous */
    const void *data;
};
/* Writes a .safetensors file: beside its place first, then renamed into it, so a crash or a full disk leaves no half of one. */
LAR_API int lar_write_safetensors(const char *path, const struct lar_array *a, size_t n, struct lar_err *err);

#ifdef __cplusplus
}
#endif
#endif
