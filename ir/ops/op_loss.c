/*
 * Losses: scalars [] that training makes small, means over what counts. Where nothing counts the mean is NaN, as 0/0.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

static pofac_status want_classes(const ir_infer *in, const ir_type *keep) {
    const ir_type *logits = in->input[0], *labels = in->input[1];
    TRY(want_rank(in, logits, "logits", 2, "[R,C]"));
    TRY(want_float(in, logits, "logits"));
    TRY(want_integer(in, labels, "labels"));
    TRY(want_type(in, labels, "labels", type_tensor(in->context, labels->dtype, 1, logits->dims)));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        TRY(want_type(in, keep, "keep", type_tensor(in->context, keep->dtype, 2, logits->dims)));
    }
    return POFAC_OK;
}

static const ir_type *scalar_like(const ir_infer *in, const ir_type *t) { return type_tensor(in->context, t->dtype, 0, NULL); }

pofac_status infer_cross_entropy(ir_infer *in) {
    TRY(want_classes(in, infer_input(in, 2)));
    return infer_result(in, 0, scalar_like(in, in->input[0]));
}

pofac_status infer_cross_entropy_gradient(ir_infer *in) {
    TRY(want_classes(in, infer_input(in, 3)));
    TRY(want_type(in, in->input[2], "dloss", scalar_like(in, in->input[0])));
    return infer_result(in, 0, in->input[0]);
}

/* The label of a row; *counts = false where the row does not. */
static pofac_status row_label(const ir_eval *e, int64_t r, int64_t *label, bool *counts) {
    const int64_t n_classes = e->input[0]->dims[1];
    const bool clamp = strcmp(node_string(e->node, "labels"), "clamp") == 0;
    int64_t found = tensor_get_int(e->input[1], r);
    if (clamp) found = found < 0 ? 0 : found > n_classes ? n_classes : found;
    *label = found;
    *counts = found != (clamp ? n_classes : IR_IGNORED_LABEL);
    if (!*counts || (found >= 0 && found < n_classes)) return POFAC_OK;
    return eval_error(e, "row %" PRId64 " has label %" PRId64 ", wanted 0 to %" PRId64 ", or %d to leave it out", r, found,
                      n_classes - 1, IR_IGNORED_LABEL);
}

static bool is_mean(const ir_eval *e) { return strcmp(node_string(e->node, "reduction"), "mean") == 0; }

/* -log softmax(row)[label] over the kept classes; +inf when the label's class is left out. `first` is the row's place in `keep`. */
static double row_loss(const double *row, int64_t n_classes, const ir_tensor *keep, int64_t first, int64_t label) {
    double top = -INFINITY, total = 0;
    if (keep && tensor_get_int(keep, first + label) == 0) return INFINITY;
    for (int64_t c = 0; c < n_classes; c++)
        if ((!keep || tensor_get_int(keep, first + c) != 0) && !(row[c] <= top)) top = row[c];
    for (int64_t c = 0; c < n_classes; c++)
        if (!keep || tensor_get_int(keep, first + c) != 0) total += exp(row[c] - top);
    return log(total) - (row[label] - top);
}

pofac_status eval_cross_entropy(const ir_eval *e) {
    const ir_tensor *logits = e->input[0], *keep = eval_input(e, 2);
    int64_t n_rows = logits->dims[0], n_classes = logits->dims[1], counted = 0, label = 0;
    double sum = 0, *row = alloc_doubles(n_classes, 1);
    pofac_status status = row ? POFAC_OK : diag_out_of_memory(e->sink);
    for (int64_t r = 0; r < n_rows && status == POFAC_OK; r++) {
        bool counts;
        status = row_label(e, r, &label, &counts);
        if (status != POFAC_OK || !counts) continue;
        tensor_get_run(logits, r * n_classes, n_classes, row);
        sum += row_loss(row, n_classes, keep, r * n_classes, label);
        counted++;
    }
    free(row);
    if (status == POFAC_OK) tensor_set(e->result[0], 0, is_mean(e) ? sum / (double)counted : sum);
    return status;
}

/* row becomes factor * (softmax(row) - 1 at the label) over the kept classes, 0 at the others. */
static void through_softmax(double *row, int64_t n_classes, const ir_tensor *keep, int64_t first, int64_t label, double factor) {
    double top = -INFINITY, total = 0;
    for (int64_t c = 0; c < n_classes; c++)
        if ((!keep || tensor_get_int(keep, first + c) != 0) && !(row[c] <= top)) top = row[c];
    for (int64_t c = 0; c < n_classes; c++) {
        row[c] = keep && tensor_get_int(keep, first + c) == 0 ? 0 : exp(row[c] - top);
        total += row[c];
    }
    for (int64_t c = 0; c < n_classes; c++) row[c] = factor * (total != 0 ? row[c] / total : 0);
    if (!keep || tensor_get_int(keep, first + label) != 0) row[label] -= factor;
}

pofac_status eval_cross_entropy_gradient(const ir_eval *e) {
    const ir_tensor *logits = e->input[0], *keep = eval_input(e, 3);
    int64_t n_rows = logits->dims[0], n_classes = logits->dims[1], counted = 0, label = 0;
    double factor = tensor_get(e->input[2], 0), *row = alloc_doubles(n_classes, 1);
    pofac_status status = row ? POFAC_OK : diag_out_of_memory(e->sink);
    bool counts;
    for (int64_t r = 0; r < n_rows && status == POFAC_OK; r++) {
        status = row_label(e, r, &label, &counts);
        if (status == POFAC_OK && counts) counted++;
    }
    if (is_mean(e)) factor /= (double)counted;
    for (int64_t r = 0; r < n_rows && status == POFAC_OK; r++) {
        status = row_label(e, r, &label, &counts);
        if (status != POFAC_OK || !counts) continue; /* results are zeroed */
        tensor_get_run(logits, r * n_classes, n_classes, row);
        through_softmax(row, n_classes, keep, r * n_classes, label, factor);
        tensor_set_run(e->result[0], r * n_classes, n_classes, row);
    }
    free(row);
    return status;
}

pofac_status infer_mean_squared_error(ir_infer *in) {
    TRY(want_float(in, in->input[0], "x"));
    TRY(want_type(in, in->input[1], "y", in->input[0]));
    return infer_result(in, 0, type_tensor(in->context, in->input[0]->dtype, 0, NULL));
}

pofac_status eval_mean_squared_error(const ir_eval *e) {
    int64_t n = tensor_elements(e->input[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = tensor_get(e->input[0], i) - tensor_get(e->input[1], i);
        sum += d * d;
    }
    tensor_set(e->result[0], 0, sum / (double)n);
    return POFAC_OK;
}

pofac_status infer_mean_squared_error_gradient(ir_infer *in) {
    TRY(want_float(in, in->input[0], "x"));
    TRY(want_type(in, in->input[1], "y", in->input[0]));
    TRY(want_type(in, in->input[2], "dloss", scalar_like(in, in->input[0])));
    return infer_result(in, 0, in->input[0]);
}

pofac_status eval_mean_squared_error_gradient(const ir_eval *e) {
    const int64_t n = tensor_elements(e->input[0]);
    const double factor = 2 * tensor_get(e->input[2], 0) / (double)n;
    for (int64_t i = 0; i < n; i++) tensor_set(e->result[0], i, factor * (tensor_get(e->input[0], i) - tensor_get(e->input[1], i)));
    return POFAC_OK;
}

/* ---- gradients ---- */

void gradient_cross_entropy(const ir_gradient *g) {
    const ir_value keep = node_input(g->node, 2), inputs[] = {g->node->inputs[0], g->node->inputs[1], g->dresult[0], keep};
    const ir_attr attrs[] = {attr_enum("labels", node_string(g->node, "labels")),
                             attr_enum("reduction", node_string(g->node, "reduction"))};
    if (g->wanted[0])
        g->dinput[0] = node_add(g->graph, OP_cross_entropy_gradient, inputs, keep == IR_NO_VALUE ? 3 : 4, attrs, 2, NULL);
}

/* The error is symmetric: that of y is the negative of that of x. */
void gradient_mean_squared_error(const ir_gradient *g) {
    for (int i = 0; i < 2; i++) {
        const ir_value inputs[] = {g->node->inputs[i], g->node->inputs[1 - i], g->dresult[0]};
        if (g->wanted[i]) g->dinput[i] = node_add(g->graph, OP_mean_squared_error_gradient, inputs, 3, NULL, 0, NULL);
    }
}
