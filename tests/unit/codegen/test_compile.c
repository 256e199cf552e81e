/*
 * Whole graphs: generated ones through all passes against the interpreter, the object cache, plans that share nothing and leave
 * nothing behind, failing allocations, and messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/file_map.h"
#include "ir/text.h"
#include "tests/unit/codegen/kernel_case.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/temporary_folder.h"

/* ---- generated graphs ---- */

static void compiled_graphs_mean_the_same(void **state) {
    (void)state;
    const char *wanted = getenv("POFAC_GENERATED_GRAPHS");
    uint64_t n_graphs = wanted ? strtoull(wanted, NULL, 10) : 24;
    for (uint64_t seed = 1; seed <= n_graphs; seed++) {
        generated_graph g;
        const graph_options options = {.n_steps = 10, .without_tiles = true, .without_casts = true};
        graph_generate(seed, &options, &g);
        strbuf text = STRBUF_INIT;
        text_print_module(g.module, (text_print_options){0}, &text);
        strbuf named = STRBUF_INIT; /* the harness compiles @g */
        const char *at = strchr(strbuf_str(&text), '@'), *end = at + strcspn(at, " (");
        strbuf_append(&named, text.data, (size_t)(at - text.data));
        strbuf_puts(&named, "@g");
        strbuf_puts(&named, end);
        kernel_case c = {.text = strbuf_str(&named),
                         .pipeline = "infer",
                         .evaluators = true,
                         .inputs = &g.inputs,
                         .state = &g.state,
                         .constants = g.module,
                         .absolute = 2e-5,
                         .relative = 2e-5};
        kernel_case_run(&c);
        strbuf_free(&text);
        strbuf_free(&named);
        generated_graph_free(&g);
    }
}

/* ---- one small graph ---- */

static const char small[] = "graph @g (T <= 64) {\n"
                            "  %1 = input {name = \"x\"} : f32[T,8]\n"
                            "  %2 = state {name = \"w\"} : f32[8,8]\n"
                            "  %3 = relayout %1 : f32[T,8] tiles<16>\n"
                            "  %4 = linear %3, %2 {group = 1} : f32[T,8] tiles<16>\n"
                            "  %5 = gelu %4 {group = 1} : f32[T,8] tiles<16>\n"
                            "  %6 = linear %5, %2 {group = 2} : f32[T,8] tiles<16>\n"
                            "  %7 = gelu %6 {group = 2} : f32[T,8] tiles<16>\n"
                            "  %8 = relayout %7 : f32[T,8]\n"
                            "  return \"y\" = %8\n"
                            "}\n";

typedef struct compilation {
    ir_context *context;
    arena memory;
    strbuf messages;
    diag_sink sink;
    plan *plan;
} compilation;

static pofac_status compile_by(size_t threads, compilation *c, const char *text, const char *graph, const char *isa,
                               const char *cache_dir) {
    *c = (compilation){.context = context_create(), .memory = ARENA_INIT, .messages = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->messages);
    cg_options options = {.cache_dir = cache_dir, .threads = threads};
    ir_module *m = NULL;
    pofac_status status = c->context ? cg_target_host(isa, &c->memory, &c->sink, &options.target) : POFAC_ERR_RUNTIME;
    if (status == POFAC_OK) status = text_parse_module(c->context, "test", text, strlen(text), NULL, &c->sink, &m);
    if (status == POFAC_OK) status = cg_compile(m, graph, &options, &c->sink, &c->plan);
    return status;
}

static pofac_status compile(compilation *c, const char *text, const char *graph, const char *isa, const char *cache_dir) {
    return compile_by(0, c, text, graph, isa, cache_dir);
}

static void release(compilation *c) {
    plan_destroy(c->plan);
    context_destroy(c->context);
    arena_free(&c->memory);
    strbuf_free(&c->messages);
}

/* pitfall 23: no symbol is defined twice. */
static void equal_groups_share_a_kernel(void **state) {
    (void)state;
    compilation c;
    assert_int_equal(compile(&c, small, "g", NULL, NULL), POFAC_OK);
    assert_int_equal(c.plan->n_steps, 4);
    assert_int_equal(c.plan->n_kernels, 3); /* two relayouts, one linear */
    assert_int_equal(c.plan->n_kernels_cached, 0);
    assert_ptr_equal(c.plan->steps[1].run, c.plan->steps[2].run);
    assert_string_equal(c.plan->steps[1].kernel, "linear");
    assert_memory_equal(c.plan->steps[1].variant, "linear N=8 K=8 W=16 ", 20);
    assert_true(c.plan->code_bytes > 0);
    assert_non_null(strstr(c.plan->target, cg_target_row(0)->name ? " " : ""));
    release(&c);
}

static void second_compilation_takes_kernels_from_the_cache(void **state) {
    (void)state;
    char dir[] = "/tmp/pofac-compile-XXXXXX";
    assert_non_null(mkdtemp(dir));
    compilation c;
    for (uint32_t round = 0; round < 2; round++) {
        assert_int_equal(compile(&c, small, "g", NULL, dir), POFAC_OK);
        assert_int_equal(c.plan->n_kernels_cached, 3 * round);
        release(&c);
    }
    assert_int_equal(compile(&c, small, "g", "x86-64", dir), POFAC_OK); /* other instruction sets have files of their own */
    assert_int_equal(c.plan->n_kernels_cached, 0);
    release(&c);
    folder_remove(dir);
}

/* The content of every file of a folder, in the order of names. */
static void read_folder(const char *dir, strbuf *out) {
    struct dirent **entries;
    int n = scandir(dir, &entries, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];
        file_map m;
        snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        if (entries[i]->d_type == DT_REG) {
            assert_int_equal(file_map_open(path, NULL, &m), POFAC_OK);
            strbuf_printf(out, "%s: ", entries[i]->d_name);
            strbuf_append(out, m.data, m.size_bytes);
            file_map_close(&m);
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(strbuf_ok(out));
}

/* Several threads that compile side by side make the objects, and the plan, that one makes. */
static void threads_compile_the_same_objects(void **state) {
    (void)state;
    const size_t threads[] = {1, 2, 4};
    strbuf objects[3] = {STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
    for (size_t i = 0; i < 3; i++) {
        char dir[] = "/tmp/pofac-compile-XXXXXX";
        assert_non_null(mkdtemp(dir));
        compilation c;
        assert_int_equal(compile_by(threads[i], &c, small, "g", NULL, dir), POFAC_OK);
        assert_int_equal(c.plan->n_kernels, 3);
        assert_ptr_equal(c.plan->steps[1].run, c.plan->steps[2].run);
        assert_ptr_not_equal(c.plan->steps[0].run, c.plan->steps[1].run);
        read_folder(dir, &objects[i]);
        release(&c);
        folder_remove(dir);
        assert_true(objects[i].size > 1000);
        assert_int_equal(objects[i].size, objects[0].size);
        assert_memory_equal(objects[i].data, objects[0].data, objects[0].size);
    }
    for (size_t i = 0; i < 3; i++) strbuf_free(&objects[i]);
}

/* ---- memory ---- */

static size_t resident_bytes(void) {
    size_t total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%zu %zu", &total, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* pitfall 23: rounds of compiling and freeing leave no memory behind. */
static void rounds_leave_memory_flat(void **state) {
    (void)state;
    const char *sanitizer = getenv("POFAC_SANITIZE"), *wanted = getenv("POFAC_COMPILE_ROUNDS");
    if (sanitizer && sanitizer[0]) skip(); /* they keep freed memory */
    int rounds = wanted ? atoi(wanted) : 100;
    size_t before = 0;
    for (int round = 0; round < rounds; round++) {
        compilation c;
        if (round == rounds / 4) before = resident_bytes();
        assert_int_equal(compile(&c, small, "g", NULL, NULL), POFAC_OK);
        release(&c);
    }
    size_t after = resident_bytes();
    if (after > before + (size_t)3 * 1024 * 1024)
        fail_msg("%zu bytes of memory after round %d, %zu after round %d", before, rounds / 4, after, rounds);
}

static void failing_allocations(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        compilation c;
        fail_alloc_after(n);
        pofac_status status = compile(&c, small, "g", NULL, NULL);
        bool failed = fail_alloc_stop();
        if (!failed) assert_int_equal(status, POFAC_OK);
        assert_true((status == POFAC_OK) == (c.plan != NULL));
        release(&c);
        if (!failed) break;
        assert_true(n < 5000);
    }
}

/* ---- messages ---- */

static void want_error(const char *text, const char *graph, pofac_status wanted, const char *message) {
    compilation c;
    assert_int_equal(compile(&c, text, graph, NULL, NULL), wanted);
    assert_string_equal(strbuf_str(&c.messages), message);
    assert_null(c.plan);
    release(&c);
}

static void messages(void **state) {
    (void)state;
    want_error(small, "h", POFAC_ERR_USAGE, "error: the module has no graph \"h\"\n");
    want_error("graph @g (T <= 64) {\n  %1 = input {name = \"x\"} : f64[T,8] tiles<16>\n  %2 = relu %1 : f64[T,8] tiles<16> "
               "loc(\"model.py\":7:3)\n  return \"y\" = %2\n}\n",
               "g", POFAC_ERR_INPUT,
               "model.py:7:3: error: relu has no kernel for f64[T,8] tiles<16>, and its evaluator wants rows\n");
    want_error("graph @g (T <= 64) {\n  %1 = input {name = \"x\"} : f32[T]\n  %2 = relu %1 {slot = [99]} : f32[T]\n  return \"y\" "
               "= %2\n}\n",
               "g", POFAC_ERR_INPUT, "error: relu: slot is 99, wanted less than the number of values, 3\n");
}

static void version_is_that_of_llvm(void **state) {
    (void)state;
    assert_memory_equal(cg_llvm_version(), "19.", 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiled_graphs_mean_the_same),
        cmocka_unit_test(equal_groups_share_a_kernel),
        cmocka_unit_test(second_compilation_takes_kernels_from_the_cache),
        cmocka_unit_test(threads_compile_the_same_objects),
        cmocka_unit_test(rounds_leave_memory_flat),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(messages),
        cmocka_unit_test(version_is_that_of_llvm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
