/*
 * Tokenised examples in memory: what a task's examples become once, before an epoch begins. Ids take two bytes where the vocabulary allows, else
 * four; with an offset, the place of the second segment and the fields' values, an example of n tokens takes 2 n + 12 bytes and 8 per field.
 * A store that is complete may be read by several threads.
 */
#ifndef POFAC_FRONTEND_DATA_TOKEN_STORE_H
#define POFAC_FRONTEND_DATA_TOKEN_STORE_H

#include "frontend/data/example_source.h"
#include "frontend/text/tokenizer.h"

typedef struct token_store token_store;

/* `names` of the fields must outlive the store. Ids are below vocab_size. */
POFAC_MUST_USE pofac_status token_store_create(size_t vocab_size, const example_field *fields, size_t n_fields,
                                               const diag_sink *sink, token_store **out);
void token_store_destroy(token_store *s); /* NULL is fine */

/* Values of an example's fields, in the fields' order: values[i], or per token token_values[i][n]. */
typedef struct token_store_values {
    double values[EXAMPLE_MAX_FIELDS];
    const int32_t *token_values[EXAMPLE_MAX_FIELDS];
} token_store_values;

/* Adds an example of at least one token; its types must be 0s, then 1s. POFAC_ERR_RUNTIME when memory is short: the store is then
 * as it was. */
POFAC_MUST_USE pofac_status token_store_add(token_store *s, const encoding *tokens, const token_store_values *values,
                                            const diag_sink *sink);

size_t token_store_size(const token_store *s);     /* examples */
uint64_t token_store_tokens(const token_store *s); /* of all */

/* The examples; of all that were added so far. Lives as the store. */
example_source token_store_source(const token_store *s);

#endif
