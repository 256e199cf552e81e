/*
 * Questions of SQuAD's through a model; see evaluation_parts.h. Questions are gathered until their windows fill a batch or more, the batches run, each
 * window's spans compete, and then the best answer of each question stands beside those wanted.
 */
#include <string.h>

#include "frontend/data/qa_answers.h"
#include "frontend/data/qa_features.h"
#include "frontend/driver/evaluation_parts.h"

/* A question whose windows wait. Texts are in the group's arena. */
typedef struct waiting_question {
    const char *id;
    answer_text context;
    answer_text *wanted;
    size_t n_wanted;
    qa_answers answers;
} waiting_question;

typedef struct waiting_window {
    size_t question; /* of the group */
    encoding input;  /* in the arena */
    size_t window, context_at, n_context, start, end;
} waiting_window;

typedef struct question_group {
    question_evaluation *q;
    evaluation_scores *scores;
    qa_answer_options options;
    bool is_v2;
    arena memory;
    VEC(waiting_question) questions;
    VEC(waiting_window) windows;
    uint64_t n_questions, n_windows; /* of all groups */
} question_group;

/* ---- gathering ---- */

static bool copy_text(arena *a, const squad_text *from, answer_text *to) {
    to->text = arena_strndup(a, from->text, from->bytes);
    to->bytes = from->bytes;
    return to->text != NULL;
}

static pofac_status keep_question(question_group *g, const squad_question *from, const diag_sink *sink) {
    waiting_question w = {.id = arena_strndup(&g->memory, from->id.text, from->id.bytes),
                          .wanted = ARENA_ARRAY(&g->memory, answer_text, from->n_answers + 1),
                          .n_wanted = from->n_answers,
                          .answers = QA_ANSWERS_INIT};
    if (from->n_answers == 0 && !g->is_v2)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = g->q->path},
                          "question %s has no answer, which task squad_v2 is for", from->id.text);
    if (!w.id || !w.wanted || !copy_text(&g->memory, &from->context, &w.context)) return diag_out_of_memory(sink);
    for (size_t i = 0; i < from->n_answers; i++)
        if (!copy_text(&g->memory, &from->answers[i].text, &w.wanted[i])) return diag_out_of_memory(sink);
    return VEC_PUSH(&g->questions, w) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status keep_window(question_group *g, const qa_feature *f, const diag_sink *sink) {
    waiting_window w = {.question = g->questions.size - 1,
                        .window = f->window,
                        .context_at = f->context_at,
                        .n_context = f->n_context,
                        .start = f->start,
                        .end = f->end};
    w.input.tokens = ARENA_ARRAY(&g->memory, encoding_token, f->input->size + 1);
    if (!w.input.tokens) return diag_out_of_memory(sink);
    memcpy(w.input.tokens, f->input->tokens, f->input->size * sizeof *f->input->tokens);
    w.input.size = f->input->size;
    return VEC_PUSH(&g->windows, w) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status take_question(question_group *g, qa_features *features, const squad_question *question, const diag_sink *sink) {
    size_t n;
    TRY(keep_question(g, question, sink));
    TRY(qa_features_begin(features, g->q->path, question, sink, &n));
    for (size_t i = 0; i < n; i++) {
        qa_feature f;
        TRY(qa_features_get(features, i, sink, &f));
        TRY(keep_window(g, &f, sink));
    }
    return POFAC_OK;
}

/* ---- batches ---- */

static bool add_tensor(arena *a, batch *b, const char *name, int64_t n, int64_t length, int64_t **data) {
    const int64_t dims[2] = {n, length};
    *data = ARENA_ARRAY(a, int64_t, n * (length ? length : 1));
    if (!*data) return false;
    b->names[b->n_tensors] = name;
    b->tensors[b->n_tensors++] = tensor_view(IR_I64, length ? 2 : 1, dims, *data);
    return true;
}

/* Windows [n] from `first` on as tensors, padded to the longest or to the recipe's length. */
static pofac_status make_batch(question_group *g, size_t first, size_t n, int64_t pad_id, const diag_sink *sink, batch *b) {
    int64_t *ids, *types, *mask, *starts, *ends, length = (int64_t)g->q->fixed_length;
    *b = (batch){.n_sequences = (int64_t)n};
    for (size_t i = first; i < first + n; i++) {
        b->n_tokens += (int64_t)g->windows.data[i].input.size;
        if (!g->q->fixed_length && (int64_t)g->windows.data[i].input.size > length) length = (int64_t)g->windows.data[i].input.size;
    }
    const int64_t rows = (int64_t)n;
    if (!add_tensor(&g->memory, b, "input_ids", rows, length, &ids) ||
        !add_tensor(&g->memory, b, "token_type_ids", rows, length, &types) ||
        !add_tensor(&g->memory, b, "attention_mask", rows, length, &mask) ||
        !add_tensor(&g->memory, b, "start_positions", rows, 0, &starts) ||
        !add_tensor(&g->memory, b, "end_positions", rows, 0, &ends))
        return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) {
        const waiting_window *w = &g->windows.data[first + i];
        starts[i] = (int64_t)w->start;
        ends[i] = (int64_t)w->end;
        for (int64_t k = 0; k < length; k++) {
            const bool is_token = k < (int64_t)w->input.size;
            const int64_t at = (int64_t)i * length + k;
            ids[at] = is_token ? w->input.tokens[k].id : pad_id;
            types[at] = is_token ? w->input.tokens[k].type_id : 0;
            mask[at] = is_token;
        }
    }
    return POFAC_OK;
}

static pofac_status take_spans(question_group *g, size_t first, size_t n, const diag_sink *sink) {
    ir_tensor starts, ends;
    TRY(executor_output(g->q->executor, "start_logits", sink, &starts));
    TRY(executor_output(g->q->executor, "end_logits", sink, &ends));
    for (size_t i = 0; i < n; i++) {
        const waiting_window *w = &g->windows.data[first + i];
        const qa_window_logits logits = {.input = &w->input,
                                         .window = w->window,
                                         .context_at = w->context_at,
                                         .n_context = w->n_context,
                                         .start = (const float *)starts.data + (int64_t)i * starts.dims[1],
                                         .end = (const float *)ends.data + (int64_t)i * ends.dims[1]};
        TRY(qa_answers_take(&g->questions.data[w->question].answers, &g->options, &logits, sink));
    }
    return POFAC_OK;
}

static pofac_status run_windows(question_group *g, size_t first, size_t n, const diag_sink *sink) {
    question_evaluation *q = g->q;
    const tensor_source *inputs;
    batch b;
    TRY(make_batch(g, first, n, loaded_model_spec(q->model)->pad_token_id, sink, &b));
    train_inputs_begin(q->inputs, 1, 0);
    TRY(train_inputs_add(q->inputs, &b, sink));
    TRY(train_inputs_select(q->inputs, 0, sink, &inputs));
    TRY(executor_run(q->executor, inputs, sink));
    TRY(evaluation_scores_add_losses(g->scores, q->executor, q->inputs, sink));
    TRY(take_spans(g, first, n, sink));
    q->tokens += b.n_tokens;
    g->n_windows += n;
    if (q->options->progress) q->options->progress(q->options->progress_user, g->n_windows, q->all);
    return POFAC_OK;
}

/* ---- a group ---- */

static pofac_status score_question(question_group *g, const waiting_question *w, const diag_sink *sink) {
    const qa_span *best = qa_answers_best(&w->answers, &g->options, NULL);
    const answer_text predicted = {best ? w->context.text + best->begin_byte : "", best ? best->end_byte - best->begin_byte : 0};
    return metrics_add_answer(&g->scores->main, &predicted, w->wanted, w->n_wanted, NULL, sink);
}

static void forget_group(question_group *g) {
    for (size_t i = 0; i < g->questions.size; i++) qa_answers_free(&g->questions.data[i].answers);
    g->questions.size = g->windows.size = 0;
    arena_free(&g->memory);
    g->memory = (arena)ARENA_INIT;
}

static pofac_status run_group(question_group *g, const diag_sink *sink) {
    const size_t most = (size_t)g->q->recipe->train.eval_batch_size;
    for (size_t first = 0; first < g->windows.size; first += most) {
        const size_t rest = g->windows.size - first;
        if (interruption_check(g->q->options->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(run_windows(g, first, rest < most ? rest : most, sink));
    }
    for (size_t i = 0; i < g->questions.size; i++) TRY(score_question(g, &g->questions.data[i], sink));
    forget_group(g);
    return POFAC_OK;
}

static pofac_status read_questions(question_group *g, squad_reader *reader, qa_features *features, const diag_sink *sink) {
    const uint64_t most = (uint64_t)g->q->recipe->data.max_eval_samples;
    for (;;) {
        const squad_question *question = NULL;
        if (most == 0 || g->n_questions < most) TRY(squad_reader_next(reader, sink, &question));
        if (!question) return run_group(g, sink);
        g->n_questions++;
        TRY(take_question(g, features, question, sink));
        if (g->windows.size >= (size_t)g->q->recipe->train.eval_batch_size) TRY(run_group(g, sink));
    }
}

pofac_status evaluate_questions(question_evaluation *q, evaluation_scores *s, const diag_sink *sink) {
    const recipe_data *d = &q->recipe->data;
    const qa_window_options windows = {
        .max_seq_length = q->max_length, .doc_stride = (size_t)d->doc_stride, .max_query_length = (size_t)d->max_query_length};
    question_group g = {.q = q, .scores = s, .memory = ARENA_INIT, .is_v2 = s->main.rules == ANSWER_RULES_V2};
    const tokenizer *t;
    qa_features *features = NULL;
    squad_reader *reader = NULL;
    g.options = (qa_answer_options){
        .n_best = (size_t)d->n_best_size, .max_answer_length = (size_t)d->max_answer_length, .may_be_null = g.is_v2};
    TRY(loaded_model_tokenizer(q->model, sink, &t));
    pofac_status status = squad_reader_open(q->path, d->skip_bad_rows ? SQUAD_BAD_ROWS_SKIP : SQUAD_BAD_ROWS_FAIL, sink, &reader);
    if (status == POFAC_OK) status = qa_features_create(t, &windows, sink, &features);
    if (status == POFAC_OK) status = read_questions(&g, reader, features, sink);
    forget_group(&g);
    VEC_FREE(&g.questions);
    VEC_FREE(&g.windows);
    qa_features_destroy(features);
    squad_reader_close(reader);
    return status;
}
