/* The memory of a run before it is made, and the largest batch that a bound leaves room for. */
#ifndef POFAC_FRONTEND_BATCH_MEMORY_H
#define POFAC_FRONTEND_BATCH_MEMORY_H

#include "frontend/driver/road.h"

/* The shape of a batch. */
typedef struct batch_shape {
    int64_t sequences, length; /* B, S */
    int64_t tokens;            /* T, at most B*S, and D, of these drawn by distillation */
    int64_t predictions;       /* M; 0 where the graph has no such input */
} batch_shape;

/* The number of a symbol of the frontend's graphs, by its name; -1 of others and of NULL. */
int64_t batch_symbol(batch_shape shape, const char *symbol);

/* What a run of that shape needs. POFAC_ERR_INPUT when it cannot be counted in 63 bits. */
POFAC_MUST_USE pofac_status batch_memory_need(const runnable *r, batch_shape shape, const diag_sink *sink, session_memory *out);

/* Packed weights, activations and scratch: what --max_memory bounds. Mapped weights are the file's pages, which the system can drop. */
int64_t batch_memory_bytes(session_memory m);

/* The most sequences, up to `most`, with which a batch of `length` tokens each fits into `max_bytes` (0: no bound). POFAC_ERR_USAGE
 * with the numbers when not even one does. */
POFAC_MUST_USE pofac_status batch_memory_fit(const runnable *r, int64_t length, int64_t most, int64_t max_bytes,
                                             const diag_sink *sink, int64_t *out);

/* "weights 438.0 MB mapped, 340.1 MB packed; batch of 32 x 128 tokens: activations 75.5 MB, scratch 2.0 MB; in all 417.6 MB beside
 * mapped weights" */
void batch_memory_print(batch_shape shape, session_memory m, strbuf *out);

/* Says as a note what a full batch of that size needs. */
POFAC_MUST_USE pofac_status batch_memory_note(const runnable *r, int64_t sequences, int64_t length, const diag_sink *sink);

/* "1.5 GB", "340.1 MB": powers of 1000, as users see them elsewhere. */
void batch_memory_print_bytes(int64_t bytes, strbuf *out);

#endif
