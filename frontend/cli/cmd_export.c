/* pofac export: a model for other programs. */
#include <string.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/export_model.h"

static const option_row rows[] = {
    {"format", OPTION_CHOICE, "safetensors|onnx", "safetensors", 0, 0,
     "safetensors: Hugging Face's directory, dense, with zeros; onnx: a file, opset 17"},
    {"dtype", OPTION_CHOICE, "f32|bf16|f16", "f32", 0, 0, "of the parameters in safetensors"},
    {"external_data", OPTION_FLAG, NULL, NULL, 0, 0, "onnx: tensors into FILE.data beside it; above 2 GB that is done anyway"},
    {"quantization", OPTION_CHOICE, "auto|off", "auto", 0, 0,
     "of a quantized model; auto: its scales (onnx: QuantizeLinear, DequantizeLinear; safetensors: quantization.safetensors); off: "
     "f32 alone"},
    {"output", OPTION_WRITES, "PATH", NULL, 0, 0, "directory or file to write (required); -o does the same"},
    {"overwrite", OPTION_FLAG, NULL, NULL, 0, 0, "write into a directory that is not empty, or over a file"},
    OPTIONS_MODEL,
};

/* With tensors outside, the file that these go to as well. */
static pofac_status check_output(const command_input *in, const export_options *o, bool onnx) {
    const char *data = arena_printf(in->memory, "%s.data", o->output);
    if (!data) return diag_out_of_memory(in->sink);
    TRY(arguments_check_output(in, o->output, onnx ? ARGUMENT_FILE : ARGUMENT_DIRECTORY, "overwrite"));
    return o->external_data ? arguments_check_output(in, data, ARGUMENT_FILE, "overwrite") : POFAC_OK;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const bool onnx = strcmp(option_text(o, "format"), "onnx") == 0;
    const export_options options = {.output = option_text(o, "output"),
                                    .dtype = arguments_dtype(o),
                                    .external_data = option_flag(o, "external_data"),
                                    .without_quantization = strcmp(option_text(o, "quantization"), "off") == 0};
    const loaded_model_options model_options = arguments_model(o);
    loaded_model *model;
    strbuf report = STRBUF_INIT;
    if (!options.output) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--output is missing: where the model goes");
    if (onnx && option_given(o, "dtype"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL,
                          "--dtype is given with --format onnx, which is in f32, wanted one of them");
    if (!onnx && option_flag(o, "external_data"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL,
                          "--external_data is given with --format safetensors, wanted --format onnx");
    TRY(check_output(in, &options, onnx));
    TRY(loaded_model_open(o->arguments[0], &model_options, in->sink, &model));
    pofac_status status =
        onnx ? export_onnx(model, &options, in->sink, &report) : export_directory(model, &options, in->sink, &report);
    if (status == POFAC_OK) status = arguments_print(in->sink, strbuf_str(&report), report.size);
    loaded_model_close(model);
    strbuf_free(&report);
    return status;
}

const command command_export = {.name = "export",
                                .arguments = "MODEL",
                                .min_arguments = 1,
                                .max_arguments = 1,
                                .rows = rows,
                                .n_rows = sizeof rows / sizeof *rows,
                                .run = run,
                                .meaning = "write a model for other programs: safetensors, ONNX",
                                .details = "What was written is printed as one JSON object."};
