/*
 * Added tokens from the files that the reference has written them to over the years.
 */
#ifndef POFAC_FRONTEND_TEXT_ADDED_TOKENS_JSON_H
#define POFAC_FRONTEND_TEXT_ADDED_TOKENS_JSON_H

#include "frontend/text/tokenizer_reader.h"

/* In the order in which they are to be read: a later one decides how a token is found that an earlier one has too. */
typedef enum token_file {
    TOKEN_FILE_ADDED,     /* added_tokens.json: {"<e>": 30522, ...} */
    TOKEN_FILE_TOKENIZER, /* tokenizer.json: "added_tokens": [{"id": 30522, "content": "<e>", "special": false, ...}, ...] */
    TOKEN_FILE_SPECIALS,  /* special_tokens_map.json: "additional_special_tokens": ["<e>", ...] */
    TOKEN_FILE_CONFIG,    /* tokenizer_config.json: "added_tokens_decoder": {"30522": {"content": "<e>", ...}, ...}, and the like of
                             special_tokens_map.json */
    N_TOKEN_FILES
} token_file;

/* Adds the tokens of `root`, the content of a file of that kind, to `t`. Errors as tokenizer_add, and POFAC_ERR_INPUT for values of the
 * wrong type. */
POFAC_MUST_USE pofac_status added_tokens_read(tokenizer_reader *r, token_file file, struct json_t *root, tokenizer *t);

#endif
