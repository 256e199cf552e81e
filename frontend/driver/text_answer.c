/* Logits to labels, tokens and spans; see text_answer.h. Softmaxes are computed in double over the row's logits. */
#include "frontend/driver/text_answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* log(sum exp) of n logits, stride apart. */
static double log_sum_exp(const float *x, int64_t n, int64_t stride) {
    double most = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        if (x[i * stride] > most) most = x[i * stride];
    for (int64_t i = 0; i < n; i++) sum += exp(x[i * stride] - most);
    return most + log(sum);
}

static int64_t arg_max(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void put_text(strbuf *out, const char *text) { strbuf_put_json(out, text, strlen(text)); }

static void put_label(const model_spec *spec, int64_t label, strbuf *out) {
    if (spec->labels) put_text(out, spec->labels[label]);
    else strbuf_printf(out, "\"LABEL_%lld\"", (long long)label);
}

/* A number that JSON can hold. */
static void put_number(strbuf *out, double x) {
    if (isfinite(x)) strbuf_printf(out, "%.7g", x);
    else strbuf_puts(out, "null");
}

static pofac_status put_classes(const model_spec *spec, const executor *e, const text_sequence *s, const diag_sink *sink,
                                strbuf *out) {
    ir_tensor logits;
    TRY(executor_output(e, "logits", sink, &logits));
    int64_t n = logits.dims[1];
    const float *x = (const float *)logits.data + s->row * n;
    if (spec->regression) {
        strbuf_puts(out, "{\"score\": ");
        put_number(out, x[0]);
        strbuf_putc(out, '}');
        return POFAC_OK;
    }
    int64_t best = arg_max(x, n);
    double total = log_sum_exp(x, n, 1);
    strbuf_puts(out, "{\"label\": ");
    put_label(spec, best, out);
    strbuf_puts(out, ", \"score\": ");
    put_number(out, exp(x[best] - total));
    strbuf_puts(out, ", \"probabilities\": {");
    for (int64_t i = 0; i < n; i++) {
        if (i) strbuf_puts(out, ", ");
        put_label(spec, i, out);
        strbuf_puts(out, ": ");
        put_number(out, exp(x[i] - total));
    }
    strbuf_puts(out, "}}");
    return POFAC_OK;
}

/* Is token i a token of the record's text, and not one that was added? */
static bool is_text_token(const text_sequence *s, size_t i) { return s->encoding.tokens[i].end > s->encoding.tokens[i].begin; }

static pofac_status put_tokens(const model_spec *spec, const tokenizer *t, const executor *e, const text_sequence *s,
                               const diag_sink *sink, strbuf *out) {
    ir_tensor logits;
    TRY(executor_output(e, "logits", sink, &logits));
    int64_t length = logits.dims[1], n = logits.dims[2];
    bool first = true;
    strbuf_puts(out, "{\"tokens\": [");
    for (size_t i = 0; i < s->encoding.size; i++) {
        const encoding_token *token = &s->encoding.tokens[i];
        if (!is_text_token(s, i)) continue;
        const float *x = (const float *)logits.data + (s->row * length + (int64_t)i) * n;
        int64_t best = arg_max(x, n);
        strbuf_puts(out, first ? "{\"token\": " : ", {\"token\": ");
        put_text(out, tokenizer_token(t, token->id));
        strbuf_puts(out, ", \"label\": ");
        put_label(spec, best, out);
        strbuf_puts(out, ", \"score\": ");
        put_number(out, exp(x[best] - log_sum_exp(x, n, 1)));
        strbuf_printf(out, ", \"begin\": %zu, \"end\": %zu%s}", token->begin, token->end, token->type_id ? ", \"pair\": true" : "");
        first = false;
    }
    strbuf_puts(out, "]}");
    return POFAC_OK;
}

/* The k largest logits, best first; of equal ones the lower id. */
static void put_candidates(const tokenizer *t, const float *x, int64_t n, int64_t k, strbuf *out) {
    double total = log_sum_exp(x, n, 1), last = INFINITY;
    int64_t last_id = -1, known = (int64_t)tokenizer_vocab_size(t);
    if (known > n) known = n;
    strbuf_puts(out, "\"candidates\": [");
    for (int64_t i = 0; i < k && i < known; i++) {
        int64_t best = -1;
        for (int64_t id = 0; id < known; id++) {
            bool later = x[id] < last || (x[id] == last && id > last_id);
            if (later && (best < 0 || x[id] > x[best])) best = id;
        }
        if (best < 0) break; /* NaN */
        last = x[best];
        last_id = best;
        strbuf_puts(out, i ? ", {\"token\": " : "{\"token\": ");
        put_text(out, tokenizer_token(t, (int32_t)best));
        strbuf_printf(out, ", \"id\": %lld, \"score\": ", (long long)best);
        put_number(out, exp(x[best] - total));
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
}

static pofac_status put_masks(const model_spec *spec, const tokenizer *t, const executor *e, const text_sequence *s, int64_t top_k,
                              const diag_sink *sink, strbuf *out) {
    ir_tensor logits;
    TRY(executor_output(e, "prediction_logits", sink, &logits));
    int64_t n = logits.dims[1], row = s->prediction; /* logits [M,V] */
    int32_t mask = tokenizer_special_id(t, TOKENIZER_MASK);
    bool first = true;
    strbuf_puts(out, "{\"masks\": [");
    for (size_t i = 0; i < s->encoding.size; i++) {
        const encoding_token *token = &s->encoding.tokens[i];
        if (token->id != mask || mask < 0) continue;
        strbuf_printf(out, "%s{\"begin\": %zu, \"end\": %zu, ", first ? "" : ", ", token->begin, token->end);
        put_candidates(t, (const float *)logits.data + row++ * n, n, top_k, out);
        strbuf_putc(out, '}');
        first = false;
    }
    strbuf_putc(out, ']');
    if (spec->head == HEAD_PRETRAINING && spec->arch == MODEL_BERT && s->record->pair) {
        TRY(executor_output(e, "seq_relationship_logits", sink, &logits));
        const float *x = (const float *)logits.data + s->row * 2;
        strbuf_puts(out, ", \"is_next\": ");
        put_number(out, exp(x[0] - log_sum_exp(x, 2, 1)));
    }
    strbuf_putc(out, '}');
    return POFAC_OK;
}

static pofac_status put_embedding(const executor *e, const text_sequence *s, const diag_sink *sink, strbuf *out) {
    ir_tensor x;
    bool pooled = false;
    const ir_graph *g = executor_graph(e);
    for (size_t i = 0; i < g->outputs.size; i++) pooled |= strcmp(g->outputs.data[i].name, "pooler_output") == 0;
    TRY(executor_output(e, pooled ? "pooler_output" : "last_hidden_state", sink, &x));
    int64_t n = x.dims[x.rank - 1], stride = pooled ? n : n * x.dims[1];
    strbuf_puts(out, "{\"embedding\": [");
    for (int64_t i = 0; i < n; i++) {
        if (i) strbuf_puts(out, ", ");
        put_number(out, ((const float *)x.data)[s->row * stride + i]);
    }
    strbuf_puts(out, "]}");
    return POFAC_OK;
}

pofac_status text_answer_put(const loaded_model *model, const tokenizer *t, const executor *e, const text_sequence *s,
                             const predict_text_options *options, const diag_sink *sink, strbuf *out) {
    const model_spec *spec = loaded_model_spec(model);
    switch (spec->head) {
    case HEAD_SEQUENCE_CLASSIFICATION: return put_classes(spec, e, s, sink, out);
    case HEAD_TOKEN_CLASSIFICATION: return put_tokens(spec, t, e, s, sink, out);
    case HEAD_MASKED_LM:
    case HEAD_PRETRAINING: return put_masks(spec, t, e, s, options->top_k, sink, out);
    case HEAD_QUESTION_ANSWERING:
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    return put_embedding(e, s, sink, out);
}

pofac_status text_answer_improve(const executor *e, const text_sequence *s, const predict_text_options *options,
                                 const diag_sink *sink, text_span *best) {
    ir_tensor starts, ends;
    TRY(executor_output(e, "start_logits", sink, &starts));
    TRY(executor_output(e, "end_logits", sink, &ends));
    const float *start = (const float *)starts.data + s->row * starts.dims[1],
                *end = (const float *)ends.data + s->row * ends.dims[1];
    size_t first = s->context_first, last = s->encoding.size - 1; /* the closing [SEP] is not context */
    if (first >= last) return POFAC_OK;
    double total = log_sum_exp(start, (int64_t)s->encoding.size, 1) + log_sum_exp(end, (int64_t)s->encoding.size, 1);
    for (size_t i = first; i < last; i++)
        for (size_t k = i; k < last && k < i + (size_t)options->max_answer_length; k++) {
            double logit = (double)start[i] + (double)end[k];
            bool better = logit > best->logit || (logit == best->logit && s->part < best->part); /* in whichever order parts run */
            if (best->found && !better) continue;
            *best = (text_span){true, logit, exp(logit - total), s->encoding.tokens[i].begin, s->encoding.tokens[k].end, s->part};
        }
    return POFAC_OK;
}

void text_answer_put_span(const record *r, const text_span *span, strbuf *out) {
    strbuf_puts(out, "{\"answer\": ");
    strbuf_put_json(out, span->found ? r->pair + span->begin : "", span->found ? span->end - span->begin : 0);
    strbuf_puts(out, ", \"score\": ");
    put_number(out, span->score);
    strbuf_printf(out, ", \"begin\": %zu, \"end\": %zu}", span->begin, span->end);
}
