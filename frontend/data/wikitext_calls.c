/*
 * Links and templates. Their content is written as any other text, and a frame remembers where in the raw prose each part begins; at
 * the end the parts that a reader does not see are taken away. Nothing is read twice.
 */
#include <string.h>
#include <strings.h>

#include "frontend/data/prose_tidy.h"
#include "frontend/data/wikitext_writer.h"

static void truncate_raw(wikitext *w, size_t size) {
    if (size < w->raw.size) w->raw.data[w->raw.size = size] = 0;
}

static writer_frame *top(wikitext *w) { return &w->frames[w->depth - 1]; }

static writer_frame *push_frame(wikitext *w, int kind, size_t close) {
    writer_frame *f = &w->frames[w->depth++];
    f->kind = kind;
    f->close = close;
    f->raw = w->raw.size;
    return f;
}

static size_t drop(wikitext *w, const wikitext_span *span) {
    strbuf_putc(&w->raw, PROSE_DROPPED);
    return span->end;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static size_t skip_blanks(const char *text, size_t at, size_t end) {
    while (at < end && is_blank(text[at])) at++;
    return at;
}

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

/* ---- templates ---- */

/* The name of a template, and where its first argument begins (its close when it has none). False: it has no plain name. */
static bool read_call(const wikitext *w, const wikitext_span *span, wikitext_template *template, size_t *argument) {
    enum { LONGEST = 96 };
    const char *text = w->text;
    const size_t begin = skip_blanks(text, span->begin + 2, span->end - 2), close = span->end - 2;
    size_t at = begin;
    while (at < close && at - begin < LONGEST && !strchr("|{[<\n:", text[at])) at++;
    if (at < close && text[at] == ':') {
        *argument = at + 1;
        if (wikitext_template_find(text + begin, at + 1 - begin, template)) return true; /* a function: {{name:argument}} */
        while (at < close && at - begin < LONGEST && !strchr("|{[<\n", text[at])) at++;
    }
    if (!wikitext_template_find(text + begin, at - begin, template)) return false;
    at = skip_blanks(text, at, close);
    *argument = at < close ? at + 1 : close;
    return at == close || text[at] == '|';
}

void wikitext_note_template(wikitext *w, const wikitext_span *span) {
    wikitext_template template;
    size_t argument;
    if (read_call(w, span, &template, &argument)) w->counts.disambiguations += wikitext_template_disambiguates(&template);
}

size_t wikitext_begin_template(wikitext *w, const wikitext_span *span) {
    wikitext_template template;
    size_t argument;
    w->counts.templates++;
    if (!read_call(w, span, &template, &argument)) return drop(w, span);
    w->counts.disambiguations += wikitext_template_disambiguates(&template);
    if (wikitext_template_disambiguates(&template) || w->depth == WIKITEXT_MAX_DEPTH) return drop(w, span);
    writer_frame *f = push_frame(w, FRAME_TEMPLATE, span->end - 2);
    f->template = template;
    f->argument = argument;
    f->argument_raw = f->raw;
    f->n_positional = f->n_unnamed = 0;
    memset(f->has_named, 0, sizeof f->has_named);
    return argument;
}

/* Whether text[begin, end) begins with "NAME=". */
static bool read_argument_name(const char *text, size_t begin, size_t end, size_t *name_end) {
    enum { LONGEST = 32 };
    size_t at = skip_blanks(text, begin, end);
    const size_t name = at;
    while (at < end && at - name < LONGEST &&
           (is_blank(text[at]) || text[at] == '-' || text[at] == '_' || (text[at] >= '0' && text[at] <= '9') ||
            (lower(text[at]) >= 'a' && lower(text[at]) <= 'z')))
        at++;
    *name_end = at;
    return at > name && at < end && text[at] == '=';
}

static void set_positional(writer_frame *f, size_t i, raw_range range) {
    while (f->n_positional <= i) f->positional[f->n_positional++] = (raw_range){0, 0};
    f->positional[i] = range;
}

/* The argument at work ends at `at`. One that nobody will see is taken away at once. */
static void end_argument(wikitext *w, writer_frame *f, size_t at) {
    raw_range range = {f->argument_raw, w->raw.size};
    size_t name_end, position;
    bool kept = true;
    if (read_argument_name(w->text, f->argument, at, &name_end)) {
        const template_name name = wikitext_template_argument(w->text + f->argument, name_end - f->argument, &position);
        const char *equals = memchr(strbuf_str(&w->raw) + range.begin, '=', range.end - range.begin);
        if (equals) range.begin = (size_t)(equals + 1 - w->raw.data);
        if (position < WIKITEXT_MAX_ARGUMENTS || name == TEMPLATE_FIRST)
            set_positional(f, name == TEMPLATE_FIRST ? 0 : position, range);
        else if (name != TEMPLATE_OTHER) f->named[name] = range, f->has_named[name] = true;
        else kept = false;
    } else if (f->n_unnamed < WIKITEXT_MAX_ARGUMENTS) {
        set_positional(f, f->n_unnamed++, range);
    } else {
        kept = false;
    }
    if (!kept) truncate_raw(w, f->argument_raw);
    f->argument = at + 1;
    f->argument_raw = w->raw.size;
}

static template_text text_of(const wikitext *w, raw_range range) {
    return (template_text){strbuf_str(&w->raw) + range.begin, range.end - range.begin};
}

static void end_template(wikitext *w, writer_frame *f, size_t at) {
    template_arguments arguments;
    if (f->argument <= at && (f->argument < at || f->n_unnamed || w->text[f->argument - 1] == '|')) end_argument(w, f, at);
    arguments.n_positional = f->n_positional;
    for (size_t i = 0; i < f->n_positional; i++) arguments.positional[i] = text_of(w, f->positional[i]);
    for (size_t i = 0; i < TEMPLATE_N_NAMES; i++)
        arguments.named[i] = f->has_named[i] ? text_of(w, f->named[i]) : (template_text){NULL, 0};
    strbuf_clear(&w->scratch);
    if (strbuf_ok(&w->raw)) wikitext_template_render(&f->template, &arguments, &w->scratch);
    if (!strbuf_ok(&w->scratch)) w->raw.failed = true;
    w->counts.visited += (w->raw.size - f->raw) + w->scratch.size;
    truncate_raw(w, f->raw);
    bool shown = false;
    for (size_t i = 0; i < w->scratch.size && !shown; i++) shown = w->scratch.data[i] != PROSE_DROPPED;
    w->counts.kept_templates += shown;
    if (shown) strbuf_append(&w->raw, w->scratch.data, w->scratch.size);
    else strbuf_putc(&w->raw, PROSE_DROPPED);
}

/* ---- links ---- */

/* "[[File:" and what else a page does not show in its text. Languages are two or three letters, or such with a part behind '-'. */
static bool is_hidden_prefix(const char *prefix, size_t bytes) {
    static const char *const names[] = {"file",     "image",        "category",   "media",   "simple",   "bat-smg",
                                        "be-x-old", "cbk-zam",      "fiu-vro",    "map-bms", "nds-nl",   "roa-rup",
                                        "roa-tara", "zh-classical", "zh-min-nan", "zh-yue",  "be-tarask"};
    char lowered[16];
    if (bytes == 0 || bytes >= sizeof lowered) return false;
    bool language = bytes == 2 || bytes == 3;
    for (size_t i = 0; i < bytes; i++) {
        lowered[i] = lower(prefix[i]);
        language = language && prefix[i] >= 'a' && prefix[i] <= 'z';
    }
    lowered[bytes] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(lowered, names[i]) == 0) return true;
    return language;
}

/* The bytes of "prefix" in "prefix:..."; 0: there is none. */
static size_t prefix_bytes(const char *text, size_t begin, size_t end) {
    enum { LONGEST = 24 };
    size_t at = begin;
    while (at < end && at - begin < LONGEST &&
           (text[at] == '-' || text[at] == ' ' || (lower(text[at]) >= 'a' && lower(text[at]) <= 'z')))
        at++;
    return at < end && text[at] == ':' ? at - begin : 0;
}

size_t wikitext_url_bytes(const char *text, size_t bytes) {
    static const char *const protocols[] = {
        "http://", "https://", "//", "ftp://", "mailto:", "news:", "irc://", "gopher://", "sftp://"};
    size_t at = 0;
    for (size_t i = 0; at == 0 && i < sizeof protocols / sizeof *protocols; i++) {
        const size_t n = strlen(protocols[i]);
        if (bytes > n && (text[0] | 0x20) == protocols[i][0] && strncasecmp(text, protocols[i], n) == 0) at = n;
    }
    if (at == 0) return 0;
    while (at < bytes && (unsigned char)text[at] > ' ' && !strchr("[]<>{}\"|", text[at])) at++;
    return at;
}

size_t wikitext_begin_link(wikitext *w, const wikitext_span *span) {
    const size_t close = span->end - 2;
    size_t at = skip_blanks(w->text, span->begin + 2, close);
    const bool colon = at < close && w->text[at] == ':';
    if (colon) at = skip_blanks(w->text, at + 1, close);
    size_t n = prefix_bytes(w->text, at, close);
    while (n && w->text[at + n - 1] == ' ') n--;
    if (!colon && is_hidden_prefix(w->text + at, n)) {
        w->counts.files++;
        return drop(w, span);
    }
    if (w->depth == WIKITEXT_MAX_DEPTH) return drop(w, span);
    const size_t url = wikitext_url_bytes(w->text + at, close - at);
    writer_frame *f = push_frame(w, FRAME_LINK, close);
    f->target_begin = at;
    f->target_end = close;
    f->has_text = url != 0; /* an external link in two brackets */
    f->broken = false;
    if (url) f->target_begin = f->target_end = at;
    return at + url;
}

/* [[Namespace:Name (of a kind)|]] and [[Name, Place|]]: "Name". */
static void write_pipe_trick(wikitext *w, const writer_frame *f) {
    const char *text = w->text;
    size_t begin = f->target_begin, end = f->target_end;
    const size_t n = prefix_bytes(text, begin, end);
    if (n) begin += n + 1;
    const char *parenthesis = memchr(text + begin, '(', end - begin), *comma = memchr(text + begin, ',', end - begin);
    if (parenthesis && text[end - 1] == ')') end = (size_t)(parenthesis - text);
    else if (comma) end = (size_t)(comma - text);
    while (end > begin && text[end - 1] == ' ') end--;
    w->counts.visited += f->target_end - f->target_begin;
    for (size_t i = begin; i < end; i++) {
        const bool control = (unsigned char)text[i] < ' ' || text[i] == 0x7F;
        strbuf_putc(&w->raw, (char)(control ? ' ' : text[i]));
    }
}

static void end_link(wikitext *w, writer_frame *f) {
    if (f->broken) w->counts.unbalanced++;
    else w->counts.links++;
    if (f->has_text && w->raw.size == f->raw) write_pipe_trick(w, f);
}

/* ---- both ---- */

void wikitext_frame_pipe(wikitext *w, size_t at) {
    writer_frame *f = top(w);
    if (f->kind == FRAME_TEMPLATE) {
        end_argument(w, f, at);
    } else if (!f->has_text && !f->broken) {
        f->has_text = true;
        f->target_end = at;
        truncate_raw(w, f->raw);
    } else {
        strbuf_putc(&w->raw, '|');
    }
}

void wikitext_frame_end(wikitext *w, size_t at) {
    writer_frame *f = top(w);
    if (f->kind == FRAME_TEMPLATE) end_template(w, f, at);
    else end_link(w, f);
    w->depth--;
}
