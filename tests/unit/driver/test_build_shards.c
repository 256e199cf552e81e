/*
 * A small corpus to shards: the examples are those that segment_pairs gives for the tokenized sentences; every allocation, read and write may fail, and the build
 * then goes on to the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/data/shard_set.h"
#include "frontend/driver/build_shards.h"
#include "frontend/driver/inspect_shards.h"
#include "ir/support/file_map.h"
#include "ir/support/hash.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

#define DIR_NAME "test_build_shards.dir"
#define CORPUS DIR_NAME "/corpus.txt"
#define VOCAB DIR_NAME "/vocab.txt"
#define OUT DIR_NAME "/out"

enum { N_DOCUMENTS = 24, N_HELD_OUT = 12, S = 12 };

/* Sentence s of document d: "A b c end.", since a single letter before a point could be an initial. */
static size_t sentences_of(size_t d) { return d % 5 == 4 ? 1 : 2 + d % 6; }
static void put_sentence(size_t d, size_t s, strbuf *out) {
    const size_t words = 2 + (3 * d + s) % 6;
    for (size_t w = 0; w < words; w++) strbuf_printf(out, "%s%c", w ? " " : "", (int)((w ? 'a' : 'A') + (7 * d + 3 * s + w) % 26));
    strbuf_puts(out, " end.");
}

static void write_text(const char *path, const strbuf *text) {
    assert_int_equal(file_write_all(path, strbuf_str(text), text->size, NULL), POFAC_OK);
}

static void empty_directory(const char *path) {
    DIR *d = opendir(path);
    if (!d) return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(path);
}

static int set_up(void **state) {
    strbuf text = STRBUF_INIT;
    (void)state;
    empty_directory(OUT);
    empty_directory(DIR_NAME);
    mkdir(DIR_NAME, 0777);
    for (size_t d = 0; d < N_DOCUMENTS; d++) {
        for (size_t s = 0; s < sentences_of(d); s++) {
            put_sentence(d, s, &text);
            strbuf_puts(&text, s % 2 ? "\n" : " ");
        }
        strbuf_puts(&text, "\n\n");
    }
    write_text(CORPUS, &text);
    strbuf_clear(&text);
    strbuf_puts(&text, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n");
    for (int c = 'a'; c <= 'z'; c++) strbuf_printf(&text, "%c\n", c);
    strbuf_puts(&text, "end\n");
    write_text(VOCAB, &text);
    strbuf_free(&text);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    empty_directory(OUT);
    empty_directory(DIR_NAME);
    return 0;
}

static const char *const corpora[] = {CORPUS};

static build_shards_options make_options(void) {
    return (build_shards_options){.corpora = corpora,
                                  .n_corpora = 1,
                                  .kind = "text",
                                  .output_dir = OUT,
                                  .vocab = VOCAB,
                                  .mode = "segment_pair_nsp",
                                  .max_seq_length = S,
                                  .seed = 5,
                                  .validation_share = 0.5,
                                  .shard_tokens = 150,
                                  .threads = 1};
}

/* ---- what is made ---- */

typedef struct made_document {
    uint16_t tokens[200];
    uint32_t lengths[10];
    pair_document view;
} made_document;

/* Token ids of the sentences, by hand: 6 is "a", 32 is "end", 5 is ".". */
static void make_document(size_t d, made_document *out) {
    size_t n = 0;
    for (size_t s = 0; s < sentences_of(d); s++) {
        const size_t words = 2 + (3 * d + s) % 6;
        for (size_t w = 0; w < words; w++) out->tokens[n++] = (uint16_t)(6 + (7 * d + 3 * s + w) % 26);
        out->tokens[n++] = 32;
        out->tokens[n++] = 5;
        out->lengths[s] = (uint32_t)words + 2;
    }
    out->view = (pair_document){(const unsigned char *)out->tokens, out->lengths, sentences_of(d), n};
}

static void check_split(shard_split split, size_t first, size_t n) {
    static made_document made[N_DOCUMENTS];
    pair_document views[N_DOCUMENTS];
    const segment_pairs_options o = {PAIR_MODE_segment_pair_nsp, 5, S, 2, 2, 3};
    pair_list wanted = {0};
    shard_set *set;
    for (size_t i = 0; i < n; i++) {
        make_document(first + i, &made[i]);
        views[i] = made[i].view;
    }
    const pair_pool pool = {views, n, first};
    for (size_t i = 0; i < n; i++) assert_int_equal(segment_pairs_make(&o, &pool, i, NULL, &wanted), POFAC_OK);
    assert_int_equal(shard_set_open(OUT, split, NULL, &set), POFAC_OK);
    assert_int_equal(shard_set_size(set), wanted.examples.size);
    for (uint64_t e = 0; e < wanted.examples.size; e++) {
        const pair_example *w = &wanted.examples.data[e];
        int32_t ids[S];
        shard_example found;
        assert_int_equal(shard_set_read(set, e, NULL, ids, &found), POFAC_OK);
        if (found.n_tokens != w->n_tokens || found.second != w->second || (int)found.label != w->label)
            fail_msg("%s example %d: found %zu tokens, second %zu, label %d", shard_split_name(split), (int)e, found.n_tokens,
                     found.second, found.label);
        for (size_t t = 0; t < w->n_tokens; t++) {
            uint16_t id;
            memcpy(&id, wanted.tokens.data + 2 * (w->begin + t), sizeof id);
            if (ids[t] != id)
                fail_msg("%s example %d, token %zu: found %d, wanted %d", shard_split_name(split), (int)e, t, ids[t], id);
        }
    }
    shard_set_close(set);
    pair_list_free(&wanted);
}

static void shards_have_the_examples_of_the_documents(void **state) {
    (void)state;
    strbuf result = STRBUF_INIT;
    const build_shards_options o = make_options();
    assert_int_equal(build_shards(&o, NULL, &result), POFAC_OK);
    assert_non_null(strstr(strbuf_str(&result), "\"documents\": 24, "));
    check_split(SHARD_VALIDATION, 0, N_HELD_OUT);
    check_split(SHARD_TRAIN, N_HELD_OUT, N_DOCUMENTS - N_HELD_OUT);
    strbuf_free(&result);
}

/* ---- failures ---- */

/* The hash of all files, in the order of their names. */
static uint64_t hash_directory(void) {
    struct dirent **entries;
    uint64_t h = 0;
    const int n = scandir(OUT, &entries, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        char path[400];
        file_map map;
        snprintf(path, sizeof path, "%s/%s", OUT, entries[i]->d_name);
        h = hash_combine(h, hash_bytes(entries[i]->d_name, strlen(entries[i]->d_name)));
        if (entries[i]->d_name[0] != '.') {
            assert_int_equal(file_map_open(path, NULL, &map), POFAC_OK);
            h = hash_combine(h, hash_bytes(map.data, map.size_bytes));
            file_map_close(&map);
        }
        free(entries[i]);
    }
    free(entries);
    return h;
}

static pofac_status build(build_directory directory, strbuf *said) {
    strbuf result = STRBUF_INIT;
    build_shards_options o = make_options();
    const diag_sink sink = diag_sink_to_strbuf(said);
    o.directory = directory;
    pofac_status status = build_shards(&o, &sink, &result);
    strbuf_free(&result);
    return status;
}

/* Any call fails: there is a message, and going on gives the bytes of a build in which none did. */
static void check_failures(void (*fail_after)(size_t), bool (*stop)(void), size_t step) {
    strbuf said = STRBUF_INIT;
    assert_int_equal(build(BUILD_OVERWRITE, &said), POFAC_OK);
    const uint64_t wanted = hash_directory();
    for (size_t n = 1;; n += 1 + n / step) {
        empty_directory(OUT);
        strbuf_clear(&said);
        fail_after(n);
        pofac_status status = build(BUILD_NEW, &said);
        const bool failed = stop();
        if (!failed) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
        if (status == POFAC_OK) continue; /* a failure that changes nothing, as of a lock */
        if (status == POFAC_ERR_USAGE || (said.size == 0 && !said.failed))
            fail_msg("call %zu: status %d, \"%s\"", n, status, strbuf_str(&said));
        strbuf_clear(&said);
        if (build(BUILD_RESUME, &said) != POFAC_OK) fail_msg("call %zu: cannot go on: %s", n, strbuf_str(&said));
        if (hash_directory() != wanted) fail_msg("call %zu: other files", n);
    }
    strbuf_free(&said);
}

static void failing_allocations(void **state) {
    (void)state;
    check_failures(fail_alloc_after, fail_alloc_stop, 10);
}

static void failing_reads(void **state) {
    (void)state;
    check_failures(fail_read_after, fail_read_stop, 1000);
}

/* ---- inspect ---- */

/* By the ids' definition: sum of p log 1/p over all tokens but [CLS] and [SEP], counted a pair of positions at a time. */
static double slow_entropy(void) {
    shard_set *set;
    static int32_t ids[4096], all[65536];
    size_t n = 0;
    double sum = 0;
    assert_int_equal(shard_set_open(OUT, SHARD_TRAIN, NULL, &set), POFAC_OK);
    for (uint64_t i = 0; i < shard_set_size(set); i++) {
        shard_example e;
        assert_int_equal(shard_set_read(set, i, NULL, ids, &e), POFAC_OK);
        for (size_t k = 0; k < e.n_tokens; k++)
            if (ids[k] != ids[0] && ids[k] != ids[e.n_tokens - 1]) all[n++] = ids[k];
        assert_true(n < 60000);
    }
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        for (size_t k = 0; k < n; k++) same += all[k] == all[i];
        sum -= log((double)same / (double)n);
    }
    shard_set_close(set);
    return sum / (double)n;
}

static void check_entropy(const char *json) {
    static const char key[] = "\"unigram_entropy\": ";
    const char *at = strstr(json, key);
    assert_non_null(at);
    const double found = strtod(at + strlen(key), NULL), wanted = slow_entropy();
    assert_true(wanted > 1);
    if (!(fabs(found - wanted) <= 1e-9 * wanted)) fail_msg("unigram_entropy is %.12g, wanted %.12g", found, wanted);
}

static void examples_are_shown(void **state) {
    (void)state;
    strbuf said = STRBUF_INIT, out = STRBUF_INIT;
    inspect_shards_options o = {.split = "train", .vocab = VOCAB, .mask_seed = 1};
    const diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(build(BUILD_OVERWRITE, &said), POFAC_OK);
    assert_int_equal(inspect_shards(OUT, &o, &sink, &out), POFAC_OK);
    assert_non_null(
        strstr(strbuf_str(&out), "\"mode\": \"segment_pair_nsp\", \"seed\": 5, \"max_length\": 12, \"vocab_size\": 33,"));
    assert_non_null(strstr(strbuf_str(&out), "\"histogram\": [{\"from\": 1, \"to\": 2, "));
    check_entropy(strbuf_str(&out));
    strbuf_clear(&out);
    assert_int_equal(inspect_shards_example(OUT, 0, &o, &sink, &out), POFAC_OK);
    assert_non_null(strstr(strbuf_str(&out), "\"tokens\": [\"[CLS]\", "));
    strbuf_clear(&out);
    o.masked = o.whole_words = true;
    assert_int_equal(inspect_shards_example(OUT, 0, &o, &sink, &out), POFAC_OK);
    assert_non_null(strstr(strbuf_str(&out), "\"labels\": {\""));
    o.vocab = NULL;
    assert_int_equal(inspect_shards_example(OUT, 0, &o, &sink, &out), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&said), "error: masking needs the vocabulary: --vocab FILE or --tokenizer DIR\n");
    o.masked = false;
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        strbuf_clear(&out);
        pofac_status status = inspect_shards(OUT, &o, NULL, &out);
        if (status == POFAC_OK) status = inspect_shards_example(OUT, 3, &o, NULL, &out);
        if (!fail_alloc_stop()) break;
        assert_int_equal(status, POFAC_ERR_RUNTIME);
    }
    strbuf_free(&said);
    strbuf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_have_the_examples_of_the_documents),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(failing_reads),
        cmocka_unit_test(examples_are_shown),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
