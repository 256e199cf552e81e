/*
 * Products in 8 bits against those of f32 in one process: medians over rounds in which all run one after the other, in an order that rotates. One thread,
 * by its processor time.
 *
 *   bench_int8 [NAME=VALUE]...
 *
 *   isa=avx2           instruction set; default: the machine's best
 *   plain=1            without the instructions for products of bytes
 *   shapes=768x768     [N]x[K] of weights, with commas
 *   sparsity=90        percent of zeros, with commas
 *   tokens=128         with commas
 *   tile=W             default: as wide as four vectors of f32
 *   rounds=9
 *   variant=TEXT       of the sparse products in 8 bits (codegen/variants.def)
 *
 * Prints a table in Markdown: for each case the time and operations per second over the non-zeros of the sparse product in 8 bits with activations in tiles of
 * bytes, and by its time those of: the same with activations in quads, zeros in blocks of 1x4 (in quads), the sparse product in f32, the dense one in 8 bits, and
 * oneDNN's. Ours read bytes and end in f32 with bias and scale; oneDNN's ends in sums of 32 bits. Sums must be exact before anything is timed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codegen/codegen.h"
#include "ir/quantization.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "runtime/int8_packing.h"
#include "runtime/int8_sparse_packing.h"
#include "runtime/packing.h"
#include "runtime/sparse_packing.h"
#include "runtime/weight_memory.h"
#include "tests/bench/int8_peer.h"

#define MAX_ROUNDS 1001
#define MAX_LIST 16
#define CHECKED 256

typedef enum engine { SPARSE_IN_TILES, SPARSE_IN_QUADS, IN_BLOCKS, SPARSE_F32, DENSE_INT8, LIBRARY, N_ENGINES } engine;
static const char *const engine_names[N_ENGINES] = {"tiles of bytes", "quads", "blocks of 1x4", "f32", "dense", "oneDNN, dense"};

typedef struct settings {
    const char *isa, *shapes, *variant;
    int64_t sparsity[MAX_LIST], tokens[MAX_LIST];
    int n_sparsity, n_tokens, rounds;
    int64_t W;
    bool plain;
    cg_options options;
    thread_pool *pool;
    diag_sink sink;
} settings;

/* Zeros of one structure. */
typedef struct weight {
    float *dense, *values;
    int64_t *row_start;
    int32_t *column;
    ir_pattern pattern;
} weight;

/* A kernel and its operands. */
typedef struct kernel {
    ir_context *context;
    plan *plan;
    void *buffers[16];
    void *owned[16];
    int64_t dims[8], units;
    void *scratch;
    float *y; /* [ceil(T/W)][N][W] */
} kernel;

typedef struct problem {
    const settings *s;
    int64_t N, K, tokens;
    weight weights[2]; /* one by one; in blocks */
    uint8_t *x;        /* [tokens][K] */
    float bias[4096];
    kernel kernels[N_ENGINES];
    int8_product *library;
} problem;

static const float x_range[2] = {-0.6f, 0.9f}, w_range[2] = {-1, 1};

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, bytes);
    return p;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- numbers ---- */

static void make_weight(const problem *p, double sparsity, int block, weight *w) {
    const rng_key key = rng_key_make(4, "zeros"), values = rng_key_make(5, "values");
    const int64_t n = p->N * p->K;
    int64_t nnz = 0;
    w->dense = room((size_t)n * sizeof *w->dense);
    w->values = room((size_t)n * sizeof *w->values);
    w->row_start = room((size_t)(p->N + 1) * sizeof *w->row_start);
    w->column = room((size_t)n * sizeof *w->column);
    for (int64_t i = 0; i < n; i++) {
        if (rng_uniform(key, (uint64_t)(i / block)) >= sparsity) {
            w->dense[i] = 2 * (float)rng_uniform(values, (uint64_t)i) - 1;
            if (fabsf(w->dense[i]) < 0.01f) w->dense[i] = 0.01f; /* not 0 in 8 bits */
            w->values[nnz] = w->dense[i];
            w->column[nnz++] = (int32_t)(i % p->K);
        }
        w->row_start[i / p->K + 1] = nnz;
    }
    w->pattern = (ir_pattern){p->N, p->K, nnz, w->row_start, w->column};
}

static const weight *weight_of(const problem *p, engine k) { return &p->weights[k == IN_BLOCKS]; }

/* Activations as a kernel reads them. */
static void *make_activations(const problem *p, const ir_type *t) {
    const int64_t W = p->s->W, tiles = (p->tokens + W - 1) / W;
    uint8_t *bytes = room((size_t)(tiles * W * p->K) * (t->dtype == IR_F32 ? 4 : 1));
    for (int64_t r = 0; r < p->tokens; r++)
        for (int64_t k = 0; k < p->K; k++) {
            const uint8_t v = p->x[r * p->K + k];
            const int64_t tile = r / W, lane = r % W, in_tiles = (tile * p->K + k) * W + lane;
            if (t->dtype == IR_F32) ((float *)(void *)bytes)[in_tiles] = (float)v / 255;
            else if (t->layout == LAYOUT_TILES) bytes[in_tiles] = v;
            else bytes[((tile * (p->K / 4) + k / 4) * W + lane) * 4 + k % 4] = v;
        }
    return bytes;
}

/* ---- kernels ---- */

static void put_graph(const problem *p, engine k, strbuf *out) {
    const int N = (int)p->N, K = (int)p->K, W = (int)p->s->W;
    const bool is_f32 = k == SPARSE_F32, dense = k == DENSE_INT8;
    strbuf_printf(out, "graph @g (T <= 65536) {\n  %%1 = input {name = \"x\"} : %s[T,%d] %s<%d>\n", is_f32 ? "f32" : "u8", K,
                  is_f32 || k == SPARSE_IN_TILES ? "tiles" : "quads", W);
    strbuf_printf(out, "  %%2 = pattern {name = \"w\"} : pattern[%d,%d]\n  %%3 = state {name = \"b\"} : f32[%d]\n", N, K, N);
    strbuf_printf(out, dense ? "  %%4 = state {name = \"w\"} : f32[%d,%d]\n" : "  %%4 = state {name = \"w\"} : f32[nnz(%%2)]\n", N,
                  K);
    strbuf_puts(out, "  %5 = state {name = \"x.range\"} : f32[2]\n  %6 = state {name = \"w.range\"} : f32[2]\n");
    if (is_f32) strbuf_puts(out, "  %7 = linear %1, %4, %3, %2");
    else strbuf_printf(out, "  %%7 = linear_int8 %%1, %%5, %%4, %%6, %%3%s", dense ? "" : ", _, %2");
    if (p->s->variant && !is_f32 && !dense) strbuf_printf(out, " {variant = \"%s\"}", p->s->variant);
    strbuf_printf(out, " : f32[T,%d] tiles<%d>\n  return \"y\" = %%7\n}\n", N, W);
}

static int64_t eval(ir_dim d, int64_t tokens) {
    int64_t all[64];
    for (size_t i = 0; i < 64; i++) all[i] = tokens;
    return dim_eval(d, (ir_binding){all, 64});
}

/* The operand that a buffer of the plan is; NULL after an error. */
static void *make_operand(const problem *p, engine engine_of, const plan_buffer *b) {
    const settings *s = p->s;
    const weight *w = weight_of(p, engine_of);
    const int64_t dims[2] = {p->N, p->K}, two = 2;
    const ir_tensor values = tensor_view(IR_F32, 1, &w->pattern.nnz, w->values), dense = tensor_view(IR_F32, 2, dims, w->dense),
                    range = tensor_view(IR_F32, 1, &two, w_range);
    sparse_header *header = NULL;
    float *packed = NULL;
    int64_t bytes;
    switch (b->packing) {
    case PACKING_INT8_SPARSE:
        if (int8_sparse_make(&b->sparse, &w->pattern, &values, &range, "w", s->pool, &s->sink, &header) != POFAC_OK) return NULL;
        return header;
    case PACKING_INT8_PANELS:
        packed = room((size_t)int8_panels_bytes(b->packing, b->packing_parameter, p->N, p->K));
        int8_panels_make(b->packing, b->packing_parameter, &dense, &range, s->pool, packed);
        return packed;
    case PACKING_SPARSE_INDEX:
        if (sparse_index_make(&b->sparse, &w->pattern, "w", s->pool, &s->sink, &header) != POFAC_OK) return NULL;
        return header;
    case PACKING_SPARSE_VALUES:
        if (sparse_values_make(&b->sparse, &w->pattern, &values, "w", s->pool, &s->sink, &packed, &bytes) != POFAC_OK) return NULL;
        return packed;
    default: break;
    }
    if (b->kind == PLAN_INPUT) return make_activations(p, b->type);
    const float *from = strcmp(b->name, "x.range") == 0 ? x_range : strcmp(b->name, "w.range") == 0 ? w_range : p->bias;
    const size_t n = from == p->bias ? (size_t)p->N : 2;
    packed = room(n * sizeof *packed);
    memcpy(packed, from, n * sizeof *packed);
    return packed;
}

/* False: the machine has no such kernel, or a message says what is wrong. */
static bool make_kernel(problem *p, engine engine_of) {
    kernel *k = &p->kernels[engine_of];
    const settings *s = p->s;
    strbuf text = STRBUF_INIT;
    ir_module *m = NULL;
    put_graph(p, engine_of, &text);
    k->context = context_create();
    const bool made = text_parse_module(k->context, "bench", text.data, text.size, NULL, &s->sink, &m) == POFAC_OK &&
                      cg_compile(m, "g", &s->options, &s->sink, &k->plan) == POFAC_OK;
    strbuf_free(&text);
    if (!made) return false;
    const plan_step *step = &k->plan->steps[0];
    if (k->plan->n_steps != 1 || !step->run || step->n_buffers > 16 || step->n_dims > 8) return false;
    for (uint32_t i = 0; i < step->n_buffers; i++) {
        const plan_buffer *b = &k->plan->buffers[step->buffers[i]];
        const int64_t W = s->W;
        if (b->kind == PLAN_SLOT)
            k->buffers[i] = k->owned[i] = k->y = room((size_t)((p->tokens + W - 1) / W * W * p->N) * sizeof(float));
        else k->buffers[i] = make_operand(p, engine_of, b);
        if (!k->buffers[i]) return false;
    }
    for (uint32_t i = 0; i < step->n_dims; i++) k->dims[i] = eval(step->dims[i], p->tokens);
    k->units = (eval(step->work, p->tokens) + step->work_per_unit - 1) / step->work_per_unit;
    k->scratch = room((size_t)eval(step->scratch_bytes, p->tokens) + 64);
    return true;
}

static bool plays(const problem *p, engine k) { return k == LIBRARY ? p->library != NULL : p->kernels[k].scratch != NULL; }

static void run(const problem *p, engine k) {
    if (k == LIBRARY) {
#ifdef HAVE_ONEDNN
        int8_peer_run(p->library);
#endif
        return;
    }
    const kernel *c = &p->kernels[k];
    c->plan->steps[0].run(c->buffers, c->dims, 0, c->units, c->scratch);
}

/* ---- what is right ---- */

/* Entry [t,n] of the product in 8 bits as ir/quantization.h has it; sum: before bias and zero point. */
static float wanted_of(const problem *p, const weight *w, int64_t t, int64_t n, int32_t *sum) {
    const quantization x = quantization_of((value_range){x_range[0], x_range[1]}, QUANTIZE_AFFINE),
                       q = quantization_of((value_range){w_range[0], w_range[1]}, QUANTIZE_SYMMETRIC);
    int32_t all = 0;
    *sum = 0;
    for (int64_t k = 0; k < p->K; k++) {
        const int32_t v = quantization_encode(q, w->dense[n * p->K + k]);
        *sum += v * p->x[t * p->K + k];
        all += v;
    }
    const float scale = x.scale * q.scale;
    return quantization_of_sum(*sum + quantization_bias(p->bias[n], scale) - x.zero_point * all, scale);
}

static bool check(const problem *p, engine k) {
    const rng_key key = rng_key_make(7, "checked");
    run(p, k);
    for (uint64_t i = 0; i < CHECKED && k != SPARSE_F32; i++) {
        const int64_t t = (int64_t)rng_below(key, 2 * i, (uint64_t)p->tokens),
                      n = (int64_t)rng_below(key, 2 * i + 1, (uint64_t)p->N), W = p->s->W;
        int32_t sum;
        const float wanted = wanted_of(p, weight_of(p, k), t, n, &sum);
#ifdef HAVE_ONEDNN
        if (k == LIBRARY && int8_peer_sums(p->library)[t * p->N + n] == sum) continue;
#endif
        if (k != LIBRARY && p->kernels[k].y[(t / W * p->N + n) * W + t % W] == wanted) continue;
        fprintf(stderr, "error: %s: y[%d,%d] is not %.9g\n", engine_names[k], (int)t, (int)n, (double)wanted);
        return false;
    }
    return true;
}

/* ---- timing ---- */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const double *v, int n, double share) {
    double sorted[MAX_ROUNDS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return sorted[(int)(share * (n - 1) + 0.5)];
}

static double time_of(const problem *p, engine k, int repeat) {
    for (int i = 0; i <= repeat / 4; i++) run(p, k);
    const double begin = now();
    for (int i = 0; i < repeat; i++) run(p, k);
    return (now() - begin) / repeat;
}

static void print_row(const problem *p, double seconds[][MAX_ROUNDS]) {
    const int rounds = p->s->rounds;
    const double typical = quantile(seconds[0], rounds, 0.5), nnz = (double)p->weights[0].pattern.nnz;
    printf("| %dx%d | %.0f | %d | %.4f | %.0f |", (int)p->N, (int)p->K, 100 * (1 - nnz / (double)(p->N * p->K)), (int)p->tokens,
           1e3 * typical, 2e-9 * nnz * (double)p->tokens / typical);
    for (engine k = 1; k < N_ENGINES; k++) {
        double ratio[MAX_ROUNDS];
        for (int r = 0; r < rounds; r++) ratio[r] = seconds[k][r] / seconds[0][r];
        if (!plays(p, k)) printf(" |");
        else
            printf(" %.2f (%.2f-%.2f) |", quantile(ratio, rounds, 0.5), quantile(ratio, rounds, 0.25),
                   quantile(ratio, rounds, 0.75));
    }
    printf("\n");
    fflush(stdout);
}

static bool measure(problem *p) {
    static double seconds[N_ENGINES][MAX_ROUNDS];
    const int repeat = (int)(1e8 / ((double)p->weights[0].pattern.nnz * (double)p->tokens + 1)) + 1;
    for (engine k = 0; k < N_ENGINES; k++)
        if (plays(p, k) && !check(p, k)) return false;
    for (int r = -1; r < p->s->rounds; r++)
        for (int i = 0; i < N_ENGINES; i++) {
            const engine k = (engine)((i + r + 1) % N_ENGINES);
            if (!plays(p, k)) continue;
            const double t = time_of(p, k, repeat);
            if (r >= 0) seconds[k][r] = t;
        }
    print_row(p, seconds);
    return true;
}

static bool make_problem(problem *p, const settings *s, const char *shape, double sparsity, int64_t tokens) {
    long long N, K;
    if (sscanf(shape, "%lldx%lld", &N, &K) != 2 || N < 4 || K < 4 || K % 4 != 0 || (size_t)N > sizeof p->bias / sizeof *p->bias)
        return false;
    *p = (problem){.s = s, .N = N, .K = K, .tokens = tokens};
    const rng_key key = rng_key_make(6, "x");
    p->x = room((size_t)(tokens * K));
    for (int64_t i = 0; i < tokens * K; i++) p->x[i] = (uint8_t)rng_below(key, (uint64_t)i, 256);
    for (int64_t i = 0; i < N; i++) p->bias[i] = 0.01f * (float)(i % 100);
    for (int i = 0; i < 2; i++) make_weight(p, sparsity, i ? 4 : 1, &p->weights[i]);
    for (engine k = 0; k < LIBRARY; k++)
        if (!make_kernel(p, k) && k == SPARSE_IN_TILES) return false;
#ifdef HAVE_ONEDNN
    int8_t *bytes = room((size_t)(N * K));
    int8_encode_run(p->weights[0].dense, N * K, quantization_of((value_range){w_range[0], w_range[1]}, QUANTIZE_SYMMETRIC).scale,
                    bytes);
    if (!s->plain) p->library = int8_peer_create(N, K, tokens, p->x, bytes);
    free(bytes);
#endif
    return true;
}

/* Packed operands live as long as the process: a few megabytes each. */
static void free_problem(problem *p) {
    for (engine k = 0; k < LIBRARY; k++) {
        plan_destroy(p->kernels[k].plan);
        context_destroy(p->kernels[k].context);
        free(p->kernels[k].scratch);
        free(p->kernels[k].y);
    }
    for (int i = 0; i < 2; i++)
        free(p->weights[i].dense), free(p->weights[i].values), free(p->weights[i].row_start), free(p->weights[i].column);
    free(p->x);
#ifdef HAVE_ONEDNN
    int8_peer_destroy(p->library);
#endif
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
    else if (strcmp(text, "plain") == 0) s->plain = atoi(value) != 0;
    else if (strcmp(text, "shapes") == 0) s->shapes = value;
    else if (strcmp(text, "sparsity") == 0) s->n_sparsity = read_list(value, s->sparsity);
    else if (strcmp(text, "tokens") == 0) s->n_tokens = read_list(value, s->tokens);
    else if (strcmp(text, "tile") == 0) s->W = atoi(value);
    else if (strcmp(text, "rounds") == 0) s->rounds = atoi(value);
    else if (strcmp(text, "variant") == 0) s->variant = value;
    else return false;
    return true;
}

static int bench_all(settings *s) {
    static problem p;
    printf("\n%s%s, 1 thread, tiles<%d>\n\n| weight | zeros, %% | tokens | ms | GOP/s |", s->options.target.isa,
           s->plain ? ", plain" : "", (int)s->W);
    for (engine k = 1; k < N_ENGINES; k++) printf(" %s |", engine_names[k]);
    printf("\n|");
    for (int i = 0; i < 4 + N_ENGINES; i++) printf(" --- |");
    printf("\n");
    for (const char *shape = s->shapes; *shape; shape += strcspn(shape, ",") + (strchr(shape, ',') != NULL))
        for (int i = 0; i < s->n_sparsity; i++)
            for (int t = 0; t < s->n_tokens; t++) {
                const bool made = make_problem(&p, s, shape, (double)s->sparsity[i] / 100, s->tokens[t]) && measure(&p);
                free_problem(&p);
                if (!made) return 1;
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
                  .rounds = 9,
                  .sink = diag_sink_to_strbuf(&messages)};
    bool read = true;
    for (int i = 1; i < argc && read; i++) read = read_setting(&s, argv[i]);
    if (!read || s.rounds < 1 || s.rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_int8 [isa=|plain=|shapes=|sparsity=|tokens=|tile=|rounds=|variant=VALUE]...\n");
        return 2;
    }
    int failed = 1;
    if (cg_target_host(s.isa, &memory, &s.sink, &s.options.target) == POFAC_OK &&
        thread_pool_create(1, &s.sink, &s.pool) == POFAC_OK) {
        if (s.plain) s.options.target.extensions = 0;
        if (s.W == 0) s.W = s.options.target.vector_bytes;
        failed = bench_all(&s);
        thread_pool_destroy(s.pool);
    }
    fprintf(stderr, "%s", strbuf_str(&messages));
    arena_free(&memory);
    strbuf_free(&messages);
    return failed;
}
