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
#define MOST_COMMANDS 64 /* of a table, that "did you mean" looks at */

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
    fputs("\n`pofac COMMAND --help` tells more. A MODEL is a Hugging Face directory, an XML description or a compiled model.\n",
          out);
}

static void print_children(const command *c, FILE *out) {
    fprintf(out, "usage: pofac %s COMMAND [OPTION...] [ARGUMENT...]\n\n%s\n\ncommands:\n", c->name, c->meaning);
    for (size_t i = 0; c->child(i); i++) fprintf(out, "  %-10s %s\n", command_word(c->child(i)), c->child(i)->meaning);
    fprintf(out, "\n`pofac %s COMMAND --help` tells more.\n\noptions:\n", c->name);
    options_help(NULL, 0, out);
}

static void print_help(const command *c) {
    printf("usage: pofac %s [OPTION...]%s%s\n\n%s\n\n", c->name, *c->arguments ? " " : "", c->arguments, c->meaning);
    if (c->details) printf("%s\n\n", c->details);
    printf("options:\n");
    options_help(c->rows, c->n_rows, stdout);
}

/* `parent` is "" or ends in a space. */
static pofac_status unknown_command(const char *parent, const char *word, const command *(*row)(size_t), const diag_sink *sink) {
    const char *names[MOST_COMMANDS];
    size_t n = 0;
    for (; n < MOST_COMMANDS && row(n); n++) names[n] = command_word(row(n));
    const char *near = diag_nearest(word, names, n);
    if (near)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown command \"%s%s\"; did you mean \"%s%s\"?", parent, word, parent,
                          near);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "unknown command \"%s%s\"; see `pofac %s--help`", parent, word, parent);
}

static const command *find_command(const char *word, const command *(*row)(size_t)) {
    for (size_t i = 0; row(i); i++)
        if (strcmp(command_word(row(i)), word) == 0) return row(i);
    return NULL;
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

static pofac_status run_leaf(const command *c, int argc, char **argv, interruption *stop, const diag_sink *sink) {
    arena memory = ARENA_INIT;
    pofac_status status = run_command(c, argc, argv, &memory, stop, sink);
    arena_free(&memory);
    return status;
}

static bool is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

/* The help is that of the parent as long as the first word names none of its commands. */
static pofac_status run_child(const command *parent, int argc, char **argv, interruption *stop, const diag_sink *sink) {
    const command *c = argc > 0 ? find_command(argv[0], parent->child) : NULL;
    if (c) return run_leaf(c, argc - 1, argv + 1, stop, sink);
    for (int i = 0; i < argc; i++) {
        if (!is_help(argv[i])) continue;
        print_children(parent, stdout);
        return POFAC_OK;
    }
    if (argc == 0) {
        print_children(parent, stderr);
        return POFAC_ERR_USAGE;
    }
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s ", parent->name);
    pofac_status status = unknown_command(strbuf_str(&name), argv[0], parent->child, sink);
    strbuf_free(&name);
    return status;
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
    const command *c = find_command(word, command_row);
    if (!c) return unknown_command("", word, command_row, sink);
    return c->child ? run_child(c, argc - 2, argv + 2, stop, sink) : run_leaf(c, argc - 2, argv + 2, stop, sink);
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, NULL};
    keep_standard_descriptors();
    interruption stop = INTERRUPTION_INIT;
    pofac_status status = check_output(run_program(argc, argv, &stop, &sink), &sink);
    interruption_end(&stop);
    return status == POFAC_ERR_INTERRUPTED ? 128 + stop.signal : (int)status;
}
