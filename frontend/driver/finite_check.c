/* Finding numbers that are none; see finite_check.h. */
#include "frontend/driver/finite_check.h"

#include <math.h>

#define RUN 256 /* elements that are looked at together */

int64_t find_not_finite(const ir_tensor *t, int64_t begin, int64_t end) {
    double run[RUN];
    for (int64_t i = begin; i < end; i += RUN) {
        const int64_t n = end - i < RUN ? end - i : RUN;
        tensor_get_run(t, i, n, run);
        for (int64_t k = 0; k < n; k++)
            if (!isfinite(run[k])) return i + k;
    }
    return end;
}

const char *not_finite_name(double value) { return isnan(value) ? "NaN" : value > 0.0 ? "Inf" : "-Inf"; }
