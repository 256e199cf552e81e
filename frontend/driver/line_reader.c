/* Bytes to lines through one growing buffer; see line_reader.h. */
#include "frontend/driver/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)1 << 16)

struct line_reader {
    int fd;
    const char *name;
    interruption *stop;
    char *buffer; /* [capacity], of which [begin, end) was read and not given out */
    size_t begin, end, capacity;
    size_t searched; /* no line end in [begin, searched) */
    bool at_end;     /* the buffer has all that is left */
    int error;       /* of the last read */
    uint64_t line, bytes;
    int64_t total_bytes;
};

/* Bytes from here to the end of a regular file, else -1. */
static int64_t bytes_left(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return -1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? -1 : at < st.st_size ? (int64_t)(st.st_size - at) : 0;
}

pofac_status line_reader_open(const char *path, const diag_sink *sink, line_reader **out) {
    *out = NULL;
    line_reader *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    bool standard = strcmp(path, "-") == 0;
    r->name = standard ? "standard input" : path;
    r->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->fd >= 0) {
        r->total_bytes = bytes_left(r->fd);
        *out = r;
        return POFAC_OK;
    }
    pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "cannot open: %s", strerror(errno));
    free(r);
    return status;
}

void line_reader_close(line_reader *r) {
    if (!r) return;
    if (r->fd != STDIN_FILENO) close(r->fd);
    free(r->buffer);
    free(r);
}

void line_reader_watch(line_reader *r, interruption *stop) { r->stop = stop; }

/* Where the line that starts at `begin` ends; the end of what was read, and *whole false, while that is not known. */
static size_t find_line_end(line_reader *r, bool *whole) {
    size_t from = r->searched > r->begin ? r->searched : r->begin;
    const char *newline = from < r->end ? memchr(r->buffer + from, '\n', r->end - from) : NULL;
    r->searched = newline ? (size_t)(newline - r->buffer) : r->end;
    *whole = newline != NULL;
    return r->searched;
}

/* Room for READ_BYTES more and a 0 behind them. */
static bool make_room(line_reader *r) {
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

/* One read(2); false when memory is short. */
static bool read_more(line_reader *r) {
    ssize_t n;
    if (!make_room(r)) return false;
    do {
        n = read(r->fd, r->buffer + r->end, READ_BYTES);
    } while (n < 0 && errno == EINTR);
    r->error = n < 0 ? errno : 0;
    r->at_end = n <= 0;
    if (n > 0) r->end += (size_t)n;
    return true;
}

static void pass_over_mark(line_reader *r) {
    static const char mark[] = "\xef\xbb\xbf"; /* byte order mark that some editors put before a text */
    if (r->line > 0 || r->end - r->begin < 3 || memcmp(r->buffer + r->begin, mark, 3) != 0) return;
    r->begin += 3;
    r->bytes += 3;
}

pofac_status line_reader_next(line_reader *r, const diag_sink *sink, char **out, size_t *n) {
    bool whole;
    size_t end = find_line_end(r, &whole);
    *out = NULL;
    while (!whole && !r->at_end && end - r->begin <= LINE_READER_MAX_BYTES) {
        if (!interruption_wait(r->stop, r->fd)) return POFAC_ERR_INTERRUPTED;
        if (!read_more(r)) return diag_out_of_memory(sink);
        end = find_line_end(r, &whole);
    }
    if (r->error) return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->name}, "cannot read: %s", strerror(r->error));
    if (!whole && end == r->begin) return POFAC_OK;
    pass_over_mark(r);
    r->line++;
    if (end - r->begin > LINE_READER_MAX_BYTES) {
        const diag_place place = {.file = r->name, .line = (uint32_t)r->line};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found a line of more than %zu bytes, wanted shorter ones",
                          LINE_READER_MAX_BYTES);
    }
    char *line = r->buffer + r->begin;
    *n = end - r->begin;
    r->begin = r->searched = end + whole;
    r->bytes += *n + whole;
    while (*n > 0 && line[*n - 1] == '\r') --*n;
    line[*n] = 0;
    *out = line;
    return POFAC_OK;
}

bool line_reader_is_ready(line_reader *r) {
    for (;;) {
        bool whole;
        size_t end = find_line_end(r, &whole);
        if (whole || r->at_end || end - r->begin > LINE_READER_MAX_BYTES) return true;
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0) return false;
        if (!read_more(r)) return true; /* line_reader_next will report it */
    }
}

const char *line_reader_name(const line_reader *r) { return r->name; }

uint64_t line_reader_line(const line_reader *r) { return r->line; }

uint64_t line_reader_bytes(const line_reader *r) { return r->bytes; }

int64_t line_reader_total_bytes(const line_reader *r) { return r->total_bytes; }
