/*
 * The pruning package's JSON -> pruning_config; see pruning_config.h. Every wrong value has its message, not the first one alone. Numbers may be integers where
 * reals are wanted.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "frontend/model/pruning_config.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

#define MOST_BLOCK 16777216 /* as in xml.def */
#define MOST_STEP INT64_C(1000000000000)

typedef struct json_reader {
    const char *file;
    pofac_status fault; /* of wrong values: INPUT, of an option USAGE */
    arena *memory;
    const diag_sink *sink;
    strbuf text, key;    /* what was found; the key of the value at hand, with its path */
    pofac_status status; /* the first error; its message is out */
} json_reader;

static diag_place place_of(const json_reader *r) { return (diag_place){.file = r->file}; }

/* "KEY: found 3, wanted a string" */
static void wrong(json_reader *r, const json_t *value, const char *wanted) {
    const diag_place place = place_of(r);
    const pofac_status status = diag_error(r->sink, r->fault, &place, "%s: found %s, wanted %s", strbuf_str(&r->key),
                                           json_describe(value, &r->text), wanted);
    if (r->status == POFAC_OK) r->status = status;
}

static void no_memory(json_reader *r) {
    if (r->status == POFAC_OK) r->status = diag_out_of_memory(r->sink);
}

static void read_share(json_reader *r, const json_t *value, bool may_be_1, double *out) {
    const double x = json_number_value(value);
    if (json_is_number(value) && x >= 0 && (x < 1 || (may_be_1 && x == 1))) *out = x;
    else wrong(r, value, may_be_1 ? "a number from 0 to 1" : "a number from 0 to below 1");
}

static void read_whole(json_reader *r, const json_t *value, int64_t least, int64_t most, int64_t *out) {
    char wanted[80];
    const int64_t x = json_integer_value(value);
    snprintf(wanted, sizeof wanted, "an integer from %" PRId64 " to %" PRId64, least, most);
    if (json_is_integer(value) && x >= least && x <= most) *out = x;
    else wrong(r, value, wanted);
}

static const char *read_text(json_reader *r, const json_t *value) {
    const char *text = json_string_value(value);
    if (!text || !*text) {
        wrong(r, value, "a string");
        return "";
    }
    const char *copy = arena_strdup(r->memory, text);
    if (!copy) no_memory(r);
    return copy ? copy : "";
}

/* The index of a string among `words`, which end with NULL. */
static int read_word(json_reader *r, const json_t *value, const char *const *words, const char *wanted) {
    const char *text = json_string_value(value);
    const int word = text ? pruning_word(words, text) : -1;
    if (word < 0) wrong(r, value, wanted);
    return word < 0 ? 0 : word;
}

static void read_block_dims(json_reader *r, const json_t *value, pruning_parameters *p) {
    if (!json_is_array(value)) {
        read_whole(r, value, 1, MOST_BLOCK, &p->block_rows);
        p->block_columns = p->block_rows;
        return;
    }
    if (json_array_size(value) < 1 || json_array_size(value) > 2) return wrong(r, value, "one or two integers");
    const bool two = json_array_size(value) == 2;
    p->block_columns = 1; /* one number in a list stands for the last dimension, the outputs */
    if (two) read_whole(r, json_array_get(value, 0), 1, MOST_BLOCK, &p->block_columns);
    read_whole(r, json_array_get(value, two), 1, MOST_BLOCK, &p->block_rows);
}

/* ---- parameters of methods ---- */

/* False: the key is no parameter. */
static bool read_parameter(json_reader *r, const char *key, const json_t *value, pruning_changes *c) {
    static const char *const poolings[] = {"avg", "max", NULL};
    pruning_field field;
    const char *name;
    for (size_t i = 0; (name = pruning_field_name(i, &field)) && strcmp(name, key) != 0; i++) continue;
    if (!name) return false;
    c->set |= field;
    switch (field) {
    case PRUNING_TARGET: read_share(r, value, true, &c->values.target_sparsity); break;
    case PRUNING_INITIAL: read_share(r, value, true, &c->values.initial_sparsity); break;
    case PRUNING_DECAY: read_share(r, value, false, &c->values.threshold_decay); break;
    case PRUNING_FAST:
        if (json_is_boolean(value)) c->values.fast_threshold = json_is_true(value);
        else wrong(r, value, "true or false");
        break;
    case PRUNING_BLOCK_SIZE: read_whole(r, value, 1, MOST_BLOCK, &c->values.block_size); break;
    case PRUNING_BLOCK_DIMS: read_block_dims(r, value, &c->values); break;
    case PRUNING_POOLING:
        c->values.pooling = read_word(r, value, poolings, "\"avg\" or \"max\"") ? PRUNING_MAX : PRUNING_AVG;
        break;
    case PRUNING_GROUP: c->values.group = read_text(r, value); break;
    }
    return true;
}

static void unknown(json_reader *r) {
    const diag_place place = place_of(r);
    diag_warning(r->sink, &place, "%s is unknown, and ignored", strbuf_str(&r->key));
}

/* r->key becomes key, with `outer` and a point before it. */
static void enter(json_reader *r, const char *outer, const char *key) {
    strbuf_clear(&r->key);
    strbuf_printf(&r->key, "%s%s%s", outer, *outer ? "." : "", key);
    if (!strbuf_ok(&r->key)) no_memory(r);
}

/* An object of parameters. `name`, the parameter that is pruned, can only be the weight. */
static void read_changes(json_reader *r, const char *outer, const json_t *object, pruning_changes *c) {
    const char *key;
    json_t *value;
    *c = (pruning_changes){.values = pruning_parameters_default()};
    if (!json_is_object(object)) {
        enter(r, "", outer);
        return wrong(r, object, "an object");
    }
    json_object_foreach((json_t *)object, key, value) {
        const char *const names[] = {"weight", NULL};
        enter(r, outer, key);
        if (strcmp(key, "name") == 0) (void)read_word(r, value, names, "\"weight\"");
        else if (!read_parameter(r, key, value, c)) unknown(r);
    }
}

/* ---- rules ---- */

static pruning_rule *make_rules(json_reader *r, size_t n, pruning_rules *out) {
    *out = (pruning_rules){.data = ARENA_ARRAY(r->memory, pruning_rule, n + 1)};
    if (!out->data) no_memory(r);
    return out->data;
}

static void read_patterns(json_reader *r, const char *key, const json_t *array, pruning_rules *out) {
    enter(r, "", key);
    if (!json_is_array(array)) return wrong(r, array, "an array of strings");
    if (!make_rules(r, json_array_size(array), out)) return;
    for (size_t i = 0; i < json_array_size(array); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s[%zu]", key, i);
        enter(r, "", name);
        out->data[out->n++] = (pruning_rule){.pattern = read_text(r, json_array_get(array, i)), .place = place_of(r)};
    }
}

static void read_map(json_reader *r, const char *key, const json_t *object, pruning_rules *out) {
    const char *pattern;
    json_t *value;
    enter(r, "", key);
    if (!json_is_object(object)) return wrong(r, object, "an object");
    if (!make_rules(r, json_object_size(object), out)) return;
    json_object_foreach((json_t *)object, pattern, value) {
        const char *copy = arena_strdup(r->memory, pattern), *outer = arena_printf(r->memory, "%s.%s", key, pattern);
        if (!copy || !outer) return no_memory(r);
        pruning_rule *rule = &out->data[out->n++];
        *rule = (pruning_rule){.pattern = copy, .place = place_of(r)};
        read_changes(r, outer, value, &rule->changes);
    }
}

/* Both names are one type here; what is said last of it counts. Other types are layers that BERT does not have. */
static void read_types(json_reader *r, const json_t *object, pruning_config *c) {
    const char *type;
    json_t *value;
    enter(r, "", "prune_layer_types");
    if (!json_is_object(object)) return wrong(r, object, "an object");
    c->prunes_linear = false;
    json_object_foreach((json_t *)object, type, value) {
        const char *outer = arena_printf(r->memory, "prune_layer_types.%s", type);
        if (!outer) return no_memory(r);
        enter(r, "", outer);
        if (strcmp(type, "Linear") != 0 && strcmp(type, "QuantizedLinear") != 0) {
            if (strcmp(type, "Conv2d") != 0) unknown(r);
            continue;
        }
        c->prunes_linear = true;
        read_changes(r, outer, value, &c->linear);
    }
}

/* ---- the whole ---- */

static void read_method(json_reader *r, const json_t *value, pruning_config *c) {
    c->method = read_text(r, value);
    c->place = place_of(r);
}

static void read_exponent(json_reader *r, const json_t *value, pruning_config *c) {
    const double x = json_number_value(value);
    if (json_is_number(value) && x > 0 && x <= 1000) c->exponent = x;
    else wrong(r, value, "a number above 0, at most 1000");
}

/* A path, relative to the file's folder. */
static const char *read_path(json_reader *r, const json_t *value) {
    const char *path = read_text(r, value), *slash = strrchr(r->file, '/');
    if (!slash || *path == '/' || !*path) return path;
    const char *whole = arena_printf(r->memory, "%.*s/%s", (int)(slash - r->file), r->file, path);
    if (!whole) no_memory(r);
    return whole ? whole : "";
}

static void read_damping(json_reader *r, const json_t *value, pruning_config *c) {
    const double x = json_number_value(value);
    if (json_is_number(value) && x > 0 && x <= 1000) c->second_order.damping = x;
    else wrong(r, value, "a number above 0, at most 1000");
}

static void read_key(json_reader *r, const char *key, const json_t *value, pruning_config *c) {
    const struct {
        const char *name;
        int64_t least, *out;
    } steps[] = {{"pruning_frequency", 1, &c->pruning_frequency},      {"begin_pruning_step", 0, &c->begin_pruning_step},
                 {"end_pruning_step", -1, &c->end_pruning_step},       {"policy_begin_step", 0, &c->policy_begin_step},
                 {"policy_end_step", 0, &c->policy_end_step},          {"initial_step", 0, &c->initial_step},
                 {"fisher_gradients", 1, &c->second_order.n_gradients}};
    enter(r, "", key);
    if (strcmp("fisher_block_size", key) == 0) return read_whole(r, value, 1, SECOND_ORDER_MOST_BLOCK, &c->second_order.block_size);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(steps[i].name, key) == 0) return read_whole(r, value, steps[i].least, MOST_STEP, steps[i].out);
    if (strcmp(key, "pruning_fn") == 0) read_method(r, value, c);
    else if (strcmp(key, "scheduler") == 0)
        c->scheduler = (pruning_scheduler)read_word(r, value, pruning_scheduler_names, "\"iterative\" or \"one_shot\"");
    else if (strcmp(key, "init_strategy") == 0)
        c->init = (pruning_init)read_word(r, value, pruning_init_names, "\"uniform\", \"er\" or \"erk\"");
    else if (strcmp(key, "exponent") == 0) read_exponent(r, value, c);
    else if (strcmp(key, "fisher_damping") == 0) read_damping(r, value, c);
    else if (strcmp(key, "masks") == 0) c->masks = read_path(r, value);
    else if (strcmp(key, "pruning_fn_default_kwargs") == 0) read_changes(r, key, value, &c->defaults);
    else if (strcmp(key, "prune_layer_types") == 0) read_types(r, value, c);
    else if (strcmp(key, "not_to_prune") == 0) read_patterns(r, key, value, &c->not_to_prune);
    else if (strcmp(key, "weight_sparsity_map") == 0) read_map(r, key, value, &c->weight_sparsity_map);
    else if (strcmp(key, "explicit_prune") == 0) read_map(r, key, value, &c->explicit_prune);
    else unknown(r);
}

/* The keys of a text over what *out has. */
static pofac_status read_object(json_reader *r, const void *bytes, size_t n, pruning_config *out) {
    const diag_place place = place_of(r);
    json_t *root;
    const char *key;
    json_t *value;
    const pofac_status parsed = json_parse(r->file, NULL, bytes, n, r->sink, &root);
    if (parsed != POFAC_OK) return parsed == POFAC_ERR_INPUT ? r->fault : parsed;
    if (!json_is_object(root))
        r->status = diag_error(r->sink, r->fault, &place, "found %s, wanted an object", json_describe(root, &r->text));
    else json_object_foreach(root, key, value) read_key(r, key, value, out);
    json_decref(root);
    return r->status;
}

static void free_texts(json_reader *r) {
    strbuf_free(&r->text);
    strbuf_free(&r->key);
}

pofac_status pruning_config_read(const char *path, arena *a, const diag_sink *sink, pruning_config *out) {
    json_reader r = {arena_strdup(a, path), POFAC_ERR_INPUT, a, sink, STRBUF_INIT, STRBUF_INIT, POFAC_OK};
    const diag_place place = {.file = path};
    file_map map;
    *out = pruning_config_default();
    out->place = place_of(&r);
    if (!r.file) return diag_out_of_memory(sink);
    TRY(file_map_open(path, sink, &map));
    pofac_status status = read_object(&r, map.data, map.size_bytes, out);
    file_map_close(&map);
    if (status == POFAC_OK && !out->method)
        status = diag_error(sink, POFAC_ERR_INPUT, &place, "pruning_fn: found nothing, wanted the name of a method");
    free_texts(&r);
    return status;
}

pofac_status pruning_config_override(const char *text, const char *where, arena *a, const diag_sink *sink, pruning_config *out) {
    const bool of_option = strncmp(where, "--", 2) == 0;
    json_reader r = {
        arena_strdup(a, where), of_option ? POFAC_ERR_USAGE : POFAC_ERR_INPUT, a, sink, STRBUF_INIT, STRBUF_INIT, POFAC_OK};
    if (!r.file) return diag_out_of_memory(sink);
    const pofac_status status = read_object(&r, text, strlen(text), out);
    free_texts(&r);
    return status;
}
