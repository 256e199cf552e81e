/* Files of checked blocks; see block_file.h. */
#include "frontend/data/block_file.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/support/hash.h"

#define ALIGNMENT 64 /* of blocks and sections: a line of the cache */

typedef struct block_file_head {
    char magic[8];
    uint32_t version, n_sections;
    uint64_t info_bytes, n_blocks, blocks_bytes;
    uint64_t section_bytes[BLOCK_FILE_SECTIONS];
    uint64_t checksum; /* of this struct with 0 here, info and checksums */
} block_file_head;

_Static_assert(sizeof(block_file_head) == 80, "the head of a file has no padding");

struct block_file {
    char *path;
    file_map map;
    const void *info;
    const uint64_t *checksums;
    const unsigned char *blocks;
    size_t blocks_bytes, n_blocks;
    uint32_t n_sections;
    block_file_section sections[BLOCK_FILE_SECTIONS];
    atomic_uchar *checked; /* [n_blocks] 1: has the checksum that it should */
};

/* The next multiple; sizes come from files, but are bounded by what is mapped. */
static size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/* ---- writing ---- */

/* Bytes as they come, cut into blocks on the way; what is written through it is hashed, or goes to a file too. */
typedef struct block_stream {
    unsigned char *block;
    size_t filled;
    uint64_t *checksums;
    size_t n_blocks;
} block_stream;

static void end_block(block_stream *s) {
    s->checksums[s->n_blocks++] = hash_bytes(s->block, s->filled);
    s->filled = 0;
}

static void stream_bytes(block_stream *s, const unsigned char *bytes, size_t n) {
    while (n > 0) {
        const size_t room = BLOCK_FILE_BLOCK_BYTES - s->filled, part = n < room ? n : room;
        if (bytes) {
            memcpy(s->block + s->filled, bytes, part);
            bytes += part;
        } else memset(s->block + s->filled, 0, part);
        s->filled += part;
        n -= part;
        if (s->filled == BLOCK_FILE_BLOCK_BYTES) end_block(s);
    }
}

static bool checksum_sections(const block_file_section *sections, size_t n_sections, uint64_t *checksums) {
    block_stream s = {.block = malloc(BLOCK_FILE_BLOCK_BYTES), .checksums = checksums};
    if (!s.block) return false;
    for (size_t i = 0; i < n_sections; i++) {
        if (sections[i].bytes) stream_bytes(&s, sections[i].data, sections[i].bytes);
        stream_bytes(&s, NULL, round_up(sections[i].bytes, ALIGNMENT) - sections[i].bytes);
    }
    if (s.filled) end_block(&s);
    free(s.block);
    return true;
}

/* Head, info, checksums and the zeros behind them; NULL when memory is short. */
static unsigned char *make_front(const block_file_kind *kind, const void *info, const block_file_section *sections,
                                 size_t *n_bytes) {
    block_file_head head = {.version = kind->version, .n_sections = kind->n_sections, .info_bytes = kind->info_bytes};
    memcpy(head.magic, kind->magic, sizeof head.magic);
    for (size_t i = 0; i < kind->n_sections; i++) {
        head.section_bytes[i] = sections[i].bytes;
        head.blocks_bytes += round_up(sections[i].bytes, ALIGNMENT);
    }
    head.n_blocks = (head.blocks_bytes + BLOCK_FILE_BLOCK_BYTES - 1) / BLOCK_FILE_BLOCK_BYTES;
    const size_t hashed = sizeof head + kind->info_bytes + (size_t)head.n_blocks * sizeof(uint64_t);
    *n_bytes = round_up(hashed, ALIGNMENT);
    unsigned char *front = calloc(1, *n_bytes);
    if (!front) return NULL;
    memcpy(front + sizeof head, info, kind->info_bytes);
    if (!checksum_sections(sections, kind->n_sections, (uint64_t *)(void *)(front + sizeof head + kind->info_bytes))) {
        free(front);
        return NULL;
    }
    memcpy(front, &head, sizeof head);
    head.checksum = hash_bytes(front, hashed);
    memcpy(front, &head, sizeof head);
    return front;
}

static pofac_status write_sections(file_writer *w, const block_file_section *sections, size_t n_sections) {
    static const unsigned char zeros[ALIGNMENT];
    for (size_t i = 0; i < n_sections; i++) {
        TRY(file_writer_write(w, sections[i].data, sections[i].bytes));
        TRY(file_writer_write(w, zeros, round_up(sections[i].bytes, ALIGNMENT) - sections[i].bytes));
    }
    return POFAC_OK;
}

pofac_status block_file_write(const char *path, const block_file_kind *kind, const void *info, const block_file_section *sections,
                              const diag_sink *sink) {
    size_t n_front;
    file_writer *w;
    unsigned char *front = make_front(kind, info, sections, &n_front);
    if (!front) return diag_out_of_memory(sink);
    pofac_status status = file_writer_open(path, sink, &w);
    if (status == POFAC_OK) {
        status = file_writer_write(w, front, n_front);
        if (status == POFAC_OK) status = write_sections(w, sections, kind->n_sections);
        if (status == POFAC_OK) status = file_writer_commit(w);
        else file_writer_abandon(w);
    }
    free(front);
    return status;
}

/* ---- reading ---- */

static pofac_status refuse(const block_file *f, const diag_sink *sink, const char *format, ...) POFAC_PRINTF(3, 4);
static pofac_status refuse(const block_file *f, const diag_sink *sink, const char *format, ...) {
    const diag_place place = {.file = f->path};
    va_list args;
    va_start(args, format);
    const pofac_status status = diag_verror(sink, POFAC_ERR_INPUT, &place, format, args);
    va_end(args);
    return status;
}

static pofac_status check_kind(const block_file *f, const block_file_kind *kind, const diag_sink *sink, block_file_head *head) {
    if (f->map.size_bytes >= sizeof head->magic && memcmp(f->map.data, kind->magic, sizeof head->magic) != 0)
        return refuse(f, sink, "found another kind of file, wanted a %s of pofac", kind->name);
    if (f->map.size_bytes < sizeof *head)
        return refuse(f, sink, "found %zu bytes, wanted a %s of pofac, which has more", f->map.size_bytes, kind->name);
    memcpy(head, f->map.data, sizeof *head);
    if (head->version != kind->version)
        return refuse(f, sink, "found a %s of version %" PRIu32 ", wanted version %" PRIu32, kind->name, head->version,
                      kind->version);
    return POFAC_OK;
}

/* Sizes that agree with each other and with the file's. */
static pofac_status place_sections(block_file *f, const block_file_kind *kind, const block_file_head *head, const diag_sink *sink) {
    const size_t size = f->map.size_bytes;
    if (head->n_sections != kind->n_sections || head->info_bytes != kind->info_bytes || head->n_blocks > size ||
        head->blocks_bytes > size)
        return refuse(f, sink, "the head is damaged, or the file is truncated");
    const size_t hashed = sizeof *head + kind->info_bytes + (size_t)head->n_blocks * sizeof(uint64_t),
                 front = round_up(hashed, ALIGNMENT);
    const uint64_t wanted = front + head->blocks_bytes;
    if (size < wanted) return refuse(f, sink, "found %zu bytes, wanted %" PRIu64 ": the file is truncated", size, wanted);
    if (size > wanted)
        return refuse(f, sink, "found %zu bytes, wanted %" PRIu64 ": something follows the %s", size, wanted, kind->name);
    f->blocks = f->map.data + front;
    f->blocks_bytes = (size_t)head->blocks_bytes;
    f->n_blocks = (size_t)head->n_blocks;
    f->n_sections = kind->n_sections;
    size_t at = 0;
    for (size_t i = 0; i < kind->n_sections; i++) {
        if (head->section_bytes[i] > f->blocks_bytes - at) return refuse(f, sink, "the head is damaged");
        f->sections[i] = (block_file_section){f->blocks + at, (size_t)head->section_bytes[i]};
        at += round_up((size_t)head->section_bytes[i], ALIGNMENT);
        if (at > f->blocks_bytes) return refuse(f, sink, "the head is damaged");
    }
    if (at != f->blocks_bytes || f->n_blocks != (at + BLOCK_FILE_BLOCK_BYTES - 1) / BLOCK_FILE_BLOCK_BYTES)
        return refuse(f, sink, "the head is damaged");
    return POFAC_OK;
}

/* The checksum of the front, which needs the bytes where it stands itself to be 0. */
static pofac_status check_front(const block_file *f, const block_file_kind *kind, const block_file_head *head,
                                const diag_sink *sink) {
    const size_t hashed = sizeof *head + kind->info_bytes + f->n_blocks * sizeof(uint64_t);
    unsigned char *copy = malloc(hashed);
    if (!copy) return diag_out_of_memory(sink);
    block_file_head bare = *head;
    bare.checksum = 0;
    memcpy(copy, f->map.data, hashed);
    memcpy(copy, &bare, sizeof bare);
    const bool is_equal = hash_bytes(copy, hashed) == head->checksum;
    free(copy);
    if (!is_equal) return refuse(f, sink, "the head is damaged: its checksum is another");
    for (const unsigned char *p = f->map.data + hashed; p < f->blocks; p++)
        if (*p) return refuse(f, sink, "the head is damaged: found other bytes than 0 behind it");
    return POFAC_OK;
}

static pofac_status open_mapped(block_file *f, const block_file_kind *kind, const diag_sink *sink) {
    block_file_head head;
    TRY(file_map_open(f->path, sink, &f->map));
    TRY(check_kind(f, kind, sink, &head));
    TRY(place_sections(f, kind, &head, sink));
    TRY(check_front(f, kind, &head, sink));
    f->info = f->map.data + sizeof head;
    f->checksums = (const uint64_t *)(const void *)(f->map.data + sizeof head + kind->info_bytes);
    f->checked = calloc(f->n_blocks ? f->n_blocks : 1, sizeof *f->checked);
    return f->checked ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status block_file_open(const char *path, const block_file_kind *kind, const diag_sink *sink, block_file **out) {
    *out = NULL;
    block_file *f = calloc(1, sizeof *f);
    if (f) f->path = strdup(path);
    if (!f || !f->path) {
        free(f);
        return diag_out_of_memory(sink);
    }
    pofac_status status = open_mapped(f, kind, sink);
    if (status == POFAC_OK) *out = f;
    else block_file_close(f);
    return status;
}

void block_file_close(block_file *f) {
    if (!f) return;
    file_map_close(&f->map);
    free(f->checked);
    free(f->path);
    free(f);
}

const char *block_file_path(const block_file *f) { return f->path; }

const void *block_file_info(const block_file *f) { return f->info; }

block_file_section block_file_get(const block_file *f, size_t i) { return f->sections[i]; }

static pofac_status check_block(const block_file *f, size_t i, const diag_sink *sink) {
    if (atomic_load_explicit(&f->checked[i], memory_order_relaxed)) return POFAC_OK;
    const size_t begin = i * BLOCK_FILE_BLOCK_BYTES, left = f->blocks_bytes - begin;
    const size_t n = left < BLOCK_FILE_BLOCK_BYTES ? left : BLOCK_FILE_BLOCK_BYTES;
    if (hash_bytes(f->blocks + begin, n) != f->checksums[i])
        return refuse(f, sink, "bytes %zu to %zu are damaged: their checksum is another", (size_t)(f->blocks - f->map.data) + begin,
                      (size_t)(f->blocks - f->map.data) + begin + n);
    atomic_store_explicit(&f->checked[i], 1, memory_order_relaxed);
    return POFAC_OK;
}

pofac_status block_file_need(const block_file *f, const void *from, size_t n, const diag_sink *sink) {
    if (n == 0) return POFAC_OK;
    const size_t begin = (size_t)((const unsigned char *)from - f->blocks);
    for (size_t i = begin / BLOCK_FILE_BLOCK_BYTES; i <= (begin + n - 1) / BLOCK_FILE_BLOCK_BYTES; i++)
        TRY(check_block(f, i, sink));
    return POFAC_OK;
}

pofac_status block_file_check(const block_file *f, const diag_sink *sink) {
    TRY(block_file_need(f, f->blocks, f->blocks_bytes, sink));
    for (size_t i = 0; i < f->n_sections; i++) {
        const block_file_section *s = &f->sections[i];
        const unsigned char *end = (const unsigned char *)s->data + s->bytes,
                            *next = (const unsigned char *)s->data + round_up(s->bytes, ALIGNMENT);
        for (; end < next; end++)
            if (*end) return refuse(f, sink, "found other bytes than 0 behind section %zu", i);
    }
    return POFAC_OK;
}

void block_file_release(const block_file *f, const void *from, size_t n) { file_map_release(&f->map, from, n); }
