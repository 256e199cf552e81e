/* Commands and their options -> completion for zsh: a call of _arguments for each command, with the help of each option. */
#include "frontend/cli/completion_words.h"
#include "frontend/cli/reference_pages.h"

/* Within single quotes; `special` has further characters that _arguments takes for something else. */
static void put_quoted(strbuf *out, const char *text, bool within_brackets) {
    for (; *text; text++) {
        if (*text == '\'') strbuf_puts(out, "'\\''");
        else {
            if (*text == '\\' || (within_brackets && (*text == '[' || *text == ']' || *text == ':'))) strbuf_putc(out, '\\');
            strbuf_putc(out, *text);
        }
    }
}

/* ":value:(a b)", ":file:_files": message and action. */
static void put_action(strbuf *out, completion_kind kind, const char *what, const strbuf *words) {
    strbuf_putc(out, ':');
    put_quoted(out, what, true);
    switch (kind) {
    case COMPLETE_NOTHING: strbuf_puts(out, ": "); break;
    case COMPLETE_WORDS: strbuf_printf(out, ":(%s)", strbuf_str(words)); break;
    case COMPLETE_LIST: strbuf_printf(out, ":_values -s , word %s", strbuf_str(words)); break;
    case COMPLETE_FILES: strbuf_puts(out, ":_files"); break;
    case COMPLETE_FOLDERS: strbuf_puts(out, ":_files -/"); break;
    }
}

/* '--emit=[help]:CHOICE:(ir llvm asm obj)'; `name` with its dashes. */
static void put_option(strbuf *out, const option_row *row, const char *dashes, const char *name, const char *sign) {
    strbuf words = STRBUF_INIT;
    const completion_kind kind = completion_of_option(row, &words);
    strbuf_printf(out, " \\\n            '%s%s%s%s[", row->kind == OPTION_LINES ? "*" : "", dashes, name, sign);
    put_quoted(out, row->help, true);
    strbuf_putc(out, ']');
    if (row->kind != OPTION_FLAG) {
        const bool choice = row->kind == OPTION_CHOICE || row->kind == OPTION_FORM;
        if (row->kind == OPTION_FORM) strbuf_putc(out, ':');
        put_action(out, kind, choice ? "CHOICE" : row->value, &words);
    }
    strbuf_putc(out, '\'');
    out->failed |= words.failed;
    strbuf_free(&words);
}

static void put_command(strbuf *out, const command *c) {
    const option_row *output = completion_short_output(c);
    strbuf words = STRBUF_INIT;
    strbuf_printf(out, "    '%s')\n        _arguments", c->name);
    for (size_t i = 0; i < c->n_rows; i++) {
        const option_kind kind = c->rows[i].kind;
        put_option(out, &c->rows[i], "--", c->rows[i].name, kind == OPTION_FLAG ? "" : kind == OPTION_FORM ? "=-" : "=");
    }
    if (output) put_option(out, output, "-", "o", "");
    strbuf_puts(out, " \\\n            '(- *)'{-h,--help}'[print a short help]'");
    const completion_kind kind = completion_of_arguments(c, &words);
    if (kind != COMPLETE_NOTHING) {
        strbuf_puts(out, " \\\n            '*");
        put_action(out, kind, c->arguments, &words);
        strbuf_putc(out, '\'');
    }
    strbuf_puts(out, "\n        ;;\n");
    out->failed |= words.failed;
    strbuf_free(&words);
}

/* The names and meanings of commands, as _describe takes them. */
static void put_children(strbuf *out, const char *indent, const command *(*row)(size_t)) {
    strbuf_printf(out, "%scommands=(\n", indent);
    for (size_t i = 0; row(i); i++) {
        strbuf_printf(out, "%s    '%s:", indent, command_word(row(i)));
        put_quoted(out, row(i)->meaning, false);
        strbuf_puts(out, "'\n");
    }
    strbuf_printf(out, "%s)\n%s_describe -t commands command commands\n%sreturn\n", indent, indent, indent);
}

void completion_zsh_write(strbuf *out) {
    strbuf_puts(
        out,
        "#compdef pofac\n# Completion of pofac's commands, options and their values for zsh; made by `pofac reference zsh`.\n\n"
        "_pofac() {\n    local command=$words[2]\n    local -a commands\n    if (( CURRENT == 2 )); then\n");
    put_children(out, "        ", command_row);
    strbuf_puts(out, "    fi\n");
    for (size_t i = 0; command_row(i); i++) {
        if (!command_row(i)->child) continue;
        strbuf_printf(out, "    if [[ $command == %s ]]; then\n        if (( CURRENT == 3 )); then\n", command_row(i)->name);
        put_children(out, "            ", command_row(i)->child);
        strbuf_puts(out, "        fi\n        command+=\" $words[3]\"\n        shift words\n        (( CURRENT -= 1 ))\n    fi\n");
    }
    strbuf_puts(out, "    shift words\n    (( CURRENT -= 1 ))\n    case $command in\n");
    for (size_t i = 0; command_row(i); i++) {
        const command *c = command_row(i);
        if (!c->child) put_command(out, c);
        for (size_t k = 0; c->child && c->child(k); k++) put_command(out, c->child(k));
    }
    strbuf_puts(out, "    esac\n}\n\n_pofac \"$@\"\n");
}
