/* pofac reference: pages and scripts made from the tables. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/reference_pages.h"
#include "frontend/driver/description_pages.h"
#include "ir/support/file_map.h"

static const option_row rows[] = {
    {"output", OPTION_WRITES, "PATH", NULL, 0, 0,
     "where it goes; of man without a command a folder, which gets the pages of all commands; default stdout"}};

static const reference_page pages[] = {
    {"man", "the manual page of a command, or of pofac without one", NULL},
    {"bash", "completion for bash: source <(pofac reference bash)", completion_bash_write},
    {"zsh", "completion for zsh, a file _pofac in a folder of $fpath", completion_zsh_write},
    {"xml", "docs/xml-reference.md: elements and attributes of descriptions", description_reference_write},
    {"schema", "the RELAX NG schema of descriptions, for editors", description_schema_write},
    {"ir", "docs/ir-reference.md: element types, operations, passes, pipelines", ir_reference_write},
};

const reference_page *reference_page_at(size_t i) { return i < sizeof pages / sizeof *pages ? &pages[i] : NULL; }

static const reference_page *find_page(const char *name) {
    for (size_t i = 0; reference_page_at(i); i++)
        if (strcmp(reference_page_at(i)->name, name) == 0) return reference_page_at(i);
    return NULL;
}

static pofac_status unknown_page(const command_input *in, const char *word) {
    const char *names[sizeof pages / sizeof *pages];
    for (size_t i = 0; reference_page_at(i); i++) names[i] = reference_page_at(i)->name;
    const char *near = diag_nearest(word, names, sizeof names / sizeof *names);
    if (near) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown page \"%s\"; did you mean \"%s\"?", word, near);
    return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown page \"%s\"; see `pofac reference --help`", word);
}

static const command *find_word(const char *word, const command *(*row)(size_t)) {
    for (size_t i = 0; row && row(i); i++)
        if (strcmp(command_word(row(i)), word) == 0) return row(i);
    return NULL;
}

/* The command that the words behind "man" name: "data", "build". */
static pofac_status find_command(const command_input *in, const command **out) {
    const option_values *o = in->options;
    const command *(*row)(size_t) = command_row;
    *out = NULL;
    for (size_t i = 1; i < o->n_arguments; i++) {
        *out = find_word(o->arguments[i], row);
        if (!*out)
            return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown command \"%s\"; see `pofac --help`", o->arguments[i]);
        row = (*out)->child;
    }
    return POFAC_OK;
}

/* A page of the manual in the folder --output. */
static pofac_status write_page(const command_input *in, const command *c) {
    strbuf path = STRBUF_INIT, text = STRBUF_INIT;
    strbuf_printf(&path, "%s/", option_text(in->options, "output"));
    man_page_name(c, &path);
    strbuf_puts(&path, ".1");
    man_page_write(c, &text);
    pofac_status status = strbuf_ok(&path) && strbuf_ok(&text) ? file_write_all(strbuf_str(&path), text.data, text.size, in->sink)
                                                               : diag_out_of_memory(in->sink);
    strbuf_free(&path);
    strbuf_free(&text);
    return status;
}

static pofac_status write_manual(const command_input *in) {
    const char *folder = option_text(in->options, "output");
    const diag_place place = {.file = folder};
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return diag_error(in->sink, POFAC_ERR_RUNTIME, &place, "cannot make the folder: %s", strerror(errno));
    TRY(write_page(in, NULL));
    for (size_t i = 0; command_row(i); i++) {
        const command *c = command_row(i);
        TRY(write_page(in, c));
        for (size_t k = 0; c->child && c->child(k); k++) TRY(write_page(in, c->child(k)));
    }
    return POFAC_OK;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const reference_page *page = find_page(o->arguments[0]);
    const command *c;
    if (!page) return unknown_page(in, o->arguments[0]);
    if (page->write && o->n_arguments > 1)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "pofac reference %s: found \"%s\", wanted nothing more", page->name,
                          o->arguments[1]);
    TRY(find_command(in, &c));
    if (!page->write && !c && option_given(o, "output")) return write_manual(in);
    strbuf text = STRBUF_INIT;
    if (page->write) page->write(&text);
    else man_page_write(c, &text);
    pofac_status status = strbuf_ok(&text) ? arguments_write(in, strbuf_str(&text), text.size) : diag_out_of_memory(in->sink);
    strbuf_free(&text);
    return status;
}

const command command_reference = {
    .name = "reference",
    .arguments = "PAGE [COMMAND]",
    .min_arguments = 1,
    .max_arguments = 3,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "print what is made from pofac's tables: manual pages, completion for shells, references of XML and IR",
    .details = "pofac reference man train | man -l -\n"
               "PAGE is man, bash (source <(pofac reference bash)), zsh (a file _pofac in a folder of $fpath), xml, ir "
               "(docs/xml-reference.md,\n"
               "docs/ir-reference.md), or schema (RELAX NG of descriptions, for editors)."};
