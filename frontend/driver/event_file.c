/* Writing event files; see event_file.h. */
#include "frontend/driver/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/file_map.h"

#define FIRST_RECORD "brain.Event:2"

struct event_file {
    int fd;
    char *path;
};

/* ---- checksums ---- */

uint32_t event_crc32c(const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u); /* Castagnoli's polynomial, bits reversed */
    }
    return ~crc;
}

uint32_t event_masked_crc32c(const void *bytes, size_t n) {
    const uint32_t crc = event_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u; /* kMaskDelta of tensorflow/core/lib/hash/crc32c.h */
}

/* ---- protocol buffers ---- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_little(strbuf *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) strbuf_putc(out, (char)(value >> (8 * i) & 0xff));
}

static void put_varint(strbuf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) strbuf_putc(out, (char)((value & 0x7f) | 0x80));
    strbuf_putc(out, (char)value);
}

static void put_key(strbuf *out, unsigned field, unsigned wire) { put_varint(out, field << 3 | wire); }

static void put_double(strbuf *out, unsigned field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(out, field, WIRE_64);
    put_little(out, bits, 8);
}

static void put_float(strbuf *out, unsigned field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(out, field, WIRE_32);
    put_little(out, bits, 4);
}

static void put_bytes(strbuf *out, unsigned field, const char *bytes, size_t n) {
    put_key(out, field, WIRE_BYTES);
    put_varint(out, n);
    strbuf_append(out, bytes, n);
}

/* ---- records ---- */

static pofac_status write_record(event_file *f, const strbuf *event, const diag_sink *sink) {
    strbuf record = STRBUF_INIT;
    put_little(&record, event->size, 8);
    if (strbuf_ok(&record)) put_little(&record, event_masked_crc32c(record.data, 8), 4);
    strbuf_append(&record, event->data, event->size);
    if (strbuf_ok(event)) put_little(&record, event_masked_crc32c(event->data, event->size), 4);
    pofac_status status = POFAC_OK;
    if (!strbuf_ok(event) || !strbuf_ok(&record)) status = diag_out_of_memory(sink);
    else if (!fd_write_all(f->fd, record.data, record.size))
        status = diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = f->path}, "cannot be written: %s", strerror(errno));
    strbuf_free(&record);
    return status;
}

static pofac_status write_version(event_file *f, double wall_seconds, const diag_sink *sink) {
    strbuf event = STRBUF_INIT;
    put_double(&event, 1, wall_seconds);
    put_bytes(&event, 3, FIRST_RECORD, strlen(FIRST_RECORD));
    pofac_status status = write_record(f, &event, sink);
    strbuf_free(&event);
    return status;
}

static pofac_status open_file(event_file *f, const char *directory, double wall_seconds, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/events.out.tfevents.%010.0f.pofac", directory, wall_seconds);
    f->path = strbuf_ok(&path) ? strdup(strbuf_str(&path)) : NULL;
    strbuf_free(&path);
    if (!f->path) return diag_out_of_memory(sink);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (f->fd < 0)
        return diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = f->path}, "cannot be made: %s", strerror(errno));
    return lseek(f->fd, 0, SEEK_END) > 0 ? POFAC_OK : write_version(f, wall_seconds, sink);
}

pofac_status event_file_open(const char *directory, double wall_seconds, const diag_sink *sink, event_file **out) {
    event_file *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return diag_out_of_memory(sink);
    f->fd = -1;
    pofac_status status = open_file(f, directory, wall_seconds, sink);
    if (status == POFAC_OK) *out = f;
    else event_file_close(f);
    return status;
}

pofac_status event_file_add(event_file *f, double wall_seconds, int64_t step, const char *tag, double value,
                            const diag_sink *sink) {
    strbuf scalar = STRBUF_INIT, summary = STRBUF_INIT, event = STRBUF_INIT;
    put_bytes(&scalar, 1, tag, strlen(tag));
    put_float(&scalar, 2, (float)value);
    put_bytes(&summary, 1, scalar.data, scalar.size);
    put_double(&event, 1, wall_seconds);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    put_bytes(&event, 5, summary.data, summary.size);
    pofac_status status = strbuf_ok(&scalar) && strbuf_ok(&summary) ? write_record(f, &event, sink) : diag_out_of_memory(sink);
    strbuf_free(&scalar);
    strbuf_free(&summary);
    strbuf_free(&event);
    return status;
}

void event_file_close(event_file *f) {
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f);
}
