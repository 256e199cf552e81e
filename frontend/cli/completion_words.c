/* Rows of tables -> kinds and words of completions; see completion_words.h. */
#include "frontend/cli/completion_words.h"

#include <string.h>

#include "frontend/cli/reference_pages.h"
#include "frontend/driver/tables.h"

static void put_word(strbuf *words, const char *word, size_t n) {
    if (words->size) strbuf_putc(words, ' ');
    strbuf_append(words, word, n);
}

/* The first words of the table's rows; lines that begin with a blank belong to the row above them. */
static void put_table(strbuf *words, const table_row *table) {
    strbuf text = STRBUF_INIT;
    table->print(&text);
    for (const char *line = strbuf_str(&text); *line; line += strspn(line, "\n")) {
        const size_t n = strcspn(line, " \t\n");
        if (n) put_word(words, line, n);
        line += strcspn(line, "\n");
    }
    words->failed |= text.failed;
    strbuf_free(&text);
}

/* Appends the rows of the table of this name ("targets" or "targets`)"); false: there is none. */
static bool put_named_table(strbuf *words, const char *name) {
    const size_t n = strcspn(name, "`|) ");
    for (size_t i = 0; tables_row(i); i++) {
        if (strlen(tables_row(i)->name) != n || memcmp(tables_row(i)->name, name, n) != 0) continue;
        put_table(words, tables_row(i));
        return true;
    }
    return false;
}

static completion_kind put_choices(strbuf *words, const char *choices) {
    while (*choices) {
        const size_t n = strcspn(choices, "|");
        put_word(words, choices, n);
        choices += n + (choices[n] == '|');
    }
    return COMPLETE_WORDS;
}

completion_kind completion_of_option(const option_row *row, strbuf *words) {
    static const char listing[] = "`pofac list ";
    if (row->kind == OPTION_FLAG || !row->value) return COMPLETE_NOTHING;
    if (row->kind == OPTION_CHOICE || row->kind == OPTION_FORM) return put_choices(words, row->value);
    if (strcmp(row->value, "PASS") == 0) return put_named_table(words, "passes") ? COMPLETE_WORDS : COMPLETE_NOTHING;
    if (strcmp(row->value, "PASSES") == 0) {
        const bool pipelines = strstr(row->help, "pipelines") && put_named_table(words, "pipelines");
        return put_named_table(words, "passes") || pipelines ? COMPLETE_LIST : COMPLETE_NOTHING;
    }
    if (strcmp(row->value, "perf,gdb") == 0) {
        strbuf_puts(words, "perf gdb");
        return COMPLETE_LIST;
    }
    const size_t n = strlen(row->name);
    if (strcmp(row->value, "DIR") == 0 || (n > 4 && strcmp(row->name + n - 4, "_dir") == 0)) return COMPLETE_FOLDERS;
    if (row->kind == OPTION_READS || row->kind == OPTION_WRITES) return COMPLETE_FILES;
    if (strstr(row->value, "FILE") || strstr(row->value, "PATH") || strstr(row->value, "MODEL")) return COMPLETE_FILES;
    const char *table = strstr(row->help, listing);
    return table && put_named_table(words, table + sizeof listing - 1) ? COMPLETE_WORDS : COMPLETE_NOTHING;
}

completion_kind completion_of_arguments(const command *c, strbuf *words) {
    if (!*c->arguments) return COMPLETE_NOTHING;
    if (strstr(c->arguments, "TABLE")) {
        for (size_t i = 0; tables_row(i); i++) put_word(words, tables_row(i)->name, strlen(tables_row(i)->name));
        return COMPLETE_WORDS;
    }
    if (strstr(c->arguments, "PAGE")) {
        for (size_t i = 0; reference_page_at(i); i++)
            put_word(words, reference_page_at(i)->name, strlen(reference_page_at(i)->name));
        return COMPLETE_WORDS;
    }
    return COMPLETE_FILES;
}

const option_row *completion_short_output(const command *c) {
    static const char *const names[] = {"output", "output_dir"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t i = 0; i < c->n_rows; i++)
            if (strcmp(c->rows[i].name, names[k]) == 0) return &c->rows[i];
    return NULL;
}
