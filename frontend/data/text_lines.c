/* Bytes, through zlib where they are compressed, to lines in one growing buffer; see text_lines.h. */
#include "frontend/data/text_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define READ_BYTES ((size_t)1 << 16)
#define GZIP_ONLY (15 + 16) /* of inflateInit2: windows of any size, gzip's header and checksum */

struct text_lines {
    const char *path;
    int fd;
    char *buffer; /* [capacity], of which [begin, end) was read and not given out */
    size_t begin, end, capacity;
    size_t searched; /* no line end in [begin, searched) */
    bool at_end;     /* the buffer has all that is left */
    uint64_t line;
    bool is_looked_at, is_compressed, in_member; /* in_member: a gzip member has begun and not ended */
    unsigned char *packed;                       /* [READ_BYTES] compressed bytes */
    z_stream inflater;
};

static pofac_status file_error(const text_lines *r, const diag_sink *sink, const char *what, const char *why) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path}, "%s: %s", what, why);
}

pofac_status text_lines_open(const char *path, const diag_sink *sink, text_lines **out) {
    *out = NULL;
    text_lines *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    r->path = path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st = {0};
    if (r->fd >= 0 && fstat(r->fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
        *out = r;
        return POFAC_OK;
    }
    pofac_status status = file_error(r, sink, "cannot open", strerror(r->fd >= 0 && S_ISDIR(st.st_mode) ? EISDIR : errno));
    text_lines_close(r);
    return status;
}

void text_lines_close(text_lines *r) {
    if (!r) return;
    if (r->fd >= 0) close(r->fd);
    if (r->is_compressed) inflateEnd(&r->inflater);
    free(r->packed);
    free(r->buffer);
    free(r);
}

/* One read(2); *n is 0 at the end. */
static pofac_status read_bytes(text_lines *r, void *to, size_t room, const diag_sink *sink, size_t *n) {
    ssize_t got;
    do {
        got = read(r->fd, to, room);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return file_error(r, sink, "cannot read", strerror(errno));
    *n = (size_t)got;
    return POFAC_OK;
}

/* Room for READ_BYTES more and a 0 behind them. */
static bool make_room(text_lines *r) {
    if (r->begin > 0) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->searched -= r->begin;
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->capacity > r->end + READ_BYTES) return true;
    size_t capacity = 2 * (r->end + READ_BYTES);
    char *buffer = realloc(r->buffer, capacity);
    if (!buffer) return false;
    r->buffer = buffer;
    r->capacity = capacity;
    return true;
}

/* What was read first turns out to be gzip's: from now on it is the inflater's input. */
static pofac_status begin_inflating(text_lines *r, const diag_sink *sink) {
    r->packed = malloc(READ_BYTES);
    if (!r->packed || inflateInit2(&r->inflater, GZIP_ONLY) != Z_OK) return diag_out_of_memory(sink);
    memcpy(r->packed, r->buffer, r->end);
    r->inflater.next_in = r->packed;
    r->inflater.avail_in = (uInt)r->end;
    r->is_compressed = r->in_member = true;
    r->end = 0;
    return POFAC_OK;
}

/* The first bytes, as many as tell what the file is. */
static pofac_status look_at_start(text_lines *r, const diag_sink *sink) {
    size_t n = 1;
    r->is_looked_at = true;
    while (n > 0 && r->end < 2) {
        TRY(read_bytes(r, r->buffer + r->end, READ_BYTES - r->end, sink, &n));
        r->end += n;
    }
    r->at_end = n == 0;
    if (r->end >= 2 && memcmp(r->buffer, "\x1f\x8b", 2) == 0) return begin_inflating(r, sink);
    return POFAC_OK;
}

/* Behind a member's end another may begin, which gzip reads as one text. */
static pofac_status begin_member(text_lines *r, const diag_sink *sink) {
    if (inflateReset(&r->inflater) != Z_OK) return file_error(r, sink, "cannot decompress", "zlib is in no state to go on");
    r->in_member = true;
    return POFAC_OK;
}

static pofac_status inflate_more(text_lines *r, const diag_sink *sink) {
    z_stream *z = &r->inflater;
    if (z->avail_in == 0) {
        size_t n;
        TRY(read_bytes(r, r->packed, READ_BYTES, sink, &n));
        z->next_in = r->packed;
        z->avail_in = (uInt)n;
        r->at_end = n == 0;
        if (n == 0) return r->in_member ? file_error(r, sink, "cannot decompress", "the file is cut off") : POFAC_OK;
    }
    if (!r->in_member) TRY(begin_member(r, sink));
    z->next_out = (Bytef *)r->buffer + r->end;
    z->avail_out = READ_BYTES;
    int result = inflate(z, Z_NO_FLUSH);
    r->end += READ_BYTES - z->avail_out;
    if (result == Z_MEM_ERROR) return diag_out_of_memory(sink);
    if (result == Z_STREAM_END) r->in_member = false;
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return file_error(r, sink, "cannot decompress", z->msg ? z->msg : "damaged data");
    return POFAC_OK;
}

static pofac_status read_more(text_lines *r, const diag_sink *sink) {
    if (!make_room(r)) return diag_out_of_memory(sink);
    if (!r->is_looked_at) return look_at_start(r, sink);
    if (r->is_compressed) return inflate_more(r, sink);
    size_t n;
    TRY(read_bytes(r, r->buffer + r->end, READ_BYTES, sink, &n));
    r->end += n;
    r->at_end = n == 0;
    return POFAC_OK;
}

/* Where the line that starts at `begin` ends; the end of what was read, and *whole false, while that is not known. */
static size_t find_line_end(text_lines *r, bool *whole) {
    size_t from = r->searched > r->begin ? r->searched : r->begin;
    const char *newline = from < r->end ? memchr(r->buffer + from, '\n', r->end - from) : NULL;
    r->searched = newline ? (size_t)(newline - r->buffer) : r->end;
    *whole = newline != NULL;
    return r->searched;
}

static void pass_over_mark(text_lines *r) {
    static const char mark[] = "\xef\xbb\xbf"; /* byte order mark that some editors put before a text */
    if (r->line == 0 && r->end - r->begin >= 3 && memcmp(r->buffer + r->begin, mark, 3) == 0) r->begin += 3;
}

pofac_status text_lines_next(text_lines *r, const diag_sink *sink, char **out, size_t *n) {
    bool whole;
    size_t end = find_line_end(r, &whole);
    *out = NULL;
    while (!whole && !r->at_end && end - r->begin <= TEXT_LINES_MAX_BYTES) {
        TRY(read_more(r, sink));
        end = find_line_end(r, &whole);
    }
    if (!whole && end == r->begin) return POFAC_OK;
    pass_over_mark(r);
    r->line++;
    if (end - r->begin > TEXT_LINES_MAX_BYTES) {
        const diag_place place = {.file = r->path, .line = (uint32_t)r->line};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found a line of more than %zu bytes, wanted shorter ones",
                          TEXT_LINES_MAX_BYTES);
    }
    char *line = r->buffer + r->begin;
    *n = end - r->begin;
    r->begin = r->searched = end + whole;
    if (*n > 0 && line[*n - 1] == '\r') --*n;
    line[*n] = 0;
    *out = line;
    return POFAC_OK;
}

uint64_t text_lines_line(const text_lines *r) { return r->line; }
