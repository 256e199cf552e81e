/* A run's position and metrics -> Hugging Face's trainer_state.json; see trainer_state.h. */
#include "frontend/driver/trainer_state.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "frontend/driver/run_directory.h"
#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

static bool add_line(json_t *history, const char *line, size_t n) {
    json_t *entry;
    if (json_parse(RUN_METRICS_FILE, NULL, line, n, NULL, &entry) != POFAC_OK) return true; /* not JSON */
    if (json_is_object(entry)) return json_array_append_new(history, entry) == 0;
    json_decref(entry);
    return true;
}

static bool add_lines(json_t *history, const char *text, size_t n) {
    for (const char *at = text, *end = text + n; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (stop > at && !add_line(history, at, (size_t)(stop - at))) return false;
        at = stop + 1;
    }
    return true;
}

static pofac_status read_history(const char *dir, int64_t bytes, const diag_sink *sink, json_t *history) {
    strbuf path = STRBUF_INIT;
    file_map file = {NULL, 0};
    strbuf_printf(&path, "%s/" RUN_METRICS_FILE, dir);
    pofac_status status = strbuf_ok(&path) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && file_exists(strbuf_str(&path))) status = file_map_open(strbuf_str(&path), sink, &file);
    const size_t n = bytes > 0 && (uint64_t)bytes < file.size_bytes ? (size_t)bytes : bytes > 0 ? file.size_bytes : 0;
    if (status == POFAC_OK && file.data && !add_lines(history, (const char *)file.data, n)) status = diag_out_of_memory(sink);
    file_map_close(&file);
    strbuf_free(&path);
    return status;
}

/* The path of the best checkpoint, or null. */
static json_t *best_checkpoint(const run_checkpoint_options *o, const run_position *p) {
    strbuf path = STRBUF_INIT;
    json_t *out = NULL;
    run_checkpoint_path(o->dir, p->best_step, &path);
    if (strbuf_ok(&path))
        out = p->has_best && (p->best_step == p->step || file_exists(strbuf_str(&path))) ? json_string(strbuf_str(&path))
                                                                                         : json_null();
    strbuf_free(&path);
    return out;
}

static json_t *real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* Takes over every value, of which none may be NULL. */
static bool set_fields(json_t *object, const run_checkpoint_options *o, const run_position *p, json_t *history) {
    struct {
        const char *key;
        json_t *value;
    } fields[] = {{"best_metric", p->has_best ? real(p->best_metric) : json_null()},
                  {"best_model_checkpoint", best_checkpoint(o, p)},
                  {"epoch", real(p->epoch)},
                  {"eval_steps", json_integer(o->eval_steps)},
                  {"global_step", json_integer(p->step)},
                  {"is_hyper_param_search", json_false()},
                  {"is_local_process_zero", json_true()},
                  {"is_world_process_zero", json_true()},
                  {"log_history", history},
                  {"logging_steps", json_integer(o->logging_steps)},
                  {"max_steps", json_integer(o->max_steps)},
                  {"num_input_tokens_seen", json_integer(p->tokens)},
                  {"num_train_epochs", real(o->num_train_epochs)},
                  {"save_steps", json_integer(o->save_steps)},
                  {"total_flos", json_real(0)},
                  {"train_batch_size", json_integer(o->train_batch_size)},
                  {"trial_name", json_null()},
                  {"trial_params", json_null()}};
    bool ok = true;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        ok = json_object_set_new(object, fields[i].key, fields[i].value) == 0 && ok;
    return ok;
}

pofac_status trainer_state_put(const run_checkpoint_options *o, const run_position *position, const diag_sink *sink, strbuf *out) {
    json_t *object = json_object(), *history = json_array();
    pofac_status status =
        object && history ? read_history(o->dir, position->metrics_bytes, sink, history) : diag_out_of_memory(sink);
    if (status == POFAC_OK) {
        const bool ok = set_fields(object, o, position, history) && json_put_value(object, 2, out);
        strbuf_putc(out, '\n');
        if (!ok || !strbuf_ok(out)) status = diag_out_of_memory(sink);
    } else {
        json_decref(history);
    }
    json_decref(object);
    return status;
}
