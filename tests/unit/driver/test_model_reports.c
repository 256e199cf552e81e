/* What inspect and bench say of a model whose numbers are known, and IR text in files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/bench_run.h"
#include "frontend/driver/inspect_model.h"
#include "frontend/driver/text_file.h"
#include "ir/text.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/driver/tiny_model.h"
#include "tests/unit/fail_alloc.h"

/* Every third element of a matrix is zero. */
static double thirds(const char *name, int64_t row, int64_t column) {
    (void)name;
    return (row + column) % 3 == 0 ? -0.0 : 0.5;
}

static loaded_model *open_tiny(void **state, model_head head, ir_dtype dtype) {
    tiny_model t = {.spec = tiny_spec(MODEL_BERT, head), .dtype = dtype, .value = thirds};
    loaded_model *m;
    tiny_model_write(&t, file_path(state, "tiny"));
    assert_int_equal(loaded_model_open(file_path(state, "tiny"), &(loaded_model_options){.seed = 1}, NULL, &m), POFAC_OK);
    return m;
}

static const inspect_row *row_of(const inspect_result *r, const char *name) {
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].name, name) == 0) return &r->rows[i];
    fail_msg("%s has no row", name);
    return NULL;
}

/* With and without the passes that leave one leaf of each parameter. */
static void rows_of_parameters(void **state) {
    static const char *const pipelines[] = {"infer", "plan-memory"};
    for (size_t p = 0; p < 2; p++)
        for (int half = 0; half < 2; half++) {
            arena memory = ARENA_INIT;
            inspect_result r;
            loaded_model *m = open_tiny(state, HEAD_MASKED_LM, half ? IR_F16 : IR_F32);
            assert_int_equal(inspect_model(m, &(road_options){.pipeline = pipelines[p], .no_cache = true}, &memory, NULL, &r),
                             POFAC_OK);
            const inspect_row *up = row_of(&r, "bert.encoder.layer.0.intermediate.dense.weight"),
                              *words = row_of(&r, "bert.embeddings.word_embeddings.weight"),
                              *places = row_of(&r, "bert.embeddings.position_embeddings.weight"),
                              *bias = row_of(&r, "cls.predictions.bias");
            assert_string_equal(up->shape, "[48,32]");
            assert_string_equal(up->dtype, half ? "f16" : "f32");
            assert_int_equal(up->elements, 48 * 32);
            assert_int_equal(up->zeros, 48 * 32 / 3);
            assert_int_equal(up->bytes, 48 * 32 * (half ? 2 : 4));
            assert_true(up->prunable);
            assert_true(words->prunable); /* it is the decoder too */
            assert_false(places->prunable);
            assert_false(bias->prunable);
            assert_string_equal(bias->shape, "[33]");
            assert_int_equal(bias->zeros, 11);
            if (p == 0) assert_int_equal(strncmp(up->layout, "panels ", 7), 0);
            else assert_string_equal(up->layout, "rows");
            assert_in_range(up->memory_bytes, 48 * 32 * 4, 2 * 48 * 32 * 4); /* panels are padded */
            assert_string_equal(bias->layout, "rows");
            assert_int_equal(bias->memory_bytes, 33 * 4);
            int64_t elements = 0, zeros = 0, bytes = 0, linear = 0, linear_zeros = 0;
            for (size_t i = 0; i < r.n_rows; i++) {
                const inspect_row *row = &r.rows[i];
                for (size_t k = 0; k < i; k++)
                    if (strcmp(row->name, r.rows[k].name) == 0) fail_msg("%s: %s has two rows", pipelines[p], row->name);
                assert_true(strcmp(row->kernel, "-") != 0);
                elements += row->elements;
                zeros += row->zeros;
                bytes += row->bytes;
                linear += row->prunable ? row->elements : 0;
                linear_zeros += row->prunable ? row->zeros : 0;
            }
            assert_int_equal(r.n_rows, 26);
            assert_int_equal(r.elements, elements);
            assert_int_equal(r.zeros, zeros);
            assert_int_equal(r.bytes, bytes);
            assert_int_equal(r.linear_elements, linear);
            assert_int_equal(r.linear_zeros, linear_zeros);
            assert_int_equal(linear, 33 * 32 + 4 * 32 * 32 + 2 * 48 * 32 + 32 * 32);
            assert_non_null(strstr(r.target, "-"));
            loaded_model_close(m);
            arena_free(&memory);
        }
}

static void times_of_runs(void **state) {
    arena memory = ARENA_INIT;
    loaded_model *m = open_tiny(state, HEAD_SEQUENCE_CLASSIFICATION, IR_F32);
    bench_options options = {.batch = 3, .sequence = 7, .warmup = 1, .iterations = 9, .seed = 1};
    run_profile *profile = run_profile_create();
    bench_result r;
    assert_int_equal(bench_run(m, &(road_options){.threads = 2, .no_cache = true}, &options, profile, &memory, NULL, &r), POFAC_OK);
    assert_true(r.min_ms > 0);
    assert_true(r.min_ms <= r.median_ms && r.median_ms <= r.p90_ms && r.p90_ms <= r.p99_ms);
    assert_true(r.sequences_per_second == 1e3 * 3 / r.median_ms);
    assert_true(r.tokens_per_second == r.sequences_per_second * 7);
    assert_int_equal(r.threads, 2);
    assert_true(r.memory.arena_bytes > 0 && r.memory.packed_weight_bytes > 0 && r.peak_memory_bytes > 1 << 20);
    assert_true(r.build_ms > 0 && r.pack_ms > 0);
    run_profile_destroy(profile);
    loaded_model_close(m);
    arena_free(&memory);
}

static void sequences_that_are_too_long(void **state) {
    arena memory = ARENA_INIT;
    strbuf said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    loaded_model *m = open_tiny(state, HEAD_NONE, IR_F32);
    bench_options options = {.batch = 1, .sequence = 25, .iterations = 1};
    run_profile *profile = run_profile_create();
    bench_result r;
    assert_int_equal(bench_run(m, &(road_options){0}, &options, profile, &memory, &sink, &r), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said), "error: --sequence is 25, the model takes at most 24 (max_position_embeddings)\n");
    run_profile_destroy(profile);
    strbuf_free(&said);
    loaded_model_close(m);
    arena_free(&memory);
}

/* ---- IR text in files ---- */

static const char text[] = "graph @g (T <= 8) {\n"
                           "  %1 = input {name = \"x\"} : f32[T,2]\n"
                           "  %2 = constant {data = \"c\"} : f32[2]\n"
                           "  %3 = add %1, %2 : f32[T,2]\n"
                           "  return \"y\" = %3\n"
                           "}\n";

static void constants_come_from_a_file_and_go_to_one(void **state) {
    const float numbers[2] = {1.5f, -2};
    char path[512], constants[512], copy[512];
    put_file(state, "g.pir", text, sizeof text - 1);
    put_safetensors(state, "c.safetensors", "{\"c\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}", numbers, 8);
    snprintf(path, sizeof path, "%s", file_path(state, "g.pir"));
    snprintf(constants, sizeof constants, "%s", file_path(state, "c.safetensors"));
    snprintf(copy, sizeof copy, "%s", file_path(state, "copy.safetensors"));
    for (int again = 0; again < 2; again++) {
        ir_context *c = context_create();
        ir_module *m;
        assert_int_equal(text_file_read(c, path, again ? copy : constants, NULL, &m), POFAC_OK);
        const ir_tensor *t = module_find_constant(m, "c");
        assert_non_null(t);
        assert_memory_equal(t->data, numbers, 8);
        if (!again) assert_int_equal(text_file_save_constants(m, copy, NULL), POFAC_OK);
        module_destroy(m);
        context_destroy(c);
    }
}

static void expect_read_error(void **state, const char *name, const char *constants, const char *said) {
    strbuf found = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&found);
    ir_context *c = context_create();
    ir_module *m = (ir_module *)&found; /* must become NULL */
    char path[512];
    snprintf(path, sizeof path, "%s", file_path(state, name));
    assert_int_equal(text_file_read(c, path, constants ? file_path(state, constants) : NULL, &sink, &m), POFAC_ERR_INPUT);
    assert_null(m);
    cut_directory(state, found.data);
    if (strncmp(strbuf_str(&found), said, strlen(said)) != 0) fail_msg("found %s, wanted %s", strbuf_str(&found), said);
    context_destroy(c);
    strbuf_free(&found);
}

static void files_of_text_that_are_wrong(void **state) {
    put_file(state, "g.pir", text, sizeof text - 1);
    put_file(state, "bad.pir", "graph @g (T <= 8) {\n  %1 = what : f32[2]\n}\n", 43);
    put_file(state, "empty.pir", "", 0);
    put_safetensors(state, "other.safetensors", "{\"d\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]}}", "x", 1);
    expect_read_error(state, "gone.pir", NULL, "gone.pir: error: ");
    expect_read_error(state, "bad.pir", NULL, "bad.pir:2:8: error: ");
    expect_read_error(state, "g.pir", "gone.safetensors", "gone.safetensors: error: ");
    expect_read_error(state, "g.pir", "other.safetensors", "g.pir:3:3: error: the file of constants has no tensor \"c\"\n");
}

static void everything_is_read(void **state) {
    enum { N = 200000 };
    char *bytes = malloc(N);
    strbuf found = STRBUF_INIT;
    assert_non_null(bytes);
    for (size_t i = 0; i < N; i++) bytes[i] = (char)(i % 251);
    put_file(state, "bytes", bytes, N);
    int fd = open(file_path(state, "bytes"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(text_file_slurp(fd, "bytes", NULL, &found), POFAC_OK);
    assert_int_equal(found.size, N);
    assert_memory_equal(found.data, bytes, N);
    strbuf_clear(&found);
    diag_sink sink = diag_sink_to_strbuf(&found);
    strbuf again = STRBUF_INIT;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    fail_alloc_after(1);
    assert_int_equal(text_file_slurp(fd, "bytes", NULL, &again), POFAC_ERR_RUNTIME);
    assert_true(fail_alloc_stop());
    strbuf_free(&again);
    assert_int_equal(close(fd), 0);
    assert_int_equal(text_file_slurp(-1, "nothing", &sink, &again), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&found), "nothing: error: cannot read: Bad file descriptor\n");
    strbuf_free(&found);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_parameters),           cmocka_unit_test(times_of_runs),
        cmocka_unit_test(sequences_that_are_too_long),  cmocka_unit_test(constants_come_from_a_file_and_go_to_one),
        cmocka_unit_test(files_of_text_that_are_wrong), cmocka_unit_test(everything_is_read),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
