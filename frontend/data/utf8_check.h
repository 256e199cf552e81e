/* UTF-8 as Unicode 15 defines it (table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef POFAC_FRONTEND_DATA_UTF8_CHECK_H
#define POFAC_FRONTEND_DATA_UTF8_CHECK_H

#include <stddef.h>

/* How many of the n bytes come before the first one that is not part of well-formed UTF-8: n when all are well-formed. */
size_t utf8_valid_bytes(const char *bytes, size_t n);

#endif
