/* The input of a fuzzer as a file: what readers of paths are given. */
#ifndef POFAC_TESTS_FUZZ_INPUT_FILE_H
#define POFAC_TESTS_FUZZ_INPUT_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static int fd = -1;

static void remove_file(void) { remove(path); }

/* Writes the bytes to `path`. The file stays open: making it anew for each input takes longer than reading it. */
static void put(const void *bytes, size_t n) {
    if (fd < 0) {
        strcpy(path, "/tmp/pofac-fuzz-XXXXXX");
        fd = mkstemp(path);
        atexit(remove_file);
    }
    if (fd < 0 || pwrite(fd, bytes, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) != 0) {
        perror(path);
        exit(1);
    }
}

#endif
