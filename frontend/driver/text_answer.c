/* Logits to labels, tokens and spans; see text_answer.h. Softmaxes are computed in double over the row's logits. */
#include "frontend/driver/text_answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/softmax.h"
#include "frontend/driver/finite_check.h"

/* Is there an answer to whether the second text follows the first? */
static bool tells_next(const model_spec *spec, const text_sequence *s) {
    return spec->head == HEAD_PRETRAINING && spec->arch == MODEL_BERT && s->record->pair;
}

static bool has_output(const tensor_source *outputs, const char *name) {
    ir_tensor t;
    return outputs->get(outputs->user, name, NULL, &t) == POFAC_OK;
}

/* ---- numbers that are none ---- */

/* `rows` rows from `row` on of an output whose rows have the elements of all its dimensions but the first `depth`. */
static pofac_status check_rows(const tensor_source *outputs, const char *name, uint32_t depth, int64_t row, int64_t rows,
                               const diag_sink *sink, text_fault *out) {
    ir_tensor t;
    int64_t width = 1;
    TRY(outputs->get(outputs->user, name, sink, &t));
    for (uint32_t d = depth; d < t.rank; d++) width *= t.dims[d];
    const int64_t end = (row + rows) * width, at = find_not_finite(&t, row * width, end);
    if (at < end && !out->output) *out = (text_fault){name, tensor_get(&t, at)};
    return POFAC_OK;
}

/* The first `n` tokens' rows of an output [B,S,...]. */
static pofac_status check_tokens(const tensor_source *outputs, const char *name, const text_sequence *s, int64_t n,
                                 const diag_sink *sink, text_fault *out) {
    ir_tensor t;
    TRY(outputs->get(outputs->user, name, sink, &t));
    return check_rows(outputs, name, 2, s->row * t.dims[1], n, sink, out);
}

static pofac_status check_masks(const model_spec *spec, const tokenizer *t, const tensor_source *outputs, const text_sequence *s,
                                const diag_sink *sink, text_fault *out) {
    int32_t mask = tokenizer_special_id(t, TOKENIZER_MASK);
    int64_t n = 0;
    for (size_t i = 0; mask >= 0 && i < s->encoding.size; i++) n += s->encoding.tokens[i].id == mask;
    if (n > 0) TRY(check_rows(outputs, "prediction_logits", 1, s->prediction, n, sink, out));
    return tells_next(spec, s) ? check_rows(outputs, "seq_relationship_logits", 1, s->row, 1, sink, out) : POFAC_OK;
}

pofac_status text_answer_check(const model_spec *spec, const tokenizer *t, const tensor_source *outputs, const text_sequence *s,
                               const diag_sink *sink, text_fault *out) {
    const int64_t n = (int64_t)s->encoding.size;
    *out = (text_fault){0};
    switch (spec->head) {
    case HEAD_SEQUENCE_CLASSIFICATION: return check_rows(outputs, "logits", 1, s->row, 1, sink, out);
    case HEAD_TOKEN_CLASSIFICATION: return check_tokens(outputs, "logits", s, n, sink, out);
    case HEAD_MASKED_LM:
    case HEAD_PRETRAINING: return check_masks(spec, t, outputs, s, sink, out);
    case HEAD_QUESTION_ANSWERING:
        TRY(check_tokens(outputs, "start_logits", s, n, sink, out));
        return check_tokens(outputs, "end_logits", s, n, sink, out);
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    if (has_output(outputs, "pooler_output")) return check_rows(outputs, "pooler_output", 1, s->row, 1, sink, out);
    return check_tokens(outputs, "last_hidden_state", s, 1, sink, out);
}

/* ---- what the answers have ---- */

static int64_t arg_max(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Label i with a score; false: no memory for the name of one that has none. */
static bool read_label(const model_spec *spec, int64_t i, double score, arena *a, answer_choice *out) {
    *out = (answer_choice){spec->labels ? spec->labels[i] : arena_printf(a, "LABEL_%lld", (long long)i), i, score};
    return out->name != NULL;
}

static pofac_status read_classes(const model_spec *spec, const tensor_source *outputs, const text_sequence *s, arena *a,
                                 const diag_sink *sink, answer_content *out) {
    ir_tensor logits;
    TRY(outputs->get(outputs->user, "logits", sink, &logits));
    int64_t n = logits.dims[1];
    const float *x = (const float *)logits.data + s->row * n;
    const softmax all = softmax_of(x, n);
    answer_choice *labels = ARENA_ARRAY(a, answer_choice, n);
    if (!labels) return diag_out_of_memory(sink);
    for (int64_t i = 0; i < n; i++)
        if (!read_label(spec, i, spec->regression ? x[i] : softmax_probability(all, x[i]), a, &labels[i]))
            return diag_out_of_memory(sink);
    out->n_labels = (size_t)n;
    out->best = (size_t)arg_max(x, n);
    out->labels = labels;
    return POFAC_OK;
}

/* Is token i a token of the record's text, and not one that was added? */
static bool is_text_token(const text_sequence *s, size_t i) { return s->encoding.tokens[i].end > s->encoding.tokens[i].begin; }

static answer_span token_span(const encoding_token *t) {
    return (answer_span){.begin = t->begin, .end = t->end, .in_pair = t->type_id != 0};
}

static pofac_status read_tokens(const model_spec *spec, const tokenizer *t, const tensor_source *outputs, const text_sequence *s,
                                arena *a, const diag_sink *sink, answer_content *out) {
    ir_tensor logits;
    TRY(outputs->get(outputs->user, "logits", sink, &logits));
    int64_t length = logits.dims[1], n = logits.dims[2];
    answer_span *spans = ARENA_ARRAY(a, answer_span, s->encoding.size + 1);
    answer_choice *labels = ARENA_ARRAY(a, answer_choice, s->encoding.size + 1);
    if (!spans || !labels) return diag_out_of_memory(sink);
    for (size_t i = 0; i < s->encoding.size; i++) {
        const encoding_token *token = &s->encoding.tokens[i];
        if (!is_text_token(s, i)) continue;
        const float *x = (const float *)logits.data + (s->row * length + (int64_t)i) * n;
        const int64_t best = arg_max(x, n);
        answer_choice *label = &labels[out->n_spans];
        answer_span *span = &spans[out->n_spans++];
        if (!read_label(spec, best, softmax_probability(softmax_of(x, n), x[best]), a, label)) return diag_out_of_memory(sink);
        *span = token_span(token);
        span->text = tokenizer_token(t, token->id);
        span->text_bytes = strlen(span->text);
        span->n_choices = 1;
        span->choices = label;
        span->score = label->score;
    }
    out->spans = spans;
    return POFAC_OK;
}

typedef struct candidate {
    float logit;
    int32_t id;
} candidate;

/* The order of candidates: larger logits first, of equal ones the lower id. */
static int compare_candidates(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_before(candidate a, candidate b) { return compare_candidates(&a, &b) < 0; }

/* `heap` of n candidates, of which the last one in their order is on top: its top becomes `c`. */
static void replace_top(candidate *heap, size_t n, candidate c) {
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < n && is_before(heap[child], heap[child + 1])) child++;
        if (child >= n || !is_before(c, heap[child])) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = c;
}

/* The k first candidates among n logits, in their order; NaN is none. Returns how many there are. */
static size_t find_candidates(const float *x, int64_t n, size_t k, candidate *best) {
    size_t found = 0;
    for (int64_t id = 0; id < n; id++) {
        const candidate c = {x[id], (int32_t)id};
        if (isnan(x[id])) continue;
        if (found < k) { /* sift up */
            size_t at = found++;
            for (; at > 0 && is_before(best[(at - 1) / 2], c); at = (at - 1) / 2) best[at] = best[(at - 1) / 2];
            best[at] = c;
        } else if (is_before(c, best[0])) {
            replace_top(best, k, c);
        }
    }
    qsort(best, found, sizeof *best, compare_candidates);
    return found;
}

static pofac_status read_candidates(const tokenizer *t, const float *x, int64_t n, int64_t k, arena *a, const diag_sink *sink,
                                    answer_span *out) {
    int64_t known = (int64_t)tokenizer_vocab_size(t);
    const softmax all = softmax_of(x, n);
    if (known > n) known = n;
    if (k > known) k = known;
    candidate *best = ARENA_ARRAY(a, candidate, k + 1);
    answer_choice *choices = ARENA_ARRAY(a, answer_choice, k + 1);
    if (!best || !choices) return diag_out_of_memory(sink);
    out->n_choices = find_candidates(x, known, (size_t)k, best);
    out->choices = choices;
    for (size_t i = 0; i < out->n_choices; i++)
        choices[i] = (answer_choice){tokenizer_token(t, best[i].id), best[i].id, softmax_probability(all, best[i].logit)};
    return POFAC_OK;
}

static size_t count_masks(const text_sequence *s, int32_t mask) {
    size_t n = 0;
    for (size_t i = 0; mask >= 0 && i < s->encoding.size; i++) n += s->encoding.tokens[i].id == mask;
    return n;
}

static pofac_status read_masks(const model_spec *spec, const tokenizer *t, const tensor_source *outputs, const text_sequence *s,
                               int64_t top_k, arena *a, const diag_sink *sink, answer_content *out) {
    ir_tensor logits;
    const int32_t mask = tokenizer_special_id(t, TOKENIZER_MASK);
    TRY(outputs->get(outputs->user, "prediction_logits", sink, &logits));
    int64_t n = logits.dims[1], row = s->prediction; /* logits [M,V] */
    answer_span *spans = ARENA_ARRAY(a, answer_span, count_masks(s, mask) + 1);
    if (!spans) return diag_out_of_memory(sink);
    for (size_t i = 0; i < s->encoding.size; i++) {
        const encoding_token *token = &s->encoding.tokens[i];
        if (token->id != mask || mask < 0) continue;
        spans[out->n_spans] = token_span(token);
        TRY(read_candidates(t, (const float *)logits.data + row++ * n, n, top_k, a, sink, &spans[out->n_spans++]));
    }
    out->spans = spans;
    if (!tells_next(spec, s)) return POFAC_OK;
    TRY(outputs->get(outputs->user, "seq_relationship_logits", sink, &logits));
    const float *x = (const float *)logits.data + s->row * 2;
    out->has_next = true;
    out->is_next = softmax_probability(softmax_of(x, 2), x[0]);
    return POFAC_OK;
}

static pofac_status read_embedding(const tensor_source *outputs, const text_sequence *s, const diag_sink *sink,
                                   answer_content *out) {
    ir_tensor x;
    bool pooled = has_output(outputs, "pooler_output");
    TRY(outputs->get(outputs->user, pooled ? "pooler_output" : "last_hidden_state", sink, &x));
    int64_t n = x.dims[x.rank - 1], stride = pooled ? n : n * x.dims[1];
    out->n_embedding = (size_t)n;
    out->embedding = (const float *)x.data + s->row * stride;
    return POFAC_OK;
}

pofac_status text_answer_read(const model_spec *spec, const tokenizer *t, const tensor_source *outputs, const text_sequence *s,
                              int64_t top_k, arena *a, const diag_sink *sink, answer_content *out) {
    *out = (answer_content){0};
    switch (spec->head) {
    case HEAD_SEQUENCE_CLASSIFICATION: return read_classes(spec, outputs, s, a, sink, out);
    case HEAD_TOKEN_CLASSIFICATION: return read_tokens(spec, t, outputs, s, a, sink, out);
    case HEAD_MASKED_LM:
    case HEAD_PRETRAINING: return read_masks(spec, t, outputs, s, top_k, a, sink, out);
    case HEAD_QUESTION_ANSWERING:
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    return read_embedding(outputs, s, sink, out);
}

pofac_status text_answer_put(const model_spec *spec, const tokenizer *t, const tensor_source *outputs, const text_sequence *s,
                             int64_t top_k, const diag_sink *sink, strbuf *out) {
    arena a = ARENA_INIT;
    answer_content content;
    pofac_status status = text_answer_read(spec, t, outputs, s, top_k, &a, sink, &content);
    if (status == POFAC_OK) answer_content_put_json(spec, &content, out);
    arena_free(&a);
    return status;
}

pofac_status text_answer_improve(const tensor_source *outputs, const text_sequence *s, const qa_answer_options *o,
                                 const diag_sink *sink, qa_answers *answers) {
    ir_tensor starts, ends;
    TRY(outputs->get(outputs->user, "start_logits", sink, &starts));
    TRY(outputs->get(outputs->user, "end_logits", sink, &ends));
    const qa_window_logits window = {.input = &s->encoding,
                                     .window = s->part,
                                     .context_at = s->context_first,
                                     .n_context = s->encoding.size - s->context_first - 1, /* the closing [SEP] is not context */
                                     .start = (const float *)starts.data + s->row * starts.dims[1],
                                     .end = (const float *)ends.data + s->row * ends.dims[1]};
    return qa_answers_take(answers, o, &window, sink);
}

answer_span text_answer_span(const record *r, const qa_answers *answers, const qa_answer_options *o) {
    const qa_span none = {0}, *best = qa_answers_best(answers, o, NULL), *span = best ? best : &none;
    return (answer_span){.begin = span->begin_byte,
                         .end = span->end_byte,
                         .in_pair = true,
                         .text = r->pair + span->begin_byte,
                         .text_bytes = span->end_byte - span->begin_byte,
                         .score = span->probability};
}

void text_answer_put_span(const record *r, const qa_answers *answers, const qa_answer_options *o, strbuf *out) {
    const model_spec spec = {.head = HEAD_QUESTION_ANSWERING};
    const answer_span span = text_answer_span(r, answers, o);
    answer_content_put_json(&spec, &(answer_content){.n_spans = 1, .spans = &span}, out);
}
