/*
 * Commands and their options -> manual pages in man(7): NAME, SYNOPSIS, DESCRIPTION, COMMANDS or OPTIONS, EXIT STATUS, ENVIRONMENT, SEE ALSO. What
 * --help says, with ranges of numbers beside. Text between backquotes is bold; lines of details that begin with "pofac " are examples.
 */
#include <string.h>

#include "frontend/cli/completion_words.h"
#include "frontend/cli/reference_pages.h"

/* Characters that groff would take for something else, and backquotes around what is to be typed. */
static void put_text(strbuf *out, const char *text, size_t n) {
    bool bold = false;
    if (n && (*text == '.' || *text == '\'')) strbuf_puts(out, "\\&");
    for (size_t i = 0; i < n; i++) switch (text[i]) {
        case '\\': strbuf_puts(out, "\\e"); break;
        case '-': strbuf_puts(out, "\\-"); break;
        case '\'': strbuf_puts(out, "\\(aq"); break;
        case '^': strbuf_puts(out, "\\(ha"); break;
        case '~': strbuf_puts(out, "\\(ti"); break;
        case '"': strbuf_puts(out, "\\(dq"); break;
        case '`':
            bold = !bold;
            strbuf_puts(out, bold ? "\\fB" : "\\fR");
            break;
        default: strbuf_putc(out, text[i]);
        }
    if (bold) strbuf_puts(out, "\\fR");
}

static void put_string(strbuf *out, const char *text) { put_text(out, text, strlen(text)); }

void man_page_name(const command *c, strbuf *out) {
    strbuf_puts(out, c ? "pofac-" : "pofac");
    for (const char *at = c ? c->name : ""; *at; at++) strbuf_append(out, *at == ' ' ? "-" : at, 1);
}

static void put_name(strbuf *out, const command *c) {
    strbuf name = STRBUF_INIT;
    man_page_name(c, &name);
    put_string(out, strbuf_str(&name));
    out->failed |= name.failed;
    strbuf_free(&name);
}

static void put_head(strbuf *out, const command *c, const char *meaning) {
    strbuf_puts(out, ".\\\" made from the program's tables by `pofac reference man`\n.TH ");
    put_name(out, c);
    strbuf_puts(out, " 1 \"\" \"pofac " POFAC_VERSION "\" \"pofac manual\"\n.SH NAME\n");
    put_name(out, c);
    strbuf_puts(out, " \\- ");
    put_string(out, meaning);
    strbuf_puts(out, "\n.SH SYNOPSIS\n");
}

/* Lines of help: those that begin with "pofac " as they are, the others as one paragraph. */
static void put_details(strbuf *out, const char *details) {
    bool example = false;
    while (*details) {
        const size_t n = strcspn(details, "\n");
        const bool is_example = strncmp(details, "pofac ", 6) == 0;
        if (is_example && !example) strbuf_puts(out, ".PP\n.nf\n.RS 4\n");
        if (!is_example && example) strbuf_puts(out, ".RE\n.fi\n.PP\n");
        example = is_example;
        put_text(out, details, n);
        strbuf_putc(out, '\n');
        details += n + (details[n] == '\n');
    }
    if (example) strbuf_puts(out, ".RE\n.fi\n");
}

/* "one of a, b, c", "a whole number from 1 to 512": what the help leaves to the table. */
static void put_range(strbuf *out, const option_row *row) {
    if (row->kind == OPTION_CHOICE || row->kind == OPTION_FORM) {
        strbuf_puts(out, "\nOne of");
        for (const char *at = row->value; *at;) {
            const size_t n = strcspn(at, "|");
            strbuf_puts(out, at == row->value ? " \\fB" : ", \\fB");
            put_text(out, at, n);
            strbuf_puts(out, "\\fR");
            at += n + (at[n] == '|');
        }
        strbuf_puts(out, ".");
    } else if (row->kind == OPTION_WHOLE && row->high == INT64_MAX)
        strbuf_printf(out, "\nA whole number from %lld.", (long long)row->low);
    else if (row->kind == OPTION_WHOLE)
        strbuf_printf(out, "\nA whole number from %lld to %lld.", (long long)row->low, (long long)row->high);
    else if (row->kind == OPTION_SIZE) strbuf_puts(out, "\nBytes: a number with K, M, G or T behind it, or without.");
    if (row->fallback && *row->fallback) {
        strbuf_puts(out, "\nDefault: \\fB");
        put_string(out, row->fallback);
        strbuf_puts(out, "\\fR.");
    }
}

static void put_value(strbuf *out, const option_row *row) {
    const bool choice = row->kind == OPTION_CHOICE || row->kind == OPTION_FORM;
    if (row->kind == OPTION_FLAG) return;
    strbuf_puts(out, row->kind == OPTION_FORM ? "[=\\fI" : " \\fI");
    put_string(out, choice ? "CHOICE" : row->value);
    strbuf_puts(out, row->kind == OPTION_FORM ? "\\fR]" : "\\fR");
}

static void put_options(strbuf *out, const command *c) {
    const option_row *output = completion_short_output(c);
    strbuf_puts(out, ".SH OPTIONS\n.PP\nA value follows its option or a \\(aq=\\(aq: \\fB\\-\\-name\\fR \\fIvalue\\fR, "
                     "\\fB\\-\\-name=\\fR\\fIvalue\\fR.\n"
                     "In names \\(aq\\-\\(aq and \\(aq_\\(aq are the same.\n");
    for (size_t i = 0; i < c->n_rows; i++) {
        strbuf_puts(out, ".TP\n\\fB\\-\\-");
        put_string(out, c->rows[i].name);
        strbuf_puts(out, "\\fR");
        put_value(out, &c->rows[i]);
        if (&c->rows[i] == output) {
            strbuf_puts(out, ", \\fB\\-o\\fR");
            put_value(out, &c->rows[i]);
        }
        strbuf_putc(out, '\n');
        put_string(out, c->rows[i].help);
        const size_t n = strlen(c->rows[i].help);
        if (n && c->rows[i].help[n - 1] != '.') strbuf_putc(out, '.');
        put_range(out, &c->rows[i]);
        strbuf_putc(out, '\n');
    }
    strbuf_puts(out, ".TP\n\\fB\\-\\-help\\fR, \\fB\\-h\\fR\nprint a short form of this text.\n");
}

static void put_children(strbuf *out, const command *(*row)(size_t)) {
    strbuf_puts(out, ".SH COMMANDS\n");
    for (size_t i = 0; row(i); i++) {
        strbuf_puts(out, ".TP\n\\fB");
        put_name(out, row(i));
        strbuf_puts(out, "\\fR(1)\n");
        put_string(out, row(i)->meaning);
        strbuf_putc(out, '\n');
    }
}

static void put_environment(strbuf *out) {
    strbuf_puts(out, ".SH EXIT STATUS\n"
                     "0 success, 1 failure at run time, 2 usage, 3 bad input, 4 numeric failure, 128 + signal when interrupted.\n"
                     "Results go to standard output, messages to standard error.\n"
                     ".SH ENVIRONMENT\n"
                     ".TP\n\\fBXDG_CACHE_HOME\\fR\nthe object cache is in its folder pofac/objects; default \\fB$HOME/.cache\\fR.\n"
                     ".TP\n\\fBOMP_NUM_THREADS\\fR\nthe most threads that \\fB\\-\\-threads 0\\fR takes.\n"
                     ".TP\n\\fBNO_COLOR\\fR\nif it is set, progress is written without colours.\n");
}

static void put_see_also(strbuf *out, const command *c) {
    strbuf_puts(out, ".SH SEE ALSO\n");
    if (c && strchr(c->name, ' ')) {
        strbuf_puts(out, "\\fBpofac\\-");
        put_text(out, c->name, strcspn(c->name, " "));
        strbuf_puts(out, "\\fR(1),\n");
    }
    if (c) strbuf_puts(out, "\\fBpofac\\fR(1)\n");
    else strbuf_puts(out, "\\fBpofac COMMAND \\-\\-help\\fR, \\fBpofac list\\fR, \\fBpofac reference\\fR\n");
}

static void put_program(strbuf *out) {
    put_head(out, NULL, "compile, train and run sparse BERT models on CPUs");
    strbuf_puts(
        out,
        "\\fBpofac\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n.SH DESCRIPTION\n"
        "Takes BERT\\-like models through a compiler to predictions on CPUs: prunes them, trains them, puts them into 8 bits, and\n"
        "does not compute their zeros.\n"
        "A \\fIMODEL\\fR is a Hugging Face directory, an XML description or a compiled model.\n");
    put_children(out, command_row);
}

void man_page_write(const command *c, strbuf *out) {
    if (!c) put_program(out);
    else {
        put_head(out, c, c->meaning);
        strbuf_puts(out, "\\fBpofac ");
        put_string(out, c->name);
        strbuf_puts(out,
                    c->child ? "\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n" : "\\fR [\\fIOPTION\\fR...]");
        if (!c->child && *c->arguments) {
            strbuf_puts(out, " \\fI");
            put_string(out, c->arguments);
            strbuf_puts(out, "\\fR");
        }
        if (!c->child) strbuf_putc(out, '\n');
        strbuf_puts(out, ".SH DESCRIPTION\n");
        put_string(out, c->meaning);
        strbuf_puts(out, ".\n");
        if (c->details) strbuf_puts(out, ".PP\n");
        if (c->details) put_details(out, c->details);
        if (c->child) put_children(out, c->child);
        else put_options(out, c);
    }
    put_environment(out);
    put_see_also(out, c);
}
