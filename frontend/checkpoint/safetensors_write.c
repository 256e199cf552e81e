/*
 * Tensors -> a safetensors file, written from front to back: header, then one tensor after the other, in pieces where they are made
 * on the way.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint_build.h"
#include "frontend/checkpoint/safetensors.h"

#define PIECE_BYTES ((size_t)1 << 20) /* large enough that a call's cost does not count, small beside any model */

/* An item and where its data stand. */
typedef struct placed {
    const safetensors_item *item;
    int64_t n_elements, n_bytes, begin;
} placed;

static int by_name(const void *a, const void *b) {
    return strcmp(((const placed *)a)->item->name, ((const placed *)b)->item->name);
}

static int by_width(const void *a, const void *b) {
    const unsigned x = dtype_bits(((const placed *)a)->item->dtype), y = dtype_bits(((const placed *)b)->item->dtype);
    return x != y ? (x > y ? -1 : 1) : by_name(a, b);
}

static pofac_status refuse(const char *path, const safetensors_item *item, const char *why, const diag_sink *sink) {
    diag_place place = {.file = path};
    return diag_error(sink, POFAC_ERR_USAGE, &place, "tensor \"%s\" cannot be written: %s", item->name, why);
}

static pofac_status measure(const char *path, const safetensors_item *item, const diag_sink *sink, placed *out) {
    checkpoint_tensor shape = {.dtype = item->dtype, .rank = item->rank};
    if (!safetensors_dtype_name(item->dtype)) return refuse(path, item, "the format has no such dtype", sink);
    if (strcmp(item->name, "__metadata__") == 0) return refuse(path, item, "the name has a meaning of its own", sink);
    if (item->rank > CHECKPOINT_MAX_RANK) return refuse(path, item, "too many dimensions", sink);
    for (uint32_t i = 0; i < item->rank; i++) {
        if (item->dims[i] < 0) return refuse(path, item, "a negative dimension", sink);
        shape.dims[i] = item->dims[i];
    }
    *out = (placed){.item = item};
    return checkpoint_pack(&shape, &out->n_elements, &out->n_bytes) ? POFAC_OK : refuse(path, item, "too large", sink);
}

/* Gives every item its place: the widest first, so that each begins at a multiple of its width. */
static pofac_status place_items(const char *path, placed *items, size_t n, const diag_sink *sink) {
    int64_t end = 0;
    if (n) qsort(items, n, sizeof *items, by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&items[i - 1], &items[i]) == 0) return refuse(path, items[i].item, "the name stands twice", sink);
    if (n) qsort(items, n, sizeof *items, by_width);
    for (size_t i = 0; i < n; i++) {
        items[i].begin = end;
        if (__builtin_add_overflow(end, items[i].n_bytes, &end)) return refuse(path, items[i].item, "too large", sink);
    }
    return POFAC_OK;
}

static void put_metadata(strbuf *out, const safetensors_metadata *metadata, size_t n) {
    bool has_format = false;
    for (size_t i = 0; i < n; i++) has_format = has_format || strcmp(metadata[i].key, "format") == 0;
    strbuf_puts(out, "{\"__metadata__\":{");
    if (!has_format) strbuf_puts(out, n ? "\"format\":\"pt\"," : "\"format\":\"pt\"");
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_putc(out, ',');
        strbuf_put_json(out, metadata[i].key, strlen(metadata[i].key));
        strbuf_putc(out, ':');
        strbuf_put_json(out, metadata[i].value, strlen(metadata[i].value));
    }
    strbuf_putc(out, '}');
}

/* 8 bytes of length and the header, padded with spaces; `items` are in the order of their names. */
static void put_header(strbuf *out, const placed *items, size_t n, const safetensors_metadata *metadata, size_t n_metadata) {
    strbuf_append(out, "\0\0\0\0\0\0\0\0", 8);
    put_metadata(out, metadata, n_metadata);
    for (size_t i = 0; i < n; i++) {
        const safetensors_item *item = items[i].item;
        strbuf_putc(out, ',');
        strbuf_put_json(out, item->name, strlen(item->name));
        strbuf_printf(out, ":{\"dtype\":\"%s\",\"shape\":", safetensors_dtype_name(item->dtype));
        checkpoint_print_shape(item->rank, item->dims, out);
        strbuf_printf(out, ",\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", items[i].begin, items[i].begin + items[i].n_bytes);
    }
    strbuf_putc(out, '}');
    while (strbuf_ok(out) && out->size % 8) strbuf_putc(out, ' ');
    if (!strbuf_ok(out)) return;
    uint64_t length = out->size - 8;
    memcpy(out->data, &length, sizeof length);
}

static pofac_status write_header(file_writer *w, const char *path, placed *items, size_t n, const safetensors_metadata *metadata,
                                 size_t n_metadata, const diag_sink *sink) {
    strbuf header = STRBUF_INIT;
    if (n) qsort(items, n, sizeof *items, by_name);
    put_header(&header, items, n, metadata, n_metadata);
    pofac_status status;
    diag_place place = {.file = path};
    if (!strbuf_ok(&header)) status = diag_out_of_memory(sink);
    else if (header.size - 8 > SAFETENSORS_MAX_HEADER_BYTES)
        status = diag_error(sink, POFAC_ERR_USAGE, &place, "the header would have %zu bytes, the format allows %d", header.size - 8,
                            SAFETENSORS_MAX_HEADER_BYTES);
    else status = file_writer_write(w, header.data, header.size);
    strbuf_free(&header);
    return status;
}

static pofac_status write_item(file_writer *w, const placed *p, void *piece) {
    const safetensors_item *item = p->item;
    if (item->data) return file_writer_write(w, item->data, (size_t)p->n_bytes);
    const int64_t width = dtype_bits(item->dtype) / 8, most = (int64_t)PIECE_BYTES / width;
    for (int64_t first = 0; first < p->n_elements; first += most) {
        const int64_t left = p->n_elements - first, count = left < most ? left : most;
        TRY(item->fill(item->user, first, count, piece));
        TRY(file_writer_write(w, piece, (size_t)(count * width)));
    }
    return POFAC_OK;
}

static pofac_status write_data(file_writer *w, placed *items, size_t n, const diag_sink *sink) {
    void *piece = malloc(PIECE_BYTES);
    if (!piece) return diag_out_of_memory(sink);
    if (n) qsort(items, n, sizeof *items, by_width);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < n; i++) status = write_item(w, &items[i], piece);
    free(piece);
    return status;
}

static pofac_status write_all(const char *path, placed *items, size_t n, const safetensors_metadata *metadata, size_t n_metadata,
                              const diag_sink *sink) {
    file_writer *w;
    TRY(place_items(path, items, n, sink));
    TRY(file_writer_open(path, sink, &w));
    pofac_status status = write_header(w, path, items, n, metadata, n_metadata, sink);
    if (status == POFAC_OK) status = write_data(w, items, n, sink);
    if (status == POFAC_OK) return file_writer_commit(w);
    file_writer_abandon(w);
    return status;
}

pofac_status safetensors_write(const char *path, const safetensors_item *items, size_t n_items,
                               const safetensors_metadata *metadata, size_t n_metadata, const diag_sink *sink) {
    placed *all = calloc(n_items ? n_items : 1, sizeof *all);
    if (!all) return diag_out_of_memory(sink);
    pofac_status status = POFAC_OK;
    for (size_t i = 0; status == POFAC_OK && i < n_items; i++) status = measure(path, &items[i], sink, &all[i]);
    if (status == POFAC_OK) status = write_all(path, all, n_items, metadata, n_metadata, sink);
    free(all);
    return status;
}
