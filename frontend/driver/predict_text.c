/*
 * Texts in, JSON lines out; see predict_text.h. Records are read batch by batch; each becomes one sequence, or for question
 * answering one per window of its context; sequences run in groups of at most batch_size, and a batch's lines are written when all
 * its sequences have run. Memory does not grow with the file.
 */
#include "frontend/driver/predict_text.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/driver/text_answer.h"
#include "ir/op.h"

typedef struct text_job {
    loaded_model *model;
    const tokenizer *tokenizer;
    const predict_text_options *options;
    executor *executor;
    const diag_sink *sink;
    record_reader *reader;
    size_t max_length;
    arena memory; /* of the batch */
    record *records;
    text_span *spans;
    strbuf *answers; /* [batch_size] one per record */
    size_t n_records;
    VEC(text_sequence) sequences;
    encoding first, second;      /* scratch */
    int64_t *ids, *mask, *types; /* [rows, length] of the group that runs */
    int64_t n_rows, length;
} text_job;

static bool is_answering(const text_job *j) { return loaded_model_spec(j->model)->head == HEAD_QUESTION_ANSWERING; }

/* ---- records to sequences ---- */

static pofac_status add_sequence(text_job *j, size_t index, text_sequence **out) {
    text_sequence s = {.record = &j->records[index], .index = index};
    if (!VEC_PUSH(&j->sequences, s)) return diag_out_of_memory(j->sink);
    *out = &j->sequences.data[j->sequences.size - 1];
    return POFAC_OK;
}

/* Windows [CLS] question [SEP] part of the context [SEP], doc_stride tokens apart, as the reference cuts them: the question is
 * whole, and consecutive windows share (room - doc_stride) tokens. */
static pofac_status add_windows(text_job *j, size_t index) {
    const record *r = &j->records[index];
    size_t n_question = j->first.size, n_context = j->second.size;
    if (n_question + 4 > j->max_length)
        return diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = record_reader_name(j->reader), .line = (uint32_t)r->line},
                          "the question has %zu tokens, which leaves no room for the context in %zu", n_question, j->max_length);
    size_t room = j->max_length - n_question - 3,
           stride = (size_t)j->options->doc_stride < room ? (size_t)j->options->doc_stride : room;
    for (size_t first = 0;; first += stride) {
        size_t n = n_context - first < room ? n_context - first : room;
        encoding part = {j->second.tokens + first, n, n};
        text_sequence *s;
        TRY(add_sequence(j, index, &s));
        TRY(tokenizer_build_pair(j->tokenizer, &j->first, &part, j->max_length, j->sink, &s->encoding));
        s->context_first = n_question + 2;
        if (first + n >= n_context) return POFAC_OK;
    }
}

static pofac_status add_record(text_job *j, size_t index) {
    const record *r = &j->records[index];
    TRY(tokenizer_encode(j->tokenizer, r->text, r->text_bytes, j->sink, &j->first));
    if (r->pair) TRY(tokenizer_encode(j->tokenizer, r->pair, r->pair_bytes, j->sink, &j->second));
    if (is_answering(j)) {
        if (!r->pair)
            return diag_error(
                j->sink, POFAC_ERR_INPUT, &(diag_place){.file = record_reader_name(j->reader), .line = (uint32_t)r->line},
                "found one text, wanted a question and a context: two TSV columns, or a JSON object with both keys (--format)");
        return add_windows(j, index);
    }
    text_sequence *s;
    TRY(add_sequence(j, index, &s));
    if (r->pair) return tokenizer_build_pair(j->tokenizer, &j->first, &j->second, j->max_length, j->sink, &s->encoding);
    return tokenizer_build_single(j->tokenizer, &j->first, j->max_length, j->sink, &s->encoding);
}

/* On an error the records before the one that is wrong are there. */
static pofac_status read_batch(text_job *j) {
    bool found = true;
    for (j->n_records = 0; j->n_records < (size_t)j->options->batch_size; j->n_records++) {
        TRY(record_reader_next(j->reader, &j->memory, j->sink, &j->records[j->n_records], &found));
        if (!found) return POFAC_OK;
        j->spans[j->n_records] = (text_span){0};
        strbuf_clear(&j->answers[j->n_records]);
        size_t n_sequences = j->sequences.size;
        pofac_status status = add_record(j, j->n_records);
        if (status == POFAC_OK) continue;
        while (j->sequences.size > n_sequences) encoding_free(&j->sequences.data[--j->sequences.size].encoding);
        return status;
    }
    return POFAC_OK;
}

/* ---- running ---- */

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const text_job *j = user;
    const int64_t dims[2] = {j->n_rows, j->length};
    const int64_t *data = strcmp(name, "input_ids") == 0        ? j->ids
                          : strcmp(name, "attention_mask") == 0 ? j->mask
                          : strcmp(name, "token_type_ids") == 0 ? j->types
                                                                : NULL;
    if (!data) return diag_error(sink, POFAC_ERR_INPUT, NULL, "the graph wants the input \"%s\", which texts do not give", name);
    *out = tensor_view(IR_I64, 2, dims, data);
    return POFAC_OK;
}

static void fill_inputs(text_job *j, const text_sequence *sequences) {
    int32_t pad = tokenizer_special_id(j->tokenizer, TOKENIZER_PAD);
    for (int64_t row = 0; row < j->n_rows; row++) {
        const encoding *e = &sequences[row].encoding;
        for (int64_t i = 0; i < j->length; i++) {
            bool real = (size_t)i < e->size;
            int64_t at = row * j->length + i;
            j->ids[at] = real ? e->tokens[i].id : pad < 0 ? 0 : pad;
            j->mask[at] = real;
            j->types[at] = real ? e->tokens[i].type_id : 0;
        }
    }
}

static pofac_status run_group(text_job *j, text_sequence *sequences, size_t n) {
    const tensor_source inputs = {get_input, j};
    j->n_rows = (int64_t)n;
    j->length = 1;
    for (size_t i = 0; i < n; i++) {
        sequences[i].row = (int64_t)i;
        if ((int64_t)sequences[i].encoding.size > j->length) j->length = (int64_t)sequences[i].encoding.size;
    }
    fill_inputs(j, sequences);
    TRY(executor_run(j->executor, &inputs, j->sink));
    for (size_t i = 0; i < n; i++) {
        text_sequence *s = &sequences[i];
        if (is_answering(j)) TRY(text_answer_improve(j->executor, s, j->options, j->sink, &j->spans[s->index]));
        else TRY(text_answer_put(j->model, j->tokenizer, j->executor, s, j->options, j->sink, &j->answers[s->index]));
    }
    return POFAC_OK;
}

static pofac_status run_batch(text_job *j, predict_write write, void *user) {
    size_t group = (size_t)j->options->batch_size;
    for (size_t i = 0; i < j->sequences.size; i += group)
        TRY(run_group(j, &j->sequences.data[i], j->sequences.size - i < group ? j->sequences.size - i : group));
    for (size_t i = 0; i < j->n_records; i++) {
        if (is_answering(j)) text_answer_put_span(&j->records[i], &j->spans[i], &j->answers[i]);
        strbuf_putc(&j->answers[i], '\n');
        if (!strbuf_ok(&j->answers[i])) return diag_out_of_memory(j->sink);
        TRY(write(user, strbuf_str(&j->answers[i]), j->answers[i].size));
    }
    return POFAC_OK;
}

static void clear_batch(text_job *j) {
    for (size_t i = 0; i < j->sequences.size; i++) encoding_free(&j->sequences.data[i].encoding);
    j->sequences.size = 0;
    arena_free(&j->memory);
}

/* ---- the whole ---- */

static pofac_status prepare(text_job *j, const road_options *road) {
    const model_spec *spec = loaded_model_spec(j->model);
    TRY(loaded_model_tokenizer(j->model, j->sink, &j->tokenizer));
    int64_t most = spec->max_position_embeddings, wanted = j->options->max_seq_length;
    size_t known = tokenizer_get_options(j->tokenizer)->model_max_length;
    if (wanted > most)
        return diag_error(j->sink, POFAC_ERR_USAGE, NULL,
                          "--max_seq_length is %lld, the model takes at most %lld (max_position_embeddings)", (long long)wanted,
                          (long long)most);
    j->max_length = (size_t)(wanted ? wanted : most);
    if (!wanted && known && known < j->max_length) j->max_length = known;
    size_t n = (size_t)j->options->batch_size;
    j->records = calloc(n, sizeof *j->records);
    j->spans = calloc(n, sizeof *j->spans);
    j->answers = calloc(n, sizeof *j->answers);
    j->ids = calloc(n * j->max_length, sizeof *j->ids);
    j->mask = calloc(n * j->max_length, sizeof *j->mask);
    j->types = calloc(n * j->max_length, sizeof *j->types);
    if (!j->records || !j->spans || !j->answers || !j->ids || !j->mask || !j->types) return diag_out_of_memory(j->sink);
    return executor_create(j->model, road, j->options->kind, j->sink, &j->executor);
}

pofac_status predict_text(loaded_model *model, const road_options *road, const predict_text_options *options,
                          record_reader *records, predict_write write, void *user, const diag_sink *sink) {
    text_job j = {
        .model = model, .options = options, .sink = sink, .reader = records, .first = ENCODING_INIT, .second = ENCODING_INIT};
    pofac_status status = prepare(&j, road);
    do {
        if (status != POFAC_OK) break;
        status = read_batch(&j);
        pofac_status ran = run_batch(&j, write, user);
        if (status == POFAC_OK) status = ran;
        clear_batch(&j);
    } while (status == POFAC_OK && j.n_records == (size_t)options->batch_size);
    for (size_t i = 0; j.answers && i < (size_t)options->batch_size; i++) strbuf_free(&j.answers[i]);
    VEC_FREE(&j.sequences);
    encoding_free(&j.first);
    encoding_free(&j.second);
    executor_destroy(j.executor);
    free(j.records);
    free(j.spans);
    free(j.answers);
    free(j.ids);
    free(j.mask);
    free(j.types);
    return status;
}
