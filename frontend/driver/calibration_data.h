/*
 * Examples -> batches that a calibration observes.
 *
 * Of tensors: a file with input_ids [N,S] or embedding_output [N,S,E], and where they are there attention_mask and token_type_ids [N,S] - all ones and all zeros where
 * they are not -, rows in their order; labels are not needed. Of a recipe's data: examples as training shuffles them in its first epoch.
 */
#ifndef POFAC_FRONTEND_CALIBRATION_DATA_H
#define POFAC_FRONTEND_CALIBRATION_DATA_H

#include "frontend/driver/calibration.h"
#include "frontend/driver/recipe.h"
#include "frontend/driver/run_data.h"

typedef struct calibration_data_options {
    int64_t samples; /* examples, of a recipe's data rounded up to whole batches; 0: all */
    int64_t batch_size;
    interruption *stop;                                        /* looked at between batches; may be NULL */
    void (*progress)(void *user, uint64_t done, uint64_t all); /* examples, after each batch; may be NULL */
    void *progress_user;
} calibration_data_options;

typedef struct calibration_counts {
    uint64_t examples, tokens; /* tokens without padding */
} calibration_counts;

/* POFAC_ERR_INPUT: the file, with the tensor; ids that the model does not have; POFAC_ERR_INTERRUPTED. */
POFAC_MUST_USE pofac_status calibration_add_tensors(calibration *c, const loaded_model *model, const char *path,
                                                    const calibration_data_options *o, const diag_sink *sink,
                                                    calibration_counts *out);

/* Errors as run_data_open; POFAC_ERR_USAGE: the recipe has no such split; POFAC_ERR_INTERRUPTED. */
POFAC_MUST_USE pofac_status calibration_add_examples(calibration *c, loaded_model *model, const recipe *r, run_data_split split,
                                                     const calibration_data_options *o, const diag_sink *sink,
                                                     calibration_counts *out);

#endif
