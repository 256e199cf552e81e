/*
 * Elementwise ops on floats. Of two operands the second may have fewer dimensions, which are the last ones of the first operand's; it
 * is then repeated along the others ([] repeats everywhere). All work is done in double and rounded once.
 */
#include <math.h>
#include <string.h>

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

pofac_status eval_add(const ir_eval *e) { return eval_binary(e, sum); }
pofac_status eval_sub(const ir_eval *e) { return eval_binary(e, difference); }
pofac_status eval_mul(const ir_eval *e) { return eval_binary(e, product); }
pofac_status eval_relu(const ir_eval *e) { return eval_unary(e, rectified); }
pofac_status eval_tanh(const ir_eval *e) { return eval_unary(e, tanh); }
pofac_status eval_gelu(const ir_eval *e) {
    return eval_unary(e, strcmp(node_string(e->node, "form"), "tanh") == 0 ? gelu_by_tanh : gelu_exact);
}
