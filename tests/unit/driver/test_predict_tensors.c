/*
 * Tensors through small models: the same numbers compiled and interpreted, whatever the batches and threads; losses over all rows; what
 * may be left out; and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/predict_tensors.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/named_tensors.h"

enum { ROWS = 5, LENGTH = 7 };

typedef struct prediction {
    executor_kind kind;
    int64_t batch_size;
    size_t threads;
    bool hidden_states, last_hidden_state;
} prediction;

static const prediction interpreted = {EXECUTOR_INTERPRETER, 32, 1, false, false};

static void write_model(void **state, tiny_model m) { tiny_model_write(&m, file_path(state, "model")); }

static void write_inputs(void **state, const named_tensors *t) {
    safetensors_item items[16];
    size_t n = t->entries.size;
    for (size_t i = 0; i < n; i++) {
        const ir_tensor *x = &t->entries.data[i].tensor;
        items[i] = (safetensors_item){.name = t->entries.data[i].name, .dtype = x->dtype, .rank = x->rank, .data = x->data};
        memcpy(items[i].dims, x->dims, sizeof x->dims);
    }
    assert_int_equal(safetensors_write(file_path(state, "in.safetensors"), items, n, NULL, 0, NULL), POFAC_OK);
}

static void fill(ir_tensor *t, const char *name, uint64_t below) {
    rng_key key = rng_key_make(3, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set_int(t, i, (int64_t)rng_below(key, (uint64_t)i, below));
}

/* Rows of 1 to LENGTH real tokens. */
static void add_inputs(named_tensors *t, ir_dtype dtype) {
    const int64_t dims[2] = {ROWS, LENGTH};
    *t = (named_tensors){.what = "input"};
    fill(named_tensors_add(t, "input_ids", dtype, 2, dims), "ids", TINY_VOCAB_SIZE);
    fill(named_tensors_add(t, "token_type_ids", dtype, 2, dims), "types", 2);
    ir_tensor *mask = named_tensors_add(t, "attention_mask", dtype, 2, dims);
    for (int64_t i = 0; i < ROWS * LENGTH; i++) tensor_set_int(mask, i, i % LENGTH < 1 + i / LENGTH * 3 % LENGTH);
}

/* The status; messages go to `said`, which may be NULL. */
static pofac_status predict(void **state, prediction p, strbuf *said) {
    diag_sink sink = diag_sink_to_strbuf(said);
    char model_path[512], in[512];
    loaded_model *m;
    snprintf(model_path, sizeof model_path, "%s", file_path(state, "model"));
    snprintf(in, sizeof in, "%s", file_path(state, "in.safetensors"));
    pofac_status status = loaded_model_open(model_path, &(loaded_model_options){.seed = 42}, said ? &sink : NULL, &m);
    road_options road = {.threads = p.threads};
    predict_tensors_options options = {
        .batch_size = p.batch_size, .kind = p.kind, .hidden_states = p.hidden_states, .last_hidden_state = p.last_hidden_state};
    if (status == POFAC_OK)
        status = predict_tensors(m, &road, &options, in, file_path(state, "out.safetensors"), said ? &sink : NULL);
    loaded_model_close(m);
    if (said && said->data) cut_directory(state, said->data);
    return status;
}

static void read_results(void **state, named_tensors *out) {
    checkpoint *c = expect_open(state, "out.safetensors");
    *out = (named_tensors){.what = "output"};
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        ir_tensor *copy = named_tensors_add(out, t->name, t->dtype, t->rank, t->dims);
        checkpoint_read_bytes(t, copy->data);
    }
    checkpoint_close(c);
}

static void expect_success(void **state, prediction p, named_tensors *out) {
    strbuf said = STRBUF_INIT;
    if (predict(state, p, &said) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    strbuf_free(&said);
    read_results(state, out);
}

static void expect_error(void **state, pofac_status status, const char *said) {
    strbuf text = STRBUF_INIT;
    assert_int_equal(predict(state, interpreted, &text), status);
    assert_string_equal(strbuf_str(&text), said);
    strbuf_free(&text);
}

/* Ends the test unless both have the same tensors; those with a row per token need be equal where the mask is set. */
static void assert_same(const named_tensors *found, const named_tensors *wanted, const ir_tensor *mask, double bound) {
    assert_int_equal(found->entries.size, wanted->entries.size);
    for (size_t i = 0; i < wanted->entries.size; i++) {
        const named_tensor *w = &wanted->entries.data[i];
        ir_tensor *f = named_tensors_find(found, w->name);
        if (!f) fail_msg("%s is missing", w->name);
        bool per_token = f->rank > 1 && f->dims[1] == LENGTH;
        int64_t n = tensor_elements(f), columns = per_token ? n / (ROWS * LENGTH) : n;
        for (int64_t k = 0; k < n; k++) {
            if (per_token && !tensor_get_int(mask, k / columns)) continue;
            double a = tensor_get(f, k), b = tensor_get(&w->tensor, k);
            if (fabs(a - b) > bound) fail_msg("%s: element %d is %.9g, wanted %.9g", w->name, (int)k, a, b);
        }
    }
}

/* ---- results ---- */

static void compiled_and_interpreted(void **state) {
    size_t n;
    const model_head_row *heads = model_heads(&n);
    for (size_t i = 0; i < n; i++)
        for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
            named_tensors in, wanted, found, again;
            write_model(state, (tiny_model){.spec = tiny_spec((model_arch)arch, heads[i].head)});
            add_inputs(&in, IR_I64);
            write_inputs(state, &in);
            const ir_tensor *mask = named_tensors_find(&in, "attention_mask");
            expect_success(state, interpreted, &wanted);
            expect_success(state, (prediction){EXECUTOR_COMPILED, 32, 1, false, false}, &found);
            assert_same(&found, &wanted, mask, 1e-5);
            static const prediction others[] = {{EXECUTOR_COMPILED, 32, 2, false, false},
                                                {EXECUTOR_COMPILED, 1, 1, false, false},
                                                {EXECUTOR_COMPILED, 2, 3, false, false}};
            for (size_t k = 0; k < sizeof others / sizeof *others; k++) { /* bit by bit */
                expect_success(state, others[k], &again);
                assert_same(&again, &found, mask, 0);
                named_tensors_free(&again);
            }
            named_tensors_free(&in);
            named_tensors_free(&wanted);
            named_tensors_free(&found);
        }
}

/* Embeddings that a model has given out may be given back instead of ids. */
static void embeddings_instead_of_ids(void **state) {
    for (int arch = MODEL_BERT; arch <= MODEL_DISTILBERT; arch++) {
        named_tensors in, wanted, found;
        write_model(state, (tiny_model){.spec = tiny_spec((model_arch)arch, HEAD_SEQUENCE_CLASSIFICATION)});
        add_inputs(&in, IR_I64);
        write_inputs(state, &in);
        expect_success(state, (prediction){EXECUTOR_INTERPRETER, 32, 1, true, true}, &wanted);
        assert_int_equal(wanted.entries.size, 4); /* logits, last_hidden_state, hidden_states.0 and 1 */
        const ir_tensor *embedded = named_tensors_find(&wanted, "hidden_states.0");
        assert_int_equal(embedded->dims[2], 32);
        tensor_free(named_tensors_find(&in, "input_ids"));
        snprintf(in.entries.data[0].name, sizeof in.entries.data[0].name, "embedding_output");
        assert_int_equal(tensor_clone(embedded, &in.entries.data[0].tensor), POFAC_OK);
        write_inputs(state, &in);
        expect_success(state, (prediction){EXECUTOR_INTERPRETER, 2, 1, true, true}, &found);
        assert_same(&found, &wanted, named_tensors_find(&in, "attention_mask"), 0);
        named_tensors_free(&found);
        expect_success(state, (prediction){EXECUTOR_COMPILED, 2, 1, true, true}, &found);
        assert_same(&found, &wanted, named_tensors_find(&in, "attention_mask"), 1e-5);
        named_tensors_free(&in);
        named_tensors_free(&wanted);
        named_tensors_free(&found);
    }
}

static void whole_numbers_of_any_width(void **state) {
    static const ir_dtype dtypes[] = {IR_I32, IR_U8, IR_I16, IR_I8};
    named_tensors in, wanted, found;
    write_model(state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    add_inputs(&in, IR_I64);
    write_inputs(state, &in);
    expect_success(state, interpreted, &wanted);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        named_tensors_free(&in);
        add_inputs(&in, dtypes[i]);
        write_inputs(state, &in);
        expect_success(state, interpreted, &found);
        assert_same(&found, &wanted, named_tensors_find(&in, "attention_mask"), 0);
        named_tensors_free(&found);
    }
    named_tensors_free(&in);
    named_tensors_free(&wanted);
}

/* Tensors that stand at odd places of the file. */
static void unaligned_files(void **state) {
    static const char header[] = "{\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]}, "
                                 "\"attention_mask\": {\"dtype\": \"I64\", \"shape\": [1, 2], \"data_offsets\": [17, 33]}, "
                                 "\"input_ids\": {\"dtype\": \"I64\", \"shape\": [1, 2], \"data_offsets\": [1, 17]}}";
    const int64_t numbers[4] = {2, 5, 1, 1};
    char data[33] = {0};
    memcpy(data + 1, numbers, sizeof numbers);
    named_tensors found, aligned, in = {.what = "input"};
    write_model(state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    put_safetensors(state, "in.safetensors", header, data, sizeof data);
    expect_success(state, (prediction){EXECUTOR_COMPILED, 4, 1, false, false}, &found);
    named_tensors_add_doubles(&in, "input_ids", IR_I64, 2, (int64_t[]){1, 2}, (double[]){2, 5});
    write_inputs(state, &in); /* a missing mask is all ones, missing types are all zeros */
    expect_success(state, (prediction){EXECUTOR_COMPILED, 4, 1, false, false}, &aligned);
    assert_same(&found, &aligned, NULL, 0);
    named_tensors_free(&in);
    named_tensors_free(&found);
    named_tensors_free(&aligned);
}

/* ---- losses ---- */

/* Different numbers of labels in each row: a mean of batches' means would be another number. */
static void losses_are_means_over_all_rows(void **state) {
    static const model_head heads[] = {HEAD_PRETRAINING, HEAD_MASKED_LM, HEAD_SEQUENCE_CLASSIFICATION, HEAD_TOKEN_CLASSIFICATION,
                                       HEAD_QUESTION_ANSWERING};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        named_tensors in, whole, found;
        model_spec spec = tiny_spec(MODEL_BERT, heads[i]);
        size_t n;
        const model_loss *losses = model_graph_losses(&spec, &n);
        write_model(state, (tiny_model){.spec = spec});
        add_inputs(&in, IR_I64);
        for (size_t k = 0; k < n; k++) {
            ir_tensor *t = named_tensors_add(&in, losses[k].labels, IR_I64, losses[k].per_token ? 2 : 1, (int64_t[]){ROWS, LENGTH});
            fill(t, losses[k].labels, 2);
            for (int64_t e = 0; e < tensor_elements(t); e++)
                if (e % 3 == 0) tensor_set_int(t, e, losses[k].is_position ? LENGTH + e : -100);
            if (losses[k].is_position) tensor_set_int(t, 1, -4); /* is clamped to 0, and counts */
        }
        write_inputs(state, &in);
        expect_success(state, interpreted, &whole);
        assert_non_null(named_tensors_find(&whole, "loss"));
        assert_true(isfinite(tensor_get(named_tensors_find(&whole, "loss"), 0)));
        for (int64_t batch = 1; batch <= 3; batch++) {
            expect_success(state, (prediction){EXECUTOR_INTERPRETER, batch, 1, false, false}, &found);
            assert_same(&found, &whole, named_tensors_find(&in, "attention_mask"), 1e-6);
            named_tensors_free(&found);
        }
        expect_success(state, (prediction){EXECUTOR_COMPILED, 2, 2, false, false}, &found);
        assert_same(&found, &whole, named_tensors_find(&in, "attention_mask"), 1e-5);
        named_tensors_free(&found);
        named_tensors_free(&whole);
        tensor_free(&in.entries.data[in.entries.size - 1].tensor); /* without one of the labels there is no loss */
        in.entries.size--;
        write_inputs(state, &in);
        expect_success(state, interpreted, &found);
        assert_null(named_tensors_find(&found, "loss"));
        named_tensors_free(&found);
        named_tensors_free(&in);
    }
}

static void losses_of_regressions_and_of_nothing(void **state) {
    named_tensors in, found;
    model_spec spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION);
    spec.num_labels = 1;
    spec.regression = true;
    write_model(state, (tiny_model){.spec = spec});
    add_inputs(&in, IR_I64);
    ir_tensor *labels = named_tensors_add(&in, "labels", IR_F32, 1, (int64_t[]){ROWS});
    for (int64_t i = 0; i < ROWS; i++) tensor_set(labels, i, 0.5 * (double)i);
    write_inputs(state, &in);
    expect_success(state, (prediction){EXECUTOR_INTERPRETER, 2, 1, false, false}, &found);
    double sum = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        double d = tensor_get(named_tensors_find(&found, "logits"), i) - 0.5 * (double)i;
        sum += d * d / ROWS;
    }
    double loss = tensor_get(named_tensors_find(&found, "loss"), 0);
    if (fabs(loss - sum) > 1e-6) fail_msg("found a loss of %.9g, wanted %.9g", loss, sum);
    named_tensors_free(&found);
    named_tensors_free(&in);
    write_model(state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    add_inputs(&in, IR_I64);
    labels = named_tensors_add(&in, "labels", IR_I64, 1, (int64_t[]){ROWS});
    for (int64_t i = 0; i < ROWS; i++) tensor_set_int(labels, i, -100);
    write_inputs(state, &in);
    expect_success(state, interpreted, &found);
    assert_true(isnan(tensor_get(named_tensors_find(&found, "loss"), 0)));
    named_tensors_free(&found);
    named_tensors_free(&in);
}

/* ---- numbers that are none ---- */

/* Row 3 of five is NaN: its result is written as it is, the others as they would be without it. */
static void results_that_are_not_finite(void **state) {
    static const prediction ways[] = {{EXECUTOR_COMPILED, 2, 1, false, false},
                                      {EXECUTOR_COMPILED, 32, 2, false, false},
                                      {EXECUTOR_INTERPRETER, 3, 1, false, false}};
    const model_spec spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION);
    const int64_t dims[3] = {ROWS, LENGTH, spec.hidden_size};
    named_tensors in = {.what = "input"}, healthy, found;
    write_model(state, (tiny_model){.spec = spec});
    ir_tensor *x = named_tensors_add(&in, "embedding_output", IR_F32, 3, dims);
    for (int64_t i = 0; i < tensor_elements(x); i++) tensor_set(x, i, rng_normal(rng_key_make(3, "x"), (uint64_t)i));
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        strbuf said = STRBUF_INIT;
        const int64_t at = 3 * LENGTH * spec.hidden_size + 5;
        const double before = tensor_get(x, at);
        write_inputs(state, &in);
        expect_success(state, ways[way], &healthy);
        tensor_set(x, at, NAN);
        write_inputs(state, &in);
        tensor_set(x, at, before);
        assert_int_equal(predict(state, ways[way], &said), POFAC_ERR_NUMERIC);
        assert_string_equal(strbuf_str(&said),
                            "model: note: not used: bert.embeddings.LayerNorm.bias, bert.embeddings.LayerNorm.weight, "
                            "bert.embeddings.position_embeddings.weight, bert.embeddings.token_type_embeddings.weight, "
                            "bert.embeddings.word_embeddings.weight\n"
                            "in.safetensors: error: row 3 of logits: found NaN, wanted finite numbers\n");
        read_results(state, &found);
        ir_tensor *a = named_tensors_find(&healthy, "logits"), *b = named_tensors_find(&found, "logits");
        for (int64_t i = 0; i < tensor_elements(a); i++) {
            double wanted = i / a->dims[1] == 3 ? NAN : tensor_get(a, i);
            if (tensor_get(b, i) != wanted && !(isnan(wanted) && isnan(tensor_get(b, i))))
                fail_msg("way %zu, logit %lld: found %g, wanted %g", way, (long long)i, tensor_get(b, i), wanted);
        }
        named_tensors_free(&healthy);
        named_tensors_free(&found);
        strbuf_free(&said);
    }
    named_tensors_free(&in);
}

/* ---- what is refused ---- */

static ir_tensor *replaced(named_tensors *in, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims) {
    ir_tensor *t = named_tensors_find(in, name);
    tensor_free(t);
    assert_int_equal(tensor_alloc(dtype, rank, dims, t), POFAC_OK);
    return t;
}

static void inputs_that_do_not_fit(void **state) {
    named_tensors in;
    write_model(state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    add_inputs(&in, IR_I64);
    replaced(&in, "attention_mask", IR_I64, 2, (int64_t[]){ROWS, LENGTH + 1});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "in.safetensors: error: attention_mask: found the shape [5,8], wanted [5,7] as the main input has\n");
    replaced(&in, "attention_mask", IR_I64, 1, (int64_t[]){ROWS});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "in.safetensors: error: attention_mask: found the shape [5], wanted [5,7] as the main input has\n");
    replaced(&in, "attention_mask", IR_I64, 2, (int64_t[]){ROWS, LENGTH});
    replaced(&in, "input_ids", IR_I64, 3, (int64_t[]){ROWS, LENGTH, 1});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "in.safetensors: error: input_ids: found the shape [5,7,1], wanted [B,S] with at least one row and one token\n");
    replaced(&in, "input_ids", IR_I64, 2, (int64_t[]){0, LENGTH});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "in.safetensors: error: input_ids: found the shape [0,7], wanted [B,S] with at least one row and one token\n");
    replaced(&in, "input_ids", IR_I64, 2, (int64_t[]){ROWS, 25});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "in.safetensors: error: input_ids: found 25 tokens in a row, wanted at most 24 (max_position_embeddings)\n");
    named_tensors_free(&in);
    in = (named_tensors){.what = "input"};
    named_tensors_add(&in, "attention_mask", IR_I64, 2, (int64_t[]){ROWS, LENGTH});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "in.safetensors: error: found neither input_ids nor embedding_output, wanted one of them\n");
    named_tensors_add(&in, "embedding_output", IR_F32, 3, (int64_t[]){ROWS, LENGTH, 31});
    write_inputs(state, &in);
    expect_error(state, POFAC_ERR_INPUT,
                 "model: note: not used: bert.embeddings.LayerNorm.bias, bert.embeddings.LayerNorm.weight, "
                 "bert.embeddings.position_embeddings.weight, bert.embeddings.token_type_embeddings.weight, "
                 "bert.embeddings.word_embeddings.weight\n"
                 "error: input embedding_output: dimension 2 is 31, wanted 32\n");
    named_tensors_free(&in);
}

/* Compiled code is asked the same as the interpreter: ids that no table has never reach it. */
static void ids_outside_of_the_tables(void **state) {
    named_tensors in;
    strbuf said = STRBUF_INIT;
    write_model(state, (tiny_model){.spec = tiny_spec(MODEL_BERT, HEAD_SEQUENCE_CLASSIFICATION)});
    add_inputs(&in, IR_I64);
    tensor_set_int(named_tensors_find(&in, "input_ids"), 2 * LENGTH + 3, TINY_VOCAB_SIZE);
    write_inputs(state, &in);
    assert_int_equal(predict(state, (prediction){EXECUTOR_COMPILED, 2, 1, false, false}, &said), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said),
                        "error: input_ids: element 3 is 33, wanted 0 to 32 (rows of bert.embeddings.word_embeddings.weight)\n"
                        "in.safetensors: note: in the batch of rows 2 to 3\n");
    strbuf_clear(&said);
    tensor_set_int(named_tensors_find(&in, "input_ids"), 2 * LENGTH + 3, 0);
    tensor_set_int(named_tensors_find(&in, "token_type_ids"), 1, -1);
    write_inputs(state, &in);
    assert_int_equal(predict(state, (prediction){EXECUTOR_COMPILED, 32, 1, false, false}, &said), POFAC_ERR_INPUT);
    assert_string_equal(
        strbuf_str(&said),
        "error: token_type_ids: element 1 is -1, wanted 0 to 1 (rows of bert.embeddings.token_type_embeddings.weight)\n");
    strbuf_free(&said);
    named_tensors_free(&in);
}

/* More hidden states than any fixed number of outputs. */
static void models_of_many_layers(void **state) {
    named_tensors in;
    static const char xml[] =
        "<pofac xmlns=\"urn:pofac:1\">\n  <model head=\"none\">\n    <distilbert vocab_size=\"33\" hidden_size=\"4\" "
        "num_attention_heads=\"1\" "
        "intermediate_size=\"4\" num_hidden_layers=\"140\" max_position_embeddings=\"24\"/>\n  </model>\n</pofac>\n";
    put_file(state, "deep.xml", xml, sizeof xml - 1);
    loaded_model *m;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, "deep.xml"));
    add_inputs(&in, IR_I64);
    write_inputs(state, &in);
    if (loaded_model_open(path, &(loaded_model_options){.seed = 1}, &sink, &m) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    predict_tensors_options options = {.batch_size = 3, .kind = EXECUTOR_INTERPRETER, .hidden_states = true};
    snprintf(path, sizeof path, "%s", file_path(state, "in.safetensors"));
    assert_int_equal(predict_tensors(m, &(road_options){0}, &options, path, file_path(state, "out.safetensors"), &sink), POFAC_OK);
    loaded_model_close(m);
    checkpoint *c = expect_open(state, "out.safetensors");
    assert_int_equal(checkpoint_size(c), 142);
    assert_non_null(checkpoint_get(c, "hidden_states.140"));
    checkpoint_close(c);
    strbuf_free(&said);
    named_tensors_free(&in);
}

static void failing_allocations(void **state) {
    named_tensors in = {.what = "input"};
    loaded_model *m;
    char model_path[512], path[512], out[512];
    write_model(state, (tiny_model){.spec = tiny_spec(MODEL_DISTILBERT, HEAD_TOKEN_CLASSIFICATION)});
    fill(named_tensors_add(&in, "input_ids", IR_I32, 2, (int64_t[]){2, 2}), "ids", 9);
    fill(named_tensors_add(&in, "labels", IR_I64, 2, (int64_t[]){2, 2}), "labels", 2);
    write_inputs(state, &in);
    named_tensors_free(&in);
    snprintf(model_path, sizeof model_path, "%s", file_path(state, "model"));
    snprintf(path, sizeof path, "%s", file_path(state, "in.safetensors"));
    snprintf(out, sizeof out, "%s", file_path(state, "out.safetensors"));
    for (size_t n = 1;; n += n / 50 + 1) { /* a model each time: a context that had no memory stays failed */
        assert_int_equal(loaded_model_open(model_path, &(loaded_model_options){0}, NULL, &m), POFAC_OK);
        predict_tensors_options options = {.batch_size = 1, .kind = EXECUTOR_INTERPRETER};
        fail_alloc_after(n);
        pofac_status status = predict_tensors(m, &(road_options){0}, &options, path, out, NULL);
        bool failed = fail_alloc_stop();
        if (failed != (status != POFAC_OK)) fail_msg("allocation %zu fails: status %d", n, status);
        loaded_model_close(m);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiled_and_interpreted),
        cmocka_unit_test(embeddings_instead_of_ids),
        cmocka_unit_test(whole_numbers_of_any_width),
        cmocka_unit_test(unaligned_files),
        cmocka_unit_test(losses_are_means_over_all_rows),
        cmocka_unit_test(losses_of_regressions_and_of_nothing),
        cmocka_unit_test(results_that_are_not_finite),
        cmocka_unit_test(inputs_that_do_not_fit),
        cmocka_unit_test(ids_outside_of_the_tables),
        cmocka_unit_test(models_of_many_layers),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
