/* Orders of examples and their cuts; see batch_order.h. */
#include "frontend/data/batch_order.h"

#include <string.h>

#include "frontend/data/shuffled_index.h"

#define CHUNK_BATCHES 50u     /* mega_batch_mult of Hugging Face's get_length_grouped_indices */
#define FEWEST_CHUNKS 4u      /* there, data are cut into at least so many */
#define CHUNK_EXAMPLES 8192u  /* where the budget alone cuts: 50 batches of 4,000 tokens of GLUE's sentences */
#define CHUNK_MOST 65536u     /* examples that 50 batches may have; larger ones make fewer */
#define BATCH_MOST (1u << 20) /* sequences */

pofac_status batch_order_check(const batch_order_options *o, const example_source *s, const diag_sink *sink) {
    if (o->batch_size == 0 && o->token_budget == 0)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found neither a batch size nor a token budget, wanted one of them");
    if (o->batch_size > BATCH_MOST)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "batch size: found %llu, wanted at most %u",
                          (unsigned long long)o->batch_size, BATCH_MOST);
    if (o->fixed_length > 0 && o->form == BATCH_PADDED && s->max_length > o->fixed_length)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found examples of up to %zu tokens, wanted at most %llu, the fixed length",
                          s->max_length, (unsigned long long)o->fixed_length);
    const uint64_t longest = o->fixed_length > 0 && o->form == BATCH_PADDED ? o->fixed_length : s->max_length;
    if (o->token_budget > 0 && longest > o->token_budget)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "token budget: found %llu, wanted at least %llu, the longest sequence",
                          (unsigned long long)o->token_budget, (unsigned long long)longest);
    return POFAC_OK;
}

/* Examples of each chunk but the last. */
static uint64_t chunk_examples(const batch_order_options *o, uint64_t n) {
    if (o->batch_size == 0) {
        uint64_t part = n / FEWEST_CHUNKS;
        return part == 0 ? 1 : part < CHUNK_EXAMPLES ? part : CHUNK_EXAMPLES;
    }
    uint64_t batches = n / FEWEST_CHUNKS / o->batch_size;
    if (batches == 0) batches = 1;
    if (batches > CHUNK_BATCHES) batches = CHUNK_BATCHES;
    if (batches > 1 && batches * o->batch_size > CHUNK_MOST) batches = CHUNK_MOST > o->batch_size ? CHUNK_MOST / o->batch_size : 1;
    return o->batch_size > n ? n : batches * o->batch_size;
}

uint64_t batch_order_chunks(const batch_order_options *o, uint64_t n_examples) {
    if (n_examples == 0) return 0;
    const uint64_t size = chunk_examples(o, n_examples);
    return (n_examples - 1) / size + 1;
}

void batch_chunk_free(batch_chunk *c) {
    VEC_FREE(&c->examples);
    VEC_FREE(&c->scratch);
    VEC_FREE(&c->batches);
}

/* Merge sort, longest first; of equal lengths the first stays first. */
static void sort_by_length(ordered_example *e, ordered_example *scratch, size_t n) {
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = from + width < n ? from + width : n, end = from + 2 * width < n ? from + 2 * width : n;
            size_t i = from, j = middle;
            for (size_t k = from; k < end; k++)
                scratch[k] = j >= end || (i < middle && e[i].n_tokens >= e[j].n_tokens) ? e[i++] : e[j++];
        }
        memcpy(e, scratch, n * sizeof *e);
    }
}

/* Does a batch of n examples, of which the longest has `longest` tokens and all have `tokens`, keep the bounds? */
static bool fits(const batch_order_options *o, uint64_t n, uint64_t longest, uint64_t tokens) {
    if (o->batch_size > 0 && n > o->batch_size) return false;
    if (o->token_budget == 0) return true;
    if (o->form == BATCH_PACKED) return tokens <= o->token_budget;
    const uint64_t length = o->fixed_length > 0 ? o->fixed_length : longest;
    return length == 0 || n <= o->token_budget / length;
}

static bool cut(batch_chunk *c, const batch_order_options *o) {
    size_t first = 0;
    uint64_t longest = 0, tokens = 0;
    for (size_t i = 0; i < c->examples.size; i++) {
        const uint64_t length = c->examples.data[i].n_tokens, most = length > longest ? length : longest;
        if (i > first && !fits(o, i - first + 1, most, tokens + length)) {
            if (!VEC_PUSH(&c->batches, ((batch_range){first, i - first}))) return false;
            first = i;
            longest = tokens = 0;
        }
        longest = length > longest ? length : longest;
        tokens += length;
    }
    return VEC_PUSH(&c->batches, ((batch_range){first, c->examples.size - first}));
}

/* Fisher and Yates: batches in a random order. */
static void shuffle_batches(batch_chunk *c, uint64_t seed) {
    const rng_key key = rng_key_make(seed, "order of batches");
    for (size_t i = c->batches.size; i > 1; i--) {
        const rng_block b = rng_philox(key, c->chunk << 20 | i, c->epoch);
        const size_t j = (size_t)(((uint64_t)b.word[0] * i) >> 32);
        const batch_range swapped = c->batches.data[i - 1];
        c->batches.data[i - 1] = c->batches.data[j];
        c->batches.data[j] = swapped;
    }
}

static pofac_status gather(batch_chunk *c, const batch_order_options *o, const example_source *s, const diag_sink *sink) {
    const uint64_t size = chunk_examples(o, s->n_examples), first = c->chunk * size;
    const uint64_t n = s->n_examples - first < size ? s->n_examples - first : size;
    const shuffled_index order = shuffled_index_make(o->seed, c->epoch, s->n_examples);
    c->examples.size = c->batches.size = 0;
    if (!VEC_RESERVE(&c->examples, n) || !VEC_RESERVE(&c->scratch, n)) return diag_out_of_memory(sink);
    for (uint64_t i = 0; i < n; i++) {
        ordered_example *e = &c->examples.data[i];
        e->number = o->arrangement == BATCH_IN_ORDER ? first + i : shuffled_index_at(&order, first + i);
        TRY(s->measure(s->user, e->number, sink, &e->n_tokens));
    }
    c->examples.size = n;
    return POFAC_OK;
}

pofac_status batch_chunk_make(batch_chunk *c, const batch_order_options *o, const example_source *s, uint64_t epoch, uint64_t chunk,
                              const diag_sink *sink) {
    if (c->is_there && c->epoch == epoch && c->chunk == chunk) return POFAC_OK;
    c->is_there = false;
    c->epoch = epoch;
    c->chunk = chunk;
    TRY(gather(c, o, s, sink));
    if (o->arrangement == BATCH_BY_LENGTH) sort_by_length(c->examples.data, c->scratch.data, c->examples.size);
    if (!cut(c, o)) return diag_out_of_memory(sink);
    if (o->arrangement == BATCH_BY_LENGTH) shuffle_batches(c, o->seed);
    c->is_there = true;
    return POFAC_OK;
}
