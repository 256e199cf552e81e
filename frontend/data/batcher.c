/*
 * A ring of slots, each with a batch; see batcher.h. One thread fills slots, in order, while there is a free one; the caller takes them in order, and
 * gives a slot back when it asks for the next. `made` and `taken` count slots since the start; the slot of batch number i is i mod n_slots. The
 * caller's slot is the one before `taken`. A slot with an error, or behind the last epoch, is the last that is made, and stays.
 *
 * The lock guards made, taken, stop; a slot belongs to the maker while made <= its number, and to the caller afterwards.
 */
#include "frontend/data/batcher.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/batch_tensors.h"
#include "frontend/data/kept_diags.h"
#include "ir/support/hash.h"

typedef struct batch_slot {
    batch_tensors tensors;
    bool is_end; /* there is no batch: the last epoch is over */
    pofac_status status;
    kept_diags said;
    batch_position after; /* of the batch behind it */
} batch_slot;

struct batcher {
    example_source source;
    batcher_options options;
    batch_shape shape;
    uint64_t fingerprint, n_chunks;
    batch_slot *slots; /* [n_slots] */
    size_t n_slots;
    batch_position position; /* of the caller: behind what it was given */
    batch_position making;   /* of the batch that is made next; of the thread while that runs */
    batch_chunk chunk;       /* that batches are made of; likewise */
    bool is_running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t made, taken;
    bool stop;
};

/* ---- making a batch ---- */

/* The position behind the batch at *p, of a chunk with n_batches. */
static batch_position next_position(const batcher *b, const batch_position *p, size_t n_batches) {
    batch_position next = *p;
    next.index++;
    if (++next.in_chunk < n_batches) return next;
    next.in_chunk = 0;
    if (++next.chunk < b->n_chunks) return next;
    next.chunk = next.index = 0;
    next.epoch++;
    return next;
}

static pofac_status fill(batcher *b, batch_slot *slot, const diag_sink *sink) {
    const batch_position *p = &b->making;
    slot->is_end = b->options.n_epochs > 0 && p->epoch >= b->options.n_epochs;
    slot->after = *p;
    if (slot->is_end) return POFAC_OK;
    TRY(batch_chunk_make(&b->chunk, &b->options.order, &b->source, p->epoch, p->chunk, sink));
    if (p->in_chunk >= b->chunk.batches.size)
        return diag_error(sink, POFAC_ERR_INPUT, NULL,
                          "position in the data: found batch %llu of a chunk of %zu, wanted a smaller number",
                          (unsigned long long)p->in_chunk, b->chunk.batches.size);
    const batch_range *range = &b->chunk.batches.data[p->in_chunk];
    TRY(batch_tensors_make(&slot->tensors, &b->shape, &b->source, p->epoch, &b->chunk.examples.data[range->first], range->n, sink));
    slot->after = next_position(b, p, b->chunk.batches.size);
    slot->tensors.batch.epoch = p->epoch;
    slot->tensors.batch.index = p->index;
    slot->tensors.batch.ends_epoch = slot->after.epoch != p->epoch;
    b->making = slot->after;
    return POFAC_OK;
}

static bool is_last(const batch_slot *slot) { return slot->is_end || slot->status != POFAC_OK; }

/* ---- ahead, on a thread ---- */

static void *make_ahead(void *user) {
    batcher *b = user;
    for (;;) {
        pthread_mutex_lock(&b->lock);
        while (!b->stop && b->made + 1 >= b->taken + b->n_slots) pthread_cond_wait(&b->changed, &b->lock);
        const bool stop = b->stop;
        batch_slot *slot = &b->slots[b->made % b->n_slots];
        pthread_mutex_unlock(&b->lock);
        if (stop) return NULL;
        kept_diags_free(&slot->said);
        const diag_sink sink = kept_diags_sink(&slot->said);
        slot->status = fill(b, slot, &sink);
        const bool last = is_last(slot);
        pthread_mutex_lock(&b->lock);
        b->made++;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
        if (last) return NULL;
    }
}

/* Signals are for the threads that wait for them. */
static pofac_status start(batcher *b, const diag_sink *sink) {
    sigset_t all, before;
    b->stop = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&b->thread, NULL, make_ahead, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot start a thread for batches: %s", strerror(error));
    b->is_running = true;
    return POFAC_OK;
}

/* Ends the thread and forgets what it has made. */
static void halt(batcher *b) {
    if (b->is_running) {
        pthread_mutex_lock(&b->lock);
        b->stop = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->thread, NULL);
    }
    b->is_running = false;
    b->made = b->taken = 0;
}

/* Waits for the slot of the next batch. The caller's last slot, the one before it, is the maker's again. */
static batch_slot *take(batcher *b) {
    pthread_mutex_lock(&b->lock);
    while (b->made == b->taken) pthread_cond_wait(&b->changed, &b->lock);
    batch_slot *slot = &b->slots[b->taken % b->n_slots];
    if (!is_last(slot)) {
        b->taken++;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return slot;
}

/* ---- as a source ---- */

static pofac_status next_batch(void *user, const diag_sink *sink, const batch **out) {
    batcher *b = user;
    batch_slot *slot = &b->slots[0];
    *out = NULL;
    if (b->options.prefetch == 0) {
        TRY(fill(b, slot, sink));
    } else {
        if (!b->is_running) TRY(start(b, sink));
        slot = take(b);
        kept_diags_send(&slot->said, sink);
        if (slot->status != POFAC_OK) return slot->status;
    }
    b->position = slot->after;
    if (!slot->is_end) *out = &slot->tensors.batch;
    return POFAC_OK;
}

static void get_position(const void *user, batch_position *out) { *out = ((const batcher *)user)->position; }

static pofac_status set_position(void *user, const batch_position *position, const diag_sink *sink) {
    batcher *b = user;
    if (position->fingerprint != b->fingerprint || position->chunk >= b->n_chunks)
        return diag_error(
            sink, POFAC_ERR_INPUT, NULL,
            "position in the data: found one of other examples, or of another seed, order or size of batches; wanted one of these");
    halt(b);
    b->making = b->position; /* holds if the new one turns out to be wrong */
    TRY(batch_chunk_make(&b->chunk, &b->options.order, &b->source, position->epoch, position->chunk, sink));
    if (position->in_chunk >= b->chunk.batches.size)
        return diag_error(sink, POFAC_ERR_INPUT, NULL,
                          "position in the data: found batch %llu of a chunk of %zu, wanted a smaller number",
                          (unsigned long long)position->in_chunk, b->chunk.batches.size);
    b->position = b->making = *position;
    return POFAC_OK;
}

static pofac_status count(void *user, uint64_t epoch, const diag_sink *sink, uint64_t *out) {
    batcher *b = user;
    batch_chunk chunk = {0};
    pofac_status status = POFAC_OK;
    *out = 0;
    for (uint64_t c = 0; status == POFAC_OK && c < b->n_chunks; c++) {
        status = batch_chunk_make(&chunk, &b->options.order, &b->source, epoch, c, sink);
        *out += status == POFAC_OK ? chunk.batches.size : 0;
    }
    batch_chunk_free(&chunk);
    return status;
}

batch_source batcher_source(batcher *b) { return (batch_source){next_batch, get_position, set_position, count, b}; }

/* ---- life ---- */

/* What a position is only good for: the data and all that its batches depend on. */
static uint64_t fingerprint(const example_source *s, const batcher_options *o) {
    const uint64_t numbers[] = {1, /* version of orders */
                                s->n_examples,
                                s->fingerprint,
                                s->max_length,
                                o->order.arrangement,
                                o->order.seed,
                                o->order.batch_size,
                                o->order.token_budget,
                                o->order.form,
                                o->order.fixed_length,
                                (uint64_t)o->pad_id};
    return hash_bytes(numbers, sizeof numbers);
}

static bool is_made(batcher *b, const example_source *source, const batcher_options *options) {
    b->source = *source;
    b->options = *options;
    b->shape = (batch_shape){options->order.form, options->order.fixed_length, options->pad_id};
    b->n_chunks = batch_order_chunks(&options->order, source->n_examples);
    b->fingerprint = b->position.fingerprint = b->making.fingerprint = fingerprint(source, options);
    b->n_slots = options->prefetch + 1; /* those ahead and the caller's */
    b->slots = calloc(b->n_slots, sizeof *b->slots);
    return b->slots != NULL;
}

pofac_status batcher_create(const example_source *source, const batcher_options *options, const diag_sink *sink, batcher **out) {
    *out = NULL;
    if (source->n_examples == 0) return diag_error(sink, POFAC_ERR_INPUT, NULL, "found no examples, wanted at least one");
    if (options->prefetch > BATCHER_MOST_PREFETCH)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "prefetch: found %zu, wanted at most %u", options->prefetch,
                          BATCHER_MOST_PREFETCH);
    TRY(batch_order_check(&options->order, source, sink));
    batcher *b = calloc(1, sizeof *b);
    if (!b || !is_made(b, source, options)) {
        free(b);
        return diag_out_of_memory(sink);
    }
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    *out = b;
    return POFAC_OK;
}

void batcher_destroy(batcher *b) {
    if (!b) return;
    halt(b);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
    for (size_t i = 0; i < b->n_slots; i++) {
        batch_tensors_free(&b->slots[i].tensors);
        kept_diags_free(&b->slots[i].said);
    }
    free(b->slots);
    batch_chunk_free(&b->chunk);
    free(b);
}
