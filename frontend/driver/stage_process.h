/*
 * A child process with its output in files: what it prints on stdout goes to one, what it says on stderr to another, each line with the
 * time since the start before it. SIGINT and SIGTERM that come meanwhile are handed on to it, once, and it is waited for.
 *
 * The child is in a process group of its own, so that Ctrl-C reaches it through its parent alone, reads nothing, has no signals blocked, and gets
 * SIGTERM when its parent dies.
 */
#ifndef POFAC_FRONTEND_STAGE_PROCESS_H
#define POFAC_FRONTEND_STAGE_PROCESS_H

#include "frontend/driver/interruption.h"

typedef struct stage_process {
    const char *program;                                        /* file to execute */
    const char *const *argv;                                    /* NULL at the end */
    const char *out_path;                                       /* written anew */
    const char *log_path;                                       /* written on; begins with the command line */
    int kept;                                                   /* a descriptor that stays open in the child, or -1 */
    interruption *stop;                                         /* NULL: signals do as they do */
    void (*tick)(void *user, double seconds, const char *said); /* about once a second, with the last line; NULL: nobody asks */
    void *user;
} stage_process;

typedef struct stage_end {
    int exit_status; /* 128 + signal where one ended it */
    bool killed;     /* by a signal that it did not catch */
    double seconds;
    strbuf said; /* the last lines, at most some kilobytes; freed by the caller */
} stage_end;

/* POFAC_ERR_RUNTIME: it could not be started, or its files not be written. However the child ends, that is no error here. */
POFAC_MUST_USE pofac_status stage_process_run(const stage_process *p, const diag_sink *sink, stage_end *out);

/* Appends the words as a shell reads them. */
void stage_process_put_command(const char *const *argv, strbuf *out);

#endif
