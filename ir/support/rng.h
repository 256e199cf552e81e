/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 *
 * A number is a pure function of (key, counter): no state, so any thread can compute any number, and packing, micro-batches and
 * threads leave the numbers unchanged. Streams are told apart by the key: (seed, name or purpose).
 */
#ifndef POFAC_IR_SUPPORT_RNG_H
#define POFAC_IR_SUPPORT_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rng_key {
    uint32_t word[2];
} rng_key;

typedef struct rng_block {
    uint32_t word[4];
} rng_block;

/* The key of the stream `purpose` under `seed`, e.g. the name of a parameter. */
rng_key rng_key_make(uint64_t seed, const char *purpose);

/* The key of stream number `stream` under `seed`, as kernels compute it: the stream times 2^32 / golden ratio is added to the low word
 * of the seed. */
rng_key rng_key_numbered(uint64_t seed, uint32_t stream);

/* A random word below this is dropped by dropout of a rate in [0, 1): rate * 2^32, rounded. */
uint32_t rng_drop_below(double rate);

/* Four random words for the 128-bit counter (high, low). */
rng_block rng_philox(rng_key key, uint64_t low, uint64_t high);

/* Is a row, known by its key (op row_keys), among the `share` of rows, in [0, 1), that a step draws? Independent of dropout's numbers. */
bool rng_draws(uint64_t seed, uint64_t step, uint64_t row_key, double share);

/* The index-th number of a stream: uniform in [0, 1) with 53 bits; standard normal (Box-Muller on two uniforms); uniform integer
 * in [0, bound), bound > 0, without bias worth naming (64-bit multiply-high). */
double rng_uniform(rng_key key, uint64_t index);
double rng_normal(rng_key key, uint64_t index);
uint64_t rng_below(rng_key key, uint64_t index, uint64_t bound);

/* Numbers first .. first + n of a stream of normals, times `scale`: the same as rng_normal one by one, in half the time. */
void rng_normals(rng_key key, uint64_t first, size_t n, double scale, float *out);

#endif
