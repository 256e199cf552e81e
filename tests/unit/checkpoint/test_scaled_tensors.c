/* Weights of few bits in files: what readers see of them, element by element, and scales that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "frontend/checkpoint/scaled_tensors.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

/* ---- 8 bits ---- */

static void test_8_bits(void **state) {
    static const struct {
        float scales[2], one;
        int8_t numbers[6], whole[2];
        char others[2];
    } data = {{0.5f, 2}, 0.25f, {1, -2, 127, -128, 0, 3}, {4, -4}, {7, 9}};
    put_safetensors(state, "8.safetensors",
                    "{\"w\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[12,18]},"
                    "\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                    "\"v\":{\"dtype\":\"I8\",\"shape\":[1,2],\"data_offsets\":[18,20]},"
                    "\"v.scale\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},"
                    "\"w.ids\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[20,22]}}",
                    &data, 22);
    checkpoint *c = expect_open(state, "8.safetensors");
    assert_int_equal(checkpoint_size(c), 3);
    assert_null(checkpoint_get(c, "w.scale"));
    const checkpoint_tensor *w = checkpoint_get(c, "w"), *v = checkpoint_get(c, "v"), *ids = checkpoint_get(c, "w.ids");
    assert_true(w && v && ids && w->dtype == IR_F32 && ids->dtype == IR_I8);
    assert_true(w->rank == 2 && w->dims[0] == 2 && w->dims[1] == 3);
    assert_false(checkpoint_is_packed(w));
    assert_int_equal(checkpoint_bytes(w), 6);
    assert_int_equal(checkpoint_bytes(ids), 2);
    static const float wanted[6] = {0.5f, -1, 63.5f, -256, 0, 6}, wanted_v[2] = {1, -1};
    float found[6];
    checkpoint_read_f32(w, found);
    assert_memory_equal(found, wanted, sizeof wanted);
    memset(found, 0, sizeof found);
    checkpoint_read_bytes(w, found); /* as what its dtype says */
    assert_memory_equal(found, wanted, sizeof wanted);
    checkpoint_read_f32(v, found);
    assert_memory_equal(found, wanted_v, sizeof wanted_v);
    ir_tensor t;
    assert_int_equal(checkpoint_load(w, IR_F32, NULL, &t), POFAC_OK);
    assert_true(t.owned);
    assert_memory_equal(t.data, wanted, sizeof wanted);
    tensor_free(&t);
    checkpoint_release(c, w);
    checkpoint_read_f32(w, found);
    assert_memory_equal(found, wanted, sizeof wanted);
    checkpoint_close(c);
}

/* ---- 4 bits ---- */

enum { ROWS = 2, COLUMNS = 70, GROUPS = 3 };

static void test_4_bits(void **state) {
    struct {
        float scales[ROWS * GROUPS];
        unsigned char numbers[ROWS * COLUMNS / 2];
    } data;
    for (int i = 0; i < ROWS * GROUPS; i++) data.scales[i] = (float)(i + 1);
    for (int i = 0; i < ROWS * COLUMNS / 2; i++) data.numbers[i] = (unsigned char)(37 * i);
    put_safetensors(state, "4.safetensors",
                    "{\"w\":{\"dtype\":\"U8\",\"shape\":[2,35],\"data_offsets\":[24,94]},"
                    "\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
                    &data, 94);
    checkpoint *c = expect_open(state, "4.safetensors");
    assert_int_equal(checkpoint_size(c), 1);
    const checkpoint_tensor *w = checkpoint_at(c, 0);
    assert_true(w->dims[0] == ROWS && w->dims[1] == COLUMNS && w->dtype == IR_F32);
    assert_int_equal(checkpoint_bytes(w), ROWS * COLUMNS / 2);
    float found[ROWS * COLUMNS];
    checkpoint_read_f32(w, found);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const int byte = (unsigned char)(37 * (i / 2)), nibble = i % 2 ? byte / 16 : byte % 16;
        const float wanted = (float)((nibble - 8) * (i / COLUMNS * GROUPS + i % COLUMNS / 32 + 1));
        if (found[i] != wanted)
            fail_msg("[%d,%d]: found %g, wanted %g", i / COLUMNS, i % COLUMNS, (double)found[i], (double)wanted);
    }
    checkpoint_close(c);
}

/* ---- what does not fit ---- */

#define FORMS ", wanted floats [] or [N] of i8 [N,K], or [N,K/32] of u8 [N,K/2]"

static void test_scales_that_do_not_fit(void **state) {
    static const struct {
        const char *numbers, *scale;
        size_t scale_bytes;
        float value;
        const char *said;
    } cases[] = {
        {"\"I8\",\"shape\":[2,4]", "\"F32\",\"shape\":[3]", 12, 1, "found scales that do not fit the tensor \"w\"" FORMS},
        {"\"I8\",\"shape\":[2,4]", "\"F32\",\"shape\":[2,1]", 8, 1, "found scales that do not fit the tensor \"w\"" FORMS},
        {"\"I8\",\"shape\":[8]", "\"F32\",\"shape\":[]", 4, 1, "found scales that do not fit the tensor \"w\"" FORMS},
        {"\"I8\",\"shape\":[2,4]", "\"I32\",\"shape\":[2]", 8, 1, "found scales that do not fit the tensor \"w\"" FORMS},
        {"\"U8\",\"shape\":[2,4]", "\"F32\",\"shape\":[2]", 8, 1, "found scales that do not fit the tensor \"w\"" FORMS},
        {"\"U8\",\"shape\":[2,4]", "\"F32\",\"shape\":[2,2]", 16, 1, "found scales that do not fit the tensor \"w\"" FORMS},
        {"\"I8\",\"shape\":[2,4]", "\"F32\",\"shape\":[]", 4, 0, "found 0 among the scales, wanted numbers above 0"},
        {"\"I8\",\"shape\":[2,4]", "\"F32\",\"shape\":[]", 4, -1, "found -1 among the scales, wanted numbers above 0"},
        {"\"I8\",\"shape\":[2,4]", "\"F32\",\"shape\":[]", 4, __builtin_inff(),
         "found inf among the scales, wanted numbers above 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[300], said[300];
        struct {
            float scales[4];
            char numbers[8];
        } data = {{0}, {1}};
        for (int k = 0; k < 4; k++) data.scales[k] = cases[i].value;
        const size_t first = cases[i].scale_bytes;
        snprintf(header, sizeof header,
                 "{\"w\":{\"dtype\":%s,\"data_offsets\":[%zu,%zu]},\"w.scale\":{\"dtype\":%s,\"data_offsets\":[0,%zu]}}",
                 cases[i].numbers, first, first + 8, cases[i].scale, first);
        put_safetensors(state, "wrong.safetensors", header, &data, first + 8);
        snprintf(said, sizeof said, "wrong.safetensors: error: tensor \"w.scale\": %s\n", cases[i].said);
        expect_open_fails(state, "wrong.safetensors", said);
    }
}

/* A scale of nothing, or of floats, is a tensor like others. */
static void test_other_scales(void **state) {
    static const float data[3] = {1, 2, 3};
    put_safetensors(state, "plain.safetensors",
                    "{\".scale\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                    "\"n.scale\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
                    "\"n.scal\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}",
                    data, sizeof data);
    checkpoint *c = expect_open(state, "plain.safetensors");
    assert_int_equal(checkpoint_size(c), 3);
    assert_non_null(checkpoint_get(c, "n.scale"));
    checkpoint_close(c);
}

static void test_short_memory(void **state) {
    static const float data[3] = {1, 2, 3};
    put_safetensors(state, "s.safetensors",
                    "{\"w\":{\"dtype\":\"I8\",\"shape\":[2,2],\"data_offsets\":[8,12]},"
                    "\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
                    data, sizeof data);
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        checkpoint *c = NULL;
        fail_alloc_after(n);
        const pofac_status status = checkpoint_open(file_path(state, "s.safetensors"), NULL, &c);
        if (!fail_alloc_stop()) {
            assert_int_equal(status, POFAC_OK);
            checkpoint_close(c);
            break;
        }
        failed += status != POFAC_OK;
        if (status == POFAC_OK) checkpoint_close(c);
    }
    assert_true(failed > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_8_bits), cmocka_unit_test(test_4_bits),
                                       cmocka_unit_test(test_scales_that_do_not_fit), cmocka_unit_test(test_other_scales),
                                       cmocka_unit_test(test_short_memory)};
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
