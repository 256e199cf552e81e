/*
 * Wikitext to prose in three walks: brackets find their partners (wikitext_spans.h), text is written with its markup taken away
 * (wikitext_lines.c), and what that leaves behind is tidied up (prose_tidy.h).
 */
#include "frontend/data/wikitext.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "frontend/data/prose_tidy.h"
#include "frontend/data/wikitext_writer.h"

pofac_status wikitext_create(const wikitext_options *options, const diag_sink *sink, wikitext **out) {
    *out = calloc(1, sizeof **out);
    if (!*out) return diag_out_of_memory(sink);
    if (options) (*out)->options = *options;
    return POFAC_OK;
}

void wikitext_destroy(wikitext *w) {
    if (!w) return;
    wikitext_spans_free(&w->spans);
    strbuf_free(&w->raw);
    strbuf_free(&w->scratch);
    free(w);
}

static bool is_redirect(const char *text, size_t bytes) {
    static const char word[] = "#redirect";
    while (bytes && (*text == ' ' || *text == '\n' || *text == '\t' || *text == '\r')) text++, bytes--;
    return bytes >= sizeof word - 1 && strncasecmp(text, word, sizeof word - 1) == 0;
}

static bool write_prose(wikitext *w, strbuf *prose) {
    if (!wikitext_spans_find(&w->spans, w->text, w->bytes)) return false;
    w->counts.unbalanced = w->spans.unbalanced;
    w->counts.visited = w->spans.visited + w->bytes;
    strbuf_clear(&w->raw);
    w->next_span = w->depth = w->external = w->n_blocks = 0;
    w->level = 0;
    wikitext_write_lines(w);
    if (!strbuf_ok(&w->raw)) return false;
    w->counts.visited += w->raw.size;
    const size_t before = prose->size;
    w->counts.paragraphs = prose_tidy(strbuf_str(&w->raw), w->raw.size, prose);
    if (!strbuf_ok(prose)) {
        if (prose->data) prose->data[prose->size = before] = 0;
        return false;
    }
    w->counts.prose_bytes = prose->size - before;
    return true;
}

pofac_status wikitext_to_prose(wikitext *w, const char *text, size_t bytes, const diag_sink *sink, strbuf *prose,
                               wikitext_counts *counts) {
    if (bytes >= WIKITEXT_MAX_BYTES)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "wikitext of %zu bytes, wanted less than %u", bytes,
                          (unsigned)WIKITEXT_MAX_BYTES);
    w->text = text;
    w->bytes = bytes;
    w->counts = (wikitext_counts){.bytes = bytes};
    if (is_redirect(text, bytes)) w->counts.redirects = 1;
    else if (!write_prose(w, prose)) return diag_out_of_memory(sink);
    if (counts) *counts = w->counts;
    return POFAC_OK;
}

void wikitext_counts_add(wikitext_counts *total, const wikitext_counts *counts) {
    total->bytes += counts->bytes;
    total->prose_bytes += counts->prose_bytes;
    total->visited += counts->visited;
    total->paragraphs += counts->paragraphs;
    total->sections += counts->sections;
    total->dropped_sections += counts->dropped_sections;
    total->templates += counts->templates;
    total->kept_templates += counts->kept_templates;
    total->links += counts->links;
    total->files += counts->files;
    total->tables += counts->tables;
    total->elements += counts->elements;
    total->unbalanced += counts->unbalanced;
    total->redirects += counts->redirects;
    total->disambiguations += counts->disambiguations;
}
