/*
 * XXH3 of many bytes, piece by piece; included behind xxhash.h by files that are compiled for different instruction sets (CMakeLists.txt). The values are the
 * same for all of them.
 */
#ifndef POFAC_IR_SUPPORT_HASH_PIECES_H
#define POFAC_IR_SUPPORT_HASH_PIECES_H

#include <stddef.h>
#include <stdint.h>

#define HASH_PIECE_BYTES ((size_t)4096) /* a page */
#define HASH_LINE_BYTES 64

/* For processors that have what their names say. */
uint64_t hash_avx2(const void *bytes, size_t n);
uint64_t hash_avx512(const void *bytes, size_t n);

static inline void fetch_piece(const unsigned char *piece) {
    for (size_t i = 0; i < HASH_PIECE_BYTES; i += HASH_LINE_BYTES) __builtin_prefetch(piece + i, 0, 2);
}

/* Fetches the piece behind the one that is hashed. */
static inline uint64_t hash_in_pieces(const unsigned char *bytes, size_t n) {
    XXH3_state_t state;
    size_t at = 0;
    (void)XXH3_64bits_reset(&state); /* these fail for NULL alone */
    for (; n - at >= 2 * HASH_PIECE_BYTES; at += HASH_PIECE_BYTES) {
        fetch_piece(bytes + at + HASH_PIECE_BYTES);
        (void)XXH3_64bits_update(&state, bytes + at, HASH_PIECE_BYTES);
    }
    (void)XXH3_64bits_update(&state, bytes + at, n - at);
    return XXH3_64bits_digest(&state);
}

#endif
