/* One graph, compiled and run, against the interpreter; see kernel_case.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ir/support/rng.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "runtime/interpreter.h"
#include "runtime/session.h"
#include "runtime/state_store.h"
#include "tests/unit/codegen/kernel_case.h"

const char *kernel_case_isa(size_t i) {
    size_t found = 0;
    for (size_t row = 0; cg_target_row(row); row++) {
        arena memory = ARENA_INIT;
        cg_target target;
        pofac_status status = cg_target_host(cg_target_row(row)->name, &memory, NULL, &target);
        arena_free(&memory);
        if (status == POFAC_OK && found++ == i) return cg_target_row(row)->name;
    }
    return NULL;
}

typedef struct run {
    const kernel_case *test;
    strbuf messages;
    diag_sink sink;
    ir_context *context;
    interp_results expected;
    int64_t n_compared; /* elements of outputs, in the last session */
} run;

/*
 * Copies of tensors that end where a page ends, the next one being out of bounds: a kernel that reads past them ends the test
 * program with a signal.
 */
typedef struct guarded {
    VEC(named_tensor) entries;
    VEC(size_t) bytes; /* mapped for each */
    const char *what;
} guarded;

static void guard(const named_tensors *from, guarded *to) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *to = (guarded){.what = from->what};
    for (size_t i = 0; i < from->entries.size; i++) {
        named_tensor t = from->entries.data[i];
        size_t n = tensor_bytes(&t.tensor), room = (n + page - 1) / page * page + page;
        char *block = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(block != MAP_FAILED);
        assert_int_equal(mprotect(block + room - page, page, PROT_NONE), 0);
        if (n) memcpy(block + room - page - n, t.tensor.data, n);
        t.tensor.data = block + room - page - n;
        t.tensor.owned = false;
        assert_true(VEC_PUSH(&to->entries, t));
        assert_true(VEC_PUSH(&to->bytes, room));
    }
}

static void unguard(guarded *g) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < g->entries.size; i++) {
        char *end = (char *)g->entries.data[i].tensor.data + tensor_bytes(&g->entries.data[i].tensor) + page;
        munmap(end - g->bytes.data[i], g->bytes.data[i]);
    }
    VEC_FREE(&g->entries);
    VEC_FREE(&g->bytes);
}

static pofac_status get_guarded(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const guarded *g = user;
    for (size_t i = 0; i < g->entries.size; i++) {
        if (strcmp(g->entries.data[i].name, name) != 0) continue;
        *out = g->entries.data[i].tensor;
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s %s is missing", g->what, name);
}

static void want(run *r, pofac_status status, const char *what) {
    if (status != POFAC_OK) fail_msg("%s: %s\n%s", what, strbuf_str(&r->messages), r->test->text);
}

static pofac_status get_constant(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const ir_tensor *t = module_find_constant(user, name);
    if (!t) return diag_error(sink, POFAC_ERR_INPUT, NULL, "constant %s is missing", name);
    *out = *t;
    out->owned = false;
    return POFAC_OK;
}

static ir_module *parse(run *r) {
    ir_module *m = NULL;
    const tensor_source constants = {.get = get_constant, .user = (void *)r->test->constants};
    want(r,
         text_parse_module(r->context, "test", r->test->text, strlen(r->test->text), r->test->constants ? &constants : NULL,
                           &r->sink, &m),
         "parse");
    return m;
}

static void interpret(run *r) {
    ir_module *m = parse(r);
    tensor_source inputs = named_tensors_source(r->test->inputs), state = named_tensors_source(r->test->state);
    want(r, interpret_graph(m->graphs.data[0], &inputs, &state, NULL, &r->sink, &r->expected), "interpret");
    module_destroy(m);
}

static ir_module *prepare(run *r) {
    ir_module *m = parse(r);
    if (!r->test->pipeline) return m;
    arena memory = ARENA_INIT;
    pass_pipeline p;
    want(r, pipeline_parse(r->test->pipeline, &memory, &r->sink, &p), "pipeline");
    want(r, pipeline_run(&p, m, NULL, NULL, &r->sink, &m), "passes");
    arena_free(&memory);
    return m;
}

static void check_kernels(const run *r, const plan *p) {
    bool used = r->test->kernel == NULL;
    for (size_t i = 0; i < p->n_steps; i++) {
        if (!used && strcmp(p->steps[i].kernel, r->test->kernel) == 0) used = true;
        if (plan_step_is_evaluator(&p->steps[i]) && !r->test->evaluators)
            fail_msg("%s runs through its evaluator in\n%s", p->steps[i].variant, r->test->text);
    }
    if (!used) fail_msg("kernel %s is not used in\n%s", r->test->kernel, r->test->text);
}

static void check_outputs(run *r, const plan *p, session *s, const char *isa) {
    r->n_compared = 0;
    for (size_t i = 0; i < p->n_outputs; i++) {
        ir_tensor t;
        want(r, session_output(s, p->outputs[i].name, &r->sink, &t), "output");
        char name[160];
        snprintf(name, sizeof name, "%s on %s, %s", p->outputs[i].name, isa, r->test->text);
        assert_tensors_close(name, &t, interp_find(&r->expected, p->outputs[i].name), r->test->absolute, r->test->relative);
        r->n_compared += tensor_elements(&t);
    }
}

/* The same bits from another number of threads. */
static void check_threads(run *r, const plan *p, session *one, session *three) {
    for (size_t i = 0; i < p->n_outputs; i++) {
        ir_tensor a, b;
        want(r, session_output(one, p->outputs[i].name, &r->sink, &a), "output");
        want(r, session_output(three, p->outputs[i].name, &r->sink, &b), "output");
        if (memcmp(a.data, b.data, tensor_bytes(&a)) != 0)
            fail_msg("output %s differs between 1 and 3 threads in\n%s", p->outputs[i].name, r->test->text);
    }
}

/* Does a run write state? Then it is that of a store. */
static bool replaces_state(const plan *p) {
    bool any = false;
    for (size_t i = 0; i < p->n_buffers; i++) any = any || p->buffers[i].written;
    return any;
}

/* without: bits of cg_extension that are left out. Returns whether the target has any. */
static bool run_on(run *r, const char *isa, unsigned without, size_t n_sessions) {
    arena memory = ARENA_INIT;
    cg_options options = {.cache_dir = NULL};
    plan *p = NULL;
    want(r, cg_target_host(isa, &memory, &r->sink, &options.target), "target");
    const bool has_extensions = options.target.extensions != 0;
    options.target.extensions &= ~without;
    want(r, cg_compile(prepare(r), "g", &options, &r->sink, &p), "compile");
    check_kernels(r, p);
    guarded given, weights[2]; /* each session may write its own */
    guard(r->test->inputs, &given);
    tensor_source inputs = {.get = get_guarded, .user = &given}, state[2];
    thread_pool *pools[2] = {NULL, NULL};
    session *sessions[2] = {NULL, NULL};
    state_store *stores[2] = {NULL, NULL};
    for (size_t i = 0; i < n_sessions; i++) {
        guard(r->test->state, &weights[i]);
        state[i] = (tensor_source){.get = get_guarded, .user = &weights[i], .writable = true};
        if (replaces_state(p)) want(r, state_store_create(p->module, &state[i], &r->sink, &stores[i]), "state");
        want(r, thread_pool_create(i == 0 ? 1 : 3, &r->sink, &pools[i]), "threads");
        want(r, session_create(p, stores[i] ? state_store_source(stores[i]) : &state[i], pools[i], &r->sink, &sessions[i]),
             "session");
        want(r, session_run(sessions[i], &inputs, &r->sink), "run");
        check_outputs(r, p, sessions[i], isa);
    }
    if (n_sessions == 2) check_threads(r, p, sessions[0], sessions[1]);
    for (size_t i = 0; i < n_sessions; i++) {
        session_destroy(sessions[i]);
        thread_pool_destroy(pools[i]);
        state_store_destroy(stores[i]);
        unguard(&weights[i]);
    }
    plan_destroy(p);
    arena_free(&memory);
    unguard(&given);
    return has_extensions;
}

int64_t kernel_case_run(const kernel_case *c) {
    run r = {.test = c, .messages = STRBUF_INIT, .context = context_create()};
    r.sink = diag_sink_to_strbuf(&r.messages);
    interpret(&r);
    for (size_t i = 0; kernel_case_isa(i); i++) {
        const bool has_extensions = run_on(&r, kernel_case_isa(i), 0, kernel_case_isa(i + 1) ? 1 : 2);
        if (c->plain && has_extensions) run_on(&r, kernel_case_isa(i), ~0u, 1);
    }
    interp_results_free(&r.expected);
    context_destroy(r.context);
    strbuf_free(&r.messages);
    return r.n_compared;
}

kernel_fixture kernel_fixture_begin(void) {
    return (kernel_fixture){.inputs = {.what = "input"}, .state = {.what = "state"}, .text = STRBUF_INIT};
}

int64_t kernel_fixture_run(kernel_fixture *f, const char *kernel, double absolute, double relative) {
    const kernel_case c = {.text = strbuf_str(&f->text),
                           .kernel = kernel,
                           .inputs = &f->inputs,
                           .state = &f->state,
                           .absolute = absolute,
                           .relative = relative};
    const int64_t compared = kernel_case_run(&c);
    named_tensors_free(&f->inputs);
    named_tensors_free(&f->state);
    strbuf_free(&f->text);
    return compared;
}

ir_tensor *kernel_case_reals(named_tensors *to, const char *name, uint32_t rank, const int64_t *dims) {
    ir_tensor *t = named_tensors_add(to, name, IR_F32, rank, dims);
    rng_key key = rng_key_make(7, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, 2 * rng_uniform(key, (uint64_t)i) - 1);
    return t;
}

ir_tensor *kernel_case_integers(named_tensors *to, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims,
                                int64_t bound) {
    ir_tensor *t = named_tensors_add(to, name, dtype, rank, dims);
    rng_key key = rng_key_make(8, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set_int(t, i, (int64_t)rng_below(key, (uint64_t)i, (uint64_t)bound));
    return t;
}
