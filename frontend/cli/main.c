/*
 * The program `pofac`: finds the sub-command, reads its options, runs it, and turns its status into the exit code: 0 success, 1
 * failure at run time, 2 usage, 3 bad input file, 4 numeric failure, 128 + signal when interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "frontend/cli/command.h"

static const command *const commands[] = {
#define COMMAND(id, name) &command_##id,
#include "frontend/cli/commands.def"
#undef COMMAND
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

const command *command_row(size_t i) { return i < N_COMMANDS ? commands[i] : NULL; }

static void print_diag(void *user, const diag *d) {
    (void)user;
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    fflush(stdout); /* results before the message that ends them */
    fputs(strbuf_ok(&text) ? strbuf_str(&text) : d->message, stderr);
    strbuf_free(&text);
}

static void print_overview(FILE *out) {
    fputs("usage: pofac COMMAND [OPTION...] [ARGUMENT...]\n\n"
          "Compiles BERT-like models for CPUs and runs them.\n\ncommands:\n",
          out);
    for (size_t i = 0; i < N_COMMANDS; i++) fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->meaning);
    fputs("\n`pofac COMMAND --help` tells more. A MODEL is a Hugging Face directory or an XML description.\n", out);
}

static void print_help(const command *c) {
    printf("usage: pofac %s [OPTION...]%s%s\n\n%s\n\n", c->name, *c->arguments ? " " : "", c->arguments, c->meaning);
    if (c->details) printf("%s\n\n", c->details);
    printf("options:\n");
    options_help(c->rows, c->n_rows, stdout);
}

static pofac_status unknown_command(const char *word, const diag_sink *sink) {
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++) names[i] = commands[i]->name;
    const char *near = diag_nearest(word, names, N_COMMANDS);
    if (near) return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown command \"%s\"; did you mean \"%s\"?", word, near);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown command \"%s\"; see `pofac --help`", word);
}

static pofac_status run_command(const command *c, int argc, char **argv, arena *memory, interruption *stop, const diag_sink *sink) {
    option_values o;
    TRY(options_parse(c->rows, c->n_rows, argc, argv, memory, sink, &o));
    if (o.help) {
        print_help(c);
        return POFAC_OK;
    }
    if (o.n_arguments < c->min_arguments || o.n_arguments > c->max_arguments)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "pofac %s: found %zu argument%s, wanted %s", c->name, o.n_arguments,
                          o.n_arguments == 1 ? "" : "s", *c->arguments ? c->arguments : "none");
    command_input in = {&o, memory, sink, stop};
    return c->run(&in);
}

/* Descriptors 0 to 2 that are closed become unusable ones, so that no file that is opened later takes their place. */
static void keep_standard_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0) return;
}

/* What a command printed without looking at the result. */
static pofac_status check_output(pofac_status status, const diag_sink *sink) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    return status != POFAC_OK ? status
                              : diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot write to standard output: %s", strerror(errno));
}

static pofac_status run_program(int argc, char **argv, interruption *stop, const diag_sink *sink) {
    const char *word = argc > 1 ? argv[1] : "--help";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_overview(argc > 1 ? stdout : stderr);
        return argc > 1 ? POFAC_OK : POFAC_ERR_USAGE;
    }
    if (strcmp(word, "--version") == 0) word = "version";
    const command *c = NULL;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i]->name, word) == 0) c = commands[i];
    if (!c) return unknown_command(word, sink);
    arena memory = ARENA_INIT;
    pofac_status status = run_command(c, argc - 2, argv + 2, &memory, stop, sink);
    arena_free(&memory);
    return status;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, NULL};
    keep_standard_descriptors();
    interruption stop = INTERRUPTION_INIT;
    pofac_status status = check_output(run_program(argc, argv, &stop, &sink), &sink);
    interruption_end(&stop);
    return status == POFAC_ERR_INTERRUPTED ? 128 + stop.signal : (int)status;
}
