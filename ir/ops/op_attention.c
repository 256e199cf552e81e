/*
 * Attention over ragged sequences (Vaswani et al. 2017, section 3.2). For row i of sequence b and head h, over the kept keys j of b:
 *   score[j] = scale * q[i,h] . k[j,h],   lse = log sum exp score,   context[i,h] = sum_j exp(score[j] - lse) * v[j,h]
 * With query_offsets, q has rows of its own: those of sequence b start at query_offsets[b].
 * With dropout, exp(score[j] - lse) is multiplied by the dropout factor (ir/ops/op_random.c) of query i's key and the column
 * h * 2^22 + j, j being the key's place among the rows of its sequence, kept or not; lse does not see it.
 * A sequence with no kept key gives context 0 and log-sum-exp 0. The largest score is taken out before exp; nothing of shape
 * S x S is kept.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ir/gradient.h"
#include "ir/ops/attention_rows.h"

pofac_status want_attention(const ir_infer *in, const attention_inputs *at) {
    const ir_type *q = in->input[0], *keep = infer_input(in, at->keep), *keys = infer_input(in, at->keys),
                  *random = infer_input(in, at->random);
    int64_t width = 0, heads = node_int(in->node, "heads");
    if (q->kind != TYPE_TENSOR || q->rank != 2 || !dim_is_const(q->dims[1], &width))
        return infer_error(in, "q is %s, wanted [R,E] with a number for E", type_text_of(in, q).text);
    TRY(want_float(in, q, "q"));
    const ir_type *k = in->input[1], *query_offsets = infer_input(in, at->query_offsets);
    ir_type like_q = *q;
    if (query_offsets && k->kind == TYPE_TENSOR && k->rank == 2) like_q.dims[0] = k->dims[0];
    TRY(want_type(in, k, "k", type_intern(in->context, &like_q)));
    TRY(want_type(in, in->input[2], "v", k));
    TRY(want_offsets_type(in, in->input[3]));
    if (query_offsets) TRY(want_type(in, query_offsets, "query_offsets", in->input[3]));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        TRY(want_type(in, keep, "keep", type_tensor(in->context, keep->dtype, 1, &k->dims[0])));
    }
    if (heads < 1 || width % heads != 0) return infer_error(in, "heads is %" PRId64 ", wanted a divisor of %" PRId64, heads, width);
    double scale = node_float(in->node, "scale");
    if (!isfinite(scale)) return infer_error(in, "scale is %g, wanted a finite number", scale);
    if (keys && random) return want_dropout(in, q, keys, random);
    if (keys || random || node_float(in->node, "rate") != 0)
        return infer_error(in, "rate is %g with keys %s and random %s, wanted a rate of 0 and neither, or both",
                           node_float(in->node, "rate"), keys ? "given" : "absent", random ? "given" : "absent");
    return POFAC_OK;
}

pofac_status infer_attention(ir_infer *in) {
    TRY(want_attention(in, &attention_forward_inputs));
    const ir_type *q = in->input[0];
    ir_type lse = *q;
    lse.dims[1] = dim_const(node_int(in->node, "heads"));
    TRY(infer_result(in, 0, q));
    return infer_result(in, 1, type_intern(in->context, &lse));
}

/* One head of one sequence: rows first .. first + n, features [head * depth, (head + 1) * depth). */
typedef struct head_work {
    int64_t first, n, head, depth, width, n_heads;
    double scale;
    int64_t n_kept;
    int64_t *place;        /* [n_kept] of the kept keys among the rows of the sequence */
    const ir_tensor *keys; /* of the queries; NULL: no dropout */
    dropout_numbers dropout;
    double *k, *v;           /* [n_kept,depth] of the kept keys */
    double *q, *out, *score; /* [depth], [depth], [n_kept] */
} head_work;

static void load_keys(const ir_eval *e, head_work *w) {
    const ir_tensor *keep = eval_input(e, 4);
    w->n_kept = 0;
    for (int64_t j = w->first; j < w->first + w->n; j++) {
        if (keep && tensor_get_int(keep, j) == 0) continue;
        int64_t at = j * w->width + w->head * w->depth;
        tensor_get_run(e->input[1], at, w->depth, w->k + w->n_kept * w->depth);
        tensor_get_run(e->input[2], at, w->depth, w->v + w->n_kept * w->depth);
        w->place[w->n_kept++] = j - w->first;
    }
}

static void attend_row(const ir_eval *e, const head_work *w, int64_t row) {
    int64_t at = row * w->width + w->head * w->depth;
    double top = -INFINITY, total = 0;
    tensor_get_run(e->input[0], at, w->depth, w->q);
    for (int64_t j = 0; j < w->n_kept; j++) {
        double dot = 0;
        for (int64_t d = 0; d < w->depth; d++) dot += w->q[d] * w->k[j * w->depth + d];
        w->score[j] = dot * w->scale;
        if (!(w->score[j] <= top)) top = w->score[j]; /* a NaN becomes the top and shows in the result */
    }
    for (int64_t d = 0; d < w->depth; d++) w->out[d] = 0;
    for (int64_t j = 0; j < w->n_kept; j++) {
        double p = exp(w->score[j] - top);
        total += p;
        if (w->keys) p *= attention_dropout(&w->dropout, tensor_get_int(w->keys, row), w->head, w->place[j]);
        for (int64_t d = 0; d < w->depth; d++) w->out[d] += p * w->v[j * w->depth + d];
    }
    for (int64_t d = 0; d < w->depth && w->n_kept > 0; d++) w->out[d] /= total;
    tensor_set_run(e->result[0], at, w->depth, w->out);
    tensor_set(e->result[1], row * w->n_heads + w->head, w->n_kept > 0 ? top + log(total) : 0);
}

int64_t longest_sequence(const ir_tensor *offsets) {
    int64_t longest = 0;
    for (int64_t b = 0; b + 1 < offsets->dims[0]; b++) {
        int64_t n = tensor_get_int(offsets, b + 1) - tensor_get_int(offsets, b);
        if (n > longest) longest = n;
    }
    return longest;
}

pofac_status eval_attention(const ir_eval *e) {
    const ir_tensor *q = e->input[0], *offsets = e->input[3], *own = eval_input(e, 5), *queries = own ? own : offsets;
    TRY(want_offsets(e, offsets, e->input[1]->dims[0]));
    TRY(want_offsets(e, queries, q->dims[0]));
    head_work w = {.width = q->dims[1], .n_heads = node_int(e->node, "heads"), .scale = node_float(e->node, "scale")};
    w.depth = w.width / w.n_heads;
    w.keys = eval_input(e, 6);
    if (w.keys) w.dropout = dropout_numbers_make(e, eval_input(e, 7));
    int64_t longest = longest_sequence(offsets);
    w.place = malloc(sizeof(int64_t) * (size_t)(longest + 1));
    w.k = alloc_doubles(longest, w.depth);
    w.v = alloc_doubles(longest, w.depth);
    w.q = alloc_doubles(1, w.depth);
    w.out = alloc_doubles(1, w.depth);
    w.score = alloc_doubles(longest, 1);
    pofac_status status = w.place && w.k && w.v && w.q && w.out && w.score ? POFAC_OK : diag_out_of_memory(e->sink);
    for (int64_t b = 0; status == POFAC_OK && b + 1 < offsets->dims[0]; b++) {
        w.first = tensor_get_int(offsets, b);
        w.n = tensor_get_int(offsets, b + 1) - w.first;
        for (w.head = 0; w.head < w.n_heads; w.head++) {
            load_keys(e, &w);
            for (int64_t i = tensor_get_int(queries, b); i < tensor_get_int(queries, b + 1); i++) attend_row(e, &w, i);
        }
    }
    free(w.place);
    free(w.k);
    free(w.v);
    free(w.q);
    free(w.out);
    free(w.score);
    return status;
}

void gradient_attention(const ir_gradient *g) {
    const ir_node *n = g->node;
    if (g->dresult[1] != IR_NO_VALUE || g->dresult[0] == IR_NO_VALUE)
        return gradient_error(g, "the loss depends on the log-sum-exp, wanted on the context alone");
    ir_value inputs[11] = {n->inputs[0],    n->inputs[1],        n->inputs[2], n->inputs[3],
                           n->first_result, n->first_result + 1, g->dresult[0]};
    uint32_t n_inputs = 7;
    for (uint32_t i = 4; i < n->n_inputs; i++)
        if ((inputs[i + 3] = n->inputs[i]) != IR_NO_VALUE) n_inputs = i + 4;
    const ir_attr attrs[] = {attr_int("heads", node_int(n, "heads")), attr_float("scale", node_float(n, "scale")),
                             attr_float("rate", node_float(n, "rate")), attr_int("stream", node_int(n, "stream"))};
    const ir_value dq = node_add(g->graph, OP_attention_gradient, inputs, n_inputs, attrs, 4, NULL);
    for (ir_value i = 0; i < 3 && dq != IR_NO_VALUE; i++) g->dinput[i] = dq + i;
}
