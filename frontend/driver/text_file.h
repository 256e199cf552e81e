/* IR text in a file -> module; the data of its elided constants come from a checkpoint. */
#ifndef POFAC_FRONTEND_TEXT_FILE_H
#define POFAC_FRONTEND_TEXT_FILE_H

#include "ir/graph.h"

/* Reads `path` ("-": standard input). `constants`: a checkpoint with the data, or NULL. */
POFAC_MUST_USE pofac_status text_file_read(ir_context *c, const char *path, const char *constants, const diag_sink *sink,
                                           ir_module **out);

/* Writes the data of the module's elided constants as a safetensors file. */
POFAC_MUST_USE pofac_status text_file_save_constants(const ir_module *m, const char *path, const diag_sink *sink);

/* Appends everything up to the end of `fd`, which is called `name` in messages. */
POFAC_MUST_USE pofac_status text_file_slurp(int fd, const char *name, const diag_sink *sink, strbuf *out);

#endif
