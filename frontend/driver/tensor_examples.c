/* Tensors as a source of examples, checked whole when they are opened; see tensor_examples.h. */
#include "frontend/driver/tensor_examples.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "ir/support/hash.h"

struct tensor_examples {
    const char *path;
    checkpoint *file;
    ir_tensor ids, mask, types;           /* i64 [N,S]; without data where the file lacks them */
    ir_tensor fields[EXAMPLE_MAX_FIELDS]; /* i64 or f32, [N] or [N,S] */
    example_source source;
};

static pofac_status tensor_error(const tensor_examples *e, const char *name, const char *wanted, const diag_sink *sink) {
    const checkpoint_tensor *t = checkpoint_get(e->file, name);
    strbuf shape = STRBUF_INIT;
    checkpoint_print_shape(t->rank, t->dims, &shape);
    pofac_status status = strbuf_ok(&shape) ? diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = e->path},
                                                         "%s: found the shape %s, wanted %s", name, strbuf_str(&shape), wanted)
                                            : diag_out_of_memory(sink);
    strbuf_free(&shape);
    return status;
}

static pofac_status row_error(const tensor_examples *e, const char *name, int64_t row, int64_t found, const char *wanted,
                              const diag_sink *sink) {
    return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = e->path}, "%s: row %" PRId64 ": found %" PRId64 ", wanted %s",
                      name, row, found, wanted);
}

/* A tensor of the shape of input_ids; nothing where there is none. */
static pofac_status load_like_ids(tensor_examples *e, const char *name, const diag_sink *sink, ir_tensor *out) {
    const checkpoint_tensor *t = checkpoint_get(e->file, name);
    if (!t) return POFAC_OK;
    if (t->rank != 2 || t->dims[0] != e->ids.dims[0] || t->dims[1] != e->ids.dims[1])
        return tensor_error(e, name, "that of input_ids", sink);
    return checkpoint_load(t, IR_I64, sink, out);
}

static pofac_status load_field(tensor_examples *e, const checkpoint_tensor *t, const diag_sink *sink) {
    static const char *const others[] = {"input_ids", "attention_mask", "token_type_ids"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(t->name, others[i]) == 0) return POFAC_OK;
    const bool is_float = t->dtype == IR_F32 || t->dtype == IR_F64 || t->dtype == IR_F16 || t->dtype == IR_BF16;
    const bool fits = t->rank > 0 && t->rank <= (is_float ? 1u : 2u) && t->dims[0] == e->ids.dims[0] &&
                      (t->rank < 2 || t->dims[1] == e->ids.dims[1]);
    if (!fits)
        return tensor_error(e, t->name,
                            is_float ? "a number for each row of input_ids" : "a number for each row or token of input_ids", sink);
    const size_t i = e->source.n_fields;
    if (i == EXAMPLE_MAX_FIELDS)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = e->path},
                          "found more than %d tensors beside the inputs, wanted fewer", EXAMPLE_MAX_FIELDS);
    const ir_dtype dtype = is_float ? IR_F32 : IR_I64;
    TRY(checkpoint_load(t, dtype, sink, &e->fields[i]));
    e->source.fields[i] = (example_field){t->name, dtype, t->rank == 2};
    e->source.n_fields++;
    return POFAC_OK;
}

static const int64_t *row_of(const ir_tensor *t, uint64_t row) {
    return (const int64_t *)t->data + (int64_t)row * (t->rank > 1 ? t->dims[1] : 1);
}

static pofac_status measure(void *user, uint64_t i, const diag_sink *sink, size_t *n_tokens) {
    const tensor_examples *e = user;
    const size_t length = (size_t)e->ids.dims[1];
    size_t n = 0;
    (void)sink;
    while (n < length && (!e->mask.data || row_of(&e->mask, i)[n] != 0)) n++;
    *n_tokens = n;
    return POFAC_OK;
}

static pofac_status check_row(const tensor_examples *e, int64_t row, int64_t vocab_size, const diag_sink *sink) {
    size_t n;
    TRY(measure((void *)e, (uint64_t)row, sink, &n));
    if (n == 0) return row_error(e, "attention_mask", row, 0, "1 for the first token", sink);
    for (int64_t k = 0; k < e->ids.dims[1]; k++) {
        const bool is_kept = k < (int64_t)n;
        if (!is_kept && row_of(&e->mask, (uint64_t)row)[k] != 0)
            return row_error(e, "attention_mask", row, row_of(&e->mask, (uint64_t)row)[k], "0 behind the first 0", sink);
        const int64_t id = row_of(&e->ids, (uint64_t)row)[k], type = e->types.data ? row_of(&e->types, (uint64_t)row)[k] : 0;
        if (is_kept && (id < 0 || id >= vocab_size)) return row_error(e, "input_ids", row, id, "an id of the vocabulary", sink);
        if (is_kept && type != 0 && type != 1) return row_error(e, "token_type_ids", row, type, "0 or 1", sink);
    }
    for (size_t f = 0; f < e->source.n_fields; f++)
        for (int64_t k = 0; e->source.fields[f].per_token && k < (int64_t)n; k++) {
            const int64_t value = row_of(&e->fields[f], (uint64_t)row)[k];
            if (value < INT32_MIN || value > INT32_MAX) return row_error(e, e->source.fields[f].name, row, value, "32 bits", sink);
        }
    return POFAC_OK;
}

static pofac_status read_example(void *user, uint64_t epoch, uint64_t i, const diag_sink *sink, example_buffer *out) {
    const tensor_examples *e = user;
    (void)epoch;
    TRY(measure(user, i, sink, &out->n_tokens));
    for (size_t k = 0; k < out->n_tokens; k++) {
        out->ids[k] = (int32_t)row_of(&e->ids, i)[k];
        out->types[k] = e->types.data && row_of(&e->types, i)[k] != 0;
    }
    for (size_t f = 0; f < e->source.n_fields; f++) {
        const ir_tensor *t = &e->fields[f];
        for (size_t k = 0; e->source.fields[f].per_token && k < out->n_tokens; k++)
            out->token_values[f][k] = (int32_t)row_of(t, i)[k];
        if (!e->source.fields[f].per_token) out->values[f] = tensor_get(t, (int64_t)i);
    }
    return POFAC_OK;
}

static uint64_t fingerprint(const tensor_examples *e) {
    uint64_t h = hash_bytes(e->ids.data, tensor_bytes(&e->ids));
    if (e->mask.data) h = hash_combine(h, hash_bytes(e->mask.data, tensor_bytes(&e->mask)));
    if (e->types.data) h = hash_combine(h, hash_bytes(e->types.data, tensor_bytes(&e->types)));
    for (size_t f = 0; f < e->source.n_fields; f++) {
        h = hash_combine(h, hash_bytes(e->source.fields[f].name, strlen(e->source.fields[f].name)));
        h = hash_combine(h, hash_bytes(e->fields[f].data, tensor_bytes(&e->fields[f])));
    }
    return h;
}

static pofac_status load(tensor_examples *e, int64_t vocab_size, const diag_sink *sink) {
    TRY(checkpoint_open(e->path, sink, &e->file));
    const checkpoint_tensor *ids = checkpoint_get(e->file, "input_ids");
    if (!ids) return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = e->path}, "found no input_ids, wanted them");
    if (ids->rank != 2 || ids->dims[0] == 0 || ids->dims[1] == 0)
        return tensor_error(e, "input_ids", "[N,S] with at least one row and one token", sink);
    TRY(checkpoint_load(ids, IR_I64, sink, &e->ids));
    TRY(load_like_ids(e, "attention_mask", sink, &e->mask));
    TRY(load_like_ids(e, "token_type_ids", sink, &e->types));
    for (size_t i = 0; i < checkpoint_size(e->file); i++) TRY(load_field(e, checkpoint_at(e->file, i), sink));
    for (int64_t row = 0; row < e->ids.dims[0]; row++) TRY(check_row(e, row, vocab_size, sink));
    e->source.n_examples = (uint64_t)e->ids.dims[0];
    e->source.fingerprint = fingerprint(e);
    for (uint64_t i = 0; i < e->source.n_examples; i++) {
        size_t n;
        TRY(measure(e, i, sink, &n));
        if (n > e->source.max_length) e->source.max_length = n;
    }
    return POFAC_OK;
}

pofac_status tensor_examples_open(const char *path, int64_t vocab_size, const diag_sink *sink, tensor_examples **out) {
    *out = NULL;
    tensor_examples *e = calloc(1, sizeof *e);
    if (!e) return diag_out_of_memory(sink);
    e->path = path;
    e->source = (example_source){.measure = measure, .read = read_example, .user = e};
    pofac_status status = load(e, vocab_size, sink);
    if (status == POFAC_OK) *out = e;
    else tensor_examples_close(e);
    return status;
}

void tensor_examples_close(tensor_examples *e) {
    if (!e) return;
    tensor_free(&e->ids);
    tensor_free(&e->mask);
    tensor_free(&e->types);
    for (size_t i = 0; i < EXAMPLE_MAX_FIELDS; i++) tensor_free(&e->fields[i]);
    checkpoint_close(e->file);
    free(e);
}

example_source tensor_examples_source(const tensor_examples *e) { return e->source; }

size_t tensor_examples_padded_length(const tensor_examples *e) { return (size_t)e->ids.dims[1]; }
