/*
 * What a machine supports -> a cg_target.
 *
 * LLVM names the host's CPU and features; the rows of targets.def say what each instruction set needs. The best row that the host
 * supports is "native", and code for it is tuned for the very CPU; a lower row that is asked for gets that row's least CPU, so that
 * its code is the same on every machine. A CPU that LLVM does not know ("generic") gets the row's least CPU with the host's
 * features. Features decide, never the CPU's name: what a hypervisor or the operating system hides is not used.
 */
#include "codegen/target.h"

#include <llvm-c/Core.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct target_row {
    const char *name, *arch, *cpu, *needs;
    unsigned vector_bytes, vector_registers;
    bool has_fma;
    const char *meaning;
} target_row;

static const target_row rows[] = {
#define TARGET(name, arch, cpu, needs, vector_bytes, vector_registers, fma, meaning)                                               \
    {name, arch, cpu, needs, vector_bytes, vector_registers, fma, meaning},
#include "codegen/targets.def"
#undef TARGET
};
#define N_ROWS (sizeof rows / sizeof rows[0])

const cg_row *cg_target_row(size_t i) {
    static const cg_row table[] = {
#define TARGET(name, arch, cpu, needs, vector_bytes, vector_registers, fma, meaning) {name, meaning},
#include "codegen/targets.def"
#undef TARGET
    };
    return i < N_ROWS ? &table[i] : NULL;
}

typedef struct extension_row {
    cg_row row;
    unsigned bit;
    const char *isa, *needs;
} extension_row;

static const extension_row extensions[] = {
#define EXTENSION(id, name, isa, needs, meaning) {{name, meaning}, CG_##id, isa, needs},
#include "codegen/extensions.def"
#undef EXTENSION
};
#define N_EXTENSIONS (sizeof extensions / sizeof extensions[0])

const cg_row *cg_extension_row(size_t i) { return i < N_EXTENSIONS ? &extensions[i].row : NULL; }

const char *cg_extension_isa(size_t i) { return extensions[i].isa; }

unsigned target_extension_bit(size_t i) { return extensions[i].bit; }

/*
 * Passes of the code generator that take a third of its time and change nothing for the better, since emitters write loops and addresses in
 * the form they should have: loop strength reduction, and the search for scalar work that could move to mask registers. LLVM has
 * them as options of the process alone.
 */
static void leave_out_passes(void) {
    static const char *const options[] = {"pofac", "-disable-lsr", "-disable-x86-domain-reassignment"};
    LLVMParseCommandLineOptions(sizeof options / sizeof options[0], options, NULL);
}

static void register_backends(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
    leave_out_passes();
}

void target_initialize(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* LLVM's registry is global and not thread-safe */
    pthread_once(&once, register_backends);
}

/* ---- features ---- */

/* Is `word` (n bytes) in `list` as "+word"? */
static bool has_feature(const char *list, const char *word, size_t n) {
    for (const char *at = list; (at = memmem(at, strlen(at), word, n)) != NULL; at += n)
        if (at > list && at[-1] == '+' && (at[n] == ',' || at[n] == 0)) return true;
    return false;
}

/* Is `word` (n bytes) in `list` between commas? */
static bool has_word(const char *list, const char *word, size_t n) {
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == n && strncmp(at, word, n) == 0) return true;
    return false;
}

/* The words of `list` that are not in `without`, and that the machine has or lacks, with ", " between them. */
static const char *list_features(const char *list, const char *without, const char *features, bool wanted, arena *a) {
    strbuf text = STRBUF_INIT;
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
        size_t n = strcspn(at, ",");
        char *word = arena_strndup(a, at, n);
        if (!word) text.failed = true;
        else if (!has_word(without, word, n) && has_feature(features, word, n) == wanted)
            strbuf_printf(&text, "%s%s", text.size ? ", " : "", word);
    }
    const char *copy = strbuf_ok(&text) ? arena_strdup(a, strbuf_str(&text)) : NULL;
    strbuf_free(&text);
    return copy;
}

/* Are all words of `needs` in `features` as "+word"? */
static bool has_features(const char *features, const char *needs) {
    for (const char *at = needs; *at; at += strcspn(at, ","), at += *at == ',')
        if (!has_feature(features, at, strcspn(at, ","))) return false;
    return true;
}

unsigned target_extensions(const char *isa, const char *features) {
    unsigned bits = 0;
    for (size_t i = 0; i < N_EXTENSIONS; i++)
        if (strcmp(extensions[i].isa, isa) == 0 && has_features(features, extensions[i].needs)) bits |= extensions[i].bit;
    return bits;
}

static bool is_of_arch(const target_row *row, const char *triple) {
    size_t n = strlen(row->arch);
    return strncmp(triple, row->arch, n) == 0 && (triple[n] == '-' || triple[n] == 0);
}

static const target_row *baseline_of(const target_row *row) {
    const target_row *first = rows;
    while (strcmp(first->arch, row->arch) != 0) first++;
    return first;
}

/* What the machine lacks for the row, as a list in `a`; "" when nothing, NULL when memory is short. A machine of which nothing is known
 * has what all of its architecture have. */
static const char *missing_features(const target_row *row, const char *features, arena *a) {
    return list_features(row->needs, *features ? "" : baseline_of(row)->needs, features, false, a);
}

/* ---- choosing ---- */

typedef struct choice {
    const target_machine *machine;
    const target_row *best, *next; /* next: the row of the architecture behind the best */
    strbuf supported;              /* names, with commas */
} choice;

static pofac_status find_rows(choice *c, arena *a, const diag_sink *sink) {
    const target_machine *m = c->machine;
    bool complete = true; /* rows include the ones before them */
    for (size_t i = 0; i < N_ROWS && complete; i++) {
        if (!is_of_arch(&rows[i], m->triple)) continue;
        const char *missing = missing_features(&rows[i], m->features, a);
        if (!missing) return diag_out_of_memory(sink);
        complete = *missing == 0;
        if (complete) {
            c->best = &rows[i];
            strbuf_printf(&c->supported, "%s%s", c->supported.size ? ", " : "", rows[i].name);
        } else if (c->best) {
            c->next = &rows[i];
        } else {
            return diag_error(sink, POFAC_ERR_RUNTIME, NULL,
                              "no instruction set of pofac runs on this machine (%s, %s): %s, the least one, needs %s", m->triple,
                              m->cpu, rows[i].name, missing);
        }
    }
    if (!c->best)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL,
                          "no instruction set of pofac runs on this machine (%s, %s): found none for its architecture", m->triple,
                          m->cpu);
    return strbuf_ok(&c->supported) ? POFAC_OK : diag_out_of_memory(sink);
}

static const target_row *find_row(const char *isa) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, isa) == 0) return &rows[i];
    return NULL;
}

static pofac_status unknown_isa(const char *isa, const diag_sink *sink) {
    const char *names[N_ROWS + 1];
    strbuf all = STRBUF_INIT;
    names[0] = "native";
    for (size_t i = 0; i < N_ROWS; i++) {
        names[i + 1] = rows[i].name;
        strbuf_printf(&all, ", %s", rows[i].name);
    }
    const char *near = diag_nearest(isa, names, N_ROWS + 1);
    pofac_status status =
        near ? diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown instruction set \"%s\"; did you mean \"%s\"?", isa, near)
             : diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown instruction set \"%s\", wanted native%s", isa, strbuf_str(&all));
    strbuf_free(&all);
    return status;
}

static cg_target make_target(const target_row *row, const char *triple, const char *cpu, const char *features) {
    return (cg_target){.triple = triple,
                       .cpu = cpu,
                       .features = features,
                       .isa = row->name,
                       .vector_bytes = row->vector_bytes,
                       .vector_registers = row->vector_registers,
                       .pointer_bytes = 8,
                       .has_fma = row->has_fma,
                       .extensions = target_extensions(row->name, features)};
}

static bool is_known(const char *cpu) {
    return *cpu && strncmp(cpu, "generic", strlen("generic")) != 0 && strcmp(cpu, "x86-64") != 0;
}

/* Why the machine gets no better row, where that is worth a word. */
static pofac_status explain(const choice *c, arena *a, const diag_sink *sink) {
    const target_machine *m = c->machine;
    if (*m->features == 0) {
        diag_note(sink, NULL, "LLVM cannot tell what this processor supports; kernels use %s, which every %s has", c->best->name,
                  c->best->arch);
        return POFAC_OK;
    }
    if (!is_known(m->cpu))
        diag_note(sink, NULL, "LLVM %s does not know this processor; kernels use %s, which it says that it supports",
                  cg_llvm_version(), c->best->name);
    if (!c->next) return POFAC_OK;
    const char *has = list_features(c->next->needs, c->best->needs, m->features, true, a);
    const char *lacks = list_features(c->next->needs, c->best->needs, m->features, false, a);
    if (!has || !lacks) return diag_out_of_memory(sink);
    if (*has)
        diag_note(sink, NULL, "this machine has %s, but lacks %s; kernels use %s, not %s", has, lacks, c->best->name,
                  c->next->name);
    else if (c->best == baseline_of(c->best))
        diag_note(sink, NULL, "this machine lacks %s; kernels use %s, not %s", lacks, c->best->name, c->next->name);
    return POFAC_OK;
}

static pofac_status choose_native(const choice *c, arena *a, const diag_sink *sink, cg_target *out) {
    const target_machine *m = c->machine;
    *out = make_target(c->best, m->triple, is_known(m->cpu) && *m->features ? m->cpu : c->best->cpu, m->features);
    return explain(c, a, sink);
}

static pofac_status choose_row(const choice *c, const char *isa, arena *a, const diag_sink *sink, cg_target *out) {
    const target_machine *m = c->machine;
    const target_row *row = find_row(isa);
    if (!row) return unknown_isa(isa, sink);
    if (!is_of_arch(row, m->triple))
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "instruction set %s is not one of this machine's architecture; it supports %s", isa,
                          strbuf_str(&c->supported));
    const char *missing = missing_features(row, m->features, a);
    if (!missing) return diag_out_of_memory(sink);
    if (*missing)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "this machine does not support %s: it lacks %s; it supports %s", isa,
                          missing, strbuf_str(&c->supported));
    if (row == c->best && is_known(m->cpu) && *m->features) *out = make_target(row, m->triple, m->cpu, m->features);
    else *out = make_target(row, m->triple, row->cpu, row == c->best ? m->features : "");
    return POFAC_OK;
}

pofac_status target_choose(const target_machine *m, const char *isa, arena *a, const diag_sink *sink, cg_target *out) {
    choice c = {.machine = m, .supported = STRBUF_INIT};
    *out = (cg_target){0};
    bool native = !isa || strcmp(isa, "native") == 0;
    pofac_status status = find_rows(&c, a, sink);
    if (status == POFAC_OK) status = native ? choose_native(&c, a, sink, out) : choose_row(&c, isa, a, sink, out);
    strbuf_free(&c.supported);
    return status;
}

/* ---- this machine ---- */

static const char *take_message(char *message, arena *a) {
    char *copy = arena_strdup(a, message ? message : "");
    LLVMDisposeMessage(message);
    return copy;
}

static pofac_status detect(target_machine *m, arena *a, const diag_sink *sink) {
    target_initialize();
    m->triple = take_message(LLVMGetDefaultTargetTriple(), a);
    m->cpu = take_message(LLVMGetHostCPUName(), a);
    m->features = take_message(LLVMGetHostCPUFeatures(), a);
    return m->triple && m->cpu && m->features ? POFAC_OK : diag_out_of_memory(sink);
}

/* Linux saves the registers of tiles for processes that have asked for it: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA), which holds for
 * all threads from then on (Documentation/arch/x86/xstate.rst). */
static bool may_use_tiles(void) {
#ifdef SYS_arch_prctl
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

pofac_status cg_target_host(const char *isa, arena *a, const diag_sink *sink, cg_target *out) {
    target_machine m;
    *out = (cg_target){0};
    TRY(detect(&m, a, sink));
    TRY(target_choose(&m, isa, a, sink, out));
    if (out->extensions & CG_TILES_U8S8 && !may_use_tiles()) out->extensions &= ~(unsigned)CG_TILES_U8S8;
    return POFAC_OK;
}

const char *cg_host_cpu(arena *a) {
    target_initialize();
    return take_message(LLVMGetHostCPUName(), a);
}

pofac_status cg_host_lacks(size_t i, arena *a, const diag_sink *sink, const char **out) {
    target_machine m;
    TRY(detect(&m, a, sink));
    if (!is_of_arch(&rows[i], m.triple)) {
        *out = "architecture";
        return POFAC_OK;
    }
    const char *missing = missing_features(&rows[i], m.features, a);
    *out = missing && *missing ? missing : NULL;
    return missing ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status cg_host_lacks_extension(size_t i, arena *a, const diag_sink *sink, const char **out) {
    target_machine m;
    TRY(detect(&m, a, sink));
    *out = "architecture";
    if (!is_of_arch(find_row(extensions[i].isa), m.triple)) return POFAC_OK;
    const char *missing = list_features(extensions[i].needs, "", m.features, false, a);
    *out = missing && *missing ? missing : NULL;
    if (!*out && extensions[i].bit == CG_TILES_U8S8 && !may_use_tiles()) *out = "the permission of Linux";
    return missing ? POFAC_OK : diag_out_of_memory(sink);
}

/* The first part of both triples is one architecture. */
static bool same_arch(const char *a, const char *b) {
    const size_t n = strcspn(a, "-");
    return n == strcspn(b, "-") && strncmp(a, b, n) == 0;
}

/* The features that `wanted` adds, as list_features takes them: "+a,-b,+c" is "a,c". */
static char *added_features(const char *wanted, arena *a) {
    char *list = arena_strdup(a, wanted), *to = list;
    for (const char *at = wanted; list && *at;) {
        const size_t n = strcspn(at, ",");
        if (*at == '+') {
            if (to != list) *to++ = ',';
            memcpy(to, at + 1, n - 1);
            to += n - 1;
        }
        at += n + (at[n] == ',');
    }
    if (list) *to = 0;
    return list;
}

pofac_status cg_host_runs(const cg_target *target, arena *a, const diag_sink *sink, bool *out) {
    target_machine m;
    *out = false;
    TRY(detect(&m, a, sink));
    const target_row *row = find_row(target->isa);
    if (!row || !same_arch(m.triple, target->triple) || !is_of_arch(row, m.triple)) return POFAC_OK;
    const char *wanted = added_features(target->features, a), *of_row = missing_features(row, m.features, a);
    const char *missing = wanted ? list_features(wanted, "", m.features, false, a) : NULL;
    if (!of_row || !missing) return diag_out_of_memory(sink);
    *out = *of_row == 0 && *missing == 0 && (!(target->extensions & CG_TILES_U8S8) || may_use_tiles());
    return POFAC_OK;
}

/* ---- rows ---- */

pofac_status target_of_row(const char *isa, const diag_sink *sink, cg_target *out) {
    const target_row *row = find_row(isa);
    *out = (cg_target){0};
    if (!row) return unknown_isa(isa, sink);
    bool arm = strcmp(row->arch, "aarch64") == 0;
    *out = make_target(row, arm ? "aarch64-unknown-linux-gnu" : "x86_64-pc-linux-gnu", row->cpu, arm ? "+neon" : "");
    return POFAC_OK;
}

pofac_status cg_target_named(const char *isa, const diag_sink *sink, cg_target *out) { return target_of_row(isa, sink, out); }

bool target_fit_row(cg_target *t, unsigned vector_bytes) {
    const target_row *best = NULL;
    for (size_t i = 0; i < N_ROWS; i++)
        if (is_of_arch(&rows[i], t->triple) && rows[i].vector_bytes <= vector_bytes && rows[i].has_fma <= t->has_fma)
            best = &rows[i];
    if (!best) return false;
    t->isa = best->name;
    t->vector_bytes = best->vector_bytes;
    t->vector_registers = best->vector_registers;
    return true;
}
