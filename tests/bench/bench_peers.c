/*
 * Compares engines on the same batches, in turns: the first one named (pofac) with the best of each other family.
 *
 *   bench_peers [--rounds=N] [--pause=MS] [--tolerance=X] [--seconds=S] [--times=FILE] [--steps] [--memory] [--beside=FAMILY:X]...
 *               --engine=FAMILY:VARIANT:COMMAND...
 *               BATCHES...
 *
 * An engine is a process, started with `sh -c COMMAND`, that lives as long as the comparison and answers lines on its standard output:
 *
 *   (start)        -> "ready"            the model is loaded
 *   load FILE      -> "loaded BATCHES"   the batches of a file (bench_peer_files.c) are in memory
 *   run            -> "ms TIME"          all of them were computed, one after the other, from inputs in memory to logits in memory
 *   logits         -> "logits NUMBER..." of all of them
 *
 *   memory         -> "kb NUMBER"       its peak of resident memory since the last "load"; asked with --memory alone
 *
 * Between turns it waits in read(), so that engines do not disturb each other; a pause lets threads that spin come to rest. For each file of
 * batches: all engines' logits must agree within --tolerance with the first engine's, else the comparison fails. Then of every family the variant
 * that is fastest in two turns is kept, and the kept ones take --rounds turns in an order that rotates. A turn is one run, or as many as fit in a
 * quarter of a second, of which the median counts. More than --seconds of turns for one file end its rounds early, but not before three.
 *
 * A family named by --beside does something else, int8 or batches without their padding: its logits may differ by X times the largest of the first
 * engine's, and it is not taken for the better of the others.
 *
 * Prints a row of a table in Markdown for each file: medians in ms, for other families with the median of the rounds' ratios of their time to the
 * first family's; that ratio for the better other family, with its quartiles; and the variants that were kept. --times: each turn as
 * "FILE ROUND FAMILY VARIANT MS". --steps: batches are steps of training, of which the table has the number per second instead of times.
 * --memory: further columns have the peak of memory of each engine that was kept, in MB, and the share of the first one's of it.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ENGINES 32
#define MAX_ROUNDS 1000
#define TURN_MS 250.0

typedef struct engine {
    const char *family, *variant, *command;
    pid_t pid;
    FILE *to, *from;
    char *answer; /* last line, without its end */
    size_t capacity;
    double warm_ms;
    double beside; /* its tolerance, of a family that stands beside the others; else 0 */
    bool kept;
    double ms[MAX_ROUNDS];
    double memory_mb;
} engine;

typedef struct comparison {
    engine engines[MAX_ENGINES];
    size_t n_engines;
    int rounds, done; /* wanted; of this file */
    double pause_ms, tolerance, seconds;
    bool steps, memory;
    long n_batches;
    FILE *times;
    const char *file;
    char title[64]; /* the file's name without its directory and its endings */
} comparison;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1); /* the engines' input ends, and so do they */
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void pause_ms(double ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1e3), .tv_nsec = (long)(fmod(ms, 1e3) * 1e6)};
    nanosleep(&t, NULL);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value at `share` of n values, n > 0, between neighbours linearly. */
static double quantile(const double *values, int n, double share) {
    double sorted[MAX_ROUNDS], at = share * (n - 1);
    memcpy(sorted, values, sizeof *values * (size_t)n);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
    int below = (int)at;
    return below + 1 < n ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[n - 1];
}

/* ---- engines ---- */

static void start(engine *e) {
    int to[2], from[2];
    if (pipe(to) || pipe(from)) fail("cannot make a pipe: %s", strerror(errno));
    e->pid = fork();
    if (e->pid < 0) fail("cannot start a process: %s", strerror(errno));
    if (e->pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        /* No later engine may hold the ends of an earlier one's pipes: it would never see its input end. */
        for (int fd = STDERR_FILENO + 1; fd < 3 + 4 * MAX_ENGINES + 4; fd++) close(fd);
        execl("/bin/sh", "sh", "-c", e->command, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    e->to = fdopen(to[1], "w");
    e->from = fdopen(from[0], "r");
    if (!e->to || !e->from) fail("cannot open a pipe: %s", strerror(errno));
}

/* Waits for a line that begins with `word`; returns what follows it. */
static const char *expect(engine *e, const char *word) {
    ssize_t n = getline(&e->answer, &e->capacity, e->from);
    if (n <= 0) fail("%s %s ended, wanted \"%s\"", e->family, e->variant, word);
    e->answer[strcspn(e->answer, "\n")] = 0;
    size_t length = strlen(word);
    if (strncmp(e->answer, word, length) != 0)
        fail("%s %s answered \"%.80s\", wanted \"%s\"", e->family, e->variant, e->answer, word);
    return e->answer + length;
}

static const char *ask(engine *e, const char *question, const char *argument, const char *word) {
    fprintf(e->to, "%s%s\n", question, argument);
    fflush(e->to);
    return expect(e, word);
}

static double run(engine *e) {
    char *end;
    const char *text = ask(e, "run", "", "ms ");
    double ms = strtod(text, &end);
    if (end == text || !(ms > 0.0)) fail("%s %s answered the time \"%.40s\"", e->family, e->variant, text);
    return ms;
}

static double turn(const comparison *c, engine *e) {
    double ms[64];
    int n = (int)(TURN_MS / e->warm_ms);
    if (n < 1) n = 1;
    if (n > 64) n = 64;
    pause_ms(c->pause_ms);
    for (int i = 0; i < n; i++) ms[i] = run(e);
    return quantile(ms, n, 0.5);
}

/* ---- one file of batches ---- */

static void set_title(comparison *c) {
    const char *name = strrchr(c->file, '/') ? strrchr(c->file, '/') + 1 : c->file;
    snprintf(c->title, sizeof c->title, "%.*s", (int)strcspn(name, "."), name);
}

/* The largest magnitude in a list of numbers. */
static double largest(const char *text) {
    double most = 0.0;
    char *end;
    for (double x = strtod(text, &end); end != text; x = strtod(text, &end)) {
        most = fmax(most, fabs(x));
        text = end;
    }
    return most;
}

/* All logits of `e` against those of the first engine; both texts are lists of numbers. */
static void check_logits(const comparison *c, const engine *e, const char *wanted, const char *found) {
    double worst = 0.0, tolerance = e->beside > 0.0 ? e->beside * largest(wanted) : c->tolerance;
    for (size_t i = 0;; i++) {
        char *wanted_end, *found_end;
        double x = strtod(wanted, &wanted_end), y = strtod(found, &found_end);
        if ((wanted_end == wanted) != (found_end == found))
            fail("%s: %s %s has another number of logits", c->title, e->family, e->variant);
        if (wanted_end == wanted) break;
        if (!(fabs(x - y) <= tolerance))
            fail("%s: logit %zu of %s %s is %.9g, of %s %.9g: they differ by more than %g", c->title, i, e->family, e->variant, y,
                 c->engines[0].family, x, tolerance);
        worst = fmax(worst, fabs(x - y));
        wanted = wanted_end;
        found = found_end;
    }
    fprintf(stderr, "%s: %s %s agrees within %.1e\n", c->title, e->family, e->variant, worst);
}

/* Loads the file everywhere, and checks that all compute the same. */
static void load(comparison *c) {
    const char *wanted = NULL;
    for (size_t i = 0; i < c->n_engines; i++) {
        engine *e = &c->engines[i];
        const long n = atol(ask(e, "load ", c->file, "loaded "));
        if (i > 0 && n != c->n_batches)
            fail("%s: %s %s found %ld batches, others %ld", c->title, e->family, e->variant, n, c->n_batches);
        c->n_batches = n;
        const char *found = ask(e, "logits", "", "logits");
        if (i == 0) wanted = found; /* its buffer is not used again before the last comparison */
        else check_logits(c, e, wanted, found);
    }
}

/* Keeps the fastest variant of each family. The first run after loading does not count. */
static void choose(comparison *c) {
    for (size_t i = 0; i < c->n_engines; i++) {
        engine *e = &c->engines[i];
        e->kept = false;
        e->warm_ms = TURN_MS;
        pause_ms(c->pause_ms);
        e->warm_ms = run(e);
        double first = turn(c, e), second = turn(c, e);
        e->warm_ms = fmin(first, second);
        fprintf(stderr, "%s: %s %s %.1f ms\n", c->title, e->family, e->variant, e->warm_ms);
    }
    for (size_t i = 0; i < c->n_engines; i++) {
        engine *e = &c->engines[i];
        bool fastest = true;
        for (size_t k = 0; k < c->n_engines; k++)
            if (strcmp(c->engines[k].family, e->family) == 0 &&
                (c->engines[k].warm_ms < e->warm_ms || (c->engines[k].warm_ms == e->warm_ms && k < i)))
                fastest = false;
        e->kept = fastest;
    }
}

static void take_turns(comparison *c) {
    double begin = now_ms();
    for (c->done = 0; c->done < c->rounds && (c->done < 3 || now_ms() - begin < c->seconds * 1e3); c->done++) {
        for (size_t i = 0; i < c->n_engines; i++) {
            engine *e = &c->engines[(i + (size_t)c->done) % c->n_engines];
            if (!e->kept) continue;
            e->ms[c->done] = turn(c, e);
            if (c->times) fprintf(c->times, "%s %d %s %s %.6f\n", c->title, c->done, e->family, e->variant, e->ms[c->done]);
        }
    }
    if (c->times) fflush(c->times);
}

static bool is_first_family(const comparison *c, const engine *e) { return strcmp(e->family, c->engines[0].family) == 0; }

/* Of the rounds' ratios of the time of `e` to that of `ours`. */
static double ratio_quantile(const comparison *c, const engine *e, const engine *ours, double share) {
    double ratios[MAX_ROUNDS];
    for (int r = 0; r < c->done; r++) ratios[r] = e->ms[r] / ours->ms[r];
    return quantile(ratios, c->done, share);
}

/* Of the first family, then of the others with its share of them. */
static void report_memory(const comparison *c, const engine *ours) {
    printf(" %.0f |", ours->memory_mb);
    for (size_t i = 0; i < c->n_engines; i++) {
        const engine *e = &c->engines[i];
        if (e->kept && e != ours) printf(" %.0f (%.0f %%) |", e->memory_mb, 1e2 * ours->memory_mb / e->memory_mb);
    }
}

static void report(const comparison *c) {
    const engine *best = NULL, *ours = NULL;
    double best_ms = INFINITY;
    for (size_t i = 0; i < c->n_engines; i++)
        if (c->engines[i].kept && is_first_family(c, &c->engines[i])) ours = &c->engines[i];
    printf("| %s |", c->title);
    for (size_t i = 0; i < c->n_engines; i++) {
        const engine *e = &c->engines[i];
        if (!e->kept) continue;
        double ms = quantile(e->ms, c->done, 0.5);
        if (c->steps) printf(" %.3g", 1e3 * (double)c->n_batches / ms);
        else printf(" %.*f", ms < 100.0 ? 1 : 0, ms);
        if (e == ours) printf(" |");
        else printf(" (%.2f) |", ratio_quantile(c, e, ours, 0.5));
        if (e == ours || e->beside > 0.0 || ms >= best_ms) continue;
        best = e;
        best_ms = ms;
    }
    if (best)
        printf(" %.2f (%.2f-%.2f) |", ratio_quantile(c, best, ours, 0.5), ratio_quantile(c, best, ours, 0.25),
               ratio_quantile(c, best, ours, 0.75));
    else printf(" |");
    printf(" %d |", c->done);
    for (size_t i = 0, n = 0; i < c->n_engines; i++)
        if (c->engines[i].kept && &c->engines[i] != ours) printf("%s %s", n++ ? ";" : "", c->engines[i].variant);
    printf(" |");
    if (c->memory) report_memory(c, ours);
    printf("\n");
    fflush(stdout);
}

static void print_header(const comparison *c) {
    int columns = 4, n_families = 0;
    printf("| batches |");
    for (size_t i = 0; i < c->n_engines; i++) {
        bool seen = false;
        for (size_t k = 0; k < i; k++) seen = seen || strcmp(c->engines[k].family, c->engines[i].family) == 0;
        if (seen) continue;
        printf(" %s, %s%s |", c->engines[i].family, c->steps ? "steps/s" : "ms", i ? " (ratio)" : "");
        columns++;
        n_families++;
    }
    printf(" better of");
    for (size_t i = 0, n = 0; i < c->n_engines; i++) {
        bool seen = is_first_family(c, &c->engines[i]) || c->engines[i].beside > 0.0;
        for (size_t k = 0; k < i; k++) seen = seen || strcmp(c->engines[k].family, c->engines[i].family) == 0;
        if (!seen) printf("%s %s", n++ ? "," : "", c->engines[i].family);
    }
    printf(" / %s (quartiles) | rounds | variants |", c->engines[0].family);
    if (c->memory) {
        columns += n_families;
        printf(" %s, MB | others, MB (share) |", c->engines[0].family);
        for (int i = 2; i < n_families; i++) printf(" |");
    }
    printf("\n|");
    for (int i = 0; i < columns; i++) printf(" --- |");
    printf("\n");
    fflush(stdout);
}

/* ---- the program ---- */

static void add_engine(comparison *c, char *text) {
    char *variant = strchr(text, ':'), *command = variant ? strchr(variant + 1, ':') : NULL;
    if (!command) fail("--engine is \"%s\", wanted FAMILY:VARIANT:COMMAND", text);
    if (c->n_engines == MAX_ENGINES) fail("there are more than %d engines", MAX_ENGINES);
    *variant++ = 0;
    *command++ = 0;
    c->engines[c->n_engines++] = (engine){.family = text, .variant = variant, .command = command};
}

static double number(const char *option, const char *text, double low, double high) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        fail("--%s is \"%s\", wanted a number from %g to %g", option, text, low, high);
    return value;
}

/* FAMILY:X */
static void put_beside(comparison *c, char *text) {
    char *colon = strrchr(text, ':');
    if (!colon) fail("--beside is \"%s\", wanted FAMILY:X", text);
    *colon = 0;
    double tolerance = number("beside", colon + 1, 1e-9, 1);
    for (size_t i = 1; i < c->n_engines; i++)
        if (strcmp(c->engines[i].family, text) == 0) c->engines[i].beside = tolerance;
}

static void read_options(comparison *c, int argc, char **argv) {
    enum { ROUNDS, PAUSE, TOLERANCE, SECONDS, TIMES, STEPS, MEMORY, BESIDE, ENGINE };
    static const struct option options[] = {{"rounds", required_argument, NULL, ROUNDS},
                                            {"pause", required_argument, NULL, PAUSE},
                                            {"tolerance", required_argument, NULL, TOLERANCE},
                                            {"seconds", required_argument, NULL, SECONDS},
                                            {"times", required_argument, NULL, TIMES},
                                            {"beside", required_argument, NULL, BESIDE},
                                            {"engine", required_argument, NULL, ENGINE},
                                            {"steps", no_argument, NULL, STEPS},
                                            {"memory", no_argument, NULL, MEMORY},
                                            {0}};
    char *beside[MAX_ENGINES];
    size_t n_beside = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case ROUNDS: c->rounds = (int)number("rounds", optarg, 1, MAX_ROUNDS); break;
        case PAUSE: c->pause_ms = number("pause", optarg, 0, 60000); break;
        case TOLERANCE: c->tolerance = number("tolerance", optarg, 0, 1); break;
        case SECONDS: c->seconds = number("seconds", optarg, 0, 1e6); break;
        case TIMES:
            c->times = fopen(optarg, "a");
            if (!c->times) fail("cannot write %s: %s", optarg, strerror(errno));
            break;
        case STEPS: c->steps = true; break;
        case MEMORY: c->memory = true; break;
        case BESIDE:
            if (n_beside == MAX_ENGINES) fail("there are more than %d families beside", MAX_ENGINES);
            beside[n_beside++] = optarg;
            break;
        case ENGINE: add_engine(c, optarg); break;
        default: exit(2);
        }
    }
    for (size_t i = 0; i < n_beside; i++) put_beside(c, beside[i]);
    if (c->n_engines == 0 || optind == argc)
        fail("wanted engines and files of batches; see the comment on top of tests/bench/bench_peers.c");
}

int main(int argc, char **argv) {
    static comparison c = {.rounds = 9, .pause_ms = 60.0, .tolerance = 1e-4, .seconds = 1e6};
    signal(SIGPIPE, SIG_IGN); /* an engine that has ended is noticed when it does not answer */
    read_options(&c, argc, argv);
    for (size_t i = 0; i < c.n_engines; i++) start(&c.engines[i]);
    for (size_t i = 0; i < c.n_engines; i++) expect(&c.engines[i], "ready");
    print_header(&c);
    for (int i = optind; i < argc; i++) {
        c.file = argv[i];
        set_title(&c);
        load(&c);
        choose(&c);
        take_turns(&c);
        for (size_t k = 0; k < c.n_engines && c.memory; k++)
            if (c.engines[k].kept) c.engines[k].memory_mb = atof(ask(&c.engines[k], "memory", "", "kb ")) / 1024;
        report(&c);
    }
    for (size_t i = 0; i < c.n_engines; i++) {
        fclose(c.engines[i].to);
        fclose(c.engines[i].from);
        waitpid(c.engines[i].pid, NULL, 0);
        free(c.engines[i].answer);
    }
    if (c.times) fclose(c.times);
    return 0;
}
