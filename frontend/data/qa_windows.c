/* Arithmetic of windows; see qa_windows.h. */
#include "frontend/data/qa_windows.h"

#define N_SPECIALS ((size_t)3) /* [CLS], [SEP], [SEP] */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

pofac_status qa_window_options_check(qa_window_options *o, const diag_sink *sink) {
    if (o->max_seq_length < N_SPECIALS + 1)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "--max_seq_length is %zu, wanted at least %zu for a question and its context", o->max_seq_length,
                          N_SPECIALS + 1);
    if (o->max_query_length == 0) o->max_query_length = QA_DEFAULT_MAX_QUERY_LENGTH;
    if (o->doc_stride == 0) o->doc_stride = least(QA_DEFAULT_DOC_STRIDE, (o->max_seq_length + 2) / 3);
    if (o->doc_stride < o->max_seq_length) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL,
                      "--doc_stride is %zu, wanted less than the %zu tokens of a window (--max_seq_length)", o->doc_stride,
                      o->max_seq_length);
}

pofac_status qa_windows_cut(const qa_window_options *o, size_t n_question, size_t n_context, const diag_place *place,
                            const diag_sink *sink, qa_windows *out) {
    const size_t kept = least(n_question, o->max_query_length);
    if (kept > o->max_seq_length - N_SPECIALS - 1)
        return diag_error(sink, POFAC_ERR_INPUT, place, "the question has %zu tokens, which leaves no room for the context in %zu",
                          n_question, o->max_seq_length);
    const size_t room = o->max_seq_length - N_SPECIALS - kept;
    *out = (qa_windows){.n_question = kept, .n_context = n_context, .room = room, .step = least(o->doc_stride, room), .count = 1};
    if (n_context <= room) return POFAC_OK;
    if (o->stride == QA_STRIDE_OVERLAP) {
        if (o->doc_stride >= room)
            return diag_error(
                sink, POFAC_ERR_INPUT, place,
                "the question has %zu tokens, which leaves windows of %zu tokens of the context, wanted more than --doc_stride %zu",
                n_question, room, o->doc_stride);
        out->step = room - o->doc_stride;
    }
    out->count += (n_context - room - 1) / out->step + 1;
    return POFAC_OK;
}

size_t qa_windows_first(const qa_windows *w, size_t i) { return i * w->step; }

size_t qa_windows_size(const qa_windows *w, size_t i) { return least(w->room, w->n_context - qa_windows_first(w, i)); }

size_t qa_windows_context_at(const qa_windows *w) { return w->n_question + 2; }

pofac_status qa_windows_build(const qa_windows *w, size_t i, const tokenizer *t, const encoding *question, const encoding *context,
                              const diag_sink *sink, encoding *out) {
    const size_t first = qa_windows_first(w, i), n = qa_windows_size(w, i);
    const encoding head = {question->tokens, w->n_question, w->n_question}, part = {n ? context->tokens + first : NULL, n, n};
    return tokenizer_build_pair(t, &head, &part, TOKENIZER_NO_LIMIT, sink, out);
}

/* min(tokens before, tokens after) + 0.01 * size, times 100. */
static size_t context_score(const qa_windows *w, size_t i, size_t token) {
    const size_t first = qa_windows_first(w, i), n = qa_windows_size(w, i);
    return 100 * least(token - first, first + n - 1 - token) + n;
}

bool qa_windows_has_most_context(const qa_windows *w, size_t i, size_t token) {
    const size_t score = context_score(w, i, token);
    size_t from = token < w->room ? 0 : (token - w->room) / w->step + 1; /* the first window that holds it */
    for (size_t k = from; k < w->count && qa_windows_first(w, k) <= token; k++) {
        const size_t other = context_score(w, k, token);
        if (other > score || (other == score && k < i)) return false;
    }
    return true;
}

bool qa_tokens_of_bytes(const encoding *context, size_t begin, size_t end, size_t *first, size_t *last) {
    bool found = false;
    size_t low = 0, high = context->size; /* places of tokens never go back: the first that ends behind `begin` */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (context->tokens[middle].end > begin) high = middle;
        else low = middle + 1;
    }
    *first = *last = low;
    for (size_t i = low; i < context->size && context->tokens[i].begin < end; i++) {
        found = true;
        *last = i;
    }
    return found;
}

bool qa_windows_label(const qa_windows *w, size_t i, size_t first, size_t last, size_t *start, size_t *end) {
    const size_t from = qa_windows_first(w, i), n = qa_windows_size(w, i);
    *start = *end = 0;
    if (first < from || last >= from + n) return false;
    *start = qa_windows_context_at(w) + first - from;
    *end = qa_windows_context_at(w) + last - from;
    return true;
}
