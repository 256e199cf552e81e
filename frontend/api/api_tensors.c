/* Prediction on tensors: one run of the graph on what the caller holds; see pofac_predictor_run in pofac.h. */
#include <string.h>

#include "frontend/api/api_predictor.h"
#include "frontend/driver/finite_check.h"
#include "ir/op.h"

#define MOST_INPUTS 8 /* of a model's graph */

typedef struct given_tensors {
    pofac_predictor *predictor;
    const diag_sink *sink;
    const pofac_tensor *inputs;
    size_t n;
    int64_t sequences, length;      /* B, S */
    const char *names[MOST_INPUTS]; /* of the graph's inputs */
    ir_tensor tensors[MOST_INPUTS]; /* views, or in the predictor's arena */
    size_t n_tensors;
} given_tensors;

/* ---- what the caller gives ---- */

static pofac_status check_tensor(const pofac_tensor *t, const diag_sink *sink) {
    int64_t n = 1;
    if (!t->name) return api_null("name of an input", sink);
    if (t->rank < 1 || t->rank > POFAC_MAX_RANK)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: found rank %u, wanted 1 to %d", t->name, (unsigned)t->rank,
                          POFAC_MAX_RANK);
    if (t->dtype != POFAC_F32 && t->dtype != POFAC_I64 && t->dtype != POFAC_I32)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: found dtype %d, wanted POFAC_F32, POFAC_I64 or POFAC_I32", t->name,
                          (int)t->dtype);
    for (uint32_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 1 || __builtin_mul_overflow(n, t->dims[i], &n) || n > INT64_MAX / 8)
            return diag_error(sink, POFAC_ERR_INPUT, NULL,
                              "%s: found dimension %lld, wanted at least 1, and a tensor below 2^63 bytes", t->name,
                              (long long)t->dims[i]);
    return t->data ? POFAC_OK : diag_error(sink, POFAC_ERR_USAGE, NULL, "%s: found NULL as its data, wanted numbers", t->name);
}

static const pofac_tensor *find_given(const given_tensors *g, const char *name) {
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->inputs[i].name, name) == 0) return &g->inputs[i];
    return NULL;
}

static bool has_input(const ir_graph *g, const char *name) {
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_input && strcmp(node_string(&g->nodes.data[i], "name"), name) == 0) return true;
    return false;
}

static pofac_status check_given(const given_tensors *g, const ir_graph *graph) {
    for (size_t i = 0; i < g->n; i++) {
        TRY(check_tensor(&g->inputs[i], g->sink));
        if (!has_input(graph, g->inputs[i].name))
            return diag_error(g->sink, POFAC_ERR_USAGE, NULL, "%s: the model takes no input of this name", g->inputs[i].name);
        if (find_given(g, g->inputs[i].name) != &g->inputs[i])
            return diag_error(g->sink, POFAC_ERR_USAGE, NULL, "%s: found it twice, wanted it once", g->inputs[i].name);
    }
    return POFAC_OK;
}

/* B and S of the main input. */
static pofac_status find_shape(given_tensors *g) {
    const bool embeds = g->predictor->model->has_embeddings;
    const char *name = embeds ? "input_ids" : "embedding_output";
    const pofac_tensor *t = find_given(g, name);
    const int64_t most = loaded_model_spec(g->predictor->model->loaded)->max_position_embeddings;
    if (!t) return diag_error(g->sink, POFAC_ERR_INPUT, NULL, "%s: there is no tensor of this name", name);
    if (t->rank != (embeds ? 2 : 3))
        return diag_error(g->sink, POFAC_ERR_INPUT, NULL, "%s: found rank %u, wanted %s", name, (unsigned)t->rank,
                          embeds ? "[B,S]" : "[B,S,E]");
    if (t->dims[1] > most)
        return diag_error(g->sink, POFAC_ERR_INPUT, NULL,
                          "%s: found %lld tokens in a row, wanted at most %lld (max_position_embeddings)", name,
                          (long long)t->dims[1], (long long)most);
    g->sequences = t->dims[0];
    g->length = t->dims[1];
    return POFAC_OK;
}

/* ---- what the graph takes ---- */

static pofac_status wrong_dtype(const given_tensors *g, const pofac_tensor *t, const char *wanted) {
    static const char *const names[] = {"f32", "i64", "i32"};
    return diag_error(g->sink, POFAC_ERR_INPUT, NULL, "%s: found %s, wanted %s", t->name, names[t->dtype], wanted);
}

/* A view, or of numbers in 32 bits a copy. */
static pofac_status take_given(given_tensors *g, const pofac_tensor *t, ir_dtype dtype, ir_tensor *out) {
    const bool wants_floats = dtype == IR_F32;
    if (wants_floats != (t->dtype == POFAC_F32)) return wrong_dtype(g, t, wants_floats ? "f32" : "i64 or i32");
    *out = tensor_view(dtype, t->rank, t->dims, t->data);
    if (t->dtype != POFAC_I32) return POFAC_OK;
    const int64_t n = tensor_elements(out);
    int64_t *copy = ARENA_ARRAY(&g->predictor->inputs, int64_t, (size_t)n);
    if (!copy) return diag_out_of_memory(g->sink);
    for (int64_t i = 0; i < n; i++) {
        int32_t number;
        memcpy(&number, (const char *)t->data + i * (int64_t)sizeof number, sizeof number);
        copy[i] = number;
    }
    out->data = copy;
    return POFAC_OK;
}

/* [B,S] of one number. */
static pofac_status take_filled(given_tensors *g, int64_t number, ir_tensor *out) {
    const int64_t dims[2] = {g->sequences, g->length};
    int64_t *data = ARENA_ARRAY(&g->predictor->inputs, int64_t, (size_t)(dims[0] * dims[1]));
    if (!data) return diag_out_of_memory(g->sink);
    for (int64_t i = 0; i < dims[0] * dims[1]; i++) data[i] = number;
    *out = tensor_view(IR_I64, 2, dims, data);
    return POFAC_OK;
}

static const ir_tensor *find_taken(const given_tensors *g, const char *name) {
    for (size_t i = 0; i < g->n_tensors; i++)
        if (strcmp(g->names[i], name) == 0) return &g->tensors[i];
    return NULL;
}

/* An element of the mask; it may lie anywhere. */
static bool is_kept(const ir_tensor *mask, int64_t i) {
    int64_t number;
    memcpy(&number, (const char *)mask->data + i * (int64_t)sizeof number, sizeof number);
    return number != 0;
}

/* All tokens that the mask keeps. The mask was taken before, and has the shape [B,S]. */
static pofac_status take_all_rows(given_tensors *g, const ir_tensor *mask, ir_tensor *out) {
    const int64_t n = g->sequences * g->length;
    int64_t *rows = ARENA_ARRAY(&g->predictor->inputs, int64_t, (size_t)n), count = 0;
    if (!rows) return diag_out_of_memory(g->sink);
    for (int64_t i = 0; i < n; i++)
        if (is_kept(mask, i)) rows[count++] = i;
    *out = tensor_view(IR_I64, 1, &count, rows);
    return POFAC_OK;
}

static pofac_status check_rows(const given_tensors *g, const ir_tensor *mask, const ir_tensor *rows) {
    const int64_t n = tensor_elements(rows), all = g->sequences * g->length;
    for (int64_t i = 0; i < n; i++) {
        int64_t row;
        memcpy(&row, (const char *)rows->data + i * (int64_t)sizeof row, sizeof row);
        if (row < 0 || row >= all || !is_kept(mask, row))
            return diag_error(g->sink, POFAC_ERR_INPUT, NULL,
                              "prediction_rows: element %lld is %lld, wanted a token that attention_mask keeps, of 0 to %lld",
                              (long long)i, (long long)row, (long long)all - 1);
    }
    return POFAC_OK;
}

static bool is_mask_fit(const given_tensors *g, const ir_tensor *mask) {
    return mask && mask->rank == 2 && mask->dims[0] == g->sequences && mask->dims[1] == g->length;
}

static pofac_status take_rows(given_tensors *g, ir_tensor *out) {
    const pofac_tensor *given = find_given(g, "prediction_rows");
    const ir_tensor *mask = find_taken(g, "attention_mask");
    if (!is_mask_fit(g, mask))
        return diag_error(g->sink, POFAC_ERR_INPUT, NULL,
                          "attention_mask: found another shape than that of input_ids, wanted [%lld,%lld]", (long long)g->sequences,
                          (long long)g->length);
    if (!given) return take_all_rows(g, mask, out);
    TRY(take_given(g, given, IR_I64, out));
    return check_rows(g, mask, out);
}

static pofac_status take_input(given_tensors *g, const char *name, ir_dtype dtype, ir_tensor *out) {
    const pofac_tensor *given = find_given(g, name);
    if (strcmp(name, "prediction_rows") == 0) return take_rows(g, out);
    if (given) return take_given(g, given, dtype, out);
    if (strcmp(name, "attention_mask") == 0) return take_filled(g, 1, out);
    if (strcmp(name, "token_type_ids") == 0) return take_filled(g, 0, out);
    return diag_error(g->sink, POFAC_ERR_INPUT, NULL, "%s: there is no tensor of this name", name);
}

/* Rows to predict come last: they are checked by the mask. */
static pofac_status take_inputs(given_tensors *g, const ir_graph *graph) {
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < graph->nodes.size; i++) {
            const ir_node *n = &graph->nodes.data[i];
            if (n->op != OP_input) continue;
            const char *name = node_string(n, "name");
            if ((strcmp(name, "prediction_rows") == 0) != (last == 1)) continue;
            if (g->n_tensors == MOST_INPUTS)
                return diag_error(g->sink, POFAC_ERR_RUNTIME, NULL, "the graph has more than %d inputs", MOST_INPUTS);
            TRY(take_input(g, name, graph_type(graph, n->first_result)->dtype, &g->tensors[g->n_tensors]));
            g->names[g->n_tensors++] = name;
        }
    return POFAC_OK;
}

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const ir_tensor *t = find_taken(user, name);
    if (!t) return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: there is no tensor of this name", name);
    *out = *t;
    return POFAC_OK;
}

/* ---- what comes out ---- */

static pofac_status give_outputs(given_tensors *g, const ir_graph *graph) {
    pofac_status found = POFAC_OK;
    for (size_t i = 0; i < graph->outputs.size; i++) {
        const char *name = graph->outputs.data[i].name;
        ir_tensor t;
        TRY(executor_output(g->predictor->executor, name, g->sink, &t));
        pofac_tensor *out = &g->predictor->outputs[i];
        *out = (pofac_tensor){.name = name, .dtype = POFAC_F32, .rank = t.rank, .data = t.data};
        for (uint32_t d = 0; d < t.rank && d < POFAC_MAX_RANK; d++) out->dims[d] = t.dims[d];
        const int64_t n = tensor_elements(&t), at = find_not_finite(&t, 0, n);
        if (at < n && found == POFAC_OK)
            found = diag_error(g->sink, POFAC_ERR_NUMERIC, NULL, "row %lld of %s: found %s, wanted finite numbers",
                               (long long)(at / (n / t.dims[0])), name, not_finite_name(tensor_get(&t, at)));
    }
    return found;
}

static pofac_status run(given_tensors *g, const ir_graph *graph) {
    const tensor_source source = {.get = get_input, .user = g};
    TRY(check_given(g, graph));
    TRY(find_shape(g));
    TRY(take_inputs(g, graph));
    return executor_run(g->predictor->executor, &source, g->sink);
}

pofac_status pofac_predictor_run(pofac_predictor *predictor, const pofac_tensor *inputs, size_t n_inputs,
                                 const pofac_tensor **outputs, size_t *n_outputs) {
    API_IN_C_LOCALE;
    if (!predictor) return POFAC_ERR_USAGE;
    const diag_sink sink = api_sink(&predictor->log);
    if (!inputs && n_inputs) return api_null("inputs", &sink);
    if (!outputs || !n_outputs) return api_null(outputs ? "n_outputs" : "outputs", &sink);
    given_tensors g = {.predictor = predictor, .sink = &sink, .inputs = inputs, .n = n_inputs};
    const ir_graph *graph = executor_graph(predictor->executor);
    pofac_status status = run(&g, graph);
    arena_free(&predictor->inputs);
    if (status != POFAC_OK) return status;
    status = give_outputs(&g, graph);
    if (status != POFAC_OK && status != POFAC_ERR_NUMERIC) return status;
    *outputs = predictor->outputs;
    *n_outputs = graph->outputs.size;
    return status;
}
