/*
 * A model's directory whose files appear together: they are written into a hidden one within it, and put in their places once all are there, config.json last. So a
 * full disk or a signal leaves what was there before, and no directory has a config.json beside files of another model.
 */
#ifndef POFAC_FRONTEND_MODEL_DIRECTORY_H
#define POFAC_FRONTEND_MODEL_DIRECTORY_H

#include <stdbool.h>

#include "ir/support/diag.h"
#include "ir/support/strbuf.h"

#define MODEL_DIRECTORY_NEW ".pofac-new" /* within the directory; a killed process leaves it, and the next one removes it */

typedef struct model_directory {
    const char *path; /* the caller's */
    strbuf new;       /* where the files are written */
    bool made;        /* there was no directory before */
} model_directory;

/* Makes the directory and those above it. POFAC_ERR_RUNTIME: it cannot be made, or memory is short; nothing is open then. */
POFAC_MUST_USE pofac_status model_directory_open(const char *path, const diag_sink *sink, model_directory *out);

/*
 * With POFAC_OK puts all files that were written into d->new in their places, over those of the same names; ranges of the model before them, which belong to
 * its weights, are removed. With another status, that of the writing, removes them, and the directory where it was made by model_directory_open. Returns the
 * status, or POFAC_ERR_RUNTIME where a file cannot be put in its place. Closes `d` in any case.
 */
POFAC_MUST_USE pofac_status model_directory_close(model_directory *d, pofac_status status, const diag_sink *sink);

#endif
