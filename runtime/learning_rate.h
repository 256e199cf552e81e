/*
 * Learning rates of a run: the factor on the peak rate at each optimizer step (Trainer's lr_scheduler_type, and the rewinding schedule of
 * Zafrir et al. 2021; spec of the method: prune once for all, section 2).
 */
#ifndef POFAC_RUNTIME_LEARNING_RATE_H
#define POFAC_RUNTIME_LEARNING_RATE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum rate_schedule {
    RATE_CONSTANT, /* 1 from the first step on, whatever the warmup: Trainer's "constant" */
    RATE_CONSTANT_WITH_WARMUP,
    RATE_LINEAR,       /* rises to 1, falls to 0 at the end */
    RATE_COSINE,       /* rises, falls as half a cosine */
    RATE_LINEAR_REWIND /* linear outside of the pruning window; within it each interval begins anew at the rate before the window */
} rate_schedule;

/* By Trainer's name ("linear", "cosine", "constant", "constant_with_warmup", "linear_rewind"); false when there is none of it. */
bool rate_schedule_parse(const char *name, rate_schedule *out);
const char *rate_schedule_name(rate_schedule schedule);

typedef struct rate_plan {
    rate_schedule schedule;
    int64_t warmup_steps, max_steps;
    int64_t window_begin, window_end,
        frequency; /* of pruning (policy_begin_step, policy_end_step), for RATE_LINEAR_REWIND; frequency > 0 */
} rate_plan;

/* The factor at step i, from 0; at least 0. */
double rate_factor(const rate_plan *p, int64_t i);

/* ceil(ratio * max_steps), as Trainer. */
int64_t rate_warmup_steps(double ratio, int64_t max_steps);

#endif
