/*
 * Ops on ragged batches: B sequences one after the other in R rows, told apart by offsets [B+1] (i32, offsets[0] = 0 and
 * offsets[B] = R).
 */
#include <inttypes.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"
#include "ir/support/rng.h"

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

pofac_status infer_kept_rows(ir_infer *in) {
    TRY(want_rank(in, in->input[0], "mask", 2, "[B,S]"));
    TRY(want_integer_or_bool(in, in->input[0], "mask"));
    ir_symbol symbol = symbol_named(in->context, node_string(in->node, "rows"));
    if (!symbol) return diag_out_of_memory(in->sink);
    ir_dim rows = dim_symbol(symbol), ends = dim_add(in->input[0]->dims[0], 1);
    TRY(infer_i32_vector(in, rows));
    return infer_result(in, 1, type_tensor(in->context, IR_I32, 1, &ends));
}

pofac_status eval_kept_rows(const ir_eval *e) {
    const ir_tensor *mask = e->input[0];
    int64_t length = mask->dims[1], room = e->result[0]->dims[0], n = 0;
    for (int64_t r = 0; r < mask->dims[0] * length; r++) {
        if (r % length == 0) tensor_set_int(e->result[1], r / length, n);
        if (r % length != 0 && tensor_get_int(mask, r) == 0) continue;
        if (n < room) tensor_set_int(e->result[0], n, r);
        n++;
    }
    tensor_set_int(e->result[1], mask->dims[0], n);
    if (n != room) return eval_error(e, "the mask keeps %" PRId64 " rows, wanted %" PRId64, n, room);
    return POFAC_OK;
}

pofac_status infer_labelled_rows(ir_infer *in) {
    TRY(want_rank(in, in->input[0], "labels", 1, "[R]"));
    TRY(want_integer(in, in->input[0], "labels"));
    ir_symbol symbol = symbol_named(in->context, node_string(in->node, "rows"));
    return symbol ? infer_i32_vector(in, dim_symbol(symbol)) : diag_out_of_memory(in->sink);
}

pofac_status eval_labelled_rows(const ir_eval *e) {
    const ir_tensor *labels = e->input[0];
    const int64_t room = e->result[0]->dims[0];
    int64_t n = 0;
    for (int64_t r = 0; r < labels->dims[0]; r++) {
        if (tensor_get_int(labels, r) == IR_IGNORED_LABEL) continue;
        if (n < room) tensor_set_int(e->result[0], n, r);
        n++;
    }
    if (n != room) return eval_error(e, "%" PRId64 " rows have labels, wanted %" PRId64, n, room);
    return POFAC_OK;
}

pofac_status infer_sampled_rows(ir_infer *in) {
    const ir_type *labels = in->input[0];
    const ir_dim two = dim_const(2);
    const double share = node_float(in->node, "share");
    if (!(share >= 0 && share < 1)) return infer_error(in, "share is %g, wanted a number of at least 0 and below 1", share);
    TRY(want_rank(in, labels, "labels", 1, "[R]"));
    TRY(want_integer(in, labels, "labels"));
    TRY(want_type(in, in->input[1], "keys", type_tensor(in->context, IR_I64, 1, labels->dims)));
    TRY(want_type(in, in->input[2], "random", type_tensor(in->context, IR_I64, 1, &two)));
    ir_symbol symbol = symbol_named(in->context, node_string(in->node, "rows"));
    return symbol ? infer_i32_vector(in, dim_symbol(symbol)) : diag_out_of_memory(in->sink);
}

pofac_status eval_sampled_rows(const ir_eval *e) {
    const ir_tensor *labels = e->input[0], *keys = e->input[1], *random = e->input[2];
    const uint64_t seed = (uint64_t)tensor_get_int(random, 0), step = (uint64_t)tensor_get_int(random, 1);
    const double share = node_float(e->node, "share");
    const int64_t room = e->result[0]->dims[0];
    int64_t n = 0;
    for (int64_t r = 0; r < labels->dims[0]; r++) {
        if (tensor_get_int(labels, r) == IR_IGNORED_LABEL && !rng_draws(seed, step, (uint64_t)tensor_get_int(keys, r), share))
            continue;
        if (n < room) tensor_set_int(e->result[0], n, r);
        n++;
    }
    if (n != room) return eval_error(e, "%" PRId64 " rows have labels or are drawn, wanted %" PRId64, n, room);
    return POFAC_OK;
}

pofac_status infer_scatter_rows(ir_infer *in) {
    const ir_type *x = in->input[0], *index = in->input[1], *like = in->input[2];
    TRY(want_tensor(in, x, "x"));
    if (x->rank != 1 && x->rank != 2) return infer_error(in, "x is %s, wanted [T,E] or [T]", type_text_of(in, x).text);
    TRY(want_rank(in, index, "index", 1, "[T]"));
    TRY(want_integer(in, index, "index"));
    TRY(want_type(in, index, "index", type_tensor(in->context, index->dtype, 1, &x->dims[0])));
    if (like->kind != TYPE_TENSOR || (like->rank != 1 && like->rank != 2))
        return infer_error(in, "like is %s, wanted [R] or [R,E]", type_text_of(in, like).text);
    ir_type y = *x;
    y.dims[0] = like->dims[0];
    return infer_result(in, 0, type_intern(in->context, &y));
}

pofac_status eval_scatter_rows(const ir_eval *e) {
    const ir_tensor *x = e->input[0], *index = e->input[1];
    int64_t width = x->rank == 2 ? x->dims[1] : 1, n_rows = e->result[0]->dims[0];
    for (int64_t t = 0; t < x->dims[0]; t++) {
        int64_t row = tensor_get_int(index, t);
        if (row < 0 || row >= n_rows)
            return eval_error(e, "index %" PRId64 " is %" PRId64 ", wanted 0 to %" PRId64, t, row, n_rows - 1);
        copy_elements(e->result[0], row * width, x, t * width, width);
    }
    return POFAC_OK;
}

void gradient_scatter_rows(const ir_gradient *g) {
    if (g->wanted[0]) g->dinput[0] = build_binary(g->graph, OP_gather_rows, g->dresult[0], g->node->inputs[1]);
}
