/* Reads HTML's character references: numbers by their digits, names by halving the sorted table. */
#include "frontend/data/html_entities.h"

#include <string.h>

typedef struct entity {
    char name[9];
    uint16_t code_point;
} entity;

static const entity entities[] = {
#define ENTITY(name, code_point) {name, code_point},
#include "frontend/data/html_entities.def"
#undef ENTITY
};

enum { LONGEST_NAME = 8, LONGEST_NUMBER = 8 };

static int digit_of(char c, uint32_t base) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t read_number(const char *text, size_t bytes, uint32_t *code_point) {
    size_t at = 2;
    const uint32_t base = at < bytes && (text[at] == 'x' || text[at] == 'X') ? 16 : 10;
    if (base == 16) at++;
    const size_t begin = at;
    uint32_t n = 0;
    for (; at < bytes && at - begin < LONGEST_NUMBER && digit_of(text[at], base) >= 0; at++)
        n = n * base + (uint32_t)digit_of(text[at], base); /* 8 digits fit into 32 bits */
    if (at == begin || at == bytes || text[at] != ';') return 0;
    if (n == 0 || n > 0x10FFFF || (n >= 0xD800 && n < 0xE000)) return 0;
    *code_point = n;
    return at + 1;
}

size_t html_entity_read(const char *text, size_t bytes, uint32_t *code_point) {
    if (bytes > 1 && text[1] == '#') return read_number(text, bytes, code_point);
    const size_t limit = bytes < LONGEST_NAME + 2 ? bytes : LONGEST_NAME + 2;
    const char *end = memchr(text, ';', limit);
    if (!end) return 0;
    char name[LONGEST_NAME + 1] = {0};
    memcpy(name, text + 1, (size_t)(end - text) - 1);
    size_t low = 0, high = sizeof entities / sizeof *entities;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, entities[middle].name);
        if (order == 0) {
            *code_point = entities[middle].code_point;
            return (size_t)(end - text) + 1;
        }
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return 0;
}

size_t utf8_write(uint32_t c, char out[4]) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}
