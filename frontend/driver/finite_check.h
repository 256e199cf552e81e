/* Numbers of results that are none: NaN or infinite. */
#ifndef POFAC_FRONTEND_FINITE_CHECK_H
#define POFAC_FRONTEND_FINITE_CHECK_H

#include "ir/tensor.h"

/* The first element from `begin` on, before `end`, that is not finite; `end` when all are. Tensors of floats. */
int64_t find_not_finite(const ir_tensor *t, int64_t begin, int64_t end);

/* What messages call such a number: "NaN", "Inf" or "-Inf". */
const char *not_finite_name(double value);

#endif
