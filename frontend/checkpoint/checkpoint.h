/*
 * Checkpoints: named tensors in files, whatever the format (frontend/checkpoints.def). Opening maps the files and checks them
 * whole; after that every tensor's elements are known to lie within the mapping, and nothing is copied until it is asked for.
 *
 * A checkpoint owns what it hands out: names, tensors and data live until checkpoint_close. Once open it is not changed, so threads
 * may share it.
 */
#ifndef POFAC_FRONTEND_CHECKPOINT_H
#define POFAC_FRONTEND_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/diag.h"
#include "ir/tensor.h"

#define CHECKPOINT_MAX_RANK 8 /* twice what any op takes; files may hold other things too */

/* A tensor as the file holds it. Neither aligned nor packed: `data` may be at any address, and element (i0, i1, ...) is
 * i0 * strides[0] + i1 * strides[1] + ... elements from it. Little-endian. The product of dims fits in 63 bits. */
typedef struct checkpoint_tensor {
    const char *name;
    const char *file; /* in which it stands, for messages */
    ir_dtype dtype;
    uint32_t rank;
    int64_t dims[CHECKPOINT_MAX_RANK];
    int64_t strides[CHECKPOINT_MAX_RANK]; /* elements; may be 0 (a view that repeats) */
    const unsigned char *data;            /* element (0, 0, ...); NULL when there is none */
    const struct checkpoint_scales *
        scales; /* f32 [N,K] that stands in the file as whole numbers of few bits, at `data` (scaled_tensors.h); NULL: it does not */
} checkpoint_tensor;

typedef struct checkpoint checkpoint;

/* A row of frontend/checkpoints.def, for `pofac list`. */
typedef struct checkpoint_format {
    const char *name;
    const char *file;   /* its name in a directory */
    const char *ending; /* of the name of a file that is opened by itself */
    const char *meaning;
} checkpoint_format;
const checkpoint_format *checkpoint_formats(size_t *n);

/*
 * Opens a file, known by its ending, or a directory with one of the files of checkpoints.def. POFAC_ERR_INPUT, with one message
 * that names the file and the tensor, when it is missing or malformed. *out is NULL on error.
 */
POFAC_MUST_USE pofac_status checkpoint_open(const char *path, const diag_sink *sink, checkpoint **out);
/* A file of safetensors in memory, which outlives the checkpoint; `name` stands for it in messages. */
POFAC_MUST_USE pofac_status checkpoint_open_memory(const char *name, const void *bytes, size_t n, const diag_sink *sink,
                                                   checkpoint **out);

void checkpoint_close(checkpoint *c); /* NULL is fine */

/* True when `path` is what checkpoint_open would look into: a directory with one of the files, or a file with one of the
 * endings. */
bool checkpoint_is_there(const char *path);

/* Tensors in the order of their names (bytes), and by name; NULL when there is none of that name. */
size_t checkpoint_size(const checkpoint *c);
const checkpoint_tensor *checkpoint_at(const checkpoint *c, size_t i);
const checkpoint_tensor *checkpoint_get(const checkpoint *c, const char *name);

/* What the file says about itself: the value of a key, or NULL. */
const char *checkpoint_metadata(const checkpoint *c, const char *key);

int64_t checkpoint_elements(const checkpoint_tensor *t);
int64_t checkpoint_bytes(const checkpoint_tensor *t);  /* in the file */
bool checkpoint_is_packed(const checkpoint_tensor *t); /* row-major, nothing between the elements, which are of its dtype */

/* Appends the shape: `[3,64]`. */
void checkpoint_print_shape(uint32_t rank, const int64_t *dims, strbuf *out);

/*
 * All elements, row-major and packed, into a buffer for checkpoint_elements(t) of them (tensor_convert.c). As floats: any dtype;
 * exact or rounded to nearest even, NaN stays NaN. As 64-bit integers: whole-number dtypes (a bool is 0 or 1), else
 * POFAC_ERR_INPUT. As they are: no conversion; of whole numbers with scales, the floats that they stand for.
 */
void checkpoint_read_f32(const checkpoint_tensor *t, float *out);
POFAC_MUST_USE pofac_status checkpoint_read_i64(const checkpoint_tensor *t, const diag_sink *sink, int64_t *out);
void checkpoint_read_bytes(const checkpoint_tensor *t, void *out);

/*
 * The tensor as f32, i64 or in its own dtype: a view of the mapping where that is packed, aligned and of the dtype wanted, else an
 * owned copy. The caller ends it with tensor_free, before the checkpoint is closed. `dtype`: IR_F32, IR_I64 or t->dtype.
 * POFAC_ERR_INPUT: more than IR_MAX_RANK dimensions, or integers wanted and others found.
 */
POFAC_MUST_USE pofac_status checkpoint_load(const checkpoint_tensor *t, ir_dtype dtype, const diag_sink *sink, ir_tensor *out);

/*
 * Lets go of the memory that reading the tensor's data took, where they are part of a mapping. The data stay readable, by others at
 * the same time too: what is touched again is read again.
 */
void checkpoint_release(const checkpoint *c, const checkpoint_tensor *t);

#endif
