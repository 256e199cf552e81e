/*
 * Planning; see pipeline_plan.h. Whether a swept parameter changes a stage is seen by comparing its text between combinations that differ in
 * that parameter alone; a stage that reads a changed one is changed.
 */
#include "frontend/driver/pipeline_plan.h"

#include <inttypes.h>
#include <string.h>

#include "codegen/codegen.h"
#include "frontend/driver/recipe.h"
#include "ir/support/file_map.h"

#define MOST_VARIANTS 1000u
#define MOST_SWEEPS 8u
#define SHARED "shared" /* the directory of stages that no swept parameter changes */
#define VALUE_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-"

typedef struct planner {
    pipeline_plan *plan;
    const pipeline_request *request; /* of the plan */
    const pipeline_program *program;
    input_hashes *hashes;
    arena *a;
    const diag_sink *sink;
} planner;

/* The text in the arena; NULL when memory is short. Frees the buffer. */
static const char *take(planner *p, strbuf *text) {
    const char *copy = strbuf_ok(text) ? arena_strdup(p->a, strbuf_str(text)) : NULL;
    strbuf_free(text);
    return copy;
}

/* ---- combinations ---- */

/* Variant v has value (v / stride) % n of each sweep; the last sweep changes fastest. */
static size_t stride_of(const planner *p, size_t sweep) {
    size_t stride = 1;
    for (size_t i = sweep + 1; i < p->request->n_sweeps; i++) stride *= p->request->sweeps[i].n_values;
    return stride;
}

static size_t value_of(const planner *p, size_t variant, size_t sweep) {
    return variant / stride_of(p, sweep) % p->request->sweeps[sweep].n_values;
}

static pofac_status check_sweeps(planner *p) {
    const pipeline_request *r = p->request;
    p->plan->n_variants = 1;
    if (r->n_sweeps > MOST_SWEEPS)
        return diag_error(p->sink, POFAC_ERR_USAGE, NULL, "found %zu sweeps, wanted at most %u", r->n_sweeps, MOST_SWEEPS);
    for (size_t i = 0; i < r->n_sweeps; i++) {
        const pipeline_sweep *s = &r->sweeps[i];
        for (size_t k = 0; k < i; k++)
            if (strcmp(r->sweeps[k].name, s->name) == 0)
                return diag_error(p->sink, POFAC_ERR_USAGE, NULL, "--sweep: found %s twice, wanted it once", s->name);
        for (size_t k = 0; k < r->n_parameters; k++)
            if (strcmp(r->parameters[k].name, s->name) == 0)
                return diag_error(p->sink, POFAC_ERR_USAGE, NULL,
                                  "found %s in --sweep and in --parameter, wanted it in one of them", s->name);
        for (size_t k = 0; k < s->n_values; k++) {
            const char *value = s->values[k];
            if (!*value || value[strspn(value, VALUE_BYTES)])
                return diag_error(
                    p->sink, POFAC_ERR_USAGE, NULL,
                    "--sweep %s: found \"%s\", wanted a value of letters, digits, _, ., + and -: it names a directory", s->name,
                    value);
            for (size_t other = 0; other < k; other++)
                if (strcmp(s->values[other], value) == 0)
                    return diag_error(p->sink, POFAC_ERR_USAGE, NULL, "--sweep %s: found %s twice, wanted it once", s->name, value);
        }
        if (s->n_values > MOST_VARIANTS / p->plan->n_variants)
            return diag_error(p->sink, POFAC_ERR_USAGE, NULL, "--sweep: found more than %u combinations, wanted fewer",
                              MOST_VARIANTS);
        p->plan->n_variants *= s->n_values;
    }
    return POFAC_OK;
}

static pofac_status read_variant(planner *p, size_t v) {
    const pipeline_request *r = p->request;
    xml_parameter *given = ARENA_ARRAY(p->a, xml_parameter, r->n_parameters + r->n_sweeps + 1);
    strbuf label = STRBUF_INIT;
    if (!given) return diag_out_of_memory(p->sink);
    for (size_t i = 0; i < r->n_parameters; i++) given[i] = r->parameters[i];
    for (size_t i = 0; i < r->n_sweeps; i++) {
        const char *value = r->sweeps[i].values[value_of(p, v, i)];
        given[r->n_parameters + i] = (xml_parameter){r->sweeps[i].name, value};
        strbuf_printf(&label, "%s%s=%s", i ? "," : "", r->sweeps[i].name, value);
    }
    p->plan->variants[v].label = take(p, &label);
    if (!p->plan->variants[v].label) return diag_out_of_memory(p->sink);
    return pipeline_read(r->path, given, r->n_parameters + r->n_sweeps, p->program, p->a, p->sink, &p->plan->variants[v].pipeline);
}

/* ---- what a parameter changes ---- */

/* All that a stage says, directories of stages by name. */
static void put_definition(const pipeline_stage *s, strbuf *out) {
    const pipeline nothing = {0};
    const pipeline_places nowhere = {.pipeline = &nothing};
    strbuf_printf(out, "%s\n", s->command->name);
    for (size_t i = 0; i < s->n_words; i++)
        strbuf_printf(out, "%s=%s\n", s->words[i].option ? s->words[i].option->name : "", s->words[i].value);
    pipeline_put_recipe(s, &nowhere, "", out);
}

static pofac_status differs(planner *p, size_t stage, size_t v, size_t other, bool *out) {
    strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    put_definition(&p->plan->variants[v].pipeline->stages[stage], &a);
    put_definition(&p->plan->variants[other].pipeline->stages[stage], &b);
    const bool fine = strbuf_ok(&a) && strbuf_ok(&b);
    *out = strcmp(strbuf_str(&a), strbuf_str(&b)) != 0;
    strbuf_free(&a);
    strbuf_free(&b);
    return fine ? POFAC_OK : diag_out_of_memory(p->sink);
}

static pofac_status find_changes(planner *p) {
    const size_t n_sweeps = p->request->n_sweeps;
    bool *all = ARENA_ARRAY(p->a, bool, p->plan->n_stages *n_sweeps + 1);
    if (!all) return diag_out_of_memory(p->sink);
    p->plan->changes = all;
    for (size_t stage = 0; stage < p->plan->n_stages; stage++)
        for (size_t sweep = 0; sweep < n_sweeps; sweep++) {
            bool *changes = &all[stage * n_sweeps + sweep];
            for (size_t v = 0; v < p->plan->n_variants && !*changes; v++) {
                const pipeline_stage *s = &p->plan->variants[v].pipeline->stages[stage];
                const size_t value = value_of(p, v, sweep);
                for (size_t i = 0; i < s->n_reads; i++) *changes |= all[s->reads[i] * n_sweeps + sweep];
                if (value && !*changes) TRY(differs(p, stage, v, v - value * stride_of(p, sweep), changes));
            }
        }
    return POFAC_OK;
}

static pofac_status name_directories(planner *p, size_t v) {
    const pipeline_request *r = p->request;
    pipeline_variant *variant = &p->plan->variants[v];
    variant->directories = ARENA_ARRAY(p->a, const char *, p->plan->n_stages + 1);
    if (!variant->directories) return diag_out_of_memory(p->sink);
    for (size_t stage = 0; stage < p->plan->n_stages; stage++) {
        strbuf path = STRBUF_INIT;
        bool first = true;
        strbuf_printf(&path, "%s/", p->plan->directory);
        for (size_t i = 0; i < r->n_sweeps; i++) {
            if (!p->plan->changes[stage * r->n_sweeps + i]) continue;
            strbuf_printf(&path, "%s%s=%s", first ? "" : ",", r->sweeps[i].name, r->sweeps[i].values[value_of(p, v, i)]);
            first = false;
        }
        if (r->n_sweeps) strbuf_puts(&path, first ? SHARED "/" : "/");
        strbuf_puts(&path, variant->pipeline->stages[stage].name);
        variant->directories[stage] = take(p, &path);
        if (!variant->directories[stage]) return diag_out_of_memory(p->sink);
    }
    return POFAC_OK;
}

/* ---- keys ---- */

/* The hash of what is read from outside of the pipeline. */
static pofac_status put_input(planner *p, const char *name, const char *path, const diag_place *place, strbuf *out) {
    hash128 hash;
    uint64_t bytes;
    char hex[33];
    if (!file_exists(path))
        return diag_error(p->sink, POFAC_ERR_INPUT, place, "%s: found no file or directory %s, wanted one", name, path);
    TRY(input_hash(p->hashes, path, p->sink, &hash, &bytes));
    hash_to_hex(hash, hex);
    strbuf_printf(out, "%s %s (%" PRIu64 " bytes)\n", name, hex, bytes);
    return POFAC_OK;
}

/* Does an option of the stage win over the attribute? */
static bool is_replaced(const pipeline_stage *s, const xml_attr *attr) {
    if (strcmp(attr->row->element, "model") == 0 || strcmp(xml_element_row_find(attr->row->element)->parent, "pofac") != 0)
        return false;
    const char *name = recipe_option_name(attr->row->element, attr->row->name);
    for (size_t i = 0; i < s->n_words; i++)
        if (s->words[i].option && strcmp(s->words[i].option->name, name) == 0) return true;
    return false;
}

static pofac_status put_recipe_inputs(planner *p, const pipeline_stage *s, const xml_element *e, strbuf *out) {
    for (size_t i = 0; i < e->n_attrs; i++) {
        const xml_attr *attr = &e->attrs[i];
        if (!attr->written || attr->row->type != XML_TYPE_PATH || pipeline_is_inner_path(attr->text) || is_replaced(s, attr))
            continue;
        const char *name = arena_printf(p->a, "%s %s", e->row->name, attr->row->name);
        if (!name) return diag_out_of_memory(p->sink);
        TRY(put_input(p, name, attr->value.as.string, &attr->place, out));
    }
    for (const xml_element *child = e->first_child; child; child = child->next) TRY(put_recipe_inputs(p, s, child, out));
    return POFAC_OK;
}

static pofac_status put_words(planner *p, const pipeline_stage *s, const pipeline_places *keys, strbuf *out) {
    for (size_t i = 0; i < s->n_words; i++) {
        const pipeline_word *w = &s->words[i];
        const char *name = w->option ? w->option->name : "argument";
        if (w->kind == PIPELINE_READS && !pipeline_is_inner_path(w->value)) {
            TRY(put_input(p, name, w->value, &w->place, out));
            continue;
        }
        strbuf_printf(out, "%s ", name);
        pipeline_put_text(keys, w->value, out);
        strbuf_putc(out, '\n');
    }
    return POFAC_OK;
}

/* The recipe's elements, a line each. */
static void put_recipe_lines(const pipeline_stage *s, const pipeline_places *keys, strbuf *out) {
    if (s->has_recipe) pipeline_put_recipe(s, keys, NULL, out);
}

static pofac_status put_key_lines(planner *p, const pipeline_stage *s, const pipeline_places *keys, strbuf *out) {
    strbuf_printf(out, "pofac %s\ninstruction set %s\ncommand %s\n", p->program->version, p->plan->isa, s->command->name);
    TRY(put_words(p, s, keys, out));
    put_recipe_lines(s, keys, out);
    for (size_t i = 0; i < s->n_sections; i++) TRY(put_recipe_inputs(p, s, s->sections[i], out));
    return POFAC_OK;
}

/* Directories of earlier stages by what they hold: NAME@KEY. */
static const char **name_keys(planner *p, const pipeline_variant *v, size_t n) {
    const char **names = ARENA_ARRAY(p->a, const char *, p->plan->n_stages);
    for (size_t i = 0; names && i < n; i++) {
        names[i] = arena_printf(p->a, "%s@%s", v->pipeline->stages[i].name, v->keys[i]);
        if (!names[i]) return NULL;
    }
    return names;
}

static pofac_status make_key(planner *p, pipeline_variant *v, size_t stage, const char **lines) {
    const pipeline_places keys = {.pipeline = v->pipeline, .stages = name_keys(p, v, stage), .own = "out"};
    strbuf text = STRBUF_INIT;
    char hex[33];
    if (!keys.stages) return diag_out_of_memory(p->sink);
    const pofac_status status = put_key_lines(p, &v->pipeline->stages[stage], &keys, &text);
    hash_to_hex(hash_bytes128(strbuf_str(&text), text.size), hex);
    *lines = take(p, &text);
    TRY(status);
    v->keys[stage] = arena_strdup(p->a, hex);
    return *lines && v->keys[stage] ? POFAC_OK : diag_out_of_memory(p->sink);
}

/* ---- jobs ---- */

static pofac_status describe_job(planner *p, pipeline_job *j) {
    const pipeline_stage *s = pipeline_job_stage(j);
    const char *directory = pipeline_job_directory(j);
    strbuf title = STRBUF_INIT, reads = STRBUF_INIT;
    strbuf_puts(&title, s->name);
    if (p->request->n_sweeps) { /* the directory above its own */
        const char *end = strrchr(directory, '/'), *begin = end;
        while (begin > directory && begin[-1] != '/') begin--;
        if ((size_t)(end - begin) != strlen(SHARED) || strncmp(begin, SHARED, strlen(SHARED)) != 0)
            strbuf_printf(&title, " %.*s", (int)(end - begin), begin);
    }
    for (size_t i = 0; i < s->n_reads; i++)
        strbuf_printf(&reads, "%s %s\n", j->variant->pipeline->stages[s->reads[i]].name, j->variant->keys[s->reads[i]]);
    j->title = take(p, &title);
    j->reads = take(p, &reads);
    return j->title && j->reads ? POFAC_OK : diag_out_of_memory(p->sink);
}

static pofac_status make_jobs(planner *p) {
    pipeline_plan *out = p->plan;
    pipeline_job *jobs = ARENA_ARRAY(p->a, pipeline_job, p->plan->n_variants * p->plan->n_stages + 1);
    if (!jobs) return diag_out_of_memory(p->sink);
    out->jobs = jobs;
    for (size_t v = 0; v < p->plan->n_variants; v++) {
        pipeline_variant *variant = &p->plan->variants[v];
        variant->keys = ARENA_ARRAY(p->a, const char *, p->plan->n_stages + 1);
        if (!variant->keys) return diag_out_of_memory(p->sink);
        for (size_t stage = 0; stage < p->plan->n_stages; stage++) {
            size_t same = 0;
            while (same < out->n_jobs && strcmp(pipeline_job_directory(&jobs[same]), variant->directories[stage]) != 0) same++;
            if (same < out->n_jobs) variant->keys[stage] = jobs[same].variant->keys[stage];
            if (same < out->n_jobs) continue;
            pipeline_job *j = &jobs[out->n_jobs];
            *j = (pipeline_job){.variant = variant, .stage = stage};
            TRY(make_key(p, variant, stage, &j->determined_by));
            TRY(describe_job(p, j));
            out->n_jobs++;
        }
    }
    return POFAC_OK;
}

pofac_status pipeline_plan_read(const pipeline_request *request, const pipeline_program *program, arena *a, const diag_sink *sink,
                                pipeline_plan *out) {
    planner p = {.plan = out, .request = request, .program = program, .a = a, .sink = sink};
    cg_target target;
    *out = (pipeline_plan){.request = request};
    TRY(check_sweeps(&p));
    TRY(cg_target_host(NULL, a, sink, &target));
    out->isa = target.isa;
    out->variants = ARENA_ARRAY(a, pipeline_variant, out->n_variants);
    if (!out->variants) return diag_out_of_memory(sink);
    for (size_t v = 0; v < out->n_variants; v++) TRY(read_variant(&p, v));
    out->n_stages = out->variants[0].pipeline->n_stages;
    out->directory = request->output_dir ? request->output_dir : out->variants[0].pipeline->name;
    TRY(find_changes(&p));
    for (size_t v = 0; v < out->n_variants; v++) TRY(name_directories(&p, v));
    return POFAC_OK;
}

pofac_status pipeline_plan_jobs(pipeline_plan *todo, const pipeline_program *program, input_hashes *hashes, arena *a,
                                const diag_sink *sink) {
    planner p = {.plan = todo, .request = todo->request, .program = program, .hashes = hashes, .a = a, .sink = sink};
    return make_jobs(&p);
}
