/*
 * Which tensor of a checkpoint is which parameter of a model. Files name the same tensor differently: with or without the encoder's
 * prefix, wrapped by `module.`, with TensorFlow's gamma and beta, tied output embeddings stored or not. The rules are rows of
 * frontend/names.def.
 */
#ifndef POFAC_FRONTEND_TENSOR_NAMES_H
#define POFAC_FRONTEND_TENSOR_NAMES_H

#include "frontend/checkpoint/checkpoint.h"
#include "ir/support/arena.h"

/* A parameter that a model has: its name as Hugging Face's class calls it, with the encoder's prefix, and its shape. */
typedef struct wanted_tensor {
    const char *name;
    uint32_t rank;
    int64_t dims[CHECKPOINT_MAX_RANK];
} wanted_tensor;

/* The outcome; arrays live in the arena, tensors in the checkpoint. */
typedef struct tensor_match {
    const checkpoint_tensor **tensors; /* [n_wanted]: the tensor of each parameter, NULL where the checkpoint has none */
    size_t *missing;                   /* [n_missing]: parameters without a tensor, by their number */
    size_t n_missing;
    const checkpoint_tensor **unexpected; /* [n_unexpected]: tensors that are no parameter of the model, by name */
    size_t n_unexpected;
    const checkpoint_tensor **redundant; /* [n_redundant]: buffers, and second copies of a tied tensor: rightly not used */
    size_t n_redundant;
} tensor_match;

/*
 * Finds each wanted parameter in the checkpoint. Missing and unexpected tensors are no errors here: what they mean depends on the
 * caller. POFAC_ERR_INPUT: tensors of another shape than wanted, or whose elements are no floats - a message for each of the first of them -;
 * or two tensors that stand for one parameter.
 */
POFAC_MUST_USE pofac_status tensor_names_match(const checkpoint *c, const wanted_tensor *wanted, size_t n_wanted, arena *a,
                                               const diag_sink *sink, tensor_match *out);

/* A row of frontend/names.def, for `pofac list`. */
typedef enum tensor_rule_kind { RULE_PREFIX, RULE_ENDING, RULE_OPTIONAL_PREFIX, RULE_IGNORED, RULE_TIED } tensor_rule_kind;
typedef struct tensor_rule {
    tensor_rule_kind kind;
    const char *text, *other; /* NULL where the kind has one text alone */
    const char *meaning;
} tensor_rule;
const tensor_rule *tensor_rules(size_t *n);
const char *tensor_rule_kind_name(tensor_rule_kind kind);

#endif
