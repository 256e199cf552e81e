/*
 * Diagnostics: messages are formatted into a small buffer on the stack, so that "out of memory" can be said without memory;
 * longer ones take memory and are cut where there is none.
 */
#include "ir/support/diag.h"

#undef diag_error
#undef diag_out_of_memory

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MESSAGE_BYTES 512u

/* At most this much of a source line is shown, around the caret: JSON often comes in one line of megabytes. */
#define SHOWN_BYTES 120u
#define SHOWN_BEFORE_CARET 60u

/* Longer words than this have no near word: names of options and attributes are shorter. */
#define NEAREST_MAX_BYTES 128u

POFAC_PRINTF(5, 0)
static void emit(const diag_sink *sink, diag_severity severity, pofac_status status, const diag_place *place, const char *format,
                 va_list args) {
    if (!sink || !sink->emit) return;
    va_list again;
    va_copy(again, args);
    char small[SHORT_MESSAGE_BYTES];
    char *large = NULL;
    int n = vsnprintf(small, sizeof small, format, args);
    if (n < 0) small[0] = 0;
    if (n >= (int)sizeof small) large = malloc((size_t)n + 1);
    if (large) vsnprintf(large, (size_t)n + 1, format, again);
    va_end(again);
    diag d = {.severity = severity, .status = status, .message = large ? large : small};
    if (place) d.place = *place;
    sink->emit(sink->user, &d);
    free(large);
}

pofac_status diag_error(const diag_sink *sink, pofac_status status, const diag_place *place, const char *format, ...) {
    va_list args;
    va_start(args, format);
    diag_verror(sink, status, place, format, args);
    va_end(args);
    return status;
}

pofac_status diag_verror(const diag_sink *sink, pofac_status status, const diag_place *place, const char *format, va_list args) {
    emit(sink, DIAG_ERROR, status, place, format, args);
    return status;
}

void diag_warning(const diag_sink *sink, const diag_place *place, const char *format, ...) {
    va_list args;
    va_start(args, format);
    emit(sink, DIAG_WARNING, POFAC_OK, place, format, args);
    va_end(args);
}

void diag_note(const diag_sink *sink, const diag_place *place, const char *format, ...) {
    va_list args;
    va_start(args, format);
    emit(sink, DIAG_NOTE, POFAC_OK, place, format, args);
    va_end(args);
}

pofac_status diag_out_of_memory(const diag_sink *sink) { return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "out of memory"); }

static bool is_continuation(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

/* The part of the line's n bytes that is shown, [*begin, *end), cut between characters. */
static void choose_shown(const diag_place *place, size_t n, size_t *begin, size_t *end) {
    const char *text = place->text;
    *begin = 0;
    *end = n;
    if (n <= SHOWN_BYTES) return;
    size_t caret = place->column ? place->column - 1 : 0;
    if (caret > n) caret = n;
    if (caret > SHOWN_BEFORE_CARET) *begin = caret - SHOWN_BEFORE_CARET;
    if (*begin > n - SHOWN_BYTES) *begin = n - SHOWN_BYTES;
    *end = *begin + SHOWN_BYTES;
    while (*begin < *end && is_continuation(text[*begin])) (*begin)++;
    while (*end < n && is_continuation(text[*end])) (*end)++;
}

/* Bytes of the character at `text`, of which n are left; 0: it is none in UTF-8, or one of control. */
static size_t shown_character(const char *text, size_t n) {
    const unsigned char c = (unsigned char)text[0], next = n > 1 ? (unsigned char)text[1] : 0;
    if (c < 0x80) return c == '\t' || (c >= 0x20 && c != 0x7F);
    const size_t bytes = c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC2 && c < 0xE0 ? 2 : 0;
    if (bytes == 0 || bytes > n || (c == 0xC2 && next < 0xA0)) return 0; /* from 0x80 to 0x9F: control */
    if ((c == 0xE0 && next < 0xA0) || (c == 0xED && next > 0x9F) || (c == 0xF0 && next < 0x90) || (c == 0xF4 && next > 0x8F))
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if (!is_continuation(text[i])) return 0;
    return bytes;
}

/* The source line, and below it the caret. What a terminal would not show as a character is a "?" for each byte; tabs stay tabs, a character of several bytes takes
 * one column. */
static void render_source(const diag_place *place, strbuf *out) {
    size_t n = place->text_bytes, begin, end;
    while (n && (place->text[n - 1] == '\n' || place->text[n - 1] == '\r')) n--;
    choose_shown(place, n, &begin, &end);
    strbuf_puts(out, begin ? "  ..." : "  ");
    for (size_t i = begin, bytes; i < end; i += bytes ? bytes : 1) {
        bytes = shown_character(place->text + i, end - i);
        strbuf_append(out, bytes ? &place->text[i] : "?", bytes ? bytes : 1);
    }
    strbuf_puts(out, end < n ? "...\n" : "\n");
    if (place->column == 0 || place->column - 1 > n) return;
    strbuf_puts(out, begin ? "     " : "  ");
    size_t caret = place->column - 1;
    for (size_t i = begin, bytes; i < caret && i < end; i += bytes ? bytes : 1) {
        bytes = shown_character(place->text + i, end - i);
        strbuf_puts(out, place->text[i] == '\t' ? "\t" : " ");
    }
    strbuf_puts(out, "^\n");
}

void diag_render(const diag *d, strbuf *out) {
    static const char *const severities[] = {[DIAG_ERROR] = "error", [DIAG_WARNING] = "warning", [DIAG_NOTE] = "note"};
    const diag_place *place = &d->place;
    if (place->file) strbuf_printf(out, "%s:", place->file);
    if (place->line) strbuf_printf(out, "%u:", (unsigned)place->line);
    if (place->line && place->column) strbuf_printf(out, "%u:", (unsigned)place->column);
    if (place->file || place->line) strbuf_putc(out, ' ');
    strbuf_printf(out, "%s: %s\n", severities[d->severity], d->message);
    if (place->text) render_source(place, out);
}

static void emit_to_strbuf(void *user, const diag *d) { diag_render(d, user); }

diag_sink diag_sink_to_strbuf(strbuf *out) { return (diag_sink){emit_to_strbuf, out}; }

static void emit_moved(void *user, const diag *d) {
    const diag_moved *m = user;
    diag moved = *d;
    if (moved.place.line) moved.place.line += m->lines_before;
    if (m->to) m->to->emit(m->to->user, &moved);
}

diag_sink diag_sink_moved(diag_moved *m) { return (diag_sink){emit_moved, m}; }

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/*
 * Edits (insert, delete, replace, swap of neighbours) that turn a into b, by the recurrence of Wagner and Fischer with swaps
 * ("optimal string alignment"); three rows of the table are kept. Both lengths are at most NEAREST_MAX_BYTES.
 */
static size_t edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    unsigned char rows[3][NEAREST_MAX_BYTES + 1];
    unsigned char *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_bytes; j++) above[j] = (unsigned char)j;
    for (size_t i = 1; i <= a_bytes; i++) {
        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t best = above[j - 1] + (size_t)(a[i - 1] != b[j - 1]);
            best = min_size(best, (size_t)above[j] + 1);
            best = min_size(best, (size_t)row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = min_size(best, (size_t)before[j - 2] + 1);
            row[j] = (unsigned char)best;
        }
        unsigned char *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_bytes];
}

const char *diag_nearest(const char *word, const char *const *candidates, size_t n) {
    const size_t word_bytes = strlen(word);
    if (word_bytes > NEAREST_MAX_BYTES) return NULL;
    const char *nearest = NULL;
    size_t nearest_distance = 0;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = strlen(candidates[i]);
        if (bytes > NEAREST_MAX_BYTES) continue;
        size_t longer = bytes > word_bytes ? bytes : word_bytes;
        if (longer < 2) continue; /* one letter is near to every other one */
        size_t limit = longer < 6 ? 1 : longer / 3;
        size_t distance = edit_distance(word, word_bytes, candidates[i], bytes);
        if (distance > limit || (nearest && distance >= nearest_distance)) continue;
        nearest = candidates[i];
        nearest_distance = distance;
    }
    return nearest;
}
