/*
 * Options of the command line, by table: --name value, --name=value, flags as --name or --name=false; '-' and '_' are the same in
 * names. An unknown option is an error with the nearest match; `--` ends the options; `--help` and `-h` are always known.
 */
#ifndef POFAC_FRONTEND_CLI_OPTIONS_H
#define POFAC_FRONTEND_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_READS,  /* a text: the path of a file or directory that is read */
    OPTION_WRITES, /* likewise one that is written */
    OPTION_LINES,  /* a text that may be given several times: the value has each on a line of its own */
    OPTION_WHOLE,
    OPTION_CHOICE,
    OPTION_FORM, /* a choice that may be left out: --name is --name=FIRST; another choice follows a '=' */
    OPTION_REAL, /* a finite decimal number */
    OPTION_SIZE  /* bytes: a whole number with K, M, G or T (powers of 1024) behind it, or without */
} option_kind;

typedef struct option_row {
    const char *name; /* with '_' */
    option_kind kind;
    const char *value;    /* what the value is called in the help; of CHOICE and FORM the choices, "a|b" */
    const char *fallback; /* value when the option is absent; NULL: none */
    int64_t low, high;    /* range of WHOLE and SIZE */
    const char *help;
} option_row;

/* Rows that several commands share; commands join them to their own with the macro. */
#define OPTIONS_MODEL                                                                                                              \
    {"head",                                                                                                                       \
     OPTION_CHOICE,                                                                                                                \
     "auto|pretraining|masked-lm|sequence-classification|token-classification|question-answering|none",                            \
     "auto",                                                                                                                       \
     0,                                                                                                                            \
     0,                                                                                                                            \
     "what stands on top of the encoder; auto: as the model says"},                                                                \
        {"num_labels", OPTION_WHOLE, "N", NULL, 1, 1 << 24, "number of labels of a head that has labels"},                         \
        {"seed", OPTION_WHOLE, "N", "42", 0, INT64_MAX, "seed of parameters that the checkpoint lacks"}, {                         \
        "vocab", OPTION_READS, "FILE", NULL, 0, 0, "vocabulary, instead of the model's own"                                        \
    }

#define OPTIONS_COMPILE                                                                                                            \
    {"pipeline",                                                                                                                   \
     OPTION_TEXT,                                                                                                                  \
     "PASSES",                                                                                                                     \
     "infer",                                                                                                                      \
     0,                                                                                                                            \
     0,                                                                                                                            \
     "passes to run: names with options, or named pipelines (`pofac list pipelines`); of a quantized model infer-int8 if none "    \
     "are given"},                                                                                                                 \
        {"quantization",                                                                                                           \
         OPTION_CHOICE,                                                                                                            \
         "integer|simulate|off",                                                                                                   \
         "integer",                                                                                                                \
         0,                                                                                                                        \
         0,                                                                                                                        \
         "how a quantized model computes: in integers; as in training, in fp32 on what 8 bits hold; in fp32 as if it were none"},  \
        {"isa", OPTION_TEXT, "NAME", "native", 0, 0, "instruction set of the kernels (`pofac list targets`)"},                     \
        {"cache_dir", OPTION_TEXT, "DIR", NULL, 0, 0, "object cache; default $XDG_CACHE_HOME/pofac/objects"},                      \
        {"jit_debug", OPTION_TEXT, "perf,gdb", NULL, 0, 0, "name kernels to perf (/tmp/perf-PID.map), to gdb, or to both"},        \
        {"no_cache", OPTION_FLAG, NULL, NULL, 0, 0, "compile every kernel anew and keep none"},                                    \
        {"tune",                                                                                                                   \
         OPTION_CHOICE,                                                                                                            \
         "auto|off|again",                                                                                                         \
         "auto",                                                                                                                   \
         0,                                                                                                                        \
         0,                                                                                                                        \
         "how kernels of linear layers are chosen; auto: measured once on this machine; off: by a rule; again: measured anew"},    \
        {"tune_tokens",                                                                                                            \
         OPTION_WHOLE,                                                                                                             \
         "N",                                                                                                                      \
         "0",                                                                                                                      \
         0,                                                                                                                        \
         1 << 20,                                                                                                                  \
         "tokens of a typical batch, for which these kernels are chosen; 0: what the passes that choose say"},                     \
    {                                                                                                                              \
        "kernel_variant", OPTION_LINES, "[REGEX:]VARIANT", NULL, 0, 0,                                                             \
            "kernel of linear layers (whose weights' names have REGEX), as --emit=ir shows it; may be given several times"         \
    }

#define OPTIONS_PASSES                                                                                                             \
    {"print_before", OPTION_TEXT, "PASSES", NULL, 0, 0, "print the IR before these passes (names, or all) on stdout"},             \
        {"print_after", OPTION_TEXT, "PASSES", NULL, 0, 0, "print the IR after these passes (names, or all)"},                     \
        {"print_changed", OPTION_FLAG, NULL, NULL, 0, 0, "print the IR after each pass that changed it"},                          \
        {"print_scope", OPTION_TEXT, "SCOPE", NULL, 0, 0, "print nodes of this scope only, e.g. encoder.layer.0"},                 \
        {"print_locations", OPTION_FLAG, NULL, NULL, 0, 0, "print where each node comes from"},                                    \
        {"full_layers", OPTION_FLAG, NULL, NULL, 0, 0, "print layers that equal the one before them too"},                         \
        {"time_passes", OPTION_FLAG, NULL, NULL, 0, 0, "print the time of each pass on stderr"},                                   \
        {"stop_after", OPTION_TEXT, "PASS", NULL, 0, 0, "leave the pipeline after this pass"}, {                                   \
        "reproducer", OPTION_WRITES, "FILE", "pofac-reproducer.pir", 0, 0, "where a failing pass's input is written"               \
    }

#define OPTIONS_THREADS                                                                                                            \
    { "threads", OPTION_WHOLE, "N", "0", 0, 4096, "threads; 0: as many as the machine and OMP_NUM_THREADS allow" }

typedef struct option_values {
    const option_row *rows;
    size_t n_rows;
    const char **values; /* [n_rows] as given, NULL where absent */
    const char *const *arguments;
    size_t n_arguments;
    bool help;
} option_values;

/* Reads argv[0 .. argc); everything lives in `a` or in argv. POFAC_ERR_USAGE with a message. */
POFAC_MUST_USE pofac_status options_parse(const option_row *rows, size_t n_rows, int argc, char **argv, arena *a,
                                          const diag_sink *sink, option_values *out);

/* Values by name; the name must be in the table. */
bool option_flag(const option_values *o, const char *name);
const char *option_text(const option_values *o, const char *name); /* the fallback, or NULL, when absent */
int64_t option_whole(const option_values *o, const char *name);    /* 0 when absent without fallback */
double option_real(const option_values *o, const char *name);      /* likewise */
int64_t option_size(const option_values *o, const char *name);     /* likewise, in bytes */
bool option_given(const option_values *o, const char *name);

/* Is the text one that the row takes? What a LINES row takes is one of its lines. `place` may be NULL: the command line. */
POFAC_MUST_USE pofac_status options_check_value(const option_row *row, const char *value, const diag_place *place,
                                                const diag_sink *sink);

/* Prints the options' part of a help text. */
void options_help(const option_row *rows, size_t n_rows, FILE *out);

#endif
