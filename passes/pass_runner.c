/* The tables of passes and pipelines, and the runner; see pass.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/text.h"
#include "ir/verify.h"
#include "passes/pass.h"

/* ---- tables ---- */

static const pass_info passes[] = {
#define PASS(id, name, keeps, meaning) {name, pass_##id, keeps, meaning},
#define PASS_OPTION(pass, name, fallback, meaning)
#include "passes/passes.def"
#undef PASS
#undef PASS_OPTION
};
#define N_PASSES (sizeof passes / sizeof *passes)

static const pass_option_schema pass_options[] = {
#define PASS(id, name, keeps, meaning)
#define PASS_OPTION(pass, name, fallback, meaning) {pass, name, fallback, meaning},
#include "passes/passes.def"
#undef PASS
#undef PASS_OPTION
};
#define N_PASS_OPTIONS (sizeof pass_options / sizeof *pass_options)

static const pipeline_info pipelines[] = {
#define PIPELINE(name, passes, meaning) {name, passes, meaning},
#include "passes/pipelines.def"
#undef PIPELINE
};
#define N_PIPELINES (sizeof pipelines / sizeof *pipelines)

const pass_info *pass_row(size_t i) { return i < N_PASSES ? &passes[i] : NULL; }

const pass_info *pass_find(const char *name) {
    for (size_t i = 0; i < N_PASSES; i++)
        if (strcmp(passes[i].name, name) == 0) return &passes[i];
    return NULL;
}

const pass_option_schema *pass_option_row(size_t i) { return i < N_PASS_OPTIONS ? &pass_options[i] : NULL; }

const pipeline_info *pipeline_row(size_t i) { return i < N_PIPELINES ? &pipelines[i] : NULL; }

static const pass_option_schema *find_option(const char *pass, const char *name) {
    for (size_t i = 0; i < N_PASS_OPTIONS; i++)
        if (strcmp(pass_options[i].pass, pass) == 0 && strcmp(pass_options[i].name, name) == 0) return &pass_options[i];
    return NULL;
}

pofac_status pass_int_option(const pass_input *in, const char *name, int64_t low, int64_t high, int64_t *out) {
    const char *text = find_option(in->pass, name)->fallback;
    for (size_t i = 0; i < in->n_options; i++)
        if (strcmp(in->options[i].name, name) == 0) text = in->options[i].value;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "%s: option %s is \"%s\", wanted a whole number from %lld to %lld",
                          in->pass, name, text, (long long)low, (long long)high);
    *out = value;
    return POFAC_OK;
}

/* ---- pipelines as text ---- */

#define MAX_PIPELINE_STEPS 1000

typedef struct pipeline_reader {
    const char *text, *at;
    arena *memory;
    const diag_sink *sink;
    VEC(pass_step) steps;
    int depth; /* of named pipelines inside named pipelines */
} pipeline_reader;

static pofac_status reader_error(const pipeline_reader *r, const char *at, const char *found, size_t n, const char *wanted) {
    diag_place place = {"pipeline", 1, (uint32_t)(at - r->text) + 1, r->text, strlen(r->text)};
    if (n == 0) return diag_error(r->sink, POFAC_ERR_USAGE, &place, "found the end, wanted %s", wanted);
    return diag_error(r->sink, POFAC_ERR_USAGE, &place, "found \"%.*s\", wanted %s", (int)n, found, wanted);
}

static void skip_spaces(pipeline_reader *r) {
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t') r->at++;
}

/* Length of the word at the reader's place: letters, digits, '-', '_', '.'. */
static size_t word_length(const char *s) {
    size_t n = 0;
    while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '-' ||
           s[n] == '_' || s[n] == '.')
        n++;
    return n;
}

static pofac_status read_options(pipeline_reader *r, pass_step *step) {
    VEC(pass_option) options = {0};
    pofac_status status = POFAC_OK;
    r->at++; /* the brace */
    for (skip_spaces(r); *r->at != '}'; skip_spaces(r)) {
        const char *name = r->at;
        size_t n = word_length(name);
        char *key = arena_strndup(r->memory, name, n);
        if (!key) TRY_OR(done, status, diag_out_of_memory(r->sink));
        if (n == 0) TRY_OR(done, status, reader_error(r, name, name, *name != 0, "an option's name or \"}\""));
        if (!find_option(step->pass->name, key)) {
            const char *names[N_PASS_OPTIONS];
            size_t n_names = 0;
            for (size_t i = 0; i < N_PASS_OPTIONS; i++)
                if (strcmp(pass_options[i].pass, step->pass->name) == 0) names[n_names++] = pass_options[i].name;
            const char *near = diag_nearest(key, names, n_names);
            char *wanted = near ? arena_printf(r->memory, "an option of %s; did you mean \"%s\"?", step->pass->name, near)
                                : arena_printf(r->memory, "an option of %s", step->pass->name);
            TRY_OR(done, status, reader_error(r, name, name, n, wanted ? wanted : "an option"));
        }
        r->at += n;
        if (*r->at != '=') TRY_OR(done, status, reader_error(r, r->at, r->at, *r->at != 0, "\"=\""));
        const char *value = ++r->at;
        n = word_length(value);
        if (n == 0) TRY_OR(done, status, reader_error(r, value, value, *value != 0, "an option's value"));
        pass_option option = {key, arena_strndup(r->memory, value, n)};
        if (!option.value || !VEC_PUSH(&options, option)) TRY_OR(done, status, diag_out_of_memory(r->sink));
        r->at += n;
        if (*r->at == ',') r->at++;
        else if (*r->at != '}') TRY_OR(done, status, reader_error(r, r->at, r->at, *r->at != 0, "\",\" or \"}\""));
    }
    r->at++;
    step->n_options = options.size;
    step->options = arena_copy(r->memory, options.data, options.size * sizeof *options.data);
    if (options.size && !step->options) status = diag_out_of_memory(r->sink);
done:
    VEC_FREE(&options);
    return status;
}

static pofac_status read_pipeline(pipeline_reader *r);

static pofac_status read_named(pipeline_reader *r, const pipeline_info *named) {
    pipeline_reader inner = *r;
    inner.text = inner.at = named->passes;
    inner.depth++;
    pofac_status status = read_pipeline(&inner);
    memcpy(&r->steps, &inner.steps, sizeof r->steps);
    return status;
}

static pofac_status unknown_pass(const pipeline_reader *r, const char *word, size_t n) {
    const char *names[N_PASSES + N_PIPELINES];
    for (size_t i = 0; i < N_PASSES; i++) names[i] = passes[i].name;
    for (size_t i = 0; i < N_PIPELINES; i++) names[N_PASSES + i] = pipelines[i].name;
    char *key = arena_strndup(r->memory, word, n);
    const char *near = key ? diag_nearest(key, names, N_PASSES + N_PIPELINES) : NULL;
    char *wanted = near ? arena_printf(r->memory, "a pass or a pipeline; did you mean \"%s\"?", near) : NULL;
    return reader_error(r, word, word, n ? n : *word != 0, wanted ? wanted : "a pass or a pipeline (see `pofac list passes`)");
}

static pofac_status read_item(pipeline_reader *r) {
    const char *word = r->at;
    size_t n = word_length(word);
    for (size_t i = 0; n && i < N_PIPELINES; i++)
        if (strlen(pipelines[i].name) == n && memcmp(pipelines[i].name, word, n) == 0 && r->depth < 8) {
            r->at += n;
            return read_named(r, &pipelines[i]);
        }
    pass_step step = {0};
    for (size_t i = 0; n && i < N_PASSES; i++)
        if (strlen(passes[i].name) == n && memcmp(passes[i].name, word, n) == 0) step.pass = &passes[i];
    if (!step.pass) return unknown_pass(r, word, n);
    r->at += n;
    if (*r->at == '{') TRY(read_options(r, &step));
    if (r->steps.size >= MAX_PIPELINE_STEPS) return reader_error(r, word, word, n, "at most 1000 passes");
    return VEC_PUSH(&r->steps, step) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status read_pipeline(pipeline_reader *r) {
    for (;;) {
        skip_spaces(r);
        TRY(read_item(r));
        skip_spaces(r);
        if (*r->at == 0) return POFAC_OK;
        if (*r->at != ',') return reader_error(r, r->at, r->at, 1, "\",\" or the end");
        r->at++;
    }
}

pofac_status pipeline_parse(const char *text, arena *a, const diag_sink *sink, pass_pipeline *out) {
    *out = (pass_pipeline){0};
    pipeline_reader r = {.text = text, .at = text, .memory = a, .sink = sink};
    skip_spaces(&r);
    pofac_status status = *r.at ? read_pipeline(&r) : POFAC_OK; /* no passes is a pipeline too */
    if (status == POFAC_OK && r.steps.size) {
        out->steps = arena_copy(a, r.steps.data, r.steps.size * sizeof *r.steps.data);
        out->n_steps = r.steps.size;
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
        if (step->n_options) strbuf_putc(out, '}');
    }
}

/* ---- the runner ---- */

/* Is `name` among the comma-separated `list`, or the list "all"? */
static bool list_has(const char *list, const char *name) {
    if (!list) return false;
    if (strcmp(list, "all") == 0) return true;
    size_t n = strlen(name);
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ",");
        if (length == n && memcmp(at, name, n) == 0) return true;
        at += length + (at[length] == ',');
    }
    return false;
}

static pofac_status check_list(const char *list, const char *option, const diag_sink *sink) {
    if (!list || strcmp(list, "all") == 0) return POFAC_OK;
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < N_PASSES; i++) known |= strlen(passes[i].name) == length && memcmp(passes[i].name, at, length) == 0;
        if (!known)
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "%s: found \"%.*s\", wanted the name of a pass or \"all\" (see `pofac list passes`)", option,
                              (int)length, at);
        at += length + (at[length] == ',');
    }
    return POFAC_OK;
}

static void print_exact(const ir_module *m, strbuf *out) { text_print_module(m, (text_print_options){0}, out); }

static void offer_reproducer(const pass_pipeline *p, size_t step, const ir_module *before, const pass_observer *o) {
    if (!o->reproducer) return;
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "; pofac opt --pipeline='");
    pipeline_print(p, step, &text);
    strbuf_puts(&text, "' THIS_FILE\n");
    print_exact(before, &text);
    if (strbuf_ok(&text)) o->reproducer(o->user, p->steps[step].pass->name, strbuf_str(&text));
    strbuf_free(&text);
}

static void dump(const pass_observer *o, const char *when, const char *pass, const ir_module *m) {
    char title[128];
    snprintf(title, sizeof title, "%s %s", when, pass);
    o->dump(o->user, title, m);
}

/* Runs one pass and the verifier; *out is the module afterwards, `module` stays the caller's. */
static pofac_status run_step(const pass_step *step, const ir_module *module, const pass_observer *o, const diag_sink *sink,
                             ir_module **out) {
    struct timespec start, end;
    pass_input in = {module, step->options, step->n_options, step->pass->name, sink};
    clock_gettime(CLOCK_MONOTONIC, &start);
    *out = NULL;
    pofac_status status = step->pass->run(&in, out);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (o->timed)
        o->timed(o->user, step->pass->name, (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    if (status == POFAC_OK) status = verify_module(*out, sink);
    if (status != POFAC_OK) {
        module_destroy(*out);
        *out = NULL;
    }
    return status;
}

pofac_status pipeline_run(const pass_pipeline *p, ir_module *module, const pass_observer *observer, const diag_sink *sink,
                          ir_module **out) {
    const pass_observer none = {0}, *o = observer ? observer : &none;
    *out = NULL;
    pofac_status status = verify_module(module, sink);
    if (status == POFAC_OK) status = check_list(o->print_before, "print-before", sink);
    if (status == POFAC_OK) status = check_list(o->print_after, "print-after", sink);
    if (status == POFAC_OK && o->stop_after) status = check_list(o->stop_after, "stop-after", sink);
    for (size_t i = 0; status == POFAC_OK && i < p->n_steps; i++) {
        const char *name = p->steps[i].pass->name;
        if (o->dump && list_has(o->print_before, name)) dump(o, "before", name, module);
        ir_module *next;
        status = run_step(&p->steps[i], module, o, sink, &next);
        if (status != POFAC_OK) {
            offer_reproducer(p, i, module, o);
            break;
        }
        bool wanted = list_has(o->print_after, name) || (o->print_changed && !module_equal(module, next));
        module_destroy(module);
        module = next;
        if (o->dump && wanted) dump(o, "after", name, module);
        if (o->stop_after && strcmp(o->stop_after, name) == 0) break;
    }
    if (status == POFAC_OK) *out = module;
    else module_destroy(module);
    return status;
}
