/*
 * pitfall 28: what a sequence's answer is does not depend on its batch: alone, with others, padded or packed, a sequence's numbers are the same bit
 * for bit, whatever the head. And predictions of chosen rows are those rows of all predictions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/batch_memory.h"
#include "frontend/driver/executor.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/named_tensors.h"

#define MAX_LENGTH 40
#define VOCABULARY 101

static const char infer_padded[] = "simplify,layout,canonicalize,cse,dce,fuse,plan-memory"; /* all rows, no unpad */

typedef struct batch_case {
    loaded_model *model;
    diag_sink sink;
    char cache_dir[128];
} batch_case;

static void ignore(void *user, const diag *d) { (void)user, (void)d; /* notes say that weights are drawn */ }

static void begin(batch_case *c, void **state, const char *arch, model_head head) {
    char text[512];
    snprintf(
        text, sizeof text,
        "<pofac xmlns=\"urn:pofac:1\"><model num_labels=\"3\"><%s vocab_size=\"%d\" hidden_size=\"64\" num_hidden_layers=\"2\" "
        "num_attention_heads=\"4\" intermediate_size=\"96\" max_position_embeddings=\"%d\" "
        "initializer_range=\"0.3\"/></model></pofac>",
        arch, VOCABULARY, MAX_LENGTH);
    put_file(state, "model.xml", text, strlen(text));
    *c = (batch_case){.sink = {ignore, NULL}};
    snprintf(c->cache_dir, sizeof c->cache_dir, "%s", file_path(state, "objects"));
    const loaded_model_options options = {.head = head, .seed = 7};
    assert_int_equal(loaded_model_open(file_path(state, "model.xml"), &options, &c->sink, &c->model), POFAC_OK);
}

static executor *make(batch_case *c, const char *pipeline, executor_kind kind, bool chosen_rows) {
    const road_options road = {
        .pipeline = pipeline, .cache_dir = c->cache_dir, .threads = 2, .graph = {.chosen_rows = chosen_rows}};
    executor *e;
    assert_int_equal(executor_create(c->model, &road, kind, &c->sink, &e), POFAC_OK);
    return e;
}

/* Sequence number i has lengths[i] tokens of its own. */
static int64_t token(int64_t sequence, int64_t place) {
    return (int64_t)rng_below(rng_key_make((uint64_t)sequence, "tokens"), (uint64_t)place, VOCABULARY);
}

/* The batch of sequences [first, first + n), padded to `length`. */
static void make_inputs(named_tensors *t, const int64_t *lengths, int64_t first, int64_t n, int64_t length) {
    const int64_t dims[2] = {n, length};
    named_tensors_free(t);
    int64_t *ids = named_tensors_add(t, "input_ids", IR_I64, 2, dims)->data;
    int64_t *mask = named_tensors_add(t, "attention_mask", IR_I64, 2, dims)->data;
    int64_t *types = named_tensors_add(t, "token_type_ids", IR_I64, 2, dims)->data;
    for (int64_t row = 0; row < n; row++)
        for (int64_t i = 0; i < lengths[first + row]; i++) {
            ids[row * length + i] = token(first + row, i);
            mask[row * length + i] = 1;
            types[row * length + i] = i > lengths[first + row] / 2;
        }
}

static void run(batch_case *c, executor *e, named_tensors *inputs) {
    const tensor_source source = named_tensors_source(inputs);
    assert_int_equal(executor_run(e, &source, &c->sink), POFAC_OK);
}

/* Sequence `row` of output `name` in both runs: [B,N], or [B,S,...] of which `tokens` places count. */
static void expect_same(const executor *a, int64_t row_a, const executor *b, int64_t row_b, const char *name, int64_t tokens,
                        const char *what) {
    ir_tensor x, y;
    assert_int_equal(executor_output(a, name, NULL, &x), POFAC_OK);
    assert_int_equal(executor_output(b, name, NULL, &y), POFAC_OK);
    bool per_token = strcmp(name, "logits") != 0
                         ? x.rank > 1 && strcmp(name, "pooler_output") != 0 && strcmp(name, "seq_relationship_logits") != 0
                         : x.rank == 3;
    int64_t inner = tensor_elements(&x) / x.dims[0], inner_b = tensor_elements(&y) / y.dims[0];
    int64_t n = per_token ? inner / x.dims[1] * tokens : inner;
    const float *left = (const float *)x.data + row_a * inner, *right = (const float *)y.data + row_b * inner_b;
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&left[i], &right[i], sizeof *left) != 0)
            fail_msg("%s: %s, sequences %lld and %lld: element %lld is %a and %a", what, name, (long long)row_a, (long long)row_b,
                     (long long)i, left[i], right[i]);
}

static const int64_t lengths[] = {5, 1, 33, 17, 32, 8, 31, 2, 40, 16};
#define N_SEQUENCES ((int64_t)(sizeof lengths / sizeof *lengths))

static void compare_all(executor *whole, executor *other, int64_t first, int64_t n, const char *what) {
    const ir_graph *g = executor_graph(whole);
    for (size_t o = 0; o < g->outputs.size; o++)
        for (int64_t i = 0; i < n; i++) expect_same(whole, first + i, other, i, g->outputs.data[o].name, lengths[first + i], what);
}

static void check_batches(void **state, const char *arch, model_head head) {
    batch_case c;
    char what[96];
    named_tensors inputs = {.what = "input"};
    begin(&c, state, arch, head);
    executor *whole = make(&c, NULL, EXECUTOR_COMPILED, false), *part = make(&c, NULL, EXECUTOR_COMPILED, false),
             *padded = make(&c, infer_padded, EXECUTOR_COMPILED, false);
    make_inputs(&inputs, lengths, 0, N_SEQUENCES, MAX_LENGTH);
    run(&c, whole, &inputs);
    run(&c, padded, &inputs);
    snprintf(what, sizeof what, "%s, %s: packed and padded", arch, model_head_name(head));
    compare_all(whole, padded, 0, N_SEQUENCES, what);
    for (int64_t n = 1; n <= 4; n += 3)
        for (int64_t first = 0; first < N_SEQUENCES; first += n) {
            int64_t count = N_SEQUENCES - first < n ? N_SEQUENCES - first : n, longest = 1;
            for (int64_t i = 0; i < count; i++)
                if (lengths[first + i] > longest) longest = lengths[first + i];
            make_inputs(&inputs, lengths, first, count, longest);
            run(&c, part, &inputs);
            snprintf(what, sizeof what, "%s, %s: batches of %lld from %lld", arch, model_head_name(head), (long long)n,
                     (long long)first);
            compare_all(whole, part, first, count, what);
        }
    executor_destroy(whole);
    executor_destroy(part);
    executor_destroy(padded);
    named_tensors_free(&inputs);
    loaded_model_close(c.model);
}

static void batches_change_no_bit(void **state) {
    static const model_head heads[] = {HEAD_NONE, HEAD_SEQUENCE_CLASSIFICATION, HEAD_TOKEN_CLASSIFICATION, HEAD_QUESTION_ANSWERING,
                                       HEAD_PRETRAINING};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) check_batches(state, "bert", heads[i]);
    check_batches(state, "distilbert", HEAD_SEQUENCE_CLASSIFICATION);
    check_batches(state, "distilbert", HEAD_MASKED_LM);
}

/* ---- chosen rows ---- */

static void check_chosen(void **state, const char *arch, model_head head, executor_kind kind) {
    static const int64_t chosen[] = {2, 4 * MAX_LENGTH + 31, 0, 8 * MAX_LENGTH + 39, 2}; /* in any order, also twice */
    const int64_t n = sizeof chosen / sizeof *chosen;
    batch_case c;
    named_tensors inputs = {.what = "input"};
    ir_tensor all, some;
    begin(&c, state, arch, head);
    executor *whole = make(&c, NULL, kind, false), *part = make(&c, NULL, kind, true);
    make_inputs(&inputs, lengths, 0, N_SEQUENCES, MAX_LENGTH);
    memcpy(named_tensors_add(&inputs, "prediction_rows", IR_I64, 1, &n)->data, chosen, sizeof chosen);
    run(&c, whole, &inputs);
    run(&c, part, &inputs);
    assert_int_equal(executor_output(whole, "prediction_logits", NULL, &all), POFAC_OK);
    assert_int_equal(executor_output(part, "prediction_logits", NULL, &some), POFAC_OK);
    assert_int_equal(some.rank, 2);
    assert_int_equal(some.dims[0], n);
    assert_int_equal(some.dims[1], VOCABULARY);
    for (int64_t m = 0; m < n; m++)
        if (memcmp((float *)some.data + m * VOCABULARY, (float *)all.data + chosen[m] * VOCABULARY, VOCABULARY * sizeof(float)) !=
            0)
            fail_msg("%s, prediction %lld is not row %lld of all predictions", arch, (long long)m, (long long)chosen[m]);
    if (head == HEAD_PRETRAINING) expect_same(whole, 3, part, 3, "seq_relationship_logits", 0, arch);
    executor_destroy(whole);
    executor_destroy(part);
    named_tensors_free(&inputs);
    loaded_model_close(c.model);
}

static void chosen_rows_are_rows_of_all(void **state) {
    check_chosen(state, "bert", HEAD_MASKED_LM, EXECUTOR_COMPILED);
    check_chosen(state, "bert", HEAD_PRETRAINING, EXECUTOR_COMPILED);
    check_chosen(state, "bert", HEAD_PRETRAINING, EXECUTOR_INTERPRETER);
    check_chosen(state, "distilbert", HEAD_MASKED_LM, EXECUTOR_COMPILED);
}

/* ---- memory ---- */

/* What is said before a run is what the session has after it, and the largest batch that fits is the largest. */
static void memory_is_known_before(void **state) {
    batch_case c;
    named_tensors inputs = {.what = "input"};
    begin(&c, state, "bert", HEAD_SEQUENCE_CLASSIFICATION);
    executor *e = make(&c, NULL, EXECUTOR_COMPILED, false);
    const runnable *r = executor_runnable(e);
    session_memory need, small;
    const int64_t full[3] = {20, 20, 20};
    assert_int_equal(batch_memory_need(r, (batch_shape){3, 20, 60, 0}, NULL, &need), POFAC_OK);
    make_inputs(&inputs, full, 0, 3, 20);
    run(&c, e, &inputs);
    session_memory used = session_memory_use(r->session);
    assert_int_equal(used.arena_bytes, need.arena_bytes);
    assert_int_equal(used.scratch_bytes, need.scratch_bytes);
    assert_int_equal(used.packed_weight_bytes, need.packed_weight_bytes);
    assert_int_equal(used.mapped_weight_bytes, need.mapped_weight_bytes);
    /* padding costs less than tokens */
    assert_int_equal(batch_memory_need(r, (batch_shape){3, 20, 30, 0}, NULL, &small), POFAC_OK);
    assert_true(small.arena_bytes < need.arena_bytes);
    int64_t fits;
    for (int64_t n = 1; n <= 64; n *= 4) {
        assert_int_equal(batch_memory_need(r, (batch_shape){n, 20, n * 20, 0}, NULL, &need), POFAC_OK);
        assert_int_equal(batch_memory_fit(r, 20, 1000, batch_memory_bytes(need), NULL, &fits), POFAC_OK);
        assert_true(fits >= n); /* activations of tiles: some more sequences may fit into the last one */
        assert_int_equal(batch_memory_need(r, (batch_shape){fits + 1, 20, (fits + 1) * 20, 0}, NULL, &small), POFAC_OK);
        assert_true(batch_memory_bytes(small) > batch_memory_bytes(need));
    }
    assert_int_equal(batch_memory_fit(r, 20, 7, 0, NULL, &fits), POFAC_OK);
    assert_int_equal(fits, 7);
    strbuf text = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&text);
    assert_int_equal(batch_memory_fit(r, 20, 7, 1000, &sink, &fits), POFAC_ERR_USAGE);
    assert_non_null(strstr(strbuf_str(&text), "error: --max_memory is 1.0 kB, which does not hold one sequence: weights "));
    assert_non_null(strstr(strbuf_str(&text), "; batch of 1 x 20 tokens: activations "));
    strbuf_clear(&text);
    assert_int_equal(batch_memory_need(r, (batch_shape){INT64_MAX / 2, 20, INT64_MAX / 2, 0}, &sink, &need), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&text), "error: the batch is too large: its memory cannot be counted in 63 bits\n");
    strbuf_free(&text);
    executor_destroy(e);
    named_tensors_free(&inputs);
    loaded_model_close(c.model);
}

static void sizes_in_words(void **unused) {
    (void)unused;
    strbuf text = STRBUF_INIT;
    batch_memory_print_bytes(0, &text);
    strbuf_putc(&text, ' ');
    batch_memory_print_bytes(999949, &text);
    strbuf_putc(&text, ' ');
    batch_memory_print_bytes(1000000, &text);
    strbuf_putc(&text, ' ');
    batch_memory_print_bytes(INT64_C(12345678901), &text);
    assert_string_equal(strbuf_str(&text), "0.0 kB 999.9 kB 1.0 MB 12.35 GB");
    strbuf_clear(&text);
    batch_memory_print((batch_shape){4, 128, 512, 0}, (session_memory){400000000, 300000000, 2000000, 500000}, &text);
    assert_string_equal(strbuf_str(&text), "weights 400.0 MB mapped, 300.0 MB packed; batch of 4 x 128 tokens: activations 2.0 MB, "
                                           "scratch 500.0 kB; in all 302.5 MB beside mapped weights");
    strbuf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_change_no_bit),
        cmocka_unit_test(chosen_rows_are_rows_of_all),
        cmocka_unit_test(memory_is_known_before),
        cmocka_unit_test(sizes_in_words),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
