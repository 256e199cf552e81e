/*
 * A session runs a plan: it owns the packed weights, or shares them with others, and the arena for one batch shape at a time, and uses a
 * thread pool. A session is used by one thread at a time; any number of sessions share a plan.
 */
#ifndef POFAC_RUNTIME_SESSION_H
#define POFAC_RUNTIME_SESSION_H

#include "ir/plan.h"
#include "runtime/bound_weights.h"
#include "runtime/thread_pool.h"

typedef struct session session;

/* Takes views of the state from `state` (which must outlive the session) and packs what the plan wants packed. State that the plan's
 * graphs replace is written where it lies, by every run; several sessions may share it, and run one after the other. */
POFAC_MUST_USE pofac_status session_create(const plan *p, const tensor_source *state, thread_pool *pool, const diag_sink *sink,
                                           session **out);

/* The same on weights that were made for the plan, and outlive the session. Sessions only read them: any number may run at the same time, each with a
 * pool of its own. POFAC_ERR_USAGE: the plan has state that runs replace. */
POFAC_MUST_USE pofac_status session_create_sharing(const plan *p, const bound_weights *weights, thread_pool *pool,
                                                   const diag_sink *sink, session **out);
void session_destroy(session *s);

/* What steps read of state buffer `buffer`, packed by this session, with its bytes; NULL where it is not packed, is that of a buffer before, or is the
 * source's. Lives as long as the session. */
const void *session_packed_weight(const session *s, size_t buffer, size_t *n_bytes);

/* State has changed: patterns whose names end in `ending` are read anew, with what was packed by them. After an error, which is short memory, the session
 * is only to be destroyed. */
POFAC_MUST_USE pofac_status session_renew_patterns(session *s, const char *ending, const diag_sink *sink);

/* Binds the inputs' shapes to the plan's symbols, makes room, and runs all steps. Inputs are given in the dtype that the graph
 * declares. Errors name the input, what was found and what was wanted. */
POFAC_MUST_USE pofac_status session_run(session *s, const tensor_source *inputs, const diag_sink *sink);

/* A result of the last run, valid until the next; POFAC_ERR_USAGE when the plan has no such output. */
POFAC_MUST_USE pofac_status session_output(const session *s, const char *name, const diag_sink *sink, ir_tensor *out);

/* Of weights that are shared, each session counts all. */
typedef struct session_memory {
    int64_t mapped_weight_bytes, packed_weight_bytes, arena_bytes, scratch_bytes;
} session_memory;
session_memory session_memory_use(const session *s);

/* What a run under `binding` (numbers by ir_symbol; those of patterns are the session's) would use. POFAC_ERR_INPUT when a symbol of
 * the plan is unbound, or the memory cannot be counted in 63 bits. */
POFAC_MUST_USE pofac_status session_memory_at(const session *s, ir_binding binding, const diag_sink *sink, session_memory *out);

/* Time of each step over all runs since profiling was switched on; times_ns[plan->n_steps]. */
void session_profile(session *s, bool on);
const int64_t *session_times_ns(const session *s);

/* From when to when each worker had chunks of each step in the last run, while profiling was on: [n_steps][threads of the pool], in
 * nanoseconds of CLOCK_MONOTONIC, begin_ns 0 where it had none. A step without a kernel is worker 0's. Steps that ran as a series share
 * its time: their spans stand one behind the other, each as long as its chunks took. */
typedef struct session_span {
    int64_t begin_ns, end_ns;
} session_span;
const session_span *session_spans(const session *s);

/* Numbers of the symbols in the last run, for the dims of steps. */
ir_binding session_binding(const session *s);

#endif
