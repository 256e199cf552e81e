/*
 * Dense linear kernels against OpenBLAS sgemm, one thread, in one process: medians over alternating rounds.
 *
 *   bench_linear [ISA [ROUNDS [W [TOKENS...]]]]
 *
 * Tiles of W tokens [32]; TOKENS: 128 and 384. Few tokens run over twelve distinct weights in turn, as a model's layers, so that they
 * come from memory. Prints one line per shape [N,K] and number of tokens: GFLOP/s of both, GB/s of weights, the median of the paired
 * ratios, and the largest difference between the results.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "runtime/blas.h"
#include "runtime/packing.h"

#define MAX_ROUNDS 1001
#define FEW_TOKENS 32
#define LAYERS 12

/* Seconds of this thread: what else runs on the machine counts less. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[n / 2];
}

static float *numbers(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    uint32_t s = 12345;
    for (size_t i = 0; p && i < n; i++) {
        s = s * 1664525u + 1013904223u;
        p[i] = (float)(int32_t)s * 0x1p-31f;
    }
    return p;
}

static plan *compile(ir_context *c, uint32_t W, int64_t N, int64_t K, const cg_options *options, const diag_sink *sink) {
    ir_module *m = module_create(c, sink);
    ir_graph *g = module_add_graph(m, "linear");
    ir_dim x_dims[] = {dim_symbol(graph_declare_symbol(g, "T", 1 << 20)), dim_const(K)}, w_dims[] = {dim_const(N), dim_const(K)};
    const ir_type *x_type = type_with_layout(c, type_tensor(c, IR_F32, 2, x_dims), LAYOUT_TILES, W);
    ir_value in[] = {build_leaf(g, OP_input, "x", x_type), build_leaf(g, OP_state, "w", type_tensor(c, IR_F32, 2, w_dims)),
                     build_leaf(g, OP_state, "b", type_tensor(c, IR_F32, 1, w_dims))};
    graph_add_output(g, "y", node_add(g, OP_linear, in, 3, NULL, 0, NULL));
    plan *p = NULL;
    if (cg_compile(m, "linear", options, sink, &p) != POFAC_OK) return NULL;
    return p;
}

static void run(const plan *p, int64_t tokens, void *const *buffers, void *scratch) {
    const plan_step *s = &p->steps[0];
    int64_t values[64];
    for (size_t i = 0; i < 64; i++) values[i] = tokens;
    int64_t dim = tokens, units = (dim_eval(s->work, (ir_binding){values, 64}) + s->work_per_unit - 1) / s->work_per_unit;
    s->run(buffers, &dim, 0, units, scratch);
}

static int bench(ir_context *c, const cg_options *options, const diag_sink *sink, thread_pool *pool, int W, int64_t N, int64_t K,
                 int64_t tokens, int rounds) {
    static double ours[MAX_ROUNDS], theirs[MAX_ROUNDS], ratio[MAX_ROUNDS];
    plan *p = compile(c, (uint32_t)W, N, K, options, sink);
    if (!p || p->n_steps != 1) return 1;
    const plan_buffer *packed = &p->buffers[p->steps[0].buffers[1]];
    int64_t tiles = (tokens + W - 1) / W, w_dims[] = {N, K}, layers = tokens <= FEW_TOKENS ? LAYERS : 1;
    int64_t panels_size = packing_bytes(PACKING_PANELS, packed->packing_parameter, N, K) / 4;
    float *w = numbers((size_t)(layers * N * K)), *b = numbers((size_t)N), *x = numbers((size_t)(tokens * K)),
          *y = numbers((size_t)(tokens * N));
    float *x_tiles = numbers((size_t)(tiles * K * W)), *y_tiles = numbers((size_t)(tiles * N * W)), *scratch = numbers(1 << 20);
    float *panels = numbers((size_t)(layers * panels_size));
    for (int64_t l = 0; l < layers; l++) {
        ir_tensor weight = tensor_view(IR_F32, 2, w_dims, w + l * N * K);
        packing_make(PACKING_PANELS, packed->packing_parameter, &weight, pool, panels + l * panels_size);
    }
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t k = 0; k < K; k++) x_tiles[(t / W * K + k) * W + t % W] = x[t * K + k];
    void *buffers[LAYERS][4];
    for (int64_t l = 0; l < layers; l++)
        memcpy(buffers[l], (void *[]){x_tiles, panels + l * panels_size, b, y_tiles}, sizeof buffers[l]);
    int64_t repeat =
        (int64_t)(4e8 / (2.0 * (double)(N * K * tokens)) / (double)layers) % 40 * layers + layers; /* all layers alike */
    for (int r = -2; r < rounds; r++) {
        double t0 = now();
        for (int64_t i = 0; i < repeat; i++) run(p, tokens, buffers[i % layers], scratch);
        double t1 = now();
        for (int64_t i = 0; i < repeat; i++) blas_linear(x, w + i % layers * N * K, tokens, N, K, y);
        double t2 = now();
        if (r < 0) continue;
        ours[r] = (t1 - t0) / (double)repeat;
        theirs[r] = (t2 - t1) / (double)repeat;
        ratio[r] = (t2 - t1) / (t1 - t0);
    }
    double error = 0, flops = 2e-9 * (double)(N * K * tokens);
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t n = 0; n < N; n++)
            error = fmax(error, fabs((double)y[t * N + n] + (double)b[n] - (double)y_tiles[(t / W * N + n) * W + t % W]));
    double ours_median = median(ours, rounds), theirs_median = median(theirs, rounds); /* sorts: the best is first */
    printf("%-6s %4lldx%-4lld T=%-4lld  pofac %6.1f  OpenBLAS %6.1f GFLOP/s  %5.1f / %5.1f GB/s  ratio %.2f  best %6.1f / %6.1f  "
           "largest difference %.1e\n",
           options->target.isa, (long long)N, (long long)K, (long long)tokens, flops / ours_median, flops / theirs_median,
           4e-9 * (double)(N * K) / ours_median, 4e-9 * (double)(N * K) / theirs_median, median(ratio, rounds), flops / ours[0],
           flops / theirs[0], error);
    fflush(stdout);
    free(w), free(b), free(x), free(y), free(x_tiles), free(y_tiles), free(scratch), free(panels);
    plan_destroy(p);
    return 0;
}

/*
 * OpenBLAS 0.3.21 does not know processors newer than itself and then falls back to its slowest kernels (Prescott), which would be
 * no baseline. It chooses when it is loaded, so the program starts itself again with the kernels that fit the instruction set
 * named.
 */
static void use_best_kernels(char **argv, const cg_target *host) {
    const char *name = host->vector_bytes == 64 ? "SkylakeX" : host->vector_bytes == 32 ? "Haswell" : NULL;
    if (!name || getenv("OPENBLAS_CORETYPE")) return;
    setenv("OPENBLAS_CORETYPE", name, 1);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
    strbuf messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    arena memory = ARENA_INIT;
    cg_options options = {.cache_dir = NULL};
    thread_pool *pool = NULL;
    ir_context *c = context_create();
    int rounds = argc > 2 ? atoi(argv[2]) : 21, W = argc > 3 ? atoi(argv[3]) : 32, failed = 0;
    if (rounds < 1 || rounds > MAX_ROUNDS) rounds = 21;
    if (!c || cg_target_host(argc > 1 ? argv[1] : NULL, &memory, &sink, &options.target) != POFAC_OK ||
        thread_pool_create(1, &sink, &pool) != POFAC_OK) {
        fprintf(stderr, "%s", strbuf_str(&messages));
        return 1;
    }
    use_best_kernels(argv, &options.target);
    printf("%s; it runs its %s kernels\n", blas_version(), blas_kernels());
    static const int64_t shapes[][2] = {{768, 768}, {3072, 768}, {768, 3072}};
    static const char *const usual[] = {"128", "384"};
    for (size_t s = 0; s < 3; s++)
        for (int t = 0; t < (argc > 4 ? argc - 4 : 2); t++)
            failed |=
                bench(c, &options, &sink, pool, W, shapes[s][0], shapes[s][1], atoi(argc > 4 ? argv[4 + t] : usual[t]), rounds);
    fprintf(stderr, "%s", strbuf_str(&messages));
    thread_pool_destroy(pool);
    context_destroy(c);
    arena_free(&memory);
    strbuf_free(&messages);
    return failed;
}
