/* Batches for a calibration; see calibration_data.h. */
#include "frontend/driver/calibration_data.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/data/batcher.h"

#define PREFETCH 4 /* batches */

static void progress(const calibration_data_options *o, uint64_t done, uint64_t all) {
    if (o->progress) o->progress(o->progress_user, done, all);
}

/* ---- tensors ---- */

enum { IDS, TYPES, MASK, HIDDEN, N_INPUTS };

typedef struct tensor_rows {
    const loaded_model *model;
    const char *path;
    const diag_sink *sink;
    checkpoint *file;
    ir_tensor inputs[N_INPUTS]; /* data NULL: there is none */
    int64_t n_rows, length;
} tensor_rows;

static const char *const input_names[N_INPUTS] = {
    [IDS] = "input_ids", [TYPES] = "token_type_ids", [MASK] = "attention_mask", [HIDDEN] = "embedding_output"};

POFAC_PRINTF(3, 4)
static pofac_status wrong_tensor(const tensor_rows *r, const char *name, const char *format, ...) {
    va_list args;
    strbuf text = STRBUF_INIT;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    const pofac_status status = strbuf_ok(&text) ? diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path},
                                                              "tensor \"%s\": %s", name, strbuf_str(&text))
                                                 : diag_out_of_memory(r->sink);
    strbuf_free(&text);
    return status;
}

static pofac_status wrong_shape(const tensor_rows *r, const char *name, const checkpoint_tensor *t, const char *wanted) {
    strbuf found = STRBUF_INIT;
    checkpoint_print_shape(t->rank, t->dims, &found);
    const pofac_status status = wrong_tensor(r, name, "found %s, wanted %s", strbuf_str(&found), wanted);
    strbuf_free(&found);
    return status;
}

/* What says how many rows there are. */
static pofac_status load_main(tensor_rows *r) {
    const int which = loaded_model_has_embeddings(r->model) ? IDS : HIDDEN;
    const char *name = input_names[which];
    const checkpoint_tensor *t = checkpoint_get(r->file, name);
    const int64_t hidden = loaded_model_spec(r->model)->hidden_size;
    if (!t) return wrong_tensor(r, name, "found none, wanted what the model reads");
    if (which == IDS && t->rank != 2) return wrong_shape(r, name, t, "[N,S]");
    if (which == HIDDEN && (t->rank != 3 || t->dims[2] != hidden)) return wrong_shape(r, name, t, "[N,S,hidden_size]");
    if (checkpoint_elements(t) == 0) return wrong_shape(r, name, t, "at least one token");
    if (t->dims[1] > loaded_model_spec(r->model)->max_position_embeddings)
        return wrong_tensor(r, name, "found rows of %" PRId64 " tokens, wanted at most %" PRId64, t->dims[1],
                            loaded_model_spec(r->model)->max_position_embeddings);
    r->n_rows = t->dims[0];
    r->length = t->dims[1];
    return checkpoint_load(t, which == IDS ? IR_I64 : IR_F32, r->sink, &r->inputs[which]);
}

/* A tensor [N,S] of the file, or as many of `standard`. */
static pofac_status load_other(tensor_rows *r, int which, int64_t standard) {
    const checkpoint_tensor *t = checkpoint_get(r->file, input_names[which]);
    const int64_t dims[2] = {r->n_rows, r->length};
    if (t && (t->rank != 2 || t->dims[0] != dims[0] || t->dims[1] != dims[1]))
        return wrong_shape(r, input_names[which], t, "the rows and columns of the main input");
    if (t) return checkpoint_load(t, IR_I64, r->sink, &r->inputs[which]);
    if (tensor_alloc(IR_I64, 2, dims, &r->inputs[which]) != POFAC_OK) return diag_out_of_memory(r->sink);
    for (int64_t i = 0; i < dims[0] * dims[1]; i++) ((int64_t *)r->inputs[which].data)[i] = standard;
    return POFAC_OK;
}

static pofac_status check_values(const tensor_rows *r, int which, int64_t end) {
    const ir_tensor *t = &r->inputs[which];
    for (int64_t i = 0; t->data && i < tensor_elements(t); i++) {
        const int64_t value = ((const int64_t *)t->data)[i];
        if (value < 0 || value >= end)
            return wrong_tensor(r, input_names[which], "found %" PRId64 " in row %" PRId64 ", wanted numbers from 0 to %" PRId64,
                                value, i / r->length, end - 1);
    }
    return POFAC_OK;
}

static pofac_status load_rows(tensor_rows *r) {
    const model_spec *spec = loaded_model_spec(r->model);
    TRY(checkpoint_open(r->path, r->sink, &r->file));
    TRY(load_main(r));
    TRY(load_other(r, MASK, 1));
    TRY(load_other(r, TYPES, 0));
    TRY(check_values(r, IDS, spec->vocab_size));
    TRY(check_values(r, MASK, 2));
    return spec->arch == MODEL_BERT ? check_values(r, TYPES, spec->type_vocab_size) : POFAC_OK;
}

/* Rows [first, first + count) as a batch. */
static void take_rows(const tensor_rows *r, int64_t first, int64_t count, batch *out) {
    *out = (batch){.n_sequences = count, .index = (uint64_t)out->index};
    for (int i = 0; i < N_INPUTS; i++) {
        ir_tensor part = r->inputs[i];
        if (!part.data) continue;
        part.owned = false;
        part.dims[0] = count;
        part.data = (char *)part.data + (size_t)first * (tensor_bytes(&r->inputs[i]) / (size_t)r->n_rows);
        out->names[out->n_tensors] = input_names[i];
        out->tensors[out->n_tensors++] = part;
    }
    const int64_t *mask = (const int64_t *)r->inputs[MASK].data + first * r->length;
    for (int64_t i = 0; i < count * r->length; i++) out->n_tokens += mask[i];
}

static pofac_status observe_rows(calibration *c, const tensor_rows *r, const calibration_data_options *o, calibration_counts *out) {
    const int64_t all = o->samples > 0 && o->samples < r->n_rows ? o->samples : r->n_rows;
    batch b = {.index = 0};
    for (int64_t first = 0; first < all; first += o->batch_size, b.index++) {
        const int64_t count = all - first < o->batch_size ? all - first : o->batch_size;
        if (interruption_check(o->stop)) return POFAC_ERR_INTERRUPTED;
        take_rows(r, first, count, &b);
        TRY(calibration_add(c, &b, r->sink));
        out->examples += (uint64_t)count;
        out->tokens += (uint64_t)b.n_tokens;
        progress(o, out->examples, (uint64_t)all);
    }
    return POFAC_OK;
}

pofac_status calibration_add_tensors(calibration *c, const loaded_model *model, const char *path, const calibration_data_options *o,
                                     const diag_sink *sink, calibration_counts *out) {
    tensor_rows r = {.model = model, .path = path, .sink = sink};
    *out = (calibration_counts){0, 0};
    pofac_status status = load_rows(&r);
    if (status == POFAC_OK) status = observe_rows(c, &r, o, out);
    for (int i = 0; i < N_INPUTS; i++) tensor_free(&r.inputs[i]);
    checkpoint_close(r.file);
    return status;
}

/* ---- a recipe's data ---- */

static pofac_status observe_batches(calibration *c, const batch_source *source, uint64_t all, const calibration_data_options *o,
                                    const diag_sink *sink, calibration_counts *out) {
    while (out->examples < all) {
        const batch *b;
        if (interruption_check(o->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(source->next(source->user, sink, &b));
        if (!b) return POFAC_OK;
        TRY(calibration_add(c, b, sink));
        out->examples += (uint64_t)b->n_sequences;
        out->tokens += (uint64_t)b->n_tokens;
        progress(o, out->examples < all ? out->examples : all, all);
    }
    return POFAC_OK;
}

pofac_status calibration_add_examples(calibration *c, loaded_model *model, const recipe *r, run_data_split split,
                                      const calibration_data_options *o, const diag_sink *sink, calibration_counts *out) {
    run_data data;
    bool found;
    batcher *b;
    *out = (calibration_counts){0, 0};
    TRY(run_data_open(r, model, split, sink, &data, &found));
    if (!found)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "found no examples to calibrate with: wanted --calibration PATH, or train in <data>");
    const uint64_t all =
        o->samples > 0 && (uint64_t)o->samples < data.source.n_examples ? (uint64_t)o->samples : data.source.n_examples;
    const batcher_options options = {.order = {.arrangement = BATCH_SHUFFLED,
                                               .seed = r->train.seed,
                                               .batch_size = (uint64_t)o->batch_size < all ? (uint64_t)o->batch_size : all,
                                               .fixed_length = data.fixed_length},
                                     .pad_id = (int32_t)loaded_model_spec(model)->pad_token_id,
                                     .n_epochs = 1,
                                     .prefetch = PREFETCH};
    pofac_status status = batcher_create(&data.source, &options, sink, &b);
    if (status == POFAC_OK) {
        const batch_source source = batcher_source(b);
        status = observe_batches(c, &source, all, o, sink, out);
        batcher_destroy(b);
    }
    run_data_close(&data);
    return status;
}
