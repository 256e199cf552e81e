/* Dense weights of a state; see dense_state.h. */
#include "frontend/driver/dense_state.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/vector.h"

/* A weight that somebody holds. */
typedef struct dense_weight {
    const char *name; /* the state's */
    ir_tensor tensor;
    size_t uses;
} dense_weight;

struct dense_state {
    state_store *state;
    VEC(dense_weight) weights;
    tensor_source source;
};

static dense_weight *find_weight(dense_state *d, const char *name) {
    for (size_t i = 0; i < d->weights.size; i++)
        if (strcmp(d->weights.data[i].name, name) == 0) return &d->weights.data[i];
    return NULL;
}

static pofac_status make_dense(const ir_tensor *values, const diag_sink *sink, ir_tensor *out) {
    const ir_pattern *p = values->pattern;
    const int64_t dims[2] = {p->n_rows, p->n_columns};
    if (tensor_alloc(values->dtype, 2, dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    const size_t width = values->dtype == IR_F32 ? sizeof(float) : 0;
    for (int64_t row = 0; row < p->n_rows; row++)
        for (int64_t k = p->row_start[row]; k < p->row_start[row + 1]; k++) {
            const int64_t at = row * p->n_columns + p->column[k];
            if (width) ((float *)out->data)[at] = ((const float *)values->data)[k];
            else tensor_set(out, at, tensor_get(values, k));
        }
    return POFAC_OK;
}

static pofac_status apply_mask(const ir_tensor *weight, const uint8_t *mask, const diag_sink *sink, ir_tensor *out) {
    const float *from = weight->data;
    if (tensor_alloc(IR_F32, weight->rank, weight->dims, out) != POFAC_OK) return diag_out_of_memory(sink);
    float *to = out->data;
    for (int64_t i = 0; i < tensor_elements(weight); i++) to[i] = mask[i] ? from[i] : 0.0f;
    return POFAC_OK;
}

static pofac_status get_weight(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    dense_state *d = user;
    state_entry *entry = state_store_find(d->state, name);
    dense_weight *weight = find_weight(d, name);
    const uint8_t *mask = state_store_mask(d->state, name);
    if (!entry) return diag_error(sink, POFAC_ERR_INPUT, NULL, "the run has no parameter \"%s\"", name);
    if (!entry->tensor.pattern && !mask) {
        *out = entry->tensor;
        out->owned = false;
        return POFAC_OK;
    }
    if (!weight) {
        dense_weight fresh = {.name = entry->name};
        TRY(mask ? apply_mask(&entry->tensor, mask, sink, &fresh.tensor) : make_dense(&entry->tensor, sink, &fresh.tensor));
        if (!VEC_PUSH(&d->weights, fresh)) {
            tensor_free(&fresh.tensor);
            return diag_out_of_memory(sink);
        }
        weight = &d->weights.data[d->weights.size - 1];
    }
    weight->uses++;
    *out = weight->tensor;
    out->owned = false;
    return POFAC_OK;
}

static void release_weight(void *user, const char *name) {
    dense_state *d = user;
    dense_weight *weight = find_weight(d, name);
    if (!weight || --weight->uses > 0) return;
    tensor_free(&weight->tensor);
    *weight = d->weights.data[--d->weights.size];
}

pofac_status dense_state_create(state_store *state, const diag_sink *sink, dense_state **out) {
    dense_state *d = calloc(1, sizeof *d);
    *out = d;
    if (!d) return diag_out_of_memory(sink);
    d->state = state;
    d->source = (tensor_source){.get = get_weight, .user = d, .release = release_weight};
    return POFAC_OK;
}

void dense_state_destroy(dense_state *d) {
    if (!d) return;
    for (size_t i = 0; i < d->weights.size; i++) tensor_free(&d->weights.data[i].tensor);
    VEC_FREE(&d->weights);
    free(d);
}

const tensor_source *dense_state_source(const dense_state *d) { return &d->source; }

double state_sparsity(state_store *state) {
    int64_t entries = 0, non_zeros = 0;
    for (size_t i = 0; i < state_store_size(state); i++) {
        const state_entry *e = state_store_at(state, i);
        size_t length;
        if (!e->tensor.pattern || state_parameter_of(e->name, &length)) continue;
        entries += e->tensor.pattern->n_rows * e->tensor.pattern->n_columns;
        non_zeros += e->tensor.pattern->nnz;
    }
    return entries ? (double)(entries - non_zeros) / (double)entries : 0;
}
