/*
 * Passes and the runner.
 *
 * A pipeline is text: passes or named pipelines, separated by commas, passes with options in braces:
 *
 *   pipeline = [ item { "," item } ]
 *   item     = named pipeline | pass [ "{" [ option { "," option } ] "}" ]        canonicalize, layout{tile=16}, fuse
 *   option   = name "=" value
 *
 * White space separates words and means nothing else. The runner verifies the module after each pass; when a pass or the verifier
 * fails, it offers a reproducer: the text of the module before the failing pass with the pipeline that remained, which `pofac opt`
 * runs.
 *
 * The attributes `group` and `slot` hold for the graph that they were made on: fuse makes groups anew, plan-memory slots, and every
 * other pass drops both.
 */
#ifndef POFAC_PASSES_PASS_H
#define POFAC_PASSES_PASS_H

#include "ir/cost.h"
#include "ir/graph.h"

/* ---- what a pass gets ---- */
typedef struct pass_option {
    const char *name, *value;
} pass_option;

/* What of a linear is held in 8 bits: nothing; input and weight; its result too; input, by the range of each row at the time, and weight. With
 * PASS_QUANTIZED_CHANNELS added, each row of the weight has a range of its own. */
typedef enum pass_quantized {
    PASS_QUANTIZED_NOT,
    PASS_QUANTIZED_OPERANDS,
    PASS_QUANTIZED_WHOLE,
    PASS_QUANTIZED_ROWS,
    PASS_QUANTIZED_CHANNELS = 4
} pass_quantized;

/* What is known besides the module; members may be NULL. */
typedef struct pass_environment {
    const tensor_source *state; /* the weights */
    const cost_source *costs;
    int64_t tokens;                                /* that kernels are chosen for; 0: as the option `rows` says */
    bool (*locks)(void *user, const char *weight); /* does `lock` keep the zeros of the weight of that name? NULL: of all */
    void *locks_user;
    bool (*prunes)(void *user, const char *weight); /* does `prune` put the weight under a mask? NULL: none */
    void *prunes_user;
    pass_quantized (*quantizes)(void *user,
                                const char *module); /* what `quantize` does with the linear of that module; NULL: nothing */
    void *quantizes_user;
} pass_environment;

typedef struct pass_input {
    const ir_module *module;
    const pass_environment *environment; /* never NULL */
    const pass_option *options;          /* those given */
    size_t n_options;
    const char *pass; /* its name, for messages */
    const diag_sink *sink;
} pass_input;

/* The option, or its fallback, as a number (of a word: its place in the row, from 0); POFAC_ERR_USAGE with a message when it is none
 * that the option's row takes. */
POFAC_MUST_USE pofac_status pass_int_option(const pass_input *in, const char *name, int64_t *out);
POFAC_MUST_USE pofac_status pass_real_option(const pass_input *in, const char *name, double *out);
#define PASS_MAX_LIST 1000 /* numbers of a list */
/* Of an option with values "[LOW..HIGH]": its numbers, at most `most`. */
POFAC_MUST_USE pofac_status pass_list_option(const pass_input *in, const char *name, size_t most, int64_t *out, size_t *n);

/* Numbers for the symbols of a graph, in `a`: one sequence of `rows` tokens, as far as the bounds allow. */
POFAC_MUST_USE pofac_status pass_typical_sizes(const pass_input *in, const ir_graph *g, int64_t rows, arena *a, ir_binding *out);

/* ---- the tables ---- */
typedef enum pass_effect { KEEPS_MEANING, CHANGES_MEANING } pass_effect;

typedef struct pass_info {
    const char *name;
    pofac_status (*run)(const pass_input *in, ir_module **out); /* *out is NULL on error */
    pass_effect effect;
    const char *meaning;
} pass_info;

typedef struct pass_option_schema {
    const char *pass, *name, *fallback;
    const char *values; /* "16|32|64" or "LOW..HIGH" for whole numbers, "0.0..1.0" for others, "adamw|sgd" for words,
                         * "[LOW..HIGH]" for whole numbers with "-" between them, or "none" */
    const char *meaning;
} pass_option_schema;

typedef struct pipeline_info {
    const char *name, *passes, *meaning;
} pipeline_info;

/* Rows of the tables; NULL past the end. */
const pass_info *pass_row(size_t i);
const pass_info *pass_find(const char *name);
const pass_option_schema *pass_option_row(size_t i); /* options of all passes */
const pass_option_schema *pass_option_find(const char *pass, const char *name);
const pipeline_info *pipeline_row(size_t i);

/* Is `value` among the option's values? It is then *number, which may be NULL: a whole number, or the place of a word. */
bool pass_option_takes(const pass_option_schema *option, const char *value, int64_t *number);

/* ---- pipelines as text ---- */
typedef struct pass_step {
    const pass_info *pass;
    const pass_option *options;
    size_t n_options;
} pass_step;

typedef struct pass_pipeline {
    const pass_step *steps;
    size_t n_steps;
} pass_pipeline;

/* Reads a pipeline; everything lives in `a`. Errors (POFAC_ERR_USAGE) have the place in the text, with a caret:
 * `pipeline:1:COL: error: found ..., wanted ...`. */
POFAC_MUST_USE pofac_status pipeline_parse(const char *text, arena *a, const diag_sink *sink, pass_pipeline *out);
/* Appends the text of steps [first, n_steps); parses back to the same. */
void pipeline_print(const pass_pipeline *p, size_t first, strbuf *out);

/* ---- the runner ---- */
typedef struct pass_observer {
    /* Which dumps are wanted: names separated by commas, or "all"; NULL: none. */
    const char *print_before, *print_after;
    bool print_changed;     /* after every pass that changed anything */
    const char *stop_after; /* name of a pass: leave after its first run; NULL: run all */
    /* Receives dumps: "before fuse", "after fuse" and the module. NULL: none. */
    void (*dump)(void *user, const char *title, const ir_module *m);
    /* Receives the time of each pass that ran, without the verifier's. NULL: not measured. */
    void (*timed)(void *user, const char *pass, double seconds);
    /* Receives the reproducer when something fails: a comment line with the command, and the module. NULL: none. */
    void (*reproducer)(void *user, const char *pass, const char *text);
    void *user;
} pass_observer;

/* Runs a pipeline on a module, which is taken over (freed) on success and on error. `environment` and `observer` may be NULL. POFAC_ERR_USAGE when
 * the observer names an unknown pass; what verifier and passes report otherwise. *out is NULL on error. */
POFAC_MUST_USE pofac_status pipeline_run(const pass_pipeline *p, ir_module *module, const pass_environment *environment,
                                         const pass_observer *observer, const diag_sink *sink, ir_module **out);

/* The columns of passes.def. */
#define PASS(id, name, keeps, meaning) pofac_status pass_##id(const pass_input *in, ir_module **out);
#define PASS_OPTION(pass, name, fallback, values, meaning)
#include "passes/passes.def"
#undef PASS
#undef PASS_OPTION

#endif
