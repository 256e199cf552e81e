/*
 * pruning_config -> the pruning package's JSON; see pruning_config.h. Keys stand in the order of letters but for the last. Reals are the shortest that
 * read back the same.
 */
#include <string.h>

#include "frontend/model/pruning_config.h"
#include "ir/support/json_text.h"

static void put_text(const char *text, strbuf *out) { strbuf_put_json(out, text, strlen(text)); }

static void put_int(const char *key, int64_t value, strbuf *out) { strbuf_printf(out, "  \"%s\": %lld,\n", key, (long long)value); }

static void put_value(pruning_field field, const pruning_parameters *p, strbuf *out) {
    switch (field) {
    case PRUNING_TARGET: json_put_real(p->target_sparsity, out); break;
    case PRUNING_INITIAL: json_put_real(p->initial_sparsity, out); break;
    case PRUNING_DECAY: json_put_real(p->threshold_decay, out); break;
    case PRUNING_FAST: strbuf_puts(out, p->fast_threshold ? "true" : "false"); break;
    case PRUNING_BLOCK_SIZE: strbuf_printf(out, "%lld", (long long)p->block_size); break;
    case PRUNING_BLOCK_DIMS: strbuf_printf(out, "[%lld, %lld]", (long long)p->block_columns, (long long)p->block_rows); break;
    case PRUNING_POOLING: strbuf_puts(out, p->pooling == PRUNING_MAX ? "\"max\"" : "\"avg\""); break;
    case PRUNING_GROUP: put_text(p->group, out); break;
    }
}

/* An object of the parameters that are set, each by the first of its names; `names_weight`: with the parameter that is pruned. */
static void put_changes(const pruning_changes *c, bool names_weight, strbuf *out) {
    pruning_field field;
    const char *name, *comma = names_weight ? ", " : "";
    unsigned put = 0;
    strbuf_puts(out, names_weight ? "{\"name\": \"weight\"" : "{");
    for (size_t i = 0; (name = pruning_field_name(i, &field)); i++) {
        if (!(c->set & field) || put & field) continue;
        put |= field;
        strbuf_printf(out, "%s\"%s\": ", comma, name);
        put_value(field, &c->values, out);
        comma = ", ";
    }
    strbuf_putc(out, '}');
}

static void put_map(const char *key, const pruning_rules *rules, bool names_weight, strbuf *out) {
    if (rules->n == 0) return;
    strbuf_printf(out, "  \"%s\": {", key);
    for (size_t i = 0; i < rules->n; i++) {
        if (i) strbuf_puts(out, ", ");
        put_text(rules->data[i].pattern, out);
        strbuf_puts(out, ": ");
        put_changes(&rules->data[i].changes, names_weight, out);
    }
    strbuf_puts(out, "},\n");
}

/* Keys that the package does not know. */
static void put_second_order(const second_order_options *o, strbuf *out) {
    const second_order_options standard = second_order_options_default();
    if (o->block_size != standard.block_size) put_int("fisher_block_size", o->block_size, out);
    if (o->damping != standard.damping) {
        strbuf_puts(out, "  \"fisher_damping\": ");
        json_put_real(o->damping, out);
        strbuf_puts(out, ",\n");
    }
    if (o->n_gradients != standard.n_gradients) put_int("fisher_gradients", o->n_gradients, out);
}

static void put_not_to_prune(const pruning_rules *rules, strbuf *out) {
    strbuf_puts(out, "  \"not_to_prune\": [");
    for (size_t i = 0; i < rules->n; i++) {
        if (i) strbuf_puts(out, ", ");
        put_text(rules->data[i].pattern, out);
    }
    strbuf_puts(out, "],\n");
}

void pruning_config_print(const pruning_config *c, strbuf *out) {
    strbuf_puts(out, "{\n");
    put_int("begin_pruning_step", c->begin_pruning_step, out);
    put_int("end_pruning_step", c->end_pruning_step, out);
    put_map("explicit_prune", &c->explicit_prune, true, out);
    if (c->exponent != pruning_config_default().exponent) {
        strbuf_puts(out, "  \"exponent\": ");
        json_put_real(c->exponent, out);
        strbuf_puts(out, ",\n");
    }
    put_second_order(&c->second_order, out);
    strbuf_printf(out, "  \"init_strategy\": \"%s\",\n", pruning_init_names[c->init]);
    if (c->initial_step) put_int("initial_step", c->initial_step, out);
    if (c->masks) {
        strbuf_puts(out, "  \"masks\": ");
        put_text(c->masks, out);
        strbuf_puts(out, ",\n");
    }
    put_not_to_prune(&c->not_to_prune, out);
    put_int("policy_begin_step", c->policy_begin_step, out);
    put_int("policy_end_step", c->policy_end_step, out);
    strbuf_puts(out, "  \"prune_layer_types\": {");
    if (c->prunes_linear) {
        strbuf_puts(out, "\"Linear\": ");
        put_changes(&c->linear, true, out);
    }
    strbuf_puts(out, "},\n  \"pruning_fn\": ");
    put_text(c->method, out);
    strbuf_puts(out, ",\n  \"pruning_fn_default_kwargs\": ");
    put_changes(&c->defaults, false, out);
    strbuf_puts(out, ",\n");
    put_int("pruning_frequency", c->pruning_frequency, out);
    put_map("weight_sparsity_map", &c->weight_sparsity_map, false, out); /* the scheduler ends the object, and has no comma */
    strbuf_printf(out, "  \"scheduler\": \"%s\"\n}\n", pruning_scheduler_names[c->scheduler]);
}
