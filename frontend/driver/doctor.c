/* Gathering the report, and writing it; see doctor.h. */
#include "frontend/driver/doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/batch_memory.h"
#include "frontend/driver/doctor_rows.h"
#include "frontend/model/xml_schema.h"
#include "frontend/text/unicode_version.h"
#include "ir/support/json_text.h"
#include "runtime/blas.h"

/* ---- rows ---- */

void doctor_add(doctor *d, const char *topic, const char *name, doctor_level level, int64_t number, const char *found,
                const char *meaning) {
    if (d->report->n_rows == DOCTOR_MAX_ROWS) return;
    d->report->rows[d->report->n_rows++] = (doctor_row){topic, name, found, meaning, level, number};
    d->report->n_warnings += level == DOCTOR_WARNING;
}

static const char *keep(doctor *d, strbuf *text) {
    const char *copy = strbuf_ok(text) ? arena_strdup(d->a, strbuf_str(text)) : NULL;
    strbuf_free(text);
    if (!copy) d->failed = true;
    return copy ? copy : "";
}

const char *doctor_text(doctor *d, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    return keep(d, &text);
}

const char *doctor_bytes(doctor *d, int64_t bytes) {
    strbuf text = STRBUF_INIT;
    batch_memory_print_bytes(bytes, &text);
    return keep(d, &text);
}

/* ---- instruction sets ---- */

static pofac_status add_extensions(doctor *d, const cg_target *target, const diag_sink *sink) {
    for (size_t i = 0; cg_extension_row(i); i++) {
        const char *lacks = NULL;
        TRY(cg_host_lacks_extension(i, d->a, sink, &lacks));
        if (lacks && strcmp(lacks, "architecture") == 0) continue;
        const bool fits = strcmp(cg_extension_isa(i), target->isa) == 0;
        doctor_add(d, "cpu", cg_extension_row(i)->name, DOCTOR_FINE, -1,
                   lacks  ? doctor_text(d, "lacks %s", lacks)
                   : fits ? "supported"
                          : doctor_text(d, "supported, goes with %s", cg_extension_isa(i)),
                   cg_extension_row(i)->meaning);
    }
    return POFAC_OK;
}

static pofac_status add_instruction_sets(doctor *d, const cg_target *target, const diag_sink *sink) {
    for (size_t i = 0; cg_target_row(i); i++) {
        const cg_row *row = cg_target_row(i);
        const char *lacks = NULL;
        TRY(cg_host_lacks(i, d->a, sink, &lacks));
        if (lacks && strcmp(lacks, "architecture") == 0) continue;
        bool chosen = strcmp(row->name, target->isa) == 0;
        doctor_add(d, "cpu", row->name, DOCTOR_FINE, -1,
                   lacks    ? doctor_text(d, "lacks %s", lacks)
                   : chosen ? "used"
                            : "supported",
                   row->meaning);
    }
    TRY(add_extensions(d, target, sink));
    doctor_add(d, "cpu", "kernels", DOCTOR_FINE, target->vector_bytes,
               doctor_text(d, "%s for %s: vectors of %u bytes, %u registers", target->isa, target->cpu, target->vector_bytes,
                           target->vector_registers),
               "the last supported row of `pofac list targets`, unless --isa asks for another");
    return POFAC_OK;
}

/* ---- libraries ---- */

/* Has OpenBLAS kernels for the widest vectors of the machine? Its names of processors, by their vectors. */
static bool blas_fits(const char *kernels, const char *isa) {
    static const char *const with_avx512[] = {"SkylakeX", "Cooperlake", "Sapphirerapids"};
    static const char *const with_avx2[] = {"Haswell", "Zen", "Excavator"};
    if (strcmp(isa, "avx512") != 0 && strcmp(isa, "avx2") != 0) return true;
    for (size_t i = 0; i < sizeof with_avx512 / sizeof *with_avx512; i++)
        if (strcasecmp(kernels, with_avx512[i]) == 0) return true;
    for (size_t i = 0; i < sizeof with_avx2 / sizeof *with_avx2; i++)
        if (strcasecmp(kernels, with_avx2[i]) == 0) return strcmp(isa, "avx2") == 0;
    return false;
}

static void add_libraries(doctor *d, const cg_target *native) {
    strbuf xml = STRBUF_INIT, unicode = STRBUF_INIT;
    doctor_add(d, "library", "LLVM", DOCTOR_FINE, -1, cg_llvm_version(),
               "compiles kernels; another version compiles all of them anew");
    const char *kernels = blas_kernels(), *version = blas_version();
    const char *number = strncmp(version, "OpenBLAS ", 9) == 0 ? version + 9 : version;
    bool fits = blas_fits(kernels, native->isa);
    doctor_add(
        d, "library", "OpenBLAS", fits ? DOCTOR_FINE : DOCTOR_WARNING, -1,
        doctor_text(d, "%.*s, kernels for %s", (int)strcspn(number, " "), number, kernels),
        fits ? "the baseline of benchmarks; pofac's own kernels do the work"
             : doctor_text(
                   d, "not its kernels for %s, which this machine has: benchmarks flatter pofac; OPENBLAS_CORETYPE=%s repairs it",
                   native->isa, strcmp(native->isa, "avx512") == 0 ? "SkylakeX" : "Haswell"));
    xml_library_version(&xml);
    unicode_version(&unicode);
    doctor_add(d, "library", "libxml2", DOCTOR_FINE, -1, keep(d, &xml),
               "reads descriptions of models, without network and entities");
    doctor_add(d, "library", "ICU", DOCTOR_FINE, -1, keep(d, &unicode), "characters of the tokenizer: case, accents, punctuation");
    doctor_add(d, "library", "jansson", DOCTOR_FINE, -1, json_library_version(),
               "reads configurations, headers of weights, JSON lines");
    doctor_add(d, "library", "pthreadpool", DOCTOR_FINE, -1, "present", "runs all threads; it does not say its version");
}

/* ---- the object cache ---- */

typedef struct cache_count {
    int64_t entries, bytes;
} cache_count;

static cache_count count_objects(const char *dir) {
    cache_count c = {0};
    DIR *entries = opendir(dir);
    for (struct dirent *e; entries && (e = readdir(entries));) {
        struct stat st;
        size_t n = strlen(e->d_name);
        if (n < 2 || strcmp(e->d_name + n - 2, ".o") != 0 || fstatat(dirfd(entries), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        c.entries++;
        c.bytes += (int64_t)st.st_size;
    }
    if (entries) closedir(entries);
    return c;
}

static void add_object_cache(doctor *d, const char *dir) {
    struct stat st;
    if (!dir) {
        doctor_add(d, "objects", "directory", DOCTOR_FINE, -1, "none", "every process compiles its kernels anew");
        return;
    }
    if (stat(dir, &st) != 0) {
        doctor_add(d, "objects", "directory", DOCTOR_FINE, -1, dir, "not there yet: the first compilation makes it");
        return;
    }
    const char *fault = !S_ISDIR(st.st_mode)                   ? "it is not a directory"
                        : st.st_uid != geteuid()               ? "it belongs to another user"
                        : (st.st_mode & (S_IWGRP | S_IWOTH))   ? "others may write to it"
                        : access(dir, R_OK | W_OK | X_OK) != 0 ? "it cannot be written"
                                                               : NULL;
    doctor_add(d, "objects", "directory", fault ? DOCTOR_WARNING : DOCTOR_FINE, -1, dir,
               fault ? doctor_text(d, "not used: %s", fault)
                     : "yours alone to write; compiled kernels are kept in it and taken from it");
    cache_count c = count_objects(dir);
    doctor_add(d, "objects", "kernels", DOCTOR_FINE, c.entries, doctor_text(d, "%lld", (long long)c.entries),
               c.entries ? "may be deleted at any time, then they are compiled again" : "the next compilation starts cold");
    doctor_add(d, "objects", "size", DOCTOR_FINE, c.bytes, doctor_bytes(d, c.bytes),
               "it grows with new models, targets and versions");
}

/* ---- the report ---- */

pofac_status doctor_examine(const road_options *road, const char *root, arena *a, const diag_sink *sink, doctor_report *out) {
    *out = (doctor_report){.rows = ARENA_ARRAY(a, doctor_row, DOCTOR_MAX_ROWS)};
    doctor d = {.root = root, .a = a, .report = out};
    cg_options codegen;
    cg_target native;
    if (!out->rows) return diag_out_of_memory(sink);
    TRY(road_codegen_options(road, a, sink, &codegen));
    TRY(cg_target_host(NULL, a, sink, &native));
    doctor_add_cpu(&d);
    TRY(add_instruction_sets(&d, &codegen.target, sink));
    doctor_add_threads(&d, road->threads);
    doctor_add_caches(&d);
    doctor_add_memory(&d);
    add_libraries(&d, &native);
    add_object_cache(&d, codegen.cache_dir);
    return d.failed ? diag_out_of_memory(sink) : POFAC_OK;
}

void doctor_put_text(const doctor_report *r, strbuf *out) {
    for (size_t i = 0; i < r->n_rows; i++) {
        const doctor_row *row = &r->rows[i];
        bool first = i == 0 || strcmp(row->topic, r->rows[i - 1].topic) != 0;
        if (first) strbuf_printf(out, "%s%s\n", i ? "\n" : "", row->topic);
        strbuf_printf(out, "  %-12s %s\n  %-12s   %s%s\n", row->name, row->found, "",
                      row->level == DOCTOR_WARNING ? "warning: " : "", row->meaning);
    }
    if (r->n_warnings) strbuf_printf(out, "\n%zu warning%s\n", r->n_warnings, r->n_warnings == 1 ? "" : "s");
    else strbuf_puts(out, "\nno warnings\n");
}

static void put_string(strbuf *out, const char *key, const char *text) {
    strbuf_printf(out, "\"%s\": ", key);
    strbuf_put_json(out, text, strlen(text));
}

void doctor_put_json(const doctor_report *r, const char *version, strbuf *out) {
    strbuf_putc(out, '{');
    put_string(out, "version", version);
    strbuf_printf(out, ", \"warnings\": %zu, \"rows\": [", r->n_warnings);
    for (size_t i = 0; i < r->n_rows; i++) {
        const doctor_row *row = &r->rows[i];
        strbuf_puts(out, i ? ", {" : "{");
        put_string(out, "topic", row->topic);
        strbuf_puts(out, ", ");
        put_string(out, "name", row->name);
        strbuf_puts(out, ", ");
        put_string(out, "found", row->found);
        if (row->number >= 0) strbuf_printf(out, ", \"number\": %lld", (long long)row->number);
        strbuf_puts(out, ", ");
        put_string(out, "level", row->level == DOCTOR_WARNING ? "warning" : "fine");
        strbuf_puts(out, ", ");
        put_string(out, "meaning", row->meaning);
        strbuf_putc(out, '}');
    }
    strbuf_puts(out, "]}\n");
}
