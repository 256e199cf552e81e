/* The option --profile of commands that run a plan, and where its result goes. */
#ifndef POFAC_FRONTEND_CLI_PROFILING_H
#define POFAC_FRONTEND_CLI_PROFILING_H

#include "frontend/cli/command.h"
#include "frontend/driver/run_profile.h"

#define OPTIONS_PROFILE                                                                                                            \
    {                                                                                                                              \
        "profile",                                                                                                                 \
        OPTION_FORM,                                                                                                               \
        "text|json|trace",                                                                                                         \
        NULL,                                                                                                                      \
        0,                                                                                                                         \
        0,                                                                                                                         \
        "time, GFLOP/s and GB/s of each step, on stderr; trace: for Perfetto"},                                                    \
    {                                                                                                                              \
        "profile_output", OPTION_WRITES, "FILE", NULL, 0, 0, "where --profile goes instead of stderr"                              \
    }

/* POFAC_ERR_USAGE: --profile_output alone, or a trace without it. */
POFAC_MUST_USE pofac_status profiling_check(const command_input *in);
bool profiling_is_on(const command_input *in);
/* Writes the profile where the options say, if they ask for one and it has runs. */
POFAC_MUST_USE pofac_status profiling_write(const command_input *in, const run_profile *p);

#endif
