/*
 * Any bytes as a file of torch.save, as the pickle in an archive that is well-formed otherwise, and as what follows the preamble of a
 * stream: either refused, or every element can be read.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/checkpoint/checkpoint.h"
#include "tests/fuzz/checkpoint_touch.h"

static char path[64];
static int fd = -1;

static void remove_file(void) { remove(path); }

/* The file stays open: making it anew for each input takes longer than reading it. */
static void put(const strbuf *b) {
    if (fd < 0) {
        strcpy(path, "/tmp/pofac-fuzz-XXXXXX.bin");
        fd = mkstemps(path, 4);
        atexit(remove_file);
    }
    if (fd < 0 || pwrite(fd, b->data, b->size, 0) != (ssize_t)b->size || ftruncate(fd, (off_t)b->size) != 0) {
        perror(path);
        exit(1);
    }
}

static void try_file(const strbuf *b) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    checkpoint *c;
    put(b);
    pofac_status status = checkpoint_open(path, &sink, &c);
    if ((status == POFAC_OK) != (c != NULL)) abort();
    if (status != POFAC_OK && said.size == 0) abort(); /* an error without a message */
    if (c) checkpoint_touch(c);
    checkpoint_close(c);
    strbuf_free(&said);
}

static void put_number(strbuf *b, uint64_t number, size_t n_bytes) { strbuf_append(b, &number, n_bytes); }

/* An entry of an archive, stored: its local header and data. */
static void put_local(strbuf *b, const char *name, const void *data, size_t n) {
    strbuf_append(b, "PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
    put_number(b, n, 4);
    put_number(b, n, 4);
    put_number(b, strlen(name), 4); /* and no extra field */
    strbuf_puts(b, name);
    strbuf_append(b, data, n);
}

/* The same in the directory. */
static void put_central(strbuf *b, const char *name, size_t n, size_t at) {
    strbuf_append(b, "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    put_number(b, n, 4);
    put_number(b, n, 4);
    put_number(b, strlen(name), 4);
    put_number(b, 0, 8);
    put_number(b, 0, 2);
    put_number(b, at, 4);
    strbuf_puts(b, name);
}

static void try_as_pickle(const uint8_t *data, size_t size) {
    static const char elements[64] = "some elements";
    strbuf b = STRBUF_INIT;
    put_local(&b, "data.pkl", data, size);
    const size_t second = b.size;
    put_local(&b, "data/0", elements, sizeof elements);
    const size_t directory = b.size;
    put_central(&b, "data.pkl", size, 0);
    put_central(&b, "data/0", sizeof elements, second);
    const size_t n_bytes = b.size - directory;
    strbuf_append(&b, "PK\5\6\0\0\0\0\2\0\2\0", 12);
    put_number(&b, n_bytes, 4);
    put_number(&b, directory, 4);
    put_number(&b, 0, 2);
    try_file(&b);
    strbuf_free(&b);
}

static void try_as_stream(const uint8_t *data, size_t size) {
    static const char preamble[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\3.}.";
    strbuf b = STRBUF_INIT;
    strbuf_append(&b, preamble, sizeof preamble - 1);
    strbuf_append(&b, data, size);
    try_file(&b);
    strbuf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const strbuf whole = {.data = (char *)(uintptr_t)data, .size = size};
    try_file(&whole);
    try_as_pickle(data, size);
    try_as_stream(data, size);
    return 0;
}
