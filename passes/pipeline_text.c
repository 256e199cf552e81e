/*
 * Pipelines as text <-> steps: a reader by recursive descent over the grammar in pass.h. A named pipeline is read in its place, by
 * the same reader over the text of its row; it may name only rows above its own, so reading ends.
 */
#include <string.h>

#include "passes/pass.h"

#define MAX_STEPS 1000 /* bounds the time that a pipeline given as text can take; "infer" has 11 */

typedef struct pipeline_reader {
    const char *text, *at;
    size_t n_pipelines; /* rows that may be named */
    arena *memory;
    const diag_sink *sink;
    VEC(pass_step) steps;
} pipeline_reader;

/* ---- words ---- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static void skip_spaces(pipeline_reader *r) {
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r') r->at++;
}

/* Takes `c` with the spaces around it; false, and only the spaces before it taken, where something else stands. */
static bool take(pipeline_reader *r, char c) {
    skip_spaces(r);
    if (*r->at != c) return false;
    r->at++;
    skip_spaces(r);
    return true;
}

/* "found X, wanted WANTED" at a place in the text: X is the word there, else one character, else the end. */
static pofac_status reader_error(const pipeline_reader *r, const char *at, const char *wanted) {
    diag_place place = {.file = "pipeline", .line = 1, .text = r->text};
    for (const char *c = r->text; c < at; c++)
        if (*c == '\n') place.line++, place.text = c + 1;
    place.column = (uint32_t)(at - place.text) + 1;
    place.text_bytes = strcspn(place.text, "\n");
    int n = 0;
    while (is_word(at[n]) && n < 100) n++;
    if (*at == 0) return diag_error(r->sink, POFAC_ERR_USAGE, &place, "found the end, wanted %s", wanted);
    if (n == 0)
        for (n = 1; ((unsigned char)at[n] & 0xC0) == 0x80; n++) continue; /* a character of UTF-8 */
    return diag_error(r->sink, POFAC_ERR_USAGE, &place, "found \"%.*s\", wanted %s", n, at, wanted);
}

/* The word at the reader's place; *word is "" where none stands. */
static pofac_status read_word(pipeline_reader *r, const char **word) {
    const char *start = r->at;
    while (is_word(*r->at)) r->at++;
    *word = arena_strndup(r->memory, start, (size_t)(r->at - start));
    return *word ? POFAC_OK : diag_out_of_memory(r->sink);
}

/* reader_error with WANTED, and what the reader may have meant. */
static pofac_status unknown_word(const pipeline_reader *r, const char *at, const char *wanted, const char *near) {
    char *text = near ? arena_printf(r->memory, "%s; did you mean \"%s\"?", wanted, near) : arena_strdup(r->memory, wanted);
    return text ? reader_error(r, at, text) : diag_out_of_memory(r->sink);
}

/* ---- options ---- */

#define MAX_NAMES 64 /* that are suggested for an unknown word */

static pofac_status unknown_option(const pipeline_reader *r, const char *at, const char *pass, const char *word) {
    const char *names[MAX_NAMES];
    size_t n = 0;
    for (size_t i = 0; pass_option_row(i) && n < MAX_NAMES; i++)
        if (strcmp(pass_option_row(i)->pass, pass) == 0) names[n++] = pass_option_row(i)->name;
    char *wanted = arena_printf(r->memory, n ? "an option of %s" : "\"}\", as %s has no options", pass);
    return wanted ? unknown_word(r, at, wanted, diag_nearest(word, names, n)) : diag_out_of_memory(r->sink);
}

/* NAME=VALUE of an option that was not given before. */
static pofac_status read_option(pipeline_reader *r, const char *pass, const pass_option *given, size_t n_given, pass_option *out) {
    const char *at = r->at;
    TRY(read_word(r, &out->name));
    const pass_option_schema *option = pass_option_find(pass, out->name);
    if (!option) return unknown_option(r, at, pass, out->name);
    for (size_t i = 0; i < n_given; i++)
        if (strcmp(given[i].name, out->name) == 0) return reader_error(r, at, "each option once");
    if (!take(r, '=')) return reader_error(r, r->at, "\"=\"");
    at = r->at;
    TRY(read_word(r, &out->value));
    return pass_option_takes(option, out->value, NULL) ? POFAC_OK : reader_error(r, at, option->values);
}

static pofac_status read_options(pipeline_reader *r, pass_step *step) {
    pass_option options[MAX_NAMES];
    size_t n = 0;
    if (!take(r, '{') || take(r, '}')) return POFAC_OK;
    do {
        if (n == MAX_NAMES) return reader_error(r, r->at, "\"}\"");
        TRY(read_option(r, step->pass->name, options, n, &options[n]));
        n++;
    } while (take(r, ','));
    if (!take(r, '}')) return reader_error(r, r->at, "\",\" or \"}\"");
    step->n_options = n;
    step->options = arena_copy(r->memory, options, n * sizeof *options);
    return step->options ? POFAC_OK : diag_out_of_memory(r->sink);
}

/* ---- items ---- */

static pofac_status read_items(pipeline_reader *r);

static pofac_status read_named(pipeline_reader *r, size_t row) {
    pipeline_reader outer = *r;
    r->text = r->at = pipeline_row(row)->passes;
    r->n_pipelines = row;
    pofac_status status = read_items(r);
    r->text = outer.text;
    r->at = outer.at;
    r->n_pipelines = outer.n_pipelines;
    return status;
}

static pofac_status unknown_item(const pipeline_reader *r, const char *at, const char *word) {
    const char *names[MAX_NAMES];
    size_t n = 0;
    for (size_t i = 0; pass_row(i) && n < MAX_NAMES; i++) names[n++] = pass_row(i)->name;
    for (size_t i = 0; i < r->n_pipelines && n < MAX_NAMES; i++) names[n++] = pipeline_row(i)->name;
    return unknown_word(r, at, "a pass or a pipeline", diag_nearest(word, names, n));
}

static pofac_status read_item(pipeline_reader *r) {
    const char *at = r->at, *word;
    TRY(read_word(r, &word));
    for (size_t i = 0; i < r->n_pipelines; i++)
        if (strcmp(pipeline_row(i)->name, word) == 0) return read_named(r, i);
    pass_step step = {.pass = pass_find(word)};
    if (!step.pass) return unknown_item(r, at, word);
    TRY(read_options(r, &step));
    if (r->steps.size >= MAX_STEPS) return reader_error(r, at, "the end after 1000 passes");
    return VEC_PUSH(&r->steps, step) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_items(pipeline_reader *r) {
    do TRY(read_item(r));
    while (take(r, ','));
    return *r->at ? reader_error(r, r->at, "\",\" or the end") : POFAC_OK;
}

pofac_status pipeline_parse(const char *text, arena *a, const diag_sink *sink, pass_pipeline *out) {
    *out = (pass_pipeline){0};
    pipeline_reader r = {.text = text, .at = text, .memory = a, .sink = sink};
    while (pipeline_row(r.n_pipelines)) r.n_pipelines++;
    skip_spaces(&r);
    pofac_status status = *r.at ? read_items(&r) : POFAC_OK; /* no passes is a pipeline too */
    if (status == POFAC_OK && r.steps.size > 0) {
        out->steps = arena_copy(a, r.steps.data, r.steps.size * sizeof *r.steps.data);
        out->n_steps = out->steps ? r.steps.size : 0;
        if (!out->steps) status = diag_out_of_memory(sink);
    }
    VEC_FREE(&r.steps);
    return status;
}

void pipeline_print(const pass_pipeline *p, size_t first, strbuf *out) {
    for (size_t i = first; i < p->n_steps; i++) {
        const pass_step *step = &p->steps[i];
        strbuf_printf(out, "%s%s", i > first ? "," : "", step->pass->name);
        for (size_t o = 0; o < step->n_options; o++)
            strbuf_printf(out, "%s%s=%s", o ? "," : "{", step->options[o].name, step->options[o].value);
        if (step->n_options > 0) strbuf_putc(out, '}');
    }
}
