/*
 * Configurations of pruning: which layers, by what method, how much and when. Read from the JSON files of the Model-Compression-Research-Package, unchanged, or
 * from <prune> in a description; both end here. Spec: prune once for all, section 2.
 */
#ifndef POFAC_FRONTEND_MODEL_PRUNING_CONFIG_H
#define POFAC_FRONTEND_MODEL_PRUNING_CONFIG_H

#include "frontend/model/xml_document.h"
#include "ir/pruning.h"
#include "ir/support/arena.h"
#include "ir/support/strbuf.h"

typedef enum pruning_scheduler { PRUNING_SCHEDULE_ITERATIVE, PRUNING_SCHEDULE_ONE_SHOT } pruning_scheduler;
typedef enum pruning_init { PRUNING_INIT_UNIFORM, PRUNING_INIT_ER, PRUNING_INIT_ERK } pruning_init;

/* Their names, "iterative" and "one_shot", "uniform", "er" and "erk", in the order of their numbers, and NULL. */
extern const char *const pruning_scheduler_names[];
extern const char *const pruning_init_names[];

/* The number of a word in a list that ends in NULL; -1 where it is none. */
int pruning_word(const char *const *names, const char *word);

typedef enum pruning_field {
    PRUNING_TARGET = 1,
    PRUNING_INITIAL = 2,
    PRUNING_DECAY = 4,
    PRUNING_FAST = 8,
    PRUNING_BLOCK_SIZE = 16,
    PRUNING_BLOCK_DIMS = 32,
    PRUNING_POOLING = 64,
    PRUNING_GROUP = 128
} pruning_field;

/* The names that configurations have for the parameters, two for some: number i, or NULL past the end, and its field. */
const char *pruning_field_name(size_t i, pruning_field *field);

/* Some of the parameters: those whose bit is set. */
typedef struct pruning_changes {
    unsigned set; /* bits of pruning_field */
    pruning_parameters values;
} pruning_changes;

typedef struct pruning_rule {
    const char *pattern; /* name_pattern.h */
    diag_place place;
    pruning_changes changes;
} pruning_rule;

typedef struct pruning_rules {
    pruning_rule *data;
    size_t n;
} pruning_rules;

typedef struct pruning_config {
    const char *method; /* row of runtime/pruning_methods.def; the reader does not know which there are */
    diag_place place;   /* where it is named */
    pruning_scheduler scheduler;
    pruning_init init;
    int64_t pruning_frequency, begin_pruning_step, end_pruning_step, policy_begin_step, policy_end_step, initial_step;
    double exponent;   /* of the schedule's curve: 3 */
    const char *masks; /* custom_mask: a file of masks; NULL: not given */
    second_order_options second_order;
    pruning_changes defaults; /* for all layers */
    bool prunes_linear;       /* prune_layer_types names Linear or QuantizedLinear */
    pruning_changes linear;   /* for layers of that type */
    pruning_rules not_to_prune, weight_sparsity_map, explicit_prune;
} pruning_config;

/* The reference's defaults: nothing is pruned, `method` is NULL. */
pruning_config pruning_config_default(void);

/* Reads a JSON file into *out, which holds what is written nowhere in the file. Unknown keys are warnings. Everything in `a`. POFAC_ERR_INPUT, with the path of
 * the value within the file, what was found and what was wanted. */
POFAC_MUST_USE pofac_status pruning_config_read(const char *path, arena *a, const diag_sink *sink, pruning_config *out);

/*
 * The same keys as a text, a JSON object, over what *out has: each takes the place of what was there, objects as a whole. `where` stands in messages, and a place
 * in a file is relative to it; where it is an option ("--pruning_override"), what is wrong is POFAC_ERR_USAGE.
 */
POFAC_MUST_USE pofac_status pruning_config_override(const char *text, const char *where, arena *a, const diag_sink *sink,
                                                    pruning_config *out);

/* Appends the configuration as a file of the pruning package, which reads back as the same; keys that it does not know only where a method needs them or they are
 * not as they are without. Errors stay in `out`. */
void pruning_config_print(const pruning_config *c, strbuf *out);

/* Of a <prune> element: its config file where it names one, what is written in the element over that, and its override over both. */
POFAC_MUST_USE pofac_status pruning_config_of_xml(const xml_element *prune, arena *a, const diag_sink *sink, pruning_config *out);

/* A linear layer that could be pruned: its module's name ("bert.encoder.layer.0.output.dense") and its weight's shape. */
typedef struct prunable_layer {
    const char *name;
    int64_t n_rows, n_columns;
} prunable_layer;

typedef struct pruning_choice {
    size_t layer; /* index */
    pruning_parameters parameters;
} pruning_choice;

/*
 * The layers that the configuration prunes, in their order, with what it says of each: prune_layer_types, then weight_sparsity_map; not_to_prune takes layers
 * out; explicit_prune puts them in whatever else is said. With er and erk, targets by shape (Evci et al. 2020), so that the whole meets defaults.target_sparsity.
 * POFAC_ERR_INPUT: no regular expression, two entries of the map that match a layer, no solution for er. Into `a`.
 */
POFAC_MUST_USE pofac_status pruning_config_select(const pruning_config *c, const prunable_layer *layers, size_t n, arena *a,
                                                  const diag_sink *sink, pruning_choice **out, size_t *n_out);

/* Is a mask computed after optimizer step `step` (from 0)? Never with one_shot. */
bool pruning_config_is_due(const pruning_config *c, int64_t step);

/* Where the schedule stands then: 0 at initial_sparsity, 1 at target_sparsity (Zhu and Gupta 2017). One-shot pruning stands at 1. */
double pruning_config_progress(const pruning_config *c, int64_t step);

#endif
