/*
 * What a training step does with gradients: the sum of squares for their norm, and the updates of parameters.
 *
 * adamw, with g the scaled gradient and t the step (spec of the method: prune once for all, section 4):
 *   m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g^2
 *   torch:  p' = (1 - lr wd) p - lr / (1 - b1^t) * m' / (sqrt(v') / sqrt(1 - b2^t) + eps), the first product rounded as PyTorch does: the largest
 *           element of a weight in 8 bits lies where its last bit decides whether its gradient passes
 *   hf:     q = p - lr sqrt(1 - b2^t) / (1 - b1^t) * m' / (sqrt(v') + eps),  p' = q - lr wd q
 * sgd, as PyTorch's: d = g + wd p;  u' = momentum u + d;  p' = p - lr (d + momentum u' with Nesterov, u' without). A velocity that
 * starts at 0 gives PyTorch's first step. Without momentum u' = d.
 * descend: x' = x - lr g, what scores of movement pruning do (Sanh et al. 2020).
 * A parameter that is 0 with gradient and moments 0 stays exactly 0. Under a mask (section 2) the gradient of a pruned element is 0, while its value and
 * moments go on: the gradient then comes with its pattern. A scale that is no finite number changes nothing: gradients that went wrong leave the
 * state as it was.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/ops/operands.h"

pofac_status infer_sum_of_squares(ir_infer *in) {
    TRY(want_float(in, in->input[0], "x"));
    return infer_result(in, 0, type_tensor(in->context, in->input[0]->dtype, 0, NULL));
}

pofac_status eval_sum_of_squares(const ir_eval *e) {
    double sum = 0;
    for (int64_t i = 0; i < tensor_elements(e->input[0]); i++) sum += tensor_get(e->input[0], i) * tensor_get(e->input[0], i);
    tensor_set(e->result[0], 0, sum);
    return POFAC_OK;
}

/* The gradient, at the places of a pattern alone: DTYPE[nnz(%pattern)]; NULL when memory is short. */
static const ir_type *values_type(const ir_infer *in, uint32_t pattern, ir_dtype dtype) {
    const ir_symbol nnz = symbol_nnz(in->context, in->node->inputs[pattern]);
    const ir_dim n = dim_symbol(nnz);
    return nnz ? type_tensor(in->context, dtype, 1, &n) : NULL;
}

/* Input 0 and the n - 1 that follow are of one type; then come scalars of its dtype. Where input number `pattern` is there, the gradient, input 1, has a
 * number for each of its places, and the others are matrices of its shape. */
static pofac_status want_update(const ir_infer *in, const char *const *names, uint32_t n, uint32_t n_scalars, uint32_t pattern) {
    const ir_type *p = in->input[0], *places = infer_input(in, pattern), *gradient = p;
    TRY(want_float(in, p, names[0]));
    if (places) {
        if (places->kind != TYPE_PATTERN)
            return infer_error(in, "pattern is %s, wanted pattern[N,K]", type_text_of(in, places).text);
        TRY(want_type(in, p, names[0], type_tensor(in->context, p->dtype, 2, places->dims)));
        gradient = values_type(in, pattern, p->dtype);
    }
    const ir_type *scalar = type_tensor(in->context, p->dtype, 0, NULL);
    for (uint32_t i = 1; i < n + n_scalars; i++)
        TRY(want_type(in, in->input[i], names[i], i >= n ? scalar : i == 1 ? gradient : p));
    return POFAC_OK;
}

/* Element by element, the gradient is this one's: -1 where it is 0. */
typedef struct gradient_places {
    const ir_pattern *pattern; /* NULL: every element has its own */
    int64_t next;              /* place of the next element that has one; elements are asked for in order */
} gradient_places;

static int64_t next_place(gradient_places *g, int64_t element) {
    const ir_pattern *p = g->pattern;
    if (!p) return element;
    const int64_t row = element / p->n_columns, column = element % p->n_columns;
    if (g->next < p->row_start[row + 1] && p->column[g->next] == column) return g->next++;
    return -1;
}

static double gradient_of(const ir_eval *e, gradient_places *places, int64_t element) {
    const int64_t place = next_place(places, element);
    return place < 0 ? 0 : tensor_get(e->input[1], place);
}

static pofac_status want_share(const ir_infer *in, const char *name) {
    const double share = node_float(in->node, name);
    if (share >= 0 && share < 1) return POFAC_OK;
    return infer_error(in, "%s is %g, wanted a number of at least 0 and below 1", name, share);
}

static pofac_status want_not_negative(const ir_infer *in, const char *name) {
    const double number = node_float(in->node, name);
    if (number >= 0 && number < INFINITY) return POFAC_OK;
    return infer_error(in, "%s is %g, wanted a number of at least 0", name, number);
}

/* The results are the inputs: p, and what stands from input `first` on. */
static pofac_status leave(const ir_eval *e, uint32_t first, uint32_t n_results) {
    for (uint32_t r = 0; r < n_results; r++)
        for (int64_t i = 0; i < tensor_elements(e->input[0]); i++)
            tensor_set(e->result[r], i, tensor_get(e->input[r == 0 ? 0 : first + r - 1], i));
    return POFAC_OK;
}

pofac_status infer_adamw(ir_infer *in) {
    static const char *const names[] = {"p", "g", "m", "v", "the learning rate", "scale"};
    TRY(want_update(in, names, 4, 2, 7));
    TRY(want_type(in, in->input[6], "step", type_tensor(in->context, IR_I64, 0, NULL)));
    TRY(want_share(in, "beta1"));
    TRY(want_share(in, "beta2"));
    TRY(want_not_negative(in, "eps"));
    TRY(want_not_negative(in, "weight_decay"));
    for (uint32_t r = 0; r < 3; r++) TRY(infer_result(in, r, in->input[0]));
    return POFAC_OK;
}

pofac_status eval_adamw(const ir_eval *e) {
    const double b1 = node_float(e->node, "beta1"), b2 = node_float(e->node, "beta2"), eps = node_float(e->node, "eps");
    const double lr = tensor_get(e->input[4], 0), scale = tensor_get(e->input[5], 0),
                 decay = lr * node_float(e->node, "weight_decay");
    const int64_t step = tensor_get_int(e->input[6], 0);
    const bool hf = strcmp(node_string(e->node, "form"), "hf") == 0, is_single = e->input[0]->dtype == IR_F32;
    if (step < 1) return eval_error(e, "step is %" PRId64 ", wanted at least 1", step);
    if (!isfinite(scale)) return leave(e, 2, 3);
    const double correction1 = 1 - pow(b1, (double)step), correction2 = sqrt(1 - pow(b2, (double)step));
    gradient_places places = {eval_input(e, 7) ? eval_input(e, 7)->pattern : NULL, 0};
    for (int64_t i = 0; i < tensor_elements(e->input[0]); i++) {
        const double g = scale * gradient_of(e, &places, i);
        const double m = b1 * tensor_get(e->input[2], i) + (1 - b1) * g, v = b2 * tensor_get(e->input[3], i) + (1 - b2) * g * g;
        double p = tensor_get(e->input[0], i);
        if (!hf) p = is_single ? (double)((float)p * (float)(1 - decay)) : p * (1 - decay);
        p -= hf ? lr * correction2 / correction1 * m / (sqrt(v) + eps) : lr / correction1 * m / (sqrt(v) / correction2 + eps);
        if (hf) p -= decay * p;
        tensor_set(e->result[0], i, p);
        tensor_set(e->result[1], i, m);
        tensor_set(e->result[2], i, v);
    }
    return POFAC_OK;
}

pofac_status infer_sgd(ir_infer *in) {
    static const char *const names[] = {"p", "g", "u", "the learning rate", "scale"};
    TRY(want_update(in, names, 3, 2, 5));
    TRY(want_share(in, "momentum"));
    TRY(want_not_negative(in, "weight_decay"));
    for (uint32_t r = 0; r < 2; r++) TRY(infer_result(in, r, in->input[0]));
    return POFAC_OK;
}

pofac_status eval_sgd(const ir_eval *e) {
    const double momentum = node_float(e->node, "momentum"), decay = node_float(e->node, "weight_decay");
    const double lr = tensor_get(e->input[3], 0), scale = tensor_get(e->input[4], 0);
    const bool nesterov = node_int(e->node, "nesterov") != 0;
    if (!isfinite(scale)) return leave(e, 2, 2);
    gradient_places places = {eval_input(e, 5) ? eval_input(e, 5)->pattern : NULL, 0};
    for (int64_t i = 0; i < tensor_elements(e->input[0]); i++) {
        const double p = tensor_get(e->input[0], i), d = scale * gradient_of(e, &places, i) + decay * p;
        const double u = momentum * tensor_get(e->input[2], i) + d;
        tensor_set(e->result[0], i, p - lr * (nesterov ? d + momentum * u : u));
        tensor_set(e->result[1], i, u);
    }
    return POFAC_OK;
}

pofac_status infer_descend(ir_infer *in) {
    static const char *const names[] = {"x", "g", "the learning rate", "scale"};
    TRY(want_update(in, names, 2, 2, 4));
    return infer_result(in, 0, in->input[0]);
}

pofac_status eval_descend(const ir_eval *e) {
    const double lr = tensor_get(e->input[2], 0), scale = tensor_get(e->input[3], 0);
    if (!isfinite(scale)) return leave(e, 0, 1);
    for (int64_t i = 0; i < tensor_elements(e->input[0]); i++)
        tensor_set(e->result[0], i, tensor_get(e->input[0], i) - lr * (scale * tensor_get(e->input[1], i)));
    return POFAC_OK;
}
