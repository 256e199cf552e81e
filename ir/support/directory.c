/* Directories; see directory.h. */
#include "ir/support/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/file_map.h"

#define REASON_BYTES 128
#define MOST_OPEN 16 /* directories that nftw has open at a time */

static pofac_status fault(const char *path, const char *what, const diag_sink *sink) {
    char text[REASON_BYTES];
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_RUNTIME, &place, "%s: %s", what, strerror_r(errno, text, sizeof text));
}

pofac_status directory_make(const char *path, const diag_sink *sink) {
    strbuf part = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    for (const char *slash = path; status == POFAC_OK && *slash;) {
        slash += strspn(slash, "/");
        slash += strcspn(slash, "/");
        strbuf_clear(&part);
        strbuf_append(&part, path, (size_t)(slash - path));
        if (!strbuf_ok(&part)) {
            status = diag_out_of_memory(sink);
        } else if (mkdir(strbuf_str(&part), 0777) != 0) {
            const int error = errno;
            if (file_is_directory(strbuf_str(&part))) continue;
            errno = error;
            status = fault(path, "the directory cannot be made", sink);
        }
    }
    strbuf_free(&part);
    return status;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

pofac_status directory_remove(const char *path, const diag_sink *sink) {
    if (!file_exists(path)) return POFAC_OK;
    if (nftw(path, remove_entry, MOST_OPEN, FTW_DEPTH | FTW_PHYS) != 0) return fault(path, "cannot be removed", sink);
    return POFAC_OK;
}

bool directory_is_empty(const char *path) {
    static const char *const none[] = {NULL};
    return directory_has_only(path, none);
}

static bool begins_with_one(const char *name, const char *const *prefixes) {
    for (size_t i = 0; prefixes[i]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return false;
}

bool directory_has_only(const char *path, const char *const *prefixes) {
    DIR *d = opendir(path);
    bool only = d != NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        only &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || begins_with_one(e->d_name, prefixes);
    if (d) closedir(d);
    return only;
}

pofac_status directory_lock(const char *path, const diag_sink *sink, int *lock) {
    *lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) return fault(path, "cannot be opened", sink);
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return POFAC_OK;
    close(*lock);
    *lock = -1;
    return POFAC_OK;
}

void directory_sync(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}
