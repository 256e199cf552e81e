/* Hashes of inputs: what they are of, what is kept of them, and what happens where memory is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/input_hash.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"

/* Makes the file with the folders above it. */
static void write_file(void **state, const char *name, const char *text) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s", file_path(state, name));
    *strrchr(folder, '/') = 0;
    assert_int_equal(directory_make(folder, NULL), POFAC_OK);
    put_file(state, name, text, strlen(text));
}

static hash128 hash_of(void **state, const char *name, uint64_t *bytes) {
    input_hashes h;
    hash128 hash;
    uint64_t n;
    assert_int_equal(input_hashes_open(NULL, NULL, &h), POFAC_OK);
    assert_int_equal(input_hash(&h, file_path(state, name), NULL, &hash, &n), POFAC_OK);
    input_hashes_close(&h);
    if (bytes) *bytes = n;
    return hash;
}

static bool is_equal(hash128 a, hash128 b) { return a.high == b.high && a.low == b.low; }

static void content_and_names_count(void **state) {
    uint64_t bytes;
    write_file(state, "one/a", "1");
    write_file(state, "one/inner/b", "22");
    write_file(state, "two/inner/b", "22");
    write_file(state, "two/a", "1");
    const hash128 one = hash_of(state, "one", &bytes);
    assert_int_equal(bytes, 3);
    assert_true(is_equal(one, hash_of(state, "two", NULL)));
    assert_true(is_equal(hash_of(state, "one/a", NULL), hash_of(state, "two/a", NULL)));

    write_file(state, "two/checkpoint-20/model", "a run's own");
    write_file(state, "two/runs/events", "likewise");
    assert_true(is_equal(one, hash_of(state, "two", &bytes)));
    assert_int_equal(bytes, 3);
    write_file(state, "two/inner/b", "23");
    assert_false(is_equal(one, hash_of(state, "two", NULL)));

    write_file(state, "three/c", "1");
    write_file(state, "three/inner/b", "22");
    assert_false(is_equal(one, hash_of(state, "three", NULL))); /* another name */
    write_file(state, "four/a", "12");
    write_file(state, "four/inner/b", "2");
    assert_false(is_equal(one, hash_of(state, "four", NULL))); /* the same bytes, cut elsewhere */
}

static const char description[] = "<pofac xmlns=\"urn:pofac:1\"><model name=\"m\" from=\"weights\"/></pofac>";

static void descriptions_have_what_they_name(void **state) {
    write_file(state, "described/m.xml", description);
    write_file(state, "described/weights/model", "old");
    write_file(state, "described/not.xml", "<pofac");
    const hash128 old = hash_of(state, "described/m.xml", NULL), not_one = hash_of(state, "described/not.xml", NULL);
    write_file(state, "described/weights/model", "new");
    assert_false(is_equal(old, hash_of(state, "described/m.xml", NULL)));
    assert_true(is_equal(not_one, hash_of(state, "described/not.xml", NULL)));
}

static void indexes_have_what_they_name(void **state) {
    write_file(state, "sharded/model.index.json",
               "{\"weight_map\": {\"a\": \"1.bin\", \"b\": \"1.bin\", \"c\": \"2.bin\", \"d\": 4}}");
    write_file(state, "sharded/1.bin", "first");
    const hash128 half = hash_of(state, "sharded/model.index.json", NULL);
    write_file(state, "sharded/2.bin", "second");
    const hash128 whole = hash_of(state, "sharded/model.index.json", NULL);
    write_file(state, "sharded/2.bin", "other");
    assert_false(is_equal(half, whole));
    assert_false(is_equal(whole, hash_of(state, "sharded/model.index.json", NULL)));
}

static void expect_refusal(void **state, const char *name, const char *wanted) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    input_hashes h;
    hash128 hash;
    uint64_t bytes;
    assert_int_equal(input_hashes_open(NULL, NULL, &h), POFAC_OK);
    assert_int_equal(input_hash(&h, file_path(state, name), &sink, &hash, &bytes), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&said), wanted));
    assert_ptr_equal(strchr(strbuf_str(&said), '\n'), strbuf_str(&said) + said.size - 1); /* one message */
    input_hashes_close(&h);
    strbuf_free(&said);
}

static void what_has_no_hash(void **state) {
    expect_refusal(state, "absent", "absent: error: cannot be read: No such file or directory\n");

    char name[3 * 40] = "deep";
    for (int i = 0; i < 35; i++) strcat(name, "/d");
    write_file(state, name, "1");
    expect_refusal(state, "deep", "error: found more than 32 directories or descriptions in each other\n");

    if (symlink("/dev/null", file_path(state, "device")) == 0)
        expect_refusal(state, "device", "device: error: found something else, wanted a file or a directory\n");
}

/* Links to directories around them, and descriptions that name themselves and each other, each more than once, come to an end. */
static void loops_end(void **state) {
    uint64_t bytes;
    write_file(state, "round/inner/a", "1");
    assert_int_equal(symlink("..", file_path(state, "round/inner/again")), 0);
    assert_int_equal(symlink("../inner", file_path(state, "round/inner/too")), 0);
    const hash128 old = hash_of(state, "round", &bytes);
    assert_int_equal(bytes, 1);
    write_file(state, "round/inner/a", "2");
    assert_false(is_equal(old, hash_of(state, "round", NULL)));

    static const char names_others[] =
        "<pofac xmlns=\"urn:pofac:1\"><model name=\"m\" from=\"1.xml\"><tokenizer vocab=\"2.xml\"/></model></pofac>";
    write_file(state, "others/1.xml", names_others);
    write_file(state, "others/2.xml", names_others);
    (void)hash_of(state, "others/1.xml", &bytes);
    assert_int_equal(bytes, 2 * (sizeof names_others - 1));
}

/* A kept hash that is not the file's shows whether the file was read. */
static void what_is_kept_is_not_read(void **state) {
    char kept[300], file[300];
    hash128 hash, again;
    uint64_t bytes;
    input_hashes h;
    write_file(state, "kept/file", "content");
    snprintf(kept, sizeof kept, "%s", file_path(state, "hashes"));
    snprintf(file, sizeof file, "%s", file_path(state, "kept/file"));

    assert_int_equal(input_hashes_open(kept, NULL, &h), POFAC_OK);
    assert_int_equal(input_hash(&h, file, NULL, &hash, &bytes), POFAC_OK);
    assert_int_equal(h.rows.size, 1);
    assert_int_equal(input_hashes_save(&h, kept, NULL), POFAC_OK); /* the file is too young to be kept */
    input_hashes_close(&h);
    assert_int_equal(input_hashes_open(kept, NULL, &h), POFAC_OK);
    assert_int_equal(h.rows.size, 0);

    h.opened_ns += INT64_C(3000000000);
    assert_int_equal(input_hash(&h, file, NULL, &hash, &bytes), POFAC_OK);
    h.rows.data[0].hash.low ^= 1;
    assert_int_equal(input_hashes_save(&h, kept, NULL), POFAC_OK);
    input_hashes_close(&h);
    assert_int_equal(input_hashes_open(kept, NULL, &h), POFAC_OK);
    assert_int_equal(h.rows.size, 1);
    assert_int_equal(input_hash(&h, file, NULL, &again, &bytes), POFAC_OK);
    assert_false(is_equal(hash, again));

    write_file(state, "kept/file", "contents"); /* it changes, so it is read */
    const hash128 changed = hash_of(state, "kept/file", NULL);
    assert_int_equal(input_hash(&h, file, NULL, &again, &bytes), POFAC_OK);
    assert_true(is_equal(changed, again));
    input_hashes_close(&h);
}

static void damaged_lines_are_passed_over(void **state) {
    static const char lines[] = "0123456789abcdef0123456789abcdef 7 8 9 /a\n"
                                "0123456789abcdef0123456789abcde 7 8 9 /short\n"
                                "0123456789ABCDEF0123456789ABCDEF 7 8 9 /capitals\n"
                                "0123456789abcdef0123456789abcdef 7 8 relative\n"
                                "0123456789abcdef0123456789abcdef 7 8 9 relative\n"
                                "\n"
                                "0123456789abcdef0123456789abcdef 1 2 3 /b c\n"
                                "0123456789abcdef0123456789abcdef 7 8 9 /cut";
    input_hashes h;
    put_file(state, "damaged", lines, sizeof lines - 1);
    assert_int_equal(input_hashes_open(file_path(state, "damaged"), NULL, &h), POFAC_OK);
    assert_int_equal(h.rows.size, 2);
    assert_string_equal(h.rows.data[0].path, "/a");
    assert_string_equal(h.rows.data[1].path, "/b c");
    assert_int_equal(h.rows.data[1].changed_ns, 3);
    assert_int_equal(h.rows.data[0].hash.low, 0x0123456789abcdefu);
    input_hashes_close(&h);

    put_file(state, "damaged", "", 0);
    assert_int_equal(input_hashes_open(file_path(state, "damaged"), NULL, &h), POFAC_OK);
    assert_int_equal(h.rows.size, 0);
    input_hashes_close(&h);
}

/* What is found in spite of a failed allocation is right. */
static void failing_allocations(void **state) {
    char folder[300], kept[300];
    uint64_t bytes;
    write_file(state, "short/m.xml", description);
    write_file(state, "short/weights/model", "content");
    write_file(state, "short/other", "content");
    snprintf(folder, sizeof folder, "%s", file_path(state, "short"));
    snprintf(kept, sizeof kept, "%s", file_path(state, "hashes-when-short"));
    const hash128 wanted = hash_of(state, "short", NULL);
    size_t n = 1;
    for (;; n++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        input_hashes h;
        hash128 hash = {0};
        fail_alloc_after(n);
        pofac_status status = input_hashes_open(kept, &sink, &h);
        if (status == POFAC_OK) status = input_hash(&h, folder, &sink, &hash, &bytes);
        h.opened_ns += INT64_C(3000000000);
        const pofac_status saved = status == POFAC_OK ? input_hashes_save(&h, kept, &sink) : status;
        input_hashes_close(&h);
        const bool has_failed = fail_alloc_stop();
        if (status == POFAC_OK) assert_true(is_equal(hash, wanted));
        else assert_true(has_failed);
        if (saved != POFAC_OK) assert_true(said.size > 0);
        strbuf_free(&said);
        if (!has_failed) {
            assert_int_equal(saved, POFAC_OK);
            break;
        }
    }
    assert_true(n > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_and_names_count),
        cmocka_unit_test(descriptions_have_what_they_name),
        cmocka_unit_test(indexes_have_what_they_name),
        cmocka_unit_test(what_has_no_hash),
        cmocka_unit_test(loops_end),
        cmocka_unit_test(what_is_kept_is_not_read),
        cmocka_unit_test(damaged_lines_are_passed_over),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
