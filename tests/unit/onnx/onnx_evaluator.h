/*
 * A reader and an evaluator of ONNX's files for tests: the operations that pofac writes, by ONNX's own definitions (Operators.md, opset 17), in double precision, but for QuantizeLinear,
 * which rounds in single precision. Slow. What is malformed, or not known, ends the test with a message.
 */
#ifndef POFAC_TESTS_UNIT_ONNX_EVALUATOR_H
#define POFAC_TESTS_UNIT_ONNX_EVALUATOR_H

#include "ir/tensor.h"
#include "onnx.pb-c.h"

typedef struct onnx_file {
    Onnx__ModelProto *model;
    unsigned char *outside; /* FILE.data; NULL: there is none */
    size_t outside_bytes;
} onnx_file;

/* Reads it, and checks its form: versions; every name made once and before it is read; elements of every tensor there. */
onnx_file onnx_file_read(const char *path);
void onnx_file_free(onnx_file *f);

const Onnx__TensorProto *onnx_file_tensor(const onnx_file *f, const char *name); /* NULL: there is none */
size_t onnx_file_count(const onnx_file *f, const char *op);                      /* nodes of that operation */

/* Runs it on inputs by name; the output of that name as f32, owned by the caller. Inputs and the output have the shapes that the file declares. */
void onnx_file_run(const onnx_file *f, const tensor_source *inputs, const char *output, ir_tensor *out);

#endif
