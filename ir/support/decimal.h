/*
 * Doubles as decimal text: the shortest form that reads back to the same bits, and reading, whatever locale the program runs in.
 */
#ifndef POFAC_IR_SUPPORT_DECIMAL_H
#define POFAC_IR_SUPPORT_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/strbuf.h"

/* Appends 12, -0, 0.1, 1e-12, inf, -inf; "nan" for NaNs of every sign and payload. */
void decimal_put(strbuf *out, double value);

/* Longest text that decimal_read takes; the exact decimal form of every double is shorter. */
#define DECIMAL_MAX_BYTES 1100

/* Reads all n bytes as a decimal number, rounded to nearest even. False when they are not one, too long, or beyond the largest
 * finite double. Numbers too small for a double read as 0. */
bool decimal_read(const char *text, size_t n, double *out);

/* Bytes: a whole number with K, M, G or T (powers of 1024, in either case) behind it, or without. False when it is none, or too large. */
bool decimal_read_bytes(const char *text, int64_t *out);

#endif
