/* Writing results; see results_file.h. */
#include "frontend/driver/results_file.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

static void put_value(const result_value *v, strbuf *out) {
    if (v->is_count && isfinite(v->value)) strbuf_printf(out, "%.0f", v->value);
    else json_put_real(v->value, out);
}

void results_put_line(const result_value *values, size_t n, strbuf *out) {
    strbuf_putc(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_puts(out, ", ");
        strbuf_put_json(out, values[i].name, strlen(values[i].name));
        strbuf_puts(out, ": ");
        put_value(&values[i], out);
    }
    strbuf_putc(out, '}');
}

/* ---- objects of results ---- */

static json_t *tree_of(const result_value *v) {
    if (!isfinite(v->value)) return json_null();
    return v->is_count ? json_integer((json_int_t)v->value) : json_real(v->value);
}

static pofac_status set_values(json_t *object, const char *split, const result_value *values, size_t n, const diag_sink *sink) {
    const size_t n_split = strlen(split);
    for (size_t i = 0; i < n; i++) {
        const char *name = values[i].name;
        const bool as_it_is = strcmp(name, "epoch") == 0 || (strncmp(name, split, n_split) == 0 && name[n_split] == '_');
        strbuf key = STRBUF_INIT;
        if (as_it_is) strbuf_puts(&key, name);
        else strbuf_printf(&key, "%s_%s", split, name);
        const bool ok = strbuf_ok(&key) && json_object_set_new(object, strbuf_str(&key), tree_of(&values[i])) == 0;
        strbuf_free(&key);
        if (!ok) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

static pofac_status write_object(const char *path, json_t *object, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    const bool ok = json_put_value(object, 4, &text);
    strbuf_putc(&text, '\n');
    pofac_status status = ok && strbuf_ok(&text) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK) status = file_write_all(path, text.data, text.size, sink);
    strbuf_free(&text);
    return status;
}

/* ---- files ---- */

static pofac_status read_object(const char *path, const diag_sink *sink, json_t **out) {
    file_map file;
    *out = NULL;
    if (!file_exists(path)) return (*out = json_object()) ? POFAC_OK : diag_out_of_memory(sink);
    TRY(file_map_open(path, sink, &file));
    pofac_status status = json_parse(path, NULL, file.data, file.size_bytes, sink, out);
    file_map_close(&file);
    if (status != POFAC_OK || json_is_object(*out)) return status;
    strbuf text = STRBUF_INIT;
    status =
        diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "found %s, wanted an object", json_describe(*out, &text));
    strbuf_free(&text);
    json_decref(*out);
    *out = NULL;
    return status;
}

/* Adds the values to what the file has, or to nothing. */
static pofac_status update_file(const char *path, bool keeps_old, const char *split, const result_value *values, size_t n,
                                const diag_sink *sink) {
    json_t *object = NULL;
    if (keeps_old) TRY(read_object(path, sink, &object));
    else if (!(object = json_object())) return diag_out_of_memory(sink);
    pofac_status status = set_values(object, split, values, n, sink);
    if (status == POFAC_OK) status = write_object(path, object, sink);
    json_decref(object);
    return status;
}

pofac_status results_file_save(const char *directory, const char *split, const result_value *values, size_t n,
                               const diag_sink *sink) {
    strbuf own = STRBUF_INIT, all = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    strbuf_printf(&own, "%s/%s_results.json", directory, split);
    strbuf_printf(&all, "%s/all_results.json", directory);
    if (!strbuf_ok(&own) || !strbuf_ok(&all)) status = diag_out_of_memory(sink);
    else if (mkdir(directory, 0777) < 0 && errno != EEXIST)
        status = diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = directory}, "cannot be made: %s", strerror(errno));
    if (status == POFAC_OK) status = update_file(strbuf_str(&own), false, split, values, n, sink);
    if (status == POFAC_OK) status = update_file(strbuf_str(&all), true, split, values, n, sink);
    strbuf_free(&own);
    strbuf_free(&all);
    return status;
}
