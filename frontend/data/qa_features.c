/* Features with labels; see qa_features.h. */
#include "frontend/data/qa_features.h"

#include <stdlib.h>

struct qa_features {
    const tokenizer *tokenizer;
    qa_window_options options;
    bool has_context;
    uint64_t paragraph; /* of `context` */
    encoding question, context, input;
    qa_windows windows;
    bool has_answer;
    size_t first, last; /* the answer's tokens of the context */
    qa_feature_counts counts;
};

pofac_status qa_features_create(const tokenizer *t, const qa_window_options *options, const diag_sink *sink, qa_features **out) {
    qa_window_options checked = *options;
    *out = NULL;
    TRY(qa_window_options_check(&checked, sink));
    qa_features *f = calloc(1, sizeof *f);
    if (!f) return diag_out_of_memory(sink);
    f->tokenizer = t;
    f->options = checked;
    *out = f;
    return POFAC_OK;
}

void qa_features_destroy(qa_features *f) {
    if (!f) return;
    encoding_free(&f->question);
    encoding_free(&f->context);
    encoding_free(&f->input);
    free(f);
}

static pofac_status encode_context(qa_features *f, const squad_question *q, const diag_sink *sink) {
    if (f->has_context && f->paragraph == q->paragraph) return POFAC_OK;
    f->has_context = false;
    TRY(tokenizer_encode(f->tokenizer, q->context.text, q->context.bytes, sink, &f->context));
    f->has_context = true;
    f->paragraph = q->paragraph;
    return POFAC_OK;
}

/* The place of a message names the question, since SQuAD's files have no lines to speak of. */
static pofac_status cut_windows(qa_features *f, const char *file, const squad_question *q, const diag_sink *sink) {
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s: question %s", file, q->id.text);
    pofac_status status = strbuf_ok(&name) ? qa_windows_cut(&f->options, f->question.size, f->context.size,
                                                            &(diag_place){.file = strbuf_str(&name)}, sink, &f->windows)
                                           : diag_out_of_memory(sink);
    strbuf_free(&name);
    return status;
}

static bool answer_is_split(const qa_features *f) {
    size_t start, end;
    for (size_t i = 0; i < f->windows.count; i++)
        if (qa_windows_label(&f->windows, i, f->first, f->last, &start, &end)) return false;
    return true;
}

pofac_status qa_features_begin(qa_features *f, const char *file, const squad_question *q, const diag_sink *sink,
                               size_t *n_windows) {
    *n_windows = 0;
    TRY(tokenizer_encode(f->tokenizer, q->question.text, q->question.bytes, sink, &f->question));
    TRY(encode_context(f, q, sink));
    TRY(cut_windows(f, file, q, sink));
    const squad_answer *answer = q->n_answers ? &q->answers[0] : NULL;
    f->has_answer =
        answer && qa_tokens_of_bytes(&f->context, answer->begin, answer->begin + answer->text.bytes, &f->first, &f->last);
    f->counts.questions++;
    f->counts.cut_questions += f->windows.n_question < f->question.size;
    f->counts.unaligned += answer && !f->has_answer;
    f->counts.split += f->has_answer && answer_is_split(f);
    *n_windows = f->windows.count;
    return POFAC_OK;
}

void qa_features_forget(qa_features *f) { f->has_context = false; }

pofac_status qa_features_get(qa_features *f, size_t window, const diag_sink *sink, qa_feature *out) {
    TRY(qa_windows_build(&f->windows, window, f->tokenizer, &f->question, &f->context, sink, &f->input));
    *out = (qa_feature){.input = &f->input,
                        .window = window,
                        .n_windows = f->windows.count,
                        .context_at = qa_windows_context_at(&f->windows),
                        .n_context = qa_windows_size(&f->windows, window),
                        .first = qa_windows_first(&f->windows, window)};
    if (f->has_answer) out->has_answer = qa_windows_label(&f->windows, window, f->first, f->last, &out->start, &out->end);
    f->counts.features++;
    f->counts.with_answer += out->has_answer;
    f->counts.tokens += f->input.size;
    if (f->input.size > f->counts.longest) f->counts.longest = f->input.size;
    return POFAC_OK;
}

const qa_window_options *qa_features_options(const qa_features *f) { return &f->options; }

const qa_windows *qa_features_windows(const qa_features *f) { return &f->windows; }

qa_feature_counts qa_features_counts(const qa_features *f) { return f->counts; }
