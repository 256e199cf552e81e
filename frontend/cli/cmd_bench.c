/* pofac bench: how long a model takes on batches of one shape, whole and by kernel. */
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/bench_run.h"

static const option_row rows[] = {
    {"batch", OPTION_WHOLE, "B", "1", 1, 65536, "sequences per batch"},
    {"sequence", OPTION_WHOLE, "S", "128", 1, 1 << 24, "tokens per sequence"},
    {"warmup", OPTION_WHOLE, "N", "3", 0, 1000000, "runs before the first one that counts"},
    {"iterations", OPTION_WHOLE, "N", "20", 1, 1000000, "runs that count"},
    {"json", OPTION_FLAG, NULL, NULL, 0, 0, "print one JSON object"},
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

static pofac_status print_json(const diag_sink *sink, const bench_options *o, const bench_result *r) {
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "{\"batch\": %lld, \"sequence\": %lld, \"threads\": %zu, \"target\": ", (long long)o->batch,
                  (long long)o->sequence, r->threads);
    size_t n = 0;
    while (r->target && r->target[n]) n++;
    strbuf_put_json(&text, r->target, n);
    strbuf_printf(
        &text,
        ", \"iterations\": %lld, \"median_ms\": %.6g, \"p90_ms\": %.6g, \"p99_ms\": %.6g, \"min_ms\": %.6g, "
        "\"sequences_per_second\": %.6g, "
        "\"tokens_per_second\": %.6g, \"build_ms\": %.6g, \"pack_ms\": %.6g, \"peak_memory_bytes\": %lld, \"weight_bytes\": %lld, "
        "\"packed_weight_bytes\": %lld, \"activation_bytes\": %lld, \"kernels\": [",
        (long long)o->iterations, r->median_ms, r->p90_ms, r->p99_ms, r->min_ms, r->sequences_per_second, r->tokens_per_second,
        r->build_ms, r->pack_ms, (long long)r->peak_memory_bytes, (long long)r->memory.mapped_weight_bytes,
        (long long)r->memory.packed_weight_bytes, (long long)r->memory.arena_bytes);
    for (size_t i = 0; i < r->n_kernels; i++) {
        const bench_kernel *k = &r->kernels[i];
        strbuf_printf(
            &text,
            "%s{\"kernel\": \"%s\", \"variant\": \"%s\", \"scope\": \"%s\", \"ms\": %.6g, \"share\": %.4f, \"gflops\": %.6g}",
            i ? ", " : "", k->kernel, k->variant, k->scope, k->ms, k->share, k->gflops);
    }
    strbuf_puts(&text, "]}\n");
    pofac_status status = strbuf_ok(&text) ? arguments_print(sink, strbuf_str(&text), text.size) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static void print_text(const bench_options *o, const bench_result *r) {
    printf("%s, %zu thread%s, batch %lld x %lld\n", r->target, r->threads, r->threads == 1 ? "" : "s", (long long)o->batch,
           (long long)o->sequence);
    printf("median %.3f ms, p90 %.3f ms, p99 %.3f ms; %.1f sequences/s, %.0f tokens/s\n", r->median_ms, r->p90_ms, r->p99_ms,
           r->sequences_per_second, r->tokens_per_second);
    printf("built in %.1f ms, weights packed in %.1f ms; peak memory %.1f MB (weights %.1f MB, packed %.1f MB, activations %.1f "
           "MB)\n\n",
           r->build_ms, r->pack_ms, 1e-6 * (double)r->peak_memory_bytes, 1e-6 * (double)r->memory.mapped_weight_bytes,
           1e-6 * (double)r->memory.packed_weight_bytes, 1e-6 * (double)r->memory.arena_bytes);
    int width = 5;
    for (size_t i = 0; i < r->n_kernels; i++)
        if (strlen(r->kernels[i].scope) > (size_t)width) width = (int)strlen(r->kernels[i].scope);
    printf("%9s %6s %9s  %-*s  %s\n", "ms", "share", "GFLOP/s", width, "scope", "kernel");
    for (size_t i = 0; i < r->n_kernels; i++) {
        const bench_kernel *k = &r->kernels[i];
        printf("%9.4f %5.1f%% %9.1f  %-*s  %s\n", k->ms, 100.0 * k->share, k->gflops, width, k->scope, k->variant);
    }
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    loaded_model_options model_options = arguments_model(o);
    road_options road = arguments_road(o);
    bench_options bench = {option_whole(o, "batch"), option_whole(o, "sequence"), option_whole(o, "warmup"),
                           option_whole(o, "iterations"), (uint64_t)option_whole(o, "seed")};
    loaded_model *model;
    bench_result result;
    TRY(loaded_model_open(o->arguments[0], &model_options, in->sink, &model));
    pofac_status status = bench_run(model, &road, &bench, in->memory, in->sink, &result);
    loaded_model_close(model);
    if (status != POFAC_OK) return status;
    if (option_flag(o, "json")) return print_json(in->sink, &bench, &result);
    print_text(&bench, &result);
    return POFAC_OK;
}

const command command_bench = {.name = "bench",
                               .arguments = "MODEL",
                               .min_arguments = 1,
                               .max_arguments = 1,
                               .rows = rows,
                               .n_rows = sizeof rows / sizeof *rows,
                               .run = run,
                               .meaning = "time a model on random tokens: whole runs, and each kernel"};
