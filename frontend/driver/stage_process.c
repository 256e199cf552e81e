/* Running a child; see stage_process.h. fork and not posix_spawn, for what the child does before it becomes another program: only calls that are safe there. */
#include "frontend/driver/stage_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ir/support/file_map.h"

#define TICK_MS 1000
#define WAIT_MS 20        /* between two looks at a child that has closed its messages */
#define KEPT_BYTES 4096u  /* of messages, for who wants to know why it failed */
#define LINE_BYTES 65536u /* a line without end is cut here */
#define NOT_EXECUTED 127

typedef struct watch {
    const stage_process *p;
    pid_t child;
    int messages, log;
    double begin;
    strbuf line;  /* the one that is coming */
    strbuf *said; /* lines before it */
    int log_error;
    bool told; /* a signal has been handed on */
} watch;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pofac_status fault(const char *path, const char *what, int error, const diag_sink *sink) {
    const diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_RUNTIME, &place, "%s: %s", what, strerror(error));
}

void stage_process_put_command(const char *const *argv, strbuf *out) {
    for (size_t i = 0; argv[i]; i++) {
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=:,+@%-";
        if (i) strbuf_putc(out, ' ');
        if (*argv[i] && !argv[i][strspn(argv[i], plain)]) {
            strbuf_puts(out, argv[i]);
            continue;
        }
        strbuf_putc(out, '\'');
        for (const char *c = argv[i]; *c; c++) {
            if (*c == '\'') strbuf_puts(out, "'\\''");
            else strbuf_putc(out, *c);
        }
        strbuf_putc(out, '\'');
    }
}

/* ---- messages ---- */

static void write_log(watch *w, const strbuf *text) {
    if (!strbuf_ok(text)) w->log_error = ENOMEM;
    else if (!w->log_error && !fd_write_all(w->log, strbuf_str(text), text->size)) w->log_error = errno;
}

/* The end of what was said, whole lines of it where there are any. */
static void keep(strbuf *said, const char *line, size_t n) {
    strbuf_append(said, line, n);
    if (said->size <= 2 * KEPT_BYTES) return;
    const char *from = said->data + said->size - KEPT_BYTES, *newline = strchr(from, '\n');
    if (newline && newline[1]) from = newline + 1;
    const size_t left = said->size - (size_t)(from - said->data);
    memmove(said->data, from, left + 1);
    said->size = left;
}

static void end_line(watch *w) {
    strbuf text = STRBUF_INIT;
    if (!w->line.size) return;
    if (w->line.data[w->line.size - 1] != '\n') strbuf_putc(&w->line, '\n');
    strbuf_printf(&text, "[%9.2f] ", now() - w->begin);
    strbuf_append(&text, strbuf_str(&w->line), w->line.size);
    write_log(w, &text);
    keep(w->said, strbuf_str(&w->line), w->line.size);
    strbuf_clear(&w->line);
    strbuf_free(&text);
}

/* False at the end. */
static bool read_messages(watch *w) {
    char bytes[4096];
    const ssize_t n = read(w->messages, bytes, sizeof bytes);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    for (ssize_t i = 0; i < n; i++) {
        strbuf_putc(&w->line, bytes[i]);
        if (bytes[i] == '\n' || w->line.size >= LINE_BYTES) end_line(w);
    }
    if (n == 0) end_line(w);
    return n > 0;
}

/* ---- the child ---- */

/* Does not come back. */
static void become(const stage_process *p, pid_t parent, int in, int out, int messages) {
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(NOT_EXECUTED);
    if (p->kept >= 0) fcntl(p->kept, F_SETFD, 0);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(messages, 2) < 0) _exit(NOT_EXECUTED);
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    if (p->stop) { /* the parent's own handlers would run until exec */
        sigaction(SIGINT, &standard, NULL);
        sigaction(SIGTERM, &standard, NULL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(p->program, (char *const *)p->argv);
    static const char failed[] = "the program cannot be executed\n";
    (void)!write(2, failed, sizeof failed - 1);
    _exit(NOT_EXECUTED);
}

static pofac_status begin(watch *w, const diag_sink *sink) {
    const stage_process *p = w->p;
    int ends[2];
    const pid_t self = getpid();
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open(p->out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    pofac_status status = POFAC_OK;
    if (out < 0) status = fault(p->out_path, "cannot be written", errno, sink);
    else if (in < 0 || pipe2(ends, O_CLOEXEC) != 0) status = fault(NULL, "cannot start a stage", errno, sink);
    if (status == POFAC_OK) {
        w->child = fork();
        if (w->child == 0) become(p, self, in, out, ends[1]);
        if (w->child < 0) status = fault(NULL, "cannot start a stage", errno, sink);
        close(ends[1]);
        w->messages = ends[0];
    }
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    return status;
}

static void hand_on(watch *w) {
    const int number = interruption_check(w->p->stop);
    if (!number || w->told) return;
    w->told = true;
    kill(w->child, number);
}

/* Until the child has ended; *end is its status. False: nobody can say how it ended. */
static bool wait_for(watch *w, int *end) {
    bool open = true;
    double ticked = now();
    for (;;) {
        struct pollfd polled[2] = {{.fd = open ? w->messages : -1, .events = POLLIN},
                                   {.fd = w->p->stop ? w->p->stop->fd : -1, .events = POLLIN}};
        const int n = poll(polled, 2, open ? TICK_MS : WAIT_MS);
        hand_on(w);
        if (n > 0 && polled[0].revents) open = read_messages(w);
        if (w->p->tick && now() - ticked >= 1e-3 * TICK_MS) {
            ticked = now();
            w->p->tick(w->p->user, ticked - w->begin, strbuf_str(w->said));
        }
        if (open) continue;
        const pid_t ended = waitpid(w->child, end, WNOHANG);
        if (ended == w->child) return true;
        if (ended < 0 && errno != EINTR) return false;
    }
}

pofac_status stage_process_run(const stage_process *p, const diag_sink *sink, stage_end *out) {
    *out = (stage_end){.said = STRBUF_INIT};
    watch w = {.p = p, .messages = -1, .begin = now(), .line = STRBUF_INIT, .said = &out->said};
    strbuf title = STRBUF_INIT;
    w.log = open(p->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (w.log < 0) return fault(p->log_path, "cannot be written", errno, sink);
    stage_process_put_command(p->argv, &title);
    strbuf_putc(&title, '\n');
    write_log(&w, &title);
    strbuf_free(&title);
    /* a process that was started to ignore it would never learn how a child has ended */
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    struct sigaction before;
    sigaction(SIGCHLD, &standard, &before);
    int end = 0;
    pofac_status status = begin(&w, sink);
    if (status == POFAC_OK && !wait_for(&w, &end))
        status = fault(p->log_path, "nobody can say how the stage has ended", errno, sink);
    sigaction(SIGCHLD, &before, NULL);
    if (status == POFAC_OK) {
        out->killed = WIFSIGNALED(end);
        out->exit_status = out->killed ? 128 + WTERMSIG(end) : WEXITSTATUS(end);
        out->seconds = now() - w.begin;
        if (w.log_error) status = fault(p->log_path, "cannot be written", w.log_error, sink);
    }
    if (w.messages >= 0) close(w.messages);
    if (w.log >= 0) close(w.log);
    strbuf_free(&w.line);
    return status;
}
