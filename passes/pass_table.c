/* The tables of passes, options and named pipelines: passes.def and pipelines.def -> rows. See pass.h. */
#include <errno.h>
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

bool pass_option_takes(const pass_option_schema *option, const char *value, int64_t *number) {
    char *end;
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

pofac_status pass_int_option(const pass_input *in, const char *name, int64_t *out) {
    const pass_option_schema *option = pass_option_find(in->pass, name);
    const char *value = option->fallback;
    for (size_t i = 0; i < in->n_options; i++)
        if (strcmp(in->options[i].name, name) == 0) value = in->options[i].value;
    if (pass_option_takes(option, value, out)) return POFAC_OK;
    return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "%s: option %s is \"%s\", wanted %s", in->pass, name, value, option->values);
}
