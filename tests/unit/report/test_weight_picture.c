/* Pictures of weights: shares of blocks, rows and columns without entries, of dense tensors and of patterns alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/report/weight_picture.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"

enum { ROWS = 500, COLUMNS = 300, MOST = ROWS * COLUMNS };

typedef struct made_weight {
    float values[MOST];
    int64_t row_start[ROWS + 1];
    int32_t column[MOST];
    ir_pattern pattern;
} made_weight;

static made_weight made;

/* A tenth of the entries; none in row 7 and column 11. */
static void make_weight(void) {
    const rng_key key = rng_key_make(3, "weight");
    int64_t nnz = 0;
    for (int64_t r = 0; r < ROWS; r++) {
        made.row_start[r] = nnz;
        for (int64_t c = 0; c < COLUMNS; c++) {
            const bool there = r != 7 && c != 11 && rng_below(key, (uint64_t)(r * COLUMNS + c), 10) == 0;
            made.values[r * COLUMNS + c] = there ? -0.25f : 0;
            if (there) made.column[nnz++] = (int32_t)c;
        }
    }
    made.row_start[ROWS] = nnz;
    made.pattern = (ir_pattern){ROWS, COLUMNS, nnz, made.row_start, made.column};
}

static double share_of(int64_t y, int64_t x, const weight_picture *p) {
    int64_t n = 0, all = 0;
    for (int64_t r = y * p->block_rows; r < ROWS && r < (y + 1) * p->block_rows; r++)
        for (int64_t c = x * p->block_columns; c < COLUMNS && c < (x + 1) * p->block_columns; c++, all++)
            n += made.values[r * COLUMNS + c] != 0;
    return (double)n / (double)all;
}

static void check(const weight_picture *p) {
    assert_int_equal(p->block_rows, 3);
    assert_int_equal(p->block_columns, 2);
    assert_int_equal(p->height, 167);
    assert_int_equal(p->width, 150);
    assert_int_equal(p->nonzeros, made.pattern.nnz);
    assert_int_equal(p->empty_rows, 1);
    assert_int_equal(p->empty_columns, 1);
    double greatest = 0;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++) {
            const double wanted = share_of(y, x, p);
            if (p->share[y * p->width + x] != wanted)
                fail_msg("block %d, %d: found %g, wanted %g", (int)y, (int)x, p->share[y * p->width + x], wanted);
            greatest = fmax(greatest, wanted);
        }
    assert_true(p->greatest == greatest && p->least == 0);
}

static void dense_and_pattern_look_alike(void **state) {
    (void)state;
    const ir_tensor tensors[] = {
        tensor_view(IR_F32, 2, (const int64_t[]){ROWS, COLUMNS}, made.values),
        {.dtype = IR_F32, .rank = 1, .dims = {made.pattern.nnz}, .data = made.values, .pattern = &made.pattern}};
    for (size_t i = 0; i < 2; i++) {
        weight_picture p;
        strbuf out = STRBUF_INIT;
        assert_int_equal(weight_picture_make(&tensors[i], NULL, &p), POFAC_OK);
        check(&p);
        assert_int_equal(weight_picture_put(&p, "a<b", NULL, &out), POFAC_OK);
        assert_non_null(
            strstr(strbuf_str(&out), "width=\"150\" height=\"167\" alt=\"non-zeros of a&lt;b\" src=\"data:image/png;base64,"));
        strbuf_free(&out);
        weight_picture_free(&p);
    }
}

/* A matrix much taller than wide stays on the screen, and one of a row can be seen. */
static void odd_shapes_are_bounded(void **state) {
    (void)state;
    static const struct {
        int64_t rows, columns;
        const char *shown;
    } cases[] = {{400, 100, "style=\"width:min(100%,286px)\""},
                 {100, 100, "style=\"width:min(100%,384px)\""},
                 {1, 3000, "style=\"width:min(100%,384px);height:16px\""},
                 {3000, 2, "style=\"width:min(100%,16px);height:384px\""}};
    float *values = calloc(6000 * 10, sizeof *values);
    assert_non_null(values);
    values[0] = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ir_tensor t = tensor_view(IR_F32, 2, (const int64_t[]){cases[i].rows, cases[i].columns}, values);
        weight_picture p;
        strbuf out = STRBUF_INIT;
        assert_int_equal(weight_picture_make(&t, NULL, &p), POFAC_OK);
        assert_int_equal(weight_picture_put(&p, "w", NULL, &out), POFAC_OK);
        if (!strstr(strbuf_str(&out), cases[i].shown))
            fail_msg("%d x %d: found %.60s, wanted %s", (int)cases[i].rows, (int)cases[i].columns,
                     strstr(strbuf_str(&out), "style="), cases[i].shown);
        strbuf_free(&out);
        weight_picture_free(&p);
    }
    free(values);
}

static void zeros_alone_are_white(void **state) {
    (void)state;
    const float values[6] = {0};
    const ir_tensor t = tensor_view(IR_F32, 2, (const int64_t[]){2, 3}, values);
    weight_picture p;
    strbuf out = STRBUF_INIT;
    assert_int_equal(weight_picture_make(&t, NULL, &p), POFAC_OK);
    assert_true(p.greatest == 0 && p.empty_rows == 2 && p.empty_columns == 3);
    assert_int_equal(weight_picture_put(&p, "z", NULL, &out), POFAC_OK);
    strbuf_free(&out);
    weight_picture_free(&p);
}

static void vectors_are_refused(void **state) {
    (void)state;
    strbuf message = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&message);
    const ir_tensor t = tensor_view(IR_F32, 1, (const int64_t[]){5}, made.values);
    weight_picture p;
    assert_int_equal(weight_picture_make(&t, &sink, &p), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&message), "error: picture of a weight: found 1 dimensions, wanted a matrix with entries\n");
    strbuf_free(&message);
}

static void short_memory_is_told(void **state) {
    (void)state;
    const ir_tensor t = tensor_view(IR_F32, 2, (const int64_t[]){20, 30}, made.values);
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        weight_picture p;
        fail_alloc_after(n);
        const pofac_status status = weight_picture_make(&t, NULL, &p);
        const bool has_failed = fail_alloc_stop();
        if (status == POFAC_OK) weight_picture_free(&p);
        assert_int_equal(status, has_failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (!has_failed) break;
        failed++;
    }
    assert_int_equal(failed, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dense_and_pattern_look_alike), cmocka_unit_test(odd_shapes_are_bounded),
                                       cmocka_unit_test(zeros_alone_are_white), cmocka_unit_test(vectors_are_refused),
                                       cmocka_unit_test(short_memory_is_told)};
    make_weight();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
