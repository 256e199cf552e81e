/* Event files: the checksum against published values, and a file that is read back record by record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/event_file.h"
#include "ir/support/file_map.h"

static char folder[64], path[256];

static int make_folder(void **unused) {
    (void)unused;
    strcpy(folder, "/tmp/pofac-events-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **unused) {
    (void)unused;
    unlink(path);
    return rmdir(folder);
}

/* RFC 3720, appendix B.4 */
static void checksums_are_those_of_the_standard(void **unused) {
    (void)unused;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(event_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(event_crc32c(bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(event_crc32c(bytes, 32), 0x46dd794eu);
    assert_int_equal(event_crc32c("123456789", 9), 0xe3069283u);
}

/* ---- a reader ---- */

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static uint64_t little(reader *r, int bytes) {
    uint64_t value = 0;
    assert_true(r->end - r->at >= bytes);
    for (int i = 0; i < bytes; i++) value |= (uint64_t)*r->at++ << (8 * i);
    return value;
}

static uint64_t varint(reader *r) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        const uint64_t byte = little(r, 1);
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
}

static reader part(reader *r, uint64_t bytes) {
    assert_true((uint64_t)(r->end - r->at) >= bytes);
    const reader p = {r->at, r->at + bytes};
    r->at += bytes;
    return p;
}

/* A record whose both checksums are right. */
static reader record(reader *r) {
    const uint8_t *length_at = r->at;
    const uint64_t length = little(r, 8);
    assert_int_equal(little(r, 4), event_masked_crc32c(length_at, 8));
    const reader body = part(r, length);
    assert_int_equal(little(r, 4), event_masked_crc32c(body.at, length));
    return body;
}

typedef struct event {
    double wall;
    uint64_t step;
    float value;
    char version[32], tag[64];
} event;

static void take_text(reader p, char *out, size_t room) {
    const size_t n = (size_t)(p.end - p.at);
    assert_true(n < room);
    memcpy(out, p.at, n);
    out[n] = 0;
}

static void take_scalar(reader p, event *e) {
    while (p.at < p.end) {
        const uint64_t key = varint(&p);
        if (key == (1 << 3 | 2)) {
            take_text(part(&p, varint(&p)), e->tag, sizeof e->tag);
        } else {
            assert_int_equal(key, 2 << 3 | 5);
            const uint32_t bits = (uint32_t)little(&p, 4);
            memcpy(&e->value, &bits, 4);
        }
    }
}

static event decode(reader p) {
    event e = {0};
    while (p.at < p.end) {
        const uint64_t key = varint(&p);
        if (key == (1 << 3 | 1)) {
            const uint64_t bits = little(&p, 8);
            memcpy(&e.wall, &bits, 8);
        } else if (key == (2 << 3 | 0)) {
            e.step = varint(&p);
        } else if (key == (3 << 3 | 2)) {
            take_text(part(&p, varint(&p)), e.version, sizeof e.version);
        } else {
            assert_int_equal(key, 5 << 3 | 2);
            reader summary = part(&p, varint(&p));
            assert_int_equal(varint(&summary), 1 << 3 | 2);
            take_scalar(part(&summary, varint(&summary)), &e);
            assert_ptr_equal(summary.at, summary.end);
        }
    }
    return e;
}

static void events_read_back(void **unused) {
    (void)unused;
    event_file *f;
    file_map map;
    assert_int_equal(event_file_open(folder, 1700000000, NULL, &f), POFAC_OK);
    assert_int_equal(event_file_add(f, 1700000001.5, 1, "train/loss", 2.5, NULL), POFAC_OK);
    event_file_close(f);
    assert_int_equal(event_file_open(folder, 1700000000, NULL, &f), POFAC_OK); /* goes on, without a second version */
    assert_int_equal(event_file_add(f, 1700000002.5, 123456789012, "eval/accuracy", -0.1, NULL), POFAC_OK);
    event_file_close(f);
    snprintf(path, sizeof path, "%s/events.out.tfevents.1700000000.pofac", folder);
    assert_int_equal(file_map_open(path, NULL, &map), POFAC_OK);
    reader r = {map.data, (const uint8_t *)map.data + map.size_bytes};
    const event version = decode(record(&r)), first = decode(record(&r)), second = decode(record(&r));
    assert_ptr_equal(r.at, r.end);
    assert_string_equal(version.version, "brain.Event:2");
    assert_string_equal(first.tag, "train/loss");
    assert_true(first.wall == 1700000001.5 && first.step == 1 && first.value == 2.5f);
    assert_string_equal(second.tag, "eval/accuracy");
    assert_true(second.step == 123456789012 && second.value == -0.1f);
    file_map_close(&map);
}

static void a_folder_that_is_not_there_is_an_error(void **unused) {
    (void)unused;
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    event_file *f;
    assert_int_equal(event_file_open("/nowhere", 1, &sink, &f), POFAC_ERR_RUNTIME);
    assert_null(f);
    assert_string_equal(strbuf_str(&said),
                        "/nowhere/events.out.tfevents.0000000001.pofac: error: cannot be made: No such file or directory\n");
    strbuf_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_of_the_standard),
        cmocka_unit_test_setup_teardown(events_read_back, make_folder, remove_folder),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
