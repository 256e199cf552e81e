/*
 * Models made on the spot, as Hugging Face's directories: config.json, model.safetensors and vocab.txt of a model of a few hundred
 * parameters, for the tests of frontend/driver.
 */
#ifndef POFAC_TESTS_UNIT_TINY_MODEL_H
#define POFAC_TESTS_UNIT_TINY_MODEL_H

#include "frontend/model/model_spec.h"
#include "ir/type.h"

/* Sizes: hidden 32, 2 heads, feed-forward 48, 1 layer, 24 positions, the vocabulary below. */
model_spec tiny_spec(model_arch arch, model_head head);

/* [PAD] [UNK] [CLS] [SEP] [MASK] a b ... z . ? */
#define TINY_VOCAB_SIZE 33
extern const char tiny_vocabulary[];

typedef struct tiny_model {
    model_spec spec;
    ir_dtype dtype;             /* of the file; 0 is f32 */
    const char *const *omitted; /* names that the file lacks, NULL at the end; or NULL */
    const char *const *extra;   /* names of tensors [2] that no model has */
    /* Element (row, column) of a parameter, 0 columns of a vector; NULL: small random numbers, layer norms about 1. */
    double (*value)(const char *name, int64_t row, int64_t column);
    bool without_vocabulary, without_architectures, without_weights;
} tiny_model;

/* Writes the directory, made where it is not there. */
void tiny_model_write(const tiny_model *m, const char *directory);

#endif
