/* Reading the command line against a table; see options.h. */
#include "frontend/cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/decimal.h"

/* Equality of option names: '-' and '_' are the same. `n` bytes of `given`. */
static bool same_name(const char *row, const char *given, size_t n) {
    size_t i = 0;
    for (; i < n && row[i]; i++) {
        const bool same = given[i] == row[i] || (given[i] == '-' && row[i] == '_');
        if (!same) return false;
    }
    return i == n && !row[i];
}

static size_t find_row(const option_row *rows, size_t n_rows, const char *given, size_t n) {
    for (size_t i = 0; i < n_rows; i++)
        if (same_name(rows[i].name, given, n)) return i;
    return n_rows;
}

/* `given` as the user wrote it, up to the value. */
static pofac_status unknown_option(const option_row *rows, size_t n_rows, const char *given, arena *a, const diag_sink *sink) {
    const char **names = ARENA_ARRAY(a, const char *, n_rows + 1);
    size_t n = strcspn(given, "="), dashes = given[1] == '-' ? 2 : 1;
    char *word = arena_strndup(a, given + dashes, n - dashes);
    if (!names || !word) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n_rows; i++) names[i] = rows[i].name;
    for (char *c = word; *c; c++)
        if (*c == '-') *c = '_';
    const char *near = diag_nearest(word, names, n_rows);
    if (near) return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown option %.*s; did you mean --%s?", (int)n, given, near);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown option %.*s; see --help", (int)n, given);
}

static bool is_choice(const char *choices, const char *value) {
    size_t n = strlen(value);
    for (const char *at = choices;; at++) {
        size_t length = strcspn(at, "|");
        if (length == n && memcmp(at, value, n) == 0) return true;
        at += length;
        if (!*at) return false;
    }
}

/* Reads the option argv[*at]; *at becomes the last word that belongs to it. */
static pofac_status take_option(int argc, char **argv, int *at, arena *a, const diag_sink *sink, option_values *out) {
    const char *word = argv[*at], *name = word + (word[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
    bool is_short = word[1] != '-';
    size_t n = equals ? (size_t)(equals - name) : strlen(name), row = out->n_rows;
    if (!is_short) row = find_row(out->rows, out->n_rows, name, n);
    else if (n == 1 && *name == 'o') {
        row = find_row(out->rows, out->n_rows, "output", strlen("output"));
        if (row == out->n_rows) row = find_row(out->rows, out->n_rows, "output_dir", strlen("output_dir"));
    }
    if (row == out->n_rows) return unknown_option(out->rows, out->n_rows, word, a, sink);
    const option_row *r = &out->rows[row];
    const char *value = equals ? equals + 1 : r->kind == OPTION_FLAG ? "true" : NULL;
    if (!value && r->kind == OPTION_FORM) {
        value = arena_strndup(a, r->value, strcspn(r->value, "|"));
        if (!value) return diag_out_of_memory(sink);
    }
    if (!value && *at + 1 < argc) {
        value = argv[++*at];
        if (strncmp(value, "--", 2) == 0)
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "--%s needs a value: %s; found %s (a value like this is written --%s=%s)", r->name, r->value, value,
                              r->name, value);
    }
    if (!value) return diag_error(sink, POFAC_ERR_USAGE, NULL, "--%s needs a value: %s", r->name, r->value);
    if (r->kind == OPTION_LINES && out->values[row]) {
        value = arena_printf(a, "%s\n%s", out->values[row], value);
        if (!value) return diag_out_of_memory(sink);
    }
    out->values[row] = value;
    return options_check_value(r, value, NULL, sink);
}

pofac_status options_parse(const option_row *rows, size_t n_rows, int argc, char **argv, arena *a, const diag_sink *sink,
                           option_values *out) {
    *out = (option_values){.rows = rows, .n_rows = n_rows, .values = ARENA_ARRAY(a, const char *, n_rows + 1)};
    const char **arguments = ARENA_ARRAY(a, const char *, (size_t)argc + 1);
    if (!out->values || !arguments) return diag_out_of_memory(sink);
    out->arguments = arguments;
    bool options_end = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (options_end || word[0] != '-' || word[1] == 0) arguments[out->n_arguments++] = word;
        else if (strcmp(word, "--") == 0) options_end = true;
        else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) out->help = true;
        else TRY(take_option(argc, argv, &i, a, sink, out));
    }
    return POFAC_OK;
}

static const char *value_of(const option_values *o, const char *name) {
    size_t row = find_row(o->rows, o->n_rows, name, strlen(name));
    if (row == o->n_rows) return NULL;
    return o->values[row] ? o->values[row] : o->rows[row].fallback;
}

bool option_flag(const option_values *o, const char *name) {
    const char *value = value_of(o, name);
    return value && strcmp(value, "true") == 0;
}

const char *option_text(const option_values *o, const char *name) { return value_of(o, name); }

int64_t option_whole(const option_values *o, const char *name) {
    const char *value = value_of(o, name);
    return value ? strtoll(value, NULL, 10) : 0;
}

double option_real(const option_values *o, const char *name) {
    const char *value = value_of(o, name);
    double real = 0.0;
    return value && decimal_read(value, strlen(value), &real) ? real : 0.0;
}

int64_t option_size(const option_values *o, const char *name) {
    const char *value = value_of(o, name);
    int64_t size = 0;
    return value && decimal_read_bytes(value, &size) ? size : 0;
}

bool option_given(const option_values *o, const char *name) {
    size_t row = find_row(o->rows, o->n_rows, name, strlen(name));
    return row < o->n_rows && o->values[row];
}

pofac_status options_check_value(const option_row *row, const char *value, const diag_place *place, const diag_sink *sink) {
    const pofac_status wrong = place ? POFAC_ERR_INPUT : POFAC_ERR_USAGE;
    int64_t size;
    if (row->kind == OPTION_SIZE && (!decimal_read_bytes(value, &size) || size < row->low || size > row->high))
        return diag_error(sink, wrong, place, "--%s is \"%s\", wanted a number of bytes like 512M or 2G", row->name, value);
    double real;
    if (row->kind == OPTION_REAL && !(decimal_read(value, strlen(value), &real) && isfinite(real)))
        return diag_error(sink, wrong, place, "--%s is \"%s\", wanted a number", row->name, value);
    if ((row->kind == OPTION_CHOICE || row->kind == OPTION_FORM) && !is_choice(row->value, value))
        return diag_error(sink, wrong, place, "--%s is \"%s\", wanted %s", row->name, value, row->value);
    if (row->kind == OPTION_FLAG && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return diag_error(sink, wrong, place, "--%s is \"%s\", wanted true or false", row->name, value);
    if (row->kind != OPTION_WHOLE) return POFAC_OK;
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool is_number = *value && !isspace((unsigned char)*value) && !*end && !errno;
    if (!is_number || number < row->low || number > row->high)
        return diag_error(sink, wrong, place, "--%s is \"%s\", wanted a whole number from %lld to %lld", row->name, value,
                          (long long)row->low, (long long)row->high);
    return POFAC_OK;
}

enum { HELP_INDENT = 29, HELP_COLUMNS = 200 };

/* " (a|b|c)" behind `column` columns; goes on in the next line, under the help, before it would be too long. */
static void put_choices(const char *choices, size_t column, FILE *out) {
    fputs(" (", out);
    column += 2;
    while (*choices) {
        const size_t n = strcspn(choices, "|"), with_bar = n + (choices[n] == '|');
        if (column + with_bar + 1 > HELP_COLUMNS) column = (size_t)fprintf(out, "\n%*s", HELP_INDENT, "") - 1;
        fprintf(out, "%.*s", (int)with_bar, choices);
        column += with_bar;
        choices += with_bar;
    }
    fputc(')', out);
}

void options_help(const option_row *rows, size_t n_rows, FILE *out) {
    for (size_t i = 0; i < n_rows; i++) {
        char left[64];
        bool form = rows[i].kind == OPTION_FORM, choice = form || rows[i].kind == OPTION_CHOICE;
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name,
                 form                          ? "[="
                 : rows[i].kind == OPTION_FLAG ? ""
                                               : " ",
                 form                          ? "CHOICE]"
                 : choice                      ? "CHOICE"
                 : rows[i].kind == OPTION_FLAG ? ""
                                               : rows[i].value);
        const int column = fprintf(out, "  %-26s %s", left, rows[i].help);
        if (choice) put_choices(rows[i].value, column > 0 ? (size_t)column : 0, out);
        if (rows[i].fallback) fprintf(out, " [%s]", rows[i].fallback);
        fputc('\n', out);
    }
    fprintf(out, "  %-26s %s\n", "--help, -h", "print this text");
}
