/*
 * Ops on ragged batches: B sequences one after the other in R rows, told apart by offsets [B+1] (i32, offsets[0] = 0 and
 * offsets[B] = R).
 */
#include <inttypes.h>

#include "ir/ops/operands.h"

static pofac_status infer_i32_vector(ir_infer *in, ir_dim n) {
    return infer_result(in, 0, type_tensor(in->context, IR_I32, 1, &n));
}

pofac_status infer_padded_offsets(ir_infer *in) {
    TRY(want_rank(in, in->input[0], "ids", 2, "[B,S]"));
    return infer_i32_vector(in, dim_add(in->input[0]->dims[0], 1));
}

pofac_status eval_padded_offsets(const ir_eval *e) {
    int64_t n_sequences = e->input[0]->dims[0], length = e->input[0]->dims[1];
    if (tensor_elements(e->input[0]) > INT32_MAX)
        return eval_error(e, "ids are [%" PRId64 ",%" PRId64 "], wanted at most %d rows in all", n_sequences, length, INT32_MAX);
    for (int64_t b = 0; b <= n_sequences; b++) tensor_set_int(e->result[0], b, b * length);
    return POFAC_OK;
}

pofac_status infer_row_positions(ir_infer *in) {
    TRY(want_offsets_type(in, in->input[0]));
    TRY(want_rank(in, in->input[1], "ids", 1, "[R]"));
    return infer_i32_vector(in, in->input[1]->dims[0]);
}

pofac_status eval_row_positions(const ir_eval *e) {
    const ir_tensor *offsets = e->input[0];
    TRY(want_offsets(e, offsets, e->input[1]->dims[0]));
    for (int64_t b = 0; b + 1 < offsets->dims[0]; b++) {
        int64_t first = tensor_get_int(offsets, b), end = tensor_get_int(offsets, b + 1);
        for (int64_t r = first; r < end; r++) tensor_set_int(e->result[0], r, r - first);
    }
    return POFAC_OK;
}

pofac_status infer_first_rows(ir_infer *in) {
    TRY(want_offsets_type(in, in->input[0]));
    return infer_i32_vector(in, dim_add(in->input[0]->dims[0], -1));
}

pofac_status eval_first_rows(const ir_eval *e) {
    TRY(want_offsets(e, e->input[0], -1));
    copy_elements(e->result[0], 0, e->input[0], 0, tensor_elements(e->result[0]));
    return POFAC_OK;
}
