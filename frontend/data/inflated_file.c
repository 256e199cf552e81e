/* Reading through zlib's inflate; see inflated_file.h. */
#include "frontend/data/inflated_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_BYTES ((size_t)64 << 10)
#define GZIP_WINDOW_BITS (15 + 16) /* zlib.h: the largest window, and gzip's header */

typedef enum content { CONTENT_UNKNOWN, CONTENT_PLAIN, CONTENT_GZIP } content;

struct inflated_file {
    const char *path, *name;
    int fd;
    content content;
    z_stream stream; /* of CONTENT_GZIP */
    bool in_member;  /* between its first byte and its checksum */
    bool at_end;     /* of the file */
    uint64_t position;
    int64_t total_bytes;
    size_t begin, end; /* what is left of the buffer */
    unsigned char buffer[BUFFER_BYTES];
};

static int64_t regular_size(int fd) {
    struct stat s;
    return fstat(fd, &s) == 0 && S_ISREG(s.st_mode) ? (int64_t)s.st_size : -1;
}

pofac_status inflated_file_open(const char *path, const diag_sink *sink, inflated_file **out) {
    *out = NULL;
    bool standard = strcmp(path, "-") == 0;
    inflated_file *f = calloc(1, sizeof *f);
    if (!f) return diag_out_of_memory(sink);
    f->path = path;
    f->name = standard ? "standard input" : path;
    f->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0) {
        free(f);
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "cannot open: %s", strerror(errno));
    }
    f->total_bytes = regular_size(f->fd);
    *out = f;
    return POFAC_OK;
}

void inflated_file_close(inflated_file *f) {
    if (!f) return;
    if (f->content == CONTENT_GZIP) inflateEnd(&f->stream);
    if (f->fd != STDIN_FILENO) close(f->fd);
    free(f);
}

POFAC_PRINTF(3, 4)
static pofac_status file_error(const inflated_file *f, const diag_sink *sink, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    pofac_status status = strbuf_ok(&text)
                              ? diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = f->name}, "%s", strbuf_str(&text))
                              : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* Moves what is left to the front and reads more behind it, until there are `wanted` bytes or the file ends. */
static pofac_status fill(inflated_file *f, size_t wanted, const diag_sink *sink) {
    memmove(f->buffer, f->buffer + f->begin, f->end - f->begin);
    f->end -= f->begin;
    f->begin = 0;
    while (f->end < wanted && !f->at_end) {
        ssize_t n = read(f->fd, f->buffer + f->end, BUFFER_BYTES - f->end);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_error(f, sink, "cannot be read: %s", strerror(errno));
        f->at_end = n == 0;
        f->end += (size_t)n;
        f->position += (uint64_t)n;
    }
    return POFAC_OK;
}

static bool is_gzip(const inflated_file *f) {
    return f->end - f->begin >= 2 && f->buffer[f->begin] == 0x1f && f->buffer[f->begin + 1] == 0x8b;
}

static pofac_status find_content(inflated_file *f, const diag_sink *sink) {
    TRY(fill(f, 2, sink));
    if (!is_gzip(f)) {
        f->content = CONTENT_PLAIN;
        return POFAC_OK;
    }
    if (inflateInit2(&f->stream, GZIP_WINDOW_BITS) != Z_OK) return diag_out_of_memory(sink);
    f->content = CONTENT_GZIP;
    f->in_member = true;
    return POFAC_OK;
}

static pofac_status read_plain(inflated_file *f, void *bytes, size_t n, const diag_sink *sink, size_t *got) {
    if (f->begin == f->end) TRY(fill(f, 1, sink));
    *got = f->end - f->begin < n ? f->end - f->begin : n;
    memcpy(bytes, f->buffer + f->begin, *got);
    f->begin += *got;
    return POFAC_OK;
}

/* Between members: another one, or the end. */
static pofac_status next_member(inflated_file *f, const diag_sink *sink, bool *found) {
    TRY(fill(f, 2, sink));
    *found = is_gzip(f);
    if (f->end == 0) return POFAC_OK;
    if (!*found) return file_error(f, sink, "found bytes behind the end of the gzip data, wanted none");
    if (inflateReset(&f->stream) != Z_OK) return diag_out_of_memory(sink);
    f->in_member = true;
    return POFAC_OK;
}

static pofac_status inflate_some(inflated_file *f, void *bytes, size_t n, const diag_sink *sink, size_t *got) {
    const size_t room = n < BUFFER_BYTES ? n : BUFFER_BYTES;
    if (f->begin == f->end) TRY(fill(f, 1, sink));
    if (f->begin == f->end) return file_error(f, sink, "the gzip data end too early");
    f->stream.next_in = f->buffer + f->begin;
    f->stream.avail_in = (uInt)(f->end - f->begin);
    f->stream.next_out = bytes;
    f->stream.avail_out = (uInt)room;
    int code = inflate(&f->stream, Z_NO_FLUSH);
    f->begin = f->end - f->stream.avail_in;
    *got = room - f->stream.avail_out;
    if (code == Z_MEM_ERROR) return diag_out_of_memory(sink);
    if (code == Z_STREAM_END) f->in_member = false;
    else if (code != Z_OK && code != Z_BUF_ERROR)
        return file_error(f, sink, "damaged gzip data: %s", f->stream.msg ? f->stream.msg : "unknown form");
    return POFAC_OK;
}

pofac_status inflated_file_read(inflated_file *f, void *bytes, size_t n, const diag_sink *sink, size_t *got) {
    *got = 0;
    if (f->content == CONTENT_UNKNOWN) TRY(find_content(f, sink));
    if (f->content == CONTENT_PLAIN) return read_plain(f, bytes, n, sink, got);
    while (*got == 0) {
        bool more = true;
        if (!f->in_member) TRY(next_member(f, sink, &more));
        if (!more) return POFAC_OK;
        TRY(inflate_some(f, bytes, n, sink, got));
    }
    return POFAC_OK;
}

const char *inflated_file_name(const inflated_file *f) { return f->name; }

uint64_t inflated_file_position(const inflated_file *f) { return f->position - (f->end - f->begin); }

int64_t inflated_file_total_bytes(const inflated_file *f) { return f->total_bytes; }

static pofac_status append_all(inflated_file *f, size_t max_bytes, const diag_sink *sink, strbuf *out) {
    const size_t before = out->size;
    for (;;) {
        char bytes[4096];
        size_t got;
        TRY(inflated_file_read(f, bytes, sizeof bytes, sink, &got));
        if (got == 0) return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
        if (out->size - before > max_bytes - got) return file_error(f, sink, "found more than %zu bytes", max_bytes);
        strbuf_append(out, bytes, got);
    }
}

pofac_status inflated_file_read_all(const char *path, size_t max_bytes, const diag_sink *sink, strbuf *out) {
    inflated_file *f;
    TRY(inflated_file_open(path, sink, &f));
    pofac_status status = append_all(f, max_bytes, sink, out);
    inflated_file_close(f);
    return status;
}
