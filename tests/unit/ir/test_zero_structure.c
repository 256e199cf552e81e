/* Structures of zeros: each that is drawn is found, at any share of non-zeros, and none where zeros stand anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/support/rng.h"
#include "ir/zero_structure.h"

typedef struct drawn {
    int64_t N, K;
    unsigned R, C;        /* blocks, */
    double density, fill; /* a share of them, and of their elements */
    unsigned keep, of;    /* and of those, at most so many of every M columns; 0, 0: all */
    ir_dtype dtype;
} drawn;

static ir_tensor draw(const drawn *d) {
    const int64_t dims[2] = {d->N, d->K};
    const rng_key blocks = rng_key_make(1, "blocks"), elements = rng_key_make(1, "elements");
    ir_tensor t;
    assert_int_equal(tensor_alloc(d->dtype, 2, dims, &t), POFAC_OK);
    for (int64_t i = 0; i < d->N; i++)
        for (int64_t k = 0, found = 0; k < d->K; k++) {
            if (d->of && k % d->of == 0) found = 0;
            bool some = rng_uniform(blocks, (uint64_t)(i / d->R * d->K + k / d->C)) < d->density &&
                        rng_uniform(elements, (uint64_t)(i * d->K + k)) < d->fill && (!d->of || found < d->keep);
            found += some;
            tensor_set(&t, i * d->K + k, some ? -0.25 : k % 2 ? -0.0 : 0.0);
        }
    return t;
}

static void expect(const drawn *d, const char *wanted) {
    ir_tensor t = draw(d);
    const zero_structure s = zero_structure_find(&t);
    strbuf text = STRBUF_INIT;
    zero_structure_print(&s, &text);
    if (strcmp(strbuf_str(&text), wanted) != 0)
        fail_msg("[%lld,%lld] in %ux%u of density %g, full to %g, %u:%u, %s: found \"%s\" (fill %u), wanted \"%s\"",
                 (long long)d->N, (long long)d->K, d->R, d->C, d->density, d->fill, d->keep, d->of, dtype_name(d->dtype),
                 strbuf_str(&text), s.fill, wanted);
    if (s.fill > 1000 || (s.fill == 0) != (s.block_rows == 0))
        fail_msg("fill %u of blocks %ux%u", s.fill, s.block_rows, s.block_columns);
    strbuf_free(&text);
    tensor_free(&t);
}

static void blocks_of_every_shape(void **state) {
    (void)state;
    static const ir_dtype dtypes[] = {IR_F32, IR_F16, IR_BF16, IR_F64};
    unsigned n = 0;
    for (unsigned R = 1; R <= 16; R *= 2)
        for (unsigned C = 1; C <= 16; C *= 2)
            for (int tenths = 1; tenths <= 5; tenths += 4) {
                char wanted[16] = "";
                if (R > 1 || C > 2) /* pairs within a row win too little */
                    snprintf(wanted, sizeof wanted, "%ux%u", R, C);
                expect(&(drawn){256, 160, R, C, tenths / 10.0, 1, 0, 0, dtypes[n++ % 4]}, wanted);
            }
}

/* Blocks with some zeros in them are blocks as long as they pay. */
static void blocks_with_holes(void **state) {
    (void)state;
    expect(&(drawn){256, 768, 4, 1, 0.1, 0.95, 0, 0, IR_F32}, "4x1");
    expect(&(drawn){256, 768, 8, 1, 0.1, 0.9, 0, 0, IR_F32}, "8x1");
    expect(&(drawn){256, 768, 8, 1, 0.1, 0.6, 0, 0, IR_F32}, "");
    expect(&(drawn){256, 768, 1, 4, 0.1, 0.9, 0, 0, IR_F32}, ""); /* which win too little */
}

static void some_of_every_few_columns(void **state) {
    (void)state;
    expect(&(drawn){64, 256, 1, 1, 1, 1, 2, 4, IR_F32}, "16x2 2:4"); /* the first two of four */
    expect(&(drawn){64, 256, 1, 1, 1, 0.8, 2, 4, IR_F16}, "2:4");
    expect(&(drawn){64, 256, 1, 1, 1, 0.8, 1, 4, IR_BF16}, "1:4");
    expect(&(drawn){64, 256, 1, 1, 1, 0.5, 1, 8, IR_F64}, "1:8");
    expect(&(drawn){64, 250, 1, 1, 1, 0.8, 2, 4, IR_F32}, "2:4"); /* a last group of two columns */
    expect(&(drawn){300, 256, 4, 1, 0.9, 1, 1, 4, IR_F32}, "4x1 1:4");
    expect(&(drawn){64, 256, 1, 1, 1, 0.25, 2, 4, IR_F32}, ""); /* too few for the places */
    expect(&(drawn){64, 256, 1, 1, 1, 0.7, 3, 4, IR_F32}, "");  /* more than half */
}

/* N of M holds for every row, also those whose blocks are not counted. */
static void one_row_breaks_a_rule(void **state) {
    (void)state;
    const drawn d = {4096, 64, 1, 1, 1, 0.8, 2, 4, IR_F32};
    ir_tensor t = draw(&d);
    assert_int_equal(zero_structure_find(&t).of, 4);
    for (int64_t row = 0; row < d.N; row += 455) {
        float *data = (float *)t.data + row * d.K, before[64];
        memcpy(before, data, sizeof before);
        for (int k = 60; k < 63; k++) data[k] = 1;
        zero_structure s = zero_structure_find(&t);
        if (s.of == 4)
            fail_msg("row %lld has three non-zeros in four columns, and the weight is %u:%u", (long long)row, s.keep, s.of);
        memcpy(data, before, sizeof before);
    }
    tensor_free(&t);
}

static void no_structure(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {3, 5}, {17, 65}, {768, 768}, {2, 768}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const drawn d = {shapes[i][0], shapes[i][1], 1, 1, 0.3, 1, 0, 0, IR_F32};
        ir_tensor t = draw(&d);
        zero_structure s = zero_structure_find(&t);
        assert_true(s.block_rows <= 16 && s.block_columns <= 16 && s.keep <= s.of && s.fill <= 1000);
        if (shapes[i][0] > 17) assert_true(s.fill == 0 && s.of == 0);
        memset(t.data, 0, tensor_bytes(&t));
        s = zero_structure_find(&t);
        assert_true(zero_structure_equal(&s, &(zero_structure){0})); /* all zero */
        tensor_free(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_every_shape), cmocka_unit_test(blocks_with_holes), cmocka_unit_test(some_of_every_few_columns),
        cmocka_unit_test(one_row_breaks_a_rule), cmocka_unit_test(no_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
