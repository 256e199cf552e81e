/*
 * Code for machines elsewhere: every architecture of the table gives object code of its own kind, names are read as documented, what
 * LLVM does not know is an error that says what is wanted, and what it cannot do ends a child process and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "codegen/child_process.h"
#include "codegen/target.h"
#include "ir/text.h"

static const char two_kernels[] = "graph @g (T <= 4096) {\n"
                                  "  %1 = input {name = \"x\"} : f32[T,64]\n"
                                  "  %2 = state {name = \"w\"} : f32[64,64]\n"
                                  "  %3 = state {name = \"b\"} : f32[64]\n"
                                  "  %4 = relayout %1 : f32[T,64] tiles<16>\n"
                                  "  %5 = linear %4, %2, %3 : f32[T,64] tiles<16>\n"
                                  "  return \"y\" = %5\n"
                                  "}\n";

typedef struct elsewhere {
    arena memory;
    strbuf messages, code;
    diag_sink sink;
    cg_target target;
} elsewhere;

static void begin(elsewhere *c) {
    *c = (elsewhere){.memory = ARENA_INIT, .messages = STRBUF_INIT, .code = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->messages);
}

static void end(elsewhere *c) {
    arena_free(&c->memory);
    strbuf_free(&c->messages);
    strbuf_free(&c->code);
}

static pofac_status emit(elsewhere *c, const char *name, cg_emit_kind kind) {
    begin(c);
    ir_context *context = context_create();
    ir_module *m = NULL;
    cg_options options = {.isolated = true};
    pofac_status status = cg_target_elsewhere(name, &c->memory, &c->sink, &options.target);
    c->target = options.target;
    if (status == POFAC_OK) status = text_parse_module(context, "test", two_kernels, strlen(two_kernels), NULL, &c->sink, &m);
    if (status == POFAC_OK) status = cg_emit(m, "g", &options, kind, &c->sink, &c->code);
    module_destroy(m);
    context_destroy(context);
    return status;
}

/* ---- every architecture ---- */

/* e_machine stands at the same place in files of 32 and 64 bits, in the byte order that the file names. */
static unsigned elf_machine(const strbuf *object) {
    const unsigned char *b = (const unsigned char *)object->data;
    if (object->size < 20 || memcmp(b, ELFMAG, SELFMAG) != 0) return EM_NONE;
    return b[EI_DATA] == ELFDATA2LSB ? b[18] + 256u * b[19] : b[19] + 256u * b[18];
}

static void every_architecture_gives_its_own_object_code(void **state) {
    (void)state;
    static const struct {
        const char *name;
        unsigned machine, pointer_bytes, vector_bytes;
        bool has_fma;
    } wanted[] = {
        {"x86_64", EM_X86_64, 8, 16, false},    {"i686", EM_386, 4, 16, false},       {"aarch64", EM_AARCH64, 8, 16, true},
        {"armv7", EM_ARM, 4, 16, false},        {"riscv64", EM_RISCV, 8, 16, true},   {"riscv32", EM_RISCV, 4, 16, true},
        {"powerpc64le", EM_PPC64, 8, 16, true}, {"powerpc64", EM_PPC64, 8, 16, true}, {"s390x", EM_S390, 8, 16, true},
        {"loongarch64", 258, 8, 16, true},      {"mips64el", EM_MIPS, 8, 16, false},  {"sparcv9", EM_SPARCV9, 8, 16, false},
        {"wasm32", EM_NONE, 4, 16, false},      {"wasm64", EM_NONE, 8, 16, false},
    };
    size_t n = sizeof wanted / sizeof wanted[0];
    for (size_t i = 0; i < n; i++) {
        elsewhere c;
        if (!cg_architecture_row(i)) fail_msg("codegen/architectures.def has %zu rows, this test %zu", i, n);
        assert_string_equal(cg_architecture_row(i)->name, wanted[i].name);
        assert_true(strlen(cg_architecture_row(i)->meaning) > 0);
        if (emit(&c, wanted[i].name, CG_EMIT_OBJ) != POFAC_OK) fail_msg("%s: %s", wanted[i].name, strbuf_str(&c.messages));
        if (elf_machine(&c.code) != wanted[i].machine)
            fail_msg("%s: the object's machine is %u, wanted %u", wanted[i].name, elf_machine(&c.code), wanted[i].machine);
        if (wanted[i].machine == EM_NONE) assert_memory_equal(c.code.data, "\0asm", 4);
        if (c.target.pointer_bytes != wanted[i].pointer_bytes || c.target.vector_bytes != wanted[i].vector_bytes ||
            c.target.has_fma != wanted[i].has_fma)
            fail_msg("%s: pointers of %u, vectors of %u bytes, fma %d", wanted[i].name, c.target.pointer_bytes,
                     c.target.vector_bytes, c.target.has_fma);
        assert_string_equal(strbuf_str(&c.messages), "");
        end(&c);
    }
    if (cg_architecture_row(n)) fail_msg("%s of codegen/architectures.def has no test", cg_architecture_row(n)->name);
}

/* ---- names ---- */

static void names_choose_cpu_features_and_vectors(void **state) {
    (void)state;
    static const struct {
        const char *name, *triple, *cpu, *features, *isa;
        unsigned vector_bytes, vector_registers;
        bool has_fma;
    } cases[] = {
        {"avx2", "x86_64-pc-linux-gnu", "x86-64-v3", "", "avx2", 32, 16, true},
        {"neon", "aarch64-unknown-linux-gnu", "generic", "+neon", "neon", 16, 32, true},
        {"aarch64-linux-gnu", "aarch64-unknown-linux-gnu", "generic", "", "neon", 16, 32, true},
        {"aarch64-linux-gnu:neoverse-n1", "aarch64-unknown-linux-gnu", "neoverse-n1", "", "neon", 16, 32, true},
        {"x86_64-linux-gnu", "x86_64-unknown-linux-gnu", "x86-64", "", "x86-64", 16, 16, false},
        {"x86_64-linux-gnu:znver3", "x86_64-unknown-linux-gnu", "znver3", "", "avx2", 32, 16, true},
        {"x86_64-linux-gnu:znver4", "x86_64-unknown-linux-gnu", "znver4", "", "avx512", 64, 32, true},
        {"x86_64-linux-gnu:sandybridge", "x86_64-unknown-linux-gnu", "sandybridge", "", "x86-64", 16, 16, false},
        {"x86_64-linux-gnu:znver3,-avx2,-fma", "x86_64-unknown-linux-gnu", "znver3", "-avx2,-fma", "x86-64", 16, 16, false},
        {"x86_64-linux-gnu:+fma,+avx2", "x86_64-unknown-linux-gnu", "x86-64", "+fma,+avx2", "avx2", 32, 16, true},
        {"riscv64-linux-gnu:+v", "riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d,+c,+v", "generic", 16, 32, true},
        {"riscv64-linux-gnu:sifive-u74", "riscv64-unknown-linux-gnu", "sifive-u74", "", "generic", 16, 32, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        elsewhere c;
        begin(&c);
        if (cg_target_elsewhere(cases[i].name, &c.memory, &c.sink, &c.target) != POFAC_OK)
            fail_msg("%s: %s", cases[i].name, strbuf_str(&c.messages));
        print_message("%s\n", cases[i].name);
        assert_string_equal(c.target.triple, cases[i].triple);
        assert_string_equal(c.target.cpu, cases[i].cpu);
        assert_string_equal(c.target.features, cases[i].features);
        assert_string_equal(c.target.isa, cases[i].isa);
        assert_int_equal(c.target.vector_bytes, cases[i].vector_bytes);
        assert_int_equal(c.target.vector_registers, cases[i].vector_registers);
        assert_int_equal(c.target.has_fma, cases[i].has_fma);
        end(&c);
    }
}

static void assembly_is_that_of_the_machine(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"aarch64-linux-gnu:neoverse-n1", "\tfmla\t"}, {"neon", "\tfmla\t"},          {"riscv64-linux-gnu", "\tfmadd.s\t"},
        {"riscv64-linux-gnu:+v", "\tvfmacc.v"},        {"s390x-linux-gnu", "vfmasb"}, {"x86_64-linux-gnu:znver4", "%zmm"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        elsewhere c;
        if (emit(&c, cases[i][0], CG_EMIT_ASM) != POFAC_OK) fail_msg("%s: %s", cases[i][0], strbuf_str(&c.messages));
        if (!strstr(strbuf_str(&c.code), cases[i][1])) fail_msg("%s: no \"%s\" in the assembly", cases[i][0], cases[i][1]);
        end(&c);
    }
}

/* ---- messages ---- */

static void want_error(const char *name, pofac_status status, const char *beginning, const char *somewhere) {
    elsewhere c;
    assert_int_equal(emit(&c, name, CG_EMIT_OBJ), status);
    if (strncmp(strbuf_str(&c.messages), beginning, strlen(beginning)) != 0 || !strstr(strbuf_str(&c.messages), somewhere) ||
        strchr(strbuf_str(&c.messages), '\n') != strbuf_str(&c.messages) + c.messages.size - 1)
        fail_msg("%s: found \"%s\", wanted one line that begins \"%s\" and has \"%s\"", name, strbuf_str(&c.messages), beginning,
                 somewhere);
    assert_int_equal(c.code.size, 0);
    end(&c);
}

static void messages(void **state) {
    (void)state;
    want_error("itanium", POFAC_ERR_USAGE,
               "error: target \"itanium\": LLVM 19.1.7 has no architecture \"itanium\"; wanted x86-64, ",
               ", neon, or a triple of one of the architectures x86_64, i686, aarch64, ");
    want_error("avx-512", POFAC_ERR_USAGE, "error: target \"avx-512\": LLVM 19.1.7 has no architecture \"avx\"",
               "wanted x86-64, avx2");
    want_error("aarch65-linux-gnu", POFAC_ERR_USAGE,
               "error: target \"aarch65-linux-gnu\": LLVM 19.1.7 has no architecture \"aarch65\"",
               "; did you mean \"aarch64\"?; wanted ");
    want_error("", POFAC_ERR_USAGE, "error: target \"\": LLVM 19.1.7 has no architecture \"", "");
    want_error(
        "aarch64-linux-gnu:neoverse-x1", POFAC_ERR_USAGE,
        "error: target \"aarch64-linux-gnu:neoverse-x1\": LLVM 19.1.7 has no CPU \"neoverse-x1\" for aarch64-unknown-linux-gnu; "
        "did you mean \"neoverse-",
        "?");
    want_error(
        "aarch64-linux-gnu:quantum", POFAC_ERR_USAGE,
        "error: target \"aarch64-linux-gnu:quantum\": LLVM 19.1.7 has no CPU \"quantum\" for aarch64-unknown-linux-gnu, wanted one "
        "of a64fx, ",
        "neoverse-n1, ");
    want_error(
        "x86_64-linux-gnu:+avx513f", POFAC_ERR_USAGE,
        "error: target \"x86_64-linux-gnu:+avx513f\": LLVM 19.1.7 has no feature \"avx513f\" for x86_64-unknown-linux-gnu; did you "
        "mean \"avx512f\"?",
        "");
    want_error("x86_64-linux-gnu:znver3,avx2", POFAC_ERR_USAGE,
               "error: target \"x86_64-linux-gnu:znver3,avx2\": found \"avx2\", wanted +FEATURE or -FEATURE; the form is ",
               "TRIPLE");
    want_error("avr", POFAC_ERR_USAGE, "error: target \"avr\": found pointers of 16 bits, wanted at least 32", "");
}

/* What LLVM has, but cannot make these kernels for: it ends the process or refuses, each time in the child. */
static void refusals_are_one_message(void **state) {
    (void)state;
    want_error("nvptx64", POFAC_ERR_RUNTIME, "error: code for nvptx64: LLVM cannot generate code: ", "");
    want_error("xtensa", POFAC_ERR_RUNTIME, "error: target \"xtensa\": LLVM gave up: ", "PIC");
    want_error("ve", POFAC_ERR_RUNTIME, "error: code for ve", "Cannot select");
}

/* ---- the child ---- */

static pofac_status succeed(void *user, const diag_sink *sink, strbuf *out) {
    diag_warning(sink, NULL, "%s", "a warning");
    diag_note(sink, NULL, "%s", "a note");
    strbuf_append(out, user, 5);
    if (write(STDERR_FILENO, "said", 4) != 4 || write(STDOUT_FILENO, " too", 4) != 4) return POFAC_ERR_RUNTIME;
    return POFAC_OK;
}

static pofac_status refuse(void *user, const diag_sink *sink, strbuf *out) {
    (void)user;
    strbuf_puts(out, "half");
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "this is wrong");
}

static pofac_status crash(void *user, const diag_sink *sink, strbuf *out) {
    (void)user, (void)sink, (void)out;
    raise(SIGKILL);
    return POFAC_OK;
}

static pofac_status end_the_process(void *user, const diag_sink *sink, strbuf *out) {
    (void)user, (void)sink, (void)out;
    if (write(STDERR_FILENO, "\nsomething\nmore\n", 16) != 16) return POFAC_OK;
    _exit(0);
}

static pofac_status hang(void *user, const diag_sink *sink, strbuf *out) {
    (void)user, (void)sink, (void)out;
    for (volatile bool forever = true; forever;) pause();
    return POFAC_OK;
}

static void want_child(child_work work, pofac_status status, const char *messages_wanted, const char *out_wanted,
                       const char *said_wanted) {
    strbuf messages_found = STRBUF_INIT, out = STRBUF_INIT, said = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages_found);
    char user[] = "a\0b\nc";
    assert_int_equal(child_run(work, user, "work", 1, &sink, &out, &said), status);
    assert_string_equal(strbuf_str(&messages_found), messages_wanted);
    assert_int_equal(out.size, out_wanted ? 5 : 0);
    if (out_wanted) assert_memory_equal(out.data, out_wanted, 5);
    assert_string_equal(strbuf_str(&said), said_wanted);
    strbuf_free(&messages_found);
    strbuf_free(&out);
    strbuf_free(&said);
}

static void children_end_in_every_way(void **state) {
    (void)state;
    want_child(succeed, POFAC_OK, "warning: a warning\nnote: a note\n", "a\0b\nc", "said too");
    want_child(refuse, POFAC_ERR_INPUT, "error: work: this is wrong\n", NULL, "");
    want_child(crash, POFAC_ERR_RUNTIME, "error: work: LLVM gave up: Killed\n", NULL, "");
    want_child(end_the_process, POFAC_ERR_RUNTIME, "error: work: LLVM gave up: something\n", NULL, "\nsomething\nmore\n");
    want_child(hang, POFAC_ERR_RUNTIME, "error: work: LLVM did not end within 1 seconds\n", NULL, "");
    void (*before)(int) = signal(SIGCHLD, SIG_IGN); /* a parent that ignores its children */
    want_child(refuse, POFAC_ERR_INPUT, "error: work: this is wrong\n", NULL, "");
    want_child(succeed, POFAC_OK, "warning: a warning\nnote: a note\n", "a\0b\nc", "said too");
    signal(SIGCHLD, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_gives_its_own_object_code),
        cmocka_unit_test(names_choose_cpu_features_and_vectors),
        cmocka_unit_test(assembly_is_that_of_the_machine),
        cmocka_unit_test(messages),
        cmocka_unit_test(refusals_are_one_message),
        cmocka_unit_test(children_end_in_every_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
