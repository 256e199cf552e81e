/* Any bytes as config.json: either refused with a message, or what was read is written, read again and written to the same text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/model/model_spec.h"

static char path[64];
static int fd = -1;

static void remove_file(void) { remove(path); }

/* The file stays open: making it anew for each input takes longer than reading it. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena memory = ARENA_INIT;
    strbuf said = STRBUF_INIT, first = STRBUF_INIT, second = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&said);
    model_spec spec;
    put(data, size);
    pofac_status status = config_json_read(path, &memory, &sink, &spec);
    if (status != POFAC_OK && said.size == 0) abort();
    if (status == POFAC_OK) {
        config_json_write(&spec, &first);
        put(first.data, first.size);
        if (config_json_read(path, &memory, NULL, &spec) != POFAC_OK) abort();
        config_json_write(&spec, &second);
        if (strcmp(strbuf_str(&first), strbuf_str(&second)) != 0) abort();
    }
    arena_free(&memory);
    strbuf_free(&said);
    strbuf_free(&first);
    strbuf_free(&second);
    return 0;
}
