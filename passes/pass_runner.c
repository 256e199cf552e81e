/* The runner: pipeline and module -> the module after all passes, verified between them, with what the observer asked for. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ir/text.h"
#include "ir/verify.h"
#include "passes/pass.h"

/* ---- what the observer names ---- */

static bool is_pass(const char *name, size_t n) {
    for (size_t i = 0; pass_row(i); i++)
        if (strlen(pass_row(i)->name) == n && memcmp(pass_row(i)->name, name, n) == 0) return true;
    return false;
}

/* Is `name` among the comma-separated `list`, or the list "all"? */
static bool list_has(const char *list, const char *name) {
    if (!list) return false;
    if (strcmp(list, "all") == 0) return true;
    size_t n = strlen(name);
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        if (length == n && memcmp(at, name, n) == 0) return true;
        at += length;
        if (*at == 0) return false;
    }
}

static pofac_status check_list(const char *list, const char *option, const diag_sink *sink) {
    if (!list || strcmp(list, "all") == 0) return POFAC_OK;
    for (const char *at = list;; at++) {
        int length = (int)strcspn(at, ",");
        if (!is_pass(at, (size_t)length))
            return diag_error(sink, POFAC_ERR_USAGE, NULL, "%s: found \"%.*s\", wanted names of passes or \"all\"", option, length,
                              at);
        at += length;
        if (*at == 0) return POFAC_OK;
    }
}

static pofac_status check_observer(const pass_observer *o, const diag_sink *sink) {
    TRY(check_list(o->print_before, "print_before", sink));
    TRY(check_list(o->print_after, "print_after", sink));
    if (!o->stop_after || pass_find(o->stop_after)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "stop_after: found \"%s\", wanted the name of a pass", o->stop_after);
}

/* ---- what the observer gets ---- */

static void dump(const pass_observer *o, const char *when, const char *pass, const ir_module *m) {
    char title[128];
    if (!o->dump) return;
    snprintf(title, sizeof title, "%s %s", when, pass);
    o->dump(o->user, title, m);
}

static void offer_reproducer(const pass_pipeline *p, size_t step, const ir_module *before, const pass_observer *o) {
    if (!o->reproducer) return;
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "; pofac opt --pipeline='");
    pipeline_print(p, step, &text);
    strbuf_puts(&text, "' THIS_FILE\n");
    text_print_module(before, (text_print_options){0}, &text);
    if (strbuf_ok(&text)) o->reproducer(o->user, p->steps[step].pass->name, strbuf_str(&text));
    strbuf_free(&text);
}

/* ---- running ---- */

static double seconds_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* Runs one pass and the verifier; *out is the module afterwards, `module` stays the caller's. */
static pofac_status run_step(const pass_step *step, const pass_environment *environment, const ir_module *module,
                             const pass_observer *o, const diag_sink *sink, ir_module **out) {
    struct timespec start;
    pass_input in = {module, environment, step->options, step->n_options, step->pass->name, sink};
    clock_gettime(CLOCK_MONOTONIC, &start);
    *out = NULL;
    pofac_status status = step->pass->run(&in, out);
    if (o->timed) o->timed(o->user, step->pass->name, seconds_since(&start));
    if (status == POFAC_OK) status = verify_module(*out, sink);
    if (status == POFAC_OK) return POFAC_OK;
    module_destroy(*out);
    *out = NULL;
    return status;
}

/* Runs the steps; *module is replaced after each. */
static pofac_status run_steps(const pass_pipeline *p, const pass_environment *environment, const pass_observer *o,
                              const diag_sink *sink, ir_module **module) {
    for (size_t i = 0; i < p->n_steps; i++) {
        const char *name = p->steps[i].pass->name;
        ir_module *next;
        if (list_has(o->print_before, name)) dump(o, "before", name, *module);
        pofac_status status = run_step(&p->steps[i], environment, *module, o, sink, &next);
        if (status != POFAC_OK) {
            offer_reproducer(p, i, *module, o);
            return status;
        }
        bool wanted = list_has(o->print_after, name) || (o->print_changed && !module_equal(*module, next));
        module_destroy(*module);
        *module = next;
        if (wanted) dump(o, "after", name, *module);
        if (o->stop_after && strcmp(o->stop_after, name) == 0) break;
    }
    return POFAC_OK;
}

pofac_status pipeline_run(const pass_pipeline *p, ir_module *module, const pass_environment *environment,
                          const pass_observer *observer, const diag_sink *sink, ir_module **out) {
    const pass_environment nothing = {0};
    const pass_observer none = {0}, *o = observer ? observer : &none;
    *out = NULL;
    pofac_status status = check_observer(o, sink);
    if (status == POFAC_OK) status = verify_module(module, sink);
    if (status == POFAC_OK) status = run_steps(p, environment ? environment : &nothing, o, sink, &module);
    if (status != POFAC_OK) {
        module_destroy(module);
        return status;
    }
    *out = module;
    return POFAC_OK;
}
