/* Rows <-> tiles<W>, quads<W>, element by element; see tiled_tensor.h. */
#include "runtime/tiled_tensor.h"

#include <string.h>

/* The place of element [r,k] of [R,K] in tiles<W>, or quads<W>. */
static int64_t tiled_place(const ir_type *type, int64_t K, int64_t r, int64_t k) {
    const int64_t W = type->tile, tile = r / W, lane = r % W;
    if (type->layout == LAYOUT_QUADS) return ((tile * ((K + 3) / 4) + k / 4) * W + lane) * 4 + k % 4;
    return (tile * K + k) * W + lane;
}

static void copy(const ir_type *type, int64_t R, int64_t K, const char *from, char *to, bool to_tiles) {
    const size_t bytes = dtype_bits(type->dtype) / 8;
    for (int64_t r = 0; r < R; r++)
        for (int64_t k = 0; k < K; k++) {
            const size_t row = bytes * (size_t)(r * K + k), tile = bytes * (size_t)tiled_place(type, K, r, k);
            memcpy(to + (to_tiles ? tile : row), from + (to_tiles ? row : tile), bytes);
        }
}

void tensor_from_tiles(const ir_type *type, const void *tiles, ir_tensor *t) {
    copy(type, t->dims[0], t->dims[1], tiles, t->data, false);
}

void tensor_to_tiles(const ir_type *type, const ir_tensor *t, void *tiles) {
    const int64_t W = type->tile, K = type->layout == LAYOUT_QUADS ? (t->dims[1] + 3) / 4 * 4 : t->dims[1];
    const size_t bytes = dtype_bits(type->dtype) / 8 * (size_t)((t->dims[0] + W - 1) / W * W * K);
    if (bytes > 0) memset(tiles, 0, bytes);
    copy(type, t->dims[0], t->dims[1], t->data, tiles, true);
}
