/*
 * How fast text becomes tokens, on one thread: MB/s of a file of lines, the median and the best of several rounds.
 *
 *     bench_tokenizer VOCAB FILE [ROUNDS]      tests/bench/tokenizer.sh sets it beside Hugging Face's tokenizers
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/text/tokenizer.h"
#include "ir/support/file_map.h"

#define MAX_ROUNDS 101

static void print_diag(void *user, const diag *d) {
    (void)user;
    fprintf(stderr, "%s\n", d->message);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Tokens of all lines; the encoding is used again and again. */
static pofac_status run(const tokenizer *t, const file_map *text, const diag_sink *sink, uint64_t *n_tokens) {
    encoding e = ENCODING_INIT;
    pofac_status status = POFAC_OK;
    const char *at = (const char *)text->data, *end = at + text->size_bytes;
    *n_tokens = 0;
    while (at < end && status == POFAC_OK) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((newline ? newline : end) - at);
        status = tokenizer_encode(t, at, n, sink, &e);
        *n_tokens += e.size;
        at += n + 1;
    }
    encoding_free(&e);
    return status;
}

int main(int argc, char **argv) {
    const diag_sink sink = {.emit = print_diag};
    double times[MAX_ROUNDS];
    const int rounds = argc > 3 ? atoi(argv[3]) : 9;
    file_map text;
    tokenizer *t;
    uint64_t n_tokens = 0;
    if (argc < 3 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_tokenizer VOCAB FILE [ROUNDS]\n");
        return 2;
    }
    if (file_map_open(argv[2], &sink, &text) != POFAC_OK) return 3;
    if (tokenizer_create(argv[1], NULL, &sink, &t) != POFAC_OK) return 3;
    for (int i = 0; i < rounds; i++) {
        const double begin = seconds();
        if (run(t, &text, &sink, &n_tokens) != POFAC_OK) return 3;
        times[i] = seconds() - begin;
    }
    qsort(times, (size_t)rounds, sizeof *times, compare);
    const double mb = (double)text.size_bytes / 1e6;
    printf("%.1f MB, %" PRIu64 " tokens: %.1f MB/s (best %.1f)\n", mb, n_tokens, mb / times[rounds / 2], mb / times[0]);
    tokenizer_destroy(t);
    file_map_close(&text);
    return 0;
}
