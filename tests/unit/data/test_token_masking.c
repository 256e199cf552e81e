/* Masking: shares over many tokens, exact repetition, independence of batches, whole words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/token_masking.h"
#include "tests/unit/fail_alloc.h"

enum { PAD, UNK, CLS, SEP, MASK, FIRST, N_WORDS = 200, N_PIECES = 100, V = FIRST + N_WORDS + N_PIECES };

/* Five tokens with a role, words w0 to w199, pieces ##p0 to ##p99. */
static tokenizer *make_tokenizer(const char *mask) {
    strbuf text = STRBUF_INIT;
    tokenizer *t = NULL;
    strbuf_printf(&text, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n%s\n", mask);
    for (int i = 0; i < N_WORDS; i++) strbuf_printf(&text, "w%d\n", i);
    for (int i = 0; i < N_PIECES; i++) strbuf_printf(&text, "##p%d\n", i);
    assert_int_equal(tokenizer_create_from_memory("vocab.txt", strbuf_str(&text), text.size, NULL, NULL, &t), POFAC_OK);
    strbuf_free(&text);
    return t;
}

static token_masking *make_masking(masking_options o) {
    tokenizer *t = make_tokenizer("[MASK]");
    token_masking *m;
    assert_int_equal(token_masking_create(t, &o, NULL, &m), POFAC_OK);
    tokenizer_destroy(t);
    return m;
}

/* [CLS] tokens [SEP] tokens [SEP]; every fourth token goes on with a word where `pieces`. */
static void fill(int32_t *ids, size_t n, uint64_t example, bool pieces) {
    for (size_t i = 0; i < n; i++) {
        ids[i] = FIRST + (int32_t)((7 * i + 31 * example) % N_WORDS);
        if (pieces && i % 4 == 3) ids[i] = FIRST + N_WORDS + (int32_t)((i + example) % N_PIECES);
    }
    ids[0] = CLS;
    ids[n / 2] = ids[n - 1] = SEP;
}

static void check_share(const char *what, size_t part, size_t whole, double wanted) {
    const double found = (double)part / (double)whole, bound = 4 * sqrt(wanted * (1 - wanted) / (double)whole);
    if (fabs(found - wanted) > bound)
        fail_msg("%s: found a share of %.5f of %zu, wanted %.5f +- %.5f", what, found, whole, wanted, bound);
}

static void shares_are_those_of_the_specification(void **state) {
    (void)state;
    enum { N = 128, EXAMPLES = 8000 };
    token_masking *m = make_masking((masking_options){.seed = 42});
    size_t tokens = 0, chosen = 0, masked = 0, same = 0, random = 0, at[N] = {0}, drawn[V] = {0};
    int32_t ids[N], before[N], labels[N];
    for (uint64_t e = 0; e < EXAMPLES; e++) {
        fill(ids, N, e, false);
        memcpy(before, ids, sizeof ids);
        size_t counted = 0;
        const size_t returned = token_masking_apply(m, 0, e, ids, labels, N);
        for (size_t i = 0; i < N; i++) {
            const bool special = before[i] < FIRST;
            tokens += !special;
            if (labels[i] == MASKING_NO_LABEL) {
                assert_int_equal(ids[i], before[i]);
                continue;
            }
            assert_false(special);
            assert_int_equal(labels[i], before[i]);
            counted++;
            at[i]++;
            if (ids[i] == MASK) masked++; /* a 3000th of them by chance */
            else if (ids[i] == before[i]) same++;
            else random++;
            if (ids[i] != MASK && ids[i] != before[i]) drawn[ids[i]]++;
        }
        assert_int_equal(returned, counted);
        chosen += counted;
    }
    check_share("chosen", chosen, tokens, 0.15);
    check_share("[MASK]", masked, chosen, 0.8 + 0.1 / V);
    check_share("kept", same, chosen, 0.1 + 0.1 / V);
    check_share("random", random, chosen, 0.1 - 0.2 / V);
    for (size_t i = 1; i < N - 1; i++)
        if (i != N / 2) check_share("chosen at a place", at[i], EXAMPLES, 0.15);
    for (size_t id = 0; id < V; id++)
        if (id != MASK && (drawn[id] < random / V / 2 || drawn[id] > 2 * random / V))
            fail_msg("random token %zu: found %zu times, wanted about %zu", id, drawn[id], random / V);
    token_masking_destroy(m);
}

/* Numbers that stay the same for ever: training goes on where it stopped, with another build of the program too. */
static void masks_are_these(void **state) {
    (void)state;
    static const int32_t wanted[24] = {2, 4, 174, 181, 188, 195, 202, 9,  16,  23,  30,  37,
                                       3, 4, 58,  65,  4,   79,  86,  93, 100, 107, 114, 3};
    token_masking *m = make_masking((masking_options){.seed = 42});
    int32_t ids[24], labels[24];
    fill(ids, 24, 5, false);
    token_masking_apply(m, 3, 5, ids, labels, 24);
    for (size_t i = 0; i < 24; i++)
        if (ids[i] != wanted[i]) fail_msg("token %zu: found %d, wanted %d", i, ids[i], wanted[i]);
    token_masking_destroy(m);
}

static void every_epoch_and_example_has_its_own(void **state) {
    (void)state;
    enum { N = 128 };
    for (int unit = MASK_TOKENS; unit <= MASK_WHOLE_WORDS; unit++) {
        token_masking *m = make_masking((masking_options){.seed = 1, .unit = (masking_unit)unit});
        token_masking *other = make_masking((masking_options){.seed = 2, .unit = (masking_unit)unit});
        int32_t a[N], b[N], la[N], lb[N];
        fill(a, N, 0, true);
        token_masking_apply(m, 0, 10, a, la, N);
        for (uint32_t epoch = 0; epoch < 50; epoch++) {
            fill(b, N, 0, true);
            token_masking_apply(m, epoch, 10, b, lb, N);
            if (epoch == 0) assert_memory_equal(la, lb, sizeof la), assert_memory_equal(a, b, sizeof a);
            else assert_memory_not_equal(la, lb, sizeof la);
            fill(b, N, 0, true);
            token_masking_apply(m, 0, 11 + epoch, b, lb, N);
            assert_memory_not_equal(la, lb, sizeof la);
        }
        fill(b, N, 0, true);
        token_masking_apply(other, 0, 10, b, lb, N);
        assert_memory_not_equal(la, lb, sizeof la);
        token_masking_destroy(m);
        token_masking_destroy(other);
    }
}

/* A token's fate does not depend on how long the example is, so not on padding behind it either. */
static void padding_changes_nothing(void **state) {
    (void)state;
    token_masking *m = make_masking((masking_options){.seed = 9});
    int32_t a[64], b[96] = {0}, la[64], lb[96];
    fill(a, 64, 3, true);
    memcpy(b, a, sizeof a);
    const size_t n = token_masking_apply(m, 1, 2, a, la, 64);
    assert_int_equal(token_masking_apply(m, 1, 2, b, lb, 96), n);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(la, lb, sizeof la);
    for (size_t i = 64; i < 96; i++) assert_true(b[i] == PAD && lb[i] == MASKING_NO_LABEL);
    token_masking_destroy(m);
}

/* Words are chosen whole, in the right number, each as often as the others. */
static void whole_words(void **state) {
    (void)state;
    enum { EXAMPLES = 20000 };
    /*                           0    1      2               3    4       5               6               7       8    9               10 */
    static const int32_t text[] = {CLS,       FIRST, FIRST + N_WORDS, SEP, FIRST + N_WORDS, FIRST + N_WORDS, FIRST + 1,
                                   FIRST + 2, UNK,   FIRST + N_WORDS, SEP};
    static const int word[] = {-1, 0, 0, -1, 1, 1, 2, 3, -1, 4, -1};
    enum { N = sizeof text / sizeof *text, WORDS = 5 };
    token_masking *m = make_masking((masking_options){.seed = 4, .unit = MASK_WHOLE_WORDS});
    token_masking *half = make_masking((masking_options){.seed = 4, .unit = MASK_WHOLE_WORDS, .probability = 0.5});
    size_t count[WORDS] = {0}, masked = 0, tokens = 0;
    for (uint64_t e = 0; e < EXAMPLES; e++) {
        int32_t ids[N], labels[N];
        int chosen[WORDS] = {0}, n = 0;
        memcpy(ids, text, sizeof text);
        token_masking_apply(e % 2 ? m : half, 0, e, ids, labels, N);
        for (size_t i = 0; i < N; i++) {
            if (labels[i] == MASKING_NO_LABEL) continue;
            assert_true(word[i] >= 0);
            chosen[word[i]]++;
            masked += ids[i] == MASK;
            tokens++;
        }
        for (int w = 0; w < WORDS; w++) {
            assert_true(chosen[w] == 0 || chosen[w] == (w < 2 ? 2 : 1));
            n += chosen[w] != 0;
            if (e % 2) count[w] += chosen[w] != 0;
        }
        assert_int_equal(n, e % 2 ? 1 : 2); /* max(1, round(0.75)); round(2.5) to even */
    }
    for (int w = 0; w < WORDS; w++) check_share("a word", count[w], EXAMPLES / 2, 1.0 / WORDS);
    check_share("[MASK] among whole words", masked, tokens, 0.8 + 0.1 / V);
    /* Sixty words: nine are chosen. */
    int32_t ids[63], labels[63];
    for (uint64_t e = 0; e < 100; e++) {
        fill(ids, 63, e, false);
        assert_int_equal(token_masking_apply(m, 0, e, ids, labels, 63), 9);
    }
    /* Nothing to choose from. */
    int32_t none[3] = {CLS, SEP, SEP};
    assert_int_equal(token_masking_apply(m, 0, 0, none, labels, 3), 0);
    assert_int_equal(token_masking_apply(m, 0, 0, none, labels, 0), 0);
    token_masking_destroy(m);
    token_masking_destroy(half);
}

static void what_cannot_mask_is_refused(void **state) {
    (void)state;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    tokenizer *with = make_tokenizer("[MASK]"), *without = make_tokenizer("mask");
    token_masking *m;
    assert_int_equal(token_masking_create(without, &(masking_options){.seed = 1}, &sink, &m), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "error: the vocabulary has no [MASK], which masking needs\n");
    static const double wrong[] = {-0.1, 1.5, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(token_masking_create(with, &(masking_options){.probability = wrong[i]}, NULL, &m), POFAC_ERR_USAGE);
    fail_alloc_after(1);
    assert_int_equal(token_masking_create(with, &(masking_options){.seed = 1}, NULL, &m), POFAC_ERR_RUNTIME);
    assert_true(fail_alloc_stop());
    assert_null(m);
    token_masking_destroy(NULL);
    tokenizer_destroy(with);
    tokenizer_destroy(without);
    strbuf_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_those_of_the_specification),
        cmocka_unit_test(masks_are_these),
        cmocka_unit_test(every_epoch_and_example_has_its_own),
        cmocka_unit_test(padding_changes_nothing),
        cmocka_unit_test(whole_words),
        cmocka_unit_test(what_cannot_mask_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
