/* Running a pipeline; see pipeline_run.h. */
#include "frontend/driver/pipeline_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/data/shard_manifest.h"
#include "frontend/driver/pipeline_manifest.h"
#include "frontend/driver/pipeline_results.h"
#include "frontend/driver/recipe.h"
#include "frontend/driver/stage_manifest.h"
#include "frontend/driver/stage_process.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

#define HASHES_FILE ".hashes"
#define RECIPE_FILE "recipe.xml"

typedef struct runner {
    const pipeline_run_options *o;
    const pipeline_program *program;
    pipeline_plan plan;
    const char *cwd;
    size_t from; /* stage from which on all run again */
    int lock;
    arena *a;
    const diag_sink *sink;
} runner;

/* What is to be done with a job. */
typedef struct decision {
    bool runs, goes_on;
    const char *why;
    double seconds; /* that it took, where it does not run */
} decision;

static const char *path_in(runner *r, const char *directory, const char *name) {
    return arena_printf(r->a, "%s/%s", directory, name);
}

/* ---- deciding ---- */

/* Can the command go on with what an interrupted run of it has left? */
static bool can_go_on(const pipeline_command *c) {
    return pipeline_option_find(c, "resume_from_checkpoint") || pipeline_option_find(c, "resume") ||
           strcmp(c->name, "data logits") == 0;
}

/* The first line that is in one text and not in the other, for people: "changed: --seed 2". */
static const char *what_changed(runner *r, const char *old, const char *now) {
    while (*now) {
        const size_t n = strcspn(now, "\n"), k = strcspn(old, "\n");
        if (n != k || memcmp(old, now, n) != 0) {
            const size_t blanks = strspn(now, " ");
            return n > blanks ? arena_printf(r->a, "changed: %.*s", (int)(n - blanks), now + blanks)
                              : arena_printf(r->a, "changed: %.*s is gone", (int)k, old);
        }
        now += n + (now[n] == '\n');
        old += k + (old[k] == '\n');
    }
    return arena_printf(r->a, "changed: %.*s is gone", (int)strcspn(old, "\n"), old);
}

/* An end from which the same work can go on: the machine's or the user's doing, and not that of the stage's inputs. */
static bool is_resumable_end(const stage_manifest *m) {
    return m->state == STAGE_RUNNING ||
           (m->state == STAGE_FAILED && (m->exit_status == POFAC_ERR_RUNTIME || m->exit_status >= 128));
}

static pofac_status decide(runner *r, const pipeline_job *j, decision *out) {
    stage_manifest m;
    const char *directory = pipeline_job_directory(j);
    TRY(stage_manifest_read(directory, r->a, r->sink, &m));
    const bool same = m.key && strcmp(m.key, j->variant->keys[j->stage]) == 0;
    const diag_place place = {.file = directory};
    *out = (decision){.runs = true, .why = "new", .seconds = m.seconds};
    if (m.state == STAGE_FOREIGN)
        return diag_error(r->sink, POFAC_ERR_USAGE, &place,
                          "found a directory with something in it that no stage has made, wanted an empty one or none");
    if (m.state == STAGE_ABSENT) return POFAC_OK;
    if (!same) out->why = what_changed(r, m.determined_by, j->determined_by);
    else if (j->stage >= r->from && m.state == STAGE_DONE) out->why = "asked for";
    else if (m.state == STAGE_DONE) *out = (decision){.why = "unchanged", .seconds = m.seconds};
    else if (is_resumable_end(&m) && can_go_on(pipeline_job_stage(j)->command)) out->goes_on = true, out->why = "goes on";
    else out->why = m.state == STAGE_RUNNING ? "was interrupted" : m.exit_status ? "failed before" : "its files are gone";
    return out->why ? POFAC_OK : diag_out_of_memory(r->sink);
}

static void tell(const runner *r, pipeline_moment moment, size_t job, const char *text, double seconds) {
    const pipeline_event event = {.moment = moment,
                                  .number = job + 1,
                                  .n = r->plan.n_jobs,
                                  .title = r->plan.jobs[job].title,
                                  .text = text,
                                  .seconds = seconds};
    if (r->o->tell) r->o->tell(r->o->user, &event);
}

/* ---- the command line of a stage ---- */

typedef VEC(const char *) word_list;

static pofac_status push(runner *r, word_list *words, const char *word) {
    return word && VEC_PUSH(words, word) ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status push_option(runner *r, word_list *words, const char *name, const char *value) {
    return push(r, words, arena_printf(r->a, "--%s=%s", name, value));
}

/* By an option, or by the recipe as a path in the stage's directory. */
static bool is_given(const pipeline_stage *s, const char *name) {
    for (size_t i = 0; i < s->n_words; i++)
        if (s->words[i].option && strcmp(s->words[i].option->name, name) == 0) return true;
    for (size_t i = 0; i < s->n_sections; i++)
        for (size_t k = 0; k < s->sections[i]->n_attrs; k++) {
            const xml_attr *attr = &s->sections[i]->attrs[k];
            if (attr->written && pipeline_is_inner_path(attr->text) &&
                strcmp(recipe_option_name(attr->row->element, attr->row->name), name) == 0)
                return true;
        }
    return false;
}

/* What goes on has to be told so, and the stage's directory is never empty. */
static pofac_status push_mode(runner *r, const pipeline_job *j, bool goes_on, word_list *words) {
    static const char *const overwrites[] = {"overwrite_output_dir", "overwrite"};
    const pipeline_command *c = pipeline_job_stage(j)->command;
    const char *shards = path_in(r, pipeline_job_directory(j), MANIFEST_FILE);
    if (!shards) return diag_out_of_memory(r->sink);
    if (goes_on && pipeline_option_find(c, "resume_from_checkpoint"))
        return push_option(r, words, "resume_from_checkpoint", "last");
    if (goes_on && pipeline_option_find(c, "resume") && file_exists(shards)) return push_option(r, words, "resume", "true");
    for (size_t i = 0; i < sizeof overwrites / sizeof *overwrites; i++)
        if (pipeline_option_find(c, overwrites[i])) return push_option(r, words, overwrites[i], "true");
    return POFAC_OK;
}

/* Outputs that have a name unless one is given, and output_dir, are in the stage's directory. */
static pofac_status push_outputs(runner *r, const pipeline_job *j, word_list *words) {
    const pipeline_stage *s = pipeline_job_stage(j);
    const char *directory = pipeline_job_directory(j);
    for (size_t i = 0; i < s->command->n_options; i++) {
        const pipeline_option *o = &s->command->options[i];
        if (o->kind != PIPELINE_WRITES || is_given(s, o->name)) continue;
        if (strcmp(o->name, "output_dir") == 0) TRY(push_option(r, words, o->name, directory));
        else if (o->fallback) TRY(push_option(r, words, o->name, path_in(r, directory, o->fallback)));
    }
    return POFAC_OK;
}

static pofac_status push_word(runner *r, const pipeline_places *places, const pipeline_word *w, word_list *words) {
    strbuf value = STRBUF_INIT;
    pipeline_put_text(places, w->value, &value);
    const char *text = strbuf_ok(&value) ? arena_strdup(r->a, strbuf_str(&value)) : NULL;
    strbuf_free(&value);
    if (!text) return diag_out_of_memory(r->sink);
    return w->option ? push_option(r, words, w->option->name, text) : push(r, words, text);
}

static pofac_status make_command(runner *r, const pipeline_job *j, bool goes_on, word_list *words) {
    const pipeline_stage *s = pipeline_job_stage(j);
    const char *directory = pipeline_job_directory(j);
    const pipeline_places places = {j->variant->pipeline, j->variant->directories, directory};
    TRY(push(r, words, "pofac"));
    for (const char *at = s->command->name; *at;) {
        const size_t n = strcspn(at, " ");
        TRY(push(r, words, arena_strndup(r->a, at, n)));
        at += n + (at[n] == ' ');
    }
    if (s->has_recipe) TRY(push(r, words, path_in(r, directory, RECIPE_FILE)));
    for (size_t i = 0; i < s->n_words; i++) TRY(push_word(r, &places, &s->words[i], words));
    TRY(push_outputs(r, j, words));
    TRY(push_mode(r, j, goes_on, words));
    return VEC_PUSH(words, NULL) ? POFAC_OK : diag_out_of_memory(r->sink);
}

/* ---- running a stage ---- */

static pofac_status write_recipe(runner *r, const pipeline_job *j) {
    const char *directory = pipeline_job_directory(j), *path = path_in(r, directory, RECIPE_FILE);
    const pipeline_places places = {j->variant->pipeline, j->variant->directories, directory};
    strbuf text = STRBUF_INIT;
    if (!pipeline_job_stage(j)->has_recipe) return POFAC_OK;
    pipeline_put_recipe(pipeline_job_stage(j), &places, r->cwd, &text);
    const pofac_status status =
        path && strbuf_ok(&text) ? file_write_all(path, strbuf_str(&text), text.size, r->sink) : diag_out_of_memory(r->sink);
    strbuf_free(&text);
    return status;
}

/* By way of another name, so that a process that is killed meanwhile leaves no half of a stage under its own. */
static pofac_status clear(runner *r, const char *directory) {
    const char *name = strrchr(directory, '/') + 1;
    const diag_place place = {.file = directory};
    const char *aside = arena_printf(r->a, "%.*s.%s.removed", (int)(name - directory), directory, name);
    if (!aside) return diag_out_of_memory(r->sink);
    TRY(directory_remove(aside, r->sink));
    if (rename(directory, aside) != 0 && errno != ENOENT)
        return diag_error(r->sink, POFAC_ERR_RUNTIME, &place, "cannot be removed: %s", strerror(errno));
    return directory_remove(aside, r->sink);
}

static pofac_status prepare(runner *r, const pipeline_job *j, const decision *d, const stage_manifest *m) {
    const char *directory = pipeline_job_directory(j);
    if (!d->goes_on) TRY(clear(r, directory));
    TRY(directory_make(directory, r->sink));
    TRY(stage_manifest_write(directory, m, r->sink));
    return write_recipe(r, j);
}

typedef struct ticking {
    const runner *runner;
    size_t job;
} ticking;

static void tick(void *user, double seconds, const char *said) {
    const ticking *t = user;
    size_t end = strlen(said);
    while (end > 0 && said[end - 1] == '\n') end--;
    size_t begin = end;
    while (begin > 0 && said[begin - 1] != '\n') begin--;
    char last[200];
    const size_t n = end - begin < sizeof last ? end - begin : sizeof last - 1;
    memcpy(last, said + begin, n);
    last[n] = 0;
    tell(t->runner, PIPELINE_WORKS, t->job, last, seconds);
}

/* The child's end as a status. */
static pofac_status judge(runner *r, const pipeline_job *j, const stage_end *end, int *exit_status) {
    const char *log = path_in(r, pipeline_job_directory(j), "log.txt");
    const char *name = pipeline_job_stage(j)->name;
    const diag_place place = {.file = log};
    *exit_status = end->exit_status;
    if (interruption_check(r->o->stop)) {
        diag_note(r->sink, NULL, "interrupted in the stage %s; the same command goes on from there", name);
        return POFAC_ERR_INTERRUPTED;
    }
    if (end->exit_status == 0) return POFAC_OK;
    if (end->killed) {
        const int number = end->exit_status - 128;
        (void)diag_error(r->sink, POFAC_ERR_RUNTIME, &place, "the stage %s was ended by signal %d (%s)", name, number,
                         strsignal(number));
        return POFAC_ERR_INTERRUPTED;
    }
    const pofac_status known = end->exit_status <= POFAC_ERR_NUMERIC ? (pofac_status)end->exit_status : POFAC_ERR_RUNTIME;
    (void)diag_error(r->sink, known, &place, "the stage %s failed with exit status %d; it said:\n%s", name, end->exit_status,
                     strbuf_str(&end->said));
    return end->exit_status >= 128 ? POFAC_ERR_INTERRUPTED : known;
}

static pofac_status run_stage(runner *r, size_t job, const decision *d, word_list *words, int *exit_status) {
    const pipeline_job *j = &r->plan.jobs[job];
    const char *directory = pipeline_job_directory(j);
    TRY(make_command(r, j, d->goes_on, words));
    stage_manifest m = {.stage = pipeline_job_stage(j)->name,
                        .state = STAGE_RUNNING,
                        .key = j->variant->keys[j->stage],
                        .determined_by = j->determined_by,
                        .command = words->data,
                        .reads = j->reads};
    ticking t = {r, job};
    const stage_process p = {.program = r->o->program,
                             .argv = words->data,
                             .out_path = path_in(r, directory, "stdout.txt"),
                             .log_path = path_in(r, directory, "log.txt"),
                             .kept = r->lock,
                             .stop = r->o->stop,
                             .tick = tick,
                             .user = &t};
    stage_end end;
    if (!p.out_path || !p.log_path) return diag_out_of_memory(r->sink);
    TRY(prepare(r, j, d, &m));
    tell(r, PIPELINE_BEGINS, job, d->why, 0);
    pofac_status status = stage_process_run(&p, r->sink, &end);
    if (status == POFAC_OK) {
        m.state = end.exit_status ? STAGE_FAILED : STAGE_DONE;
        m.exit_status = end.exit_status;
        m.seconds = end.seconds;
        status = stage_manifest_write(directory, &m, r->sink);
    }
    tell(r, PIPELINE_ENDS, job,
         status == POFAC_OK && end.exit_status == 0 ? "done"
         : interruption_check(r->o->stop)           ? "interrupted"
                                                    : "failed",
         end.seconds);
    if (status == POFAC_OK) status = judge(r, j, &end, exit_status);
    strbuf_free(&end.said);
    return status;
}

static pofac_status run_job(runner *r, size_t job, int *exit_status) {
    decision d;
    word_list words = {0};
    TRY(decide(r, &r->plan.jobs[job], &d));
    if (!d.runs) {
        tell(r, PIPELINE_ENDS, job, d.why, -1);
        return POFAC_OK;
    }
    const pofac_status status = run_stage(r, job, &d, &words, exit_status);
    VEC_FREE(&words);
    return status;
}

/* ---- the pipeline ---- */

/* A directory that a pipeline may write into: none, an empty one, or a pipeline's. */
static pofac_status check_directory(runner *r) {
    const char *directory = r->plan.directory, *manifest = path_in(r, directory, PIPELINE_MANIFEST_FILE);
    const diag_place place = {.file = directory};
    if (!manifest) return diag_out_of_memory(r->sink);
    static const char *const own[] = {HASHES_FILE, PIPELINE_MANIFEST_FILE ".tmp.", NULL}; /* what is there before the manifest */
    if (!file_exists(directory) || pipeline_manifest_is_ours(manifest) || directory_has_only(directory, own)) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_USAGE, &place,
                      "found a directory with something in it that no pipeline has made, wanted an empty one or none");
}

static pofac_status find_from(runner *r) {
    const pipeline *p = r->plan.variants[0].pipeline;
    r->from = p->n_stages;
    if (!r->o->from) return POFAC_OK;
    r->from = pipeline_find_stage(p, r->o->from);
    if (r->from < p->n_stages) return POFAC_OK;
    const char **names = ARENA_ARRAY(r->a, const char *, p->n_stages);
    if (!names) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < p->n_stages; i++) names[i] = p->stages[i].name;
    const char *near = diag_nearest(r->o->from, names, p->n_stages);
    if (near) return diag_error(r->sink, POFAC_ERR_USAGE, NULL, "--from: unknown stage %s; did you mean %s?", r->o->from, near);
    return diag_error(r->sink, POFAC_ERR_USAGE, NULL, "--from: unknown stage %s; --list shows them", r->o->from);
}

static pofac_status take_lock(runner *r) {
    const diag_place place = {.file = r->plan.directory};
    TRY(directory_make(r->plan.directory, r->sink));
    TRY(directory_lock(r->plan.directory, r->sink, &r->lock));
    if (r->lock >= 0) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_RUNTIME, &place,
                      "another `pofac run` is at work in this directory, or a stage of one is ending");
}

static pofac_status make_jobs(runner *r) {
    const char *file = path_in(r, r->plan.directory, HASHES_FILE);
    input_hashes hashes;
    if (!file) return diag_out_of_memory(r->sink);
    pofac_status status = input_hashes_open(file, r->sink, &hashes);
    if (status == POFAC_OK) status = pipeline_plan_jobs(&r->plan, r->program, &hashes, r->a, r->sink);
    if (status == POFAC_OK && r->lock >= 0) status = input_hashes_save(&hashes, file, r->sink);
    input_hashes_close(&hashes);
    return status;
}

static pofac_status begin(runner *r) {
    char *cwd = getcwd(NULL, 0);
    r->cwd = cwd ? arena_strdup(r->a, cwd) : NULL;
    free(cwd);
    if (!r->cwd) return diag_error(r->sink, POFAC_ERR_RUNTIME, NULL, "the working directory has no path: %s", strerror(errno));
    TRY(pipeline_plan_read(&r->o->request, r->program, r->a, r->sink, &r->plan));
    TRY(find_from(r));
    return check_directory(r);
}

pofac_status pipeline_dry_run(const pipeline_run_options *o, const pipeline_program *program, arena *a, const diag_sink *sink) {
    runner r = {.o = o, .program = program, .lock = -1, .a = a, .sink = sink};
    TRY(begin(&r));
    TRY(make_jobs(&r));
    for (size_t i = 0; i < r.plan.n_jobs; i++) {
        decision d;
        TRY(decide(&r, &r.plan.jobs[i], &d));
        const char *text = d.runs ? arena_printf(a, "would run: %s", d.why) : d.why;
        if (!text) return diag_out_of_memory(sink);
        tell(&r, PIPELINE_ENDS, i, text, -1);
    }
    return POFAC_OK;
}

static pofac_status run_all(runner *r, strbuf *table, int *exit_status) {
    TRY(make_jobs(r));
    TRY(pipeline_manifest_write(&r->plan, r->program, r->a, r->sink));
    for (size_t i = 0; i < r->plan.n_jobs; i++) {
        if (interruption_check(r->o->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(run_job(r, i, exit_status));
    }
    return pipeline_results_write(&r->plan, r->plan.directory, r->a, r->sink, table);
}

pofac_status pipeline_execute(const pipeline_run_options *o, const pipeline_program *program, arena *a, const diag_sink *sink,
                              strbuf *table, int *exit_status) {
    runner r = {.o = o, .program = program, .lock = -1, .a = a, .sink = sink};
    *exit_status = 0;
    TRY(begin(&r));
    TRY(take_lock(&r));
    const pofac_status status = run_all(&r, table, exit_status);
    if (r.lock >= 0) close(r.lock);
    return status;
}
