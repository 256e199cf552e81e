/*
 * Rows of tensors -> examples for batches: a checkpoint file with input_ids [N,S], and where they are there attention_mask and token_type_ids [N,S];
 * every other tensor of whole numbers or floats is a field of its name: [N] or, of whole numbers, [N,S] (labels, next_sentence_label,
 * start_positions, ...). An example is the tokens that the mask keeps, which must be a row's first ones.
 */
#ifndef POFAC_FRONTEND_TENSOR_EXAMPLES_H
#define POFAC_FRONTEND_TENSOR_EXAMPLES_H

#include "frontend/data/example_source.h"

typedef struct tensor_examples tensor_examples;

/* `vocab_size`: ids are below it. POFAC_ERR_INPUT, with file and tensor: no input_ids, shapes that do not fit them, more than
 * EXAMPLE_MAX_FIELDS fields, types other than 0 and 1, a mask that does not keep a row's first tokens, ids out of range. */
POFAC_MUST_USE pofac_status tensor_examples_open(const char *path, int64_t vocab_size, const diag_sink *sink,
                                                 tensor_examples **out);
void tensor_examples_close(tensor_examples *e); /* NULL is fine */

/* Rows are numbered as they stand in the file. Lives as the examples. */
example_source tensor_examples_source(const tensor_examples *e);

/* S: what rows are padded to in the file. */
size_t tensor_examples_padded_length(const tensor_examples *e);

#endif
