/* Shards to batches: tokens and labels as masking makes them for each epoch, whatever the batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frontend/data/batcher.h"
#include "frontend/data/shard_examples.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text/small_vocabulary.h"

enum { N = 40, LONGEST = 24 };

typedef struct shard_case {
    tokenizer *tok;
    shard_set *set;
} shard_case;

static size_t length_of(uint64_t e) { return 6 + e * 7 % (LONGEST - 6); }

static uint16_t id_of(uint64_t e, size_t k) {
    if (k == 0) return 2;                                         /* [CLS] */
    if (k == length_of(e) / 2 || k + 1 == length_of(e)) return 3; /* [SEP] */
    return (uint16_t)(5 + (e * 31 + k) % 30);
}

static void begin(void **state, shard_case *c, pair_mode mode) {
    pair_list list = {0};
    assert_int_equal(
        tokenizer_create_from_memory("vocab", small_vocabulary, strlen(small_vocabulary), &(tokenizer_options){0}, NULL, &c->tok),
        POFAC_OK);
    shard_info info = {.seed = 3, .n_documents = 4, .max_length = LONGEST, .mode = mode};
    shard_info_set_tokenizer(&info, c->tok);
    for (uint64_t e = 0; e < N; e++) {
        const size_t n = length_of(e);
        const pair_example x = {.begin = list.tokens.size / 2,
                                .n_tokens = (uint16_t)n,
                                .second = (uint16_t)(n / 2 + 1),
                                .label = mode == PAIR_MODE_segment_pair_nsp ? (int8_t)(e % 2) : (int8_t)PAIR_NO_LABEL};
        assert_true(VEC_PUSH(&list.examples, x));
        assert_true(VEC_RESERVE(&list.tokens, list.tokens.size + 2 * n));
        for (size_t k = 0; k < n; k++) {
            const uint16_t id = id_of(e, k);
            memcpy(list.tokens.data + list.tokens.size, &id, sizeof id);
            list.tokens.size += sizeof id;
        }
    }
    assert_int_equal(shard_write(file_path(state, "a.shard"), &info, &list, NULL), POFAC_OK);
    assert_int_equal(shard_set_open(file_path(state, "a.shard"), SHARD_TRAIN, NULL, &c->set), POFAC_OK);
    pair_list_free(&list);
}

static void end(shard_case *c) {
    shard_set_close(c->set);
    tokenizer_destroy(c->tok);
}

static const shard_examples_options both = {.labels = SHARD_LABELS_MASKED | SHARD_LABELS_NEXT_SENTENCE,
                                            .masking = {.seed = 42, .probability = 0.3}};

/* Labels hold what stood where something else may stand now, and epochs differ. */
static void examples_are_masked(void **state) {
    shard_case c;
    begin(state, &c, PAIR_MODE_segment_pair_nsp);
    shard_examples *examples;
    assert_int_equal(shard_examples_create(c.set, c.tok, &both, NULL, &examples), POFAC_OK);
    const example_source s = shard_examples_source(examples);
    int32_t ids[LONGEST], labels[LONGEST];
    uint8_t types[LONGEST];
    example_buffer e = {.ids = ids, .types = types, .token_values = {labels}};
    uint64_t hashes[2] = {0, 0};
    size_t masked = 0;
    assert_int_equal(s.n_fields, 2);
    assert_string_equal(s.fields[1].name, "next_sentence_label");
    for (uint64_t epoch = 0; epoch < 2; epoch++)
        for (uint64_t i = 0; i < N; i++) {
            assert_int_equal(s.read(s.user, epoch, i, NULL, &e), POFAC_OK);
            assert_int_equal(e.n_tokens, length_of(i));
            assert_int_equal(e.values[1], i % 2);
            for (size_t k = 0; k < e.n_tokens; k++) {
                assert_int_equal(types[k], k >= length_of(i) / 2 + 1);
                if (labels[k] == EXAMPLE_NO_LABEL) assert_int_equal(ids[k], id_of(i, k));
                else assert_int_equal(labels[k], id_of(i, k));
                masked += labels[k] != EXAMPLE_NO_LABEL;
                hashes[epoch] = hash_combine(hashes[epoch], (uint64_t)ids[k]);
            }
        }
    assert_in_range(masked, 150, 450); /* 30 % of about 1,000 tokens */
    assert_true(hashes[0] != hashes[1]);
    shard_examples_destroy(examples);
    end(&c);
}

/* An example has the same tokens and labels in any batch of an epoch. */
static void batches_play_no_part(void **state) {
    shard_case c;
    begin(state, &c, PAIR_MODE_segment_pair_nsp);
    shard_examples *examples;
    assert_int_equal(shard_examples_create(c.set, c.tok, &both, NULL, &examples), POFAC_OK);
    const example_source s = shard_examples_source(examples);
    static int64_t found[2][2][N][LONGEST]; /* [order][ids or labels][example][place] */
    for (int order = 0; order < 2; order++) {
        const batcher_options options = {.order = {.arrangement = order ? BATCH_BY_LENGTH : BATCH_IN_ORDER,
                                                   .batch_size = order ? 5 : 8,
                                                   .fixed_length = order ? 0 : LONGEST},
                                         .n_epochs = 1,
                                         .prefetch = order ? 3 : 0};
        batcher *b;
        const batch *made;
        assert_int_equal(batcher_create(&s, &options, NULL, &b), POFAC_OK);
        const batch_source source = batcher_source(b);
        while (assert_int_equal(source.next(source.user, NULL, &made), POFAC_OK), made) {
            assert_string_equal(made->names[3], "labels");
            for (int64_t row = 0; row < made->n_sequences; row++)
                for (size_t k = 0; k < length_of(made->examples[row]); k++) {
                    const int64_t place = row * made->tensors[0].dims[1] + (int64_t)k;
                    found[order][0][made->examples[row]][k] = ((int64_t *)made->tensors[0].data)[place];
                    found[order][1][made->examples[row]][k] = ((int64_t *)made->tensors[3].data)[place];
                }
        }
        batcher_destroy(b);
    }
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    shard_examples_destroy(examples);
    end(&c);
}

static void expect_refused(shard_case *c, const tokenizer *tok, unsigned labels, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    shard_examples *examples;
    assert_int_equal(shard_examples_create(c->set, tok, &(shard_examples_options){.labels = labels}, &sink, &examples),
                     POFAC_ERR_INPUT);
    assert_null(examples);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
}

static void shards_that_do_not_fit(void **state) {
    static const char other[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n";
    shard_case c;
    tokenizer *tok;
    begin(state, &c, PAIR_MODE_doc_sentences);
    assert_int_equal(tokenizer_create_from_memory("vocab", other, strlen(other), &(tokenizer_options){0}, NULL, &tok), POFAC_OK);
    expect_refused(
        &c, tok, 0,
        "error: shards: found ids of another vocabulary of 75 tokens, wanted the tokenizer's of 6, split in the same way\n");
    expect_refused(&c, c.tok, SHARD_LABELS_NEXT_SENTENCE,
                   "error: shards: found mode doc_sentences, wanted segment_pair_nsp for labels of next sentences\n");
    tokenizer_destroy(tok);
    end(&c);
}

/* A position of one masking is none of another. */
static void fingerprints_differ(void **state) {
    shard_case c;
    begin(state, &c, PAIR_MODE_segment_pair_nsp);
    shard_examples_options options[5] = {both, both, both, both, both};
    uint64_t prints[5];
    options[1].masking.seed++;
    options[2].masking.unit = MASK_WHOLE_WORDS;
    options[3].masking.probability = 0.2;
    options[4].labels = SHARD_LABELS_MASKED;
    for (int i = 0; i < 5; i++) {
        shard_examples *examples;
        assert_int_equal(shard_examples_create(c.set, c.tok, &options[i], NULL, &examples), POFAC_OK);
        prints[i] = shard_examples_source(examples).fingerprint;
        for (int k = 0; k < i; k++) assert_true(prints[k] != prints[i]);
        shard_examples_destroy(examples);
    }
    end(&c);
}

static void failing_allocations(void **state) {
    shard_case c;
    begin(state, &c, PAIR_MODE_segment_pair_nsp);
    for (size_t n = 1;; n++) {
        shard_examples *examples;
        fail_alloc_after(n);
        pofac_status status = shard_examples_create(c.set, c.tok, &both, NULL, &examples);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        shard_examples_destroy(examples);
        if (!failed) break;
    }
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_masked), cmocka_unit_test(batches_play_no_part), cmocka_unit_test(shards_that_do_not_fit),
        cmocka_unit_test(fingerprints_differ), cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
