/*
 * Gradient of attention (op_attention.c). With P = exp(score - lse) and F the factors of dropout (1 without it), for query i and key j
 * of one sequence and head:
 *   dP = F (dcontext_i . v_j),  D_i = dcontext_i . context_i = sum_j P dP,  dS = P (dP - D_i),
 *   dq_i = scale sum_j dS k_j,  dk_j = scale sum_i dS q_i,  dv_j = sum_i P F dcontext_i.
 * Probabilities are made again from lse (Dao et al. 2022, section 3.1), so that nothing of shape S x S is kept.
 */
#include <math.h>
#include <stdlib.h>

#include "ir/ops/attention_rows.h"

pofac_status infer_attention_gradient(ir_infer *in) {
    TRY(want_attention(in, &attention_gradient_inputs));
    const ir_type *q = in->input[0];
    ir_type lse = *q;
    lse.dims[1] = dim_const(node_int(in->node, "heads"));
    TRY(want_type(in, in->input[4], "context", q));
    TRY(want_type(in, in->input[5], "log-sum-exp", type_intern(in->context, &lse)));
    TRY(want_type(in, in->input[6], "dcontext", q));
    for (uint32_t r = 0; r < 3; r++) TRY(infer_result(in, r, in->input[r]));
    return POFAC_OK;
}

/* One head: `at` is its first feature; the sequence's rows of k and v are first .. first + n. */
typedef struct gradient_head {
    const ir_eval *e;
    const ir_tensor *keep, *keys;
    dropout_numbers dropout;
    int64_t width, depth, n_heads, head, first, n;
    double scale;
    double *k, *v, *dk, *dv;       /* [n,depth] */
    double *q, *dq, *out, *change; /* [depth]: of a query, its context and the gradient of that */
} gradient_head;

static void load(const gradient_head *w, uint32_t input, int64_t row, double *to) {
    tensor_get_run(w->e->input[input], row * w->width + w->head * w->depth, w->depth, to);
}

static void store(const gradient_head *w, uint32_t result, int64_t row, const double *from) {
    tensor_set_run(w->e->result[result], row * w->width + w->head * w->depth, w->depth, from);
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *to, double factor, const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += factor * x[i];
}

static void through_query(const gradient_head *w, int64_t row) {
    const int64_t depth = w->depth;
    load(w, 0, row, w->q);
    load(w, 4, row, w->out);
    load(w, 6, row, w->change);
    const double lse = tensor_get(w->e->input[5], row * w->n_heads + w->head), mean = dot(w->out, w->change, depth);
    for (int64_t i = 0; i < depth; i++) w->dq[i] = 0;
    for (int64_t j = 0; j < w->n; j++) {
        if (w->keep && tensor_get_int(w->keep, w->first + j) == 0) continue;
        const double *k = w->k + j * depth, *v = w->v + j * depth;
        const double p = exp(w->scale * dot(w->q, k, depth) - lse);
        const double factor = w->keys ? attention_dropout(&w->dropout, tensor_get_int(w->keys, row), w->head, j) : 1;
        const double ds = w->scale * p * (factor * dot(w->change, v, depth) - mean);
        add_scaled(w->dq, ds, k, depth);
        add_scaled(w->dk + j * depth, ds, w->q, depth);
        add_scaled(w->dv + j * depth, p * factor, w->change, depth);
    }
    store(w, 0, row, w->dq);
}

static void through_head(const gradient_head *w, int64_t query, int64_t end) {
    for (int64_t j = 0; j < w->n; j++) {
        load(w, 1, w->first + j, w->k + j * w->depth);
        load(w, 2, w->first + j, w->v + j * w->depth);
    }
    for (int64_t i = 0; i < w->n * w->depth; i++) w->dk[i] = w->dv[i] = 0;
    for (; query < end; query++) through_query(w, query);
    for (int64_t j = 0; j < w->n; j++) {
        store(w, 1, w->first + j, w->dk + j * w->depth);
        store(w, 2, w->first + j, w->dv + j * w->depth);
    }
}

pofac_status eval_attention_gradient(const ir_eval *e) {
    const attention_inputs *at = &attention_gradient_inputs;
    const ir_tensor *q = e->input[0], *offsets = e->input[3], *own = eval_input(e, at->query_offsets),
                    *queries = own ? own : offsets;
    TRY(want_offsets(e, offsets, e->input[1]->dims[0]));
    TRY(want_offsets(e, queries, q->dims[0]));
    gradient_head w = {.e = e, .keep = eval_input(e, at->keep), .keys = eval_input(e, at->keys), .width = q->dims[1]};
    if (w.keys) w.dropout = dropout_numbers_make(e, eval_input(e, at->random));
    w.n_heads = node_int(e->node, "heads");
    w.scale = node_float(e->node, "scale");
    w.depth = w.width / w.n_heads;
    const int64_t longest = longest_sequence(offsets);
    double *rows = alloc_doubles(longest, 4 * w.depth), *row = alloc_doubles(w.depth, 4);
    pofac_status status = rows && row ? POFAC_OK : diag_out_of_memory(e->sink);
    double **const blocks[] = {&w.k, &w.v, &w.dk, &w.dv}, **const singles[] = {&w.q, &w.dq, &w.out, &w.change};
    for (int64_t i = 0; i < 4 && status == POFAC_OK; i++) {
        *blocks[i] = rows + i * longest * w.depth;
        *singles[i] = row + i * w.depth;
    }
    for (int64_t b = 0; status == POFAC_OK && b + 1 < offsets->dims[0]; b++) {
        w.first = tensor_get_int(offsets, b);
        w.n = tensor_get_int(offsets, b + 1) - w.first;
        for (w.head = 0; w.head < w.n_heads; w.head++) through_head(&w, tensor_get_int(queries, b), tensor_get_int(queries, b + 1));
    }
    free(rows);
    free(row);
    return status;
}
