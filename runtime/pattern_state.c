/* Patterns of pruned weights, read once per name; see pattern_state.h. */
#include "runtime/pattern_state.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/strmap.h"
#include "ir/support/vector.h"

/* Positions that were found among the elements of a matrix, or those that come with non-zeros. */
typedef struct named_pattern {
    ir_pattern pattern;
    bool has_positions;
    int64_t *row_start; /* owned, as column; NULL: the source's */
    int32_t *column;
    const tensor_source *held; /* whose view of `name` has the positions */
    const char *name;          /* the index's */
} named_pattern;

struct pattern_state {
    strmap index; /* name -> place in patterns */
    VEC(named_pattern *) patterns;
};

pattern_state *pattern_state_create(void) { return calloc(1, sizeof(pattern_state)); }

static void free_positions(named_pattern *p) {
    free(p->row_start);
    free(p->column);
    if (p->held) tensor_source_release(p->held, p->name);
    p->row_start = NULL;
    p->column = NULL;
    p->held = NULL;
    p->has_positions = false;
}

static void pattern_free(named_pattern *p) {
    if (p) free_positions(p);
    free(p);
}

void pattern_state_destroy(pattern_state *p) {
    if (!p) return;
    for (size_t i = 0; i < p->patterns.size; i++) pattern_free(p->patterns.data[i]);
    VEC_FREE(&p->patterns);
    strmap_free(&p->index);
    free(p);
}

enum { RUN = 512 }; /* elements that are read at a time */

/* Masks are bytes, of which eight are looked at together: a bit for each that is not 0. */
static uint64_t bits_of_eight(const uint8_t *at) {
    const uint64_t lows = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    const uint64_t tops = ((((bytes & lows) + lows) | bytes) & ~lows) >> 7; /* little-endian */
    return tops * UINT64_C(0x0102040810204080) >> 56;
}

/* The same of up to 64. */
static uint64_t bits_of_bytes(const uint8_t *at, int64_t n) {
    uint64_t bits = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) bits |= bits_of_eight(at + i) << i;
    for (; i < n; i++) bits |= (uint64_t)(at[i] != 0) << i;
    return bits;
}

static int64_t count_bytes(const uint8_t *bytes, int64_t n) {
    int64_t nnz = 0;
    for (int64_t i = 0; i < n; i += 64) nnz += __builtin_popcountll(bits_of_bytes(bytes + i, n - i < 64 ? n - i : 64));
    return nnz;
}

/* Appends the columns of the bytes that are not 0. */
static int32_t *take_bytes(const uint8_t *row, int64_t columns, int32_t *to) {
    for (int64_t k = 0; k < columns; k += 64)
        for (uint64_t bits = bits_of_bytes(row + k, columns - k < 64 ? columns - k : 64); bits; bits &= bits - 1)
            *to++ = (int32_t)(k + __builtin_ctzll(bits));
    return to;
}

static int64_t count_non_zeros(const ir_tensor *dense) {
    double run[RUN];
    int64_t n = tensor_elements(dense), nnz = 0;
    if (dense->dtype == IR_U8) return count_bytes(dense->data, n);
    for (int64_t i = 0; i < n; i += RUN) {
        int64_t count = n - i < RUN ? n - i : RUN;
        tensor_get_run(dense, i, count, run);
        for (int64_t k = 0; k < count; k++) nnz += run[k] != 0.0;
    }
    return nnz;
}

static bool find_positions(const ir_tensor *dense, named_pattern *p) {
    int64_t rows = dense->dims[0], columns = dense->dims[1], nnz = count_non_zeros(dense), at = 0;
    double run[RUN];
    p->row_start = malloc(((size_t)rows + 1) * sizeof *p->row_start);
    p->column = malloc((nnz ? (size_t)nnz : 1) * sizeof *p->column);
    if (!p->row_start || !p->column) return false;
    for (int64_t r = 0; r < rows; r++) {
        p->row_start[r] = at;
        if (dense->dtype == IR_U8) {
            at = take_bytes((const uint8_t *)dense->data + r * columns, columns, p->column + at) - p->column;
            continue;
        }
        for (int64_t k = 0; k < columns; k += RUN) {
            int64_t count = columns - k < RUN ? columns - k : RUN;
            tensor_get_run(dense, r * columns + k, count, run);
            for (int64_t j = 0; j < count; j++)
                if (run[j] != 0.0) p->column[at++] = (int32_t)(k + j);
        }
    }
    p->row_start[rows] = at;
    p->pattern = (ir_pattern){.n_rows = rows, .n_columns = columns, .nnz = nnz, .row_start = p->row_start, .column = p->column};
    p->has_positions = true;
    return true;
}

/* The pattern of state p->name, whose positions the cache lacks. */
static pofac_status read_pattern(const tensor_source *state, const diag_sink *sink, named_pattern *p) {
    const char *name = p->name;
    ir_tensor dense, copy = {0};
    TRY(state->get(state->user, name, sink, &dense));
    if (dense.pattern) {
        p->pattern = *dense.pattern;
        p->has_positions = true;
        p->held = state;
        return POFAC_OK;
    }
    pofac_status status = POFAC_OK;
    if (dense.rank != 2 || dense.dims[1] > INT32_MAX)
        status =
            diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: found a tensor of rank %u, a pattern needs a matrix", name, dense.rank);
    else if (!tensor_is_aligned(&dense) && tensor_clone(&dense, &copy) != POFAC_OK) status = diag_out_of_memory(sink);
    if (status == POFAC_OK && !find_positions(copy.data ? &copy : &dense, p)) {
        free_positions(p);
        status = diag_out_of_memory(sink);
    }
    tensor_free(&copy);
    tensor_source_release(state, name);
    return status;
}

static pofac_status add_pattern(pattern_state *p, const char *name, size_t length, const diag_sink *sink, named_pattern **out) {
    named_pattern *added = calloc(1, sizeof *added);
    const bool has_room = added && VEC_RESERVE(&p->patterns, p->patterns.size + 1);
    const strmap_entry *entry = has_room ? strmap_put(&p->index, name, length, p->patterns.size, NULL) : NULL;
    if (!entry) {
        free(added);
        return diag_out_of_memory(sink);
    }
    added->name = entry->key;
    p->patterns.data[p->patterns.size++] = *out = added;
    return POFAC_OK;
}

pofac_status pattern_state_pattern(pattern_state *p, const char *name, const tensor_source *state, const diag_sink *sink,
                                   ir_tensor *out) {
    const size_t length = strlen(name);
    const strmap_entry *known = strmap_get(&p->index, name, length);
    named_pattern *found = known ? p->patterns.data[known->value] : NULL;
    if (!known) TRY(add_pattern(p, name, length, sink, &found));
    if (!found->has_positions) TRY(read_pattern(state, sink, found));
    *out = (ir_tensor){.rank = 2, .dims = {found->pattern.n_rows, found->pattern.n_columns}, .pattern = &found->pattern};
    return POFAC_OK;
}

void pattern_state_release(pattern_state *p, const char *name) {
    const strmap_entry *known = strmap_get(&p->index, name, strlen(name));
    if (known) free_positions(p->patterns.data[known->value]);
}

void pattern_take(const ir_pattern *pattern, const ir_tensor *dense, ir_tensor *values) {
    for (int64_t r = 0; r < pattern->n_rows; r++)
        for (int64_t p = pattern->row_start[r]; p < pattern->row_start[r + 1]; p++)
            tensor_set(values, p, tensor_get(dense, r * pattern->n_columns + pattern->column[p]));
}
