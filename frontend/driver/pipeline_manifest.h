/*
 * What determines the results of a pipeline, as OUT/manifest.json: the document and its hash, parameters, sweeps, stages with their directories, keys and
 * all that these are made of, versions of pofac and its libraries, the processor and threads.
 */
#ifndef POFAC_FRONTEND_PIPELINE_MANIFEST_H
#define POFAC_FRONTEND_PIPELINE_MANIFEST_H

#include "frontend/driver/pipeline_plan.h"

#define PIPELINE_MANIFEST_FILE "manifest.json"

POFAC_MUST_USE pofac_status pipeline_manifest_write(const pipeline_plan *plan, const pipeline_program *program, arena *a,
                                                    const diag_sink *sink);

/* Is the file one that pipeline_manifest_write has written? Others are called manifest.json, too. */
bool pipeline_manifest_is_ours(const char *path);

#endif
