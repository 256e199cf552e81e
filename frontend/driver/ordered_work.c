/*
 * Ordered work; see ordered_work.h. A monitor: the jobs in flight stand in a ring; each thread, whenever it is free, gives out the oldest job if that is done
 * and nobody else is giving, else takes a new one if there is room and nobody else is taking, and works on it; else it waits. A thread waits only while another
 * one works, so this ends with any number of threads, and also if one thread runs all of them one after the other.
 */
#include "frontend/driver/ordered_work.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/support/vector.h"

#define JOBS_PER_THREAD 3           /* one that is worked on, one that waits for its turn, one for jobs of unequal length */
#define LOOK_AT_SIGNALS_NS 50000000 /* how often a waiting caller does */

/* A message that waits for its job's turn; texts are owned. */
typedef struct kept_message {
    diag d;
    char *file, *text, *message;
} kept_message;

typedef struct slot {
    void *job;
    bool is_done;
    pofac_status status;
    VEC(kept_message) messages;
    bool messages_lost; /* memory was short */
} slot;

typedef struct monitor {
    const ordered_work *w;
    const diag_sink *sink;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot *slots;
    size_t n_slots;
    uint64_t head, tail; /* jobs given out, jobs taken; slot i % n_slots */
    bool is_taking, is_giving, has_ended;
    pofac_status status; /* the first failure, or POFAC_ERR_INTERRUPTED */
} monitor;

/* ---- messages ---- */

static char *copy_text(const char *text, size_t n) {
    char *copy = text ? malloc(n + 1) : NULL;
    if (!copy) return NULL;
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

static void keep_message(void *user, const diag *d) {
    slot *s = user;
    kept_message m = {.d = *d};
    m.file = d->place.file ? copy_text(d->place.file, strlen(d->place.file)) : NULL;
    m.text = copy_text(d->place.text, d->place.text_bytes);
    m.message = copy_text(d->message, strlen(d->message));
    m.d.place.file = m.file;
    m.d.place.text = m.text;
    m.d.message = m.message;
    if (m.message && VEC_PUSH(&s->messages, m)) return;
    s->messages_lost = true;
    free(m.file);
    free(m.text);
    free(m.message);
}

static void free_messages(slot *s) {
    for (size_t i = 0; i < s->messages.size; i++) {
        free(s->messages.data[i].file);
        free(s->messages.data[i].text);
        free(s->messages.data[i].message);
    }
    s->messages.size = 0;
}

static void say_messages(monitor *m, slot *s) {
    for (size_t i = 0; m->sink && i < s->messages.size; i++) m->sink->emit(m->sink->user, &s->messages.data[i].d);
    if (s->messages_lost) (void)diag_out_of_memory(m->sink);
    s->messages_lost = false;
    free_messages(s);
}

/* ---- what a thread does, each with the lock held before and after ---- */

static bool can_give(const monitor *m) { return !m->is_giving && m->head < m->tail && m->slots[m->head % m->n_slots].is_done; }

static bool can_take(const monitor *m) { return !m->is_taking && !m->has_ended && m->tail - m->head < m->n_slots; }

static void drop_job(const monitor *m, slot *s) {
    if (s->job) m->w->drop(m->w->user, s->job);
    s->job = NULL;
}

static void give_oldest(monitor *m) {
    slot *s = &m->slots[m->head % m->n_slots];
    m->is_giving = true;
    pthread_mutex_unlock(&m->lock);
    say_messages(m, s);
    pofac_status status = s->status;
    if (status == POFAC_OK) status = m->w->give(m->w->user, s->job, m->sink);
    drop_job(m, s);
    pthread_mutex_lock(&m->lock);
    m->is_giving = false;
    m->head++;
    if (status != POFAC_OK && m->status == POFAC_OK) m->status = status;
    pthread_cond_broadcast(&m->changed);
}

/* A failure to take is a job that fails: those before it are given out first. */
static void take_and_work(monitor *m, size_t worker) {
    slot *s = &m->slots[m->tail % m->n_slots];
    const diag_sink keep = {keep_message, s};
    m->is_taking = true;
    pthread_mutex_unlock(&m->lock);
    s->job = NULL;
    s->is_done = false;
    s->status = m->w->take(m->w->user, &keep, &s->job);
    const bool works = s->status == POFAC_OK && s->job;
    pthread_mutex_lock(&m->lock);
    m->is_taking = false;
    if (!works) m->has_ended = true;
    if (works || s->status != POFAC_OK) m->tail++;
    s->is_done = !works;
    pthread_cond_broadcast(&m->changed);
    if (!works) return;
    pthread_mutex_unlock(&m->lock);
    s->status = m->w->work(m->w->user, worker, s->job, &keep);
    pthread_mutex_lock(&m->lock);
    s->is_done = true;
    pthread_cond_broadcast(&m->changed);
}

/* The calling thread is worker 0, and the one that signals come to. */
static void wait_for_change(monitor *m, size_t worker) {
    struct timespec until;
    if (worker != 0 || !m->w->stop) {
        pthread_cond_wait(&m->changed, &m->lock);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_AT_SIGNALS_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&m->changed, &m->lock, &until);
}

static void run_thread(void *user, size_t worker, size_t chunk) {
    monitor *m = user;
    (void)chunk;
    pthread_mutex_lock(&m->lock);
    while (m->status == POFAC_OK && !(m->has_ended && m->head == m->tail)) {
        if (worker == 0 && interruption_check(m->w->stop)) {
            m->status = POFAC_ERR_INTERRUPTED;
            pthread_cond_broadcast(&m->changed);
        } else if (can_give(m)) give_oldest(m);
        else if (can_take(m)) take_and_work(m, worker);
        else wait_for_change(m, worker);
    }
    pthread_mutex_unlock(&m->lock);
}

pofac_status ordered_work_run(thread_pool *pool, const ordered_work *w, const diag_sink *sink) {
    const size_t threads = thread_pool_threads(pool);
    monitor m = {.w = w,
                 .sink = sink,
                 .lock = PTHREAD_MUTEX_INITIALIZER,
                 .changed = PTHREAD_COND_INITIALIZER,
                 .n_slots = threads * JOBS_PER_THREAD};
    m.slots = calloc(m.n_slots, sizeof *m.slots);
    if (!m.slots) return diag_out_of_memory(sink);
    thread_pool_run(pool, run_thread, &m, threads);
    for (size_t i = 0; i < m.n_slots; i++) {
        drop_job(&m, &m.slots[i]);
        free_messages(&m.slots[i]);
        VEC_FREE(&m.slots[i].messages);
    }
    free(m.slots);
    pthread_mutex_destroy(&m.lock);
    pthread_cond_destroy(&m.changed);
    return m.status;
}
