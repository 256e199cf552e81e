/* Shards of a corpus; see build_shards.h. */
#include "frontend/driver/build_shards.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "frontend/driver/build_stages.h"
#include "frontend/text/tokenizer_config.h"
#include "ir/support/json_text.h"

/* ---- what it works with ---- */

static pofac_status check_options(const build_shards_options *o, const diag_sink *sink, pair_mode *mode) {
    if (!o->vocab == !o->tokenizer)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "wanted a vocabulary (--vocab FILE) or a model's tokenizer (--tokenizer DIR), and one of them");
    if (!pair_mode_parse(o->mode, mode))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found mode \"%s\", which there is not", o->mode);
    if (o->max_seq_length < PAIR_LEAST_LENGTH || o->max_seq_length > PAIR_MOST_LENGTH)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found a length of %zu tokens, wanted %d to %d", o->max_seq_length,
                          PAIR_LEAST_LENGTH, PAIR_MOST_LENGTH);
    if (!(o->validation_share >= 0 && o->validation_share < 1))
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found a validation share of %g, wanted 0 or more, and less than 1",
                          o->validation_share);
    return POFAC_OK;
}

static pofac_status open_tokenizer(shard_build *b, const diag_sink *sink) {
    const build_shards_options *o = b->options;
    const tokenizer_options settings = {.do_lower_case = o->do_lower_case};
    if (o->vocab) TRY(tokenizer_create(o->vocab, &settings, sink, &b->tokenizer));
    else TRY(tokenizer_load_directory(o->tokenizer, &settings, sink, &b->tokenizer));
    b->token_bytes = token_bytes_for(tokenizer_vocab_size(b->tokenizer));
    return POFAC_OK;
}

static const char *last_part(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n > 0 && path[n - 1] != '/') n--;
    return path + n;
}

/* What the bytes of the shards depend on. Corpora are told by name and size: they may be moved. */
static void put_options(const shard_build *b, strbuf *out) {
    const build_shards_options *o = b->options;
    char hex[33];
    strbuf_puts(out, "{\"corpus\": [");
    for (size_t i = 0; i < o->n_corpora; i++) {
        const char *name = last_part(o->corpora[i]);
        if (i) strbuf_puts(out, ", ");
        strbuf_put_json(out, name, strlen(name));
    }
    strbuf_printf(out, "], \"corpus_bytes\": %" PRIu64 ", \"kind\": ", corpus_total_bytes(b->corpus));
    const char *kind = o->kind ? o->kind : "auto";
    strbuf_put_json(out, kind, strlen(kind));
    hash_to_hex(shard_vocabulary_hash(b->tokenizer), hex);
    strbuf_printf(out, ", \"mode\": \"%s\", \"max_seq_length\": %zu, \"seed\": %" PRIu64 ", \"validation_share\": ", o->mode,
                  o->max_seq_length, o->seed);
    json_put_real(o->validation_share, out);
    strbuf_printf(out, ", \"shard_tokens\": %" PRIu64 ", \"vocab_size\": %zu, \"vocabulary\": \"%s\"}", o->shard_tokens,
                  tokenizer_vocab_size(b->tokenizer), hex);
}

/* Reads the manifest of the build that shall go on, if there is one, or begins a new one. */
static pofac_status begin_manifest(shard_build *b, bool found, const diag_sink *sink) {
    const char *dir = b->options->output_dir;
    strbuf options = STRBUF_INIT;
    put_options(b, &options);
    pofac_status status = strbuf_ok(&options) ? POFAC_OK : diag_out_of_memory(sink);
    if (status == POFAC_OK && found) {
        status = shard_manifest_read(dir, sink, &b->manifest);
        if (status == POFAC_OK) status = shard_manifest_compare(dir, &b->manifest, strbuf_str(&options), sink);
    }
    if (status != POFAC_OK) {
        strbuf_free(&options);
        return status;
    }
    strbuf_free(&b->manifest.options);
    b->manifest.options = options;
    if (!found) return shard_manifest_write(dir, &b->manifest, sink);
    return shard_directory_clean(dir, &b->manifest, sink);
}

/* ---- the stages ---- */

/* Pairs take their second segment from other documents of the same split. */
static pofac_status check_documents(const shard_build *b, const diag_sink *sink) {
    const uint64_t n = b->manifest.n_documents, held_out = held_out_documents(b), n_train = n - held_out;
    if (n == 0) return diag_error(sink, POFAC_ERR_INPUT, NULL, "found no document with text in the corpus");
    if (b->mode != PAIR_MODE_segment_pair_nsp) return POFAC_OK;
    if (n < PAIR_FEWEST_DOCUMENTS)
        return diag_error(sink, POFAC_ERR_INPUT, NULL,
                          "found %" PRIu64
                          " document%s with text, wanted at least %d: half of all pairs take a segment of another document",
                          n, n == 1 ? "" : "s", PAIR_FEWEST_DOCUMENTS);
    if (n_train < PAIR_FEWEST_DOCUMENTS)
        return diag_error(sink, POFAC_ERR_INPUT, NULL,
                          "found %" PRIu64 " documents for training beside %" PRIu64 " for validation, wanted at least %d", n_train,
                          held_out, PAIR_FEWEST_DOCUMENTS);
    if (held_out > 0 && held_out < PAIR_FEWEST_DOCUMENTS)
        diag_warning(sink, NULL,
                     "only %" PRIu64 " document%s held out for validation: pairs take their random segments from these alone",
                     held_out, held_out == 1 ? " is" : "s are");
    return POFAC_OK;
}

static pofac_status finish(shard_build *b, const diag_sink *sink) {
    shard_manifest *m = &b->manifest;
    m->is_complete = true;
    m->spools.size = 0;
    TRY(shard_manifest_write(b->options->output_dir, m, sink));
    return shard_directory_clean(b->options->output_dir, m, sink);
}

static pofac_status run_stages(shard_build *b, const diag_sink *sink) {
    if (b->manifest.is_complete) return POFAC_OK;
    if (!b->manifest.documents_complete) TRY(spool_corpus(b, sink));
    TRY(check_documents(b, sink));
    TRY(make_shards(b, sink));
    return finish(b, sink);
}

static void put_split(const shard_manifest *m, shard_split split, strbuf *out) {
    uint64_t n_shards = 0, documents = 0, examples = 0, random = 0, tokens = 0;
    for (size_t i = 0; i < m->shards.size; i++) {
        const manifest_shard *s = &m->shards.data[i];
        if (s->split != split) continue;
        n_shards++;
        documents += s->n_documents;
        examples += s->n_examples;
        random += s->n_random;
        tokens += s->n_tokens;
    }
    strbuf_printf(out,
                  "\"%s\": {\"shards\": %" PRIu64 ", \"documents\": %" PRIu64 ", \"examples\": %" PRIu64 ", \"random\": %" PRIu64
                  ", \"tokens\": %" PRIu64 "}",
                  shard_split_name(split), n_shards, documents, examples, random, tokens);
}

static double seconds_of(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

/* What this run took, all threads together; more than the files say. */
static void put_cost(double seconds, strbuf *out) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    strbuf_printf(out, ", \"seconds\": %.3f, \"processor_seconds\": %.3f, \"peak_memory_bytes\": %lld", seconds,
                  seconds_of(used.ru_utime) + seconds_of(used.ru_stime), 1024LL * used.ru_maxrss);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void put_result(const shard_build *b, double seconds, strbuf *out) {
    const shard_manifest *m = &b->manifest;
    strbuf_puts(out, "{\"output_dir\": ");
    strbuf_put_json(out, b->options->output_dir, strlen(b->options->output_dir));
    strbuf_printf(out,
                  ", \"mode\": \"%s\", \"documents\": %" PRIu64 ", \"sentences\": %" PRIu64 ", \"tokens\": %" PRIu64
                  ", \"empty_documents\": %" PRIu64 ", ",
                  pair_mode_name(b->mode), m->n_documents, m->n_sentences, m->n_tokens, m->n_empty);
    put_split(m, SHARD_TRAIN, out);
    strbuf_puts(out, ", ");
    put_split(m, SHARD_VALIDATION, out);
    strbuf_puts(out, ", \"corpus\": {");
    const char *separator = "";
#define PUT_COUNT(name, meaning)                                                                                                   \
    strbuf_printf(out, "%s\"" #name "\": %" PRIu64, separator, m->counts.name);                                                    \
    separator = ", ";
    CORPUS_COUNTS(PUT_COUNT)
#undef PUT_COUNT
    strbuf_putc(out, '}');
    put_cost(seconds, out);
    strbuf_puts(out, "}\n");
}

static pofac_status build_in_directory(shard_build *b, const diag_sink *sink) {
    int lock;
    bool found;
    TRY(shard_directory_open(b->options, sink, &lock, &found));
    pofac_status status = begin_manifest(b, found, sink);
    if (status == POFAC_OK) status = run_stages(b, sink);
    close(lock);
    return status;
}

pofac_status build_shards(const build_shards_options *options, const diag_sink *sink, strbuf *result) {
    shard_build b = {.options = options};
    const corpus_options corpus_settings = {.kind = options->kind, .skip_damage = options->skip_damage};
    const double begin = now();
    TRY(check_options(options, sink, &b.mode));
    pofac_status status = open_tokenizer(&b, sink);
    if (status == POFAC_OK) status = corpus_open(options->corpora, options->n_corpora, &corpus_settings, sink, &b.corpus);
    if (status == POFAC_OK) status = thread_pool_create(options->threads, sink, &b.pool);
    if (status == POFAC_OK) status = build_in_directory(&b, sink);
    if (status == POFAC_OK) put_result(&b, now() - begin, result);
    if (status == POFAC_OK && !strbuf_ok(result)) status = diag_out_of_memory(sink);
    shard_manifest_free(&b.manifest);
    if (b.pool) thread_pool_destroy(b.pool);
    corpus_close(b.corpus);
    tokenizer_destroy(b.tokenizer);
    return status;
}
