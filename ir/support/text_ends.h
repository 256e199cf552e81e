/* Texts that end in NUL. */
#ifndef POFAC_IR_SUPPORT_TEXT_ENDS_H
#define POFAC_IR_SUPPORT_TEXT_ENDS_H

#include <stdbool.h>
#include <string.h>

/* A text ends with itself. */
static inline bool text_ends_with(const char *text, const char *ending) {
    const size_t n = strlen(text), k = strlen(ending);
    return n >= k && memcmp(text + n - k, ending, k) == 0;
}

#endif
