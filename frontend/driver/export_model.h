/*
 * A model for other programs: Hugging Face's directory, or a file of ONNX.
 */
#ifndef POFAC_FRONTEND_EXPORT_MODEL_H
#define POFAC_FRONTEND_EXPORT_MODEL_H

#include "frontend/driver/loaded_model.h"

typedef struct export_options {
    const char *output;        /* the directory, or the file */
    ir_dtype dtype;            /* of a directory's parameters: IR_F32, IR_BF16, IR_F16 */
    bool external_data;        /* ONNX: tensors in OUTPUT.data beside it, whatever their size */
    bool without_quantization; /* a quantized model as if it were not: f32 */
} export_options;

/*
 * Writes `output`, made where it is not there, as run_model_save does: dense weights with their zeros, and what 8 bits hold as f32 beside its ranges (model_quantization.h). Appends what
 * was written as one JSON object to *report. POFAC_ERR_RUNTIME: it cannot be written, or memory is short.
 */
POFAC_MUST_USE pofac_status export_directory(loaded_model *model, const export_options *options, const diag_sink *sink,
                                             strbuf *report);

/*
 * Writes the file `output` with the model's graph (frontend/onnx/onnx_export.h); of a quantized model with the scales of its ranges. Report and errors as above;
 * POFAC_ERR_INPUT: something in the model has no form in ONNX.
 */
POFAC_MUST_USE pofac_status export_onnx(loaded_model *model, const export_options *options, const diag_sink *sink, strbuf *report);

#endif
