/*
 * run_position <-> JSON. Numbers of 64 bits without a sign are strings of decimal digits, as JSON's readers differ about them; a real that is
 * NaN is null.
 */
#include "frontend/driver/run_position.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/support/json_text.h"

/* FIELD(kind, name in the file, member); in the order of the file. */
#define FIELDS(FIELD)                                                                                                              \
    FIELD(INTEGER, "step", step)                                                                                                   \
    FIELD(REAL, "epoch", epoch)                                                                                                    \
    FIELD(INTEGER, "tokens", tokens)                                                                                               \
    FIELD(INTEGER, "examples", examples)                                                                                           \
    FIELD(LATER, "forwards", forwards)                                                                                             \
    FIELD(WORD, "data_fingerprint", data.fingerprint)                                                                              \
    FIELD(WORD, "data_epoch", data.epoch)                                                                                          \
    FIELD(WORD, "data_index", data.index)                                                                                          \
    FIELD(WORD, "data_chunk", data.chunk)                                                                                          \
    FIELD(WORD, "data_in_chunk", data.in_chunk)                                                                                    \
    FIELD(INTEGER, "accumulated_runs", accumulated_runs)                                                                           \
    FIELD(REAL, "loss_sum", loss_sum)                                                                                              \
    FIELD(REAL, "task_loss_sum", task_loss_sum)                                                                                    \
    FIELD(REAL, "distill_loss_sum", distill_loss_sum)                                                                              \
    FIELD(REAL, "hidden_loss_sum", hidden_loss_sum)                                                                                \
    FIELD(INTEGER, "loss_steps", loss_steps)                                                                                       \
    FIELD(REAL, "grad_norm", grad_norm)                                                                                            \
    FIELD(BOOL, "has_best", has_best)                                                                                              \
    FIELD(REAL, "best_metric", best_metric)                                                                                        \
    FIELD(INTEGER, "best_step", best_step)                                                                                         \
    FIELD(INTEGER, "evaluations_without_gain", evaluations_without_gain)                                                           \
    FIELD(BOOL, "evaluation_due", evaluation_due)                                                                                  \
    FIELD(INTEGER, "metrics_bytes", metrics_bytes)

void run_position_put(const run_position *p, strbuf *out) {
    const char *comma = "{";
#define INTEGER(value) strbuf_printf(out, "%" PRId64, value)
#define LATER(value) INTEGER(value)
#define WORD(value) strbuf_printf(out, "\"%" PRIu64 "\"", value)
#define REAL(value) json_put_real(value, out)
#define BOOL(value) strbuf_puts(out, (value) ? "true" : "false")
#define FIELD(kind, name, member)                                                                                                  \
    strbuf_printf(out, "%s\n  \"%s\": ", comma, name);                                                                             \
    kind(p->member);                                                                                                               \
    comma = ",";
    FIELDS(FIELD)
#undef FIELD
#undef INTEGER
#undef LATER
#undef WORD
#undef REAL
#undef BOOL
    strbuf_puts(out, "\n}\n");
}

typedef struct reader {
    const char *file;
    const json_t *root;
    const diag_sink *sink;
    pofac_status status;
} reader;

static void wrong(reader *r, const char *name, const json_t *found, const char *wanted) {
    strbuf text = STRBUF_INIT;
    if (r->status == POFAC_OK)
        r->status = diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->file}, "%s: found %s, wanted %s", name,
                               found ? json_describe(found, &text) : "nothing", wanted);
    strbuf_free(&text);
}

static int64_t read_integer(reader *r, const char *name) {
    const json_t *v = json_object_get(r->root, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0) wrong(r, name, v, "a whole number from 0 on");
    return json_integer_value(v);
}

/* 0 where it is absent, as in checkpoints from before it was counted. */
static int64_t read_later(reader *r, const char *name) { return json_object_get(r->root, name) ? read_integer(r, name) : 0; }

static uint64_t read_word(reader *r, const char *name) {
    const json_t *v = json_object_get(r->root, name);
    const char *text = json_string_value(v);
    char *end = NULL;
    errno = 0;
    const uint64_t word = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end || errno) wrong(r, name, v, "a string of digits, below 2^64");
    return word;
}

static double read_real(reader *r, const char *name) {
    const json_t *v = json_object_get(r->root, name);
    if (json_is_null(v)) return NAN;
    if (!json_is_number(v)) wrong(r, name, v, "a number or null");
    return json_number_value(v);
}

static bool read_bool(reader *r, const char *name) {
    const json_t *v = json_object_get(r->root, name);
    if (!json_is_boolean(v)) wrong(r, name, v, "true or false");
    return json_is_true(v);
}

static void read_fields(reader *r, run_position *out) {
#define INTEGER read_integer
#define LATER read_later
#define WORD read_word
#define REAL read_real
#define BOOL read_bool
#define FIELD(kind, name, member) out->member = kind(r, name);
    FIELDS(FIELD)
#undef FIELD
#undef INTEGER
#undef LATER
#undef WORD
#undef REAL
#undef BOOL
}

pofac_status run_position_read(const char *path, const diag_sink *sink, run_position *out) {
    file_map file;
    json_t *root;
    *out = (run_position){0};
    TRY(file_map_open(path, sink, &file));
    pofac_status status = json_parse(path, NULL, file.data, file.size_bytes, sink, &root);
    file_map_close(&file);
    TRY(status);
    reader r = {.file = path, .root = root, .sink = sink, .status = POFAC_OK};
    read_fields(&r, out);
    json_decref(root);
    return r.status;
}
