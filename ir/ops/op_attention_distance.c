/*
 * How far a student's attention is from a teacher's (Jiao et al. 2020, equation 7, on probabilities). For queries i and kept keys j of one
 * sequence and head, with S[i][j] = scale q_i . k_j, P = exp(S - lse) the student's probabilities before dropout, T likewise the teacher's:
 *   loss = c sum (P - T)^2,  G = 2 c (P - T),  dS = P (G - sum_j P G),  dq_i = scale sum_j dS k_j,  dk_j = scale sum_i dS q_i
 * where c is the factor loss_scale over the number of heads. Keys that are not kept have no probability in either. Probabilities are made
 * from the log-sum-exps that op attention gives, so nothing of shape S x S is kept. There is no gradient of what is the teacher's.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/attention_rows.h"

/* Inputs. */
enum { Q, K, TEACHER_K, OFFSETS, LSE, TEACHER_Q, TEACHER_LSE, KEEP, LOSS_SCALE };

pofac_status infer_attention_distance(ir_infer *in) {
    const ir_type *q = in->input[Q], *keep = infer_input(in, KEEP), *loss_scale = infer_input(in, LOSS_SCALE);
    const int64_t heads = node_int(in->node, "heads");
    const double scale = node_float(in->node, "scale");
    int64_t width = 0;
    if (q->kind != TYPE_TENSOR || q->rank != 2 || !dim_is_const(q->dims[1], &width))
        return infer_error(in, "q is %s, wanted [R,E] with a number for E", type_text_of(in, q).text);
    TRY(want_float(in, q, "q"));
    if (heads < 1 || width % heads != 0) return infer_error(in, "heads is %" PRId64 ", wanted a divisor of %" PRId64, heads, width);
    if (!isfinite(scale)) return infer_error(in, "scale is %g, wanted a finite number", scale);
    ir_type lse = *q;
    lse.dims[1] = dim_const(heads);
    TRY(want_type(in, in->input[K], "k", q));
    TRY(want_type(in, in->input[TEACHER_K], "the teacher's k", q));
    TRY(want_offsets_type(in, in->input[OFFSETS]));
    TRY(want_type(in, in->input[LSE], "log-sum-exp", type_intern(in->context, &lse)));
    TRY(want_type(in, in->input[TEACHER_Q], "the teacher's q", q));
    TRY(want_type(in, in->input[TEACHER_LSE], "the teacher's log-sum-exp", type_intern(in->context, &lse)));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        TRY(want_type(in, keep, "keep", type_tensor(in->context, keep->dtype, 1, q->dims)));
    }
    const ir_type *scalar = type_tensor(in->context, q->dtype, 0, NULL);
    if (loss_scale) TRY(want_type(in, loss_scale, "loss_scale", scalar));
    TRY(infer_result(in, 0, scalar));
    TRY(infer_result(in, 1, q));
    return infer_result(in, 2, q);
}

/* One head of a sequence, whose rows are first .. first + n. */
typedef struct distance_head {
    const ir_eval *e;
    const ir_tensor *keep;
    bool all_queries;
    int64_t width, depth, n_heads, head, first, n;
    double scale, factor, loss;
    double *k, *dk, *teacher_k;  /* [n,depth] */
    double *q, *dq, *teacher_q;  /* [depth] */
    double *probability, *slope; /* [n]: P, and G */
} distance_head;

static void load(const distance_head *w, uint32_t input, int64_t row, double *to) {
    tensor_get_run(w->e->input[input], row * w->width + w->head * w->depth, w->depth, to);
}

static void store(const distance_head *w, uint32_t result, int64_t row, const double *from) {
    tensor_set_run(w->e->result[result], row * w->width + w->head * w->depth, w->depth, from);
}

static bool is_kept(const distance_head *w, int64_t row) { return !w->keep || tensor_get_int(w->keep, row) != 0; }

static double probability(const distance_head *w, const double *q, const double *k, uint32_t lse, int64_t row) {
    double dot = 0;
    for (int64_t i = 0; i < w->depth; i++) dot += q[i] * k[i];
    return exp(w->scale * dot - tensor_get(w->e->input[lse], row * w->n_heads + w->head));
}

static void through_query(distance_head *w, int64_t row) {
    double mean = 0;
    load(w, Q, row, w->q);
    load(w, TEACHER_Q, row, w->teacher_q);
    for (int64_t j = 0; j < w->n; j++) {
        if (!is_kept(w, w->first + j)) continue;
        const double p = probability(w, w->q, w->k + j * w->depth, LSE, row);
        const double d = p - probability(w, w->teacher_q, w->teacher_k + j * w->depth, TEACHER_LSE, row);
        w->loss += w->factor * d * d;
        w->probability[j] = p;
        w->slope[j] = 2 * w->factor * d;
        mean += p * w->slope[j];
    }
    for (int64_t i = 0; i < w->depth; i++) w->dq[i] = 0;
    for (int64_t j = 0; j < w->n; j++) {
        if (!is_kept(w, w->first + j)) continue;
        const double ds = w->scale * w->probability[j] * (w->slope[j] - mean), *k = w->k + j * w->depth;
        double *dk = w->dk + j * w->depth;
        for (int64_t i = 0; i < w->depth; i++) {
            w->dq[i] += ds * k[i];
            dk[i] += ds * w->q[i];
        }
    }
    store(w, 1, row, w->dq);
}

static void through_head(distance_head *w) {
    for (int64_t j = 0; j < w->n; j++) {
        load(w, K, w->first + j, w->k + j * w->depth);
        load(w, TEACHER_K, w->first + j, w->teacher_k + j * w->depth);
    }
    for (int64_t i = 0; i < w->n * w->depth; i++) w->dk[i] = 0;
    for (int64_t i = w->first; i < w->first + w->n; i++)
        if (w->all_queries || is_kept(w, i)) through_query(w, i);
    for (int64_t j = 0; j < w->n; j++) store(w, 2, w->first + j, w->dk + j * w->depth);
}

pofac_status eval_attention_distance(const ir_eval *e) {
    const ir_tensor *offsets = e->input[OFFSETS], *loss_scale = eval_input(e, LOSS_SCALE);
    TRY(want_offsets(e, offsets, e->input[K]->dims[0]));
    distance_head w = {.e = e, .keep = eval_input(e, KEEP), .width = e->input[Q]->dims[1], .n_heads = node_int(e->node, "heads")};
    w.all_queries = strcmp(node_string(e->node, "queries"), "all") == 0;
    w.scale = node_float(e->node, "scale");
    w.factor = (loss_scale ? tensor_get(loss_scale, 0) : 1) / (double)w.n_heads;
    w.depth = w.width / w.n_heads;
    const int64_t longest = longest_sequence(offsets);
    double *rows = alloc_doubles(longest, 3 * w.depth + 2), *row = alloc_doubles(w.depth, 3);
    if (!rows || !row) {
        free(rows);
        free(row);
        return diag_out_of_memory(e->sink);
    }
    double **const blocks[] = {&w.k, &w.dk, &w.teacher_k}, **const singles[] = {&w.q, &w.dq, &w.teacher_q};
    for (int64_t i = 0; i < 3; i++) {
        *blocks[i] = rows + i * longest * w.depth;
        *singles[i] = row + i * w.depth;
    }
    w.probability = rows + 3 * longest * w.depth;
    w.slope = w.probability + longest;
    for (int64_t b = 0; b + 1 < offsets->dims[0]; b++) {
        w.first = tensor_get_int(offsets, b);
        w.n = tensor_get_int(offsets, b + 1) - w.first;
        for (w.head = 0; w.head < w.n_heads; w.head++) through_head(&w);
    }
    tensor_set(e->result[0], 0, w.loss);
    free(rows);
    free(row);
    return POFAC_OK;
}

void gradient_attention_distance(const ir_gradient *g) {
    static const uint32_t untrained[] = {TEACHER_K, TEACHER_Q, TEACHER_LSE, LOSS_SCALE};
    if (g->dresult[1] != IR_NO_VALUE || g->dresult[2] != IR_NO_VALUE)
        return gradient_error(g, "has no second gradient, wanted a loss that depends on its first result");
    for (size_t i = 0; i < sizeof untrained / sizeof untrained[0]; i++)
        if (untrained[i] < g->node->n_inputs && g->wanted[untrained[i]])
            return gradient_error(g, "has no gradient of the teacher or of loss_scale, wanted those that are not trained");
    for (uint32_t i = 0; i < 2; i++)
        if (g->wanted[i]) g->dinput[i] = build_binary(g->graph, OP_mul, node_result(g->node, i + 1), g->dresult[0]);
}
