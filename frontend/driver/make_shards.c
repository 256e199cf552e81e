/*
 * Spools of documents -> shards of examples; see build_shards.h. First the held-out documents, then the others. A job is a row of documents of one pool and one
 * split, with JOB_TOKENS or little more; shards end where jobs do, so the jobs behind a finished shard are the same whether the build was interrupted or not.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "frontend/data/document_spool.h"
#include "frontend/driver/build_stages.h"
#include "frontend/driver/ordered_work.h"
#include "ir/support/arena.h"

#define JOB_TOKENS ((uint64_t)1 << 18) /* some milliseconds of work, a few hundred documents of Wikipedia */

/* Documents of one split. */
typedef struct document_range {
    shard_split split;
    uint64_t begin, end;
} document_range;

typedef struct example_job {
    document_range range; /* of its split */
    uint64_t begin, end;
    pair_list examples;
} example_job;

/* The pool that a thread looked at last. */
typedef struct pool_view {
    VEC(pair_document) documents;
    uint64_t begin, end;
} pool_view;

typedef struct shard_stage {
    shard_build *build;
    segment_pairs_options pairs;
    document_spools *spools;
    uint64_t n_held_out, n_documents;
    uint64_t next; /* document to take */
    pool_view *views;
    pair_list open; /* the shard in the making: examples of documents from open_begin on */
    uint64_t open_begin;
    uint64_t n_examples;
} shard_stage;

uint64_t held_out_documents(const shard_build *b) {
    return (uint64_t)nearbyint(b->options->validation_share * (double)b->manifest.n_documents);
}

/* The split that document i is in. */
static document_range find_range(const shard_stage *s, uint64_t i) {
    if (i < s->n_held_out) return (document_range){SHARD_VALIDATION, 0, s->n_held_out};
    return (document_range){SHARD_TRAIN, s->n_held_out, s->n_documents};
}

static void find_pool(document_range r, uint64_t document, uint64_t *begin, uint64_t *end) {
    segment_pairs_pool(r.end - r.begin, document - r.begin, begin, end);
    *begin += r.begin;
    *end += r.begin;
}

/* ---- jobs ---- */

static pofac_status take_documents(void *user, const diag_sink *sink, void **job) {
    shard_stage *s = user;
    if (s->next == s->n_documents) return POFAC_OK;
    example_job *j = calloc(1, sizeof *j);
    if (!j) return diag_out_of_memory(sink);
    uint64_t pool_begin, pool_end, n_tokens = 0;
    pofac_status status = POFAC_OK;
    j->range = find_range(s, s->next);
    j->begin = j->end = s->next;
    find_pool(j->range, s->next, &pool_begin, &pool_end);
    while (status == POFAC_OK && j->end < pool_end && n_tokens < JOB_TOKENS) {
        size_t n = 0;
        status = document_spools_measure(s->spools, j->end++, sink, &n);
        n_tokens += n;
    }
    if (status != POFAC_OK) {
        free(j);
        return status;
    }
    s->next = j->end;
    *job = j;
    return POFAC_OK;
}

static pofac_status look_at_pool(const shard_stage *s, pool_view *v, uint64_t begin, uint64_t end, const diag_sink *sink) {
    if (v->documents.size && v->begin == begin && v->end == end) return POFAC_OK;
    v->documents.size = 0;
    v->begin = begin;
    v->end = end;
    for (uint64_t i = begin; i < end; i++) {
        pair_document d;
        pofac_status status = document_spools_get(s->spools, i, sink, &d);
        if (status == POFAC_OK && !VEC_PUSH(&v->documents, d)) status = diag_out_of_memory(sink);
        if (status == POFAC_OK) continue;
        v->documents.size = 0;
        return status;
    }
    return POFAC_OK;
}

static pofac_status make_examples(void *user, size_t worker, void *job, const diag_sink *sink) {
    const shard_stage *s = user;
    example_job *j = job;
    pool_view *v = &s->views[worker];
    uint64_t begin, end;
    find_pool(j->range, j->begin, &begin, &end);
    TRY(look_at_pool(s, v, begin, end, sink));
    const pair_pool pool = {v->documents.data, v->documents.size, begin};
    for (uint64_t i = j->begin; i < j->end; i++) TRY(segment_pairs_make(&s->pairs, &pool, (size_t)(i - begin), sink, &j->examples));
    return POFAC_OK;
}

static void drop_documents(void *user, void *job) {
    example_job *j = job;
    (void)user;
    pair_list_free(&j->examples);
    free(j);
}

/* ---- shards ---- */

static uint64_t count_random(const pair_list *l) {
    uint64_t n = 0;
    for (size_t i = 0; i < l->examples.size; i++) n += l->examples.data[i].label == PAIR_IS_RANDOM;
    return n;
}

static uint64_t next_number(const shard_manifest *m, shard_split split) {
    uint64_t n = 0;
    for (size_t i = 0; i < m->shards.size; i++) n += m->shards.data[i].split == split;
    return n;
}

static pofac_status write_shard_file(const shard_stage *s, shard_info *info, const diag_sink *sink) {
    strbuf path = STRBUF_INIT;
    shard_manifest_put_shard_path(s->build->options->output_dir, (shard_split)info->split, info->number, &path);
    pofac_status status = strbuf_ok(&path) ? shard_write(strbuf_str(&path), info, &s->open, sink) : diag_out_of_memory(sink);
    strbuf_free(&path);
    return status;
}

static pofac_status end_shard(shard_stage *s, shard_split split, uint64_t end, const diag_sink *sink) {
    shard_manifest *m = &s->build->manifest;
    shard_info info = {.seed = s->pairs.seed,
                       .first_document = s->open_begin,
                       .n_documents = end - s->open_begin,
                       .max_length = (uint32_t)s->pairs.max_length,
                       .mode = (uint32_t)s->pairs.mode,
                       .split = (uint32_t)split,
                       .number = (uint32_t)next_number(m, split)};
    const manifest_shard listed = {.split = split,
                                   .first_document = s->open_begin,
                                   .n_documents = end - s->open_begin,
                                   .n_examples = s->open.examples.size,
                                   .n_random = count_random(&s->open),
                                   .n_tokens = s->open.tokens.size / s->pairs.token_bytes};
    shard_info_set_tokenizer(&info, s->build->tokenizer);
    TRY(write_shard_file(s, &info, sink));
    if (!VEC_PUSH(&m->shards, listed)) return diag_out_of_memory(sink);
    pair_list_clear(&s->open);
    s->open_begin = end;
    return shard_manifest_write(s->build->options->output_dir, m, sink);
}

static pofac_status give_examples(void *user, void *job, const diag_sink *sink) {
    shard_stage *s = user;
    const example_job *j = job;
    const build_shards_options *o = s->build->options;
    uint64_t begin, end;
    if (!pair_list_append(&s->open, &j->examples, s->pairs.token_bytes)) return diag_out_of_memory(sink);
    s->n_examples += j->examples.examples.size;
    find_pool(j->range, j->begin, &begin, &end);
    if (j->end == end) document_spools_release(s->spools, begin, end);
    if (o->progress) o->progress(o->progress_user, "examples", s->n_examples, (double)j->end / (double)s->n_documents);
    const bool is_full = s->open.tokens.size / s->pairs.token_bytes >= o->shard_tokens;
    return is_full || j->end == j->range.end ? end_shard(s, j->range.split, j->end, sink) : POFAC_OK;
}

/* ---- the stage ---- */

static pofac_status open_spools(shard_stage *s, const diag_sink *sink) {
    const shard_manifest *m = &s->build->manifest;
    arena a = ARENA_INIT;
    const char **paths = ARENA_ARRAY(&a, const char *, m->spools.size + 1);
    pofac_status status = paths ? POFAC_OK : diag_out_of_memory(sink);
    for (size_t i = 0; status == POFAC_OK && i < m->spools.size; i++) {
        strbuf path = STRBUF_INIT;
        shard_manifest_put_spool_path(s->build->options->output_dir, i, &path);
        paths[i] = strbuf_ok(&path) ? arena_strdup(&a, strbuf_str(&path)) : NULL;
        strbuf_free(&path);
        if (!paths[i]) status = diag_out_of_memory(sink);
    }
    if (status == POFAC_OK) status = document_spools_open(paths, m->spools.size, s->pairs.token_bytes, sink, &s->spools);
    arena_free(&a);
    if (status != POFAC_OK || document_spools_size(s->spools) == m->n_documents) return status;
    const diag_place place = {.file = s->build->options->output_dir};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "found %" PRIu64 " documents in the spools, wanted %" PRIu64,
                      document_spools_size(s->spools), m->n_documents);
}

/* Goes on behind the last shard that is listed. */
static void find_start(shard_stage *s) {
    const shard_manifest *m = &s->build->manifest;
    for (size_t i = 0; i < m->shards.size; i++) {
        s->next = m->shards.data[i].first_document + m->shards.data[i].n_documents;
        s->n_examples += m->shards.data[i].n_examples;
    }
    if (s->next > s->n_documents) s->next = s->n_documents;
    s->open_begin = s->next;
}

static pofac_status run_stage(shard_stage *s, const diag_sink *sink) {
    const ordered_work work = {s, take_documents, make_examples, give_examples, drop_documents, s->build->options->stop};
    TRY(open_spools(s, sink));
    find_start(s);
    return ordered_work_run(s->build->pool, &work, sink);
}

pofac_status make_shards(shard_build *b, const diag_sink *sink) {
    const size_t threads = thread_pool_threads(b->pool);
    shard_stage s = {.build = b,
                     .pairs = {.mode = b->mode,
                               .seed = b->options->seed,
                               .max_length = b->options->max_seq_length,
                               .token_bytes = b->token_bytes,
                               .cls_id = tokenizer_special_id(b->tokenizer, TOKENIZER_CLS),
                               .sep_id = tokenizer_special_id(b->tokenizer, TOKENIZER_SEP)},
                     .n_held_out = held_out_documents(b),
                     .n_documents = b->manifest.n_documents,
                     .views = calloc(threads, sizeof *s.views)};
    if (!s.views) return diag_out_of_memory(sink);
    pofac_status status = run_stage(&s, sink);
    for (size_t i = 0; i < threads; i++) VEC_FREE(&s.views[i].documents);
    free(s.views);
    pair_list_free(&s.open);
    document_spools_close(s.spools);
    return status;
}
