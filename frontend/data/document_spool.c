/* Spools of documents; see document_spool.h. */
#include "frontend/data/document_spool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/block_file.h"

typedef struct spool_info {
    uint64_t first, n_documents, n_sentences, n_tokens;
    uint64_t token_bytes;
} spool_info;

static const block_file_kind spool_kind = {.magic = {'P', 'O', 'F', 'A', 'C', 'D', 'O', 'C'},
                                           .version = SPOOL_VERSION,
                                           .name = "spool of documents",
                                           .n_sections = 3,
                                           .info_bytes = sizeof(spool_info)};

typedef struct spool {
    block_file *file;
    const spool_info *info;
    const spool_begin *begins;
    const uint32_t *lengths;
    const unsigned char *tokens;
} spool;

struct document_spools {
    spool *spools;
    size_t n, token_bytes;
    uint64_t n_documents;
};

/* ---- lists ---- */

void document_list_free(document_list *l) {
    VEC_FREE(&l->begins);
    VEC_FREE(&l->lengths);
    VEC_FREE(&l->tokens);
}

void document_list_clear(document_list *l) { l->begins.size = l->lengths.size = l->tokens.size = 0; }

bool document_list_begin(document_list *l, size_t token_bytes) {
    return VEC_PUSH(&l->begins, ((spool_begin){l->tokens.size / token_bytes, l->lengths.size}));
}

bool document_list_add_token(document_list *l, size_t token_bytes, int32_t id) {
    const uint16_t narrow = (uint16_t)id;
    if (!VEC_RESERVE(&l->tokens, l->tokens.size + token_bytes)) return false;
    memcpy(l->tokens.data + l->tokens.size, token_bytes == 2 ? (const void *)&narrow : (const void *)&id, token_bytes);
    l->tokens.size += token_bytes;
    return true;
}

bool document_list_add_sentence(document_list *l, size_t n) { return n == 0 || VEC_PUSH(&l->lengths, (uint32_t)n); }

bool document_list_end(document_list *l) {
    if (l->begins.data[l->begins.size - 1].sentence < l->lengths.size) return true;
    l->begins.size--;
    return false;
}

bool document_list_append(document_list *l, const document_list *more, size_t token_bytes) {
    const spool_begin shift = {l->tokens.size / token_bytes, l->lengths.size};
    if (!VEC_RESERVE(&l->begins, l->begins.size + more->begins.size) ||
        !VEC_RESERVE(&l->lengths, l->lengths.size + more->lengths.size) ||
        !VEC_RESERVE(&l->tokens, l->tokens.size + more->tokens.size))
        return false;
    for (size_t i = 0; i < more->begins.size; i++) {
        const spool_begin b = more->begins.data[i];
        l->begins.data[l->begins.size++] = (spool_begin){b.token + shift.token, b.sentence + shift.sentence};
    }
    if (more->lengths.size)
        memcpy(l->lengths.data + l->lengths.size, more->lengths.data, more->lengths.size * sizeof *more->lengths.data);
    if (more->tokens.size) memcpy(l->tokens.data + l->tokens.size, more->tokens.data, more->tokens.size);
    l->lengths.size += more->lengths.size;
    l->tokens.size += more->tokens.size;
    return true;
}

/* ---- files ---- */

pofac_status document_spool_write(const char *path, size_t token_bytes, uint64_t first, const document_list *list,
                                  const diag_sink *sink) {
    const size_t n = list->begins.size;
    spool_begin *begins = malloc((n + 1) * sizeof *begins);
    if (!begins) return diag_out_of_memory(sink);
    if (n) memcpy(begins, list->begins.data, n * sizeof *begins);
    begins[n] = (spool_begin){list->tokens.size / token_bytes, list->lengths.size};
    const spool_info info = {first, n, list->lengths.size, list->tokens.size / token_bytes, token_bytes};
    const block_file_section sections[3] = {{begins, (n + 1) * sizeof *begins},
                                            {list->lengths.data, list->lengths.size * sizeof *list->lengths.data},
                                            {list->tokens.data, list->tokens.size}};
    pofac_status status = block_file_write(path, &spool_kind, &info, sections, sink);
    free(begins);
    return status;
}

static pofac_status refuse(const spool *s, const char *what, const diag_sink *sink) {
    const diag_place place = {.file = block_file_path(s->file)};
    return diag_error(sink, POFAC_ERR_INPUT, &place, "%s", what);
}

static pofac_status open_spool(const char *path, size_t token_bytes, uint64_t first, const diag_sink *sink, spool *s) {
    TRY(block_file_open(path, &spool_kind, sink, &s->file));
    const spool_info *i = s->info = block_file_info(s->file);
    const block_file_section begins = block_file_get(s->file, 0), lengths = block_file_get(s->file, 1),
                             tokens = block_file_get(s->file, 2);
    if (i->first != first) return refuse(s, "it does not follow on the spool before it", sink);
    if (i->token_bytes != token_bytes) return refuse(s, "its ids have another width than the vocabulary's", sink);
    if (begins.bytes / sizeof *s->begins != i->n_documents + 1 || begins.bytes % sizeof *s->begins ||
        i->n_documents == UINT64_MAX || lengths.bytes / sizeof *s->lengths != i->n_sentences ||
        lengths.bytes % sizeof *s->lengths || tokens.bytes / token_bytes != i->n_tokens || tokens.bytes % token_bytes)
        return refuse(s, "its counts do not agree with its size", sink);
    s->begins = begins.data;
    s->lengths = lengths.data;
    s->tokens = tokens.data;
    return POFAC_OK;
}

pofac_status document_spools_open(const char *const *paths, size_t n, size_t token_bytes, const diag_sink *sink,
                                  document_spools **out) {
    *out = NULL;
    document_spools *s = calloc(1, sizeof *s);
    if (s) s->spools = calloc(n ? n : 1, sizeof *s->spools);
    if (!s || !s->spools) {
        free(s);
        return diag_out_of_memory(sink);
    }
    s->token_bytes = token_bytes;
    pofac_status status = POFAC_OK;
    for (; status == POFAC_OK && s->n < n; s->n++) {
        status = open_spool(paths[s->n], token_bytes, s->n_documents, sink, &s->spools[s->n]);
        if (status == POFAC_OK) s->n_documents += s->spools[s->n].info->n_documents;
    }
    if (status == POFAC_OK) *out = s;
    else document_spools_close(s);
    return status;
}

void document_spools_close(document_spools *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) block_file_close(s->spools[i].file);
    free(s->spools);
    free(s);
}

uint64_t document_spools_size(const document_spools *s) { return s->n_documents; }

/* The spool that document i is in. */
static const spool *find_spool(const document_spools *s, uint64_t i) {
    size_t low = 0, high = s->n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (s->spools[middle].info->first <= i) low = middle;
        else high = middle;
    }
    return &s->spools[low];
}

/* Document i of its spool: where it and the one behind it begin. */
static pofac_status find_begin(const spool *p, uint64_t i, const diag_sink *sink, const spool_begin **out) {
    const spool_begin *begin = &p->begins[i - p->info->first], *end = begin + 1;
    TRY(block_file_need(p->file, begin, 2 * sizeof *begin, sink));
    if (begin->token >= end->token || end->token > p->info->n_tokens || begin->sentence >= end->sentence ||
        end->sentence > p->info->n_sentences)
        return refuse(p, "where its documents begin is out of order", sink);
    *out = begin;
    return POFAC_OK;
}

pofac_status document_spools_get(const document_spools *s, uint64_t i, const diag_sink *sink, pair_document *out) {
    const spool *p = find_spool(s, i);
    const spool_begin *begin;
    TRY(find_begin(p, i, sink, &begin));
    *out = (pair_document){.tokens = p->tokens + begin->token * s->token_bytes,
                           .lengths = p->lengths + begin->sentence,
                           .n_sentences = (size_t)(begin[1].sentence - begin->sentence),
                           .n_tokens = (size_t)(begin[1].token - begin->token)};
    TRY(block_file_need(p->file, out->lengths, out->n_sentences * sizeof *out->lengths, sink));
    TRY(block_file_need(p->file, out->tokens, out->n_tokens * s->token_bytes, sink));
    uint64_t sum = 0;
    for (size_t k = 0; k < out->n_sentences; k++) {
        if (out->lengths[k] == 0) return refuse(p, "found a sentence without tokens", sink);
        sum += out->lengths[k];
    }
    return sum == out->n_tokens ? POFAC_OK : refuse(p, "the lengths of a document's sentences do not add up", sink);
}

pofac_status document_spools_measure(const document_spools *s, uint64_t i, const diag_sink *sink, size_t *n_tokens) {
    const spool *p = find_spool(s, i);
    const spool_begin *begin;
    TRY(find_begin(p, i, sink, &begin));
    *n_tokens = (size_t)(begin[1].token - begin->token);
    return POFAC_OK;
}

void document_spools_release(const document_spools *s, uint64_t begin, uint64_t end) {
    while (begin < end) {
        const spool *p = find_spool(s, begin);
        const uint64_t last = p->info->first + p->info->n_documents, until = last < end ? last : end;
        const spool_begin *b = &p->begins[begin - p->info->first], *e = &p->begins[until - p->info->first];
        block_file_release(p->file, p->tokens + b->token * s->token_bytes, (size_t)(e->token - b->token) * s->token_bytes);
        block_file_release(p->file, p->lengths + b->sentence, (size_t)(e->sentence - b->sentence) * sizeof *p->lengths);
        if (until <= begin) return;
        begin = until;
    }
}
