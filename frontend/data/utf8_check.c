/* Checking UTF-8: eight bytes at a time while they are ASCII, characters by the ranges of their second byte otherwise. */
#include "frontend/data/utf8_check.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the character at `at`, 0 when it is malformed. */
static size_t character_bytes(const unsigned char *at, size_t n) {
    const unsigned char first = at[0];
    if (first < 0x80) return 1;
    const size_t length = first >= 0xC2 && first <= 0xDF ? 2 : (first & 0xF0) == 0xE0 ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
    if (!length || n < length) return 0;
    const unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80; /* below: overlong */
    const unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;  /* above: surrogates, too large */
    if (at[1] < least || at[1] > most) return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return length;
}

size_t utf8_valid_bytes(const char *bytes, size_t n) {
    const unsigned char *p = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < n) {
        uint64_t eight;
        if (n - at >= sizeof eight) {
            memcpy(&eight, p + at, sizeof eight);
            if (!(eight & HIGH_BITS)) {
                at += sizeof eight;
                continue;
            }
        }
        const size_t length = character_bytes(p + at, n - at);
        if (!length) return at;
        at += length;
    }
    return n;
}
