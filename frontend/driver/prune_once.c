/* Pruning without training; see prune_once.h. */
#include "frontend/driver/prune_once.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/given_masks.h"
#include "frontend/driver/model_directory.h"
#include "frontend/driver/model_save.h"
#include "frontend/driver/prunable_layers.h"
#include "frontend/driver/pruning_targets.h"
#include "frontend/driver/road.h"
#include "ir/support/json_text.h"
#include "runtime/pruning_masks.h"

/* What is pruned: layers, and for those that are chosen a mask. */
typedef struct pruning {
    const prune_once_options *options;
    const diag_sink *sink;
    arena memory;
    const pruning_method *method;
    prunable_layers all;
    pruning_choice *chosen;
    size_t n_chosen;
    pruned_weight *pruned; /* [n_chosen] */
    checkpoint *masks;     /* that are given; NULL: none */
} pruning;

static pofac_status wrong_config(const pruning *p) { return p->options->of_options ? POFAC_ERR_USAGE : POFAC_ERR_INPUT; }

static pofac_status begin(pruning *p, const prune_once_options *options, const diag_sink *sink) {
    const pruning_config *c = options->config;
    *p = (pruning){.options = options, .sink = sink, .memory = ARENA_INIT, .method = pruning_method_find(c->method)};
    if (!p->method)
        return diag_error(sink, wrong_config(p), &c->place,
                          "pruning_fn: found \"%s\", wanted a row of `pofac list pruning_methods`", c->method);
    if (p->method->needs == PRUNING_MOVEMENT || p->method->needs == PRUNING_CURVATURE)
        return diag_error(sink, wrong_config(p), &c->place,
                          "pruning_fn: %s needs gradients, which pofac train makes, wanted a method without them", c->method);
    if (c->masks && p->method->needs != PRUNING_MASKS)
        return diag_error(sink, wrong_config(p), &c->place,
                          "pruning_fn: found %s with a file of masks, wanted custom_mask, which takes them", c->method);
    if (p->method->needs == PRUNING_MASKS) TRY(given_masks_open(c, p->options->of_options, sink, &p->masks));
    return POFAC_OK;
}

static void end(pruning *p) {
    for (size_t i = 0; p->pruned && i < p->n_chosen; i++) {
        free(p->pruned[i].mask);
        free((void *)p->pruned[i].given);
    }
    checkpoint_close(p->masks);
    arena_free(&p->memory);
}

/* ---- choice and masks ---- */

/* The reference's one-shot scheduler takes the other sparsity. */
static void warn_of_initial(const pruning *p) {
    const pruning_config *c = p->options->config;
    for (size_t i = 0; i < p->n_chosen && c->scheduler == PRUNING_SCHEDULE_ONE_SHOT; i++) {
        const pruning_parameters *q = &p->chosen[i].parameters;
        if (q->initial_sparsity == q->target_sparsity || q->initial_sparsity == 0) continue;
        diag_warning(p->sink, &c->place,
                     "%s is pruned to target_sparsity %g; initial_sparsity is %g, to which the reference prunes at once",
                     p->all.layers[p->chosen[i].layer].name, q->target_sparsity, q->initial_sparsity);
        return;
    }
}

static pofac_status choose(pruning *p) {
    const pruning_config *c = p->options->config;
    const pofac_status status = pruning_config_select(c, p->all.layers, p->all.n, &p->memory, p->sink, &p->chosen, &p->n_chosen);
    if (status != POFAC_OK) return status == POFAC_ERR_INPUT ? wrong_config(p) : status;
    if (p->n_chosen == 0)
        return diag_error(p->sink, wrong_config(p), &c->place,
                          "found no layer that the configuration chooses among %zu, wanted one", p->all.n);
    warn_of_initial(p);
    pruning_targets_warn(c, p->method, p->all.layers, p->chosen, p->n_chosen, p->sink);
    p->pruned = ARENA_ARRAY(&p->memory, pruned_weight, p->n_chosen);
    return p->pruned ? POFAC_OK : diag_out_of_memory(p->sink);
}

/* The values of chosen weight i are known now. */
static pofac_status set_values(pruning *p, size_t i, const float *values) {
    const prunable_layer *l = &p->all.layers[p->chosen[i].layer];
    p->pruned[i] = (pruned_weight){.name = l->name,
                                   .n_rows = l->n_rows,
                                   .n_columns = l->n_columns,
                                   .values = values,
                                   .parameters = p->chosen[i].parameters,
                                   .mask = malloc((size_t)(l->n_rows * l->n_columns) + 1)};
    if (!p->pruned[i].mask) return diag_out_of_memory(p->sink);
    if (!p->masks) return POFAC_OK;
    uint8_t *given = malloc((size_t)(l->n_rows * l->n_columns) + 1);
    p->pruned[i].given = given;
    return given ? given_mask_read(p->masks, p->all.weights[p->chosen[i].layer], l->n_rows, l->n_columns, p->sink, given)
                 : diag_out_of_memory(p->sink);
}

static pofac_status make_masks(pruning *p) {
    const pruning_masks_job job = {p->pruned, p->n_chosen, 1, p->options->pool, p->sink};
    return pruning_masks(p->method, &job);
}

/* Entries of elements of `bytes` each become 0. */
static void apply(const pruned_weight *w, char *data, size_t bytes) {
    for (int64_t i = 0; i < w->n_rows * w->n_columns; i++)
        if (!w->mask[i]) memset(data + (size_t)i * bytes, 0, bytes);
}

/* ---- the report ---- */

static int64_t count_zeros(const pruned_weight *w) {
    int64_t zeros = 0;
    for (int64_t i = 0; i < w->n_rows * w->n_columns; i++) zeros += !w->mask[i] || w->values[i] == 0;
    return zeros;
}

static void put_share(int64_t zeros, int64_t all, strbuf *out) {
    strbuf_puts(out, "\"sparsity\": ");
    json_put_real(all ? (double)zeros / (double)all : 0.0, out);
}

/* From counts[i] zeros of each weight. */
static pofac_status report(const pruning *p, const int64_t *counts, strbuf *out) {
    int64_t zeros = 0, all = 0;
    strbuf_puts(out, "{\"method\": ");
    strbuf_put_json(out, p->method->name, strlen(p->method->name));
    strbuf_puts(out, ", \"output\": ");
    strbuf_put_json(out, p->options->output, strlen(p->options->output));
    strbuf_puts(out, ", \"layers\": [");
    for (size_t i = 0; i < p->n_chosen; i++) {
        const pruned_weight *w = &p->pruned[i];
        strbuf_puts(out, i ? ", {\"name\": " : "{\"name\": ");
        strbuf_put_json(out, w->name, strlen(w->name));
        strbuf_printf(out, ", \"shape\": [%" PRId64 ", %" PRId64 "], \"zeros\": %" PRId64 ", ", w->n_rows, w->n_columns, counts[i]);
        put_share(counts[i], w->n_rows * w->n_columns, out);
        strbuf_puts(out, "}");
        zeros += counts[i];
        all += w->n_rows * w->n_columns;
    }
    strbuf_puts(out, "], ");
    put_share(zeros, all, out);
    strbuf_puts(out, "}\n");
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(p->sink);
}

static int64_t *zeros_of(pruning *p) {
    int64_t *counts = ARENA_ARRAY(&p->memory, int64_t, p->n_chosen);
    for (size_t i = 0; counts && i < p->n_chosen; i++) counts[i] = count_zeros(&p->pruned[i]);
    return counts;
}

/* ---- plain tensors ---- */

static pofac_status add_matrices(pruning *p, const checkpoint *c) {
    TRY(prunable_layers_begin(checkpoint_size(c), &p->memory, p->sink, &p->all));
    for (size_t i = 0; i < checkpoint_size(c); i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        if (t->rank == 2 && dtype_class(t->dtype) == DTYPE_FLOAT && checkpoint_elements(t) > 0)
            TRY(prunable_layers_add(&p->all, t->name, t->dims[0], t->dims[1], &p->memory, p->sink));
    }
    return POFAC_OK;
}

/* A tensor of the file as it is to be written: of its own memory where it is pruned or not packed. */
static pofac_status make_item(const pruning *p, const checkpoint_tensor *t, const pruned_weight *w, safetensors_item *out,
                              void **memory) {
    *out = (safetensors_item){.name = t->name, .dtype = t->dtype, .rank = t->rank, .data = t->data};
    memcpy(out->dims, t->dims, sizeof out->dims);
    if (!w && checkpoint_is_packed(t)) return POFAC_OK;
    const size_t element = dtype_bits(t->dtype) / 8u, bytes = (size_t)checkpoint_elements(t) * element;
    *memory = malloc(bytes + 1);
    if (!*memory) return diag_out_of_memory(p->sink);
    checkpoint_read_bytes(t, *memory);
    if (w) apply(w, *memory, element);
    out->data = *memory;
    return POFAC_OK;
}

static const pruned_weight *find_pruned(const pruning *p, const char *weight) {
    for (size_t i = 0; i < p->n_chosen; i++)
        if (strcmp(p->all.weights[p->chosen[i].layer], weight) == 0) return &p->pruned[i];
    return NULL;
}

static pofac_status write_file(pruning *p, const checkpoint *c) {
    const size_t n = checkpoint_size(c);
    safetensors_item *items = calloc(n + 1, sizeof *items);
    void **memory = calloc(n + 1, sizeof *memory);
    pofac_status status = items && memory ? POFAC_OK : diag_out_of_memory(p->sink);
    for (size_t i = 0; i < n && status == POFAC_OK; i++) {
        const checkpoint_tensor *t = checkpoint_at(c, i);
        status = make_item(p, t, find_pruned(p, t->name), &items[i], &memory[i]);
    }
    if (status == POFAC_OK) status = safetensors_write(p->options->output, items, n, NULL, 0, p->sink);
    for (size_t i = 0; memory && i < n; i++) free(memory[i]);
    free(memory);
    free(items);
    return status;
}

static pofac_status prune_tensors(pruning *p, const checkpoint *c, ir_tensor *loaded, strbuf *out) {
    for (size_t i = 0; i < p->n_chosen; i++) {
        TRY(checkpoint_load(checkpoint_get(c, p->all.weights[p->chosen[i].layer]), IR_F32, p->sink, &loaded[i]));
        TRY(set_values(p, i, loaded[i].data));
    }
    TRY(make_masks(p));
    const int64_t *counts = zeros_of(p);
    if (!counts) return diag_out_of_memory(p->sink);
    TRY(write_file(p, c));
    return report(p, counts, out);
}

static pofac_status prune_checkpoint(pruning *p, const checkpoint *c, strbuf *out) {
    TRY(add_matrices(p, c));
    TRY(choose(p));
    ir_tensor *loaded = calloc(p->n_chosen, sizeof *loaded);
    if (!loaded) return diag_out_of_memory(p->sink);
    const pofac_status status = prune_tensors(p, c, loaded, out);
    for (size_t i = 0; i < p->n_chosen; i++) tensor_free(&loaded[i]);
    free(loaded);
    return status;
}

bool prune_once_is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && checkpoint_is_there(path);
}

pofac_status prune_once_file(const char *path, const prune_once_options *options, const diag_sink *sink, strbuf *out) {
    checkpoint *c;
    pruning p;
    TRY(checkpoint_open(path, sink, &c));
    pofac_status status = begin(&p, options, sink);
    if (status == POFAC_OK) status = prune_checkpoint(&p, c, out);
    end(&p);
    checkpoint_close(c);
    return status;
}

/* ---- models ---- */

static pofac_status prune_state(pruning *p, state_store *state, strbuf *out) {
    for (size_t i = 0; i < p->n_chosen; i++) {
        const state_entry *e = state_store_find(state, p->all.weights[p->chosen[i].layer]);
        TRY(set_values(p, i, e->tensor.data));
    }
    TRY(make_masks(p));
    const int64_t *counts = zeros_of(p);
    if (!counts) return diag_out_of_memory(p->sink);
    for (size_t i = 0; i < p->n_chosen; i++)
        apply(&p->pruned[i], state_store_find(state, p->all.weights[p->chosen[i].layer])->tensor.data, sizeof(float));
    return report(p, counts, out);
}

static pofac_status save(loaded_model *model, state_store *state, const prune_once_options *options, const diag_sink *sink) {
    model_directory to;
    TRY(model_directory_open(options->output, sink, &to));
    return model_directory_close(&to, run_model_save(strbuf_str(&to.new), model, state, options->dtype, sink), sink);
}

pofac_status prune_once_model(loaded_model *model, const prune_once_options *options, const diag_sink *sink, strbuf *out) {
    const road_options road = {.graph = {.with_loss = false}};
    ir_module *m = NULL;
    state_store *state = NULL;
    pruning p;
    if (loaded_model_quantization(model))
        diag_warning(sink, &(diag_place){.file = loaded_model_path(model)},
                     "found a model in 8 bits, which is pruned in floats: its ranges are not kept");
    TRY(road_build(model, &road, sink, &m));
    const ir_graph *g = module_find_graph(m, ROAD_GRAPH);
    pofac_status status = begin(&p, options, sink);
    if (status == POFAC_OK) status = prunable_layers_of_graph(g, &p.memory, sink, &p.all);
    if (status == POFAC_OK) status = choose(&p);
    if (status == POFAC_OK) status = state_store_create(m, loaded_model_state(model), sink, &state);
    if (status == POFAC_OK) status = prune_state(&p, state, out);
    if (status == POFAC_OK) status = save(model, state, options, sink);
    state_store_destroy(state);
    end(&p);
    module_destroy(m);
    return status;
}
