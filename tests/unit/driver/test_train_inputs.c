/* Inputs of a step's runs: scales over all batches of the step, rows that count, numbers of examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "frontend/driver/train_inputs.h"

#define S 4

static train_inputs *make(model_head head, bool regression) {
    static model_spec spec;
    train_inputs *t;
    spec = model_spec_default(MODEL_BERT);
    spec.head = head;
    spec.regression = regression;
    assert_int_equal(train_inputs_create(&spec, 7, NULL, &t), POFAC_OK);
    return t;
}

/* A batch of `rows` sequences of S ids and one tensor of labels, [rows] or [rows,S]. */
static batch make_batch(int64_t rows, const char *labels, ir_dtype dtype, bool per_token, const void *values) {
    static const int64_t ids[8 * S];
    const int64_t dims[2] = {rows, S};
    batch b = {.n_tensors = 2, .n_sequences = rows, .n_tokens = rows * S, .names = {"input_ids", labels}};
    b.tensors[0] = tensor_view(IR_I64, 2, dims, ids);
    b.tensors[1] = tensor_view(dtype, per_token ? 2 : 1, dims, values);
    return b;
}

static double number(const tensor_source *s, const char *name, int64_t i) {
    ir_tensor t;
    assert_int_equal(s->get(s->user, name, NULL, &t), POFAC_OK);
    return tensor_get(&t, i);
}

static void add(train_inputs *t, const batch *b) { assert_int_equal(train_inputs_add(t, b, NULL), POFAC_OK); }

static const tensor_source *select_run(train_inputs *t, size_t i) {
    const tensor_source *s;
    assert_int_equal(train_inputs_select(t, i, NULL, &s), POFAC_OK);
    return s;
}

static void masked_tokens_count_over_the_whole_step(void **unused) {
    (void)unused;
    int64_t first[2 * S] = {-100, 5, -100, -100, 6, 7, -100, -100}, second[S] = {-100, -100, -100, 9};
    const batch a = make_batch(2, "labels", IR_I64, true, first), b = make_batch(1, "labels", IR_I64, true, second);
    train_inputs *t = make(HEAD_MASKED_LM, false);
    train_inputs_begin(t, 3, 0.5);
    add(t, &a);
    memset(first, 0, sizeof first); /* the batch is a copy */
    add(t, &b);
    assert_int_equal(train_inputs_size(t), 2);
    assert_int_equal(train_inputs_counted(t, 0), 4);
    assert_int_equal(train_inputs_tokens(t), 3 * S);
    const tensor_source *s = select_run(t, 0);
    assert_true(number(s, "scale.labels", 0) == 0.25 && number(s, "keep", 0) == 0 && number(s, "first_example", 0) == 0);
    assert_true(number(s, "prediction_rows", 0) == 1 && number(s, "prediction_rows", 1) == 4 &&
                number(s, "prediction_rows", 2) == 5);
    assert_true(number(s, "labels", 4) == 6);
    assert_true(number(s, "random", 0) == 7 && number(s, "random", 1) == 3 && number(s, "step", 0) == 3);
    assert_true(number(s, "learning_rate", 0) == 0.5);
    s = select_run(t, 1);
    assert_true(number(s, "scale.labels", 0) == 0.25 && number(s, "keep", 0) == 1 && number(s, "first_example", 0) == 2);
    assert_true(number(s, "prediction_rows", 0) == 3);
    train_inputs_begin(t, 4, 0.25); /* nothing of the step before is left */
    add(t, &b);
    s = select_run(t, 0);
    assert_true(number(s, "scale.labels", 0) == 1 && number(s, "keep", 0) == 0 && number(s, "first_example", 0) == 0);
    train_inputs_destroy(t);
}

/* Tokens with labels, and drawn ones: almost none and almost all of the others; padding is no token. */
static void drawn_tokens_count_over_the_whole_step(void **unused) {
    (void)unused;
    static const int64_t labels[2 * S] = {-100, 5, -100, -100, 6, -100, -100, -100}, mask[2 * S] = {1, 1, 1, 1, 1, 1, 1, 0};
    static const double shares[] = {1e-12, 1 - 1e-12, 1}, wanted[] = {1.0 / 4, 1.0 / 14, 1.0 / 14};
    const int64_t dims[2] = {2, S};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        batch b = make_batch(2, "labels", IR_I64, true, labels);
        b.names[b.n_tensors] = "attention_mask";
        b.tensors[b.n_tensors++] = tensor_view(IR_I64, 2, dims, mask);
        b.n_tokens = 7;
        train_inputs *t = make(HEAD_MASKED_LM, false);
        train_inputs_set_token_share(t, shares[i]);
        train_inputs_begin(t, 1, 0.5);
        add(t, &b);
        add(t, &b);
        for (size_t k = 0; k < 2; k++) {
            const double found = number(select_run(t, k), "scale.distill.prediction_logits", 0);
            if (found != (double)(float)wanted[i]) fail_msg("share %g: found %.9g, wanted %.9g", shares[i], found, wanted[i]);
        }
        train_inputs_begin(t, 2, 0.5); /* nothing of the step before is left */
        add(t, &b);
        if (number(select_run(t, 0), "scale.distill.prediction_logits", 0) != (double)(float)(2 * wanted[i]))
            fail_msg("share %g: another step begins with %.9g", shares[i],
                     number(select_run(t, 0), "scale.distill.prediction_logits", 0));
        train_inputs_destroy(t);
    }
}

static void no_row_that_counts_gives_a_scale_of_0(void **unused) {
    (void)unused;
    const int64_t labels[S] = {-100, -100, -100, -100};
    const batch b = make_batch(1, "labels", IR_I64, true, labels);
    train_inputs *t = make(HEAD_MASKED_LM, false);
    train_inputs_begin(t, 1, 1);
    add(t, &b);
    const tensor_source *s = select_run(t, 0);
    assert_true(number(s, "scale.labels", 0) == 0 && number(s, "prediction_rows", 0) == 0);
    train_inputs_destroy(t);
}

static void a_regression_weighs_batches_by_their_size(void **unused) {
    (void)unused;
    const float scores[3] = {1, 2, 3};
    const batch a = make_batch(3, "labels", IR_F32, false, scores), b = make_batch(1, "labels", IR_F32, false, scores);
    train_inputs *t = make(HEAD_SEQUENCE_CLASSIFICATION, true);
    train_inputs_begin(t, 1, 1);
    add(t, &a);
    add(t, &b);
    assert_true(number(select_run(t, 0), "scale.labels", 0) == 0.75);
    assert_true(number(select_run(t, 1), "scale.labels", 0) == 0.25);
    train_inputs_destroy(t);
}

static void positions_behind_the_sequence_do_not_count(void **unused) {
    (void)unused;
    const int64_t starts[3] = {0, S - 1, S}, ends[3] = {-5, S + 9, 1};
    batch b = make_batch(3, "start_positions", IR_I64, false, starts);
    const int64_t dim = 3;
    b.names[2] = "end_positions";
    b.tensors[2] = tensor_view(IR_I64, 1, &dim, ends);
    b.n_tensors = 3;
    train_inputs *t = make(HEAD_QUESTION_ANSWERING, false);
    train_inputs_begin(t, 1, 1);
    add(t, &b);
    assert_int_equal(train_inputs_counted(t, 0), 2);
    assert_int_equal(train_inputs_counted(t, 1), 2);
    train_inputs_destroy(t);
}

static void labels_that_are_missing_are_an_error(void **unused) {
    (void)unused;
    const int64_t labels[1] = {0};
    const batch b = make_batch(1, "other", IR_I64, false, labels);
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    train_inputs *t = make(HEAD_SEQUENCE_CLASSIFICATION, false);
    train_inputs_begin(t, 1, 1);
    assert_int_equal(train_inputs_add(t, &b, &sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "error: found a batch without labels, wanted what is learned from\n");
    strbuf_free(&said);
    train_inputs_destroy(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_tokens_count_over_the_whole_step),     cmocka_unit_test(masked_tokens_count_over_the_whole_step),
        cmocka_unit_test(no_row_that_counts_gives_a_scale_of_0),      cmocka_unit_test(a_regression_weighs_batches_by_their_size),
        cmocka_unit_test(positions_behind_the_sequence_do_not_count), cmocka_unit_test(labels_that_are_missing_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
