/*
 * Pages and scripts that are made from the tables of commands, options, XML and IR, so that they are never behind: manual pages, completion for shells,
 * the references of docs/ and the schema of descriptions. Each appends its text; memory that is short shows in `out`.
 */
#ifndef POFAC_FRONTEND_CLI_REFERENCE_PAGES_H
#define POFAC_FRONTEND_CLI_REFERENCE_PAGES_H

#include "frontend/cli/command.h"
#include "ir/support/strbuf.h"

typedef struct reference_page {
    const char *name, *meaning;
    void (*write)(strbuf *out); /* NULL: `man`, which has a page for each command */
} reference_page;

/* The pages that `pofac reference` prints; NULL past the end. */
const reference_page *reference_page_at(size_t i);

/* Manual page in man(7) of a command, or of the program for NULL. */
void man_page_write(const command *c, strbuf *out);
/* Appends its name without section: "pofac-data-build". */
void man_page_name(const command *c, strbuf *out);

void completion_bash_write(strbuf *out);
void completion_zsh_write(strbuf *out);

#endif
