/* SPDX-License-Identifier: Apache-2.0
 * convert/family_table.h: the tables of family_table.c. */
#ifndef CONVERT_FAMILY_TABLE_H
#define CONVERT_FAMILY_TABLE_H

#include "convert/family.h"

extern const struct family family_table[];       /* ends with hf = NULL */
extern const struct name_rule family_names[];    /* of most families; ends with from = NULL */
/* A GraniteMoeHybrid none of whose layers is a state space. */
extern const struct family family_granite_dense, family_granite_states, family_granite_moe;
/* A Gemma 3 in which every token sees the whole text. */
extern const struct family family_gemma_embedding;
/* reader.c */
extern const struct name_rule bert_names[], bert_score_names[], roberta_names[], roberta_each_names[], nomic_names[],
    modern_names[], modern_score_names[], distilbert_names[];
extern const char *const family_other_parts[];   /* prefixes; ends with NULL */

#endif
