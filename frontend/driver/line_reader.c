/* Bytes to lines through one growing buffer; see line_reader.h. */
#include "frontend/driver/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/line_buffer.h"

struct line_reader {
    int fd;
    const char *name;
    interruption *stop;
    line_buffer lines;
    bool at_end; /* the buffer has all that is left */
    int error;   /* of the last read */
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
    line_buffer_free(&r->lines);
    free(r);
}

void line_reader_watch(line_reader *r, interruption *stop) { r->stop = stop; }

/* One read(2); false when memory is short. */
static bool read_more(line_reader *r) {
    ssize_t n;
    if (!line_buffer_room(&r->lines)) return false;
    do {
        n = read(r->fd, r->lines.data + r->lines.end, LINE_BUFFER_READ_BYTES);
    } while (n < 0 && errno == EINTR);
    r->error = n < 0 ? errno : 0;
    r->at_end = n <= 0;
    if (n > 0) r->lines.end += (size_t)n;
    return true;
}

pofac_status line_reader_next(line_reader *r, const diag_sink *sink, char **out, size_t *n) {
    bool whole;
    size_t end = line_buffer_line_end(&r->lines, &whole);
    *out = NULL;
    while (!whole && !r->at_end && end - r->lines.begin <= LINE_READER_MAX_BYTES) {
        if (!interruption_wait(r->stop, r->fd)) return POFAC_ERR_INTERRUPTED;
        if (!read_more(r)) return diag_out_of_memory(sink);
        end = line_buffer_line_end(&r->lines, &whole);
    }
    if (r->error) return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = r->name}, "cannot read: %s", strerror(r->error));
    if (!whole && end == r->lines.begin) return POFAC_OK;
    if (r->line == 0) r->bytes += line_buffer_skip_mark(&r->lines);
    r->line++;
    if (end - r->lines.begin > LINE_READER_MAX_BYTES) {
        const diag_place place = {.file = r->name, .line = (uint32_t)r->line};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found a line of more than %zu bytes, wanted shorter ones",
                          LINE_READER_MAX_BYTES);
    }
    char *line = line_buffer_take(&r->lines, end, whole, n);
    r->bytes += *n + whole;
    while (*n > 0 && line[*n - 1] == '\r') --*n;
    line[*n] = 0;
    *out = line;
    return POFAC_OK;
}

bool line_reader_is_ready(line_reader *r) {
    for (;;) {
        bool whole;
        size_t end = line_buffer_line_end(&r->lines, &whole);
        if (whole || r->at_end || end - r->lines.begin > LINE_READER_MAX_BYTES) return true;
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0) return false;
        if (!read_more(r)) return true; /* line_reader_next will report it */
    }
}

const char *line_reader_name(const line_reader *r) { return r->name; }

uint64_t line_reader_line(const line_reader *r) { return r->line; }

uint64_t line_reader_bytes(const line_reader *r) { return r->bytes; }

int64_t line_reader_total_bytes(const line_reader *r) { return r->total_bytes; }
