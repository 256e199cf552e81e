/* pofac list: the tables that pofac is made of. */
#include <string.h>

#include "frontend/cli/command.h"
#include "frontend/driver/tables.h"

static void put_commands(strbuf *out) {
    for (size_t i = 0; command_row(i); i++) {
        const command *c = command_row(i);
        tables_put(out, c->name, c->meaning);
        for (size_t k = 0; c->child && c->child(k); k++)
            strbuf_printf(out, "  %-22s %s\n", command_word(c->child(k)), c->child(k)->meaning);
    }
}

static const table_row commands_table = {"commands", "sub-commands", put_commands};

/* The driver's tables, then the program's own. */
static const table_row *table(size_t i) {
    if (i > 0 && !tables_row(i) && tables_row(i - 1)) return &commands_table;
    return tables_row(i);
}

static void put_tables(strbuf *out) {
    for (size_t i = 0; table(i); i++) tables_put(out, table(i)->name, table(i)->meaning);
}

static pofac_status unknown_table(const command_input *in, const char *word) {
    size_t n = 0;
    while (table(n)) n++;
    const char **names = ARENA_ARRAY(in->memory, const char *, n);
    if (!names) return diag_out_of_memory(in->sink);
    for (size_t i = 0; i < n; i++) names[i] = table(i)->name;
    const char *near = diag_nearest(word, names, n);
    if (near) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown table \"%s\"; did you mean \"%s\"?", word, near);
    return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown table \"%s\"; `pofac list` names them", word);
}

static pofac_status run(const command_input *in) {
    const char *word = in->options->n_arguments ? in->options->arguments[0] : NULL;
    void (*print)(strbuf *) = word ? NULL : put_tables;
    for (size_t i = 0; word && table(i); i++)
        if (strcmp(word, table(i)->name) == 0) print = table(i)->print;
    if (!print) return unknown_table(in, word);
    strbuf text = STRBUF_INIT;
    print(&text);
    fputs(strbuf_str(&text), stdout);
    strbuf_free(&text);
    return POFAC_OK;
}

const command command_list = {
    .name = "list",
    .arguments = "[TABLE]",
    .max_arguments = 1,
    .plain_arguments = true,
    .run = run,
    .meaning = "print a table: ops, passes, pipelines, kernels, targets, heads, ... (without a name: which there are)"};
