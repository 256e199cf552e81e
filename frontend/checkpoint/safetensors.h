/*
 * safetensors, the file format:
 *
 *     8 bytes         N, little-endian: the length of the header
 *     N bytes         JSON, which may be padded with spaces:
 *                     {"__metadata__": {"key": "text", ...},
 *                      "NAME": {"dtype": "F32", "shape": [3, 64], "data_offsets": [BEGIN, END]}, ...}
 *     the rest        the tensors' elements, row-major, little-endian; offsets count from here, leave no gap and do not overlap
 *
 * Source: the format's description in its reference implementation (Hugging Face safetensors, README, "Format").
 */
#ifndef POFAC_FRONTEND_SAFETENSORS_H
#define POFAC_FRONTEND_SAFETENSORS_H

#include "frontend/checkpoint/checkpoint.h"

#define SAFETENSORS_MAX_HEADER_BYTES 100000000 /* the reference implementation's limit */

/* Names of dtypes in the file ("F32"); NULL / false for those that the format or pofac does not have. */
const char *safetensors_dtype_name(ir_dtype dtype);
bool safetensors_dtype_parse(const char *name, ir_dtype *out);

typedef struct safetensors_metadata {
    const char *key, *value;
} safetensors_metadata;

/*
 * A tensor to be written. Its elements are `data`, row-major and packed; or, where `data` is NULL, what `fill` makes: `count`
 * elements from element `first` on into `out`, called for one piece after the other, so that no tensor need be in memory whole.
 * fill's status is passed on; it has sent its message.
 */
typedef struct safetensors_item {
    const char *name;
    ir_dtype dtype;
    uint32_t rank;
    int64_t dims[CHECKPOINT_MAX_RANK];
    const void *data;
    pofac_status (*fill)(void *user, int64_t first, int64_t count, void *out);
    void *user;
} safetensors_item;

/*
 * Writes a file that takes the place of an old one at once (file_writer). The header lists the tensors by name and is padded to a
 * multiple of 8 bytes; the data stand with the widest elements first, then by name, so that every tensor is aligned. Metadata:
 * `format` is "pt" unless the given keys say otherwise. POFAC_ERR_USAGE: a name twice, dimensions that are negative or overflow, a
 * dtype that the format lacks; POFAC_ERR_RUNTIME: it cannot be written.
 */
POFAC_MUST_USE pofac_status safetensors_write(const char *path, const safetensors_item *items, size_t n_items,
                                              const safetensors_metadata *metadata, size_t n_metadata, const diag_sink *sink);

#endif
