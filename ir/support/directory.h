/*
 * Directories: made, removed, locked, made to last. Errors name the path and the system's reason.
 */
#ifndef POFAC_IR_SUPPORT_DIRECTORY_H
#define POFAC_IR_SUPPORT_DIRECTORY_H

#include <stdbool.h>

#include "ir/support/diag.h"

/* Makes a directory and those above it; fine where it is. POFAC_ERR_RUNTIME: it cannot be made. */
POFAC_MUST_USE pofac_status directory_make(const char *path, const diag_sink *sink);

/* Removes a directory with all that is in it, links as links; fine where there is nothing. POFAC_ERR_RUNTIME: something stays. */
POFAC_MUST_USE pofac_status directory_remove(const char *path, const diag_sink *sink);

/* Is it a directory that can be read, with nothing in it? */
bool directory_is_empty(const char *path);

/* Likewise with nothing in it but names that begin with one of the prefixes. NULL ends them. */
bool directory_has_only(const char *path, const char *const *prefixes);

/*
 * Takes the lock of a directory, which ends when the descriptor *lock is closed, or with the process. *lock is -1 when somebody else has it.
 * A file system without locks gives it to everybody. POFAC_ERR_RUNTIME: the directory cannot be opened.
 */
POFAC_MUST_USE pofac_status directory_lock(const char *path, const diag_sink *sink, int *lock);

/* Makes names that were added, changed or removed in a directory last. A file system that cannot do that is no error. */
void directory_sync(const char *path);

#endif
