/* pofac run: a pipeline -> its stages' directories and a table of results. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/pipeline_run.h"

#ifndef POFAC_VERSION
#error "the build defines POFAC_VERSION"
#endif

#define PROGRAM "/proc/self/exe"

static const option_row rows[] = {
    {"output_dir", OPTION_WRITES, "DIR", NULL, 0, 0,
     "where stages get their directories; absent: the pipeline's name; -o DIR does the same"},
    {"parameter", OPTION_LINES, "NAME=VALUE", NULL, 0, 0, "a parameter's value, over the document's; may be given several times"},
    {"sweep", OPTION_LINES, "NAME=V1,V2", NULL, 0, 0,
     "run with each of the values; results are means, with all values beside them; may be given several times"},
    {"from", OPTION_TEXT, "STAGE", NULL, 0, 0, "run this stage and all behind it, also where nothing has changed"},
    {"dry_run", OPTION_FLAG, NULL, NULL, 0, 0, "say which stages would run, and why; nothing is written"},
    {"list", OPTION_FLAG, NULL, NULL, 0, 0, "print stages, their commands and what they read"},
};

/* ---- what the program can do ---- */

static pofac_status check_option(const void *row, const char *value, const diag_place *place, const diag_sink *sink) {
    return options_check_value(row, value, place, sink);
}

static pipeline_option_kind kind_of(const option_row *row) {
    switch (row->kind) {
    case OPTION_FLAG: return PIPELINE_FLAG;
    case OPTION_LINES: return PIPELINE_LINES;
    case OPTION_READS: return PIPELINE_READS;
    case OPTION_WRITES: return PIPELINE_WRITES;
    default: return PIPELINE_VALUE;
    }
}

static pofac_status take_command(const command_input *in, const command *c, pipeline_command *out) {
    pipeline_option *options = ARENA_ARRAY(in->memory, pipeline_option, c->n_rows + 1);
    if (!options) return diag_out_of_memory(in->sink);
    for (size_t i = 0; i < c->n_rows; i++)
        options[i] = (pipeline_option){c->rows[i].name, kind_of(&c->rows[i]), c->rows[i].fallback, &c->rows[i]};
    *out = (pipeline_command){.name = c->name,
                              .options = options,
                              .n_options = c->n_rows,
                              .min_arguments = c->min_arguments,
                              .max_arguments = c->max_arguments,
                              .arguments = c->arguments,
                              .arguments_are_paths = !c->plain_arguments};
    return POFAC_OK;
}

/* All commands but this one. */
static pofac_status describe_program(const command_input *in, pipeline_program *out) {
    size_t n = 0;
    for (size_t i = 0; command_row(i); i++)
        for (size_t k = 0; k == 0 || (command_row(i)->child && command_row(i)->child(k)); k++) n++;
    pipeline_command *commands = ARENA_ARRAY(in->memory, pipeline_command, n + 1);
    *out = (pipeline_program){.commands = commands, .version = POFAC_VERSION, .check_option = check_option};
    if (!commands) return diag_out_of_memory(in->sink);
    for (size_t i = 0; command_row(i); i++) {
        const command *c = command_row(i);
        if (c == &command_run) continue;
        if (!c->child) TRY(take_command(in, c, &commands[out->n_commands++]));
        for (size_t k = 0; c->child && c->child(k); k++) TRY(take_command(in, c->child(k), &commands[out->n_commands++]));
    }
    return POFAC_OK;
}

/* ---- parameters ---- */

/* Lines NAME=VALUE, cut in two. */
static pofac_status take_pairs(const command_input *in, const char *option, xml_parameter **out, size_t *n) {
    const char *lines = option_text(in->options, option);
    *n = 0;
    for (const char *at = lines; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL) ++*n;
    *out = ARENA_ARRAY(in->memory, xml_parameter, *n + 1);
    if (!*out) return diag_out_of_memory(in->sink);
    const char *at = lines;
    for (size_t i = 0; i < *n; i++) {
        const size_t length = strcspn(at, "\n"), name = strcspn(at, "=");
        if (name == 0 || name >= length)
            return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--%s: found \"%.*s\", wanted NAME=VALUE", option, (int)length, at);
        (*out)[i] =
            (xml_parameter){arena_strndup(in->memory, at, name), arena_strndup(in->memory, at + name + 1, length - name - 1)};
        if (!(*out)[i].name || !(*out)[i].value) return diag_out_of_memory(in->sink);
        at += length + (at[length] == '\n');
    }
    return POFAC_OK;
}

/* ./ at the beginning is the working directory here, and the document's folder in a document. */
static pofac_status take_parameters(const command_input *in, pipeline_request *out) {
    xml_parameter *all;
    TRY(take_pairs(in, "parameter", &all, &out->n_parameters));
    for (size_t i = 0; i < out->n_parameters; i++)
        while (strncmp(all[i].value, "./", 2) == 0 && all[i].value[1 + strspn(all[i].value + 1, "/")])
            all[i].value += 1 + strspn(all[i].value + 1, "/");
    out->parameters = all;
    return POFAC_OK;
}

static pofac_status take_sweep(const command_input *in, const xml_parameter *given, pipeline_sweep *out) {
    size_t n = 1;
    for (const char *c = given->value; *c; c++) n += *c == ',';
    const char **values = ARENA_ARRAY(in->memory, const char *, n);
    if (!values) return diag_out_of_memory(in->sink);
    const char *at = given->value;
    for (size_t i = 0; i < n; i++) {
        const size_t length = strcspn(at, ",");
        values[i] = arena_strndup(in->memory, at, length);
        if (!values[i]) return diag_out_of_memory(in->sink);
        at += length + (at[length] == ',');
    }
    *out = (pipeline_sweep){given->name, values, n};
    return POFAC_OK;
}

static pofac_status take_sweeps(const command_input *in, pipeline_request *out) {
    xml_parameter *all;
    TRY(take_pairs(in, "sweep", &all, &out->n_sweeps));
    pipeline_sweep *sweeps = ARENA_ARRAY(in->memory, pipeline_sweep, out->n_sweeps + 1);
    if (!sweeps) return diag_out_of_memory(in->sink);
    for (size_t i = 0; i < out->n_sweeps; i++) TRY(take_sweep(in, &all[i], &sweeps[i]));
    out->sweeps = sweeps;
    return POFAC_OK;
}

/* ---- what is shown ---- */

typedef struct display {
    bool is_terminal, drawn;
} display;

static void take_away(display *d) {
    if (d->drawn) fputs("\r\033[K", stderr);
    d->drawn = false;
}

static void draw(display *d, const pipeline_event *e) {
    struct winsize size = {0};
    const int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
    char line[400];
    const unsigned s = e->seconds < 1e9 ? (unsigned)e->seconds : 0;
    snprintf(line, sizeof line, "[%zu/%zu] %s  %u:%02u:%02u  %s", e->number, e->n, e->title, s / 3600, s / 60 % 60, s % 60,
             e->text);
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
    d->drawn = true;
}

/* A line for each stage when it has ended; on a terminal, one that changes while it works. */
static void show(void *user, const pipeline_event *e) {
    display *d = user;
    if (e->moment != PIPELINE_ENDS) {
        if (d->is_terminal) draw(d, e);
        return;
    }
    take_away(d);
    fprintf(stderr, "[%zu/%zu] %-32s %s", e->number, e->n, e->title, e->text);
    if (e->seconds >= 0) fprintf(stderr, " in %.1f s", e->seconds);
    fputc('\n', stderr);
}

static pofac_status list(const command_input *in, const pipeline_request *request, const pipeline_program *program) {
    pipeline_plan todo;
    TRY(pipeline_plan_read(request, program, in->memory, in->sink, &todo));
    const pipeline *p = todo.variants[0].pipeline;
    for (size_t i = 0; i < p->n_stages; i++) {
        const pipeline_stage *s = &p->stages[i];
        printf("%-24s %s", s->name, s->command->name);
        for (size_t k = 0; k < s->n_reads; k++) printf("%s%s", k ? ", " : ", reads ", p->stages[s->reads[k]].name);
        putchar('\n');
    }
    return POFAC_OK;
}

/* ---- the command ---- */

static pofac_status run_all(const command_input *in, const pipeline_run_options *o, const pipeline_program *program) {
    strbuf table = STRBUF_INIT;
    int exit_status;
    TRY(interruption_begin(in->stop, in->sink));
    pofac_status status = pipeline_execute(o, program, in->memory, in->sink, &table, &exit_status);
    if (status == POFAC_OK)
        status = strbuf_ok(&table) ? arguments_print(in->sink, strbuf_str(&table), table.size) : diag_out_of_memory(in->sink);
    strbuf_free(&table);
    /* a stage that somebody else has ended */
    if (status == POFAC_ERR_INTERRUPTED && !interruption_check(in->stop)) in->stop->signal = exit_status - 128;
    return status;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    display shown = {.is_terminal = isatty(STDERR_FILENO) == 1};
    pipeline_run_options options = {.request = {.path = o->arguments[0], .output_dir = option_text(o, "output_dir")},
                                    .from = option_text(o, "from"),
                                    .program = PROGRAM,
                                    .stop = in->stop,
                                    .tell = show,
                                    .user = &shown};
    pipeline_program program;
    if (option_flag(o, "list") && option_flag(o, "dry_run"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "found --list and --dry_run, wanted one of them");
    TRY(describe_program(in, &program));
    TRY(take_parameters(in, &options.request));
    TRY(take_sweeps(in, &options.request));
    if (option_flag(o, "list")) return list(in, &options.request, &program);
    if (option_flag(o, "dry_run")) return pipeline_dry_run(&options, &program, in->memory, in->sink);
    return run_all(in, &options, &program);
}

const command command_run = {
    .name = "run",
    .arguments = "PIPELINE",
    .min_arguments = 1,
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "run the stages of a pipeline, those that nothing has changed for excepted",
    .details =
        "pofac run pipeline.xml --output_dir out --parameter data=corpus --sweep seed=1,2\n"
        "A PIPELINE is a document whose <pipeline> has stages: commands of pofac with arguments and options, or recipes to train "
        "by "
        "(`pofac list xml`).\n"
        "Each stage has a directory OUT/STAGE with what it wrote, stdout.txt, log.txt and manifest.json. It is passed over as long "
        "as its "
        "options, the contents\nof the files that it reads, the stages that it reads, pofac's version and the instruction set stay "
        "the same. "
        "A stage that was interrupted goes on\nwhere it was, bit for bit, when the same command is given again.\n"
        "With --sweep stages are in OUT/NAME=VALUE, and in OUT/shared those that the parameter does not change, which run once.\n"
        "OUT/manifest.json has all that determines the results, OUT/results.json and OUT/results.md the table that is printed at "
        "the end.\n"
        "SIGINT and SIGTERM are handed on to the stage at work, and end the run after its checkpoint."};
