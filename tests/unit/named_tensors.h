/*
 * Tensors by name for tests: what stands for a checkpoint or for the inputs of a run. Every failure ends the test with a message.
 */
#ifndef POFAC_TESTS_UNIT_NAMED_TENSORS_H
#define POFAC_TESTS_UNIT_NAMED_TENSORS_H

#include "ir/support/vector.h"
#include "ir/tensor.h"

typedef struct named_tensor {
    char name[128];
    ir_tensor tensor;
} named_tensor;

typedef struct named_tensors {
    VEC(named_tensor) entries;
    const char *what; /* "input", "state": the word in the message for a name that is not there */
} named_tensors;

/* A zeroed tensor under a new name; the pointer lives until the next one is added. */
ir_tensor *named_tensors_add(named_tensors *t, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims);

/* The same with its elements given; converted where `dtype` is not that of the list. */
void named_tensors_add_doubles(named_tensors *t, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims,
                               const double *elements);

/* NULL when there is none. */
ir_tensor *named_tensors_find(const named_tensors *t, const char *name);

/* A source of them; a missing one is the error "WHAT NAME is missing". */
tensor_source named_tensors_source(named_tensors *t);

void named_tensors_free(named_tensors *t);

/* Ends the test unless both have the same type, shape and, up to |a - b| <= absolute + relative * |b|, elements; NaN equals NaN.
 * The message names the first element that differs. */
void assert_tensors_close(const char *name, const ir_tensor *a, const ir_tensor *b, double absolute, double relative);

#endif
