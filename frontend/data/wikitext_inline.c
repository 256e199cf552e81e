/*
 * Writes what stands in lines: text, links, templates, quotes, tags, entities. Bytes that mean nothing are copied in runs; at each byte
 * that may mean something, the spans tell whether a bracket has a partner.
 */
#include <string.h>

#include "frontend/data/html_entities.h"
#include "frontend/data/prose_tidy.h"
#include "frontend/data/wikitext_tags.h"
#include "frontend/data/wikitext_writer.h"

const wikitext_span *wikitext_span_at(wikitext *w, size_t at, size_t end) {
    const wikitext_spans *s = &w->spans;
    while (w->next_span < s->n_spans && (s->spans[w->next_span].begin < at || s->spans[w->next_span].kind == SPAN_UNMATCHED))
        w->next_span++;
    if (w->next_span == s->n_spans) return NULL;
    const wikitext_span *span = &s->spans[w->next_span];
    return span->begin == at && span->end <= end ? span : NULL;
}

static void put(wikitext *w, char c) { strbuf_putc(&w->raw, c); }

static const writer_frame *top(const wikitext *w) { return w->depth ? &w->frames[w->depth - 1] : NULL; }

/* The equal bytes from `at` on, up to the next span and the end of the innermost frame. */
static size_t run_length(const wikitext *w, size_t at, size_t end) {
    if (w->next_span < w->spans.n_spans && w->spans.spans[w->next_span].begin > at && w->spans.spans[w->next_span].begin < end)
        end = w->spans.spans[w->next_span].begin;
    if (w->depth && top(w)->close < end) end = top(w)->close;
    size_t n = 1;
    while (at + n < end && w->text[at + n] == w->text[at]) n++;
    return n;
}

/* Brackets without a partner: one alone is text, more are markup that went wrong. */
static size_t write_stray(wikitext *w, size_t at, size_t end) {
    const size_t n = run_length(w, at, end);
    if (n == 1) put(w, w->text[at]);
    return at + n;
}

static void write_code_point(wikitext *w, uint32_t c) {
    char utf8[4];
    if (c < 0x20 || c == 0x7F) c = ' ';
    strbuf_append(&w->raw, utf8, utf8_write(c, utf8));
}

static size_t write_entity(wikitext *w, size_t at, size_t end) {
    uint32_t c;
    const size_t n = html_entity_read(w->text + at, end - at, &c);
    if (n) write_code_point(w, c);
    else put(w, '&');
    return at + (n ? n : 1);
}

/* A run of n quotes: '' italics, ''' bold, ''''' both; what is more, and one of four, is text. */
static size_t write_quotes(wikitext *w, size_t at, size_t end) {
    writer_quotes *q = &w->quotes;
    const size_t n = run_length(w, at, end), text = n == 1 ? 1 : n == 4 ? 1 : n > 5 ? n - 5 : 0, markup = n - text;
    for (size_t i = 0; i < text; i++) put(w, '\'');
    q->n_italic += markup == 2 || markup == 5;
    q->n_bold += markup == 3 || markup == 5;
    if (markup == 3 && w->depth == 0) {
        const int before = at >= 1 ? w->text[at - 1] : '\n', second = at >= 2 ? w->text[at - 2] : '\n';
        size_t *place = before == ' ' ? &q->after_space : second == ' ' || second == '\n' ? &q->after_letter : &q->after_word;
        if (*place == SIZE_MAX) *place = w->raw.size;
    }
    return at + n;
}

/* __NOTOC__ and its like. */
static size_t write_underscore(wikitext *w, size_t at, size_t end) {
    size_t i = at + 2;
    if (end - at > 4 && w->text[at + 1] == '_') {
        while (i < end && i - at < 32 && w->text[i] >= 'A' && w->text[i] <= 'Z') i++;
        if (i - at > 4 && end - i >= 2 && w->text[i] == '_' && w->text[i + 1] == '_') return i + 2;
    }
    put(w, '_');
    return at + 1;
}

/* [http://... text]: the text; without one nothing but a number is shown. */
static size_t write_bracket(wikitext *w, size_t at, size_t end) {
    const size_t url = run_length(w, at, end) == 1 ? wikitext_url_bytes(w->text + at + 1, end - at - 1) : 0;
    if (!url) return write_stray(w, at, end);
    at += 1 + url;
    if (at == end || w->text[at] == ']' || w->text[at] == '\n') {
        put(w, PROSE_DROPPED);
        return at + (at < end && w->text[at] == ']');
    }
    w->external++;
    while (at < end && w->text[at] == ' ') at++;
    return at;
}

static size_t write_closing_bracket(wikitext *w, size_t at, size_t end) {
    if (!w->external) return write_stray(w, at, end);
    w->external--;
    return at + 1;
}

/* The content of an element: between its tags. */
static void content_of(const wikitext *w, const wikitext_span *span, size_t *begin, size_t *end) {
    const char *text = w->text;
    *begin = (size_t)((const char *)memchr(text + span->begin, '>', span->end - span->begin) + 1 - text);
    *end = (size_t)((const char *)memrchr(text + *begin, '<', span->end - *begin) - text);
}

static size_t write_literal(wikitext *w, const wikitext_span *span) {
    size_t at, end;
    content_of(w, span, &at, &end);
    w->counts.visited += end - at;
    while (at < end) {
        const unsigned char c = (unsigned char)w->text[at];
        if (c == '&') {
            at = write_entity(w, at, end);
            continue;
        }
        put(w, (char)(c < ' ' || c == 0x7F ? ' ' : c));
        at++;
    }
    return span->end;
}

/* A formula of letters, digits and signs alone is text; others are TeX. */
static size_t write_formula(wikitext *w, const wikitext_span *span) {
    enum { LONGEST = 40 };
    size_t begin, end, i;
    content_of(w, span, &begin, &end);
    for (i = begin; i < end && end - begin <= LONGEST; i++) {
        const char c = w->text[i];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr(" +-=<>.,()/|!'", c)))) break;
    }
    if (i == end && begin < end) {
        strbuf_append(&w->raw, w->text + begin, end - begin);
    } else {
        w->counts.elements++;
        put(w, PROSE_DROPPED);
    }
    return span->end;
}

/* A span that is gone over whole. */
static size_t write_span(wikitext *w, const wikitext_span *span) {
    switch (span->kind) {
    case SPAN_LITERAL: return write_literal(w, span);
    case SPAN_FORMULA: return write_formula(w, span);
    case SPAN_COMMENT: w->comment = true; return span->end;
    case SPAN_TABLE:
        w->counts.tables++;
        put(w, '\n');
        return span->end;
    case SPAN_ELEMENT: w->counts.elements++; break;
    default: w->counts.templates++;
    }
    put(w, PROSE_DROPPED);
    return span->end;
}

static size_t write_tag(wikitext *w, size_t at, size_t end) {
    wikitext_tag tag;
    if (!wikitext_tag_read(w->text + at, end - at, &tag)) {
        put(w, '<');
        return at + 1;
    }
    if (tag.action == TAG_SPACE) put(w, ' ');
    if (tag.action == TAG_PARAGRAPH || tag.action == TAG_TABLE) {
        put(w, '\n');
        if (!tag.end) w->n_blocks += !tag.closed;
        else if (w->n_blocks) w->n_blocks--;
    }
    return at + tag.bytes;
}

/* A newline within brackets. */
static size_t write_newline(wikitext *w, size_t at, size_t end) {
    writer_frame *f = &w->frames[w->depth - 1];
    if (f->kind == FRAME_LINK && !f->has_text) f->broken = true;
    const bool blank = f->kind == FRAME_TEMPLATE && w->depth == 1 && at + 1 < end && w->text[at + 1] == '\n';
    put(w, blank ? '\n' : ' ');
    return at + 1;
}

static size_t write_markup(wikitext *w, size_t at, size_t end) {
    const char c = w->text[at];
    if (w->depth) end = top(w)->close; /* nothing that begins within a frame goes over its end */
    const wikitext_span *span = c == '{' || c == '[' || c == '<' ? wikitext_span_at(w, at, end) : NULL;
    if (span && span->kind == SPAN_TEMPLATE) return wikitext_begin_template(w, span);
    if (span && span->kind == SPAN_LINK) return wikitext_begin_link(w, span);
    if (span) return write_span(w, span);
    switch (c) {
    case '\n': return write_newline(w, at, end);
    case '\'': return write_quotes(w, at, end);
    case '&': return write_entity(w, at, end);
    case '_': return write_underscore(w, at, end);
    case '[': return write_bracket(w, at, end);
    case ']': return write_closing_bracket(w, at, end);
    case '<': return write_tag(w, at, end);
    case '{':
    case '}': return write_stray(w, at, end);
    case '|':
        if (w->depth) wikitext_frame_pipe(w, at);
        else put(w, c);
        return at + 1;
    default: put(w, ' '); return at + 1; /* control characters */
    }
}

size_t wikitext_write_inline(wikitext *w, size_t begin, size_t end) {
    static const bool special[256] = {[0 ... 31] = true, ['{'] = true, ['}'] = true, ['['] = true,  [']'] = true, ['<'] = true,
                                      ['|'] = true,      ['&'] = true, ['_'] = true, ['\''] = true, [127] = true};
    const unsigned char *text = (const unsigned char *)w->text;
    for (size_t at = begin;;) {
        const size_t run = at;
        while (at < end && !special[text[at]]) at++;
        if (at > run) strbuf_append(&w->raw, text + run, at - run);
        if (w->depth && w->frames[w->depth - 1].close <= at) {
            wikitext_frame_end(w, w->frames[w->depth - 1].close);
            at = w->frames[w->depth].close + 2;
            continue;
        }
        if (at == end || (text[at] == '\n' && w->depth == 0)) return at;
        at = write_markup(w, at, end);
    }
}
