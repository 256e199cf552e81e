/*
 * Masks of a training step; see training_pruning.h.
 *
 * Kernels are chosen for how many entries masks keep, in few steps (mask_counts.h). When an update takes a weight to another step, the module is built again
 * for the new numbers; only if its text is another one is it compiled and takes the place of the one before, on the same store and threads.
 * Sessions are made when the first run needs them, since masks of a checkpoint come after the step; later masks are packed into them.
 */
#include "frontend/driver/training_pruning.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/driver/training_parts.h"
#include "ir/op.h"
#include "ir/support/hash.h"
#include "ir/support/strmap.h"
#include "ir/text.h"
#include "runtime/score_threshold.h"

/* Where a weight's part of the state lies. */
typedef struct pruned_state {
    state_entry *weight, *mask, *threshold, *scores; /* scores: NULL where the step has none */
} pruned_state;

struct step_pruning {
    training_options options;
    mask_counts *counts;
    pruned_state *state;      /* [n_weights] */
    pruned_weight *work;      /* [n_weights] */
    hash128 graph;            /* of the text of the module that runs */
    uint64_t packed, counted; /* versions of the masks (state_store_masks_version) that sessions and counts have */
    bool has_packed, has_counted;
    bool has_chosen; /* options.chosen was for the masks that are counted next */
};

/* ---- the module ---- */

pofac_status step_pruning_check(const training_pruning *p, const ir_module *m, const diag_sink *sink) {
    const ir_graph *g = module_find_graph(m, TRAINING_STEP);
    strmap masks = STRMAP_INIT;
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < g->nodes.size && status == POFAC_OK; i++) {
        const char *name = g->nodes.data[i].op == OP_pattern ? node_string(&g->nodes.data[i], "name") : "";
        if (name[0] && !strmap_put(&masks, name, strlen(name), 0, NULL)) status = diag_out_of_memory(sink);
    }
    for (size_t i = 0; i < p->n_weights && status == POFAC_OK; i++) {
        strbuf mask = STRBUF_INIT;
        strbuf_printf(&mask, "%s" IR_MASK, p->weights[i].name);
        if (!strbuf_ok(&mask)) status = diag_out_of_memory(sink);
        else if (!strmap_get(&masks, strbuf_str(&mask), mask.size))
            status =
                diag_error(sink, POFAC_ERR_USAGE, NULL,
                           "pruning: \"%s\" is read by others than linears, wanted a weight of linears alone", p->weights[i].name);
        strbuf_free(&mask);
    }
    strmap_free(&masks);
    return status;
}

/* The module for the masks that are counted. */
static pofac_status build(training *t, const diag_sink *sink, strbuf *noted, ir_module **out) {
    training_options o = t->pruning->options;
    if (o.road.kernel_choices) o.road.kernel_choices = noted;
    return training_build_for(t->model, &o, t->pruning->counts, sink, out);
}

static pofac_status hash_module(const ir_module *m, const diag_sink *sink, hash128 *out) {
    strbuf text = STRBUF_INIT;
    text_print_module(m, (text_print_options){0}, &text);
    const pofac_status status = strbuf_ok(&text) ? POFAC_OK : diag_out_of_memory(sink);
    *out = hash_bytes128(strbuf_str(&text), text.size);
    strbuf_free(&text);
    return status;
}

/* What was chosen is told in place of what was chosen before. */
static pofac_status tell_choices(const training_options *o, const strbuf *noted, const diag_sink *sink) {
    strbuf *out = o->road.kernel_choices;
    if (!out) return POFAC_OK;
    strbuf_clear(out);
    strbuf_puts(out, strbuf_str(noted));
    return strbuf_ok(out) && strbuf_ok(noted) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status step_pruning_build(training *t, const diag_sink *sink, ir_module **out) {
    step_pruning *p = t->pruning;
    strbuf noted = STRBUF_INIT;
    pofac_status status = build(t, sink, &noted, out);
    p->options.chosen = NULL; /* may lie where choices are told */
    if (status == POFAC_OK) status = tell_choices(&p->options, &noted, sink);
    if (status == POFAC_OK) status = hash_module(*out, sink, &p->graph);
    strbuf_free(&noted);
    if (status == POFAC_OK) return POFAC_OK;
    module_destroy(*out);
    *out = NULL;
    return status;
}

/* Other kernels, if the masks ask for any. */
static pofac_status choose_again(training *t, const diag_sink *sink) {
    step_pruning *p = t->pruning;
    strbuf noted = STRBUF_INIT;
    ir_module *m = NULL;
    hash128 graph = p->graph;
    pofac_status status = build(t, sink, &noted, &m);
    if (status == POFAC_OK) status = hash_module(m, sink, &graph);
    if (status == POFAC_OK && (graph.low != p->graph.low || graph.high != p->graph.high)) {
        status = training_compile(t, &p->options.road, m, sink);
        m = NULL;
        if (status == POFAC_OK) status = tell_choices(&p->options, &noted, sink);
        if (status == POFAC_OK) p->graph = graph;
    }
    module_destroy(m);
    strbuf_free(&noted);
    return status;
}

/* ---- life ---- */

pofac_status step_pruning_create(training *t, const training_options *o, const ir_module *graph, const diag_sink *sink) {
    const size_t n = o->pruning->n_weights;
    step_pruning *p = t->pruning = calloc(1, sizeof *p);
    if (!p) return diag_out_of_memory(sink);
    p->options = *o;
    p->has_chosen = o->chosen && o->chosen[0];
    p->state = calloc(n + 1, sizeof *p->state);
    p->work = calloc(n + 1, sizeof *p->work);
    if (!p->state || !p->work) return diag_out_of_memory(sink);
    TRY(mask_counts_create(o->pruning, graph, &t->stored.source, sink, &p->counts));
    (void)mask_counts_changed(p->counts); /* the first module is made for these */
    return POFAC_OK;
}

void step_pruning_destroy(step_pruning *p) {
    if (!p) return;
    mask_counts_destroy(p->counts);
    free(p->state);
    free(p->work);
    free(p);
}

const training_pruning *training_pruning_of(const training *t) { return t->pruning ? t->pruning->options.pruning : NULL; }

static pofac_status find_entry(training *t, const char *weight, const char *ending, const diag_sink *sink, state_entry **out) {
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s%s", weight, ending);
    pofac_status status = strbuf_ok(&name) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) *out = state_store_find(t->store, strbuf_str(&name));
    strbuf_free(&name);
    return status;
}

pofac_status step_pruning_find_state(training *t, const diag_sink *sink) {
    const training_pruning *pruning = t->pruning->options.pruning;
    for (size_t i = 0; i < pruning->n_weights; i++) {
        const char *name = pruning->weights[i].name;
        pruned_state *s = &t->pruning->state[i];
        TRY(find_entry(t, name, "", sink, &s->weight));
        TRY(find_entry(t, name, IR_MASK, sink, &s->mask));
        TRY(find_entry(t, name, STATE_THRESHOLD, sink, &s->threshold));
        TRY(find_entry(t, name, IR_SCORES, sink, &s->scores));
        if (!s->weight || s->weight->tensor.pattern || !s->mask)
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "the step has no mask of \"%s\", wanted one", name);
    }
    return POFAC_OK;
}

/* ---- runs ---- */

/* How many entries the store's masks keep. */
static void count_masks(const step_pruning *p) {
    for (size_t i = 0; i < p->options.pruning->n_weights; i++) {
        const int64_t n = mask_counts_entries(p->counts, i);
        mask_counts_set(p->counts, i, mask_ones(p->state[i].mask->tensor.data, n));
    }
}

/* Packs by the masks of the store. */
static pofac_status renew_sessions(training *t, const diag_sink *sink) {
    runnable *const all[] = {&t->run, &t->apply};
    t->ran = t->applied = false;
    for (size_t i = 0; i < (t->accumulate ? 2 : 1); i++) {
        if (!all[i]->session) {
            TRY(training_start_session(t, all[i], sink));
            continue;
        }
        const pofac_status status = session_renew_patterns(all[i]->session, IR_MASK, sink);
        if (status == POFAC_OK) continue;
        session_destroy(all[i]->session);
        all[i]->session = NULL;
        return status;
    }
    return POFAC_OK;
}

pofac_status training_prepare(training *t, const diag_sink *sink) {
    step_pruning *p = t->pruning;
    const uint64_t version = state_store_masks_version(t->store);
    if (!p || t->kind != EXECUTOR_COMPILED || (p->has_packed && p->packed == version)) return POFAC_OK;
    p->has_packed = false;
    if (!p->has_counted || p->counted != version) count_masks(p);
    p->has_counted = true;
    p->counted = version;
    const bool is_chosen = p->has_chosen;
    p->has_chosen = false;
    if (mask_counts_changed(p->counts) && !is_chosen) TRY(choose_again(t, sink));
    TRY(renew_sessions(t, sink));
    p->has_packed = true;
    p->packed = version;
    return POFAC_OK;
}

/* ---- updates ---- */

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void prepare_work(const step_pruning *p) {
    const training_pruning *pruning = p->options.pruning;
    for (size_t i = 0; i < pruning->n_weights; i++) {
        const pruned_state *s = &p->state[i];
        const bool moves = pruning->method->needs == PRUNING_MOVEMENT;
        p->work[i] = (pruned_weight){.name = pruning->weights[i].name,
                                     .n_rows = s->weight->tensor.dims[0],
                                     .n_columns = s->weight->tensor.dims[1],
                                     .values = s->weight->tensor.data,
                                     .scores = moves && s->scores ? s->scores->tensor.data : pruning->weights[i].scores,
                                     .given = pruning->weights[i].given,
                                     .parameters = pruning->weights[i].parameters,
                                     .threshold = *(const float *)s->threshold->tensor.data,
                                     .mask = s->mask->tensor.data};
    }
}

static pofac_status make_masks(training *t, double progress, const diag_sink *sink, mask_update *out) {
    step_pruning *p = t->pruning;
    const training_pruning *pruning = p->options.pruning;
    prepare_work(p);
    const pruning_masks_job job = {p->work, pruning->n_weights, progress, t->run.pool, sink};
    TRY(pruning_masks(pruning->method, &job));
    for (size_t i = 0; i < pruning->n_weights; i++) {
        *(float *)p->state[i].threshold->tensor.data = p->work[i].threshold;
        mask_counts_set(p->counts, i, p->work[i].kept);
        out->entries += mask_counts_entries(p->counts, i);
        out->kept += p->work[i].kept;
    }
    p->has_chosen = false; /* those masks are gone */
    TRY(state_store_masks_changed(t->store, sink));
    p->has_counted = true;
    p->counted = state_store_masks_version(t->store);
    return POFAC_OK;
}

pofac_status training_update_masks(training *t, double progress, const diag_sink *sink, mask_update *out) {
    const double begin = seconds_now();
    *out = (mask_update){0};
    if (!t->pruning) return diag_error(sink, POFAC_ERR_USAGE, NULL, "the step prunes no weight, there are no masks to update");
    const hash128 before = t->pruning->graph;
    TRY(make_masks(t, progress, sink, out));
    TRY(training_prepare(t, sink));
    out->rebuilt = t->pruning->graph.low != before.low || t->pruning->graph.high != before.high;
    out->seconds = seconds_now() - begin;
    return POFAC_OK;
}

double training_sparsity(const training *t, size_t weight) {
    const step_pruning *p = t->pruning;
    if (!p || weight >= p->options.pruning->n_weights) return 0;
    const ir_tensor *mask = &p->state[weight].mask->tensor;
    const int64_t n = tensor_elements(mask);
    return n ? (double)(n - mask_ones(mask->data, n)) / (double)n : 0;
}
