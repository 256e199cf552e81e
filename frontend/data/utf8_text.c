/* UTF-8 by the table of well-formed sequences (Unicode Standard, table 3-7); see utf8_text.h. */
#include "frontend/data/utf8_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes of ASCII at once, which most text is. */
static bool is_ascii(const char *text) {
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

/* Bytes of the character at `s` (n of them are there); 0 when it is none. */
static size_t character_bytes(const unsigned char *s, size_t n) {
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    size_t wanted;
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    if (s[0] < 0xe0) wanted = 2;
    else wanted = s[0] < 0xf0 ? 3 : 4;
    if (s[0] == 0xe0) low = 0xa0;
    if (s[0] == 0xed) high = 0x9f;
    if (s[0] == 0xf0) low = 0x90;
    if (s[0] == 0xf4) high = 0x8f;
    if (n < wanted || s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < wanted; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return wanted;
}

size_t utf8_valid_bytes(const char *text, size_t n) {
    size_t at = 0, bytes;
    while (at < n) {
        if (n - at >= 8 && is_ascii(text + at)) {
            at += 8;
            continue;
        }
        bytes = character_bytes((const unsigned char *)text + at, n - at);
        if (bytes == 0) return at;
        at += bytes;
    }
    return n;
}
