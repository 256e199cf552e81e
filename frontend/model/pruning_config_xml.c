/* <prune> -> pruning_config; see pruning_config.h. The table of XML has checked types and ranges. */
#include <string.h>

#include "frontend/model/pruning_config.h"

/* Blocks as the attribute has them: along the inputs and the outputs, or one number for both. */
static void take_block_dims(const xml_element *e, pruning_parameters *p) {
    size_t n;
    const int64_t *dims = xml_attr_ints(e, "block_dims", &n);
    if (n == 0) return;
    p->block_columns = dims[0];
    p->block_rows = dims[n - 1];
}

/* What is written in the element. */
static void take_changes(const xml_element *e, pruning_changes *c) {
    const char *name;
    pruning_field field;
    if (!c->set) c->values = pruning_parameters_default();
    for (size_t i = 0; (name = pruning_field_name(i, &field)); i++) {
        if (!xml_attr_written(e, name)) continue;
        c->set |= field;
        switch (field) {
        case PRUNING_TARGET: c->values.target_sparsity = xml_attr_float(e, name); break;
        case PRUNING_INITIAL: c->values.initial_sparsity = xml_attr_float(e, name); break;
        case PRUNING_DECAY: c->values.threshold_decay = xml_attr_float(e, name); break;
        case PRUNING_FAST: c->values.fast_threshold = xml_attr_bool(e, name); break;
        case PRUNING_BLOCK_SIZE: c->values.block_size = xml_attr_int(e, name); break;
        case PRUNING_BLOCK_DIMS: take_block_dims(e, &c->values); break;
        case PRUNING_POOLING: c->values.pooling = strcmp(xml_attr_string(e, name), "max") == 0 ? PRUNING_MAX : PRUNING_AVG; break;
        case PRUNING_GROUP: c->values.group = xml_attr_string(e, name); break;
        }
    }
}

/* Rules of the element's children of that name, which take the place of those that the file had. */
static pofac_status take_rules(const xml_element *prune, const char *child, arena *a, const diag_sink *sink, pruning_rules *out) {
    size_t n = 0;
    for (const xml_element *e = xml_child(prune, child); e; e = xml_next(e)) n++;
    if (n == 0) return POFAC_OK;
    *out = (pruning_rules){ARENA_ARRAY(a, pruning_rule, n), n};
    if (!out->data) return diag_out_of_memory(sink);
    n = 0;
    for (const xml_element *e = xml_child(prune, child); e; e = xml_next(e)) {
        pruning_rule *rule = &out->data[n++];
        *rule = (pruning_rule){.pattern = xml_attr_string(e, "pattern"), .place = e->place};
        take_changes(e, &rule->changes);
    }
    return POFAC_OK;
}

static void take_schedule(const xml_element *prune, pruning_config *c) {
    const struct {
        const char *name;
        int64_t *out;
    } steps[] = {{"pruning_frequency", &c->pruning_frequency},
                 {"begin_pruning_step", &c->begin_pruning_step},
                 {"end_pruning_step", &c->end_pruning_step},
                 {"policy_begin_step", &c->policy_begin_step},
                 {"policy_end_step", &c->policy_end_step}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (xml_attr_written(prune, steps[i].name)) *steps[i].out = xml_attr_int(prune, steps[i].name);
    if (xml_attr_written(prune, "fisher_block_size")) c->second_order.block_size = xml_attr_int(prune, "fisher_block_size");
    if (xml_attr_written(prune, "fisher_gradients")) c->second_order.n_gradients = xml_attr_int(prune, "fisher_gradients");
    if (xml_attr_written(prune, "fisher_damping")) c->second_order.damping = xml_attr_float(prune, "fisher_damping");
    if (xml_attr_written(prune, "masks")) c->masks = xml_attr_string(prune, "masks");
    if (xml_attr_written(prune, "exponent")) c->exponent = xml_attr_float(prune, "exponent");
    if (xml_attr_written(prune, "scheduler"))
        c->scheduler = (pruning_scheduler)pruning_word(pruning_scheduler_names, xml_attr_string(prune, "scheduler"));
    if (xml_attr_written(prune, "init_strategy"))
        c->init = (pruning_init)pruning_word(pruning_init_names, xml_attr_string(prune, "init_strategy"));
}

pofac_status pruning_config_of_xml(const xml_element *prune, arena *a, const diag_sink *sink, pruning_config *out) {
    *out = pruning_config_default();
    if (xml_attr_string(prune, "config")) TRY(pruning_config_read(xml_attr_string(prune, "config"), a, sink, out));
    if (xml_attr_string(prune, "pruning_fn")) {
        out->method = xml_attr_string(prune, "pruning_fn");
        out->place = xml_attr_get(prune, "pruning_fn")->place;
    }
    take_schedule(prune, out);
    take_changes(prune, &out->defaults);
    for (const xml_element *e = xml_child(prune, "prune_layer_types"); e; e = xml_next(e)) take_changes(e, &out->linear);
    TRY(take_rules(prune, "not_to_prune", a, sink, &out->not_to_prune));
    TRY(take_rules(prune, "weight_sparsity_map", a, sink, &out->weight_sparsity_map));
    TRY(take_rules(prune, "explicit_prune", a, sink, &out->explicit_prune));
    const char *override = xml_attr_string(prune, "override");
    return override ? pruning_config_override(override, xml_attr_get(prune, "override")->place.file, a, sink, out) : POFAC_OK;
}
