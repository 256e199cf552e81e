/* The container of compiled models; see compiled_file.h. */
#include "frontend/driver/compiled_file.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/section_code.h"
#include "ir/plan.h"
#include "ir/support/file_map.h"
#include "ir/support/hash.h"
#include "ir/support/strmap.h"
#include "ir/support/text_ends.h"
#include "ir/support/vector.h"
#include "runtime/thread_pool.h"
#include "runtime/weight_memory.h"

#define ALIGNMENT 64 /* of sections: what kernels may rely on */
#define BLOCK_BYTES ((size_t)1 << 20)
#define SMALL_BYTES ((size_t)4 << 20) /* a file below has nothing for a second thread to do */

typedef struct file_head {
    char magic[8];
    uint32_t version;
    unsigned char zeros[52];
} file_head;

typedef struct file_entry {
    uint64_t begin, stored_bytes, bytes, checksum;
    uint32_t name, packing, dtype; /* where the texts begin, behind the entries */
    uint32_t parameter;
    int64_t dims[IR_MAX_RANK];
    uint8_t kind, coding, rank, zeros[29];
    uint16_t sparse[4]; /* kind, tile, k_block, row_group */
    uint8_t block_rows, block_columns, keep, of, transposed, more_zeros[3];
} file_entry;

typedef struct file_foot {
    uint64_t directory, directory_bytes, n_entries, file_bytes, directory_checksum;
    uint64_t checksum; /* of the head and the numbers above */
    unsigned char zeros[8];
    char magic[8];
} file_foot;

_Static_assert(sizeof(file_head) == 64 && sizeof(file_foot) == 64, "head and foot have no padding");
_Static_assert(sizeof(file_entry) == 128 && IR_MAX_RANK == 4, "an entry has no padding");

static const char head_magic[8] = {'P', 'O', 'F', 'A', 'C', 'M', 'D', 'L'};
static const char foot_magic[8] = {'P', 'O', 'F', 'A', 'C', 'E', 'N', 'D'};

static size_t round_up(size_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static size_t count_blocks(size_t n) { return n / BLOCK_BYTES + (n % BLOCK_BYTES != 0); }

static uint64_t hash_block(const unsigned char *bytes, size_t n, size_t block) {
    const size_t left = n - block * BLOCK_BYTES;
    return hash_bytes(bytes + block * BLOCK_BYTES, left < BLOCK_BYTES ? left : BLOCK_BYTES);
}

static uint64_t hash_ends(const file_head *head, const file_foot *foot) {
    unsigned char both[sizeof *head + offsetof(file_foot, checksum)];
    memcpy(both, head, sizeof *head);
    memcpy(both + sizeof *head, foot, offsetof(file_foot, checksum));
    return hash_bytes(both, sizeof both);
}

/* ---- writing ---- */

struct compiled_writer {
    const diag_sink *sink;
    file_writer *file;
    uint64_t at; /* bytes written */
    VEC(file_entry) entries;
    strbuf texts;
    strmap known; /* text -> where it begins in texts */
};

static file_head make_head(void) {
    file_head head = {.version = COMPILED_FILE_VERSION};
    memcpy(head.magic, head_magic, sizeof head_magic);
    return head;
}

static pofac_status put(compiled_writer *w, const void *bytes, size_t n) {
    static const unsigned char zeros[ALIGNMENT];
    TRY(file_writer_write(w->file, bytes, n));
    w->at += round_up(n);
    return n % ALIGNMENT ? file_writer_write(w->file, zeros, ALIGNMENT - n % ALIGNMENT) : POFAC_OK;
}

pofac_status compiled_writer_open(const char *path, const diag_sink *sink, compiled_writer **out) {
    const file_head head = make_head();
    *out = NULL;
    compiled_writer *w = calloc(1, sizeof *w);
    if (!w) return diag_out_of_memory(sink);
    w->sink = sink;
    pofac_status status = file_writer_open(path, sink, &w->file);
    if (status == POFAC_OK) status = put(w, &head, sizeof head);
    if (status == POFAC_OK) *out = w;
    else compiled_writer_abandon(w);
    return status;
}

static void writer_free(compiled_writer *w) {
    VEC_FREE(&w->entries);
    strbuf_free(&w->texts);
    strmap_free(&w->known);
    free(w);
}

void compiled_writer_abandon(compiled_writer *w) {
    if (!w) return;
    file_writer_abandon(w->file);
    writer_free(w);
}

static pofac_status keep_text(compiled_writer *w, const char *text, uint32_t *out) {
    bool fresh;
    const strmap_entry *e = strmap_put(&w->known, text, strlen(text), w->texts.size, &fresh);
    if (e && fresh) strbuf_append(&w->texts, text, strlen(text) + 1);
    if (!e || !strbuf_ok(&w->texts)) return diag_out_of_memory(w->sink);
    *out = (uint32_t)e->value;
    return POFAC_OK;
}

/* The checksum of bytes and of the zeros that follow them in the file. */
static pofac_status checksum_of(const compiled_writer *w, const unsigned char *bytes, size_t n, uint64_t *out) {
    const size_t padded = round_up(n), blocks = count_blocks(padded), last = blocks ? (blocks - 1) * BLOCK_BYTES : 0;
    uint64_t *sums = calloc(blocks + 1, sizeof *sums);
    unsigned char *tail = calloc(1, padded - last + 1);
    if (sums && tail) {
        for (size_t i = 0; i + 1 < blocks; i++) sums[i] = hash_block(bytes, padded, i);
        if (n > last) memcpy(tail, bytes + last, n - last);
        if (blocks) sums[blocks - 1] = hash_bytes(tail, padded - last);
        *out = hash_bytes(sums, blocks * sizeof *sums);
    }
    const bool ok = sums && tail;
    free(sums);
    free(tail);
    return ok ? POFAC_OK : diag_out_of_memory(w->sink);
}

static pofac_status add_coded(compiled_writer *w, const compiled_section *s, file_entry *e) {
    strbuf coded = STRBUF_INIT;
    section_coding coding = SECTION_RAW;
    const bool in_place = s->kind == COMPILED_TENSOR || s->kind == COMPILED_OBJECT || s->bytes == 0;
    pofac_status status = in_place ? POFAC_OK : section_encode(s->data, s->bytes, w->sink, &coding, &coded);
    const unsigned char *stored = coding == SECTION_RAW ? s->data : (const unsigned char *)coded.data;
    e->coding = (uint8_t)coding;
    e->begin = w->at;
    e->bytes = s->bytes;
    e->stored_bytes = coding == SECTION_RAW ? s->bytes : coded.size;
    if (status == POFAC_OK) status = checksum_of(w, stored, (size_t)e->stored_bytes, &e->checksum);
    if (status == POFAC_OK && e->stored_bytes) status = put(w, stored, (size_t)e->stored_bytes);
    strbuf_free(&coded);
    return status;
}

pofac_status compiled_writer_add(compiled_writer *w, const compiled_section *s) {
    file_entry e = {.kind = (uint8_t)s->kind,
                    .rank = (uint8_t)s->rank,
                    .parameter = s->parameter,
                    .sparse = {s->sparse.kind, s->sparse.tile, s->sparse.k_block, s->sparse.row_group},
                    .block_rows = s->sparse.block_rows,
                    .block_columns = s->sparse.block_columns,
                    .keep = s->sparse.keep,
                    .of = s->sparse.of,
                    .transposed = s->sparse.transposed};
    memcpy(e.dims, s->dims, sizeof e.dims);
    TRY(keep_text(w, s->name, &e.name));
    TRY(keep_text(w, s->packing ? s->packing : "", &e.packing));
    TRY(keep_text(w, dtype_name(s->dtype), &e.dtype));
    TRY(add_coded(w, s, &e));
    return VEC_PUSH(&w->entries, e) ? POFAC_OK : diag_out_of_memory(w->sink);
}

static pofac_status put_directory(compiled_writer *w, uint64_t *file_bytes) {
    const file_head head = make_head();
    strbuf bytes = STRBUF_INIT;
    if (w->entries.size) strbuf_append(&bytes, w->entries.data, w->entries.size * sizeof *w->entries.data);
    if (w->texts.size) strbuf_append(&bytes, w->texts.data, w->texts.size);
    file_foot foot = {.directory = w->at, .directory_bytes = bytes.size, .n_entries = w->entries.size};
    memcpy(foot.magic, foot_magic, sizeof foot_magic);
    pofac_status status = strbuf_ok(&bytes)
                              ? checksum_of(w, (const unsigned char *)bytes.data, bytes.size, &foot.directory_checksum)
                              : diag_out_of_memory(w->sink);
    if (status == POFAC_OK && bytes.size) status = put(w, bytes.data, bytes.size);
    foot.file_bytes = w->at + sizeof foot;
    foot.checksum = hash_ends(&head, &foot);
    *file_bytes = foot.file_bytes;
    strbuf_free(&bytes);
    return status == POFAC_OK ? put(w, &foot, sizeof foot) : status;
}

pofac_status compiled_writer_commit(compiled_writer *w, uint64_t *file_bytes) {
    pofac_status status = put_directory(w, file_bytes);
    if (status == POFAC_OK) status = file_writer_commit(w->file);
    else file_writer_abandon(w->file);
    writer_free(w);
    return status;
}

/* ---- reading ---- */

struct compiled_file {
    char *path;
    file_map map;
    const diag_sink *sink; /* while it is opened */
    file_foot foot;
    const file_entry *entries;
    compiled_section *sections; /* [n_entries] */
    void **decoded;             /* [n_entries] of weight_memory.h; NULL: the section lies in the file */
    strmap index[N_COMPILED_KINDS];
    size_t *next; /* [n_entries] number + 1 of the next section of that kind and name; 0: none */
};

POFAC_PRINTF(2, 3) static pofac_status broken(const compiled_file *f, const char *format, ...) {
    strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    pofac_status status = diag_error(f->sink, POFAC_ERR_INPUT, &(diag_place){.file = f->path}, "%s", strbuf_str(&text));
    strbuf_free(&text);
    return status;
}

static bool is_named_as_one(const char *path) { return text_ends_with(path, ".pofac"); }

bool compiled_file_is_one(const char *path) {
    file_map map;
    if (!file_exists(path) || file_is_directory(path)) return false;
    if (is_named_as_one(path)) return true;
    if (file_map_open(path, NULL, &map) != POFAC_OK) return false;
    const bool is_one = map.size_bytes >= sizeof head_magic && memcmp(map.data, head_magic, sizeof head_magic) == 0;
    file_map_close(&map);
    return is_one;
}

static pofac_status check_ends(compiled_file *f) {
    file_head head;
    const size_t size = f->map.size_bytes;
    if (size < sizeof head_magic || memcmp(f->map.data, head_magic, sizeof head_magic) != 0)
        return broken(f, "found no compiled model, wanted a file that begins with POFACMDL");
    if (size < sizeof head) return broken(f, "the file is cut short: found %zu bytes, wanted a head of %zu", size, sizeof head);
    memcpy(&head, f->map.data, sizeof head);
    if (head.version != COMPILED_FILE_VERSION)
        return broken(f, "found a compiled model of version %" PRIu32 ", wanted version %d: compile it again with this pofac",
                      head.version, COMPILED_FILE_VERSION);
    if (size % ALIGNMENT != 0 || size < sizeof head + sizeof f->foot)
        return broken(f, "the file is cut short: found %zu bytes, wanted a foot at a multiple of %d", size, ALIGNMENT);
    memcpy(&f->foot, f->map.data + size - sizeof f->foot, sizeof f->foot);
    if (memcmp(f->foot.magic, foot_magic, sizeof foot_magic) != 0 || f->foot.file_bytes != size)
        return broken(f, "the file is cut short or damaged: found no foot at its end, wanted POFACEND and %zu bytes", size);
    static const unsigned char zeros[sizeof f->foot.zeros];
    if (hash_ends(&head, &f->foot) != f->foot.checksum || memcmp(f->foot.zeros, zeros, sizeof zeros) != 0)
        return broken(f, "the file is damaged: head and foot do not have their checksum");
    return POFAC_OK;
}

/* Is [begin, begin + n), with zeros up to the next multiple of 64, between the head and `end`? */
static bool lies_within(uint64_t begin, uint64_t n, uint64_t end) {
    return begin >= sizeof(file_head) && begin % ALIGNMENT == 0 && begin <= end && n <= end - begin &&
           round_up((size_t)n) <= end - begin;
}

static pofac_status check_directory(compiled_file *f) {
    const file_foot *foot = &f->foot;
    const uint64_t end = f->map.size_bytes - sizeof *foot;
    if (!lies_within(foot->directory, foot->directory_bytes, end) ||
        round_up((size_t)foot->directory_bytes) != end - foot->directory)
        return broken(f, "the file is damaged: its directory is not in it");
    if (foot->n_entries > foot->directory_bytes / sizeof *f->entries)
        return broken(f, "the file is damaged: found %" PRIu64 " sections in a directory of %" PRIu64 " bytes", foot->n_entries,
                      foot->directory_bytes);
    const unsigned char *at = f->map.data + foot->directory;
    const size_t padded = round_up((size_t)foot->directory_bytes), blocks = count_blocks(padded);
    uint64_t *sums = calloc(blocks + 1, sizeof *sums);
    if (!sums) return diag_out_of_memory(f->sink);
    for (size_t i = 0; i < blocks; i++) sums[i] = hash_block(at, padded, i);
    const bool right = hash_bytes(sums, blocks * sizeof *sums) == foot->directory_checksum;
    free(sums);
    if (!right) return broken(f, "the file is damaged: its directory does not have its checksum");
    f->entries = (const file_entry *)(const void *)at;
    return POFAC_OK;
}

/* A text of the directory; NULL: it is not within it. */
static const char *entry_text(const compiled_file *f, uint32_t at) {
    const size_t entries = (size_t)f->foot.n_entries * sizeof *f->entries, n = (size_t)f->foot.directory_bytes - entries;
    const char *texts = (const char *)f->entries + entries;
    return at < n && memchr(texts + at, 0, n - at) ? texts + at : NULL;
}

/* Elements of the tensor that the section is of, or -1: there are none, or more than can be counted in bytes. */
static int64_t count_elements(const compiled_section *s) {
    const uint32_t rank = s->kind == COMPILED_PATTERN && s->rank > 2 ? 2 : s->rank;
    int64_t n = 1;
    for (uint32_t i = 0; i < rank; i++)
        if (s->dims[i] < 0 || __builtin_mul_overflow(n, s->dims[i], &n)) return -1;
    return n <= INT64_MAX / 8 ? n : -1;
}

/* What is wrong with the dims of a section that has `bytes`; NULL: nothing. */
static const char *dims_fault(const compiled_section *s, uint64_t bytes) {
    const int64_t elements = count_elements(s);
    uint64_t bits;
    if (elements < 0) return "its dims cannot be";
    if (s->kind == COMPILED_PACKED && s->rank != 2) return "a packed weight wants two dims";
    if (s->kind == COMPILED_PATTERN && s->rank != 3) return "a pattern wants three numbers";
    if (s->kind == COMPILED_PATTERN && (s->dims[2] < 0 || s->dims[2] > elements)) return "it has more non-zeros than elements";
    if (s->kind != COMPILED_TENSOR && s->kind != COMPILED_CONSTANT) return NULL;
    if (__builtin_mul_overflow((uint64_t)elements, (uint64_t)dtype_bits(s->dtype), &bits) || bits / 8 + (bits % 8 != 0) != bytes)
        return "its bytes are not those of its dims";
    return NULL;
}

/* What is wrong with a section; NULL: nothing. */
static const char *section_fault(const compiled_section *s, const file_entry *e, uint64_t end) {
    if (!lies_within(e->begin, e->stored_bytes, end)) return "it is not in the file";
    if (e->coding >= N_SECTION_CODINGS) return "it has an unknown coding";
    if (e->coding == SECTION_RAW && e->bytes != e->stored_bytes) return "its numbers of bytes differ";
    if (e->coding != SECTION_RAW &&
        (e->bytes > SIZE_MAX / 2 || section_chunks((size_t)e->bytes) > e->stored_bytes / sizeof(uint32_t)))
        return "it is too short for what it says that it holds";
    return dims_fault(s, e->bytes);
}

static pofac_status read_entry(compiled_file *f, size_t i) {
    const file_entry *e = &f->entries[i];
    compiled_section *s = &f->sections[i];
    const char *name = entry_text(f, e->name), *packing = entry_text(f, e->packing), *dtype = entry_text(f, e->dtype);
    *s = (compiled_section){.kind = (compiled_kind)e->kind,
                            .name = name,
                            .packing = packing,
                            .rank = e->rank,
                            .parameter = e->parameter,
                            .sparse = {.kind = e->sparse[0],
                                       .tile = e->sparse[1],
                                       .k_block = e->sparse[2],
                                       .row_group = e->sparse[3],
                                       .block_rows = e->block_rows,
                                       .block_columns = e->block_columns,
                                       .keep = e->keep,
                                       .of = e->of,
                                       .transposed = e->transposed},
                            .bytes = (size_t)e->bytes,
                            .stored_bytes = (size_t)e->stored_bytes};
    memcpy(s->dims, e->dims, sizeof s->dims);
    const bool said = name && packing && dtype && e->kind < N_COMPILED_KINDS && e->rank <= IR_MAX_RANK &&
                      dtype_parse(dtype, strlen(dtype), &s->dtype);
    const char *fault = said ? section_fault(s, e, f->foot.directory) : "its entry is malformed";
    if (fault) return broken(f, "section %zu%s%s: %s", i, name ? " " : "", name ? name : "", fault);
    if (s->bytes && e->coding == SECTION_RAW) s->data = f->map.data + e->begin;
    return POFAC_OK;
}

/* Sections by name, and those of one name as a list in their order. */
static pofac_status index_sections(compiled_file *f) {
    for (size_t i = (size_t)f->foot.n_entries; i-- > 0;) {
        const compiled_section *s = &f->sections[i];
        bool fresh;
        strmap_entry *e = strmap_put(&f->index[s->kind], s->name, strlen(s->name), i, &fresh);
        if (!e) return diag_out_of_memory(f->sink);
        if (!fresh) f->next[i] = (size_t)e->value + 1;
        e->value = i;
    }
    return POFAC_OK;
}

static pofac_status read_entries(compiled_file *f) {
    const size_t n = (size_t)f->foot.n_entries;
    f->sections = calloc(n + 1, sizeof *f->sections);
    f->decoded = calloc(n + 1, sizeof *f->decoded);
    f->next = calloc(n + 1, sizeof *f->next);
    if (!f->sections || !f->decoded || !f->next) return diag_out_of_memory(f->sink);
    for (size_t i = 0; i < n; i++) TRY(read_entry(f, i));
    return index_sections(f);
}

/* ---- checksums and coded sections, on all threads ---- */

typedef struct open_work {
    compiled_file *f;
    size_t *first;              /* [n_entries + 1] number of each section's first block or chunk */
    uint64_t *blocks;           /* checksums of blocks */
    section_decoder **decoders; /* [threads] */
    atomic_size_t bad;          /* number + 1 of a section that cannot be decoded, 0: none */
} open_work;

static size_t stored_extent(const compiled_file *f, size_t i) { return round_up((size_t)f->entries[i].stored_bytes); }

/* The section that piece `piece` is of. */
static size_t section_of(const open_work *w, size_t piece) {
    size_t low = 0, high = (size_t)w->f->foot.n_entries;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (w->first[middle] <= piece) low = middle;
        else high = middle;
    }
    return low;
}

static void check_block(void *user, size_t worker, size_t piece) {
    (void)worker;
    const open_work *w = user;
    const size_t i = section_of(w, piece);
    w->blocks[piece] = hash_block(w->f->map.data + w->f->entries[i].begin, stored_extent(w->f, i), piece - w->first[i]);
}

static void decode_chunk(void *user, size_t worker, size_t piece) {
    open_work *w = user;
    const size_t i = section_of(w, piece);
    const file_entry *e = &w->f->entries[i];
    const size_t chunk = piece - w->first[i], begin = chunk * SECTION_CHUNK_BYTES, bytes = (size_t)e->bytes;
    unsigned char *out = w->f->decoded[i];
    weight_memory_touch(out + begin, bytes - begin < SECTION_CHUNK_BYTES ? bytes - begin : SECTION_CHUNK_BYTES);
    if (!section_decode(w->decoders[worker], w->f->map.data + e->begin, (size_t)e->stored_bytes, chunk, out, bytes))
        atomic_store(&w->bad, i + 1);
}

static pofac_status check_sections(open_work *w, thread_pool *pool) {
    compiled_file *f = w->f;
    const size_t n = (size_t)f->foot.n_entries;
    for (size_t i = 0; i < n; i++) w->first[i + 1] = w->first[i] + count_blocks(stored_extent(f, i));
    w->blocks = calloc(w->first[n] + 1, sizeof *w->blocks);
    if (!w->blocks) return diag_out_of_memory(f->sink);
    thread_pool_run(pool, check_block, w, w->first[n]);
    for (size_t i = 0; i < n; i++) {
        const size_t blocks = w->first[i + 1] - w->first[i];
        if (hash_bytes(w->blocks + w->first[i], blocks * sizeof *w->blocks) != f->entries[i].checksum)
            return broken(f, "the file is damaged: section %s does not have its checksum", f->sections[i].name);
    }
    return POFAC_OK;
}

static pofac_status decode_sections(open_work *w, thread_pool *pool) {
    compiled_file *f = w->f;
    const size_t n = (size_t)f->foot.n_entries, threads = thread_pool_threads(pool);
    for (size_t i = 0; i < n; i++) {
        const bool is_coded = f->entries[i].coding != SECTION_RAW && f->sections[i].bytes;
        w->first[i + 1] = w->first[i] + (is_coded ? section_chunks(f->sections[i].bytes) : 0);
        if (is_coded && !(f->decoded[i] = weight_memory_take(f->sections[i].bytes))) return diag_out_of_memory(f->sink);
        if (is_coded) f->sections[i].data = f->decoded[i];
    }
    w->decoders = calloc(threads, sizeof *w->decoders);
    bool ok = w->decoders != NULL;
    for (size_t t = 0; ok && t < threads; t++) ok = (w->decoders[t] = section_decoder_create()) != NULL;
    if (ok) thread_pool_run(pool, decode_chunk, w, w->first[n]);
    for (size_t t = 0; w->decoders && t < threads; t++) section_decoder_destroy(w->decoders[t]);
    free(w->decoders);
    const size_t bad = atomic_load(&w->bad);
    if (bad) return broken(f, "section %s: its coded bytes are malformed", f->sections[bad - 1].name);
    return ok ? POFAC_OK : diag_out_of_memory(f->sink);
}

static pofac_status read_sections(compiled_file *f, size_t threads) {
    open_work w = {.f = f};
    thread_pool *pool = NULL;
    w.first = calloc((size_t)f->foot.n_entries + 1, sizeof *w.first);
    pofac_status status =
        w.first ? thread_pool_create(f->map.size_bytes < SMALL_BYTES ? 1 : threads, f->sink, &pool) : diag_out_of_memory(f->sink);
    if (status == POFAC_OK) status = check_sections(&w, pool);
    if (status == POFAC_OK) status = decode_sections(&w, pool);
    thread_pool_destroy(pool);
    free(w.first);
    free(w.blocks);
    return status;
}

static pofac_status open_parts(compiled_file *f, size_t threads) {
    if (!f->path) return diag_out_of_memory(f->sink);
    TRY(file_map_open(f->path, f->sink, &f->map));
    TRY(check_ends(f));
    TRY(check_directory(f));
    TRY(read_entries(f));
    return read_sections(f, threads);
}

pofac_status compiled_file_open(const char *path, size_t threads, const diag_sink *sink, compiled_file **out) {
    *out = NULL;
    compiled_file *f = calloc(1, sizeof *f);
    if (!f) return diag_out_of_memory(sink);
    f->sink = sink;
    f->path = strdup(path);
    pofac_status status = open_parts(f, threads);
    f->sink = NULL;
    if (status == POFAC_OK) *out = f;
    else compiled_file_close(f);
    return status;
}

void compiled_file_close(compiled_file *f) {
    if (!f) return;
    for (size_t i = 0; f->sections && f->decoded && i < f->foot.n_entries; i++)
        weight_memory_give(f->decoded[i], f->sections[i].bytes);
    for (size_t i = 0; i < N_COMPILED_KINDS; i++) strmap_free(&f->index[i]);
    free(f->sections);
    free(f->decoded);
    free(f->next);
    file_map_close(&f->map);
    free(f->path);
    free(f);
}

const char *compiled_file_path(const compiled_file *f) { return f->path; }

size_t compiled_file_size(const compiled_file *f) { return (size_t)f->foot.n_entries; }

const compiled_section *compiled_file_at(const compiled_file *f, size_t i) { return &f->sections[i]; }

const compiled_section *compiled_file_find(const compiled_file *f, compiled_kind kind, const char *name) {
    const strmap_entry *e = strmap_get(&f->index[kind], name, strlen(name));
    return e ? &f->sections[e->value] : NULL;
}

const compiled_section *compiled_file_next(const compiled_file *f, const compiled_section *section) {
    const size_t next = f->next[section - f->sections];
    return next ? &f->sections[next - 1] : NULL;
}
