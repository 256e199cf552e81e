/*
 * The object cache; see object_cache.h. Files are not synced to disk: the checksum finds what a crash has torn, and the kernel is
 * compiled again.
 */
#include "codegen/object_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/support/file_map.h"
#include "ir/support/hash.h"

struct object_cache {
    char *dir;
    const char *suffix;
};

typedef struct header {
    char magic[8];
    uint32_t version, key_bytes;
    uint64_t object_bytes, checksum_low, checksum_high;
} header;

static const char magic[8] = {'P', 'O', 'F', 'A', 'C', 'O', 'B', 'J'};

#define REASON_BYTES 128

static void warn(const diag_sink *sink, const char *dir, const char *what, const char *reason) {
    const diag_place place = {.file = dir};
    diag_warning(sink, &place, "the %s is not used: %s", what, reason);
}

/* Makes the directory and its parents; true when it is there in the end. */
static bool make_directories(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
            *slash = '/';
            return false;
        }
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Why the directory cannot be trusted or used; NULL when it can. */
static const char *fault(const char *dir) {
    struct stat st;
    if (stat(dir, &st) != 0) return "it cannot be looked at";
    if (!S_ISDIR(st.st_mode)) return "it is not a directory";
    if (st.st_uid != geteuid()) return "it belongs to another user";
    if (st.st_mode & (S_IWGRP | S_IWOTH)) return "others may write to it";
    return NULL;
}

pofac_status object_cache_open(const char *dir, const diag_sink *sink, object_cache **out) {
    return object_cache_open_named(dir, "object cache", ".o", sink, out);
}

pofac_status object_cache_open_named(const char *dir, const char *what, const char *suffix, const diag_sink *sink,
                                     object_cache **out) {
    *out = NULL;
    object_cache *c = calloc(1, sizeof *c);
    if (c) {
        c->suffix = suffix;
        c->dir = strdup(dir);
    }
    if (!c || !c->dir) {
        object_cache_close(c);
        return diag_out_of_memory(sink);
    }
    char reason[REASON_BYTES];
    const char *why = NULL;
    if (dir[0] == 0) why = "its name is empty";
    else if (!make_directories(c->dir)) why = strerror_r(errno, reason, sizeof reason);
    else why = fault(c->dir);
    if (why) {
        warn(sink, dir, what, why);
        object_cache_close(c);
        return POFAC_OK;
    }
    *out = c;
    return POFAC_OK;
}

void object_cache_close(object_cache *c) {
    if (!c) return;
    free(c->dir);
    free(c);
}

static void file_path(const object_cache *c, const char *key, strbuf *out) {
    char hex[33];
    hash_to_hex(hash_bytes128(key, strlen(key)), hex);
    strbuf_printf(out, "%s/%s%s", c->dir, hex, c->suffix);
}

/* The object in a file's bytes, or NULL. */
static const unsigned char *check_file(const unsigned char *data, size_t size, const char *key, size_t *n) {
    header h;
    const size_t key_bytes = strlen(key);
    if (size < sizeof h) return NULL;
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.version != OBJECT_CACHE_VERSION || h.key_bytes != key_bytes) return NULL;
    if (size - sizeof h < key_bytes || h.object_bytes != size - sizeof h - key_bytes) return NULL;
    if (memcmp(data + sizeof h, key, key_bytes) != 0) return NULL;
    hash128 sum = hash_bytes128(data + sizeof h, size - sizeof h);
    if (sum.low != h.checksum_low || sum.high != h.checksum_high) return NULL;
    *n = (size_t)h.object_bytes;
    return data + sizeof h + key_bytes;
}

bool object_cache_get(const object_cache *c, const char *key, strbuf *out) {
    strbuf path = STRBUF_INIT;
    file_path(c, key, &path);
    file_map map = {NULL, 0};
    bool found = false;
    if (strbuf_ok(&path) && file_exists(strbuf_str(&path)) && file_map_open(strbuf_str(&path), NULL, &map) == POFAC_OK &&
        map.data) {
        size_t n = 0;
        const unsigned char *object = check_file(map.data, map.size_bytes, key, &n);
        if (object) strbuf_append(out, object, n);
        found = object && strbuf_ok(out);
    }
    file_map_close(&map);
    strbuf_free(&path);
    return found;
}

void object_cache_put(const object_cache *c, const char *key, const void *object, size_t n) {
    strbuf content = STRBUF_INIT, path = STRBUF_INIT, temporary = STRBUF_INIT;
    header h = {.version = OBJECT_CACHE_VERSION, .key_bytes = (uint32_t)strlen(key), .object_bytes = n};
    memcpy(h.magic, magic, sizeof magic);
    strbuf_append(&content, &h, sizeof h);
    strbuf_puts(&content, key);
    strbuf_append(&content, object, n);
    file_path(c, key, &path);
    strbuf_printf(&temporary, "%s/tmp.XXXXXX", c->dir);
    if (strbuf_ok(&content) && strbuf_ok(&path) && strbuf_ok(&temporary)) {
        hash128 sum = hash_bytes128(content.data + sizeof h, content.size - sizeof h);
        h.checksum_low = sum.low;
        h.checksum_high = sum.high;
        memcpy(content.data, &h, sizeof h);
        int fd = mkostemp(temporary.data, O_CLOEXEC);
        bool written = fd >= 0 && fd_write_all(fd, content.data, content.size);
        if (fd >= 0 && close(fd) != 0) written = false;
        if (fd >= 0 && (!written || rename(temporary.data, path.data) != 0)) unlink(temporary.data);
    }
    strbuf_free(&content);
    strbuf_free(&path);
    strbuf_free(&temporary);
}
