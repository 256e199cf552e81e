/*
 * Gradients of layers with parameters: embedding, layer norm; and the rule for linear, whose own gradients are in op_gradient.c.
 *
 * layer norm (Ba et al. 2016): with z = (x - mean) rstd and g = dy gamma,
 *   dx = rstd (g - mean(g) - z mean(g z)),  dgamma = sum over rows of dy z,  dbeta = sum over rows of dy.
 * Sums over rows are taken in the order of the rows, in double.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

/* ---- embedding ---- */

pofac_status infer_embedding_gradient(ir_infer *in) {
    const ir_type *dy = in->input[0], *ids = in->input[1];
    TRY(want_rank(in, dy, "dy", 2, "[R,E]"));
    TRY(want_float(in, dy, "dy"));
    TRY(want_integer(in, ids, "ids"));
    TRY(want_type(in, ids, "ids", type_tensor(in->context, ids->dtype, 1, dy->dims)));
    TRY(want_declared(in));
    const ir_type *t = in->declared;
    if (t->kind != TYPE_TENSOR || t->rank != 2 || t->dtype != dy->dtype || t->layout != LAYOUT_ROWS ||
        !dim_equal(t->dims[1], dy->dims[1]))
        return infer_error(in, "the declared type is %s, wanted %s[V,%s]", type_text_of(in, t).text, dtype_name(dy->dtype),
                           dim_text_of(in, dy->dims[1]).text);
    if (infer_input(in, 2)) TRY(want_type(in, in->input[2], "base", t));
    return infer_result(in, 0, t);
}

pofac_status eval_embedding_gradient(const ir_eval *e) {
    const ir_tensor *dy = e->input[0], *ids = e->input[1], *base = eval_input(e, 2);
    int64_t n_ids = e->result[0]->dims[0], width = dy->dims[1], padding = node_int(e->node, "padding_id");
    double *sums = alloc_doubles(n_ids, width);
    if (!sums) return diag_out_of_memory(e->sink);
    for (int64_t i = 0; i < n_ids * width; i++) sums[i] = 0;
    if (base) tensor_get_run(base, 0, n_ids * width, sums);
    pofac_status status = POFAC_OK;
    for (int64_t r = 0; r < ids->dims[0] && status == POFAC_OK; r++) {
        int64_t id = tensor_get_int(ids, r);
        if (id < 0 || id >= n_ids)
            status = eval_error(e, "row %" PRId64 " has id %" PRId64 ", wanted 0 to %" PRId64, r, id, n_ids - 1);
        else if (id != padding)
            for (int64_t i = 0; i < width; i++) sums[id * width + i] += tensor_get(dy, r * width + i);
    }
    if (status == POFAC_OK) tensor_set_run(e->result[0], 0, n_ids * width, sums);
    free(sums);
    return status;
}

void gradient_embedding(const ir_gradient *g) {
    if (!g->wanted[0]) return;
    const ir_value inputs[] = {g->dresult[0], g->node->inputs[1]};
    const ir_attr padding = attr_int("padding_id", node_int(g->node, "padding_id"));
    g->dinput[0] = node_add(g->graph, OP_embedding_gradient, inputs, 2, &padding, 1, graph_type(g->graph, g->node->inputs[0]));
}

/* ---- linear ---- */

/* The weight's gradient comes first: x is read no more when the input's gradient, of the same size, is made. That of a weight which wants the gradients of all
 * elements is made dense, and those that are computed with are taken from it. */
void gradient_linear(const ir_gradient *g) {
    const ir_node *n = g->node;
    const ir_value dy = g->dresult[0], pattern = node_input(n, 3);
    const bool bias = n->n_inputs > 2 && n->inputs[2] != IR_NO_VALUE && g->wanted[2];
    const uint32_t n_inputs = pattern == IR_NO_VALUE ? 2 : 3;
    if (g->wanted[1] || bias) {
        const bool all = g->wanted[1] && pattern != IR_NO_VALUE && takes_all_gradients(graph_node_of(g->graph, n->inputs[1]));
        const ir_value inputs[] = {n->inputs[0], dy, pattern};
        const ir_value dw = node_add(g->graph, OP_linear_weight_gradient, inputs, all ? 2 : n_inputs, NULL, 0, NULL);
        if (dw == IR_NO_VALUE) return;
        if (g->wanted[1]) g->dinput[1] = all ? build_binary(g->graph, OP_dense_to_sparse, dw, pattern) : dw;
        if (bias) g->dinput[2] = dw + 1;
    }
    if (!g->wanted[0]) return;
    const ir_value inputs[] = {dy, n->inputs[1], pattern};
    g->dinput[0] = node_add(g->graph, OP_linear_input_gradient, inputs, n_inputs, NULL, 0, NULL);
}

/* ---- layer norm ---- */

pofac_status infer_layer_norm_gradient(ir_infer *in) {
    const ir_type *x = in->input[0];
    TRY(want_rank(in, x, "x", 2, "[R,E]"));
    TRY(want_float(in, x, "x"));
    TRY(want_type(in, in->input[1], "dy", x));
    const ir_type *vector = type_tensor(in->context, x->dtype, 1, &x->dims[1]),
                  *moment = type_tensor(in->context, x->dtype, 1, x->dims);
    TRY(want_type(in, in->input[2], "gamma", vector));
    TRY(want_type(in, in->input[3], "mean", moment));
    TRY(want_type(in, in->input[4], "rstd", moment));
    TRY(infer_result(in, 0, x));
    TRY(infer_result(in, 1, vector));
    return infer_result(in, 2, vector);
}

/* One row: dx, and what it adds to dgamma and dbeta. x becomes z, dy stays. */
static void through_norm(int64_t width, double mean, double rstd, double *x, const double *dy, const double *gamma, double *dx,
                         double *dgamma, double *dbeta) {
    double sum = 0, sum_z = 0;
    for (int64_t i = 0; i < width; i++) {
        x[i] = (x[i] - mean) * rstd;
        sum += dy[i] * gamma[i];
        sum_z += dy[i] * gamma[i] * x[i];
        dgamma[i] += dy[i] * x[i];
        dbeta[i] += dy[i];
    }
    sum /= (double)width;
    sum_z /= (double)width;
    for (int64_t i = 0; i < width; i++) dx[i] = rstd * (dy[i] * gamma[i] - sum - x[i] * sum_z);
}

pofac_status eval_layer_norm_gradient(const ir_eval *e) {
    int64_t n_rows = e->input[0]->dims[0], width = e->input[0]->dims[1];
    double *buffer = alloc_doubles(width, 6);
    if (!buffer) return diag_out_of_memory(e->sink);
    double *x = buffer, *dy = x + width, *gamma = dy + width, *dx = gamma + width, *dgamma = dx + width, *dbeta = dgamma + width;
    for (int64_t i = 0; i < width; i++) dgamma[i] = dbeta[i] = 0;
    tensor_get_run(e->input[2], 0, width, gamma);
    for (int64_t r = 0; r < n_rows; r++) {
        tensor_get_run(e->input[0], r * width, width, x);
        tensor_get_run(e->input[1], r * width, width, dy);
        through_norm(width, tensor_get(e->input[3], r), tensor_get(e->input[4], r), x, dy, gamma, dx, dgamma, dbeta);
        tensor_set_run(e->result[0], r * width, width, dx);
    }
    tensor_set_run(e->result[1], 0, width, dgamma);
    tensor_set_run(e->result[2], 0, width, dbeta);
    free(buffer);
    return POFAC_OK;
}

void gradient_layer_norm(const ir_gradient *g) {
    const ir_node *n = g->node;
    if (g->dresult[1] != IR_NO_VALUE || g->dresult[2] != IR_NO_VALUE || g->dresult[0] == IR_NO_VALUE)
        return gradient_error(g, "the loss depends on mean or standard deviation, wanted on y alone");
    const ir_value inputs[] = {n->inputs[0], g->dresult[0], n->inputs[1], n->first_result + 1, n->first_result + 2};
    const ir_value dx = node_add(g->graph, OP_layer_norm_gradient, inputs, 5, NULL, 0, NULL);
    for (ir_value i = 0; i < 3 && dx != IR_NO_VALUE; i++) g->dinput[i] = dx + i;
}
