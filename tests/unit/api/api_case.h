/* Small models for the tests of the C API: descriptions in a folder of the test's own, parameters drawn from a seed, a log that collects. */
#ifndef POFAC_TESTS_UNIT_API_CASE_H
#define POFAC_TESTS_UNIT_API_CASE_H

#include "ir/support/strbuf.h"

#include "frontend/api/pofac.h"

typedef struct api_case {
    char folder[256], path[288], cache[288]; /* path: of the description */
    strbuf messages;                         /* errors as rendered, without the folder */
    size_t n_notes;
    pofac_log log;
    pofac_model_options options; /* the cache, one thread, kernels by the rule */
} api_case;

/* [PAD] [UNK] [CLS] [SEP] [MASK] a b c d e */
#define API_CASE_VOCAB 10
#define API_CASE_POSITIONS 16

/* `state`: files_set_up's. */
void api_case_begin(api_case *c, void **state);
void api_case_end(api_case *c);

/* A description of other sizes: hidden_size a multiple of 2. */
void api_case_describe(api_case *c, void **state, int hidden_size, int layers);

/* The one error since the last call. */
void api_case_wants(api_case *c, const char *message);

pofac_model *api_case_open(api_case *c, const char *head);
pofac_predictor *api_case_predictor(api_case *c, const pofac_model *model);

#endif
