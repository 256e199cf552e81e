/* Writing manifests of pipelines; see pipeline_manifest.h. */
#include "frontend/driver/pipeline_manifest.h"

#include <string.h>

#include <jansson.h>

#include "frontend/driver/doctor.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

static void put_text(strbuf *out, const char *text) { strbuf_put_json(out, text, strlen(text)); }

/* "NAME": "VALUE", the first without a comma before it. */
static void put_pair(strbuf *out, const char *separator, const char *name, const char *value) {
    strbuf_puts(out, separator);
    put_text(out, name);
    strbuf_puts(out, ": ");
    put_text(out, value);
}

static void put_lines(strbuf *out, const char *lines) {
    strbuf_putc(out, '[');
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n");
        if (at != lines) strbuf_puts(out, ", ");
        strbuf_put_json(out, at, n);
        at += n + (at[n] == '\n');
    }
    strbuf_putc(out, ']');
}

static void put_parameters(const pipeline *p, strbuf *out) {
    strbuf_puts(out, ",\n  \"parameters\": {");
    for (size_t i = 0; i < p->n_parameters; i++) put_pair(out, i ? ", " : "", p->parameters[i].name, p->parameters[i].value);
    strbuf_putc(out, '}');
}

static void put_sweeps(const pipeline_request *r, strbuf *out) {
    strbuf_puts(out, ",\n  \"sweep\": {");
    for (size_t i = 0; i < r->n_sweeps; i++) {
        if (i) strbuf_puts(out, ", ");
        put_text(out, r->sweeps[i].name);
        strbuf_puts(out, ": [");
        for (size_t k = 0; k < r->sweeps[i].n_values; k++) {
            if (k) strbuf_puts(out, ", ");
            put_text(out, r->sweeps[i].values[k]);
        }
        strbuf_putc(out, ']');
    }
    strbuf_putc(out, '}');
}

static void put_jobs(const pipeline_plan *todo, strbuf *out) {
    strbuf_puts(out, ",\n  \"stages\": [");
    for (size_t i = 0; i < todo->n_jobs; i++) {
        const pipeline_job *j = &todo->jobs[i];
        put_pair(out, i ? ",\n    {" : "\n    {", "name", pipeline_job_stage(j)->name);
        put_pair(out, ", ", "variant", j->variant->label);
        put_pair(out, ", ", "directory", pipeline_job_directory(j));
        put_pair(out, ", ", "command", pipeline_job_stage(j)->command->name);
        put_pair(out, ", ", "key", j->variant->keys[j->stage]);
        strbuf_puts(out, ",\n     \"determined_by\": ");
        put_lines(out, j->determined_by);
        strbuf_putc(out, '}');
    }
    strbuf_puts(out, "]");
}

/* What the doctor finds of processor, threads and libraries. */
static pofac_status put_machine(arena *a, const diag_sink *sink, strbuf *out) {
    const road_options road = {0};
    doctor_report report;
    bool first = true;
    TRY(doctor_examine(&road, "", a, sink, &report));
    strbuf_puts(out, ",\n  \"machine\": {");
    for (size_t i = 0; i < report.n_rows; i++) {
        const doctor_row *row = &report.rows[i];
        if (strcmp(row->topic, "cpu") != 0 && strcmp(row->topic, "threads") != 0 && strcmp(row->topic, "library") != 0) continue;
        const char *name = arena_printf(a, "%s %s", row->topic, row->name);
        if (!name) return diag_out_of_memory(sink);
        put_pair(out, first ? "\n    " : ",\n    ", name, row->found);
        first = false;
    }
    strbuf_puts(out, "}");
    return POFAC_OK;
}

static pofac_status put_manifest(const pipeline_plan *todo, const pipeline_program *program, arena *a, const diag_sink *sink,
                                 strbuf *out) {
    const pipeline *p = todo->variants[0].pipeline;
    file_map map;
    char hex[33];
    TRY(file_map_open(p->path, sink, &map));
    hash_to_hex(hash_bytes128(map.data, map.size_bytes), hex);
    file_map_close(&map);
    strbuf_puts(out, "{");
    put_pair(out, "\n  ", "pipeline", p->name);
    put_pair(out, ",\n  ", "document", p->path);
    put_pair(out, ",\n  ", "document_hash", hex);
    put_pair(out, ",\n  ", "pofac", program->version);
    put_pair(out, ",\n  ", "instruction_set", todo->isa);
    put_parameters(p, out);
    put_sweeps(todo->request, out);
    put_jobs(todo, out);
    TRY(put_machine(a, sink, out));
    strbuf_puts(out, "\n}\n");
    return POFAC_OK;
}

pofac_status pipeline_manifest_write(const pipeline_plan *todo, const pipeline_program *program, arena *a, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    const char *path = arena_printf(a, "%s/" PIPELINE_MANIFEST_FILE, todo->directory);
    pofac_status status = put_manifest(todo, program, a, sink, &text);
    if (status == POFAC_OK && !(strbuf_ok(&text) && path)) status = diag_out_of_memory(sink);
    if (status == POFAC_OK) status = file_write_all(path, strbuf_str(&text), text.size, sink);
    strbuf_free(&text);
    return status;
}

bool pipeline_manifest_is_ours(const char *path) {
    file_map map;
    json_t *root;
    bool ours = false;
    if (file_map_open(path, NULL, &map) != POFAC_OK) return false;
    if (json_parse(path, NULL, map.data, map.size_bytes, NULL, &root) == POFAC_OK) {
        ours = json_is_string(json_object_get(root, "pipeline")) && json_is_array(json_object_get(root, "stages"));
        json_decref(root);
    }
    file_map_close(&map);
    return ours;
}
