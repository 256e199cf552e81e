/* Lines of metrics into columns; see metrics_table.h. */
#include "frontend/report/metrics_table.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "ir/support/json_text.h"

#define MOST_WARNINGS 10u

static metric_column *column_of(metrics_table *t, const char *name) {
    bool is_new;
    strmap_entry *e = strmap_put(&t->names, name, strlen(name), t->columns.size, &is_new);
    if (!e) return NULL;
    if (is_new && !VEC_PUSH(&t->columns, ((metric_column){.name = e->key}))) return NULL;
    return &t->columns.data[e->value];
}

static bool add_value(metrics_table *t, const char *name, double step, double value) {
    metric_column *c = column_of(t, name);
    if (!c) return false;
    while (c->steps.size > 0 && c->steps.data[c->steps.size - 1] >= step) c->steps.size--, c->values.size--;
    return VEC_PUSH(&c->steps, step) && VEC_PUSH(&c->values, value);
}

static bool add_line(metrics_table *t, const json_t *line, double step) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)line, name, value) {
        if (strcmp(name, "step") == 0 || (!json_is_number(value) && !json_is_null(value))) continue;
        if (!add_value(t, name, step, json_is_null(value) ? NAN : json_number_value(value))) return false;
    }
    t->n_lines++;
    return true;
}

static pofac_status add_damage(metrics_table *t, const char *file, size_t line, const diag_sink *sink) {
    const diag_place place = {.file = file, .line = (uint32_t)line};
    if (t->damaged.size < MOST_WARNINGS)
        diag_warning(sink, &place, "found no line of metrics, wanted an object with a \"step\"; left out");
    return VEC_PUSH(&t->damaged, line) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status read_line(metrics_table *t, const char *file, size_t number, const char *text, size_t n,
                              const diag_sink *sink) {
    json_t *line = NULL;
    const pofac_status parsed = json_parse(file, NULL, text, n, NULL, &line);
    if (parsed == POFAC_ERR_RUNTIME) return diag_out_of_memory(sink);
    const json_t *step = parsed == POFAC_OK && json_is_object(line) ? json_object_get(line, "step") : NULL;
    pofac_status status = POFAC_OK;
    if (!step || !json_is_integer(step)) status = add_damage(t, file, number, sink);
    else if (!add_line(t, line, (double)json_integer_value(step))) status = diag_out_of_memory(sink);
    json_decref(line);
    return status;
}

pofac_status metrics_table_read(const char *file, const void *bytes, size_t n, const diag_sink *sink, metrics_table *out) {
    const char *at = bytes, *end = at + n;
    *out = (metrics_table)METRICS_TABLE_INIT;
    for (size_t number = 1; n && at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        pofac_status status = stop > at ? read_line(out, file, number, at, (size_t)(stop - at), sink) : POFAC_OK;
        if (status != POFAC_OK) {
            metrics_table_free(out);
            return status;
        }
        at = stop + 1;
    }
    return POFAC_OK;
}

void metrics_table_free(metrics_table *t) {
    for (size_t i = 0; i < t->columns.size; i++) {
        VEC_FREE(&t->columns.data[i].steps);
        VEC_FREE(&t->columns.data[i].values);
    }
    VEC_FREE(&t->columns);
    VEC_FREE(&t->damaged);
    strmap_free(&t->names);
    *t = (metrics_table)METRICS_TABLE_INIT;
}

const metric_column *metrics_table_find(const metrics_table *t, const char *name) {
    const strmap_entry *e = strmap_get(&t->names, name, strlen(name));
    return e ? &t->columns.data[e->value] : NULL;
}
