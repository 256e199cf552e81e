/* Rows of a batch, one example after the other; see batch_tensors.h. */
#include "frontend/data/batch_tensors.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(BATCH_MAX_TENSORS >= 3 + EXAMPLE_MAX_FIELDS + 1, "ids, types, mask or offsets, and every field");

void batch_tensors_free(batch_tensors *t) {
    for (size_t i = 0; i < BATCH_MAX_TENSORS; i++) free(t->blocks[i].data);
    for (size_t i = 0; i < EXAMPLE_MAX_FIELDS; i++) free(t->scratch.token_values[i]);
    free(t->scratch.ids);
    free(t->scratch.types);
    VEC_FREE(&t->examples);
    *t = (batch_tensors){0};
}

static bool make_scratch(batch_tensors *t, const example_source *source) {
    const size_t n = source->max_length;
    if (t->scratch.ids) return true;
    if (!t->scratch.types) t->scratch.types = calloc(n, sizeof *t->scratch.types);
    for (size_t i = 0; i < source->n_fields; i++) {
        if (!source->fields[i].per_token || t->scratch.token_values[i]) continue;
        t->scratch.token_values[i] = calloc(n, sizeof *t->scratch.token_values[i]);
        if (!t->scratch.token_values[i]) return false;
    }
    t->scratch.ids = t->scratch.types ? calloc(n, sizeof *t->scratch.ids) : NULL;
    return t->scratch.ids != NULL;
}

/* The next tensor of the batch; its elements are unset. NULL when memory is short. */
static void *add_tensor(batch_tensors *t, const char *name, ir_dtype dtype, uint32_t rank, int64_t first, int64_t second) {
    const size_t i = t->batch.n_tensors;
    const int64_t dims[2] = {first, second};
    const size_t bytes = (size_t)first * (rank > 1 ? (size_t)second : 1) * (dtype == IR_I64 ? sizeof(int64_t) : sizeof(float));
    if (!vector_reserve(&t->blocks[i].data, &t->blocks[i].capacity, 1, bytes)) return NULL;
    t->batch.names[i] = name;
    t->batch.tensors[i] = tensor_view(dtype, rank, dims, t->blocks[i].data);
    t->batch.n_tensors++;
    return t->blocks[i].data;
}

/* Where the parts of a batch go. */
typedef struct batch_rows {
    int64_t *ids, *types, *mask; /* mask: of padded batches */
    int32_t *offsets;            /* of packed batches */
    void *fields[EXAMPLE_MAX_FIELDS];
    size_t row_tokens; /* S; 0 when packed */
} batch_rows;

static bool lay_out(batch_tensors *t, const batch_shape *shape, const example_source *source, int64_t n, int64_t length,
                    int64_t tokens, batch_rows *out) {
    const bool is_padded = shape->form == BATCH_PADDED;
    const uint32_t rank = is_padded ? 2 : 1;
    const int64_t first = is_padded ? n : tokens;
    *out = (batch_rows){.row_tokens = is_padded ? (size_t)length : 0};
    t->batch.n_tensors = 0;
    out->ids = add_tensor(t, "input_ids", IR_I64, rank, first, length);
    out->types = out->ids ? add_tensor(t, "token_type_ids", IR_I64, rank, first, length) : NULL;
    if (!out->types) return false;
    if (is_padded) out->mask = add_tensor(t, "attention_mask", IR_I64, rank, first, length);
    else out->offsets = add_tensor(t, "offsets", IR_I32, 1, n + 1, 0);
    if (!out->mask && !out->offsets) return false;
    for (size_t f = 0; f < source->n_fields; f++) {
        const example_field *field = &source->fields[f];
        out->fields[f] =
            add_tensor(t, field->name, field->dtype, field->per_token ? rank : 1, field->per_token ? first : n, length);
        if (!out->fields[f]) return false;
    }
    return true;
}

static void put_padding(const batch_rows *rows, const batch_shape *shape, const example_source *source, size_t from, size_t upto) {
    for (size_t i = from; i < upto; i++) {
        rows->ids[i] = shape->pad_id;
        rows->types[i] = rows->mask[i] = 0;
        for (size_t f = 0; f < source->n_fields; f++)
            if (source->fields[f].per_token) ((int64_t *)rows->fields[f])[i] = EXAMPLE_NO_LABEL;
    }
}

/* The example in `e` as row `row`, its tokens from place `at` on. */
static void put_example(const batch_rows *rows, const example_source *source, const example_buffer *e, size_t row, size_t at) {
    for (size_t i = 0; i < e->n_tokens; i++) {
        rows->ids[at + i] = e->ids[i];
        rows->types[at + i] = e->types[i];
        if (rows->mask) rows->mask[at + i] = 1;
    }
    for (size_t f = 0; f < source->n_fields; f++) {
        const example_field *field = &source->fields[f];
        for (size_t i = 0; field->per_token && i < e->n_tokens; i++) ((int64_t *)rows->fields[f])[at + i] = e->token_values[f][i];
        if (field->per_token) continue;
        if (field->dtype == IR_F32) ((float *)rows->fields[f])[row] = (float)e->values[f];
        else ((int64_t *)rows->fields[f])[row] = (int64_t)e->values[f];
    }
}

static pofac_status read_rows(batch_tensors *t, const batch_shape *shape, const example_source *source, uint64_t epoch,
                              const ordered_example *examples, size_t n, const batch_rows *rows, const diag_sink *sink) {
    size_t at = 0;
    for (size_t row = 0; row < n; row++) {
        TRY(source->read(source->user, epoch, examples[row].number, sink, &t->scratch));
        if (t->scratch.n_tokens != examples[row].n_tokens)
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "example %llu: found %zu tokens, wanted %zu as before",
                              (unsigned long long)examples[row].number, t->scratch.n_tokens, examples[row].n_tokens);
        if (rows->offsets) rows->offsets[row] = (int32_t)at;
        put_example(rows, source, &t->scratch, row, at);
        at += rows->mask ? rows->row_tokens : t->scratch.n_tokens;
        if (rows->mask) put_padding(rows, shape, source, at - rows->row_tokens + t->scratch.n_tokens, at);
        t->examples.data[row] = examples[row].number;
    }
    if (rows->offsets) rows->offsets[n] = (int32_t)at;
    return POFAC_OK;
}

pofac_status batch_tensors_make(batch_tensors *t, const batch_shape *shape, const example_source *source, uint64_t epoch,
                                const ordered_example *examples, size_t n, const diag_sink *sink) {
    size_t longest = 0, tokens = 0, most;
    batch_rows rows;
    for (size_t i = 0; i < n; i++) {
        longest = examples[i].n_tokens > longest ? examples[i].n_tokens : longest;
        tokens += examples[i].n_tokens;
    }
    const size_t length = shape->fixed_length ? shape->fixed_length : longest;
    if (__builtin_mul_overflow(n, length, &most) || most > INT32_MAX || tokens > INT32_MAX) /* offsets have 32 bits */
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "found a batch of %zu sequences of %zu tokens, wanted fewer than 2^31 tokens", n, length);
    if (!make_scratch(t, source) || !VEC_RESERVE(&t->examples, n)) return diag_out_of_memory(sink);
    if (!lay_out(t, shape, source, (int64_t)n, (int64_t)length, (int64_t)tokens, &rows)) return diag_out_of_memory(sink);
    TRY(read_rows(t, shape, source, epoch, examples, n, &rows, sink));
    t->batch.n_sequences = (int64_t)n;
    t->batch.n_tokens = (int64_t)tokens;
    t->batch.examples = t->examples.data;
    return POFAC_OK;
}
