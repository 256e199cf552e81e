/*
 * The heads of language models over a vocabulary: a loss and all its gradients. As an engine that bench_peers compares (loss.sh), or by
 * itself with the time of each step. The loss is the cross entropy of the tokens that have labels; or the divergence of all tokens from a
 * teacher, whose logits are a linear's as well, or those of its likeliest classes alone, at temperature 2.
 *
 *   bench_loss [NAME=VALUE]...
 *
 *   write=FILE         make up tokens, labels and weights, write them, and that is all
 *   read=FILE          take them from there; default: made up
 *   serve=1            answer the commands of bench_peers.c instead; its files are those of write=
 *   tokens=2048        rows of x, of which
 *   labelled=307       have a label, evenly spread
 *   teacher=0          hidden size of a teacher; 0: none
 *   likely=0           classes that a teacher finds likeliest, instead; 0: none
 *   width=768 vocabulary=30522
 *   threads=1          with commas; serve: the first one
 *   isa=avx2           instruction set; default: the machine's best
 *   rounds=7
 *
 * A file: tokens, labelled, width, vocabulary, teacher, likely as int64, then what they leave without elements not at all: labels int64
 * [tokens] where there is no teacher, ids int32 [tokens,likely], logits [tokens,likely], x [tokens,width], weight [vocabulary,width],
 * bias [vocabulary], teacher's x [tokens,teacher], weight [vocabulary,teacher] and bias [vocabulary] as f32, scaled so that logits are
 * around 1. Numbers that engines are held together by: the loss times 1000 and every so many-th element of the gradients, those of one
 * tensor scaled alike. The extra memory, printed in the end, is the most that the process held during runs beyond what it held before
 * the first one; it contains the gradients.
 */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codegen/codegen.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "runtime/session.h"

#define MAX_ROUNDS 1001
#define MAX_LIST 16
#define MAX_STEPS 64

enum { TOKENS, LABELLED, WIDTH, VOCABULARY, TEACHER, LIKELY, SIZES };

typedef struct settings {
    int64_t size[SIZES];
    int64_t threads[MAX_LIST];
    int n_threads, rounds;
    const char *isa, *write, *read;
    bool serve;
    cg_options options;
    ir_context *context;
    diag_sink sink;
} settings;

/* A tensor of the head by its name in the graph. */
typedef struct head_tensor {
    const char *name;
    ir_dtype dtype;
    int rows, columns; /* sizes by their numbers; columns -1: it has one dimension */
    bool given;        /* the loss at hand has it */
    void *data;
} head_tensor;
enum { LABELS, IDS, LIKELY_LOGITS, X, WEIGHT, BIAS, TEACHER_X, TEACHER_WEIGHT, TEACHER_BIAS, TENSORS };

typedef struct head {
    const settings *s;
    int64_t size[SIZES];
    head_tensor tensor[TENSORS];
    float scale;
    tensor_source source;
    thread_pool *pool;
    plan *plan;
    session *session;
} head;

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, bytes);
    return p;
}

/* ---- data ---- */

/* Rows that the loss is computed for. */
static int64_t counted(const head *h) { return h->size[TEACHER] || h->size[LIKELY] ? h->size[TOKENS] : h->size[LABELLED]; }

/* Which tensors there are, from the sizes. */
static void name_tensors(head *h) {
    static const head_tensor all[TENSORS] = {[LABELS] = {"labels", IR_I64, TOKENS, -1, true, NULL},
                                             [IDS] = {"ids", IR_I32, TOKENS, LIKELY, true, NULL},
                                             [LIKELY_LOGITS] = {"likely", IR_F32, TOKENS, LIKELY, true, NULL},
                                             [X] = {"x", IR_F32, TOKENS, WIDTH, true, NULL},
                                             [WEIGHT] = {"weight", IR_F32, VOCABULARY, WIDTH, true, NULL},
                                             [BIAS] = {"bias", IR_F32, VOCABULARY, -1, true, NULL},
                                             [TEACHER_X] = {"teacher_x", IR_F32, TOKENS, TEACHER, true, NULL},
                                             [TEACHER_WEIGHT] = {"teacher_weight", IR_F32, VOCABULARY, TEACHER, true, NULL},
                                             [TEACHER_BIAS] = {"teacher_bias", IR_F32, VOCABULARY, -1, true, NULL}};
    memcpy(h->tensor, all, sizeof all);
    h->tensor[LABELS].given = !h->size[TEACHER] && !h->size[LIKELY];
    for (int i = IDS; i <= LIKELY_LOGITS; i++) h->tensor[i].given = h->size[LIKELY] > 0;
    for (int i = TEACHER_X; i < TENSORS; i++) h->tensor[i].given = h->size[TEACHER] > 0;
    h->scale = h->tensor[LABELS].given ? 1 : 1 / (float)h->size[TOKENS];
}

static int64_t elements(const head *h, const head_tensor *t) {
    return h->size[t->rows] * (t->columns < 0 ? 1 : h->size[t->columns]);
}

static void make_room(head *h) {
    for (int i = 0; i < TENSORS; i++)
        if (h->tensor[i].given) h->tensor[i].data = room((size_t)elements(h, &h->tensor[i]) * (dtype_bits(h->tensor[i].dtype) / 8));
}

static void make_numbers(const head *h, const head_tensor *t, double scale) {
    const rng_key key = rng_key_make(3, t->name);
    float *data = t->data;
    for (int64_t i = 0; t->given && i < elements(h, t); i++) data[i] = (float)(scale * (2 * rng_uniform(key, (uint64_t)i) - 1));
}

static void make_data(head *h) {
    const int64_t T = h->size[TOKENS], L = h->size[LABELLED], V = h->size[VOCABULARY];
    const rng_key key = rng_key_make(3, "labels");
    name_tensors(h);
    make_room(h);
    int64_t *labels = h->tensor[LABELS].data;
    int32_t *ids = h->tensor[IDS].data;
    for (int64_t t = 0; labels && t < T; t++)
        labels[t] = (t + 1) * L / T > t * L / T ? (int64_t)(rng_uniform(key, (uint64_t)t) * (double)V) : -100;
    for (int64_t i = 0; ids && i < T * h->size[LIKELY]; i++) ids[i] = (int32_t)(rng_uniform(key, (uint64_t)i) * (double)V);
    make_numbers(h, &h->tensor[LIKELY_LOGITS], 3);
    make_numbers(h, &h->tensor[X], 1);
    make_numbers(h, &h->tensor[WEIGHT], 3 / sqrt((double)h->size[WIDTH]));
    make_numbers(h, &h->tensor[BIAS], 0.1);
    make_numbers(h, &h->tensor[TEACHER_X], 1);
    make_numbers(h, &h->tensor[TEACHER_WEIGHT], 3 / sqrt((double)(h->size[TEACHER] ? h->size[TEACHER] : 1)));
    make_numbers(h, &h->tensor[TEACHER_BIAS], 0.1);
}

static bool move_data(head *h, FILE *f, size_t (*move)(void *, size_t, size_t, FILE *)) {
    bool ok = true;
    for (int i = 0; i < TENSORS && ok; i++) {
        const head_tensor *t = &h->tensor[i];
        const size_t n = (size_t)elements(h, t);
        ok = !t->given || move(t->data, dtype_bits(t->dtype) / 8, n, f) == n;
    }
    return ok;
}

static size_t put(void *data, size_t size, size_t n, FILE *f) { return fwrite(data, size, n, f); }

static bool write_data(head *h, const char *path) {
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(h->size, sizeof h->size, 1, f) == 1 && move_data(h, f, put);
    if (f && fclose(f) != 0) ok = false;
    if (!ok) fprintf(stderr, "error: cannot write %s\n", path);
    return ok;
}

static bool read_data(head *h, const char *path) {
    FILE *f = fopen(path, "rb");
    bool ok = f && fread(h->size, sizeof h->size, 1, f) == 1;
    for (int i = 0; i < SIZES; i++) ok = ok && h->size[i] >= (i < TEACHER ? 1 : 0) && h->size[i] < 1 << 24;
    if (ok) {
        name_tensors(h);
        make_room(h);
        ok = move_data(h, f, fread);
    }
    if (f) fclose(f);
    if (!ok) fprintf(stderr, "error: cannot read %s\n", path);
    return ok;
}

static pofac_status get(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    head *h = user;
    if (strcmp(name, "scale") == 0) {
        *out = tensor_view(IR_F32, 0, NULL, &h->scale);
        return POFAC_OK;
    }
    for (int i = 0; i < TENSORS; i++) {
        const head_tensor *t = &h->tensor[i];
        if (!t->given || strcmp(name, t->name) != 0) continue;
        const int64_t dims[] = {h->size[t->rows], t->columns < 0 ? 1 : h->size[t->columns]};
        *out = tensor_view(t->dtype, t->columns < 0 ? 1 : 2, dims, t->data);
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s is missing", name);
}

/* ---- the head ---- */

/* 1: width, 2: vocabulary, 3: the teacher's width or its likely classes. */
#define STUDENT                                                                                                                    \
    "graph @head (M <= 16777216, T <= 16777216) {\n"                                                                               \
    "  %%1 = input {name = \"x\"} : f32[T,%1$d]\n"                                                                                 \
    "  %%2 = state {name = \"weight\"} : f32[%2$d,%1$d]\n"                                                                         \
    "  %%3 = state {name = \"bias\"} : f32[%2$d]\n"
#define GRADIENTS " : f32[], f32[T,%1$d], f32[%2$d,%1$d], f32[%2$d]\n"

static const char of_labels[] =
    STUDENT "  %%4 = input {name = \"labels\"} : i64[T]\n"
            "  %%5 = labelled_rows %%4 {rows = \"M\"} : i32[M]\n"
            "  %%6 = gather_rows %%1, %%5 : f32[M,%1$d]\n"
            "  %%7 = gather_rows %%4, %%5 : i64[M]\n"
            "  %%8:4 = linear_cross_entropy %%6, %%2, %%7, %%3 : f32[], f32[M,%1$d], f32[%2$d,%1$d], f32[%2$d]\n"
            "  %%9 = scatter_rows %%8#1, %%5, %%1 : f32[T,%1$d]\n"
            "  return \"loss\" = %%8, \"dx\" = %%9, \"dweight\" = %%8#2, \"dbias\" = %%8#3\n"
            "}\n";

static const char of_teacher[] =
    STUDENT "  %%4 = input {name = \"teacher_x\"} : f32[T,%3$d]\n"
            "  %%5 = state {frozen = true, name = \"teacher_weight\"} : f32[%2$d,%3$d]\n"
            "  %%6 = state {frozen = true, name = \"teacher_bias\"} : f32[%2$d]\n"
            "  %%7 = input {name = \"scale\"} : f32[]\n"
            "  %%8:4 = linear_kl_divergence %%1, %%2, %%4, %%5, %%3, %%6, _, %%7 {temperature = 2}" GRADIENTS
            "  return \"loss\" = %%8, \"dx\" = %%8#1, \"dweight\" = %%8#2, \"dbias\" = %%8#3\n"
            "}\n";

static const char of_likely[] =
    STUDENT "  %%4 = input {name = \"ids\"} : i32[T,%3$d]\n"
            "  %%5 = input {name = \"likely\"} : f32[T,%3$d]\n"
            "  %%6 = input {name = \"scale\"} : f32[]\n"
            "  %%7:4 = linear_soft_cross_entropy %%1, %%2, %%4, %%5, %%3, _, %%6 {temperature = 2}" GRADIENTS
            "  return \"loss\" = %%7, \"dx\" = %%7#1, \"dweight\" = %%7#2, \"dbias\" = %%7#3\n"
            "}\n";

static plan *compile(const head *h) {
    const settings *s = h->s;
    char text[2048];
    plan *p = NULL;
    ir_module *m = NULL, *lowered = NULL;
    arena memory = ARENA_INIT;
    pass_pipeline passes;
    const int width = (int)h->size[WIDTH], vocabulary = (int)h->size[VOCABULARY];
    if (h->size[TEACHER]) snprintf(text, sizeof text, of_teacher, width, vocabulary, (int)h->size[TEACHER]);
    else if (h->size[LIKELY]) snprintf(text, sizeof text, of_likely, width, vocabulary, (int)h->size[LIKELY]);
    else snprintf(text, sizeof text, of_labels, width, vocabulary);
    bool ok = pipeline_parse("layout,canonicalize,cse,dce,fuse,plan-memory", &memory, &s->sink, &passes) == POFAC_OK &&
              text_parse_module(s->context, "head", text, strlen(text), NULL, &s->sink, &m) == POFAC_OK &&
              pipeline_run(&passes, m, NULL, NULL, &s->sink, &lowered) == POFAC_OK &&
              cg_compile(lowered, "head", &s->options, &s->sink, &p) == POFAC_OK;
    arena_free(&memory);
    return ok ? p : NULL;
}

static bool begin(head *h, size_t n_threads) {
    h->source = (tensor_source){.get = get, .user = h};
    return thread_pool_create(n_threads, &h->s->sink, &h->pool) == POFAC_OK && (h->plan = compile(h)) &&
           session_create(h->plan, &h->source, h->pool, &h->s->sink, &h->session) == POFAC_OK;
}

static void end(head *h) {
    session_destroy(h->session);
    plan_destroy(h->plan);
    thread_pool_destroy(h->pool);
    h->session = NULL;
    h->plan = NULL;
    h->pool = NULL;
}

static void forget(head *h) {
    for (int i = 0; i < TENSORS; i++) {
        free(h->tensor[i].data);
        h->tensor[i].data = NULL;
    }
}

static double now_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Kilobytes of a line of /proc/self/status. */
static long status_kilobytes(const char *name) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long found = 0;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) found = strtol(line + strlen(name), NULL, 10);
    if (f) fclose(f);
    return found;
}

/* From now on VmHWM is the most that the process holds. Returns what it holds. */
static long begin_memory(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
    return status_kilobytes("VmRSS:");
}

static void print_memory(const char *who, long before) {
    fprintf(stderr, "%s: %.0f MB of extra memory\n", who, (double)(status_kilobytes("VmHWM:") - before) * 1024e-6);
}

/* ---- as an engine ---- */

static pofac_status print_numbers(const head *h) {
    static const char *const names[] = {"dx", "dweight", "dbias"};
    ir_tensor t;
    TRY(session_output(h->session, "loss", &h->s->sink, &t));
    printf("logits %.9g", 1000 * tensor_get(&t, 0));
    for (int i = 0; i < 3; i++) {
        TRY(session_output(h->session, names[i], &h->s->sink, &t));
        const int64_t n = tensor_elements(&t);
        for (int64_t k = 0; k < n; k += n / 997 + 1) printf(" %.9g", tensor_get(&t, k) * (double)counted(h) * 100);
    }
    printf("\n");
    return POFAC_OK;
}

static bool serve(head *h) {
    char line[4096];
    long before = 0;
    const bool cpu = getenv("PEER_CLOCK") && strcmp(getenv("PEER_CLOCK"), "cpu") == 0;
    const clockid_t clock = cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    bool ok = true;
    printf("ready\n");
    fflush(stdout);
    while (ok && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "load ", 5) == 0) {
            end(h);
            forget(h);
            ok = read_data(h, line + 5) && begin(h, (size_t)h->s->threads[0]);
            before = begin_memory();
            if (ok) printf("loaded 1\n");
        } else if (strcmp(line, "run") == 0) {
            const double start = now_ms(clock);
            ok = session_run(h->session, &h->source, &h->s->sink) == POFAC_OK;
            printf("ms %.6f\n", now_ms(clock) - start);
        } else if (strcmp(line, "logits") == 0) {
            ok = session_run(h->session, &h->source, &h->s->sink) == POFAC_OK && print_numbers(h) == POFAC_OK;
        } else {
            fprintf(stderr, "error: found the command \"%s\", wanted load FILE, run or logits\n", line);
            ok = false;
        }
        fflush(stdout);
    }
    print_memory("pofac", before);
    return ok;
}

/* ---- by itself: one thread is timed by its processor time, so that what else runs on the machine counts less ---- */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[n / 2];
}

static bool bench(head *h, size_t n_threads) {
    static double ms[MAX_ROUNDS], parts[MAX_STEPS][MAX_ROUNDS];
    bool ok = begin(h, n_threads) && h->plan->n_steps <= MAX_STEPS;
    const long before = begin_memory();
    if (ok) session_profile(h->session, true);
    for (int r = -1; r < h->s->rounds && ok; r++) {
        int64_t times[MAX_STEPS];
        for (size_t i = 0; i < h->plan->n_steps; i++) times[i] = session_times_ns(h->session)[i];
        const double start = now_ms(CLOCK_MONOTONIC), busy = now_ms(CLOCK_THREAD_CPUTIME_ID);
        ok = session_run(h->session, &h->source, &h->s->sink) == POFAC_OK;
        if (r < 0) continue;
        ms[r] = now_ms(CLOCK_MONOTONIC) - start;
        /* one thread: as if it had had the processor for itself */
        const double share = n_threads == 1 ? (now_ms(CLOCK_THREAD_CPUTIME_ID) - busy) / ms[r] : 1;
        ms[r] *= share;
        for (size_t i = 0; i < h->plan->n_steps; i++)
            parts[i][r] = 1e-6 * share * (double)(session_times_ns(h->session)[i] - times[i]);
    }
    if (ok) {
        printf("%s, %" PRId64 " of %" PRId64 " tokens, width %" PRId64 ", vocabulary %" PRId64 ", teacher's width %" PRId64
               ", likely classes %" PRId64 ", %zu thread%s: %.1f ms =",
               h->s->options.target.isa, counted(h), h->size[TOKENS], h->size[WIDTH], h->size[VOCABULARY], h->size[TEACHER],
               h->size[LIKELY], n_threads, n_threads > 1 ? "s" : "", median(ms, h->s->rounds));
        for (size_t i = 0; i < h->plan->n_steps; i++) {
            const double step = median(parts[i], h->s->rounds);
            const int64_t flops = h->plan->steps[i].flops.scale * counted(h);
            printf("%s %s %.1f", i ? " +" : "", h->plan->steps[i].kernel, step);
            if (flops > 0) printf(" (%.0f GFLOP/s)", 1e-6 * (double)flops / step);
        }
        printf("\n");
        print_memory("pofac", before);
    }
    end(h);
    return ok;
}

/* ---- settings ---- */

static bool read_setting(settings *s, const char *text) {
    static const char *const sizes[SIZES] = {"tokens=", "labelled=", "width=", "vocabulary=", "teacher=", "likely="};
    const char *value = strchr(text, '=');
    if (!value++) return false;
    const size_t n = (size_t)(value - text);
    for (int i = 0; i < SIZES; i++) {
        if (strncmp(text, sizes[i], n) != 0 || strlen(sizes[i]) != n) continue;
        s->size[i] = atoll(value);
        return s->size[i] >= (i < TEACHER ? 1 : 0);
    }
    if (strncmp(text, "write=", n) == 0) s->write = value;
    else if (strncmp(text, "read=", n) == 0) s->read = value;
    else if (strncmp(text, "serve=", n) == 0) s->serve = atoi(value) != 0;
    else if (strncmp(text, "isa=", n) == 0) s->isa = value;
    else if (strncmp(text, "rounds=", n) == 0) s->rounds = atoi(value);
    else if (strncmp(text, "threads=", n) == 0)
        for (s->n_threads = 0; value && s->n_threads < MAX_LIST; value = strchr(value, ','), value = value ? value + 1 : NULL)
            s->threads[s->n_threads++] = atoll(value);
    else return false;
    return s->rounds > 0 && s->rounds < MAX_ROUNDS;
}

int main(int argc, char **argv) {
    strbuf messages = STRBUF_INIT;
    arena target = ARENA_INIT;
    settings s = {.size = {2048, 307, 768, 30522, 0, 0}, .threads = {1, 2}, .n_threads = 2, .rounds = 7};
    for (int i = 1; i < argc; i++)
        if (!read_setting(&s, argv[i])) {
            fprintf(stderr, "error: unknown setting %s; see the comment on top of tests/bench/bench_loss.c\n", argv[i]);
            return 2;
        }
    s.sink = diag_sink_to_strbuf(&messages);
    s.context = context_create();
    head h = {.s = &s};
    bool ok = s.context && cg_target_host(s.isa, &target, &s.sink, &s.options.target) == POFAC_OK;
    memcpy(h.size, s.size, sizeof h.size);
    if (ok && s.read) ok = read_data(&h, s.read);
    else if (ok && !s.serve) make_data(&h);
    if (ok && s.write) ok = write_data(&h, s.write);
    else if (ok && s.serve) ok = serve(&h);
    else
        for (int i = 0; i < s.n_threads && ok; i++) ok = bench(&h, (size_t)s.threads[i]);
    if (messages.size > 0) fprintf(stderr, "%s\n", strbuf_str(&messages));
    end(&h);
    forget(&h);
    if (s.context) context_destroy(s.context);
    arena_free(&target);
    strbuf_free(&messages);
    return ok ? 0 : 1;
}
