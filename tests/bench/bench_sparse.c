/*
 * Sparse linears against peers in one process: medians over rounds in which all run one after the other, in an order that rotates.
 *
 *   bench_sparse [NAME=VALUE]...
 *
 *   isa=avx2           instruction set; default: the machine's best
 *   shapes=768x768     [N]x[K] of weights, with commas; "layer": the six of a layer of BERT-Base, one after the other
 *   sparsity=90        percent of zeros, with commas
 *   structure=4x1      zeros come in blocks of R x C at multiples of R and C; 2:4: two of every four columns are kept, whatever
 *                      `sparsity` says; default: one by one
 *   tokens=128         with commas
 *   layers=1           how many weights of different content each shape stands for (12: they do not stay in the caches)
 *   threads=1          of every peer, with commas
 *   rounds=9
 *   variant=TEXT       of the kernel (codegen/variants.def); default: the kernel's own choice
 *   tile=W             default: as wide as four vectors; 16 for up to 16 tokens
 *   peers=LIST         default: all; see the table below
 *
 * Prints a table in Markdown: for each case the median time and GFLOP/s over the non-zeros, the share of the peak of multiply-adds,
 * which is measured beforehand on as many threads, and for each peer the median, with quartiles, of its time by pofac's of the same
 * round. Results must agree with plain sums in double precision before anything is timed. Libraries (linear_peers.h) are asked in
 * each of their ways in turn, and the fastest is kept. One thread is timed by its processor time, so that what else runs on the machine
 * counts less. Threads stay awake from product to product, as those of a session do, and sleep when it is another's turn; the
 * environment says that other libraries' threads wait without spinning.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "ir/support/rng.h"
#include "runtime/blas.h"
#include "runtime/sparse_packing.h"
#include "runtime/weight_memory.h"
#include "tests/bench/linear_peers.h"
#include "tests/bench/sparse_intrinsics.h"

#define MAX_ROUNDS 1001
#define MAX_LIST 16
#define MAX_WEIGHTS 144
#define MAX_PEERS 8
#define CHECKED 64 /* sums of each product */

typedef struct settings {
    const char *isa, *shapes, *peers, *variant, *structure;
    int64_t sparsity[MAX_LIST], tokens[MAX_LIST], thread_counts[MAX_LIST];
    int n_sparsity, n_tokens, n_thread_counts, layers, threads, rounds;
    int64_t block_rows, block_columns, keep, of; /* of the structure: 1, 1, 0, 0 where there is none */
    int64_t tile, W;                             /* tile: 0: by the number of tokens */
    cg_options options;
    ir_context *context;
    thread_pool *pool;
    diag_sink sink;
    double peak; /* operations per second of all threads */
} settings;

/* A kernel, and a weight as it reads it. */
typedef struct packed {
    const plan *plan; /* shared by weights of equal shape */
    sparse_header *index;
    float *values;
    int64_t value_bytes;
} packed;

/* One weight, in all forms. */
typedef struct weight {
    int64_t N, K, nnz;
    float *dense, *bias;
    const float *x; /* [tokens][K], shared by weights of equal K */
    float *y;       /* [tokens][N], of peers that work on rows; shared, as memory of activations is, by weights of equal N */
    ir_pattern pattern;
    int64_t *row_start;
    int32_t *column;
    const float *x_tiles;
    float *y_tiles;            /* likewise shared */
    packed chosen, stream;     /* stream: where the chosen kernel reads another layout */
    void *products[MAX_PEERS]; /* of libraries, by peer */
} weight;

typedef struct problem {
    const settings *s;
    weight weights[MAX_WEIGHTS];
    int n_weights;
    int64_t tokens;
    double nnz; /* of all weights */
    char *scratch;
    size_t scratch_bytes;        /* of each thread */
    const char *ways[MAX_PEERS]; /* that libraries are asked in; NULL: in none */
} problem;

/* Somebody who computes all products of a problem: a function of this file, whose result has the bias and stands in y_tiles, or a
 * library. */
typedef struct peer {
    const char *name;
    bool (*can)(const problem *p);
    void (*run)(const problem *p, const weight *w);
    const linear_peer *library;
} peer;

/* ---- memory and numbers ---- */

#define HUGE_PAGE ((size_t)2 << 20)

/* In huge pages where it is large, as a session's activations are. */
static void *room(size_t bytes) {
    size_t page = bytes < HUGE_PAGE / 2 ? 64 : HUGE_PAGE, size = (bytes + page) / page * page;
    void *p = aligned_alloc(page, size);
    if (!p) exit(2);
    if (page == HUGE_PAGE) (void)madvise(p, size, MADV_HUGEPAGE);
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

/* The value at `share` of n values, n > 0. */
static double quantile(const double *v, int n, double share) {
    double sorted[MAX_ROUNDS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return sorted[(int)(share * (n - 1) + 0.5)];
}

/* ---- pofac ---- */

typedef struct pofac_run {
    const problem *p;
    const plan_step *step;
    void *buffers[8];
    int64_t dims[4];
} pofac_run;

static void run_unit(void *user, size_t worker, size_t unit) {
    const pofac_run *r = user;
    r->step->run(r->buffers, r->dims, (int64_t)unit, (int64_t)unit + 1, r->p->scratch + worker * r->p->scratch_bytes);
}

static int64_t eval(ir_dim d, int64_t tokens) {
    int64_t all[64];
    for (size_t i = 0; i < 64; i++) all[i] = tokens;
    return dim_eval(d, (ir_binding){all, 64});
}

static void run_packed(const problem *p, const weight *w, const packed *k) {
    const plan_step *s = &k->plan->steps[0];
    pofac_run r = {p, s, {(void *)(uintptr_t)w->x_tiles, k->index, k->values, w->bias, w->y_tiles}, {0}};
    for (uint32_t i = 0; i < s->n_dims; i++) r.dims[i] = eval(s->dims[i], p->tokens);
    int64_t units = (eval(s->work, p->tokens) + s->work_per_unit - 1) / s->work_per_unit;
    if (p->s->threads == 1) s->run(r.buffers, r.dims, 0, units, p->scratch);
    else thread_pool_run_in_series(p->s->pool, run_unit, &r, (size_t)units);
}

static void run_pofac(const problem *p, const weight *w) { run_packed(p, w, &w->chosen); }

static bool can_always(const problem *p) {
    (void)p;
    return true;
}

static void run_stream(const problem *p, const weight *w) { run_packed(p, w, &w->stream); }

static bool can_stream(const problem *p) { return p->weights[0].stream.plan != NULL; }

/* ---- C with intrinsics ---- */

static intrinsics_linear intrinsics_of(const settings *s) {
    if (s->options.target.vector_bytes == 64 && s->W == 64) return avx512_kernel_linear;
    if (s->options.target.vector_bytes == 32 && s->W == 32) return avx2_kernel_linear;
    return NULL;
}

static const sparse_layout *layout_of(const packed *k) { return &k->plan->buffers[k->plan->steps[0].buffers[1]].sparse; }

static bool can_intrinsics(const problem *p) {
    return p->s->threads == 1 && layout_of(&p->weights[0].chosen)->kind == SPARSE_STREAM && intrinsics_of(p->s);
}

static void run_intrinsics(const problem *p, const weight *w) {
    intrinsics_of(p->s)(w->chosen.index, w->chosen.values, w->bias, w->x_tiles, w->y_tiles, p->tokens, w->N, w->K,
                        (float *)p->scratch);
}

static const peer peers[] = {
    {"pofac", can_always, run_pofac, NULL},   /* stays first */
    {"stream", can_stream, run_stream, NULL}, /* pofac's kernel for zeros without structure */
    {"C", can_intrinsics, run_intrinsics, NULL},   {"OpenBLAS", NULL, NULL, &linear_peer_openblas},
#ifdef HAVE_ONEDNN
    {"oneDNN", NULL, NULL, &linear_peer_onednn},
#endif
#ifdef HAVE_LIBXSMM
    {"LIBXSMM", NULL, NULL, &linear_peer_libxsmm},
#endif
};
#define N_PEERS (sizeof peers / sizeof peers[0])
_Static_assert(N_PEERS <= MAX_PEERS, "weights have room for all peers");

static bool is_wanted(const settings *s, const peer *who) { return who == peers || !s->peers || strstr(s->peers, who->name); }

/* ---- libraries ---- */

static void free_products(problem *p, size_t k) {
    for (int i = 0; i < p->n_weights; i++) {
        if (p->weights[i].products[k]) peers[k].library->destroy(p->weights[i].products[k]);
        p->weights[i].products[k] = NULL;
    }
}

static bool make_products(problem *p, size_t k, size_t way) {
    for (int i = 0; i < p->n_weights; i++) {
        weight *w = &p->weights[i];
        const linear_task task = {
            .N = w->N, .K = w->K, .tokens = p->tokens, .w = w->dense, .x = w->x, .y = w->y, .pool = p->s->pool};
        w->products[k] = peers[k].library->create(&task, way);
        if (w->products[k]) continue;
        free_products(p, k);
        return false;
    }
    return true;
}

/* ---- problems ---- */

static const plan *compile(const settings *s, int64_t N, int64_t K, const char *variant_text) {
    ir_module *m = module_create(s->context, &s->sink);
    ir_graph *g = module_add_graph(m, "linear");
    ir_dim x_dims[] = {dim_symbol(graph_declare_symbol(g, "T", 1 << 20)), dim_const(K)}, n = dim_const(N);
    const ir_type *x_type = type_with_layout(s->context, type_tensor(s->context, IR_F32, 2, x_dims), LAYOUT_TILES, (uint32_t)s->W);
    const ir_attr name = {.name = "name", .kind = ATTR_STRING, .as.s = "w"};
    ir_value pattern = build_leaf(g, OP_pattern, name.as.s, type_pattern(s->context, n, dim_const(K)));
    ir_dim nnz = dim_symbol(symbol_nnz(s->context, pattern));
    ir_value in[] = {build_leaf(g, OP_input, "x", x_type), build_leaf(g, OP_state, "w", type_tensor(s->context, IR_F32, 1, &nnz)),
                     build_leaf(g, OP_state, "b", type_tensor(s->context, IR_F32, 1, &n)), pattern};
    const ir_attr variant = {.name = "variant", .kind = ATTR_STRING, .as.s = variant_text};
    graph_add_output(g, "y", node_add(g, OP_linear, in, 4, &variant, variant_text ? 1 : 0, NULL));
    plan *p = NULL;
    if (cg_compile(m, "linear", &s->options, &s->sink, &p) != POFAC_OK) return NULL;
    if (p->n_steps == 1 && p->steps[0].run) return p;
    plan_destroy(p);
    return NULL;
}

/* Is the weight's place [row, column] a non-zero? Of N of every M columns, N follow each other, from a place that is drawn. */
static bool is_kept(const settings *s, const weight *w, double sparsity, rng_key key, int64_t row, int64_t column) {
    if (s->of) {
        const int64_t first = (int64_t)(rng_uniform(key, (uint64_t)(row * w->K + column / s->of)) * (double)s->of);
        return (column % s->of - first + s->of) % s->of < s->keep;
    }
    return rng_uniform(key, (uint64_t)(row / s->block_rows * w->K + column / s->block_columns)) >= sparsity;
}

/* Random non-zeros, of each row about as many. */
static void make_pattern(const settings *s, weight *w, double sparsity, rng_key key) {
    w->row_start = room((size_t)(w->N + 1) * sizeof *w->row_start);
    w->column = room((size_t)(w->N * w->K) * sizeof *w->column);
    for (int64_t i = 0; i < w->N * w->K; i++) {
        if (!is_kept(s, w, sparsity, key, i / w->K, i % w->K)) w->dense[i] = 0;
        else w->column[w->nnz++] = (int32_t)(i % w->K);
        if (i % w->K == w->K - 1) w->row_start[i / w->K + 1] = w->nnz;
    }
    w->pattern = (ir_pattern){w->N, w->K, w->nnz, w->row_start, w->column};
}

static bool pack(problem *p, const weight *w, const ir_tensor *dense, packed *k) {
    const settings *s = p->s;
    const sparse_layout *layout = layout_of(k);
    size_t scratch = 4 * (size_t)layout->row_group * (size_t)s->W; /* what C with intrinsics needs */
    const size_t own = (size_t)eval(k->plan->steps[0].scratch_bytes, p->tokens);
    if (own > scratch) scratch = (own + 63) / 64 * 64;
    if (scratch > p->scratch_bytes) p->scratch_bytes = scratch;
    return sparse_index_make(layout, &w->pattern, "w", s->pool, &s->sink, &k->index) == POFAC_OK &&
           sparse_values_make(layout, &w->pattern, dense, "w", s->pool, &s->sink, &k->values, &k->value_bytes) == POFAC_OK;
}

static void free_packed(packed *k) {
    if (k->index) weight_memory_give(k->index, k->index->bytes);
    weight_memory_give(k->values, (size_t)k->value_bytes);
}

static bool make_weight(problem *p, int64_t N, int64_t K, double sparsity) {
    const settings *s = p->s;
    weight *w = &p->weights[p->n_weights];
    const weight *like = NULL, *as_high = NULL; /* of equal K, and of equal N */
    char name[32];
    for (int i = 0; i < p->n_weights; i++) {
        if (p->weights[i].K == K && (!like || p->weights[i].N == N)) like = &p->weights[i];
        if (p->weights[i].N == N) as_high = &p->weights[i];
    }
    snprintf(name, sizeof name, "w%d", p->n_weights);
    *w = (weight){.N = N, .K = K, .dense = numbers((size_t)(N * K), name), .bias = numbers((size_t)N, "b")};
    make_pattern(s, w, sparsity, rng_key_make(4, name));
    const int64_t tiles = (p->tokens + s->W - 1) / s->W, dims[] = {N, K};
    w->chosen.plan = like && like->N == N ? like->chosen.plan : compile(s, N, K, s->variant);
    p->n_weights++;
    if (!w->chosen.plan) return false;
    if (layout_of(&w->chosen)->kind != SPARSE_STREAM)
        w->stream.plan = like && like->N == N ? like->stream.plan : compile(s, N, K, NULL);
    w->y = as_high ? as_high->y : room((size_t)(p->tokens * N) * sizeof *w->y);
    w->y_tiles = as_high ? as_high->y_tiles : room((size_t)(tiles * N * s->W) * sizeof *w->y_tiles);
    w->x = like ? like->x : numbers((size_t)(p->tokens * K), "x");
    w->x_tiles = like ? like->x_tiles : NULL;
    if (!like) {
        float *x_tiles = room((size_t)(tiles * K * s->W) * sizeof *x_tiles);
        for (int64_t t = 0; t < p->tokens; t++)
            for (int64_t k = 0; k < K; k++) x_tiles[(t / s->W * K + k) * s->W + t % s->W] = w->x[t * K + k];
        w->x_tiles = x_tiles;
    }
    const ir_tensor dense = tensor_view(IR_F32, 2, dims, w->dense);
    p->nnz += (double)w->nnz;
    return pack(p, w, &dense, &w->chosen) && (!w->stream.plan || pack(p, w, &dense, &w->stream));
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
    for (size_t k = 0; k < N_PEERS; k++)
        if (peers[k].library) free_products(p, k);
    for (int i = 0; i < p->n_weights; i++) {
        weight *w = &p->weights[i];
        bool own_x = true, own_y = true, own_plan = true;
        for (int j = 0; j < i; j++) {
            own_x &= p->weights[j].x != w->x;
            own_y &= p->weights[j].y != w->y;
            own_plan &= p->weights[j].chosen.plan != w->chosen.plan;
        }
        free_packed(&w->chosen);
        free_packed(&w->stream);
        free(w->dense), free(w->bias), free(w->row_start), free(w->column);
        if (own_x) free((void *)(uintptr_t)w->x), free((void *)(uintptr_t)w->x_tiles);
        if (own_y) free(w->y), free(w->y_tiles);
        w->x = own_x ? w->x : NULL; /* the pointers are compared above */
        w->y = own_y ? w->y : NULL;
        if (own_plan) continue;
        w->chosen.plan = w->stream.plan = NULL;
    }
    for (int i = 0; i < p->n_weights; i++) {
        plan_destroy((plan *)(uintptr_t)p->weights[i].chosen.plan);
        plan_destroy((plan *)(uintptr_t)p->weights[i].stream.plan);
    }
    free(p->scratch);
}

/* ---- timing ---- */

static void run_one(const problem *p, size_t k, const weight *w) {
    if (peers[k].library) peers[k].library->run(w->products[k]);
    else peers[k].run(p, w);
}

static void run_all(const problem *p, size_t k) {
    for (int i = 0; i < p->n_weights; i++) run_one(p, k, &p->weights[i]);
}

/* For one run of all products. Some come before, which find the caches as somebody else left them: a model runs again and again. */
static double time_of(const problem *p, size_t k, int repeat) {
    for (int i = 0; i <= repeat / 4; i++) run_all(p, k);
    double begin = now(p->s);
    for (int i = 0; i < repeat; i++) run_all(p, k);
    const double seconds = (now(p->s) - begin) / repeat;
    thread_pool_rest(p->s->pool); /* the next one's threads may be others */
    return seconds;
}

/* The largest error of sums here and there in one result, by the room that rounding may take: K products with variance density / 9. */
static double error_of(const problem *p, const weight *w, const peer *who) {
    const int64_t W = p->s->W;
    const rng_key key = rng_key_make(5, "checked");
    double most = 0;
    for (uint64_t i = 0; i < CHECKED; i++) {
        int64_t t = (int64_t)rng_below(key, 2 * i, (uint64_t)p->tokens), n = (int64_t)rng_below(key, 2 * i + 1, (uint64_t)w->N);
        double wanted = who->library ? 0 : (double)w->bias[n];
        for (int64_t k = 0; k < w->K; k++) wanted += (double)w->x[t * w->K + k] * (double)w->dense[n * w->K + k];
        double found = (double)(who->library ? w->y[t * w->N + n] : w->y_tiles[(t / W * w->N + n) * W + t % W]);
        most = fmax(most, isnan(found) ? INFINITY : fabs(wanted - found));
    }
    return most / (1e-6 + 2.4e-7 * sqrt((double)w->nnz / (double)w->N * (double)w->K));
}

/* All products, computed and checked; a message says which is wrong. */
static bool check(const problem *p, size_t k) {
    const peer *who = &peers[k];
    for (int i = 0; i < p->n_weights; i++) {
        const weight *w = &p->weights[i];
        run_one(p, k, w);
        thread_pool_rest(p->s->pool);
        if (who->library) who->library->result(w->products[k], w->y);
        double error = error_of(p, w, who);
        if (error <= 1) continue;
        fprintf(stderr, "error: %s: product %d [%lld,%lld] of %lld tokens: sums differ by %.1f times the bound\n", who->name, i,
                (long long)w->N, (long long)w->K, (long long)p->tokens, error);
        return false;
    }
    return true;
}

/* Libraries' products in the fastest of their ways. */
static bool choose_ways(problem *p, int repeat) {
    for (size_t k = 0; k < N_PEERS; k++) {
        const linear_peer *library = peers[k].library;
        double best = INFINITY;
        size_t best_way = 0;
        if (!library || !is_wanted(p->s, &peers[k])) continue;
        for (size_t way = 0; library->ways[way]; way++) {
            if (!make_products(p, k, way)) continue;
            if (!check(p, k)) return false;
            double seconds = fmin(time_of(p, k, repeat), time_of(p, k, repeat));
            free_products(p, k);
            if (seconds >= best) continue;
            best = seconds;
            best_way = way;
        }
        if (best < INFINITY && make_products(p, k, best_way)) p->ways[k] = library->ways[best_way];
        if (p->ways[k] && !check(p, k)) return false;
    }
    return true;
}

static void print_header(const settings *s) {
    int columns = 6;
    printf(
        "\n%s, %d thread%s, %.0f GFLOP/s of multiply-adds on registers\n\n| weight | zeros, %% | tokens | pofac, ms | GFLOP/s | of "
        "peak |",
        s->options.target.isa, s->threads, s->threads == 1 ? "" : "s", 1e-9 * s->peak);
    for (size_t i = 1; i < N_PEERS; i++) {
        if (!is_wanted(s, &peers[i])) continue;
        printf(" %s / pofac |", peers[i].name);
        columns++;
    }
    printf(" ways |\n|");
    for (int i = 0; i <= columns; i++) printf(" --- |");
    printf("\n");
    fflush(stdout);
}

static double density_of(const problem *p) {
    double all = 0;
    for (int i = 0; i < p->n_weights; i++) all += (double)p->weights[i].N * (double)p->weights[i].K;
    return p->nnz / all;
}

static void print_row(const problem *p, const char *shape, double seconds[][MAX_ROUNDS], const bool *plays) {
    const settings *s = p->s;
    const double flops = 2 * p->nnz * (double)p->tokens, typical = quantile(seconds[0], s->rounds, 0.5);
    printf("| %s%s%s%s | %lld | %lld | %.3f | %.1f | %.0f %% |", shape, s->layers > 1 ? ", distinct layers" : "",
           s->structure ? " in " : "", s->structure ? s->structure : "", (long long)(100 * (1 - density_of(p)) + 0.5),
           (long long)p->tokens, 1e3 * typical, 1e-9 * flops / typical, 100 * flops / typical / s->peak);
    for (size_t i = 1; i < N_PEERS; i++) {
        double ratio[MAX_ROUNDS];
        if (!is_wanted(s, &peers[i])) continue;
        for (int r = 0; r < s->rounds; r++) ratio[r] = seconds[i][r] / seconds[0][r];
        if (!plays[i]) printf(" |");
        else
            printf(" %.2f (%.2f-%.2f) |", quantile(ratio, s->rounds, 0.5), quantile(ratio, s->rounds, 0.25),
                   quantile(ratio, s->rounds, 0.75));
    }
    for (size_t i = 1, n = 0; i < N_PEERS; i++)
        if (plays[i] && p->ways[i]) printf("%s %s", n++ ? ";" : "", p->ways[i]);
    printf(" |\n");
    fflush(stdout);
}

static bool bench(problem *p, const char *shape) {
    static double seconds[N_PEERS][MAX_ROUNDS];
    const settings *s = p->s;
    bool plays[N_PEERS];
    int repeat = (int)(2e8 / (p->nnz * (double)p->tokens + 1)) + 1;
    if (repeat > 1000) repeat = 1000;
    if (!choose_ways(p, repeat)) return false;
    for (size_t k = 0; k < N_PEERS; k++) {
        plays[k] = peers[k].library ? p->ways[k] != NULL : is_wanted(s, &peers[k]) && peers[k].can(p);
        if (plays[k] && !peers[k].library && !check(p, k)) return false;
    }
    for (int r = -1; r < s->rounds; r++)
        for (size_t i = 0; i < N_PEERS; i++) {
            size_t k = (i + (size_t)(r + 1)) % N_PEERS;
            if (!plays[k]) continue;
            double t = time_of(p, k, repeat);
            if (r >= 0) seconds[k][r] = t;
        }
    print_row(p, shape, seconds, plays);
    return true;
}

/* ---- settings ---- */

static int read_list(const char *text, int64_t *out) {
    int n = 0;
    for (char *end; n < MAX_LIST && *text; text = *end ? end + 1 : end) out[n++] = strtoll(text, &end, 10);
    return n;
}

/* "4x1", "2:4" */
static bool read_structure(settings *s, const char *text) {
    long long a, b;
    char between;
    if (sscanf(text, "%lld%c%lld", &a, &between, &b) != 3 || a < 1 || b < 1) return false;
    if (between == ':') s->keep = a, s->of = b;
    else s->block_rows = a, s->block_columns = b;
    s->structure = text;
    return between == 'x' || (between == ':' && a <= b);
}

static bool read_setting(settings *s, char *text) {
    char *value = strchr(text, '=');
    if (!value) return false;
    *value++ = 0;
    if (strcmp(text, "isa") == 0) s->isa = value;
    else if (strcmp(text, "shapes") == 0) s->shapes = value;
    else if (strcmp(text, "peers") == 0) s->peers = value;
    else if (strcmp(text, "variant") == 0) s->variant = value;
    else if (strcmp(text, "structure") == 0) return read_structure(s, value);
    else if (strcmp(text, "sparsity") == 0) s->n_sparsity = read_list(value, s->sparsity);
    else if (strcmp(text, "tokens") == 0) s->n_tokens = read_list(value, s->tokens);
    else if (strcmp(text, "layers") == 0) s->layers = atoi(value);
    else if (strcmp(text, "threads") == 0) s->n_thread_counts = read_list(value, s->thread_counts);
    else if (strcmp(text, "rounds") == 0) s->rounds = atoi(value);
    else if (strcmp(text, "tile") == 0) s->tile = atoi(value);
    else return false;
    return true;
}

/* What libraries read when they are loaded: OpenBLAS which kernels to take (bench_linear.c), and all how their threads wait. */
static void set_environment(char **argv, const cg_target *host) {
    const char *kernels = host->vector_bytes == 64 ? "SkylakeX" : host->vector_bytes == 32 ? "Haswell" : NULL;
    if (getenv("OPENBLAS_THREAD_TIMEOUT")) return;
    if (kernels) setenv("OPENBLAS_CORETYPE", kernels, 0);
    if (host->vector_bytes == 32) { /* then nobody gets more */
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 0);
        setenv("LIBXSMM_TARGET", "hsw", 0);
    }
    setenv("OPENBLAS_THREAD_TIMEOUT", "16", 1); /* 2^16 cycles */
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("GOMP_SPINCOUNT", "0", 1);
    execv("/proc/self/exe", argv);
}

typedef struct peak_run {
    double (*loop)(float out[16]); /* returns its operations */
    double operations[THREAD_POOL_MOST];
} peak_run;

static void run_peak(void *user, size_t worker, size_t i) {
    float out[16] __attribute__((aligned(64))) = {0};
    peak_run *r = user;
    (void)worker;
    r->operations[i] = r->loop(out);
}

static double measure_peak(const settings *s) {
    static peak_run r;
    double best = 0;
    if (s->options.target.vector_bytes < 32) return INFINITY;
    r.loop = s->options.target.vector_bytes == 64 ? avx512_peak : avx2_peak;
    for (int i = 0; i < 20; i++) {
        double n = 0, begin = now(s);
        thread_pool_run(s->pool, run_peak, &r, (size_t)s->threads);
        double seconds = now(s) - begin;
        for (int k = 0; k < s->threads; k++) n += r.operations[k];
        best = fmax(best, n / seconds);
    }
    return best;
}

static int bench_all(settings *s) {
    for (const char *shape = s->shapes; *shape; shape += strcspn(shape, ",") + (strchr(shape, ',') != NULL)) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(shape, ","), shape);
        for (int i = 0; i < s->n_sparsity; i++)
            for (int t = 0; t < s->n_tokens; t++) {
                static problem p;
                s->W = s->tile ? s->tile : s->tokens[t] <= 16 ? 16 : s->options.target.vector_bytes;
                bool made = make_problem(&p, s, name, (double)s->sparsity[i] / 100, s->tokens[t]);
                if (made) made = bench(&p, name);
                free_problem(&p);
                if (!made) return 1;
            }
    }
    return 0;
}

static int bench_threads(settings *s, int64_t threads) {
    s->threads = (int)threads;
    if (threads < 1 || threads > THREAD_POOL_MOST || thread_pool_create((size_t)threads, &s->sink, &s->pool) != POFAC_OK) return 1;
    s->peak = measure_peak(s);
    print_header(s);
    int failed = bench_all(s);
    thread_pool_destroy(s->pool);
    return failed;
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
                  .thread_counts = {1},
                  .n_thread_counts = 1,
                  .rounds = 9,
                  .block_rows = 1,
                  .block_columns = 1,
                  .context = context_create(),
                  .sink = diag_sink_to_strbuf(&messages)};
    char *kept[64];
    for (int i = 0; i < argc && i < 64; i++) kept[i] = strdup(argv[i]); /* settings are cut where they are read */
    kept[argc < 63 ? argc : 63] = NULL;
    bool read = true;
    for (int i = 1; i < argc && read; i++) read = read_setting(&s, argv[i]);
    if (!read || s.rounds < 1 || s.rounds > MAX_ROUNDS || s.layers < 1 || s.layers > 24) {
        fprintf(stderr, "usage: bench_sparse "
                        "[isa=|shapes=|sparsity=|structure=|tokens=|layers=|threads=|rounds=|variant=|tile=|peers=VALUE]...\n");
        return 2;
    }
    int failed = 1;
    if (s.context && cg_target_host(s.isa, &memory, &s.sink, &s.options.target) == POFAC_OK) {
        set_environment(kept, &s.options.target);
        printf("%s; it runs its %s kernels\n", blas_version(), blas_kernels());
        failed = 0;
        for (int i = 0; i < s.n_thread_counts && !failed; i++) failed = bench_threads(&s, s.thread_counts[i]);
    }
    fprintf(stderr, "%s", strbuf_str(&messages));
    context_destroy(s.context);
    arena_free(&memory);
    strbuf_free(&messages);
    return failed;
}
