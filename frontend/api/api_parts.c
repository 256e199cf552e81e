/* Between callers and the driver; see api_parts.h. */
#include "frontend/api/api_parts.h"

#include <string.h>

#include "frontend/api/status_numbers.h"

#define MOST_OPTION_BYTES ((size_t)65536) /* of a structure of options of any version */

_Static_assert((int)POFAC_ERROR == DIAG_ERROR && (int)POFAC_WARNING == DIAG_WARNING && (int)POFAC_NOTE == DIAG_NOTE, "severities");

/* ---- locales ---- */

/* The C library has "C" built in: it takes no memory. */
locale_t api_enter_c_locale(void) {
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c != (locale_t)0 ? uselocale(c) : (locale_t)0;
}

void api_leave_c_locale(const locale_t *before) {
    if (*before != (locale_t)0) freelocale(uselocale(*before));
}

/* ---- messages ---- */

static void emit(void *user, const diag *d) {
    const pofac_log *log = user;
    strbuf text = STRBUF_INIT;
    if (!log->emit) return;
    diag_render(d, &text);
    const pofac_message message = {.severity = (pofac_severity)d->severity,
                                   .status = d->severity == DIAG_ERROR ? d->status : POFAC_OK,
                                   .file = d->place.file,
                                   .line = d->place.line,
                                   .column = d->place.column,
                                   .text = d->message,
                                   .rendered = strbuf_ok(&text) ? strbuf_str(&text) : d->message};
    log->emit(log->user, &message);
    strbuf_free(&text);
}

diag_sink api_sink(const pofac_log *log) { return (diag_sink){emit, (void *)(uintptr_t)log}; /* which it only reads */ }

pofac_log api_log_of(const pofac_log *log) { return log ? *log : (pofac_log){0}; }

/* ---- structures of callers ---- */

static pofac_status wrong_size(const char *type, size_t found, const diag_sink *sink) {
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "%s: found size_bytes %zu, wanted the structure's size", type, found);
}

pofac_status api_take_options(const char *type, const void *given, size_t n_bytes, const diag_sink *sink, void *out) {
    size_t size;
    if (!given) return POFAC_OK;
    memcpy(&size, given, sizeof size);
    if (size <= sizeof size || size > MOST_OPTION_BYTES) return wrong_size(type, size, sink);
    for (size_t i = n_bytes; i < size; i++)
        if (((const char *)given)[i] != 0)
            return diag_error(sink, POFAC_ERR_USAGE, NULL,
                              "%s: byte %zu is set, wanted none behind the %zu bytes that version %s knows", type, i, n_bytes,
                              POFAC_VERSION);
    memcpy(out, given, size < n_bytes ? size : n_bytes);
    return POFAC_OK;
}

pofac_status api_give(const char *type, const void *result, size_t n_bytes, const diag_sink *sink, void *out) {
    size_t size;
    memcpy(&size, out, sizeof size);
    if (size <= sizeof size || size > MOST_OPTION_BYTES) return wrong_size(type, size, sink);
    const size_t n = size < n_bytes ? size : n_bytes;
    memcpy((char *)out + sizeof size, (const char *)result + sizeof size, n - sizeof size);
    memset((char *)out + n, 0, size - n);
    return POFAC_OK;
}

/* ---- arguments ---- */

pofac_status api_null(const char *argument, const diag_sink *sink) {
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "%s: found NULL, wanted something", argument);
}

pofac_status api_check_range(const char *field, int64_t value, int64_t low, int64_t high, const diag_sink *sink) {
    if (value >= low && value <= high) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "%s: found %lld, wanted %lld to %lld", field, (long long)value, (long long)low,
                      (long long)high);
}

pofac_status api_parse_head(const char *word, const diag_sink *sink, model_head *out) {
    *out = HEAD_AUTO;
    if (!word || strcmp(word, "auto") == 0 || model_head_parse(word, out)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "head: found \"%s\", wanted auto or a row of `pofac list heads`", word);
}

pofac_status api_parse_tune(const char *word, const diag_sink *sink, road_tuning *out) {
    *out = ROAD_TUNE_AUTO;
    if (!word || strcmp(word, "auto") == 0) return POFAC_OK;
    if (strcmp(word, "off") == 0) *out = ROAD_TUNE_OFF;
    else if (strcmp(word, "again") == 0) *out = ROAD_TUNE_AGAIN;
    else return diag_error(sink, POFAC_ERR_USAGE, NULL, "tune: found \"%s\", wanted auto, off or again", word);
    return POFAC_OK;
}
