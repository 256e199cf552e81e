/* Shards: what is written is read back; another version, every truncation and every flipped bit is refused with a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/shards.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

#define PATH "test_shards.shard"

enum { N_SMALL = 5, N_LARGE = 3000 };

static uint32_t id_of(uint64_t example, size_t i, uint32_t vocab_size) {
    return (uint32_t)rng_below(rng_key_make(1, "ids"), example * 1000 + i, vocab_size);
}

static pair_example example_of(uint64_t e) {
    const uint16_t n = (uint16_t)(5 + e % 60);
    const int8_t label = (int8_t)(e % 3 - 1);
    return (pair_example){.n_tokens = n, .second = label < 0 ? n : (uint16_t)(2 + e % (n - 3u)), .label = label};
}

static pair_list make_list(uint64_t n, uint32_t vocab_size) {
    pair_list list = {0};
    const size_t width = token_bytes_for(vocab_size);
    for (uint64_t e = 0; e < n; e++) {
        pair_example x = example_of(e);
        x.begin = list.tokens.size / width;
        assert_true(VEC_PUSH(&list.examples, x));
        assert_true(VEC_RESERVE(&list.tokens, list.tokens.size + x.n_tokens * width));
        for (size_t i = 0; i < x.n_tokens; i++) {
            const uint32_t id = id_of(e, i, vocab_size);
            memcpy(list.tokens.data + list.tokens.size, &id, width);
            list.tokens.size += width;
        }
    }
    return list;
}

static shard_info make_info(uint32_t vocab_size) {
    return (shard_info){.seed = 42,
                        .n_documents = 7,
                        .first_document = 3,
                        .vocabulary = {1, 2},
                        .vocab_size = vocab_size,
                        .token_bytes = (uint32_t)token_bytes_for(vocab_size),
                        .max_length = 64,
                        .mode = PAIR_MODE_segment_pair_nsp,
                        .split = SHARD_VALIDATION,
                        .number = 1,
                        .special_id = {0, 1, 2, 3, -1}};
}

static void write_shard(uint64_t n, uint32_t vocab_size) {
    pair_list list = make_list(n, vocab_size);
    const shard_info info = make_info(vocab_size);
    assert_int_equal(shard_write(PATH, &info, &list, NULL), POFAC_OK);
    pair_list_free(&list);
}

static void check_contents(const shard *s, uint64_t n, uint32_t vocab_size) {
    assert_int_equal(shard_get_info(s)->n_examples, n);
    for (uint64_t e = n; e-- > 0;) { /* blocks are checked in any order */
        const pair_example wanted = example_of(e);
        shard_example found;
        int32_t ids[64];
        assert_int_equal(shard_read(s, e, NULL, ids, &found), POFAC_OK);
        if (found.n_tokens != wanted.n_tokens || found.second != wanted.second || (int)found.label != wanted.label)
            fail_msg("example %d: found %zu tokens, second %zu, label %d", (int)e, found.n_tokens, found.second, found.label);
        for (size_t i = 0; i < wanted.n_tokens; i++)
            if ((uint32_t)ids[i] != id_of(e, i, vocab_size)) fail_msg("example %d, token %zu: found %d", (int)e, i, ids[i]);
        shard_example measured;
        assert_int_equal(shard_measure(s, e, NULL, &measured), POFAC_OK);
        assert_true(measured.n_tokens == found.n_tokens && measured.second == found.second && measured.label == found.label);
    }
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static const struct {
        uint64_t n;
        uint32_t vocab_size, token_bytes;
    } cases[] = {{0, 100, 2}, {1, 100, 2}, {N_SMALL, 65536, 2}, {N_SMALL, 65537, 4}, {N_LARGE, 30522, 2}, {N_LARGE, 1 << 20, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shard *s;
        write_shard(cases[i].n, cases[i].vocab_size);
        assert_int_equal(shard_open(PATH, NULL, &s), POFAC_OK);
        const shard_info *info = shard_get_info(s);
        shard_info wanted = make_info(cases[i].vocab_size);
        assert_int_equal(info->token_bytes, cases[i].token_bytes);
        wanted.n_examples = info->n_examples;
        wanted.n_tokens = info->n_tokens;
        assert_memory_equal(info, &wanted, sizeof wanted);
        check_contents(s, cases[i].n, cases[i].vocab_size);
        assert_int_equal(shard_check(s, NULL), POFAC_OK);
        shard_close(s);
    }
    unlink(PATH);
}

/* ---- damage ---- */

static unsigned char *load(size_t *n) {
    file_map map;
    assert_int_equal(file_map_open(PATH, NULL, &map), POFAC_OK);
    unsigned char *bytes = malloc(map.size_bytes + 16);
    memcpy(bytes, map.data, map.size_bytes);
    *n = map.size_bytes;
    file_map_close(&map);
    return bytes;
}

static void store(const unsigned char *bytes, size_t n) {
    FILE *f = fopen(PATH, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Opens and checks everything; the message must begin with the path and end in a newline when there is an error. */
static pofac_status examine(strbuf *said) {
    shard *s;
    strbuf_clear(said);
    const diag_sink sink = diag_sink_to_strbuf(said);
    pofac_status status = shard_open(PATH, &sink, &s);
    if (status == POFAC_OK) status = shard_check(s, &sink);
    shard_close(s);
    if (status != POFAC_OK) assert_memory_equal(strbuf_str(said), PATH ": error: ", sizeof PATH ": error: " - 1);
    return status;
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    size_t n;
    strbuf said = STRBUF_INIT;
    write_shard(N_SMALL, 30522);
    unsigned char *bytes = load(&n);
    for (size_t size = 0; size < n; size++) {
        assert_int_equal(truncate(PATH, 0), 0);
        store(bytes, size);
        if (examine(&said) != POFAC_ERR_INPUT) fail_msg("%zu of %zu bytes: accepted", size, n);
    }
    assert_int_equal(truncate(PATH, 0), 0);
    assert_int_equal(examine(&said), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), PATH ": error: found 0 bytes, wanted a shard of pofac, which has more\n");
    store(bytes, n - 10);
    char wanted[200];
    assert_int_equal(examine(&said), POFAC_ERR_INPUT);
    snprintf(wanted, sizeof wanted, PATH ": error: found %zu bytes, wanted %zu: the file is truncated\n", n - 10, n);
    assert_string_equal(strbuf_str(&said), wanted);
    memset(bytes + n, 0, 16);
    store(bytes, n + 16);
    assert_int_equal(examine(&said), POFAC_ERR_INPUT);
    snprintf(wanted, sizeof wanted, PATH ": error: found %zu bytes, wanted %zu: something follows the shard\n", n + 16, n);
    assert_string_equal(strbuf_str(&said), wanted);
    free(bytes);
    strbuf_free(&said);
    unlink(PATH);
}

static void every_flipped_bit_is_found(void **state) {
    (void)state;
    size_t n;
    strbuf said = STRBUF_INIT;
    write_shard(N_SMALL, 30522);
    unsigned char *bytes = load(&n);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        store(bytes, n);
        if (examine(&said) != POFAC_ERR_INPUT) fail_msg("bit %zu of byte %zu: accepted", bit % 8, bit / 8);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(bytes);
    write_shard(N_LARGE, 30522); /* several blocks */
    bytes = load(&n);
    for (size_t i = 0; i < 300; i++) {
        const size_t at = (size_t)rng_below(rng_key_make(3, "damage"), i, n);
        bytes[at] ^= 16;
        store(bytes, n);
        if (examine(&said) != POFAC_ERR_INPUT) fail_msg("byte %zu: accepted", at);
        bytes[at] ^= 16;
    }
    free(bytes);
    strbuf_free(&said);
    unlink(PATH);
}

/* Only the examples in a damaged block are lost. */
static void damage_is_found_where_it_is(void **state) {
    (void)state;
    size_t n, refused = 0;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    shard *s;
    write_shard(N_LARGE, 30522);
    unsigned char *bytes = load(&n);
    bytes[n - 1000] ^= 1;
    store(bytes, n);
    free(bytes);
    assert_int_equal(shard_open(PATH, &sink, &s), POFAC_OK);
    for (uint64_t e = 0; e < N_LARGE; e++) {
        int32_t ids[64];
        shard_example x;
        refused += shard_read(s, e, &sink, ids, &x) != POFAC_OK;
    }
    if (refused == 0 || refused > N_LARGE / 2)
        fail_msg("found %zu of %d examples refused, wanted those of the last block", refused, N_LARGE);
    assert_non_null(strstr(strbuf_str(&said), " are damaged: their checksum is another\n"));
    shard_close(s);
    strbuf_free(&said);
    unlink(PATH);
}

static void other_files_are_refused(void **state) {
    (void)state;
    size_t n;
    strbuf said = STRBUF_INIT;
    write_shard(N_SMALL, 30522);
    unsigned char *bytes = load(&n);
    bytes[8] = SHARD_VERSION + 1;
    store(bytes, n);
    assert_int_equal(examine(&said), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), PATH ": error: found a shard of version 2, wanted version 1\n");
    bytes[0] = 'Q';
    store(bytes, n);
    assert_int_equal(examine(&said), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), PATH ": error: found another kind of file, wanted a shard of pofac\n");
    unlink(PATH);
    assert_int_equal(examine(&said), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), PATH ": error: cannot be opened: No such file or directory\n");
    free(bytes);
    strbuf_free(&said);
}

/* A file whose checksums are right, and whose contents are not. */
static void what_was_written_wrong_is_refused(void **state) {
    (void)state;
    strbuf said = STRBUF_INIT;
    static const struct {
        const char *wanted;
        int field, value;
    } cases[] = {
        {"found mode 9, wanted one below 3", 0, 9},
        {"found split 2, wanted one below 2", 1, 2},
        {"found a length of 4, wanted 5 to 65535", 2, 4},
        {"found id 30522 for [PAD], which the vocabulary of 30522 does not have", 3, 30522},
        {"found 2 bytes for ids of a vocabulary of 70000", 4, 70000},
        {"example 0: found token id 5, wanted one below 5", 5, 5},
        {"example 1: found tokens 5 to 11, wanted 2 to 5 of 35", 2, 5},
        {"example 2: found tokens 99 to 106, wanted 2 to 64 of 35", 6, 99},
        {"example 2: found a second segment at 8 of 7 tokens with label 1", 7, 8},
        {"example 2: found a second segment at 4 of 7 tokens with label 7", 8, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shard_info info = make_info(30522);
        pair_list list = make_list(N_SMALL, 30522);
        const uint32_t v = (uint32_t)cases[i].value;
        char wanted[200];
        switch (cases[i].field) {
        case 0: info.mode = v; break;
        case 1: info.split = v; break;
        case 2: info.max_length = v; break;
        case 3: info.special_id[0] = cases[i].value; break;
        case 4: info.vocab_size = v; break;
        case 5:
            info.vocab_size = v;
            for (size_t k = 0; k < list.tokens.size; k += 2) memcpy(list.tokens.data + k, &(uint16_t){5}, 2);
            info.special_id[3] = 4;
            break;
        case 6: list.examples.data[2].begin = v; break;
        case 7: list.examples.data[2].second = (uint16_t)v; break;
        default: list.examples.data[2].label = (int8_t)v; break;
        }
        assert_int_equal(shard_write(PATH, &info, &list, NULL), POFAC_OK);
        assert_int_equal(examine(&said), POFAC_ERR_INPUT);
        snprintf(wanted, sizeof wanted, PATH ": error: %s\n", cases[i].wanted);
        assert_string_equal(strbuf_str(&said), wanted);
        pair_list_free(&list);
    }
    strbuf_free(&said);
    unlink(PATH);
}

static void failing_calls_are_reported(void **state) {
    (void)state;
    const shard_info info = make_info(30522);
    pair_list list = make_list(N_SMALL, 30522);
    unlink(PATH);
    for (size_t n = 1;; n++) {
        fail_alloc_after(n);
        pofac_status status = shard_write(PATH, &info, &list, NULL);
        if (!fail_alloc_stop()) break;
        assert_int_equal(status, POFAC_ERR_RUNTIME);
        assert_false(file_exists(PATH));
    }
    assert_true(file_exists(PATH));
    pair_list_free(&list);
    for (int reads = 0; reads < 2; reads++) {
        for (size_t n = 1;; n++) {
            shard *s;
            if (reads) fail_read_after(n);
            else fail_alloc_after(n);
            pofac_status status = shard_open(PATH, NULL, &s);
            if (status == POFAC_OK) status = shard_check(s, NULL);
            shard_close(s);
            if (!(reads ? fail_read_stop() : fail_alloc_stop())) {
                assert_int_equal(status, POFAC_OK);
                break;
            }
            assert_int_equal(status, POFAC_ERR_RUNTIME);
        }
    }
    unlink(PATH);
}

static void splits_have_names(void **state) {
    (void)state;
    shard_split split;
    assert_true(shard_split_parse("train", &split) && split == SHARD_TRAIN);
    assert_true(shard_split_parse("validation", &split) && split == SHARD_VALIDATION);
    assert_false(shard_split_parse("dev", &split));
    assert_string_equal(shard_split_name(SHARD_VALIDATION), "validation");
}

static tokenizer *make_tokenizer(const char *words, tokenizer_flag lower) {
    tokenizer *t;
    const tokenizer_options o = {.do_lower_case = lower};
    assert_int_equal(tokenizer_create_from_memory("v", words, strlen(words), &o, NULL, &t), POFAC_OK);
    return t;
}

static void vocabularies_are_told_apart(void **state) {
    (void)state;
    static const char *const words[] = {"[UNK]\n[CLS]\n[SEP]\na\nb\n", "[UNK]\n[CLS]\n[SEP]\nb\na\n", "[UNK]\n[CLS]\n[SEP]\na\n",
                                        "[UNK]\n[CLS]\n[SEP]\na\nb\n"};
    hash128 hashes[4];
    for (int i = 0; i < 4; i++) {
        tokenizer *t = make_tokenizer(words[i], i == 3 ? TOKENIZER_OFF : TOKENIZER_ON);
        shard_info info = {0};
        shard_info_set_tokenizer(&info, t);
        hashes[i] = info.vocabulary;
        assert_int_equal(info.vocab_size, i == 2 ? 4 : 5);
        assert_int_equal(info.token_bytes, 2);
        assert_int_equal(info.special_id[TOKENIZER_CLS], 1);
        assert_int_equal(info.special_id[TOKENIZER_MASK], -1);
        tokenizer_destroy(t);
        for (int k = 0; k < i; k++) assert_memory_not_equal(&hashes[i], &hashes[k], sizeof hashes[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),     cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_found),  cmocka_unit_test(damage_is_found_where_it_is),
        cmocka_unit_test(other_files_are_refused),     cmocka_unit_test(what_was_written_wrong_is_refused),
        cmocka_unit_test(failing_calls_are_reported),  cmocka_unit_test(splits_have_names),
        cmocka_unit_test(vocabularies_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
