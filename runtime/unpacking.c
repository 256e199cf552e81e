/* Packed weights back into rows; see unpacking.h. Every number that comes from a packed form is checked before it is used. */
#include "runtime/unpacking.h"

#include <string.h>

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

/* Entry number i of a visit, e of all. */
static bool put_entry(const sparse_walk *w, int64_t row, int64_t k0, uint32_t i, uint64_t e) {
    const sparse_layout *l = w->layout;
    uint16_t offset;
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
