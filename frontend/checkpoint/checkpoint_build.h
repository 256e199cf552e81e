/*
 * How a reader of a format fills a checkpoint. Only the files of frontend/checkpoint include this.
 */
#ifndef POFAC_FRONTEND_CHECKPOINT_BUILD_H
#define POFAC_FRONTEND_CHECKPOINT_BUILD_H

#include <stdarg.h>

#include "frontend/checkpoint/checkpoint.h"
#include "ir/support/arena.h"
#include "ir/support/file_map.h"

/* Reads one file into a new checkpoint. POFAC_ERR_INPUT with a message; what was filled by then is freed by the caller. */
typedef pofac_status checkpoint_reader(const char *path, const diag_sink *sink, checkpoint *c);

#define CHECKPOINT(id, file, ending, reader, meaning) checkpoint_reader reader;
#include "frontend/checkpoints.def"
#undef CHECKPOINT

/* Memory that lives as long as the checkpoint: names, converted data. */
arena *checkpoint_memory(checkpoint *c);

/* Maps a file for the checkpoint's life. *name is the copy of its path that tensors point to. */
POFAC_MUST_USE pofac_status checkpoint_map(checkpoint *c, const char *path, const diag_sink *sink, file_map *map,
                                           const char **name);

/* Adds a tensor; its name and file must live as long as the checkpoint. The reader has checked that all elements lie within
 * memory that the checkpoint holds. Names that stand twice are found when the checkpoint is finished. */
POFAC_MUST_USE pofac_status checkpoint_add(checkpoint *c, const checkpoint_tensor *t, const diag_sink *sink);

/* Adds a key of metadata, copied; of equal keys the first one counts. */
POFAC_MUST_USE pofac_status checkpoint_add_metadata(checkpoint *c, const char *key, const char *value, const diag_sink *sink);

/* Appends `tensor "NAME"` for messages: control characters escaped, a long name cut. */
void checkpoint_put_name(const char *name, strbuf *out);

/* Sends "FILE: error: tensor "NAME": message"; POFAC_ERR_INPUT. */
POFAC_PRINTF(4, 0)
pofac_status checkpoint_tensor_error(const char *file, const char *name, const diag_sink *sink, const char *format, va_list args);

/* Strides of a packed row-major tensor, and the number of its elements; false when that or the number of bytes overflows. */
bool checkpoint_pack(checkpoint_tensor *t, int64_t *n_elements, int64_t *n_bytes);

#endif
