/* Columns to sentences; see conll_sentence.h. */
#include "frontend/data/conll_sentence.h"

#include <string.h>

static const char blanks[] = " \t";

static void begin(conll_sentence *s) {
    arena_free(&s->memory);
    s->words.size = s->tags.size = 0;
    s->line = s->bytes = 0;
}

void conll_sentence_free(conll_sentence *s) {
    arena_free(&s->memory);
    VEC_FREE(&s->words);
    VEC_FREE(&s->tags);
}

/* Column `wanted` of the line (the last for CONLL_LAST_COLUMN), and how many there are. */
static size_t find_column(const char *line, int wanted, const char **column, size_t *n) {
    size_t count = 0;
    for (const char *at = line + strspn(line, blanks); *at; at += strspn(at, blanks)) {
        size_t bytes = strcspn(at, blanks);
        if (wanted == CONLL_LAST_COLUMN || count == (size_t)wanted) *column = at, *n = bytes;
        at += bytes;
        count++;
    }
    return count;
}

static pofac_status take(conll_sentence *s, const char *text, size_t n, const diag_sink *sink, const char **out) {
    *out = arena_strndup(&s->memory, text, n);
    return *out ? POFAC_OK : diag_out_of_memory(sink);
}

/* One line with a word. */
static pofac_status add_word(conll_sentence *s, const char *line, size_t n, const diag_place *place, int label_column,
                             const diag_sink *sink, bool *in_row) {
    const char *word = line, *tag = NULL;
    size_t word_bytes = 0, tag_bytes = 0, n_columns = find_column(line, 0, &word, &word_bytes);
    *in_row = true;
    if (memchr(line, 0, n)) return diag_error(sink, POFAC_ERR_INPUT, place, "found a NUL byte, wanted text");
    if (s->n_columns == 0) s->n_columns = n_columns;
    if (n_columns != s->n_columns)
        return diag_error(sink, POFAC_ERR_INPUT, place, "found %zu columns, wanted %zu, as the first line has", n_columns,
                          s->n_columns);
    if (label_column != CONLL_LAST_COLUMN && (label_column < 0 || (size_t)label_column >= n_columns))
        return diag_error(sink, POFAC_ERR_INPUT, place, "found %zu columns, wanted labels in column %d", n_columns,
                          label_column + 1);
    if (s->words.size == CONLL_MAX_WORDS || (s->bytes += n) > CONLL_MAX_BYTES)
        return diag_error(sink, POFAC_ERR_INPUT, place, "found a sentence of more than %zu words or %zu bytes, wanted shorter ones",
                          CONLL_MAX_WORDS, CONLL_MAX_BYTES);
    *in_row = false;
    TRY(take(s, word, word_bytes, sink, &word));
    if (!VEC_PUSH(&s->words, word)) return diag_out_of_memory(sink);
    if (n_columns < 2) return POFAC_OK;
    (void)find_column(line, label_column, &tag, &tag_bytes);
    TRY(take(s, tag, tag_bytes, sink, &tag));
    return VEC_PUSH(&s->tags, tag) ? POFAC_OK : diag_out_of_memory(sink);
}

/* After a wrong line: the lines up to the sentence's end. */
static pofac_status pass_over_rest(text_lines *lines, const diag_sink *sink) {
    char *line;
    size_t n;
    do {
        TRY(text_lines_next(lines, sink, &line, &n));
    } while (line && line[strspn(line, blanks)]);
    return POFAC_OK;
}

pofac_status conll_sentence_next(conll_sentence *s, text_lines *lines, const char *path, int label_column, const diag_sink *sink,
                                 bool *in_row) {
    static const char document[] = "-DOCSTART-";
    begin(s);
    *in_row = false;
    for (;;) {
        char *line;
        size_t n = 0;
        TRY(text_lines_next(lines, sink, &line, &n));
        if (!line) return POFAC_OK;
        const size_t from = strspn(line, blanks);
        const diag_place place = {.file = path, .line = (uint32_t)text_lines_line(lines)};
        bool is_blank = from == n, is_document = strncmp(line + from, document, strlen(document)) == 0;
        if ((is_blank || is_document) && s->words.size > 0) return POFAC_OK;
        if (is_blank || is_document) continue;
        if (s->words.size == 0) s->line = place.line;
        pofac_status status = add_word(s, line, n, &place, label_column, sink, in_row);
        if (status == POFAC_OK) continue;
        if (!*in_row) return status;
        pofac_status rest = pass_over_rest(lines, sink);
        *in_row = rest == POFAC_OK;
        return rest == POFAC_OK ? status : rest;
    }
}
