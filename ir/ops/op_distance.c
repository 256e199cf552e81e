/*
 * How far activations of a student are from those of a teacher, summed over rows, and what the sum changes by with the student's. With c the
 * factor `scale`, over the rows r that are kept:
 *   squared_distance   c sum_r |x_r - y_r|^2 / E                       dx_r = 2 c (x_r - y_r) / E
 *   cosine_distance    c sum_r (1 - x_r . y_r / sqrt(X Y)),            dx_r = c ((x_r . y_r) x_r / X - y_r) / sqrt(X Y)
 *                      X = |x_r|^2 + 1e-12, Y = |y_r|^2 + 1e-12
 * With c = 1 / rows these are PyTorch's mse_loss and cosine_embedding_loss of pairs with target 1 (Sanh et al. 2019, section 3; Jiao et al.
 * 2020, equation 8). y is a teacher's: there is no gradient of it.
 */
#include <math.h>
#include <stdlib.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

#define COSINE_EPSILON 1e-12 /* as in PyTorch's cosine_embedding_loss */

static pofac_status infer_distance(ir_infer *in) {
    const ir_type *x = in->input[0], *keep = infer_input(in, 2), *scale = infer_input(in, 3);
    TRY(want_rank(in, x, "x", 2, "[R,E]"));
    TRY(want_float(in, x, "x"));
    TRY(want_type(in, in->input[1], "y", x));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        TRY(want_type(in, keep, "keep", type_tensor(in->context, keep->dtype, 1, x->dims)));
    }
    const ir_type *scalar = type_tensor(in->context, x->dtype, 0, NULL);
    if (scale) TRY(want_type(in, scale, "scale", scalar));
    TRY(infer_result(in, 0, scalar));
    return infer_result(in, 1, x);
}

pofac_status infer_squared_distance(ir_infer *in) { return infer_distance(in); }

pofac_status infer_cosine_distance(ir_infer *in) { return infer_distance(in); }

/* The distance of x and y [n]; x becomes what it changes by with x. */
typedef double (*row_distance_fn)(double *x, const double *y, int64_t n);

static double squared_distance(double *x, const double *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = x[i] - y[i];
        sum += d * d;
        x[i] = 2 * d / (double)n;
    }
    return sum / (double)n;
}

static double cosine_distance(double *x, const double *y, int64_t n) {
    double xx = COSINE_EPSILON, yy = COSINE_EPSILON, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        xx += x[i] * x[i];
        yy += y[i] * y[i];
        xy += x[i] * y[i];
    }
    const double length = sqrt(xx * yy);
    for (int64_t i = 0; i < n; i++) x[i] = (xy * x[i] / xx - y[i]) / length;
    return 1 - xy / length;
}

static pofac_status eval_distance(const ir_eval *e, row_distance_fn distance) {
    const ir_tensor *keep = eval_input(e, 2), *scale = eval_input(e, 3);
    const int64_t n_rows = e->input[0]->dims[0], n = e->input[0]->dims[1];
    const double factor = scale ? tensor_get(scale, 0) : 1;
    double *x = alloc_doubles(n, 2), *y = x ? x + n : NULL, sum = 0;
    if (!x) return diag_out_of_memory(e->sink);
    for (int64_t r = 0; r < n_rows; r++) {
        if (keep && tensor_get_int(keep, r) == 0) continue; /* results are zeroed */
        tensor_get_run(e->input[0], r * n, n, x);
        tensor_get_run(e->input[1], r * n, n, y);
        sum += distance(x, y, n);
        for (int64_t i = 0; i < n; i++) x[i] *= factor;
        tensor_set_run(e->result[1], r * n, n, x);
    }
    free(x);
    tensor_set(e->result[0], 0, factor * sum);
    return POFAC_OK;
}

pofac_status eval_squared_distance(const ir_eval *e) { return eval_distance(e, squared_distance); }

pofac_status eval_cosine_distance(const ir_eval *e) { return eval_distance(e, cosine_distance); }

static void gradient_distance(const ir_gradient *g) {
    if (g->dresult[1] != IR_NO_VALUE)
        return gradient_error(g, "has no second gradient, wanted a loss that depends on its first result");
    if (g->wanted[1]) return gradient_error(g, "has no gradient of y, wanted a teacher's, which is not trained");
    if (g->node->n_inputs > 3 && g->wanted[3])
        return gradient_error(g, "has no gradient of its scale, wanted one that is not trained");
    if (g->wanted[0]) g->dinput[0] = build_binary(g->graph, OP_mul, node_result(g->node, 1), g->dresult[0]);
}

void gradient_squared_distance(const ir_gradient *g) { gradient_distance(g); }

void gradient_cosine_distance(const ir_gradient *g) { gradient_distance(g); }
