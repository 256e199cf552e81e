/* pitfall 15: files of torch.save that are refused, with the message; files cut and changed at every byte. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/checkpoint/torch_files.h"

/* ---- wrong tensors ---- */

static void test_wrong_tensors(void **state) {
    static const int64_t tera = INT64_C(1) << 40, huge = INT64_MAX;
    const struct {
        torch_view view;
        const char *said;
    } rows[] = {
#define OUT(offset) "found a view from element " offset " on that reaches out of the 6 elements of storage \"0\""
        {{"x", "FloatStorage", "0", 6, 1, 1, {6}, {1}}, OUT("1")},
        {{"x", "FloatStorage", "0", 6, 6, 1, {1}, {1}}, OUT("6")},
        {{"x", "FloatStorage", "0", 6, 6, 0, {0}, {0}}, OUT("6")},
        {{"x", "FloatStorage", "0", 6, -1, 1, {2}, {1}}, OUT("-1")},
        {{"x", "FloatStorage", "0", 6, huge, 1, {2}, {1}}, OUT("9223372036854775807")},
        {{"x", "FloatStorage", "0", 6, 0, 2, {2, 3}, {4, 1}}, OUT("0")},
        {{"x", "FloatStorage", "0", 6, 0, 2, {2, 3}, {huge, 1}}, OUT("0")},
        {{"x", "FloatStorage", "0", 6, 0, 2, {3, 3}, {huge, 1}}, OUT("0")},
        {{"x", "FloatStorage", "0", 6, 0, 2, {2, 2}, {huge, huge}}, OUT("0")},
        {{"x", "FloatStorage", "0", 6, 0, 1, {tera}, {1}}, OUT("0")},
        {{"x", "FloatStorage", "0", 6, 0, 1, {tera}, {0}},
         "found 1099511627776 elements that repeat the 6 of storage \"0\", wanted at most 16777216"},
        {{"x", "FloatStorage", "0", 6, 0, 2, {tera, tera}, {0, 0}},
         "found shape [1099511627776,1099511627776], wanted fewer than 2^63 bytes"},
        {{"x", "FloatStorage", "0", 6, 0, 3, {tera, 0, tera}, {0, 0, 0}},
         "found shape [1099511627776,0,1099511627776], wanted fewer than 2^63 bytes"},
        {{"x", "FloatStorage", "0", 6, 0, 1, {huge}, {0}}, "found shape [9223372036854775807], wanted fewer than 2^63 bytes"},
        {{"x", "FloatStorage", "0", 6, 0, 1, {-2}, {1}}, "found dimension -2, wanted one from 0"},
        {{"x", "FloatStorage", "0", 6, 5, 1, {2}, {-1}}, "found stride -1, wanted one from 0"},
        {{"x", "FloatStorage", "0", 6, 0, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1}}, "found 9 dimensions, wanted at most 8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
        strbuf pickle = STRBUF_INIT;
        char said[300];
        put_state(&pickle, &rows[i].view, 1);
        snprintf(said, sizeof said, "t.bin: error: tensor \"x\": %s\n", rows[i].said);
        put_archive(state, "t.bin", &pickle, &storage, 1);
        expect_open_fails(state, "t.bin", said);
        put_stream(state, "t.bin", &pickle, &storage, 1);
        expect_open_fails(state, "t.bin", said);
        strbuf_free(&pickle);
    }
}

/* The parts of a tensor's call that put_tensor cannot make wrong. */
static void test_wrong_names_and_strides(void **state) {
    static const torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
    static const char begin[] = "ctorch._utils\n_rebuild_tensor\n(", two_sizes[] = "K\0K\2K\3\x86K\1\x85tRs.",
                      good[] = "K\0K\2\x85K\1\x85tRs.";
    static const struct {
        const char *key;
        size_t key_bytes;
        const char *end;
        size_t end_bytes;
        const char *said;
    } rows[] = {
        {BYTES("U\1x"), two_sizes, sizeof two_sizes - 1, "tensor \"x\": found 1 strides, wanted 2, one for each dimension"},
        {BYTES("U\3a\0b"), good, sizeof good - 1, "found a tensor whose name is a string with a zero byte, wanted a text"},
        {BYTES("K\1"), good, sizeof good - 1, "found a tensor whose name is an integer, wanted a text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strbuf b = STRBUF_INIT;
        char said[200];
        PUT(&b, "\x80\x02}");
        put_bytes(&b, rows[i].key, rows[i].key_bytes);
        PUT(&b, begin);
        put_storage(&b, "FloatStorage", "0", 6);
        put_bytes(&b, rows[i].end, rows[i].end_bytes);
        put_archive(state, "s.bin", &b, &storage, 1);
        snprintf(said, sizeof said, "s.bin: error: %s\n", rows[i].said);
        expect_open_fails(state, "s.bin", said);
        strbuf_free(&b);
    }
    const torch_view twice[] = {torch_small_views[0], torch_small_views[0]};
    strbuf b = STRBUF_INIT;
    put_state(&b, twice, 2);
    put_archive(state, "s.bin", &b, &storage, 1);
    expect_open_fails(state, "s.bin", "s.bin: error: tensor \"w\": found twice, wanted once\n");
    strbuf_free(&b);
}

/* ---- wrong archives ---- */

static void test_wrong_archives(void **state) {
    strbuf pickle = STRBUF_INIT;
    torch_stored storage;
    make_small_state(&pickle, &storage, ZIP_STORED);

    put_archive(state, "a.bin", &pickle, NULL, 0);
    expect_open_fails(state, "a.bin", "a.bin: error: \"m/data/0\": not found in the archive, where a tensor needs it\n");
    storage.n_bytes = 20;
    put_archive(state, "a.bin", &pickle, &storage, 1);
    expect_open_fails(state, "a.bin", "a.bin: error: \"m/data/0\": found 20 bytes, wanted as many as 6 elements of f32 take\n");
    storage.n_bytes = sizeof torch_six;

    zip_writer z = {0};
    zip_finish(&z);
    put_file(state, "a.bin", z.file.data, z.file.size);
    expect_open_fails(state, "a.bin", "a.bin: error: found an empty zip archive, wanted one with data.pkl\n");
    zip_discard(&z);

    zip_put(&z, "m/readme", ZIP_STORED, "x", 1);
    zip_put(&z, "n/data.pkl", ZIP_STORED, "x", 1);
    zip_finish(&z);
    put_file(state, "a.bin", z.file.data, z.file.size);
    expect_open_fails(state, "a.bin",
                      "a.bin: error: \"m/data.pkl\": not found in the archive: it is not one that torch.save wrote\n");
    zip_discard(&z);

    zip_put(&z, "m/data.pkl", ZIP_STORED, "x", 1);
    zip_put(&z, "m/constants.pkl", ZIP_STORED, "x", 1);
    zip_finish(&z);
    put_file(state, "a.bin", z.file.data, z.file.size);
    expect_open_fails(state, "a.bin", "a.bin: error: found a TorchScript program, wanted tensors: save the model's state_dict()\n");
    zip_discard(&z);

    zip_put(&z, "m/data.pkl", ZIP_STORED, pickle.data, pickle.size);
    zip_put(&z, "m/byteorder", ZIP_STORED, "big", 3);
    zip_put(&z, "m/data/0", ZIP_STORED, torch_six, sizeof torch_six);
    zip_finish(&z);
    put_file(state, "a.bin", z.file.data, z.file.size);
    expect_open_fails(state, "a.bin", "a.bin: error: \"m/byteorder\": found another order of bytes, wanted \"little\"\n");
    zip_discard(&z);

    static const char evil[] = "\x80\x02(cos\nsystem\nU\2id\x85Rt.";
    const strbuf code = {.data = (char *)(uintptr_t)evil, .size = sizeof evil - 1};
    put_archive(state, "a.bin", &code, NULL, 0);
    expect_open_fails(
        state, "a.bin",
        "a.bin: error: data.pkl: byte 3: found \"os.system\", wanted what tensors are made of: a checkpoint runs no code\n");

    make_archive(&z, &pickle, &storage, 1);
    zip_patch(&z, "PK\1\2", 2, 42, "\1", 1);
    put_file(state, "a.bin", z.file.data, z.file.size);
    assert_int_equal(z.n_entries, 4);
    expect_open_fails(state, "a.bin", "a.bin: error: \"m/data/0\": found no header at byte 1025, where the directory has it\n");
    zip_discard(&z);
    strbuf_free(&pickle);
}

/* A number of elements whose bytes overflow. */
static void test_overflowing_storage(void **state) {
    static const torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
    const torch_view view = {"x", "DoubleStorage", "0", (INT64_C(1) << 61) + 3, 0, 1, {3}, {1}};
    strbuf pickle = STRBUF_INIT;
    put_state(&pickle, &view, 1);
    put_archive(state, "o.bin", &pickle, &storage, 1);
    expect_open_fails(state, "o.bin",
                      "o.bin: error: \"m/data/0\": found 24 bytes, wanted as many as 2305843009213693955 elements of f64 take\n");
    torch_stored same = storage;
    same.n = view.n_stored;
    put_stream(state, "o.bin", &pickle, &same, 1);
    expect_open_fails(
        state, "o.bin",
        "o.bin: error: storage \"0\": found 24 bytes, wanted 2305843009213693955 elements of f64: the file is cut short\n");
    strbuf_free(&pickle);
}

/* ---- wrong streams ---- */

static void expect_stream_fails(void **state, const strbuf *b, const char *said) {
    put_file(state, "p.bin", b->data, b->size);
    expect_open_fails(state, "p.bin", said);
}

static void test_wrong_preambles(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *said;
    } rows[] = {
        {BYTES("\x80\x02K\1."), "p.bin: error: found a pickle of an integer at the beginning, wanted torch.save's magic number\n"},
        {BYTES("\x80\x02}."), "p.bin: error: found a pickle of a dictionary at the beginning, wanted torch.save's magic number\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x18."),
         "p.bin: error: found a pickle of a long integer at the beginning, wanted torch.save's magic number\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.K\1."),
         "p.bin: error: version: found another, wanted 1001\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.N."), "p.bin: error: version: found None, wanted 1001\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\3."),
         "p.bin: error: system: byte 19: found the end, wanted STOP: the pickle is cut short\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\3.}.cos\nsystem\n."),
         "p.bin: error: object: byte 21: found \"os.system\", wanted what tensors are made of: a checkpoint runs no code\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\3.}.}.}."),
         "p.bin: error: keys of storages: found a dictionary, wanted a list\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\3.}.}.]K\1a."),
         "p.bin: error: keys of storages: found an integer among them, wanted names\n"},
        {BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\3.}.}.]U\1xa."),
         "p.bin: error: keys of storages: found one that no tensor has, so that the size of its elements is unknown\n"},
        {BYTES("PICKLE"), "p.bin: error: found no file of torch.save, wanted a zip archive or a stream of pickles\n"},
        {BYTES(""), "p.bin: error: found no file of torch.save, wanted a zip archive or a stream of pickles\n"},
        {BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
         "p.bin: error: found a pointer of Git LFS, wanted the file that it stands for: `git lfs pull` fetches it\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const strbuf b = {.data = (char *)(uintptr_t)rows[i].bytes, .size = rows[i].n};
        expect_stream_fails(state, &b, rows[i].said);
    }
}

static void test_wrong_storages(void **state) {
    strbuf pickle = STRBUF_INIT, b = STRBUF_INIT;
    torch_stored storage;
    make_small_state(&pickle, &storage, ZIP_STORED);

    make_stream(&b, &pickle, NULL, 0);
    expect_stream_fails(state, &b, "p.bin: error: storage \"0\": not found in the file, where a tensor needs it\n");

    strbuf_clear(&b);
    const torch_stored twice[] = {storage, storage};
    make_stream(&b, &pickle, twice, 2);
    expect_stream_fails(state, &b, "p.bin: error: storage \"0\": found twice, wanted once\n");

    strbuf_clear(&b);
    torch_stored other = storage;
    other.n = 5;
    make_stream(&b, &pickle, &other, 1);
    expect_stream_fails(state, &b, "p.bin: error: storage \"0\": found 5 elements at byte 1021, wanted 6\n");

    strbuf_clear(&b);
    const torch_view two[] = {{"x", "FloatStorage", "0", 6, 0, 1, {6}, {1}}, {"y", "IntStorage", "0", 6, 0, 1, {6}, {1}}};
    strbuf_clear(&pickle);
    put_state(&pickle, two, 2);
    make_stream(&b, &pickle, &storage, 1);
    expect_stream_fails(state, &b, "p.bin: error: storage \"0\": found with two types or lengths, wanted one\n");
    strbuf_free(&pickle);
    strbuf_free(&b);
}

/* ---- any file ---- */

/* Cuts one byte after the other off the end of a file. */
static void expect_cuts_fail(void **state, const strbuf *whole) {
    put_file(state, "cut.bin", whole->data, whole->size);
    const char *path = file_path(state, "cut.bin");
    for (size_t n = whole->size; n-- > 0;) {
        checkpoint *c;
        assert_int_equal(truncate(path, (off_t)n), 0);
        pofac_status status = checkpoint_open(path, NULL, &c);
        if (status != POFAC_ERR_INPUT) fail_msg("cut to %zu of %zu bytes: status %d", n, whole->size, status);
        assert_null(c);
    }
}

static void test_truncation(void **state) {
    strbuf pickle = STRBUF_INIT, b = STRBUF_INIT;
    torch_stored storage;
    make_small_state(&pickle, &storage, ZIP_DEFLATED);
    make_stream(&b, &pickle, &storage, 1);
    expect_cuts_fail(state, &b);
    for (int zip64 = 0; zip64 < 2; zip64++) {
        zip_writer z = {.zip64 = zip64};
        make_archive(&z, &pickle, &storage, 1);
        expect_cuts_fail(state, &z.file);
        zip_discard(&z);
    }
    strbuf_free(&pickle);
    strbuf_free(&b);
}

static void read_all(const checkpoint *c) {
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        float *values = malloc(((size_t)checkpoint_elements(t) + 1) * sizeof *values);
        assert_non_null(values);
        checkpoint_read_f32(t, values);
        free(values);
    }
}

static void expect_changes_harmless(void **state, const strbuf *whole) {
    static const unsigned char others[] = {0, 'R', 0xff};
    put_file(state, "changed.bin", whole->data, whole->size);
    const char *path = file_path(state, "changed.bin");
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < whole->size; i++) {
        for (size_t j = 0; j < sizeof others; j++) {
            checkpoint *c;
            assert_int_equal(pwrite(fd, &others[j], 1, (off_t)i), 1);
            pofac_status status = checkpoint_open(path, NULL, &c);
            assert_true(status == POFAC_OK || status == POFAC_ERR_INPUT);
            if (status != POFAC_OK) continue;
            read_all(c);
            checkpoint_close(c);
        }
        assert_int_equal(pwrite(fd, whole->data + i, 1, (off_t)i), 1);
    }
    close(fd);
}

static void test_changed_bytes(void **state) {
    strbuf pickle = STRBUF_INIT, b = STRBUF_INIT;
    torch_stored storage = {"0", 6, torch_six, sizeof torch_six, ZIP_STORED};
    put_state(&pickle, torch_small_views, 2);
    make_stream(&b, &pickle, &storage, 1);
    expect_changes_harmless(state, &b);
    zip_writer z = {0};
    make_archive(&z, &pickle, &storage, 1);
    expect_changes_harmless(state, &z.file);
    zip_discard(&z);
    strbuf_free(&pickle);
    strbuf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_tensors),   cmocka_unit_test(test_wrong_names_and_strides),
        cmocka_unit_test(test_wrong_archives),  cmocka_unit_test(test_overflowing_storage),
        cmocka_unit_test(test_wrong_preambles), cmocka_unit_test(test_wrong_storages),
        cmocka_unit_test(test_truncation),      cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
