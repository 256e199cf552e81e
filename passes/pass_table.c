/* The tables of passes, options and named pipelines: passes.def and pipelines.def -> rows. See pass.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pass.h"

static const pass_info passes[] = {
#define PASS(id, name, keeps, meaning) {name, pass_##id, keeps, meaning},
#define PASS_OPTION(pass, name, fallback, values, meaning)
#include "passes/passes.def"
#undef PASS
#undef PASS_OPTION
};

static const pass_option_schema pass_options[] = {
#define PASS(id, name, keeps, meaning)
#define PASS_OPTION(pass, name, fallback, values, meaning) {pass, name, fallback, values, meaning},
#include "passes/passes.def"
#undef PASS
#undef PASS_OPTION
};

static const pipeline_info pipelines[] = {
#define PIPELINE(name, passes, meaning) {name, passes, meaning},
#include "passes/pipelines.def"
#undef PIPELINE
};

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

const pass_info *pass_row(size_t i) { return i < N_ROWS(passes) ? &passes[i] : NULL; }

const pass_info *pass_find(const char *name) {
    for (size_t i = 0; i < N_ROWS(passes); i++)
        if (strcmp(passes[i].name, name) == 0) return &passes[i];
    return NULL;
}

const pass_option_schema *pass_option_row(size_t i) { return i < N_ROWS(pass_options) ? &pass_options[i] : NULL; }

const pass_option_schema *pass_option_find(const char *pass, const char *name) {
    for (size_t i = 0; i < N_ROWS(pass_options); i++)
        if (strcmp(pass_options[i].pass, pass) == 0 && strcmp(pass_options[i].name, name) == 0) return &pass_options[i];
    return NULL;
}

const pipeline_info *pipeline_row(size_t i) { return i < N_ROWS(pipelines) ? &pipelines[i] : NULL; }

/* The place of a word among "a|b|c". */
static bool takes_word(const char *words, const char *value, int64_t *number) {
    size_t n = strlen(value);
    int64_t i = 0;
    for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL, i++) {
        if (strncmp(at, value, n) != 0 || n == 0 || (at[n] && at[n] != '|')) continue;
        if (number) *number = i;
        return true;
    }
    return false;
}

static bool is_words(const char *values) { return (*values >= 'a' && *values <= 'z') || (*values >= 'A' && *values <= 'Z'); }

/* "LOW..HIGH" with a point in LOW. */
static bool is_reals(const char *values) {
    return values[strspn(values, "0123456789")] == '.' && values[strspn(values, "0123456789") + 1] != '.';
}

static bool takes_real(const char *values, const char *value, double *number) {
    char *end;
    const double found = strtod(value, &end);
    if (end == value || *end || !isfinite(found)) return false;
    if (number) *number = found;
    return found >= strtod(values, NULL) && found <= strtod(strstr(values, "..") + 2, NULL);
}

static bool is_list(const char *values) { return *values == '['; }

/* "3-1-2" or "none": the numbers, as far as there is room. */
static bool takes_list(const char *values, const char *value, size_t most, int64_t *out, size_t *n) {
    const long long low = strtoll(values + 1, NULL, 10), high = strtoll(strstr(values, "..") + 2, NULL, 10);
    *n = 0;
    if (strcmp(value, "none") == 0) return true;
    for (;; value++) {
        char *end;
        if (*value < '0' || *value > '9') return false;
        errno = 0;
        const long long found = strtoll(value, &end, 10);
        if (errno || found < low || found > high || *n == most) return false;
        out[(*n)++] = found;
        value = end;
        if (*value == 0) return true;
        if (*value != '-') return false;
    }
}

bool pass_option_takes(const pass_option_schema *option, const char *value, int64_t *number) {
    char *end;
    if (is_words(option->values)) return takes_word(option->values, value, number);
    if (is_reals(option->values)) return takes_real(option->values, value, NULL);
    if (is_list(option->values)) {
        int64_t items[PASS_MAX_LIST];
        size_t n;
        return takes_list(option->values, value, PASS_MAX_LIST, items, &n);
    }
    errno = 0;
    long long found = strtoll(value, &end, 10);
    if (end == value || *end || errno) return false;
    if (number) *number = found;
    const char *high = strstr(option->values, "..");
    if (high) return found >= strtoll(option->values, NULL, 10) && found <= strtoll(high + 2, NULL, 10);
    for (const char *choice = option->values; choice; choice = strchr(choice, '|')) {
        if (*choice == '|') choice++;
        if (found == strtoll(choice, NULL, 10)) return true;
    }
    return false;
}

static const char *option_value(const pass_input *in, const pass_option_schema *option) {
    const char *value = option->fallback;
    for (size_t i = 0; i < in->n_options; i++)
        if (strcmp(in->options[i].name, option->name) == 0) value = in->options[i].value;
    return value;
}

static pofac_status unwanted_value(const pass_input *in, const pass_option_schema *option) {
    return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "%s: option %s is \"%s\", wanted %s", in->pass, option->name,
                      option_value(in, option), option->values);
}

pofac_status pass_int_option(const pass_input *in, const char *name, int64_t *out) {
    const pass_option_schema *option = pass_option_find(in->pass, name);
    return pass_option_takes(option, option_value(in, option), out) ? POFAC_OK : unwanted_value(in, option);
}

pofac_status pass_real_option(const pass_input *in, const char *name, double *out) {
    const pass_option_schema *option = pass_option_find(in->pass, name);
    return takes_real(option->values, option_value(in, option), out) ? POFAC_OK : unwanted_value(in, option);
}

pofac_status pass_list_option(const pass_input *in, const char *name, size_t most, int64_t *out, size_t *n) {
    const pass_option_schema *option = pass_option_find(in->pass, name);
    return takes_list(option->values, option_value(in, option), most, out, n) ? POFAC_OK : unwanted_value(in, option);
}
