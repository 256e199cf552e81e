/*
 * Does code that has the positions of the non-zeros as constants beat the kernel that reads them from a stream? One straight line of code for
 * each weight: a non-zero is a broadcast of its value and a multiply-add per vector of activations, whose addresses are constants; no
 * offsets are loaded, no row has a loop, a branch or a visit.
 *
 *   bench_positions [ROUNDS]
 *
 * Prints a table in Markdown: weight, percent of zeros, bytes of code (and of the stream kernel's, offsets included), seconds of compilation,
 * and the stream kernel's time by that of the straight line, medians of paired rounds with quartiles. Both work on full tiles of four
 * vectors, one thread; "cold": sixteen weights in turn, each with code of its own, which do not stay in the caches for instructions.
 * Results must agree before anything is timed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codegen/code_bounds.h"
#include "codegen/jit.h"
#include "codegen/machine.h"
#include "ir/support/rng.h"
#include "runtime/sparse_packing.h"
#include "runtime/weight_memory.h"

#define VECTORS 4
#define MOST_ROUNDS 101
#define MOST_WEIGHTS 16

typedef struct weight {
    int64_t N, K, nnz;
    float *dense, *values; /* values: row by row */
    int64_t *row_start;
    int32_t *column;
    ir_pattern pattern;
    plan_kernel straight;
    size_t straight_bytes;
    sparse_header *index;
    float *stream_values;
    int64_t stream_value_bytes;
} weight;

typedef struct bench {
    cg_options options;
    diag_sink sink;
    ir_context *context;
    thread_pool *pool;
    jit *jit;
    int rounds;
    int64_t W, n_weights, N, K;
    plan *stream;
    weight weights[MOST_WEIGHTS];
    float *x, *y, *wanted;
    double compile_seconds;
} bench;

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, bytes);
    return p;
}

/* ---- the straight line ---- */

/* buffers: x [K][W], values, bias, y [N][W]. Each row is a block, so that what LLVM looks at together stays small. */
static void emit_straight(emitter *e, const weight *w, int64_t W, const char *symbol) {
    const unsigned lanes = e->lanes, align = 4 * lanes;
    em_begin_function(e, symbol);
    cg_val x = em_buffer(e, 0), values = em_buffer(e, 1), bias = em_buffer(e, 2), y = em_buffer(e, 3);
    for (int64_t row = 0; row < w->N; row++) {
        LLVMBasicBlockRef block = LLVMAppendBasicBlockInContext(e->context, e->function, "row");
        cg_val sum[2][VECTORS];
        LLVMBuildBr(e->builder, block);
        LLVMPositionBuilderAtEnd(e->builder, block);
        for (unsigned v = 0; v < VECTORS; v++) {
            sum[0][v] = em_load_splat(e, lanes, em_at_int(e, bias, 4 * row));
            sum[1][v] = em_const(e, lanes, 0);
        }
        for (int64_t i = w->row_start[row]; i < w->row_start[row + 1]; i++) {
            cg_val value = em_load_splat(e, lanes, em_at_int(e, values, 4 * i));
            for (unsigned v = 0; v < VECTORS; v++) {
                cg_val from = em_at_int(e, x, 4 * (w->column[i] * W + v * lanes));
                sum[i % 2][v] = em_fma(e, em_load(e, lanes, from, align), value, sum[i % 2][v]);
            }
        }
        for (unsigned v = 0; v < VECTORS; v++)
            em_store(e, em_fadd(e, sum[0][v], sum[1][v]), em_at_int(e, y, 4 * (row * W + v * lanes)), align);
    }
    em_end_function(e);
}

static bool compile_straight(bench *b, weight *w, int number) {
    strbuf object = STRBUF_INIT;
    machine *m = NULL;
    emitter e;
    char symbol[32];
    snprintf(symbol, sizeof symbol, "straight_%d", number);
    const double start = now(CLOCK_THREAD_CPUTIME_ID);
    bool ok = machine_create(&b->options.target, &b->sink, &m) == POFAC_OK;
    if (ok) {
        em_begin_module(&e, &b->options.target, symbol);
        emit_straight(&e, w, b->W, symbol);
        ok = machine_generate(m, &e, CG_EMIT_OBJ, &b->sink, &object) == POFAC_OK;
        em_end_module(&e);
    }
    w->straight_bytes = ok ? code_bytes_of(object.data, object.size, symbol) : 0;
    ok = ok && jit_add(b->jit, object.data, object.size, symbol, w->straight_bytes, &b->sink, &w->straight) == POFAC_OK;
    b->compile_seconds += now(CLOCK_THREAD_CPUTIME_ID) - start;
    machine_destroy(m);
    strbuf_free(&object);
    return ok;
}

/* ---- the stream ---- */

static bool compile_stream(bench *b) {
    ir_module *m = module_create(b->context, &b->sink);
    ir_graph *g = module_add_graph(m, "linear");
    const ir_dim T = dim_symbol(graph_declare_symbol(g, "T", 1 << 20)), N = dim_const(b->N), K = dim_const(b->K), x_dims[] = {T, K};
    const ir_type *x_type = type_with_layout(b->context, type_tensor(b->context, IR_F32, 2, x_dims), LAYOUT_TILES, (uint32_t)b->W);
    ir_value pattern = build_leaf(g, OP_pattern, "w", type_pattern(b->context, N, K));
    const ir_dim nnz = dim_symbol(symbol_nnz(b->context, pattern));
    ir_value in[] = {build_leaf(g, OP_input, "x", x_type), build_leaf(g, OP_state, "w", type_tensor(b->context, IR_F32, 1, &nnz)),
                     build_leaf(g, OP_state, "b", type_tensor(b->context, IR_F32, 1, &N)), pattern};
    graph_add_output(g, "y", node_add(g, OP_linear, in, 4, NULL, 0, NULL));
    return cg_compile(m, "linear", &b->options, &b->sink, &b->stream) == POFAC_OK && b->stream->steps[0].run;
}

static bool pack(bench *b, weight *w) {
    const sparse_layout *layout = &b->stream->buffers[b->stream->steps[0].buffers[1]].sparse;
    const int64_t dims[] = {w->N, w->K};
    const ir_tensor dense = tensor_view(IR_F32, 2, dims, w->dense);
    return sparse_index_make(layout, &w->pattern, "w", b->pool, &b->sink, &w->index) == POFAC_OK &&
           sparse_values_make(layout, &w->pattern, &dense, "w", b->pool, &b->sink, &w->stream_values, &w->stream_value_bytes) ==
               POFAC_OK;
}

/* ---- one case ---- */

static void draw(weight *w, double density, int number) {
    char name[32];
    snprintf(name, sizeof name, "w%d", number);
    const rng_key key = rng_key_make(7, name);
    w->dense = room((size_t)(w->N * w->K) * sizeof(float));
    w->values = room((size_t)(w->N * w->K) * sizeof(float));
    w->column = room((size_t)(w->N * w->K) * sizeof(int32_t));
    w->row_start = room((size_t)(w->N + 1) * sizeof(int64_t));
    for (int64_t i = 0; i < w->N * w->K; i++) {
        if (rng_uniform(key, 2 * (uint64_t)i) < density) {
            w->dense[i] = w->values[w->nnz] = (float)rng_uniform(key, 2 * (uint64_t)i + 1) - 0.5f;
            w->column[w->nnz++] = (int32_t)(i % w->K);
        }
        if (i % w->K == w->K - 1) w->row_start[i / w->K + 1] = w->nnz;
    }
    w->pattern = (ir_pattern){w->N, w->K, w->nnz, w->row_start, w->column};
}

static void run_straight(const bench *b, const weight *w, const float *bias, float *y) {
    void *buffers[] = {b->x, w->values, (void *)(uintptr_t)bias, y};
    w->straight(buffers, NULL, 0, 1, NULL);
}

static void run_stream(const bench *b, const weight *w, const float *bias, float *y) {
    void *buffers[] = {b->x, w->index, w->stream_values, (void *)(uintptr_t)bias, y};
    const int64_t dims[] = {b->W, b->N, b->K};
    const plan_step *s = &b->stream->steps[0];
    const sparse_header *h = w->index;
    s->run(buffers, dims, 0, h->n_groups, NULL);
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static bool agree(const bench *b, const float *bias) {
    for (int64_t k = 0; k < b->n_weights; k++) {
        run_stream(b, &b->weights[k], bias, b->wanted);
        run_straight(b, &b->weights[k], bias, b->y);
        for (int64_t i = 0; i < b->N * b->W; i++)
            if (fabsf(b->y[i] - b->wanted[i]) > 1e-4f) {
                fprintf(stderr, "weight %d, element %lld: %g, wanted %g\n", (int)k, (long long)i, (double)b->y[i],
                        (double)b->wanted[i]);
                return false;
            }
    }
    return true;
}

typedef void (*run_fn)(const bench *b, const weight *w, const float *bias, float *y);

static double time_of(const bench *b, run_fn run, const float *bias, int repeat) {
    const double start = now(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < repeat; i++)
        for (int64_t k = 0; k < b->n_weights; k++) run(b, &b->weights[k], bias, b->y);
    return (now(CLOCK_THREAD_CPUTIME_ID) - start) / repeat / (double)b->n_weights;
}

static void measure(const bench *b, int percent, const float *bias) {
    double straight[MOST_ROUNDS], ratio[MOST_ROUNDS];
    int64_t nnz = 0, code = 0, index = 0;
    for (int64_t k = 0; k < b->n_weights; k++) {
        nnz += b->weights[k].nnz;
        code += (int64_t)b->weights[k].straight_bytes;
        index += b->weights[k].index->bytes;
    }
    const int repeat = (int)(2e7 / (double)(nnz * b->W + 1)) + 1;
    for (int r = -1; r < b->rounds; r++) {
        const double s = time_of(b, run_stream, bias, repeat), t = time_of(b, run_straight, bias, repeat);
        if (r >= 0) straight[r] = t, ratio[r] = s / t;
    }
    qsort(straight, (size_t)b->rounds, sizeof *straight, compare);
    qsort(ratio, (size_t)b->rounds, sizeof *ratio, compare);
    const long long n = b->n_weights, kernel = (long long)b->stream->code_bytes;
    printf("| %lldx%lld%s | %d %% | %lld | %lld + %lld | %.1f | %.2f | %.2f (%.2f-%.2f) |\n", (long long)b->N, (long long)b->K,
           n > 1 ? ", cold" : "", percent, (long long)code / n, kernel, (long long)index / n, 1e3 * b->compile_seconds / (double)n,
           1e6 * straight[b->rounds / 2], ratio[b->rounds / 2], ratio[b->rounds / 4], ratio[3 * b->rounds / 4]);
    fflush(stdout);
}

static void free_case(bench *b) {
    for (int64_t k = 0; k < b->n_weights; k++) {
        weight *w = &b->weights[k];
        if (w->index) weight_memory_give(w->index, w->index->bytes);
        weight_memory_give(w->stream_values, (size_t)w->stream_value_bytes);
        free(w->dense), free(w->values), free(w->column), free(w->row_start);
        *w = (weight){0};
    }
    plan_destroy(b->stream);
    jit_destroy(b->jit);
    free(b->x), free(b->y), free(b->wanted);
}

static bool run_case(bench *b, int64_t N, int64_t K, int percent, int64_t n_weights) {
    b->N = N, b->K = K, b->n_weights = n_weights, b->compile_seconds = 0, b->stream = NULL, b->jit = NULL;
    b->x = room((size_t)(K * b->W) * sizeof(float));
    b->y = room((size_t)(N * b->W) * sizeof(float));
    b->wanted = room((size_t)(N * b->W) * sizeof(float));
    float *bias = room((size_t)N * sizeof(float));
    for (int64_t i = 0; i < K * b->W; i++) b->x[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    for (int64_t i = 0; i < N; i++) bias[i] = (float)(i % 5);
    bool ok = jit_create(0, &b->sink, &b->jit) == POFAC_OK && compile_stream(b);
    for (int64_t k = 0; k < n_weights && ok; k++) {
        b->weights[k] = (weight){.N = N, .K = K};
        draw(&b->weights[k], 1 - percent / 100.0, (int)k);
        ok = pack(b, &b->weights[k]) && compile_straight(b, &b->weights[k], (int)k);
    }
    ok = ok && agree(b, bias);
    if (ok) measure(b, percent, bias);
    free_case(b);
    free(bias);
    return ok;
}

int main(int argc, char **argv) {
    static const struct {
        int64_t N, K;
        int percent;
        int64_t n_weights;
    } cases[] = {{2, 768, 0, 1},    {2, 768, 90, 1},   {9, 768, 90, 1},   {64, 64, 90, 1},    {64, 64, 90, 16},  {128, 128, 90, 1},
                 {256, 256, 90, 1}, {256, 256, 98, 1}, {768, 768, 99, 1}, {768, 768, 99, 16}, {768, 768, 95, 1}, {768, 768, 90, 1}};
    strbuf messages = STRBUF_INIT;
    arena memory = ARENA_INIT;
    static bench b;
    b.sink = diag_sink_to_strbuf(&messages);
    b.rounds = argc > 1 ? atoi(argv[1]) : 9;
    b.context = context_create();
    if (b.rounds < 1 || b.rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: bench_positions [ROUNDS]\n");
        return 2;
    }
    bool ok = b.context && cg_target_host(NULL, &memory, &b.sink, &b.options.target) == POFAC_OK &&
              thread_pool_create(1, &b.sink, &b.pool) == POFAC_OK;
    b.W = VECTORS * b.options.target.vector_bytes / 4;
    printf(
        "| weight | zeros | bytes of straight code | of the stream's kernel + index | ms to compile | us | stream / straight |\n");
    printf("| --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases && ok; i++)
        ok = run_case(&b, cases[i].N, cases[i].K, cases[i].percent, cases[i].n_weights);
    fprintf(stderr, "%s", strbuf_str(&messages));
    thread_pool_destroy(b.pool);
    context_destroy(b.context);
    arena_free(&memory);
    strbuf_free(&messages);
    return ok ? 0 : 1;
}
