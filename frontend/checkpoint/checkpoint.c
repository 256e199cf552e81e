/*
 * A path -> an open checkpoint: chooses the reader by the rows of frontend/checkpoints.def, holds the mappings, and sorts the
 * tensors by name, so that finding one is a binary search.
 */
#include "frontend/checkpoint/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint_build.h"
#include "frontend/checkpoint/scaled_tensors.h"
#include "ir/support/text_ends.h"
#include "ir/support/vector.h"

typedef struct metadata {
    const char *key, *value;
} metadata;

struct checkpoint {
    arena memory;
    VEC(file_map) maps;
    file_map given; /* a file in memory, which somebody else holds; NULL: files are mapped */
    VEC(checkpoint_tensor) tensors;
    VEC(metadata) metadata;
};

static const checkpoint_format formats[] = {
#define CHECKPOINT(id, file, ending, reader, meaning) {#id, file, ending, meaning},
#include "frontend/checkpoints.def"
#undef CHECKPOINT
};

static checkpoint_reader *const readers[] = {
#define CHECKPOINT(id, file, ending, reader, meaning) reader,
#include "frontend/checkpoints.def"
#undef CHECKPOINT
};

#define SHOWN_NAME_BYTES 200u /* BERT's names have up to 60 */

#define N_FORMATS (sizeof formats / sizeof *formats)

const checkpoint_format *checkpoint_formats(size_t *n) {
    *n = N_FORMATS;
    return formats;
}

/* Joins what the rows say into "a, b or c". */
static void list_choices(strbuf *out, const char *(*choice)(const checkpoint_format *)) {
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (i) strbuf_puts(out, i + 1 < N_FORMATS ? ", " : " or ");
        strbuf_puts(out, choice(&formats[i]));
    }
}

static const char *file_of(const checkpoint_format *f) { return f->file; }
static const char *ending_of(const checkpoint_format *f) { return f->ending; }

static pofac_status nothing_known(const char *path, const char *found, const char *(*choice)(const checkpoint_format *),
                                  const diag_sink *sink) {
    strbuf wanted = STRBUF_INIT;
    list_choices(&wanted, choice);
    diag_place place = {.file = path};
    pofac_status status = strbuf_ok(&wanted) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s%s", found, strbuf_str(&wanted))
                                             : diag_out_of_memory(sink);
    strbuf_free(&wanted);
    return status;
}

/* The row whose file is in the directory, N_FORMATS when none is; *file is the file's path. False when memory is short. */
static bool find_in_directory(const char *directory, strbuf *file, size_t *row) {
    const size_t n = strlen(directory);
    for (*row = 0; *row < N_FORMATS; ++*row) {
        strbuf_clear(file);
        strbuf_printf(file, "%s%s%s", directory, n && directory[n - 1] == '/' ? "" : "/", formats[*row].file);
        if (!strbuf_ok(file)) return false;
        if (file_exists(strbuf_str(file))) return true;
    }
    return true;
}

/* The row with the longest ending that fits: `.bin.index.json` is more than `.index.json`. */
static size_t find_ending(const char *path) {
    size_t found = N_FORMATS;
    for (size_t row = 0; row < N_FORMATS; row++) {
        if (!text_ends_with(path, formats[row].ending)) continue;
        if (found == N_FORMATS || strlen(formats[row].ending) > strlen(formats[found].ending)) found = row;
    }
    return found;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const checkpoint_tensor *)a)->name, ((const checkpoint_tensor *)b)->name);
}

/* Sorts, refuses names that stand twice, and joins whole numbers with their scales. */
static pofac_status finish(checkpoint *c, const char *path, const diag_sink *sink) {
    if (c->tensors.size) qsort(c->tensors.data, c->tensors.size, sizeof *c->tensors.data, by_name);
    for (size_t i = 1; i < c->tensors.size; i++) {
        if (by_name(&c->tensors.data[i - 1], &c->tensors.data[i]) != 0) continue;
        diag_place place = {.file = path};
        strbuf name = STRBUF_INIT;
        checkpoint_put_name(c->tensors.data[i].name, &name);
        pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &place, "%s: found twice, wanted once", strbuf_str(&name));
        strbuf_free(&name);
        return status;
    }
    return scaled_tensors_join(c->tensors.data, c->tensors.size, &c->memory, sink, &c->tensors.size);
}

static pofac_status read_into(checkpoint *c, checkpoint_reader *reader, const char *path, const diag_sink *sink, checkpoint **out) {
    pofac_status status = reader(path, sink, c);
    if (status == POFAC_OK) status = finish(c, path, sink);
    if (status == POFAC_OK) *out = c;
    else checkpoint_close(c);
    return status;
}

static pofac_status read_with(size_t row, const char *path, const diag_sink *sink, checkpoint **out) {
    checkpoint *c = calloc(1, sizeof *c);
    return c ? read_into(c, readers[row], path, sink, out) : diag_out_of_memory(sink);
}

pofac_status checkpoint_open_memory(const char *name, const void *bytes, size_t n, const diag_sink *sink, checkpoint **out) {
    *out = NULL;
    checkpoint *c = calloc(1, sizeof *c);
    if (!c) return diag_out_of_memory(sink);
    c->given = (file_map){bytes, n};
    return read_into(c, safetensors_read, name, sink, out);
}

static pofac_status open_directory(const char *path, const diag_sink *sink, checkpoint **out) {
    strbuf file = STRBUF_INIT;
    size_t row;
    pofac_status status;
    if (!find_in_directory(path, &file, &row)) status = diag_out_of_memory(sink);
    else if (row == N_FORMATS) status = nothing_known(path, "found no checkpoint in this directory, wanted ", file_of, sink);
    else status = read_with(row, strbuf_str(&file), sink, out);
    strbuf_free(&file);
    return status;
}

pofac_status checkpoint_open(const char *path, const diag_sink *sink, checkpoint **out) {
    *out = NULL;
    if (file_is_directory(path)) return open_directory(path, sink, out);
    size_t row = find_ending(path);
    if (row < N_FORMATS) return read_with(row, path, sink, out);
    const char *found = file_exists(path) ? "found a file of an unknown kind, wanted a directory or a file that ends in "
                                          : "found nothing of this name, wanted a directory or a file that ends in ";
    return nothing_known(path, found, ending_of, sink);
}

void checkpoint_close(checkpoint *c) {
    if (!c) return;
    for (size_t i = 0; i < c->maps.size; i++) file_map_close(&c->maps.data[i]);
    VEC_FREE(&c->maps);
    VEC_FREE(&c->tensors);
    VEC_FREE(&c->metadata);
    arena_free(&c->memory);
    free(c);
}

bool checkpoint_is_there(const char *path) {
    if (!file_is_directory(path)) return file_exists(path) && find_ending(path) < N_FORMATS;
    strbuf file = STRBUF_INIT;
    size_t row;
    bool found = find_in_directory(path, &file, &row) && row < N_FORMATS;
    strbuf_free(&file);
    return found;
}

size_t checkpoint_size(const checkpoint *c) { return c->tensors.size; }

const checkpoint_tensor *checkpoint_at(const checkpoint *c, size_t i) { return i < c->tensors.size ? &c->tensors.data[i] : NULL; }

const checkpoint_tensor *checkpoint_get(const checkpoint *c, const char *name) {
    const checkpoint_tensor key = {.name = name};
    if (!c->tensors.size) return NULL;
    return bsearch(&key, c->tensors.data, c->tensors.size, sizeof key, by_name);
}

const char *checkpoint_metadata(const checkpoint *c, const char *key) {
    for (size_t i = 0; i < c->metadata.size; i++)
        if (strcmp(c->metadata.data[i].key, key) == 0) return c->metadata.data[i].value;
    return NULL;
}

int64_t checkpoint_elements(const checkpoint_tensor *t) {
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

int64_t checkpoint_bytes(const checkpoint_tensor *t) {
    return t->scales ? scaled_tensor_bytes(t) : checkpoint_elements(t) * (int64_t)(dtype_bits(t->dtype) / 8);
}

bool checkpoint_is_packed(const checkpoint_tensor *t) {
    int64_t wanted = 1;
    if (t->scales) return false;
    if (checkpoint_elements(t) == 0) return true;
    for (uint32_t i = t->rank; i-- > 0;) {
        if (t->dims[i] != 1 && t->strides[i] != wanted) return false;
        wanted *= t->dims[i];
    }
    return true;
}

void checkpoint_print_shape(uint32_t rank, const int64_t *dims, strbuf *out) {
    strbuf_putc(out, '[');
    for (uint32_t i = 0; i < rank; i++) strbuf_printf(out, i ? ",%" PRId64 : "%" PRId64, dims[i]);
    strbuf_putc(out, ']');
}

arena *checkpoint_memory(checkpoint *c) { return &c->memory; }

pofac_status checkpoint_map(checkpoint *c, const char *path, const diag_sink *sink, file_map *map, const char **name) {
    *name = arena_strdup(&c->memory, path);
    if (!*name || !VEC_RESERVE(&c->maps, c->maps.size + 1)) return diag_out_of_memory(sink);
    if (c->given.data) {
        *map = c->given;
        return POFAC_OK;
    }
    TRY(file_map_open(path, sink, map));
    c->maps.data[c->maps.size++] = *map;
    return POFAC_OK;
}

pofac_status checkpoint_add(checkpoint *c, const checkpoint_tensor *t, const diag_sink *sink) {
    return VEC_PUSH(&c->tensors, *t) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status checkpoint_add_metadata(checkpoint *c, const char *key, const char *value, const diag_sink *sink) {
    metadata m = {arena_strdup(&c->memory, key), arena_strdup(&c->memory, value)};
    return m.key && m.value && VEC_PUSH(&c->metadata, m) ? POFAC_OK : diag_out_of_memory(sink);
}

void checkpoint_put_name(const char *name, strbuf *out) {
    const size_t n = strlen(name);
    strbuf_puts(out, "tensor ");
    strbuf_put_json(out, name, n > SHOWN_NAME_BYTES ? SHOWN_NAME_BYTES : n);
    if (n > SHOWN_NAME_BYTES) strbuf_puts(out, "...");
}

/* An empty tensor may have other dimensions as large as they like, as long as their product fits: strides are products as well. */
pofac_status checkpoint_tensor_error(const char *file, const char *name, const diag_sink *sink, const char *format, va_list args) {
    strbuf message = STRBUF_INIT;
    checkpoint_put_name(name, &message);
    strbuf_puts(&message, ": ");
    strbuf_vprintf(&message, format, args);
    diag_place place = {.file = file};
    pofac_status status =
        strbuf_ok(&message) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&message)) : diag_out_of_memory(sink);
    strbuf_free(&message);
    return status;
}

bool checkpoint_pack(checkpoint_tensor *t, int64_t *n_elements, int64_t *n_bytes) {
    int64_t stride = 1;
    bool empty = false;
    for (uint32_t i = t->rank; i-- > 0;) {
        t->strides[i] = stride;
        if (t->dims[i] == 0) empty = true;
        else if (__builtin_mul_overflow(stride, t->dims[i], &stride)) return false;
    }
    *n_elements = empty ? 0 : stride;
    return !__builtin_mul_overflow(*n_elements, (int64_t)(dtype_bits(t->dtype) / 8), n_bytes);
}

void checkpoint_release(const checkpoint *c, const checkpoint_tensor *t) {
    int64_t last = 0;
    if (checkpoint_elements(t) == 0) return;
    for (uint32_t i = 0; i < t->rank; i++) last += (t->dims[i] - 1) * t->strides[i];
    const int64_t bytes = t->scales ? scaled_tensor_bytes(t) : (last + 1) * (int64_t)(dtype_bits(t->dtype) / 8);
    for (size_t i = 0; i < c->maps.size; i++) file_map_release(&c->maps.data[i], t->data, (size_t)bytes);
}
