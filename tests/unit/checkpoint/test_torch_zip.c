/* pitfall 15: zip archives, zip64 among them: what is read, by which way, and every archive that is refused, with the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/checkpoint/torch_zip.h"
#include "tests/unit/checkpoint/torch_files.h"
#include "tests/unit/fail_alloc.h"

typedef struct outcome {
    pofac_status status;
    zip_archive zip;
    arena memory;
    strbuf said;
    diag_sink sink;
} outcome;

/* The archive's bytes are copied to memory of exactly their size, so that AddressSanitizer sees a read over their end. */
static void open_bytes(outcome *o, const void *bytes, size_t n) {
    *o = (outcome){.memory = ARENA_INIT, .said = STRBUF_INIT};
    o->sink = diag_sink_to_strbuf(&o->said);
    void *copy = arena_copy(&o->memory, bytes, n);
    assert_non_null(copy);
    o->status = zip_open("x.bin", copy, n, &o->memory, &o->sink, &o->zip);
}

static void end(outcome *o) {
    zip_close(&o->zip);
    arena_free(&o->memory);
    strbuf_free(&o->said);
}

static void expect_wrong(const zip_writer *z, const char *said) {
    char wanted[400];
    outcome o;
    open_bytes(&o, z->file.data, z->file.size);
    snprintf(wanted, sizeof wanted, "x.bin: error: %s\n", said);
    assert_string_equal(strbuf_str(&o.said), wanted);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    end(&o);
}

static void expect_entry(outcome *o, const char *name, const void *bytes, size_t n) {
    const unsigned char *found = NULL;
    zip_entry *entry = zip_find(&o->zip, name);
    if (!entry) fail_msg("%s is not found", name);
    assert_int_equal(entry->bytes, n);
    pofac_status status = zip_read(&o->zip, entry, &found);
    assert_string_equal(strbuf_str(&o->said), "");
    assert_int_equal(status, POFAC_OK);
    if (n) assert_memory_equal(found, bytes, n);
}

static const char zeros[100000];

/* a (stored), b/c (deflated), e (empty, stored), f (empty, deflated), z (zeros, deflated) */
static void put_small(zip_writer *z) {
    zip_put(z, "a", ZIP_STORED, "hello", 5);
    zip_put(z, "b/c", ZIP_DEFLATED, "hello hello hello", 17);
    zip_put(z, "e", ZIP_STORED, "", 0);
    zip_put(z, "f", ZIP_DEFLATED, "", 0);
    zip_put(z, "z", ZIP_DEFLATED, zeros, sizeof zeros);
    zip_finish(z);
}

static void expect_small(outcome *o) {
    assert_string_equal(strbuf_str(&o->said), "");
    assert_int_equal(o->status, POFAC_OK);
    assert_int_equal(o->zip.n_entries, 5);
    assert_string_equal(o->zip.entries[1].name, "b/c");
    for (int twice = 0; twice < 2; twice++) {
        expect_entry(o, "a", "hello", 5);
        expect_entry(o, "b/c", "hello hello hello", 17);
        expect_entry(o, "e", "", 0);
        expect_entry(o, "f", "", 0);
        expect_entry(o, "z", zeros, sizeof zeros);
    }
    assert_null(zip_find(&o->zip, "b"));
    const unsigned char *a;
    assert_int_equal(zip_read(&o->zip, zip_find(&o->zip, "a"), &a), POFAC_OK);
    assert_in_range((uintptr_t)a, (uintptr_t)o->zip.bytes, (uintptr_t)o->zip.bytes + o->zip.n_bytes); /* not copied */
    assert_int_equal(o->zip.inflated_bytes, 17 + sizeof zeros);
}

static void test_archives(void **state) {
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        zip_writer z = {.zip64 = zip64};
        outcome o;
        put_small(&z);
        open_bytes(&o, z.file.data, z.file.size);
        expect_small(&o);
        end(&o);
        zip_discard(&z);
    }
}

static void test_comment(void **state) {
    (void)state;
    zip_writer z = {0};
    outcome o;
    put_small(&z);
    zip_patch(&z, "PK\5\6", 0, 20, "\6", 1);
    PUT(&z.file, "PK\5\6\0\0"); /* looks like an end, with a comment that reaches too far */
    open_bytes(&o, z.file.data, z.file.size);
    expect_small(&o);
    end(&o);
    zip_discard(&z);
}

/* torch writes a zip64 record also where 32 bits are enough; both must say the same. */
static void test_record_beside_small_fields(void **state) {
    (void)state;
    zip_writer small = {0}, z = {.zip64 = true};
    outcome o;
    put_small(&z);
    const unsigned char *end64 = memmem(z.file.data, z.file.size, "PK\6\6", 4);
    assert_non_null(end64);
    zip_patch(&z, "PK\5\6", 0, 10, "\5\0", 2);
    zip_patch(&z, "PK\5\6", 0, 12, end64 + 40, 4);
    zip_patch(&z, "PK\5\6", 0, 16, end64 + 48, 4);
    open_bytes(&o, z.file.data, z.file.size);
    expect_small(&o);
    end(&o);
    zip_patch(&z, "PK\5\6", 0, 10, "\4", 1);
    expect_wrong(&z, "zip archive's directory: found a zip64 record that contradicts the end record");
    zip_discard(&z);
    zip_discard(&small);
}

/* As put_small, but all stored, so that every place is known. */
static void put_plain(zip_writer *z) {
    zip_put(z, "a", ZIP_STORED, "hello", 5);
    zip_put(z, "b/c", ZIP_STORED, "hello hello hello", 17);
    zip_put(z, "e", ZIP_STORED, "", 0);
    zip_put(z, "f", ZIP_STORED, "", 0);
    zip_put(z, "z", ZIP_STORED, zeros, 20);
    zip_finish(z);
}

/* One field of an archive changed. */
static void test_wrong_fields(void **state) {
    (void)state;
    static const struct {
        bool zip64;
        const char *signature;
        size_t number, offset;
        const char *bytes;
        size_t n;
        const char *said;
    } rows[] = {
#define FIELD(signature, number, offset, bytes) signature, number, offset, bytes, sizeof(bytes) - 1
        {false, FIELD("PK\5\6", 0, 0, "PK\5\7"),
         "zip archive's directory: not found at the end of the 473 bytes: the file is cut short"},
        {false, FIELD("PK\5\6", 0, 4, "\1"), "zip archive's directory: found an archive of several parts, wanted one"},
        {false, FIELD("PK\5\6", 0, 6, "\1"), "zip archive's directory: found an archive of several parts, wanted one"},
        {false, FIELD("PK\5\6", 0, 10, "\6"),
         "zip archive's directory: found 237 bytes for 6 entries, wanted at least 46 for each"},
        {false, FIELD("PK\5\6", 0, 12, "\xff"),
         "zip archive's directory: found bytes 214 and 255 more, wanted a range within the first 451"},
        {false, FIELD("PK\5\6", 0, 16, "\xff\xff\xff\xff"),
         "zip archive's directory: found bytes 4294967295 and 237 more, wanted a range within the first 451"},
        {false, FIELD("PK\1\2", 0, 0, "QK"), "zip archive's directory: found no entry at byte 214"},
        {false, FIELD("PK\1\2", 1, 0, "QK"), "zip archive's directory: found no entry at byte 261"},
        {false, FIELD("PK\1\2", 4, 28, "\2"), "zip archive's directory: found an entry at byte 404 that reaches over its end"},
        {false, FIELD("PK\1\2", 0, 32, "\xff\xff"),
         "zip archive's directory: found an entry at byte 214 that reaches over its end"},
        {false, FIELD("PK\1\2", 0, 28, "\0"),
         "zip archive's directory: found an entry at byte 214 without a name, or with one that has a zero byte"},
        {false, FIELD("PK\1\2", 0, 46, "\0"),
         "zip archive's directory: found an entry at byte 214 without a name, or with one that has a zero byte"},
        {false, FIELD("PK\1\2", 2, 46, "a"), "\"a\": found twice, wanted once"},
        {false, FIELD("PK\1\2", 2, 46, "g"), "\"g\": found another name in the header at byte 92"},
        {false, FIELD("PK\1\2", 0, 42, "\1"), "\"a\": found no header at byte 1, where the directory has it"},
        {false, FIELD("PK\1\2", 0, 42, "\xff\xff\xff\xff"),
         "\"a\": found no header at byte 4294967295, where the directory has it"},
        {false, FIELD("PK\1\2", 0, 42, "\6\1\0\0"),
         "\"a\": found no header at byte 262, where the directory has it"}, /* in the directory */
        {false, FIELD("PK\3\4", 0, 0, "QK"), "\"a\": found no header at byte 0, where the directory has it"},
        {false, FIELD("PK\3\4", 0, 28, "\xff\xff"), "\"a\": found a header at byte 0 that reaches into the directory"},
        {false, FIELD("PK\3\4", 0, 26, "\2"), "\"a\": found another name in the header at byte 0"},
        {false, FIELD("PK\1\2", 0, 20, "\xff\xff\xff\xff"), "\"a\": found 180 bytes from byte 34 on, wanted 4294967295"},
        {false, FIELD("PK\1\2", 0, 20, "\6"), "\"b/c\": found at byte 39, wanted it from byte 40, where another entry ends"},
        {true, FIELD("PK\6\7", 0, 4, "\1"), "zip archive's directory: found an archive of several parts, wanted one"},
        {true, FIELD("PK\6\7", 0, 16, "\2"), "zip archive's directory: found an archive of several parts, wanted one"},
        {true, FIELD("PK\6\7", 0, 8, "\1"), "zip archive's directory: found no zip64 record at byte 513, where its locator has it"},
        {true, FIELD("PK\6\7", 0, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "zip archive's directory: found no zip64 record at byte 18446744073709551615, where its locator has it"},
        {true, FIELD("PK\6\6", 0, 16, "\1"), "zip archive's directory: found an archive of several parts, wanted one"},
        {true, FIELD("PK\6\6", 0, 32, "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "zip archive's directory: found 377 bytes for 18446744073709551615 entries, wanted at least 46 for each"},
        {true, FIELD("PK\6\6", 0, 48, "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "zip archive's directory: found bytes 18446744073709551615 and 377 more, wanted a range within the first 591"},
        {true, FIELD("PK\6\6", 0, 40, "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "zip archive's directory: found bytes 214 and 18446744073709551615 more, wanted a range within the first 591"},
        {true, FIELD("PK\1\2", 0, 49, "\x10"), "\"a\": found a zip64 field that is cut short"},
        {true, FIELD("PK\1\2", 0, 47, "\2"), "\"a\": found no header at byte 4294967295, where the directory has it"},
        {true, FIELD("PK\1\2", 0, 67, "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "\"a\": found no header at byte 18446744073709551615, where the directory has it"},
        {true, FIELD("PK\1\2", 0, 59, "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "\"a\": found 180 bytes from byte 34 on, wanted 18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zip_writer z = {.zip64 = rows[i].zip64};
        put_plain(&z);
        zip_patch(&z, rows[i].signature, rows[i].number, rows[i].offset, rows[i].bytes, rows[i].n);
        expect_wrong(&z, rows[i].said);
        zip_discard(&z);
    }
}

/* Entries that can be opened, but not read. */
static void test_wrong_data(void **state) {
    (void)state;
    static const struct {
        size_t number; /* of the entry */
        const char *signature;
        size_t offset;
        const char *bytes;
        size_t n;
        const char *said;
    } rows[] = {
        {0, "PK\1\2", 8, "\1", 1, "\"a\": found encrypted data, wanted them plain"},
        {0, "PK\1\2", 10, "\x0c", 1, "\"a\": found compression method 12, wanted 0 (stored) or 8 (deflated)"},
        {0, "PK\1\2", 24, "\4", 1, "\"a\": found 5 bytes stored, wanted 4"},
        {0, "PK\1\2", 10, "\x08", 1, "\"a\": found malformed compressed data, wanted 5 bytes in them"},
        {1, "PK\1\2", 24, "\x10", 1, "\"b/c\": found malformed compressed data, wanted 16 bytes in them"},
        {1, "PK\1\2", 24, "\x12", 1, "\"b/c\": found malformed compressed data, wanted 18 bytes in them"},
        {1, "PK\1\2", 20, "\4", 1, "\"b/c\": found malformed compressed data, wanted 17 bytes in them"},
        {1, "PK\3\4", 36, "\xff\xff", 2, "\"b/c\": found malformed compressed data, wanted 17 bytes in them"},
        {1, "PK\1\2", 16, "\1\2\3\4", 4, "\"b/c\": found data with another checksum: the file is damaged"},
        {3, "PK\1\2", 24, "\1", 1, "\"f\": found malformed compressed data, wanted 1 bytes in them"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zip_writer z = {0};
        outcome o;
        char wanted[300];
        const unsigned char *bytes;
        put_small(&z);
        zip_patch(&z, rows[i].signature, rows[i].number, rows[i].offset, rows[i].bytes, rows[i].n);
        open_bytes(&o, z.file.data, z.file.size);
        assert_string_equal(strbuf_str(&o.said), "");
        assert_int_equal(zip_read(&o.zip, &o.zip.entries[rows[i].number], &bytes), POFAC_ERR_INPUT);
        snprintf(wanted, sizeof wanted, "x.bin: error: %s\n", rows[i].said);
        assert_string_equal(strbuf_str(&o.said), wanted);
        end(&o);
        zip_discard(&z);
    }
}

static void test_too_much_is_inflated(void **state) {
    (void)state;
    zip_writer z = {0};
    outcome o;
    char wanted[300];
    const unsigned char *bytes;
    put_small(&z);
    zip_patch(&z, "PK\1\2", 4, 24, "\xff\xff\xff\xff", 4);
    open_bytes(&o, z.file.data, z.file.size);
    assert_int_equal(zip_read(&o.zip, &o.zip.entries[4], &bytes), POFAC_ERR_INPUT);
    snprintf(wanted, sizeof wanted,
             "x.bin: error: \"z\": found 4294967295 bytes in %d compressed ones, wanted at most 100 times as many in all\n",
             (int)o.zip.entries[4].packed_bytes);
    assert_string_equal(strbuf_str(&o.said), wanted);
    end(&o);
    zip_discard(&z);
}

static void test_long_name_is_cut(void **state) {
    (void)state;
    zip_writer z = {0};
    char name[301] = "", said[400];
    memset(name, 'n', 300);
    zip_put(&z, name, ZIP_STORED, "", 0);
    zip_finish(&z);
    zip_patch(&z, "PK\3\4", 0, 30, "m", 1);
    snprintf(said, sizeof said, "\"%.200s\"...: found another name in the header at byte 0", name);
    expect_wrong(&z, said);
    zip_discard(&z);
}

/* Cut anywhere, there is no end record where one is wanted. */
static void test_truncation(void **state) {
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        zip_writer z = {.zip64 = zip64};
        put_small(&z);
        for (size_t n = 0; n < z.file.size; n++) {
            outcome o;
            open_bytes(&o, z.file.data, n);
            if (o.status != POFAC_ERR_INPUT) fail_msg("cut to %zu of %zu bytes: status %d", n, z.file.size, o.status);
            end(&o);
        }
        zip_discard(&z);
    }
}

/* Any byte may be anything: an outcome for the archive and for each entry, and no step over an end. */
static void test_changed_bytes(void **state) {
    (void)state;
    static const unsigned char others[] = {0, 1, 8, 0x2d, 0x7f, 0x80, 0xff};
    for (int zip64 = 0; zip64 < 2; zip64++) {
        zip_writer z = {.zip64 = zip64};
        zip_put(&z, "a", ZIP_STORED, "hello", 5);
        zip_put(&z, "b/c", ZIP_DEFLATED, "hello hello hello", 17);
        zip_finish(&z);
        for (size_t i = 0; i < z.file.size; i++) {
            const char was = z.file.data[i];
            for (size_t j = 0; j < sizeof others; j++) {
                outcome o;
                z.file.data[i] = (char)others[j];
                open_bytes(&o, z.file.data, z.file.size);
                assert_int_equal(o.status == POFAC_OK, o.said.size == 0);
                for (size_t k = 0; o.status == POFAC_OK && k < o.zip.n_entries; k++) {
                    const unsigned char *bytes;
                    volatile unsigned char sum = 0;
                    if (zip_read(&o.zip, &o.zip.entries[k], &bytes) != POFAC_OK) continue;
                    for (size_t b = 0; b < o.zip.entries[k].bytes; b++) sum = (unsigned char)(sum + bytes[b]);
                }
                end(&o);
            }
            z.file.data[i] = was;
        }
        zip_discard(&z);
    }
}

static pofac_status read_everything(const zip_writer *z, arena *memory) {
    zip_archive zip;
    pofac_status status = zip_open("x.bin", z->file.data, z->file.size, memory, NULL, &zip);
    for (size_t i = 0; status == POFAC_OK && i < zip.n_entries; i++) {
        const unsigned char *bytes;
        status = zip_read(&zip, &zip.entries[i], &bytes);
    }
    zip_close(&zip);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    zip_writer z = {0};
    put_small(&z);
    for (size_t n = 1;; n++) {
        arena memory = ARENA_INIT;
        fail_alloc_after(n);
        pofac_status status = read_everything(&z, &memory);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        arena_free(&memory);
        if (!failed) break;
    }
    zip_discard(&z);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_comment),
        cmocka_unit_test(test_record_beside_small_fields),
        cmocka_unit_test(test_wrong_fields),
        cmocka_unit_test(test_wrong_data),
        cmocka_unit_test(test_too_much_is_inflated),
        cmocka_unit_test(test_long_name_is_cut),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
