/* What a run would do, without doing it; see train_run.h. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/second_order_gradients.h"
#include "frontend/driver/train_parts.h"
#include "ir/op.h"
#include "ir/support/strmap.h"

/* Parameters of a state: all that are no moments and no sums. */
typedef struct parameter_counts {
    int64_t entries, non_zeros; /* of dense ones those that are not 0 */
} parameter_counts;

static parameter_counts count_parameters(state_store *state) {
    parameter_counts c = {0, 0};
    for (size_t i = 0; i < state_store_size(state); i++) {
        const state_entry *e = state_store_at(state, i);
        size_t length;
        if (state_parameter_of(e->name, &length)) continue;
        const ir_pattern *pattern = e->tensor.pattern;
        const int64_t elements = tensor_elements(&e->tensor);
        c.entries += pattern ? pattern->n_rows * pattern->n_columns : elements;
        c.non_zeros += pattern ? pattern->nnz : elements - tensor_count_zeros(&e->tensor);
    }
    return c;
}

static bool is_replaced(const ir_module *m, const char *name) {
    for (size_t i = 0; i < m->graphs.size; i++)
        for (size_t k = 0; k < m->graphs.data[i]->outputs.size; k++)
            if (strcmp(m->graphs.data[i]->outputs.data[k].name, name) == 0) return true;
    return false;
}

/* Elements of the parameters that the step's graphs give out anew. */
static int64_t count_trained(const train_parts *p) {
    state_store *state = training_state(p->training);
    int64_t n = 0;
    for (size_t i = 0; i < state_store_size(state); i++) {
        const state_entry *e = state_store_at(state, i);
        size_t length;
        if (!state_parameter_of(e->name, &length) && is_replaced(training_graph(p->training)->module, e->name))
            n += tensor_elements(&e->tensor);
    }
    return n;
}

static void put_duration(double s, strbuf *out) {
    if (s < 1) strbuf_printf(out, "%.0f ms", s * 1e3);
    else if (s < 120) strbuf_printf(out, "%.1f s", s);
    else if (s < 7200) strbuf_printf(out, "%.0f min", s / 60);
    else strbuf_printf(out, "%.1f h", s / 3600);
}

static void put_counts(const train_parts *p, strbuf *out) {
    const recipe_train *t = &p->recipe->train;
    const parameter_counts c = count_parameters(training_state(p->training));
    strbuf_printf(out, "examples        %" PRIu64 " from %s\n", p->data.source.n_examples, p->data.path);
    strbuf_printf(out, "batch           up to %" PRId64 " sequences of up to %" PRId64 " tokens, %" PRId64 " in a step\n",
                  p->shape.sequences, p->shape.length, t->accumulation_steps);
    strbuf_printf(out, "steps           %" PRId64 "\n", p->max_steps);
    strbuf_printf(out, "parameters      %" PRId64 ", of them %" PRId64 " trained, %" PRId64 " not zero\n", c.entries,
                  count_trained(p), c.non_zeros);
}

static pofac_status put_epochs(train_parts *p, strbuf *out) {
    uint64_t batches;
    TRY(p->source.count(p->source.user, 0, p->sink, &batches));
    const double steps = ceil((double)batches / (double)p->recipe->train.accumulation_steps);
    strbuf_printf(out, "epochs          %.2f of %.0f steps\n", (double)p->max_steps / steps, steps);
    return POFAC_OK;
}

/* Masks along the schedule, or zeros that stay. */
static void put_masks(const train_parts *p, strbuf *out) {
    const mask_schedule *s = &p->masks;
    double progress;
    int64_t entries = 0;
    for (size_t i = 0; i < s->n; i++) entries += s->entries[i];
    if (s->n == 0) return;
    strbuf_printf(out, "%s%zu weights of %" PRId64 " entries", p->recipe->lock ? "locked          " : "masks           ", s->n,
                  entries);
    if (p->recipe->prunes) {
        const int64_t updates = mask_schedule_updates(s, 0, p->max_steps, &progress);
        if (updates > 0) strbuf_printf(out, ", changed %" PRId64 " time%s", updates, updates == 1 ? "" : "s");
        strbuf_printf(out, ", %.4g %% zeros at the end", 100 * mask_schedule_wanted(s, progress));
    }
    strbuf_putc(out, '\n');
}

static void put_quantization(const train_parts *p, strbuf *out) {
    const learned_ranges *ranges = training_ranges(p->training);
    if (!ranges) return;
    strbuf_printf(out, "8 bits          %zu layers", learned_ranges_modules(ranges));
    if (p->recipe->quantization.begin > 0) strbuf_printf(out, ", from forward %" PRId64 " on", p->recipe->quantization.begin);
    strbuf_putc(out, '\n');
}

/* What masks from curvature need besides. */
static pofac_status put_curvature(const train_parts *p, strbuf *out) {
    const mask_schedule *s = &p->masks;
    const second_order_options *o = &p->recipe->prune.second_order;
    second_order_need need;
    if (!mask_schedule_needs_gradients(s)) return POFAC_OK;
    TRY(second_order_needs(s->entries, s->n, o, p->recipe->train.max_memory, p->sink, &need));
    strbuf_printf(out, "curvature       %" PRId64 " gradients for each mask", o->n_gradients);
    if (need.n_groups > 1) strbuf_printf(out, ", %zu times, of some weights at a time", need.n_groups);
    strbuf_puts(out, "; ");
    batch_memory_print_bytes(need.bytes, out);
    strbuf_puts(out, " while they are made\n");
    return POFAC_OK;
}

/* What a forward pass reads and does: its parameters, each once, and the multiplications and additions of its products. */
typedef struct forward_cost {
    int64_t parameters;
    double products;
} forward_cost;

static pofac_status bind_shape(const ir_graph *g, batch_shape shape, arena *a, const diag_sink *sink, ir_binding *out) {
    const size_t n = context_n_symbols(g->module->context) + 1;
    int64_t *values = ARENA_ARRAY(a, int64_t, n);
    if (!values) return diag_out_of_memory(sink);
    values[0] = -1;
    for (ir_symbol s = 1; s < n; s++) values[s] = batch_symbol(shape, symbol_name(g->module->context, s));
    *out = (ir_binding){values, n};
    return POFAC_OK;
}

/* Elements without the last dimension, or with it. */
static int64_t count_elements(const ir_type *t, uint32_t rank, ir_binding binding) {
    int64_t n = 1;
    for (uint32_t d = 0; d < rank; d++) n *= dim_eval(t->dims[d], binding);
    return n;
}

static pofac_status count_forward(const ir_graph *g, batch_shape shape, const diag_sink *sink, forward_cost *out) {
    arena memory = ARENA_INIT;
    strmap seen = STRMAP_INIT;
    ir_binding binding;
    *out = (forward_cost){0, 0};
    pofac_status status = bind_shape(g, shape, &memory, sink, &binding);
    for (size_t i = 0; i < g->nodes.size && status == POFAC_OK; i++) {
        const ir_node *n = &g->nodes.data[i];
        const ir_type *t = n->op == OP_linear ? graph_type(g, n->inputs[0]) : NULL;
        bool is_new = false;
        if (t)
            out->products += 2.0 * (double)count_elements(t, t->rank - 1, binding) *
                             (double)count_elements(graph_type(g, n->inputs[1]), 2, binding);
        if (n->op != OP_state) continue;
        const char *name = node_string(n, "name");
        if (!strmap_put(&seen, name, strlen(name), 0, &is_new)) status = diag_out_of_memory(sink);
        t = graph_type(g, n->first_result);
        if (is_new) out->parameters += count_elements(t, t->rank, binding);
    }
    strmap_free(&seen);
    arena_free(&memory);
    return status;
}

/* What the teacher adds to a step: its weights, and its forward pass. */
static pofac_status put_teacher(const train_parts *p, strbuf *out) {
    const road_options road = {.graph = {.with_loss = false}};
    const double step = training_flops(p->training, p->shape);
    ir_module *m;
    if (!p->distillation.teacher) return POFAC_OK;
    TRY(road_build(p->distillation.teacher, &road, p->sink, &m));
    forward_cost cost;
    const pofac_status status = count_forward(module_find_graph(m, ROAD_GRAPH), p->shape, p->sink, &cost);
    module_destroy(m);
    strbuf_printf(out, "teacher         %s, %" PRId64 " parameters of ", p->recipe->teacher, cost.parameters);
    batch_memory_print_bytes(cost.parameters * (int64_t)sizeof(float), out);
    if (step > 0) strbuf_printf(out, ", %.0f %% of a step's operations", 100 * (cost.products < step ? cost.products / step : 1));
    strbuf_putc(out, '\n');
    return status;
}

static void put_time(const train_parts *p, strbuf *out) {
    const double run = training_seconds(p->training, p->shape);
    const double step = run * (double)p->recipe->train.accumulation_steps;
    if (run <= 0) return;
    strbuf_puts(out, "time            about ");
    put_duration(step, out);
    strbuf_puts(out, " a step of the longest sequences, ");
    put_duration(step * (double)p->max_steps, out);
    strbuf_puts(out, p->recipe->prunes ? " in all, if all entries of weights were kept\n" : " in all\n");
}

static int64_t machine_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (int64_t)pages * page : 0;
}

static pofac_status check_machine(const train_parts *p) {
    const int64_t needs = step_memory_bytes(&p->memory), has = machine_bytes();
    if (has == 0 || needs <= has) return POFAC_OK;
    strbuf found = STRBUF_INIT, wanted = STRBUF_INIT;
    batch_memory_print_bytes(needs, &found);
    batch_memory_print_bytes(has, &wanted);
    pofac_status status = diag_error(p->sink, POFAC_ERR_RUNTIME, NULL, "a step needs %s of memory, and this machine has %s",
                                     strbuf_str(&found), strbuf_str(&wanted));
    strbuf_free(&found);
    strbuf_free(&wanted);
    return status;
}

static pofac_status report(train_parts *p, strbuf *out) {
    TRY(train_open_step(p));
    if (p->recipe->prunes) { /* its sessions are made for the masks of the moment */
        TRY(training_prepare(p->training, p->sink));
        TRY(step_memory_of_training(p->training, p->shape, p->sink, &p->memory));
    }
    put_counts(p, out);
    TRY(put_epochs(p, out));
    put_masks(p, out);
    put_quantization(p, out);
    TRY(put_curvature(p, out));
    TRY(put_teacher(p, out));
    put_time(p, out);
    strbuf_printf(out, "recomputes      %s\nmemory of a step\n", p->step_options.recompute ? p->step_options.recompute : "none");
    step_memory_print(&p->memory, "  ", out);
    if (!strbuf_ok(out)) return diag_out_of_memory(p->sink);
    return check_machine(p);
}

pofac_status train_dry_run(const recipe *r, const train_options *o, const diag_sink *sink, strbuf *out) {
    train_parts p = {.recipe = r, .options = o, .sink = sink, .directory = RUN_DIRECTORY_INIT};
    pofac_status status = report(&p, out);
    train_close(&p);
    return status;
}
