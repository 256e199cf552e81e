/* Names of sub-commands; see command.h. The table of them is in main.c. */
#include "frontend/cli/command.h"

#include <string.h>

const char *command_word(const command *c) {
    const char *space = strrchr(c->name, ' ');
    return space ? space + 1 : c->name;
}
