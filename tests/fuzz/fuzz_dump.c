/*
 * Any bytes as a file of a corpus: the first byte chooses kind, size of parts and what happens with damage. Documents are UTF-8, an
 * error has a message, every page is counted once, and what is not compressed gives the same documents in parts of any size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/corpus.h"
#include "frontend/data/decompress.h"
#include "frontend/data/utf8_check.h"
#include "ir/support/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int fd = -1;

static void remove_file(void) { remove(path); }

/* The file stays open: making it anew for each input takes longer than reading it. */
static void put(const uint8_t *bytes, size_t n) {
    if (fd < 0) {
        strcpy(path, "/tmp/pofac-fuzz-XXXXXX.xml");
        fd = mkstemps(path, 4);
        atexit(remove_file);
    }
    if (fd < 0 || pwrite(fd, bytes, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) != 0) {
        perror(path);
        exit(1);
    }
}

/* Counts errors, and looks at all of every message. */
static void count_error(void *user, const diag *d) {
    strbuf said = STRBUF_INIT;
    diag_render(d, &said);
    strbuf_free(&said);
    *(size_t *)user += d->severity == DIAG_ERROR;
}

static pofac_status take(void *context, const corpus_document *d) {
    uint64_t *hash = context;
    if (d->text_bytes == 0 || d->text[d->text_bytes - 1] != '\n') abort();
    if (utf8_valid_bytes(d->text, d->text_bytes) != d->text_bytes) abort();
    if (utf8_valid_bytes(d->title, d->title_bytes) != d->title_bytes) abort();
    *hash = hash_combine(*hash, hash_combine(hash_bytes(d->title, d->title_bytes), hash_bytes(d->text, d->text_bytes)));
    return POFAC_OK;
}

static pofac_status read_all(const corpus_options *options, uint64_t *hash, corpus_counts *counts) {
    size_t n_errors = 0;
    const diag_sink sink = {count_error, &n_errors};
    const char *name = path;
    corpus *c = NULL;
    corpus_part *part = NULL;
    pofac_status status = corpus_open(&name, 1, options, &sink, &c);
    while (status == POFAC_OK) {
        status = corpus_next_part(c, &sink, &part);
        if (status != POFAC_OK || !part) break;
        status = corpus_part_read(part, take, hash, &sink, counts);
        corpus_part_destroy(part);
    }
    corpus_close(c);
    if (n_errors != (status != POFAC_OK)) abort();
    if (options->skip_damage && status == POFAC_ERR_INPUT) abort();
    return status;
}

static void check_pages(const corpus_counts *c) {
    const uint64_t told =
        c->redirects + c->disambiguations + c->other_namespaces + c->corrupt_pages + c->too_large + c->without_text;
    if (c->pages && c->pages != told + c->documents) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const kinds[] = {NULL, "wikipedia", "text", "wikitext", "jsonl", "bookcorpus", "wikipedia", "wikipedia"};
    static const size_t part_bytes[] = {0, 3, 50, 1000};
    if (size == 0) return 0;
    corpus_options options = {.kind = kinds[data[0] & 7],
                              .skip_damage = (data[0] & 8) != 0,
                              .part_bytes = part_bytes[data[0] >> 4 & 3],
                              .max_document_bytes = 2000};
    corpus_counts counts = {0}, again = {0};
    put(data + 1, size - 1);
    uint64_t hash = 0, hash_again = 0;
    const pofac_status status = read_all(&options, &hash, &counts);
    check_pages(&counts);
    options.part_bytes = 17;
    if (compression_of(data + 1, size - 1) != COMPRESSION_NONE) return 0;
    if (read_all(&options, &hash_again, &again) != status || hash_again != hash) abort();
    if (status == POFAC_OK && memcmp(&counts, &again, sizeof counts) != 0) abort(); /* else they have the bytes of parts */
    return 0;
}
