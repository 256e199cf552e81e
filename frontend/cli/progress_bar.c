/* Drawing the line anew over itself; see progress_bar.h. */
#include "frontend/cli/progress_bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR_COLUMNS 24
#define SECONDS_BETWEEN 0.1

/* "1:02:03", "2:03". */
static void put_duration(double seconds, strbuf *out) {
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : (uint64_t)1e9;
    if (s >= 3600) strbuf_printf(out, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    else strbuf_printf(out, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
}

static void put_rate(double rate, strbuf *out) { strbuf_printf(out, rate < 10.0 ? "  %.1f/s  " : "  %.0f/s  ", rate); }

void progress_bar_render(const progress_view *v, int columns, bool colors, strbuf *out) {
    double share = v->share > 1.0 ? 1.0 : v->share;
    strbuf text = STRBUF_INIT;
    if (share >= 0.0) strbuf_printf(&text, "%3.0f%%  ", 100.0 * share);
    strbuf_printf(&text, "%" PRIu64 " %s", v->count, v->unit);
    put_rate(v->seconds > 0.0 ? (double)v->count / v->seconds : 0.0, &text);
    if (share > 0.0) put_duration(v->seconds * (1.0 - share) / share, &text);
    else put_duration(v->seconds, &text);
    if (share > 0.0) strbuf_puts(&text, " left");
    if (share >= 0.0 && (size_t)columns > text.size + BAR_COLUMNS + 4) {
        int full = (int)(share * BAR_COLUMNS + 0.5);
        strbuf_printf(out, "[%s%.*s%s%*s] ", colors ? "\033[32m" : "", full, "########################", colors ? "\033[0m" : "",
                      BAR_COLUMNS - full, "");
    }
    strbuf_append(out, text.data, columns > 0 && text.size > (size_t)columns ? (size_t)columns : text.size);
    strbuf_free(&text);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void take_away(progress_bar *bar) {
    if (bar->drawn) fputs("\r\033[K", stderr);
    bar->drawn = false;
}

static void emit_above(void *user, const diag *d) {
    progress_bar *bar = user;
    take_away(bar);
    bar->sink->emit(bar->sink->user, d);
}

void progress_bar_begin(progress_bar *bar, bool show, const diag_sink *sink) {
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool can_erase = terminal && *terminal && strcmp(terminal, "dumb") != 0;
    *bar = (progress_bar){
        .is_on = show && can_erase && isatty(STDERR_FILENO) == 1, .colors = !no_color || !*no_color, .begin = now(), .sink = sink};
}

diag_sink progress_bar_sink(progress_bar *bar) { return (diag_sink){emit_above, bar}; }

void progress_bar_update(progress_bar *bar, const char *unit, uint64_t count, double share) {
    double at = now();
    if (!bar->is_on || at - bar->last < SECONDS_BETWEEN) return;
    struct winsize size = {0};
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    const progress_view view = {unit, count, share, at - bar->begin};
    strbuf text = STRBUF_INIT;
    progress_bar_render(&view, columns - 1, bar->colors, &text);
    if (strbuf_ok(&text)) fprintf(stderr, "\r%s\033[K", strbuf_str(&text));
    fflush(stderr);
    strbuf_free(&text);
    bar->drawn = true;
    bar->last = at;
}

void progress_bar_end(progress_bar *bar) {
    take_away(bar);
    bar->is_on = false;
}

void progress_bar_show(void *bar, const char *unit, uint64_t count, double share) { progress_bar_update(bar, unit, count, share); }
