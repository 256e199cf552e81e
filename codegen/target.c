/*
 * What the machine supports -> a cg_target.
 *
 * LLVM names the host's CPU and features; the rows of targets.def say what each instruction set needs. The best row that the host
 * supports is "native", and code for it is tuned for the very CPU; a lower row that is asked for gets that row's least CPU, so that
 * its code is the same on every machine. A CPU that LLVM does not know ("generic") gets the row's least CPU with the host's
 * features.
 */
#include "codegen/target.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <pthread.h>
#include <string.h>

typedef struct target_row {
    const char *name, *arch, *cpu, *needs;
    unsigned vector_bytes, vector_registers;
    const char *meaning;
} target_row;

static const target_row rows[] = {
#define TARGET(name, arch, cpu, needs, vector_bytes, vector_registers, meaning)                                                    \
    {name, arch, cpu, needs, vector_bytes, vector_registers, meaning},
#include "codegen/targets.def"
#undef TARGET
};
#define N_ROWS (sizeof rows / sizeof rows[0])

const cg_row *cg_target_row(size_t i) {
    static const cg_row table[] = {
#define TARGET(name, arch, cpu, needs, vector_bytes, vector_registers, meaning) {name, meaning},
#include "codegen/targets.def"
#undef TARGET
    };
    return i < N_ROWS ? &table[i] : NULL;
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
}

void target_initialize(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* LLVM's registry is global and not thread-safe */
    pthread_once(&once, register_backends);
}

bool target_has_fma(const cg_target *t) { return strcmp(t->isa, "x86-64") != 0; }

/* Is `word` (n bytes) in `list` as "+word"? */
static bool has_feature(const char *list, const char *word, size_t n) {
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if (at > list && at[-1] == '+' && strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == 0)) return true;
    return false;
}

/* The first feature of the row that `features` lacks, as a copy in `a`; NULL when it lacks none. */
static const char *missing_feature(const target_row *row, const char *features, arena *a) {
    for (const char *at = row->needs; *at;) {
        size_t n = strcspn(at, ",");
        char *word = arena_strndup(a, at, n);
        if (!word || !has_feature(features, word, n)) return word ? word : "";
        at += n + (at[n] == ',');
    }
    return NULL;
}

typedef struct host {
    const char *triple, *cpu, *features;
    const target_row *best;
    strbuf supported; /* names, with commas */
} host;

static const char *take_message(char *message, arena *a) {
    char *copy = arena_strdup(a, message ? message : "");
    LLVMDisposeMessage(message);
    return copy;
}

static bool is_of_arch(const target_row *row, const char *triple) {
    size_t n = strlen(row->arch);
    return strncmp(triple, row->arch, n) == 0 && triple[n] == '-';
}

static pofac_status detect(host *h, arena *a, const diag_sink *sink) {
    h->triple = take_message(LLVMGetDefaultTargetTriple(), a);
    h->cpu = take_message(LLVMGetHostCPUName(), a);
    h->features = take_message(LLVMGetHostCPUFeatures(), a);
    if (!h->triple || !h->cpu || !h->features) return diag_out_of_memory(sink);
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!is_of_arch(&rows[i], h->triple) || missing_feature(&rows[i], h->features, a)) continue;
        h->best = &rows[i];
        strbuf_printf(&h->supported, "%s%s", h->supported.size ? ", " : "", rows[i].name);
    }
    if (!h->best)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "no instruction set of pofac runs on this machine (%s, %s)", h->triple,
                          h->cpu);
    return strbuf_ok(&h->supported) ? POFAC_OK : diag_out_of_memory(sink);
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
    return (cg_target){triple, cpu, features, row->name, row->vector_bytes, row->vector_registers};
}

static pofac_status choose(const host *h, const char *isa, arena *a, const diag_sink *sink, cg_target *out) {
    const target_row *row = h->best;
    if (isa && strcmp(isa, "native") != 0) {
        row = find_row(isa);
        if (!row) return unknown_isa(isa, sink);
        if (!is_of_arch(row, h->triple))
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "instruction set %s is not one of this machine's architecture; it supports %s", isa,
                              strbuf_str(&h->supported));
        const char *missing = missing_feature(row, h->features, a);
        if (missing)
            return diag_error(sink, POFAC_ERR_USAGE, NULL, "this machine does not support %s: it lacks %s; it supports %s", isa,
                              missing, strbuf_str(&h->supported));
    }
    bool known = strncmp(h->cpu, "generic", strlen("generic")) != 0 && strcmp(h->cpu, "x86-64") != 0;
    if (row == h->best) *out = make_target(row, h->triple, known ? h->cpu : row->cpu, h->features);
    else *out = make_target(row, h->triple, row->cpu, "");
    return POFAC_OK;
}

pofac_status cg_target_host(const char *isa, arena *a, const diag_sink *sink, cg_target *out) {
    host h = {.supported = STRBUF_INIT};
    *out = (cg_target){0};
    target_initialize();
    pofac_status status = detect(&h, a, sink);
    if (status == POFAC_OK) status = choose(&h, isa, a, sink, out);
    strbuf_free(&h.supported);
    return status;
}

const char *cg_host_cpu(arena *a) {
    target_initialize();
    return take_message(LLVMGetHostCPUName(), a);
}

pofac_status cg_host_lacks(size_t i, arena *a, const diag_sink *sink, const char **out) {
    target_initialize();
    const char *triple = take_message(LLVMGetDefaultTargetTriple(), a), *features = take_message(LLVMGetHostCPUFeatures(), a);
    if (!triple || !features) return diag_out_of_memory(sink);
    *out = is_of_arch(&rows[i], triple) ? missing_feature(&rows[i], features, a) : "architecture";
    return POFAC_OK;
}

pofac_status target_of_row(const char *isa, const diag_sink *sink, cg_target *out) {
    const target_row *row = find_row(isa);
    *out = (cg_target){0};
    if (!row) return unknown_isa(isa, sink);
    bool arm = strcmp(row->arch, "aarch64") == 0;
    *out = make_target(row, arm ? "aarch64-unknown-linux-gnu" : "x86_64-pc-linux-gnu", row->cpu, arm ? "+neon" : "");
    return POFAC_OK;
}
