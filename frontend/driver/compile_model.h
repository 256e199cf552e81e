/* A model -> a compiled model's file (compiled_model.h). */
#ifndef POFAC_FRONTEND_COMPILE_MODEL_H
#define POFAC_FRONTEND_COMPILE_MODEL_H

#include "frontend/driver/road.h"

typedef struct compiled_report {
    uint64_t file_bytes;
    size_t n_targets, n_objects, object_bytes;
    size_t n_parameters, n_packed;
} compiled_report;

/*
 * Runs `road` for the model, packs its weights, and writes all of it. `targets`: names with commas between, rows of `pofac list targets` of this machine's
 * architecture, or "native"; weights are packed for the first. NULL: road->isa alone. The graph is that of predictions on texts. POFAC_ERR_USAGE: a target
 * that is none, or of another architecture; the model is compiled already, is quantized and to be simulated, or its description's <quantize> has a method that
 * `pofac quantize` carries out. A quantized model that the road runs unquantized is none in the file.
 */
POFAC_MUST_USE pofac_status compile_model(loaded_model *model, const road_options *road, const char *targets, const char *path,
                                          const diag_sink *sink, compiled_report *out);

#endif
