/*
 * Any bytes as a safetensors file, and as the index of a sharded checkpoint beside one small file: either refused, or every element
 * can be read.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/checkpoint/checkpoint.h"
#include "tests/fuzz/checkpoint_touch.h"

/* What stands for the input; the files stay open: making them anew for each input takes longer than reading them. */
static const char *const names[] = {"x.safetensors", "x.index.json"};
static int fds[2];
static char directory[64];

static void path_of(const char *name, char *path, size_t n) { snprintf(path, n, "%s/%s", directory, name); }

static int make(const char *name) {
    char path[128];
    path_of(name, path, sizeof path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static void put(int fd, const void *bytes, size_t n) {
    if (pwrite(fd, bytes, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) != 0) {
        perror(directory);
        exit(1);
    }
}

static void remove_all(void) {
    static const char *const made[] = {"a.safetensors", "x.safetensors", "x.index.json"};
    char path[128];
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        path_of(made[i], path, sizeof path);
        remove(path);
    }
    rmdir(directory);
}

static void set_up(void) {
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    unsigned char shard[8 + sizeof header - 1 + 4] = {sizeof header - 1}; /* the data are zeros */
    memcpy(shard + 8, header, sizeof header - 1);
    if (directory[0]) return;
    strcpy(directory, "/tmp/pofac-fuzz-XXXXXX");
    if (!mkdtemp(directory)) {
        perror(directory);
        exit(1);
    }
    atexit(remove_all);
    put(make("a.safetensors"), shard, sizeof shard);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) fds[i] = make(names[i]);
}

static void try_as(size_t i, const uint8_t *data, size_t size) {
    char path[128];
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    checkpoint *c;
    put(fds[i], data, size);
    path_of(names[i], path, sizeof path);
    pofac_status status = checkpoint_open(path, &sink, &c);
    if ((status == POFAC_OK) != (c != NULL)) abort();
    if (status != POFAC_OK && said.size == 0) abort(); /* an error without a message */
    if (c) checkpoint_touch(c);
    checkpoint_close(c);
    strbuf_free(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    set_up();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) try_as(i, data, size);
    return 0;
}
