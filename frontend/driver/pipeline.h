/*
 * A pipeline: commands of pofac one after the other, each with a directory of its own, as a document describes them (<pipeline> in
 * frontend/xml.def). Reading one checks all that can be known before anything runs: commands, options and their values, what stages read of
 * each other, and the recipes to train by.
 *
 * Texts of stages have ${stage:NAME} and ${out} in them, which become directories where a stage runs (pipeline_put_text).
 */
#ifndef POFAC_FRONTEND_PIPELINE_H
#define POFAC_FRONTEND_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "frontend/model/xml_document.h"

/* ---- what the program can do ---- */

typedef enum pipeline_option_kind {
    PIPELINE_VALUE,
    PIPELINE_LINES, /* may be given several times */
    PIPELINE_FLAG,
    PIPELINE_READS, /* the path of a file or directory that is read */
    PIPELINE_WRITES /* likewise one that is written */
} pipeline_option_kind;

typedef struct pipeline_option {
    const char *name;
    pipeline_option_kind kind;
    const char *fallback; /* value when it is absent; NULL: none */
    const void *row;      /* for check_option */
} pipeline_option;

typedef struct pipeline_command {
    const char *name; /* "data vocab" */
    const pipeline_option *options;
    size_t n_options;
    size_t min_arguments, max_arguments;
    const char *arguments;    /* for messages: "CORPUS..." */
    bool arguments_are_paths; /* of what is read */
} pipeline_command;

typedef struct pipeline_program {
    const pipeline_command *commands;
    size_t n_commands;
    const char *version; /* of pofac */
    /* Is the value one that the option takes? */
    pofac_status (*check_option)(const void *row, const char *value, const diag_place *place, const diag_sink *sink);
} pipeline_program;

/* NULL: there is none. */
const pipeline_option *pipeline_option_find(const pipeline_command *command, const char *name);

/* ---- the document ---- */

/* An argument or an option of a stage. */
typedef struct pipeline_word {
    const pipeline_option *option; /* NULL: an argument */
    pipeline_option_kind kind;
    const char *value;
    diag_place place;
} pipeline_word;

typedef struct pipeline_stage {
    const char *name;
    diag_place place;
    const pipeline_command *command;
    bool has_recipe;                    /* its first argument is the document that pipeline_put_recipe writes */
    const xml_element *const *sections; /* of the recipe; paths in them are as a child of this process takes them */
    size_t n_sections;
    const pipeline_word *words; /* arguments, then options, as the document has them */
    size_t n_words;
    const size_t *reads; /* rising: the stages that are named in it, all earlier ones */
    size_t n_reads;
} pipeline_stage;

typedef struct pipeline_result_cell {
    const char *column, *file, *key, *format; /* key NULL: the size of the file */
    size_t stage;
    diag_place place;
} pipeline_result_cell;

typedef struct pipeline_result_row {
    const char *name;
    const pipeline_result_cell *cells;
    size_t n_cells;
} pipeline_result_row;

typedef struct pipeline {
    const char *name, *path;
    const xml_parameter *parameters; /* with the values that were used */
    size_t n_parameters;
    const pipeline_stage *stages;
    size_t n_stages;
    const pipeline_result_row *rows;
    size_t n_rows;
} pipeline;

/* Reads the document `path` with values of parameters over its own; all lives in `a`. POFAC_ERR_INPUT: the document or a recipe;
 * POFAC_ERR_USAGE: a given parameter that the document does not have. */
POFAC_MUST_USE pofac_status pipeline_read(const char *path, const xml_parameter *given, size_t n_given,
                                          const pipeline_program *program, arena *a, const diag_sink *sink, const pipeline **out);

/* The stage's number; n_stages: there is none of that name. */
size_t pipeline_find_stage(const pipeline *p, const char *name);

/* ---- texts ---- */

/* What stands for ${stage:NAME} and ${out}. */
typedef struct pipeline_places {
    const pipeline *pipeline;
    const char *const *stages; /* [n_stages] */
    const char *own;
} pipeline_places;

/* Appends `text` with places in it. */
void pipeline_put_text(const pipeline_places *places, const char *text, strbuf *out);

/* Appends the stage's recipe as a document. `folder`: where relative paths in it start, absolute itself; NULL: paths of files that are no stage's are left
 * out, so that the text is the same wherever they are. */
void pipeline_put_recipe(const pipeline_stage *s, const pipeline_places *places, const char *folder, strbuf *out);

/* Is the path in the directory of an earlier stage, or in its own? */
bool pipeline_is_inner_path(const char *path);

#endif
