/*
 * Work in a child process; see child_process.h. Results come back in files without names (memfd), so parent and child never wait for
 * each other but at the end. The child's report ends with a mark, by which work that came to its end is told from a process that LLVM
 * has ended.
 */
#include "codegen/child_process.h"

#include <errno.h>
#include <llvm-c/ErrorHandling.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ir/support/file_map.h"

#define MARK "end"
#define REASON_BYTES 200 /* of LLVM's first line: it may name a whole expression */

typedef struct child_files {
    int result, report, streams;
} child_files;

/* ---- in the child ---- */

static void end_with_reason(const char *reason) {
    (void)!fd_write_all(STDERR_FILENO, reason, strlen(reason));
    _exit(1);
}

/* One diagnostic: severity, status, message, 0. */
static void put_diag(void *user, const diag *d) {
    strbuf *report = user;
    strbuf_putc(report, (char)d->severity);
    strbuf_putc(report, (char)d->status);
    strbuf_append(report, d->message, strlen(d->message) + 1);
}

/* Signals do what they do by default, alarm() and faults above all: the program's handlers and mask are not for the child. */
static void reset_signals(void) {
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL); /* refused for those that nobody may set */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void be_the_child(child_work work, void *user, unsigned seconds, const child_files *files) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    reset_signals();
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    dup2(files->streams, STDOUT_FILENO);
    dup2(files->streams, STDERR_FILENO);
    alarm(seconds);
    LLVMInstallFatalErrorHandler(end_with_reason);
    strbuf out = STRBUF_INIT, report = STRBUF_INIT;
    const diag_sink sink = {put_diag, &report};
    pofac_status status = work(user, &sink, &out);
    if (status == POFAC_OK && !strbuf_ok(&out)) status = diag_out_of_memory(&sink);
    if (status != POFAC_OK) strbuf_clear(&out);
    strbuf_putc(&report, (char)status);
    strbuf_append(&report, MARK, sizeof MARK);
    if (strbuf_ok(&report) && fd_write_all(files->result, strbuf_str(&out), out.size))
        (void)!fd_write_all(files->report, strbuf_str(&report), report.size);
    _exit(0);
}

/* ---- in the parent ---- */

static void close_files(const child_files *files) {
    const int fds[] = {files->result, files->report, files->streams};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0) close(fds[i]);
}

static bool read_file(int fd, strbuf *out) {
    char block[65536];
    for (off_t at = 0;;) {
        ssize_t n = pread(fd, block, sizeof block, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n == 0 && strbuf_ok(out);
        strbuf_append(out, block, (size_t)n);
        at += n;
    }
}

/* The child's diagnostics once more, and its status; false when the report does not end with the mark. */
static bool replay(const strbuf *report, const char *what, const diag_sink *sink, pofac_status *status) {
    const char *at = strbuf_str(report), *end = at + report->size;
    if (report->size < 1 + sizeof MARK || memcmp(end - sizeof MARK, MARK, sizeof MARK) != 0) return false;
    end -= 1 + sizeof MARK;
    *status = (pofac_status)*end;
    for (; at < end; at += 2 + strlen(at + 2) + 1) {
        if (at[0] == DIAG_ERROR) (void)diag_error(sink, (pofac_status)at[1], NULL, "%s: %s", what, at + 2);
        else if (at[0] == DIAG_WARNING) diag_warning(sink, NULL, "%s", at + 2);
        else diag_note(sink, NULL, "%s", at + 2);
    }
    return true;
}

/* The first line that says something, or its beginning. */
static size_t first_line(const char **text) {
    *text += strspn(*text, " \n\t");
    size_t n = strcspn(*text, "\n");
    return n < REASON_BYTES ? n : REASON_BYTES;
}

static pofac_status ended_early(const char *what, int wait_status, unsigned seconds, const strbuf *said, const diag_sink *sink) {
    const char *text = strbuf_str(said);
    size_t n = first_line(&text);
    char signal_name[REASON_BYTES] = "";
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGALRM)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "%s: LLVM did not end within %u seconds", what, seconds);
    if (WIFSIGNALED(wait_status)) snprintf(signal_name, sizeof signal_name, "%s", strsignal(WTERMSIG(wait_status)));
    if (n == 0)
        return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "%s: LLVM gave up%s%s", what, *signal_name ? ": " : "", signal_name);
    return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "%s: LLVM gave up: %.*s", what, (int)n, text);
}

static pofac_status collect(const child_files *files, const char *what, int wait_status, unsigned seconds, const diag_sink *sink,
                            strbuf *out, strbuf *said) {
    strbuf report = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    if (!read_file(files->report, &report) || !read_file(files->streams, said)) status = diag_out_of_memory(sink);
    else if (!replay(&report, what, sink, &status)) status = ended_early(what, wait_status, seconds, said, sink);
    else if (!read_file(files->result, out)) status = diag_out_of_memory(sink);
    strbuf_free(&report);
    return status;
}

pofac_status child_run(child_work work, void *user, const char *what, unsigned seconds, const diag_sink *sink, strbuf *out,
                       strbuf *said) {
    const child_files files = {memfd_create("result", MFD_CLOEXEC), memfd_create("report", MFD_CLOEXEC),
                               memfd_create("streams", MFD_CLOEXEC)};
    pid_t child = -1;
    bool has_files = files.result >= 0 && files.report >= 0 && files.streams >= 0;
    if (has_files) child = fork();
    if (child == 0) be_the_child(work, user, seconds, &files);
    pofac_status status;
    if (child < 0) {
        status = diag_error(sink, POFAC_ERR_RUNTIME, NULL, "%s: no child process: %s", what, strerror(errno));
    } else {
        int wait_status = 0; /* stays so where the process ignores its children: the report tells */
        while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) continue;
        status = collect(&files, what, wait_status, seconds, sink, out, said);
    }
    close_files(&files);
    return status;
}
