/* The table of tasks, expanded and searched; see tasks.h. */
#include "frontend/data/tasks.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "ir/support/file_map.h"

typedef enum task_id {
#define TASK(id, name, kind, text_a, text_b, label, labels, low, high, metrics, meaning) ID_##id,
#include "frontend/tasks.def"
    ID_ANY
} task_id;

static const task_info tasks[] = {
#define TASK(id, name, kind, text_a, text_b, label, labels, low, high, metrics, meaning)                                           \
    {name, TASK_##kind, {text_a, text_b, label}, labels, low, high, metrics, meaning},
#include "frontend/tasks.def"
};
#define N_TASKS (sizeof tasks / sizeof *tasks)

static const struct {
    task_id task;
    task_layout layout;
} layouts[] = {
#define TASK_LAYOUT(id, columns, text_a, text_b, label) {ID_##id, {columns, {text_a, text_b, label}}},
#include "frontend/tasks.def"
};
#define N_LAYOUTS (sizeof layouts / sizeof *layouts)

static const struct {
    task_id task;
    const char *split, *stems;
} splits[] = {
#define TASK_SPLIT(id, split, stems) {ID_##id, split, stems},
#include "frontend/tasks.def"
};
#define N_SPLITS (sizeof splits / sizeof *splits)

const task_info *task_row(size_t i) { return i < N_TASKS ? &tasks[i] : NULL; }

/* Are the words equal but for case, '-' and '_'? */
static bool is_same_word(const char *a, const char *b) {
    for (;; a++, b++) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (strncasecmp(a, b, 1) != 0) return false;
        if (!*a) return true;
    }
}

pofac_status task_find(const char *name, const diag_sink *sink, const task_info **out) {
    const char *names[N_TASKS];
    *out = NULL;
    for (size_t i = 0; i < N_TASKS; i++) {
        names[i] = tasks[i].name;
        if (is_same_word(name, tasks[i].name)) *out = &tasks[i];
    }
    if (*out) return POFAC_OK;
    const char *near = diag_nearest(name, names, N_TASKS);
    if (near) return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown task \"%s\"; did you mean \"%s\"?", name, near);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown task \"%s\"; `pofac list tasks` names them", name);
}

const task_layout *task_layout_row(const task_info *task, size_t i) {
    const task_id id = (task_id)(task - tasks);
    for (size_t k = 0; k < N_LAYOUTS; k++)
        if (layouts[k].task == id && i-- == 0) return &layouts[k].layout;
    return NULL;
}

const task_layout *task_layout_find(const task_info *task, size_t n_columns) {
    const task_layout *layout;
    for (size_t i = 0; (layout = task_layout_row(task, i)); i++)
        if (layout->n_columns == n_columns) return layout;
    return NULL;
}

/* One of its layouts has no second text, though the task knows names for it. */
bool task_pair_is_optional(const task_info *task) {
    const task_layout *layout;
    for (size_t i = 0; (layout = task_layout_row(task, i)); i++)
        if (*task->columns[TASK_TEXT_B] && layout->place[TASK_TEXT_B] < 0) return true;
    return false;
}

/* Row of `splits`, from 0; N_SPLITS past the end. */
static size_t split_index(const task_info *task, size_t i) {
    task_id id = ID_ANY;
    for (size_t k = 0; k < N_SPLITS; k++)
        if (splits[k].task == (task_id)(task - tasks)) id = splits[k].task;
    for (size_t k = 0; k < N_SPLITS; k++)
        if (splits[k].task == id && i-- == 0) return k;
    return N_SPLITS;
}

const char *task_split_row(const task_info *task, size_t i) {
    size_t k = split_index(task, i);
    return k < N_SPLITS ? splits[k].split : NULL;
}

/* DIRECTORY/STEM with the first ending that a file has; NULL when none has. */
static pofac_status find_stem(const char *directory, const char *stem, size_t n, arena *a, const diag_sink *sink,
                              const char **out) {
    static const char *const endings[] = {".tsv",    ".csv",    ".jsonl",    ".json",    ".txt",    ".conll",
                                          ".tsv.gz", ".csv.gz", ".jsonl.gz", ".json.gz", ".txt.gz", ".conll.gz"};
    *out = NULL;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const char *path = arena_printf(a, "%s/%.*s%s", directory, (int)n, stem, endings[i]);
        if (!path) return diag_out_of_memory(sink);
        if (!file_exists(path)) continue;
        *out = path;
        break;
    }
    return POFAC_OK;
}

pofac_status task_split_file(const task_info *task, const char *directory, const char *split, arena *a, const diag_sink *sink,
                             const char **out) {
    size_t k = N_SPLITS, n;
    const char *stem;
    *out = NULL;
    for (size_t i = 0; (k = split_index(task, i)) < N_SPLITS; i++)
        if (strcmp(splits[k].split, split) == 0) break;
    for (size_t i = 0; k < N_SPLITS && !*out && task_name_at(splits[k].stems, i, &stem, &n); i++)
        TRY(find_stem(directory, stem, n, a, sink, out));
    return POFAC_OK;
}

bool task_name_at(const char *names, size_t i, const char **name, size_t *n) {
    if (!*names) return false;
    for (; i > 0; i--) {
        names += strcspn(names, "|");
        if (!*names++) return false;
    }
    *name = names;
    *n = strcspn(names, "|");
    return true;
}

size_t task_name_count(const char *names) {
    size_t count = 0, n;
    for (const char *name; task_name_at(names, count, &name, &n);) count++;
    return count;
}

const char **task_names_split(const char *names, arena *a, size_t *n) {
    *n = task_name_count(names);
    const char **out = ARENA_ARRAY(a, const char *, *n + 1);
    for (size_t i = 0; out && i < *n; i++) {
        const char *name = NULL;
        size_t bytes = 0;
        (void)task_name_at(names, i, &name, &bytes);
        out[i] = arena_strndup(a, name, bytes);
        if (!out[i]) return NULL;
    }
    return out;
}

int task_name_find(const char *names, const char *word, size_t n) {
    const char *name;
    size_t name_bytes;
    for (int i = 0; task_name_at(names, (size_t)i, &name, &name_bytes); i++)
        if (name_bytes == n && strncasecmp(name, word, n) == 0) return i;
    return -1;
}

/* ---- as text ---- */

/* "a, b, c" of "a|b|c". */
static void put_names(const char *what, const char *names, strbuf *out) {
    const char *name;
    size_t n;
    if (!*names) return;
    strbuf_printf(out, "  %-22s ", what);
    for (size_t i = 0; task_name_at(names, i, &name, &n); i++) strbuf_printf(out, "%s%.*s", i ? ", " : "", (int)n, name);
    strbuf_putc(out, '\n');
}

static void put_layouts(const task_info *task, strbuf *out) {
    static const char *const what[TASK_N_COLUMNS] = {"text", "second text", "label"};
    const task_layout *layout;
    for (size_t i = 0; (layout = task_layout_row(task, i)); i++) {
        strbuf_printf(out, "  %-22s %zu columns:", i ? "" : "without a header", layout->n_columns);
        for (int c = 0; c < TASK_N_COLUMNS; c++)
            if (layout->place[c] >= 0) strbuf_printf(out, " %s %d%s", what[c], layout->place[c] + 1, c < TASK_LABEL ? "," : "");
        if (out->size && out->data && out->data[out->size - 1] == ',') out->data[--out->size] = 0;
        strbuf_putc(out, '\n');
    }
}

static void put_splits(const task_info *task, strbuf *out) {
    strbuf_printf(out, "  %-22s ", "splits");
    for (size_t i = 0; task_split_row(task, i); i++) strbuf_printf(out, "%s%s", i ? ", " : "", task_split_row(task, i));
    strbuf_putc(out, '\n');
}

void tasks_put(strbuf *out) {
    for (size_t i = 0; i < N_TASKS; i++) {
        const task_info *task = &tasks[i];
        strbuf_printf(out, "%-24s %s\n", task->name, task->meaning);
        put_names("text", task->columns[TASK_TEXT_A], out);
        put_names("second text", task->columns[TASK_TEXT_B], out);
        put_names("label", task->columns[TASK_LABEL], out);
        put_layouts(task, out);
        put_names("labels", task->labels, out);
        if (task->kind == TASK_REGRESSION) {
            if (isfinite(task->high)) strbuf_printf(out, "  %-22s from %g to %g\n", "score", task->low, task->high);
            else strbuf_printf(out, "  %-22s any number\n", "score");
        }
        put_names("metrics", task->metrics, out);
        put_splits(task, out);
    }
}
