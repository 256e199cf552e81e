/* The manifest of shards, and all shards of a split as one row of examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/data/shard_manifest.h"
#include "frontend/data/shard_set.h"
#include "ir/support/file_map.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_read.h"

#define DIR "test_shard_set.dir"
#define OPTIONS "{\"mode\": \"segment_pair_nsp\", \"seed\": 42, \"validation_share\": 0.05}"

/* Shards of 3, 0 and 4 training examples and 2 for validation; the tokens of an example are its number among all, and its place. */
static const struct {
    shard_split split;
    uint64_t number, n, first;
} files[] = {{SHARD_VALIDATION, 0, 2, 0}, {SHARD_TRAIN, 0, 3, 2}, {SHARD_TRAIN, 1, 0, 5}, {SHARD_TRAIN, 2, 4, 6}};
enum { N_FILES = 4 };

static void path_of(size_t i, strbuf *out) {
    strbuf_clear(out);
    shard_manifest_put_shard_path(DIR, files[i].split, files[i].number, out);
}

static void write_one(size_t i, uint64_t first_id) {
    pair_list list = {0};
    strbuf path = STRBUF_INIT;
    const shard_info info = {.seed = 42,
                             .first_document = files[i].first,
                             .n_documents = 10,
                             .vocab_size = 1000,
                             .token_bytes = 2,
                             .max_length = 8,
                             .split = (uint32_t)files[i].split,
                             .number = (uint32_t)files[i].number};
    for (uint64_t e = 0; e < files[i].n; e++) {
        const uint16_t ids[3] = {(uint16_t)(first_id + e), 1, 2};
        assert_true(VEC_PUSH(&list.examples, ((pair_example){.begin = 3 * e, .n_tokens = 3, .second = 2, .label = e % 2})));
        assert_true(VEC_RESERVE(&list.tokens, list.tokens.size + sizeof ids));
        memcpy(list.tokens.data + list.tokens.size, ids, sizeof ids);
        list.tokens.size += sizeof ids;
    }
    path_of(i, &path);
    assert_int_equal(shard_write(strbuf_str(&path), &info, &list, NULL), POFAC_OK);
    pair_list_free(&list);
    strbuf_free(&path);
}

static shard_manifest make_manifest(void) {
    shard_manifest m = {.is_complete = true,
                        .parts = 7,
                        .documents_complete = true,
                        .n_documents = 20,
                        .n_sentences = 300,
                        .n_tokens = 4000,
                        .n_empty = 2};
    strbuf_puts(&m.options, OPTIONS);
    m.counts.pages = 206;
    m.counts.redirects = 100;
    for (size_t i = 0; i < N_FILES; i++)
        assert_true(VEC_PUSH(&m.shards, ((manifest_shard){.split = files[i].split,
                                                          .first_document = files[i].first,
                                                          .n_documents = 10,
                                                          .n_examples = files[i].n,
                                                          .n_random = files[i].n / 2,
                                                          .n_tokens = 3 * files[i].n})));
    return m;
}

static void write_directory(void) {
    mkdir(DIR, 0777);
    uint64_t first = 0;
    for (size_t i = 0; i < N_FILES; i++) {
        if (i == 1) first = 0;
        write_one(i, first);
        first += files[i].n;
    }
    shard_manifest m = make_manifest();
    assert_int_equal(shard_manifest_write(DIR, &m, NULL), POFAC_OK);
    shard_manifest_free(&m);
}

static void remove_directory(void) {
    strbuf path = STRBUF_INIT;
    for (size_t i = 0; i < N_FILES; i++) {
        path_of(i, &path);
        unlink(strbuf_str(&path));
    }
    strbuf_free(&path);
    unlink(DIR "/" MANIFEST_FILE);
    rmdir(DIR);
}

static void shards_are_one_row(void **state) {
    (void)state;
    shard_set *s;
    write_directory();
    assert_int_equal(shard_set_open(DIR, SHARD_TRAIN, NULL, &s), POFAC_OK);
    assert_int_equal(shard_set_size(s), 7);
    assert_int_equal(shard_set_shards(s), 3);
    assert_int_equal(shard_set_info(s)->seed, 42);
    assert_int_equal(shard_set_info(s)->n_examples, 0);
    for (uint64_t e = 7; e-- > 0;) {
        int32_t ids[8];
        shard_example x, y;
        assert_int_equal(shard_set_read(s, e, NULL, ids, &x), POFAC_OK);
        assert_int_equal(ids[0], e);
        assert_int_equal(x.n_tokens, 3);
        assert_int_equal(shard_set_measure(s, e, NULL, &y), POFAC_OK);
        assert_int_equal(y.n_tokens, 3);
    }
    shard_set_close(s);
    assert_int_equal(shard_set_open(DIR, SHARD_VALIDATION, NULL, &s), POFAC_OK);
    assert_int_equal(shard_set_size(s), 2);
    shard_set_close(s);
    assert_int_equal(shard_set_open(DIR "/train-00002.shard", SHARD_VALIDATION, NULL, &s), POFAC_OK);
    assert_int_equal(shard_set_size(s), 4);
    shard_set_close(s);
    remove_directory();
}

static void check_refused(const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    shard_set *s;
    assert_int_equal(shard_set_open(DIR, SHARD_TRAIN, &sink, &s), POFAC_ERR_INPUT);
    assert_null(s);
    assert_string_equal(strbuf_str(&said), wanted);
    strbuf_free(&said);
}

static void directories_that_are_not_whole_are_refused(void **state) {
    (void)state;
    write_directory();
    assert_int_equal(unlink(DIR "/train-00001.shard"), 0);
    check_refused(DIR "/train-00001.shard: error: cannot be opened: No such file or directory\n");
    assert_int_equal(rename(DIR "/train-00002.shard", DIR "/train-00001.shard"), 0);
    check_refused(DIR "/train-00001.shard: error: the shard is not the one that shards.json lists\n");
    shard_manifest m = make_manifest();
    m.is_complete = false;
    assert_int_equal(shard_manifest_write(DIR, &m, NULL), POFAC_OK);
    check_refused(DIR ": error: the build of the shards is not complete; `pofac data build --resume` goes on with it\n");
    shard_manifest_free(&m);
    unlink(DIR "/" MANIFEST_FILE);
    check_refused(DIR "/shards.json: error: cannot be opened: No such file or directory\n");
    remove_directory();
}

static void manifests_are_read_back(void **state) {
    (void)state;
    shard_manifest m = make_manifest(), found;
    strbuf first = STRBUF_INIT, second = STRBUF_INIT;
    mkdir(DIR, 0777);
    m.is_complete = false;
    assert_true(VEC_PUSH(&m.spools, 15) && VEC_PUSH(&m.spools, 5));
    assert_int_equal(shard_manifest_write(DIR, &m, NULL), POFAC_OK);
    assert_int_equal(shard_manifest_read(DIR, NULL, &found), POFAC_OK);
    assert_int_equal(found.counts.redirects, 100);
    shard_manifest_put(&m, &first);
    strbuf_clear(&found.options); /* the same values, written otherwise */
    strbuf_puts(&found.options, OPTIONS);
    shard_manifest_put(&found, &second);
    assert_string_equal(strbuf_str(&first), strbuf_str(&second));
    shard_manifest_free(&found);
    shard_manifest_free(&m);
    strbuf_free(&first);
    strbuf_free(&second);
    remove_directory();
}

static void options_are_compared(void **state) {
    (void)state;
    static const struct {
        const char *options, *wanted;
    } cases[] = {
        {OPTIONS, ""},
        {"{\"validation_share\": 5e-2, \"seed\": 42, \"mode\": \"segment_pair_nsp\"}", ""},
        {"{\"mode\": \"segment_pair_nsp\", \"seed\": 43, \"validation_share\": 0.05}",
         DIR ": error: the build was begun with seed 42, and shall go on with 43\n"},
        {"{\"mode\": \"concatenate\", \"seed\": 42, \"validation_share\": 0.05}",
         DIR ": error: the build was begun with mode \"segment_pair_nsp\", and shall go on with \"concatenate\"\n"},
        {"{\"mode\": \"segment_pair_nsp\", \"seed\": 42, \"validation_share\": 0.05, \"x\": 1}",
         DIR ": error: the build was begun with x not set, and shall go on with 1\n"},
        {"{\"mode\": \"segment_pair_nsp\", \"seed\": 42}",
         DIR ": error: the build was begun with validation_share 0.05, and shall go on with not set\n"},
    };
    shard_manifest m = make_manifest();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        pofac_status status = shard_manifest_compare(DIR, &m, cases[i].options, &sink);
        assert_int_equal(status, *cases[i].wanted ? POFAC_ERR_INPUT : POFAC_OK);
        assert_string_equal(strbuf_str(&said), cases[i].wanted);
        strbuf_free(&said);
    }
    shard_manifest_free(&m);
}

/* Each part of the file missing or of another type. */
static void manifests_that_are_wrong_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *wanted;
    } cases[] = {
        {"\"format\": \"pofac shards\"", "\"format\": 1", "format: found 1, wanted \"pofac shards\""},
        {"\"version\": 1", "\"version\": 2", "version: found 2, wanted 1"},
        {"\"complete\": true,\n", "\"complete\": 1,\n", "complete: found 1, wanted true or false"},
        {"\"options\"", "\"choices\"", "options: found nothing, wanted an object"},
        {"\"parts\": 7", "\"parts\": -7", "parts: found -7, wanted a number from 0 on"},
        {"\"redirects\": 100", "\"redirects\": \"x\"", "redirects: found \"x\", wanted a number from 0 on"},
        {"\"spools\": []", "\"spools\": {}", "spools: found an object, wanted an array"},
        {"\"spools\": []", "\"spools\": [3]", "documents: found nothing, wanted a number from 0 on"},
        {"\"split\": \"validation\"", "\"split\": \"dev\"", "split: found \"dev\", wanted \"train\" or \"validation\""},
        {"\"examples\": 4", "\"examples\": 4.5", "examples: found 4.5, wanted a number from 0 on"},
    };
    shard_manifest m = make_manifest();
    strbuf text = STRBUF_INIT;
    shard_manifest_put(&m, &text);
    mkdir(DIR, 0777);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf changed = STRBUF_INIT, said = STRBUF_INIT, wanted = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        shard_manifest found;
        const char *at = strstr(strbuf_str(&text), cases[i].from);
        assert_non_null(at);
        strbuf_append(&changed, strbuf_str(&text), (size_t)(at - strbuf_str(&text)));
        strbuf_puts(&changed, cases[i].to);
        strbuf_puts(&changed, at + strlen(cases[i].from));
        assert_int_equal(file_write_all(DIR "/" MANIFEST_FILE, strbuf_str(&changed), changed.size, NULL), POFAC_OK);
        assert_int_equal(shard_manifest_read(DIR, &sink, &found), POFAC_ERR_INPUT);
        strbuf_printf(&wanted, DIR "/" MANIFEST_FILE ": error: %s\n", cases[i].wanted);
        assert_string_equal(strbuf_str(&said), strbuf_str(&wanted));
        strbuf_free(&changed);
        strbuf_free(&said);
        strbuf_free(&wanted);
    }
    for (size_t n = 0; n < text.size - 1; n += 7) { /* cut anywhere */
        shard_manifest found;
        assert_int_equal(file_write_all(DIR "/" MANIFEST_FILE, strbuf_str(&text), n, NULL), POFAC_OK);
        assert_int_equal(shard_manifest_read(DIR, NULL, &found), POFAC_ERR_INPUT);
    }
    shard_manifest_free(&m);
    strbuf_free(&text);
    remove_directory();
}

static void failing_calls_are_reported(void **state) {
    (void)state;
    write_directory();
    for (int reads = 0; reads < 2; reads++)
        for (size_t n = 1;; n++) {
            shard_set *s;
            if (reads) fail_read_after(n);
            else fail_alloc_after(n);
            pofac_status status = shard_set_open(DIR, SHARD_TRAIN, NULL, &s);
            const bool failed = reads ? fail_read_stop() : fail_alloc_stop();
            shard_set_close(s);
            assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
            if (!failed) break;
        }
    remove_directory();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_one_row),
        cmocka_unit_test(directories_that_are_not_whole_are_refused),
        cmocka_unit_test(manifests_are_read_back),
        cmocka_unit_test(options_are_compared),
        cmocka_unit_test(manifests_that_are_wrong_are_refused),
        cmocka_unit_test(failing_calls_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
