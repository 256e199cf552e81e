/* Any bytes as a shard: either refused with a message, or every example can be read; once as they are, once with the checksums made right. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/shards.h"
#include "ir/support/hash.h"

static int fd = -1;
static char path[64];

static void remove_file(void) { unlink(path); }

static void set_up(void) {
    if (fd >= 0) return;
    strcpy(path, "/tmp/pofac-fuzz-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    atexit(remove_file);
}

static void try_bytes(const uint8_t *data, size_t size) {
    strbuf said = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    shard *s;
    if (pwrite(fd, data, size, 0) != (ssize_t)size || ftruncate(fd, (off_t)size) != 0) exit(1);
    pofac_status status = shard_open(path, &sink, &s);
    if ((status == POFAC_OK) != (s != NULL)) abort();
    if (status == POFAC_OK) status = shard_check(s, &sink);
    if (status != POFAC_OK && said.size == 0) abort(); /* an error without a message */
    if (s) {
        const shard_info *info = shard_get_info(s);
        int32_t *ids = malloc(info->max_length * sizeof *ids);
        for (uint64_t i = 0; ids && i < info->n_examples; i++) {
            shard_example e;
            if (shard_read(s, i, &sink, ids, &e) == POFAC_OK && (e.n_tokens > info->max_length || e.second > e.n_tokens)) abort();
        }
        free(ids);
    }
    shard_close(s);
    strbuf_free(&said);
}

/* Computes the checksums as block_file.h says, wherever the sizes in the head allow. */
static void make_right(uint8_t *data, size_t size) {
    enum { HEAD = 80, INFO = 104, CHECKSUM = 72, BLOCK = 65536 };
    uint64_t n_blocks, blocks_bytes, sum = 0;
    if (size < HEAD + INFO) return;
    memcpy(&n_blocks, data + 24, sizeof n_blocks);
    memcpy(&blocks_bytes, data + 32, sizeof blocks_bytes);
    if (n_blocks > size / 8 || blocks_bytes > size) return;
    const size_t hashed = HEAD + INFO + (size_t)n_blocks * 8, front = (hashed + 63) / 64 * 64;
    if (front > size || blocks_bytes > size - front) return;
    for (uint64_t i = 0; i < n_blocks && i * BLOCK < blocks_bytes; i++) {
        const uint64_t left = blocks_bytes - i * BLOCK;
        sum = hash_bytes(data + front + i * BLOCK, (size_t)(left < BLOCK ? left : BLOCK));
        memcpy(data + HEAD + INFO + 8 * i, &sum, sizeof sum);
    }
    memset(data + CHECKSUM, 0, sizeof sum);
    sum = hash_bytes(data, hashed);
    memcpy(data + CHECKSUM, &sum, sizeof sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    set_up();
    try_bytes(data, size);
    uint8_t *copy = malloc(size + 1);
    if (!copy) return 0;
    memcpy(copy, data, size);
    make_right(copy, size);
    try_bytes(copy, size);
    free(copy);
    return 0;
}
