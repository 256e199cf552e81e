/*
 * Predicts on the lines of a file with many threads, and prints one JSON object a line, in the lines' order: what `pofac predict MODEL FILE` prints,
 * whatever the number of threads.
 *
 *   predict_threads MODEL FILE THREADS
 *
 *   cc predict_threads.c $(pkg-config --cflags --libs pofac) -pthread -o predict_threads
 *
 * The model is open once. Each thread has a predictor of its own, which adds memory for activations and none for weights, and takes the next
 * lines that nobody has taken.
 */
#include <pofac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_OF_A_CALL = 16 };

typedef struct work {
    const pofac_model *model;
    char **lines;
    char **answers; /* [n] */
    size_t n;
    atomic_size_t next;
} work;

typedef struct worker {
    pthread_t thread;
    work *work;
    int64_t memory_bytes;
    pofac_status status;
} worker;

static void print(void *user, const pofac_message *message) {
    (void)user;
    fputs(message->rendered, stderr);
}

/* Predicts on lines [first, first + n), and copies what it is told. */
static pofac_status predict_lines(pofac_predictor *predictor, work *w, size_t first, size_t n) {
    pofac_text texts[LINES_OF_A_CALL] = {{0}};
    const pofac_answer *const *answers;
    for (size_t i = 0; i < n; i++) texts[i].text = w->lines[first + i];
    pofac_status status = pofac_predictor_answer(predictor, texts, n, &answers);
    for (size_t i = 0; status == POFAC_OK && i < n; i++) {
        const char *json;
        status = pofac_predictor_answer_json(predictor, i, &json);
        if (status == POFAC_OK && !(w->answers[first + i] = strdup(json))) status = POFAC_ERR_RUNTIME;
    }
    return status;
}

static void *run(void *user) {
    worker *me = user;
    work *w = me->work;
    const pofac_log log = {print, NULL};
    pofac_predictor *predictor = NULL;
    me->status = pofac_predictor_create(w->model, NULL, &log, &predictor);
    while (me->status == POFAC_OK) {
        const size_t first = atomic_fetch_add(&w->next, LINES_OF_A_CALL), rest = first < w->n ? w->n - first : 0;
        if (rest == 0) break;
        me->status = predict_lines(predictor, w, first, rest < LINES_OF_A_CALL ? rest : LINES_OF_A_CALL);
    }
    me->memory_bytes = pofac_predictor_memory_bytes(predictor);
    pofac_predictor_destroy(predictor);
    return NULL;
}

static pofac_status run_workers(work *w, size_t n_threads) {
    worker *workers = calloc(n_threads, sizeof *workers);
    pofac_status status = workers ? POFAC_OK : POFAC_ERR_RUNTIME;
    size_t started = 0;
    int64_t memory_bytes = 0;
    for (; status == POFAC_OK && started < n_threads; started++) {
        workers[started].work = w;
        if (pthread_create(&workers[started].thread, NULL, run, &workers[started]) != 0) break;
    }
    if (started == 0) status = POFAC_ERR_RUNTIME;
    for (size_t i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        memory_bytes += workers[i].memory_bytes;
        if (status == POFAC_OK) status = workers[i].status;
    }
    if (status == POFAC_OK) {
        pofac_model_info info = POFAC_MODEL_INFO_INIT;
        status = pofac_model_get_info(w->model, &info);
        fprintf(stderr, "%zu threads: weights %lld bytes, once; activations of all threads %lld bytes\n", started,
                (long long)(info.mapped_weight_bytes + info.private_weight_bytes), (long long)memory_bytes);
    }
    free(workers);
    return status;
}

/* The lines of a file, without their ends. */
static pofac_status read_lines(const char *path, work *w) {
    FILE *file = fopen(path, "r");
    size_t room = 0, line_room = 0;
    char *line = NULL;
    ssize_t bytes;
    if (!file) {
        perror(path);
        return POFAC_ERR_INPUT;
    }
    while ((bytes = getline(&line, &line_room, file)) >= 0) {
        if (w->n == room) {
            char **more = realloc(w->lines, (room = 2 * room + 64) * sizeof *more);
            if (!more) break;
            w->lines = more;
        }
        while (bytes > 0 && (line[bytes - 1] == '\n' || line[bytes - 1] == '\r')) line[--bytes] = 0;
        if (!(w->lines[w->n] = strdup(line))) break;
        w->n++;
    }
    const pofac_status status = bytes < 0 && feof(file) ? POFAC_OK : POFAC_ERR_RUNTIME;
    free(line);
    fclose(file);
    return status;
}

int main(int argc, char **argv) {
    const pofac_log log = {print, NULL};
    work w = {0};
    pofac_model *model = NULL;
    const long n_threads = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (n_threads < 1 || n_threads > 1024) {
        fprintf(stderr, "wanted: %s MODEL FILE THREADS\n", argv[0]);
        return POFAC_ERR_USAGE;
    }
    pofac_status status = read_lines(argv[2], &w);
    if (status == POFAC_OK) status = pofac_model_open(argv[1], NULL, &log, &model);
    w.model = model;
    w.answers = calloc(w.n + 1, sizeof *w.answers);
    if (status == POFAC_OK && !w.answers) status = POFAC_ERR_RUNTIME;
    if (status == POFAC_OK) status = run_workers(&w, (size_t)n_threads);
    for (size_t i = 0; status == POFAC_OK && i < w.n; i++) puts(w.answers[i]);
    for (size_t i = 0; i < w.n; i++) {
        if (w.answers) free(w.answers[i]);
        free(w.lines[i]);
    }
    free(w.answers);
    free(w.lines);
    pofac_model_close(model);
    return status;
}
