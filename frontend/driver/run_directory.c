/*
 * The directory of a run; see run_directory.h.
 *
 * What a killed run leaves is known by its name: hidden directories of checkpoints, and temporary files of those that file_writer writes
 * there.
 */
#include "frontend/driver/run_directory.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/model_quantization.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

#define REASON_BYTES 128

static pofac_status fault(const char *path, const char *what, const diag_sink *sink) {
    char text[REASON_BYTES];
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_RUNTIME, &place, "%s: %s", what, strerror_r(errno, text, sizeof text));
}

/* ---- names ---- */

/* What an entry of the directory is. */
typedef enum run_entry {
    OTHER_ENTRY,
    CHECKPOINT_ENTRY,
    NEW_ENTRY,
    OLD_ENTRY,
    REPLACED_ENTRY,
    TEMPORARY_ENTRY,
    METRICS_ENTRY
} run_entry;

/* Decimal digits without leading zeros, as steps are written. NULL where there is no such number, else what follows it. */
static const char *parse_step(const char *text, int64_t *out) {
    const size_t digits = strspn(text, "0123456789");
    *out = 0;
    if (digits == 0 || digits > 18 || (digits > 1 && text[0] == '0')) return NULL;
    for (size_t i = 0; i < digits; i++) *out = 10 * *out + (text[i] - '0');
    return text + digits;
}

/* Is it NAME.tmp.PID.N of a file that a run or its result has? */
static bool is_temporary(const char *name) {
    static const char *const files[] = {"config.json",        "model.safetensors",       "vocab.txt",          "tokenizer.json",
                                        "added_tokens.json",  "tokenizer_config.json",   "trainer_state.json", "all_results.json",
                                        "train_results.json", "special_tokens_map.json", "eval_results.json",  QUANTIZATION_FILE};
    const char *tail = strstr(name, ".tmp.");
    if (!tail || tail[5 + strspn(tail + 5, "0123456789.")]) return false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strlen(files[i]) == (size_t)(tail - name) && strncmp(files[i], name, (size_t)(tail - name)) == 0) return true;
    return false;
}

static run_entry classify(const char *name, int64_t *step) {
    static const struct {
        const char *suffix;
        run_entry kind;
    } hidden[] = {{RUN_SUFFIX_NEW, NEW_ENTRY}, {RUN_SUFFIX_OLD, OLD_ENTRY}, {RUN_SUFFIX_REPLACED, REPLACED_ENTRY}};
    const size_t n = strlen(RUN_CHECKPOINT_PREFIX), dot = name[0] == '.';
    *step = 0;
    if (strcmp(name, RUN_METRICS_FILE) == 0) return METRICS_ENTRY;
    if (is_temporary(name)) return TEMPORARY_ENTRY;
    if (strncmp(name + dot, RUN_CHECKPOINT_PREFIX, n) != 0) return OTHER_ENTRY;
    const char *rest = parse_step(name + dot + n, step);
    if (!rest) return OTHER_ENTRY;
    if (!dot) return *rest ? OTHER_ENTRY : CHECKPOINT_ENTRY;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strcmp(rest, hidden[i].suffix) == 0) return hidden[i].kind;
    return OTHER_ENTRY;
}

void run_checkpoint_path(const char *dir, int64_t step, strbuf *out) {
    strbuf_printf(out, "%s/" RUN_CHECKPOINT_PREFIX "%" PRId64, dir, step);
}

/* ---- looking ---- */

/* Calls visit for each entry, until one fails. Entries may be removed meanwhile. */
static pofac_status visit_entries(const char *dir, pofac_status (*visit)(void *user, const char *name, const diag_sink *sink),
                                  void *user, const diag_sink *sink) {
    DIR *d = opendir(dir);
    if (!d) return fault(dir, "cannot be read", sink);
    pofac_status status = POFAC_OK;
    for (struct dirent *e = readdir(d); e && status == POFAC_OK; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) status = visit(user, e->d_name, sink);
    closedir(d);
    return status;
}

static pofac_status keep_step(void *user, const char *name, const diag_sink *sink) {
    run_steps *steps = user;
    int64_t step;
    if (classify(name, &step) != CHECKPOINT_ENTRY) return POFAC_OK;
    return VEC_PUSH(steps, step) ? POFAC_OK : diag_out_of_memory(sink);
}

static int compare_steps(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

pofac_status run_directory_steps(const char *dir, const diag_sink *sink, run_steps *out) {
    *out = (run_steps){0};
    pofac_status status = visit_entries(dir, keep_step, out, sink);
    if (status != POFAC_OK) VEC_FREE(out);
    else if (out->size) qsort(out->data, out->size, sizeof *out->data, compare_steps);
    return status;
}

/* ---- opening ---- */

typedef struct tidying {
    const char *dir;
    bool overwrite;
    strbuf path, other;
} tidying;

static pofac_status remove_file(const char *path, const diag_sink *sink) {
    return unlink(path) == 0 || errno == ENOENT ? POFAC_OK : fault(path, "cannot be removed", sink);
}

/* A checkpoint that was set aside comes back, unless what replaces it has come. */
static pofac_status take_back(tidying *t, int64_t step, const diag_sink *sink) {
    const char *path = strbuf_str(&t->path);
    strbuf_clear(&t->other);
    run_checkpoint_path(t->dir, step, &t->other);
    if (!strbuf_ok(&t->other)) return diag_out_of_memory(sink);
    if (t->overwrite || file_exists(strbuf_str(&t->other))) return directory_remove(path, sink);
    return rename(path, strbuf_str(&t->other)) == 0 ? POFAC_OK : fault(path, "cannot be renamed", sink);
}

static pofac_status tidy_entry(void *user, const char *name, const diag_sink *sink) {
    tidying *t = user;
    int64_t step;
    strbuf_clear(&t->path);
    strbuf_printf(&t->path, "%s/%s", t->dir, name);
    if (!strbuf_ok(&t->path)) return diag_out_of_memory(sink);
    switch (classify(name, &step)) {
    case OTHER_ENTRY: break;
    case CHECKPOINT_ENTRY: return t->overwrite ? directory_remove(strbuf_str(&t->path), sink) : POFAC_OK;
    case METRICS_ENTRY: return t->overwrite ? remove_file(strbuf_str(&t->path), sink) : POFAC_OK;
    case TEMPORARY_ENTRY: return remove_file(strbuf_str(&t->path), sink);
    case NEW_ENTRY:
    case OLD_ENTRY: return directory_remove(strbuf_str(&t->path), sink);
    case REPLACED_ENTRY: return take_back(t, step, sink);
    }
    return POFAC_OK;
}

static pofac_status tidy(const char *dir, bool overwrite, const diag_sink *sink) {
    tidying t = {.dir = dir, .overwrite = overwrite, .path = STRBUF_INIT, .other = STRBUF_INIT};
    pofac_status status = visit_entries(dir, tidy_entry, &t, sink);
    strbuf_free(&t.path);
    strbuf_free(&t.other);
    directory_sync(dir);
    return status;
}

static pofac_status refuse_entry(void *user, const char *name, const diag_sink *sink) {
    const char *const *dir = user;
    (void)name;
    return diag_error(
        sink, POFAC_ERR_USAGE, &(diag_place){.file = *dir},
        "the directory is not empty; --resume_from_checkpoint goes on with a run, --overwrite_output_dir replaces it");
}

pofac_status run_directory_open(const char *path, run_directory_mode mode, const diag_sink *sink, run_directory *out) {
    *out = (run_directory)RUN_DIRECTORY_INIT;
    TRY(directory_make(path, sink));
    TRY(directory_lock(path, sink, &out->lock));
    if (out->lock < 0) return diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = path}, "another process is training here");
    pofac_status status =
        mode == RUN_NEW ? visit_entries(path, refuse_entry, &path, sink) : tidy(path, mode == RUN_OVERWRITE, sink);
    if (status != POFAC_OK) run_directory_close(out);
    return status;
}

void run_directory_close(run_directory *d) {
    if (d->lock >= 0) close(d->lock);
    d->lock = -1;
}

bool run_directory_has_checkpoint(const char *dir, const char *path) {
    char *a = realpath(dir, NULL), *b = realpath(path, NULL);
    const size_t n = a ? strlen(a) : 0;
    int64_t step;
    const bool within = a && b && strncmp(a, b, n) == 0 && b[n] == '/' &&
                        strncmp(b + n + 1, RUN_CHECKPOINT_PREFIX, strlen(RUN_CHECKPOINT_PREFIX)) == 0;
    const char *rest = within ? parse_step(b + n + 1 + strlen(RUN_CHECKPOINT_PREFIX), &step) : NULL;
    const bool found = rest && (*rest == 0 || *rest == '/');
    free(a);
    free(b);
    return found;
}

/* ---- metrics ---- */

static pofac_status cut_file(const char *path, int64_t bytes, const diag_sink *sink) {
    struct stat st;
    const diag_place place = {.file = path};
    const bool is_there = stat(path, &st) == 0;
    if (!is_there && errno != ENOENT) return fault(path, "cannot be read", sink);
    const int64_t found = is_there ? (int64_t)st.st_size : 0;
    if (found < bytes)
        diag_warning(sink, &place, "found %" PRId64 " bytes, wanted the %" PRId64 " that the checkpoint knows of: lines are lost",
                     found, bytes);
    if (found <= bytes || !is_there) return POFAC_OK;
    if (truncate(path, bytes > 0 ? bytes : 0) != 0) return fault(path, "cannot be cut back", sink);
    return POFAC_OK;
}

pofac_status run_directory_cut(const char *dir, const char *file, int64_t bytes, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", dir, file);
    pofac_status status = strbuf_ok(&path) ? cut_file(strbuf_str(&path), bytes, sink) : diag_out_of_memory(sink);
    strbuf_free(&path);
    return status;
}
