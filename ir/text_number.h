/*
 * Floating-point numbers as text: the shortest decimal form that reads back to the same bits, whatever locale the program runs in.
 * NaNs of every sign and payload are "nan".
 */
#ifndef POFAC_IR_TEXT_NUMBER_H
#define POFAC_IR_TEXT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/support/strbuf.h"

void text_put_double(strbuf *out, double value);

/* Longest decimal number that text_read_double takes: every double has an exact form of fewer characters. */
#define TEXT_MAX_NUMBER_BYTES 1100

/* Reads an unsigned decimal number, all `n` bytes of it, rounded to nearest even. False when it is longer than TEXT_MAX_NUMBER_BYTES, not a
 * number, or larger than every finite double. Numbers too small for a double read as 0. */
bool text_read_double(const char *text, size_t n, double *out);

#endif
