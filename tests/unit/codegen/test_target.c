/* Targets: the table, what this machine is said to support, and the messages for what it does not. */
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
        assert_false(target_has_fma(&t));
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_supported_or_refused),
        cmocka_unit_test(native_is_the_best_row),
        cmocka_unit_test(lower_rows_are_the_same_on_every_machine),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(other_architectures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
