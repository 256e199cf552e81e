/* Entries that masks keep, by number alone; see mask_counts.h. */
#include "frontend/driver/mask_counts.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"

typedef struct counted {
    const char *name;   /* of the weight */
    int64_t kept, last; /* last: what was told of it when changes were asked for */
    ir_pattern told;    /* without positions */
} counted;

struct mask_counts {
    counted *weights;
    size_t n;
    const tensor_source *rest;
    tensor_source source;
};

/* The leaf of a weight in any of the graphs. */
static const ir_type *find_weight(const ir_module *m, const char *name) {
    for (size_t i = 0; i < m->graphs.size; i++) {
        const ir_graph *g = m->graphs.data[i];
        for (size_t k = 0; k < g->nodes.size; k++)
            if (g->nodes.data[k].op == OP_state && strcmp(node_string(&g->nodes.data[k], "name"), name) == 0)
                return graph_type(g, g->nodes.data[k].first_result);
    }
    return NULL;
}

static pofac_status add_weight(mask_counts *c, const pruned_parameter *p, const ir_module *m, const diag_sink *sink) {
    const ir_type *t = find_weight(m, p->name);
    int64_t rows = 0, columns = 0, entries;
    const bool fits = t && t->rank == 2 && t->dtype == IR_F32 && dim_is_const(t->dims[0], &rows) &&
                      dim_is_const(t->dims[1], &columns) && !__builtin_mul_overflow(rows, columns, &entries);
    if (!fits)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "pruning: found %s \"%s\" in the model, wanted a weight f32 [N,K] of a linear",
                          t ? "something else as" : "no", p->name);
    counted *w = &c->weights[c->n];
    *w = (counted){.name = p->name, .last = -1, .told = {.n_rows = rows, .n_columns = columns}};
    mask_counts_set(c, c->n++, entries - (int64_t)(p->parameters.initial_sparsity * (double)entries));
    return POFAC_OK;
}

/* The weight whose mask has the name, or NULL. */
static const counted *find_mask(const mask_counts *c, const char *name) {
    const size_t length = strlen(name), ending = strlen(IR_MASK);
    if (length <= ending || strcmp(name + length - ending, IR_MASK) != 0) return NULL;
    for (size_t i = 0; i < c->n; i++)
        if (strlen(c->weights[i].name) == length - ending && memcmp(c->weights[i].name, name, length - ending) == 0)
            return &c->weights[i];
    return NULL;
}

static pofac_status get_counted(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const mask_counts *c = user;
    const counted *w = find_mask(c, name);
    if (!w) return c->rest->get(c->rest->user, name, sink, out);
    *out = (ir_tensor){.dtype = IR_U8, .rank = 2, .dims = {w->told.n_rows, w->told.n_columns}, .pattern = &w->told};
    return POFAC_OK;
}

static void release_counted(void *user, const char *name) {
    const mask_counts *c = user;
    if (!find_mask(c, name)) tensor_source_release(c->rest, name);
}

pofac_status mask_counts_create(const training_pruning *pruning, const ir_module *m, const tensor_source *rest,
                                const diag_sink *sink, mask_counts **out) {
    *out = NULL;
    mask_counts *c = calloc(1, sizeof *c);
    if (c) c->weights = calloc(pruning->n_weights + 1, sizeof *c->weights);
    pofac_status status = c && c->weights ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; i < pruning->n_weights && status == POFAC_OK; i++) status = add_weight(c, &pruning->weights[i], m, sink);
    if (status != POFAC_OK) {
        mask_counts_destroy(c);
        return status;
    }
    c->rest = rest;
    c->source = (tensor_source){.get = get_counted, .user = c, .release = release_counted};
    *out = c;
    return POFAC_OK;
}

void mask_counts_destroy(mask_counts *c) {
    if (c) free(c->weights);
    free(c);
}

int64_t mask_counts_entries(const mask_counts *c, size_t i) { return c->weights[i].told.n_rows * c->weights[i].told.n_columns; }

int64_t mask_counts_kept(const mask_counts *c, size_t i) { return c->weights[i].kept; }

/* The nearest multiple of the step, and at least half of one, so that nothing looks empty. */
void mask_counts_set(mask_counts *c, size_t i, int64_t kept) {
    const int64_t entries = mask_counts_entries(c, i);
    const double step = (double)entries * MASK_COUNT_STEP / 1000;
    const int64_t steps = entries ? (int64_t)((double)kept / step + 0.5) : 0;
    c->weights[i].kept = kept;
    c->weights[i].told.nnz = (int64_t)((steps ? (double)steps : 0.5) * step);
}

bool mask_counts_changed(mask_counts *c) {
    bool changed = false;
    for (size_t i = 0; i < c->n; i++) {
        changed = changed || c->weights[i].last != c->weights[i].told.nnz;
        c->weights[i].last = c->weights[i].told.nnz;
    }
    return changed;
}

const tensor_source *mask_counts_source(const mask_counts *c) { return &c->source; }
