/* pofac data: the commands that make and show training data, by data_commands.def. */
#include "frontend/cli/command.h"

static const command *const commands[] = {
#define DATA_COMMAND(id, name) &command_data_##id,
#include "frontend/cli/data_commands.def"
#undef DATA_COMMAND
};

static const command *child(size_t i) { return i < sizeof commands / sizeof *commands ? commands[i] : NULL; }

const command command_data = {
    .name = "data", .arguments = "COMMAND", .child = child, .meaning = "make training data, and look into it"};
