/* From a command's options (the shared rows of options.h) to what the driver takes. */
#ifndef POFAC_FRONTEND_CLI_ARGUMENTS_H
#define POFAC_FRONTEND_CLI_ARGUMENTS_H

#include "frontend/cli/command.h"
#include "frontend/driver/road.h"
#include "ir/text.h"

/* OPTIONS_MODEL and, where the command has it, OPTIONS_THREADS. */
loaded_model_options arguments_model(const option_values *o);

/* Of a row `dtype` with f32, bf16 and f16: of parameters that are written. */
ir_dtype arguments_dtype(const option_values *o);

/* OPTIONS_COMPILE and, where the command has it, OPTIONS_THREADS. */
road_options arguments_road(const option_values *o);

/* OPTIONS_PASSES: an observer that prints dumps on stdout and times and reproducers as asked. `dump` must outlive the observer. */
typedef struct dump_options {
    text_print_options print;
    const char *reproducer;
    const diag_sink *sink;
} dump_options;
pass_observer arguments_observer(const command_input *in, dump_options *dump);

/* Writes bytes to stdout, at once. */
POFAC_MUST_USE pofac_status arguments_print(const diag_sink *sink, const char *bytes, size_t n);

/* Writes bytes to --output, atomically, or to stdout when it is absent or "-". */
POFAC_MUST_USE pofac_status arguments_write(const command_input *in, const char *bytes, size_t n);

/* What a command writes: a file, or a directory with something in it, stays as it is unless the user gives the flag `overwrite`. POFAC_ERR_USAGE: one is there. */
typedef enum argument_kind { ARGUMENT_FILE, ARGUMENT_DIRECTORY } argument_kind;
POFAC_MUST_USE pofac_status arguments_check_output(const command_input *in, const char *path, argument_kind kind,
                                                   const char *overwrite);

#endif
