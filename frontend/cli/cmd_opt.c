/* pofac opt: passes on the text form of the IR. */
#include "frontend/cli/arguments.h"
#include "frontend/driver/text_file.h"

static const option_row rows[] = {
    {"pipeline", OPTION_TEXT, "PASSES", "", 0, 0, "passes to run: names with options, or named pipelines; none: check and print"},
    {"output", OPTION_WRITES, "FILE", NULL, 0, 0, "where the result goes; default stdout"},
    {"constants", OPTION_READS, "FILE", NULL, 0, 0, "checkpoint with the data of elided constants"},
    {"save_constants", OPTION_WRITES, "FILE", NULL, 0, 0, "safetensors file for the data of elided constants of the result"},
    OPTIONS_PASSES,
};

static pofac_status print_result(const command_input *in, const ir_module *m, const dump_options *dump) {
    strbuf text = STRBUF_INIT;
    text_print_module(m, (text_print_options){.locations = dump->print.locations, .scope = dump->print.scope}, &text);
    pofac_status status = strbuf_ok(&text) ? arguments_write(in, strbuf_str(&text), text.size) : diag_out_of_memory(in->sink);
    strbuf_free(&text);
    return status;
}

static pofac_status run_passes(const command_input *in, ir_context *context) {
    dump_options dump;
    pass_observer observer = arguments_observer(in, &dump);
    pass_pipeline pipeline;
    ir_module *m;
    TRY(pipeline_parse(option_text(in->options, "pipeline"), in->memory, in->sink, &pipeline));
    TRY(text_file_read(context, in->options->arguments[0], option_text(in->options, "constants"), in->sink, &m));
    TRY(pipeline_run(&pipeline, m, NULL, &observer, in->sink, &m));
    pofac_status status = print_result(in, m, &dump);
    const char *constants = option_text(in->options, "save_constants");
    if (status == POFAC_OK && constants) status = text_file_save_constants(m, constants, in->sink);
    module_destroy(m);
    return status;
}

static pofac_status run(const command_input *in) {
    ir_context *context = context_create();
    if (!context) return diag_out_of_memory(in->sink);
    pofac_status status = run_passes(in, context);
    context_destroy(context);
    return status;
}

const command command_opt = {.name = "opt",
                             .arguments = "FILE",
                             .min_arguments = 1,
                             .max_arguments = 1,
                             .rows = rows,
                             .n_rows = sizeof rows / sizeof *rows,
                             .run = run,
                             .meaning = "run passes on a text file of IR (\"-\": standard input) and print the result"};
