/*
 * Regular expressions that are searched in names of layers, as the pruning package's configurations have them: Python's syntax, as far as POSIX extended
 * expressions can say it.
 */
#ifndef POFAC_FRONTEND_MODEL_NAME_PATTERN_H
#define POFAC_FRONTEND_MODEL_NAME_PATTERN_H

#include <stdbool.h>

#include "ir/support/diag.h"

typedef struct name_pattern name_pattern;

/* \d, \D, (?:...) and lazy repetitions are understood besides. POFAC_ERR_INPUT at `place`: no regular expression, or one with look-around, back references or
 * flags. */
POFAC_MUST_USE pofac_status name_pattern_create(const char *text, const diag_place *place, const diag_sink *sink,
                                                name_pattern **out);
void name_pattern_destroy(name_pattern *p); /* NULL is fine */

/* Is there a place in the name that the expression matches? */
bool name_pattern_found(const name_pattern *p, const char *name);

#endif
