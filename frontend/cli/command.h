/*
 * Sub-commands of the program: one row of commands.def and one file cmd_NAME.c each. A command reads its options, calls the driver,
 * prints results on stdout and returns a status, which main turns into the exit code. Messages go to `sink`, which prints on
 * stderr.
 */
#ifndef POFAC_FRONTEND_CLI_COMMAND_H
#define POFAC_FRONTEND_CLI_COMMAND_H

#include "frontend/cli/options.h"
#include "frontend/driver/interruption.h"

typedef struct command_input {
    const option_values *options; /* read and checked against the command's table */
    arena *memory;
    const diag_sink *sink;
    interruption *stop; /* begun by commands that run long and can stop in between; ended by main */
} command_input;

typedef struct command {
    const char *name;
    const char *arguments; /* "MODEL [FILE...]", for the help */
    size_t min_arguments, max_arguments;
    bool plain_arguments; /* they are not paths of files that are read */
    const option_row *rows;
    size_t n_rows;
    pofac_status (*run)(const command_input *in);
    const char *meaning, *details; /* details: more lines of help, or NULL */
    /* A command that has commands of its own ("data build") is a name for them: child(i) is the i-th, NULL past the end. */
    const struct command *(*child)(size_t i);
} command;

/* The word by which a command is called: "build" of "data build". */
const char *command_word(const command *c);

/* The commands in the order of commands.def; NULL past the end. */
const command *command_row(size_t i);

#define COMMAND(id, name) extern const command command_##id;
#include "frontend/cli/commands.def"
#undef COMMAND

/* The commands of `pofac data`: `const command command_data_ID` stands in frontend/cli/cmd_data_ID.c. */
#define DATA_COMMAND(id, name) extern const command command_data_##id;
#include "frontend/cli/data_commands.def"
#undef DATA_COMMAND

#endif
