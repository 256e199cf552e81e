/*
 * What may be written behind an option or as an argument of a command, for shells that complete words. It is read from the tables: a
 * choice has its words; what is read or written, or called FILE, PATH, DIR or MODEL, is a place; a value whose help names a table ("`pofac list targets`")
 * is one of its rows.
 */
#ifndef POFAC_FRONTEND_CLI_COMPLETION_WORDS_H
#define POFAC_FRONTEND_CLI_COMPLETION_WORDS_H

#include "frontend/cli/command.h"
#include "ir/support/strbuf.h"

typedef enum completion_kind {
    COMPLETE_NOTHING, /* a number, a name that no table has */
    COMPLETE_WORDS,
    COMPLETE_LIST, /* words with commas between them */
    COMPLETE_FILES,
    COMPLETE_FOLDERS
} completion_kind;

/* Of the option's value; appends the words to `words`, each behind a blank but the first. Not for flags, which have none. */
completion_kind completion_of_option(const option_row *row, strbuf *words);

/* Of the command's arguments, likewise. */
completion_kind completion_of_arguments(const command *c, strbuf *words);

/* The row that -o means: `output`, or else `output_dir`; NULL: the command has neither. */
const option_row *completion_short_output(const command *c);

#endif
