/* Packed weights back into rows; see unpacking.h. Every number that comes from a packed form is checked before it is used. */
#include "runtime/unpacking.h"

#include <string.h>

#include "ir/quantization.h"
#include "runtime/int8_packing.h"
#include "runtime/packing.h"

bool unpack_panels(plan_packing packing, uint32_t parameter, const void *packed, size_t n_bytes, int64_t n_rows, int64_t n_columns,
                   float *out) {
    const bool transposed = packing == PACKING_TRANSPOSED_PANELS;
    const int64_t r = parameter, lanes = transposed ? n_columns : n_rows, depth = transposed ? n_rows : n_columns;
    const int64_t wanted = packing_bytes(packing, parameter, n_rows, n_columns);
    const float *from = packed;
    if ((!transposed && packing != PACKING_PANELS) || wanted < 0 || (size_t)wanted != n_bytes) return false;
    for (int64_t lane = 0; lane < lanes; lane++) {
        const float *panel = from + lane / r * r * depth + lane % r; /* [depth][r] */
        for (int64_t k = 0; k < depth; k++) out[transposed ? k * n_columns + lane : lane * n_columns + k] = panel[k * r];
    }
    return true;
}

/* ---- non-zeros ---- */

/* A sparse weight that is walked as kernels do. */
typedef struct sparse_walk {
    const sparse_layout *layout;
    const sparse_header *header;
    const sparse_segment *segments;
    const sparse_bucket *buckets;
    const uint16_t *rows;
    const unsigned char *offsets; /* of 16 bits; of 8 for N_M */
    const float *values;
    const int8_t *bytes;       /* instead of values, of weights in 8 bits */
    int64_t n_rows, n_columns; /* of the matrix at hand: transposed where the layout is */
    float *out;
} sparse_walk;

/* A part of the index: `n` elements of `element_bytes` from byte `begin` on, at a place where they may lie. */
static const void *part_of(const sparse_header *h, uint64_t begin, uint64_t n, size_t element_bytes) {
    const uint64_t bytes = n * element_bytes; /* n is below 2^34 */
    if (begin % 4 != 0 || begin > h->bytes || bytes > h->bytes - begin) return NULL;
    return (const char *)h + begin;
}

static bool find_parts(sparse_walk *w, const void *index, size_t index_bytes, const void *values, size_t values_bytes) {
    const sparse_layout *l = w->layout;
    const sparse_header *h = index;
    const uint64_t per_entry = (uint64_t)l->block_rows * l->block_columns;
    if (index_bytes < sizeof *h || h->bytes > index_bytes || l->tile < 2 || l->k_block == 0 || l->row_group == 0 || per_entry == 0)
        return false;
    if (l->kind == SPARSE_N_M && (l->keep == 0 || l->of == 0)) return false;
    const uint64_t groups = ((uint64_t)w->n_rows + l->row_group - 1) / l->row_group,
                   blocks = ((uint64_t)w->n_columns + l->k_block - 1) / l->k_block;
    if (h->n_groups != groups || h->n_k_blocks != blocks || groups * blocks > UINT32_MAX) return false;
    if (values_bytes / sizeof(float) / per_entry < h->n_entries) return false;
    w->header = h;
    w->segments = part_of(h, h->segments, groups * blocks + 1, sizeof *w->segments);
    w->buckets = part_of(h, h->buckets, h->n_buckets, sizeof *w->buckets);
    w->rows = part_of(h, h->rows, h->n_visits, sizeof *w->rows);
    w->offsets = part_of(h, h->offsets, h->n_entries, l->kind == SPARSE_N_M ? 1 : 2);
    w->values = values;
    return w->segments && w->buckets && w->rows && w->offsets;
}

static bool put_number(const sparse_walk *w, int64_t row, int64_t column, float value) {
    if (value == 0) return true; /* a place without a non-zero, perhaps beyond the matrix */
    if (row >= w->n_rows || column >= w->n_columns) return false;
    w->out[w->layout->transposed ? column * w->n_rows + row : row * w->n_columns + column] = value;
    return true;
}

static bool put_int8_entry(const sparse_walk *w, int64_t row, int64_t k0, uint64_t e);

/* Entry number i of a visit, e of all. */
static bool put_entry(const sparse_walk *w, int64_t row, int64_t k0, uint32_t i, uint64_t e) {
    const sparse_layout *l = w->layout;
    uint16_t offset;
    if (w->bytes) return put_int8_entry(w, row, k0, e);
    if (l->kind == SPARSE_N_M) {
        const int64_t first = k0 + (int64_t)(i / l->keep) * l->of;
        return put_number(w, row, first + w->offsets[e] / (l->tile / 2), w->values[e]);
    }
    memcpy(&offset, w->offsets + 2 * e, sizeof offset);
    const int64_t column = k0 + offset / (l->tile / 2);
    const float *block = w->values + e * l->block_rows * l->block_columns; /* [C][R] */
    for (int64_t c = 0; c < l->block_columns; c++)
        for (int64_t r = 0; r < l->block_rows; r++)
            if (!put_number(w, row + r, column + c, block[c * l->block_rows + r])) return false;
    return true;
}

/* One block of columns of one group of rows. */
static bool put_segment(const sparse_walk *w, uint64_t group, uint64_t block) {
    const sparse_header *h = w->header;
    const sparse_segment *s = &w->segments[group * h->n_k_blocks + block], *end = s + 1;
    uint64_t visit = s->visit, entry = s->entry;
    if (end->bucket > h->n_buckets || s->bucket > end->bucket) return false;
    for (uint32_t b = s->bucket; b < end->bucket; b++) {
        const sparse_bucket bucket = w->buckets[b];
        if (bucket.visits > h->n_visits - visit || visit > h->n_visits) return false;
        for (uint32_t v = 0; v < bucket.visits; v++, visit++) {
            const int64_t row = (int64_t)(group * w->layout->row_group) + w->rows[visit];
            if (entry > h->n_entries || bucket.entries > h->n_entries - entry) return false;
            for (uint32_t i = 0; i < bucket.entries; i++, entry++)
                if (!put_entry(w, row, (int64_t)(block * w->layout->k_block), i, entry)) return false;
        }
    }
    return true;
}

bool unpack_sparse(const sparse_layout *layout, const void *index, size_t index_bytes, const void *values, size_t values_bytes,
                   int64_t n_rows, int64_t n_columns, float *out) {
    const bool is_known = layout->kind == SPARSE_STREAM || layout->kind == SPARSE_BLOCKS || layout->kind == SPARSE_N_M;
    sparse_walk w = {.layout = layout,
                     .n_rows = layout->transposed ? n_columns : n_rows,
                     .n_columns = layout->transposed ? n_rows : n_columns,
                     .out = out};
    if (!is_known || !index || !values || !find_parts(&w, index, index_bytes, values, values_bytes)) return false;
    memset(out, 0, (size_t)n_rows * (size_t)n_columns * sizeof *out);
    for (uint64_t g = 0; g < w.header->n_groups; g++)
        for (uint64_t b = 0; b < w.header->n_k_blocks; b++)
            if (!put_segment(&w, g, b)) return false;
    return true;
}

/* ---- 8 bits ---- */

/* Is it a range of the whole weight, or one of each row? */
static bool is_range_of(const ir_tensor *range, int64_t n_rows) {
    const bool whole = range->rank == 1 && range->dims[0] == 2;
    return range->dtype == IR_F32 && range->data &&
           (whole || (range->rank == 2 && range->dims[0] == n_rows && range->dims[1] == 2)) && !int8_range_is_none(range);
}

/* Multiplies whole numbers by their rows' scales. */
static void scale_rows(const ir_tensor *range, int64_t n_rows, int64_t n_columns, float *out) {
    const float *ranges = range->data;
    for (int64_t row = 0; row < n_rows; row++) {
        const float *of_row = ranges + (range->rank == 2 ? 2 * row : 0);
        const float scale = quantization_of((value_range){of_row[0], of_row[1]}, QUANTIZE_SYMMETRIC).scale;
        for (int64_t k = 0; k < n_columns; k++) out[row * n_columns + k] *= scale;
    }
}

bool unpack_int8_panels(plan_packing packing, uint32_t parameter, const void *packed, size_t n_bytes, const ir_tensor *range,
                        int64_t n_rows, int64_t n_columns, float *out) {
    const bool tiles = packing == PACKING_INT8_TILES;
    const int64_t wanted = int8_panels_bytes(packing, parameter, n_rows, n_columns), p = parameter;
    const int64_t at_once = tiles ? 64 : 4, lanes = tiles ? 16 : p, blocks = (n_columns + at_once - 1) / at_once;
    const int8_t *from = packed;
    if ((!tiles && packing != PACKING_INT8_PANELS) || wanted < 0 || (size_t)wanted != n_bytes || !is_range_of(range, n_rows))
        return false;
    for (int64_t row = 0; row < n_rows; row++)
        for (int64_t k = 0; k < n_columns; k++) { /* [panel][square of the panel][block of columns][row][column] */
            const int64_t in_panel = row % p, square = in_panel / lanes;
            const int64_t block = (row / p * (p / lanes) + square) * blocks + k / at_once;
            out[row * n_columns + k] = from[(block * lanes + in_panel % lanes) * at_once + k % at_once];
        }
    scale_rows(range, n_rows, n_columns, out);
    return true;
}

/* Adds, since a weight may stand in parts in two entries. */
static bool add_number(const sparse_walk *w, int64_t row, int64_t column, int8_t number) {
    if (number == 0) return true;
    if (row >= w->n_rows || column >= w->n_columns) return false;
    w->out[row * w->n_columns + column] += number;
    return true;
}

/* Are its entries any four non-zeros of a row, each with an offset of its own? */
static bool has_any_columns(const sparse_layout *l) { return l->kind == SPARSE_FOURS || l->kind == SPARSE_PAIRS; }

static bool put_int8_entry(const sparse_walk *w, int64_t row, int64_t k0, uint64_t e) {
    static const unsigned in_pairs[4] = {0, 1, 4, 5}; /* of a b a b c d c d */
    const sparse_layout *l = w->layout;
    const bool pairs = l->kind == SPARSE_PAIRS, any = has_any_columns(l);
    const int8_t *values = w->bytes + e * (pairs ? 8 : 4);
    uint16_t offsets[4] = {0};
    memcpy(offsets, w->offsets + e * (any ? sizeof offsets : sizeof *offsets), any ? sizeof offsets : sizeof *offsets);
    for (unsigned i = 0; i < 4; i++) {
        const int64_t column = any ? (int64_t)offsets[i] * 4 / l->tile : (int64_t)(offsets[0] / (l->tile / 2)) * 4 + i;
        if (!add_number(w, row, k0 + column, values[pairs ? in_pairs[i] : i])) return false;
    }
    return true;
}

static bool find_int8_parts(sparse_walk *w, const void *packed, size_t n_bytes) {
    const sparse_layout *l = w->layout;
    const sparse_header *h = packed;
    if (n_bytes < sizeof *h || h->bytes > n_bytes || l->tile < 2 || l->k_block == 0 || l->row_group == 0) return false;
    const uint64_t groups = ((uint64_t)w->n_rows + l->row_group - 1) / l->row_group,
                   blocks = ((uint64_t)w->n_columns + l->k_block - 1) / l->k_block;
    if (h->n_groups != groups || h->n_k_blocks != blocks || groups * blocks > UINT32_MAX) return false;
    w->header = h;
    w->segments = part_of(h, h->segments, groups * blocks + 1, sizeof *w->segments);
    w->buckets = part_of(h, h->buckets, h->n_buckets, sizeof *w->buckets);
    w->rows = part_of(h, h->rows, h->n_visits, sizeof *w->rows);
    w->offsets = part_of(h, h->offsets, h->n_entries, has_any_columns(l) ? 8 : 2);
    w->bytes = part_of(h, h->values, h->n_entries, l->kind == SPARSE_PAIRS ? 8 : 4);
    return w->segments && w->buckets && w->rows && w->offsets && w->bytes;
}

bool unpack_int8_sparse(const sparse_layout *layout, const void *packed, size_t n_bytes, const ir_tensor *range, int64_t n_rows,
                        int64_t n_columns, float *out) {
    sparse_walk w = {.layout = layout, .n_rows = n_rows, .n_columns = n_columns, .out = out};
    if (!sparse_layout_is_int8(layout) || layout->transposed || !packed || !is_range_of(range, n_rows)) return false;
    if (!find_int8_parts(&w, packed, n_bytes)) return false;
    memset(out, 0, (size_t)n_rows * (size_t)n_columns * sizeof *out);
    for (uint64_t g = 0; g < w.header->n_groups; g++)
        for (uint64_t b = 0; b < w.header->n_k_blocks; b++)
            if (!put_segment(&w, g, b)) return false;
    scale_rows(range, n_rows, n_columns, out);
    return true;
}
