/* Pinned variants; see kernel_pins.h. */
#include "frontend/driver/kernel_pins.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/variant.h"
#include "ir/support/vector.h"

typedef struct pin {
    regex_t pattern;
    bool has_pattern, sparse;
    linear_product product; /* PRODUCT_FORWARD: of the input gradient too, if the kernel is one of it and there is no other pin */
    char variant[COST_MAX_VARIANT];
} pin;

struct kernel_pins {
    VEC(pin) pins;
    int64_t tile;
    const cost_source *rest;
};

/* ---- reading ---- */

static pofac_status parse_pattern(pin *p, const char *text, const diag_sink *sink) {
    char reason[128];
    int code = regcomp(&p->pattern, text, REG_EXTENDED | REG_NOSUB);
    p->has_pattern = code == 0;
    if (code == 0) return POFAC_OK;
    regerror(code, &p->pattern, reason, sizeof reason);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "--kernel_variant: \"%s\" is no regular expression: %s", text, reason);
}

/* Takes a word off the begin of a text, with the blanks behind it. */
static bool take_word(const char **text, const char *word) {
    const size_t n = strlen(word);
    if (strncmp(*text, word, n) != 0 || ((*text)[n] != 0 && (*text)[n] != ' ')) return false;
    *text += n;
    *text += strspn(*text, " ");
    return true;
}

static pofac_status parse_variant(kernel_pins *all, pin *p, const char *text, const diag_sink *sink) {
    cg_variant variant;
    const bool of_input = take_word(&text, KERNEL_PIN_INPUT_GRADIENT);
    p->product = of_input ? PRODUCT_INPUT_GRADIENT : PRODUCT_FORWARD;
    if (of_input && !*text) return POFAC_OK;
    if (!*text || strlen(text) >= sizeof p->variant)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "--kernel_variant: found \"%s\", wanted a kernel and its parameters in less than %d bytes", text,
                          COST_MAX_VARIANT);
    pofac_status status = variant_parse(text, NULL, sink, &variant);
    if (status != POFAC_OK) return status == POFAC_ERR_INPUT ? POFAC_ERR_USAGE : status;
    memcpy(p->variant, text, strlen(text) + 1);
    p->sparse = strncmp(text, "sparse_", 7) == 0;
    if (strncmp(text + (p->sparse ? 7 : 0), "weight_gradient", strlen("weight_gradient")) == 0)
        p->product = PRODUCT_WEIGHT_GRADIENT;
    if (strncmp(text + (p->sparse ? 7 : 0), "int8_", strlen("int8_")) == 0) p->product = PRODUCT_INT8;
    const int64_t tile = variant_get(&variant, "tile", 0);
    if (tile && all->tile && tile != all->tile)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "--kernel_variant: tiles of %lld and of %lld, wanted one width for the whole graph", (long long)all->tile,
                          (long long)tile);
    if (tile) all->tile = tile;
    return POFAC_OK;
}

/* `line` is changed. */
static pofac_status parse_pin(kernel_pins *all, char *line, const diag_sink *sink) {
    pin p = {.has_pattern = false};
    char *colon = strrchr(line, ':'), *variant = colon ? colon + 1 : line;
    if (colon) *colon = 0;
    while (*variant == ' ') variant++;
    pofac_status status = parse_variant(all, &p, variant, sink);
    if (status == POFAC_OK && colon) status = parse_pattern(&p, line, sink);
    if (status == POFAC_OK && !VEC_PUSH(&all->pins, p)) status = diag_out_of_memory(sink);
    if (status != POFAC_OK && p.has_pattern) regfree(&p.pattern);
    return status;
}

pofac_status kernel_pins_parse(const char *lines, const diag_sink *sink, kernel_pins **out) {
    *out = NULL;
    kernel_pins *p = calloc(1, sizeof *p);
    char *copy = strdup(lines);
    pofac_status status = p && copy ? POFAC_OK : diag_out_of_memory(sink);
    for (char *line = copy; line && status == POFAC_OK;) {
        char *end = strchr(line, '\n');
        if (end) *end = 0;
        status = parse_pin(p, line, sink);
        line = end ? end + 1 : NULL;
    }
    free(copy);
    if (status == POFAC_OK) *out = p;
    else kernel_pins_destroy(p);
    return status;
}

void kernel_pins_destroy(kernel_pins *p) {
    if (!p) return;
    for (size_t i = 0; i < p->pins.size; i++)
        if (p->pins.data[i].has_pattern) regfree(&p->pins.data[i].pattern);
    VEC_FREE(&p->pins);
    free(p);
}

int64_t kernel_pins_tile(const kernel_pins *p) { return p->tile; }

void kernel_pins_set_rest(kernel_pins *p, const cost_source *rest) { p->rest = rest; }

/* ---- choosing ---- */

static const pin *find_pin(const kernel_pins *all, const linear_problem *problem, linear_product product) {
    if (!cost_problem_has(problem, product)) return NULL;
    for (size_t i = all->pins.size; i-- > 0;) {
        const pin *p = &all->pins.data[i];
        if (p->product != product || (p->sparse && !problem->may_be_sparse)) continue;
        if (!p->has_pattern || regexec(&p->pattern, problem->name, 0, NULL, 0) == 0) return p;
    }
    return NULL;
}

/* The choice that pins make for a problem; false when there are none. The pin of the products decides between sparse and dense, and those
 * of gradients where they fit. */
static bool pinned_choice(const kernel_pins *all, const linear_problem *problem, linear_choice *out) {
    const pin *product = find_pin(all, problem, problem->integers ? PRODUCT_INT8 : PRODUCT_FORWARD),
              *weight = find_pin(all, problem, PRODUCT_WEIGHT_GRADIENT), *input = find_pin(all, problem, PRODUCT_INPUT_GRADIENT),
              *first = product  ? product
                       : weight ? weight
                                : input;
    *out = (linear_choice){.sparse = first && first->sparse};
    if (product) memcpy(out->variant, product->variant, sizeof out->variant);
    if (input && (!input->variant[0] || input->sparse == out->sparse))
        memcpy(out->input_gradient, input->variant, sizeof out->input_gradient);
    else if (product && cost_problem_has(problem, PRODUCT_INPUT_GRADIENT) && strncmp(product->variant, "blas_", 5) != 0)
        memcpy(out->input_gradient, product->variant, sizeof out->input_gradient);
    if (weight && weight->sparse == out->sparse) memcpy(out->weight_gradient, weight->variant, sizeof out->weight_gradient);
    return first != NULL;
}

static pofac_status choose(void *user, const linear_problem *problems, size_t n, const diag_sink *sink, linear_choice *out) {
    const kernel_pins *all = user;
    linear_problem *open = malloc((n ? n : 1) * sizeof *open);
    linear_choice *choices = malloc((n ? n : 1) * sizeof *choices);
    size_t n_open = 0, at = 0;
    pofac_status status = open && choices ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; i < n && status == POFAC_OK; i++) {
        if (pinned_choice(all, &problems[i], &out[i])) continue;
        choices[n_open] = cost_by_rule(&problems[i]);
        open[n_open++] = problems[i];
    }
    if (status == POFAC_OK && n_open && all->rest) status = all->rest->choose(all->rest->user, open, n_open, sink, choices);
    for (size_t i = 0; i < n && status == POFAC_OK; i++)
        if (!pinned_choice(all, &problems[i], &out[i])) out[i] = choices[at++];
    free(open);
    free(choices);
    return status;
}

cost_source kernel_pins_source(kernel_pins *p) { return (cost_source){choose, p}; }
