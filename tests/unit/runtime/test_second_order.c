/*
 * Second-order pruning: inverses against direct ones of the same Fisher matrix, saliencies by their formula, the optimal update against the solution of its own
 * equations, gradients as non-zeros, gradients that are no numbers, threads, wrong options, failing allocations.
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

#include "ir/support/rng.h"
#include "ir/support/strbuf.h"
#include "runtime/second_order.h"
#include "tests/unit/fail_alloc.h"

enum { BLOCK = 50, MOST = 333 }; /* the last block has 33 entries, the last group of blocks is not full */

typedef struct curvature_case {
    thread_pool *pool;
    second_order *curvature;
    second_order_options options;
    int64_t n;
} curvature_case;

static void begin(curvature_case *c, int64_t n, int64_t n_gradients, size_t threads) {
    *c = (curvature_case){.options = second_order_options_default(), .n = n};
    c->options.n_gradients = n_gradients;
    assert_int_equal(thread_pool_create(threads, NULL, &c->pool), POFAC_OK);
    assert_int_equal(second_order_create(n, &c->options, c->pool, NULL, &c->curvature), POFAC_OK);
}

static void end(curvature_case *c) {
    second_order_destroy(c->curvature);
    thread_pool_destroy(c->pool);
}

/* Entries [first, first + n) of a gradient of `all`, of a size as training has them, related within a block. */
static void make_gradient(int64_t number, int64_t all, int64_t first, int64_t n, float *out) {
    const rng_key key = rng_key_make(7, "gradients");
    double level = 0;
    for (int64_t i = first; i < first + n; i++) {
        level = (i % BLOCK ? 0.8 * level : 0) + (double)rng_below(key, (uint64_t)(number * all + i), 2001) / 1000 - 1;
        out[i] = (float)(level * 1e-3 * (double)(1 + i % 5));
    }
}

static void add_gradients(curvature_case *c) {
    float gradient[MOST];
    for (int64_t g = 0; g < c->options.n_gradients; g++) {
        make_gradient(g, c->n, 0, c->n, gradient);
        second_order_add(c->curvature, gradient, NULL);
    }
}

/* The Fisher matrix of entries [first, first + n) into f[n][n]. */
static void make_fisher(const curvature_case *c, int64_t first, int64_t n, long double *f) {
    const long double m = (long double)c->options.n_gradients;
    float gradient[MOST];
    memset(f, 0, (size_t)(n * n) * sizeof *f);
    for (int64_t g = 0; g < c->options.n_gradients; g++) {
        make_gradient(g, c->n, first, n, gradient);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j <= i; j++) f[i * n + j] += (long double)gradient[first + i] * gradient[first + j];
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) f[j * n + i] = f[i * n + j] = f[i * n + j] / m + (i == j ? c->options.damping : 0);
}

/* x of a x = b, with n right sides, by Gauss and Jordan; a and b are overwritten, b by x. */
static void solve(long double *a, int64_t n, long double *b, int64_t sides) {
    for (int64_t p = 0; p < n; p++) {
        const long double pivot = a[p * n + p];
        for (int64_t j = 0; j < n; j++) a[p * n + j] /= pivot;
        for (int64_t j = 0; j < sides; j++) b[p * sides + j] /= pivot;
        for (int64_t i = 0; i < n; i++) {
            const long double share = a[i * n + p];
            if (i == p) continue;
            for (int64_t j = 0; j < n; j++) a[i * n + j] -= share * a[p * n + j];
            for (int64_t j = 0; j < sides; j++) b[i * sides + j] -= share * b[p * sides + j];
        }
    }
}

static void inverses_are_the_direct_ones(void **unused) {
    (void)unused;
    static long double fisher[BLOCK * BLOCK], inverse[BLOCK * BLOCK];
    curvature_case c;
    int64_t compared = 0;
    begin(&c, MOST, 1024, 2);
    add_gradients(&c);
    for (int64_t first = 0; first < MOST; first += BLOCK) {
        const int64_t n = MOST - first < BLOCK ? MOST - first : BLOCK;
        make_fisher(&c, first, n, fisher);
        memset(inverse, 0, sizeof inverse);
        for (int64_t i = 0; i < n; i++) inverse[i * n + i] = 1;
        solve(fisher, n, inverse, n);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++, compared++) {
                const double found = second_order_inverse(c.curvature, first + i, first + j), wanted = (double)inverse[i * n + j];
                if (!(fabs(found - wanted) <= 1e-5 * sqrt((double)(inverse[i * n + i] * inverse[j * n + j]))))
                    fail_msg("[%d,%d] is %.12g, wanted %.12g", (int)(first + i), (int)(first + j), found, wanted);
            }
    }
    assert_int_equal(compared, 6 * BLOCK * BLOCK + 33 * 33);
    assert_true(second_order_inverse(c.curvature, 49, 50) == 0); /* of different blocks */
    end(&c);
}

static void make_values(float *values) {
    const rng_key key = rng_key_make(9, "values");
    for (uint64_t i = 0; i < MOST; i++) values[i] = (float)(0.05 * rng_normal(key, i));
    values[3] = 0;
}

static void saliency_is_half_of_w_squared_over_the_inverse(void **unused) {
    (void)unused;
    curvature_case c;
    float values[MOST], scores[MOST];
    make_values(values);
    begin(&c, MOST, 40, 1);
    add_gradients(&c);
    second_order_saliency(c.curvature, values, scores);
    for (int64_t i = 0; i < MOST; i++) {
        const double w = (double)values[i], wanted = w * w / (2 * second_order_inverse(c.curvature, i, i));
        if (!(fabs((double)scores[i] - wanted) <= 1e-7 * wanted)) fail_msg("score %d is %g, wanted %g", (int)i, scores[i], wanted);
    }
    assert_true(scores[3] == 0 && scores[4] > 0);
    end(&c);
}

/* What stays is where the quadratic form is least, F_RR d_R = F_RQ w_Q, with what goes at 0. */
static void the_rest_of_a_block_makes_up_for_what_goes(void **unused) {
    (void)unused;
    static long double fisher[BLOCK * BLOCK], kept[BLOCK * BLOCK], change[BLOCK];
    curvature_case c;
    float values[MOST], pruned[MOST];
    uint8_t mask[MOST];
    double moved = 0;
    make_values(values);
    memcpy(pruned, values, sizeof values);
    for (int64_t i = 0; i < MOST; i++) mask[i] = i / BLOCK == 1 || (i * 7 % 10 < 3 && i != 3); /* nothing goes from block 1 */
    begin(&c, MOST, 200, 3);
    add_gradients(&c);
    second_order_prune(c.curvature, mask, pruned);
    for (int64_t first = 0; first < MOST; first += BLOCK) {
        const int64_t n = MOST - first < BLOCK ? MOST - first : BLOCK;
        int64_t rest[BLOCK], n_rest = 0;
        make_fisher(&c, first, n, fisher);
        for (int64_t i = 0; i < n; i++)
            if (mask[first + i]) rest[n_rest++] = i;
        for (int64_t i = 0; i < n_rest; i++) {
            change[i] = 0;
            for (int64_t j = 0; j < n_rest; j++) kept[i * n_rest + j] = fisher[rest[i] * n + rest[j]];
            for (int64_t j = 0; j < n; j++) change[i] += mask[first + j] ? 0 : fisher[rest[i] * n + j] * values[first + j];
        }
        solve(kept, n_rest, change, 1);
        for (int64_t i = 0; i < n; i++)
            if (!mask[first + i]) assert_true(pruned[first + i] == 0);
        for (int64_t i = 0; i < n_rest; i++) {
            const double found = (double)pruned[first + rest[i]], wanted = (double)(values[first + rest[i]] + change[i]);
            if (!(fabs(found - wanted) <= 1e-6)) fail_msg("entry %d is %g, wanted %g", (int)(first + rest[i]), found, wanted);
            moved += fabs((double)change[i]);
        }
    }
    assert_true(moved > 0.1); /* it is no small matter */
    assert_memory_equal(pruned + BLOCK, values + BLOCK, BLOCK * sizeof *values);
    end(&c);
}

/* Under a mask, gradients have its elements alone: what is pruned has no part in the curvature of the rest, and is not moved. */
static void gradients_as_non_zeros(void **unused) {
    (void)unused;
    enum { ROWS = 9, COLUMNS = 37 };
    int64_t row_start[ROWS + 1] = {0};
    int32_t column[MOST];
    float gradient[MOST], packed[MOST];
    curvature_case sparse, dense;
    ir_pattern p = {.n_rows = ROWS, .n_columns = COLUMNS, .row_start = row_start, .column = column};
    for (int64_t i = 0; i < MOST; i++) {
        if (i % 3 == 0) column[p.nnz++] = (int32_t)(i % COLUMNS);
        row_start[i / COLUMNS + 1] = p.nnz;
    }
    begin(&sparse, MOST, 20, 1);
    begin(&dense, MOST, 20, 1);
    for (int64_t g = 0; g < 20; g++) {
        int64_t n = 0;
        make_gradient(g, MOST, 0, MOST, gradient);
        for (int64_t i = 0; i < MOST; i++) {
            if (i % 3 == 0) packed[n++] = gradient[i];
            else gradient[i] = 0;
        }
        assert_int_equal(n, p.nnz);
        second_order_add(sparse.curvature, packed, &p);
        second_order_add(dense.curvature, gradient, NULL);
    }
    for (int64_t i = 0; i < MOST; i++)
        for (int64_t j = i / BLOCK * BLOCK; j <= i; j++)
            assert_true(second_order_inverse(sparse.curvature, i, j) == second_order_inverse(dense.curvature, i, j));
    assert_true(second_order_inverse(sparse.curvature, 4, 4) == 1 / sparse.options.damping);
    assert_true(second_order_inverse(sparse.curvature, 4, 3) == 0);
    end(&sparse);
    end(&dense);
}

static void gradients_that_are_no_numbers_are_left_out(void **unused) {
    (void)unused;
    curvature_case with, without;
    float gradient[MOST];
    begin(&with, MOST, 30, 1);
    begin(&without, MOST, 30, 1);
    for (int64_t g = 0; g < 30; g++) {
        make_gradient(g, MOST, 0, MOST, gradient);
        if (g != 5) second_order_add(without.curvature, gradient, NULL);
        if (g == 5)
            for (int64_t i = 0; i < MOST; i += BLOCK) gradient[i + 2] = i % 100 ? NAN : INFINITY;
        second_order_add(with.curvature, gradient, NULL);
    }
    for (int64_t i = 0; i < MOST; i++)
        if (second_order_inverse(with.curvature, i, i) != second_order_inverse(without.curvature, i, i))
            fail_msg("[%d,%d] is %g, wanted %g", (int)i, (int)i, second_order_inverse(with.curvature, i, i),
                     second_order_inverse(without.curvature, i, i));
    end(&with);
    end(&without);
}

static void threads_change_nothing(void **unused) {
    (void)unused;
    enum { MANY = 20011 };
    static float gradient[MANY], scores[2][MANY], values[2][MANY];
    static uint8_t mask[MANY];
    for (int64_t i = 0; i < MANY; i++) mask[i] = i % 4 == 1;
    for (size_t t = 0; t < 2; t++) {
        curvature_case c;
        begin(&c, MANY, 19, t ? 3 : 1);
        for (int64_t g = 0; g < 19; g++) {
            make_gradient(g, MANY, 0, MANY, gradient);
            second_order_add(c.curvature, gradient, NULL);
        }
        make_gradient(19, MANY, 0, MANY, values[t]);
        second_order_saliency(c.curvature, values[t], scores[t]);
        second_order_prune(c.curvature, mask, values[t]);
        end(&c);
    }
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    assert_memory_equal(values[0], values[1], sizeof values[0]);
}

static void wrong_options(void **unused) {
    (void)unused;
    static const struct {
        second_order_options options;
        const char *message;
    } cases[] = {
        {{0, 1024, 1e-7}, "error: fisher_block_size is 0, wanted 1 to 1024\n"},
        {{1025, 1024, 1e-7}, "error: fisher_block_size is 1025, wanted 1 to 1024\n"},
        {{50, 0, 1e-7}, "error: fisher_gradients is 0, wanted at least 1\n"},
        {{50, 1, 0}, "error: fisher_damping is 0, wanted a number above 0\n"},
        {{50, 1, (double)INFINITY}, "error: fisher_damping is inf, wanted a number above 0\n"},
    };
    thread_pool *pool;
    second_order *out;
    assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf messages = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&messages);
        assert_int_equal(second_order_create(10, &cases[i].options, pool, &sink, &out), POFAC_ERR_USAGE);
        assert_string_equal(strbuf_str(&messages), cases[i].message);
        assert_null(out);
        strbuf_free(&messages);
    }
    const second_order_options o = second_order_options_default();
    assert_int_equal(second_order_bytes(85 * 1000 * 1000, &o), INT64_C(1700000) * (1275 * 8) + INT64_C(85000000) * 64);
    assert_true(second_order_bytes(INT64_MAX / 8, &o) == INT64_MAX);
    assert_int_equal(second_order_create(INT64_MAX / 8, &o, pool, NULL, &out), POFAC_ERR_RUNTIME);
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        const pofac_status status = second_order_create(100, &o, pool, NULL, &out);
        if (!fail_alloc_stop()) break;
        assert_int_equal(status, POFAC_ERR_RUNTIME);
    }
    second_order_destroy(out);
    thread_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverses_are_the_direct_ones),
        cmocka_unit_test(saliency_is_half_of_w_squared_over_the_inverse),
        cmocka_unit_test(the_rest_of_a_block_makes_up_for_what_goes),
        cmocka_unit_test(gradients_as_non_zeros),
        cmocka_unit_test(gradients_that_are_no_numbers_are_left_out),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
