/*
 * Pairs the brackets of a wikitext with a stack, in one walk.
 *
 * A run of n braces is one entry; its braces find partners from the inside, in threes where both sides have three left, else in twos, as
 * MediaWiki's preprocessor does. Templates and tables are stronger than links: "}}" ends the nearest template though a link within it
 * is open, "]]" ends a link only where no template or table has begun within it. So each entry is pushed once and popped once, and no
 * end ever looks further than it pops.
 *
 * Elements whose content is no markup are skipped whole. That an element has no end tag before the end of the text is found once for
 * each name, so searches cost a multiple of the length that is bounded by the number of names.
 */
#include "frontend/data/wikitext_spans.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/data/wikitext_tags.h"

enum { OPEN_BRACES, OPEN_BRACKETS, OPEN_TABLE, OPEN_TABLE_ELEMENT, N_OPEN_KINDS };

typedef struct walk {
    wikitext_spans *s;
    const char *text;
    size_t bytes;
    size_t structure;              /* 1 + the topmost entry that is not of square brackets; 0: none */
    size_t n_of[N_OPEN_KINDS];     /* open entries by kind */
    bool endless[WIKITEXT_N_TAGS]; /* elements that have no end tag from here on */
} walk;

static bool grow(void **array, size_t *capacity, size_t needed, size_t size) {
    if (needed <= *capacity) return true;
    size_t larger = *capacity ? *capacity : 256;
    while (larger < needed) larger *= 2;
    void *memory = realloc(*array, larger * size);
    if (!memory) return false;
    *array = memory;
    *capacity = larger;
    return true;
}

static bool add_span(wikitext_spans *s, wikitext_span_kind kind, size_t begin, size_t end) {
    if (!grow((void **)&s->spans, &s->span_capacity, s->n_spans + 1, sizeof *s->spans)) return false;
    s->spans[s->n_spans++] = (wikitext_span){(uint32_t)begin, (uint32_t)end, (uint8_t)kind};
    return true;
}

/* A run of `count` brackets that can make up to `n_slots` spans. */
static bool push(walk *w, int kind, size_t begin, size_t count, size_t n_slots) {
    wikitext_spans *s = w->s;
    if (!grow((void **)&s->open, &s->open_capacity, s->n_open + 1, sizeof *s->open)) return false;
    s->open[s->n_open++] = (wikitext_open){.begin = (uint32_t)begin,
                                           .count = (uint32_t)count,
                                           .slot = (uint32_t)s->n_spans,
                                           .n_slots = (uint32_t)n_slots,
                                           .structure = (uint32_t)w->structure,
                                           .kind = (uint8_t)kind};
    for (size_t i = 0; i < n_slots; i++)
        if (!add_span(s, SPAN_UNMATCHED, begin, begin)) return false;
    if (kind != OPEN_BRACKETS) w->structure = s->n_open;
    w->n_of[kind]++;
    return true;
}

static void pop(walk *w) {
    const wikitext_open *e = &w->s->open[--w->s->n_open];
    if (e->kind != OPEN_BRACKETS) w->structure = e->structure;
    w->n_of[e->kind]--;
    w->s->unbalanced += e->kind == OPEN_TABLE || e->kind == OPEN_TABLE_ELEMENT ? e->n_slots : e->count / 2;
}

static wikitext_open *pop_above(walk *w, int kind) {
    while (w->s->open[w->s->n_open - 1].kind != kind) pop(w);
    return &w->s->open[w->s->n_open - 1];
}

/* The innermost `taken` brackets of the topmost entry end at `end`. */
static void match(walk *w, wikitext_span_kind kind, size_t taken, size_t end) {
    wikitext_open *e = &w->s->open[w->s->n_open - 1];
    e->count -= (uint32_t)taken;
    w->s->spans[e->slot + --e->n_slots] = (wikitext_span){e->begin + e->count, (uint32_t)end, (uint8_t)kind};
    if (e->count < 2) {
        e->count = 0;
        pop(w);
    }
}

static size_t run_length(const walk *w, size_t at) {
    size_t n = 1;
    while (at + n < w->bytes && w->text[at + n] == w->text[at]) n++;
    return n;
}

/* Whether only white space, and colons that indent, stand between the line's begin and `at`. */
static bool begins_line(walk *w, size_t at) {
    while (at > 0 && (w->text[at - 1] == ' ' || w->text[at - 1] == '\t' || w->text[at - 1] == ':')) {
        at--;
        w->s->visited++;
    }
    return at == 0 || w->text[at - 1] == '\n';
}

static bool open_braces(walk *w, size_t at, size_t n) {
    if (n == 1) {
        if (at + 1 == w->bytes || w->text[at + 1] != '|' || !begins_line(w, at)) return true;
        return push(w, OPEN_TABLE, at, 1, 1);
    }
    return push(w, OPEN_BRACES, at, n, n / 2);
}

/* "|}" at a line's begin ends a table, unless it is "|}}" and a template has begun within that table. */
static bool ends_table(walk *w, size_t at, size_t n) {
    if (at == 0 || w->text[at - 1] != '|' || w->n_of[OPEN_TABLE] == 0 || !begins_line(w, at - 1)) return false;
    return n == 1 || w->s->open[w->structure - 1].kind == OPEN_TABLE;
}

static void close_braces(walk *w, size_t at, size_t n) {
    if (ends_table(w, at, n)) {
        pop_above(w, OPEN_TABLE);
        match(w, SPAN_TABLE, 1, at + 1);
        at++;
        n--;
    }
    while (n >= 2 && w->n_of[OPEN_BRACES]) {
        const wikitext_open *e = pop_above(w, OPEN_BRACES);
        const size_t taken = n >= 3 && e->count >= 3 ? 3 : 2;
        match(w, taken == 3 ? SPAN_PARAMETER : SPAN_TEMPLATE, taken, at + taken);
        at += taken;
        n -= taken;
    }
    w->s->unbalanced += n / 2;
}

static void close_brackets(walk *w, size_t at, size_t n) {
    for (; n >= 2 && w->s->n_open && w->s->open[w->s->n_open - 1].kind == OPEN_BRACKETS; n -= 2, at += 2)
        match(w, SPAN_LINK, 2, at + 2);
    w->s->unbalanced += n / 2;
}

static bool walk_table_tag(walk *w, size_t *at, const wikitext_tag *tag) {
    const size_t begin = *at;
    *at += tag->bytes;
    if (!tag->end) return tag->closed || push(w, OPEN_TABLE_ELEMENT, begin, 1, 1);
    if (w->structure && w->s->open[w->structure - 1].kind == OPEN_TABLE_ELEMENT) {
        pop_above(w, OPEN_TABLE_ELEMENT);
        match(w, SPAN_TABLE, 1, *at);
    } else {
        w->s->unbalanced++;
    }
    return true;
}

/* An element that is skipped with its content; of one without an end the tag alone. */
static bool walk_element(walk *w, size_t *at, const wikitext_tag *tag) {
    static const uint8_t kind_of[] = {
        [TAG_DROP] = SPAN_ELEMENT, [TAG_REFERENCE] = SPAN_ELEMENT, [TAG_LITERAL] = SPAN_LITERAL, [TAG_FORMULA] = SPAN_FORMULA};
    const size_t begin = *at, content = begin + tag->bytes;
    size_t visited = 0, end_begin, end;
    *at = content;
    if (tag->closed || tag->end) {
        w->s->unbalanced += tag->end;
        return add_span(w->s, SPAN_ELEMENT, begin, content);
    }
    const bool found =
        !w->endless[tag->row] && wikitext_tag_find_end(tag->row, w->text + content, w->bytes - content, &end_begin, &end, &visited);
    w->s->visited += visited;
    if (found) {
        *at = content + end;
        return add_span(w->s, (wikitext_span_kind)kind_of[tag->action], begin, *at);
    }
    w->endless[tag->row] = tag->action != TAG_REFERENCE;
    w->s->unbalanced++;
    return add_span(w->s, SPAN_ELEMENT, begin, content);
}

static bool walk_angle(walk *w, size_t *at) {
    const char *text = w->text + *at;
    const size_t left = w->bytes - *at, begin = *at;
    if (left >= 4 && memcmp(text, "<!--", 4) == 0) {
        const char *end = memmem(text + 4, left - 4, "-->", 3);
        *at = end ? (size_t)(end + 3 - w->text) : w->bytes;
        w->s->unbalanced += !end;
        return add_span(w->s, SPAN_COMMENT, begin, *at);
    }
    wikitext_tag tag;
    ++*at;
    if (!wikitext_tag_read(text, left, &tag) || tag.action < TAG_DROP) return true;
    *at = begin;
    return tag.action == TAG_TABLE ? walk_table_tag(w, at, &tag) : walk_element(w, at, &tag);
}

static bool walk_text(walk *w) {
    static const bool special[256] = {['{'] = true, ['}'] = true, ['['] = true, [']'] = true, ['<'] = true};
    const unsigned char *text = (const unsigned char *)w->text;
    for (size_t at = 0;;) {
        while (at < w->bytes && !special[text[at]]) at++;
        if (at == w->bytes) return true;
        if (text[at] == '<') {
            if (!walk_angle(w, &at)) return false;
            continue;
        }
        const size_t n = run_length(w, at);
        if (text[at] == '{' && !open_braces(w, at, n)) return false;
        if (text[at] == '[' && n >= 2 && !push(w, OPEN_BRACKETS, at, n, n / 2)) return false;
        if (text[at] == '}') close_braces(w, at, n);
        if (text[at] == ']' && n >= 2) close_brackets(w, at, n);
        at += n;
    }
}

bool wikitext_spans_find(wikitext_spans *s, const char *text, size_t bytes) {
    walk w = {.s = s, .text = text, .bytes = bytes};
    s->n_spans = s->n_open = 0;
    s->visited = bytes;
    s->unbalanced = 0;
    if (!walk_text(&w)) return false;
    while (s->n_open) pop(&w);
    return true;
}

void wikitext_spans_free(wikitext_spans *s) {
    free(s->spans);
    free(s->open);
    *s = (wikitext_spans)WIKITEXT_SPANS_INIT;
}
