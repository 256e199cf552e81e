/*
 * The stream kernel of codegen/kernel_sparse_linear.c written by hand in C with intrinsics, over the same index and values: what the
 * code that pofac makes when it runs is measured against. For AVX-512 with tiles of 64 and AVX2 with tiles of 32 tokens; benchmarks
 * alone have compiled vector code.
 */
#ifndef POFAC_TESTS_BENCH_SPARSE_INTRINSICS_H
#define POFAC_TESTS_BENCH_SPARSE_INTRINSICS_H

#include <immintrin.h>
#include <string.h>

#include "ir/sparse_layout.h"

#define INTRINSICS_UNROLL 4

/* The loop behind it has a constant number of rounds and is written out: else arrays of vectors would lie in memory. */
#ifdef __clang__
#define WRITTEN_OUT _Pragma("unroll")
#else
#define WRITTEN_OUT _Pragma("GCC unroll 16")
#endif

/* y [ceil(R/W)][N][W] = bias + weight x; sums: [row_group][W]. */
typedef void (*intrinsics_linear)(const sparse_header *h, const float *values, const float *bias, const float *x, float *y,
                                  int64_t R, int64_t N, int64_t K, float *sums);

/*
 * For one instruction set: NAME_entry adds one entry to chain `chain`; NAME_visits runs a bucket with a constant number of vectors
 * and of remaining entries; NAME_linear is the kernel.
 */
#define INTRINSICS_KERNEL(NAME, TARGET, VECTOR, LANES, LOAD, STORE, ZERO, BROADCAST, FMA, ADD)                                     \
    static inline __attribute__((always_inline, target(TARGET))) void NAME##_entry(const float *x, uint16_t offset, float value,   \
                                                                                   int vectors, VECTOR *sum) {                     \
        VECTOR w = BROADCAST(value);                                                                                               \
        const float *column = (const float *)((const char *)x + 8 * (size_t)offset);                                               \
        WRITTEN_OUT for (int v = 0; v < vectors; v++) sum[v] = FMA(LOAD(column + v * (LANES)), w, sum[v]);                         \
    }                                                                                                                              \
                                                                                                                                   \
    static inline __attribute__((always_inline, target(TARGET))) void NAME##_visits(                                               \
        const float *x, float *sums, const uint16_t *rows, const uint16_t *offsets, const float *values, int n_visits, int rounds, \
        int rest, int vectors) {                                                                                                   \
        for (int visit = 0; visit < n_visits; visit++) {                                                                           \
            float *to = sums + (size_t)rows[visit] * 4 * (LANES), *later = sums + (size_t)rows[visit + 2] * 4 * (LANES);           \
            VECTOR sum[2][4];                                                                                                      \
            WRITTEN_OUT for (int v = 0; v < vectors; v++) {                                                                        \
                if (v * (LANES) % 16 == 0) _mm_prefetch((const char *)(later + v * (LANES)), _MM_HINT_T0);                         \
                sum[0][v] = LOAD(to + v * (LANES));                                                                                \
                sum[1][v] = ZERO();                                                                                                \
            }                                                                                                                      \
            for (int i = 0; i < rounds; i++) {                                                                                     \
                WRITTEN_OUT for (int j = 0; j < INTRINSICS_UNROLL; j++)                                                            \
                    NAME##_entry(x, offsets[j], values[j], vectors, sum[j % 2]);                                                   \
                offsets += INTRINSICS_UNROLL;                                                                                      \
                values += INTRINSICS_UNROLL;                                                                                       \
            }                                                                                                                      \
            WRITTEN_OUT for (int j = 0; j < rest; j++) NAME##_entry(x, offsets[j], values[j], vectors, sum[j % 2]);                \
            offsets += rest;                                                                                                       \
            values += rest;                                                                                                        \
            WRITTEN_OUT for (int v = 0; v < vectors; v++) STORE(to + v * (LANES), ADD(sum[0][v], sum[1][v]));                      \
        }                                                                                                                          \
    }                                                                                                                              \
                                                                                                                                   \
    static inline __attribute__((always_inline, target(TARGET))) void NAME##_group(                                                \
        const sparse_header *h, const float *values, const float *x, float *sums, uint32_t group, int vectors) {                   \
        const char *base = (const char *)h;                                                                                        \
        const sparse_segment *s = (const sparse_segment *)(base + h->segments) + (size_t)group * h->n_k_blocks;                    \
        for (uint32_t b = 0; b < h->n_k_blocks; b++, s++, x += (size_t)h->k_block * 4 * (LANES)) {                                 \
            const uint16_t *rows = (const uint16_t *)(base + h->rows) + s->visit;                                                  \
            const uint16_t *offsets = (const uint16_t *)(base + h->offsets) + s->entry;                                            \
            const float *value = values + s->entry;                                                                                \
            const sparse_bucket *bucket = (const sparse_bucket *)(base + h->buckets) + s->bucket;                                  \
            for (uint32_t i = s->bucket; i < s[1].bucket; i++, bucket++) {                                                         \
                int n = bucket->entries, count = bucket->visits, rounds = n / INTRINSICS_UNROLL;                                   \
                switch (n % INTRINSICS_UNROLL) {                                                                                   \
                case 0: NAME##_visits(x, sums, rows, offsets, value, count, rounds, 0, vectors); break;                            \
                case 1: NAME##_visits(x, sums, rows, offsets, value, count, rounds, 1, vectors); break;                            \
                case 2: NAME##_visits(x, sums, rows, offsets, value, count, rounds, 2, vectors); break;                            \
                default: NAME##_visits(x, sums, rows, offsets, value, count, rounds, 3, vectors); break;                           \
                }                                                                                                                  \
                rows += count;                                                                                                     \
                offsets += (size_t)n * (size_t)count;                                                                              \
                value += (size_t)n * (size_t)count;                                                                                \
            }                                                                                                                      \
        }                                                                                                                          \
    }                                                                                                                              \
                                                                                                                                   \
    static __attribute__((target(TARGET))) void NAME##_linear(const sparse_header *h, const float *values, const float *bias,      \
                                                              const float *x, float *y, int64_t R, int64_t N, int64_t K,           \
                                                              float *sums) {                                                       \
        const int64_t W = 4 * (LANES);                                                                                             \
        for (int64_t tile = 0; tile * W < R; tile++)                                                                               \
            for (uint32_t g = 0; g < h->n_groups; g++) {                                                                           \
                int64_t row0 = (int64_t)g * h->row_group, n = N - row0 < h->row_group ? N - row0 : h->row_group;                   \
                int64_t left = R - tile * W, vectors = left >= W ? 4 : (left + (LANES)-1) / (LANES);                               \
                memset(sums, 0, (size_t)(n * W) * sizeof *sums);                                                                   \
                switch (vectors) {                                                                                                 \
                case 1: NAME##_group(h, values, x + tile * K * W, sums, g, 1); break;                                              \
                case 2: NAME##_group(h, values, x + tile * K * W, sums, g, 2); break;                                              \
                case 3: NAME##_group(h, values, x + tile * K * W, sums, g, 3); break;                                              \
                default: NAME##_group(h, values, x + tile * K * W, sums, g, 4); break;                                             \
                }                                                                                                                  \
                float *to = y + (tile * N + row0) * W;                                                                             \
                for (int64_t r = 0; r < n; r++)                                                                                    \
                    for (int64_t v = 0; v < vectors; v++)                                                                          \
                        STORE(to + r * W + v * (LANES), ADD(LOAD(sums + r * W + v * (LANES)), BROADCAST(bias[row0 + r])));         \
            }                                                                                                                      \
    }

INTRINSICS_KERNEL(avx2_kernel, "avx2,fma", __m256, 8, _mm256_load_ps, _mm256_store_ps, _mm256_setzero_ps, _mm256_set1_ps,
                  _mm256_fmadd_ps, _mm256_add_ps)
INTRINSICS_KERNEL(avx512_kernel, "avx512f,avx512vl,avx512bw,avx512dq", __m512, 16, _mm512_load_ps, _mm512_store_ps,
                  _mm512_setzero_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps)

/* Multiply-adds on registers alone: the peak, in operations per call. */
#define PEAK_SUMS 10
#define PEAK_ROUNDS 100000
#define INTRINSICS_PEAK(NAME, TARGET, VECTOR, LANES, BROADCAST, FMA, ADD, STORE)                                                   \
    static __attribute__((target(TARGET), noinline)) double NAME(float *out) {                                                     \
        VECTOR sum[PEAK_SUMS], x = BROADCAST(0.5f), w = BROADCAST(out[0]);                                                         \
        WRITTEN_OUT for (int i = 0; i < PEAK_SUMS; i++) sum[i] = BROADCAST((float)i);                                              \
        for (int n = 0; n < PEAK_ROUNDS; n++) WRITTEN_OUT for (int i = 0; i < PEAK_SUMS; i++) sum[i] = FMA(sum[i], x, w);          \
        WRITTEN_OUT for (int i = 1; i < PEAK_SUMS; i++) sum[0] = ADD(sum[0], sum[i]);                                              \
        STORE(out, sum[0]);                                                                                                        \
        return 2.0 * PEAK_SUMS * PEAK_ROUNDS * (LANES);                                                                            \
    }

INTRINSICS_PEAK(avx2_peak, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_store_ps)
INTRINSICS_PEAK(avx512_peak, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_store_ps)

#endif
