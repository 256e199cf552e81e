/* Examples as arrays of ids; see token_store.h. */
#include "frontend/data/token_store.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/hash.h"
#include "ir/support/vector.h"

#define NARROW_VOCABULARY 65536u

struct token_store {
    bool is_narrow; /* ids in two bytes */
    size_t n_fields;
    example_field fields[EXAMPLE_MAX_FIELDS];
    VEC(uint16_t) narrow; /* ids of all examples, one after the other */
    VEC(uint32_t) wide;
    VEC(uint64_t) ends;                            /* [examples] where an example's tokens end */
    VEC(uint32_t) second;                          /* [examples] tokens of type 0 */
    VEC(double) values[EXAMPLE_MAX_FIELDS];        /* [examples] */
    VEC(int32_t) token_values[EXAMPLE_MAX_FIELDS]; /* [tokens] */
    size_t max_length;
    uint64_t fingerprint;
};

pofac_status token_store_create(size_t vocab_size, const example_field *fields, size_t n_fields, const diag_sink *sink,
                                token_store **out) {
    token_store *s = calloc(1, sizeof *s);
    *out = s;
    if (!s) return diag_out_of_memory(sink);
    s->is_narrow = vocab_size <= NARROW_VOCABULARY;
    s->n_fields = n_fields;
    for (size_t i = 0; i < n_fields; i++) {
        s->fields[i] = fields[i];
        s->fingerprint = hash_combine(s->fingerprint, hash_bytes(fields[i].name, strlen(fields[i].name)));
    }
    return POFAC_OK;
}

void token_store_destroy(token_store *s) {
    if (!s) return;
    VEC_FREE(&s->narrow);
    VEC_FREE(&s->wide);
    VEC_FREE(&s->ends);
    VEC_FREE(&s->second);
    for (size_t i = 0; i < EXAMPLE_MAX_FIELDS; i++) {
        VEC_FREE(&s->values[i]);
        VEC_FREE(&s->token_values[i]);
    }
    free(s);
}

size_t token_store_size(const token_store *s) { return s->ends.size; }

uint64_t token_store_tokens(const token_store *s) { return s->ends.size ? s->ends.data[s->ends.size - 1] : 0; }

/* Room for one more example in every array, so that adding it cannot stop half-way. */
static bool make_room(token_store *s, size_t tokens, size_t n) {
    bool ok = s->is_narrow ? VEC_RESERVE(&s->narrow, tokens + n) : VEC_RESERVE(&s->wide, tokens + n);
    ok = ok && VEC_RESERVE(&s->ends, s->ends.size + 1) && VEC_RESERVE(&s->second, s->second.size + 1);
    for (size_t i = 0; ok && i < s->n_fields; i++)
        ok = s->fields[i].per_token ? VEC_RESERVE(&s->token_values[i], tokens + n)
                                    : VEC_RESERVE(&s->values[i], s->values[i].size + 1);
    return ok;
}

static void put_values(token_store *s, const token_store_values *values, size_t at, size_t n) {
    for (size_t i = 0; i < s->n_fields; i++) {
        const void *bytes = s->fields[i].per_token ? (const void *)values->token_values[i] : &values->values[i];
        const size_t size = s->fields[i].per_token ? n * sizeof(int32_t) : sizeof(double);
        if (s->fields[i].per_token) memcpy(s->token_values[i].data + at, bytes, size);
        else s->values[i].data[s->values[i].size++] = values->values[i];
        s->fingerprint = hash_combine(s->fingerprint, hash_bytes(bytes, size));
    }
}

pofac_status token_store_add(token_store *s, const encoding *tokens, const token_store_values *values, const diag_sink *sink) {
    const size_t at = (size_t)token_store_tokens(s), n = tokens->size;
    uint32_t second = 0;
    if (!make_room(s, at, n)) return diag_out_of_memory(sink);
    for (size_t i = 0; i < n; i++) {
        const encoding_token *t = &tokens->tokens[i];
        if (s->is_narrow) s->narrow.data[at + i] = (uint16_t)t->id;
        else s->wide.data[at + i] = (uint32_t)t->id;
        second += t->type_id == 0;
    }
    const void *ids = s->is_narrow ? (const void *)(s->narrow.data + at) : s->wide.data + at;
    s->fingerprint = hash_combine(s->fingerprint, hash_bytes(ids, n * (s->is_narrow ? sizeof(uint16_t) : sizeof(uint32_t))));
    s->fingerprint = hash_combine(s->fingerprint, second);
    put_values(s, values, at, n);
    s->second.data[s->second.size++] = second;
    s->ends.data[s->ends.size++] = at + n;
    if (n > s->max_length) s->max_length = n;
    return POFAC_OK;
}

/* ---- as a source ---- */

static size_t begin_of(const token_store *s, uint64_t i) { return i ? (size_t)s->ends.data[i - 1] : 0; }

static pofac_status measure(void *user, uint64_t i, const diag_sink *sink, size_t *n_tokens) {
    const token_store *s = user;
    (void)sink;
    *n_tokens = (size_t)s->ends.data[i] - begin_of(s, i);
    return POFAC_OK;
}

static pofac_status read_example(void *user, uint64_t epoch, uint64_t i, const diag_sink *sink, example_buffer *out) {
    const token_store *s = user;
    const size_t at = begin_of(s, i), n = (size_t)s->ends.data[i] - at;
    (void)epoch, (void)sink;
    out->n_tokens = n;
    for (size_t k = 0; k < n; k++) {
        out->ids[k] = s->is_narrow ? s->narrow.data[at + k] : (int32_t)s->wide.data[at + k];
        out->types[k] = k >= s->second.data[i];
    }
    for (size_t f = 0; f < s->n_fields; f++) {
        if (s->fields[f].per_token) memcpy(out->token_values[f], s->token_values[f].data + at, n * sizeof(int32_t));
        else out->values[f] = s->values[f].data[i];
    }
    return POFAC_OK;
}

example_source token_store_source(const token_store *s) {
    example_source out = {.n_examples = s->ends.size,
                          .fingerprint = s->fingerprint,
                          .max_length = s->max_length ? s->max_length : 1,
                          .n_fields = s->n_fields,
                          .measure = measure,
                          .read = read_example,
                          .user = (void *)s};
    memcpy(out.fields, s->fields, sizeof out.fields);
    return out;
}
