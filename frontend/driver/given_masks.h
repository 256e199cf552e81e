/*
 * Masks that somebody else made, from a file of tensors: the method custom_mask.
 */
#ifndef POFAC_FRONTEND_GIVEN_MASKS_H
#define POFAC_FRONTEND_GIVEN_MASKS_H

#include "frontend/checkpoint/checkpoint.h"
#include "frontend/model/pruning_config.h"

/* Opens the configuration's file of masks, which the caller closes. POFAC_ERR_INPUT, or of what options say POFAC_ERR_USAGE: none is given;
 * POFAC_ERR_INPUT: it cannot be read. */
POFAC_MUST_USE pofac_status given_masks_open(const pruning_config *c, bool of_options, const diag_sink *sink, checkpoint **out);

/* The mask of a weight: the tensor WEIGHT.mask, or else WEIGHT, of any dtype; 1 where it is not 0, into mask [n_rows, n_columns]. POFAC_ERR_INPUT: there is
 * none, or of another shape. */
POFAC_MUST_USE pofac_status given_mask_read(const checkpoint *masks, const char *weight, int64_t n_rows, int64_t n_columns,
                                            const diag_sink *sink, uint8_t *mask);

#endif
