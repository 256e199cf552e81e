/* Formats of rows; see task_rows.h. Columns are found once for TSV and CSV, keys anew for each JSON object. */
#include "frontend/data/task_rows.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "ir/support/decimal.h"
#include "ir/support/json_text.h"

static const char *const formats[] = {"auto", "tsv", "csv", "jsonl", "conll"};
static const char *const column_meaning[TASK_N_COLUMNS] = {"text", "second text", "label"};

bool task_format_parse(const char *name, task_format *out) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(name, formats[i]) != 0) continue;
        *out = (task_format)i;
        return true;
    }
    return false;
}

const char *task_format_name(task_format format) { return formats[format]; }

pofac_status task_rows_error(task_rows *r, const diag_sink *sink, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    const diag_place place = {.file = r->path, .line = (uint32_t)r->line};
    r->is_fault_in_row = strbuf_ok(&text);
    pofac_status status =
        strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text)) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static bool has_ending(const char *path, size_t n, const char *ending) {
    const size_t bytes = strlen(ending);
    return n >= bytes && strncasecmp(path + n - bytes, ending, bytes) == 0;
}

static task_format guess_format(const char *path, task_kind kind) {
    size_t n = strlen(path);
    if (has_ending(path, n, ".gz")) n -= strlen(".gz");
    if (has_ending(path, n, ".jsonl") || has_ending(path, n, ".json")) return TASK_FORMAT_JSONL;
    if (kind == TASK_TOKEN_CLASSIFICATION) return TASK_FORMAT_CONLL;
    return has_ending(path, n, ".csv") ? TASK_FORMAT_CSV : TASK_FORMAT_TSV;
}

/* The names that a column may have. */
static const char *names_of(const task_rows *r, task_column c) {
    return r->options->columns[c] ? r->options->columns[c] : r->options->task->columns[c];
}

/* ---- TSV and CSV ---- */

static pofac_status state_error(task_rows *r, delimited_state state, const diag_sink *sink) {
    if (state == ROW_OUT_OF_MEMORY) return diag_out_of_memory(sink);
    if (state == ROW_TOO_MANY) return task_rows_error(r, sink, "found more than %u columns, wanted fewer", DELIMITED_ROW_MAX_CELLS);
    return task_rows_error(r, sink, "found text behind a closing quote, wanted a comma or the end of the line");
}

/* The lines of one CSV row. */
static pofac_status read_csv_row(task_rows *r, char *line, size_t n, const diag_sink *sink) {
    delimited_state state;
    while ((state = delimited_row_csv(&r->row, line, n)) == ROW_GOES_ON) {
        if (r->row.text.size > TEXT_LINES_MAX_BYTES) {
            delimited_row_clear(&r->row);
            return task_rows_error(r, sink, "found a row of more than %zu bytes, wanted shorter ones", TEXT_LINES_MAX_BYTES);
        }
        TRY(text_lines_next(r->lines, sink, &line, &n));
        if (line) continue;
        delimited_row_clear(&r->row);
        return task_rows_error(r, sink, "found no closing quote of a cell, wanted one before the end of the file");
    }
    if (state != ROW_COMPLETE) delimited_row_clear(&r->row);
    return state == ROW_COMPLETE ? POFAC_OK : state_error(r, state, sink);
}

/* The next row that is not a blank line. */
static pofac_status read_table_row(task_rows *r, const diag_sink *sink, bool *found) {
    char *line;
    size_t n = 0;
    *found = false;
    if (r->is_first_waiting) {
        r->is_first_waiting = false;
        *found = true;
        return POFAC_OK;
    }
    do {
        TRY(text_lines_next(r->lines, sink, &line, &n));
    } while (line && n == 0);
    if (!line) return POFAC_OK;
    *found = true;
    r->line = text_lines_line(r->lines);
    if (r->format == TASK_FORMAT_CSV) return read_csv_row(r, line, n, sink);
    delimited_state state = delimited_row_tsv(&r->row, line, n);
    return state == ROW_COMPLETE ? POFAC_OK : state_error(r, state, sink);
}

static row_cell trimmed(row_cell cell) {
    while (cell.bytes > 0 && strchr(" \"", cell.text[0])) cell.text++, cell.bytes--;
    while (cell.bytes > 0 && strchr(" \"", cell.text[cell.bytes - 1])) cell.bytes--;
    return cell;
}

/* The cell with the first of `names` that a cell has, other than `taken`; -1: none has one. */
static int find_cell(const delimited_row *row, const char *names, int taken) {
    int best = -1, best_rank = -1;
    for (size_t i = 0; *names && i < row->cells.size; i++) {
        const row_cell cell = trimmed(row->cells.data[i]);
        int rank = task_name_find(names, cell.text, cell.bytes);
        if (rank < 0 || (int)i == taken || (best >= 0 && rank >= best_rank)) continue;
        best = (int)i;
        best_rank = rank;
    }
    return best;
}

/* "a", "b", "c" and 3 more */
static void put_cells(const delimited_row *row, strbuf *out) {
    const size_t shown = row->cells.size > 12 ? 12 : row->cells.size;
    for (size_t i = 0; i < shown; i++) {
        const row_cell *cell = &row->cells.data[i];
        strbuf_puts(out, i ? ", " : "");
        strbuf_put_json(out, cell->text, cell->bytes > 40 ? 40 : cell->bytes);
    }
    if (row->cells.size > shown) strbuf_printf(out, " and %zu more", row->cells.size - shown);
}

/* "a, b or c" of "a|b|c" */
static void put_alternatives(const char *names, strbuf *out) {
    const char *name;
    size_t n;
    const size_t count = task_name_count(names);
    for (size_t i = 0; task_name_at(names, i, &name, &n); i++)
        strbuf_printf(out, "%s%.*s", i == 0 ? "" : i + 1 == count ? " or " : ", ", (int)n, name);
}

static pofac_status header_error(const task_rows *r, task_column missing, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "found a header with the columns ");
    put_cells(&r->row, &text);
    strbuf_printf(&text, ", wanted one for the %s: ", column_meaning[missing]);
    put_alternatives(names_of(r, missing), &text);
    const diag_place place = {.file = r->path, .line = (uint32_t)r->line};
    pofac_status status =
        strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text)) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static pofac_status layout_error(const task_rows *r, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    const task_layout *layout;
    strbuf_printf(&text, "found %zu columns and none of the names of columns, wanted a header with ", r->row.cells.size);
    put_alternatives(names_of(r, TASK_TEXT_A), &text);
    for (size_t i = 0; !r->options->columns[TASK_TEXT_A] && (layout = task_layout_row(r->options->task, i)); i++)
        strbuf_printf(&text, "%s%zu", i ? ", " : "; or without a header, columns to the number of ", layout->n_columns);
    const diag_place place = {.file = r->path, .line = (uint32_t)r->line};
    pofac_status status =
        strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text)) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* Must the file have the column? */
static bool is_needed(const task_rows *r, task_column c) {
    const task_info *task = r->options->task;
    if (r->options->columns[c] || c == TASK_TEXT_A) return true;
    if (c == TASK_LABEL) return r->options->needs_labels;
    return *task->columns[c] && !task_pair_is_optional(task);
}

static pofac_status find_columns(task_rows *r, const diag_sink *sink) {
    bool found, has_names = false;
    for (int c = 0; c < TASK_N_COLUMNS; c++) r->place[c] = -1;
    TRY(read_table_row(r, sink, &found));
    r->n_columns = found ? r->row.cells.size : 0;
    for (int c = 0; found && c < TASK_N_COLUMNS; c++) {
        r->place[c] = find_cell(&r->row, names_of(r, c), c == TASK_TEXT_B ? r->place[TASK_TEXT_A] : -1);
        has_names = has_names || r->place[c] >= 0;
    }
    if (!found) return POFAC_OK;
    for (int c = 0; has_names && c < TASK_N_COLUMNS; c++)
        if (r->place[c] < 0 && is_needed(r, c)) return header_error(r, c, sink);
    r->has_header = has_names;
    r->is_first_waiting = !has_names;
    if (has_names) return POFAC_OK;
    const task_layout *layout = task_layout_find(r->options->task, r->n_columns);
    if (!layout || r->options->columns[TASK_TEXT_A]) return layout_error(r, sink);
    memcpy(r->place, layout->place, sizeof r->place);
    return POFAC_OK;
}

static pofac_status table_next(task_rows *r, const diag_sink *sink, bool *found) {
    TRY(read_table_row(r, sink, found));
    if (!*found) return POFAC_OK;
    if (r->row.cells.size != r->n_columns)
        return task_rows_error(r, sink, "found %zu columns, wanted %zu, as the %s has", r->row.cells.size, r->n_columns,
                               r->has_header ? "header" : "first line");
    for (int c = 0; c < TASK_N_COLUMNS; c++) r->cells[c] = r->place[c] < 0 ? (row_cell){NULL, 0} : r->row.cells.data[r->place[c]];
    return POFAC_OK;
}

/* ---- JSON lines ---- */

/* The value of the first of `names` that the object has, in any case of letters; null counts as there, absent gives NULL. */
static const json_t *find_value(const json_t *object, const char *names, const json_t *taken) {
    const char *key;
    json_t *value;
    const json_t *best = NULL;
    int best_rank = -1;
    json_object_foreach((json_t *)object, key, value) {
        int rank = task_name_find(names, key, strlen(key));
        if (rank < 0 || value == taken || (best && rank >= best_rank)) continue;
        best = value;
        best_rank = rank;
    }
    return best;
}

static pofac_status value_error(task_rows *r, task_column c, const json_t *value, const char *wanted, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    const char *found = json_describe(value, &text);
    pofac_status status = strbuf_ok(&text) ? task_rows_error(r, sink, "%s: found %s, wanted %s", column_meaning[c], found, wanted)
                                           : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* A string, or where numbers may stand, a number as text. */
static pofac_status take_value(task_rows *r, task_column c, const json_t *value, const diag_sink *sink) {
    if (json_is_string(value)) {
        r->cells[c] = (row_cell){json_string_value(value), json_string_length(value)};
        return POFAC_OK;
    }
    strbuf *text = &r->numbers[c];
    if (c != TASK_LABEL || !json_is_number(value))
        return value_error(r, c, value, c == TASK_LABEL ? "a string or a number" : "a string", sink);
    strbuf_clear(text);
    if (json_is_integer(value)) strbuf_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else decimal_put(text, json_real_value(value));
    if (!strbuf_ok(text)) return diag_out_of_memory(sink);
    r->cells[c] = (row_cell){strbuf_str(text), text->size};
    return POFAC_OK;
}

static pofac_status key_error(task_rows *r, task_column c, const diag_sink *sink) {
    strbuf names = STRBUF_INIT;
    put_alternatives(names_of(r, c), &names);
    pofac_status status =
        strbuf_ok(&names) ? task_rows_error(r, sink, "found no key for the %s, wanted %s", column_meaning[c], strbuf_str(&names))
                          : diag_out_of_memory(sink);
    strbuf_free(&names);
    return status;
}

static pofac_status take_texts(task_rows *r, const diag_sink *sink) {
    const json_t *values[TASK_N_COLUMNS] = {NULL};
    for (int c = 0; c < TASK_N_COLUMNS; c++) {
        const json_t *value = find_value(r->object, names_of(r, c), c == TASK_TEXT_B ? values[TASK_TEXT_A] : NULL);
        values[c] = value;
        r->cells[c] = (row_cell){NULL, 0};
        if (!value && is_needed(r, c)) return key_error(r, c, sink);
        if (value && !(json_is_null(value) && c != TASK_TEXT_A)) TRY(take_value(r, c, value, sink));
    }
    return POFAC_OK;
}

/* The strings (or, of tags, numbers) of an array. */
static pofac_status take_list(task_rows *r, task_column c, const json_t *list, const diag_sink *sink) {
    size_t i;
    json_t *item;
    if (!json_is_array(list)) return value_error(r, c, list, "an array", sink);
    json_array_foreach((json_t *)list, i, item) {
        const char *text = json_is_string(item) ? json_string_value(item) : NULL;
        if (!text && !(c == TASK_LABEL && json_is_integer(item))) return value_error(r, c, item, "strings in the array", sink);
        if (!text) text = arena_printf(&r->memory, "%" JSON_INTEGER_FORMAT, json_integer_value(item));
        if (!text || !(c == TASK_LABEL ? VEC_PUSH(&r->tags, text) : VEC_PUSH(&r->words, text))) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

static pofac_status take_lists(task_rows *r, const diag_sink *sink) {
    const json_t *words = find_value(r->object, names_of(r, TASK_TEXT_A), NULL);
    const json_t *tags = find_value(r->object, names_of(r, TASK_LABEL), NULL);
    if (!words) return key_error(r, TASK_TEXT_A, sink);
    if (!tags && is_needed(r, TASK_LABEL)) return key_error(r, TASK_LABEL, sink);
    TRY(take_list(r, TASK_TEXT_A, words, sink));
    if (!tags || json_is_null(tags)) return POFAC_OK;
    TRY(take_list(r, TASK_LABEL, tags, sink));
    if (r->tags.size == r->words.size) return POFAC_OK;
    return task_rows_error(r, sink, "found %zu words and %zu labels, wanted a label for each word", r->words.size, r->tags.size);
}

static pofac_status json_next(task_rows *r, const diag_sink *sink, bool *found) {
    char *line;
    size_t n = 0;
    *found = false;
    do {
        TRY(text_lines_next(r->lines, sink, &line, &n));
    } while (line && strspn(line, " \t") == n);
    if (!line) return POFAC_OK;
    *found = true;
    r->line = text_lines_line(r->lines);
    diag_moved moved = {sink, (uint32_t)(r->line - 1)};
    const diag_sink said = diag_sink_moved(&moved);
    json_decref(r->object);
    r->object = NULL;
    r->is_fault_in_row = true;
    TRY(json_parse(r->path, NULL, line, n, &said, &r->object));
    r->is_fault_in_row = false;
    if (!json_is_object(r->object)) {
        strbuf text = STRBUF_INIT;
        pofac_status status = task_rows_error(r, sink, "found %s, wanted an object", json_describe(r->object, &text));
        strbuf_free(&text);
        return status;
    }
    return r->options->task->kind == TASK_TOKEN_CLASSIFICATION ? take_lists(r, sink) : take_texts(r, sink);
}

/* ---- all formats ---- */

static pofac_status conll_next(task_rows *r, const diag_sink *sink, bool *found) {
    TRY(conll_sentence_next(&r->sentence, r->lines, r->path, r->options->tag_column - 1, sink, &r->is_fault_in_row));
    *found = r->sentence.words.size > 0;
    r->line = r->sentence.line;
    for (size_t i = 0; i < r->sentence.words.size; i++)
        if (!VEC_PUSH(&r->words, r->sentence.words.data[i])) return diag_out_of_memory(sink);
    for (size_t i = 0; i < r->sentence.tags.size; i++)
        if (!VEC_PUSH(&r->tags, r->sentence.tags.data[i])) return diag_out_of_memory(sink);
    return POFAC_OK;
}

static pofac_status check_format(const task_rows *r, const diag_sink *sink) {
    const task_info *task = r->options->task;
    if (task->kind == TASK_QUESTION_ANSWERING)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "task %s has articles and answers, not rows: wanted a task of texts and labels", task->name);
    bool has_words = task->kind == TASK_TOKEN_CLASSIFICATION;
    if (r->format == TASK_FORMAT_JSONL || has_words == (r->format == TASK_FORMAT_CONLL)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "found the format %s, wanted %s or jsonl for task %s",
                      task_format_name(r->format), has_words ? "conll" : "tsv, csv", task->name);
}

pofac_status task_rows_open(task_rows *r, const char *path, const task_reader_options *options, const diag_sink *sink) {
    *r = (task_rows){.path = path, .options = options, .sentence = CONLL_SENTENCE_INIT};
    r->format = options->format == TASK_FORMAT_AUTO ? guess_format(path, options->task->kind) : options->format;
    TRY(check_format(r, sink));
    TRY(text_lines_open(path, sink, &r->lines));
    return r->format == TASK_FORMAT_TSV || r->format == TASK_FORMAT_CSV ? find_columns(r, sink) : POFAC_OK;
}

void task_rows_close(task_rows *r) {
    text_lines_close(r->lines);
    delimited_row_free(&r->row);
    conll_sentence_free(&r->sentence);
    json_decref(r->object);
    for (int c = 0; c < TASK_N_COLUMNS; c++) strbuf_free(&r->numbers[c]);
    VEC_FREE(&r->words);
    VEC_FREE(&r->tags);
    arena_free(&r->memory);
}

pofac_status task_rows_next(task_rows *r, const diag_sink *sink, bool *found) {
    r->is_fault_in_row = false;
    r->words.size = r->tags.size = 0;
    arena_free(&r->memory);
    if (r->format == TASK_FORMAT_CONLL) return conll_next(r, sink, found);
    return r->format == TASK_FORMAT_JSONL ? json_next(r, sink, found) : table_next(r, sink, found);
}
