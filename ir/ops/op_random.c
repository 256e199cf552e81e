/*
 * Random numbers of a step: pure functions of the seed, the step, the place in the model (stream), the row's key and the feature
 * (Philox4x32-10, ir/support/rng.h), so that batching, micro-batches and threads leave them unchanged.
 *
 * The counter of feature f of a row: low = the row's key, high = step * 2^32 + f / 4; the number is word f % 4 of that block.
 */
#include <inttypes.h>
#include <math.h>

#include "ir/gradient.h"
#include "ir/ops/random_rows.h"
#include "ir/support/rng.h"

pofac_status infer_row_keys(ir_infer *in) {
    TRY(want_offsets_type(in, in->input[0]));
    TRY(want_rank(in, in->input[1], "ids", 1, "[R]"));
    TRY(want_type(in, in->input[2], "first", type_tensor(in->context, IR_I64, 0, NULL)));
    return infer_result(in, 0, type_tensor(in->context, IR_I64, 1, in->input[1]->dims));
}

pofac_status eval_row_keys(const ir_eval *e) {
    const ir_tensor *offsets = e->input[0];
    const uint64_t example = (uint64_t)tensor_get_int(e->input[2], 0);
    TRY(want_offsets(e, offsets, e->input[1]->dims[0]));
    for (int64_t b = 0; b + 1 < offsets->dims[0]; b++) {
        int64_t first = tensor_get_int(offsets, b), end = tensor_get_int(offsets, b + 1);
        for (int64_t r = first; r < end; r++)
            tensor_set_int(e->result[0], r, (int64_t)(((example + (uint64_t)b) << 32) + (uint64_t)(r - first)));
    }
    return POFAC_OK;
}

pofac_status want_dropout(const ir_infer *in, const ir_type *x, const ir_type *keys, const ir_type *random) {
    const double rate = node_float(in->node, "rate");
    const int64_t stream = node_int(in->node, "stream");
    const ir_dim two = dim_const(2);
    if (!(rate >= 0 && rate < 1)) return infer_error(in, "rate is %g, wanted a number of at least 0 and below 1", rate);
    if (stream < 0 || stream > UINT32_MAX) return infer_error(in, "stream is %" PRId64 ", wanted 0 to %u", stream, UINT32_MAX);
    TRY(want_type(in, keys, "keys", type_tensor(in->context, IR_I64, 1, x->dims)));
    return want_type(in, random, "random", type_tensor(in->context, IR_I64, 1, &two));
}

dropout_numbers dropout_numbers_make(const ir_eval *e, const ir_tensor *random) {
    const double rate = node_float(e->node, "rate");
    return (dropout_numbers){.key = rng_key_numbered((uint64_t)tensor_get_int(random, 0), (uint32_t)node_int(e->node, "stream")),
                             .step = (uint64_t)tensor_get_int(random, 1) << 32,
                             .drop_below = rng_drop_below(rate),
                             .scale = 1 / (1 - rate)};
}

double dropout_factor(const dropout_numbers *d, int64_t row_key, uint64_t column) {
    const rng_block block = rng_philox(d->key, (uint64_t)row_key, d->step | (column >> 2));
    return block.word[column & 3] >= d->drop_below ? d->scale : 0;
}

pofac_status infer_dropout(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_rank(in, x, "x", 2, "[R,E]"));
    TRY(want_float(in, x, "x"));
    TRY(want_dropout(in, x, in->input[1], in->input[2]));
    return infer_result(in, 0, x);
}

pofac_status eval_dropout(const ir_eval *e) {
    const ir_tensor *x = e->input[0];
    const dropout_numbers numbers = dropout_numbers_make(e, e->input[2]);
    for (int64_t r = 0; r < x->dims[0]; r++) {
        const int64_t key = tensor_get_int(e->input[1], r), at = r * x->dims[1];
        for (int64_t i = 0; i < x->dims[1]; i++) {
            const double factor = dropout_factor(&numbers, key, (uint64_t)i);
            tensor_set(e->result[0], at + i, factor != 0 ? tensor_get(x, at + i) * factor : 0);
        }
    }
    return POFAC_OK;
}

/* The gradient goes through the same elements. */
void gradient_dropout(const ir_gradient *g) {
    const ir_value inputs[] = {g->dresult[0], g->node->inputs[1], g->node->inputs[2]};
    const ir_attr attrs[] = {attr_float("rate", node_float(g->node, "rate")), attr_int("stream", node_int(g->node, "stream"))};
    if (g->wanted[0]) g->dinput[0] = node_add(g->graph, OP_dropout, inputs, 3, attrs, 2, NULL);
}
