/* The BLAS library's product against plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/blas.h"

/* Small whole numbers: every order of adding gives the same. */
static void products_equal_plain_loops(void **unused) {
    (void)unused;
    static const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 4}, {7, 5, 9}, {16, 33, 17}};
    float x[16 * 17], w[33 * 17], y[16 * 33];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t rows = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
        for (int64_t i = 0; i < rows * k; i++) x[i] = (float)(i % 7 - 3);
        for (int64_t i = 0; i < n * k; i++) w[i] = (float)(i % 5 - 2);
        memset(y, 0x7f, sizeof y);
        blas_linear(x, w, rows, n, k, y);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < n; i++) {
                float sum = 0;
                for (int64_t j = 0; j < k; j++) sum += x[r * k + j] * w[i * k + j];
                if (y[r * n + i] != sum)
                    fail_msg("[%d,%d,%d]: (%d,%d) is %g, wanted %g", (int)rows, (int)n, (int)k, (int)r, (int)i,
                             (double)y[r * n + i], (double)sum);
            }
    }
}

static void the_library_says_what_it_is(void **unused) {
    (void)unused;
    assert_non_null(strstr(blas_version(), "OpenBLAS"));
    assert_true(strlen(blas_kernels()) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_plain_loops),
        cmocka_unit_test(the_library_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
