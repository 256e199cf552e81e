/*
 * Losses of distillation (Hinton et al. 2015): what a student's results differ by from a teacher's.
 *
 *   kl_divergence = scale * sum over rows of T^2 * KL(softmax(teacher / T) || softmax(student / T))
 *
 * T^2 keeps the gradient's size: with respect to a student's logit it is T (softmax(student / T) - softmax(teacher / T)). Nothing is
 * learned through the teacher: there is no gradient for it, nor for scale. A row that does not count adds nothing, nor does one of
 * whose classes none is kept.
 */
#include <math.h>
#include <stdlib.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

/* Operands 0, 1 and those from `keep` on: keep, scale. */
static pofac_status want_operands(const ir_infer *in, uint32_t at) {
    const ir_type *student = in->input[0], *keep = infer_input(in, at), *scale = infer_input(in, at + 1);
    const double temperature = node_float(in->node, "temperature");
    TRY(want_rank(in, student, "student", 2, "[R,C]"));
    TRY(want_float(in, student, "student"));
    TRY(want_type(in, in->input[1], "teacher", student));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        const ir_type *wanted = type_tensor(in->context, keep->dtype, keep->rank == 2 ? 2 : 1, student->dims);
        TRY(want_type(in, keep, "keep", wanted));
    }
    if (scale) TRY(want_type(in, scale, "scale", type_tensor(in->context, student->dtype, 0, NULL)));
    if (!(temperature > 0 && isfinite(temperature)))
        return infer_error(in, "temperature is %g, wanted a number above 0", temperature);
    return POFAC_OK;
}

pofac_status infer_kl_divergence(ir_infer *in) {
    TRY(want_operands(in, 2));
    return infer_result(in, 0, type_tensor(in->context, in->input[0]->dtype, 0, NULL));
}

pofac_status infer_kl_divergence_gradient(ir_infer *in) {
    TRY(want_operands(in, 3));
    TRY(want_type(in, in->input[2], "dloss", type_tensor(in->context, in->input[0]->dtype, 0, NULL)));
    return infer_result(in, 0, in->input[0]);
}

/* Two rows, as log-softmaxes at the temperature over the classes that are kept; -inf at the others. */
typedef struct divergence {
    int64_t n_rows, n_classes;
    const ir_tensor *keep;
    double temperature, scale;
    double *student, *teacher; /* [C] */
} divergence;

static bool divergence_make(const ir_eval *e, uint32_t at, divergence *d) {
    const ir_tensor *scale = eval_input(e, at + 1);
    *d = (divergence){.n_rows = e->input[0]->dims[0],
                      .n_classes = e->input[0]->dims[1],
                      .keep = eval_input(e, at),
                      .temperature = node_float(e->node, "temperature"),
                      .scale = scale ? tensor_get(scale, 0) : 1};
    d->student = alloc_doubles(d->n_classes, 1);
    d->teacher = alloc_doubles(d->n_classes, 1);
    return d->student && d->teacher;
}

static void divergence_free(divergence *d) {
    free(d->student);
    free(d->teacher);
}

static bool class_counts(const divergence *d, int64_t row, int64_t c) {
    return !d->keep || d->keep->rank == 1 || tensor_get_int(d->keep, row * d->n_classes + c) != 0;
}

static void log_softmax(const divergence *d, int64_t row, double *x) {
    double top = -INFINITY, total = 0;
    for (int64_t c = 0; c < d->n_classes; c++) {
        x[c] = class_counts(d, row, c) ? x[c] / d->temperature : -INFINITY;
        if (!(x[c] <= top)) top = x[c];
    }
    if (top == -INFINITY) return; /* no class is kept */
    for (int64_t c = 0; c < d->n_classes; c++) total += exp(x[c] - top);
    for (int64_t c = 0; c < d->n_classes; c++) x[c] -= top + log(total);
}

/* Reads a row of both; false: it does not count. */
static bool read_row(const ir_eval *e, divergence *d, int64_t row) {
    if (d->keep && d->keep->rank == 1 && tensor_get_int(d->keep, row) == 0) return false;
    tensor_get_run(e->input[0], row * d->n_classes, d->n_classes, d->student);
    tensor_get_run(e->input[1], row * d->n_classes, d->n_classes, d->teacher);
    log_softmax(d, row, d->student);
    log_softmax(d, row, d->teacher);
    return true;
}

static double row_divergence(const divergence *d) {
    double sum = 0;
    for (int64_t c = 0; c < d->n_classes; c++) {
        const double p = exp(d->teacher[c]); /* 0 log 0 = 0 */
        if (p != 0) sum += p * (d->teacher[c] - d->student[c]);
    }
    return sum;
}

pofac_status eval_kl_divergence(const ir_eval *e) {
    divergence d;
    double sum = 0;
    const bool made = divergence_make(e, 2, &d);
    for (int64_t r = 0; made && r < d.n_rows; r++)
        if (read_row(e, &d, r)) sum += row_divergence(&d);
    divergence_free(&d);
    if (!made) return diag_out_of_memory(e->sink);
    tensor_set(e->result[0], 0, d.scale * d.temperature * d.temperature * sum);
    return POFAC_OK;
}

pofac_status eval_kl_divergence_gradient(const ir_eval *e) {
    divergence d;
    const bool made = divergence_make(e, 3, &d);
    const double factor = tensor_get(e->input[2], 0) * d.scale * d.temperature;
    for (int64_t r = 0; made && r < d.n_rows; r++) {
        if (!read_row(e, &d, r)) continue; /* results are zeroed */
        for (int64_t c = 0; c < d.n_classes; c++) d.student[c] = factor * (exp(d.student[c]) - exp(d.teacher[c]));
        tensor_set_run(e->result[0], r * d.n_classes, d.n_classes, d.student);
    }
    divergence_free(&d);
    return made ? POFAC_OK : diag_out_of_memory(e->sink);
}

/* ---- gradients ---- */

void gradient_kl_divergence(const ir_gradient *g) {
    const ir_value keep = node_input(g->node, 2), scale = node_input(g->node, 3);
    const ir_value inputs[] = {g->node->inputs[0], g->node->inputs[1], g->dresult[0], keep, scale};
    const ir_attr temperature = attr_float("temperature", node_float(g->node, "temperature"));
    const size_t n = scale != IR_NO_VALUE ? 5 : keep != IR_NO_VALUE ? 4 : 3;
    if (g->wanted[0]) g->dinput[0] = node_add(g->graph, OP_kl_divergence_gradient, inputs, n, &temperature, 1, NULL);
}
