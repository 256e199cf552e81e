/*
 * What a layer of BERT-Base costs besides its matrix products with weights: residual + layer norm and its gradient with dropout, dropout,
 * GELU, attention and its gradient, embedding and gathered rows, each in tiles<W>, on one thread.
 *
 *   bench_rest [ISA [W [ROUNDS]]]
 *
 * Prints one line per kernel and shape: the fastest of ROUNDS runs in microseconds (other work on the machine only ever adds), its
 * time per element or its GFLOP/s. Inputs are put into tiles just before, so they come from the caches that a model's would come
 * from.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "ir/support/rng.h"
#include "ir/text.h"
#include "runtime/session.h"

#define MAX_INPUTS 12

typedef struct bench {
    ir_context *context;
    cg_options options;
    diag_sink sink;
    thread_pool *pool;
    int W, rounds;
} bench;

/* The inputs and states of one case. */
typedef struct numbers {
    const char *name[MAX_INPUTS];
    ir_tensor tensor[MAX_INPUTS];
    size_t n;
} numbers;

static pofac_status find(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const numbers *all = user;
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->name[i], name) != 0) continue;
        *out = all->tensor[i];
        out->owned = false;
        return POFAC_OK;
    }
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s is missing", name);
}

static ir_tensor *add(numbers *all, const char *name, ir_dtype dtype, int64_t rows, int64_t columns) {
    int64_t dims[] = {rows, columns};
    ir_tensor *t = &all->tensor[all->n];
    all->name[all->n++] = name;
    if (tensor_alloc(dtype, columns ? 2 : 1, dims, t) != POFAC_OK) exit(1);
    rng_key key = rng_key_make(1, name);
    for (int64_t i = 0; i < tensor_elements(t); i++) tensor_set(t, i, dtype == IR_F32 ? 4 * rng_uniform(key, (uint64_t)i) - 2 : 0);
    return t;
}

/* The fastest run of the step that runs `kernel`, in ns; -1 when something fails. */
static int64_t fastest(const bench *b, const char *text, const char *kernel, numbers *all) {
    ir_module *m = NULL;
    plan *p = NULL;
    session *s = NULL;
    const tensor_source source = {.get = find, .user = all};
    int64_t best = -1;
    size_t step = 0;
    if (text_parse_module(b->context, "bench", text, strlen(text), NULL, &b->sink, &m) == POFAC_OK &&
        cg_compile(m, "g", &b->options, &b->sink, &p) == POFAC_OK)
        while (step < p->n_steps && strcmp(p->steps[step].kernel, kernel) != 0) step++;
    if (p && step < p->n_steps && session_create(p, &source, b->pool, &b->sink, &s) == POFAC_OK) {
        for (int r = 0; r < b->rounds; r++) {
            session_profile(s, true);
            if (session_run(s, &source, &b->sink) != POFAC_OK) break;
            int64_t ns = session_times_ns(s)[step];
            if (best < 0 || ns < best) best = ns;
        }
    }
    session_destroy(s);
    plan_destroy(p);
    for (size_t i = 0; i < all->n; i++) tensor_free(&all->tensor[i]);
    return best;
}

static int report(const char *what, const char *shape, int64_t ns, double count, const char *unit) {
    if (ns < 0) return 1;
    bool rate = strcmp(unit, "GFLOP/s") == 0;
    printf("%-28s %-24s %9.1f us  %8.3f %s\n", what, shape, (double)ns / 1e3, rate ? count / (double)ns : (double)ns / count, unit);
    fflush(stdout);
    return 0;
}

static int bench_norm(const bench *b, long long T, long long E) {
    char text[2048], shape[64];
    numbers all = {.n = 0};
    add(&all, "x", IR_F32, T, E), add(&all, "r", IR_F32, T, E), add(&all, "g", IR_F32, E, 0), add(&all, "b", IR_F32, E, 0);
    snprintf(text, sizeof text,
             "graph @g (T <= 65536) {\n  %%1 = input {name = \"x\"} : f32[T,%lld]\n  %%2 = input {name = \"r\"} : f32[T,%lld]\n"
             "  %%3 = state {name = \"g\"} : f32[%lld]\n  %%4 = state {name = \"b\"} : f32[%lld]\n"
             "  %%5 = relayout %%1 : f32[T,%lld] tiles<%d>\n  %%6 = relayout %%2 : f32[T,%lld] tiles<%d>\n"
             "  %%7 = add %%5, %%6 {group = 1} : f32[T,%lld] tiles<%d>\n"
             "  %%8:3 = layer_norm %%7, %%3, %%4 {group = 1, eps = 1e-12} : f32[T,%lld] tiles<%d>, f32[T], f32[T]\n"
             "  %%9 = relayout %%8 : f32[T,%lld]\n  return \"y\" = %%9\n}\n",
             E, E, E, E, E, b->W, E, b->W, E, b->W, E, b->W, E);
    snprintf(shape, sizeof shape, "%lld x %lld", T, E);
    return report("residual + layer norm", shape, fastest(b, text, "layer_norm", &all), (double)(T * E), "ns per element");
}

/* The numbers that dropout takes, and what it is called with. */
static void add_random(numbers *all, long long T, strbuf *text) {
    add(all, "keys", IR_I64, T, 0), add(all, "random", IR_I64, 2, 0);
    strbuf_printf(
        text, "graph @g (T <= 65536) {\n  %%1 = input {name = \"keys\"} : i64[T]\n  %%2 = input {name = \"random\"} : i64[2]\n");
}

static int bench_dropout(const bench *b, long long T, long long E) {
    strbuf text = STRBUF_INIT;
    char shape[64];
    numbers all = {.n = 0};
    add_random(&all, T, &text);
    add(&all, "x", IR_F32, T, E);
    strbuf_printf(
        &text,
        "  %%3 = input {name = \"x\"} : f32[T,%lld]\n  %%4 = relayout %%3 : f32[T,%lld] tiles<%d>\n"
        "  %%5 = dropout %%4, %%1, %%2 {rate = 0.1, stream = 3} : f32[T,%lld] tiles<%d>\n  %%6 = relayout %%5 : f32[T,%lld]\n"
        "  return \"y\" = %%6\n}\n",
        E, E, b->W, E, b->W, E);
    snprintf(shape, sizeof shape, "%lld x %lld", T, E);
    int failed = report("dropout", shape, fastest(b, strbuf_str(&text), "elementwise", &all), (double)(T * E), "ns per element");
    strbuf_free(&text);
    return failed;
}

static int bench_norm_gradient(const bench *b, long long T, long long E, bool dropout) {
    strbuf text = STRBUF_INIT;
    char shape[64];
    numbers all = {.n = 0};
    add_random(&all, T, &text);
    add(&all, "x", IR_F32, T, E), add(&all, "dy", IR_F32, T, E), add(&all, "g", IR_F32, E, 0);
    add(&all, "m", IR_F32, T, 0), add(&all, "r", IR_F32, T, 0);
    strbuf_printf(
        &text,
        "  %%3 = input {name = \"x\"} : f32[T,%lld]\n  %%4 = input {name = \"dy\"} : f32[T,%lld]\n"
        "  %%5 = state {name = \"g\"} : f32[%lld]\n  %%6 = input {name = \"m\"} : f32[T]\n  %%7 = input {name = \"r\"} : f32[T]\n"
        "  %%8 = relayout %%3 : f32[T,%lld] tiles<%d>\n  %%9 = relayout %%4 : f32[T,%lld] tiles<%d>\n"
        "  %%10:3 = layer_norm_gradient %%8, %%9, %%5, %%6, %%7%s : f32[T,%lld] tiles<%d>, f32[%lld], f32[%lld]\n",
        E, E, E, E, b->W, E, b->W, dropout ? " {group = 1}" : "", E, b->W, E, E);
    if (dropout)
        strbuf_printf(&text, "  %%11 = dropout %%10, %%1, %%2 {rate = 0.1, stream = 3, group = 1} : f32[T,%lld] tiles<%d>\n", E,
                      b->W);
    strbuf_printf(&text, "  %%12 = relayout %%10 : f32[T,%lld]\n", E);
    if (dropout) strbuf_printf(&text, "  %%13 = relayout %%11 : f32[T,%lld]\n", E);
    strbuf_printf(&text, "  return \"dx\" = %%12, \"dgamma\" = %%10#1, \"dbeta\" = %%10#2%s\n}\n", dropout ? ", \"d\" = %13" : "");
    snprintf(shape, sizeof shape, "%lld x %lld", T, E);
    int failed = report(dropout ? "layer norm gradient, dropout" : "layer norm gradient", shape,
                        fastest(b, strbuf_str(&text), "layer_norm_gradient", &all), (double)(T * E), "ns per element");
    strbuf_free(&text);
    return failed;
}

static int bench_unary(const bench *b, const char *op, long long T, long long E) {
    char text[1024], shape[64];
    numbers all = {.n = 0};
    add(&all, "x", IR_F32, T, E);
    snprintf(text, sizeof text,
             "graph @g (T <= 65536) {\n  %%1 = input {name = \"x\"} : f32[T,%lld]\n  %%2 = relayout %%1 : f32[T,%lld] tiles<%d>\n"
             "  %%3 = %s %%2 : f32[T,%lld] tiles<%d>\n  %%4 = relayout %%3 : f32[T,%lld]\n  return \"y\" = %%4\n}\n",
             E, E, b->W, op, E, b->W, E);
    snprintf(shape, sizeof shape, "%lld x %lld", T, E);
    return report(op, shape, fastest(b, text, "elementwise", &all), (double)(T * E), "ns per element");
}

/* kernel: attention or attention_gradient; 4 or 10 multiply-adds times 2 for each pair of tokens and feature. */
static int bench_attention(const bench *b, const char *kernel, double rate, const char *what, const int *lengths, size_t n) {
    static const char *const activations[] = {"q", "k", "v", "dc"};
    strbuf text = STRBUF_INIT;
    char type[64], optional[64] = "", title[64];
    numbers all = {.n = 0};
    const bool gradient = strcmp(kernel, "attention_gradient") == 0;
    ir_tensor *offsets = add(&all, "o", IR_I32, (int64_t)n + 1, 0);
    int64_t T = 0;
    double pairs = 0;
    for (size_t i = 0; i < n; i++) {
        T += lengths[i];
        pairs += (double)lengths[i] * lengths[i];
        tensor_set_int(offsets, (int64_t)i + 1, T);
    }
    for (size_t i = 0; i < 4; i++) add(&all, activations[i], IR_F32, T, 768);
    add(&all, "keys", IR_I64, T, 0), add(&all, "random", IR_I64, 2, 0);
    if (rate > 0) snprintf(optional, sizeof optional, ", _, _, %%6, %%7 {rate = %g, heads = 12, scale = 0.125}", rate);
    else snprintf(optional, sizeof optional, " {heads = 12, scale = 0.125}");
    snprintf(type, sizeof type, "f32[R,768] tiles<%d>", b->W);
    strbuf_puts(&text, "graph @g (B <= 65536, R <= 65536) {\n");
    for (int i = 0; i < 4; i++) strbuf_printf(&text, "  %%%d = input {name = \"%s\"} : f32[R,768]\n", i + 1, activations[i]);
    strbuf_puts(&text, "  %5 = input {name = \"o\"} : i32[B+1]\n  %6 = input {name = \"keys\"} : i64[R]\n"
                       "  %7 = input {name = \"random\"} : i64[2]\n");
    for (int i = 0; i < 4; i++) strbuf_printf(&text, "  %%%d = relayout %%%d : %s\n", i + 8, i + 1, type);
    strbuf_printf(&text, "  %%12:2 = attention %%8, %%9, %%10, %%5%s : %s, f32[R,12] tiles<%d>\n", optional, type, b->W);
    if (gradient)
        strbuf_printf(&text,
                      "  %%13:3 = attention_gradient %%8, %%9, %%10, %%5, %%12, %%12#1, %%11%s : %s, %s, %s\n"
                      "  %%14 = add %%13, %%13#1 : %s\n  %%15 = add %%14, %%13#2 : %s\n  %%16 = relayout %%15 : f32[R,768]\n",
                      optional, type, type, type, type, type);
    else strbuf_puts(&text, "  %16 = relayout %12 : f32[R,768]\n");
    strbuf_puts(&text, "  return \"y\" = %16\n}\n");
    snprintf(title, sizeof title, "%s%s", gradient ? "attention gradient" : "attention", rate > 0 ? ", dropout" : "");
    const int64_t ns = fastest(b, strbuf_str(&text), kernel, &all);
    strbuf_free(&text);
    return report(title, what, ns, pairs * (gradient ? 10 : 4) * 768, "GFLOP/s");
}

static int bench_gather(const bench *b, long long T, long long M) {
    char text[1024], shape[64];
    numbers all = {.n = 0};
    add(&all, "x", IR_F32, T, 768);
    ir_tensor *index = add(&all, "i", IR_I32, M, 0);
    for (int64_t i = 0; i < M; i++) tensor_set_int(index, i, i * (T / M));
    snprintf(text, sizeof text,
             "graph @g (T <= 65536, M <= 65536) {\n  %%1 = input {name = \"x\"} : f32[T,768]\n  %%2 = input {name = \"i\"} : "
             "i32[M]\n  %%3 = relayout %%1 : f32[T,768] tiles<%d>\n  %%4 = gather_rows %%3, %%2 : f32[M,768] tiles<%d>\n"
             "  %%5 = relayout %%4 : f32[M,768]\n  return \"y\" = %%5\n}\n",
             b->W, b->W);
    snprintf(shape, sizeof shape, "%lld of %lld", M, T);
    return report("gather_rows", shape, fastest(b, text, "gather_rows", &all), (double)(M * 768), "ns per element");
}

static int bench_all(const bench *b) {
    static const int tokens[] = {1, 16, 20, 128, 384, 1024};
    int lengths[32], failed = 0;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        failed |= bench_norm(b, tokens[i], 768);
        failed |= bench_dropout(b, tokens[i], 768);
        failed |= bench_norm_gradient(b, tokens[i], 768, false);
        failed |= bench_norm_gradient(b, tokens[i], 768, true);
        failed |= bench_unary(b, "gelu", tokens[i], 3072);
        failed |= bench_unary(b, "tanh", tokens[i], 768);
    }
    for (int form = 0; form < 4; form++) { /* with a gradient, with dropout */
        const char *kernel = form % 2 ? "attention_gradient" : "attention";
        const double rate = form / 2 ? 0.1 : 0;
        lengths[0] = 128;
        failed |= bench_attention(b, kernel, rate, "1 x 128", lengths, 1);
        lengths[0] = 384;
        failed |= bench_attention(b, kernel, rate, "1 x 384", lengths, 1);
        lengths[0] = 16;
        failed |= bench_attention(b, kernel, rate, "1 x 16", lengths, 1);
        for (int i = 0; i < 32; i++) lengths[i] = 20;
        failed |= bench_attention(b, kernel, rate, "32 x 20", lengths, 32);
        for (int i = 0; i < 32; i++) lengths[i] = 5 + i * 19 % 46; /* as the sentences of SST-2 */
        failed |= bench_attention(b, kernel, rate, "32 x 5 to 50", lengths, 32);
    }
    failed |= bench_gather(b, 128, 1);
    return failed | bench_gather(b, 1024, 8);
}

int main(int argc, char **argv) {
    strbuf messages = STRBUF_INIT;
    arena memory = ARENA_INIT;
    bench b = {.context = context_create(), .sink = diag_sink_to_strbuf(&messages)};
    b.W = argc > 2 ? atoi(argv[2]) : 32;
    b.rounds = argc > 3 ? atoi(argv[3]) : 200;
    int failed = 1;
    if (b.context && cg_target_host(argc > 1 ? argv[1] : NULL, &memory, &b.sink, &b.options.target) == POFAC_OK &&
        thread_pool_create(1, &b.sink, &b.pool) == POFAC_OK) {
        printf("%s, tiles of %d tokens, one thread, fastest of %d\n", b.options.target.isa, b.W, b.rounds);
        failed = bench_all(&b);
    }
    fprintf(stderr, "%s", strbuf_str(&messages));
    thread_pool_destroy(b.pool);
    context_destroy(b.context);
    arena_free(&memory);
    strbuf_free(&messages);
    return failed;
}
