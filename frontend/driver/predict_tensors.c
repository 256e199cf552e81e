/* Tensors in, tensors out; see predict_tensors.h. */
#include "frontend/driver/predict_tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/finite_check.h"
#include "ir/op.h"

#define MAX_INPUTS 8
#define MAX_LOSSES 4

typedef struct tensor_job {
    loaded_model *model;
    const predict_tensors_options *options;
    const char *in_path;
    checkpoint *file;
    executor *executor;
    const diag_sink *sink;
    int64_t n_rows, length;
    bool with_loss, from_embeddings;
    const char *names[MAX_INPUTS]; /* of the graph's inputs */
    ir_tensor inputs[MAX_INPUTS];  /* all rows */
    size_t n_inputs;
    int64_t batch_size;      /* rows of a batch, at most */
    int64_t first, count;    /* rows of the batch */
    safetensors_item *items; /* [outputs of the graph + 1] what is written */
    ir_tensor *outputs;      /* [outputs of the graph] all rows */
    size_t n_outputs;        /* that are written */
    double loss_sum[MAX_LOSSES];
    int64_t loss_count[MAX_LOSSES];
} tensor_job;

static pofac_status input_error(const tensor_job *j, const char *name, const char *message) {
    return diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = j->in_path}, "%s: %s", name, message);
}

static pofac_status shape_error(const tensor_job *j, const char *name, uint32_t rank, const int64_t *dims, const char *wanted) {
    strbuf found = STRBUF_INIT;
    checkpoint_print_shape(rank, dims, &found);
    pofac_status status = diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = j->in_path},
                                     "%s: found the shape %s, wanted %s", name, strbuf_str(&found), wanted);
    strbuf_free(&found);
    return status;
}

/* ---- what there is to do ---- */

static bool has_all_labels(const tensor_job *j) {
    size_t n;
    const model_loss *losses = model_graph_losses(loaded_model_spec(j->model), &n);
    for (size_t i = 0; i < n; i++)
        if (!checkpoint_get(j->file, losses[i].labels)) return false;
    return n > 0;
}

static pofac_status find_main_input(tensor_job *j) {
    const checkpoint_tensor *ids = checkpoint_get(j->file, "input_ids"), *embedded = checkpoint_get(j->file, "embedding_output");
    j->from_embeddings = embedded && (!ids || !loaded_model_has_embeddings(j->model));
    const checkpoint_tensor *t = j->from_embeddings ? embedded : ids;
    if (!t)
        return diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = j->in_path},
                          "found neither input_ids nor embedding_output, wanted one of them");
    if (!j->from_embeddings && !loaded_model_has_embeddings(j->model))
        return diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = j->in_path},
                          "the model has no embedding tables: wanted embedding_output [B,S,E] instead of input_ids");
    const char *wanted =
        j->from_embeddings ? "[B,S,E] with at least one row and one token" : "[B,S] with at least one row and one token";
    if (t->rank != (j->from_embeddings ? 3 : 2) || t->dims[0] == 0 || t->dims[1] == 0)
        return shape_error(j, t->name, t->rank, t->dims, wanted);
    int64_t most = loaded_model_spec(j->model)->max_position_embeddings;
    if (t->dims[1] > most)
        return diag_error(j->sink, POFAC_ERR_INPUT, &(diag_place){.file = j->in_path},
                          "%s: found %lld tokens in a row, wanted at most %lld (max_position_embeddings)", t->name,
                          (long long)t->dims[1], (long long)most);
    j->n_rows = t->dims[0];
    j->length = t->dims[1];
    j->with_loss = has_all_labels(j);
    return POFAC_OK;
}

/* An input [B] or [B,S] whose rows are not those of the main input. */
static pofac_status rows_error(const tensor_job *j, const char *name, const ir_tensor *t, uint32_t rank) {
    const int64_t dims[2] = {j->n_rows, j->length};
    strbuf wanted = STRBUF_INIT;
    checkpoint_print_shape(rank, dims, &wanted);
    strbuf_puts(&wanted, " as the main input has");
    pofac_status status = shape_error(j, name, t->rank, t->dims, strbuf_str(&wanted));
    strbuf_free(&wanted);
    return status;
}

/* The tensor of one graph input: from the file, or made up where the reference makes it up. */
static pofac_status load_input(tensor_job *j, const ir_node *leaf, const ir_type *type) {
    const char *name = node_string(leaf, "name");
    const checkpoint_tensor *t = checkpoint_get(j->file, name);
    if (j->n_inputs == MAX_INPUTS)
        return diag_error(j->sink, POFAC_ERR_RUNTIME, NULL, "the graph has more than %d inputs", MAX_INPUTS);
    ir_tensor *out = &j->inputs[j->n_inputs];
    j->names[j->n_inputs] = name;
    if (t) {
        TRY(checkpoint_load(t, type->dtype, j->sink, out));
        j->n_inputs++;
        if (out->rank != type->rank || out->dims[0] != j->n_rows ||
            (type->rank > 1 && out->dims[1] != j->length && type->dims[1].scale != 0))
            return rows_error(j, name, out, type->rank < 2 ? type->rank : 2);
        return POFAC_OK;
    }
    bool mask = strcmp(name, "attention_mask") == 0;
    if (!mask && strcmp(name, "token_type_ids") != 0) return input_error(j, name, "there is no tensor of this name");
    int64_t dims[2] = {j->n_rows, j->length};
    if (tensor_alloc(IR_I64, 2, dims, out) != POFAC_OK) return diag_out_of_memory(j->sink);
    j->n_inputs++;
    for (int64_t i = 0; mask && i < j->n_rows * j->length; i++) ((int64_t *)out->data)[i] = 1;
    return POFAC_OK;
}

static pofac_status load_inputs(tensor_job *j) {
    const ir_graph *g = executor_graph(j->executor);
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_input) TRY(load_input(j, &g->nodes.data[i], graph_type(g, g->nodes.data[i].first_result)));
    return POFAC_OK;
}

/* ---- batches ---- */

static ir_tensor row_range(const ir_tensor *t, int64_t first, int64_t count) {
    ir_tensor part = *t;
    part.owned = false;
    part.dims[0] = count;
    part.data = (char *)t->data + (int64_t)(tensor_bytes(t) / (size_t)t->dims[0]) * first;
    return part;
}

static pofac_status get_batch(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const tensor_job *j = user;
    for (size_t i = 0; i < j->n_inputs; i++) {
        if (strcmp(j->names[i], name) != 0) continue;
        *out = row_range(&j->inputs[i], j->first, j->count);
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "no input \"%s\"", name);
}

/* Room for all rows of an output of which a batch has these. */
static pofac_status make_output(tensor_job *j, const char *name, const ir_tensor *batch, ir_tensor *all) {
    int64_t dims[IR_MAX_RANK];
    memcpy(dims, batch->dims, sizeof dims);
    dims[0] = j->n_rows;
    if (tensor_alloc(batch->dtype, batch->rank, dims, all) != POFAC_OK) return diag_out_of_memory(j->sink);
    safetensors_item *item = &j->items[j->n_outputs++];
    *item = (safetensors_item){.name = name, .dtype = all->dtype, .rank = all->rank, .data = all->data};
    memcpy(item->dims, all->dims, sizeof all->dims);
    return POFAC_OK;
}

static pofac_status keep_outputs(tensor_job *j) {
    const ir_graph *g = executor_graph(j->executor);
    for (size_t i = 0; i < g->outputs.size; i++) {
        const char *name = g->outputs.data[i].name;
        ir_tensor batch, *all = &j->outputs[i];
        if (strncmp(name, "loss.", 5) == 0) continue;
        TRY(executor_output(j->executor, name, j->sink, &batch));
        if (!all->data) TRY(make_output(j, name, &batch, all));
        ir_tensor place = row_range(all, j->first, j->count);
        memcpy(place.data, batch.data, tensor_bytes(&batch));
    }
    return POFAC_OK;
}

/* How many rows of the batch count in a loss term. */
static int64_t count_labels(const tensor_job *j, const model_loss *loss) {
    ir_tensor labels;
    int64_t n = 0;
    if (get_batch((void *)j, loss->labels, NULL, &labels) != POFAC_OK) return 0;
    int64_t elements = tensor_elements(&labels);
    if (labels.dtype != IR_I64) return elements;
    for (int64_t i = 0; i < elements; i++) {
        int64_t label = ((const int64_t *)labels.data)[i];
        n += loss->is_position ? label < j->length : label != -100;
    }
    return n;
}

static pofac_status add_losses(tensor_job *j) {
    size_t n;
    const model_loss *losses = model_graph_losses(loaded_model_spec(j->model), &n);
    for (size_t i = 0; i < n && i < MAX_LOSSES; i++) {
        ir_tensor mean;
        int64_t count = count_labels(j, &losses[i]);
        TRY(executor_output(j->executor, losses[i].output, j->sink, &mean));
        if (count == 0) continue;
        j->loss_sum[i] += tensor_get(&mean, 0) * (double)count;
        j->loss_count[i] += count;
    }
    return POFAC_OK;
}

/* Errors count elements from the batch's first one. */
static pofac_status run_batch(tensor_job *j) {
    const tensor_source inputs = {.get = get_batch, .user = j};
    pofac_status status = executor_run(j->executor, &inputs, j->sink);
    if (status == POFAC_ERR_INPUT && j->count < j->n_rows)
        diag_note(j->sink, &(diag_place){.file = j->in_path}, "in the batch of rows %lld to %lld", (long long)j->first,
                  (long long)(j->first + j->count - 1));
    return status;
}

static pofac_status run_batches(tensor_job *j) {
    for (j->first = 0; j->first < j->n_rows; j->first += j->count) {
        if (interruption_check(j->options->stop)) return POFAC_ERR_INTERRUPTED;
        j->count = j->n_rows - j->first < j->batch_size ? j->n_rows - j->first : j->batch_size;
        TRY(run_batch(j));
        TRY(keep_outputs(j));
        if (j->with_loss) TRY(add_losses(j));
    }
    return POFAC_OK;
}

static pofac_status write_outputs(const tensor_job *j, const char *path) {
    size_t n = j->n_outputs, n_losses;
    float loss = 0.0f;
    if (j->with_loss) {
        const model_loss *losses = model_graph_losses(loaded_model_spec(j->model), &n_losses);
        double sum = 0.0;
        for (size_t i = 0; i < n_losses && i < MAX_LOSSES; i++)
            sum += losses[i].factor * (j->loss_sum[i] / (double)j->loss_count[i]); /* none counts: NaN */
        loss = (float)sum;
        j->items[n++] = (safetensors_item){.name = "loss", .dtype = IR_F32, .rank = 1, .dims = {1}, .data = &loss};
    }
    return safetensors_write(path, j->items, n, NULL, 0, j->sink);
}

/* ---- numbers that are none ---- */

/* Of the outputs that are written: the earliest row, and of it the first output in the graph's order. */
static pofac_status check_outputs(const tensor_job *j) {
    const ir_graph *g = executor_graph(j->executor);
    int64_t row = j->n_rows;
    const char *name = NULL;
    double value = 0.0;
    for (size_t i = 0; i < g->outputs.size; i++) {
        const ir_tensor *t = &j->outputs[i];
        const int64_t n = tensor_elements(t), at = t->data && dtype_class(t->dtype) == DTYPE_FLOAT ? find_not_finite(t, 0, n) : n;
        if (!t->data || at == n || at / (n / j->n_rows) >= row) continue;
        row = at / (n / j->n_rows);
        name = g->outputs.data[i].name;
        value = tensor_get(t, at);
    }
    if (!name) return POFAC_OK;
    return diag_error(j->sink, POFAC_ERR_NUMERIC, &(diag_place){.file = j->in_path},
                      "row %lld of %s: found %s, wanted finite numbers", (long long)row, name, not_finite_name(value));
}

/* Terms in which no row counts are NaN by definition. */
static pofac_status check_losses(const tensor_job *j) {
    size_t n;
    const model_loss *losses = model_graph_losses(loaded_model_spec(j->model), &n);
    for (size_t i = 0; j->with_loss && i < n && i < MAX_LOSSES; i++)
        if (j->loss_count[i] > 0 && !isfinite(j->loss_sum[i]))
            return diag_error(j->sink, POFAC_ERR_NUMERIC, &(diag_place){.file = j->in_path}, "%s: found %s, wanted a finite number",
                              losses[i].output, not_finite_name(j->loss_sum[i]));
    return POFAC_OK;
}

static pofac_status run_job(tensor_job *j, const road_options *road, const char *out_path) {
    TRY(checkpoint_open(j->in_path, j->sink, &j->file));
    TRY(find_main_input(j));
    road_options r = *road;
    r.graph = (model_graph_options){.from_embedding_output = j->from_embeddings,
                                    .with_loss = j->with_loss,
                                    .last_hidden_state = j->options->last_hidden_state,
                                    .hidden_states = j->options->hidden_states,
                                    .mask_padded_logits = j->options->mask_padded_logits};
    TRY(executor_create(j->model, &r, j->options->kind, j->sink, &j->executor));
    executor_watch(j->executor, j->options->stop);
    TRY(executor_set_profile(j->executor, j->options->profile, j->sink));
    size_t n_outputs = executor_graph(j->executor)->outputs.size;
    j->items = calloc(n_outputs + 1, sizeof *j->items);
    j->outputs = calloc(n_outputs + 1, sizeof *j->outputs);
    if (!j->items || !j->outputs) return diag_out_of_memory(j->sink);
    TRY(load_inputs(j));
    TRY(executor_fit_batch(j->executor, j->length, j->options->batch_size < j->n_rows ? j->options->batch_size : j->n_rows,
                           j->options->max_memory, j->options->report_memory, j->sink, &j->batch_size));
    TRY(run_batches(j));
    TRY(write_outputs(j, out_path));
    TRY(check_outputs(j));
    return check_losses(j);
}

pofac_status predict_tensors(loaded_model *model, const road_options *road, const predict_tensors_options *options,
                             const char *in_path, const char *out_path, const diag_sink *sink) {
    tensor_job *j = calloc(1, sizeof *j);
    if (!j) return diag_out_of_memory(sink);
    j->model = model;
    j->options = options;
    j->in_path = in_path;
    j->sink = sink;
    pofac_status status = run_job(j, road, out_path);
    for (size_t i = 0; i < MAX_INPUTS; i++) tensor_free(&j->inputs[i]);
    for (size_t i = 0; j->outputs && i < executor_graph(j->executor)->outputs.size; i++) tensor_free(&j->outputs[i]);
    free(j->outputs);
    free(j->items);
    executor_destroy(j->executor);
    checkpoint_close(j->file);
    free(j);
    return status;
}
