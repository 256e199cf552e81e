/*
 * Curvature of weights for second-order pruning: what gradients cost, saliencies, and the optimal update at 90 % zeros.
 *
 *   bench_second_order [--entries N] [--gradients M] [--block B] [--threads T] [--rounds R]
 *
 * Of a made-up weight of N (2,359,296: a feed-forward matrix of BERT-Base) entries; prints the least processor time of R (3) rounds, for each entry and for all
 * 85,524,480 of BERT-Base's encoder and pooler with 1,024 gradients, without the runs that make the gradients; and memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/support/rng.h"
#include "runtime/second_order.h"

#define BERT_BASE 85524480.0 /* 12 layers of 7,077,888, and 589,824 */

typedef struct bench {
    int64_t entries, threads, rounds;
    second_order_options options;
    float *gradient, *values, *scores;
    uint8_t *mask;
} bench;

typedef struct bench_times {
    double gradients, saliency, prune;
} bench_times;

static void give_up(const char *what) {
    fprintf(stderr, "bench_second_order: %s\n", what);
    exit(1);
}

static void read_arguments(bench *b, int argc, char **argv) {
    const struct {
        const char *name;
        int64_t *to;
    } rows[] = {{"--entries", &b->entries},
                {"--gradients", &b->options.n_gradients},
                {"--block", &b->options.block_size},
                {"--threads", &b->threads},
                {"--rounds", &b->rounds}};
    const size_t n = sizeof rows / sizeof *rows;
    for (int i = 1; i < argc; i += 2) {
        size_t r = 0;
        while (r < n && strcmp(rows[r].name, argv[i]) != 0) r++;
        if (r == n || i + 1 == argc || atoll(argv[i + 1]) < 1)
            give_up("usage: see the comment on top of tests/bench/bench_second_order.c");
        *rows[r].to = atoll(argv[i + 1]);
    }
}

static void make_numbers(bench *b) {
    const rng_key key = rng_key_make(1, "curvature");
    const size_t n = (size_t)b->entries;
    b->gradient = malloc(n * sizeof *b->gradient);
    b->values = malloc(n * sizeof *b->values);
    b->scores = malloc(n * sizeof *b->scores);
    b->mask = malloc(n);
    if (!b->gradient || !b->values || !b->scores || !b->mask) give_up("no memory");
    for (size_t i = 0; i < n; i++) {
        b->gradient[i] = (float)(1e-3 * rng_uniform(key, 2 * i) - 5e-4);
        b->values[i] = (float)(0.1 * rng_uniform(key, 2 * i + 1) - 0.05);
        b->mask[i] = i % 10 == 0;
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bench_times run_once(const bench *b, thread_pool *pool) {
    second_order *s;
    bench_times t;
    if (second_order_create(b->entries, &b->options, pool, NULL, &s) != POFAC_OK) give_up("no memory");
    const double begin = seconds();
    for (int64_t g = 0; g < b->options.n_gradients; g++) second_order_add(s, b->gradient, NULL);
    (void)second_order_inverse(s, 0, 0); /* those that wait */
    t.gradients = seconds() - begin;
    second_order_saliency(s, b->values, b->scores);
    t.saliency = seconds() - begin - t.gradients;
    memcpy(b->scores, b->values, (size_t)b->entries * sizeof *b->scores); /* of which it makes zeros */
    const double update = seconds();
    second_order_prune(s, b->mask, b->scores);
    t.prune = seconds() - update;
    second_order_destroy(s);
    return t;
}

static double least(double a, double b) { return a < b ? a : b; }

int main(int argc, char **argv) {
    bench b = {.entries = 2359296, .threads = 1, .rounds = 3, .options = second_order_options_default()};
    thread_pool *pool;
    b.options.n_gradients = 64;
    read_arguments(&b, argc, argv);
    make_numbers(&b);
    if (thread_pool_create((size_t)b.threads, NULL, &pool) != POFAC_OK) give_up("no threads");
    bench_times t = run_once(&b, pool);
    for (int64_t r = 1; r < b.rounds; r++) {
        const bench_times again = run_once(&b, pool);
        t = (bench_times){least(t.gradients, again.gradients), least(t.saliency, again.saliency), least(t.prune, again.prune)};
    }
    const double n = (double)b.entries, one = t.gradients / n / (double)b.options.n_gradients;
    printf("memory            %6.1f bytes an entry\n", (double)second_order_bytes(b.entries, &b.options) / n);
    printf("one gradient      %6.2f ns an entry; BERT-Base, 1024 gradients: %.0f s\n", 1e9 * one, 1024 * one * BERT_BASE);
    printf("saliency          %6.2f ns an entry; BERT-Base: %.1f s\n", 1e9 * t.saliency / n, t.saliency / n * BERT_BASE);
    printf("optimal update    %6.2f ns an entry; BERT-Base: %.1f s\n", 1e9 * t.prune / n, t.prune / n * BERT_BASE);
    thread_pool_destroy(pool);
    free(b.gradient);
    free(b.values);
    free(b.scores);
    free(b.mask);
    return 0;
}
