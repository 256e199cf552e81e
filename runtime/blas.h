/*
 * The BLAS library, for what is not worth own kernels: the dense baseline of benchmarks. One thread per call, always: pofac's pool
 * is the only one, and a library's own threads would change the bits of a result with their number.
 */
#ifndef POFAC_RUNTIME_BLAS_H
#define POFAC_RUNTIME_BLAS_H

#include <stddef.h>
#include <stdint.h>

/* Y [R,N] = X [R,K] * W [N,K]^T, all row-major and packed. */
void blas_linear(const float *x, const float *w, int64_t rows, int64_t n, int64_t k, float *y);

/* "OpenBLAS 0.3.21 ...", as the library says. */
const char *blas_version(void);

/* The processor whose kernels the library has chosen: "SkylakeX", "Zen", ... */
const char *blas_kernels(void);

#endif
