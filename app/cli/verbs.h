/* SPDX-License-Identifier: Apache-2.0
 * cli/verbs.h: the verbs, each the table at the end of the file that bears its name. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli/options.h"

extern const struct verb verb_run, verb_show, verb_tokenize, verb_template, verb_logits, verb_embed,
    verb_rerank, verb_classify, verb_bench, verb_convert, verb_export, verb_quantize, verb_perplexity,
    verb_quality, verb_imatrix, verb_grammar, verb_pull, verb_push, verb_pack, verb_unpack, verb_ps,
    verb_stop, verb_lock, verb_fit, verb_create, verb_list, verb_cp, verb_rm, verb_gc, verb_verify,
    verb_serve, verb_help, verb_version;

#endif
