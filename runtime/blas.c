/* The only file that knows cblas.h; see blas.h. */
#include "runtime/blas.h"

#include <cblas.h>

#include "ir/plan.h"

void blas_linear(const float *x, const float *w, int64_t rows, int64_t n, int64_t k, float *y) {
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n, (int)k, 1.0f, x, (int)k, w, (int)k, 0.0f, y, (int)n);
}

void blas_linear_input_gradient(const float *dy, const float *w, int64_t rows, int64_t n, int64_t k, float *dx) {
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)k, (int)n, 1.0f, dy, (int)n, w, (int)k, 0.0f, dx,
                (int)k);
}

void blas_linear_weight_gradient(const float *x, const float *dy, int64_t rows, int64_t n, int64_t k, int64_t first, int64_t count,
                                 float *dw) {
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)count, (int)k, (int)rows, 1.0f, dy + first, (int)n, x, (int)k, 0.0f,
                dw, (int)k);
}

void blas_begin(void) { openblas_set_num_threads(1); }

void blas_linear_tiles(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
    const int64_t R = dims[0], N = dims[1], K = dims[2], W = dims[3];
    const int64_t n_tiles = (R + W - 1) / W, n_blocks = (N + LIBRARY_BLAS_ROWS - 1) / LIBRARY_BLAS_ROWS;
    const float *bias = dims[4] ? buffers[3] : NULL;
    (void)scratch;
    for (int64_t unit = begin; unit < end && unit < n_tiles * n_blocks; unit++) {
        const int64_t tile = unit / n_blocks, row = unit % n_blocks * LIBRARY_BLAS_ROWS,
                      n = N - row < LIBRARY_BLAS_ROWS ? N - row : LIBRARY_BLAS_ROWS;
        const float *x = (const float *)buffers[0] + tile * K * W, *w = (const float *)buffers[1] + row * K;
        float *y = (float *)buffers[2] + (tile * N + row) * W;
        for (int64_t i = 0; i < n && bias; i++)
            for (int64_t lane = 0; lane < W; lane++) y[i * W + lane] = bias[row + i];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)W, (int)K, 1.0f, w, (int)K, x, (int)W,
                    bias ? 1.0f : 0.0f, y, (int)W);
    }
}

const char *blas_version(void) { return openblas_get_config(); }

const char *blas_kernels(void) { return openblas_get_corename(); }
