/* Vocabularies; see train_vocabulary.h. Jobs are parts of the corpus with their own counts, which are added up in the parts' order. */
#include "frontend/driver/train_vocabulary.h"

#include <inttypes.h>
#include <stdlib.h>

#include "frontend/driver/corpus_job.h"
#include "frontend/driver/ordered_work.h"
#include "frontend/text/basic_tokenizer.h"
#include "ir/support/file_map.h"

typedef struct counting_job {
    corpus_job from;
    strmap words;
} counting_job;

typedef struct vocabulary_job {
    const train_vocabulary_options *options;
    corpus *corpus;
    basic_tokenizer splitter;
    strmap words;
    uint64_t n_words, forgotten; /* of the text; distinct ones that were forgotten */
    corpus_counts counts;
} vocabulary_job;

static bool add_word(strmap *words, const char *bytes, size_t n_bytes, uint64_t count) {
    strmap_entry *e = strmap_put(words, bytes, n_bytes, 0, NULL);
    if (e) e->value += count;
    return e != NULL;
}

static bool count_word(void *user, const uint8_t *word, size_t n_bytes) { return add_word(user, (const char *)word, n_bytes, 1); }

/* ---- one part ---- */

typedef struct reading {
    const basic_tokenizer *splitter;
    strmap *words;
    const diag_sink *sink;
} reading;

static pofac_status take_document(void *user, const corpus_document *d) {
    const reading *r = user;
    return basic_tokenizer_words(r->splitter, d->text, d->text_bytes, count_word, r->words) ? POFAC_OK
                                                                                            : diag_out_of_memory(r->sink);
}

static pofac_status count_part(void *user, size_t worker, void *job, const diag_sink *sink) {
    const vocabulary_job *v = user;
    counting_job *j = job;
    reading r = {&v->splitter, &j->words, sink};
    (void)worker;
    return corpus_job_read(&j->from, take_document, &r, sink);
}

static pofac_status take_part(void *user, const diag_sink *sink, void **job) {
    const vocabulary_job *v = user;
    return corpus_job_take(v->corpus, sizeof(counting_job), sink, job);
}

static void drop_part(void *user, void *job) {
    counting_job *j = job;
    (void)user;
    corpus_part_destroy(j->from.part);
    strmap_free(&j->words);
    free(j);
}

/* ---- all of them ---- */

/* Keeps the words that were seen more often than `rare` times. */
static bool forget(vocabulary_job *v, uint64_t rare) {
    strmap kept = STRMAP_INIT;
    bool ok = true;
    for (size_t i = 0; i < v->words.size && ok; i++) {
        const strmap_entry *e = &v->words.entries[i];
        if (e->value > rare) ok = add_word(&kept, e->key, e->key_bytes, e->value);
        else v->forgotten++;
    }
    strmap_free(&v->words);
    v->words = kept;
    return ok;
}

static pofac_status give_part(void *user, void *job, const diag_sink *sink) {
    vocabulary_job *v = user;
    const counting_job *j = job;
    bool ok = true;
    for (size_t i = 0; i < j->words.size && ok; i++) {
        const strmap_entry *e = &j->words.entries[i];
        ok = add_word(&v->words, e->key, e->key_bytes, e->value);
        v->n_words += e->value;
    }
    for (uint64_t rare = 1; v->words.size > v->options->most_words && ok; rare++) ok = forget(v, rare);
    if (!ok) return diag_out_of_memory(sink);
    corpus_counts_add(&v->counts, &j->from.counts);
    const uint64_t total = corpus_total_bytes(v->corpus);
    if (v->options->progress)
        v->options->progress(v->options->progress_user, "words", v->n_words,
                             total ? (double)corpus_done_bytes(v->corpus) / (double)total : -1.0);
    return POFAC_OK;
}

static pofac_status count_corpus(vocabulary_job *v, const diag_sink *sink) {
    const ordered_work work = {v, take_part, count_part, give_part, drop_part, v->options->stop};
    thread_pool *pool;
    TRY(thread_pool_create(v->options->threads, sink, &pool));
    pofac_status status = ordered_work_run(pool, &work, sink);
    thread_pool_destroy(pool);
    return status;
}

static pofac_status put_result(const vocabulary_job *v, const wordpiece_report *report, size_t n_tokens, strbuf *result) {
    strbuf_printf(result,
                  "{\"vocab_size\": %zu, \"characters\": %zu, \"pieces\": %zu, \"documents\": %" PRIu64 ", \"words\": %" PRIu64
                  ", \"distinct_words\": %" PRIu64 ", \"words_left_out\": %" PRIu64 ", \"words_forgotten\": %" PRIu64 "}\n",
                  n_tokens, report->characters, report->pieces, v->counts.documents, v->n_words, report->words,
                  report->words_left_out, v->forgotten);
    return strbuf_ok(result) ? POFAC_OK : POFAC_ERR_RUNTIME;
}

static pofac_status make_vocabulary(vocabulary_job *v, const diag_sink *sink, strbuf *result) {
    strbuf text = STRBUF_INIT;
    wordpiece_report report;
    TRY(count_corpus(v, sink));
    if (v->words.size == 0) {
        const diag_place place = {.file = v->options->corpora[0]};
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found no words, wanted text to make a vocabulary of");
    }
    pofac_status status = wordpiece_train(&v->words, &v->options->training, sink, &text, &report);
    if (status == POFAC_OK) status = file_write_all(v->options->output, strbuf_str(&text), text.size, sink);
    if (status == POFAC_OK && put_result(v, &report, 5 + report.characters + report.pieces, result) != POFAC_OK)
        status = diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

pofac_status train_vocabulary(const train_vocabulary_options *options, const diag_sink *sink, strbuf *result) {
    const corpus_options corpus_kind = {.kind = options->kind, .skip_damage = options->skip_damage};
    tokenizer_options words = options->tokenizer;
    vocabulary_job v = {.options = options, .words = STRMAP_INIT};
    if (words.max_input_chars_per_word == 0) words.max_input_chars_per_word = TOKENIZER_MAX_WORD_CHARACTERS;
    TRY(basic_tokenizer_init(&v.splitter, NULL, &words, sink));
    TRY(corpus_open(options->corpora, options->n_corpora, &corpus_kind, sink, &v.corpus));
    pofac_status status = make_vocabulary(&v, sink, result);
    corpus_close(v.corpus);
    strmap_free(&v.words);
    return status;
}
