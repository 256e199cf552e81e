/*
 * Texts in, JSON lines out; see predict_text.h.
 *
 * A window's sequences are cut into batches from the longest on: a batch grows while it has room for another sequence by number, by
 * tokens and by memory, all padded to its first one. A record's line is complete when all its sequences have run, and is written when
 * all lines before it are.
 */
#include "frontend/driver/predict_text.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/driver/batch_memory.h"
#include "frontend/driver/finite_check.h"
#include "frontend/driver/text_window.h"
#include "ir/op.h"

#define WINDOW_BATCHES 16 /* sequences of so many batches are sorted by length */

struct text_predictor {
    loaded_model *model;
    const tokenizer *tokenizer;
    const predict_text_options *options;
    executor *executor; /* this and the next three: of the run */
    const diag_sink *sink;
    record_reader *reader;
    const predict_target *target;
    text_window_options window_options;
    text_window window;
    arena content;                       /* of the answer that is taken */
    size_t first;                        /* record of the window */
    size_t n_written;                    /* answers of the window */
    strbuf lines;                        /* that are complete and not written yet */
    bool predicts_tokens;                /* fill-mask */
    VEC(int64_t) ids, mask, types, rows; /* of the batch that runs: [B,S] three times, [M] */
    int64_t n_rows, length;
    predict_progress progress;
};

static bool is_answering(const text_predictor *j) { return loaded_model_spec(j->model)->head == HEAD_QUESTION_ANSWERING; }

/* ---- a batch's inputs ---- */

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const text_predictor *j = user;
    const int64_t dims[2] = {j->n_rows, j->length}, n_predictions = (int64_t)j->rows.size;
    const int64_t *data = strcmp(name, "input_ids") == 0        ? j->ids.data
                          : strcmp(name, "attention_mask") == 0 ? j->mask.data
                          : strcmp(name, "token_type_ids") == 0 ? j->types.data
                                                                : NULL;
    if (data) *out = tensor_view(IR_I64, 2, dims, data);
    else if (strcmp(name, "prediction_rows") == 0) *out = tensor_view(IR_I64, 1, &n_predictions, j->rows.data);
    else return diag_error(sink, POFAC_ERR_INPUT, NULL, "the graph wants the input \"%s\", which texts do not give", name);
    return POFAC_OK;
}

/* The rows of the batch whose tokens are to be predicted: those of masks, or any one where there is none. */
static pofac_status fill_predictions(text_predictor *j, text_sequence *sequences) {
    int32_t mask = tokenizer_special_id(j->tokenizer, TOKENIZER_MASK);
    j->rows.size = 0;
    for (int64_t row = 0; row < j->n_rows && mask >= 0; row++) {
        const encoding *e = &sequences[row].encoding;
        sequences[row].prediction = (int64_t)j->rows.size;
        for (size_t i = 0; i < e->size; i++)
            if (e->tokens[i].id == mask && !VEC_PUSH(&j->rows, row * j->length + (int64_t)i)) return diag_out_of_memory(j->sink);
    }
    if (j->rows.size == 0 && !VEC_PUSH(&j->rows, 0)) return diag_out_of_memory(j->sink);
    return POFAC_OK;
}

static pofac_status fill_inputs(text_predictor *j, text_sequence *sequences) {
    int32_t pad = tokenizer_special_id(j->tokenizer, TOKENIZER_PAD);
    size_t n = (size_t)(j->n_rows * j->length);
    if (!VEC_RESERVE(&j->ids, n) || !VEC_RESERVE(&j->mask, n) || !VEC_RESERVE(&j->types, n)) return diag_out_of_memory(j->sink);
    for (int64_t row = 0; row < j->n_rows; row++) {
        const encoding *e = &sequences[row].encoding;
        for (int64_t i = 0; i < j->length; i++) {
            bool real = (size_t)i < e->size;
            int64_t at = row * j->length + i;
            j->ids.data[at] = real ? e->tokens[i].id : pad < 0 ? 0 : pad;
            j->mask.data[at] = real;
            j->types.data[at] = real ? e->tokens[i].type_id : 0;
        }
    }
    return j->predicts_tokens ? fill_predictions(j, sequences) : POFAC_OK;
}

/* ---- batches ---- */

static pofac_status fits_memory(const text_predictor *j, batch_shape shape, bool *out) {
    session_memory need;
    *out = true;
    if (j->options->max_memory == 0) return POFAC_OK;
    TRY(batch_memory_need(executor_runnable(j->executor), shape, j->sink, &need));
    *out = batch_memory_bytes(need) <= j->options->max_memory;
    return POFAC_OK;
}

static int64_t count_masks(const text_predictor *j, const encoding *e) {
    int32_t mask = tokenizer_special_id(j->tokenizer, TOKENIZER_MASK);
    int64_t n = 0;
    for (size_t i = 0; j->predicts_tokens && mask >= 0 && i < e->size; i++) n += e->tokens[i].id == mask;
    return n;
}

/* How many of the n sequences, longest first, make the next batch. */
static pofac_status cut_batch(const text_predictor *j, const text_sequence *sequences, size_t n, size_t *out) {
    batch_shape shape = {.length = (int64_t)sequences[0].encoding.size};
    for (*out = 0; *out < n && *out < (size_t)j->options->batch_size; ++*out) {
        const encoding *e = &sequences[*out].encoding;
        bool fits;
        shape.sequences++;
        shape.tokens += (int64_t)e->size;
        shape.predictions += count_masks(j, e);
        TRY(fits_memory(j, shape, &fits));
        if (*out > 0 && (!fits || shape.tokens > j->options->batch_tokens)) return POFAC_OK;
    }
    return POFAC_OK;
}

/* Hands on what the sequence says. */
static pofac_status give_content(text_predictor *j, const text_sequence *s, const tensor_source *outputs) {
    answer_content content;
    pofac_status status =
        text_answer_read(loaded_model_spec(j->model), j->tokenizer, outputs, s, j->options->top_k, &j->content, j->sink, &content);
    if (status == POFAC_OK) status = j->target->take(j->target->user, j->first + s->index, &content, j->sink);
    arena_free(&j->content);
    return status;
}

/* What the windows of a question have said. */
static pofac_status give_span(text_predictor *j, const text_sequence *s, text_answer *answer) {
    const answer_span span = text_answer_span(s->record, &answer->spans, &j->options->answers);
    if (j->target->take)
        return j->target->take(j->target->user, j->first + s->index, &(answer_content){.n_spans = 1, .spans = &span}, j->sink);
    text_answer_put_span(s->record, &answer->spans, &j->options->answers, &answer->text);
    return POFAC_OK;
}

static pofac_status take_answer(text_predictor *j, const text_sequence *s) {
    text_answer *answer = &j->window.answers.data[s->index];
    answer->waiting--;
    const tensor_source outputs = executor_outputs(j->executor);
    const model_spec *spec = loaded_model_spec(j->model);
    if (!answer->fault.output) TRY(text_answer_check(spec, j->tokenizer, &outputs, s, j->sink, &answer->fault));
    if (answer->fault.output) return POFAC_OK;
    if (!is_answering(j) && j->target->take) return give_content(j, s, &outputs);
    if (!is_answering(j)) return text_answer_put(spec, j->tokenizer, &outputs, s, j->options->top_k, j->sink, &answer->text);
    TRY(text_answer_improve(&outputs, s, &j->options->answers, j->sink, &answer->spans));
    return answer->waiting == 0 && !j->options->output ? give_span(j, s, answer) : POFAC_OK;
}

static pofac_status run_batch(text_predictor *j, text_sequence *sequences, size_t n) {
    const tensor_source inputs = {.get = get_input, .user = j};
    j->n_rows = (int64_t)n;
    j->length = (int64_t)sequences[0].encoding.size;
    TRY(fill_inputs(j, sequences));
    TRY(executor_run(j->executor, &inputs, j->sink));
    for (size_t i = 0; i < n; i++) {
        sequences[i].row = (int64_t)i;
        TRY(take_answer(j, &sequences[i]));
    }
    return POFAC_OK;
}

static pofac_status report_fault(text_predictor *j, const text_answer *answer) {
    const diag_place place = record_reader_place(j->reader, &j->window.records.data[j->n_written], &j->window.memory);
    return diag_error(j->sink, POFAC_ERR_NUMERIC, &place, "%s: found %s, wanted finite numbers", answer->fault.output,
                      not_finite_name(answer->fault.value));
}

static bool is_complete(const text_predictor *j, size_t i) {
    return i < j->window.answers.size && j->window.answers.data[i].waiting == 0;
}

/* Adds an answer to what is written. */
static pofac_status write_answer(text_predictor *j, size_t i) {
    text_answer *answer = &j->window.answers.data[i];
    const record *r = &j->window.records.data[i];
    if (j->options->output) {
        const squad_text id = {r->id, strlen(r->id)}, context = {r->pair, r->pair_bytes};
        return qa_output_put(j->options->output, &id, &context, &answer->spans, j->sink);
    }
    if (j->target->take) return POFAC_OK; /* it has been taken */
    if (!strbuf_ok(&answer->text)) return diag_out_of_memory(j->sink);
    strbuf_append(&j->lines, answer->text.data, answer->text.size);
    strbuf_putc(&j->lines, '\n');
    strbuf_free(&answer->text);
    return POFAC_OK;
}

/* A record without an answer ends the work when its turn has come. */
static pofac_status write_complete(text_predictor *j) {
    strbuf_clear(&j->lines);
    uint64_t n = 0;
    for (; is_complete(j, j->n_written) && !j->window.answers.data[j->n_written].fault.output; j->n_written++, n++)
        TRY(write_answer(j, j->n_written));
    if (!strbuf_ok(&j->lines)) return diag_out_of_memory(j->sink);
    if (j->lines.size > 0) TRY(j->target->write(j->target->user, strbuf_str(&j->lines), j->lines.size));
    j->progress.answers += n;
    return is_complete(j, j->n_written) ? report_fault(j, &j->window.answers.data[j->n_written]) : POFAC_OK;
}

/* `share` of the window has run, which began and ends at these bytes of the input. */
static void report_progress(text_predictor *j, uint64_t begin, uint64_t end, double share) {
    j->progress.bytes = (double)begin + share * (double)(end - begin);
    j->progress.total_bytes = record_reader_total_bytes(j->reader);
    if (j->options->progress) j->options->progress(j->options->progress_user, &j->progress);
}

static pofac_status run_window(text_predictor *j, uint64_t begin, uint64_t end) {
    size_t n = j->window.sequences.size;
    j->n_written = 0;
    for (size_t i = 0, count; i < n; i += count) {
        if (interruption_check(j->options->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(cut_batch(j, &j->window.sequences.data[i], n - i, &count));
        TRY(run_batch(j, &j->window.sequences.data[i], count));
        TRY(write_complete(j));
        report_progress(j, begin, end, (double)(i + count) / (double)n);
    }
    return POFAC_OK;
}

static pofac_status run_windows(text_predictor *j) {
    for (;;) {
        uint64_t begin = record_reader_bytes(j->reader);
        pofac_status status = text_window_read(&j->window, &j->window_options, j->reader, j->sink);
        if (status == POFAC_ERR_INTERRUPTED) return status;
        TRY(run_window(j, begin, record_reader_bytes(j->reader)));
        j->first += j->window.records.size;
        if (status != POFAC_OK || j->window.records.size == 0) return status;
    }
}

/* ---- the whole ---- */

static pofac_status find_max_length(text_predictor *j) {
    int64_t most = loaded_model_spec(j->model)->max_position_embeddings, wanted = j->options->max_seq_length;
    size_t known = tokenizer_get_options(j->tokenizer)->model_max_length;
    if (wanted > most)
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL,
                          "--max_seq_length is %lld, the model takes at most %lld (max_position_embeddings)", (long long)wanted,
                          (long long)most);
    j->window_options.max_length = (size_t)(wanted ? wanted : most);
    if (!wanted && known && known < j->window_options.max_length) j->window_options.max_length = known;
    return POFAC_OK;
}

static pofac_status prepare_questions(text_predictor *j) {
    j->window_options.is_answering = is_answering(j);
    j->window_options.windows = j->options->windows;
    j->window_options.windows.max_seq_length = j->window_options.max_length;
    if (is_answering(j)) return qa_window_options_check(&j->window_options.windows, j->sink);
    if (!j->options->output) return POFAC_OK;
    return diag_error(j->sink, POFAC_ERR_USAGE, &(diag_place){.file = loaded_model_path(j->model)},
                      "found the head %s, wanted question-answering (--head)", model_head_name(loaded_model_spec(j->model)->head));
}

/* Is there memory for the longest text that may come? */
static pofac_status check_memory(const text_predictor *j) {
    const predict_text_options *o = j->options;
    int64_t length = (int64_t)j->window_options.max_length, most = o->batch_tokens / length, fits;
    most = most < 1 ? 1 : most < o->batch_size ? most : o->batch_size;
    return executor_fit_batch(j->executor, length, most, o->max_memory, o->report_memory, j->sink, &fits);
}

static pofac_status prepare(text_predictor *j) {
    if (!loaded_model_has_embeddings(j->model))
        return diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = loaded_model_path(j->model)},
                          "the model has no embedding tables: found texts, wanted tensors with embedding_output (--tensors)");
    TRY(loaded_model_tokenizer(j->model, j->sink, &j->tokenizer));
    TRY(find_max_length(j));
    j->predicts_tokens = predict_text_graph(j->model, (model_graph_options){0}).chosen_rows;
    j->window_options.tokenizer = j->tokenizer;
    j->window_options.most_records = WINDOW_BATCHES * (size_t)j->options->batch_size;
    return prepare_questions(j);
}

pofac_status text_predictor_create(loaded_model *model, const predict_text_options *options, const diag_sink *sink,
                                   text_predictor **out) {
    text_predictor *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) return diag_out_of_memory(sink);
    *t = (text_predictor){
        .model = model, .options = options, .sink = sink, .window = TEXT_WINDOW_INIT, .content = ARENA_INIT, .lines = STRBUF_INIT};
    pofac_status status = prepare(t);
    if (status == POFAC_OK) *out = t;
    else text_predictor_destroy(t);
    return status;
}

void text_predictor_destroy(text_predictor *t) {
    if (!t) return;
    text_window_free(&t->window);
    strbuf_free(&t->lines);
    VEC_FREE(&t->ids);
    VEC_FREE(&t->mask);
    VEC_FREE(&t->types);
    VEC_FREE(&t->rows);
    free(t);
}

model_graph_options predict_text_graph(const loaded_model *model, model_graph_options rest) {
    const model_head head = loaded_model_spec(model)->head;
    rest.chosen_rows = head == HEAD_MASKED_LM || head == HEAD_PRETRAINING;
    return rest;
}

pofac_status text_predictor_run(text_predictor *t, executor *e, record_reader *records, const predict_target *target,
                                const diag_sink *sink) {
    t->executor = e;
    t->reader = records;
    t->target = target;
    t->sink = sink;
    t->first = 0;
    t->progress = (predict_progress){0};
    record_reader_watch(records, t->options->stop);
    return run_windows(t);
}

static pofac_status open_executor(text_predictor *t, const road_options *road) {
    road_options r = *road;
    r.graph = predict_text_graph(t->model, r.graph);
    TRY(executor_create(t->model, &r, t->options->kind, t->sink, &t->executor));
    executor_watch(t->executor, t->options->stop);
    TRY(executor_set_profile(t->executor, t->options->profile, t->sink));
    return check_memory(t);
}

pofac_status predict_text(loaded_model *model, const road_options *road, const predict_text_options *options,
                          record_reader *records, predict_write write, void *user, const diag_sink *sink) {
    const predict_target target = {.write = write, .user = user};
    text_predictor *t;
    TRY(text_predictor_create(model, options, sink, &t));
    pofac_status status = open_executor(t, road);
    if (status == POFAC_OK) status = text_predictor_run(t, t->executor, records, &target, sink);
    executor_destroy(t->executor);
    text_predictor_destroy(t);
    return status;
}
