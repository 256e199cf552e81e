/* Whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF). */
#ifndef POFAC_FRONTEND_DATA_UTF8_TEXT_H
#define POFAC_FRONTEND_DATA_UTF8_TEXT_H

#include <stddef.h>

/* Bytes before the first that does not belong to a whole character; n when all do. */
size_t utf8_valid_bytes(const char *text, size_t n);

#endif
