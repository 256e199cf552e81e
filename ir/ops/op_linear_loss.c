/*
 * A linear and the loss of its results as one op, for so many classes (a vocabulary) that logits [M,V] should not exist whole: their
 * cross entropy with labels, or their divergence from a teacher's, whose logits are results of a linear likewise, or known for the
 * likeliest classes of each row alone.
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

/* x [M,K], weight [V,K] and bias [V], which may be absent. */
static pofac_status want_classes(const ir_infer *in, const ir_type *x, const ir_type *weight, const ir_type *bias) {
    TRY(want_rank(in, x, "x", 2, "[M,K]"));
    TRY(want_float(in, x, "x"));
    TRY(want_rank(in, weight, "weight", 2, "[V,K]"));
    const ir_dim dims[2] = {weight->dims[0], x->dims[1]};
    TRY(want_type(in, weight, "weight", type_tensor(in->context, x->dtype, 2, dims)));
    return bias ? want_type(in, bias, "bias", type_tensor(in->context, x->dtype, 1, dims)) : POFAC_OK;
}

/* The loss, and what it changes by with x, weight and bias; scale may be absent. */
static pofac_status infer_loss(ir_infer *in, const ir_type *x, const ir_type *weight, const ir_type *scale) {
    const ir_type *scalar = type_tensor(in->context, x->dtype, 0, NULL);
    if (scale) TRY(want_type(in, scale, "scale", scalar));
    TRY(infer_result(in, 0, scalar));
    TRY(infer_result(in, 1, x));
    TRY(infer_result(in, 2, weight));
    return infer_result(in, 3, type_tensor(in->context, x->dtype, 1, weight->dims));
}

pofac_status infer_linear_cross_entropy(ir_infer *in) {
    const ir_type *x = in->input[0], *weight = in->input[1], *labels = in->input[2], *bias = infer_input(in, 3),
                  *scale = infer_input(in, 4);
    TRY(want_classes(in, x, weight, bias));
    TRY(want_integer(in, labels, "labels"));
    TRY(want_type(in, labels, "labels", type_tensor(in->context, labels->dtype, 1, x->dims)));
    return infer_loss(in, x, weight, scale);
}

/* A linear over V classes, one row at a time. Everything in double. */
typedef struct vocabulary {
    int64_t K, V;
    double *weight; /* [V,K] */
    double *bias;   /* [V] */
    double *row;    /* [K] */
    double *logits; /* [V] */
} vocabulary;

static bool vocabulary_make(const ir_tensor *x, const ir_tensor *weight, const ir_tensor *bias, vocabulary *v) {
    *v = (vocabulary){.K = x->dims[1], .V = weight->dims[0]};
    v->weight = alloc_doubles(v->V, v->K);
    v->bias = alloc_doubles(v->V, 1);
    v->row = alloc_doubles(v->K, 1);
    v->logits = alloc_doubles(v->V, 1);
    if (!v->weight || !v->bias || !v->row || !v->logits) return false;
    tensor_get_run(weight, 0, v->V * v->K, v->weight);
    for (int64_t i = 0; i < v->V; i++) v->bias[i] = 0;
    if (bias) tensor_get_run(bias, 0, v->V, v->bias);
    return true;
}

static void vocabulary_free(vocabulary *v) {
    free(v->weight);
    free(v->bias);
    free(v->row);
    free(v->logits);
}

/* Row r of x, and its logits over T. */
static void vocabulary_read(vocabulary *v, const ir_tensor *x, int64_t r, double temperature) {
    tensor_get_run(x, r * v->K, v->K, v->row);
    for (int64_t i = 0; i < v->V; i++) {
        v->logits[i] = v->bias[i];
        for (int64_t k = 0; k < v->K; k++) v->logits[i] += v->weight[i * v->K + k] * v->row[k];
        v->logits[i] /= temperature;
    }
}

static double log_sum_exp(const double *logits, int64_t n) {
    double top = -INFINITY, total = 0;
    for (int64_t i = 0; i < n; i++)
        if (!(logits[i] <= top)) top = logits[i];
    for (int64_t i = 0; i < n; i++) total += exp(logits[i] - top);
    return top + log(total);
}

/* What a loss changes by. */
typedef struct vocabulary_gradients {
    vocabulary *of;
    double *dweight, *dbias; /* [V,K], [V] */
    double *drow;            /* [K] */
} vocabulary_gradients;

static bool gradients_make(vocabulary *v, vocabulary_gradients *g) {
    *g = (vocabulary_gradients){v, alloc_doubles(v->V, v->K), alloc_doubles(v->V, 1), alloc_doubles(v->K, 1)};
    if (!g->dweight || !g->dbias || !g->drow) return false;
    for (int64_t i = 0; i < v->V; i++) g->dbias[i] = 0;
    for (int64_t i = 0; i < v->V * v->K; i++) g->dweight[i] = 0;
    return true;
}

static void gradients_free(vocabulary_gradients *g) {
    free(g->dweight);
    free(g->dbias);
    free(g->drow);
}

/* Adds what the row gives, whose logits the loss changes by `dlogits` with; the row of dx is g->drow. */
static void gradients_add(vocabulary_gradients *g, const double *dlogits) {
    const vocabulary *v = g->of;
    for (int64_t k = 0; k < v->K; k++) g->drow[k] = 0;
    for (int64_t i = 0; i < v->V; i++) {
        g->dbias[i] += dlogits[i];
        for (int64_t k = 0; k < v->K; k++) {
            g->drow[k] += dlogits[i] * v->weight[i * v->K + k];
            g->dweight[i * v->K + k] += dlogits[i] * v->row[k];
        }
    }
}

static void set_results(const ir_eval *e, double loss, const vocabulary_gradients *g) {
    tensor_set(e->result[0], 0, loss);
    tensor_set_run(e->result[2], 0, g->of->V * g->of->K, g->dweight);
    tensor_set_run(e->result[3], 0, g->of->V, g->dbias);
}

/* ---- cross entropy ---- */

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

/* The loss of the row that was read; its logits become what the loss times `factor` changes by with them. */
static double cross_entropy_of(const vocabulary *v, int64_t label, double factor) {
    const double log_sum = log_sum_exp(v->logits, v->V), loss = log_sum - v->logits[label];
    for (int64_t i = 0; i < v->V; i++) v->logits[i] = factor * (exp(v->logits[i] - log_sum) - (i == label));
    return loss;
}

pofac_status eval_linear_cross_entropy(const ir_eval *e) {
    const ir_tensor *x = e->input[0], *labels = e->input[2], *scale = eval_input(e, 4);
    int64_t counted;
    vocabulary v;
    vocabulary_gradients g = {NULL, NULL, NULL, NULL};
    TRY(count_labels(e, e->input[1]->dims[0], &counted));
    const bool made = vocabulary_make(x, e->input[1], eval_input(e, 3), &v) && gradients_make(&v, &g);
    const bool is_mean = strcmp(node_string(e->node, "reduction"), "mean") == 0;
    const double factor = (scale ? tensor_get(scale, 0) : 1) / (is_mean ? (double)counted : 1);
    double loss = 0;
    for (int64_t r = 0; made && r < x->dims[0]; r++) {
        const int64_t label = tensor_get_int(labels, r);
        if (label == IR_IGNORED_LABEL) continue; /* results are zeroed */
        vocabulary_read(&v, x, r, 1);
        loss += cross_entropy_of(&v, label, factor);
        gradients_add(&g, v.logits);
        tensor_set_run(e->result[1], r * v.K, v.K, g.drow);
    }
    if (made) set_results(e, loss * factor, &g);
    gradients_free(&g);
    vocabulary_free(&v);
    return made ? POFAC_OK : diag_out_of_memory(e->sink);
}

/* Results 1 to 3 are what the loss changes by with inputs 0, 1 and `bias`; others get no gradient. `bias` and
 * `scale`: numbers of inputs. */
static void gradient_of_loss(const ir_gradient *g, uint32_t bias, uint32_t scale) {
    for (uint32_t r = 1; r < 4; r++)
        if (g->dresult[r] != IR_NO_VALUE)
            return gradient_error(g, "has no second gradient, wanted a loss that depends on its first result");
    if (g->node->n_inputs > scale && g->wanted[scale])
        return gradient_error(g, "has no gradient of its scale, wanted one that is not trained");
    const uint32_t input[] = {0, 1, bias};
    for (uint32_t i = 0; i < 3; i++)
        if (input[i] < g->node->n_inputs && g->wanted[input[i]])
            g->dinput[input[i]] = build_binary(g->graph, OP_mul, node_result(g->node, i + 1), g->dresult[0]);
}

void gradient_linear_cross_entropy(const ir_gradient *g) { gradient_of_loss(g, 3, 4); }

/* ---- distillation ---- */

/* Operands of a student, by their numbers: x and weight are the first two. */
typedef struct student_inputs {
    uint32_t bias, keep, scale;
} student_inputs;
static const student_inputs of_kl_divergence = {4, 6, 7}, of_soft_cross_entropy = {4, 5, 6};

static pofac_status infer_student(ir_infer *in, const student_inputs *s) {
    const ir_type *x = in->input[0], *weight = in->input[1], *bias = infer_input(in, s->bias), *keep = infer_input(in, s->keep),
                  *scale = infer_input(in, s->scale);
    const double temperature = node_float(in->node, "temperature");
    if (!(temperature > 0 && temperature < INFINITY))
        return infer_error(in, "temperature is %g, wanted a number above 0", temperature);
    TRY(want_classes(in, x, weight, bias));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        TRY(want_type(in, keep, "keep", type_tensor(in->context, keep->dtype, 1, x->dims)));
    }
    return infer_loss(in, x, weight, scale);
}

pofac_status infer_linear_kl_divergence(ir_infer *in) {
    TRY(infer_student(in, &of_kl_divergence));
    const ir_type *x = in->input[0], *weight = in->input[1], *teacher_x = in->input[2], *bias = infer_input(in, 5);
    TRY(want_rank(in, teacher_x, "teacher's x", 2, "[M,J]"));
    ir_type rows = *x;
    rows.dims[1] = teacher_x->dims[1];
    TRY(want_type(in, teacher_x, "teacher's x", type_intern(in->context, &rows)));
    const ir_dim dims[2] = {weight->dims[0], teacher_x->dims[1]};
    TRY(want_type(in, in->input[3], "teacher's weight", type_tensor(in->context, x->dtype, 2, dims)));
    return bias ? want_type(in, bias, "teacher's bias", type_tensor(in->context, x->dtype, 1, dims)) : POFAC_OK;
}

pofac_status infer_linear_soft_cross_entropy(ir_infer *in) {
    TRY(infer_student(in, &of_soft_cross_entropy));
    const ir_type *x = in->input[0], *ids = in->input[2];
    TRY(want_rank(in, ids, "ids", 2, "[M,k]"));
    const ir_dim dims[2] = {x->dims[0], ids->dims[1]};
    TRY(want_type(in, ids, "ids", type_tensor(in->context, IR_I32, 2, dims)));
    return want_type(in, in->input[3], "logits", type_tensor(in->context, x->dtype, 2, dims));
}

/* A student at work: the loss without its factor T^2 scale, and that of gradients by logits over T, T scale. */
typedef struct student {
    vocabulary v;
    vocabulary_gradients g;
    double temperature, scale, loss;
} student;

static bool student_make(const ir_eval *e, const student_inputs *in, student *s) {
    const ir_tensor *scale = eval_input(e, in->scale);
    *s = (student){.temperature = node_float(e->node, "temperature"), .scale = scale ? tensor_get(scale, 0) : 1};
    return vocabulary_make(e->input[0], e->input[1], eval_input(e, in->bias), &s->v) && gradients_make(&s->v, &s->g);
}

static bool row_counts(const ir_eval *e, const student_inputs *in, int64_t r) {
    const ir_tensor *keep = eval_input(e, in->keep);
    return !keep || tensor_get_int(keep, r) != 0;
}

/* The logits of row r over T less their log-sum-exp. */
static void student_read(student *s, const ir_eval *e, int64_t r) {
    vocabulary_read(&s->v, e->input[0], r, s->temperature);
    const double log_sum = log_sum_exp(s->v.logits, s->v.V);
    for (int64_t i = 0; i < s->v.V; i++) s->v.logits[i] -= log_sum;
}

/* Adds a class of row r with the probability p of a teacher, log_p its logarithm: p log(p / student's), of which 0 log 0 is 0. */
static void student_compare(student *s, double p, double log_p, int64_t class) {
    if (p != 0) s->loss += p * (log_p - s->v.logits[class]);
}

/* Logits become the gradients by them but for the teacher's part. */
static void student_softmax(student *s) {
    for (int64_t i = 0; i < s->v.V; i++) s->v.logits[i] = s->temperature * s->scale * exp(s->v.logits[i]);
}

static void student_take(student *s, double p, int64_t class) { s->v.logits[class] -= s->temperature * s->scale * p; }

static void student_finish_row(student *s, const ir_eval *e, int64_t r) {
    gradients_add(&s->g, s->v.logits);
    tensor_set_run(e->result[1], r * s->v.K, s->v.K, s->g.drow);
}

static pofac_status student_finish(student *s, const ir_eval *e, bool ok) {
    if (ok) set_results(e, s->loss * s->temperature * s->temperature * s->scale, &s->g);
    gradients_free(&s->g);
    vocabulary_free(&s->v);
    return ok ? POFAC_OK : diag_out_of_memory(e->sink);
}

pofac_status eval_linear_kl_divergence(const ir_eval *e) {
    student s;
    vocabulary teacher = {0, 0, NULL, NULL, NULL, NULL};
    const bool made =
        student_make(e, &of_kl_divergence, &s) && vocabulary_make(e->input[2], e->input[3], eval_input(e, 5), &teacher);
    for (int64_t r = 0; made && r < e->input[0]->dims[0]; r++) {
        if (!row_counts(e, &of_kl_divergence, r)) continue; /* results are zeroed */
        student_read(&s, e, r);
        vocabulary_read(&teacher, e->input[2], r, s.temperature);
        const double log_sum = log_sum_exp(teacher.logits, teacher.V);
        for (int64_t i = 0; i < s.v.V; i++) student_compare(&s, exp(teacher.logits[i] - log_sum), teacher.logits[i] - log_sum, i);
        student_softmax(&s);
        for (int64_t i = 0; i < s.v.V; i++) student_take(&s, exp(teacher.logits[i] - log_sum), i);
        student_finish_row(&s, e, r);
    }
    vocabulary_free(&teacher);
    return student_finish(&s, e, made);
}

/* Refuses ids that are no classes. */
static pofac_status check_ids(const ir_eval *e) {
    const ir_tensor *ids = e->input[2];
    const int64_t n_classes = e->input[1]->dims[0], n = tensor_elements(ids);
    for (int64_t i = 0; i < n; i++) {
        const int64_t id = tensor_get_int(ids, i);
        if (id < 0 || id >= n_classes)
            return eval_error(e, "row %" PRId64 " has id %" PRId64 ", wanted 0 to %" PRId64, i / ids->dims[1], id, n_classes - 1);
    }
    return POFAC_OK;
}

pofac_status eval_linear_soft_cross_entropy(const ir_eval *e) {
    const ir_tensor *ids = e->input[2], *logits = e->input[3];
    const int64_t k = ids->dims[1];
    TRY(check_ids(e));
    student s;
    double *likely = alloc_doubles(k, 1); /* the teacher's logits over T less their log-sum-exp */
    const bool made = student_make(e, &of_soft_cross_entropy, &s) && likely;
    for (int64_t r = 0; made && r < e->input[0]->dims[0]; r++) {
        if (!row_counts(e, &of_soft_cross_entropy, r)) continue; /* results are zeroed */
        student_read(&s, e, r);
        for (int64_t i = 0; i < k; i++) likely[i] = tensor_get(logits, r * k + i) / s.temperature;
        const double log_sum = log_sum_exp(likely, k);
        for (int64_t i = 0; i < k; i++) likely[i] -= log_sum;
        for (int64_t i = 0; i < k; i++) student_compare(&s, exp(likely[i]), likely[i], tensor_get_int(ids, r * k + i));
        student_softmax(&s);
        for (int64_t i = 0; i < k; i++) student_take(&s, exp(likely[i]), tensor_get_int(ids, r * k + i));
        student_finish_row(&s, e, r);
    }
    free(likely);
    return student_finish(&s, e, made);
}

void gradient_linear_kl_divergence(const ir_gradient *g) { gradient_of_loss(g, of_kl_divergence.bias, of_kl_divergence.scale); }

void gradient_linear_soft_cross_entropy(const ir_gradient *g) {
    gradient_of_loss(g, of_soft_cross_entropy.bias, of_soft_cross_entropy.scale);
}
