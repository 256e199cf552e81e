/*
 * A safetensors file -> a checkpoint of views into its mapping. The format stands in safetensors.h.
 *
 * Everything is checked before anything is used: the header's length against the file, each tensor's range against the data and its
 * shape, and all ranges together: sorted by where they begin, each begins where the one before ends, the first at 0 and the last at
 * the end. Keys of a tensor that the format does not name are ignored, as the reference implementation does.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint_build.h"
#include "frontend/checkpoint/safetensors.h"
#include "frontend/checkpoint/shard_index.h"
#include "ir/support/json_text.h"

static const struct {
    ir_dtype dtype;
    const char *name;
} dtypes[] = {
    {IR_F64, "F64"}, {IR_F32, "F32"}, {IR_F16, "F16"}, {IR_BF16, "BF16"}, {IR_I64, "I64"},
    {IR_I32, "I32"}, {IR_I16, "I16"}, {IR_I8, "I8"},   {IR_U8, "U8"},     {IR_BOOL, "BOOL"},
};
#define DTYPE_CHOICES "F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL"

const char *safetensors_dtype_name(ir_dtype dtype) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    return NULL;
}

bool safetensors_dtype_parse(const char *name, ir_dtype *out) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, name) != 0) continue;
        *out = dtypes[i].dtype;
        return true;
    }
    return false;
}

/* Where a tensor's data stand: bytes [begin, end) of the data. */
typedef struct range {
    int64_t begin, end;
    const char *name;
} range;

typedef struct reader {
    const char *file;
    const unsigned char *data;
    int64_t data_bytes;
    checkpoint *c;
    const checkpoint_filter *filter;
    range *ranges; /* of all tensors, also those that the filter leaves out */
    size_t n_ranges;
    strbuf text;
    const diag_sink *sink;
} reader;

POFAC_PRINTF(3, 4)
static pofac_status wrong(const reader *r, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    pofac_status status = checkpoint_tensor_error(r->file, name, r->sink, format, args);
    va_end(args);
    return status;
}

static pofac_status read_dtype(reader *r, const json_t *info, checkpoint_tensor *t) {
    const json_t *value = json_object_get(info, "dtype");
    const char *name = json_string_value(value);
    if (name && safetensors_dtype_parse(name, &t->dtype)) return POFAC_OK;
    return wrong(r, t->name, "dtype: found %s, wanted " DTYPE_CHOICES, value ? json_describe(value, &r->text) : "nothing");
}

static pofac_status read_shape(reader *r, const json_t *info, checkpoint_tensor *t) {
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape))
        return wrong(r, t->name, "shape: found %s, wanted an array", shape ? json_describe(shape, &r->text) : "nothing");
    size_t rank = json_array_size(shape);
    if (rank > CHECKPOINT_MAX_RANK)
        return wrong(r, t->name, "shape: found %zu dimensions, wanted at most %d", rank, CHECKPOINT_MAX_RANK);
    t->rank = (uint32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        t->dims[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || t->dims[i] < 0)
            return wrong(r, t->name, "shape: found %s, wanted an integer from 0", json_describe(dim, &r->text));
    }
    return POFAC_OK;
}

static pofac_status read_offsets(reader *r, const json_t *info, const char *name, range *out) {
    const json_t *offsets = json_object_get(info, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return wrong(r, name, "data_offsets: found %s, wanted an array of two integers",
                     !offsets                 ? "nothing"
                     : json_is_array(offsets) ? "another array"
                                              : json_describe(offsets, &r->text));
    *out = (range){json_integer_value(begin), json_integer_value(end), name};
    if (out->begin >= 0 && out->begin <= out->end && out->end <= r->data_bytes) return POFAC_OK;
    return wrong(r, name, "data_offsets: found [%" PRId64 ",%" PRId64 "], wanted a range within the %" PRId64 " bytes of data%s",
                 out->begin, out->end, r->data_bytes, out->end > r->data_bytes ? ": the file may be cut short" : "");
}

/* The shape and the dtype make as many bytes as the range has. */
static pofac_status check_size(reader *r, checkpoint_tensor *t, const range *at) {
    int64_t n_elements, n_bytes;
    if (checkpoint_pack(t, &n_elements, &n_bytes) && n_bytes == at->end - at->begin) {
        t->data = n_elements ? r->data + at->begin : NULL;
        return POFAC_OK;
    }
    strbuf_clear(&r->text);
    checkpoint_print_shape(t->rank, t->dims, &r->text);
    return wrong(r, t->name, "found %" PRId64 " bytes of data, wanted as many as %s of shape %s take", at->end - at->begin,
                 safetensors_dtype_name(t->dtype), strbuf_str(&r->text));
}

static pofac_status read_tensor(reader *r, const char *key, const json_t *info) {
    checkpoint_tensor t = {.file = r->file, .name = arena_strdup(checkpoint_memory(r->c), key)};
    if (!t.name) return diag_out_of_memory(r->sink);
    if (!json_is_object(info)) return wrong(r, key, "found %s, wanted an object", json_describe(info, &r->text));
    range *at = &r->ranges[r->n_ranges];
    TRY(read_dtype(r, info, &t));
    TRY(read_shape(r, info, &t));
    TRY(read_offsets(r, info, t.name, at));
    TRY(check_size(r, &t, at));
    r->n_ranges++;
    if (r->filter && !r->filter->wants(r->filter->user, t.name)) return POFAC_OK;
    return checkpoint_add(r->c, &t, r->sink);
}

static pofac_status read_metadata(reader *r, const json_t *metadata) {
    diag_place place = {.file = r->file};
    if (!json_is_object(metadata))
        return diag_error(r->sink, POFAC_ERR_INPUT, &place, "__metadata__: found %s, wanted an object of strings",
                          json_describe(metadata, &r->text));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return diag_error(r->sink, POFAC_ERR_INPUT, &place, "__metadata__: %s: found %s, wanted a string", key,
                              json_describe(value, &r->text));
        TRY(checkpoint_add_metadata(r->c, key, json_string_value(value), r->sink));
    }
    return POFAC_OK;
}

static int by_begin(const void *a, const void *b) {
    const range *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1; /* empty ones first */
    return strcmp(x->name, y->name);
}

static pofac_status check_ranges(reader *r) {
    int64_t end = 0;
    if (r->n_ranges) qsort(r->ranges, r->n_ranges, sizeof *r->ranges, by_begin);
    for (size_t i = 0; i < r->n_ranges; i++) {
        const range *at = &r->ranges[i];
        if (at->begin != end)
            return wrong(r, at->name, "found data from byte %" PRId64 ", wanted them from byte %" PRId64 ", where %s", at->begin,
                         end, i ? "those of the tensor before end" : "the data begin");
        end = at->end;
    }
    diag_place place = {.file = r->file};
    if (end != r->data_bytes)
        return diag_error(r->sink, POFAC_ERR_INPUT, &place,
                          "found %" PRId64 " bytes of data, wanted %" PRId64 ", where the last tensor ends", r->data_bytes, end);
    return POFAC_OK;
}

static pofac_status read_header(reader *r, const json_t *header) {
    diag_place place = {.file = r->file};
    if (!json_is_object(header))
        return diag_error(r->sink, POFAC_ERR_INPUT, &place, "header: found %s, wanted an object", json_describe(header, &r->text));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)header, key, value) {
        if (strcmp(key, "__metadata__") == 0) TRY(read_metadata(r, value));
        else TRY(read_tensor(r, key, value));
    }
    return check_ranges(r);
}

/* The header's length, checked against what the file has. */
static pofac_status measure_header(const char *file, const file_map *map, const diag_sink *sink, size_t *out) {
    diag_place place = {.file = file};
    if (map->size_bytes < 8)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "found %zu bytes, wanted at least 8, the length of the header",
                          map->size_bytes);
    uint64_t n;
    memcpy(&n, map->data, sizeof n);
    if (n > SAFETENSORS_MAX_HEADER_BYTES)
        return diag_error(sink, POFAC_ERR_INPUT, &place,
                          "found a header of %" PRIu64 " bytes, wanted at most %d: this is no safetensors file", n,
                          SAFETENSORS_MAX_HEADER_BYTES);
    if (n > map->size_bytes - 8)
        return diag_error(sink, POFAC_ERR_INPUT, &place,
                          "found %zu bytes, wanted %" PRIu64 " for the header alone: the file is cut short", map->size_bytes,
                          n + 8);
    *out = (size_t)n;
    return POFAC_OK;
}

static pofac_status read_some(const char *path, const checkpoint_filter *filter, const diag_sink *sink, checkpoint *c) {
    reader r = {.c = c, .filter = filter, .text = STRBUF_INIT, .sink = sink};
    file_map map;
    size_t header_bytes = 0;
    TRY(checkpoint_map(c, path, sink, &map, &r.file));
    TRY(measure_header(r.file, &map, sink, &header_bytes));
    r.data = map.data + 8 + header_bytes;
    r.data_bytes = (int64_t)(map.size_bytes - 8 - header_bytes);
    json_t *header;
    TRY(json_parse(r.file, "header", map.data + 8, header_bytes, sink, &header));
    const size_t n_keys = json_object_size(header);
    r.ranges = malloc((n_keys ? n_keys : 1) * sizeof *r.ranges);
    pofac_status status = r.ranges ? read_header(&r, header) : diag_out_of_memory(sink);
    free(r.ranges);
    strbuf_free(&r.text);
    json_decref(header);
    return status;
}

pofac_status safetensors_read(const char *path, const diag_sink *sink, checkpoint *c) { return read_some(path, NULL, sink, c); }

pofac_status safetensors_index_read(const char *path, const diag_sink *sink, checkpoint *c) {
    return shard_index_read(path, read_some, sink, c);
}
