/* Decoding of spans; see qa_answers.h. The list is kept sorted: few spans get past its last. Softmaxes are computed in double. */
#include "frontend/data/qa_answers.h"

#include <math.h>
#include <string.h>

#include "frontend/data/softmax.h"
#include "ir/support/vector.h"

void qa_answers_free(qa_answers *a) {
    vector_release((void **)&a->spans);
    *a = (qa_answers)QA_ANSWERS_INIT;
}

static bool is_better(const qa_span *a, const qa_span *b) {
    if (a->score > b->score || a->score < b->score) return a->score > b->score;
    if (a->window != b->window) return a->window < b->window;
    if (a->start != b->start) return a->start < b->start;
    return a->end < b->end;
}

/* Puts a span into its place; the list has fewer than n_best, or its last one gives way. */
static bool insert(qa_answers *a, size_t n_best, const qa_span *span) {
    if (a->size < n_best && !vector_reserve((void **)&a->spans, &a->capacity, sizeof *a->spans, a->size + 1)) return false;
    size_t at = a->size < n_best ? a->size++ : n_best - 1;
    for (; at > 0 && is_better(span, &a->spans[at - 1]); at--) a->spans[at] = a->spans[at - 1];
    a->spans[at] = *span;
    return true;
}

static void take_null(qa_answers *a, const qa_window_logits *w) {
    const double score = (double)w->start[0] + (double)w->end[0];
    const bool lower = !a->has_null || score < a->null_score || (!(score > a->null_score) && w->window < a->null_window);
    if (isnan(score) || !lower) return;
    a->has_null = true;
    a->null_score = score;
    a->null_start_logit = w->start[0];
    a->null_end_logit = w->end[0];
    a->null_window = w->window;
}

pofac_status qa_answers_take(qa_answers *a, const qa_answer_options *o, const qa_window_logits *w, const diag_sink *sink) {
    const size_t behind = w->context_at + w->n_context;
    if (w->input->size > 0) take_null(a, w);
    if (w->n_context == 0) return POFAC_OK;
    const softmax starts = softmax_of(w->start, w->input->size), ends = softmax_of(w->end, w->input->size);
    for (size_t i = w->context_at; i < behind; i++) {
        const size_t stop = o->max_answer_length < behind - i ? i + o->max_answer_length : behind;
        for (size_t k = i; k < stop; k++) {
            qa_span span = {.score = (double)w->start[i] + (double)w->end[k], .window = w->window, .start = i, .end = k};
            if (isnan(span.score) || (a->size == o->n_best && !is_better(&span, &a->spans[a->size - 1]))) continue;
            span.start_logit = w->start[i];
            span.end_logit = w->end[k];
            span.probability = softmax_probability(starts, w->start[i]) * softmax_probability(ends, w->end[k]);
            span.begin_byte = w->input->tokens[i].begin;
            span.end_byte = w->input->tokens[k].end;
            if (!insert(a, o->n_best, &span)) return diag_out_of_memory(sink);
        }
    }
    return POFAC_OK;
}

const qa_span *qa_answers_best(const qa_answers *a, const qa_answer_options *o, double *null_odds) {
    const qa_span *best = a->size ? &a->spans[0] : NULL;
    const double odds = (a->has_null ? a->null_score : 0.0) - (best ? best->score : 0.0);
    if (null_odds) *null_odds = odds;
    return o->may_be_null && odds > o->null_score_diff_threshold ? NULL : best;
}

static double score_of(const qa_choice *c) { return (double)c->start_logit + (double)c->end_logit; }

/* Where no answer stands: behind all spans of its score or a higher one; where that is past n_best, behind them all. */
static size_t put_null(const qa_answers *a, size_t n, size_t n_best, qa_choice *out) {
    size_t at = 0;
    while (at < n && score_of(&out[at]) >= a->null_score) at++;
    if (at < n_best && n == n_best) n--; /* the last span gives way */
    memmove(&out[at + 1], &out[at], (n - at) * sizeof *out);
    out[at] = (qa_choice){.start_logit = a->null_start_logit, .end_logit = a->null_end_logit};
    return n + 1;
}

size_t qa_answers_list(const qa_answers *a, const qa_answer_options *o, qa_choice *out) {
    size_t n = 0;
    double sum = 0.0, most = -INFINITY;
    for (; n < a->size; n++)
        out[n] = (qa_choice){.span = &a->spans[n], .start_logit = a->spans[n].start_logit, .end_logit = a->spans[n].end_logit};
    if (o->may_be_null && a->has_null) n = put_null(a, n, o->n_best, out);
    if (n == 0) out[n++] = (qa_choice){0};
    for (size_t i = 0; i < n; i++) most = fmax(most, score_of(&out[i]));
    for (size_t i = 0; i < n; i++) sum += exp(score_of(&out[i]) - most);
    for (size_t i = 0; i < n; i++) out[i].probability = exp(score_of(&out[i]) - most) / sum;
    return n;
}
