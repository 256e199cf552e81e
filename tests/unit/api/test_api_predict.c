/* Predictors through the C API: every head's answers against pofac predict's lines, tensors against the same graph by files, what is wrong, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/predict_tensors.h"
#include "frontend/driver/predict_text.h"
#include "tests/unit/api/api_case.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"

static const char *const heads[] = {
    "sequence-classification", "token-classification", "question-answering", "masked-lm", "pretraining", "none"};
#define N_HEADS (sizeof heads / sizeof *heads)

static const pofac_text texts[] = {
    {"a b", "c d e"}, {"[MASK] b a", "a b [MASK] d"}, {"c", "a b c d e a b c d e a b c d e a b c d e"},
    {"e d", "b"},     {"x a", "b \"c\" d"},           {"b b b b b b b b", "a [MASK]"}};
#define N_TEXTS (sizeof texts / sizeof *texts)

/* ---- texts ---- */

static pofac_status append(void *user, const char *lines, size_t n) {
    strbuf_append(user, lines, n);
    return POFAC_OK;
}

/* What `pofac predict` prints of the texts as TSV. */
static void predict_lines(api_case *c, void **state, const char *head, strbuf *out) {
    strbuf tsv = STRBUF_INIT;
    record_reader *records;
    loaded_model *model;
    loaded_model_options options = {.seed = 42, .threads = 1};
    const road_options road = {.cache_dir = c->cache, .threads = 1, .tune = ROAD_TUNE_OFF, .quantization = ROAD_INTEGER};
    const predict_text_options how = {
        .batch_size = 2, .batch_tokens = 4096, .top_k = 5, .answers = {.n_best = 1, .max_answer_length = 30}};
    for (size_t i = 0; i < N_TEXTS; i++) strbuf_printf(&tsv, "%s\t%s\n", texts[i].text, texts[i].pair);
    put_file(state, "texts.tsv", tsv.data, tsv.size);
    assert_true(model_head_parse(head, &options.head));
    assert_int_equal(loaded_model_open(c->path, &options, NULL, &model), POFAC_OK);
    assert_int_equal(record_reader_open(file_path(state, "texts.tsv"), NULL, NULL, &records), POFAC_OK);
    assert_int_equal(predict_text(model, &road, &how, records, append, out, NULL), POFAC_OK);
    record_reader_close(records);
    loaded_model_close(model);
    strbuf_free(&tsv);
}

static void check_answer(const char *head, const pofac_text *text, const pofac_answer *a) {
    double sum = 0.0;
    if (strcmp(head, "sequence-classification") == 0) {
        assert_int_equal(a->n_labels, 3);
        for (size_t i = 0; i < 3; i++) {
            sum += a->labels[i].score;
            assert_int_equal(a->labels[i].id, i);
            assert_true(a->labels[i].score <= a->labels[a->best].score);
        }
        assert_true(fabs(sum - 1.0) < 1e-9);
        assert_string_equal(a->labels[1].name, "LABEL_1");
        return;
    }
    assert_int_equal(a->n_labels, 0);
    if (strcmp(head, "none") == 0) {
        assert_int_equal(a->n_embedding, 16);
        assert_int_equal(a->n_spans, 0);
        return;
    }
    for (size_t i = 0; i < a->n_spans; i++) {
        const pofac_span *s = &a->spans[i];
        const char *whole = s->in_pair ? text->pair : text->text;
        assert_true(s->begin <= s->end && s->end <= strlen(whole));
        if (strcmp(head, "token-classification") == 0) {
            assert_int_equal(s->n_choices, 1);
            assert_true(s->score == s->choices[0].score);
            continue;
        }
        assert_int_equal(strlen(s->text), s->end - s->begin);
        assert_memory_equal(s->text, whole + s->begin, s->end - s->begin);
        if (strcmp(head, "question-answering") == 0) assert_int_equal(a->n_spans, 1);
        else assert_string_equal(s->text, "[MASK]");
        if (strcmp(head, "question-answering") != 0) assert_int_equal(s->n_choices, 5);
    }
    if (strcmp(head, "pretraining") == 0) assert_true(a->is_next >= 0.0 && a->is_next <= 1.0);
    else assert_true(a->is_next == -1.0);
}

static void every_head_answers_as_the_program_does(void **state) {
    api_case c;
    size_t n_compared = 0;
    api_case_begin(&c, state);
    for (size_t h = 0; h < N_HEADS; h++) {
        const pofac_answer *const *answers;
        strbuf wanted = STRBUF_INIT;
        predict_lines(&c, state, heads[h], &wanted);
        pofac_model *m = api_case_open(&c, heads[h]);
        pofac_predictor *p = api_case_predictor(&c, m);
        assert_int_equal(pofac_predictor_answer(p, texts, N_TEXTS, &answers), POFAC_OK);
        const char *line = strbuf_str(&wanted);
        for (size_t i = 0; i < N_TEXTS; i++) {
            const char *json;
            const size_t n = strcspn(line, "\n");
            check_answer(heads[h], &texts[i], answers[i]);
            assert_int_equal(pofac_predictor_answer_json(p, i, &json), POFAC_OK);
            if (strlen(json) != n || memcmp(json, line, n) != 0)
                fail_msg("%s, text %zu: found\n%s, wanted\n%.*s", heads[h], i, json, (int)n, line);
            line += n + 1;
            n_compared++;
        }
        assert_int_equal(*line, 0);
        pofac_predictor_destroy(p);
        pofac_model_close(m);
        strbuf_free(&wanted);
    }
    assert_int_equal(n_compared, N_HEADS * N_TEXTS);
    api_case_end(&c);
}

/* Windows of texts beyond one batch, and calls one after the other. */
static void calls_of_any_size_agree(void **state) {
    enum { N = 150 };
    const pofac_answer *const *answers;
    static pofac_text many[N];
    static double first[N];
    pofac_predictor_options o = POFAC_PREDICTOR_OPTIONS_INIT;
    pofac_predictor *p;
    api_case c;
    api_case_begin(&c, state);
    for (size_t i = 0; i < N; i++) many[i] = texts[i % N_TEXTS];
    pofac_model *m = api_case_open(&c, "sequence-classification");
    o.batch_size = 4;
    o.threads = 2;
    assert_int_equal(pofac_predictor_create(m, &o, &c.log, &p), POFAC_OK);
    assert_int_equal(pofac_predictor_memory_bytes(p) > 0, false);
    assert_int_equal(pofac_predictor_answer(p, many, N, &answers), POFAC_OK);
    for (size_t i = 0; i < N; i++) first[i] = answers[i]->labels[0].score;
    for (size_t i = 0; i < N; i++) {
        assert_true(first[i] == first[i % N_TEXTS]);
        if (i >= N_TEXTS) continue;
        assert_int_equal(pofac_predictor_answer(p, &many[i], 1, &answers), POFAC_OK);
        assert_true(answers[0]->labels[0].score == first[i]);
    }
    assert_true(pofac_predictor_memory_bytes(p) > 0);
    assert_int_equal(pofac_predictor_answer(p, NULL, 0, &answers), POFAC_OK);
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    api_case_end(&c);
}

/* ---- tensors ---- */

static const int64_t ids[2][4] = {{2, 5, 6, 3}, {2, 7, 3, 0}}, mask[2][4] = {{1, 1, 1, 1}, {1, 1, 1, 0}},
                     types[2][4] = {{0, 0, 1, 1}};

static const pofac_tensor ids_and_mask[] = {{"attention_mask", POFAC_I64, 2, {2, 4}, mask},
                                            {"input_ids", POFAC_I64, 2, {2, 4}, ids},
                                            {"token_type_ids", POFAC_I64, 2, {2, 4}, types}};

static const pofac_tensor *find_output(const pofac_tensor *outputs, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(outputs[i].name, name) == 0) return &outputs[i];
    fail_msg("there is no output %s", name);
    return NULL;
}

/* The same tensors in a file, through predict_tensors. */
static checkpoint *predict_file(api_case *c, void **state, const char *head) {
    static const char header[] = "{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[2,4],\"data_offsets\":[0,64]},"
                                 "\"attention_mask\":{\"dtype\":\"I64\",\"shape\":[2,4],\"data_offsets\":[64,128]},"
                                 "\"token_type_ids\":{\"dtype\":\"I64\",\"shape\":[2,4],\"data_offsets\":[128,192]}}";
    const road_options road = {.cache_dir = c->cache, .threads = 1, .tune = ROAD_TUNE_OFF, .quantization = ROAD_INTEGER};
    const predict_tensors_options how = {.batch_size = 1, .last_hidden_state = true};
    loaded_model_options options = {.seed = 42, .threads = 1};
    char data[192], in[512], out[512];
    loaded_model *model;
    checkpoint *found;
    memcpy(data, ids, 64);
    memcpy(data + 64, mask, 64);
    memcpy(data + 128, types, 64);
    put_safetensors(state, "in.safetensors", header, data, sizeof data);
    snprintf(in, sizeof in, "%s", file_path(state, "in.safetensors"));
    snprintf(out, sizeof out, "%s", file_path(state, "out.safetensors"));
    assert_true(model_head_parse(head, &options.head));
    assert_int_equal(loaded_model_open(c->path, &options, NULL, &model), POFAC_OK);
    assert_int_equal(predict_tensors(model, &road, &how, in, out, NULL), POFAC_OK);
    loaded_model_close(model);
    assert_int_equal(checkpoint_open(out, NULL, &found), POFAC_OK);
    return found;
}

/* Row by row, what a token has; predictions are of tokens alone. */
static size_t compare_output(const char *head, const checkpoint_tensor *wanted, const pofac_tensor *found) {
    ir_tensor t;
    const bool of_rows = strcmp(wanted->name, "prediction_logits") == 0,
               of_tokens = !of_rows && wanted->rank >= 2 && wanted->dims[1] == 4; /* no label count is 4 */
    int64_t n = 1, row = 0;
    size_t n_compared = 0;
    assert_int_equal(checkpoint_load(wanted, IR_F32, NULL, &t), POFAC_OK);
    for (uint32_t d = of_rows || of_tokens ? 2 : 1; d < wanted->rank; d++) n *= wanted->dims[d];
    for (int64_t i = 0; i < (of_rows || of_tokens ? 8 : 2); i++) {
        const bool is_kept = !(of_rows || of_tokens) || mask[i / 4][i % 4];
        if (!is_kept) continue;
        const float *a = (const float *)t.data + i * n, *b = (const float *)found->data + (of_rows ? row++ : i) * n;
        for (int64_t k = 0; k < n; k++, n_compared++)
            if (a[k] != b[k])
                fail_msg("%s, %s, row %lld, element %lld: found %g, wanted %g", head, found->name, (long long)i, (long long)k, b[k],
                         a[k]);
    }
    tensor_free(&t);
    return n_compared;
}

static void tensors_give_what_files_give(void **state) {
    api_case c;
    size_t n_compared = 0;
    api_case_begin(&c, state);
    c.options.last_hidden_state = 1;
    for (size_t h = 0; h < N_HEADS; h++) {
        const pofac_tensor *outputs;
        size_t n;
        checkpoint *wanted = predict_file(&c, state, heads[h]);
        pofac_model *m = api_case_open(&c, heads[h]);
        pofac_predictor *p = api_case_predictor(&c, m);
        assert_int_equal(pofac_predictor_run(p, ids_and_mask, 3, &outputs, &n), POFAC_OK);
        assert_int_equal(n, checkpoint_size(wanted));
        for (size_t i = 0; i < n; i++) {
            const checkpoint_tensor *t = checkpoint_at(wanted, i);
            n_compared += compare_output(heads[h], t, find_output(outputs, n, t->name));
        }
        pofac_predictor_destroy(p);
        pofac_model_close(m);
        checkpoint_close(wanted);
    }
    assert_true(n_compared > 7 * 16 * N_HEADS); /* hidden states of all tokens */
    api_case_end(&c);
}

static void inputs_may_be_absent_or_narrow(void **state) {
    static const int32_t narrow[2][4] = {{2, 5, 6, 3}, {2, 7, 8, 3}};
    static const int64_t wide[2][4] = {{2, 5, 6, 3}, {2, 7, 8, 3}}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, zeros[8] = {0},
                         rows[] = {6, 1};
    const pofac_tensor a = {"input_ids", POFAC_I32, 2, {2, 4}, narrow};
    const pofac_tensor b[] = {{"input_ids", POFAC_I64, 2, {2, 4}, wide},
                              {"attention_mask", POFAC_I64, 2, {2, 4}, ones},
                              {"token_type_ids", POFAC_I64, 2, {2, 4}, zeros}};
    const pofac_tensor chosen[] = {a, {"prediction_rows", POFAC_I64, 1, {2}, rows}};
    const pofac_tensor *outputs;
    float first[8 * API_CASE_VOCAB];
    size_t n;
    api_case c;
    api_case_begin(&c, state);
    pofac_model *m = api_case_open(&c, "masked-lm");
    pofac_predictor *p = api_case_predictor(&c, m);
    assert_int_equal(pofac_predictor_run(p, &a, 1, &outputs, &n), POFAC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(outputs[0].rank, 2);
    assert_int_equal(outputs[0].dims[0], 8);
    assert_int_equal(outputs[0].dims[1], API_CASE_VOCAB);
    memcpy(first, outputs[0].data, sizeof first);
    assert_int_equal(pofac_predictor_run(p, b, 3, &outputs, &n), POFAC_OK);
    assert_memory_equal(first, outputs[0].data, sizeof first);
    assert_int_equal(pofac_predictor_run(p, chosen, 2, &outputs, &n), POFAC_OK);
    assert_int_equal(outputs[0].dims[0], 2);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal((const float *)outputs[0].data + i * API_CASE_VOCAB, first + rows[i] * API_CASE_VOCAB,
                            API_CASE_VOCAB * sizeof *first);
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    api_case_end(&c);
}

/* ---- what is wrong ---- */

static void wrong_tensors_are_errors(void **state) {
    static const int64_t bad_ids[2][4] = {{2, 5, 6, 3}, {2, 10, 3, 0}}, padded_row[] = {0, 7}, long_ids[17] = {0};
    static const float floats[8] = {0};
    api_case c;
    api_case_begin(&c, state);
    pofac_model *m = api_case_open(&c, "masked-lm");
    pofac_predictor *p = api_case_predictor(&c, m);
    const struct {
        pofac_tensor inputs[3];
        size_t n;
        pofac_status status;
        const char *message;
    } rows[] = {
        {{{0}}, 0, POFAC_ERR_INPUT, "error: input_ids: there is no tensor of this name\n"},
        {{{NULL, POFAC_I64, 2, {2, 4}, ids}}, 1, POFAC_ERR_USAGE, "error: name of an input: found NULL, wanted something\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 4}, NULL}},
         1,
         POFAC_ERR_USAGE,
         "error: input_ids: found NULL as its data, wanted numbers\n"},
        {{{"input_ids", POFAC_I64, 0, {2, 4}, ids}}, 1, POFAC_ERR_INPUT, "error: input_ids: found rank 0, wanted 1 to 4\n"},
        {{{"input_ids", POFAC_I64, 5, {2, 4}, ids}}, 1, POFAC_ERR_INPUT, "error: input_ids: found rank 5, wanted 1 to 4\n"},
        {{{"input_ids", POFAC_I64, 1, {4}, ids}}, 1, POFAC_ERR_INPUT, "error: input_ids: found rank 1, wanted [B,S]\n"},
        {{{"input_ids", POFAC_F32, 2, {2, 4}, floats}}, 1, POFAC_ERR_INPUT, "error: input_ids: found f32, wanted i64 or i32\n"},
        {{{"input_ids", (pofac_dtype)9, 2, {2, 4}, ids}},
         1,
         POFAC_ERR_INPUT,
         "error: input_ids: found dtype 9, wanted POFAC_F32, POFAC_I64 or POFAC_I32\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 0}, ids}},
         1,
         POFAC_ERR_INPUT,
         "error: input_ids: found dimension 0, wanted at least 1, and a tensor below 2^63 bytes\n"},
        {{{"input_ids", POFAC_I64, 2, {INT64_MAX, 4}, ids}},
         1,
         POFAC_ERR_INPUT,
         "error: input_ids: found dimension 9223372036854775807, wanted at least 1, and a tensor below 2^63 bytes\n"},
        {{{"input_ids", POFAC_I64, 2, {1, 17}, long_ids}},
         1,
         POFAC_ERR_INPUT,
         "error: input_ids: found 17 tokens in a row, wanted at most 16 (max_position_embeddings)\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 4}, bad_ids}},
         1,
         POFAC_ERR_INPUT,
         "error: input_ids: element 5 is 10, wanted 0 to 9 (rows of bert.embeddings.word_embeddings.weight)\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 4}, ids}, {"labels", POFAC_I64, 1, {2}, ids}},
         2,
         POFAC_ERR_USAGE,
         "error: labels: the model takes no input of this name\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 4}, ids}, {"input_ids", POFAC_I64, 2, {2, 4}, ids}},
         2,
         POFAC_ERR_USAGE,
         "error: input_ids: found it twice, wanted it once\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 4}, ids}, {"attention_mask", POFAC_I64, 2, {2, 3}, mask}},
         2,
         POFAC_ERR_INPUT,
         "error: attention_mask: found another shape than that of input_ids, wanted [2,4]\n"},
        {{{"input_ids", POFAC_I64, 2, {2, 4}, ids},
          {"attention_mask", POFAC_I64, 2, {2, 4}, mask},
          {"prediction_rows", POFAC_I64, 1, {2}, padded_row}},
         3,
         POFAC_ERR_INPUT,
         "error: prediction_rows: element 1 is 7, wanted a token that attention_mask keeps, of 0 to 7\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const pofac_tensor *outputs = NULL;
        size_t n = 99;
        assert_int_equal(pofac_predictor_run(p, rows[i].inputs, rows[i].n, &outputs, &n), rows[i].status);
        api_case_wants(&c, rows[i].message);
        assert_null(outputs);
        assert_int_equal(n, 99);
    }
    const pofac_tensor *outputs;
    size_t n;
    assert_int_equal(pofac_predictor_run(p, ids_and_mask, 3, &outputs, &n), POFAC_OK); /* it goes on */
    assert_int_equal(pofac_predictor_run(NULL, ids_and_mask, 3, &outputs, &n), POFAC_ERR_USAGE);
    assert_int_equal(pofac_predictor_run(p, NULL, 3, &outputs, &n), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: inputs: found NULL, wanted something\n");
    assert_int_equal(pofac_predictor_run(p, ids_and_mask, 3, NULL, &n), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: outputs: found NULL, wanted something\n");
    assert_int_equal(pofac_predictor_run(p, ids_and_mask, 3, &outputs, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: n_outputs: found NULL, wanted something\n");
    pofac_predictor_destroy(p);
    pofac_predictor_destroy(NULL);
    pofac_model_close(m);
    api_case_end(&c);
}

static void wrong_texts_are_errors(void **state) {
    static const pofac_text no_text[] = {{"a", NULL}, {NULL, "b"}}, no_context[] = {{"a", "b"}, {"a", NULL}};
    const pofac_answer *const *answers;
    const char *json;
    api_case c;
    api_case_begin(&c, state);
    pofac_model *m = api_case_open(&c, "question-answering");
    pofac_predictor *p = api_case_predictor(&c, m);
    assert_int_equal(pofac_predictor_answer(p, no_context, 2, &answers), POFAC_ERR_INPUT);
    api_case_wants(&c, "text 2: error: found one text, wanted a question and, as its pair, a context\n");
    assert_int_equal(pofac_predictor_answer_json(p, 0, &json), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: found answer 0, wanted one of 0, from 0\n");
    assert_int_equal(pofac_predictor_answer(p, no_context, 1, &answers), POFAC_OK);
    assert_int_equal(pofac_predictor_answer_json(p, 1, &json), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: found answer 1, wanted one of 1, from 0\n");
    assert_int_equal(pofac_predictor_answer_json(p, 0, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: json: found NULL, wanted something\n");
    assert_int_equal(pofac_predictor_answer_json(NULL, 0, &json), POFAC_ERR_USAGE);
    assert_int_equal(pofac_predictor_answer(p, no_text, 2, &answers), POFAC_ERR_INPUT); /* the first lacks its context */
    strbuf_clear(&c.messages);
    assert_int_equal(pofac_predictor_answer(p, NULL, 1, &answers), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: texts: found NULL, wanted something\n");
    assert_int_equal(pofac_predictor_answer(p, texts, 1, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: answers: found NULL, wanted something\n");
    assert_int_equal(pofac_predictor_answer(NULL, texts, 1, &answers), POFAC_ERR_USAGE);
    pofac_predictor_destroy(p);
    pofac_model_close(m);

    m = api_case_open(&c, "none");
    p = api_case_predictor(&c, m);
    assert_int_equal(pofac_predictor_answer(p, no_text, 2, &answers), POFAC_ERR_USAGE);
    api_case_wants(&c, "text 2: error: found NULL, wanted a text\n");
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    api_case_end(&c);
}

static void wrong_options_are_errors(void **state) {
    api_case c;
    api_case_begin(&c, state);
    pofac_model *m = api_case_open(&c, "question-answering");
    const struct {
        pofac_predictor_options options;
        const char *message;
    } rows[] = {
        {{.batch_size = 70000}, "error: batch_size: found 70000, wanted 0 to 65536\n"},
        {{.batch_tokens = -1}, "error: batch_tokens: found -1, wanted 0 to 9223372036854775807\n"},
        {{.max_length = 17}, "error: max_length: found 17, wanted 0 to 16\n"},
        {{.max_length = 2}, "error: max_length: found 2, wanted 3 to 16777216\n"},
        {{.top_k = -1}, "error: top_k: found -1, wanted 0 to 16777216\n"},
        {{.threads = 4097}, "error: threads: found 4097, wanted 0 to 4096\n"},
        {{.doc_stride = -1}, "error: doc_stride: found -1, wanted 0 to 16777216\n"},
        {{.max_query_length = -1}, "error: max_query_length: found -1, wanted 0 to 16777216\n"},
        {{.max_answer_length = -1}, "error: max_answer_length: found -1, wanted 0 to 16777216\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pofac_predictor *p;
        pofac_predictor_options o = rows[i].options;
        o.size_bytes = sizeof o;
        assert_int_equal(pofac_predictor_create(m, &o, &c.log, &p), POFAC_ERR_USAGE);
        assert_null(p);
        api_case_wants(&c, rows[i].message);
    }
    assert_int_equal(pofac_predictor_create(m, NULL, &c.log, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: out: found NULL, wanted something\n");
    pofac_model_close(m);
    api_case_end(&c);
}

/* A model without a tokenizer takes tensors. */
static void without_a_tokenizer(void **state) {
    pofac_model_info info = POFAC_MODEL_INFO_INIT;
    const pofac_answer *const *answers;
    const pofac_tensor *outputs;
    size_t n;
    api_case c;
    api_case_begin(&c, state);
    char missing[320];
    snprintf(missing, sizeof missing, "%s/no_vocabulary.txt", c.folder);
    c.options.vocab = missing;
    pofac_model *m = api_case_open(&c, "sequence-classification");
    assert_int_equal(pofac_model_get_info(m, &info), POFAC_OK);
    assert_false(info.has_tokenizer);
    pofac_predictor *p = api_case_predictor(&c, m);
    assert_int_equal(pofac_predictor_answer(p, texts, 1, &answers), POFAC_ERR_INPUT);
    api_case_wants(&c, "model.xml: error: the model has no tokenizer: found texts, wanted tensors\n");
    assert_int_equal(pofac_predictor_run(p, ids_and_mask, 3, &outputs, &n), POFAC_OK);
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    api_case_end(&c);
}

/* ---- other models ---- */

static void write_tiny(api_case *c, void **state, tiny_model m) {
    snprintf(c->path, sizeof c->path, "%s", file_path(state, "tiny"));
    tiny_model_write(&m, c->path);
}

/* Of token "d", id 8, all numbers are none. */
static double without_d(const char *name, int64_t row, int64_t column) {
    if (strstr(name, "word_embeddings") && row == 8) return NAN;
    return strstr(name, "LayerNorm.weight") ? 1.0 : 0.01 * (double)((row * 7 + column * 3) % 11 - 5);
}

static void numbers_that_are_none(void **state) {
    static const pofac_text some[] = {{"a b", NULL}, {"c d", NULL}, {"c", NULL}};
    static const int64_t rows[3][4] = {{2, 5, 6, 3}, {2, 7, 8, 3}, {2, 7, 3, 3}};
    const pofac_tensor input = {"input_ids", POFAC_I64, 2, {3, 4}, rows};
    const pofac_answer *const *answers;
    const pofac_tensor *outputs;
    size_t n;
    api_case c;
    api_case_begin(&c, state);
    write_tiny(&c, state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .value = without_d});
    pofac_model *m = api_case_open(&c, NULL);
    pofac_predictor *p = api_case_predictor(&c, m);
    assert_int_equal(pofac_predictor_answer(p, some, 3, &answers), POFAC_ERR_NUMERIC);
    api_case_wants(&c, "text 2: error: logits: found NaN, wanted finite numbers\n");
    assert_int_equal(pofac_predictor_answer(p, some, 1, &answers), POFAC_OK);
    assert_int_equal(pofac_predictor_run(p, &input, 1, &outputs, &n), POFAC_ERR_NUMERIC);
    api_case_wants(&c, "error: row 1 of logits: found NaN, wanted finite numbers\n");
    const pofac_tensor *logits = find_output(outputs, n, "logits"); /* they are there */
    assert_true(isfinite(((const float *)logits->data)[0]) && isnan(((const float *)logits->data)[logits->dims[1]]));
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    api_case_end(&c);
}

static void without_embeddings(void **state) {
    static const char *const omitted[] = {"bert.embeddings.word_embeddings.weight",
                                          "bert.embeddings.position_embeddings.weight",
                                          "bert.embeddings.token_type_embeddings.weight",
                                          "bert.embeddings.LayerNorm.weight",
                                          "bert.embeddings.LayerNorm.bias",
                                          NULL};
    static float embedded[2 * 3 * 32];
    const pofac_tensor input = {"embedding_output", POFAC_F32, 3, {2, 3, 32}, embedded},
                       narrow = {"embedding_output", POFAC_F32, 3, {2, 3, 31}, embedded};
    const pofac_answer *const *answers;
    const pofac_tensor *outputs;
    size_t n;
    api_case c;
    api_case_begin(&c, state);
    for (size_t i = 0; i < sizeof embedded / sizeof *embedded; i++) embedded[i] = (float)(i % 17) / 17.0f;
    write_tiny(&c, state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION), .omitted = omitted});
    pofac_model *m = api_case_open(&c, NULL);
    pofac_predictor *p = api_case_predictor(&c, m);
    assert_int_equal(pofac_predictor_run(p, &input, 1, &outputs, &n), POFAC_OK);
    assert_int_equal(find_output(outputs, n, "logits")->dims[0], 2);
    assert_int_equal(pofac_predictor_run(p, &narrow, 1, &outputs, &n), POFAC_ERR_INPUT);
    api_case_wants(&c, "error: input embedding_output: dimension 2 is 31, wanted 32\n");
    assert_int_equal(pofac_predictor_run(p, ids_and_mask, 2, &outputs, &n), POFAC_ERR_USAGE);
    api_case_wants(&c, "error: input_ids: the model takes no input of this name\n");
    assert_int_equal(pofac_predictor_answer(p, texts, 1, &answers), POFAC_ERR_INPUT);
    api_case_wants(&c, "tiny: error: the model has no embedding tables: found texts, wanted tensors\n");
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    api_case_end(&c);
}

/* ---- memory ---- */

static void failing_allocations(void **state) {
    api_case c;
    api_case_begin(&c, state);
    for (size_t h = 0; h < N_HEADS; h++) {
        pofac_model *m = api_case_open(&c, heads[h]);
        size_t n_failed = 0;
        for (size_t n = 1;; n += 1 + n / 16) {
            pofac_predictor *p = NULL;
            const pofac_answer *const *answers;
            const pofac_tensor *outputs;
            const char *json;
            size_t n_outputs;
            fail_alloc_after(n);
            pofac_status status = pofac_predictor_create(m, NULL, &c.log, &p);
            if (status == POFAC_OK) status = pofac_predictor_answer(p, texts, N_TEXTS, &answers);
            if (status == POFAC_OK) status = pofac_predictor_answer_json(p, 1, &json);
            if (status == POFAC_OK) status = pofac_predictor_run(p, ids_and_mask, 3, &outputs, &n_outputs);
            const bool failed = fail_alloc_stop();
            if (status != POFAC_OK && p) /* what failed can be done again */
                assert_int_equal(pofac_predictor_answer(p, texts, N_TEXTS, &answers), POFAC_OK);
            pofac_predictor_destroy(p);
            strbuf_clear(&c.messages);
            if (!failed) {
                assert_int_equal(status, POFAC_OK);
                break;
            }
            n_failed++;
            if (status != POFAC_OK && status != POFAC_ERR_RUNTIME)
                fail_msg("%s: allocation %zu fails: status %d", heads[h], n, status);
        }
        assert_true(n_failed > 20);
        pofac_model_close(m);
    }
    api_case_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head_answers_as_the_program_does),
        cmocka_unit_test(calls_of_any_size_agree),
        cmocka_unit_test(tensors_give_what_files_give),
        cmocka_unit_test(inputs_may_be_absent_or_narrow),
        cmocka_unit_test(wrong_tensors_are_errors),
        cmocka_unit_test(wrong_texts_are_errors),
        cmocka_unit_test(wrong_options_are_errors),
        cmocka_unit_test(without_a_tokenizer),
        cmocka_unit_test(numbers_that_are_none),
        cmocka_unit_test(without_embeddings),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
