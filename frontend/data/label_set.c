/* Sets of labels, by name; see label_set.h. */
#include "frontend/data/label_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fold(char c) {
    if (c >= 'A' && c <= 'Z') return c + 'a' - 'A';
    return c == '_' || c == '-' ? ' ' : c;
}

static bool is_like(const char *a, const char *b, size_t b_bytes) {
    size_t i = 0;
    while (i < b_bytes && a[i] && fold(a[i]) == fold(b[i])) i++;
    return i == b_bytes && !a[i];
}

/* The only name that `text` is like; -1 when none or several are. */
static int32_t find_like(const char *const *names, size_t n_names, const char *text, size_t n) {
    int32_t found = -1;
    for (size_t i = 0; i < n_names; i++) {
        if (strlen(names[i]) == n && memcmp(names[i], text, n) == 0) return (int32_t)i;
        if (!is_like(names[i], text, n)) continue;
        found = found == -1 ? (int32_t)i : -2;
    }
    return found < 0 ? -1 : found;
}

static void put_names(const char *const *names, size_t n, const char *last, strbuf *out) {
    const size_t shown = n > 8 ? 8 : n;
    for (size_t i = 0; i < shown; i++) {
        strbuf_puts(out, i == 0 ? "" : i + 1 == n ? last : ", ");
        strbuf_put_json(out, names[i], strlen(names[i]));
    }
    if (n > shown) strbuf_printf(out, " and %zu more", n - shown);
}

void label_set_put(const label_set *s, strbuf *out) { put_names(s->names, s->n, " or ", out); }

static pofac_status sets_differ(const task_info *task, const label_owner *model, const char *const *names, size_t n,
                                const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    strbuf_puts(&text, model->n ? "id2label: found " : "id2label: found no labels");
    put_names(model->names, model->n, ", ", &text);
    strbuf_printf(&text, ", wanted the labels of task %s: ", task->name);
    put_names(names, n, ", ", &text);
    pofac_status status = strbuf_ok(&text)
                              ? diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = model->file}, "%s", strbuf_str(&text))
                              : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

bool label_set_has_names(const char *const *names, size_t n) {
    char plain[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(plain, sizeof plain, "LABEL_%zu", i);
        if (strcmp(names[i], plain) != 0) return true;
    }
    return false;
}

bool label_set_from_names(const char *const *names, size_t n, arena *a, label_set *out) {
    int32_t *number = ARENA_ARRAY(a, int32_t, n + 1);
    if (!number) return false;
    for (size_t i = 0; i < n; i++) number[i] = (int32_t)i;
    *out = (label_set){n, names, number};
    return true;
}

/* Number i of the task is the model's label of the same name; each must have exactly one. */
static pofac_status match_names(const task_info *task, const label_owner *model, const char *const *names, size_t n, arena *a,
                                const diag_sink *sink, label_set *out) {
    int32_t *number = ARENA_ARRAY(a, int32_t, n + 1);
    bool *is_taken = ARENA_ARRAY(a, bool, n + 1);
    if (!number || !is_taken) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) {
        number[i] = find_like(model->names, model->n, names[i], strlen(names[i]));
        if (number[i] < 0 || is_taken[number[i]]) return sets_differ(task, model, names, n, sink);
        is_taken[number[i]] = true;
    }
    *out = (label_set){n, model->names, number};
    return POFAC_OK;
}

pofac_status label_set_make(const task_info *task, const label_owner *model, arena *a, const diag_sink *sink, label_set *out) {
    size_t n;
    const char *const *names = (const char *const *)task_names_split(task->labels, a, &n);
    *out = (label_set){0};
    if (!names) return diag_out_of_memory(sink);
    if (n == 0 && model) names = model->names, n = model->n;
    else if (model && model->n != n) return sets_differ(task, model, names, n, sink);
    else if (model && label_set_has_names(model->names, model->n)) return match_names(task, model, names, n, a, sink, out);
    if (!label_set_from_names(names, n, a, out)) return diag_out_of_memory(sink);
    if (!model || names == model->names) return POFAC_OK;
    strbuf text = STRBUF_INIT;
    put_names(names, n, ", ", &text);
    diag_note(sink, &(diag_place){.file = model->file}, "id2label has no names: its labels are taken to be, in this order, %s",
              strbuf_str(&text));
    strbuf_free(&text);
    return POFAC_OK;
}

/* A whole number without sign of at most nine digits; -1: it is none. */
static int32_t read_number(const char *text, size_t n) {
    int32_t value = 0;
    if (n == 0 || n > 9) return -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

int32_t label_set_find(const label_set *s, const char *text, size_t n) {
    int32_t found = find_like(s->names, s->n, text, n);
    if (found >= 0) return found;
    if (s->n > 0 && read_number(s->names[0], strlen(s->names[0])) >= 0) return -1; /* names that are numbers are no places */
    int32_t number = read_number(text, n);
    return number >= 0 && (size_t)number < s->n ? s->number[number] : -1;
}

bool label_collector_add(label_collector *c, const char *text, size_t n) { return strmap_put(&c->found, text, n, 0, NULL) != NULL; }

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int by_value(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int32_t left = read_number(x, strlen(x)), right = read_number(y, strlen(y));
    return left != right ? (left > right) - (left < right) : strcmp(x, y);
}

bool label_collector_sort(const label_collector *c, arena *a, label_set *out) {
    const size_t n = c->found.size;
    const char **names = ARENA_ARRAY(a, const char *, n + 1);
    bool are_numbers = true;
    if (!names) return false;
    for (size_t i = 0; i < n; i++) {
        names[i] = arena_strndup(a, c->found.entries[i].key, c->found.entries[i].key_bytes);
        if (!names[i]) return false;
        are_numbers = are_numbers && read_number(names[i], strlen(names[i])) >= 0;
    }
    if (n > 1) qsort(names, n, sizeof *names, are_numbers ? by_value : by_bytes);
    return label_set_from_names((const char *const *)names, n, a, out);
}

void label_collector_free(label_collector *c) { strmap_free(&c->found); }
