/*
 * Who is told of code made at run time: perf's map has a line for every kernel, with the addresses that plans call; gdb's list of
 * objects has one for every kernel while its plan lives; and nobody is told unasked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "ir/text.h"

/* gdb's interface (its manual, "JIT Compilation Interface"); LLVM has the variable. */
struct jit_code_entry {
    struct jit_code_entry *next, *previous;
    const char *symbol_file;
    uint64_t symbol_file_bytes;
};
extern struct jit_descriptor {
    uint32_t version, action;
    struct jit_code_entry *relevant, *first;
} __jit_debug_descriptor;

static const char graph[] = "graph @g (T <= 64) {\n"
                            "  %1 = input {name = \"x\"} : f32[T,8]\n"
                            "  %2 = state {name = \"w\"} : f32[8,8]\n"
                            "  %3 = relayout %1 : f32[T,8] tiles<16>\n"
                            "  %4 = linear %3, %2 : f32[T,8] tiles<16>\n"
                            "  %5 = relayout %4 : f32[T,8]\n"
                            "  return \"y\" = %5\n"
                            "}\n";

typedef struct compiled {
    ir_context *context;
    plan *plan;
} compiled;

static compiled compile(unsigned jit_debug, strbuf *messages) {
    compiled c = {.context = context_create()};
    diag_sink sink = diag_sink_to_strbuf(messages);
    arena memory = ARENA_INIT;
    cg_options options = {.jit_debug = jit_debug};
    ir_module *m = NULL;
    assert_int_equal(cg_target_host(NULL, &memory, NULL, &options.target), POFAC_OK);
    assert_int_equal(text_parse_module(c.context, "test", graph, strlen(graph), NULL, &sink, &m), POFAC_OK);
    assert_int_equal(cg_compile(m, "g", &options, &sink, &c.plan), POFAC_OK);
    arena_free(&memory);
    return c;
}

static void release(compiled *c) {
    plan_destroy(c->plan);
    context_destroy(c->context);
}

static void map_path(char path[64]) { snprintf(path, 64, "/tmp/perf-%ld.map", (long)getpid()); }

/* The map has a line for the kernel at that address. */
static bool map_has(uintptr_t address, size_t bytes, const char *symbol, size_t *n_lines) {
    char path[64], line[256], name[128];
    bool found = false;
    map_path(path);
    FILE *f = fopen(path, "re");
    if (!f) fail_msg("%s: %s", path, strerror(errno));
    for (*n_lines = 0; fgets(line, sizeof line, f); ++*n_lines) {
        size_t at, size;
        if (sscanf(line, "%zx %zx %127s", &at, &size, name) != 3) fail_msg("%s: found \"%s\"", path, line);
        found = found || (at == address && size == bytes && strcmp(name, symbol) == 0);
    }
    fclose(f);
    return found;
}

static void want_map_of(const plan *p, size_t n_lines) {
    for (size_t i = 0; i < p->n_steps; i++) {
        uintptr_t address;
        size_t lines = 0;
        memcpy(&address, &p->steps[i].run, sizeof address);
        for (uint32_t k = 0; k < p->n_kernels; k++)
            if (strcmp(p->codes[k].variant, p->steps[i].variant) == 0 &&
                !map_has(address, p->codes[k].bytes, p->codes[k].symbol, &lines))
                fail_msg("the map has no line for %s, %zu bytes at %zx", p->codes[k].symbol, p->codes[k].bytes, (size_t)address);
        assert_int_equal(lines, n_lines);
    }
}

static void perf_map_has_every_kernel(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    char path[64];
    map_path(path);
    FILE *f = fopen(path, "we"); /* what another process left */
    assert_non_null(f);
    fputs("1000 10 stale\n", f);
    fclose(f);
    const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimensat(0, path, long_ago, 0), 0);
    compiled first = compile(CG_JIT_PERF, &messages);
    assert_int_equal(first.plan->n_kernels, 3);
    want_map_of(first.plan, 3);
    compiled second = compile(CG_JIT_PERF | CG_JIT_GDB, &messages); /* a second plan adds to it */
    want_map_of(second.plan, 6);
    want_map_of(first.plan, 6);
    release(&first);
    release(&second);
    assert_int_equal(unlink(path), 0);
    assert_string_equal(strbuf_str(&messages), "");
    strbuf_free(&messages);
}

static void perf_map_follows_no_link(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    char path[64], wanted[200];
    map_path(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    compiled c = compile(CG_JIT_PERF, &messages);
    snprintf(wanted, sizeof wanted, "%s: warning: the map for perf is not written: Too many levels of symbolic links\n", path);
    assert_string_equal(strbuf_str(&messages), wanted);
    release(&c);
    unlink(path);
    strbuf_free(&messages);
}

static size_t entries(void) {
    size_t n = 0;
    for (const struct jit_code_entry *e = __jit_debug_descriptor.first; e; e = e->next) n++;
    return n;
}

/* Does an object of the list have the name in its table of symbols? */
static bool is_listed(const char *symbol) {
    for (const struct jit_code_entry *e = __jit_debug_descriptor.first; e; e = e->next)
        if (memmem(e->symbol_file, e->symbol_file_bytes, symbol, strlen(symbol) + 1)) return true;
    return false;
}

static void gdb_knows_every_kernel_while_it_lives(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    compiled c = compile(CG_JIT_GDB, &messages);
    assert_int_equal(entries(), c.plan->n_kernels);
    for (uint32_t k = 0; k < c.plan->n_kernels; k++)
        if (!is_listed(c.plan->codes[k].symbol)) fail_msg("gdb's list has no object with %s", c.plan->codes[k].symbol);
    release(&c);
    assert_int_equal(entries(), 0);
    assert_string_equal(strbuf_str(&messages), "");
    strbuf_free(&messages);
}

static void nobody_is_told_unasked(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    char path[64];
    compiled c = compile(0, &messages);
    map_path(path);
    assert_int_equal(entries(), 0);
    assert_int_equal(access(path, F_OK), -1);
    release(&c);
    strbuf_free(&messages);
}

static void words(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned debug;
    } cases[] = {{NULL, 0}, {"", 0}, {"perf", CG_JIT_PERF}, {"gdb", CG_JIT_GDB}, {"gdb,perf", CG_JIT_PERF | CG_JIT_GDB}};
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    unsigned debug;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cg_jit_debug_parse(cases[i].text, &sink, &debug), POFAC_OK);
        assert_int_equal(debug, cases[i].debug);
    }
    assert_int_equal(cg_jit_debug_parse("perf,lldb", &sink, &debug), POFAC_ERR_USAGE);
    assert_int_equal(cg_jit_debug_parse(",", &sink, &debug), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&messages), "error: jit_debug: found \"lldb\", wanted perf, gdb or perf,gdb\n"
                                               "error: jit_debug: found \"\", wanted perf, gdb or perf,gdb\n");
    strbuf_free(&messages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_told_unasked),
        cmocka_unit_test(perf_map_has_every_kernel),
        cmocka_unit_test(perf_map_follows_no_link),
        cmocka_unit_test(gdb_knows_every_kernel_while_it_lives),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
