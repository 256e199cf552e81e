/*
 * Files -> parts. A file is mapped. What is not compressed is cut in place: a part ends where a document may begin, at the first
 * such place from part_bytes on. A bzip2 dump is cut every part_bytes of the file, wherever that is: a part has the pages that
 * begin in blocks that begin in its range (dump_reader.c). Everything else is decompressed here, in order, and cut as the first
 * kind is.
 *
 * Places where documents begin are found by the kind's `cut`. A decompressed document that grows beyond max_document_bytes is
 * handed out as it is by then, which its reader finds to be too large, and what follows is dropped up to the next such place.
 */
#include "frontend/data/corpus.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/bz2_blocks.h"
#include "frontend/data/corpus_files.h"
#include "frontend/data/corpus_reader.h"
#include "frontend/data/decompress.h"

enum {
    READ_BYTES = 256 << 10,   /* decompressed at a time */
    CONTEXT_BYTES = 64 << 10, /* that `cut` may look back on while bytes are dropped */
    HEAD_BYTES = 4096,        /* shown to `recognises` */
    SHOWN_BYTES = 40          /* of them in messages */
};

#define MAX_DOCUMENT_BYTES ((size_t)1 << 30) /* libxml2 and libbz2 count in 31 and 32 bits */

typedef struct kind_row {
    const char *name, *meaning;
    const corpus_reader *reader;
} kind_row;

static const kind_row kinds[] = {
#define CORPUS(id, meaning) {#id, meaning, &corpus_reader_##id},
#include "frontend/corpora.def"
#undef CORPUS
};

#define N_KINDS (sizeof kinds / sizeof kinds[0])

struct corpus {
    corpus_paths paths;
    size_t next_path;
    size_t part_bytes, max_document_bytes;
    bool skip_damage;
    const corpus_reader *fixed; /* the kind that was asked for; or NULL */
    uint64_t total_bytes, done_bytes;

    corpus_file *file; /* at hand; or NULL */
    const corpus_reader *reader;
    bool is_bz2_range;    /* its parts are ranges of a bzip2 file */
    bool has_parts;       /* one of its parts was given out */
    size_t offset;        /* in the mapping: everything before it was given out, or decompressed */
    uint64_t line;        /* of the next part's first byte */
    decompressor *stream; /* or NULL */
    strbuf buffer;        /* decompressed and not yet given out */
    bool at_end;          /* of the stream */
    bool dropping;        /* what is in the buffer belongs to a document that was too large */
    bool has_lost_end;    /* the last document of the stream was too large */
    corpus_counts found;  /* to be handed out with the next part */
};

/* ---- counts ---- */

void corpus_counts_add(corpus_counts *total, const corpus_counts *more) {
#define COUNT_ADD(name, meaning) total->name += more->name;
    CORPUS_COUNTS(COUNT_ADD)
#undef COUNT_ADD
}

void corpus_counts_put(const corpus_counts *counts, strbuf *out) {
#define COUNT_PUT(name, meaning)                                                                                                   \
    if (counts->name) strbuf_printf(out, "%" PRIu64 " %s\n", counts->name, meaning);
    CORPUS_COUNTS(COUNT_PUT)
#undef COUNT_PUT
}

static bool counts_are_zero(const corpus_counts *counts) {
    uint64_t any = 0;
#define COUNT_OR(name, meaning) any |= counts->name;
    CORPUS_COUNTS(COUNT_OR)
#undef COUNT_OR
    return any == 0;
}

/* ---- opening ---- */

static pofac_status find_kind(const char *name, const diag_sink *sink, const corpus_reader **out) {
    const char *names[N_KINDS + 1] = {NULL};
    *out = NULL;
    if (!name) return POFAC_OK;
    for (size_t i = 0; i < N_KINDS; i++) {
        names[i] = kinds[i].name;
        if (strcmp(name, kinds[i].name) == 0) *out = kinds[i].reader;
    }
    if (*out) return POFAC_OK;
    const char *nearest = diag_nearest(name, names, N_KINDS);
    return diag_error(sink, POFAC_ERR_USAGE, NULL, "found \"%s\", wanted a kind of corpus%s%s%s", name,
                      nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

pofac_status corpus_open(const char *const *paths, size_t n_paths, const corpus_options *options, const diag_sink *sink,
                         corpus **out) {
    const corpus_options o = options ? *options : (corpus_options){0};
    const corpus_reader *fixed = NULL;
    *out = NULL;
    if (n_paths == 0) return diag_error(sink, POFAC_ERR_USAGE, NULL, "found no file, wanted at least one to read a corpus from");
    if (o.max_document_bytes > MAX_DOCUMENT_BYTES)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found %zu bytes for the largest document, wanted at most %zu",
                          o.max_document_bytes, MAX_DOCUMENT_BYTES);
    TRY(find_kind(o.kind, sink, &fixed));
    corpus *c = calloc(1, sizeof *c);
    if (!c) return diag_out_of_memory(sink);
    *c = (corpus){.part_bytes = o.part_bytes ? o.part_bytes : CORPUS_PART_BYTES,
                  .max_document_bytes = o.max_document_bytes ? o.max_document_bytes : CORPUS_DOCUMENT_BYTES,
                  .skip_damage = o.skip_damage,
                  .fixed = fixed};
    if (c->part_bytes > MAX_DOCUMENT_BYTES) c->part_bytes = MAX_DOCUMENT_BYTES;
    pofac_status status = corpus_paths_find(paths, n_paths, sink, &c->paths);
    if (status != POFAC_OK) {
        free(c);
        return status;
    }
    for (size_t i = 0; i < c->paths.size; i++) c->total_bytes += c->paths.data[i].bytes;
    *out = c;
    return POFAC_OK;
}

/* ---- files ---- */

static void release_file(corpus_file *file) {
    if (!file || atomic_fetch_sub(&file->holders, 1) > 1) return;
    file_map_close(&file->map);
    free(file->path);
    free(file);
}

static void close_file(corpus *c) {
    decompressor_close(c->stream);
    release_file(c->file);
    c->stream = NULL;
    c->file = NULL;
    c->offset = 0;
    c->at_end = c->dropping = c->has_lost_end = c->has_parts = false;
    strbuf_clear(&c->buffer);
}

/* Damage that makes the rest of the file at hand unreadable. */
static pofac_status file_damage(corpus *c, const diag_sink *sink, const char *message) {
    const diag_place place = {.file = c->file->path};
    pofac_status status = POFAC_OK;
    if (c->skip_damage) {
        diag_warning(sink, &place, "%s", message);
        c->found.damages++;
    } else {
        status = diag_error(sink, POFAC_ERR_INPUT, &place, "%s", message);
    }
    c->done_bytes += c->file->map.size_bytes - c->offset;
    close_file(c);
    return status;
}

static pofac_status map_file(corpus *c, const diag_sink *sink) {
    const corpus_path *path = &c->paths.data[c->next_path++];
    corpus_file *file = calloc(1, sizeof *file);
    if (!file) return diag_out_of_memory(sink);
    file->from_directory = path->from_directory;
    atomic_init(&file->holders, 1);
    c->file = file;
    file->path = strdup(path->path);
    if (!file->path) return diag_out_of_memory(sink);
    return file_map_open(path->path, sink, &file->map);
}

/* The kind of the file at hand, in c->reader; NULL for a file of a directory that is no document of the kind that was asked for.
 * *fits is false where it does not begin as it must. */
static void recognise(corpus *c, const char *head, size_t n, bool *fits) {
    *fits = true;
    c->reader = c->fixed;
    for (size_t i = 0; !c->reader && i < N_KINDS; i++)
        if (kinds[i].reader->recognises(c->file, head, n)) c->reader = kinds[i].reader;
    if (!c->fixed || c->reader->recognises(c->file, head, n)) return;
    *fits = !c->reader->wanted || n == 0;
    if (c->reader->file_is_document && c->file->from_directory) c->reader = NULL;
}

/* Recognises the file at hand; c->file is NULL where that failed and damage is skipped. */
static pofac_status take_head(corpus *c, const char *head, size_t n, const diag_sink *sink) {
    bool fits = true;
    recognise(c, head, n, &fits);
    if (fits) return POFAC_OK;
    strbuf message = STRBUF_INIT;
    strbuf_puts(&message, "found ");
    strbuf_put_json(&message, head, n < SHOWN_BYTES ? n : SHOWN_BYTES);
    strbuf_printf(&message, " at the beginning, wanted %s", c->reader->wanted);
    const pofac_status status = strbuf_ok(&message) ? file_damage(c, sink, strbuf_str(&message)) : diag_out_of_memory(sink);
    strbuf_free(&message);
    return status;
}

/* A bzip2 file's head is its first block, whose checksum is looked at: a damaged one says nothing about the file. */
static pofac_status take_bz2_head(corpus *c, const diag_sink *sink) {
    bz2_file file;
    bz2_mark mark = {0, false};
    bz2_block_state state = BZ2_BLOCK_DAMAGED;
    strbuf block = STRBUF_INIT;
    uint64_t end = 0;
    pofac_status status = POFAC_OK;
    bz2_file_init(c->file->map.data, c->file->map.size_bytes, &file);
    if (bz2_next_mark(&file, 0, HEAD_BYTES * 8, &mark) && mark.is_block)
        status = bz2_block_decode(&file, mark.bit, sink, &block, &end, &state);
    if (status == POFAC_OK) status = take_head(c, strbuf_str(&block), block.size < HEAD_BYTES ? block.size : HEAD_BYTES, sink);
    strbuf_free(&block);
    return status;
}

/* Finds out what the file at hand is, and how it is read. */
static pofac_status look_at_head(corpus *c, const diag_sink *sink) {
    const unsigned char *bytes = c->file->map.data;
    const size_t n = c->file->map.size_bytes;
    const compression packing = compression_of(bytes, n);
    if (packing == COMPRESSION_NONE) return take_head(c, (const char *)bytes, n < HEAD_BYTES ? n : HEAD_BYTES, sink);
    if (packing == COMPRESSION_BZIP2) {
        TRY(take_bz2_head(c, sink));
        c->is_bz2_range = c->reader && c->reader->read_bz2;
        if (!c->file || c->is_bz2_range) return POFAC_OK;
    }
    char head[HEAD_BYTES];
    size_t got = 0;
    TRY(decompressor_open(packing, bytes, n, sink, &c->stream));
    TRY(decompressor_read(c->stream, head, sizeof head, sink, &got));
    c->at_end = got < sizeof head;
    strbuf_append(&c->buffer, head, got);
    if (!strbuf_ok(&c->buffer)) return diag_out_of_memory(sink);
    return packing == COMPRESSION_BZIP2 ? POFAC_OK : take_head(c, head, got, sink);
}

static bool is_empty(const corpus *c) {
    if (c->file->map.size_bytes == 0) return true;
    return c->stream && c->at_end && c->buffer.size == 0 && !decompressor_damage(c->stream);
}

/* The next file; leaves c->file NULL where damage was skipped, or a file that is none of the corpus. */
static pofac_status open_file(corpus *c, const diag_sink *sink) {
    c->is_bz2_range = false;
    c->line = 1;
    TRY(map_file(c, sink));
    TRY(look_at_head(c, sink));
    if (!c->file) return POFAC_OK;
    if (!c->reader) {
        c->done_bytes += c->file->map.size_bytes;
        close_file(c);
    } else if (is_empty(c) && !c->reader->file_is_document) {
        return file_damage(c, sink, "found an empty file, wanted text");
    }
    return POFAC_OK;
}

/* ---- parts ---- */

static pofac_status new_part(corpus *c, const diag_sink *sink, corpus_part **out) {
    corpus_part *part = calloc(1, sizeof *part);
    if (!part) return diag_out_of_memory(sink);
    *part = (corpus_part){.file = c->file,
                          .reader = c->reader,
                          .max_document_bytes = c->max_document_bytes,
                          .skip_damage = c->skip_damage,
                          .is_first = !c->has_parts,
                          .line = c->line,
                          .found = c->found};
    if (part->file) atomic_fetch_add(&part->file->holders, 1);
    c->found = (corpus_counts){0};
    c->has_parts = true;
    *out = part;
    return POFAC_OK;
}

static uint64_t count_newlines(const char *bytes, size_t n) {
    uint64_t count = 0;
    for (size_t i = 0; i < n; i++) count += bytes[i] == '\n';
    return count;
}

/* A range of the mapping up to `end`. */
static void set_range(corpus *c, corpus_part *part, size_t end) {
    part->begin = c->offset;
    part->end = end;
    c->done_bytes += end - c->offset;
    c->offset = end;
}

static pofac_status mapped_part(corpus *c, const diag_sink *sink, corpus_part **out) {
    const char *bytes = (const char *)c->file->map.data;
    const size_t n = c->file->map.size_bytes;
    size_t end = n - c->offset > c->part_bytes ? c->offset + c->part_bytes : n;
    if (end < n && !c->is_bz2_range) {
        end = c->reader->cut(bytes, n, end);
        if (end == CORPUS_NO_CUT) end = n;
    }
    TRY(new_part(c, sink, out));
    corpus_part *part = *out;
    set_range(c, part, end);
    part->is_last = end == n;
    if (!c->is_bz2_range) {
        part->bytes = n > 0 ? bytes + part->begin : "";
        part->n_bytes = part->end - part->begin;
        c->line += count_newlines(part->bytes, part->n_bytes);
    }
    if (part->is_last) close_file(c);
    return POFAC_OK;
}

/* Decompresses more into the buffer. */
static pofac_status read_more(corpus *c, const diag_sink *sink) {
    char bytes[READ_BYTES / 4];
    for (int i = 0; i < 4 && !c->at_end; i++) {
        size_t got = 0;
        TRY(decompressor_read(c->stream, bytes, sizeof bytes, sink, &got));
        c->at_end = got < sizeof bytes;
        strbuf_append(&c->buffer, bytes, got);
    }
    return strbuf_ok(&c->buffer) ? POFAC_OK : diag_out_of_memory(sink);
}

static void drop_front(strbuf *buffer, size_t n) {
    if (n == 0) return;
    memmove(buffer->data, buffer->data + n, buffer->size - n);
    buffer->size -= n;
    buffer->data[buffer->size] = 0;
}

/* Drops the rest of a document that was too large. */
static pofac_status drop_document(corpus *c, const diag_sink *sink) {
    while (c->dropping) {
        const size_t cut = c->reader->cut(c->buffer.data, c->buffer.size, 0);
        size_t n = c->buffer.size > CONTEXT_BYTES ? c->buffer.size - CONTEXT_BYTES : 0;
        if (cut != CORPUS_NO_CUT) n = cut;
        else if (c->at_end) n = c->buffer.size;
        c->dropping = cut == CORPUS_NO_CUT && !c->at_end;
        c->has_lost_end = cut == CORPUS_NO_CUT && c->at_end;
        c->found.bytes += n;
        c->line += count_newlines(c->buffer.data, n);
        drop_front(&c->buffer, n);
        if (c->dropping) TRY(read_more(c, sink));
    }
    return POFAC_OK;
}

/* Where the buffer's documents end that are whole, when the rest of the file is lost. */
static size_t last_cut(const corpus *c) {
    size_t last = 0;
    if (c->reader->file_is_document) return 0;
    for (size_t cut = 0; cut != CORPUS_NO_CUT && c->buffer.size > 0; cut = c->reader->cut(c->buffer.data, c->buffer.size, cut + 1))
        last = cut;
    return last;
}

/* Fills the buffer until it has a place to cut at, which becomes *end. */
static pofac_status fill(corpus *c, const diag_sink *sink, size_t *end) {
    const size_t limit = c->part_bytes + c->max_document_bytes + CONTEXT_BYTES;
    size_t from = c->part_bytes;
    for (;;) {
        if (c->buffer.size > from) {
            *end = c->reader->cut(c->buffer.data, c->buffer.size, from);
            if (*end != CORPUS_NO_CUT) return POFAC_OK;
            if (c->buffer.size - from > CONTEXT_BYTES) from = c->buffer.size - CONTEXT_BYTES;
        }
        if (c->at_end) break;
        if (c->buffer.size > limit) {
            *end = c->buffer.size - CONTEXT_BYTES;
            c->dropping = true;
            return POFAC_OK;
        }
        TRY(read_more(c, sink));
    }
    *end = c->buffer.size;
    if (decompressor_damage(c->stream) && !c->reader->may_be_cut) *end = last_cut(c);
    return POFAC_OK;
}

/* Gives the first `n` bytes of the buffer to a part; the others, copied to `rest`, become the buffer. */
static void take_buffer(corpus *c, size_t n, strbuf rest, corpus_part *part) {
    part->owned = c->buffer.data;
    part->bytes = part->owned ? part->owned : "";
    part->n_bytes = n;
    c->buffer = rest;
    c->line += count_newlines(part->bytes, n);
}

/* Ends the stream at hand. */
static pofac_status end_stream(corpus *c, const diag_sink *sink) {
    strbuf message = STRBUF_INIT;
    const char *damage = decompressor_damage(c->stream);
    if (!damage) {
        c->done_bytes += c->file->map.size_bytes - c->offset;
        close_file(c);
        return POFAC_OK;
    }
    strbuf_puts(&message, damage);
    const pofac_status status = strbuf_ok(&message) ? file_damage(c, sink, strbuf_str(&message)) : diag_out_of_memory(sink);
    strbuf_free(&message);
    return status;
}

/* A part from the stream; none in *out where the stream ended before it. */
static pofac_status stream_part(corpus *c, const diag_sink *sink, corpus_part **out) {
    size_t end = 0;
    TRY(drop_document(c, sink));
    TRY(fill(c, sink, &end));
    const bool is_damaged = c->at_end && decompressor_damage(c->stream);
    if (end == 0 && (c->has_parts || c->has_lost_end || is_damaged)) return end_stream(c, sink);
    const bool is_last = c->at_end && !c->dropping && !c->has_lost_end && !is_damaged && end == c->buffer.size;
    strbuf rest = STRBUF_INIT;
    if (end < c->buffer.size) strbuf_append(&rest, c->buffer.data + end, c->buffer.size - end);
    const pofac_status status = strbuf_ok(&rest) ? new_part(c, sink, out) : diag_out_of_memory(sink);
    if (status != POFAC_OK) {
        strbuf_free(&rest);
        return status;
    }
    take_buffer(c, end, rest, *out);
    set_range(c, *out, decompressor_taken(c->stream));
    (*out)->is_last = is_last;
    return POFAC_OK;
}

static pofac_status next_part(corpus *c, const diag_sink *sink, corpus_part **out) {
    while (!*out && (c->file || c->next_path < c->paths.size)) {
        if (!c->file) TRY(open_file(c, sink));
        else if (c->stream) TRY(stream_part(c, sink, out));
        else TRY(mapped_part(c, sink, out));
    }
    if (*out || counts_are_zero(&c->found)) return POFAC_OK;
    c->reader = NULL; /* a part without bytes, for the counts */
    return new_part(c, sink, out);
}

pofac_status corpus_next_part(corpus *c, const diag_sink *sink, corpus_part **out) {
    *out = NULL;
    const pofac_status status = next_part(c, sink, out);
    if (status != POFAC_OK) { /* no more parts */
        close_file(c);
        c->next_path = c->paths.size;
        c->found = (corpus_counts){0};
    }
    return status;
}

uint64_t corpus_total_bytes(const corpus *c) { return c->total_bytes; }

uint64_t corpus_done_bytes(const corpus *c) { return c->done_bytes; }

void corpus_close(corpus *c) {
    if (!c) return;
    close_file(c);
    strbuf_free(&c->buffer);
    corpus_paths_free(&c->paths);
    free(c);
}

/* ---- reading ---- */

pofac_status corpus_part_read(const corpus_part *part, corpus_document_fn take, void *context, const diag_sink *sink,
                              corpus_counts *counts) {
    corpus_reading r = {.part = part, .take = take, .context = context, .sink = sink, .counts = counts, .text = STRBUF_INIT};
    corpus_counts_add(counts, &part->found);
    counts->bytes += part->n_bytes;
    if (!part->reader) return POFAC_OK;
    const pofac_status status = part->bytes ? part->reader->read(&r) : part->reader->read_bz2(&r);
    strbuf_free(&r.text);
    return status;
}

void corpus_part_destroy(corpus_part *part) {
    if (!part) return;
    if (part->end > part->begin) file_map_release(&part->file->map, part->file->map.data + part->begin, part->end - part->begin);
    release_file(part->file);
    free(part->owned);
    free(part);
}

bool corpus_kind_row(size_t i, const char **name, const char **meaning) {
    if (i >= N_KINDS) return false;
    *name = kinds[i].name;
    *meaning = kinds[i].meaning;
    return true;
}
