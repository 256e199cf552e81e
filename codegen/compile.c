/*
 * Graph -> plan; see codegen.h.
 *
 *   lower_graph      groups -> steps, buffers, distinct kernels
 *   object_cache     a kernel's object, if it was made before
 *   emit, machine    else LLVM IR and object code, which goes to the cache
 *   jit              objects -> functions
 */
#include <llvm/Config/llvm-config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "codegen/child_process.h"
#include "codegen/code_bounds.h"
#include "codegen/cross_target.h"
#include "codegen/jit.h"
#include "codegen/lower.h"
#include "codegen/machine.h"
#include "codegen/object_cache.h"

typedef struct compilation {
    const cg_options *options;
    const diag_sink *sink;
    lowering low;
    object_cache *cache;
    jit *jit;
    plan *plan;
} compilation;

const char *cg_llvm_version(void) { return LLVM_VERSION_STRING; }

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- objects: from the cache, else compiled by several threads, each with a code generator of its own ---- */

#define MOST_COMPILERS 16

typedef struct kernel_object {
    strbuf bytes;
    bool cached;
    double seconds; /* of processor time */
    pofac_status status;
} kernel_object;

typedef struct compilers {
    compilation *c;
    kernel_object *objects; /* [kernels] */
    atomic_size_t next;     /* kernel that nobody has taken yet */
    pthread_mutex_t speaks; /* one thread at a time */
    diag_sink alone;        /* the caller's, one thread at a time */
    const diag_sink *sink;  /* NULL: nobody listens */
} compilers;

static void say_alone(void *user, const diag *d) {
    compilers *all = user;
    pthread_mutex_lock(&all->speaks);
    all->c->sink->emit(all->c->sink->user, d);
    pthread_mutex_unlock(&all->speaks);
}

static pofac_status compile_kernel(const compilers *all, machine *m, const lowered_kernel *k, strbuf *object) {
    emitter e;
    em_begin_module(&e, &all->c->options->target, k->symbol);
    e.light = k->kernel.light;
    lower_emit(&e, k);
    pofac_status status = machine_generate(m, &e, CG_EMIT_OBJ, all->sink, object);
    em_end_module(&e);
    return status;
}

static void *compile_some(void *user) {
    compilers *all = user;
    const lowering *l = &all->c->low;
    machine *m = NULL; /* made when the first kernel is not in the cache */
    for (size_t i; (i = atomic_fetch_add(&all->next, 1)) < l->kernels.size;) {
        kernel_object *o = &all->objects[i];
        const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        if (o->cached) continue;
        if (!m) o->status = machine_create(&all->c->options->target, all->sink, &m);
        if (o->status == POFAC_OK) o->status = compile_kernel(all, m, &l->kernels.data[i], &o->bytes);
        o->seconds = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    machine_destroy(m);
    return NULL;
}

/* Appends an object that was made before. */
static bool find_object(const compilation *c, const char *key, strbuf *out) {
    const cg_objects *kept = c->options->objects;
    if (kept && kept->get && kept->get(kept->user, key, out)) return true;
    strbuf_clear(out);
    return c->cache && object_cache_get(c->cache, key, out);
}

/* Fills objects; kernels that failed have a status. The calling thread works too, so that none that starts besides is needed. */
static void make_objects(compilation *c, kernel_object *objects) {
    compilers all = {.c = c, .objects = objects, .speaks = PTHREAD_MUTEX_INITIALIZER};
    size_t missing = 0, n = 0;
    pthread_t threads[MOST_COMPILERS];
    all.alone = (diag_sink){.emit = say_alone, .user = &all};
    all.sink = c->sink ? &all.alone : NULL;
    for (size_t i = 0; i < c->low.kernels.size; i++) {
        objects[i] = (kernel_object){.bytes = STRBUF_INIT};
        objects[i].cached = find_object(c, c->low.kernels.data[i].key, &objects[i].bytes);
        if (!objects[i].cached) strbuf_clear(&objects[i].bytes), missing++;
    }
    size_t wanted = c->options->threads < missing ? c->options->threads : missing;
    while (n + 1 < wanted && n < MOST_COMPILERS && pthread_create(&threads[n], NULL, compile_some, &all) == 0) n++;
    compile_some(&all);
    for (size_t i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

/* ---- functions ---- */

/* Gives an object to those who keep such. */
static pofac_status keep_object(const compilation *c, const lowered_kernel *k, const kernel_object *o) {
    const cg_objects *kept = c->options->objects;
    TRY(o->status);
    if (!o->cached && c->cache) object_cache_put(c->cache, k->key, o->bytes.data, o->bytes.size);
    return kept && kept->put ? kept->put(kept->user, k->key, o->bytes.data, o->bytes.size) : POFAC_OK;
}

static pofac_status link_kernel(compilation *c, const lowered_kernel *k, const kernel_object *o, plan_code *code,
                                plan_kernel *out) {
    TRY(keep_object(c, k, o));
    *code = (plan_code){.variant = k->variant, .symbol = k->symbol, .cached = o->cached, .compile_seconds = o->seconds};
    code->bytes = code_bytes_of(o->bytes.data, o->bytes.size, k->symbol);
    code_check_bounds(code, c->sink);
    c->plan->n_kernels_cached += code->cached;
    c->plan->code_bytes += code->bytes;
    return jit_add(c->jit, o->bytes.data, o->bytes.size, k->symbol, code->bytes, c->sink, out);
}

static pofac_status link_kernels(compilation *c) {
    lowering *l = &c->low;
    const size_t n = l->kernels.size;
    plan_kernel *functions = ARENA_ARRAY(&c->plan->memory, plan_kernel, n + 1);
    kernel_object *objects = ARENA_ARRAY(&c->plan->memory, kernel_object, n + 1);
    c->plan->codes = ARENA_ARRAY(&c->plan->memory, plan_code, n + 1);
    if (!functions || !objects || !c->plan->codes) return diag_out_of_memory(c->sink);
    if (c->options->cache_dir) TRY(object_cache_open(c->options->cache_dir, c->sink, &c->cache));
    TRY(jit_create(c->options->jit_debug, c->sink, &c->jit));
    c->plan->code = c->jit;
    c->plan->free_code = jit_destroy;
    make_objects(c, objects);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < n; i++) {
        if (status == POFAC_OK) status = link_kernel(c, &l->kernels.data[i], &objects[i], &c->plan->codes[i], &functions[i]);
        strbuf_free(&objects[i].bytes);
    }
    for (size_t i = 0; i < l->steps.size && status == POFAC_OK; i++)
        if (l->step_kernel.data[i] != NO_KERNEL) l->steps.data[i].run = functions[l->step_kernel.data[i]];
    c->plan->n_kernels = (uint32_t)n;
    return status;
}

static pofac_status fill_plan(compilation *c) {
    plan *p = c->plan;
    lowering *l = &c->low;
    p->n_outputs = p->graph->outputs.size;
    p->outputs = ARENA_ARRAY(&p->memory, plan_output, p->n_outputs + 1);
    if (!p->outputs) return diag_out_of_memory(c->sink);
    for (size_t i = 0; i < p->n_outputs; i++) {
        p->outputs[i].name = p->graph->outputs.data[i].name;
        p->outputs[i].buffer = lower_buffer(l, &(cg_operand){.value = p->graph->outputs.data[i].value});
        if (p->outputs[i].buffer == UINT32_MAX) return diag_out_of_memory(c->sink);
    }
    p->n_buffers = l->buffers.size;
    p->n_steps = l->steps.size;
    p->n_slots = l->n_slots;
    p->buffers = arena_copy(&p->memory, l->buffers.data, l->buffers.size * sizeof *l->buffers.data);
    p->steps = arena_copy(&p->memory, l->steps.data, l->steps.size * sizeof *l->steps.data);
    const cg_target *t = &c->options->target;
    p->target = arena_printf(&p->memory, "%s %s %s", t->triple, t->cpu, t->isa);
    return (p->buffers || p->n_buffers == 0) && (p->steps || p->n_steps == 0) && p->target ? POFAC_OK : diag_out_of_memory(c->sink);
}

static pofac_status find_graph(const ir_module *module, const char *graph, const diag_sink *sink, const ir_graph **out) {
    *out = module_find_graph(module, graph);
    return *out ? POFAC_OK : diag_error(sink, POFAC_ERR_USAGE, NULL, "the module has no graph \"%s\"", graph);
}

static pofac_status run_compilation(compilation *c, const char *graph) {
    TRY(find_graph(c->plan->module, graph, c->sink, &c->plan->graph));
    TRY(lower_graph(&c->low, c->plan->graph, &c->options->target, &c->plan->memory, c->sink));
    TRY(link_kernels(c));
    return fill_plan(c);
}

pofac_status cg_compile(ir_module *module, const char *graph, const cg_options *options, const diag_sink *sink, plan **out) {
    *out = NULL;
    double start = seconds_of(CLOCK_MONOTONIC);
    arena memory = ARENA_INIT;
    plan *p = ARENA_NEW(&memory, plan);
    if (!p) {
        module_destroy(module);
        return diag_out_of_memory(sink);
    }
    p->module = module;
    p->memory = memory;
    compilation c = {.options = options, .sink = sink, .plan = p};
    pofac_status status = run_compilation(&c, graph);
    lowering_free(&c.low);
    object_cache_close(c.cache);
    if (status != POFAC_OK) {
        plan_destroy(p);
        return status;
    }
    p->compile_seconds = seconds_of(CLOCK_MONOTONIC) - start;
    *out = p;
    return POFAC_OK;
}

/* ---- objects alone ---- */

static pofac_status make_and_keep(compilation *c, const ir_graph *g, arena *memory) {
    lowering *l = &c->low;
    TRY(lower_graph(l, g, &c->options->target, memory, c->sink));
    kernel_object *objects = ARENA_ARRAY(memory, kernel_object, l->kernels.size + 1);
    if (!objects) return diag_out_of_memory(c->sink);
    if (c->options->cache_dir) TRY(object_cache_open(c->options->cache_dir, c->sink, &c->cache));
    make_objects(c, objects);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < l->kernels.size; i++) {
        if (status == POFAC_OK) status = keep_object(c, &l->kernels.data[i], &objects[i]);
        strbuf_free(&objects[i].bytes);
    }
    return status;
}

pofac_status cg_make_objects(const ir_module *module, const char *graph, const cg_options *options, const diag_sink *sink) {
    const ir_graph *g;
    arena memory = ARENA_INIT;
    compilation c = {.options = options, .sink = sink};
    TRY(find_graph(module, graph, sink, &g));
    pofac_status status = make_and_keep(&c, g, &memory);
    lowering_free(&c.low);
    object_cache_close(c.cache);
    arena_free(&memory);
    return status;
}

/* ---- text and object code ---- */

#define EMIT_SECONDS 600 /* for LLVM in a child process */

typedef struct emission {
    const lowering *low;
    const cg_target *target;
    const char *name;
    cg_emit_kind kind;
} emission;

static pofac_status emit_kernels(void *user, const diag_sink *sink, strbuf *out) {
    const emission *what = user;
    machine *m;
    emitter e;
    TRY(machine_create(what->target, sink, &m));
    em_begin_module(&e, what->target, what->name);
    for (size_t i = 0; i < what->low->kernels.size; i++) lower_emit(&e, &what->low->kernels.data[i]);
    pofac_status status = machine_generate(m, &e, what->kind, sink, out);
    em_end_module(&e);
    machine_destroy(m);
    return status;
}

static pofac_status emit_elsewhere(void *user, const diag_sink *sink, strbuf *out) {
    cross_target_initialize();
    return emit_kernels(user, sink, out);
}

static pofac_status emit_isolated(emission *what, arena *memory, const diag_sink *sink, strbuf *out) {
    strbuf said = STRBUF_INIT;
    const char *name =
        arena_printf(memory, "code for %s%s%s", what->target->triple, *what->target->cpu ? " " : "", what->target->cpu);
    pofac_status status = name ? child_run(emit_elsewhere, what, name, EMIT_SECONDS, sink, out, &said) : diag_out_of_memory(sink);
    strbuf_free(&said);
    return status;
}

pofac_status cg_emit(const ir_module *module, const char *graph, const cg_options *options, cg_emit_kind kind,
                     const diag_sink *sink, strbuf *out) {
    const ir_graph *g;
    TRY(find_graph(module, graph, sink, &g));
    arena memory = ARENA_INIT;
    lowering low;
    pofac_status status = lower_graph(&low, g, &options->target, &memory, sink);
    emission what = {&low, &options->target, graph, kind};
    if (status == POFAC_OK) status = options->isolated ? emit_isolated(&what, &memory, sink, out) : emit_kernels(&what, sink, out);
    lowering_free(&low);
    arena_free(&memory);
    return status;
}
