/*
 * Sparse linears against peers in one process: medians over rounds in which all run one after the other.
 *
 *   bench_sparse [NAME=VALUE]...
 *
 *   isa=avx2           instruction set; default: the machine's best
 *   shapes=768x768     [N]x[K] of weights, with commas; "layer": the six of a layer of BERT-Base, one after the other
 *   sparsity=90        percent of zeros, with commas
 *   tokens=128         with commas
 *   layers=1           how many weights of different content each shape stands for (12: they do not stay in the caches)
 *   threads=1          of every peer, over one pool; peers that have one thread get parts of the rows of the weight
 *   rounds=9
 *   variant=TEXT       of the kernel (codegen/variants.def); default: the kernel's own choice
 *   tile=W             default: as wide as four vectors
 *   peers=LIST         default: all; see the table below
 *
 * Prints for each case the median time, GFLOP/s over the non-zeros ("effective": what a dense product would need for the same time
 * stands behind it), the share of the peak of multiply-adds, and the median of the peers' paired ratios. One thread is timed by its
 * processor time, so that what else runs on the machine counts less.
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
#include "runtime/blas.h"
#include "runtime/sparse_packing.h"
#include "runtime/weight_memory.h"
#include "tests/bench/sparse_intrinsics.h"

#define MAX_ROUNDS 1001
#define MAX_LIST 16
#define MAX_WEIGHTS 144

typedef struct settings {
    const char *isa, *shapes, *peers, *variant;
    int64_t sparsity[MAX_LIST], tokens[MAX_LIST];
    int n_sparsity, n_tokens, layers, threads, rounds;
    int64_t W;
    cg_options options;
    ir_context *context;
    thread_pool *pool;
    diag_sink sink;
    double peak; /* operations per second of one thread */
} settings;

/* One weight, in all forms. */
typedef struct weight {
    int64_t N, K, nnz;
    float *dense, *bias;
    const float *x; /* [tokens][K], shared by weights of equal K */
    float *y;       /* [tokens][N], of peers that work on rows */
    ir_pattern pattern;
    int64_t *row_start;
    int32_t *column;
    const float *x_tiles;
    float *y_tiles;
    const plan *plan;
    sparse_header *index;
    float *values;
    int64_t value_bytes;
} weight;

typedef struct problem {
    const settings *s;
    weight weights[MAX_WEIGHTS];
    int n_weights;
    int64_t tokens;
    double nnz; /* of all weights */
    char *scratch;
    size_t scratch_bytes; /* of each thread */
} problem;

/* Somebody who computes all products of a problem. The others add rows here. */
typedef struct peer {
    const char *name;
    bool (*can)(const problem *p);
    void (*run)(const problem *p, const weight *w);
    bool in_tiles; /* the result stands in y_tiles, else in y */
} peer;

/* ---- memory and numbers ---- */

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, bytes);
    return p;
}

static float *numbers(size_t n, const char *name) {
    float *p = room(n * sizeof *p);
    rng_key key = rng_key_make(3, name);
    for (size_t i = 0; i < n; i++) p[i] = 2 * (float)rng_uniform(key, i) - 1;
    return p;
}

static double now(const settings *s) {
    struct timespec t;
    clock_gettime(s->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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

/* ---- pofac ---- */

typedef struct pofac_run {
    const problem *p;
    const weight *w;
    void *buffers[8];
    int64_t dims[4];
} pofac_run;

static void run_unit(void *user, size_t worker, size_t unit) {
    const pofac_run *r = user;
    r->w->plan->steps[0].run(r->buffers, r->dims, (int64_t)unit, (int64_t)unit + 1, r->p->scratch + worker * r->p->scratch_bytes);
}

static int64_t eval(ir_dim d, int64_t tokens) {
    int64_t all[64];
    for (size_t i = 0; i < 64; i++) all[i] = tokens;
    return dim_eval(d, (ir_binding){all, 64});
}

static void run_pofac(const problem *p, const weight *w) {
    const plan_step *s = &w->plan->steps[0];
    pofac_run r = {p, w, {(void *)(uintptr_t)w->x_tiles, w->index, w->values, w->bias, w->y_tiles}, {0}};
    for (uint32_t i = 0; i < s->n_dims; i++) r.dims[i] = eval(s->dims[i], p->tokens);
    int64_t units = (eval(s->work, p->tokens) + s->work_per_unit - 1) / s->work_per_unit;
    if (p->s->threads == 1) s->run(r.buffers, r.dims, 0, units, p->scratch);
    else thread_pool_run(p->s->pool, run_unit, &r, (size_t)units);
}

static bool can_always(const problem *p) {
    (void)p;
    return true;
}

/* ---- OpenBLAS ---- */

typedef struct rows_run {
    const problem *p;
    const weight *w;
} rows_run;

/* Thread t's part of the tokens, or of the weight's rows where there is one token. */
static void run_openblas_part(void *user, size_t worker, size_t t) {
    (void)worker;
    const rows_run *r = user;
    const weight *w = r->w;
    int64_t n = r->p->s->threads, tokens = r->p->tokens, by = tokens == 1 ? w->N : tokens;
    int64_t first = by * (int64_t)t / n, count = by * ((int64_t)t + 1) / n - first;
    if (count == 0) return;
    if (tokens == 1) blas_linear(w->x, w->dense + first * w->K, 1, count, w->K, w->y + first);
    else blas_linear(w->x + first * w->K, w->dense, count, w->N, w->K, w->y + first * w->N);
}

static void run_openblas(const problem *p, const weight *w) {
    rows_run r = {p, w};
    if (p->s->threads == 1) run_openblas_part(&r, 0, 0);
    else thread_pool_run(p->s->pool, run_openblas_part, &r, (size_t)p->s->threads);
}

/* ---- C with intrinsics ---- */

static intrinsics_linear intrinsics_of(const settings *s) {
    if (s->options.target.vector_bytes == 64 && s->W == 64) return avx512_kernel_linear;
    if (s->options.target.vector_bytes == 32 && s->W == 32) return avx2_kernel_linear;
    return NULL;
}

static bool can_intrinsics(const problem *p) {
    const plan_buffer *b = &p->weights[0].plan->buffers[p->weights[0].plan->steps[0].buffers[1]];
    return p->s->threads == 1 && b->sparse.kind == SPARSE_STREAM && intrinsics_of(p->s);
}

static void run_intrinsics(const problem *p, const weight *w) {
    intrinsics_of(p->s)(w->index, w->values, w->bias, w->x_tiles, w->y_tiles, p->tokens, w->N, w->K, (float *)p->scratch);
}

static const peer peers[] = {
    {"pofac", can_always, run_pofac, true}, /* stays first */
    {"OpenBLAS", can_always, run_openblas, false},
    {"C", can_intrinsics, run_intrinsics, true},
};
#define N_PEERS (sizeof peers / sizeof peers[0])

/* ---- problems ---- */

static const plan *compile(const settings *s, int64_t N, int64_t K) {
    ir_module *m = module_create(s->context, &s->sink);
    ir_graph *g = module_add_graph(m, "linear");
    ir_dim x_dims[] = {dim_symbol(graph_declare_symbol(g, "T", 1 << 20)), dim_const(K)}, n = dim_const(N);
    const ir_type *x_type = type_with_layout(s->context, type_tensor(s->context, IR_F32, 2, x_dims), LAYOUT_TILES, (uint32_t)s->W);
    const ir_attr name = {.name = "name", .kind = ATTR_STRING, .as.s = "w"};
    ir_value pattern = build_leaf(g, OP_pattern, name.as.s, type_pattern(s->context, n, dim_const(K)));
    ir_dim nnz = dim_symbol(symbol_nnz(s->context, pattern));
    ir_value in[] = {build_leaf(g, OP_input, "x", x_type), build_leaf(g, OP_state, "w", type_tensor(s->context, IR_F32, 1, &nnz)),
                     build_leaf(g, OP_state, "b", type_tensor(s->context, IR_F32, 1, &n)), pattern};
    const ir_attr variant = {.name = "variant", .kind = ATTR_STRING, .as.s = s->variant};
    graph_add_output(g, "y", node_add(g, OP_linear, in, 4, &variant, s->variant ? 1 : 0, NULL));
    plan *p = NULL;
    if (cg_compile(m, "linear", &s->options, &s->sink, &p) != POFAC_OK) return NULL;
    return p;
}

/* Random non-zeros, of each row about as many. */
static void make_pattern(weight *w, double sparsity, rng_key key) {
    w->row_start = room((size_t)(w->N + 1) * sizeof *w->row_start);
    w->column = room((size_t)(w->N * w->K) * sizeof *w->column);
    for (int64_t i = 0; i < w->N * w->K; i++) {
        if (rng_uniform(key, (uint64_t)i) < sparsity) w->dense[i] = 0;
        else w->column[w->nnz++] = (int32_t)(i % w->K);
        if (i % w->K == w->K - 1) w->row_start[i / w->K + 1] = w->nnz;
    }
    w->pattern = (ir_pattern){w->N, w->K, w->nnz, w->row_start, w->column};
}

static bool make_weight(problem *p, int64_t N, int64_t K, double sparsity) {
    const settings *s = p->s;
    weight *w = &p->weights[p->n_weights];
    const weight *like = NULL;
    char name[32];
    for (int i = 0; i < p->n_weights; i++)
        if (p->weights[i].K == K && (!like || p->weights[i].N == N)) like = &p->weights[i];
    snprintf(name, sizeof name, "w%d", p->n_weights);
    *w = (weight){.N = N, .K = K, .dense = numbers((size_t)(N * K), name), .bias = numbers((size_t)N, "b")};
    make_pattern(w, sparsity, rng_key_make(4, name));
    const int64_t tiles = (p->tokens + s->W - 1) / s->W, dims[] = {N, K};
    w->plan = like && like->N == N ? like->plan : compile(s, N, K);
    if (!w->plan || w->plan->n_steps != 1 || !w->plan->steps[0].run) return false;
    w->y = room((size_t)(p->tokens * N) * sizeof *w->y);
    w->y_tiles = room((size_t)(tiles * N * s->W) * sizeof *w->y_tiles);
    w->x = like ? like->x : numbers((size_t)(p->tokens * K), "x");
    w->x_tiles = like ? like->x_tiles : NULL;
    if (!like) {
        float *x_tiles = room((size_t)(tiles * K * s->W) * sizeof *x_tiles);
        for (int64_t t = 0; t < p->tokens; t++)
            for (int64_t k = 0; k < K; k++) x_tiles[(t / s->W * K + k) * s->W + t % s->W] = w->x[t * K + k];
        w->x_tiles = x_tiles;
    }
    const sparse_layout *layout = &w->plan->buffers[w->plan->steps[0].buffers[1]].sparse;
    const ir_tensor dense = tensor_view(IR_F32, 2, dims, w->dense);
    size_t scratch = ((size_t)eval(w->plan->steps[0].scratch_bytes, p->tokens) + 63) / 64 * 64;
    if (scratch > p->scratch_bytes) p->scratch_bytes = scratch;
    p->nnz += (double)w->nnz;
    p->n_weights++;
    return sparse_index_make(layout, &w->pattern, "w", s->pool, &s->sink, &w->index) == POFAC_OK &&
           sparse_values_make(layout, &w->pattern, &dense, "w", s->pool, &s->sink, &w->values, &w->value_bytes) == POFAC_OK;
}

static const int64_t layer_shapes[][2] = {{768, 768}, {768, 768}, {768, 768}, {768, 768}, {3072, 768}, {768, 3072}};

static bool make_problem(problem *p, const settings *s, const char *shape, double sparsity, int64_t tokens) {
    *p = (problem){.s = s, .tokens = tokens};
    bool made = true, is_layer = strncmp(shape, "layer", strlen("layer")) == 0;
    for (int l = 0; l < s->layers && made; l++) {
        long long N, K;
        for (size_t i = 0; is_layer && i < 6 && made; i++) made = make_weight(p, layer_shapes[i][0], layer_shapes[i][1], sparsity);
        if (!is_layer) made = sscanf(shape, "%lldx%lld", &N, &K) == 2 && make_weight(p, N, K, sparsity);
    }
    p->scratch = room(p->scratch_bytes * (size_t)s->threads);
    return made;
}

static void free_problem(problem *p) {
    for (int i = 0; i < p->n_weights; i++) {
        weight *w = &p->weights[i];
        bool own_x = true, own_plan = true;
        for (int j = 0; j < i; j++) own_x &= p->weights[j].x != w->x, own_plan &= p->weights[j].plan != w->plan;
        if (w->index) weight_memory_give(w->index, w->index->bytes);
        weight_memory_give(w->values, (size_t)w->value_bytes);
        free(w->dense), free(w->bias), free(w->y), free(w->row_start), free(w->column), free(w->y_tiles);
        if (own_x) free((void *)(uintptr_t)w->x), free((void *)(uintptr_t)w->x_tiles);
        w->x = own_x ? w->x : NULL; /* the pointers are compared above */
        if (own_plan) continue;
        w->plan = NULL;
    }
    for (int i = 0; i < p->n_weights; i++) plan_destroy((plan *)(uintptr_t)p->weights[i].plan);
    free(p->scratch);
}

/* ---- timing ---- */

static void run_all(const problem *p, const peer *who) {
    for (int i = 0; i < p->n_weights; i++) who->run(p, &p->weights[i]);
}

static double time_of(const problem *p, const peer *who, int repeat) {
    double begin = now(p->s);
    for (int i = 0; i < repeat; i++) run_all(p, who);
    return (now(p->s) - begin) / repeat;
}

/* The largest difference between the results of two peers, against bias + OpenBLAS. */
static double difference(const problem *p, const peer *who) {
    const int64_t W = p->s->W;
    double most = 0;
    run_all(p, who);
    for (int i = 0; i < p->n_weights; i++) {
        const weight *w = &p->weights[i];
        run_openblas(p, w);
        for (int64_t t = 0; t < p->tokens; t++)
            for (int64_t n = 0; n < w->N; n++) {
                double wanted = (double)w->y[t * w->N + n] + (double)w->bias[n];
                double found = who->in_tiles ? (double)w->y_tiles[(t / W * w->N + n) * W + t % W] : wanted;
                most = fmax(most, fabs(wanted - found));
            }
    }
    return most;
}

static bool is_wanted(const settings *s, const peer *who) { return who == peers || !s->peers || strstr(s->peers, who->name); }

static void bench(const problem *p, const char *shape, int64_t sparsity) {
    static double seconds[N_PEERS][MAX_ROUNDS];
    const settings *s = p->s;
    bool plays[N_PEERS];
    int repeat = (int)(4e7 / (p->nnz * (double)p->tokens)) + 1;
    for (size_t i = 0; i < N_PEERS; i++) plays[i] = is_wanted(s, &peers[i]) && peers[i].can(p);
    for (int r = -1; r < s->rounds; r++)
        for (size_t i = 0; i < N_PEERS; i++) {
            if (!plays[i]) continue;
            double t = time_of(p, &peers[i], repeat);
            if (r >= 0) seconds[i][r] = t;
        }
    double best = 1e9, flops = 2 * p->nnz * (double)p->tokens, typical = median(seconds[0], s->rounds);
    for (int r = 0; r < s->rounds; r++) best = fmin(best, seconds[0][r]);
    printf("%-6s %-9s %2lld %% T=%-4lld %9.3f ms %6.1f GFLOP/s (best %6.1f), %3.0f %% of peak", s->options.target.isa, shape,
           (long long)sparsity, (long long)p->tokens, 1e3 * typical, 1e-9 * flops / typical, 1e-9 * flops / best,
           100 * flops / best / (s->peak * s->threads));
    for (size_t i = 1; i < N_PEERS; i++) {
        double ratio[MAX_ROUNDS];
        if (!plays[i]) continue;
        for (int r = 0; r < s->rounds; r++) ratio[r] = seconds[i][r] / seconds[0][r];
        printf("  %s %.2fx", peers[i].name, median(ratio, s->rounds));
    }
    printf("  difference %.0e\n", difference(p, peers));
    fflush(stdout);
}

/* ---- settings ---- */

static int read_list(const char *text, int64_t *out) {
    int n = 0;
    for (char *end; n < MAX_LIST && *text; text = *end ? end + 1 : end) out[n++] = strtoll(text, &end, 10);
    return n;
}

static bool read_setting(settings *s, char *text) {
    char *value = strchr(text, '=');
    if (!value) return false;
    *value++ = 0;
    if (strcmp(text, "isa") == 0) s->isa = value;
    else if (strcmp(text, "shapes") == 0) s->shapes = value;
    else if (strcmp(text, "peers") == 0) s->peers = value;
    else if (strcmp(text, "variant") == 0) s->variant = value;
    else if (strcmp(text, "sparsity") == 0) s->n_sparsity = read_list(value, s->sparsity);
    else if (strcmp(text, "tokens") == 0) s->n_tokens = read_list(value, s->tokens);
    else if (strcmp(text, "layers") == 0) s->layers = atoi(value);
    else if (strcmp(text, "threads") == 0) s->threads = atoi(value);
    else if (strcmp(text, "rounds") == 0) s->rounds = atoi(value);
    else if (strcmp(text, "tile") == 0) s->W = atoi(value);
    else return false;
    return true;
}

/* OpenBLAS chooses its kernels when it is loaded; see bench_linear.c. */
static void use_best_kernels(char **argv, const cg_target *host) {
    const char *name = host->vector_bytes == 64 ? "SkylakeX" : host->vector_bytes == 32 ? "Haswell" : NULL;
    if (!name || getenv("OPENBLAS_CORETYPE")) return;
    setenv("OPENBLAS_CORETYPE", name, 1);
    execv("/proc/self/exe", argv);
}

static double measure_peak(const settings *s) {
    float out[16] __attribute__((aligned(64))) = {0};
    double best = 0;
    if (s->options.target.vector_bytes < 32) return INFINITY;
    for (int i = 0; i < 20; i++) {
        double begin = now(s), n = s->options.target.vector_bytes == 64 ? avx512_peak(out) : avx2_peak(out);
        best = fmax(best, n / (now(s) - begin));
    }
    return best;
}

static int bench_all(const settings *s) {
    for (const char *shape = s->shapes; *shape; shape += strcspn(shape, ",") + (strchr(shape, ',') != NULL)) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(shape, ","), shape);
        for (int i = 0; i < s->n_sparsity; i++)
            for (int t = 0; t < s->n_tokens; t++) {
                static problem p;
                bool made = make_problem(&p, s, name, (double)s->sparsity[i] / 100, s->tokens[t]);
                if (made) bench(&p, name, s->sparsity[i]);
                free_problem(&p);
                if (!made) return 1;
            }
    }
    return 0;
}

int main(int argc, char **argv) {
    strbuf messages = STRBUF_INIT;
    arena memory = ARENA_INIT;
    settings s = {.shapes = "768x768,3072x768,768x3072",
                  .sparsity = {90},
                  .tokens = {128},
                  .n_sparsity = 1,
                  .n_tokens = 1,
                  .layers = 1,
                  .threads = 1,
                  .rounds = 9,
                  .context = context_create(),
                  .sink = diag_sink_to_strbuf(&messages)};
    char *kept[64];
    for (int i = 0; i < argc && i < 64; i++) kept[i] = strdup(argv[i]); /* settings are cut where they are read */
    kept[argc < 63 ? argc : 63] = NULL;
    bool read = true;
    for (int i = 1; i < argc && read; i++) read = read_setting(&s, argv[i]);
    if (!read || s.rounds < 1 || s.rounds > MAX_ROUNDS || s.layers < 1 || s.layers > 24 || s.threads < 1) {
        fprintf(stderr,
                "usage: bench_sparse [isa=|shapes=|sparsity=|tokens=|layers=|threads=|rounds=|variant=|tile=|peers=VALUE]...\n");
        return 2;
    }
    int failed = 1;
    if (s.context && cg_target_host(s.isa, &memory, &s.sink, &s.options.target) == POFAC_OK &&
        thread_pool_create((size_t)s.threads, &s.sink, &s.pool) == POFAC_OK) {
        use_best_kernels(kept, &s.options.target);
        if (!s.W) s.W = s.options.target.vector_bytes;
        s.peak = measure_peak(&s);
        printf("%s; it runs its %s kernels; %.0f GFLOP/s of multiply-adds on registers\n", blas_version(), blas_kernels(),
               1e-9 * s.peak);
        failed = bench_all(&s);
    }
    fprintf(stderr, "%s", strbuf_str(&messages));
    thread_pool_destroy(s.pool);
    context_destroy(s.context);
    arena_free(&memory);
    strbuf_free(&messages);
    return failed;
}
