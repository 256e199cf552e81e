/*
 * Ranges of a model's modules after training: of weights from what they are, of activations from what they take on in runs over examples.
 *
 * What is observed is what the pass `quantize` would hold in 8 bits, by the names that it gives: the model's graph without padding goes through the pass, and each
 * fake_quantize becomes a result of the graph. So ranges are those of real tokens, of all of them, in a model that computes in fp32; linears that
 * read one value have one range, whatever part of it a compiled model reads.
 */
#ifndef POFAC_FRONTEND_CALIBRATION_H
#define POFAC_FRONTEND_CALIBRATION_H

#include "frontend/driver/executor.h"
#include "frontend/driver/model_quantization.h"
#include "frontend/driver/weight_ranges.h"
#include "ir/batch_source.h"

typedef struct calibration_options {
    const quantization_plan
        *plan; /* which modules; of weights alone: their weights' ranges, for modules that it does not leave out */
    calibration_method method;
    double percentile; /* of CALIBRATE_PERCENTILE, in (50, 100] */
    bool outputs;      /* results of linears too, where the plan requantizes them */
    road_options road; /* target, cache, threads */
    executor_kind kind;
} calibration_options;

typedef struct calibration calibration;

/* Builds the graph, and compiles it where activations are observed (QUANTIZE_STATIC). The plan and the model outlive it. POFAC_ERR_INPUT: the plan leaves out all modules. */
POFAC_MUST_USE pofac_status calibration_create(loaded_model *model, const calibration_options *o, const diag_sink *sink,
                                               calibration **out);
void calibration_destroy(calibration *c); /* NULL is fine */

/* Runs the model on a batch. Only of QUANTIZE_STATIC. POFAC_ERR_NUMERIC: an activation is NaN or infinite. */
POFAC_MUST_USE pofac_status calibration_add(calibration *c, const batch *b, const diag_sink *sink);

/* The threads that it works with. */
thread_pool *calibration_pool(calibration *c);

/* A module and its weight. */
typedef struct calibrated_module {
    quantized_module ranges;
    const char *weight; /* its name in the model's state */
    int64_t n_rows, n_columns;
} calibrated_module;

/* What is known of each module, in the order of the graph, from the batches so far and `weights`, the model's parameters as f32 by name. As long as `c`. POFAC_ERR_USAGE: static, and
 * there was no batch; POFAC_ERR_NUMERIC: a weight is NaN or infinite. */
POFAC_MUST_USE pofac_status calibration_finish(calibration *c, const tensor_source *weights, const diag_sink *sink,
                                               const calibrated_module **out, size_t *n);

#endif
