/*
 * How fast raw text becomes sentences, on one thread:
 *
 *   bench_corpus [FILE [ROUNDS]]
 *
 * FILE is a dump of Wikipedia (plain or compressed), or a text in wikitext; without one, or with "-", a text is generated. Prints a line
 * for each stage: the bytes that go in, and the fastest of ROUNDS runs (7) in MB/s (other work on the machine only ever adds).
 *
 *   file to documents    decompression, XML and wikitext together, as a corpus is read; for a FILE
 *   wikitext to prose
 *   prose to sentences
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/data/corpus.h"
#include "frontend/data/decompress.h"
#include "frontend/data/html_entities.h"
#include "frontend/data/sentences.h"
#include "frontend/data/wikitext.h"
#include "ir/support/file_map.h"
#include "ir/support/rng.h"

#define GENERATED_BYTES ((size_t)16 << 20)
#define BLOCK_BYTES ((size_t)1 << 20)

typedef struct bench {
    const char *path; /* NULL: none */
    strbuf wikitext;  /* of all pages */
    strbuf prose;
    wikitext *converter;
    sentence_splitter *splitter;
    diag_sink sink;
    uint64_t n_sentences, n_documents;
    uint64_t bytes; /* that the stage took in */
} bench;

static void print_diag(void *user, const diag *d) {
    (void)user;
    strbuf line = STRBUF_INIT;
    diag_render(d, &line);
    fputs(strbuf_str(&line), stderr);
    strbuf_free(&line);
}

/* ---- input ---- */

static uint64_t draw(rng_key key, uint64_t *at, uint64_t n) { return (uint64_t)(rng_uniform(key, (*at)++) * (double)n); }

static void put_word(rng_key key, uint64_t *at, strbuf *out) {
    for (uint64_t letters = 1 + draw(key, at, 9); letters > 0; letters--) strbuf_putc(out, (char)('a' + draw(key, at, 26)));
}

/* Paragraphs of sentences with links, references, templates and quotes about as often as articles have them. */
static void generate(strbuf *out) {
    const rng_key key = rng_key_make(1, "wikitext");
    uint64_t at = 0;
    while (out->size < GENERATED_BYTES && strbuf_ok(out)) {
        for (uint64_t n = 8 + draw(key, &at, 20); n > 0; n--) {
            const uint64_t kind = draw(key, &at, 40);
            if (kind < 3) strbuf_puts(out, "[[");
            put_word(key, &at, out);
            if (kind == 0) {
                strbuf_putc(out, '|');
                put_word(key, &at, out);
            }
            if (kind < 3) strbuf_puts(out, "]]");
            if (kind == 3) strbuf_puts(out, " ''x''");
            if (kind == 4)
                strbuf_puts(out, "<ref name=\"a\">{{cite web|url=http://example.org/a/b|title=Some title|date=2 May 2009}}</ref>");
            if (kind == 5) strbuf_puts(out, " {{convert|12|km|mi}}");
            if (kind == 6) strbuf_puts(out, "&nbsp;x");
            strbuf_putc(out, ' ');
        }
        strbuf_puts(out, draw(key, &at, 6) ? "Mr. X.\n" : "End.\n\n== Heading ==\n* item [[a]]\n\n");
    }
}

/* Appends the texts of a dump's pages. */
static void take_pages(const char *xml, strbuf *out) {
    for (const char *at = xml; (at = strstr(at, "<text")) && (at = strchr(at, '>'));) {
        const char *end = strstr(++at, "</text>");
        if (!end) return;
        strbuf_puts(out, "\n= Page =\n"); /* before the text, so that it is no #REDIRECT as a whole */
        while (at < end) {
            const char *entity = memchr(at, '&', (size_t)(end - at));
            strbuf_append(out, at, (size_t)((entity ? entity : end) - at));
            if (!entity) break;
            uint32_t c = '&';
            char utf8[4];
            const size_t n = html_entity_read(entity, (size_t)(end - entity), &c);
            strbuf_append(out, utf8, utf8_write(c, utf8));
            at = entity + (n ? n : 1);
        }
    }
}

/* Appends what the bytes decompress to. */
static pofac_status decompress(const bench *b, const file_map *map, compression kind, strbuf *out) {
    decompressor *d = NULL;
    char *block = malloc(BLOCK_BYTES);
    if (!block) return diag_out_of_memory(&b->sink);
    pofac_status status = decompressor_open(kind, map->data, map->size_bytes, &b->sink, &d);
    for (size_t got = 1; status == POFAC_OK && got > 0;) {
        status = decompressor_read(d, block, BLOCK_BYTES, &b->sink, &got);
        if (status == POFAC_OK) strbuf_append(out, block, got);
    }
    free(block);
    decompressor_close(d);
    return status;
}

static pofac_status read_file(bench *b) {
    file_map map;
    strbuf text = STRBUF_INIT;
    TRY(file_map_open(b->path, &b->sink, &map));
    const compression kind = compression_of(map.data, map.size_bytes);
    pofac_status status = POFAC_OK;
    if (kind == COMPRESSION_NONE) strbuf_append(&text, map.data, map.size_bytes);
    else status = decompress(b, &map, kind, &text);
    file_map_close(&map);
    if (strstr(strbuf_str(&text), "<mediawiki")) take_pages(strbuf_str(&text), &b->wikitext);
    else strbuf_append(&b->wikitext, strbuf_str(&text), text.size);
    if (status == POFAC_OK && !(strbuf_ok(&text) && strbuf_ok(&b->wikitext))) status = diag_out_of_memory(&b->sink);
    strbuf_free(&text);
    return status;
}

/* ---- stages ---- */

static pofac_status take_document(void *context, const corpus_document *document) {
    (void)document;
    ((bench *)context)->n_documents++;
    return POFAC_OK;
}

static pofac_status file_to_documents(bench *b) {
    corpus *c = NULL;
    corpus_part *part = NULL;
    corpus_counts counts = {0};
    TRY(corpus_open(&b->path, 1, NULL, &b->sink, &c));
    pofac_status status;
    while ((status = corpus_next_part(c, &b->sink, &part)) == POFAC_OK && part) {
        status = corpus_part_read(part, take_document, b, &b->sink, &counts);
        corpus_part_destroy(part);
        if (status != POFAC_OK) break;
    }
    corpus_close(c);
    b->bytes = counts.bytes;
    return status;
}

static pofac_status wikitext_stage(bench *b) {
    b->bytes = b->wikitext.size;
    strbuf_clear(&b->prose);
    return wikitext_to_prose(b->converter, strbuf_str(&b->wikitext), b->wikitext.size, &b->sink, &b->prose, NULL);
}

static pofac_status take_sentence(void *context, size_t begin, size_t end) {
    ((bench *)context)->n_sentences += end > begin;
    return POFAC_OK;
}

static pofac_status sentences_stage(bench *b) {
    b->bytes = b->prose.size;
    b->n_sentences = 0;
    return sentences_split(b->splitter, strbuf_str(&b->prose), b->prose.size, &b->sink, take_sentence, b);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pofac_status run_stage(bench *b, const char *name, pofac_status (*stage)(bench *), int rounds) {
    double best = 0;
    for (int i = 0; i < rounds; i++) {
        const double begin = seconds();
        TRY(stage(b));
        const double taken = seconds() - begin;
        if (i == 0 || taken < best) best = taken;
    }
    printf("%-20s %9.2f MB %9.1f MB/s\n", name, (double)b->bytes / 1e6, (double)b->bytes / best / 1e6);
    return POFAC_OK;
}

static pofac_status run(bench *b, int rounds) {
    if (b->path) TRY(read_file(b));
    else generate(&b->wikitext);
    if (!strbuf_ok(&b->wikitext)) return diag_out_of_memory(&b->sink);
    TRY(wikitext_create(NULL, &b->sink, &b->converter));
    TRY(sentence_splitter_create(NULL, &b->sink, &b->splitter));
    if (b->path) TRY(run_stage(b, "file to documents", file_to_documents, rounds));
    TRY(run_stage(b, "wikitext to prose", wikitext_stage, rounds));
    TRY(run_stage(b, "prose to sentences", sentences_stage, rounds));
    printf("%" PRIu64 " sentences\n", b->n_sentences);
    return POFAC_OK;
}

int main(int argc, char **argv) {
    bench b = {.path = argc > 1 && strcmp(argv[1], "-") != 0 ? argv[1] : NULL, .sink = {print_diag, NULL}};
    const int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (argc > 3 || rounds < 1) {
        fprintf(stderr, "usage: bench_corpus [FILE|- [ROUNDS]]\n");
        return POFAC_ERR_USAGE;
    }
    const pofac_status status = run(&b, rounds);
    wikitext_destroy(b.converter);
    sentence_splitter_destroy(b.splitter);
    strbuf_free(&b.wikitext);
    strbuf_free(&b.prose);
    return (int)status;
}
