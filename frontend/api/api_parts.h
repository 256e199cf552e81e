/* What the files of the C API share: logs as sinks, options of callers, words, and the inside of a model. */
#ifndef POFAC_FRONTEND_API_PARTS_H
#define POFAC_FRONTEND_API_PARTS_H

#include <locale.h>

#include "frontend/driver/shared_plan.h"

#include "frontend/api/pofac.h"

/* To the end of its block the calling thread's locale is "C": numbers are read and written with a point, in whatever locale the program runs. */
#define API_IN_C_LOCALE __attribute__((cleanup(api_leave_c_locale), unused)) const locale_t callers_locale = api_enter_c_locale()
locale_t api_enter_c_locale(void);
void api_leave_c_locale(const locale_t *before);

/* A sink that hands diagnostics to `log`, which lives as long as the sink. */
diag_sink api_sink(const pofac_log *log);

/* The log of an argument, which may be NULL. */
pofac_log api_log_of(const pofac_log *log);

/* Over the defaults in *out, [n_bytes], what the caller's structure `given` has; it begins with size_bytes. NULL: nothing. POFAC_ERR_USAGE: the size is
 * none, or what the library does not know is set. `type`: of messages. */
POFAC_MUST_USE pofac_status api_take_options(const char *type, const void *given, size_t n_bytes, const diag_sink *sink, void *out);

/* The first bytes of a result that a caller's structure has room for; its size_bytes stays. POFAC_ERR_USAGE: it has none. */
POFAC_MUST_USE pofac_status api_give(const char *type, const void *result, size_t n_bytes, const diag_sink *sink, void *out);

/* POFAC_ERR_USAGE, and a message: an argument that is NULL. */
pofac_status api_null(const char *argument, const diag_sink *sink);

/* POFAC_ERR_USAGE unless low <= value <= high. */
POFAC_MUST_USE pofac_status api_check_range(const char *field, int64_t value, int64_t low, int64_t high, const diag_sink *sink);

/* Options by their words. */
POFAC_MUST_USE pofac_status api_parse_head(const char *word, const diag_sink *sink, model_head *out);
POFAC_MUST_USE pofac_status api_parse_tune(const char *word, const diag_sink *sink, road_tuning *out);

struct pofac_model {
    pofac_log log;
    loaded_model *loaded;
    shared_plan shared;
    bool has_embeddings, has_tokenizer;
    const char **labels; /* [num_labels of the head], in memory */
    int64_t n_labels;
    int64_t max_length;
    const char *arithmetic;
    arena memory;
};

#endif
