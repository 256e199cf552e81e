/*
 * Files: read-only mappings and atomic writes.
 *
 * A writer fills PATH.tmp.PID.N beside PATH, in buffered writes, and renames it over PATH at commit. Where PATH is a symbolic
 * link, the file it points to is replaced; where it is a device, a pipe or a socket, it is written directly. A process that is
 * killed leaves its temporary file behind. A mapped file that somebody else cuts short is not guarded against (SIGBUS).
 */
#include "ir/support/file_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define REASON_BYTES 128 /* the longest text of strerror in glibc has 50 */
#define BUFFER_BYTES ((size_t)1 << 16)
#define TEMPORARY_TRIES 1000

static pofac_status report(const diag_sink *sink, pofac_status status, const char *path, const char *what, int error) {
    char text[REASON_BYTES];
    const char *reason = strerror_r(error, text, sizeof text);
    const diag_place place = {.file = path};
    return diag_error(sink, status, &place, "%s: %s", what, reason);
}

/* A file that cannot be read is the fault of the input, unless the system is short of something. */
static pofac_status report_unreadable(const diag_sink *sink, const char *path, const char *what, int error) {
    const bool short_of_something = error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
    return report(sink, short_of_something ? POFAC_ERR_RUNTIME : POFAC_ERR_INPUT, path, what, error);
}

static pofac_status map_descriptor(int fd, const char *path, const diag_sink *sink, file_map *out) {
    const diag_place place = {.file = path};
    struct stat st;
    if (fstat(fd, &st) != 0) return report_unreadable(sink, path, "cannot be read", errno);
    if (S_ISDIR(st.st_mode)) return diag_error(sink, POFAC_ERR_INPUT, &place, "found a directory, wanted a file");
    if (!S_ISREG(st.st_mode)) return diag_error(sink, POFAC_ERR_INPUT, &place, "found a device or pipe, wanted a regular file");
    if (st.st_size == 0) return POFAC_OK;
    if ((uintmax_t)st.st_size > PTRDIFF_MAX) return report_unreadable(sink, path, "cannot be mapped", EFBIG);
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return report_unreadable(sink, path, "cannot be mapped", errno);
    *out = (file_map){data, (size_t)st.st_size};
    return POFAC_OK;
}

pofac_status file_map_open(const char *path, const diag_sink *sink, file_map *out) {
    *out = (file_map){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe without a writer must not block */
    if (fd < 0) return report_unreadable(sink, path, "cannot be opened", errno);
    pofac_status status = map_descriptor(fd, path, sink, out);
    close(fd);
    return status;
}

void file_map_close(file_map *m) {
    if (m->data) munmap((void *)m->data, m->size_bytes);
    *m = (file_map){NULL, 0};
}

void file_map_release(const file_map *m, const void *from, size_t n) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), map = (uintptr_t)m->data, first = (uintptr_t)from;
    if (!m->data || first < map || first - map > m->size_bytes || n > m->size_bytes - (first - map)) return;
    const uintptr_t begin = (first + page - 1) / page * page, end = (first + n) / page * page;
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* a system that keeps them is no error */
}

struct file_writer {
    const diag_sink *sink;
    char *path;      /* as the caller named it, for messages */
    char *target;    /* what is replaced: path with symbolic links followed */
    char *temporary; /* NULL when target is written directly */
    int fd;
    pofac_status status; /* the first failure; its message is out */
    size_t buffered;
    unsigned char buffer[BUFFER_BYTES];
};

static pofac_status unwritable(const file_writer *w, int error) {
    return report(w->sink, POFAC_ERR_RUNTIME, w->path, "cannot be written", error);
}

static void destroy(file_writer *w) {
    if (w->fd >= 0) close(w->fd);
    free(w->path);
    free(w->target);
    free(w->temporary);
    free(w);
}

/* Opens a new file beside the target. Its mode is that of the file it replaces, else what the process's umask leaves. */
static pofac_status open_temporary(file_writer *w, const struct stat *replaced) {
    const size_t room = strlen(w->target) + sizeof ".tmp.-2147483648.1000";
    w->temporary = malloc(room);
    if (!w->temporary) return diag_out_of_memory(w->sink);
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        snprintf(w->temporary, room, "%s.tmp.%d.%d", w->target, (int)getpid(), i);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 || errno != EEXIST) break;
    }
    if (w->fd < 0) {
        int error = errno;
        free(w->temporary);
        w->temporary = NULL;
        return unwritable(w, error);
    }
    if (replaced && fchmod(w->fd, replaced->st_mode & 0777) != 0) return unwritable(w, errno);
    return POFAC_OK;
}

static pofac_status open_target(file_writer *w) {
    struct stat st;
    const bool exists = stat(w->path, &st) == 0;
    if (!exists && errno != ENOENT) return unwritable(w, errno);
    if (exists && S_ISDIR(st.st_mode)) return unwritable(w, EISDIR);
    if (exists && !S_ISREG(st.st_mode)) {
        w->fd = open(w->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return w->fd < 0 ? unwritable(w, errno) : POFAC_OK;
    }
    w->target = exists ? realpath(w->path, NULL) : strdup(w->path);
    if (!w->target) return errno == ENOMEM ? diag_out_of_memory(w->sink) : unwritable(w, errno);
    return open_temporary(w, exists ? &st : NULL);
}

pofac_status file_writer_open(const char *path, const diag_sink *sink, file_writer **out) {
    *out = NULL;
    file_writer *w = malloc(sizeof *w);
    if (!w) {
        (void)diag_out_of_memory(sink);
        return POFAC_ERR_RUNTIME;
    }
    w->sink = sink;
    w->target = w->temporary = NULL;
    w->fd = -1;
    w->status = POFAC_OK;
    w->buffered = 0;
    w->path = strdup(path);
    pofac_status status = w->path ? open_target(w) : diag_out_of_memory(sink);
    if (status != POFAC_OK) {
        file_writer_abandon(w);
        return status;
    }
    *out = w;
    return POFAC_OK;
}

static pofac_status write_out(file_writer *w, const unsigned char *bytes, size_t n) {
    return fd_write_all(w->fd, bytes, n) ? POFAC_OK : (w->status = unwritable(w, errno));
}

static pofac_status flush(file_writer *w) {
    size_t n = w->buffered;
    w->buffered = 0;
    return write_out(w, w->buffer, n);
}

pofac_status file_writer_write(file_writer *w, const void *bytes, size_t n) {
    if (w->status != POFAC_OK) return w->status;
    if (n > BUFFER_BYTES - w->buffered) TRY(flush(w));
    if (n >= BUFFER_BYTES) return write_out(w, bytes, n);
    if (n) memcpy(w->buffer + w->buffered, bytes, n);
    w->buffered += n;
    return POFAC_OK;
}

/* Makes the renaming itself durable. A file system that cannot do that has renamed nevertheless, so a failure is no error. */
static void sync_directory(char *target) {
    char *slash = strrchr(target, '/');
    if (slash) slash[slash == target ? 1 : 0] = 0;
    int fd = open(slash ? target : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

static pofac_status finish(file_writer *w) {
    if (w->status != POFAC_OK) return w->status;
    TRY(flush(w));
    if (w->temporary && fsync(w->fd) != 0) return unwritable(w, errno);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && errno != EINTR) return unwritable(w, errno);
    if (!w->temporary) return POFAC_OK;
    if (rename(w->temporary, w->target) != 0) return unwritable(w, errno);
    free(w->temporary);
    w->temporary = NULL;
    sync_directory(w->target);
    return POFAC_OK;
}

pofac_status file_writer_commit(file_writer *w) {
    pofac_status status = finish(w);
    file_writer_abandon(w);
    return status;
}

void file_writer_abandon(file_writer *w) {
    if (!w) return;
    if (w->temporary) (void)unlink(w->temporary);
    destroy(w);
}

pofac_status file_write_all(const char *path, const void *bytes, size_t n, const diag_sink *sink) {
    file_writer *w;
    TRY(file_writer_open(path, sink, &w));
    pofac_status status = file_writer_write(w, bytes, n);
    if (status == POFAC_OK) return file_writer_commit(w);
    file_writer_abandon(w);
    return status;
}

bool fd_write_all(int fd, const void *bytes, size_t n) {
    for (const unsigned char *at = bytes; n > 0;) {
        ssize_t written = write(fd, at, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        at += written;
        n -= (size_t)written;
    }
    return true;
}

bool file_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

bool file_is_directory(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
