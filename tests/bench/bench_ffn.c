/*
 * A pair of linears of BERT-Base's feed-forward block, 768 -> 3072 -> 768: forward and both gradients on the pattern alone, or dense,
 * against OpenBLAS dense doing the same six products; medians over rounds in which both run one after the other.
 *
 *   bench_ffn [NAME=VALUE]...
 *
 *   isa=avx2           instruction set; default: the machine's best
 *   sparsity=90,85     percent of zeros, with commas; default: 90,85,80,70,50; 0: dense kernels
 *   tokens=1024
 *   threads=1,2        with commas; OpenBLAS gets parts of the tokens, or of dW's rows, over the same pool
 *   rounds=9
 *   tile=W             default: as wide as four vectors
 *   widths=768,3072    of the pair
 *   products=TEXT      variant of the forward products and input gradients (codegen/variants.def); default: the kernel's own choice
 *   gradients=TEXT     of the weight gradients
 *
 * A step is what training does: values of a pattern are replaced each time (an output has the state's name), so that all products read one array of
 * non-zeros per weight, and what the input gradient needs is put in order within the step. Conversions between rows and tiles are not
 * counted: they stand at the borders of a model. One thread is timed by its processor time, so that what else runs on the machine
 * counts less. The second line has the best round of each part; parts are wall time, scaled by the share that the thread had. The third
 * has the medians of the rounds' ratios of OpenBLAS's time to pofac's, by part.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "runtime/blas.h"
#include "runtime/session.h"
#include "runtime/state_store.h"

#define MAX_ROUNDS 1001
#define MAX_LIST 16

typedef struct settings {
    const char *isa, *products, *gradients;
    int64_t sparsity[MAX_LIST], threads[MAX_LIST], widths[MAX_LIST];
    int n_sparsity, n_threads, n_widths;
    int64_t tokens, W, E, F; /* 768, 3072 */
    int rounds;
    cg_options options;
    ir_context *context;
    diag_sink sink;
} settings;

/* Tensors by name. */
typedef struct named {
    const char *name;
    float *data;
    int64_t rows, columns; /* 0: a vector */
} named;

typedef struct pair {
    const settings *s;
    named tensors[6]; /* x, dy, w1, w2, b1, b2 */
    float *h, *y, *dh, *dx, *dw1, *dw2;
    tensor_source source;
    thread_pool *pool;
    size_t n_threads;
    plan *plan;
    state_store *state;
    session *session;
    bool sparse;
} pair;
enum { X, DY, W1, W2, B1, B2 };

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, bytes);
    return p;
}

static named numbers(const char *name, int64_t rows, int64_t columns, double sparsity, double scale) {
    size_t n = (size_t)(rows * (columns ? columns : 1));
    named t = {name, room(n * sizeof(float)), rows, columns};
    rng_key value = rng_key_make(3, name), chance = rng_key_make(4, name);
    for (size_t i = 0; i < n; i++)
        if (sparsity <= 0 || rng_uniform(chance, i) >= sparsity) t.data[i] = (float)(scale * (2 * rng_uniform(value, i) - 1));
    return t;
}

static pofac_status get(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const pair *p = user;
    for (size_t i = 0; i < 6; i++) {
        const named *t = &p->tensors[i];
        if (strcmp(t->name, name) != 0) continue;
        const int64_t dims[] = {t->rows, t->columns};
        *out = tensor_view(IR_F32, t->columns ? 2 : 1, dims, t->data);
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s is missing", name);
}

/* ---- pofac ---- */

/* The leaves of the weights, and what products read and make of them; what a step replaces non-zeros by: themselves. */
static const char sparse_leaves[] = "  %%3 = pattern {name = \"w1\"} : pattern[%2$d,%1$d]\n"
                                    "  %%4 = pattern {name = \"w2\"} : pattern[%1$d,%2$d]\n"
                                    "  %%5 = state {name = \"w1\"} : f32[nnz(%%3)]\n"
                                    "  %%6 = state {name = \"w2\"} : f32[nnz(%%4)]\n",
                  dense_leaves[] = "  %%5 = state {name = \"w1\"} : f32[%2$d,%1$d]\n"
                                   "  %%6 = state {name = \"w2\"} : f32[%1$d,%2$d]\n",
                  replaced[] = "  %19 = sub %5, %5 : f32[nnz(%3)]\n"
                               "  %20 = add %5, %19 : f32[nnz(%3)]\n"
                               "  %21 = sub %6, %6 : f32[nnz(%4)]\n"
                               "  %22 = add %6, %21 : f32[nnz(%4)]\n",
                  form[] = "  %%7 = state {name = \"b1\"} : f32[%2$d]\n"
                           "  %%8 = state {name = \"b2\"} : f32[%1$d]\n"
                           "  %%9 = relayout %%1 : f32[T,%1$d] tiles<%3$d>\n"
                           "  %%10 = relayout %%2 : f32[T,%1$d] tiles<%3$d>\n"
                           "  %%11 = linear %%9, %%5, %%7%6$s {variant = \"%4$s\"} : f32[T,%2$d] tiles<%3$d>\n"
                           "  %%12 = linear %%11, %%6, %%8%7$s {variant = \"%4$s\"} : f32[T,%1$d] tiles<%3$d>\n"
                           "  %%13 = linear_input_gradient %%10, %%6%7$s {variant = \"%4$s\"} : f32[T,%2$d] tiles<%3$d>\n"
                           "  %%14:2 = linear_weight_gradient %%11, %%10%7$s {variant = \"%5$s\"} : f32[%9$s], f32[%1$d]\n"
                           "  %%15 = linear_input_gradient %%13, %%5%6$s {variant = \"%4$s\"} : f32[T,%1$d] tiles<%3$d>\n"
                           "  %%16:2 = linear_weight_gradient %%9, %%13%6$s {variant = \"%5$s\"} : f32[%8$s], f32[%2$d]\n"
                           "  %%17 = relayout %%12 : f32[T,%1$d]\n"
                           "  %%18 = relayout %%15 : f32[T,%1$d]\n"
                           "%10$s"
                           "  return \"y\" = %%17, \"dx\" = %%18, \"dw1\" = %%16, \"db1\" = %%16#1, \"dw2\" = %%14, \"db2\" = "
                           "%%14#1%11$s\n"
                           "}\n";

static plan *compile(const settings *s, bool sparse) {
    char text[4096], dims[2][64];
    plan *p = NULL;
    ir_module *m = NULL;
    const int E = (int)s->E, F = (int)s->F;
    snprintf(dims[0], sizeof dims[0], "%d,%d", F, E);
    snprintf(dims[1], sizeof dims[1], "%d,%d", E, F);
    int n = snprintf(text, sizeof text,
                     "graph @ffn (T <= 1048576) {\n"
                     "  %%1 = input {name = \"x\"} : f32[T,%1$d]\n"
                     "  %%2 = input {name = \"dy\"} : f32[T,%1$d]\n",
                     E);
    n += snprintf(text + n, sizeof text - (size_t)n, sparse ? sparse_leaves : dense_leaves, E, F);
    snprintf(text + n, sizeof text - (size_t)n, form, E, F, (int)s->W, s->products, s->gradients, sparse ? ", %3" : "",
             sparse ? ", %4" : "", sparse ? "nnz(%3)" : dims[0], sparse ? "nnz(%4)" : dims[1], sparse ? replaced : "",
             sparse ? ", \"w1\" = %20, \"w2\" = %22" : "");
    if (text_parse_module(s->context, "ffn", text, strlen(text), NULL, &s->sink, &m) != POFAC_OK) return NULL;
    return cg_compile(m, "ffn", &s->options, &s->sink, &p) == POFAC_OK ? p : NULL;
}

static double clock_seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(const pair *p) { return clock_seconds(p->n_threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC); }

enum { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, ORDER, OTHER, N_PARTS };

static int part_of(const pair *p, size_t step) {
    if (strcmp(p->plan->steps[step].kernel, "sparse_values") == 0) return ORDER;
    switch (p->plan->graph->nodes.data[p->plan->steps[step].node].op) {
    case OP_linear: return FORWARD;
    case OP_linear_input_gradient: return INPUT_GRADIENT;
    case OP_linear_weight_gradient: return WEIGHT_GRADIENT;
    default: return OTHER;
    }
}

/* Seconds of the parts, in one run; false when it fails. */
static bool run_pofac(const pair *p, double part[N_PARTS]) {
    int64_t before[64];
    double wall = clock_seconds(CLOCK_MONOTONIC), begin = now(p);
    for (size_t i = 0; i < p->plan->n_steps; i++) before[i] = session_times_ns(p->session)[i];
    if (session_run(p->session, &p->source, &p->s->sink) != POFAC_OK) return false;
    double share = (now(p) - begin) / (clock_seconds(CLOCK_MONOTONIC) - wall); /* of the processor that the thread had */
    for (int i = 0; i < N_PARTS; i++) part[i] = 0;
    for (size_t i = 0; i < p->plan->n_steps; i++)
        part[part_of(p, i)] += 1e-9 * share * (double)(session_times_ns(p->session)[i] - before[i]);
    return true;
}

/* ---- OpenBLAS ---- */

static void run_forward(void *user, size_t worker, size_t t) {
    (void)worker;
    const pair *p = user;
    const int64_t E = p->s->E, F = p->s->F, n = (int64_t)p->n_threads, T = p->s->tokens, first = T * (int64_t)t / n,
                  count = T * ((int64_t)t + 1) / n - first;
    blas_linear(p->tensors[X].data + first * E, p->tensors[W1].data, count, F, E, p->h + first * F);
    blas_linear(p->h + first * F, p->tensors[W2].data, count, E, F, p->y + first * E);
}

static void run_input_gradients(void *user, size_t worker, size_t t) {
    (void)worker;
    const pair *p = user;
    const int64_t E = p->s->E, F = p->s->F, n = (int64_t)p->n_threads, T = p->s->tokens, first = T * (int64_t)t / n,
                  count = T * ((int64_t)t + 1) / n - first;
    blas_linear_input_gradient(p->tensors[DY].data + first * E, p->tensors[W2].data, count, E, F, p->dh + first * F);
    blas_linear_input_gradient(p->dh + first * F, p->tensors[W1].data, count, F, E, p->dx + first * E);
}

static void run_weight_gradients(void *user, size_t worker, size_t t) {
    (void)worker;
    const pair *p = user;
    const int64_t E = p->s->E, F = p->s->F, n = (int64_t)p->n_threads, T = p->s->tokens;
    const int64_t f = F * (int64_t)t / n, e = E * (int64_t)t / n, nf = F * ((int64_t)t + 1) / n - f,
                  ne = E * ((int64_t)t + 1) / n - e;
    blas_linear_weight_gradient(p->tensors[X].data, p->dh, T, F, E, f, nf, p->dw1 + f * E);
    blas_linear_weight_gradient(p->h, p->tensors[DY].data, T, E, F, e, ne, p->dw2 + e * F);
}

static void run_openblas(const pair *p, double part[N_PARTS]) {
    void (*const work[])(void *user, size_t worker, size_t t) = {run_forward, run_input_gradients, run_weight_gradients};
    for (int i = FORWARD; i <= WEIGHT_GRADIENT; i++) {
        double begin = now(p);
        thread_pool_run(p->pool, work[i], (void *)(uintptr_t)p, p->n_threads);
        part[i] = now(p) - begin;
    }
}

/* ---- one case ---- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *v, int n) {
    double sorted[MAX_ROUNDS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return sorted[n / 2];
}

static double best(const double *v, int n) {
    double least = v[0];
    for (int i = 1; i < n; i++) least = fmin(least, v[i]);
    return least;
}

/* The largest difference of an output from `wanted`; of non-zeros, at the positions where `weight` is not 0. Without bias: 0 here. */
static double difference(const pair *p, const char *name, const float *wanted, const named *weight) {
    ir_tensor t;
    double most = 0;
    if (session_output(p->session, name, &p->s->sink, &t) != POFAC_OK) exit(1);
    int64_t n = weight ? weight->rows * weight->columns : tensor_elements(&t), at = 0;
    for (int64_t i = 0; i < n; i++)
        if (!weight || weight->data[i] != 0) most = fmax(most, fabs(tensor_get(&t, at++) - (double)wanted[i]));
    return most;
}

static bool begin_pair(pair *p, const settings *s, double sparsity, size_t n_threads) {
    const int64_t T = s->tokens, E = s->E, F = s->F;
    *p = (pair){.s = s, .n_threads = n_threads, .sparse = sparsity > 0};
    p->tensors[X] = numbers("x", T, E, 0, 1);
    p->tensors[DY] = numbers("dy", T, E, 0, 1);
    p->tensors[W1] = numbers("w1", F, E, sparsity, 0.1);
    p->tensors[W2] = numbers("w2", E, F, sparsity, 0.1);
    p->tensors[B1] = numbers("b1", F, 0, 2, 1);
    p->tensors[B2] = numbers("b2", E, 0, 2, 1);
    p->h = room((size_t)(T * F) * sizeof(float)), p->dh = room((size_t)(T * F) * sizeof(float));
    p->y = room((size_t)(T * E) * sizeof(float)), p->dx = room((size_t)(T * E) * sizeof(float));
    p->dw1 = room((size_t)(E * F) * sizeof(float)), p->dw2 = room((size_t)(E * F) * sizeof(float));
    p->source = (tensor_source){.get = get, .user = p};
    if (thread_pool_create(n_threads, &s->sink, &p->pool) != POFAC_OK || !(p->plan = compile(s, p->sparse)) ||
        state_store_create(p->plan->graph->module, &p->source, &s->sink, &p->state) != POFAC_OK ||
        session_create(p->plan, state_store_source(p->state), p->pool, &s->sink, &p->session) != POFAC_OK)
        return false;
    session_profile(p->session, true);
    return p->plan->n_steps <= 64;
}

static void end_pair(pair *p) {
    session_destroy(p->session);
    state_store_destroy(p->state);
    plan_destroy(p->plan);
    thread_pool_destroy(p->pool);
    for (size_t i = 0; i < 6; i++) free(p->tensors[i].data);
    free(p->h), free(p->dh), free(p->y), free(p->dx), free(p->dw1), free(p->dw2);
}

static bool bench(const settings *s, int64_t sparsity, size_t n_threads) {
    static double ours[MAX_ROUNDS], theirs[MAX_ROUNDS], ratio[MAX_ROUNDS], parts[N_PARTS][MAX_ROUNDS], ratios[N_PARTS][MAX_ROUNDS];
    pair p;
    bool ok = begin_pair(&p, s, (double)sparsity / 100, n_threads);
    for (int r = -2; r < s->rounds && ok; r++) {
        double part[N_PARTS], other[N_PARTS], dense = 0, sum = 0;
        ok = run_pofac(&p, part);
        run_openblas(&p, other);
        if (r < 0) continue;
        for (int i = 0; i < OTHER; i++) sum += part[i], parts[i][r] = part[i];
        for (int i = 0; i <= WEIGHT_GRADIENT; i++) dense += other[i], ratios[i][r] = other[i] / part[i];
        ours[r] = sum, theirs[r] = dense, ratio[r] = dense / sum;
    }
    if (ok) {
        double worst = fmax(difference(&p, "y", p.y, NULL), difference(&p, "dx", p.dx, NULL));
        const named *w1 = p.sparse ? &p.tensors[W1] : NULL, *w2 = p.sparse ? &p.tensors[W2] : NULL;
        worst = fmax(worst, fmax(difference(&p, "dw1", p.dw1, w1), difference(&p, "dw2", p.dw2, w2)));
        qsort(ratio, (size_t)s->rounds, sizeof *ratio, compare);
        printf("%-6s %2lld %% zeros, %lld tokens, %zu thread%s: pofac %6.2f ms = forward %5.2f + input gradients %5.2f + weight "
               "gradients "
               "%5.2f + order %4.2f; OpenBLAS %6.1f ms; ratio %.2f [%.2f..%.2f]; largest difference %.0e\n",
               s->options.target.isa, (long long)sparsity, (long long)s->tokens, n_threads, n_threads > 1 ? "s" : "",
               1e3 * median(ours, s->rounds), 1e3 * median(parts[FORWARD], s->rounds),
               1e3 * median(parts[INPUT_GRADIENT], s->rounds), 1e3 * median(parts[WEIGHT_GRADIENT], s->rounds),
               1e3 * median(parts[ORDER], s->rounds), 1e3 * median(theirs, s->rounds), ratio[s->rounds / 2], ratio[0],
               ratio[s->rounds - 1], worst);
        printf("%-6s best: pofac %6.2f ms = %5.2f + %5.2f + %5.2f + %4.2f; OpenBLAS %6.1f ms; ratio %.2f\n", s->options.target.isa,
               1e3 * best(ours, s->rounds), 1e3 * best(parts[FORWARD], s->rounds), 1e3 * best(parts[INPUT_GRADIENT], s->rounds),
               1e3 * best(parts[WEIGHT_GRADIENT], s->rounds), 1e3 * best(parts[ORDER], s->rounds), 1e3 * best(theirs, s->rounds),
               best(theirs, s->rounds) / best(ours, s->rounds));
        printf("%-6s ratios: forward %.2f, input gradients %.2f, weight gradients %.2f\n", s->options.target.isa,
               median(ratios[FORWARD], s->rounds), median(ratios[INPUT_GRADIENT], s->rounds),
               median(ratios[WEIGHT_GRADIENT], s->rounds));
        fflush(stdout);
    }
    end_pair(&p);
    return ok;
}

/* ---- settings ---- */

static int read_list(const char *text, int64_t out[MAX_LIST]) {
    int n = 0;
    for (char *end; n < MAX_LIST; text = end + 1) {
        out[n++] = strtoll(text, &end, 10);
        if (*end != ',') break;
    }
    return n;
}

static bool read_setting(settings *s, const char *text) {
    const char *value = strchr(text, '=');
    if (!value++) return false;
    size_t n = (size_t)(value - text);
    if (strncmp(text, "isa=", n) == 0) s->isa = value;
    else if (strncmp(text, "sparsity=", n) == 0) s->n_sparsity = read_list(value, s->sparsity);
    else if (strncmp(text, "threads=", n) == 0) s->n_threads = read_list(value, s->threads);
    else if (strncmp(text, "widths=", n) == 0) s->n_widths = read_list(value, s->widths);
    else if (strncmp(text, "products=", n) == 0) s->products = value;
    else if (strncmp(text, "gradients=", n) == 0) s->gradients = value;
    else if (strncmp(text, "tokens=", n) == 0) s->tokens = atoll(value);
    else if (strncmp(text, "rounds=", n) == 0) s->rounds = atoi(value);
    else if (strncmp(text, "tile=", n) == 0) s->W = atoll(value);
    else return false;
    return true;
}

/* OpenBLAS chooses its kernels when it is loaded and knows no processors newer than itself: the program starts itself again with those
 * that fit the instruction set. */
static void use_best_kernels(char **argv, const cg_target *host) {
    const char *name = host->vector_bytes == 64 ? "SkylakeX" : host->vector_bytes == 32 ? "Haswell" : NULL;
    if (!name || getenv("OPENBLAS_CORETYPE")) return;
    setenv("OPENBLAS_CORETYPE", name, 1);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
    strbuf messages = STRBUF_INIT;
    arena memory = ARENA_INIT;
    settings s = {.sparsity = {90, 85, 80, 70, 50},
                  .n_sparsity = 5,
                  .threads = {1, 2},
                  .n_threads = 2,
                  .tokens = 1024,
                  .rounds = 9,
                  .products = "",
                  .gradients = ""};
    s.widths[0] = 768, s.widths[1] = 3072, s.n_widths = 2;
    s.sink = diag_sink_to_strbuf(&messages);
    for (int i = 1; i < argc; i++)
        if (!read_setting(&s, argv[i])) {
            fprintf(stderr, "bench_ffn: %s is no setting\n", argv[i]);
            return 1;
        }
    bool ok = s.rounds >= 1 && s.rounds <= MAX_ROUNDS && s.n_widths == 2 && (s.context = context_create()) != NULL &&
              cg_target_host(s.isa, &memory, &s.sink, &s.options.target) == POFAC_OK;
    if (ok) use_best_kernels(argv, &s.options.target);
    s.E = s.widths[0], s.F = s.widths[1];
    if (s.W == 0 && ok) s.W = s.options.target.vector_bytes;
    if (ok) printf("%s; it runs its %s kernels\n", blas_version(), blas_kernels());
    for (int t = 0; t < s.n_threads && ok; t++)
        for (int i = 0; i < s.n_sparsity && ok; i++) ok = bench(&s, s.sparsity[i], (size_t)s.threads[t]);
    fprintf(stderr, "%s", strbuf_str(&messages));
    if (s.context) context_destroy(s.context);
    arena_free(&memory);
    strbuf_free(&messages);
    return ok ? 0 : 1;
}
