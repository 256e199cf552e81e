/*
 * Examples for pre-training; see segment_pairs.h. Tokens are copied as bytes, so that both widths of ids share the code.
 *
 * Random numbers: Philox under the key (seed, "segment pairs") at the counter (number of the draw within the document, number of the document).
 */
#include "frontend/data/segment_pairs.h"

#include <string.h>

#include "frontend/text/tokenizer.h"
#include "ir/support/rng.h"

#define SHORT_PROBABILITY 0.1 /* short_seq_prob of BERT's create_pretraining_data */
#define RANDOM_PROBABILITY 0.5
#define LEAST_TARGET 2
#define OTHER_DOCUMENT_TRIES 10

typedef struct maker {
    const segment_pairs_options *options;
    const pair_pool *pool;
    size_t index; /* of the document in the pool */
    const pair_document *document;
    rng_key key;
    uint64_t draws;
    pair_example example; /* the one being written */
    pair_list *out;
} maker;

static const struct {
    const char *name, *meaning;
} modes[N_PAIR_MODES] = {
#define PAIR_MODE(id, name, meaning) {name, meaning},
#include "frontend/pair_modes.def"
#undef PAIR_MODE
};

const char *pair_mode_name(pair_mode mode) { return modes[mode].name; }

const char *pair_mode_meaning(pair_mode mode) { return modes[mode].meaning; }

bool pair_mode_parse(const char *name, pair_mode *out) {
    for (int i = 0; i < N_PAIR_MODES; i++) {
        if (strcmp(modes[i].name, name) != 0) continue;
        *out = (pair_mode)i;
        return true;
    }
    return false;
}

void pair_list_free(pair_list *l) {
    VEC_FREE(&l->examples);
    VEC_FREE(&l->tokens);
}

void pair_list_clear(pair_list *l) { l->examples.size = l->tokens.size = 0; }

bool pair_list_append(pair_list *l, const pair_list *more, size_t token_bytes) {
    const uint64_t shift = l->tokens.size / token_bytes;
    if (!VEC_RESERVE(&l->examples, l->examples.size + more->examples.size)) return false;
    if (!VEC_RESERVE(&l->tokens, l->tokens.size + more->tokens.size)) return false;
    for (size_t i = 0; i < more->examples.size; i++) {
        pair_example *e = &l->examples.data[l->examples.size++];
        *e = more->examples.data[i];
        e->begin += shift;
    }
    if (more->tokens.size) memcpy(l->tokens.data + l->tokens.size, more->tokens.data, more->tokens.size);
    l->tokens.size += more->tokens.size;
    return true;
}

void segment_pairs_pool(uint64_t n, uint64_t document, uint64_t *begin, uint64_t *end) {
    uint64_t block = document / PAIR_POOL_DOCUMENTS;
    const uint64_t last = n / PAIR_POOL_DOCUMENTS;
    const bool joined = last > 0 && n % PAIR_POOL_DOCUMENTS < PAIR_FEWEST_DOCUMENTS; /* an empty last block too */
    if (joined && block == last) block--;
    *begin = block * PAIR_POOL_DOCUMENTS;
    *end = *begin + PAIR_POOL_DOCUMENTS;
    if (*end > n || (joined && block + 1 == last)) *end = n;
}

/* ---- random numbers ---- */

static uint64_t draw(maker *m) {
    const rng_block b = rng_philox(m->key, m->draws++, m->pool->first + m->index);
    return (uint64_t)b.word[0] << 32 | b.word[1];
}

/* Uniform in [0, bound). */
static size_t draw_below(maker *m, size_t bound) { return (size_t)(((unsigned __int128)draw(m) * bound) >> 64); }

static bool draw_chance(maker *m, double probability) { return (double)(draw(m) >> 11) * 0x1p-53 < probability; }

/* ---- writing examples ---- */

/* Appends n tokens of a document; memory was reserved by begin_example. */
static void put_tokens(maker *m, const pair_document *d, size_t first, size_t n) {
    const size_t width = m->options->token_bytes;
    memcpy(m->out->tokens.data + m->out->tokens.size, d->tokens + first * width, n * width);
    m->out->tokens.size += n * width;
}

static void put_id(maker *m, int32_t id) {
    const uint16_t narrow = (uint16_t)id;
    const size_t width = m->options->token_bytes;
    memcpy(m->out->tokens.data + m->out->tokens.size, width == 2 ? (const void *)&narrow : (const void *)&id, width);
    m->out->tokens.size += width;
}

/* Makes room for an example of at most S tokens and writes its [CLS]; false when memory is short. */
static bool begin_example(maker *m) {
    const size_t width = m->options->token_bytes;
    pair_list *out = m->out;
    if (!VEC_RESERVE(&out->examples, out->examples.size + 1)) return false;
    if (!VEC_RESERVE(&out->tokens, out->tokens.size + m->options->max_length * width)) return false;
    m->example = (pair_example){.begin = out->tokens.size / width};
    put_id(m, m->options->cls_id);
    return true;
}

static uint16_t length_so_far(const maker *m) {
    return (uint16_t)(m->out->tokens.size / m->options->token_bytes - m->example.begin);
}

/* The [SEP] between A and B. */
static void begin_second(maker *m) {
    put_id(m, m->options->sep_id);
    m->example.second = length_so_far(m);
}

static void end_example(maker *m, pair_label label) {
    put_id(m, m->options->sep_id);
    m->example.n_tokens = length_so_far(m);
    m->example.label = (int8_t)label;
    if (m->example.second == 0) m->example.second = m->example.n_tokens;
    m->out->examples.data[m->out->examples.size++] = m->example;
}

/* ---- segment_pair_nsp ---- */

/* Consecutive sentences: so many tokens of a document from `first` on. */
typedef struct segment {
    const pair_document *document;
    size_t first, n_tokens;
} segment;

static size_t count_tokens(const uint32_t *lengths, size_t n) {
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += lengths[i];
    return sum;
}

static const pair_document *choose_other(maker *m) {
    size_t other = m->index;
    for (int i = 0; i < OTHER_DOCUMENT_TRIES && other == m->index; i++) other = draw_below(m, m->pool->n);
    return &m->pool->documents[other];
}

/* Sentences of another document, from a random one on until they have `wanted` tokens; at least one. */
static segment choose_second(maker *m, size_t wanted) {
    const pair_document *d = choose_other(m);
    const size_t start = draw_below(m, d->n_sentences);
    segment s = {d, count_tokens(d->lengths, start), 0};
    size_t i = start;
    do s.n_tokens += d->lengths[i++];
    while (i < d->n_sentences && s.n_tokens < wanted);
    return s;
}

static bool put_pair(maker *m, segment a, segment b, pair_label label) {
    tokenizer_truncate_longest_first(m->options->max_length - 3, &a.n_tokens, &b.n_tokens);
    if (!begin_example(m)) return false;
    put_tokens(m, a.document, a.first, a.n_tokens);
    begin_second(m);
    put_tokens(m, b.document, b.first, b.n_tokens);
    end_example(m, label);
    return true;
}

/* One example of the sentences [begin, end), which have `n_tokens` tokens and begin at token `first`. Returns how many of them it used; 0 when memory is
 * short. */
static size_t make_pair(maker *m, size_t begin, size_t end, size_t first, size_t n_tokens, size_t target) {
    const pair_document *d = m->document;
    const size_t n = end - begin, n_first = n >= 2 ? 1 + draw_below(m, n - 1) : 1;
    const segment a = {d, first, count_tokens(d->lengths + begin, n_first)};
    if (n == 1 || draw_chance(m, RANDOM_PROBABILITY)) {
        const size_t wanted = target > a.n_tokens ? target - a.n_tokens : 0;
        return put_pair(m, a, choose_second(m, wanted), PAIR_IS_RANDOM) ? n_first : 0;
    }
    const segment b = {d, first + a.n_tokens, n_tokens - a.n_tokens};
    return put_pair(m, a, b, PAIR_IS_NEXT) ? n : 0;
}

static bool examples_segment_pair_nsp(maker *m) {
    const pair_document *d = m->document;
    size_t target = m->options->max_length - 3, first = 0;
    if (draw_chance(m, SHORT_PROBABILITY)) target = LEAST_TARGET + draw_below(m, target - LEAST_TARGET + 1);
    for (size_t begin = 0; begin < d->n_sentences;) {
        size_t end = begin, n_tokens = 0;
        while (end < d->n_sentences && n_tokens < target) n_tokens += d->lengths[end++];
        const size_t used = make_pair(m, begin, end, first, n_tokens, target);
        if (used == 0) return false;
        first += count_tokens(d->lengths + begin, used);
        begin += used;
    }
    return true;
}

/* ---- doc_sentences ---- */

static bool examples_doc_sentences(maker *m) {
    const pair_document *d = m->document;
    const size_t most = m->options->max_length - 2;
    for (size_t i = 0, first = 0; i < d->n_sentences;) {
        size_t n_tokens = d->lengths[i] < most ? d->lengths[i] : most;
        if (!begin_example(m)) return false;
        put_tokens(m, d, first, n_tokens);
        first += d->lengths[i++];
        for (; i < d->n_sentences && n_tokens + 1 + d->lengths[i] <= most; i++) {
            put_id(m, m->options->sep_id);
            put_tokens(m, d, first, d->lengths[i]);
            n_tokens += 1 + d->lengths[i];
            first += d->lengths[i];
        }
        end_example(m, PAIR_NO_LABEL);
    }
    return true;
}

/* ---- concatenate ---- */

/* Writes the piece of the running text that begins at token `at` of documents[i], where the [SEP] between two documents counts as one of the first. */
static bool put_piece(maker *m, size_t i, size_t at) {
    size_t room = m->options->max_length - 2;
    if (!begin_example(m)) return false;
    for (; room > 0 && i < m->pool->n; i++, at = 0) {
        const pair_document *d = &m->pool->documents[i];
        const size_t left = d->n_tokens - at, n = left < room ? left : room;
        put_tokens(m, d, at, n);
        room -= n;
        if (room == 0 || i + 1 == m->pool->n) break;
        put_id(m, m->options->sep_id);
        room--;
    }
    end_example(m, PAIR_NO_LABEL);
    return true;
}

/* The pieces that begin in this document: those at multiples of S - 2 of the pool's text. */
static bool examples_concatenate(maker *m) {
    const size_t piece = m->options->max_length - 2;
    const bool is_last = m->index + 1 == m->pool->n;
    const size_t n = m->document->n_tokens + (is_last ? 0 : 1);
    uint64_t before = 0;
    for (size_t i = 0; i < m->index; i++) before += m->pool->documents[i].n_tokens + 1;
    for (size_t at = (size_t)((piece - before % piece) % piece); at < n; at += piece)
        if (!put_piece(m, m->index, at)) return false;
    return true;
}

pofac_status segment_pairs_make(const segment_pairs_options *options, const pair_pool *pool, size_t index, const diag_sink *sink,
                                pair_list *out) {
    static bool (*const make[N_PAIR_MODES])(maker *) = {
#define PAIR_MODE(id, name, meaning) examples_##id,
#include "frontend/pair_modes.def"
#undef PAIR_MODE
    };
    maker m = {.options = options,
               .pool = pool,
               .index = index,
               .document = &pool->documents[index],
               .key = rng_key_make(options->seed, "segment pairs"),
               .out = out};
    return make[options->mode](&m) ? POFAC_OK : diag_out_of_memory(sink);
}
