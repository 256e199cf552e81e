/*
 * What the files of this folder share while a graph becomes one of ONNX (onnx_export.c): values and their names, operations in short, and the functions of the ops.
 */
#ifndef POFAC_FRONTEND_ONNX_LOWERING_H
#define POFAC_FRONTEND_ONNX_LOWERING_H

#include "frontend/onnx/onnx_model.h"
#include "ir/graph.h"
#include "ir/support/strmap.h"

/* A value as it stands in 8 bits, names of ONNX's values: x = (codes - zero) * scale. */
typedef struct onnx_codes {
    const char *codes, *scale, *zero;
    bool per_row;        /* a scale for each row, else one for all */
    const float *scales; /* [1], or with per_row [N], where they are known now; else NULL */
} onnx_codes;

typedef struct onnx_lowering {
    const ir_graph *g;
    const tensor_source *state;
    const diag_sink *sink;
    onnx_model *m;
    arena memory;
    const char **name;        /* [values] what it is called in ONNX; NULL: not made */
    const onnx_codes **codes; /* [values] of results of fake_quantize; NULL: it is not in 8 bits */
    strmap shapes;            /* text of symbols and shapes -> the name of their vector, a pointer */
    VEC(const char *) held;   /* state that is viewed until the file is written */
    size_t n_quantized;
} onnx_lowering;

typedef pofac_status (*onnx_lower)(onnx_lowering *l, const ir_node *n);

/* The name of input `i` of a node, which is made where it is a parameter, or one in 8 bits, that nobody has asked for yet. */
POFAC_MUST_USE pofac_status onnx_input_name(onnx_lowering *l, const ir_node *n, uint32_t i, const char **out);

/* A tensor of the state as f32, which lives as long as `l`. */
POFAC_MUST_USE pofac_status onnx_state_floats(onnx_lowering *l, const char *name, ir_tensor *out);

/* Result 0 of the node is `name` (NULL: memory is short). */
POFAC_MUST_USE pofac_status onnx_result(onnx_lowering *l, const ir_node *n, const char *name);

/* Operations of one, two and three inputs without attributes. */
const char *onnx_unary(onnx_lowering *l, const char *op, const char *x);
const char *onnx_binary(onnx_lowering *l, const char *op, const char *x, const char *y);
const char *onnx_ternary(onnx_lowering *l, const char *op, const char *x, const char *y, const char *z);
const char *onnx_with_int(onnx_lowering *l, const char *op, const char *const *inputs, size_t n, const char *attr, int64_t value);
const char *onnx_transpose(onnx_lowering *l, const char *x, const int64_t *order, size_t n);

/* Constants of the file, one for each value: a number; whole numbers as a vector. */
const char *onnx_number(onnx_lowering *l, double value);
const char *onnx_wholes(onnx_lowering *l, const int64_t *values, size_t n);

/* x in the shape of `dims`, of which those that are no numbers are computed from the inputs' shapes. */
const char *onnx_reshape(onnx_lowering *l, const char *x, const ir_dim *dims, size_t rank);

/* A vector [1] with the number of the symbol, from the shape of an input. */
const char *onnx_symbol(onnx_lowering *l, ir_symbol s);

/* The padded batch [B,S] that offsets are those of; POFAC_ERR_INPUT: they are others. */
POFAC_MUST_USE pofac_status onnx_padded_batch(onnx_lowering *l, const ir_node *n, uint32_t input, const ir_type **out);

/* onnx_operations.c */
pofac_status onnx_lower_nothing(onnx_lowering *l, const ir_node *n); /* made where it is read */
pofac_status onnx_lower_constant(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_reshape(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_slice(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_cast(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_row_positions(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_gather_rows(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_elementwise(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_gelu(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_embedding(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_linear(onnx_lowering *l, const ir_node *n);
pofac_status onnx_lower_layer_norm(onnx_lowering *l, const ir_node *n);
/* onnx_attention.c */
pofac_status onnx_lower_attention(onnx_lowering *l, const ir_node *n);
/* onnx_quantized.c */
pofac_status onnx_lower_fake_quantize(onnx_lowering *l, const ir_node *n);
/* The bias in 32 bits at the scale of input times weight, as f32; NULL in *out: it is to be added as it is. */
POFAC_MUST_USE pofac_status onnx_quantized_bias(onnx_lowering *l, const ir_node *linear, const char **out);
/* The floats that codes stand for; of rows of a table in 8 bits. */
const char *onnx_from_codes(onnx_lowering *l, const onnx_codes *codes);
const char *onnx_gather_codes(onnx_lowering *l, const onnx_codes *table, const char *ids);

#endif
