/* Tensors of rank 2 between rows, which evaluators read and write, and the layouts of kernels (ir/type.h): rows side by side, quads of bytes. */
#ifndef POFAC_RUNTIME_TILED_TENSOR_H
#define POFAC_RUNTIME_TILED_TENSOR_H

#include "ir/tensor.h"

/* The tensor's data from, or into, `tiles`, memory of the type, which is tiled and has elements of whole bytes. What is no row's holds 0. */
void tensor_from_tiles(const ir_type *type, const void *tiles, ir_tensor *t);
void tensor_to_tiles(const ir_type *type, const ir_tensor *t, void *tiles);

#endif
