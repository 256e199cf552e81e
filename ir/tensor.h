/*
 * Tensors with numbers in them: what evaluators, the interpreter and checkpoints exchange. Always row-major (LAYOUT_ROWS),
 * little-endian, packed. A tensor either owns its data (tensor_alloc) or views somebody else's.
 */
#ifndef POFAC_IR_TENSOR_H
#define POFAC_IR_TENSOR_H

#include "ir/type.h"

/* Positions of the non-zeros of an [n_rows, n_columns] matrix, by row and then column (CSR). */
typedef struct ir_pattern {
    int64_t n_rows, n_columns, nnz;
    const int64_t *row_start; /* [n_rows + 1] */
    const int32_t *column;    /* [nnz], rising within a row */
} ir_pattern;

typedef struct ir_tensor {
    ir_dtype dtype;
    uint32_t rank;
    int64_t dims[IR_MAX_RANK];
    void *data;                /* NULL for patterns and for tensors without elements */
    const ir_pattern *pattern; /* of values of a pattern type, without data; of non-zeros [nnz], their positions; else NULL */
    bool owned;
} ir_tensor;

/* Elements; bytes (i4 rounds up to whole bytes). The dims of an existing tensor never overflow. */
int64_t tensor_elements(const ir_tensor *t);
size_t tensor_bytes(const ir_tensor *t);

/* Whether the data stand at an address that its elements may have; the functions below want that. */
bool tensor_is_aligned(const ir_tensor *t);

/* Zeroed memory, 64-byte aligned. POFAC_ERR_RUNTIME when memory is short or the size overflows. tensor_free leaves views alone. */
POFAC_MUST_USE pofac_status tensor_alloc(ir_dtype dtype, uint32_t rank, const int64_t *dims, ir_tensor *out);
ir_tensor tensor_view(ir_dtype dtype, uint32_t rank, const int64_t *dims, const void *data);
void tensor_free(ir_tensor *t);
/* An owned copy, of a pattern as well; that of non-zeros is of their numbers alone. */
POFAC_MUST_USE pofac_status tensor_clone(const ir_tensor *t, ir_tensor *out);

/* Element i (row-major) as a double or integer, converted; setting rounds to nearest even, integers saturate. Any dtype. */
double tensor_get(const ir_tensor *t, int64_t i);
void tensor_set(ir_tensor *t, int64_t i, double value);
int64_t tensor_get_int(const ir_tensor *t, int64_t i);
void tensor_set_int(ir_tensor *t, int64_t i, int64_t value);

/* A run of n elements as doubles; fast for f32 and f64. */
void tensor_get_run(const ir_tensor *t, int64_t first, int64_t n, double *out);
void tensor_set_run(ir_tensor *t, int64_t first, int64_t n, const double *values);

/* Elements that are zero, of either sign. At the speed of memory for f32, f16 and bf16; the data may stand at any address. */
int64_t tensor_count_zeros(const ir_tensor *t);

/* Conversions of single numbers. */
float bf16_to_float(uint16_t bits);
uint16_t float_to_bf16(float value);
float f16_to_float(uint16_t bits);
uint16_t float_to_f16(float value);

/* A named collection of tensors that somebody else holds: parameters of a model, inputs of a run. Interface through which a
 * checkpoint reaches the interpreter and the runtime. */
typedef struct tensor_source {
    /* Fills *out with a view that lives until it is released, or as long as the source. POFAC_ERR_INPUT with a message when there is
     * none of that name. */
    pofac_status (*get)(void *user, const char *name, const diag_sink *sink, ir_tensor *out);
    void *user;
    /* Ends one get of `name`: its view is read no more. What the source can read or make again may leave memory by that, and comes
     * back at the next get; views of other gets stay readable. NULL: there is nothing to gain. */
    void (*release)(void *user, const char *name);
    bool writable;                      /* views lie in memory that may be written: state that runs replace */
    const struct packed_source *packed; /* weights that are packed already; NULL: none */
} tensor_source;

struct plan_buffer;

/* Weights as kernels read them, made before: those of a compiled model. What they lack is packed from what tensor_source.get gives. */
typedef struct packed_source {
    /* The content of a state buffer of a plan, 64-byte aligned, which lives as long as the source; NULL: it is not there. */
    const void *(*find)(void *user, const struct plan_buffer *buffer, size_t *n_bytes);
    /* The numbers of rows, columns and non-zeros of a weight's pattern, into shape[3]; false: they are not known. */
    bool (*count)(void *user, const char *name, int64_t *shape);
    void *user;
} packed_source;

/* Calls release where there is one. */
void tensor_source_release(const tensor_source *s, const char *name);

#endif
