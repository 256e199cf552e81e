/*
 * Work in a child process: LLVM ends the process on what it cannot select, so code for a machine that a user names is made where that
 * costs nothing.
 *
 * The child is a fork. No other thread of the process may be inside LLVM meanwhile, for its locks would stay taken in the child.
 */
#ifndef POFAC_CODEGEN_CHILD_PROCESS_H
#define POFAC_CODEGEN_CHILD_PROCESS_H

#include "ir/support/diag.h"

typedef pofac_status (*child_work)(void *user, const diag_sink *sink, strbuf *out);

/*
 * Runs work(user) in a child. What it appends to its `out` is appended to `out`; its diagnostics go to `sink`, errors as "WHAT: message", without
 * places; its status is returned. What it or LLVM wrote on the standard streams goes to `said`. A child that ends otherwise (LLVM's fatal errors, a
 * signal, more than `seconds`) is one error: "WHAT: reason", POFAC_ERR_RUNTIME.
 */
POFAC_MUST_USE pofac_status child_run(child_work work, void *user, const char *what, unsigned seconds, const diag_sink *sink,
                                      strbuf *out, strbuf *said);

#endif
