/* Files of corpora, and what is read from them. */
#include "tests/unit/data/corpus_case.h"

#include <bzlib.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>
#include <libxml/parser.h>
#include <libxml/xmlmemory.h>

static void *counted_malloc(size_t n) { return malloc(n); }
static void *counted_realloc(void *p, size_t n) { return realloc(p, n); }
static char *counted_strdup(const char *text) { return strdup(text); }
static void counted_free(void *p) { free(p); }

int corpus_set_up(void **state) {
    static char directory[] = "/tmp/pofac-corpus-XXXXXX";
    if (!mkdtemp(directory)) return -1;
    if (xmlMemSetup(counted_free, counted_malloc, counted_realloc, counted_strdup) != 0) return -1;
    xmlInitParser(); /* what it allocates once is none of a test's */
    *state = directory;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

int corpus_tear_down(void **state) { return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

const char *corpus_path_of(void **state, const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s%s%s", (const char *)*state, *name ? "/" : "", name);
    return path;
}

void put_corpus_file(void **state, const char *name, const void *bytes, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s", corpus_path_of(state, name));
    for (char *slash = path + strlen(*state) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0777);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(n ? bytes : "", 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void put_corpus_text(void **state, const char *name, const char *text) { put_corpus_file(state, name, text, strlen(text)); }

static size_t pack_member(compression kind, const char *bytes, size_t n, char *out, size_t room) {
    if (kind == COMPRESSION_BZIP2) {
        unsigned got = (unsigned)room;
        assert_int_equal(BZ2_bzBuffToBuffCompress(out, &got, (char *)(uintptr_t)bytes, (unsigned)n, 1, 0, 0), BZ_OK);
        return got;
    }
    if (kind == COMPRESSION_ZSTD) {
        const size_t got = ZSTD_compress(out, room, bytes, n, 1);
        assert_false(ZSTD_isError(got));
        return got;
    }
    z_stream s = {.next_in = (unsigned char *)(uintptr_t)bytes,
                  .avail_in = (unsigned)n,
                  .next_out = (unsigned char *)out,
                  .avail_out = (unsigned)room};
    assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return room - s.avail_out;
}

strbuf packed(compression kind, const void *bytes, size_t n, size_t member_bytes) {
    strbuf out = STRBUF_INIT;
    if (member_bytes == 0) member_bytes = n ? n : 1;
    const size_t room = member_bytes + member_bytes / 50 + 1000; /* what libbz2 asks for, the others ask for less */
    char *member = malloc(room);
    assert_non_null(member);
    size_t at = 0;
    do {
        const size_t now = n - at < member_bytes ? n - at : member_bytes;
        if (kind == COMPRESSION_NONE) strbuf_append(&out, (const char *)bytes + at, now);
        else strbuf_append(&out, member, pack_member(kind, (const char *)bytes + at, now, member, room));
        at += now;
    } while (at < n);
    free(member);
    assert_true(strbuf_ok(&out));
    return out;
}

static pofac_status take(void *context, const corpus_document *document) {
    strbuf *out = context;
    assert_true(document->text_bytes > 0 && document->text[document->text_bytes - 1] == '\n');
    strbuf_append(out, document->title, document->title_bytes);
    strbuf_putc(out, '|');
    const size_t begin = out->size;
    strbuf_append(out, document->text, document->text_bytes);
    for (size_t i = begin; i < out->size; i++)
        if (out->data[i] == '\n') out->data[i] = '|';
    strbuf_putc(out, '\n');
    return POFAC_OK;
}

static void cut_directory(void **state, strbuf *text) {
    char directory[512];
    snprintf(directory, sizeof directory, "%s", (const char *)*state);
    const size_t n = strlen(directory);
    for (char *at = text->data; at && (at = strstr(at, directory));) {
        const size_t cut = n + (at[n] == '/');
        memmove(at, at + cut, strlen(at + cut) + 1);
    }
    text->size = strlen(strbuf_str(text));
}

corpus_outcome read_corpus(void **state, const char *name, const corpus_options *options) {
    corpus_outcome o = {.documents = STRBUF_INIT, .messages = STRBUF_INIT};
    const diag_sink sink = diag_sink_to_strbuf(&o.messages);
    const char *path = corpus_path_of(state, name);
    corpus *c = NULL;
    corpus_part *part = NULL;
    o.status = corpus_open(&path, 1, options, &sink, &c);
    while (o.status == POFAC_OK) {
        o.status = corpus_next_part(c, &sink, &part);
        if (o.status != POFAC_OK || !part) break;
        o.n_parts++;
        o.status = corpus_part_read(part, take, &o.documents, &sink, &o.counts);
        corpus_part_destroy(part);
    }
    if (o.status == POFAC_OK) assert_int_equal(corpus_done_bytes(c), corpus_total_bytes(c));
    corpus_close(c);
    cut_directory(state, &o.messages);
    return o;
}

void outcome_free(corpus_outcome *o) {
    strbuf_free(&o->documents);
    strbuf_free(&o->messages);
}

void expect_documents(const char *where, const char *found, const char *wanted) {
    if (strcmp(found, wanted) == 0) return;
    size_t line = 1, begin = 0;
    for (size_t i = 0; found[i] == wanted[i]; i++)
        if (found[i] == '\n') line++, begin = i + 1;
    fail_msg("%s: document %zu: found  %.*s\nwanted %.*s", where, line, (int)strcspn(found + begin, "\n"), found + begin,
             (int)strcspn(wanted + begin, "\n"), wanted + begin);
}

static void expect_counts(const char *where, const corpus_counts *found, const corpus_counts *wanted) {
#define COUNT_COMPARE(name, meaning)                                                                                               \
    if (found->name != wanted->name) fail_msg("%s: found %" PRIu64 " " #name ", wanted %" PRIu64, where, found->name, wanted->name);
    CORPUS_COUNTS(COUNT_COMPARE)
#undef COUNT_COMPARE
}

void expect_corpus(void **state, const char *name, const corpus_options *options, pofac_status status, const char *documents,
                   const char *messages, corpus_counts counts) {
    corpus_outcome o = read_corpus(state, name, options);
    assert_string_equal(strbuf_str(&o.messages), messages);
    expect_documents(name, strbuf_str(&o.documents), documents);
    assert_int_equal(o.status, status);
    o.counts.bytes = o.counts.text_bytes = 0;
    expect_counts(name, &o.counts, &counts);
    outcome_free(&o);
}
