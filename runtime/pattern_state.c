/* Patterns and values of pruned weights, read once per name; see pattern_state.h. */
#include "runtime/pattern_state.h"

#include <stdlib.h>

#include "ir/support/strmap.h"
#include "ir/support/vector.h"

typedef struct sparse_weight {
    ir_pattern pattern;
    int64_t *row_start;
    int32_t *column;
    float *values;
} sparse_weight;

struct pattern_state {
    strmap index; /* name -> place in weights */
    VEC(sparse_weight *) weights;
};

pattern_state *pattern_state_create(void) { return calloc(1, sizeof(pattern_state)); }

static void weight_free(sparse_weight *w) {
    if (!w) return;
    free(w->row_start);
    free(w->column);
    free(w->values);
    free(w);
}

void pattern_state_destroy(pattern_state *p) {
    if (!p) return;
    for (size_t i = 0; i < p->weights.size; i++) weight_free(p->weights.data[i]);
    VEC_FREE(&p->weights);
    strmap_free(&p->index);
    free(p);
}

static bool weight_make(const ir_tensor *dense, sparse_weight *w) {
    int64_t rows = dense->dims[0], columns = dense->dims[1], nnz = 0, n = rows * columns;
    for (int64_t i = 0; i < n; i++) nnz += tensor_get(dense, i) != 0.0;
    w->row_start = malloc(((size_t)rows + 1) * sizeof *w->row_start);
    w->column = malloc((nnz ? (size_t)nnz : 1) * sizeof *w->column);
    w->values = malloc((nnz ? (size_t)nnz : 1) * sizeof *w->values);
    if (!w->row_start || !w->column || !w->values) return false;
    int64_t at = 0;
    for (int64_t r = 0; r < rows; r++) {
        w->row_start[r] = at;
        for (int64_t k = 0; k < columns; k++) {
            double value = tensor_get(dense, r * columns + k);
            if (value == 0.0) continue;
            w->column[at] = (int32_t)k;
            w->values[at++] = (float)value;
        }
    }
    w->row_start[rows] = at;
    w->pattern = (ir_pattern){.n_rows = rows, .n_columns = columns, .nnz = nnz, .row_start = w->row_start, .column = w->column};
    return true;
}

static pofac_status weight_get(pattern_state *p, const char *name, const tensor_source *state, const diag_sink *sink,
                               sparse_weight **out) {
    size_t length = 0;
    while (name[length]) length++;
    const strmap_entry *known = strmap_get(&p->index, name, length);
    if (known) {
        *out = p->weights.data[known->value];
        return POFAC_OK;
    }
    ir_tensor dense;
    TRY(state->get(state->user, name, sink, &dense));
    if (dense.rank != 2 || dense.dims[1] > INT32_MAX)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: found a tensor of rank %u, a pattern needs a matrix", name, dense.rank);
    sparse_weight *w = calloc(1, sizeof *w);
    if (!w || !weight_make(&dense, w) || !VEC_PUSH(&p->weights, w)) {
        weight_free(w);
        return diag_out_of_memory(sink);
    }
    if (!strmap_put(&p->index, name, length, p->weights.size - 1, NULL)) return diag_out_of_memory(sink);
    *out = w;
    return POFAC_OK;
}

pofac_status pattern_state_pattern(pattern_state *p, const char *name, const tensor_source *state, const diag_sink *sink,
                                   ir_tensor *out) {
    sparse_weight *w;
    TRY(weight_get(p, name, state, sink, &w));
    *out = (ir_tensor){.rank = 2, .dims = {w->pattern.n_rows, w->pattern.n_columns}, .pattern = &w->pattern};
    return POFAC_OK;
}

pofac_status pattern_state_values(pattern_state *p, const char *name, const tensor_source *state, const diag_sink *sink,
                                  ir_tensor *out) {
    sparse_weight *w;
    TRY(weight_get(p, name, state, sink, &w));
    *out = tensor_view(IR_F32, 1, &w->pattern.nnz, w->values);
    return POFAC_OK;
}
