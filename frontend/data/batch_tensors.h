/*
 * Examples -> the tensors of one batch, in memory that is used again for the next.
 *   padded   input_ids, token_type_ids, attention_mask i64 [B,S]; fields [B], or per token [B,S]
 *   packed   input_ids, token_type_ids i64 [T], offsets i32 [B+1]: sequence b owns the tokens from offsets[b] on; fields [B], or per token [T]
 */
#ifndef POFAC_FRONTEND_DATA_BATCH_TENSORS_H
#define POFAC_FRONTEND_DATA_BATCH_TENSORS_H

#include "frontend/data/batch_order.h"
#include "ir/batch_source.h"

/* Memory of one tensor. */
typedef struct batch_memory_block {
    void *data;
    size_t capacity; /* bytes */
} batch_memory_block;

typedef struct batch_tensors {
    batch batch; /* its tensors, sequences, tokens and examples */
    batch_memory_block blocks[BATCH_MAX_TENSORS];
    VEC(uint64_t) examples;
    example_buffer scratch; /* of the source's max_length */
} batch_tensors;

typedef struct batch_shape {
    batch_form form;
    size_t fixed_length; /* of padded batches; 0: the longest of the batch */
    int32_t pad_id;
} batch_shape;

/* Reads examples [n > 0] of `epoch`. Errors of reading. */
POFAC_MUST_USE pofac_status batch_tensors_make(batch_tensors *t, const batch_shape *shape, const example_source *source,
                                               uint64_t epoch, const ordered_example *examples, size_t n, const diag_sink *sink);
void batch_tensors_free(batch_tensors *t);

#endif
