/* pofac inspect: the parameters of a model, their zeros, and the kernels that read them. */
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/kernel_reasons.h"
#include "frontend/driver/size_report.h"

static const option_row rows[] = {
    {"json", OPTION_FLAG, NULL, NULL, 0, 0, "print one JSON object"},
    {"explain", OPTION_FLAG, NULL, NULL, 0, 0,
     "say also why linear layers have their kernels: times of dense, sparse and f32 ones"},
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
};

static double share(int64_t part, int64_t whole) { return whole > 0 ? (double)part / (double)whole : 0.0; }

static void put_text(strbuf *out, const char *text) { strbuf_put_json(out, text, strlen(text)); }

/* `reasons` may be NULL, here and below. */
static pofac_status print_json(const diag_sink *sink, const loaded_model *m, const inspect_result *r, const size_report *size,
                               const kernel_reasons *reasons) {
    const model_spec *s = loaded_model_spec(m);
    strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "{\"architecture\": \"%s\", \"head\": \"%s\", \"target\": ", model_arch_name(s->arch),
                  model_head_name(s->head));
    put_text(&text, r->target);
    strbuf_puts(&text, ", \"parameters\": [");
    for (size_t i = 0; i < r->n_rows; i++) {
        const inspect_row *row = &r->rows[i];
        strbuf_puts(&text, i ? ", {\"name\": " : "{\"name\": ");
        put_text(&text, row->name);
        strbuf_printf(
            &text, ", \"shape\": %s, \"dtype\": \"%s\", \"sparsity\": %.6f, \"bytes\": %lld, \"memory_bytes\": %lld, \"layout\": ",
            row->shape, row->dtype, share(row->zeros, row->elements), (long long)row->bytes, (long long)row->memory_bytes);
        put_text(&text, row->layout);
        strbuf_puts(&text, ", \"kernel\": ");
        put_text(&text, row->kernel);
        strbuf_putc(&text, '}');
    }
    strbuf_printf(
        &text,
        "], \"total\": {\"parameters\": %lld, \"zeros\": %lld, \"sparsity\": %.6f, \"bytes\": %lld, \"linear_parameters\": %lld, "
        "\"linear_sparsity\": %.6f}",
        (long long)r->elements, (long long)r->zeros, share(r->zeros, r->elements), (long long)r->bytes,
        (long long)r->linear_elements, share(r->linear_zeros, r->linear_elements));
    size_report_put_json(size, &text);
    if (reasons) kernel_reasons_put_json(reasons, &text);
    strbuf_puts(&text, "}\n");
    pofac_status status = strbuf_ok(&text) ? arguments_print(sink, strbuf_str(&text), text.size) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static void print_text(const loaded_model *m, const inspect_result *r) {
    const model_spec *s = loaded_model_spec(m);
    size_t width = 20;
    for (size_t i = 0; i < r->n_rows; i++)
        if (strlen(r->rows[i].name) > width) width = strlen(r->rows[i].name);
    printf("%s, %lld layers, hidden %lld, %lld heads, intermediate %lld, vocabulary %lld; head %s\ntarget %s\n\n",
           model_arch_name(s->arch), (long long)s->num_hidden_layers, (long long)s->hidden_size, (long long)s->num_attention_heads,
           (long long)s->intermediate_size, (long long)s->vocab_size, model_head_name(s->head), r->target);
    printf("%-*s %-14s %8s %-5s %12s %9s  %-28s %s\n", (int)width, "parameter", "shape", "zeros", "dtype", "bytes", "in memory",
           "layout", "kernel");
    for (size_t i = 0; i < r->n_rows; i++) {
        const inspect_row *row = &r->rows[i];
        printf("%-*s %-14s %7.2f%% %-5s %12lld %9.2f  %-28s %s\n", (int)width, row->name, row->shape,
               100.0 * share(row->zeros, row->elements), row->dtype, (long long)row->bytes, share(row->memory_bytes, row->elements),
               row->layout, row->kernel);
    }
    printf("\nin memory: bytes per element as kernels read it, positions of non-zeros included\n");
    printf("\ntotal: %lld parameters, %.2f%% zeros, %lld bytes; weights of linear layers: %lld, %.2f%% zeros\n",
           (long long)r->elements, 100.0 * share(r->zeros, r->elements), (long long)r->bytes, (long long)r->linear_elements,
           100.0 * share(r->linear_zeros, r->linear_elements));
}

static pofac_status print_rest(const diag_sink *sink, const size_report *size, const kernel_reasons *reasons) {
    strbuf text = STRBUF_INIT;
    strbuf_putc(&text, '\n');
    if (reasons) {
        kernel_reasons_print(reasons, &text);
        strbuf_putc(&text, '\n');
    }
    size_report_print(size, &text);
    pofac_status status = strbuf_ok(&text) ? arguments_print(sink, strbuf_str(&text), text.size) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

static pofac_status run(const command_input *in) {
    loaded_model_options model_options = arguments_model(in->options);
    road_options road = arguments_road(in->options);
    kernel_reasons reasons = {.memory = in->memory};
    loaded_model *model;
    inspect_result result;
    size_report size;
    if (option_flag(in->options, "explain")) road.kernel_reasons = &reasons;
    TRY(loaded_model_open(in->options->arguments[0], &model_options, in->sink, &model));
    pofac_status status = inspect_model(model, &road, in->memory, in->sink, &result);
    if (status == POFAC_OK) status = size_report_make(model, &result, in->memory, in->sink, &size);
    if (status == POFAC_OK && option_flag(in->options, "json"))
        status = print_json(in->sink, model, &result, &size, road.kernel_reasons);
    else if (status == POFAC_OK) {
        print_text(model, &result);
        status = print_rest(in->sink, &size, road.kernel_reasons);
    }
    kernel_reasons_free(&reasons);
    loaded_model_close(model);
    return status;
}

const command command_inspect = {
    .name = "inspect",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "list a model's parameters: shape, share of zeros, dtype, bytes and the kernel that reads each; sizes by layer"};
