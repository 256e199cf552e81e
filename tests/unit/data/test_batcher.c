/*
 * Batches: their tensors; pitfall 4 and 28: the same batches with and without a thread, from any position on, in padded and packed form; errors where they
 * belong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/data/batcher.h"
#include "ir/support/hash.h"
#include "tests/unit/data/made_examples.h"
#include "tests/unit/fail_alloc.h"

static batcher *create(const example_source *s, const batcher_options *options) {
    batcher *b;
    assert_int_equal(batcher_create(s, options, NULL, &b), POFAC_OK);
    return b;
}

static void put_tensor(const char *name, const ir_tensor *t, strbuf *out) {
    strbuf_printf(out, "%s", name);
    for (uint32_t d = 0; d < t->rank; d++) strbuf_printf(out, "%s%d", d ? "," : " [", (int)t->dims[d]);
    strbuf_puts(out, "]:");
    for (int64_t i = 0; i < tensor_elements(t); i++) strbuf_printf(out, " %g", tensor_get(t, i));
    strbuf_putc(out, '\n');
}

static void put_batch(const batch *b, strbuf *out) {
    strbuf_printf(out, "epoch %d batch %d%s: %d sequences, %d tokens, of", (int)b->epoch, (int)b->index,
                  b->ends_epoch ? " (last)" : "", (int)b->n_sequences, (int)b->n_tokens);
    for (int64_t i = 0; i < b->n_sequences; i++) strbuf_printf(out, " %d", (int)b->examples[i]);
    strbuf_putc(out, '\n');
    for (size_t i = 0; i < b->n_tensors; i++) put_tensor(b->names[i], &b->tensors[i], out);
}

static void expect_batches(const made_examples *m, const batcher_options *options, const char *wanted) {
    const example_source s = made_source(m);
    batcher *b = create(&s, options);
    const batch_source source = batcher_source(b);
    const batch *found;
    strbuf text = STRBUF_INIT;
    while (assert_int_equal(source.next(source.user, NULL, &found), POFAC_OK), found) put_batch(found, &text);
    assert_string_equal(strbuf_str(&text), wanted);
    strbuf_free(&text);
    batcher_destroy(b);
}

static const made_examples few = {.n = 3, .max_length = 4, .fails_at = UINT64_MAX};

static void padded_batches(void **state) {
    (void)state;
    batcher_options options = {.order = {.batch_size = 2}, .pad_id = 9, .n_epochs = 1};
    expect_batches(&few, &options,
                   "epoch 0 batch 0: 2 sequences, 4 tokens, of 0 1\n"
                   "input_ids [2,3]: 0 1 2 7 9 9\n"
                   "token_type_ids [2,3]: 0 0 1 0 0 0\n"
                   "attention_mask [2,3]: 1 1 1 1 0 0\n"
                   "labels [2]: 0 1\n"
                   "scores [2]: 0 0.25\n"
                   "tags [2,3]: 0 -100 2 0 -100 -100\n"
                   "epoch 0 batch 1 (last): 1 sequences, 3 tokens, of 2\n"
                   "input_ids [1,3]: 14 15 16\n"
                   "token_type_ids [1,3]: 0 0 1\n"
                   "attention_mask [1,3]: 1 1 1\n"
                   "labels [1]: 2\n"
                   "scores [1]: 0.5\n"
                   "tags [1,3]: 0 -100 2\n");
    options.order.fixed_length = 5;
    expect_batches(&few, &options,
                   "epoch 0 batch 0: 2 sequences, 4 tokens, of 0 1\n"
                   "input_ids [2,5]: 0 1 2 9 9 7 9 9 9 9\n"
                   "token_type_ids [2,5]: 0 0 1 0 0 0 0 0 0 0\n"
                   "attention_mask [2,5]: 1 1 1 0 0 1 0 0 0 0\n"
                   "labels [2]: 0 1\n"
                   "scores [2]: 0 0.25\n"
                   "tags [2,5]: 0 -100 2 -100 -100 0 -100 -100 -100 -100\n"
                   "epoch 0 batch 1 (last): 1 sequences, 3 tokens, of 2\n"
                   "input_ids [1,5]: 14 15 16 9 9\n"
                   "token_type_ids [1,5]: 0 0 1 0 0\n"
                   "attention_mask [1,5]: 1 1 1 0 0\n"
                   "labels [1]: 2\n"
                   "scores [1]: 0.5\n"
                   "tags [1,5]: 0 -100 2 -100 -100\n");
}

static void packed_batches(void **state) {
    (void)state;
    const batcher_options options = {.order = {.batch_size = 2, .form = BATCH_PACKED}, .n_epochs = 2};
    expect_batches(&few, &options,
                   "epoch 0 batch 0: 2 sequences, 4 tokens, of 0 1\n"
                   "input_ids [4]: 0 1 2 7\n"
                   "token_type_ids [4]: 0 0 1 0\n"
                   "offsets [3]: 0 3 4\n"
                   "labels [2]: 0 1\n"
                   "scores [2]: 0 0.25\n"
                   "tags [4]: 0 -100 2 0\n"
                   "epoch 0 batch 1 (last): 1 sequences, 3 tokens, of 2\n"
                   "input_ids [3]: 14 15 16\n"
                   "token_type_ids [3]: 0 0 1\n"
                   "offsets [2]: 0 3\n"
                   "labels [1]: 2\n"
                   "scores [1]: 0.5\n"
                   "tags [3]: 0 -100 2\n"
                   "epoch 1 batch 0: 2 sequences, 4 tokens, of 0 1\n"
                   "input_ids [4]: 1000 1001 1002 1007\n"
                   "token_type_ids [4]: 0 0 1 0\n"
                   "offsets [3]: 0 3 4\n"
                   "labels [2]: 0 1\n"
                   "scores [2]: 0 0.25\n"
                   "tags [4]: 0 -100 2 0\n"
                   "epoch 1 batch 1 (last): 1 sequences, 3 tokens, of 2\n"
                   "input_ids [3]: 1014 1015 1016\n"
                   "token_type_ids [3]: 0 0 1\n"
                   "offsets [2]: 0 3\n"
                   "labels [1]: 2\n"
                   "scores [1]: 0.5\n"
                   "tags [3]: 0 -100 2\n");
}

/* A number that two batches share only if all in them is the same. */
static uint64_t batch_hash(const batch *b) {
    uint64_t h = hash_combine(b->epoch, b->index);
    h = hash_combine(h, hash_bytes(b->examples, (size_t)b->n_sequences * sizeof *b->examples));
    for (size_t i = 0; i < b->n_tensors; i++) {
        h = hash_combine(h, hash_bytes(b->names[i], strlen(b->names[i])));
        h = hash_combine(h, hash_bytes(b->tensors[i].dims, b->tensors[i].rank * sizeof *b->tensors[i].dims));
        h = hash_combine(h, hash_bytes(b->tensors[i].data, tensor_bytes(&b->tensors[i])));
    }
    return hash_combine(h, (uint64_t)b->n_tokens << 1 | b->ends_epoch);
}

#define MOST_BATCHES 512

typedef struct batch_run {
    size_t n;
    uint64_t hash[MOST_BATCHES];
    batch_position before[MOST_BATCHES + 1];
} batch_run;

static void run(const batch_source *source, batch_run *r) {
    const batch *found;
    for (r->n = 0; r->n < MOST_BATCHES; r->n++) {
        source->get_position(source->user, &r->before[r->n]);
        assert_int_equal(source->next(source->user, NULL, &found), POFAC_OK);
        if (!found) break;
        r->hash[r->n] = batch_hash(found);
    }
    assert_in_range(r->n, 1, MOST_BATCHES - 1);
}

static void expect_same_run(const batch_run *a, size_t from, const batch_run *b, const char *what) {
    if (a->n - from != b->n) fail_msg("%s: %zu batches from %zu on, wanted %zu", what, b->n, from, a->n - from);
    for (size_t i = 0; i < b->n; i++)
        if (a->hash[from + i] != b->hash[i]) fail_msg("%s: batch %zu differs", what, from + i);
}

static const batcher_options kinds[] = {
    {.order = {.arrangement = BATCH_BY_LENGTH, .seed = 42, .batch_size = 8}, .n_epochs = 3},
    {.order = {.arrangement = BATCH_BY_LENGTH, .seed = 42, .token_budget = 120, .form = BATCH_PACKED}, .n_epochs = 2},
    {.order = {.arrangement = BATCH_SHUFFLED, .seed = 1, .batch_size = 16, .token_budget = 300, .fixed_length = 40}, .n_epochs = 2},
    {.order = {.arrangement = BATCH_IN_ORDER, .batch_size = 7, .form = BATCH_PACKED}, .n_epochs = 1},
};

static void ahead_or_not_the_same_batches(void **state) {
    (void)state;
    static const size_t ahead[] = {1, 2, 5, 64};
    const made_examples m = {.n = 333, .max_length = 40, .fails_at = UINT64_MAX};
    const example_source s = made_source(&m);
    batch_run *wanted = calloc(1, sizeof *wanted), *found = calloc(1, sizeof *found);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        batcher_options options = kinds[k];
        batcher *b = create(&s, &options);
        batch_source source = batcher_source(b);
        uint64_t count = 0, total = 0;
        run(&source, wanted);
        for (uint64_t epoch = 0; epoch < options.n_epochs; epoch++, total += count)
            assert_int_equal(source.count(source.user, epoch, NULL, &count), POFAC_OK);
        assert_int_equal(total, wanted->n);
        batcher_destroy(b);
        for (size_t a = 0; a < sizeof ahead / sizeof *ahead; a++) {
            options.prefetch = ahead[a];
            b = create(&s, &options);
            source = batcher_source(b);
            run(&source, found);
            expect_same_run(wanted, 0, found, "made ahead");
            assert_memory_equal(wanted->before, found->before, (wanted->n + 1) * sizeof *wanted->before);
            batcher_destroy(b);
        }
    }
    free(wanted);
    free(found);
}

/* From every position on, in a new batcher and in one that stands elsewhere, the same batches follow. */
static void resumed_batches_are_the_same(void **state) {
    (void)state;
    const made_examples m = {.n = 157, .max_length = 40, .fails_at = UINT64_MAX};
    const example_source s = made_source(&m);
    batch_run *wanted = calloc(1, sizeof *wanted), *found = calloc(1, sizeof *found);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        batcher_options options = kinds[k];
        batcher *b = create(&s, &options);
        batch_source source = batcher_source(b);
        run(&source, wanted);
        batcher_destroy(b);
        options.prefetch = 3;
        batcher *used = create(&s, &options);
        const batch_source used_source = batcher_source(used);
        for (size_t from = 0; from <= wanted->n; from += from % 3 + 1) {
            b = create(&s, &options);
            source = batcher_source(b);
            const batch_source *both[] = {&source, &used_source};
            for (int which = 0; which < 2; which++) {
                assert_int_equal(both[which]->set_position(both[which]->user, &wanted->before[from], NULL), POFAC_OK);
                if (from < wanted->n) {
                    run(both[which], found);
                    expect_same_run(wanted, from, found, which ? "set back" : "resumed");
                }
            }
            batcher_destroy(b);
        }
        batcher_destroy(used);
    }
    free(wanted);
    free(found);
}

static void expect_position_refused(const example_source *s, const batcher_options *options, const batch_position *p,
                                    const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    batcher *b = create(s, options);
    const batch_source source = batcher_source(b);
    assert_int_equal(source.set_position(source.user, p, &sink), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
    batcher_destroy(b);
}

static void positions_of_something_else(void **state) {
    (void)state;
    static const char other[] =
        "error: position in the data: found one of other examples, or of another seed, order or size of batches; "
        "wanted one of these\n";
    const made_examples m = {.n = 100, .max_length = 40, .fails_at = UINT64_MAX},
                        more = {.n = 101, .max_length = 40, .fails_at = UINT64_MAX};
    const example_source s = made_source(&m), t = made_source(&more);
    batcher_options options = kinds[0];
    batch_position p, wrong;
    batcher *b = create(&s, &options);
    const batch_source source = batcher_source(b);
    source.get_position(source.user, &p);
    batcher_destroy(b);
    expect_position_refused(&t, &options, &p, other);
    options.order.seed++;
    expect_position_refused(&s, &options, &p, other);
    options = kinds[0];
    options.order.batch_size = 4;
    expect_position_refused(&s, &options, &p, other);
    options = kinds[0];
    wrong = p;
    wrong.chunk = 1000;
    expect_position_refused(&s, &options, &wrong, other);
    wrong = p;
    wrong.in_chunk = 99;
    expect_position_refused(&s, &options, &wrong,
                            "error: position in the data: found batch 99 of a chunk of 3, wanted a smaller number\n");
    options.prefetch = 4; /* may change */
    options.n_epochs = 9;
    b = create(&s, &options);
    assert_int_equal(batcher_source(b).set_position(b, &p, NULL), POFAC_OK);
    batcher_destroy(b);
}

/* pitfall 28: packed rows are the padded rows without their padding. */
static void packed_equals_padded(void **state) {
    (void)state;
    const made_examples m = {.n = 200, .max_length = 40, .fails_at = UINT64_MAX};
    const example_source s = made_source(&m);
    batcher_options options = {.order = {.arrangement = BATCH_BY_LENGTH, .seed = 3, .batch_size = 8}, .n_epochs = 1};
    batcher *padded = create(&s, &options);
    options.order.form = BATCH_PACKED;
    batcher *packed = create(&s, &options);
    const batch_source a = batcher_source(padded), b = batcher_source(packed);
    const batch *x, *y;
    while (assert_int_equal(a.next(a.user, NULL, &x), POFAC_OK), assert_int_equal(b.next(b.user, NULL, &y), POFAC_OK), x && y) {
        const int64_t *mask = x->tensors[2].data;
        const int32_t *offsets = y->tensors[2].data;
        static const size_t per_token[] = {0, 1, 5};
        assert_int_equal(x->n_sequences, y->n_sequences);
        assert_int_equal(x->n_tokens, y->n_tokens);
        for (int64_t row = 0, at = 0; row < x->n_sequences; row++)
            for (int64_t i = 0; i < x->tensors[0].dims[1]; i++) {
                const int64_t place = row * x->tensors[0].dims[1] + i;
                if (i == 0) assert_int_equal(offsets[row], at);
                if (!mask[place]) continue;
                for (size_t k = 0; k < 3; k++)
                    assert_int_equal(((int64_t *)x->tensors[per_token[k]].data)[place],
                                     ((int64_t *)y->tensors[per_token[k]].data)[at]);
                at++;
            }
        assert_int_equal(offsets[y->n_sequences], y->n_tokens);
        for (size_t k = 3; k < 5; k++) assert_memory_equal(x->tensors[k].data, y->tensors[k].data, tensor_bytes(&x->tensors[k]));
    }
    assert_true(!x && !y);
    batcher_destroy(padded);
    batcher_destroy(packed);
}

/* An error comes in its place, with its message, each time that the batch is asked for; going back works. */
static void errors_come_in_order(void **state) {
    (void)state;
    made_examples m = {.n = 40, .max_length = 10, .fails_at = 21};
    const example_source s = made_source(&m);
    for (size_t prefetch = 0; prefetch < 8; prefetch += 3) {
        const batcher_options options = {.order = {.batch_size = 4}, .prefetch = prefetch};
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        batcher *b = create(&s, &options);
        const batch_source source = batcher_source(b);
        batch_position start, at;
        const batch *found;
        source.get_position(source.user, &start);
        m.fails_at = 21;
        for (int i = 0; i < 5; i++) {
            assert_int_equal(source.next(source.user, &sink, &found), POFAC_OK);
            assert_int_equal(found->index, i);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(source.next(source.user, &sink, &found), POFAC_ERR_INPUT);
            assert_null(found);
            assert_string_equal(strbuf_str(&said), "made:3: error: example 21 cannot be read\n  ab\n");
            strbuf_clear(&said);
        }
        source.get_position(source.user, &at);
        assert_int_equal(at.index, 5);
        assert_int_equal(source.set_position(source.user, &start, &sink), POFAC_OK);
        assert_int_equal(source.next(source.user, &sink, &found), POFAC_OK);
        assert_int_equal(found->index, 0);
        m.fails_at = UINT64_MAX;
        assert_int_equal(source.set_position(source.user, &at, &sink), POFAC_OK);
        assert_int_equal(source.next(source.user, &sink, &found), POFAC_OK);
        assert_int_equal(found->index, 5);
        assert_int_equal(found->examples[1], 21);
        strbuf_free(&said);
        batcher_destroy(b);
    }
}

/* Batchers may end at any time: before the first batch, with a full queue, while one is being made. */
static void ends_at_any_time(void **state) {
    (void)state;
    const made_examples m = {.n = 64, .max_length = 10, .fails_at = UINT64_MAX, .delay_ns = 20000};
    const example_source s = made_source(&m);
    for (int taken = 0; taken < 12; taken++) {
        const batcher_options options = {.order = {.batch_size = 4}, .prefetch = 1 + (size_t)taken % 4};
        batcher *b = create(&s, &options);
        const batch_source source = batcher_source(b);
        const batch *found;
        for (int i = 0; i < taken; i++) assert_int_equal(source.next(source.user, NULL, &found), POFAC_OK);
        if (taken % 2) nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
        batcher_destroy(b);
    }
    batcher_destroy(NULL);
}

/* A batch stays as it is while others are made ahead. */
static void a_batch_is_the_caller_s(void **state) {
    (void)state;
    const made_examples m = {.n = 200, .max_length = 30, .fails_at = UINT64_MAX};
    const example_source s = made_source(&m);
    const batcher_options options = {.order = {.batch_size = 4}, .n_epochs = 1, .prefetch = 2};
    batcher *b = create(&s, &options);
    const batch_source source = batcher_source(b);
    const batch *found;
    while (assert_int_equal(source.next(source.user, NULL, &found), POFAC_OK), found) {
        const uint64_t before = batch_hash(found);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        assert_true(batch_hash(found) == before);
    }
    batcher_destroy(b);
}

static void settings_that_are_wrong(void **state) {
    (void)state;
    const made_examples none = {.n = 0, .max_length = 1};
    const example_source s = made_source(&none), t = made_source(&few);
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    batcher *b;
    assert_int_equal(batcher_create(&s, &(batcher_options){.order = {.batch_size = 4}}, &sink, &b), POFAC_ERR_INPUT);
    assert_int_equal(batcher_create(&t, &(batcher_options){.order = {.batch_size = 4}, .prefetch = 5000}, &sink, &b),
                     POFAC_ERR_USAGE);
    assert_int_equal(batcher_create(&t, &(batcher_options){.prefetch = 1}, &sink, &b), POFAC_ERR_USAGE);
    assert_null(b);
    assert_string_equal(strbuf_str(&said),
                        "error: found no examples, wanted at least one\nerror: prefetch: found 5000, wanted at most 1024\n"
                        "error: found neither a batch size nor a token budget, wanted one of them\n");
    strbuf_free(&said);
}

static void failing_allocations(void **state) {
    (void)state;
    const made_examples m = {.n = 30, .max_length = 10, .fails_at = UINT64_MAX};
    const example_source s = made_source(&m);
    const batcher_options options = {.order = {.arrangement = BATCH_BY_LENGTH, .batch_size = 4}, .n_epochs = 1};
    for (size_t n = 1;; n++) {
        batcher *b = NULL;
        const batch *found = NULL;
        fail_alloc_after(n);
        pofac_status status = batcher_create(&s, &options, NULL, &b);
        const batch_source source = b ? batcher_source(b) : (batch_source){0};
        size_t made = 0;
        while (status == POFAC_OK && (status = source.next(source.user, NULL, &found)) == POFAC_OK && found) made++;
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (b && failed) /* the batch that could not be made can be had afterwards */
            while (assert_int_equal(source.next(source.user, NULL, &found), POFAC_OK), found) made++;
        if (b) assert_int_equal(made, 8);
        batcher_destroy(b);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padded_batches),
        cmocka_unit_test(packed_batches),
        cmocka_unit_test(ahead_or_not_the_same_batches),
        cmocka_unit_test(resumed_batches_are_the_same),
        cmocka_unit_test(positions_of_something_else),
        cmocka_unit_test(packed_equals_padded),
        cmocka_unit_test(errors_come_in_order),
        cmocka_unit_test(ends_at_any_time),
        cmocka_unit_test(a_batch_is_the_caller_s),
        cmocka_unit_test(settings_that_are_wrong),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
