/* Orders of examples: every one once per epoch, bounds kept, the same for a seed and epoch for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frontend/data/batch_order.h"
#include "frontend/data/shuffled_index.h"
#include "tests/unit/data/made_examples.h"
#include "tests/unit/fail_alloc.h"

static void shuffles_are_bijections(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 100, 1023, 4096, 5000, 65537};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const uint64_t n = sizes[k];
        bool *seen = calloc(n, 1);
        assert_non_null(seen);
        const shuffled_index s = shuffled_index_make(42, 3, n);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t at = shuffled_index_at(&s, i);
            if (at >= n || seen[at]) fail_msg("%d things: place %d has %d, again or beyond", (int)n, (int)i, (int)at);
            seen[at] = true;
        }
        free(seen);
    }
    const shuffled_index large = shuffled_index_make(1, 0, UINT64_C(1) << 61);
    assert_true(shuffled_index_at(&large, 7) < UINT64_C(1) << 61);
}

/* Where 0 comes to stand is uniform over orders: a chi-square test of 8 places, which 0.1 % of fair shuffles fail. */
static void shuffles_are_fair(void **state) {
    (void)state;
    double chi = 0;
    int count[8][8] = {{0}};
    for (uint64_t order = 0; order < 8000; order++) {
        const shuffled_index s = shuffled_index_make(9, order, 8);
        for (uint64_t i = 0; i < 8; i++) count[i][shuffled_index_at(&s, i)]++;
    }
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 8; k++) chi += (count[i][k] - 1000.0) * (count[i][k] - 1000.0) / 1000.0;
    if (chi > 85.4) fail_msg("chi-square of 49 degrees of freedom is %g, wanted at most 85.4", chi);
}

static void put_order(const batch_order_options *o, const example_source *s, uint64_t epoch, strbuf *out) {
    batch_chunk c = {0};
    for (uint64_t chunk = 0; chunk < batch_order_chunks(o, s->n_examples); chunk++) {
        assert_int_equal(batch_chunk_make(&c, o, s, epoch, chunk, NULL), POFAC_OK);
        strbuf_puts(out, chunk ? " | " : "");
        for (size_t b = 0; b < c.batches.size; b++) {
            strbuf_puts(out, b ? " / " : "");
            for (size_t i = 0; i < c.batches.data[b].n; i++) {
                const ordered_example *e = &c.examples.data[c.batches.data[b].first + i];
                strbuf_printf(out, "%s%d:%d", i ? " " : "", (int)e->number, (int)e->n_tokens);
            }
        }
    }
    batch_chunk_free(&c);
}

static void expect_order(const batch_order_options *o, const example_source *s, uint64_t epoch, const char *wanted) {
    strbuf found = STRBUF_INIT;
    put_order(o, s, epoch, &found);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
}

/* number:tokens, "/" between batches, "|" between chunks: what a seed stands for, which checkpoints depend on. */
static void orders_stay_as_they_are(void **state) {
    (void)state;
    const made_examples m = {.n = 18, .max_length = 20};
    const example_source s = made_source(&m);
    batch_order_options o = {.arrangement = BATCH_IN_ORDER, .batch_size = 4};
    expect_order(&o, &s, 0, "0:13 1:1 2:14 3:3 | 4:1 5:5 6:6 7:18 | 8:4 9:1 10:1 11:10 | 12:4 13:1 14:3 15:12 | 16:12 17:6");
    o.arrangement = BATCH_SHUFFLED;
    expect_order(&o, &s, 0, "8:4 13:1 16:12 2:14 | 3:3 4:1 10:1 1:1 | 6:6 7:18 0:13 14:3 | 12:4 9:1 5:5 17:6 | 15:12 11:10");
    expect_order(&o, &s, 1, "1:1 9:1 10:1 2:14 | 8:4 14:3 3:3 5:5 | 0:13 12:4 4:1 6:6 | 13:1 17:6 11:10 16:12 | 7:18 15:12");
    o.seed = 42;
    expect_order(&o, &s, 0, "1:1 8:4 5:5 12:4 | 15:12 16:12 3:3 7:18 | 11:10 10:1 0:13 17:6 | 2:14 13:1 14:3 9:1 | 6:6 4:1");
    o.batch_size = 2;
    o.arrangement = BATCH_BY_LENGTH;
    expect_order(&o, &s, 0,
                 "5:5 8:4 / 12:4 1:1 | 16:12 3:3 / 7:18 15:12 | 0:13 11:10 / 17:6 10:1 | 13:1 9:1 / 2:14 14:3 | 6:6 4:1");
    o.batch_size = 0;
    o.token_budget = 24;
    o.form = BATCH_PACKED;
    expect_order(&o, &s, 0, "5:5 8:4 12:4 1:1 | 15:12 16:12 / 7:18 / 3:3 | 0:13 11:10 / 17:6 10:1 | 2:14 14:3 13:1 9:1 | 6:6 4:1");
}

/* Every example once, batches within their bounds and not smaller than they need be. */
static void check_epoch(const batch_order_options *o, const example_source *s, uint64_t epoch) {
    bool *seen = calloc(s->n_examples, 1);
    batch_chunk c = {0};
    uint64_t n = 0;
    assert_non_null(seen);
    for (uint64_t chunk = 0; chunk < batch_order_chunks(o, s->n_examples); chunk++) {
        assert_int_equal(batch_chunk_make(&c, o, s, epoch, chunk, NULL), POFAC_OK);
        for (size_t b = 0; b < c.batches.size; b++) {
            uint64_t longest = 0, tokens = 0, size = c.batches.data[b].n;
            for (size_t i = 0; i < size; i++, n++) {
                const ordered_example *e = &c.examples.data[c.batches.data[b].first + i];
                if (seen[e->number]) fail_msg("example %d comes twice", (int)e->number);
                seen[e->number] = true;
                longest = e->n_tokens > longest ? e->n_tokens : longest;
                tokens += e->n_tokens;
            }
            const uint64_t length = o->fixed_length ? o->fixed_length : longest;
            const uint64_t cost = o->form == BATCH_PACKED ? tokens : size * length;
            if (size == 0 || (o->batch_size && size > o->batch_size) || (o->token_budget && cost > o->token_budget))
                fail_msg("batch %d of chunk %d has %d sequences, %d tokens", (int)b, (int)chunk, (int)size, (int)cost);
        }
    }
    assert_int_equal(n, s->n_examples);
    batch_chunk_free(&c);
    free(seen);
}

static void every_example_comes_once(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 2, 7, 64, 65, 1000, 9001};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const made_examples m = {.n = sizes[k], .max_length = 40};
        const example_source s = made_source(&m);
        for (int arrangement = BATCH_IN_ORDER; arrangement <= BATCH_BY_LENGTH; arrangement++)
            for (int form = BATCH_PADDED; form <= BATCH_PACKED; form++)
                for (int bounds = 1; bounds < 4; bounds++) {
                    batch_order_options o = {.arrangement = arrangement, .form = form, .seed = k};
                    if (bounds & 1) o.batch_size = 8;
                    if (bounds & 2) o.token_budget = 100;
                    check_epoch(&o, &s, 0);
                    check_epoch(&o, &s, 3);
                    o.fixed_length = form == BATCH_PADDED ? 48 : 0;
                    check_epoch(&o, &s, 1);
                }
    }
}

/* Without a budget only the last batch is smaller than the others; sorting leaves little padding. */
static void batches_are_full_and_even(void **state) {
    (void)state;
    const made_examples m = {.n = 5003, .max_length = 100};
    const example_source s = made_source(&m);
    double padded[2] = {0, 0}, tokens = 0;
    for (int sorted = 0; sorted < 2; sorted++) {
        const batch_order_options o = {.arrangement = sorted ? BATCH_BY_LENGTH : BATCH_SHUFFLED, .batch_size = 16};
        batch_chunk c = {0};
        size_t partial = 0, batches = 0;
        tokens = 0;
        for (uint64_t chunk = 0; chunk < batch_order_chunks(&o, s.n_examples); chunk++) {
            assert_int_equal(batch_chunk_make(&c, &o, &s, 0, chunk, NULL), POFAC_OK);
            for (size_t b = 0; b < c.batches.size; b++) {
                size_t longest = 0;
                for (size_t i = 0; i < c.batches.data[b].n; i++) {
                    const size_t n = c.examples.data[c.batches.data[b].first + i].n_tokens;
                    longest = n > longest ? n : longest;
                    tokens += (double)n;
                }
                padded[sorted] += (double)(longest * c.batches.data[b].n);
                partial += c.batches.data[b].n < 16;
                batches++;
            }
        }
        assert_int_equal(batches, (5003 + 15) / 16);
        assert_int_equal(partial, 1);
        batch_chunk_free(&c);
    }
    if (padded[1] > 1.1 * tokens || padded[0] < 1.5 * tokens)
        fail_msg("%g tokens take %g places when shuffled, %g when sorted", tokens, padded[0], padded[1]);
}

static void expect_refused(const batch_order_options *o, const example_source *s, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(batch_order_check(o, s, &sink), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
}

static void bounds_that_cannot_be_kept(void **state) {
    (void)state;
    const made_examples m = {.n = 3, .max_length = 40};
    const example_source s = made_source(&m);
    batch_order_options o = {0};
    expect_refused(&o, &s, "error: found neither a batch size nor a token budget, wanted one of them\n");
    o.token_budget = 39;
    expect_refused(&o, &s, "error: token budget: found 39, wanted at least 40, the longest sequence\n");
    o.token_budget = 47;
    o.fixed_length = 48;
    expect_refused(&o, &s, "error: token budget: found 47, wanted at least 48, the longest sequence\n");
    o.fixed_length = 32;
    expect_refused(&o, &s, "error: found examples of up to 40 tokens, wanted at most 32, the fixed length\n");
    o.batch_size = 1 << 21;
    expect_refused(&o, &s, "error: batch size: found 2097152, wanted at most 1048576\n");
    o = (batch_order_options){.batch_size = 1, .token_budget = 40};
    assert_int_equal(batch_order_check(&o, &s, NULL), POFAC_OK);
}

static void failing_allocations(void **state) {
    (void)state;
    const made_examples m = {.n = 300, .max_length = 40};
    const example_source s = made_source(&m);
    const batch_order_options o = {.arrangement = BATCH_BY_LENGTH, .token_budget = 100};
    for (size_t n = 1;; n++) {
        batch_chunk c = {0};
        fail_alloc_after(n);
        pofac_status status = batch_chunk_make(&c, &o, &s, 0, 1, NULL);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_int_equal(batch_chunk_make(&c, &o, &s, 0, 1, NULL), POFAC_OK); /* again after the failure */
        assert_int_equal(c.examples.size, 75);
        batch_chunk_free(&c);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffles_are_bijections),   cmocka_unit_test(shuffles_are_fair),
        cmocka_unit_test(orders_stay_as_they_are),   cmocka_unit_test(every_example_comes_once),
        cmocka_unit_test(batches_are_full_and_even), cmocka_unit_test(bounds_that_cannot_be_kept),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
