/*
 * Zeros that must have stayed zeros: what a run that locks has written is compared with the model that it began with (pitfall: zeros that drift).
 */
#ifndef POFAC_FRONTEND_LOCKED_PATTERN_H
#define POFAC_FRONTEND_LOCKED_PATTERN_H

#include "frontend/driver/mask_schedule.h"

/*
 * Compares every weight that the schedule locks in the model of the directory `dir` with the one of `model`'s checkpoint. POFAC_ERR_RUNTIME: an entry that was 0 is
 * not; the message names the first weight and entry, and how many there are. An entry that became 0 is a warning: training may do that by chance.
 */
POFAC_MUST_USE pofac_status locked_pattern_check(const mask_schedule *s, const loaded_model *model, const char *dir,
                                                 const diag_sink *sink);

#endif
