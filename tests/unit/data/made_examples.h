/* Examples by rule, for the tests of batches: example i has as many tokens as the rule says, all ids tell i and the place. */
#ifndef POFAC_TESTS_UNIT_DATA_MADE_EXAMPLES_H
#define POFAC_TESTS_UNIT_DATA_MADE_EXAMPLES_H

#include "frontend/data/example_source.h"
#include "ir/support/rng.h"

typedef struct made_examples {
    uint64_t n;
    size_t max_length;
    uint64_t fails_at; /* reading this example is an error; UINT64_MAX: none is */
    uint64_t delay_ns; /* of reading */
} made_examples;

/* 1 to max_length, short ones more often. */
size_t made_length(const made_examples *m, uint64_t i);

/* Ids 1000 * epoch + 7 * i + place; types 1 in the second half; fields: labels (i % 3), scores f32 (i / 4), tags per token (place, and -100 at odd
 * ones). */
example_source made_source(const made_examples *m);

#endif
