/* Pictures as PNG: read back chunk by chunk and decompressed by zlib, pixels and colours are what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "frontend/report/png_image.h"
#include "tests/unit/fail_alloc.h"

static uint32_t number_at(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The data of the chunk at *at, which must have that type and a right checksum; *at goes behind it. */
static const uint8_t *take_chunk(const strbuf *file, size_t *at, const char *type, size_t *n) {
    const uint8_t *chunk = (const uint8_t *)file->data + *at;
    assert_true(*at + 12 <= file->size);
    *n = number_at(chunk);
    assert_true(*at + 12 + *n <= file->size);
    assert_memory_equal(chunk + 4, type, 4);
    assert_int_equal(number_at(chunk + 8 + *n), crc32(0, chunk + 4, (uInt)(*n + 4)));
    *at += 12 + *n;
    return chunk + 8;
}

static void check_file(const strbuf *file, const png_image *p) {
    size_t at = 8, n;
    assert_memory_equal(file->data, "\x89PNG\r\n\x1a\n", 8);
    const uint8_t *header = take_chunk(file, &at, "IHDR", &n);
    assert_int_equal(n, 13);
    assert_int_equal(number_at(header), p->width);
    assert_int_equal(number_at(header + 4), p->height);
    assert_memory_equal(header + 8, "\x08\x03\x00\x00\x00", 5);
    assert_memory_equal(take_chunk(file, &at, "PLTE", &n), p->palette, sizeof p->palette);
    assert_int_equal(n, sizeof p->palette);
    const uint8_t *data = take_chunk(file, &at, "IDAT", &n);
    uLongf bytes = (uLongf)p->height * (p->width + 1);
    uint8_t *rows = malloc(bytes + 1);
    assert_int_equal(uncompress(rows, &bytes, data, n), Z_OK);
    assert_int_equal(bytes, (size_t)p->height * (p->width + 1));
    for (uint32_t y = 0; y < p->height; y++) {
        assert_int_equal(rows[y * (p->width + 1)], 0);
        assert_memory_equal(rows + y * (p->width + 1) + 1, p->pixels + y * p->width, p->width);
    }
    free(rows);
    (void)take_chunk(file, &at, "IEND", &n);
    assert_int_equal(n, 0);
    assert_int_equal(at, file->size);
}

static void files_read_back(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {3, 2}, {255, 1}, {1, 300}, {192, 192}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = (size_t)sizes[i][0] * sizes[i][1];
        uint8_t *pixels = malloc(n);
        png_image p = {.width = sizes[i][0], .height = sizes[i][1], .pixels = pixels};
        strbuf file = STRBUF_INIT;
        for (size_t k = 0; k < n; k++) pixels[k] = (uint8_t)(k * 37 + i);
        png_set_ramp(&p);
        assert_int_equal(png_write(&p, NULL, &file), POFAC_OK);
        check_file(&file, &p);
        strbuf_free(&file);
        free(pixels);
    }
}

/* From white to dark, each colour darker than the one before, so that it can be read in black and white. */
static void the_ramp_gets_darker(void **state) {
    (void)state;
    png_image p = {0};
    int before = 1 << 30;
    png_set_ramp(&p);
    assert_memory_equal(p.palette[0], "\xff\xff\xff", 3);
    for (int i = 0; i < 256; i++) {
        const int light = 299 * p.palette[i][0] + 587 * p.palette[i][1] + 114 * p.palette[i][2];
        if (light > before || (i % 8 == 0 && light == before))
            fail_msg("colour %d: found lightness %d behind %d", i, light, before);
        before = light;
    }
    assert_true(before < 60000);
}

static void data_uris_are_base64(void **state) {
    (void)state;
    for (uint32_t width = 1; width <= 3; width++) { /* endings of 0, 1 and 2 bytes */
        const uint8_t pixels[3] = {1, 2, 3};
        const png_image p = {.width = width, .height = 1, .pixels = pixels};
        strbuf uri = STRBUF_INIT, file = STRBUF_INIT;
        assert_int_equal(png_put_data_uri(&p, NULL, &uri), POFAC_OK);
        assert_int_equal(png_write(&p, NULL, &file), POFAC_OK);
        const char *beginning = "data:image/png;base64,",
                   *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        assert_memory_equal(uri.data, beginning, strlen(beginning));
        const char *text = uri.data + strlen(beginning);
        assert_int_equal(strlen(text), (file.size + 2) / 3 * 4);
        for (size_t i = 0; i < file.size; i++) { /* byte i from its two digits */
            const size_t bit = 8 * i, digit = bit / 6;
            const uint32_t both =
                (uint32_t)(strchr(digits, text[digit]) - digits) << 6 | (uint32_t)(strchr(digits, text[digit + 1]) - digits);
            assert_int_equal((both >> (4 - bit % 6)) & 255, (uint8_t)file.data[i]);
        }
        strbuf_free(&uri);
        strbuf_free(&file);
    }
}

static void sizes_are_checked(void **state) {
    (void)state;
    strbuf file = STRBUF_INIT, message = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&message);
    assert_int_equal(png_write(&(png_image){.width = 0, .height = 5}, &sink, &file), POFAC_ERR_USAGE);
    assert_int_equal(png_write(&(png_image){.width = 5, .height = 16385}, &sink, &file), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&message), "error: picture: found 0 x 5 pixels, wanted 1 to 16384 each\n"
                                              "error: picture: found 5 x 16385 pixels, wanted 1 to 16384 each\n");
    strbuf_free(&file);
    strbuf_free(&message);
}

static void short_memory_is_told(void **state) {
    (void)state;
    const uint8_t pixels[100] = {1};
    const png_image p = {.width = 10, .height = 10, .pixels = pixels};
    size_t failed = 0;
    for (size_t n = 1;; n++) {
        strbuf uri = STRBUF_INIT;
        fail_alloc_after(n);
        const pofac_status status = png_put_data_uri(&p, NULL, &uri);
        const bool has_failed = fail_alloc_stop();
        strbuf_free(&uri);
        assert_int_equal(status, has_failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (!has_failed) break;
        failed++;
    }
    assert_true(failed >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_read_back), cmocka_unit_test(the_ramp_gets_darker),
                                       cmocka_unit_test(data_uris_are_base64), cmocka_unit_test(sizes_are_checked),
                                       cmocka_unit_test(short_memory_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
