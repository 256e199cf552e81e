/*
 * A run that saves checkpoints as fast as it can, and is killed again and again while it does.
 *
 *   kill_saves MODEL DIR KILLS
 *
 * A child opens DIR as a resumed run does, loads the newest checkpoint, checks that it has what its step wants, and goes on: each step's checkpoint is
 * written, and every third written again over itself. The parent ends it with SIGKILL after a time that is drawn anew for each, up to
 * twice what a save takes. Then there must be a whole checkpoint, not older than the last one that the child said was saved, and nothing of DIR
 * may be damaged. Prints how many kills left a save unfinished. Exit status: 0 nothing was lost, 1 something was, 2 usage.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frontend/driver/road.h"
#include "frontend/driver/run_checkpoint.h"
#include "frontend/driver/run_directory.h"
#include "ir/op.h"
#include "ir/support/rng.h"

#define SETTINGS "seed=1\n"

typedef struct run {
    const char *dir;
    loaded_model *model;
    ir_module *module;
    state_store *state;
    diag_sink sink;
} run;

static size_t warnings; /* of this process */

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    if (d->severity != DIAG_NOTE) fputs(strbuf_str(&text), stdout), (*(size_t *)user)++;
    strbuf_free(&text);
}

/* The model's parameters, each with moments. */
static pofac_status open_run(const char *model, run *r) {
    TRY(loaded_model_open(model, &(loaded_model_options){0}, &r->sink, &r->model));
    TRY(road_build(r->model, &(road_options){0}, &r->sink, &r->module));
    const ir_graph *g = r->module->graphs.data[0];
    ir_graph *moments = module_add_graph(r->module, "moments");
    for (size_t i = 0; i < g->nodes.size; i++) {
        static const char *const endings[] = {".exp_avg", ".exp_avg_sq"};
        if (g->nodes.data[i].op != OP_state) continue;
        for (size_t k = 0; k < 2; k++) {
            char name[256];
            snprintf(name, sizeof name, "%s%s", node_string(&g->nodes.data[i], "name"), endings[k]);
            build_leaf(moments, OP_state, name, graph_type(g, g->nodes.data[i].first_result));
        }
    }
    TRY(r->module->status);
    return state_store_create(r->module, loaded_model_state(r->model), &r->sink, &r->state);
}

static void close_run(run *r) {
    state_store_destroy(r->state);
    module_destroy(r->module);
    loaded_model_close(r->model);
}

/* Element k of a tensor after a step: the step's number is in all of them. */
static float content(int64_t step, size_t entry, int64_t k) {
    return (float)(step % 1000) + (float)((entry + (size_t)k) % 64) / 64;
}

static void fill(run *r, int64_t step) {
    for (size_t i = 0; i < state_store_size(r->state); i++) {
        ir_tensor *t = &state_store_at(r->state, i)->tensor;
        for (int64_t k = 0; k < tensor_elements(t); k++) ((float *)t->data)[k] = content(step, i, k);
    }
}

static bool check(run *r, int64_t step) {
    for (size_t i = 0; i < state_store_size(r->state); i++) {
        const state_entry *e = state_store_at(r->state, i);
        for (int64_t k = 0; k < tensor_elements(&e->tensor); k++) {
            const float found = ((const float *)e->tensor.data)[k], wanted = content(step, i, k);
            if (found == wanted) continue;
            printf("checkpoint-%lld: %s[%lld]: found %g, wanted %g\n", (long long)step, e->name, (long long)k, (double)found,
                   (double)wanted);
            return false;
        }
    }
    return true;
}

static pofac_status save(run *r, int64_t step) {
    const run_checkpoint_options o = {.dir = r->dir, .model = r->model, .settings = SETTINGS, .save_total_limit = 2};
    const run_position p = {.step = step, .tokens = 10 * step};
    return run_checkpoint_save(&o, &p, r->state, &r->sink);
}

/* The newest checkpoint's step, after a look at its content; -1 where something is wrong. */
static int64_t load(run *r) {
    strbuf path = STRBUF_INIT;
    run_position p = {.step = -1};
    bool found = false;
    const size_t before = warnings;
    pofac_status status = run_checkpoint_find(r->dir, &path, &found, &r->sink);
    if (status == POFAC_OK && found) status = run_checkpoint_load(strbuf_str(&path), SETTINGS, &p, r->state, &r->sink);
    strbuf_free(&path);
    if (!found) printf("there is no whole checkpoint\n");
    return status == POFAC_OK && found && warnings == before && p.tokens == 10 * p.step && check(r, p.step) ? p.step : -1;
}

/* Saves until it is killed, and tells each step that is safe. */
static int save_on(run *r, int out) {
    run_directory d;
    if (run_directory_open(r->dir, RUN_RESUME, &r->sink, &d) != POFAC_OK) return 1;
    int64_t step = load(r);
    if (step < 0) return 1;
    for (bool again = false;; again = !again && step % 3 == 0) {
        if (!again) fill(r, ++step);
        if (save(r, step) != POFAC_OK || write(out, &step, sizeof step) != sizeof step) return 1;
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool has_unfinished(const char *dir) {
    bool found = false;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) found = found || strncmp(e->d_name, ".checkpoint-", 12) == 0;
    if (d) closedir(d);
    return found;
}

/* One child's life; *safe: the last step that it told of. */
static bool kill_one(run *r, double seconds, int64_t *safe) {
    int ends[2], status;
    if (pipe(ends) != 0) return false;
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
        close(ends[0]);
        const int failed = save_on(r, ends[1]);
        fflush(stdout);
        _exit(failed);
    }
    close(ends[1]);
    const struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    const bool killed = waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    for (int64_t step; read(ends[0], &step, sizeof step) == sizeof step;) *safe = step;
    close(ends[0]);
    if (!killed) printf("the child ended by itself, with status %d\n", status);
    return killed;
}

static bool kill_many(run *r, int kills) {
    const rng_key key = rng_key_make(1, "kills");
    int64_t safe = 1;
    int unfinished = 0;
    fill(r, 1);
    double start = now();
    if (save(r, 1) != POFAC_OK || load(r) != 1) return false;
    const double seconds = now() - start;
    for (int i = 0; i < kills; i++) {
        if (!kill_one(r, 2 * seconds * rng_uniform(key, (uint64_t)i), &safe)) return false;
        unfinished += has_unfinished(r->dir);
        const int64_t found = load(r);
        if (found >= safe) continue;
        printf("kill %d: found step %lld, wanted %lld or a later one\n", i, (long long)found, (long long)safe);
        return false;
    }
    printf("%d kills, %d saves unfinished, %lld steps\n", kills, unfinished, (long long)safe);
    return true;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: kill_saves MODEL DIR KILLS\n", stderr);
        return 2;
    }
    run r = {.dir = argv[2], .sink = {print_diag, &warnings}};
    run_directory d;
    bool ok = run_directory_open(r.dir, RUN_NEW, &r.sink, &d) == POFAC_OK && open_run(argv[1], &r) == POFAC_OK;
    run_directory_close(&d);
    ok = ok && kill_many(&r, atoi(argv[3]));
    close_run(&r);
    return ok ? 0 : 1;
}
