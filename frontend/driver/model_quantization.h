/*
 * 8 bits of a model: the plan - which modules, and how -, and what a quantized model's directory has beside model.safetensors.
 *
 *   quantization.safetensors    MODULE.{input,weight,output}_range f32 [2], of weights by channels [N,2], and what is made of them (ir/quantization.h):
 *                               MODULE.{input,weight,output}_scale f32 [1] or [N], ..._zero_point i32 of the same shape
 *   its metadata "quantization" the plan as JSON (quantization_plan_put)
 *
 * A module without a range of its output is not requantized; one without a range of its input has dynamic ones, or is no linear. The weights are in
 * model.safetensors, in f32. Files of others may have no ranges, and no plan: ranges that give their scales are made then.
 * Linears that read one value have one range, which every one of them has in the file.
 */
#ifndef POFAC_FRONTEND_MODEL_QUANTIZATION_H
#define POFAC_FRONTEND_MODEL_QUANTIZATION_H

#include "ir/support/arena.h"
#include "ir/tensor.h"
#include "passes/pass.h"

#define QUANTIZATION_FILE "quantization.safetensors"

/* ---- the plan ---- */

typedef enum quantization_activations {
    QUANTIZE_STATIC,      /* ranges are known, or learned: state of the model */
    QUANTIZE_DYNAMIC,     /* ranges are those of each row */
    QUANTIZE_WEIGHTS_ONLY /* activations stay f32 */
} quantization_activations;

/* Which modules, and how: what <quantize>, a JSON configuration, or a quantized model says. */
typedef struct quantization_plan {
    int64_t begin; /* quantization_begin: forward passes of training before ranges are observed */
    const char *const *not_to_quantize;
    size_t n_not_to_quantize; /* parts of modules' names, as in the reference */
    const char *const *not_to_requantize_output;
    size_t n_not_to_requantize_output;
    bool per_channel, embeddings; /* ranges of weights for each row; embeddings' tables too */
    bool observe_padding;         /* training learns ranges of padded rows, and of rows that nobody reads, too */
    quantization_activations activations;
    int weight_bits; /* 8 or 4; 4: weights only */
} quantization_plan;

/* What nothing is said of: all linears, by ranges that are state, from the first forward pass on. */
quantization_plan quantization_plan_default(void);

/* Of the module with that name; `plan` is a quantization_plan (pass_environment.quantizes). Modules of a teacher (IR_FROZEN) never. */
pass_quantized quantization_plan_of(void *plan, const char *module);

/*
 * Reads a JSON configuration of the pruning package's quantizer, or one with quantization_plan_put's keys, into *out, which has defaults for what is not
 * written. Unknown keys are warnings. Texts in `a`. POFAC_ERR_INPUT, with the key, what was found and what was wanted.
 */
POFAC_MUST_USE pofac_status quantization_plan_read(const char *path, arena *a, const diag_sink *sink, quantization_plan *out);

/* Appends the plan as a JSON object in one line, with the reference's keys and weight_scales, quantize_embeddings, observe_padding, activations, weight_bits. */
void quantization_plan_put(const quantization_plan *p, strbuf *out);

/* Of weights: the scale of a range at the plan's bits (8: that of ir/quantization.h; b: the largest magnitude over 2^(b-1) - 1/2). */
float quantization_weight_scale(const float range[2], int bits);

/* ---- a quantized model ---- */

/* What is known of a module: ranges as least and greatest; NULL: none. */
typedef struct quantized_module {
    const char *name;            /* "bert.encoder.layer.0.output.dense" */
    const float *input, *output; /* [2] */
    const float *weight;         /* [n_weight_ranges,2] */
    int64_t n_weight_ranges;
    bool by_channel; /* a range for each row of the weight, and not one for all */
} quantized_module;

typedef struct model_quantization model_quantization;

/* Reads DIRECTORY/quantization.safetensors; *out NULL: there is none (directory NULL, too), the model is not quantized. POFAC_ERR_INPUT: the file is damaged, or
 * has other tensors than these; a range that is none, or that does not give the scale beside it; a module without one of its weight. */
POFAC_MUST_USE pofac_status model_quantization_read(const char *directory, const diag_sink *sink, model_quantization **out);
/* The same of the bytes of such a file; `name` stands for it in messages. */
POFAC_MUST_USE pofac_status model_quantization_read_memory(const char *name, const void *bytes, size_t n, const diag_sink *sink,
                                                           model_quantization **out);
void model_quantization_close(model_quantization *q); /* NULL is fine */

const quantization_plan *model_quantization_plan(const model_quantization *q);

/* Its modules in the order of their names, and by name (NULL: it has none of that name). */
size_t model_quantization_size(const model_quantization *q);
const quantized_module *model_quantization_at(const model_quantization *q, size_t i);
const quantized_module *model_quantization_find(const model_quantization *q, const char *module);

/* What is held in 8 bits of the module, by what the file has of it; `q` is a model_quantization (pass_environment.quantizes). */
pass_quantized model_quantization_of(void *q, const char *module);

/* Ranges under their names MODULE.input_range ..., as the pass `quantize` asks for them. As long as `q` lives. */
const tensor_source *model_quantization_ranges(const model_quantization *q);

/* Writes DIRECTORY/quantization.safetensors, which takes the place of an old one at once. POFAC_ERR_RUNTIME: it cannot be written. */
POFAC_MUST_USE pofac_status model_quantization_write(const char *directory, const quantization_plan *plan,
                                                     const quantized_module *modules, size_t n, const diag_sink *sink);

#endif
