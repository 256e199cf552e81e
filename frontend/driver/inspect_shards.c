/* Looking into shards; see inspect_shards.h. */
#include "frontend/driver/inspect_shards.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/shard_set.h"
#include "frontend/data/token_masking.h"
#include "frontend/text/tokenizer_config.h"
#include "ir/support/json_text.h"

#define HISTOGRAM_PARTS 8
#define LOOK_AT_SIGNALS 65536 /* examples between two looks */

typedef struct opened {
    shard_set *set;
    tokenizer *tokenizer; /* NULL: no text */
} opened;

static void close_opened(opened *o) {
    shard_set_close(o->set);
    tokenizer_destroy(o->tokenizer);
}

static pofac_status check_vocabulary(const char *path, const opened *o, const diag_sink *sink) {
    const diag_place place = {.file = path};
    const hash128 found = shard_vocabulary_hash(o->tokenizer), wanted = shard_set_info(o->set)->vocabulary;
    if (shard_set_shards(o->set) == 0 || (found.low == wanted.low && found.high == wanted.high)) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, &place,
                      "the shards were made with another vocabulary, or with another treatment of case and accents");
}

static pofac_status open_all(const char *path, const inspect_shards_options *options, const diag_sink *sink, opened *out) {
    const tokenizer_options settings = {.do_lower_case = options->do_lower_case};
    shard_split split;
    *out = (opened){NULL, NULL};
    if (!shard_split_parse(options->split, &split))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found split \"%s\", wanted train or validation", options->split);
    if (options->vocab && options->tokenizer)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found --vocab and --tokenizer, wanted one of them");
    pofac_status status = shard_set_open(path, split, sink, &out->set);
    if (status == POFAC_OK && options->vocab) status = tokenizer_create(options->vocab, &settings, sink, &out->tokenizer);
    if (status == POFAC_OK && options->tokenizer)
        status = tokenizer_load_directory(options->tokenizer, &settings, sink, &out->tokenizer);
    if (status == POFAC_OK && out->tokenizer) status = check_vocabulary(path, out, sink);
    if (status != POFAC_OK) close_opened(out);
    return status;
}

/* ---- all examples ---- */

typedef struct shard_statistics {
    uint64_t documents, examples, tokens, labels[3] /* none, next, random */, histogram[HISTOGRAM_PARTS];
    size_t shortest, longest;
    size_t vocab_size;
    uint64_t *tokens_of; /* [vocab_size] tokens of text, without [CLS] and [SEP] */
    int32_t *ids;        /* [max_length] of the example at hand */
} shard_statistics;

static pofac_status begin_statistics(const shard_info *info, const diag_sink *sink, shard_statistics *t) {
    *t = (shard_statistics){.vocab_size = info->vocab_size};
    t->tokens_of = calloc(t->vocab_size + 1, sizeof *t->tokens_of);
    t->ids = calloc(info->max_length + 1, sizeof *t->ids);
    return t->tokens_of && t->ids ? POFAC_OK : diag_out_of_memory(sink);
}

static void free_statistics(shard_statistics *t) {
    free(t->tokens_of);
    free(t->ids);
}

static void count_text(shard_statistics *t, const shard_example *e) {
    for (size_t i = 1; i + 1 < e->n_tokens; i++)
        if (i + 1 != e->second && (size_t)t->ids[i] < t->vocab_size) t->tokens_of[t->ids[i]]++;
}

/* Of the distribution of single tokens, in nats: the loss of a model that knows how frequent tokens are, and nothing else. */
static double unigram_entropy(const shard_statistics *t) {
    double n = 0, sum = 0;
    for (size_t i = 0; i < t->vocab_size; i++) n += (double)t->tokens_of[i];
    for (size_t i = 0; i < t->vocab_size; i++)
        if (t->tokens_of[i]) sum += (double)t->tokens_of[i] * log(n / (double)t->tokens_of[i]);
    return n > 0 ? sum / n : 0.0;
}

static size_t part_of(size_t length, size_t max_length) { return (length - 1) * HISTOGRAM_PARTS / max_length; }

static pofac_status look_at_shard(const shard *s, interruption *stop, const diag_sink *sink, shard_statistics *t) {
    const shard_info *info = shard_get_info(s);
    TRY(shard_check(s, sink));
    t->documents += info->n_documents;
    t->examples += info->n_examples;
    for (uint64_t i = 0; i < info->n_examples; i++) {
        shard_example e;
        if (i % LOOK_AT_SIGNALS == 0 && interruption_check(stop)) return POFAC_ERR_INTERRUPTED;
        TRY(shard_read(s, i, sink, t->ids, &e));
        count_text(t, &e);
        t->tokens += e.n_tokens;
        t->labels[e.label + 1]++;
        t->histogram[part_of(e.n_tokens, info->max_length)]++;
        if (e.n_tokens > t->longest) t->longest = e.n_tokens;
        if (t->shortest == 0 || e.n_tokens < t->shortest) t->shortest = e.n_tokens;
    }
    return POFAC_OK;
}

static void put_share(const char *name, double part, double whole, strbuf *out) {
    strbuf_printf(out, "\"%s\": ", name);
    json_put_real(whole > 0 ? part / whole : 0.0, out);
}

static void put_info(const char *path, const opened *o, strbuf *out) {
    const shard_info *info = shard_set_info(o->set);
    char hex[33];
    hash_to_hex(info->vocabulary, hex);
    strbuf_puts(out, "{\"path\": ");
    strbuf_put_json(out, path, strlen(path));
    strbuf_printf(out,
                  ", \"split\": \"%s\", \"mode\": \"%s\", \"seed\": %" PRIu64 ", \"max_length\": %" PRIu32
                  ", \"vocab_size\": %" PRIu32 ", \"vocabulary\": \"%s\", \"shards\": %zu",
                  shard_split_name((shard_split)info->split), pair_mode_name((pair_mode)info->mode), info->seed, info->max_length,
                  info->vocab_size, hex, shard_set_shards(o->set));
}

static void put_statistics(const shard_statistics *t, size_t max_length, strbuf *out) {
    strbuf_printf(out,
                  ", \"documents\": %" PRIu64 ", \"examples\": %" PRIu64 ", \"tokens\": %" PRIu64
                  ", \"labels\": {\"next\": %" PRIu64 ", \"random\": %" PRIu64 ", \"none\": %" PRIu64 "}, ",
                  t->documents, t->examples, t->tokens, t->labels[1], t->labels[2], t->labels[0]);
    put_share("random_share", (double)t->labels[2], (double)(t->labels[1] + t->labels[2]), out);
    strbuf_puts(out, ", \"unigram_entropy\": ");
    json_put_real(unigram_entropy(t), out);
    strbuf_puts(out, ", \"lengths\": {");
    put_share("mean", (double)t->tokens, (double)t->examples, out);
    strbuf_printf(out, ", \"shortest\": %zu, \"longest\": %zu, \"histogram\": [", t->shortest, t->longest);
    for (size_t i = 0, from = 1; max_length && i < HISTOGRAM_PARTS; i++) {
        size_t to = from;
        while (to < max_length && part_of(to + 1, max_length) == i) to++;
        if (part_of(from, max_length) != i) continue; /* fewer lengths than parts */
        strbuf_printf(out, "%s{\"from\": %zu, \"to\": %zu, \"examples\": %" PRIu64 "}", i ? ", " : "", from, to, t->histogram[i]);
        from = to + 1;
    }
    strbuf_puts(out, "]}}\n");
}

pofac_status inspect_shards(const char *path, const inspect_shards_options *options, const diag_sink *sink, strbuf *out) {
    opened o;
    shard_statistics t;
    TRY(open_all(path, options, sink, &o));
    pofac_status status = begin_statistics(shard_set_info(o.set), sink, &t);
    for (size_t i = 0; status == POFAC_OK && i < shard_set_shards(o.set); i++)
        status = look_at_shard(shard_set_shard(o.set, i), options->stop, sink, &t);
    if (status == POFAC_OK) {
        put_info(path, &o, out);
        put_statistics(&t, shard_set_info(o.set)->max_length, out);
        if (!strbuf_ok(out)) status = diag_out_of_memory(sink);
    }
    free_statistics(&t);
    close_opened(&o);
    return status;
}

/* ---- one example ---- */

static void put_ids(const int32_t *ids, size_t n, strbuf *out) {
    strbuf_puts(out, ", \"ids\": [");
    for (size_t i = 0; i < n; i++) strbuf_printf(out, "%s%" PRId32, i ? ", " : "", ids[i]);
    strbuf_putc(out, ']');
}

static void put_tokens(const tokenizer *t, const int32_t *ids, size_t n, strbuf *out) {
    strbuf_puts(out, ", \"tokens\": [");
    for (size_t i = 0; i < n; i++) {
        const char *token = tokenizer_token(t, ids[i]);
        if (i) strbuf_puts(out, ", ");
        strbuf_put_json(out, token, strlen(token));
    }
    strbuf_putc(out, ']');
}

/* The text of ids[begin .. end), whose first and last special tokens are left out by the caller. */
static void put_text(const tokenizer *t, const char *name, const int32_t *ids, size_t begin, size_t end, strbuf *out) {
    strbuf text = STRBUF_INIT;
    if (begin < end) tokenizer_decode(t, ids + begin, end - begin, TOKENIZER_KEEP_SPECIALS, &text);
    strbuf_printf(out, ", \"%s\": ", name);
    strbuf_put_json(out, strbuf_str(&text), text.size);
    if (!strbuf_ok(&text)) out->failed = true;
    strbuf_free(&text);
}

static void put_labels(const int32_t *labels, size_t n, strbuf *out) {
    const char *separator = "";
    strbuf_puts(out, ", \"labels\": {");
    for (size_t i = 0; i < n; i++) {
        if (labels[i] == MASKING_NO_LABEL) continue;
        strbuf_printf(out, "%s\"%zu\": %" PRId32, separator, i, labels[i]);
        separator = ", ";
    }
    strbuf_putc(out, '}');
}

static pofac_status mask_example(const opened *o, uint64_t example, const inspect_shards_options *options, const diag_sink *sink,
                                 int32_t *ids, int32_t *labels, size_t n) {
    const masking_options settings = {.seed = options->mask_seed, .unit = options->whole_words ? MASK_WHOLE_WORDS : MASK_TOKENS};
    token_masking *m;
    if (!o->tokenizer)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "masking needs the vocabulary: --vocab FILE or --tokenizer DIR");
    TRY(token_masking_create(o->tokenizer, &settings, sink, &m));
    token_masking_apply(m, options->epoch, example, ids, labels, n);
    token_masking_destroy(m);
    return POFAC_OK;
}

static pofac_status put_example(const opened *o, uint64_t example, const inspect_shards_options *options, const diag_sink *sink,
                                int32_t *ids, int32_t *labels, strbuf *out) {
    static const char *const names[3] = {"null", "\"next\"", "\"random\""};
    shard_example e;
    TRY(shard_set_read(o->set, example, sink, ids, &e));
    if (options->masked) TRY(mask_example(o, example, options, sink, ids, labels, e.n_tokens));
    strbuf_printf(out, "{\"example\": %" PRIu64 ", \"label\": %s, \"n_tokens\": %zu, \"second\": %zu", example, names[e.label + 1],
                  e.n_tokens, e.second);
    put_ids(ids, e.n_tokens, out);
    if (o->tokenizer) {
        put_tokens(o->tokenizer, ids, e.n_tokens, out);
        put_text(o->tokenizer, "text_a", ids, 1, e.second - 1, out);
        if (e.second < e.n_tokens) put_text(o->tokenizer, "text_b", ids, e.second, e.n_tokens - 1, out);
    }
    if (options->masked) put_labels(labels, e.n_tokens, out);
    strbuf_puts(out, "}\n");
    return strbuf_ok(out) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status inspect_shards_example(const char *path, uint64_t example, const inspect_shards_options *options,
                                    const diag_sink *sink, strbuf *out) {
    opened o;
    TRY(open_all(path, options, sink, &o));
    const diag_place place = {.file = path};
    const size_t n = shard_set_info(o.set)->max_length;
    int32_t *ids = calloc(2 * n + 1, sizeof *ids);
    pofac_status status;
    if (!ids) status = diag_out_of_memory(sink);
    else if (example >= shard_set_size(o.set))
        status = diag_error(sink, POFAC_ERR_USAGE, &place, "found %" PRIu64 " examples, wanted example %" PRIu64 " (from 0)",
                            shard_set_size(o.set), example);
    else status = put_example(&o, example, options, sink, ids, ids + n, out);
    free(ids);
    close_opened(&o);
    return status;
}
