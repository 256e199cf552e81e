/* pitfall 10: targets: the table, what this machine is said to support, and the messages for what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "codegen/target.h"

static pofac_status host(const char *isa, cg_target *out, strbuf *messages) {
    static arena memory = ARENA_INIT;
    diag_sink sink = diag_sink_to_strbuf(messages);
    strbuf_clear(messages);
    return cg_target_host(isa, &memory, &sink, out);
}

/* Every row is supported, or refused with a message that says what is missing. */
static void every_row_is_supported_or_refused(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    size_t supported = 0;
    for (size_t i = 0; cg_target_row(i); i++) {
        cg_target t, least;
        const char *name = cg_target_row(i)->name;
        assert_true(strlen(cg_target_row(i)->meaning) > 0);
        assert_int_equal(target_of_row(name, NULL, &least), POFAC_OK);
        assert_true(least.vector_bytes >= 16 && least.vector_registers >= 16);
        if (host(name, &t, &messages) == POFAC_OK) {
            supported++;
            assert_string_equal(t.isa, name);
            assert_int_equal(t.vector_bytes, least.vector_bytes);
        } else {
            assert_non_null(strstr(strbuf_str(&messages), name));
            assert_non_null(strstr(strbuf_str(&messages), "it supports "));
        }
    }
    assert_true(supported > 0);
    strbuf_free(&messages);
}

static void native_is_the_best_row(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    cg_target native, none, t;
    assert_int_equal(host("native", &native, &messages), POFAC_OK);
    assert_int_equal(host(NULL, &none, &messages), POFAC_OK);
    assert_string_equal(native.isa, none.isa);
    assert_string_equal(native.cpu, none.cpu);
    for (size_t i = 0; cg_target_row(i); i++)
        if (host(cg_target_row(i)->name, &t, &messages) == POFAC_OK) assert_true(t.vector_bytes <= native.vector_bytes);
    strbuf_free(&messages);
}

static void lower_rows_are_the_same_on_every_machine(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    cg_target native, t;
    assert_int_equal(host(NULL, &native, &messages), POFAC_OK);
    if (host("x86-64", &t, &messages) == POFAC_OK && strcmp(native.isa, "x86-64") != 0) {
        assert_string_equal(t.cpu, "x86-64");
        assert_string_equal(t.features, "");
        assert_int_equal(t.vector_bytes, 16);
        assert_false(t.has_fma);
    }
    strbuf_free(&messages);
}

static void unknown_names(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    cg_target t;
    assert_int_equal(host("avx-2", &t, &messages), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&messages), "error: unknown instruction set \"avx-2\"; did you mean \"avx2\"?\n");
    assert_int_equal(host("itanium", &t, &messages), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&messages),
                        "error: unknown instruction set \"itanium\", wanted native, x86-64, avx2, avx512, neon\n");
    strbuf_clear(&messages);
    diag_sink sink = diag_sink_to_strbuf(&messages);
    assert_int_equal(target_of_row("itanium", &sink, &t), POFAC_ERR_USAGE);
    strbuf_free(&messages);
}

static void other_architectures(void **state) {
    (void)state;
    strbuf messages = STRBUF_INIT;
    cg_target native, t;
    assert_int_equal(host(NULL, &native, &messages), POFAC_OK);
    const char *foreign = strncmp(native.triple, "x86_64", 6) == 0 ? "neon" : "avx2";
    assert_int_equal(host(foreign, &t, &messages), POFAC_ERR_USAGE);
    char wanted[160];
    strcpy(wanted, "error: instruction set ");
    strcat(strcat(wanted, foreign), " is not one of this machine's architecture; it supports ");
    assert_memory_equal(strbuf_str(&messages), wanted, strlen(wanted));
    strbuf_free(&messages);
}

/* ---- made-up machines ---- */

#define SSE "+sse2,+cx8,-sse4a,"
#define NO_AVX512 "-avx512f,-avx512vl,-avx512bw,-avx512dq"
#define HASWELL SSE "+avx,+avx2,+fma,+bmi,+bmi2,"

static const struct {
    target_machine machine;
    const char *isa;       /* asked for */
    const char *row, *cpu; /* NULL: refused */
    pofac_status status;   /* then */
    const char *messages;
} machines[] = {
    /* processors that LLVM knows: no word about them */
    {{"x86_64-pc-linux-gnu", "haswell", HASWELL NO_AVX512}, NULL, "avx2", "haswell", POFAC_OK, ""},
    {{"x86_64-pc-linux-gnu", "znver4", HASWELL "+avx512f,+avx512vl,+avx512bw,+avx512dq"}, NULL, "avx512", "znver4", POFAC_OK, ""},
    {{"x86_64-pc-linux-gnu", "znver4", HASWELL "+avx512f,+avx512vl,+avx512bw,+avx512dq"},
     "avx2",
     "avx2",
     "x86-64-v3",
     POFAC_OK,
     ""},
    {{"aarch64-unknown-linux-gnu", "neoverse-n1", "+neon,+crc"}, NULL, "neon", "neoverse-n1", POFAC_OK, ""},
    /* old, or with an operating system or hypervisor that hides AVX */
    {{"x86_64-pc-linux-gnu", "nehalem", SSE "-avx,-avx2,-fma,-bmi,-bmi2," NO_AVX512},
     NULL,
     "x86-64",
     "nehalem",
     POFAC_OK,
     "note: this machine lacks avx, avx2, fma, bmi, bmi2; kernels use x86-64, not avx2\n"},
    {{"x86_64-pc-linux-gnu", "haswell", SSE "-avx,-avx2,-fma,+bmi,+bmi2," NO_AVX512},
     NULL,
     "x86-64",
     "haswell",
     POFAC_OK,
     "note: this machine has bmi, bmi2, but lacks avx, avx2, fma; kernels use x86-64, not avx2\n"},
    {{"x86_64-pc-linux-gnu", "skylake-avx512", HASWELL NO_AVX512}, NULL, "avx2", "skylake-avx512", POFAC_OK, ""},
    /* a part of a row */
    {{"x86_64-pc-linux-gnu", "sandybridge", SSE "+avx,-avx2,-fma,-bmi,-bmi2," NO_AVX512},
     NULL,
     "x86-64",
     "sandybridge",
     POFAC_OK,
     "note: this machine has avx, but lacks avx2, fma, bmi, bmi2; kernels use x86-64, not avx2\n"},
    {{"x86_64-pc-linux-gnu", "haswell", SSE "+avx,+avx2,-fma,+bmi,+bmi2," NO_AVX512},
     NULL,
     "x86-64",
     "haswell",
     POFAC_OK,
     "note: this machine has avx, avx2, bmi, bmi2, but lacks fma; kernels use x86-64, not avx2\n"},
    {{"x86_64-pc-linux-gnu", "knl", HASWELL "+avx512f,-avx512vl,-avx512bw,-avx512dq"},
     NULL,
     "avx2",
     "knl",
     POFAC_OK,
     "note: this machine has avx512f, but lacks avx512vl, avx512bw, avx512dq; kernels use avx2, not avx512\n"},
    {{"x86_64-pc-linux-gnu", "odd", SSE "+avx,+avx2,-fma,+bmi,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq"},
     NULL,
     "x86-64",
     "odd",
     POFAC_OK,
     "note: this machine has avx, avx2, bmi, bmi2, but lacks fma; kernels use x86-64, not avx2\n"},
    /* processors that LLVM does not know */
    {{"x86_64-pc-linux-gnu", "generic", HASWELL NO_AVX512},
     NULL,
     "avx2",
     "x86-64-v3",
     POFAC_OK,
     "note: LLVM 19.1.7 does not know this processor; kernels use avx2, which it says that it supports\n"},
    {{"x86_64-pc-linux-gnu", "x86-64", SSE "-avx,-avx2,-fma,-bmi,-bmi2," NO_AVX512},
     NULL,
     "x86-64",
     "x86-64",
     POFAC_OK,
     "note: LLVM 19.1.7 does not know this processor; kernels use x86-64, which it says that it supports\n"
     "note: this machine lacks avx, avx2, fma, bmi, bmi2; kernels use x86-64, not avx2\n"},
    {{"x86_64-pc-linux-gnu", "generic", HASWELL NO_AVX512}, "avx2", "avx2", "x86-64-v3", POFAC_OK, ""},
    {{"aarch64-unknown-linux-gnu", "generic", "+neon"},
     NULL,
     "neon",
     "generic",
     POFAC_OK,
     "note: LLVM 19.1.7 does not know this processor; kernels use neon, which it says that it supports\n"},
    {{"x86_64-pc-linux-gnu", "generic", ""},
     NULL,
     "x86-64",
     "x86-64",
     POFAC_OK,
     "note: LLVM cannot tell what this processor supports; kernels use x86-64, which every x86_64 has\n"},
    {{"x86_64-pc-linux-gnu", "znver4", ""},
     NULL,
     "x86-64",
     "x86-64",
     POFAC_OK,
     "note: LLVM cannot tell what this processor supports; kernels use x86-64, which every x86_64 has\n"},
    {{"aarch64-unknown-linux-gnu", "generic", ""},
     NULL,
     "neon",
     "generic",
     POFAC_OK,
     "note: LLVM cannot tell what this processor supports; kernels use neon, which every aarch64 has\n"},
    /* nothing runs */
    {{"i686-pc-linux-gnu", "pentium3", "+sse,+mmx"},
     NULL,
     NULL,
     NULL,
     POFAC_ERR_RUNTIME,
     "error: no instruction set of pofac runs on this machine (i686-pc-linux-gnu, pentium3): found none for its architecture\n"},
    {{"x86_64-pc-linux-gnu", "odd", "+sse,-sse2,-sse4a"},
     NULL,
     NULL,
     NULL,
     POFAC_ERR_RUNTIME,
     "error: no instruction set of pofac runs on this machine (x86_64-pc-linux-gnu, odd): x86-64, the least one, needs sse2\n"},
    {{"riscv64-unknown-linux-gnu", "generic-rv64", "+v"},
     NULL,
     NULL,
     NULL,
     POFAC_ERR_RUNTIME,
     "error: no instruction set of pofac runs on this machine (riscv64-unknown-linux-gnu, generic-rv64): found none for its "
     "architecture\n"},
    /* more than there is */
    {{"x86_64-pc-linux-gnu", "haswell", HASWELL NO_AVX512},
     "avx512",
     NULL,
     NULL,
     POFAC_ERR_USAGE,
     "error: this machine does not support avx512: it lacks avx512f, avx512vl, avx512bw, avx512dq; it supports x86-64, avx2\n"},
    {{"x86_64-pc-linux-gnu", "haswell", SSE "+avx,+avx2,-fma,+bmi,+bmi2," NO_AVX512},
     "avx2",
     NULL,
     NULL,
     POFAC_ERR_USAGE,
     "error: this machine does not support avx2: it lacks fma; it supports x86-64\n"},
    {{"x86_64-pc-linux-gnu", "generic", ""},
     "avx2",
     NULL,
     NULL,
     POFAC_ERR_USAGE,
     "error: this machine does not support avx2: it lacks avx, avx2, fma, bmi, bmi2; it supports x86-64\n"},
    {{"aarch64-unknown-linux-gnu", "neoverse-n1", "+neon"},
     "avx2",
     NULL,
     NULL,
     POFAC_ERR_USAGE,
     "error: instruction set avx2 is not one of this machine's architecture; it supports neon\n"},
};

static void made_up_machines(void **state) {
    (void)state;
    arena memory = ARENA_INIT;
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        cg_target t;
        strbuf_clear(&messages);
        pofac_status status = target_choose(&machines[i].machine, machines[i].isa, &memory, &sink, &t);
        if (status != machines[i].status || strcmp(strbuf_str(&messages), machines[i].messages) != 0)
            fail_msg("machine %zu (%s %s): status %d, \"%s\", wanted %d, \"%s\"", i, machines[i].machine.cpu,
                     machines[i].machine.features, status, strbuf_str(&messages), machines[i].status, machines[i].messages);
        if (status != POFAC_OK) continue;
        if (strcmp(t.isa, machines[i].row) != 0 || strcmp(t.cpu, machines[i].cpu) != 0)
            fail_msg("machine %zu (%s %s): %s for %s, wanted %s for %s", i, machines[i].machine.cpu, machines[i].machine.features,
                     t.isa, t.cpu, machines[i].row, machines[i].cpu);
        if (!machines[i].isa) assert_string_equal(t.features, machines[i].machine.features); /* what is hidden stays hidden */
    }
    strbuf_free(&messages);
    arena_free(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_supported_or_refused),
        cmocka_unit_test(native_is_the_best_row),
        cmocka_unit_test(lower_rows_are_the_same_on_every_machine),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(other_architectures),
        cmocka_unit_test(made_up_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
