/*
 * A corpus -> spools of tokenized documents; see build_shards.h. Parts of the corpus are the jobs: read, cut into sentences and tokenized by any thread, and put
 * behind each other in the corpus's order. A spool ends with the part that reaches the size of a shard; then the manifest counts it.
 */
#include <stdlib.h>

#include "frontend/data/document_spool.h"
#include "frontend/data/sentences.h"
#include "frontend/driver/build_stages.h"
#include "frontend/driver/corpus_job.h"
#include "frontend/driver/ordered_work.h"

#define KEPT_ENCODING_TOKENS ((size_t)1 << 16) /* longer sentences give their memory back */

typedef struct document_job {
    corpus_job from;
    document_list documents;
    uint64_t n_empty;
} document_job;

typedef struct spool_worker {
    sentence_splitter *splitter;
    encoding encoding;
} spool_worker;

typedef struct spool_stage {
    shard_build *build;
    spool_worker *workers;
    document_list open; /* the spool in the making, and what its parts add to the manifest */
    uint64_t open_parts, open_empty;
    corpus_counts open_counts;
} spool_stage;

/* ---- one part ---- */

/* A document that is being read: where its sentences go. */
typedef struct reading {
    const spool_stage *stage;
    spool_worker *worker;
    document_job *job;
    const char *text;
    const diag_sink *sink;
} reading;

static pofac_status take_sentence(void *user, size_t begin, size_t end) {
    const reading *r = user;
    const shard_build *b = r->stage->build;
    encoding *e = &r->worker->encoding;
    TRY(tokenizer_encode(b->tokenizer, r->text + begin, end - begin, r->sink, e));
    for (size_t i = 0; i < e->size; i++)
        if (!document_list_add_token(&r->job->documents, b->token_bytes, e->tokens[i].id)) return diag_out_of_memory(r->sink);
    const bool is_added = document_list_add_sentence(&r->job->documents, e->size);
    if (e->capacity > KEPT_ENCODING_TOKENS) encoding_free(e);
    return is_added ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status take_document(void *user, const corpus_document *d) {
    reading *r = user;
    document_list *list = &r->job->documents;
    r->text = d->text;
    if (!document_list_begin(list, r->stage->build->token_bytes)) return diag_out_of_memory(r->sink);
    TRY(sentences_split(r->worker->splitter, d->text, d->text_bytes, r->sink, take_sentence, r));
    r->job->n_empty += !document_list_end(list);
    return POFAC_OK;
}

static pofac_status read_part(void *user, size_t worker, void *job, const diag_sink *sink) {
    spool_stage *s = user;
    document_job *j = job;
    reading r = {.stage = s, .worker = &s->workers[worker], .job = j, .sink = sink};
    return corpus_job_read(&j->from, take_document, &r, sink);
}

static pofac_status take_part(void *user, const diag_sink *sink, void **job) {
    const spool_stage *s = user;
    return corpus_job_take(s->build->corpus, sizeof(document_job), sink, job);
}

static void drop_part(void *user, void *job) {
    document_job *j = job;
    (void)user;
    corpus_part_destroy(j->from.part);
    document_list_free(&j->documents);
    free(j);
}

/* ---- spools ---- */

static pofac_status write_spool(spool_stage *s, const diag_sink *sink) {
    shard_build *b = s->build;
    shard_manifest *m = &b->manifest;
    strbuf path = STRBUF_INIT;
    shard_manifest_put_spool_path(b->options->output_dir, m->spools.size, &path);
    pofac_status status = strbuf_ok(&path) ? document_spool_write(strbuf_str(&path), b->token_bytes, m->n_documents, &s->open, sink)
                                           : diag_out_of_memory(sink);
    strbuf_free(&path);
    if (status == POFAC_OK && !VEC_PUSH(&m->spools, s->open.begins.size)) status = diag_out_of_memory(sink);
    return status;
}

/* Writes what the last parts gave, if there is something, and counts it. */
static pofac_status end_spool(spool_stage *s, const diag_sink *sink) {
    shard_build *b = s->build;
    shard_manifest *m = &b->manifest;
    if (s->open.begins.size) TRY(write_spool(s, sink));
    m->parts += s->open_parts;
    m->n_documents += s->open.begins.size;
    m->n_sentences += s->open.lengths.size;
    m->n_tokens += s->open.tokens.size / b->token_bytes;
    m->n_empty += s->open_empty;
    corpus_counts_add(&m->counts, &s->open_counts);
    document_list_clear(&s->open);
    s->open_parts = s->open_empty = 0;
    s->open_counts = (corpus_counts){0};
    return shard_manifest_write(b->options->output_dir, m, sink);
}

static void show_progress(const spool_stage *s) {
    const shard_build *b = s->build;
    const uint64_t total = corpus_total_bytes(b->corpus);
    if (!b->options->progress) return;
    b->options->progress(b->options->progress_user, "documents", b->manifest.n_documents + s->open.begins.size,
                         total ? (double)corpus_done_bytes(b->corpus) / (double)total : -1.0);
}

static pofac_status give_part(void *user, void *job, const diag_sink *sink) {
    spool_stage *s = user;
    const document_job *j = job;
    if (!document_list_append(&s->open, &j->documents, s->build->token_bytes)) return diag_out_of_memory(sink);
    s->open_parts++;
    s->open_empty += j->n_empty;
    corpus_counts_add(&s->open_counts, &j->from.counts);
    show_progress(s);
    return s->open.tokens.size / s->build->token_bytes >= s->build->options->shard_tokens ? end_spool(s, sink) : POFAC_OK;
}

/* Parts that are in spools already. */
static pofac_status skip_parts(spool_stage *s, const diag_sink *sink) {
    const shard_build *b = s->build;
    const diag_place place = {.file = b->options->output_dir};
    for (uint64_t i = 0; i < b->manifest.parts; i++) {
        corpus_part *part;
        if (interruption_check(b->options->stop)) return POFAC_ERR_INTERRUPTED;
        TRY(corpus_next_part(b->corpus, sink, &part));
        if (!part)
            return diag_error(sink, POFAC_ERR_INPUT, &place,
                              "the build has read more of the corpus than there is: it is another corpus");
        corpus_part_destroy(part);
        show_progress(s);
    }
    return POFAC_OK;
}

/* What was read is kept, whatever stopped the reading, unless writing did. */
static pofac_status run_stage(spool_stage *s, const diag_sink *sink) {
    const ordered_work work = {s, take_part, read_part, give_part, drop_part, s->build->options->stop};
    TRY(skip_parts(s, sink));
    pofac_status status = ordered_work_run(s->build->pool, &work, sink);
    if (status == POFAC_ERR_RUNTIME) return status;
    if (status == POFAC_OK) s->build->manifest.documents_complete = true;
    pofac_status written = end_spool(s, sink);
    return status != POFAC_OK ? status : written;
}

pofac_status spool_corpus(shard_build *b, const diag_sink *sink) {
    const size_t threads = thread_pool_threads(b->pool);
    spool_stage s = {.build = b, .workers = calloc(threads, sizeof *s.workers)};
    if (!s.workers) return diag_out_of_memory(sink);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < threads; i++)
        status = sentence_splitter_create(NULL, sink, &s.workers[i].splitter);
    if (status == POFAC_OK) status = run_stage(&s, sink);
    for (size_t i = 0; i < threads; i++) {
        sentence_splitter_destroy(s.workers[i].splitter);
        encoding_free(&s.workers[i].encoding);
    }
    free(s.workers);
    document_list_free(&s.open);
    return status;
}
