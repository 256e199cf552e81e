/*
 * A tiny teacher over rows of tensors: what is kept is what the teacher's own graph gives, the largest logits are those of the whole ones, the files are the
 * same bytes for any threads and after an interruption, and teachers that do not fit are refused.
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

#include "frontend/checkpoint/safetensors.h"
#include "frontend/data/batcher.h"
#include "frontend/driver/largest_logits.h"
#include "frontend/driver/make_logits.h"
#include "frontend/driver/teacher_logits.h"
#include "frontend/driver/tensor_examples.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"

#define ROWS 7
#define S 9
#define TOP 5
#define TOLERANCE 1e-5 /* of kernels over other batches */

/* Rows of 3 to 9 tokens, with labels for each head. */
static void write_rows(void **state) {
    int64_t ids[ROWS * S], mask[ROWS * S], labels[ROWS * S], one[ROWS];
    for (int64_t row = 0; row < ROWS; row++) {
        one[row] = row % 2;
        for (int64_t k = 0; k < S; k++) {
            const int64_t i = row * S + k;
            mask[i] = k < 3 + row;
            ids[i] = mask[i] ? 5 + (row * 7 + k * 5) % 28 : 0;
            labels[i] = mask[i] && k % 3 == 1 ? ids[i] : -100;
        }
    }
    const safetensors_item items[] = {{.name = "input_ids", .dtype = IR_I64, .rank = 2, .dims = {ROWS, S}, .data = ids},
                                      {.name = "attention_mask", .dtype = IR_I64, .rank = 2, .dims = {ROWS, S}, .data = mask},
                                      {.name = "labels", .dtype = IR_I64, .rank = 2, .dims = {ROWS, S}, .data = labels},
                                      {.name = "next_sentence_label", .dtype = IR_I64, .rank = 1, .dims = {ROWS}, .data = one}};
    assert_int_equal(safetensors_write(file_path(state, "pretraining.safetensors"), items, 4, NULL, 0, NULL), POFAC_OK);
    const safetensors_item classes[] = {
        items[0], items[1], {.name = "labels", .dtype = IR_I64, .rank = 1, .dims = {ROWS}, .data = one}};
    assert_int_equal(safetensors_write(file_path(state, "classes.safetensors"), classes, 3, NULL, 0, NULL), POFAC_OK);
    const safetensors_item positions[] = {items[0],
                                          items[1],
                                          {.name = "start_positions", .dtype = IR_I64, .rank = 1, .dims = {ROWS}, .data = one},
                                          {.name = "end_positions", .dtype = IR_I64, .rank = 1, .dims = {ROWS}, .data = one}};
    assert_int_equal(safetensors_write(file_path(state, "positions.safetensors"), positions, 4, NULL, 0, NULL), POFAC_OK);
}

/* Other numbers than the default ones, which teachers have. */
static double student_number(const char *name, int64_t row, int64_t column) {
    const double random = rng_uniform(rng_key_make(12, name), (uint64_t)(row * 4096 + column)) - 0.5;
    return strstr(name, "LayerNorm.weight") ? 1 + 0.25 * random : 0.25 * random;
}

static void write_model(void **state, const char *name, model_head head, int64_t labels, int64_t words) {
    tiny_model m = {.spec = tiny_spec(MODEL_BERT, head), .without_vocabulary = words != TINY_VOCAB_SIZE};
    if (strcmp(name, "student") == 0) m.value = student_number;
    m.spec.num_labels = labels;
    m.spec.vocab_size = words;
    tiny_model_write(&m, file_path(state, name));
}

/* Runs a teacher: the model is of the same kind. Directories and files are in the test's folder. */
typedef struct job {
    const char *teacher, *data, *dir;
    int64_t top_k;
    bool is_half;
    size_t threads;
    bool pads_count; /* mask_padded_logits false */
} job;

static pofac_status make(void **state, const job *j, const diag_sink *sink, make_logits_result *out) {
    char student[256], data[256], dir[256], teacher[256];
    arena a = ARENA_INIT;
    recipe r;
    snprintf(student, sizeof student, "%s", file_path(state, "student"));
    snprintf(data, sizeof data, "%s", file_path(state, j->data));
    snprintf(dir, sizeof dir, "%s", file_path(state, j->dir));
    snprintf(teacher, sizeof teacher, "%s", file_path(state, j->teacher));
    const recipe_option options[] = {
        {"kind", "tensors"}, {"train", data}, {"teacher", teacher}, {"mask_padded_logits", j->pads_count ? "false" : "true"}};
    assert_int_equal(recipe_read(student, options, 4, RECIPE_FOR_PLANNING, &a, sink, &r), POFAC_OK);
    const make_logits_options o = {
        .dir = dir, .top_k = j->top_k, .is_half = j->is_half, .road = {.threads = j->threads, .tune = ROAD_TUNE_OFF}};
    pofac_status status = make_logits(&r, &o, sink, out);
    arena_free(&a);
    return status;
}

static make_logits_result expect_made(void **state, const job *j) {
    make_logits_result r;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    if (make(state, j, &sink, &r) != POFAC_OK) fail_msg("%s: %s", j->dir, strbuf_str(&said));
    strbuf_free(&said);
    return r;
}

/* ---- what the teacher's own graph gives, over all rows at once ---- */

typedef struct answer {
    loaded_model *model;
    tensor_examples *rows;
    batcher *batcher;
    const batch *batch;
    executor *executor;
    tensor_source inputs;
} answer;

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const answer *a = user;
    (void)sink;
    for (size_t i = 0; i < a->batch->n_tensors; i++)
        if (strcmp(a->batch->names[i], name) == 0) {
            *out = a->batch->tensors[i];
            return POFAC_OK;
        }
    fail_msg("the data have no input %s", name);
    return POFAC_ERR_INPUT;
}

static void ask(void **state, const char *teacher, const char *data, answer *a) {
    const batcher_options options = {.order = {.batch_size = ROWS, .fixed_length = S}, .n_epochs = 1};
    const road_options road = {.tune = ROAD_TUNE_OFF};
    *a = (answer){.inputs = {.get = get_input, .user = a}};
    assert_int_equal(loaded_model_open(file_path(state, teacher), &(loaded_model_options){0}, NULL, &a->model), POFAC_OK);
    assert_int_equal(tensor_examples_open(file_path(state, data), TINY_VOCAB_SIZE, NULL, &a->rows), POFAC_OK);
    const example_source rows = tensor_examples_source(a->rows);
    assert_int_equal(batcher_create(&rows, &options, NULL, &a->batcher), POFAC_OK);
    const batch_source source = batcher_source(a->batcher);
    assert_int_equal(source.next(source.user, NULL, &a->batch), POFAC_OK);
    assert_int_equal(a->batch->n_sequences, ROWS);
    assert_int_equal(executor_create(a->model, &road, EXECUTOR_COMPILED, NULL, &a->executor), POFAC_OK);
    assert_int_equal(executor_run(a->executor, &a->inputs, NULL), POFAC_OK);
}

static void ask_end(answer *a) {
    executor_destroy(a->executor);
    batcher_destroy(a->batcher);
    tensor_examples_close(a->rows);
    loaded_model_close(a->model);
}

static ir_tensor answered(const answer *a, const char *name) {
    ir_tensor t;
    assert_int_equal(executor_output(a->executor, name, NULL, &t), POFAC_OK);
    return t;
}

/* The kept logits of the same batch. */
static teacher_batch read_kept(void **state, const answer *a, const char *dir) {
    const example_source rows = tensor_examples_source(a->rows);
    const teacher_logits_use use = {loaded_model_spec(a->model), rows.fingerprint, rows.n_examples, 3};
    teacher_logits *t;
    teacher_batch out = {0};
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    if (teacher_logits_open(file_path(state, dir), &use, &sink, &t) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    if (teacher_logits_read(t, a->batch, &sink, &out) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
    assert_true(teacher_logits_info(t)->every_epoch == 1);
    teacher_logits_close(t);
    strbuf_free(&said);
    return out;
}

static bool is_kept(int64_t row, int64_t token) { return token < 3 + row; }

/* Row by row: [ROWS,width], or [ROWS,S,width] of kept tokens. Returns how many were compared. */
static int64_t expect_close(const ir_tensor *found, const ir_tensor *wanted, int64_t tokens, int64_t width) {
    int64_t n = 0;
    assert_int_equal(tensor_elements(found), ROWS * tokens * width);
    assert_int_equal(tensor_elements(wanted), ROWS * tokens * width);
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t k = 0; k < tokens; k++)
            for (int64_t i = 0; i < width && (tokens == 1 || is_kept(row, k)); i++, n++) {
                const int64_t at = (row * tokens + k) * width + i;
                if (fabs(tensor_get(found, at) - tensor_get(wanted, at)) > TOLERANCE)
                    fail_msg("row %d, token %d, class %d: found %g, wanted %g", (int)row, (int)k, (int)i, tensor_get(found, at),
                             tensor_get(wanted, at));
            }
    return n;
}

#define KEPT (3 + 4 + 5 + 6 + 7 + 8 + 9) /* tokens */

static void words_and_next_sentences(void **state) {
    answer a;
    write_model(state, "student", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE);
    write_model(state, "teacher", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE);
    const make_logits_result whole =
        expect_made(state, &(job){.teacher = "teacher", .data = "pretraining.safetensors", .dir = "whole"});
    assert_int_equal(whole.examples, ROWS);
    assert_int_equal(whole.tokens, KEPT);
    assert_int_equal(whole.bytes, 4 * (KEPT * TINY_VOCAB_SIZE + 2 * ROWS));
    expect_made(state, &(job){.teacher = "teacher", .data = "pretraining.safetensors", .dir = "part", .top_k = TOP});
    expect_made(state,
                &(job){.teacher = "teacher", .data = "pretraining.safetensors", .dir = "half", .top_k = TOP, .is_half = true});
    ask(state, "teacher", "pretraining.safetensors", &a);
    const ir_tensor words = answered(&a, "prediction_logits"), next = answered(&a, "seq_relationship_logits");
    teacher_batch w = read_kept(state, &a, "whole"), p = read_kept(state, &a, "part"), h = read_kept(state, &a, "half");
    assert_int_equal(expect_close(&w.tensors[0], &words, S, TINY_VOCAB_SIZE), KEPT * TINY_VOCAB_SIZE);
    assert_int_equal(expect_close(&w.tensors[1], &next, 1, 2), 2 * ROWS);
    assert_int_equal(expect_close(&p.tensors[2], &next, 1, 2), 2 * ROWS);
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t k = 0; k < S; k++) {
            float values[TOP] = {0};
            int32_t ids[TOP] = {0};
            const int64_t at = row * S + k;
            if (is_kept(row, k))
                largest_logits((const float *)w.tensors[0].data + at * TINY_VOCAB_SIZE, TINY_VOCAB_SIZE, TOP, values, ids);
            for (int64_t i = 0; i < TOP; i++) {
                assert_true(tensor_get(&p.tensors[0], at * TOP + i) == (double)values[i]);
                assert_true(tensor_get(&h.tensors[0], at * TOP + i) == (double)f16_to_float(float_to_f16(values[i])));
                assert_int_equal(tensor_get_int(&p.tensors[1], at * TOP + i), ids[i]);
                assert_int_equal(tensor_get_int(&h.tensors[1], at * TOP + i), ids[i]);
            }
        }
    teacher_batch_free(&w);
    teacher_batch_free(&p);
    teacher_batch_free(&h);
    ask_end(&a);
}

static void labels_and_positions(void **state) {
    answer a;
    write_model(state, "student", HEAD_SEQUENCE_CLASSIFICATION, 3, TINY_VOCAB_SIZE);
    write_model(state, "labels", HEAD_SEQUENCE_CLASSIFICATION, 3, TINY_VOCAB_SIZE);
    expect_made(state, &(job){.teacher = "labels", .data = "classes.safetensors", .dir = "of-labels", .top_k = 2});
    ask(state, "labels", "classes.safetensors", &a);
    ir_tensor wanted = answered(&a, "logits");
    teacher_batch found = read_kept(state, &a, "of-labels");
    assert_int_equal(found.n, 1);
    assert_int_equal(expect_close(&found.tensors[0], &wanted, 1, 3), 3 * ROWS);
    teacher_batch_free(&found);
    ask_end(&a);

    write_model(state, "student", HEAD_QUESTION_ANSWERING, 2, TINY_VOCAB_SIZE);
    write_model(state, "answers", HEAD_QUESTION_ANSWERING, 2, TINY_VOCAB_SIZE);
    expect_made(state, &(job){.teacher = "answers", .data = "positions.safetensors", .dir = "of-positions"});
    ask(state, "answers", "positions.safetensors", &a);
    found = read_kept(state, &a, "of-positions");
    assert_int_equal(found.n, 2);
    wanted = answered(&a, "start_logits");
    assert_int_equal(expect_close(&found.tensors[0], &wanted, S, 1), KEPT);
    wanted = answered(&a, "end_logits");
    assert_int_equal(expect_close(&found.tensors[1], &wanted, S, 1), KEPT);
    teacher_batch_free(&found);
    ask_end(&a);
}

/* ---- files ---- */

static void expect_same_file(void **state, const char *a, const char *b) {
    file_map x, y;
    assert_int_equal(file_map_open(file_path(state, a), NULL, &x), POFAC_OK);
    assert_int_equal(file_map_open(file_path(state, b), NULL, &y), POFAC_OK);
    assert_true(x.size_bytes == y.size_bytes && x.size_bytes > 0);
    assert_memory_equal(x.data, y.data, x.size_bytes);
    file_map_close(&x);
    file_map_close(&y);
}

static void threads_and_what_is_there_change_nothing(void **state) {
    write_model(state, "student", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE);
    write_model(state, "teacher", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE);
    job j = {.teacher = "teacher", .data = "pretraining.safetensors", .dir = "one", .top_k = TOP, .threads = 1};
    make_logits_result r = expect_made(state, &j);
    assert_true(r.files == 1 && r.files_made == 1);
    r = expect_made(state, &j);
    assert_true(r.files == 1 && r.files_made == 0);
    j.dir = "two";
    j.threads = 2;
    expect_made(state, &j);
    expect_same_file(state, "one/epoch-000-00000.logits", "two/epoch-000-00000.logits");
    assert_int_equal(remove(file_path(state, "two/epoch-000-00000.logits")), 0); /* as an interruption leaves it */
    r = expect_made(state, &j);
    assert_true(r.files == 1 && r.files_made == 1);
    expect_same_file(state, "one/epoch-000-00000.logits", "two/epoch-000-00000.logits");
}

/* ---- what is refused ---- */

static void expect_refused(void **state, const job *j, pofac_status status, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    make_logits_result r;
    assert_int_equal(make(state, j, &sink, &r), status);
    if (said.data) cut_directory(state, said.data);
    if (!strstr(strbuf_str(&said), wanted)) fail_msg("found \"%s\", wanted \"%s\"", strbuf_str(&said), wanted);
    strbuf_free(&said);
}

static void teachers_that_do_not_fit(void **state) {
    write_model(state, "student", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE);
    write_model(state, "teacher", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE);
    write_model(state, "other", HEAD_PRETRAINING, 2, TINY_VOCAB_SIZE + 1);
    write_model(state, "headless", HEAD_NONE, 2, TINY_VOCAB_SIZE);
    job j = {.teacher = "other", .data = "pretraining.safetensors", .dir = "kept"};
    expect_refused(state, &j, POFAC_ERR_INPUT,
                   "other: error: the teacher's vocabulary has 34 tokens, wanted 33, as the student's\n");
    j.teacher = "headless";
    expect_refused(state, &j, POFAC_ERR_INPUT, "headless: error: the teacher's checkpoint has no cls.predictions.");
    j.teacher = "teacher";
    expect_made(state, &j);
    j.top_k = TOP;
    expect_refused(
        state, &j, POFAC_ERR_INPUT,
        "kept/epoch-000-00000.logits: error: found logits that differ from those to be made in top_k, wanted another directory\n");
    j.top_k = 0;
    tiny_model changed = {.spec = tiny_spec(MODEL_BERT, HEAD_PRETRAINING)};
    changed.spec.layer_norm_eps = 1e-3;
    tiny_model_write(&changed, file_path(state, "teacher"));
    expect_refused(state, &j, POFAC_ERR_INPUT,
                   "kept/epoch-000-00000.logits: error: found logits that differ from those to be made in the teacher, wanted "
                   "another directory\n");
}

static void heads_that_do_not_fit(void **state) {
    write_model(state, "student", HEAD_SEQUENCE_CLASSIFICATION, 3, TINY_VOCAB_SIZE);
    write_model(state, "labels", HEAD_SEQUENCE_CLASSIFICATION, 2, TINY_VOCAB_SIZE);
    job j = {.teacher = "labels", .data = "classes.safetensors", .dir = "refused"};
    expect_refused(state, &j, POFAC_ERR_INPUT, "labels: error: the teacher has 2 classes, wanted 3, as the student\n");
    write_model(state, "student", HEAD_QUESTION_ANSWERING, 2, TINY_VOCAB_SIZE);
    write_model(state, "answers", HEAD_QUESTION_ANSWERING, 2, TINY_VOCAB_SIZE);
    j = (job){.teacher = "answers", .data = "positions.safetensors", .dir = "refused", .pads_count = true};
    expect_refused(state, &j, POFAC_ERR_USAGE,
                   "mask_padded_logits: found false, wanted true: logits of padding depend on the batch, and are not kept\n");
    assert_false(file_exists(file_path(state, "refused")));
}

static int set_up(void **state) {
    if (files_set_up(state) != 0) return -1;
    write_rows(state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_next_sentences),
        cmocka_unit_test(labels_and_positions),
        cmocka_unit_test(threads_and_what_is_there_change_nothing),
        cmocka_unit_test(teachers_that_do_not_fit),
        cmocka_unit_test(heads_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, set_up, files_tear_down);
}
