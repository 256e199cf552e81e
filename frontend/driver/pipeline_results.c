/* Numbers out of files of stages, and tables of them; see pipeline_results.h. */
#include "frontend/driver/pipeline_results.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "ir/support/decimal.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/text_ends.h"

typedef struct cell_values {
    double *values;
    const char **labels;
    size_t n;
} cell_values;

typedef struct results {
    const pipeline_plan *plan;
    const pipeline *pipeline; /* of the first variant: names of rows and columns */
    const char **columns;     /* [n_columns] in the order in which they come */
    const char **formats;     /* [n_columns] */
    size_t n_columns;
    cell_values **rows; /* [n_rows][cells of the row] */
    arena *a;
    const diag_sink *sink;
} results;

/* ---- numbers in files ---- */

/* The number at `key`, whose parts have points between them, and may have points in them. */
static bool number_at(const json_t *value, const char *key, double *out) {
    if (!*key && json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    if (!*key) return false;
    for (const char *end = key + strlen(key);; end--) {
        const json_t *inner = NULL;
        if (*end == 0 || *end == '.') {
            char name[256];
            const size_t n = (size_t)(end - key);
            if (n < sizeof name) {
                memcpy(name, key, n);
                name[n] = 0;
                char *rest;
                const unsigned long index = strtoul(name, &rest, 10);
                inner =
                    json_is_array(value) ? (*name && !*rest ? json_array_get(value, index) : NULL) : json_object_get(value, name);
            }
            if (inner && number_at(inner, *end ? end + 1 : end, out)) return true;
        }
        if (end == key) return false;
    }
}

static bool number_in_json(const char *text, size_t n, const char *key, double *out) {
    json_t *root;
    if (json_parse("", NULL, text, n, NULL, &root) != POFAC_OK) return false;
    const bool found = number_at(root, key, out);
    json_decref(root);
    return found;
}

/* The last line that has the key. */
static bool number_in_lines(const char *text, size_t n, const char *key, double *out) {
    while (n > 0) {
        size_t begin = n;
        while (begin > 0 && text[begin - 1] != '\n') begin--;
        if (number_in_json(text + begin, n - begin, key, out)) return true;
        n = begin > 0 ? begin - 1 : 0;
    }
    return false;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* A line "NAME NUMBER". */
static bool number_in_table(const char *text, size_t n, const char *key, double *out) {
    const size_t length = strlen(key);
    for (const char *at = text, *end = text + n; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        if ((size_t)(stop - at) > length && memcmp(at, key, length) == 0 && is_blank(at[length])) {
            const char *from = at + length, *to = stop;
            while (from < to && is_blank(*from)) from++;
            while (to > from && is_blank(to[-1])) to--;
            if (decimal_read(from, (size_t)(to - from), out)) return true;
        }
        at = stop + 1;
    }
    return false;
}

static pofac_status read_number(const results *r, const pipeline_result_cell *cell, const char *path, double *out) {
    file_map map;
    if (!file_exists(path))
        return diag_error(r->sink, POFAC_ERR_INPUT, &cell->place, "column %s: found no file %s, wanted one", cell->column, path);
    TRY(file_map_open(path, r->sink, &map));
    const char *text = (const char *)map.data;
    size_t blanks = 0;
    while (blanks < map.size_bytes && (is_blank(text[blanks]) || text[blanks] == '\n')) blanks++;
    const bool is_object = blanks < map.size_bytes && text[blanks] == '{';
    const bool found = map.size_bytes > 0 && (text_ends_with(path, ".jsonl") ? number_in_lines(text, map.size_bytes, cell->key, out)
                                              : text_ends_with(path, ".json") ? number_in_json(text, map.size_bytes, cell->key, out)
                                              : is_object                     ? number_in_json(text, map.size_bytes, cell->key, out)
                                                          : number_in_table(text, map.size_bytes, cell->key, out));
    file_map_close(&map);
    if (found) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_INPUT, &cell->place, "column %s: found no number %s in %s, wanted one", cell->column,
                      cell->key, path);
}

/* ---- sizes ---- */

static pofac_status read_size(const results *r, const pipeline_result_cell *cell, const char *path, double *out) {
    struct stat s;
    if (stat(path, &s) != 0)
        return diag_error(r->sink, POFAC_ERR_INPUT, &cell->place, "column %s: found no file %s, wanted one", cell->column, path);
    if (!S_ISREG(s.st_mode))
        return diag_error(r->sink, POFAC_ERR_INPUT, &cell->place, "column %s: found %s, which is no file, wanted one", cell->column,
                          path);
    *out = (double)s.st_size;
    return POFAC_OK;
}

/* ---- cells ---- */

/* "seed=1" or "shared" of "OUT/seed=1/teacher"; "" without sweeps. */
static const char *label_of(const results *r, const char *directory) {
    if (!*r->plan->variants[0].label) return "";
    const char *end = strrchr(directory, '/'), *begin = end;
    while (begin > directory && begin[-1] != '/') begin--;
    return arena_strndup(r->a, begin, (size_t)(end - begin));
}

/* Is it the first variant with this directory of the stage? */
static bool is_first(const results *r, size_t v, size_t stage) {
    for (size_t i = 0; i < v; i++)
        if (strcmp(r->plan->variants[i].directories[stage], r->plan->variants[v].directories[stage]) == 0) return false;
    return true;
}

static pofac_status read_cell(const results *r, size_t row, size_t at, cell_values *out) {
    out->values = ARENA_ARRAY(r->a, double, r->plan->n_variants);
    out->labels = ARENA_ARRAY(r->a, const char *, r->plan->n_variants);
    if (!out->values || !out->labels) return diag_out_of_memory(r->sink);
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        const pipeline_result_cell *cell = &r->plan->variants[v].pipeline->rows[row].cells[at];
        if (!is_first(r, v, cell->stage)) continue;
        const char *directory = r->plan->variants[v].directories[cell->stage];
        const char *path = arena_printf(r->a, "%s/%s", directory, cell->file);
        out->labels[out->n] = label_of(r, directory);
        if (!path || !out->labels[out->n]) return diag_out_of_memory(r->sink);
        TRY(cell->key ? read_number(r, cell, path, &out->values[out->n]) : read_size(r, cell, path, &out->values[out->n]));
        out->n++;
    }
    return POFAC_OK;
}

static double mean(const cell_values *c) {
    double sum = 0;
    for (size_t i = 0; i < c->n; i++) sum += c->values[i];
    return sum / (double)c->n;
}

static void note_column(results *r, const pipeline_result_cell *cell) {
    for (size_t i = 0; i < r->n_columns; i++)
        if (strcmp(r->columns[i], cell->column) == 0) return;
    r->columns[r->n_columns] = cell->column;
    r->formats[r->n_columns++] = cell->format;
}

static pofac_status read_rows(results *r) {
    size_t n_cells = 0;
    for (size_t i = 0; i < r->pipeline->n_rows; i++) n_cells += r->pipeline->rows[i].n_cells;
    r->columns = ARENA_ARRAY(r->a, const char *, n_cells + 1);
    r->formats = ARENA_ARRAY(r->a, const char *, n_cells + 1);
    r->rows = ARENA_ARRAY(r->a, cell_values *, r->pipeline->n_rows + 1);
    if (!r->columns || !r->formats || !r->rows) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < r->pipeline->n_rows; i++) {
        const pipeline_result_row *row = &r->pipeline->rows[i];
        r->rows[i] = ARENA_ARRAY(r->a, cell_values, row->n_cells + 1);
        if (!r->rows[i]) return diag_out_of_memory(r->sink);
        for (size_t k = 0; k < row->n_cells; k++) {
            note_column(r, &row->cells[k]);
            TRY(read_cell(r, i, k, &r->rows[i][k]));
        }
    }
    return POFAC_OK;
}

/* ---- writing ---- */

static void put_json(strbuf *out, const char *text) { strbuf_put_json(out, text, strlen(text)); }

static void put_number(strbuf *out, double value) {
    if (value == floor(value) && fabs(value) < 9e15) strbuf_printf(out, "%.0f", value);
    else json_put_real(value, out);
}

static void put_cell_json(const cell_values *c, strbuf *out) {
    strbuf_puts(out, "{\"value\": ");
    put_number(out, mean(c));
    strbuf_puts(out, ", \"values\": [");
    for (size_t i = 0; i < c->n; i++) {
        if (i) strbuf_puts(out, ", ");
        put_number(out, c->values[i]);
    }
    strbuf_puts(out, "], \"sweep\": [");
    for (size_t i = 0; i < c->n; i++) {
        if (i) strbuf_puts(out, ", ");
        put_json(out, c->labels[i]);
    }
    strbuf_puts(out, "]}");
}

static void put_results_json(const results *r, strbuf *out) {
    strbuf_puts(out, "{\n  \"columns\": [");
    for (size_t i = 0; i < r->n_columns; i++) {
        strbuf_puts(out, i ? ", {\"name\": " : "{\"name\": ");
        put_json(out, r->columns[i]);
        strbuf_printf(out, ", \"format\": \"%s\"}", r->formats[i]);
    }
    strbuf_puts(out, "],\n  \"rows\": [");
    for (size_t i = 0; i < r->pipeline->n_rows; i++) {
        const pipeline_result_row *row = &r->pipeline->rows[i];
        strbuf_puts(out, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        put_json(out, row->name);
        strbuf_puts(out, ", \"cells\": {");
        for (size_t k = 0; k < row->n_cells; k++) {
            strbuf_puts(out, k ? ",\n      " : "\n      ");
            put_json(out, row->cells[k].column);
            strbuf_puts(out, ": ");
            put_cell_json(&r->rows[i][k], out);
        }
        strbuf_puts(out, "}}");
    }
    strbuf_puts(out, "]\n}\n");
}

void pipeline_results_put_value(const char *format, double value, strbuf *out) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    if (strcmp(format, "percent") == 0) {
        strbuf_printf(out, "%.2f %%", 100 * value);
    } else if (strcmp(format, "bytes") == 0) {
        for (; fabs(value) >= 999.5 && unit < 4; unit++) value /= 1000;
        strbuf_printf(out, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    } else if (strcmp(format, "ratio") == 0) {
        strbuf_printf(out, "%.1fx", value);
    } else if (strcmp(format, "ms") == 0) {
        strbuf_printf(out, fabs(value) < 10 ? "%.3f ms" : "%.1f ms", value);
    } else {
        const int digits = fabs(value) >= 1000 ? 0 : fabs(value) >= 100 ? 1 : 2;
        if (value == floor(value) || (value != 0 && fabs(value) < 0.1)) strbuf_printf(out, "%.6g", value);
        else strbuf_printf(out, "%.*f", digits, value);
    }
}

/* Within a table a bar would end a cell. */
static void put_text(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') strbuf_putc(out, '\\');
        strbuf_putc(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_cell(const char *format, const cell_values *c, strbuf *out) {
    pipeline_results_put_value(format, mean(c), out);
    for (size_t i = 0; c->n > 1 && i < c->n; i++) {
        strbuf_puts(out, i ? ", " : " (");
        pipeline_results_put_value(format, c->values[i], out);
    }
    if (c->n > 1) strbuf_putc(out, ')');
}

static void put_table(const results *r, strbuf *out) {
    strbuf_puts(out, "| |");
    for (size_t i = 0; i < r->n_columns; i++) {
        strbuf_putc(out, ' ');
        put_text(out, r->columns[i]);
        strbuf_puts(out, " |");
    }
    strbuf_puts(out, "\n| --- |");
    for (size_t i = 0; i < r->n_columns; i++) strbuf_puts(out, " ---: |");
    for (size_t i = 0; i < r->pipeline->n_rows; i++) {
        const pipeline_result_row *row = &r->pipeline->rows[i];
        strbuf_puts(out, "\n| ");
        put_text(out, row->name);
        strbuf_puts(out, " |");
        for (size_t c = 0; c < r->n_columns; c++) {
            strbuf_putc(out, ' ');
            for (size_t k = 0; k < row->n_cells; k++)
                if (strcmp(row->cells[k].column, r->columns[c]) == 0) put_cell(r->formats[c], &r->rows[i][k], out);
            strbuf_puts(out, " |");
        }
    }
    strbuf_putc(out, '\n');
}

static pofac_status write_file(const results *r, const char *directory, const char *name, const strbuf *text) {
    const char *path = arena_printf(r->a, "%s/%s", directory, name);
    if (!path || !strbuf_ok(text)) return diag_out_of_memory(r->sink);
    return file_write_all(path, strbuf_str(text), text->size, r->sink);
}

pofac_status pipeline_results_write(const pipeline_plan *todo, const char *directory, arena *a, const diag_sink *sink,
                                    strbuf *table) {
    results r = {.plan = todo, .pipeline = todo->variants[0].pipeline, .a = a, .sink = sink};
    strbuf json = STRBUF_INIT, markdown = STRBUF_INIT;
    if (r.pipeline->n_rows == 0) return POFAC_OK;
    TRY(read_rows(&r));
    put_results_json(&r, &json);
    put_table(&r, &markdown);
    pofac_status status = write_file(&r, directory, "results.json", &json);
    if (status == POFAC_OK) status = write_file(&r, directory, "results.md", &markdown);
    strbuf_append(table, strbuf_str(&markdown), markdown.size);
    strbuf_free(&json);
    strbuf_free(&markdown);
    return status;
}
