/* Rows of a reference's batches (fixtures/train/NAME/batches.safetensors) as batches of a step. */
#ifndef POFAC_TESTS_UNIT_REFERENCE_ROWS_H
#define POFAC_TESTS_UNIT_REFERENCE_ROWS_H

#include "frontend/checkpoint/checkpoint.h"
#include "ir/batch_source.h"
#include "tests/unit/named_tensors.h"

/* Rows `first` to first + n of every tensor of the file, which must be whole numbers: a batch of n sequences. Its tensors are those of `rows`, which had others
 * before. */
void reference_rows_take(const checkpoint *file, int64_t first, int64_t n, named_tensors *rows, batch *out);

/* The number behind `key` ("\"loss\": ") in a line of expected.jsonl. */
double reference_number(const char *line, const char *key);

#endif
