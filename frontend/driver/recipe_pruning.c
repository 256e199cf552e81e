/*
 * <prune>, <teacher> and <distill> -> recipe; see recipe_reader.h. Options of pruning become attributes of an element like the document's, so that both are
 * read by one reader (pruning_config_of_xml).
 */
#include <string.h>

#include "frontend/driver/recipe_reader.h"
#include "ir/support/decimal.h"
#include "ir/support/json_text.h"
#include "runtime/pruning_masks.h"

#define PRUNE "prune"
#define SPARED "not_to_prune"
#define STANDARD_METHOD "unstructured_magnitude" /* as `pofac prune` */

/* ---- <prune> and its options as one element ---- */

/* Short memory goes into r->status. */
static diag_place place_of_option(recipe_reader *r, const char *option) {
    const char *file = arena_printf(r->a, "--%s", option);
    if (!file && r->status == POFAC_OK) r->status = diag_out_of_memory(r->sink);
    return (diag_place){.file = file ? file : option};
}

static bool is_row_of(const xml_attribute_row *row, const char *element) { return strcmp(row->element, element) == 0; }

static size_t count_options(const recipe_reader *r) {
    size_t n = recipe_option_text(r, SPARED) != NULL;
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        n += is_row_of(row, PRUNE) && recipe_option_text(r, recipe_option_name(PRUNE, row->name)) != NULL;
    }
    return n;
}

/* Attributes: the option's where one is given, else the document's. */
static pofac_status merge_attributes(recipe_reader *r, const xml_element *from, xml_element *to) {
    xml_attr *attrs = ARENA_ARRAY(r->a, xml_attr, xml_attribute_count());
    if (!attrs) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        if (!is_row_of(row, PRUNE)) continue;
        const char *option = recipe_option_name(PRUNE, row->name), *text = recipe_option_text(r, option);
        const xml_attr *attr = xml_attr_get(from, row->name);
        if (text) {
            const recipe_setting s = recipe_get(r, PRUNE, row->name);
            attrs[to->n_attrs++] = (xml_attr){row, true, place_of_option(r, option), text, s.value};
        } else if (attr) {
            attrs[to->n_attrs++] = *attr;
        }
    }
    to->attrs = attrs;
    return r->status;
}

/* A child not_to_prune for each line. */
static pofac_status add_spared(recipe_reader *r, const char *lines, const xml_element ***end) {
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n");
        xml_attr *attr = ARENA_NEW(r->a, xml_attr);
        xml_element *child = ARENA_NEW(r->a, xml_element);
        const char *pattern = arena_printf(r->a, "%.*s", (int)n, at);
        if (!attr || !child || !pattern) return diag_out_of_memory(r->sink);
        *attr = (xml_attr){
            xml_attribute_row_find(SPARED, "pattern"), true, place_of_option(r, SPARED), pattern, {.as.string = pattern}};
        *child = (xml_element){.row = xml_element_row_find(SPARED), .place = attr->place, .attrs = attr, .n_attrs = 1};
        if (n > 0) {
            **end = child;
            *end = &child->next;
        }
        at += n + (at[n] == '\n');
    }
    return r->status;
}

static pofac_status merge_children(recipe_reader *r, const xml_element *from, xml_element *to) {
    const char *spared = recipe_option_text(r, SPARED);
    const xml_element **end = &to->first_child;
    if (spared) TRY(add_spared(r, spared, &end));
    for (const xml_element *e = from ? from->first_child : NULL; e; e = e->next) {
        xml_element *copy = ARENA_NEW(r->a, xml_element);
        if (!copy) return diag_out_of_memory(r->sink);
        if (spared && strcmp(e->row->name, SPARED) == 0) continue;
        *copy = *e;
        copy->next = NULL;
        *end = copy;
        end = &copy->next;
    }
    return POFAC_OK;
}

/* *out NULL: nothing is said of pruning. */
static pofac_status merge(recipe_reader *r, const xml_element **out) {
    const xml_element *written = xml_child(r->root, PRUNE);
    *out = written;
    if (count_options(r) == 0) return POFAC_OK;
    xml_element *both = ARENA_NEW(r->a, xml_element);
    if (!both) return diag_out_of_memory(r->sink);
    if (recipe_option_text(r, recipe_option_name(PRUNE, "config"))) written = NULL; /* which it stands for */
    *both = (xml_element){.row = xml_element_row_find(PRUNE)};
    if (written) both->place = written->place;
    TRY(merge_attributes(r, written, both));
    TRY(merge_children(r, written, both));
    *out = both;
    return POFAC_OK;
}

/* ---- pruning ---- */

/* Of options USAGE, of documents and configurations INPUT. */
static pofac_status wrong_at(const recipe_reader *r, const diag_place *place) {
    (void)r;
    return place->file && strncmp(place->file, "--", 2) == 0 ? POFAC_ERR_USAGE : POFAC_ERR_INPUT;
}

static pofac_status check_method(const recipe_reader *r, const pruning_config *c, const pruning_method **out) {
    const pruning_method *m = pruning_method_find(c->method);
    const bool iterates = c->scheduler == PRUNING_SCHEDULE_ITERATIVE;
    *out = m;
    if (!m)
        return diag_error(r->sink, wrong_at(r, &c->place), &c->place,
                          "pruning_fn: found \"%s\", wanted a row of `pofac list pruning_methods`", c->method);
    if (m->schedules & PRUNING_LOCK || m->schedules & (iterates ? PRUNING_ITERATIVE : PRUNING_ONE_SHOT)) return POFAC_OK;
    return diag_error(r->sink, wrong_at(r, &c->place), &c->place, "pruning_fn: found %s with the scheduler %s, wanted %s",
                      c->method, pruning_scheduler_names[c->scheduler],
                      pruning_scheduler_names[iterates ? PRUNING_SCHEDULE_ONE_SHOT : PRUNING_SCHEDULE_ITERATIVE]);
}

/* What is written and would be ignored. */
static pofac_status check_use(const recipe_reader *r, const pruning_config *c, const pruning_method *m) {
    const bool has_scores = m->needs == PRUNING_MOVEMENT || m->needs == PRUNING_CURVATURE;
    if (c->masks && m->needs != PRUNING_MASKS)
        return diag_error(r->sink, wrong_at(r, &c->place), &c->place,
                          "pruning_fn: found %s with a file of masks, wanted custom_mask, which takes them", c->method);
    if (has_scores && c->defaults.set & PRUNING_FAST && c->defaults.values.fast_threshold)
        return diag_error(r->sink, wrong_at(r, &c->place), &c->place,
                          "fast_threshold: found with %s, wanted a method of magnitudes, whose histogram it is", c->method);
    return POFAC_OK;
}

static pofac_status check_policy(const recipe_reader *r, const pruning_config *c) {
    if (c->scheduler != PRUNING_SCHEDULE_ITERATIVE || c->policy_end_step > c->policy_begin_step) return POFAC_OK;
    return diag_error(r->sink, wrong_at(r, &c->place), &c->place,
                      "policy_end_step: found %lld, wanted more than policy_begin_step, which is %lld",
                      (long long)c->policy_end_step, (long long)c->policy_begin_step);
}

pofac_status recipe_read_pruning(recipe_reader *r, recipe *out) {
    const xml_element *prune;
    const pruning_method *method;
    TRY(merge(r, &prune));
    if (!prune) return POFAC_OK;
    TRY(pruning_config_of_xml(prune, r->a, r->sink, &out->prune));
    if (!out->prune.method) {
        out->prune.method = STANDARD_METHOD;
        out->prune.place = place_of_option(r, "pruning_fn");
        if (r->status != POFAC_OK) return r->status;
    }
    TRY(check_method(r, &out->prune, &method));
    TRY(check_use(r, &out->prune, method));
    out->lock = (method->schedules & PRUNING_LOCK) != 0;
    out->prunes = !out->lock;
    return out->prunes ? check_policy(r, &out->prune) : POFAC_OK;
}

/* ---- distillation ---- */

static pofac_status check_distillation(recipe_reader *r, const recipe *c) {
    static const char *const names[] = {"cross_entropy_alpha", "knowledge_distillation_alpha",
                                        "temperature",         "cross_model_distillation",
                                        "token_share",         "layer_map"};
    const recipe_setting map = recipe_get(r, "distill", "layer_map");
    for (size_t i = 0; !c->teacher && !c->teacher_logits && i < sizeof names / sizeof *names; i++) {
        const recipe_setting s = recipe_get(r, "distill", names[i]);
        if (s.is_written) return recipe_wrong(r, &s, "found without a teacher, wanted --teacher DIR, or <teacher>");
    }
    if (map.is_written && (!c->distill.cross_model || strcmp(c->distill.cross_model, "tinybert") != 0))
        return recipe_wrong(r, &map, "found without cross_model_distillation tinybert, which it belongs to");
    if (c->teacher_logits && c->distill.cross_model) {
        const recipe_setting hidden = recipe_get(r, "distill", "cross_model_distillation");
        return recipe_wrong(r, &hidden, "found with answers of the teacher from a directory, which has no hidden states");
    }
    return POFAC_OK;
}

pofac_status recipe_read_distillation(recipe_reader *r, recipe *out) {
    const recipe_setting from = recipe_get(r, "teacher", "from"), logits = recipe_get(r, "teacher", "logits"),
                         task = recipe_get(r, "distill", "cross_entropy_alpha"),
                         teacher = recipe_get(r, "distill", "knowledge_distillation_alpha"),
                         temperature = recipe_get(r, "distill", "temperature"), share = recipe_get(r, "distill", "token_share"),
                         cross = recipe_get(r, "distill", "cross_model_distillation"), map = recipe_get(r, "distill", "layer_map");
    if (r->status != POFAC_OK) return r->status;
    out->teacher = from.is_there ? from.value.as.string : NULL;
    out->teacher_logits = logits.is_there ? logits.value.as.string : NULL;
    out->distill = (recipe_distill){.task_alpha = task.value.as.number,
                                    .teacher_alpha = teacher.value.as.number,
                                    .temperature = temperature.value.as.number,
                                    .token_share = share.value.as.number,
                                    .cross_model = cross.is_there ? cross.value.as.string : NULL};
    if (map.is_there) {
        out->distill.layer_map = map.value.as.integers.items;
        out->distill.n_layer_map = map.value.as.integers.n;
    }
    return check_distillation(r, out);
}

/* ---- settings as text ---- */

static void put_value(const pruning_parameters *p, pruning_field field, strbuf *out) {
    switch (field) {
    case PRUNING_TARGET: return decimal_put(out, p->target_sparsity);
    case PRUNING_INITIAL: return decimal_put(out, p->initial_sparsity);
    case PRUNING_DECAY: return decimal_put(out, p->threshold_decay);
    case PRUNING_FAST: return strbuf_puts(out, p->fast_threshold ? "true" : "false");
    case PRUNING_BLOCK_SIZE: return strbuf_printf(out, "%lld", (long long)p->block_size);
    case PRUNING_BLOCK_DIMS: return strbuf_printf(out, "%lldx%lld", (long long)p->block_rows, (long long)p->block_columns);
    case PRUNING_POOLING: return strbuf_puts(out, p->pooling == PRUNING_MAX ? "max" : "avg");
    case PRUNING_GROUP: return p->group ? strbuf_put_json(out, p->group, strlen(p->group)) : strbuf_puts(out, "null");
    }
}

/* Those that are set, by the first of their names: "target_sparsity 0.9, block_dims 4x1". */
static void put_changes(const pruning_changes *c, strbuf *out) {
    unsigned put = 0;
    pruning_field field;
    const char *name;
    for (size_t i = 0; (name = pruning_field_name(i, &field)); i++) {
        if (!(c->set & ~put & (unsigned)field)) continue;
        strbuf_printf(out, "%s%s ", put ? ", " : "", name);
        put_value(&c->values, field, out);
        put |= (unsigned)field;
    }
}

static void put_rules(const char *name, const pruning_rules *rules, strbuf *out) {
    if (rules->n == 0) return;
    strbuf_printf(out, "%s=", name);
    for (size_t i = 0; i < rules->n; i++) {
        strbuf_put_json(out, rules->data[i].pattern, strlen(rules->data[i].pattern));
        if (rules->data[i].changes.set) {
            strbuf_puts(out, ": ");
            put_changes(&rules->data[i].changes, out);
        }
        strbuf_puts(out, i + 1 < rules->n ? "; " : "\n");
    }
}

/* Of methods that look at more than weights. */
static void put_needs(const pruning_config *c, strbuf *out) {
    const pruning_method *m = pruning_method_find(c->method);
    if (m->needs == PRUNING_MASKS && c->masks) {
        strbuf_puts(out, "masks=");
        strbuf_put_json(out, c->masks, strlen(c->masks));
        strbuf_putc(out, '\n');
    }
    if (m->needs != PRUNING_CURVATURE) return;
    recipe_put_int(out, "fisher_block_size", c->second_order.block_size);
    recipe_put_int(out, "fisher_gradients", c->second_order.n_gradients);
    recipe_put_real(out, "fisher_damping", c->second_order.damping);
}

static void put_schedule(const pruning_config *c, strbuf *out) {
    recipe_put_text(out, "pruning_scheduler", pruning_scheduler_names[c->scheduler]);
    recipe_put_text(out, "init_strategy", pruning_init_names[c->init]);
    recipe_put_int(out, "pruning_frequency", c->pruning_frequency);
    recipe_put_int(out, "begin_pruning_step", c->begin_pruning_step);
    recipe_put_int(out, "end_pruning_step", c->end_pruning_step);
    recipe_put_int(out, "policy_begin_step", c->policy_begin_step);
    recipe_put_int(out, "policy_end_step", c->policy_end_step);
    recipe_put_int(out, "initial_step", c->initial_step);
    recipe_put_real(out, "pruning_exponent", c->exponent);
    put_needs(c, out);
    strbuf_puts(out, "pruning_parameters=");
    put_changes(&c->defaults, out);
    strbuf_puts(out, "\nprune_layer_types=");
    if (c->prunes_linear) put_changes(&c->linear, out);
    strbuf_putc(out, '\n');
}

void recipe_put_pruning(const recipe *r, strbuf *out) {
    const pruning_config *c = &r->prune;
    recipe_put_text(out, "pruning_fn", r->lock || r->prunes ? c->method : NULL);
    if (r->prunes) put_schedule(c, out);
    if (!r->lock && !r->prunes) return;
    put_rules("not_to_prune", &c->not_to_prune, out);
    put_rules("weight_sparsity_map", &c->weight_sparsity_map, out);
    put_rules("explicit_prune", &c->explicit_prune, out);
}

void recipe_put_distillation(const recipe *r, strbuf *out) {
    const recipe_distill *d = &r->distill;
    if (!r->teacher && !r->teacher_logits) return;
    recipe_put_text(out, "teacher", r->teacher_logits ? NULL : r->teacher);
    recipe_put_text(out, "teacher_logits", r->teacher_logits);
    recipe_put_real(out, "cross_entropy_alpha", d->task_alpha);
    recipe_put_real(out, "knowledge_distillation_alpha", d->teacher_alpha);
    recipe_put_real(out, "temperature", d->temperature);
    recipe_put_real(out, "token_share", d->token_share);
    recipe_put_text(out, "cross_model_distillation", d->cross_model);
    strbuf_puts(out, "layer_map=");
    for (size_t i = 0; i < d->n_layer_map; i++) strbuf_printf(out, "%s%lld", i ? " " : "", (long long)d->layer_map[i]);
    strbuf_putc(out, '\n');
}
