/* Weights as whole numbers and scales: written, read back, and held against what the formulas give here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/stored_weights.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"

enum { ROWS = 5, COLUMNS = 70 };

static void make_weights(float *w) {
    rng_normals(rng_key_make(5, "weights"), 0, (size_t)ROWS * COLUMNS, 0.5, w);
    for (int i = 0; i < ROWS * COLUMNS; i += 3) w[i] = 0;     /* pruned */
    for (int k = 0; k < COLUMNS; k++) w[2 * COLUMNS + k] = 0; /* a row of nothing */
    w[3 * COLUMNS + 40] = -30;                                /* an outlier */
}

/* Writes the weight as `how` says and reads it back; returns the bytes of its whole numbers. */
static int64_t there_and_back(void **state, const float *w, int64_t columns, const weight_storage *how, float *back) {
    arena a = ARENA_INIT;
    thread_pool *pool;
    safetensors_item items[2];
    const char *path = file_path(state, "stored.safetensors");
    assert_int_equal(thread_pool_create(2, NULL, &pool), POFAC_OK);
    assert_int_equal(stored_weight_make("layer.weight", w, ROWS, columns, how, pool, &a, NULL, items), POFAC_OK);
    assert_string_equal(items[0].name, "layer.weight");
    assert_int_equal(safetensors_write(path, items, 2, NULL, 0, NULL), POFAC_OK);
    thread_pool_destroy(pool);
    arena_free(&a);
    checkpoint *c = expect_open(state, "stored.safetensors");
    assert_int_equal(checkpoint_size(c), 1);
    const checkpoint_tensor *t = checkpoint_get(c, "layer.weight");
    assert_true(t && t->rank == 2 && t->dims[0] == ROWS && t->dims[1] == columns);
    checkpoint_read_f32(t, back);
    const int64_t bytes = checkpoint_bytes(t);
    checkpoint_close(c);
    return bytes;
}

/* Each element is the nearest of the whole numbers times its scale. */
static void check_element(float w, float back, double scale, int bits, int row, int column) {
    const double half = (double)(1 << (bits - 1)), q = fmin(fmax(nearbyint(w / scale), -half), half - 1);
    if (fabs((double)back - q * scale) > 1e-6 * scale * half)
        fail_msg("[%d,%d]: found %g, wanted %g of %g", row, column, (double)back, q * scale, (double)w);
    if (w == 0 && back != 0) fail_msg("[%d,%d]: found %g of a zero", row, column, (double)back);
}

static void test_8_bits(void **state) {
    float w[ROWS * COLUMNS], back[ROWS * COLUMNS], most[ROWS] = {0}, all = 0;
    make_weights(w);
    for (int i = 0; i < ROWS * COLUMNS; i++) most[i / COLUMNS] = fmaxf(most[i / COLUMNS], fabsf(w[i]));
    for (int row = 0; row < ROWS; row++) all = fmaxf(all, most[row]);
    for (int by_row = 0; by_row <= 1; by_row++) {
        const weight_storage how = {.bits = 8, .by_row = by_row};
        assert_int_equal(there_and_back(state, w, COLUMNS, &how, back), ROWS * COLUMNS);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            const double scale = fmax((double)(by_row ? most[i / COLUMNS] : all) / 127.5, 0x1p-23);
            check_element(w[i], back[i], scale, 8, i / COLUMNS, i % COLUMNS);
        }
    }
}

static void test_ranges_that_are_given(void **state) {
    float w[ROWS * COLUMNS], back[ROWS * COLUMNS];
    static const float one[1][2] = {{-1, 0.5f}}, many[ROWS][2] = {{-1, 1}, {-2, 1}, {-3, 3}, {-4, 0}, {0, 5}};
    make_weights(w);
    (void)there_and_back(state, w, COLUMNS, &(weight_storage){.bits = 8, .ranges = one}, back);
    for (int i = 0; i < ROWS * COLUMNS; i++) check_element(w[i], back[i], 1 / 127.5, 8, i / COLUMNS, i % COLUMNS);
    (void)there_and_back(state, w, COLUMNS, &(weight_storage){.bits = 8, .by_row = true, .ranges = many}, back);
    for (int i = 0; i < ROWS * COLUMNS; i++) check_element(w[i], back[i], (i / COLUMNS + 1) / 127.5, 8, i / COLUMNS, i % COLUMNS);
}

static void test_4_bits(void **state) {
    float w[ROWS * COLUMNS], back[ROWS * COLUMNS], again[ROWS * COLUMNS];
    make_weights(w);
    assert_int_equal(there_and_back(state, w, COLUMNS, &(weight_storage){.bits = 4}, back), ROWS * COLUMNS / 2);
    double error = 0, error_of_search = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const int row = i / COLUMNS, first = i % COLUMNS / 32 * 32, end = first + 32 < COLUMNS ? first + 32 : COLUMNS;
        float most = 0;
        for (int k = first; k < end; k++) most = fmaxf(most, fabsf(w[row * COLUMNS + k]));
        const double scale = (double)bf16_to_float(float_to_bf16(fmaxf(most / 7.5f, 0x1p-23f)));
        check_element(w[i], back[i], scale, 4, row, i % COLUMNS);
        error += ((double)back[i] - w[i]) * ((double)back[i] - w[i]);
    }
    (void)there_and_back(state, w, COLUMNS, &(weight_storage){.bits = 4, .method = CALIBRATE_MSE}, again);
    for (int i = 0; i < ROWS * COLUMNS; i++) error_of_search += ((double)again[i] - w[i]) * ((double)again[i] - w[i]);
    if (!(error_of_search < 0.95 * error)) fail_msg("error %g by search, %g without", error_of_search, error);
}

/* 4 bits of an odd number of columns: 8. */
static void test_odd_columns(void **state) {
    float w[ROWS * COLUMNS], back[ROWS * COLUMNS];
    make_weights(w);
    assert_int_equal(there_and_back(state, w, COLUMNS - 1, &(weight_storage){.bits = 4, .by_row = true}, back),
                     ROWS * (COLUMNS - 1));
    for (int i = 0; i < ROWS * (COLUMNS - 1); i++) {
        float most = 0;
        for (int k = 0; k < COLUMNS - 1; k++) most = fmaxf(most, fabsf(w[i / (COLUMNS - 1) * (COLUMNS - 1) + k]));
        check_element(w[i], back[i], fmax((double)most / 127.5, 0x1p-23), 8, i / (COLUMNS - 1), i % (COLUMNS - 1));
    }
}

static void test_what_is_not_finite(void **state) {
    (void)state;
    float w[ROWS * COLUMNS];
    thread_pool *pool;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    make_weights(w);
    w[77] = NAN;
    for (int bits = 4; bits <= 8; bits += 4) {
        arena a = ARENA_INIT;
        safetensors_item items[2];
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        const weight_storage how = {.bits = bits};
        assert_int_equal(stored_weight_make("w", w, ROWS, COLUMNS, &how, pool, &a, &sink, items), POFAC_ERR_NUMERIC);
        assert_string_equal(strbuf_str(&said), "error: w: found a weight that is NaN or infinite, wanted numbers\n");
        strbuf_free(&said);
        arena_free(&a);
    }
    thread_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_8_bits), cmocka_unit_test(test_ranges_that_are_given),
                                       cmocka_unit_test(test_4_bits), cmocka_unit_test(test_odd_columns),
                                       cmocka_unit_test(test_what_is_not_finite)};
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
