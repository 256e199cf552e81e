/*
 * Which layers are pruned, and when; see pruning_config.h. The readers are pruning_config_json.c and pruning_config_xml.c.
 */
#include "frontend/model/pruning_config.h"

#include <math.h>
#include <string.h>

#include "frontend/model/name_pattern.h"

const char *const pruning_scheduler_names[] = {"iterative", "one_shot", NULL};
const char *const pruning_init_names[] = {"uniform", "er", "erk", NULL};

int pruning_word(const char *const *names, const char *word) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], word) == 0) return i;
    return -1;
}

pruning_config pruning_config_default(void) {
    return (pruning_config){.pruning_frequency = 100,
                            .end_pruning_step = -1,
                            .policy_end_step = 1000,
                            .exponent = 3,
                            .second_order = second_order_options_default(),
                            .defaults.values = pruning_parameters_default(),
                            .prunes_linear = true};
}

const char *pruning_field_name(size_t i, pruning_field *field) {
    static const struct {
        const char *name;
        pruning_field field;
    } rows[] = {{"target_sparsity", PRUNING_TARGET},
                {"group_target_sparsity", PRUNING_TARGET},
                {"initial_sparsity", PRUNING_INITIAL},
                {"group_initial_sparsity", PRUNING_INITIAL},
                {"threshold_decay", PRUNING_DECAY},
                {"group_threshold_decay", PRUNING_DECAY},
                {"fast_threshold", PRUNING_FAST},
                {"block_size", PRUNING_BLOCK_SIZE},
                {"block_dims", PRUNING_BLOCK_DIMS},
                {"pooling_type", PRUNING_POOLING},
                {"group", PRUNING_GROUP}};
    if (i >= sizeof rows / sizeof *rows) return NULL;
    *field = rows[i].field;
    return rows[i].name;
}

/* ---- when ---- */

bool pruning_config_is_due(const pruning_config *c, int64_t step) {
    if (c->scheduler != PRUNING_SCHEDULE_ITERATIVE || step < c->begin_pruning_step) return false;
    if (c->end_pruning_step != -1 && step > c->end_pruning_step) return false;
    return (step - c->begin_pruning_step) % c->pruning_frequency == 0;
}

double pruning_config_progress(const pruning_config *c, int64_t step) {
    if (c->scheduler == PRUNING_SCHEDULE_ONE_SHOT || step >= c->policy_end_step) return 1;
    if (step <= c->policy_begin_step) return 0;
    const double length = (double)(c->policy_end_step - c->policy_begin_step);
    return 1 - pow(1 - (double)(step - c->policy_begin_step) / length, c->exponent);
}

/* ---- which ---- */

static void change(pruning_parameters *p, const pruning_changes *by) {
    const pruning_parameters *v = &by->values;
    if (by->set & PRUNING_TARGET) p->target_sparsity = v->target_sparsity;
    if (by->set & PRUNING_INITIAL) p->initial_sparsity = v->initial_sparsity;
    if (by->set & PRUNING_DECAY) p->threshold_decay = v->threshold_decay;
    if (by->set & PRUNING_FAST) p->fast_threshold = v->fast_threshold;
    if (by->set & PRUNING_BLOCK_SIZE) p->block_size = v->block_size;
    if (by->set & PRUNING_POOLING) p->pooling = v->pooling;
    if (by->set & PRUNING_GROUP) p->group = v->group;
    if (by->set & PRUNING_BLOCK_DIMS) {
        p->block_rows = v->block_rows;
        p->block_columns = v->block_columns;
    }
}

static pofac_status compile(const pruning_rules *rules, arena *a, const diag_sink *sink, name_pattern ***out) {
    *out = ARENA_ARRAY(a, name_pattern *, rules->n + 1);
    if (!*out) return diag_out_of_memory(sink);
    for (size_t i = 0; i < rules->n; i++) TRY(name_pattern_create(rules->data[i].pattern, &rules->data[i].place, sink, &(*out)[i]));
    return POFAC_OK;
}

static void release(name_pattern **patterns, size_t n) {
    for (size_t i = 0; patterns && i < n; i++) name_pattern_destroy(patterns[i]);
}

typedef struct selection {
    const pruning_config *config;
    const prunable_layer *layers;
    size_t n;
    name_pattern **not_to_prune, **map, **explicit_prune;
    double *target; /* [n] of er and erk; negative: the layer has none */
    const diag_sink *sink;
    pruning_choice *chosen;
    size_t n_chosen;
} selection;

static bool is_spared(const selection *s, const char *name) {
    for (size_t i = 0; i < s->config->not_to_prune.n; i++)
        if (name_pattern_found(s->not_to_prune[i], name)) return true;
    return false;
}

/* The entry of the map that matches; *out is NULL where none does. */
static pofac_status find_in_map(const selection *s, const char *name, const pruning_rule **out) {
    *out = NULL;
    for (size_t i = 0; i < s->config->weight_sparsity_map.n; i++) {
        const pruning_rule *rule = &s->config->weight_sparsity_map.data[i];
        if (!name_pattern_found(s->map[i], name)) continue;
        if (*out)
            return diag_error(s->sink, POFAC_ERR_INPUT, &rule->place,
                              "weight_sparsity_map: both \"%s\" and \"%s\" match the layer %s, wanted one of them at most",
                              (*out)->pattern, rule->pattern, name);
        *out = rule;
    }
    return POFAC_OK;
}

/* ---- Erdos-Renyi ---- */

/* Densities in proportion to (N + K) / (N K), scaled so that the whole meets the target; layers that would have more than all of their entries stay dense, one
 * after the other, and the rest is scaled anew. */
static pofac_status find_targets(selection *s, arena *a) {
    const double sparsity = s->config->defaults.values.target_sparsity;
    bool *dense = ARENA_ARRAY(a, bool, s->n + 1), *taken = ARENA_ARRAY(a, bool, s->n + 1);
    s->target = ARENA_ARRAY(a, double, s->n + 1);
    if (!dense || !taken || !s->target) return diag_out_of_memory(s->sink);
    for (size_t i = 0; i < s->n; i++) taken[i] = s->config->prunes_linear && !is_spared(s, s->layers[i].name);
    for (;;) {
        double weight = 0, room = 0, most = 0;
        size_t largest = 0, free_layers = 0;
        for (size_t i = 0; i < s->n; i++) {
            const double rows = (double)s->layers[i].n_rows, columns = (double)s->layers[i].n_columns, size = rows * columns;
            const double density = (rows + columns) / size;
            if (!taken[i]) continue;
            room += (dense[i] ? 0 : size) - size * sparsity;
            if (dense[i]) continue;
            weight += density * size;
            free_layers++;
            if (density <= most) continue;
            most = density;
            largest = i;
        }
        const double scale = free_layers ? room / weight : 0;
        if (free_layers && most * scale > 1) {
            dense[largest] = true;
            continue;
        }
        if (scale < 0 || (!free_layers && room < 0))
            return diag_error(
                s->sink, POFAC_ERR_INPUT, &s->config->place,
                "init_strategy: the layers that stay dense leave no room for the others, wanted a lower target_sparsity than %g",
                sparsity);
        for (size_t i = 0; i < s->n; i++) {
            const double rows = (double)s->layers[i].n_rows, columns = (double)s->layers[i].n_columns;
            s->target[i] = !taken[i] || dense[i] ? -1 : 1 - scale * (rows + columns) / (rows * columns);
        }
        return POFAC_OK;
    }
}

/* ---- choice ---- */

static pofac_status choose_layer(selection *s, size_t i) {
    const pruning_config *c = s->config;
    const char *name = s->layers[i].name;
    pruning_parameters p = pruning_parameters_default();
    const pruning_rule *entry = NULL;
    bool chosen = c->prunes_linear && !is_spared(s, name);
    change(&p, &c->defaults);
    const pruning_parameters plain = p;
    change(&p, &c->linear);
    if (c->init == PRUNING_INIT_UNIFORM) TRY(find_in_map(s, name, &entry));
    if (entry) change(&p, &entry->changes);
    if (c->init != PRUNING_INIT_UNIFORM) {
        chosen = chosen && s->target[i] >= 0;
        p.target_sparsity = s->target[i];
    }
    for (size_t k = 0; k < c->explicit_prune.n; k++) {
        if (!name_pattern_found(s->explicit_prune[k], name)) continue;
        p = plain;
        change(&p, &c->explicit_prune.data[k].changes);
        chosen = true;
    }
    if (chosen) s->chosen[s->n_chosen++] = (pruning_choice){i, p};
    return POFAC_OK;
}

static pofac_status choose(selection *s, arena *a) {
    const pruning_config *c = s->config;
    TRY(compile(&c->not_to_prune, a, s->sink, &s->not_to_prune));
    TRY(compile(&c->weight_sparsity_map, a, s->sink, &s->map));
    TRY(compile(&c->explicit_prune, a, s->sink, &s->explicit_prune));
    s->chosen = ARENA_ARRAY(a, pruning_choice, s->n + 1);
    if (!s->chosen) return diag_out_of_memory(s->sink);
    if (c->init != PRUNING_INIT_UNIFORM) {
        TRY(find_targets(s, a));
        if (c->weight_sparsity_map.n)
            diag_warning(s->sink, &c->weight_sparsity_map.data[0].place,
                         "weight_sparsity_map is ignored with init_strategy er and erk");
    }
    for (size_t i = 0; i < s->n; i++) TRY(choose_layer(s, i));
    return POFAC_OK;
}

pofac_status pruning_config_select(const pruning_config *c, const prunable_layer *layers, size_t n, arena *a, const diag_sink *sink,
                                   pruning_choice **out, size_t *n_out) {
    selection s = {.config = c, .layers = layers, .n = n, .sink = sink};
    const pofac_status status = choose(&s, a);
    release(s.not_to_prune, c->not_to_prune.n);
    release(s.map, c->weight_sparsity_map.n);
    release(s.explicit_prune, c->explicit_prune.n);
    *out = s.chosen;
    *n_out = s.n_chosen;
    return status;
}
