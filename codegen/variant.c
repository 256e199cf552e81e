/* Variants; see variant.h. */
#include "codegen/variant.h"

#include <stdio.h>
#include <string.h>

#include "codegen/kernel.h"

static const cg_parameter variant_params[] = {
#define VARIANT_NUMBER(kernel, name, least, most, meaning) {kernel, name, NULL, least, most, meaning},
#define VARIANT_WORD(kernel, name, words, meaning) {kernel, name, words, 0, 0, meaning},
#include "codegen/variants.def"
#undef VARIANT_NUMBER
#undef VARIANT_WORD
};
#define N_VARIANT_PARAMS (sizeof variant_params / sizeof variant_params[0])

const cg_parameter *cg_variant_row(size_t i) { return i < N_VARIANT_PARAMS ? &variant_params[i] : NULL; }

typedef struct word {
    const char *text;
    size_t n;
} word;

typedef struct parser {
    const char *text, *at;
    const diag_place *place;
    const diag_sink *sink;
    cg_variant *out;
} parser;

/* The word at *at, which moves behind it; of no characters at the end. */
static word next_word(const char **at) {
    *at += strspn(*at, " ");
    word w = {*at, strcspn(*at, " ")};
    *at += w.n;
    return w;
}

static bool word_is(word w, const char *text) { return strlen(text) == w.n && memcmp(text, w.text, w.n) == 0; }

static pofac_status unknown_row(const parser *p, word w) {
    const char *names[64];
    char found[64];
    size_t n = 0;
    for (; n < n_kernel_rows && n < sizeof names / sizeof names[0]; n++) names[n] = kernel_rows[n].name;
    snprintf(found, sizeof found, "%.*s", (int)w.n, w.text);
    const char *near = diag_nearest(found, names, n);
    if (near)
        return diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": no kernel is called \"%.*s\"; did you mean \"%s\"?",
                          p->text, (int)w.n, w.text, near);
    return diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": no kernel is called \"%.*s\"", p->text, (int)w.n,
                      w.text);
}

static pofac_status parse_row(parser *p) {
    word w = next_word(&p->at);
    for (size_t i = 0; i < n_kernel_rows; i++) {
        if (!word_is(w, kernel_rows[i].name)) continue;
        p->out->row = i;
        return POFAC_OK;
    }
    return unknown_row(p, w);
}

static pofac_status unknown_param(const parser *p, word name) {
    const char *row = kernel_rows[p->out->row].name;
    strbuf known = STRBUF_INIT;
    for (size_t i = 0; i < N_VARIANT_PARAMS; i++)
        if (strcmp(variant_params[i].kernel, row) == 0)
            strbuf_printf(&known, "%s%s", known.size ? ", " : "", variant_params[i].name);
    pofac_status status = diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": %s has no parameter \"%.*s\", it has %s",
                                     p->text, row, (int)name.n, name.text, known.size ? strbuf_str(&known) : "none");
    strbuf_free(&known);
    return status;
}

static pofac_status parse_word_value(const parser *p, const cg_parameter *q, word value, int64_t *out) {
    const char *at = q->words;
    *out = 0;
    for (word w = next_word(&at); w.n > 0; w = next_word(&at), ++*out)
        if (w.n == value.n && memcmp(w.text, value.text, w.n) == 0) return POFAC_OK;
    return diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": %s is \"%.*s\", wanted one of: %s", p->text, q->name,
                      (int)value.n, value.text, q->words);
}

static pofac_status parse_number(const parser *p, const cg_parameter *q, word value, int64_t *out) {
    *out = 0;
    bool is_number = value.n > 0 && value.n <= 9;
    for (size_t i = 0; i < value.n && is_number; i++) {
        is_number = value.text[i] >= '0' && value.text[i] <= '9';
        *out = *out * 10 + (value.text[i] - '0');
    }
    if (is_number && *out >= q->least && *out <= q->most) return POFAC_OK;
    return diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": %s is \"%.*s\", wanted a number from %lld to %lld",
                      p->text, q->name, (int)value.n, value.text, (long long)q->least, (long long)q->most);
}

static const cg_parameter *find_param(const parser *p, word name) {
    for (size_t i = 0; i < N_VARIANT_PARAMS; i++)
        if (strcmp(variant_params[i].kernel, kernel_rows[p->out->row].name) == 0 && word_is(name, variant_params[i].name))
            return &variant_params[i];
    return NULL;
}

static pofac_status parse_param(parser *p, word w) {
    const char *equals = memchr(w.text, '=', w.n);
    if (!equals)
        return diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": found \"%.*s\", wanted NAME=VALUE", p->text,
                          (int)w.n, w.text);
    word name = {w.text, (size_t)(equals - w.text)}, value = {equals + 1, w.n - name.n - 1};
    const cg_parameter *q = find_param(p, name);
    if (!q) return unknown_param(p, name);
    if (variant_get(p->out, q->name, -1) >= 0)
        return diag_error(p->sink, POFAC_ERR_INPUT, p->place, "variant \"%s\": %s is given twice", p->text, q->name);
    int64_t number;
    TRY(q->words ? parse_word_value(p, q, value, &number) : parse_number(p, q, value, &number));
    p->out->params[p->out->n_params].name = q->name;
    p->out->params[p->out->n_params++].value = number;
    return POFAC_OK;
}

pofac_status variant_parse(const char *text, const diag_place *place, const diag_sink *sink, cg_variant *out) {
    parser p = {text, text, place, sink, out};
    *out = (cg_variant){0};
    TRY(parse_row(&p));
    for (word w = next_word(&p.at); w.n > 0; w = next_word(&p.at)) TRY(parse_param(&p, w));
    return POFAC_OK;
}

int64_t variant_get(const cg_variant *v, const char *name, int64_t otherwise) {
    for (unsigned i = 0; v && i < v->n_params; i++)
        if (strcmp(v->params[i].name, name) == 0) return v->params[i].value;
    return otherwise;
}
