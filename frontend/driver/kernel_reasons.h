/*
 * Why kernels of linear layers are what they are: a cost source that passes questions on and notes the answers with the times that they come from. Of products
 * in integers it asks as well what f32 would take, so that 8 bits that do not pay are seen.
 */
#ifndef POFAC_FRONTEND_KERNEL_REASONS_H
#define POFAC_FRONTEND_KERNEL_REASONS_H

#include "ir/cost.h"
#include "ir/support/arena.h"
#include "ir/support/strbuf.h"
#include "ir/support/vector.h"

/* Weights of one shape and share of zeros, in whole percent, with one answer. */
typedef struct kernel_reason {
    linear_problem problem; /* of the first of them */
    int64_t n_weights;
    linear_choice choice;
    double f32_seconds; /* of what would be chosen in f32; 0: the product is in f32, or not known */
} kernel_reason;

typedef struct kernel_reasons {
    const cost_source *rest; /* who answers; NULL: the rule of ir/cost.h */
    arena *memory;           /* of names */
    VEC(kernel_reason) rows; /* in the order of their first weights */
} kernel_reasons;

/* `r` outlives it. */
cost_source kernel_reasons_source(kernel_reasons *r);

/* One sentence without its point: what was compared, and what came of it. */
void kernel_reason_say(const kernel_reason *r, strbuf *out);

/* Appends them: as a table; as the member "kernel_choices" of a JSON object, behind a comma. */
void kernel_reasons_print(const kernel_reasons *r, strbuf *out);
void kernel_reasons_put_json(const kernel_reasons *r, strbuf *out);
void kernel_reasons_free(kernel_reasons *r);

#endif
