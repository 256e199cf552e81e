/*
 * Elementwise ops on floats. Of two operands the second may have fewer dimensions, which are the last ones of the first operand's; it
 * is then repeated along the others ([] repeats everywhere). All work is done in double and rounded once.
 */
#include <math.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/operands.h"

/* sqrt(2/pi) and the cubic's factor of the tanh form (Hendrycks and Gimpel 2016, section 2) */
#define GELU_TANH_SCALE 0.79788456080286535588
#define GELU_TANH_CUBIC 0.044715

pofac_status infer_elementwise(ir_infer *in) {
    const ir_type *x = in->input[0], *y = infer_input(in, 1);
    TRY(want_float(in, x, "x"));
    if (!y) return infer_result(in, 0, x);
    TRY(want_float(in, y, "y"));
    const ir_type *wanted = x;
    if (y->rank < x->rank) wanted = type_tensor(in->context, x->dtype, y->rank, x->dims + (x->rank - y->rank));
    TRY(want_type(in, y, "y", wanted));
    return infer_result(in, 0, x);
}

typedef double (*unary_fn)(double x);
typedef double (*binary_fn)(double x, double y);

#define RUN 256 /* elements converted at a time */

static pofac_status eval_unary(const ir_eval *e, unary_fn f) {
    double x[RUN];
    int64_t total = tensor_elements(e->input[0]);
    for (int64_t first = 0; first < total; first += RUN) {
        int64_t n = total - first < RUN ? total - first : RUN;
        tensor_get_run(e->input[0], first, n, x);
        for (int64_t i = 0; i < n; i++) x[i] = f(x[i]);
        tensor_set_run(e->result[0], first, n, x);
    }
    return POFAC_OK;
}

static pofac_status eval_binary(const ir_eval *e, binary_fn f) {
    double x[RUN], y[RUN];
    int64_t total = tensor_elements(e->input[0]), period = tensor_elements(e->input[1]), n;
    for (int64_t first = 0; first < total; first += n) {
        n = total - first < RUN ? total - first : RUN;
        if (period == 1) {
            double scalar = tensor_get(e->input[1], 0);
            for (int64_t i = 0; i < n; i++) y[i] = scalar;
        } else {
            int64_t at = first % period;
            if (n > period - at) n = period - at;
            tensor_get_run(e->input[1], at, n, y);
        }
        tensor_get_run(e->input[0], first, n, x);
        for (int64_t i = 0; i < n; i++) x[i] = f(x[i], y[i]);
        tensor_set_run(e->result[0], first, n, x);
    }
    return POFAC_OK;
}

static double sum(double x, double y) { return x + y; }
static double difference(double x, double y) { return x - y; }
static double product(double x, double y) { return x * y; }
static double rectified(double x) { return x < 0 ? 0 : x; } /* NaN stays NaN */

/* x/2 (1 + erf(x / sqrt 2)), without the cancellation for negative x */
static double gelu_exact(double x) { return 0.5 * x * erfc(-x * M_SQRT1_2); }

/* x/2 (1 + tanh(u)) = x / (1 + exp(-2 u)) with u = sqrt(2/pi) (x + 0.044715 x^3) */
static double gelu_by_tanh(double x) {
    double u = GELU_TANH_SCALE * (x + GELU_TANH_CUBIC * x * x * x);
    return x / (1 + exp(-2 * u));
}

/* The derivative of x Phi(x): Phi(x) + x phi(x), Phi and phi being the standard normal's distribution and density. */
static double gelu_exact_slope(double x) {
    double density = M_SQRT1_2 * 0.5 * M_2_SQRTPI * exp(-0.5 * x * x); /* 1/sqrt(2 pi) */
    return 0.5 * erfc(-x * M_SQRT1_2) + x * density;
}

/* Of x s with s = 1 / (1 + exp(-2 u)): s + x 2 u' s (1 - s) */
static double gelu_by_tanh_slope(double x) {
    double u = GELU_TANH_SCALE * (x + GELU_TANH_CUBIC * x * x * x), slope = GELU_TANH_SCALE * (1 + 3 * GELU_TANH_CUBIC * x * x);
    double s = 1 / (1 + exp(-2 * u)), other = 1 / (1 + exp(2 * u));
    return s + x * 2 * slope * s * other;
}

static double quotient(double x, double y) { return x / y; }
static double where_positive(double x, double dy) { return x > 0 ? dy : 0; }
static double through_tanh(double y, double dy) { return dy * (1 - y * y); }
static double through_gelu(double x, double dy) { return dy * gelu_exact_slope(x); }
static double through_gelu_by_tanh(double x, double dy) { return dy * gelu_by_tanh_slope(x); }

pofac_status eval_add(const ir_eval *e) { return eval_binary(e, sum); }
pofac_status eval_sub(const ir_eval *e) { return eval_binary(e, difference); }
pofac_status eval_mul(const ir_eval *e) { return eval_binary(e, product); }
pofac_status eval_relu(const ir_eval *e) { return eval_unary(e, rectified); }
pofac_status eval_tanh(const ir_eval *e) { return eval_unary(e, tanh); }
pofac_status eval_gelu(const ir_eval *e) {
    return eval_unary(e, strcmp(node_string(e->node, "form"), "tanh") == 0 ? gelu_by_tanh : gelu_exact);
}

pofac_status eval_div(const ir_eval *e) { return eval_binary(e, quotient); }
pofac_status eval_sqrt(const ir_eval *e) { return eval_unary(e, sqrt); }
pofac_status eval_relu_gradient(const ir_eval *e) { return eval_binary(e, where_positive); }
pofac_status eval_tanh_gradient(const ir_eval *e) { return eval_binary(e, through_tanh); }
pofac_status eval_gelu_gradient(const ir_eval *e) {
    return eval_binary(e, strcmp(node_string(e->node, "form"), "tanh") == 0 ? through_gelu_by_tanh : through_gelu);
}

pofac_status infer_clip_factor(ir_infer *in) {
    double max_norm = node_float(in->node, "max_norm");
    if (!(max_norm > 0)) return infer_error(in, "max_norm is %g, wanted a number above 0", max_norm);
    return infer_elementwise(in);
}

pofac_status eval_clip_factor(const ir_eval *e) {
    double max_norm = node_float(e->node, "max_norm");
    int64_t n = tensor_elements(e->input[0]);
    for (int64_t i = 0; i < n; i++) {
        const double norm = tensor_get(e->input[0], i), factor = max_norm / (norm + 1e-6);
        tensor_set(e->result[0], i, !isfinite(norm) ? NAN : factor < 1 ? factor : 1);
    }
    return POFAC_OK;
}

/* ---- gradients ---- */

/* Does the second operand repeat along the first one's dimensions? Then its gradient would be a sum over them, which no model needs. */
static bool repeats(const ir_gradient *g) {
    return g->wanted[1] && graph_type(g->graph, g->node->inputs[0]) != graph_type(g->graph, g->node->inputs[1]);
}

static void no_repeated(const ir_gradient *g) {
    gradient_error(g, "the second operand is repeated, and its gradient wanted; wanted operands of one shape");
}

void gradient_add(const ir_gradient *g) {
    if (repeats(g)) return no_repeated(g);
    g->dinput[0] = g->dinput[1] = g->dresult[0];
}

void gradient_sub(const ir_gradient *g) {
    if (repeats(g)) return no_repeated(g);
    g->dinput[0] = g->dresult[0];
    if (g->wanted[1])
        g->dinput[1] =
            build_binary(g->graph, OP_mul, g->dresult[0], build_scalar(g->graph, graph_type(g->graph, g->dresult[0])->dtype, -1));
}

void gradient_mul(const ir_gradient *g) {
    if (repeats(g)) return no_repeated(g);
    for (int i = 0; i < 2; i++)
        if (g->wanted[i]) g->dinput[i] = build_binary(g->graph, OP_mul, g->dresult[0], g->node->inputs[1 - i]);
}

void gradient_relu(const ir_gradient *g) {
    g->dinput[0] = build_binary(g->graph, OP_relu_gradient, g->node->inputs[0], g->dresult[0]);
}

void gradient_tanh(const ir_gradient *g) {
    g->dinput[0] = build_binary(g->graph, OP_tanh_gradient, g->node->first_result, g->dresult[0]);
}

void gradient_gelu(const ir_gradient *g) {
    const ir_value inputs[] = {g->node->inputs[0], g->dresult[0]};
    const ir_attr form = attr_enum("form", node_string(g->node, "form"));
    g->dinput[0] = node_add(g->graph, OP_gelu_gradient, inputs, 2, &form, 1, NULL);
}
