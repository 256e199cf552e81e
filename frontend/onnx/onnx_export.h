/*
 * The graph of a model, before passes make it fit for pofac's kernels, -> a file of ONNX (opset 17) that computes the same: standard operations alone, in f32; of
 * what 8 bits hold QuantizeLinear and DequantizeLinear around operations that runtimes join with them. Inputs and outputs keep their names, symbols of shapes
 * become names of dimensions.
 */
#ifndef POFAC_FRONTEND_ONNX_EXPORT_H
#define POFAC_FRONTEND_ONNX_EXPORT_H

#include "ir/graph.h"

typedef struct onnx_export_options {
    bool external_data; /* tensors into PATH.data beside it, whatever their size */
} onnx_export_options;

typedef struct onnx_export_result {
    int64_t tensor_bytes; /* parameters as they are in the file */
    size_t n_quantized;   /* weights that stand in 8 bits */
} onnx_export_result;

/*
 * Writes the file `path`, which takes the place of an old one at once. `state` gives the parameters, and where the graph has fake_quantize the ranges. What is known of
 * sequences must be the mask that padded_offsets reads: the graph is that of padded batches (no pass `unpad`). POFAC_ERR_INPUT: an operation that has no form in ONNX
 * here, told with its node; or what `state` says. POFAC_ERR_RUNTIME: it cannot be written, or memory is short.
 */
POFAC_MUST_USE pofac_status onnx_export(const ir_graph *g, const tensor_source *state, const char *path,
                                        const onnx_export_options *options, const diag_sink *sink, onnx_export_result *out);

/* Whether operations of that kind have a form in ONNX. */
bool onnx_export_knows(ir_op op);

#endif
