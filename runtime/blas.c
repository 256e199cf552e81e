/* The only file that knows cblas.h; see blas.h. */
#include "runtime/blas.h"

#include <cblas.h>

void blas_linear(const float *x, const float *w, int64_t rows, int64_t n, int64_t k, float *y) {
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n, (int)k, 1.0f, x, (int)k, w, (int)k, 0.0f, y, (int)n);
}

const char *blas_version(void) { return openblas_get_config(); }

const char *blas_kernels(void) { return openblas_get_corename(); }
