/*
 * Writing checkpoints of a run, and finding them; see run_checkpoint.h.
 *
 * A checkpoint is written into a hidden directory beside its place, each file synced, the manifest last. Then one renaming puts it there; where
 * a checkpoint of the same step is, both change places at once, or, on file systems that cannot do that, the old one is set aside before
 * and found again by whoever opens the run's directory next. What is removed is renamed first, so that no half of it has the name of a
 * checkpoint.
 */
#include "frontend/driver/run_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/model_save.h"
#include "frontend/driver/run_checkpoint_files.h"
#include "frontend/driver/run_directory.h"
#include "frontend/driver/run_manifest.h"
#include "frontend/driver/run_state_file.h"
#include "frontend/driver/trainer_state.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

#define REASON_BYTES 128

static pofac_status fault(const char *path, const char *what, const diag_sink *sink) {
    char text[REASON_BYTES];
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_RUNTIME, &place, "%s: %s", what, strerror_r(errno, text, sizeof text));
}

/* ---- writing ---- */

/* The names that a checkpoint has in its life. */
typedef struct checkpoint_paths {
    strbuf place, new, old, replaced;
} checkpoint_paths;

static void paths_free(checkpoint_paths *p) {
    strbuf_free(&p->place);
    strbuf_free(&p->new);
    strbuf_free(&p->old);
    strbuf_free(&p->replaced);
}

static void put_hidden(const char *dir, int64_t step, const char *suffix, strbuf *out) {
    strbuf_printf(out, "%s/." RUN_CHECKPOINT_PREFIX "%" PRId64 "%s", dir, step, suffix);
}

static pofac_status paths_make(const char *dir, int64_t step, const diag_sink *sink, checkpoint_paths *out) {
    *out = (checkpoint_paths){STRBUF_INIT, STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
    run_checkpoint_path(dir, step, &out->place);
    put_hidden(dir, step, RUN_SUFFIX_NEW, &out->new);
    put_hidden(dir, step, RUN_SUFFIX_OLD, &out->old);
    put_hidden(dir, step, RUN_SUFFIX_REPLACED, &out->replaced);
    if (strbuf_ok(&out->place) && strbuf_ok(&out->new) && strbuf_ok(&out->old) && strbuf_ok(&out->replaced)) return POFAC_OK;
    paths_free(out);
    return diag_out_of_memory(sink);
}

static pofac_status write_text(const char *dir, const char *name, const char *bytes, size_t n, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", dir, name);
    pofac_status status = strbuf_ok(&path) ? file_write_all(strbuf_str(&path), bytes, n, sink) : diag_out_of_memory(sink);
    strbuf_free(&path);
    return status;
}

static pofac_status write_position(const char *dir, const run_position *position, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    run_position_put(position, &text);
    pofac_status status =
        strbuf_ok(&text) ? write_text(dir, RUN_POSITION_FILE, text.data, text.size, sink) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static pofac_status write_trainer_state(const char *dir, const run_checkpoint_options *o, const run_position *position,
                                        const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    pofac_status status = trainer_state_put(o, position, sink, &text);
    if (status == POFAC_OK) status = write_text(dir, "trainer_state.json", text.data, text.size, sink);
    strbuf_free(&text);
    return status;
}

pofac_status run_trainer_state_save(const run_checkpoint_options *o, const run_position *position, const diag_sink *sink) {
    return write_trainer_state(o->dir, o, position, sink);
}

static pofac_status write_files(const char *dir, const run_checkpoint_options *o, const run_position *position, state_store *state,
                                const diag_sink *sink) {
    const char *choices = o->kernel_choices ? o->kernel_choices : "", *settings = o->settings ? o->settings : "";
    TRY(directory_remove(dir, sink));
    if (mkdir(dir, 0777) != 0) return fault(dir, "the directory cannot be made", sink);
    TRY(run_model_save(dir, o->model, state, IR_F32, sink));
    bool written;
    if (o->ranges) TRY(learned_ranges_write(o->ranges, state, dir, sink, &written));
    TRY(run_state_write(dir, state, position->accumulated_runs > 0, sink));
    TRY(write_position(dir, position, sink));
    TRY(write_text(dir, RUN_SETTINGS_FILE, settings, strlen(settings), sink));
    TRY(write_text(dir, RUN_KERNELS_FILE, choices, strlen(choices), sink));
    TRY(write_trainer_state(dir, o, position, sink));
    return run_manifest_write(dir, sink);
}

/* What position->metrics_bytes counts has to last as long as the checkpoint that says so. */
static void sync_metrics(const char *dir) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" RUN_METRICS_FILE, dir);
    const int fd = strbuf_ok(&path) ? open(strbuf_str(&path), O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    strbuf_free(&path);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

/* ---- putting it in its place ---- */

/* Removes what nobody needs any more; that it stays is no failure. */
static void discard(const char *path, const diag_sink *sink) {
    if (directory_remove(path, NULL) != POFAC_OK)
        diag_warning(sink, &(diag_place){.file = path}, "cannot be removed: %s", strerror(errno));
}

static pofac_status put_in_place(const char *dir, const checkpoint_paths *p, const diag_sink *sink) {
    const char *place = strbuf_str(&p->place), *new = strbuf_str(&p->new), *replaced = strbuf_str(&p->replaced);
    if (file_exists(place)) {
        if (renameat2(AT_FDCWD, new, AT_FDCWD, place, RENAME_EXCHANGE) == 0) { /* what `new` has now is the old one */
            directory_sync(dir);
            discard(new, sink);
            return POFAC_OK;
        }
        if (errno != EINVAL && errno != ENOSYS) return fault(place, "cannot be replaced", sink);
        if (rename(place, replaced) != 0) return fault(place, "cannot be set aside", sink);
    }
    if (rename(new, place) != 0) {
        const pofac_status status = fault(place, "cannot be renamed", sink);
        (void)rename(replaced, place);
        return status;
    }
    directory_sync(dir);
    discard(replaced, sink);
    return POFAC_OK;
}

/* ---- removing others ---- */

static void remove_checkpoint(const char *dir, int64_t step, const diag_sink *sink) {
    checkpoint_paths p;
    if (paths_make(dir, step, sink, &p) != POFAC_OK) return;
    const char *place = strbuf_str(&p.place), *old = strbuf_str(&p.old);
    discard(old, sink);
    if (rename(place, old) != 0) diag_warning(sink, &(diag_place){.file = place}, "cannot be removed: %s", strerror(errno));
    else discard(old, sink);
    paths_free(&p);
}

/* Is the checkpoint what the run began with? Its definition and tokenizer are needed for each save. */
static bool is_origin(const run_checkpoint_options *o, int64_t step) {
    struct stat a, b;
    strbuf path = STRBUF_INIT;
    const char *directory = loaded_model_directory(o->model);
    run_checkpoint_path(o->dir, step, &path);
    const bool same = directory && strbuf_ok(&path) && stat(strbuf_str(&path), &a) == 0 && stat(directory, &b) == 0 &&
                      a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    strbuf_free(&path);
    return same;
}

static bool may_go(const run_checkpoint_options *o, const run_position *p, int64_t step) {
    return step != p->step && (!p->has_best || step != p->best_step) && !is_origin(o, step);
}

/* The step that goes first, by its number: those of steps that are still to come, the last one first - they are of a course that was
 * given up -, then the oldest. SIZE_MAX: none may go. */
static size_t choose_victim(const run_checkpoint_options *o, const run_steps *steps, const run_position *p) {
    for (size_t i = steps->size; i-- > 0 && steps->data[i] > p->step;)
        if (may_go(o, p, steps->data[i])) return i;
    for (size_t i = 0; i < steps->size && steps->data[i] < p->step; i++)
        if (may_go(o, p, steps->data[i])) return i;
    return SIZE_MAX;
}

static void keep_limit(const run_checkpoint_options *o, const run_position *position, const diag_sink *sink) {
    run_steps steps;
    if (o->save_total_limit <= 0) return;
    if (run_directory_steps(o->dir, NULL, &steps) != POFAC_OK) {
        diag_warning(sink, &(diag_place){.file = o->dir}, "cannot be read: older checkpoints stay");
        return;
    }
    while (steps.size > (uint64_t)o->save_total_limit) {
        const size_t i = choose_victim(o, &steps, position);
        if (i == SIZE_MAX) break;
        remove_checkpoint(o->dir, steps.data[i], sink);
        memmove(&steps.data[i], &steps.data[i + 1], (steps.size - i - 1) * sizeof *steps.data);
        steps.size--;
    }
    VEC_FREE(&steps);
}

pofac_status run_checkpoint_save(const run_checkpoint_options *o, const run_position *position, state_store *state,
                                 const diag_sink *sink) {
    checkpoint_paths p;
    TRY(paths_make(o->dir, position->step, sink, &p));
    pofac_status status = write_files(strbuf_str(&p.new), o, position, state, sink);
    if (status == POFAC_OK) {
        sync_metrics(o->dir);
        status = put_in_place(o->dir, &p, sink);
    }
    if (status != POFAC_OK) discard(strbuf_str(&p.new), NULL);
    paths_free(&p);
    if (status == POFAC_OK) keep_limit(o, position, sink);
    return status;
}

/* ---- finding ---- */

/* Passes on what is said about input as warnings: a damaged checkpoint is no failure where there is another one. */
static void emit_as_warning(void *user, const diag *d) {
    const diag_sink *to = user;
    diag said = *d;
    if (said.severity == DIAG_ERROR && said.status == POFAC_ERR_INPUT) {
        said.severity = DIAG_WARNING;
        said.status = POFAC_OK;
    }
    to->emit(to->user, &said);
}

pofac_status run_checkpoint_find(const char *dir, strbuf *path, bool *found, const diag_sink *sink) {
    run_steps steps;
    const diag_sink warnings = {emit_as_warning, (void *)(uintptr_t)sink};
    *found = false;
    strbuf_clear(path);
    if (!file_is_directory(dir)) return POFAC_OK;
    TRY(run_directory_steps(dir, sink, &steps));
    pofac_status status = POFAC_OK;
    for (size_t i = steps.size; i-- > 0 && status == POFAC_OK && !*found;) {
        strbuf_clear(path);
        run_checkpoint_path(dir, steps.data[i], path);
        if (!strbuf_ok(path)) {
            status = diag_out_of_memory(sink);
            break;
        }
        status = run_manifest_check(strbuf_str(path), NULL, sink ? &warnings : NULL);
        *found = status == POFAC_OK;
        if (status == POFAC_ERR_INPUT) status = POFAC_OK;
    }
    if (!*found) strbuf_clear(path);
    VEC_FREE(&steps);
    return status;
}
