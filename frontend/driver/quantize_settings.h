/*
 * How a model is quantized after training: the section <quantize> of a description, with options of the same names over it (of its attributes config and calibration
 * quantization_config and calibration_method).
 */
#ifndef POFAC_FRONTEND_QUANTIZE_SETTINGS_H
#define POFAC_FRONTEND_QUANTIZE_SETTINGS_H

#include "frontend/driver/model_quantization.h"
#include "frontend/driver/recipe.h"
#include "frontend/driver/weight_ranges.h"

typedef struct quantize_settings {
    quantization_plan plan;
    const char *method; /* "static", "dynamic", "weights" */
    calibration_method calibration;
    const char *calibration_name;
    double percentile;
    int64_t samples; /* examples that activations are observed in; 0: all */
    bool outputs;    /* results of linears in 8 bits too, but those of not_to_requantize_output */
} quantize_settings;

/* Of a description `path`, or of the options alone where it is a directory; method static where nothing is said. Of options not_to_quantize and not_to_requantize_output
 * have patterns with newlines between them, and stand for the document's. Texts live in `a`. POFAC_ERR_INPUT: the document, or a configuration; POFAC_ERR_USAGE: the options,
 * or a compiled model; of both a value or a contradiction. */
POFAC_MUST_USE pofac_status quantize_settings_read(const char *path, const recipe_option *options, size_t n, arena *a,
                                                   const diag_sink *sink, quantize_settings *out);

#endif
