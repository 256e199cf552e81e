/*
 * The container of compiled models: sections come back as they went in, whatever their size and coding; every byte of a file is under a checksum; files that
 * are cut short, of another version or malformed beneath right checksums are refused with a message; short memory and a full disk leave nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/compiled_file.h"
#include "frontend/driver/section_code.h"
#include "ir/support/file_map.h"
#include "ir/support/hash.h"
#include "ir/support/rng.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/fail_write.h"

/* ---- coded bytes ---- */

typedef enum content {
    CONTENT_ZEROS,
    CONTENT_RISING,  /* 16-bit numbers by 8 to 80 */
    CONTENT_FAST,    /* by 8 to 800 */
    CONTENT_EVEN,    /* by 8 or 16 */
    CONTENT_FEW,     /* 16 values */
    CONTENT_SPARSE,  /* three of ten are not 0 */
    CONTENT_SPARSER, /* one of fifty */
    CONTENT_RANDOM,
    N_CONTENTS
} content;

static unsigned char *make_bytes(content kind, size_t n) {
    unsigned char *bytes = malloc(n + 1);
    const rng_key key = rng_key_make(3, "bytes");
    const unsigned most = kind == CONTENT_FAST ? 100 : kind == CONTENT_EVEN ? 2 : 10;
    const double non_zeros = kind == CONTENT_SPARSER ? 0.02 : 0.3;
    unsigned rising = 0;
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        const double random = rng_uniform(key, i);
        if (i % 2 == 0) rising += 8 * (1 + (unsigned)(most * random));
        bytes[i] = kind == CONTENT_RISING || kind == CONTENT_FAST || kind == CONTENT_EVEN
                       ? (unsigned char)(i % 2 ? rising >> 8 : rising)
                   : kind == CONTENT_FEW    ? (unsigned char)(16 * random)
                   : kind == CONTENT_RANDOM ? (unsigned char)(256 * random)
                   : kind == CONTENT_ZEROS  ? 0
                   : random < non_zeros     ? (unsigned char)(256 * (random / non_zeros))
                                            : 0;
    }
    return bytes;
}

enum { N_CHUNK_CODINGS = 7 }; /* section_code.h */

/* How chunk `chunk` is coded. */
static unsigned coding_of(const strbuf *coded, size_t chunk) {
    uint32_t entry;
    memcpy(&entry, coded->data + chunk * sizeof entry, sizeof entry);
    assert_true(entry >> 24 < N_CHUNK_CODINGS);
    return entry >> 24;
}

static void decode(const strbuf *coded, const unsigned char *wanted, size_t n) {
    unsigned char *out = malloc(n + 1);
    section_decoder *d = section_decoder_create();
    assert_true(out && d);
    for (size_t chunk = section_chunks(n); chunk-- > 0;)
        assert_true(section_decode(d, (const unsigned char *)coded->data, coded->size, chunk, out, n));
    assert_memory_equal(out, wanted, n);
    for (size_t cut = 0; cut < coded->size && cut < 64; cut++)
        assert_false(section_decode(d, (const unsigned char *)coded->data, cut, section_chunks(n) - 1, out, n));
    section_decoder_destroy(d);
    free(out);
}

static void codings(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 1000, 4097, SECTION_CHUNK_BYTES - 1, SECTION_CHUNK_BYTES, 3 * SECTION_CHUNK_BYTES + 77};
    int coded_as[N_SECTION_CODINGS] = {0}, chunks_as[N_CHUNK_CODINGS] = {0};
    for (content kind = CONTENT_ZEROS; kind < N_CONTENTS; kind++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            unsigned char *bytes = make_bytes(kind, sizes[s]);
            strbuf coded = STRBUF_INIT;
            section_coding coding;
            assert_int_equal(section_encode(bytes, sizes[s], NULL, &coding, &coded), POFAC_OK);
            coded_as[coding]++;
            if (coding == SECTION_RAW) assert_int_equal(coded.size, 0);
            else decode(&coded, bytes, sizes[s]);
            for (size_t i = 0; coding == SECTION_CODED && i < section_chunks(sizes[s]); i++) chunks_as[coding_of(&coded, i)]++;
            if (kind != CONTENT_RANDOM && sizes[s] > 4000)
                assert_true(coded.size < sizes[s] * (kind == CONTENT_SPARSE ? 45 : 60) / 100);
            if (kind == CONTENT_RANDOM) assert_int_equal(coding, SECTION_RAW);
            strbuf_free(&coded);
            free(bytes);
        }
    for (size_t i = 0; i < N_SECTION_CODINGS; i++) assert_true(coded_as[i] > 3);
    for (size_t i = 1; i < N_CHUNK_CODINGS; i++)
        if (chunks_as[i] == 0) fail_msg("no chunk is coded as %zu", i);
}

/* One chunk, coded by hand. */
static bool decode_one(section_decoder *d, uint32_t coding, const unsigned char *code, size_t code_bytes, unsigned char *out,
                       size_t n) {
    unsigned char *coded = malloc(4 + code_bytes); /* of that size: what reads beyond it is seen */
    const uint32_t entry = coding << 24 | (uint32_t)code_bytes;
    assert_non_null(coded);
    memcpy(coded, &entry, sizeof entry);
    memcpy(coded + 4, code, code_bytes);
    const bool ok = section_decode(d, coded, 4 + code_bytes, 0, out, n);
    free(coded);
    return ok;
}

/* Every set of non-zeros among eight bytes, in the middle of others and at the end. */
static void sets_of_non_zeros(void **state) {
    (void)state;
    section_decoder *d = section_decoder_create();
    assert_non_null(d);
    for (unsigned set = 0; set < 256; set++)
        for (size_t at = 0; at < 3; at++) {
            unsigned char bytes[24], code[27] = {0xff, 0xff, 0xff}, out[24];
            size_t end = 3;
            code[at] = (unsigned char)set;
            for (size_t i = 0; i < sizeof bytes; i++) {
                bytes[i] = i / 8 != at || set >> i % 8 & 1 ? (unsigned char)(i + 1) : 0;
                if (bytes[i]) code[end++] = bytes[i];
            }
            assert_true(decode_one(d, 3, code, end, out, sizeof out));
            if (memcmp(out, bytes, sizeof out) != 0) fail_msg("bits %02x of byte %zu: non-zeros went elsewhere", set, at);
            assert_false(decode_one(d, 3, code, end - 1, out, sizeof out));
            assert_false(decode_one(d, 3, code, end + 1 < sizeof code ? end + 1 : end - 1, out, sizeof out));
        }
    section_decoder_destroy(d);
}

/* Number by number. */
static void gaps(void **state) {
    (void)state;
    section_decoder *d = section_decoder_create();
    static const unsigned char narrow[] = {3, 0x10, 0x2e, 0xf0, 0x0f, 0x34, 0x12, 0xff, 0xff, 9}; /* steps of 8 */
    static const unsigned char wide[] = {0, 4, 254, 255, 0, 7, 0, 0x10};
    static const uint16_t from_narrow[] = {8, 24, 144, 168, 176, 0x12e4, 0x12e3}, from_wide[] = {5, 260, 4356, 4357, 4365};
    unsigned char out[16];
    assert_non_null(d);
    assert_true(decode_one(d, 2, narrow, sizeof narrow, out, 15));
    assert_memory_equal(out, from_narrow, sizeof from_narrow);
    assert_int_equal(out[14], 9);
    assert_true(decode_one(d, 1, wide, sizeof wide, out, 10));
    assert_memory_equal(out, from_wide, sizeof from_wide);
    for (size_t n = 0; n < sizeof narrow; n++) assert_false(decode_one(d, 2, narrow, n, out, 15));
    for (size_t n = 0; n < sizeof wide; n++) assert_false(decode_one(d, 1, wide, n, out, 10));
    unsigned char shifted[sizeof wide] = {8}; /* a step that is too large */
    memcpy(shifted + 1, wide + 1, sizeof wide - 1);
    assert_false(decode_one(d, 1, shifted, sizeof shifted, out, 10));
    assert_false(decode_one(d, N_CHUNK_CODINGS, wide, sizeof wide, out, 10));
    section_decoder_destroy(d);
}

/* Damage that no checksum sees is an error or other bytes, never read or written outside. */
static void damaged_codes(void **state) {
    (void)state;
    const size_t n = SECTION_CHUNK_BYTES + 1111;
    section_decoder *d = section_decoder_create();
    unsigned char *out = malloc(n);
    size_t refused = 0, taken = 0;
    assert_true(d && out);
    for (content kind = CONTENT_ZEROS; kind < CONTENT_RANDOM; kind++) {
        unsigned char *bytes = make_bytes(kind, n);
        strbuf coded = STRBUF_INIT;
        section_coding coding;
        assert_int_equal(section_encode(bytes, n, NULL, &coding, &coded), POFAC_OK);
        assert_int_equal(coding, SECTION_CODED);
        unsigned char *copy = malloc(coded.size);
        assert_non_null(copy);
        memcpy(copy, coded.data, coded.size);
        for (size_t i = 0; i < coded.size; i += i < 64 ? 1 : 1 + coded.size / 200) {
            copy[i] ^= (unsigned char)(1u << i % 8);
            for (size_t chunk = 0; chunk < 2; chunk++)
                *(section_decode(d, copy, coded.size, chunk, out, n) ? &taken : &refused) += 1;
            copy[i] ^= (unsigned char)(1u << i % 8);
        }
        free(copy);
        strbuf_free(&coded);
        free(bytes);
    }
    assert_true(refused > 500 && taken > 500);
    section_decoder_destroy(d);
    free(out);
}

/* ---- files ---- */

enum { N_SECTIONS = 7 };
#define BIG ((size_t)300000) /* several chunks */

static unsigned char *big;

static compiled_section make_section(size_t i) {
    static const float numbers[6] = {1, 2, 3, 4, 5, 6};
    const sparse_layout layout = {
        .kind = SPARSE_STREAM, .tile = 16, .k_block = 256, .row_group = 768, .block_rows = 1, .block_columns = 1};
    const compiled_section sections[N_SECTIONS] = {
        {.kind = COMPILED_TEXT, .name = "config.json", .data = "{}", .bytes = 2},
        {.kind = COMPILED_TENSOR,
         .name = "w",
         .dtype = IR_F32,
         .rank = 2,
         .dims = {2, 3},
         .data = numbers,
         .bytes = sizeof numbers},
        {.kind = COMPILED_PACKED,
         .name = "v",
         .packing = "sparse_index",
         .rank = 2,
         .dims = {4, 5},
         .sparse = layout,
         .data = big,
         .bytes = BIG},
        {.kind = COMPILED_PACKED,
         .name = "v",
         .packing = "panels",
         .parameter = 12,
         .rank = 2,
         .dims = {4, 5},
         .data = numbers,
         .bytes = 16},
        {.kind = COMPILED_PATTERN, .name = "v", .rank = 3, .dims = {4, 5, 9}},
        {.kind = COMPILED_TEXT, .name = "empty"},
        {.kind = COMPILED_OBJECT, .name = "w", .data = big, .bytes = 1000},
    };
    return sections[i];
}

static pofac_status write_file(const char *path, const diag_sink *sink) {
    compiled_writer *w;
    uint64_t bytes;
    TRY(compiled_writer_open(path, sink, &w));
    for (size_t i = 0; i < N_SECTIONS; i++) {
        const compiled_section s = make_section(i);
        const pofac_status status = compiled_writer_add(w, &s);
        if (status == POFAC_OK) continue;
        compiled_writer_abandon(w);
        return status;
    }
    return compiled_writer_commit(w, &bytes);
}

static void expect_section(const compiled_section *found, const compiled_section *wanted) {
    assert_int_equal(found->kind, wanted->kind);
    assert_string_equal(found->name, wanted->name);
    assert_string_equal(found->packing, wanted->packing ? wanted->packing : "");
    assert_int_equal(found->dtype, wanted->dtype);
    assert_int_equal(found->rank, wanted->rank);
    assert_int_equal(found->parameter, wanted->parameter);
    assert_memory_equal(found->dims, wanted->dims, sizeof found->dims);
    assert_true(sparse_layout_equal(&found->sparse, &wanted->sparse));
    assert_int_equal(found->bytes, wanted->bytes);
    assert_int_equal((uintptr_t)found->data % 64, 0);
    if (wanted->bytes) assert_memory_equal(found->data, wanted->data, wanted->bytes);
    else assert_null(found->data);
}

static void sections(void **state) {
    compiled_file *f;
    assert_int_equal(write_file(file_path(state, "file"), NULL), POFAC_OK);
    assert_true(compiled_file_is_one(file_path(state, "file")));
    assert_int_equal(compiled_file_open(file_path(state, "file"), 0, NULL, &f), POFAC_OK);
    assert_int_equal(compiled_file_size(f), N_SECTIONS);
    for (size_t i = 0; i < N_SECTIONS; i++) {
        const compiled_section wanted = make_section(i);
        expect_section(compiled_file_at(f, i), &wanted);
    }
    assert_true(compiled_file_at(f, 2)->stored_bytes < BIG / 2); /* coded */
    assert_true(compiled_file_at(f, 2)->stored_bytes + compiled_file_at(f, 6)->stored_bytes < BIG);
    const compiled_section *v = compiled_file_find(f, COMPILED_PACKED, "v");
    assert_ptr_equal(v, compiled_file_at(f, 2));
    assert_ptr_equal(compiled_file_next(f, v), compiled_file_at(f, 3));
    assert_null(compiled_file_next(f, compiled_file_at(f, 3)));
    assert_null(compiled_file_find(f, COMPILED_CONSTANT, "v"));
    assert_memory_equal(compiled_file_at(f, 1)->data, make_section(1).data, 24);
    compiled_file_close(f);
    assert_false(compiled_file_is_one(file_path(state, "none")));
    assert_false(compiled_file_is_one(file_path(state, ".")));
    put_file(state, "text", "<pofac/>", 8);
    assert_false(compiled_file_is_one(file_path(state, "text")));
    put_file(state, "text.pofac", "<pofac/>", 8);
    assert_true(compiled_file_is_one(file_path(state, "text.pofac")));
    assert_false(compiled_file_is_one(file_path(state, "none.pofac")));
}

/* Opens bytes as a file: the status, with what was said in `said`. */
static pofac_status open_bytes(void **state, const unsigned char *bytes, size_t n, strbuf *said) {
    const diag_sink sink = diag_sink_to_strbuf(said);
    compiled_file *f;
    strbuf_clear(said);
    put_file(state, "other", bytes, n);
    const pofac_status status = compiled_file_open(file_path(state, "other"), 0, &sink, &f);
    assert_int_equal(status == POFAC_OK, f != NULL);
    assert_int_equal(status == POFAC_OK, said->size == 0);
    compiled_file_close(f);
    if (said->size) cut_directory(state, said->data);
    return status;
}

/* Each byte of head, directory and foot, and many of the sections. */
static void flipped_bits(void **state) {
    file_map map;
    strbuf said = STRBUF_INIT;
    size_t flips = 0;
    assert_int_equal(write_file(file_path(state, "file"), NULL), POFAC_OK);
    assert_int_equal(file_map_open(file_path(state, "file"), NULL, &map), POFAC_OK);
    unsigned char *copy = malloc(map.size_bytes);
    assert_non_null(copy);
    memcpy(copy, map.data, map.size_bytes);
    const size_t tail = map.size_bytes - 1300;
    for (size_t i = 0; i < map.size_bytes; i = i < 300 || i >= tail ? i + 1 : i + 9973 < tail ? i + 9973 : tail) {
        copy[i] ^= (unsigned char)(1u << i % 8);
        if (open_bytes(state, copy, map.size_bytes, &said) == POFAC_OK) fail_msg("byte %zu was changed, which nobody saw", i);
        copy[i] ^= (unsigned char)(1u << i % 8);
        flips++;
    }
    assert_true(flips > 1500);
    assert_int_equal(open_bytes(state, copy, map.size_bytes, &said), POFAC_OK);
    for (size_t n = 0; n < map.size_bytes; n += n < 256 || n + 256 > map.size_bytes ? 1 : 64 * 97)
        if (open_bytes(state, copy, n, &said) == POFAC_OK) fail_msg("%zu of %zu bytes were taken for all", n, map.size_bytes);
    free(copy);
    strbuf_free(&said);
    file_map_close(&map);
}

/* A section of several blocks of checksums, as it is in the file. */
static void large_sections(void **state) {
    enum { BLOCK = 1 << 20 };
    const size_t n = 2 * BLOCK + 5000;
    strbuf said = STRBUF_INIT;
    file_map map;
    compiled_writer *w;
    uint64_t bytes;
    unsigned char *random = make_bytes(CONTENT_RANDOM, n);
    const compiled_section s = {
        .kind = COMPILED_TENSOR, .name = "w", .dtype = IR_U8, .rank = 1, .dims = {(int64_t)n}, .data = random, .bytes = n};
    assert_int_equal(compiled_writer_open(file_path(state, "large"), NULL, &w), POFAC_OK);
    assert_int_equal(compiled_writer_add(w, &s), POFAC_OK);
    assert_int_equal(compiled_writer_commit(w, &bytes), POFAC_OK);
    assert_int_equal(file_map_open(file_path(state, "large"), NULL, &map), POFAC_OK);
    assert_int_equal(map.size_bytes, bytes);
    unsigned char *copy = malloc(map.size_bytes);
    assert_non_null(copy);
    memcpy(copy, map.data, map.size_bytes);
    assert_int_equal(open_bytes(state, copy, map.size_bytes, &said), POFAC_OK);
    for (size_t i = 64; i < n; i += BLOCK - 1000) {
        copy[i] ^= 4;
        assert_int_equal(open_bytes(state, copy, map.size_bytes, &said), POFAC_ERR_INPUT);
        assert_string_equal(strbuf_str(&said), "other: error: the file is damaged: section w does not have its checksum\n");
        copy[i] ^= 4;
    }
    free(copy);
    free(random);
    strbuf_free(&said);
    file_map_close(&map);
}

/* ---- malformed beneath right checksums ---- */

/* Makes the checksums of directory, head and foot right: compiled_file.h. */
static void make_right(unsigned char *bytes, size_t n) {
    uint64_t begin, length, sum;
    unsigned char ends[64 + 40];
    memcpy(&begin, bytes + n - 64, sizeof begin);
    memcpy(&length, bytes + n - 56, sizeof length);
    sum = hash_bytes(bytes + begin, (length + 63) / 64 * 64);
    sum = hash_bytes(&sum, sizeof sum);
    memcpy(bytes + n - 32, &sum, sizeof sum);
    memcpy(ends, bytes, 64);
    memcpy(ends + 64, bytes + n - 64, 40);
    sum = hash_bytes(ends, sizeof ends);
    memcpy(bytes + n - 24, &sum, sizeof sum);
}

typedef struct change {
    size_t entry, offset; /* in the directory; entry N_SECTIONS: offset from the beginning of the file */
    uint64_t value;
    size_t bytes;
    const char *said;
} change;

static void malformed(void **state) {
    static const change changes[] = {
        {N_SECTIONS, 8, 1, 4,
         "other: error: found a compiled model of version 1, wanted version 2: compile it again with this pofac\n"},
        {N_SECTIONS, 0, 'X', 1, "other: error: found no compiled model, wanted a file that begins with POFACMDL\n"},
        {0, 0, 1 << 30, 8, "other: error: section 0 config.json: it is not in the file\n"},
        {0, 0, 3, 8, "other: error: section 0 config.json: it is not in the file\n"},
        {0, 8, UINT64_MAX - 5, 8, "other: error: section 0 config.json: it is not in the file\n"},
        {0, 16, 3, 8, "other: error: section 0 config.json: its numbers of bytes differ\n"},
        {2, 16, UINT64_MAX, 8, "other: error: section 2 v: it is too short for what it says that it holds\n"},
        {2, 16, BIG - 1, 8, "other: error: section v: its coded bytes are malformed\n"},
        {0, 24, 77, 8, "other: error: the file is damaged: section config.json does not have its checksum\n"},
        {0, 32, 1 << 30, 4, "other: error: section 0: its entry is malformed\n"},
        {0, 40, 0, 4, "other: error: section 0 config.json: its entry is malformed\n"},
        {1, 48, (uint64_t)-1, 8, "other: error: section 1 w: its dims cannot be\n"},
        {1, 48, 3, 8, "other: error: section 1 w: its bytes are not those of its dims\n"},
        {4, 82, 2, 1, "other: error: section 4 v: a pattern wants three numbers\n"},
        {0, 80, N_COMPILED_KINDS, 1, "other: error: section 0 config.json: its entry is malformed\n"},
        {0, 81, N_SECTION_CODINGS, 1, "other: error: section 0 config.json: it has an unknown coding\n"},
        {0, 82, 5, 1, "other: error: section 0 config.json: its entry is malformed\n"},
    };
    file_map map;
    strbuf said = STRBUF_INIT;
    uint64_t directory;
    assert_int_equal(write_file(file_path(state, "file"), NULL), POFAC_OK);
    assert_int_equal(file_map_open(file_path(state, "file"), NULL, &map), POFAC_OK);
    const size_t n = map.size_bytes;
    unsigned char *copy = malloc(n);
    assert_non_null(copy);
    memcpy(&directory, map.data + n - 64, sizeof directory);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const change *c = &changes[i];
        memcpy(copy, map.data, n);
        memcpy(copy + (c->entry == N_SECTIONS ? c->offset : directory + 128 * c->entry + c->offset), &c->value, c->bytes);
        make_right(copy, n);
        assert_int_equal(open_bytes(state, copy, n, &said), POFAC_ERR_INPUT);
        assert_string_equal(strbuf_str(&said), c->said);
    }
    memcpy(copy, map.data, n);
    memset(copy + n - 48, 0xff, 8); /* how many sections there are */
    make_right(copy, n);
    assert_int_equal(open_bytes(state, copy, n, &said), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&said), "found 18446744073709551615 sections in a directory of"));
    free(copy);
    strbuf_free(&said);
    file_map_close(&map);
}

/* ---- what fails ---- */

static void short_memory(void **state) {
    size_t failures = 0;
    for (size_t n = 1;; n++, failures++) {
        fail_alloc_after(n);
        const pofac_status status = write_file(file_path(state, "short"), NULL);
        if (!fail_alloc_stop()) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
        assert_true(status == POFAC_ERR_RUNTIME || status == POFAC_OK); /* what coding lacked, zstd may have done without */
    }
    assert_true(failures > 10);
    for (size_t n = 1, again = 0;; n++, again++) {
        compiled_file *f;
        fail_alloc_after(n);
        const pofac_status status = compiled_file_open(file_path(state, "short"), 0, NULL, &f);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status == POFAC_OK, f != NULL);
        compiled_file_close(f);
        if (failed) continue;
        assert_int_equal(status, POFAC_OK);
        assert_true(again > 10);
        break;
    }
}

static void full_disk(void **state) {
    size_t failures = 0;
    for (size_t n = 1;; n++, failures++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        fail_write_from(n);
        const pofac_status status = write_file(file_path(state, "full"), &sink);
        const bool failed = fail_write_stop();
        assert_true(failed || status == POFAC_OK); /* a directory that cannot be synced is no error */
        assert_int_equal(status != POFAC_OK, said.size != 0);
        assert_int_equal(status == POFAC_OK, file_exists(file_path(state, "full")));
        strbuf_free(&said);
        if (!failed) break;
    }
    assert_true(failures > 3);
}

/* What checksums do not tell: dims that are none, or others than the bytes are of. */
static void dims_that_cannot_be(void **state) {
    static const char eight[8];
    const compiled_section cases[] = {
        {.kind = COMPILED_TENSOR, .dtype = IR_I4, .rank = 1, .dims = {16}, .data = eight, .bytes = 8},
        {.kind = COMPILED_TENSOR, .dtype = IR_I4, .rank = 1, .dims = {15}, .data = eight, .bytes = 8},
        {.kind = COMPILED_TENSOR, .dtype = IR_I4, .rank = 1, .dims = {16}},
        {.kind = COMPILED_TENSOR, .dtype = IR_U8, .rank = 2, .dims = {-2, -4}, .data = eight, .bytes = 8},
        {.kind = COMPILED_PACKED, .packing = "panels", .rank = 2, .dims = {INT64_C(1) << 40, 1 << 21}, .data = eight, .bytes = 8},
        {.kind = COMPILED_PACKED, .packing = "panels", .rank = 1, .dims = {2}, .data = eight, .bytes = 8},
        {.kind = COMPILED_PATTERN, .rank = 3, .dims = {3, 4, 12}},
        {.kind = COMPILED_PATTERN, .rank = 3, .dims = {3, 4, 13}},
        {.kind = COMPILED_PATTERN, .rank = 3, .dims = {3, 4, -1}},
        {.kind = COMPILED_PATTERN, .rank = 2, .dims = {3, 4}},
    };
    static const char *const said[] = {NULL,
                                       NULL,
                                       "its bytes are not those of its dims",
                                       "its dims cannot be",
                                       "its dims cannot be",
                                       "a packed weight wants two dims",
                                       NULL,
                                       "it has more non-zeros than elements",
                                       "it has more non-zeros than elements",
                                       "a pattern wants three numbers"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compiled_section s = cases[i];
        compiled_writer *w;
        compiled_file *f;
        uint64_t bytes;
        strbuf message = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&message);
        s.name = "w";
        assert_int_equal(compiled_writer_open(file_path(state, "dims"), NULL, &w), POFAC_OK);
        assert_int_equal(compiled_writer_add(w, &s), POFAC_OK);
        assert_int_equal(compiled_writer_commit(w, &bytes), POFAC_OK);
        const pofac_status status = compiled_file_open(file_path(state, "dims"), 0, &sink, &f);
        assert_int_equal(status, said[i] ? POFAC_ERR_INPUT : POFAC_OK);
        if (said[i] && !strstr(strbuf_str(&message), said[i])) fail_msg("case %zu: said %s", i, strbuf_str(&message));
        compiled_file_close(f);
        strbuf_free(&message);
    }
}

/* The files that fuzz_compiled begins with are of this version: what is refused at once leads nowhere. */
static void corpus_of_fuzzer(void **state) {
    (void)state;
    static const char *const names[] = {"dense", "sparse", "int8", "quads", "split_quads", "fours", "pairs"};
    const char *source = getenv("POFAC_SOURCE_DIR");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        compiled_file *f;
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/compiled/%s", source ? source : ".", names[i]);
        if (compiled_file_open(path, 1, &sink, &f) != POFAC_OK) fail_msg("%s", strbuf_str(&said));
        assert_non_null(compiled_file_find(f, COMPILED_TEXT, "graph"));
        compiled_file_close(f);
        strbuf_free(&said);
    }
}

static int set_up(void **state) {
    big = make_bytes(CONTENT_RISING, BIG);
    return files_set_up(state);
}

static int tear_down(void **state) {
    free(big);
    return files_tear_down(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(codings),
                                       cmocka_unit_test(sets_of_non_zeros),
                                       cmocka_unit_test(gaps),
                                       cmocka_unit_test(damaged_codes),
                                       cmocka_unit_test(sections),
                                       cmocka_unit_test(flipped_bits),
                                       cmocka_unit_test(large_sections),
                                       cmocka_unit_test(malformed),
                                       cmocka_unit_test(short_memory),
                                       cmocka_unit_test(full_disk),
                                       cmocka_unit_test(dims_that_cannot_be),
                                       cmocka_unit_test(corpus_of_fuzzer)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
