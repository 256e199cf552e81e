/* Which weights are pruned, and when; see mask_schedule.h. */
#include "frontend/driver/mask_schedule.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "frontend/driver/given_masks.h"
#include "frontend/driver/prunable_layers.h"
#include "frontend/driver/pruning_targets.h"
#include "frontend/driver/second_order_gradients.h"

/* ---- which ---- */

/* What is wrong with options is wrong use of them. */
static pofac_status wrong_config(const pruning_config *c) {
    return c->place.file && strncmp(c->place.file, "--", 2) == 0 ? POFAC_ERR_USAGE : POFAC_ERR_INPUT;
}

static pofac_status take(mask_schedule *s, const prunable_layers *all, const pruning_choice *chosen, size_t n,
                         const diag_sink *sink) {
    pruned_parameter *weights = ARENA_ARRAY(&s->memory, pruned_parameter, n);
    s->layers = ARENA_ARRAY(&s->memory, const char *, n);
    s->entries = ARENA_ARRAY(&s->memory, int64_t, n);
    if (!weights || !s->layers || !s->entries) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) {
        const prunable_layer *l = &all->layers[chosen[i].layer];
        weights[i] = (pruned_parameter){.name = all->weights[chosen[i].layer], .parameters = chosen[i].parameters};
        s->layers[i] = l->name;
        s->entries[i] = l->n_rows * l->n_columns;
    }
    s->n = n;
    s->weights = weights;
    s->pruning = (training_pruning){.method = s->method, .weights = weights, .n_weights = n};
    return POFAC_OK;
}

/* Masks that somebody else made. */
static pofac_status read_masks(mask_schedule *s, const prunable_layers *all, const pruning_choice *chosen, const diag_sink *sink) {
    checkpoint *file;
    TRY(given_masks_open(s->config, wrong_config(s->config) == POFAC_ERR_USAGE, sink, &file));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < s->n && status == POFAC_OK; i++) {
        const prunable_layer *l = &all->layers[chosen[i].layer];
        uint8_t *mask = ARENA_ARRAY(&s->memory, uint8_t, (size_t)s->entries[i] + 1);
        s->weights[i].given = mask;
        status = mask ? given_mask_read(file, s->weights[i].name, l->n_rows, l->n_columns, sink, mask) : diag_out_of_memory(sink);
    }
    checkpoint_close(file);
    return status;
}

static pofac_status choose(mask_schedule *s, const ir_graph *g, const diag_sink *sink) {
    const pruning_config *c = s->config;
    prunable_layers all;
    pruning_choice *chosen;
    size_t n;
    TRY(prunable_layers_of_graph(g, &s->memory, sink, &all));
    const pofac_status status = pruning_config_select(c, all.layers, all.n, &s->memory, sink, &chosen, &n);
    if (status != POFAC_OK) return status == POFAC_ERR_INPUT ? wrong_config(c) : status;
    if (n == 0)
        return diag_error(sink, wrong_config(c), &c->place, "found no layer that the configuration chooses among %zu, wanted one",
                          all.n);
    if (s->recipe->prunes) pruning_targets_warn(c, s->method, all.layers, chosen, n, sink);
    TRY(take(s, &all, chosen, n, sink));
    return s->recipe->prunes && s->method->needs == PRUNING_MASKS ? read_masks(s, &all, chosen, sink) : POFAC_OK;
}

pofac_status mask_schedule_open(const recipe *r, loaded_model *model, const diag_sink *sink, mask_schedule *out) {
    const road_options road = {.graph = {.with_loss = false}};
    ir_module *m;
    *out = (mask_schedule){.recipe = r, .config = &r->prune, .memory = ARENA_INIT};
    if (!r->prunes && !r->lock) return POFAC_OK;
    out->method = pruning_method_find(r->prune.method);
    TRY(road_build(model, &road, sink, &m));
    const pofac_status status = choose(out, module_find_graph(m, ROAD_GRAPH), sink);
    module_destroy(m);
    return status;
}

void mask_schedule_close(mask_schedule *s) {
    arena_free(&s->memory);
    *s = (mask_schedule){.memory = ARENA_INIT};
}

bool mask_schedule_has(void *schedule, const char *weight) {
    const mask_schedule *s = schedule;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->pruning.weights[i].name, weight) == 0) return true;
    return false;
}

/* ---- when ---- */

int64_t mask_schedule_updates(const mask_schedule *s, int64_t begin, int64_t end, double *progress) {
    const pruning_config *c = s->config;
    const int64_t from = c->begin_pruning_step, every = c->pruning_frequency;
    begin += c->initial_step;
    end += c->initial_step;
    *progress = c->scheduler == PRUNING_SCHEDULE_ONE_SHOT ? 1 : 0;
    if (c->scheduler == PRUNING_SCHEDULE_ONE_SHOT) return 0;
    if (c->end_pruning_step >= 0 && end > c->end_pruning_step + 1) end = c->end_pruning_step + 1;
    if (end <= from || end <= begin) return 0;
    const int64_t last = (end - 1 - from) / every, before = begin > from ? (begin - 1 - from) / every + 1 : 0;
    if (last < before) return 0;
    *progress = pruning_config_progress(c, from + last * every);
    return last - before + 1;
}

/* Share of zeros of a weight: that of the mask that is given, or where the schedule stands. */
static double wanted_of(const mask_schedule *s, size_t i, double progress) {
    const pruning_parameters *p = &s->weights[i].parameters;
    const uint8_t *given = s->weights[i].given;
    int64_t zeros = 0;
    if (!given) return p->initial_sparsity + (p->target_sparsity - p->initial_sparsity) * progress;
    for (int64_t k = 0; k < s->entries[i]; k++) zeros += given[k] == 0;
    return (double)zeros / (double)s->entries[i];
}

double mask_schedule_progress(const mask_schedule *s, int64_t step) {
    return pruning_config_progress(s->config, step + s->config->initial_step);
}

double mask_schedule_wanted(const mask_schedule *s, double progress) {
    double zeros = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        zeros += (double)s->entries[i] * wanted_of(s, i, progress);
        all += (double)s->entries[i];
    }
    return all > 0 ? zeros / all : 0;
}

void mask_schedule_check_length(const mask_schedule *s, int64_t max_steps, const diag_sink *sink) {
    double progress;
    if (!s->recipe->prunes) return;
    const int64_t updates = mask_schedule_updates(s, 0, max_steps, &progress);
    if (progress >= 1) return;
    diag_warning(sink, &s->config->place,
                 "the run has %" PRId64 " steps and changes its masks %" PRId64
                 " time%s, the last time for a share of %.4g zeros; wanted %.4g, for which masks change at policy_end_step %" PRId64
                 " or later",
                 max_steps, updates, updates == 1 ? "" : "s", mask_schedule_wanted(s, progress), mask_schedule_wanted(s, 1),
                 s->config->policy_end_step);
}

/* ---- masks ---- */

/* Of whole numbers of entries, and as the pruning package rounds it. */
double mask_schedule_sparsity(const mask_schedule *s, const training *t) {
    double kept = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        kept += round((double)s->entries[i] * (1 - training_sparsity(t, i)));
        all += (double)s->entries[i];
    }
    return all > 0 ? 1 - kept / all : 0;
}

bool mask_schedule_needs_gradients(const mask_schedule *s) { return s->recipe->prunes && s->method->needs == PRUNING_CURVATURE; }

/* Behind `step` steps. */
static pofac_status update(const mask_schedule *s, int64_t step, double progress, const mask_step *at, const diag_sink *sink,
                           mask_update *out) {
    if (!mask_schedule_needs_gradients(s)) return training_update_masks(at->training, progress, sink, out);
    const second_order_update u = {.training = at->training,
                                   .weights = s->weights,
                                   .n_weights = s->n,
                                   .options = s->config->second_order,
                                   .max_bytes = s->recipe->train.max_memory,
                                   .source = at->source,
                                   .inputs = at->inputs,
                                   .step = step};
    return second_order_update_masks(&u, progress, sink, out);
}

pofac_status mask_schedule_begin(const mask_schedule *s, const mask_step *at, const diag_sink *sink) {
    mask_update unused;
    if (!s->recipe->prunes) return POFAC_OK;
    return update(s, 0, s->config->scheduler == PRUNING_SCHEDULE_ONE_SHOT ? 1 : 0, at, sink, &unused);
}

pofac_status mask_schedule_after_step(const mask_schedule *s, int64_t step, const mask_step *at, const diag_sink *sink,
                                      bool *updated, mask_update *out) {
    *updated = s->recipe->prunes && pruning_config_is_due(s->config, step + s->config->initial_step);
    if (!*updated) return POFAC_OK;
    return update(s, step + 1, mask_schedule_progress(s, step), at, sink, out);
}
