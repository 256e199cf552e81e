/*
 * Masks of pruning: the reference's, entry by entry, for every case of fixtures/pruning-methods; each method against its definition by sorting, on made-up
 * weights with ties; selection against sorting; wrong parameters; failing allocations; the same masks for any number of threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "ir/support/rng.h"
#include "runtime/pruning_masks.h"
#include "runtime/score_threshold.h"
#include "tests/unit/fail_alloc.h"

#define MOST 4

typedef struct masks_case {
    pruned_weight weights[MOST];
    float *values[MOST];
    uint8_t *masks[MOST];
    size_t n;
    strbuf messages;
} masks_case;

static pruned_weight *add(masks_case *c, const char *name, int64_t rows, int64_t columns) {
    const size_t i = c->n++, entries = (size_t)(rows * columns);
    assert_true(c->n <= MOST);
    c->values[i] = calloc(entries + 1, sizeof(float));
    c->masks[i] = malloc(entries + 1);
    memset(c->masks[i], 7, entries + 1);
    c->weights[i] = (pruned_weight){.name = name,
                                    .n_rows = rows,
                                    .n_columns = columns,
                                    .values = c->values[i],
                                    .parameters = pruning_parameters_default(),
                                    .mask = c->masks[i]};
    return &c->weights[i];
}

static void end(masks_case *c) {
    for (size_t i = 0; i < c->n; i++) {
        free(c->values[i]);
        free(c->masks[i]);
    }
    strbuf_free(&c->messages);
}

static pofac_status run(masks_case *c, const char *method, double progress, size_t threads) {
    const diag_sink sink = diag_sink_to_strbuf(&c->messages);
    thread_pool *pool;
    assert_int_equal(thread_pool_create(threads, NULL, &pool), POFAC_OK);
    const pruning_masks_job job = {c->weights, c->n, progress, pool, &sink};
    assert_non_null(pruning_method_find(method));
    pofac_status status = pruning_masks(pruning_method_find(method), &job);
    thread_pool_destroy(pool);
    return status;
}

/* Numbers with ties, zeros and both signs. */
static void fill(masks_case *c, size_t i, uint64_t seed) {
    const rng_key key = rng_key_make(seed, "weights");
    const int64_t n = c->weights[i].n_rows * c->weights[i].n_columns;
    for (int64_t k = 0; k < n; k++) c->values[i][k] = ((float)rng_below(key, (uint64_t)k, 41) - 20) / 8;
}

static int by_number(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The k-th smallest by sorting; one below the smallest for k = 0. */
static float sorted_threshold(const float *scores, int64_t n, int64_t k) {
    float *copy = malloc((size_t)n * sizeof *copy);
    memcpy(copy, scores, (size_t)n * sizeof *copy);
    qsort(copy, (size_t)n, sizeof *copy, by_number);
    const float threshold = k > 0 ? copy[k - 1] : copy[0] - 1;
    free(copy);
    return threshold;
}

static void want_mask(const masks_case *c, size_t i, int64_t at, bool wanted, const char *what) {
    const pruned_weight *w = &c->weights[i];
    if (w->mask[at] != wanted)
        fail_msg("%s: %s[%d,%d] = %g: mask is %d, wanted %d", what, w->name, (int)(at / w->n_columns), (int)(at % w->n_columns),
                 w->values[at], w->mask[at], wanted);
}

/* ---- the reference's masks ---- */

static double number_of(const json_t *o, const char *key, double otherwise) {
    const json_t *n = json_object_get(o, key);
    return n ? json_number_value(n) : otherwise;
}

static pruning_parameters parameters_of(const json_t *o) {
    pruning_parameters p = pruning_parameters_default();
    const json_t *dims = json_object_get(o, "block_dims");
    p.target_sparsity = number_of(o, "target_sparsity", number_of(o, "group_target_sparsity", -1));
    p.block_size = (int64_t)number_of(o, "block_size", 1);
    if (json_is_array(dims)) {
        p.block_columns = (int64_t)json_integer_value(json_array_get(dims, 0));
        p.block_rows = (int64_t)json_integer_value(json_array_get(dims, 1));
    } else if (dims) {
        p.block_columns = p.block_rows = (int64_t)json_integer_value(dims);
    }
    if (json_object_get(o, "pooling_type") && strcmp(json_string_value(json_object_get(o, "pooling_type")), "max") == 0)
        p.pooling = PRUNING_MAX;
    return p;
}

static void check_fixture(const checkpoint *file, const json_t *description) {
    static const char *const names[MOST] = {"w0", "w1", "w2", "ties"};
    const char *id = json_string_value(json_object_get(description, "case"));
    masks_case c = {.messages = STRBUF_INIT};
    for (size_t i = 0; i < MOST; i++) {
        char name[64];
        ir_tensor values, mask;
        snprintf(name, sizeof name, "%s.mask.%s", id, names[i]);
        const checkpoint_tensor *wanted = checkpoint_get(file, name);
        if (!wanted) continue;
        assert_int_equal(checkpoint_load(checkpoint_get(file, names[i]), IR_F32, NULL, &values), POFAC_OK);
        assert_int_equal(checkpoint_load(wanted, IR_U8, NULL, &mask), POFAC_OK);
        pruned_weight *w = add(&c, names[i], values.dims[0], values.dims[1]);
        w->parameters = parameters_of(description);
        memcpy(c.values[c.n - 1], values.data, tensor_bytes(&values));
        tensor_free(&values);
        tensor_free(&mask);
    }
    assert_true(c.n >= 3);
    assert_int_equal(run(&c, json_string_value(json_object_get(description, "method")), 1, 2), POFAC_OK);
    for (size_t i = 0; i < c.n; i++) {
        char name[64];
        ir_tensor mask;
        snprintf(name, sizeof name, "%s.mask.%s", id, c.weights[i].name);
        assert_int_equal(checkpoint_load(checkpoint_get(file, name), IR_U8, NULL, &mask), POFAC_OK);
        for (int64_t k = 0; k < tensor_elements(&mask); k++) want_mask(&c, i, k, tensor_get_int(&mask, k) != 0, id);
        tensor_free(&mask);
    }
    end(&c);
}

static void masks_are_the_references(void **unused) {
    (void)unused;
    const char *shared = getenv("POFAC_SHARED");
    char path[512];
    checkpoint *file;
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/fixtures/pruning-methods/masks.safetensors", shared);
    assert_int_equal(checkpoint_open(path, NULL, &file), POFAC_OK);
    snprintf(path, sizeof path, "%s/fixtures/pruning-methods/cases.json", shared);
    json_t *cases = json_load_file(path, 0, NULL);
    assert_true(json_array_size(cases) >= 29);
    for (size_t i = 0; i < json_array_size(cases); i++) check_fixture(file, json_array_get(cases, i));
    json_decref(cases);
    checkpoint_close(file);
}

/* ---- by definition ---- */

static const double shares[] = {0, 0.001, 0.1, 0.25, 0.5, 0.85, 0.9, 0.99, 1};

static void unstructured_keeps_what_lies_above_the_kth(void **unused) {
    (void)unused;
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        masks_case c = {.messages = STRBUF_INIT};
        add(&c, "a", 13, 17)->parameters.target_sparsity = shares[s];
        add(&c, "b", 1, 1)->parameters.target_sparsity = shares[s];
        for (size_t i = 0; i < c.n; i++) fill(&c, i, i);
        assert_int_equal(run(&c, "unstructured_magnitude", 1, 1), POFAC_OK);
        for (size_t i = 0; i < c.n; i++) {
            const int64_t n = c.weights[i].n_rows * c.weights[i].n_columns;
            float *scores = malloc((size_t)n * sizeof *scores);
            int64_t kept = 0;
            for (int64_t k = 0; k < n; k++) scores[k] = fabsf(c.values[i][k]);
            const float threshold = sorted_threshold(scores, n, (int64_t)floor(shares[s] * (double)n));
            for (int64_t k = 0; k < n; k++) {
                want_mask(&c, i, k, scores[k] > threshold, "unstructured");
                kept += c.masks[i][k];
            }
            assert_int_equal(kept, c.weights[i].kept);
            free(scores);
        }
        end(&c);
    }
}

static void scores_stand_in_for_magnitudes(void **unused) {
    (void)unused;
    masks_case c = {.messages = STRBUF_INIT};
    pruned_weight *w = add(&c, "a", 9, 11);
    float scores[99];
    fill(&c, 0, 3);
    for (int i = 0; i < 99; i++) scores[i] = (float)((i * 37) % 99) - 50; /* all different, of both signs */
    w->scores = scores;
    w->parameters.target_sparsity = 0.7;
    assert_int_equal(run(&c, "unstructured_magnitude", 1, 1), POFAC_OK);
    assert_int_equal(w->kept, 99 - 69);
    for (int64_t k = 0; k < 99; k++) want_mask(&c, 0, k, scores[k] > 18, "scores"); /* -50 to 18 are 69 numbers */
    end(&c);
}

static void movement_keeps_the_largest_scores(void **unused) {
    (void)unused;
    masks_case c = {.messages = STRBUF_INIT};
    pruned_weight *w = add(&c, "a", 5, 8);
    float scores[40] = {0};
    for (int i = 0; i < 40; i++) c.values[0][i] = (float)(i + 1) * (i % 2 ? -1 : 1);
    w->scores = scores;
    w->parameters.target_sparsity = 0.75;
    assert_int_equal(run(&c, "movement", 1, 1), POFAC_OK); /* nothing has moved: magnitudes */
    for (int64_t i = 0; i < 40; i++) want_mask(&c, 0, i, i >= 30, "before the first step");
    for (int i = 0; i < 40; i++) scores[i] = (float)(20 - i);
    assert_int_equal(run(&c, "movement", 1, 1), POFAC_OK);
    for (int64_t i = 0; i < 40; i++) want_mask(&c, 0, i, i < 10, "movement");
    assert_int_equal(run(&c, "second_order", 1, 1), POFAC_OK);
    for (int64_t i = 0; i < 40; i++) want_mask(&c, 0, i, i < 10, "second_order");
    end(&c);
}

static void given_masks_are_taken(void **unused) {
    (void)unused;
    masks_case c = {.messages = STRBUF_INIT};
    uint8_t given[63];
    for (int i = 0; i < 63; i++) given[i] = i % 5 == 0 ? (uint8_t)(i + 1) : 0;
    add(&c, "a", 7, 9)->given = given;
    assert_int_equal(run(&c, "custom_mask", 1, 2), POFAC_OK);
    for (int64_t i = 0; i < 63; i++) want_mask(&c, 0, i, i % 5 == 0, "given");
    assert_int_equal(c.weights[0].kept, 13);
    end(&c);
}

static void every_block_keeps_its_own(void **unused) {
    (void)unused;
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        masks_case c = {.messages = STRBUF_INIT};
        pruned_weight *w = add(&c, "a", 6, 8);
        w->parameters.target_sparsity = shares[s];
        w->parameters.block_size = 4;
        for (int i = 0; i < 48; i++) c.values[0][i] = (float)((i * 29) % 48 + 1) * (i % 3 ? 1 : -1);
        assert_int_equal(run(&c, "uniform_magnitude", 1, 1), POFAC_OK);
        for (int64_t i = 0; i < 48; i++) {
            int64_t smaller = 0;
            for (int64_t k = i / 4 * 4; k < i / 4 * 4 + 4; k++) smaller += fabsf(c.values[0][k]) < fabsf(c.values[0][i]);
            want_mask(&c, 0, i, smaller >= (int64_t)floor(shares[s] * 4), "uniform");
        }
        end(&c);
    }
}

static void blocks_live_or_die_whole(void **unused) {
    (void)unused;
    for (int pooling = 0; pooling < 2; pooling++) {
        masks_case c = {.messages = STRBUF_INIT};
        pruned_weight *w = add(&c, "a", 6, 8);
        w->parameters = (pruning_parameters){.target_sparsity = 0.5,
                                             .block_rows = 3,
                                             .block_columns = 2,
                                             .pooling = pooling ? PRUNING_MAX : PRUNING_AVG,
                                             .group = ""};
        fill(&c, 0, 11);
        assert_int_equal(run(&c, "block_structured_magnitude", 1, 1), POFAC_OK);
        float pooled[8];
        for (int b = 0; b < 8; b++) {
            float sum = 0, most = 0;
            for (int r = 0; r < 3; r++)
                for (int k = 0; k < 2; k++) {
                    const float x = fabsf(c.values[0][(b / 4 * 3 + r) * 8 + b % 4 * 2 + k]);
                    sum += x;
                    most = fmaxf(most, x);
                }
            pooled[b] = pooling ? most : sum / 6;
        }
        const float threshold = sorted_threshold(pooled, 8, 4);
        for (int64_t i = 0; i < 48; i++) want_mask(&c, 0, i, pooled[i / 24 * 4 + i % 8 / 2] > threshold, "blocks");
        end(&c);
    }
}

/* Groups meet their own targets in sum, within the histogram's 1024 bins; a weight of large numbers keeps more. */
static void groups_share_a_threshold(void **unused) {
    (void)unused;
    masks_case c = {.messages = STRBUF_INIT};
    const rng_key key = rng_key_make(4, "groups");
    for (size_t i = 0; i < 4; i++) {
        pruned_weight *w = add(&c, i % 2 ? "odd" : "even", 40, 50);
        w->parameters.group = i % 2 ? "odd" : "even";
        w->parameters.target_sparsity = i % 2 ? 0.9 : 0.6;
        for (uint64_t k = 0; k < 2000; k++)
            c.values[i][k] = (float)(i + 1) * ((float)rng_below(key, 4000 * i + k, 20001) / 10000 - 1);
    }
    assert_int_equal(run(&c, "grouped_unstructured_magnitude", 1, 2), POFAC_OK);
    assert_true(labs(c.weights[0].kept + c.weights[2].kept - 1600) < 12);
    assert_true(labs(c.weights[1].kept + c.weights[3].kept - 400) < 12);
    assert_true(c.weights[2].kept > c.weights[0].kept);
    assert_true(c.weights[0].threshold == c.weights[2].threshold && c.weights[1].threshold != c.weights[2].threshold);
    for (size_t i = 0; i < 4; i++)
        for (int64_t k = 0; k < 2000; k++) want_mask(&c, i, k, fabsf(c.values[i][k]) > c.weights[i].threshold, "groups");
    end(&c);
}

static void the_schedule_and_decay_move_thresholds(void **unused) {
    (void)unused;
    masks_case c = {.messages = STRBUF_INIT};
    pruned_weight *w = add(&c, "a", 10, 10);
    for (int i = 0; i < 100; i++) c.values[0][i] = (float)(i + 1) * (i % 2 ? 1 : -1);
    w->parameters.initial_sparsity = 0.2;
    w->parameters.target_sparsity = 0.8;
    assert_int_equal(run(&c, "unstructured_magnitude", 0, 1), POFAC_OK);
    assert_int_equal(w->kept, 80);
    assert_int_equal(run(&c, "unstructured_magnitude", 0.5, 1), POFAC_OK);
    assert_int_equal(w->kept, 50);
    w->parameters.threshold_decay = 0.25;
    assert_int_equal(run(&c, "unstructured_magnitude", 1, 1), POFAC_OK);
    assert_true(w->threshold == 0.25f * 50 + 0.75f * 80);
    assert_int_equal(w->kept, 28);
    w->parameters = pruning_parameters_default();
    w->parameters.threshold_decay = 0.5;
    assert_int_equal(run(&c, "unstructured_magnitude", 1, 1), POFAC_OK); /* nothing to prune: the smallest less 1, decayed */
    assert_true(w->threshold == 0.5f * 72.5f);
    end(&c);
}

static void locks_keep_what_is_not_0(void **unused) {
    (void)unused;
    masks_case c = {.messages = STRBUF_INIT};
    add(&c, "a", 7, 9);
    fill(&c, 0, 6);
    c.values[0][5] = -0.0f;
    c.values[0][6] = 1e-44f;
    assert_int_equal(run(&c, "pattern_lock", 1, 1), POFAC_OK);
    for (int64_t k = 0; k < 63; k++) want_mask(&c, 0, k, c.values[0][k] != 0, "lock");
    end(&c);
}

static void the_fast_threshold_is_close(void **unused) {
    (void)unused;
    const rng_key key = rng_key_make(8, "fast");
    for (size_t s = 1; s + 1 < sizeof shares / sizeof *shares; s++) {
        masks_case c = {.messages = STRBUF_INIT};
        pruned_weight *w = add(&c, "a", 100, 100);
        for (uint64_t k = 0; k < 10000; k++) c.values[0][k] = (float)rng_normal(key, k);
        c.values[0][17] = 100; /* an outlier: the second histogram is needed */
        w->parameters.target_sparsity = shares[s];
        w->parameters.fast_threshold = true;
        assert_int_equal(run(&c, "unstructured_magnitude", 1, 1), POFAC_OK);
        if (labs(w->kept - (int64_t)(10000 - shares[s] * 10000)) > 30) fail_msg("at %g: %d are kept", shares[s], (int)w->kept);
        end(&c);
    }
}

/* ---- selection ---- */

static void selection_is_that_of_sorting(void **unused) {
    (void)unused;
    static float x[3000], sorted[3000];
    const rng_key key = rng_key_make(2, "select");
    for (int kind = 0; kind < 4; kind++)
        for (int magnitude = 0; magnitude < 2; magnitude++) {
            const int64_t n = kind == 0 ? 1 : kind == 1 ? 7 : 3000;
            for (int64_t i = 0; i < n; i++) {
                x[i] = kind == 3 ? (float)rng_normal(key, (uint64_t)i) * powf(10, (float)(i % 60) - 30)
                                 : ((float)rng_below(key, (uint64_t)i, 9) - 4) / 3;
                sorted[i] = magnitude ? fabsf(x[i]) : x[i];
            }
            qsort(sorted, (size_t)n, sizeof *sorted, by_number);
            for (int64_t k = 1; k <= n; k += n > 100 ? 97 : 1)
                if (score_select((score_span){x, n, magnitude != 0}, k) != sorted[k - 1])
                    fail_msg("kind %d: number %d of %d is %g, wanted %g", kind, (int)k, (int)n,
                             score_select((score_span){x, n, magnitude != 0}, k), sorted[k - 1]);
            assert_true(score_least((score_span){x, n, magnitude != 0}) == sorted[0]);
        }
    const float with_nan[4] = {NAN, 1, -NAN, -2};
    assert_true(score_select((score_span){with_nan, 4, false}, 2) == 1);
    assert_true(isnan(score_select((score_span){with_nan, 4, false}, 3)));
    assert_true(isnan(score_select((score_span){with_nan, 4, true}, 4)));
    const float zeros[4] = {0.0f, -0.0f, 1e-44f, -1e-44f};
    uint8_t mask[4];
    score_keep_above((score_span){zeros, 4, false}, 0, mask);
    assert_memory_equal(mask, "\0\0\1\0", 4);
    score_keep_above((score_span){zeros, 4, true}, -0.0f, mask);
    assert_memory_equal(mask, "\0\0\1\1", 4);
    score_keep_above((score_span){with_nan, 4, true}, -1, mask);
    assert_memory_equal(mask, "\0\1\0\1", 4);
}

/* Many scores: whatever a sample says of them, of the order they stand in and of how many are equal. */
static void selection_among_many(void **unused) {
    (void)unused;
    enum { N = 70001, KINDS = 6 };
    static float x[N], sorted[N];
    const rng_key key = rng_key_make(3, "many");
    for (int kind = 0; kind < KINDS; kind++)
        for (int magnitude = 0; magnitude < 2; magnitude++) {
            for (int64_t i = 0; i < N; i++) {
                const float random = (float)rng_normal(key, (uint64_t)i);
                x[i] = kind == 0   ? random
                       : kind == 1 ? (float)rng_below(key, (uint64_t)i, 9) - 4
                       : kind == 2 ? (i % 10 ? 0 : random) /* nine of ten are equal */
                       : kind == 3 ? (float)(i - N / 2)
                       : kind == 4 ? 2.5f
                                   : (i < N - 3000 ? random : random * 1e4f); /* the sample sees few of those that are apart */
                sorted[i] = magnitude ? fabsf(x[i]) : x[i];
            }
            qsort(sorted, N, sizeof *sorted, by_number);
            const int64_t ranks[] = {1, 2, N / 100, N / 3, N / 2, N * 9 / 10, N - 3100, N - 1, N};
            for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
                const float found = score_select((score_span){x, N, magnitude != 0}, ranks[r]);
                if (found != sorted[ranks[r] - 1])
                    fail_msg("kind %d: number %d is %.9g, wanted %.9g", kind, (int)ranks[r], found, sorted[ranks[r] - 1]);
            }
        }
    for (int64_t i = 0; i < N; i += 2) x[i] = NAN;
    assert_true(isnan(score_select((score_span){x, N, false}, N / 2 + 1)));
    assert_false(isnan(score_select((score_span){x, N, false}, N / 2)));
}

static void ones_of_masks(void **unused) {
    (void)unused;
    uint8_t mask[300] = {0};
    for (int64_t n = 0; n <= 300; n += 37)
        for (int64_t ones = 0; ones <= n; ones += 5) {
            memset(mask, 0, sizeof mask);
            memset(mask, 1, (size_t)ones);
            assert_int_equal(mask_ones(mask, n), ones);
        }
}

/* ---- what cannot be asked for, and other corners ---- */

static void wrong_parameters(void **unused) {
    (void)unused;
    static const struct {
        const char *method;
        pruning_parameters parameters;
        const char *message;
    } cases[] = {
        {"unstructured_magnitude", {.target_sparsity = 1.5}, "error: w: target_sparsity is 1.5, wanted 0 to 1\n"},
        {"unstructured_magnitude", {.target_sparsity = NAN}, "error: w: target_sparsity is nan, wanted 0 to 1\n"},
        {"pattern_lock", {.initial_sparsity = -0.5}, "error: w: initial_sparsity is -0.5, wanted 0 to 1\n"},
        {"uniform_magnitude", {.threshold_decay = 1}, "error: w: threshold_decay is 1, wanted at least 0 and below 1\n"},
        {"uniform_magnitude", {.block_size = 5}, "error: w: block_size is 5, wanted a divisor of its 48 entries\n"},
        {"uniform_neural_wiring", {.block_size = 0}, "error: w: block_size is 0, wanted a divisor of its 48 entries\n"},
        {"block_structured_magnitude",
         {.block_rows = 4, .block_columns = 1},
         "error: w: block_dims along the outputs is 4, wanted a divisor of its 6 rows\n"},
        {"block_structured_neural_wiring",
         {.block_rows = 3, .block_columns = 3},
         "error: w: block_dims along the inputs is 3, wanted a divisor of its 8 columns\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        masks_case c = {.messages = STRBUF_INIT};
        add(&c, "w", 6, 8)->parameters = cases[i].parameters;
        assert_int_equal(run(&c, cases[i].method, 1, 1), POFAC_ERR_USAGE);
        assert_string_equal(strbuf_str(&c.messages), cases[i].message);
        assert_int_equal(c.masks[0][0], 7); /* untouched */
        end(&c);
    }
}

static void methods_that_need_more_than_weights(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"movement", "error: w: found the weight alone, movement wants scores of its movement in training\n"},
        {"second_order", "error: w: found the weight alone, second_order wants saliencies from gradients of batches\n"},
        {"custom_mask", "error: w: found the weight alone, custom_mask wants a mask that is given\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        masks_case c = {.messages = STRBUF_INIT};
        add(&c, "w", 6, 8);
        assert_int_equal(run(&c, cases[i][0], 1, 1), POFAC_ERR_USAGE);
        assert_string_equal(strbuf_str(&c.messages), cases[i][1]);
        assert_int_equal(c.masks[0][0], 7);
        end(&c);
    }
}

static void targets_that_blocks_cannot_express(void **unused) {
    (void)unused;
    pruning_parameters p = pruning_parameters_default();
    double nearest;
    p.block_size = 8;
    p.target_sparsity = 0.85;
    assert_false(pruning_target_fits(pruning_method_find("uniform_magnitude"), &p, 16, 8, &nearest));
    assert_true(nearest == 0.75);
    assert_true(pruning_target_fits(pruning_method_find("unstructured_magnitude"), &p, 16, 8, &nearest));
    p.target_sparsity = 0.5;
    assert_true(pruning_target_fits(pruning_method_find("uniform_neural_wiring"), &p, 16, 8, &nearest));
    assert_true(nearest == 0.5);
    p.block_rows = p.block_columns = 8; /* two blocks */
    p.target_sparsity = 0.9;
    assert_false(pruning_target_fits(pruning_method_find("block_structured_magnitude"), &p, 16, 8, &nearest));
    assert_true(nearest == 0.5);
    assert_true(
        pruning_target_fits(pruning_method_find("block_structured_neural_wiring"), &p, 768, 768, &nearest)); /* 9216 of them */
    assert_true(nearest < 0.9 && nearest > 0.8999);
    p.block_rows = p.block_columns = 1;
    assert_true(pruning_target_fits(pruning_method_find("block_structured_magnitude"), &p, 2, 2, &nearest));
}

static void every_method_is_listed(void **unused) {
    (void)unused;
    size_t n = 0;
    for (const pruning_method *m; (m = pruning_method_at(n)); n++) {
        assert_ptr_equal(pruning_method_find(m->name), m);
        assert_int_equal(m->gradient, strstr(m->name, "neural_wiring") ? PRUNING_STRAIGHT : PRUNING_MASKED);
        /* no entries, one entry, all equal, all zero: nothing that a method stumbles over */
        masks_case c = {.messages = STRBUF_INIT};
        add(&c, "none", 0, 8);
        add(&c, "one", 1, 1);
        add(&c, "equal", 4, 4);
        add(&c, "zero", 4, 4);
        for (int k = 0; k < 16; k++) c.values[2][k] = 0.5f;
        const float scores[16] = {0};
        for (size_t i = 0; i < 4; i++) {
            c.weights[i].parameters.target_sparsity = 0.5;
            if (m->needs == PRUNING_MOVEMENT || m->needs == PRUNING_CURVATURE) c.weights[i].scores = scores;
            if (m->needs == PRUNING_MASKS) c.weights[i].given = c.masks[i];
        }
        if (run(&c, m->name, 1, 3) != POFAC_OK) fail_msg("%s: %s", m->name, strbuf_str(&c.messages));
        assert_int_equal(c.weights[0].kept, 0);
        end(&c);
    }
    assert_int_equal(n, 12);
    assert_null(pruning_method_find("magnitude"));
}

static void threads_and_short_memory_change_nothing(void **unused) {
    (void)unused;
    static const char *const names[] = {"unstructured_magnitude", "block_structured_magnitude", "global_unstructured_magnitude"};
    for (size_t m = 0; m < 3; m++) {
        masks_case one = {.messages = STRBUF_INIT}, many = {.messages = STRBUF_INIT};
        for (size_t i = 0; i < 4; i++) {
            add(&one, "w", 20, 30)->parameters.target_sparsity = 0.8;
            add(&many, "w", 20, 30)->parameters.target_sparsity = 0.8;
            fill(&one, i, i);
            fill(&many, i, i);
        }
        assert_int_equal(run(&one, names[m], 1, 1), POFAC_OK);
        assert_int_equal(run(&many, names[m], 1, 3), POFAC_OK);
        for (size_t i = 0; i < 4; i++) assert_memory_equal(one.masks[i], many.masks[i], 600);
        thread_pool *pool;
        assert_int_equal(thread_pool_create(1, NULL, &pool), POFAC_OK);
        for (size_t n = 1;; n++) {
            const pruning_masks_job job = {one.weights, one.n, 1, pool, NULL};
            fail_alloc_after(n);
            const pofac_status status = pruning_masks(pruning_method_find(names[m]), &job);
            if (!fail_alloc_stop()) break;
            assert_int_equal(status, POFAC_ERR_RUNTIME);
        }
        thread_pool_destroy(pool);
        end(&one);
        end(&many);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_the_references),
        cmocka_unit_test(unstructured_keeps_what_lies_above_the_kth),
        cmocka_unit_test(scores_stand_in_for_magnitudes),
        cmocka_unit_test(movement_keeps_the_largest_scores),
        cmocka_unit_test(given_masks_are_taken),
        cmocka_unit_test(every_block_keeps_its_own),
        cmocka_unit_test(blocks_live_or_die_whole),
        cmocka_unit_test(groups_share_a_threshold),
        cmocka_unit_test(the_schedule_and_decay_move_thresholds),
        cmocka_unit_test(locks_keep_what_is_not_0),
        cmocka_unit_test(the_fast_threshold_is_close),
        cmocka_unit_test(selection_is_that_of_sorting),
        cmocka_unit_test(selection_among_many),
        cmocka_unit_test(ones_of_masks),
        cmocka_unit_test(wrong_parameters),
        cmocka_unit_test(methods_that_need_more_than_weights),
        cmocka_unit_test(targets_that_blocks_cannot_express),
        cmocka_unit_test(every_method_is_listed),
        cmocka_unit_test(threads_and_short_memory_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
