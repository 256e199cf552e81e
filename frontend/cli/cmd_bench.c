/* pofac bench: how long a model takes on batches of one shape, whole and by kernel. */
#include <string.h>
#include <time.h>

#include "frontend/cli/arguments.h"
#include "frontend/cli/profiling.h"
#include "frontend/driver/bench_run.h"

static const option_row rows[] = {
    {"batch", OPTION_WHOLE, "B", "1", 1, 65536, "sequences per batch"},
    {"sequence", OPTION_WHOLE, "S", "128", 1, 1 << 24, "tokens per sequence"},
    {"warmup", OPTION_WHOLE, "N", "3", 0, 1000000, "runs before the first one that counts"},
    {"iterations", OPTION_WHOLE, "N", "20", 1, 1000000, "runs that count"},
    {"json", OPTION_FLAG, NULL, NULL, 0, 0, "print one JSON object"},
    {"max_memory", OPTION_SIZE, "SIZE", NULL, 1, INT64_MAX,
     "refuse a batch whose packed weights, activations and scratch need more"},
    {"memory", OPTION_FLAG, NULL, NULL, 0, 0, "say what a run needs, before the first"},
    OPTIONS_PROFILE,
    OPTIONS_THREADS,
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

static pofac_status print_json(const diag_sink *sink, const bench_options *o, const bench_result *r, const run_profile *p) {
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
        "\"tokens_per_second\": %.6g, \"open_ms\": %.6g, \"build_ms\": %.6g, \"pack_ms\": %.6g, \"ready_memory_bytes\": %lld, "
        "\"peak_memory_bytes\": %lld, \"weight_bytes\": %lld, "
        "\"packed_weight_bytes\": %lld, \"activation_bytes\": %lld, \"scratch_bytes\": %lld, \"kernels\": [",
        (long long)o->iterations, r->median_ms, r->p90_ms, r->p99_ms, r->min_ms, r->sequences_per_second, r->tokens_per_second,
        r->open_ms, r->build_ms, r->pack_ms, (long long)r->ready_memory_bytes, (long long)r->peak_memory_bytes,
        (long long)r->memory.mapped_weight_bytes, (long long)r->memory.packed_weight_bytes, (long long)r->memory.arena_bytes,
        (long long)r->memory.scratch_bytes);
    size_t n_steps;
    const profile_row *steps = run_profile_steps(p, &n_steps);
    for (size_t i = 0; i < n_steps; i++)
        strbuf_printf(
            &text,
            "%s{\"kernel\": \"%s\", \"variant\": \"%s\", \"scope\": \"%s\", \"ms\": %.6g, \"share\": %.4f, \"gflops\": %.6g, "
            "\"gbytes\": %.6g}",
            i ? ", " : "", steps[i].kernel, steps[i].variant, steps[i].scope, profile_row_ms(p, &steps[i]),
            profile_row_share(p, &steps[i]), profile_row_gflops(&steps[i]), profile_row_gbytes(&steps[i]));
    strbuf_puts(&text, "], \"code\": ");
    code_report_put_json(&r->code, &text);
    strbuf_puts(&text, "}\n");
    pofac_status status = strbuf_ok(&text) ? arguments_print(sink, strbuf_str(&text), text.size) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static void print_text(const bench_options *o, const bench_result *r, const run_profile *p) {
    printf("%s, %zu thread%s, batch %lld x %lld\n", r->target, r->threads, r->threads == 1 ? "" : "s", (long long)o->batch,
           (long long)o->sequence);
    printf("median %.3f ms, p90 %.3f ms, p99 %.3f ms; %.1f sequences/s, %.0f tokens/s\n", r->median_ms, r->p90_ms, r->p99_ms,
           r->sequences_per_second, r->tokens_per_second);
    printf("opened in %.1f ms, built in %.1f ms, weights packed in %.1f ms; resident %.1f MB before the first run, at most %.1f MB "
           "(weights %.1f MB, of "
           "them and copies packed %.1f MB, activations %.1f MB)\n\n",
           r->open_ms, r->build_ms, r->pack_ms, 1e-6 * (double)r->ready_memory_bytes, 1e-6 * (double)r->peak_memory_bytes,
           1e-6 * (double)r->memory.mapped_weight_bytes, 1e-6 * (double)r->memory.packed_weight_bytes,
           1e-6 * (double)r->memory.arena_bytes);
    strbuf table = STRBUF_INIT;
    run_profile_put_kernels(p, &table);
    strbuf_printf(&table, "\ncode of %zu kernels: %zu bytes, compiled in %.1f ms of processor time, %zu from the object cache\n",
                  r->code.n, r->code.bytes, r->code.compile_ms, r->code.n_cached);
    code_report_put_table(&r->code, &table);
    fputs(strbuf_str(&table), stdout);
    strbuf_free(&table);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static pofac_status run_model(const command_input *in, const bench_options *options, run_profile *profile, bench_result *result) {
    loaded_model_options model_options = arguments_model(in->options);
    road_options road = arguments_road(in->options);
    loaded_model *model;
    const double begin = now_ms();
    TRY(loaded_model_open(in->options->arguments[0], &model_options, in->sink, &model));
    const double open_ms = now_ms() - begin;
    pofac_status status = interruption_begin(in->stop, in->sink);
    if (status == POFAC_OK) status = bench_run(model, &road, options, profile, in->memory, in->sink, result);
    loaded_model_close(model);
    result->open_ms = open_ms;
    if (status == POFAC_ERR_INTERRUPTED) diag_note(in->sink, NULL, "interrupted");
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const bench_options options = {.batch = option_whole(o, "batch"),
                                   .sequence = option_whole(o, "sequence"),
                                   .warmup = option_whole(o, "warmup"),
                                   .iterations = option_whole(o, "iterations"),
                                   .seed = (uint64_t)option_whole(o, "seed"),
                                   .max_memory = option_size(o, "max_memory"),
                                   .report_memory = option_flag(o, "memory"),
                                   .stop = in->stop};
    bench_result result;
    TRY(profiling_check(in));
    run_profile *profile = run_profile_create();
    if (!profile) return diag_out_of_memory(in->sink);
    pofac_status status = run_model(in, &options, profile, &result);
    if (status == POFAC_OK && option_flag(o, "json")) status = print_json(in->sink, &options, &result, profile);
    else if (status == POFAC_OK) print_text(&options, &result, profile);
    if (status == POFAC_OK) status = profiling_write(in, profile);
    run_profile_destroy(profile);
    return status;
}

const command command_bench = {.name = "bench",
                               .arguments = "MODEL",
                               .min_arguments = 1,
                               .max_arguments = 1,
                               .rows = rows,
                               .n_rows = sizeof rows / sizeof *rows,
                               .run = run,
                               .meaning = "time a model on random tokens: whole runs, and each kernel"};
