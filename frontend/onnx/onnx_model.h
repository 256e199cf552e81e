/*
 * A model of ONNX as it grows, and its file: a protocol buffer (onnx.proto), opset 17.
 *
 * Building never needs a check after each call: what fails for lack of memory gives NULL, calls with a NULL among the inputs do nothing and give NULL, and
 * onnx_model_write reports it. Names are copied. Not thread-safe.
 */
#ifndef POFAC_FRONTEND_ONNX_MODEL_H
#define POFAC_FRONTEND_ONNX_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/support/diag.h"

#define ONNX_MAX_RANK 4
#define ONNX_MAX_INPUTS 5

/* TensorProto.DataType of the ONNX project. */
typedef enum onnx_type {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
} onnx_type;

size_t onnx_type_bytes(onnx_type type);

typedef struct onnx_attr {
    const char *name;
    enum { ONNX_ATTR_FLOAT, ONNX_ATTR_INT, ONNX_ATTR_INTS } kind;
    float f;
    int64_t i;
    const int64_t *ints; /* copied */
    size_t n_ints;
} onnx_attr;

/* A dimension: a number, or where `name` is set, a name. */
typedef struct onnx_dim {
    int64_t size;
    const char *name;
} onnx_dim;

typedef struct onnx_model onnx_model;

onnx_model *onnx_model_create(const char *graph_name); /* NULL when memory is short */
void onnx_model_destroy(onnx_model *m);                /* NULL is fine */

/* Nodes added next are named SCOPE/OP.NUMBER, and so are their results. */
void onnx_set_scope(onnx_model *m, const char *scope);

void onnx_add_input(onnx_model *m, const char *name, onnx_type type, const onnx_dim *dims, size_t rank);
/* The value `value` as the model's output `name`. */
void onnx_add_output(onnx_model *m, const char *name, const char *value, onnx_type type, const onnx_dim *dims, size_t rank);

/* A node of standard operation `op` with one result, whose name is returned. */
const char *onnx_add_node(onnx_model *m, const char *op, const char *const *inputs, size_t n_inputs, const onnx_attr *attrs,
                          size_t n_attrs);

/* A tensor of the model, row-major; returns its name. onnx_add_tensor keeps `data`, which must live until the model is written; onnx_add_copy copies it. Of
 * tensors of one name the first stays. */
const char *onnx_add_tensor(onnx_model *m, const char *name, onnx_type type, const int64_t *dims, size_t rank, const void *data);
const char *onnx_add_copy(onnx_model *m, const char *name, onnx_type type, const int64_t *dims, size_t rank, const void *data);
/* The name of a tensor that is there; NULL: there is none. */
const char *onnx_find_tensor(const onnx_model *m, const char *name);

/* Bytes of all tensors. */
int64_t onnx_tensor_bytes(const onnx_model *m);

/* Tensors above this leave no room for the rest in a protocol buffer, which has 2 GiB at most. */
#define ONNX_MOST_INSIDE_BYTES ((INT64_C(2) << 30) - (INT64_C(64) << 20))

/*
 * Writes the file, which takes the place of an old one at once. `external`, and in any case when the tensors have more than ONNX_MOST_INSIDE_BYTES: those of
 * 1 KiB and more go into PATH.data beside it, each at a multiple of 4,096 bytes. Each of the two files takes its place at once, PATH.data first: of a model
 * that lies there with tensors outside, nothing is left in between, or when the second cannot be written. Call it once. POFAC_ERR_RUNTIME: it cannot be written, or memory is short.
 */
POFAC_MUST_USE pofac_status onnx_model_write(onnx_model *m, const char *path, bool external, const diag_sink *sink);

#endif
