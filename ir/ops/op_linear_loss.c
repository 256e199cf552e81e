/*
 * A linear and the cross entropy of its results as one op, for so many classes (a vocabulary) that logits [M,V] should not exist whole.
 *
 * The gradients of the loss are results beside it, since what a row of logits gives to all of them is known once its softmax is: an
 * implementation then needs the logits of a few rows at a time, once. Results that nobody reads need not be computed. The factor
 * `scale` stands within the op so that gradients need no pass over memory for it. Where no row counts the mean is NaN, as 0/0.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

pofac_status infer_linear_cross_entropy(ir_infer *in) {
    const ir_type *x = in->input[0], *weight = in->input[1], *labels = in->input[2], *bias = infer_input(in, 3),
                  *scale = infer_input(in, 4);
    TRY(want_rank(in, x, "x", 2, "[M,K]"));
    TRY(want_float(in, x, "x"));
    TRY(want_rank(in, weight, "weight", 2, "[V,K]"));
    const ir_dim dims[2] = {weight->dims[0], x->dims[1]};
    const ir_type *classes = type_tensor(in->context, x->dtype, 1, dims), *scalar = type_tensor(in->context, x->dtype, 0, NULL);
    TRY(want_type(in, weight, "weight", type_tensor(in->context, x->dtype, 2, dims)));
    if (bias) TRY(want_type(in, bias, "bias", classes));
    TRY(want_integer(in, labels, "labels"));
    TRY(want_type(in, labels, "labels", type_tensor(in->context, labels->dtype, 1, x->dims)));
    if (scale) TRY(want_type(in, scale, "scale", scalar));
    TRY(infer_result(in, 0, scalar));
    TRY(infer_result(in, 1, x));
    TRY(infer_result(in, 2, weight));
    return infer_result(in, 3, classes);
}

/* Everything in double. */
typedef struct vocabulary_loss {
    int64_t M, K, V;
    double *weight, *dweight; /* [V,K] */
    double *bias, *dbias;     /* [V] */
    double *row, *drow;       /* [K] */
    double *logits;           /* [V] */
    double loss;
} vocabulary_loss;

static bool vocabulary_loss_make(const ir_eval *e, vocabulary_loss *l) {
    const ir_tensor *x = e->input[0], *weight = e->input[1];
    *l = (vocabulary_loss){.M = x->dims[0], .K = x->dims[1], .V = weight->dims[0]};
    l->weight = alloc_doubles(l->V, l->K);
    l->dweight = alloc_doubles(l->V, l->K);
    l->bias = alloc_doubles(l->V, 1);
    l->dbias = alloc_doubles(l->V, 1);
    l->row = alloc_doubles(l->K, 1);
    l->drow = alloc_doubles(l->K, 1);
    l->logits = alloc_doubles(l->V, 1);
    if (!l->weight || !l->dweight || !l->bias || !l->dbias || !l->row || !l->drow || !l->logits) return false;
    tensor_get_run(weight, 0, l->V * l->K, l->weight);
    for (int64_t v = 0; v < l->V; v++) l->bias[v] = l->dbias[v] = 0;
    for (int64_t i = 0; i < l->V * l->K; i++) l->dweight[i] = 0;
    if (eval_input(e, 3)) tensor_get_run(e->input[3], 0, l->V, l->bias);
    return true;
}

static void vocabulary_loss_free(vocabulary_loss *l) {
    free(l->weight);
    free(l->dweight);
    free(l->bias);
    free(l->dbias);
    free(l->row);
    free(l->drow);
    free(l->logits);
}

/* Adds the loss of l->row, and its gradients times `factor`; l->drow becomes that of the row. */
static void add_row(vocabulary_loss *l, int64_t label, double factor) {
    double top = -INFINITY, total = 0;
    for (int64_t v = 0; v < l->V; v++) {
        l->logits[v] = l->bias[v];
        for (int64_t k = 0; k < l->K; k++) l->logits[v] += l->weight[v * l->K + k] * l->row[k];
        if (!(l->logits[v] <= top)) top = l->logits[v];
    }
    for (int64_t v = 0; v < l->V; v++) total += exp(l->logits[v] - top);
    l->loss += log(total) - (l->logits[label] - top);
    for (int64_t k = 0; k < l->K; k++) l->drow[k] = 0;
    for (int64_t v = 0; v < l->V; v++) {
        const double dlogit = factor * (exp(l->logits[v] - top) / total - (v == label));
        l->dbias[v] += dlogit;
        for (int64_t k = 0; k < l->K; k++) {
            l->drow[k] += dlogit * l->weight[v * l->K + k];
            l->dweight[v * l->K + k] += dlogit * l->row[k];
        }
    }
}

static pofac_status count_labels(const ir_eval *e, int64_t n_classes, int64_t *counted) {
    const ir_tensor *labels = e->input[2];
    *counted = 0;
    for (int64_t r = 0; r < labels->dims[0]; r++) {
        const int64_t label = tensor_get_int(labels, r);
        if (label == IR_IGNORED_LABEL) continue;
        if (label < 0 || label >= n_classes)
            return eval_error(e, "row %" PRId64 " has label %" PRId64 ", wanted 0 to %" PRId64 ", or %d to leave it out", r, label,
                              n_classes - 1, IR_IGNORED_LABEL);
        ++*counted;
    }
    return POFAC_OK;
}

pofac_status eval_linear_cross_entropy(const ir_eval *e) {
    const ir_tensor *x = e->input[0], *labels = e->input[2], *scale = eval_input(e, 4);
    int64_t counted;
    vocabulary_loss l;
    TRY(count_labels(e, e->input[1]->dims[0], &counted));
    const bool made = vocabulary_loss_make(e, &l), is_mean = strcmp(node_string(e->node, "reduction"), "mean") == 0;
    const double factor = (scale ? tensor_get(scale, 0) : 1) / (is_mean ? (double)counted : 1);
    for (int64_t r = 0; made && r < l.M; r++) {
        const int64_t label = tensor_get_int(labels, r);
        if (label == IR_IGNORED_LABEL) continue; /* results are zeroed */
        tensor_get_run(x, r * l.K, l.K, l.row);
        add_row(&l, label, factor);
        tensor_set_run(e->result[1], r * l.K, l.K, l.drow);
    }
    if (made) {
        tensor_set(e->result[0], 0, l.loss * factor);
        tensor_set_run(e->result[2], 0, l.V * l.K, l.dweight);
        tensor_set_run(e->result[3], 0, l.V, l.dbias);
    }
    vocabulary_loss_free(&l);
    return made ? POFAC_OK : diag_out_of_memory(e->sink);
}

void gradient_linear_cross_entropy(const ir_gradient *g) {
    for (uint32_t r = 1; r < 4; r++)
        if (g->dresult[r] != IR_NO_VALUE)
            return gradient_error(g, "has no second gradient, wanted a loss that depends on its first result");
    static const uint32_t result_of[] = {1, 2, 0, 3}; /* of each input */
    if (g->node->n_inputs > 4 && g->wanted[4])
        return gradient_error(g, "has no gradient of its scale, wanted one that is not trained");
    for (uint32_t i = 0; i < g->node->n_inputs; i++)
        if (g->wanted[i]) g->dinput[i] = build_binary(g->graph, OP_mul, node_result(g->node, result_of[i]), g->dresult[0]);
}
