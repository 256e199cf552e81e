/*
 * Finds the places of start tags and attributes in the text of a description, and refuses texts that libxml2 shall not see.
 *
 * One pass over the bytes: comments, CDATA sections, processing instructions and end tags are skipped, start tags are taken apart.
 * Being well-formed is libxml2's matter, and so is what a document holds: from here come places only, so a text that is read
 * differently here and there gets a wrong caret and nothing worse.
 */
#include "frontend/model/xml_source.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "frontend/model/xml_report.h"
#include "ir/support/vector.h"

/* As much of a line behind the caret as diag_render can show, so that a document of one long line costs no more. */
#define PLACE_BYTES_BEHIND 256u

typedef struct scan {
    const char *bytes;
    size_t n;
    xml_spot at;
    VEC(xml_tag) tags;
    VEC(xml_tag_attribute) attributes; /* of the tag that is being read */
    xml_spot document_type, encoding;  /* line 0: none */
    size_t encoding_bytes;
    arena *a;
    bool too_many_attributes;
    bool failed; /* memory */
} scan;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_quote(char c) { return c == '"' || c == '\''; }

static bool at_end(const scan *s) { return s->at.offset >= s->n; }

/* The next byte; 0 at the end. */
static char peek(const scan *s) {
    if (at_end(s)) return 0;
    return s->bytes[s->at.offset];
}

/* Moves on to `offset`, counting lines. */
static void move_to(scan *s, size_t offset) {
    if (offset > s->n) offset = s->n;
    while (s->at.offset < offset) {
        if (s->bytes[s->at.offset++] != '\n') continue;
        s->at.line++;
        s->at.line_begin = s->at.offset;
    }
}

static bool looking_at(const scan *s, const char *text) {
    size_t n = strlen(text);
    return s->n - s->at.offset >= n && memcmp(s->bytes + s->at.offset, text, n) == 0;
}

/* Moves behind the next `text`, or to the end. */
static void skip_past(scan *s, const char *text) {
    const char *from = s->bytes + s->at.offset;
    const char *found = memmem(from, s->n - s->at.offset, text, strlen(text));
    move_to(s, found ? (size_t)(found - s->bytes) + strlen(text) : s->n);
}

static void skip_blanks(scan *s) {
    while (!at_end(s) && is_blank(peek(s))) move_to(s, s->at.offset + 1u);
}

static void skip_name(scan *s) {
    while (!at_end(s) && !is_blank(peek(s)) && !strchr("=/>\"'<", peek(s))) s->at.offset++;
}

/* NAME = "VALUE"; false where something else stands. */
static bool scan_attribute(scan *s, xml_tag_attribute *out) {
    out->name = s->at;
    skip_name(s);
    out->name_bytes = s->at.offset - out->name.offset;
    skip_blanks(s);
    if (!out->name_bytes || peek(s) != '=') return false;
    move_to(s, s->at.offset + 1u);
    skip_blanks(s);
    const char quote = peek(s);
    if (!is_quote(quote)) return false;
    move_to(s, s->at.offset + 1u);
    out->value = s->at;
    skip_past(s, quote == '"' ? "\"" : "'");
    return true;
}

/* A tag from its < on. Where it ends otherwise than with > or /> the scan goes on behind the part that was read. */
static void scan_tag(scan *s) {
    xml_tag tag = {.begin = s->at};
    s->attributes.size = 0;
    move_to(s, s->at.offset + 1u);
    skip_name(s);
    for (skip_blanks(s); !at_end(s) && !strchr("/>", peek(s)) && !s->too_many_attributes; skip_blanks(s)) {
        xml_tag_attribute attribute;
        if (!scan_attribute(s, &attribute)) break;
        s->too_many_attributes = s->attributes.size == XML_SOURCE_MAX_ATTRIBUTES;
        if (!VEC_PUSH(&s->attributes, attribute)) s->failed = true;
        if (s->failed) return;
    }
    tag.n_attributes = s->attributes.size;
    if (tag.n_attributes) tag.attributes = arena_copy(s->a, s->attributes.data, tag.n_attributes * sizeof *tag.attributes);
    if ((tag.n_attributes && !tag.attributes) || !VEC_PUSH(&s->tags, tag)) s->failed = true;
}

static void scan_declaration(scan *s, size_t from) {
    move_to(s, from);
    xml_tag_attribute attribute;
    for (skip_blanks(s); scan_attribute(s, &attribute); skip_blanks(s)) {
        if (attribute.name_bytes != 8 || memcmp(s->bytes + attribute.name.offset, "encoding", 8) != 0) continue;
        s->encoding = attribute.value;
        s->encoding_bytes = s->at.offset - attribute.value.offset;
        if (s->encoding_bytes && is_quote(s->bytes[s->at.offset - 1])) s->encoding_bytes--;
    }
}

/* <?xml version="1.0" encoding="NAME"?> at the very beginning; elsewhere a processing instruction, which nobody reads. */
static void scan_instruction(scan *s, size_t begin) {
    const size_t name_end = s->at.offset + 5u;
    if (s->at.offset == begin && looking_at(s, "<?xml") && s->n > name_end && is_blank(s->bytes[name_end])) {
        const char *end = memmem(s->bytes + name_end, s->n - name_end, "?>", 2);
        const size_t n = s->n;
        if (end) s->n = (size_t)(end - s->bytes); /* the declaration only */
        scan_declaration(s, name_end);
        s->n = n;
    }
    skip_past(s, "?>");
}

static void scan_text(scan *s, size_t begin) {
    move_to(s, begin);
    while (!at_end(s) && !s->failed && !s->too_many_attributes && s->tags.size <= XML_SOURCE_MAX_ELEMENTS) {
        if (peek(s) != '<') {
            const char *next = memchr(s->bytes + s->at.offset, '<', s->n - s->at.offset);
            move_to(s, next ? (size_t)(next - s->bytes) : s->n);
        } else if (looking_at(s, "<!--")) {
            move_to(s, s->at.offset + 4u);
            skip_past(s, "-->");
        } else if (looking_at(s, "<![CDATA[")) {
            skip_past(s, "]]>");
        } else if (looking_at(s, "<!DOCTYPE")) {
            s->document_type = s->at;
            return;
        } else if (looking_at(s, "<?")) {
            scan_instruction(s, begin);
        } else if (looking_at(s, "</") || looking_at(s, "<!")) {
            skip_past(s, ">");
        } else {
            scan_tag(s);
        }
    }
}

/* The length of the well-formed UTF-8 character at `at` (Unicode 15, table 3-7), 0 if there is none or XML does not allow it. The
 * control characters that XML forbids are refused here because libxml2 takes zero bytes for a sign of UTF-16. */
static size_t utf8_character(const unsigned char *at, size_t n) {
    if (at[0] < 0x20) return is_blank((char)at[0]);
    if (at[0] < 0x80) return 1;
    size_t length = at[0] >= 0xC2 && at[0] <= 0xDF ? 2 : (at[0] & 0xF0) == 0xE0 ? 3 : at[0] >= 0xF0 && at[0] <= 0xF4 ? 4 : 0;
    if (!length || n < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if (at[0] == 0xE0 && at[1] < 0xA0) return 0; /* overlong */
    if (at[0] == 0xED && at[1] > 0x9F) return 0; /* surrogates */
    if (at[0] == 0xF0 && at[1] < 0x90) return 0; /* overlong */
    if (at[0] == 0xF4 && at[1] > 0x8F) return 0; /* above U+10FFFF */
    return length;
}

static pofac_status check_utf8(const xml_source *source, xml_report *report) {
    const unsigned char *bytes = (const unsigned char *)source->bytes;
    xml_spot spot = {0, 1, 0};
    for (size_t length; spot.offset < source->n_bytes; spot.offset += (uint32_t)length) {
        length = utf8_character(bytes + spot.offset, source->n_bytes - spot.offset);
        if (!length) {
            char hex[3];
            snprintf(hex, sizeof hex, "%02X", (unsigned)bytes[spot.offset]);
            diag_place place = xml_source_place(source, spot);
            return xml_report_error(report, XML_MESSAGE_NOT_UTF8, &place, hex, "", "", "");
        }
        if (bytes[spot.offset] == '\n') {
            spot.line++;
            spot.line_begin = spot.offset + 1;
        }
    }
    return POFAC_OK;
}

/* UTF-8 under its names and its part US-ASCII. */
static bool is_utf8_name(const char *name, size_t n) {
    static const char *const names[] = {"utf-8", "utf8", "us-ascii", "ascii"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == n && strncasecmp(names[i], name, n) == 0) return true;
    return false;
}

static pofac_status check_prolog(const xml_source *source, const scan *s, xml_report *report) {
    if (s->encoding.line && !is_utf8_name(s->bytes + s->encoding.offset, s->encoding_bytes)) {
        char name[41]; /* longer than any encoding's */
        snprintf(name, sizeof name, "%.*s", (int)(s->encoding_bytes < 40 ? s->encoding_bytes : 40), s->bytes + s->encoding.offset);
        diag_place place = xml_source_place(source, s->encoding);
        return xml_report_error(report, XML_MESSAGE_OTHER_ENCODING, &place, name, "", "", "");
    }
    if (s->too_many_attributes || s->tags.size > XML_SOURCE_MAX_ELEMENTS) {
        char limit[24];
        snprintf(limit, sizeof limit, "%u", s->too_many_attributes ? XML_SOURCE_MAX_ATTRIBUTES : XML_SOURCE_MAX_ELEMENTS);
        diag_place place = xml_source_place(source, s->tags.data[s->tags.size - 1].begin);
        const char *what = s->too_many_attributes ? "attributes in an element" : "elements";
        return xml_report_error(report, XML_MESSAGE_TOO_MANY, &place, limit, what, "", "");
    }
    return POFAC_OK;
}

static pofac_status scan_source(xml_source *source, arena *a, xml_report *report) {
    const size_t begin = source->n_bytes >= 3 && memcmp(source->bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* byte order mark */
    scan s = {.bytes = source->bytes, .n = source->n_bytes, .at = {0, 1, 0}, .a = a};
    scan_text(&s, begin);
    pofac_status status = POFAC_OK;
    if (!s.failed) {
        source->n_tags = s.tags.size;
        source->document_type = s.document_type;
        if (s.tags.size) source->tags = arena_copy(a, s.tags.data, s.tags.size * sizeof *s.tags.data);
        s.failed = s.tags.size && !source->tags;
    }
    status = s.failed ? diag_out_of_memory(report->sink) : check_prolog(source, &s, report);
    VEC_FREE(&s.tags);
    VEC_FREE(&s.attributes);
    return status;
}

pofac_status xml_source_open(const char *file, const char *bytes, size_t n, arena *a, const diag_sink *sink, xml_source *out) {
    xml_report report = {sink, 0};
    *out = (xml_source){.file = arena_strdup(a, file), .n_bytes = n};
    if (!out->file) return diag_out_of_memory(sink);
    if (n > XML_SOURCE_MAX_BYTES) {
        char found[24], limit[24];
        snprintf(found, sizeof found, "%zu", n);
        snprintf(limit, sizeof limit, "%u", XML_SOURCE_MAX_BYTES);
        diag_place place = {.file = file};
        return xml_report_error(&report, XML_MESSAGE_TOO_LARGE, &place, found, limit, "", "");
    }
    out->bytes = n ? arena_copy(a, bytes, n) : "";
    if (!out->bytes) return diag_out_of_memory(sink);
    TRY(check_utf8(out, &report));
    return scan_source(out, a, &report);
}

diag_place xml_source_place(const xml_source *source, xml_spot spot) {
    if (!spot.line) return (diag_place){.file = source->file};
    size_t end = spot.offset, limit = spot.offset + PLACE_BYTES_BEHIND;
    while (end < source->n_bytes && end < limit && source->bytes[end] != '\n') end++;
    return (diag_place){.file = source->file,
                        .line = spot.line,
                        .column = spot.offset - spot.line_begin + 1,
                        .text = source->bytes + spot.line_begin,
                        .text_bytes = end - spot.line_begin};
}

diag_place xml_source_place_at(const xml_source *source, size_t line, size_t column) {
    if (!line) return (diag_place){.file = source->file};
    xml_spot spot = {0, 1, 0};
    for (size_t i = 0; i < source->n_bytes && spot.line < line; i++) {
        if (source->bytes[i] != '\n') continue;
        spot.line++;
        spot.line_begin = (uint32_t)i + 1;
    }
    size_t end = spot.line_begin;
    while (end < source->n_bytes && source->bytes[end] != '\n') end++;
    spot.offset = column && spot.line_begin + column - 1 <= end ? spot.line_begin + (uint32_t)column - 1 : spot.line_begin;
    diag_place place = xml_source_place(source, spot);
    if (spot.offset - spot.line_begin + 1 != column) place.column = 0;
    return place;
}
