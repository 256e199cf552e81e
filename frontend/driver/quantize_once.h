/*
 * Quantization after training (`pofac quantize`): a model's directory -> one of a model in few bits.
 *
 *   static    quantization.safetensors has ranges of inputs and weights of linears, and of outputs where they are asked for; weights stay floats
 *   dynamic   ranges of weights alone
 *   weights   no ranges: weights stand in model.safetensors as whole numbers of 8 or 4 bits with their scales (frontend/checkpoint/scaled_tensors.h), and are floats
 *             again once they are read
 *
 * Where the plan says so, tables of embeddings are stored in 8 bits with any of them, and so are the linears' weights where `store_weights` does: by the ranges that the
 * kernels quantize them by, so that they come out as the same whole numbers.
 */
#ifndef POFAC_FRONTEND_QUANTIZE_ONCE_H
#define POFAC_FRONTEND_QUANTIZE_ONCE_H

#include "frontend/driver/calibration_data.h"
#include "frontend/driver/quantize_settings.h"

typedef struct quantize_once_options {
    const quantize_settings *settings;
    const char *output; /* a directory, which is made where it is missing */
    ir_dtype dtype;     /* of parameters that stay floats: IR_F32, IR_BF16 or IR_F16 */
    bool store_weights;
    const char *tensors; /* examples as a file of tensors; NULL: those of the recipe's split */
    const recipe *recipe;
    run_data_split split;
    calibration_data_options data; /* `samples` is the settings' */
    road_options road;             /* target, cache, threads */
    executor_kind kind;
} quantize_once_options;

/*
 * Appends to `report` one JSON object: {"method", "output", "calibration", "examples", "tokens", "weight_bits", "weight_scales", "modules": [{"name", "shape",
 * "input": [least, greatest] or null, "output": likewise, "weight": the greatest magnitude that is held}]}. Errors of calibration.h and calibration_data.h; POFAC_ERR_RUNTIME: it cannot be
 * written.
 */
POFAC_MUST_USE pofac_status quantize_once(loaded_model *model, const quantize_once_options *options, const diag_sink *sink,
                                          strbuf *report);

#endif
