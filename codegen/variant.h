/*
 * Variants: the text of a node's attribute `variant`, "ROW NAME=VALUE NAME=VALUE ...", which says what row of kernels.def computes the
 * node and sets parameters of it (codegen/variants.def). Written by the pass `sparsify` or by hand.
 */
#ifndef POFAC_CODEGEN_VARIANT_H
#define POFAC_CODEGEN_VARIANT_H

#include "ir/support/diag.h"

#define VARIANT_MAX_PARAMS 16

typedef struct cg_variant {
    size_t row; /* of kernels.def */
    unsigned n_params;
    struct {
        const char *name; /* a literal */
        int64_t value;    /* words: the number of the word */
    } params[VARIANT_MAX_PARAMS];
} cg_variant;

/* POFAC_ERR_INPUT with `place`: an unknown row or parameter, a value that is out of range, a parameter that is given twice. */
POFAC_MUST_USE pofac_status variant_parse(const char *text, const diag_place *place, const diag_sink *sink, cg_variant *out);

/* The value of a parameter; `otherwise` when the text does not set it, or `v` is NULL. */
int64_t variant_get(const cg_variant *v, const char *name, int64_t otherwise);

#endif
