/*
 * Attention over padded batches (Vaswani et al. 2017): softmax(scale q k^T + bias) v for each sequence and head, where the bias of keys that are not kept is the lowest number
 * of f32, so that their exponential is 0. A sequence with no kept key gives 0, as the op says: its context is multiplied by 0.
 */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "frontend/onnx/onnx_lowering.h"
#include "ir/op.h"

/* What a mask is for the scores, made once for all layers. */
typedef struct key_mask {
    const char *bias; /* [B,1,1,S], 0 or the lowest number */
    const char *any;  /* [B,1,1,1], 1 where some key is kept, else 0 */
} key_mask;

static pofac_status make_mask(onnx_lowering *l, const ir_node *n, const ir_type *batch, key_mask *out) {
    const ir_dim dims[] = {batch->dims[0], dim_const(1), dim_const(1), batch->dims[1]};
    const int64_t last = -1;
    const onnx_attr axes = {.name = "axes", .kind = ONNX_ATTR_INTS, .ints = &last, .n_ints = 1};
    const char *keep;
    TRY(onnx_input_name(l, n, 4, &keep));
    const char *bits = onnx_with_int(l, "Cast", (const char *[]){onnx_reshape(l, keep, dims, 4)}, 1, "to", ONNX_BOOL);
    const char *kept = onnx_with_int(l, "Cast", &bits, 1, "to", ONNX_FLOAT);
    out->any = onnx_add_node(l->m, "ReduceMax", &kept, 1, &axes, 1);
    out->bias = onnx_binary(l, "Mul", onnx_binary(l, "Sub", onnx_number(l, 1), kept), onnx_number(l, (double)-FLT_MAX));
    return out->any && out->bias ? POFAC_OK : diag_out_of_memory(l->sink); /* NULL would be none */
}

/* The mask of the node's keys: those of an attention before it where that has the same. */
static pofac_status mask_of(onnx_lowering *l, const ir_node *n, const ir_type *batch, key_mask *out) {
    char key[64];
    snprintf(key, sizeof key, "mask %u %u", (unsigned)n->inputs[3], (unsigned)n->inputs[4]);
    const strmap_entry *e = strmap_get(&l->shapes, key, strlen(key));
    if (e) {
        *out = *(const key_mask *)(uintptr_t)e->value;
        return POFAC_OK;
    }
    TRY(make_mask(l, n, batch, out));
    const key_mask *kept = arena_copy(&l->memory, out, sizeof *out);
    return kept && strmap_put(&l->shapes, key, strlen(key), (uint64_t)(uintptr_t)kept, NULL) ? POFAC_OK
                                                                                             : diag_out_of_memory(l->sink);
}

pofac_status onnx_lower_attention(onnx_lowering *l, const ir_node *n) {
    static const int64_t by_head[] = {0, 2, 1, 3}, transposed[] = {0, 2, 3, 1};
    const ir_type *batch, *q = graph_type(l->g, n->inputs[0]);
    const int64_t heads = node_int(n, "heads");
    int64_t width = 0;
    key_mask mask = {NULL, NULL};
    const char *x[3];
    if (node_input(n, 5) != IR_NO_VALUE || node_input(n, 6) != IR_NO_VALUE)
        return node_error(l->g, n, l->sink, "found offsets of queries or dropout, wanted attention of all rows without");
    TRY(onnx_padded_batch(l, n, 3, &batch));
    (void)dim_is_const(q->dims[1], &width);
    const ir_dim dims[] = {batch->dims[0], batch->dims[1], dim_const(heads), dim_const(width / heads)};
    for (uint32_t i = 0; i < 3; i++) {
        TRY(onnx_input_name(l, n, i, &x[i]));
        x[i] = onnx_transpose(l, onnx_reshape(l, x[i], dims, 4), i == 1 ? transposed : by_head, 4);
    }
    if (node_input(n, 4) != IR_NO_VALUE) TRY(mask_of(l, n, batch, &mask));
    const char *scores =
        onnx_binary(l, "Mul", onnx_binary(l, "MatMul", x[0], x[1]), onnx_number(l, node_float(n, "scale"))); /* [B,H,S,S] */
    if (mask.bias) scores = onnx_binary(l, "Add", scores, mask.bias);
    const char *mixed = onnx_binary(l, "MatMul", onnx_with_int(l, "Softmax", &scores, 1, "axis", -1), x[2]); /* [B,H,S,D] */
    if (mask.any) mixed = onnx_binary(l, "Mul", mixed, mask.any);
    return onnx_result(l, n, onnx_reshape(l, onnx_transpose(l, mixed, by_head, 4), q->dims, 2));
}
