/* Writing a run's metrics; see train_log.h. */
#include "frontend/driver/train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend/driver/event_file.h"
#include "frontend/driver/run_directory.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

struct train_log {
    int fd;
    char *path;
    int64_t bytes;
    event_file *events; /* NULL: none */
};

static double wall_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pofac_status open_lines(train_log *l, const char *directory, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/" RUN_METRICS_FILE, directory);
    l->path = strbuf_ok(&path) ? strdup(strbuf_str(&path)) : NULL;
    strbuf_free(&path);
    if (!l->path) return diag_out_of_memory(sink);
    l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (l->fd < 0)
        return diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = l->path}, "cannot be made: %s", strerror(errno));
    const off_t end = lseek(l->fd, 0, SEEK_END);
    l->bytes = end > 0 ? end : 0;
    return POFAC_OK;
}

pofac_status train_log_open(const char *directory, const char *event_directory, const diag_sink *sink, train_log **out) {
    train_log *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return diag_out_of_memory(sink);
    l->fd = -1;
    pofac_status status = open_lines(l, directory, sink);
    if (status == POFAC_OK && event_directory) status = directory_make(event_directory, sink);
    if (status == POFAC_OK && event_directory) status = event_file_open(event_directory, wall_seconds(), sink, &l->events);
    if (status == POFAC_OK) *out = l;
    else train_log_close(l);
    return status;
}

void train_log_close(train_log *l) {
    if (!l) return;
    if (l->fd >= 0) close(l->fd);
    event_file_close(l->events);
    free(l->path);
    free(l);
}

static bool is_epoch(const char *name) { return strcmp(name, "epoch") == 0; }

/* `prefix` of names within the line: "" or "eval_". */
static void put_values(strbuf *line, int64_t step, const char *prefix, const result_value *values, size_t n) {
    strbuf_printf(line, "{\"step\": %" PRId64, step);
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(line, ", \"%s%s\": ", is_epoch(values[i].name) ? "" : prefix, values[i].name);
        if (values[i].is_count && isfinite(values[i].value)) strbuf_printf(line, "%.0f", values[i].value);
        else json_put_real(values[i].value, line);
    }
    strbuf_puts(line, "}\n");
}

static pofac_status write_line(train_log *l, const strbuf *line, const diag_sink *sink) {
    if (!strbuf_ok(line)) return diag_out_of_memory(sink);
    if (!fd_write_all(l->fd, line->data, line->size))
        return diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = l->path}, "cannot be written: %s", strerror(errno));
    l->bytes += (int64_t)line->size;
    return POFAC_OK;
}

static pofac_status write_events(train_log *l, int64_t step, const char *group, const result_value *values, size_t n,
                                 const diag_sink *sink) {
    const double now = wall_seconds();
    for (size_t i = 0; l->events && i < n; i++) {
        strbuf tag = STRBUF_INIT;
        if (strcmp(values[i].name, "sparsity") == 0) strbuf_puts(&tag, "pruning/average_model_sparsity");
        else if (strchr(values[i].name, '/')) strbuf_puts(&tag, values[i].name);
        else strbuf_printf(&tag, "%s/%s", group, values[i].name);
        pofac_status status = strbuf_ok(&tag) ? POFAC_OK : diag_out_of_memory(sink);
        if (status == POFAC_OK && isfinite(values[i].value))
            status = event_file_add(l->events, now, step, strbuf_str(&tag), values[i].value, sink);
        strbuf_free(&tag);
        TRY(status);
    }
    return POFAC_OK;
}

static pofac_status add(train_log *l, int64_t step, const char *prefix, const char *group, const result_value *values, size_t n,
                        const diag_sink *sink) {
    strbuf line = STRBUF_INIT;
    put_values(&line, step, prefix, values, n);
    pofac_status status = write_line(l, &line, sink);
    strbuf_free(&line);
    return status == POFAC_OK ? write_events(l, step, group, values, n, sink) : status;
}

pofac_status train_log_step(train_log *l, int64_t step, const result_value *values, size_t n, const diag_sink *sink) {
    return add(l, step, "", "train", values, n, sink);
}

pofac_status train_log_evaluation(train_log *l, int64_t step, const result_value *values, size_t n, const diag_sink *sink) {
    return add(l, step, "eval_", "eval", values, n, sink);
}

int64_t train_log_bytes(const train_log *l) { return l->bytes; }
