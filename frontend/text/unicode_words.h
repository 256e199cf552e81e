/*
 * Letters, white space and lower case as Python 3's str and re have them, which the scripts that define scores are written in.
 */
#ifndef POFAC_FRONTEND_UNICODE_WORDS_H
#define POFAC_FRONTEND_UNICODE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"

/* Decodes the character at text[*at], which moves behind it; -1: bytes that are not UTF-8. */
int32_t unicode_next(const char *text, size_t n, size_t *at);

/* str.isspace: white space by bidirectional class (WS, B, S) or a space separator. */
bool unicode_is_space(int32_t c);

/* What \w of re matches: letters, digits, numbers, '_'; no accents of their own. */
bool unicode_is_word(int32_t c);

/* Appends str.lower of n bytes of UTF-8: full mappings, final sigma by what stands around it. Bytes that are not UTF-8 stay. */
POFAC_MUST_USE pofac_status unicode_put_lower(const char *text, size_t n, const diag_sink *sink, strbuf *out);

#endif
