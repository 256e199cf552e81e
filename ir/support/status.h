/*
 * Status codes and the two macros that carry them upwards.
 *
 * Every function of pofac that can fail returns a pofac_status that the caller must look at. The message that belongs to a
 * failure goes to a diag_sink (diag.h) at the place where the failure is found; callers add nothing and return the status.
 * Libraries never print, abort or exit.
 */
#ifndef POFAC_IR_SUPPORT_STATUS_H
#define POFAC_IR_SUPPORT_STATUS_H

/* The first five are the program's exit codes. */
typedef enum pofac_status {
    POFAC_OK = 0,
    POFAC_ERR_RUNTIME = 1,    /* failure at run time: out of memory, disk full, a library refused */
    POFAC_ERR_USAGE = 2,      /* the caller or the user of the command line asked for something that does not exist */
    POFAC_ERR_INPUT = 3,      /* an input file is malformed, truncated or does not fit the model */
    POFAC_ERR_NUMERIC = 4,    /* NaN or Inf where a number was needed */
    POFAC_ERR_INTERRUPTED = 5 /* a signal asked to stop; the command line turns it into 128 + signal */
} pofac_status;

#define POFAC_MUST_USE __attribute__((warn_unused_result))
#define POFAC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Leaves the function with the status of EXPR unless it is POFAC_OK. */
#define TRY(expr)                                                                                                                  \
    do {                                                                                                                           \
        pofac_status try_status_ = (expr);                                                                                         \
        if (try_status_ != POFAC_OK) return try_status_;                                                                           \
    } while (0)

/* Jumps to LABEL with STATUS set unless EXPR is POFAC_OK; for functions that own something. */
#define TRY_OR(label, status, expr)                                                                                                \
    do {                                                                                                                           \
        (status) = (expr);                                                                                                         \
        if ((status) != POFAC_OK) goto label;                                                                                      \
    } while (0)

#endif
