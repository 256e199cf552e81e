/* What fuzzers of checkpoints do with one that opens. */
#ifndef POFAC_TESTS_FUZZ_CHECKPOINT_TOUCH_H
#define POFAC_TESTS_FUZZ_CHECKPOINT_TOUCH_H

#include <stdlib.h>

#include "frontend/checkpoint/checkpoint.h"

/* Copies every element, in every form; memory for them is bounded, since a view that repeats elements is. */
static inline void checkpoint_touch(const checkpoint *c) {
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        const size_t n = (size_t)checkpoint_elements(t);
        void *values = malloc(n * 8 + 1);
        if (!values) continue;
        checkpoint_read_f32(t, values);
        (void)!checkpoint_read_i64(t, NULL, values);
        checkpoint_read_bytes(t, values);
        free(values);
        if (checkpoint_get(c, t->name) != t) abort();
    }
}

#endif
