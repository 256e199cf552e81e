/*
 * The name of a machine elsewhere -> cg_target; see cg_target_elsewhere.
 *
 * LLVM's C interface does not tell what a CPU can do, so LLVM is asked to make code for one fused multiply-add of 16 floats, in a child
 * process: whether that calls a function tells whether there is such an instruction, and the registers of x86 code tell how wide vectors
 * are. What LLVM does not recognize it says on the error stream, and then goes on without; here that is an error.
 */
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <stdio.h>
#include <string.h>

#include "codegen/child_process.h"
#include "codegen/cross_target.h"
#include "codegen/dot_product.h"
#include "codegen/machine.h"
#include "codegen/target.h"

#define PROBE_SECONDS 60
#define PROBE_LANES 16

typedef struct architecture {
    const char *name, *cpu, *features;
    unsigned vector_registers;
} architecture;

static const architecture architectures[] = {
#define ARCHITECTURE(name, cpu, features, vector_registers, meaning) {name, cpu, features, vector_registers},
#include "codegen/architectures.def"
#undef ARCHITECTURE
};
#define N_ARCHITECTURES (sizeof architectures / sizeof architectures[0])

const cg_row *cg_architecture_row(size_t i) {
    static const cg_row table[] = {
#define ARCHITECTURE(name, cpu, features, vector_registers, meaning) {name, meaning},
#include "codegen/architectures.def"
#undef ARCHITECTURE
    };
    return i < N_ARCHITECTURES ? &table[i] : NULL;
}

/* ---- the name ---- */

static const architecture *find_architecture(const char *triple) {
    static const architecture unknown = {"", "", "", 16};
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        size_t n = strlen(architectures[i].name);
        if (strncmp(triple, architectures[i].name, n) == 0 && (triple[n] == '-' || triple[n] == 0)) return &architectures[i];
    }
    return &unknown;
}

static char *normal_triple(const char *text, size_t n, arena *a) {
    char *triple = arena_strndup(a, text, n);
    char *normal = triple ? LLVMNormalizeTargetTriple(triple) : NULL;
    char *copy = normal ? arena_strdup(a, normal) : NULL;
    LLVMDisposeMessage(normal);
    return copy;
}

/* TRIPLE[:[CPU][,+FEATURE][,-FEATURE]...] with the defaults of its architecture. */
static pofac_status read_name(const char *text, arena *a, const diag_sink *sink, cg_target *out) {
    size_t n = strcspn(text, ":");
    const char *rest = text[n] ? text + n + 1 : "";
    const char *triple = normal_triple(text, n, a);
    if (!triple) return diag_out_of_memory(sink);
    const architecture *arch = find_architecture(triple);
    const char *cpu = arch->cpu;
    strbuf features = STRBUF_INIT;
    bool has_cpu = *rest && *rest != '+' && *rest != '-' && *rest != ',';
    if (has_cpu) cpu = arena_strndup(a, rest, strcspn(rest, ","));
    else strbuf_puts(&features, arch->features); /* a CPU that is named stands for its own features */
    pofac_status status = POFAC_OK;
    for (const char *at = has_cpu ? rest + strcspn(rest, ",") : rest; *at && status == POFAC_OK;) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        if (length < 2 || (*at != '+' && *at != '-'))
            status =
                diag_error(sink, POFAC_ERR_USAGE, NULL,
                           "target \"%s\": found \"%.*s\", wanted +FEATURE or -FEATURE; the form is TRIPLE[:[CPU][,+FEATURE]...]",
                           text, (int)length, at);
        strbuf_printf(&features, "%s%.*s", features.size ? "," : "", (int)length, at);
        at += length;
    }
    *out = (cg_target){.triple = triple,
                       .cpu = cpu,
                       .features = arena_strdup(a, strbuf_str(&features)),
                       .isa = "generic",
                       .vector_bytes = 16,
                       .vector_registers = arch->vector_registers,
                       .pointer_bytes = 8,
                       .has_fma = true};
    if (status == POFAC_OK && (!cpu || !out->features || !strbuf_ok(&features))) status = diag_out_of_memory(sink);
    strbuf_free(&features);
    return status;
}

/* ---- asking LLVM, in the child ---- */

typedef struct probe {
    unsigned pointer_bytes, vector_bytes;
    bool knows_architecture, has_fma;
} probe;

void cross_target_initialize(void) {
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    LLVMInitializeAllAsmParsers();
}

static bool knows_architecture(const char *triple) {
    LLVMTargetRef backend;
    char *message = NULL;
    bool known = !LLVMGetTargetFromTriple(triple, &backend, &message);
    LLVMDisposeMessage(message);
    return known;
}

static unsigned pointer_bytes(const cg_target *t) {
    LLVMTargetRef backend;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(t->triple, &backend, &message)) return 0;
    LLVMTargetMachineRef tm = LLVMCreateTargetMachine(backend, t->triple, t->cpu, t->features, LLVMCodeGenLevelDefault,
                                                      LLVMRelocPIC, LLVMCodeModelDefault);
    if (!tm) return 0;
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    unsigned bytes = LLVMPointerSize(layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeTargetMachine(tm);
    return bytes;
}

/* buffers[0][0..16) = fma of three vectors at scratch. */
static pofac_status multiply_add(const cg_target *t, const diag_sink *sink, strbuf *assembly) {
    machine *m;
    emitter e;
    TRY(machine_create(t, sink, &m));
    em_begin_module(&e, t, "probe");
    em_begin_function(&e, "probe");
    cg_val x[3];
    for (unsigned i = 0; i < 3; i++)
        x[i] = em_load(&e, PROBE_LANES, em_at_int(&e, em_scratch(&e), 4 * PROBE_LANES * (int64_t)i), 4);
    em_store(&e, em_fma(&e, x[0], x[1], x[2]), em_scratch(&e), 4);
    em_end_function(&e);
    pofac_status status = machine_generate(m, &e, CG_EMIT_ASM, sink, assembly);
    em_end_module(&e);
    machine_destroy(m);
    return status;
}

static pofac_status ask(void *user, const diag_sink *sink, strbuf *out) {
    cg_target t = *(const cg_target *)user;
    probe p = {.vector_bytes = 16};
    strbuf assembly = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    cross_target_initialize();
    p.knows_architecture = knows_architecture(t.triple);
    p.pointer_bytes = p.knows_architecture ? pointer_bytes(&t) : 0;
    t.pointer_bytes = p.pointer_bytes;
    if (p.pointer_bytes >= 4) status = multiply_add(&t, sink, &assembly);
    p.has_fma = !strstr(strbuf_str(&assembly), "fmaf");
    if (strstr(strbuf_str(&assembly), "%zmm")) p.vector_bytes = 64;
    else if (strstr(strbuf_str(&assembly), "%ymm")) p.vector_bytes = 32;
    strbuf_append(out, &p, sizeof p);
    strbuf_free(&assembly);
    return status;
}

/* LLVM writes its lists of CPUs and features when it is asked for the CPU "help". */
static pofac_status ask_for_help(void *user, const diag_sink *sink, strbuf *out) {
    cg_target t = *(const cg_target *)user;
    (void)sink;
    (void)out;
    t.cpu = "help";
    t.features = "";
    cross_target_initialize();
    (void)pointer_bytes(&t);
    return POFAC_OK;
}

/* ---- messages ---- */

static pofac_status unknown_architecture(const char *text, const diag_sink *sink) {
    strbuf wanted = STRBUF_INIT;
    const char *names[N_ARCHITECTURES + 8];
    size_t n = 0;
    for (size_t i = 0; cg_target_row(i) && n < 8; i++) names[n++] = cg_target_row(i)->name;
    for (size_t i = 0; i < N_ARCHITECTURES; i++) names[n++] = architectures[i].name;
    char found[64];
    snprintf(found, sizeof found, "%.*s", (int)strcspn(text, "-:"), text);
    const char *near = diag_nearest(text, names, n);
    if (!near) near = diag_nearest(found, names, n);
    for (size_t i = 0; cg_target_row(i); i++) strbuf_printf(&wanted, "%s%s", i ? ", " : "", cg_target_row(i)->name);
    strbuf_puts(&wanted, ", or a triple of one of the architectures ");
    for (size_t i = 0; i < N_ARCHITECTURES; i++) strbuf_printf(&wanted, "%s%s", i ? ", " : "", architectures[i].name);
    pofac_status status = diag_error(
        sink, POFAC_ERR_USAGE, NULL, "target \"%s\": LLVM %s has no architecture \"%s\"%s%s%s; wanted %s", text, cg_llvm_version(),
        found, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "", strbuf_str(&wanted));
    strbuf_free(&wanted);
    return status;
}

#define MAX_NAMES 512

/* The names below a heading of LLVM's lists: lines "  NAME - meaning". */
static size_t listed_names(const char *list, const char *heading, arena *a, const char *names[MAX_NAMES]) {
    const char *at = strstr(list, heading);
    size_t n = 0;
    for (at = at ? strchr(at, '\n') : NULL; at && n < MAX_NAMES; at = strchr(at + 1, '\n')) {
        if (at[1] == '\n') continue;
        if (strncmp(at + 1, "  ", 2) != 0) break;
        const char *name = arena_strndup(a, at + 3, strcspn(at + 3, " \n"));
        if (name) names[n++] = name;
    }
    return n;
}

/* "'word' is not a recognized processor for this target": what is wanted instead comes from LLVM. */
static pofac_status not_recognized(const char *text, const cg_target *t, const char *said, arena *a, const diag_sink *sink) {
    const char *begin = strchr(said, '\''), *end = begin ? strchr(begin + 1, '\'') : NULL;
    bool is_cpu = strstr(said, "recognized processor") != NULL;
    const char *word = end ? arena_strndup(a, begin + 1, (size_t)(end - begin - 1)) : NULL;
    const char *names[MAX_NAMES];
    strbuf none = STRBUF_INIT, list = STRBUF_INIT, wanted = STRBUF_INIT;
    cg_target copy = *t;
    pofac_status status = child_run(ask_for_help, &copy, text, PROBE_SECONDS, sink, &none, &list);
    size_t n = listed_names(strbuf_str(&list), is_cpu ? "Available CPUs" : "Available features", a, names);
    if (word && (*word == '+' || *word == '-')) word++;
    const char *near = word ? diag_nearest(word, names, n) : NULL;
    for (size_t i = 0; i < n; i++) strbuf_printf(&wanted, "%s%s", i ? ", " : "", names[i]);
    if (status == POFAC_OK)
        status =
            near ? diag_error(sink, POFAC_ERR_USAGE, NULL, "target \"%s\": LLVM %s has no %s \"%s\" for %s; did you mean \"%s\"?",
                              text, cg_llvm_version(), is_cpu ? "CPU" : "feature", word, t->triple, near)
                 : diag_error(sink, POFAC_ERR_USAGE, NULL, "target \"%s\": LLVM %s has no %s \"%s\" for %s, wanted one of %s", text,
                              cg_llvm_version(), is_cpu ? "CPU" : "feature", word ? word : "", t->triple, strbuf_str(&wanted));
    strbuf_free(&none);
    strbuf_free(&list);
    strbuf_free(&wanted);
    return status;
}

/* ---- extensions ---- */

/* scratch[0..] += dot products of scratch with itself; or the same with tiles, or a lookup. */
static pofac_status use_extension(void *user, const diag_sink *sink, strbuf *out) {
    const cg_target *t = user;
    machine *m;
    emitter e;
    cross_target_initialize();
    TRY(machine_create(t, sink, &m));
    em_begin_module(&e, t, "probe");
    em_begin_function(&e, "probe");
    if (t->extensions & CG_TILES_U8S8) {
        const em_tiles tiles = em_tiles_begin(&e);
        for (unsigned i = 0; i < 3; i++) em_tile_zero(&e, &tiles, i);
        em_tile_dot_u8s8(&e, &tiles, 0, 1, 2);
        em_tiles_end(&e, &tiles);
    } else if (t->extensions & CG_TABLE_U8) {
        cg_val bytes = em_load_i32(&e, e.lanes, em_scratch(&e), 64);
        em_store(&e, em_table_u8(&e, em_scratch(&e), bytes), em_scratch(&e), 64);
    } else {
        cg_val v = em_load_i32(&e, e.lanes, em_scratch(&e), 4);
        em_store(&e, em_dot_u8s8(&e, v, v, v), em_scratch(&e), 4);
    }
    em_end_function(&e);
    pofac_status status = machine_generate(m, &e, CG_EMIT_ASM, sink, out);
    em_end_module(&e);
    machine_destroy(m);
    return status;
}

/* LLVM has no list of what a CPU's features are: each extension is tried, in a child that LLVM ends where it is missing. */
static void find_extensions(cg_target *t) {
    unsigned found = 0;
    for (size_t i = 0; cg_extension_row(i); i++) {
        if (strcmp(cg_extension_isa(i), t->isa) != 0) continue;
        cg_target with = *t;
        strbuf assembly = STRBUF_INIT, said = STRBUF_INIT;
        with.extensions = target_extension_bit(i);
        if (child_run(use_extension, &with, cg_extension_row(i)->name, PROBE_SECONDS, NULL, &assembly, &said) == POFAC_OK)
            found |= with.extensions;
        strbuf_free(&assembly);
        strbuf_free(&said);
    }
    t->extensions = found;
}

/* ---- the target ---- */

static pofac_status apply(const char *text, const probe *p, const char *said, arena *a, const diag_sink *sink, cg_target *t) {
    if (!p->knows_architecture) return unknown_architecture(text, sink);
    if (strstr(said, "not a recognized")) return not_recognized(text, t, said, a, sink);
    if (p->pointer_bytes < 4)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "target \"%s\": found pointers of %u bits, wanted at least 32", text,
                          8 * p->pointer_bytes);
    t->pointer_bytes = p->pointer_bytes;
    t->has_fma = p->has_fma;
    if (target_fit_row(t, p->vector_bytes)) find_extensions(t);
    return POFAC_OK;
}

pofac_status cg_target_elsewhere(const char *text, arena *a, const diag_sink *sink, cg_target *out) {
    *out = (cg_target){0};
    for (size_t i = 0; cg_target_row(i); i++)
        if (strcmp(cg_target_row(i)->name, text) == 0) return target_of_row(text, sink, out);
    TRY(read_name(text, a, sink, out));
    strbuf answer = STRBUF_INIT, said = STRBUF_INIT;
    char *what = arena_printf(a, "target \"%s\"", text);
    pofac_status status = what ? child_run(ask, out, what, PROBE_SECONDS, sink, &answer, &said) : diag_out_of_memory(sink);
    if (status == POFAC_OK) {
        probe p = {0};
        if (answer.size == sizeof p) memcpy(&p, answer.data, sizeof p);
        status = apply(text, &p, strbuf_str(&said), a, sink, out);
    }
    strbuf_free(&answer);
    strbuf_free(&said);
    return status;
}
