/*
 * A compiled model (.pofac): one file that runs without its original, and without compiling anything on machines that its code is for. It has
 *
 *   the definition of the model as config.json, and the files of its tokenizer;
 *   the graph after all passes, as text, and the kernels that were chosen, as pins (kernel_pins.h);
 *   parameters: what kernels read packed is stored packed, all else in rows;
 *   object code of every kernel for one or more targets, by the keys of the object cache.
 *
 * A machine that runs none of its targets gets code from the graph, and weights from the packed ones, once more; so does one whose pofac has another
 * code generator. The file holds native code, which runs with the rights of the process: its checksums find damage, not malice.
 */
#ifndef POFAC_FRONTEND_COMPILED_MODEL_H
#define POFAC_FRONTEND_COMPILED_MODEL_H

#include "codegen/codegen.h"
#include "frontend/driver/compiled_file.h"
#include "frontend/model/model_graph.h"
#include "frontend/text/tokenizer.h"

/* Texts in the file; files of the tokenizer are COMPILED_TOKENIZER and their names. */
#define COMPILED_CONFIG "config.json"
#define COMPILED_TOKENIZER "tokenizer/"
#define COMPILED_TOKENIZER_SETTINGS "tokenizer"
#define COMPILED_GRAPH "graph"
#define COMPILED_GRAPH_OPTIONS "graph options"
#define COMPILED_KERNELS "kernels"
#define COMPILED_TARGETS "targets"
#define COMPILED_MAKER "made by"
#define COMPILED_QUANTIZATION "quantization.safetensors"

/* ---- texts ---- */

/* What tells two graphs of one model apart; arithmetic: road_arithmetic (road.h). */
void compiled_graph_options_print(const model_graph_options *o, const char *arithmetic, strbuf *out);

/* Five numbers. */
void compiled_tokenizer_settings_print(const tokenizer_options *o, strbuf *out);

/* One line. */
void compiled_target_print(const cg_target *t, strbuf *out);

/* What made the code: that of others has other names, and is not found. */
void compiled_maker_print(strbuf *out);

/* The name of a kernel's object: the hash of its key. */
void compiled_object_name(const char *key, char out[33]);

/* ---- reading ---- */

typedef struct compiled_model compiled_model;

/* `threads` of compiled_file_open. */
POFAC_MUST_USE pofac_status compiled_model_open(const char *path, size_t threads, const diag_sink *sink, compiled_model **out);
void compiled_model_close(compiled_model *c); /* NULL is fine */

const compiled_file *compiled_model_file(const compiled_model *c);

/* Strings live in `a`. */
POFAC_MUST_USE pofac_status compiled_model_spec(const compiled_model *c, arena *a, const diag_sink *sink, model_spec *out);

/* How its tokenizer treats text. */
POFAC_MUST_USE pofac_status compiled_model_tokenizer_settings(const compiled_model *c, const diag_sink *sink,
                                                              tokenizer_options *out);
/* POFAC_ERR_INPUT when it has none. */
POFAC_MUST_USE pofac_status compiled_model_tokenizer(const compiled_model *c, const diag_sink *sink, tokenizer **out);

/* The parameters: each name once, with its shape in rows. */
size_t compiled_model_size(const compiled_model *c);
const char *compiled_model_name(const compiled_model *c, size_t i);
void compiled_model_shape(const compiled_model *c, size_t i, ir_tensor *out); /* dtype, rank and dims; no data */

/* Parameter `i` in rows: a view of the file, or made of what is packed, which *out owns. POFAC_ERR_INPUT: that is malformed. */
POFAC_MUST_USE pofac_status compiled_model_tensor(const compiled_model *c, size_t i, const diag_sink *sink, ir_tensor *out);

/* What is packed; lives as `c`. */
const packed_source *compiled_model_packed(const compiled_model *c);

/* Is its graph the one that these options make? */
bool compiled_model_has_graph(const compiled_model *c, const model_graph_options *options, const char *arithmetic);
POFAC_MUST_USE pofac_status compiled_model_graph(const compiled_model *c, ir_context *context, const diag_sink *sink,
                                                 ir_module **out);

/* The choices of kernels, one a line; "" where a rule made them. */
const char *compiled_model_kernels(const compiled_model *c);

/* The best of its targets that this machine runs, and of that instruction set where `isa` is neither NULL nor "native". Where it runs none of them a
 * note says so, and *out stays what it was: the machine itself. A note, too, where another pofac has made the code. Strings in `a`. */
POFAC_MUST_USE pofac_status compiled_model_target(const compiled_model *c, const char *isa, arena *a, const diag_sink *sink,
                                                  cg_target *out);

/* Its object code; lives as `c`. */
const cg_objects *compiled_model_objects(const compiled_model *c);

#endif
