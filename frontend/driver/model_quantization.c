/*
 * quantization.safetensors <-> ranges of modules; see model_quantization.h. Ranges are what is kept bit for bit; scales and zero points are made of them, and are
 * checked against them. Of a file with scales alone, the range is scale * (least - zero point) to scale * (greatest - zero point), a few units in the last
 * place to either side, so that it gives the same scale again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/safetensors.h"
#include "frontend/driver/quantization_json.h"
#include "ir/graph.h"
#include "ir/quantization.h"
#include "ir/support/file_map.h"
#include "ir/support/strmap.h"
#include "ir/support/vector.h"

#define PLAN_KEY "quantization"

typedef enum range_kind { OF_INPUT, OF_WEIGHT, OF_OUTPUT, N_KINDS } range_kind;
typedef enum range_field { FIELD_RANGE, FIELD_SCALE, FIELD_ZERO_POINT, N_FIELDS } range_field;

static const char *const endings[N_KINDS][N_FIELDS] = {{IR_INPUT_RANGE, ".input_scale", ".input_zero_point"},
                                                       {IR_WEIGHT_RANGE, ".weight_scale", ".weight_zero_point"},
                                                       {IR_OUTPUT_RANGE, ".output_scale", ".output_zero_point"}};

/* The module of a tensor's name: the length of it; 0: it is none of these. */
static size_t parse_name(const char *name, range_kind *kind, range_field *field) {
    const size_t length = strlen(name);
    for (int k = 0; k < N_KINDS; k++)
        for (int f = 0; f < N_FIELDS; f++) {
            const size_t n = strlen(endings[k][f]);
            if (length <= n || strcmp(name + length - n, endings[k][f]) != 0) continue;
            *kind = (range_kind)k;
            *field = (range_field)f;
            return length - n;
        }
    return 0;
}

/* ---- scales ---- */

float quantization_weight_scale(const float range[2], int bits) {
    const quantization q = quantization_of((value_range){range[0], range[1]}, QUANTIZE_SYMMETRIC);
    const float half = (float)(1 << (bits - 1)) - 0.5f;
    return bits == 8 ? q.scale : fmaxf(fmaxf(-range[0], range[1]) / half, QUANTIZATION_LEAST_SCALE);
}

typedef struct range_scale {
    float scale;
    int32_t zero_point;
} range_scale;

static range_scale scale_of(range_kind kind, const float range[2], int bits) {
    if (kind == OF_WEIGHT) return (range_scale){quantization_weight_scale(range, bits), 0};
    const quantization q = quantization_of((value_range){range[0], range[1]}, QUANTIZE_AFFINE);
    return (range_scale){q.scale, q.zero_point};
}

static bool same_scale(range_scale a, range_scale b) { return a.scale == b.scale && a.zero_point == b.zero_point; }

/* The float `steps` units in the last place further from 0. */
static float further(float x, int steps) {
    if (x == 0) return x;
    for (; steps > 0; steps--) x = nextafterf(x, copysignf(INFINITY, x));
    for (; steps < 0; steps++) x = nextafterf(x, 0);
    return x;
}

/* A range that gives the scale: of affine ones the larger end moves, and the smaller one by a unit, where its last bit lies below the larger one's and
 * would make each difference even. */
static void range_of_scale(range_kind kind, range_scale s, int bits, float range[2]) {
    enum { MOST = 8 };
    const float half = (float)(1 << (bits - 1)) - 0.5f;
    const float least = kind == OF_WEIGHT ? -half * s.scale : -(float)s.zero_point * s.scale,
                greatest = kind == OF_WEIGHT ? half * s.scale : (float)(255 - s.zero_point) * s.scale;
    for (int i = 0; i <= 4 * MOST; i++) { /* steps 0, 1, -1, 2, -2, ...; each with the other end as it is, and moved */
        const int turn = i / 2, steps = turn % 2 ? (turn + 1) / 2 : -(turn / 2), other = kind == OF_WEIGHT ? steps : i % 2;
        range[0] = further(least, greatest >= -least ? other : steps);
        range[1] = further(greatest, greatest >= -least ? steps : other);
        if (same_scale(scale_of(kind, range, bits), s)) return;
    }
    range[0] = least;
    range[1] = greatest;
}

/* ---- reading ---- */

/* A module and its tensors in the file. */
typedef struct read_module {
    quantized_module module;
    const checkpoint_tensor *tensors[N_KINDS][N_FIELDS];
} read_module;

struct model_quantization {
    quantization_plan plan;
    VEC(read_module) modules;
    strmap index; /* name -> place in modules; its keys are their names */
    arena memory;
    tensor_source source;
};

typedef struct file_reader {
    model_quantization *q;
    const checkpoint *file;
    const char *path;
    const diag_sink *sink;
} file_reader;

static pofac_status misfit(const file_reader *r, const char *name, const char *what) {
    return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path}, "tensor \"%s\": %s", name, what);
}

static pofac_status collect(file_reader *r, const checkpoint_tensor *t) {
    model_quantization *q = r->q;
    range_kind kind = OF_INPUT;
    range_field field = FIELD_RANGE;
    const size_t length = parse_name(t->name, &kind, &field);
    bool is_new;
    if (length == 0) return misfit(r, t->name, "found another than ranges, scales and zero points of modules");
    const strmap_entry *e = strmap_put(&q->index, t->name, length, q->modules.size, &is_new);
    if (!e) return diag_out_of_memory(r->sink);
    if (is_new && !VEC_PUSH(&q->modules, ((read_module){.module = {.name = e->key}}))) return diag_out_of_memory(r->sink);
    q->modules.data[e->value].tensors[kind][field] = t;
    return POFAC_OK;
}

/* How many ranges the tensors tell of, by the shapes of range or scale. */
static pofac_status count_ranges(const file_reader *r, range_kind kind, const checkpoint_tensor *const *t, int64_t *n,
                                 bool *by_channel) {
    const checkpoint_tensor *range = t[FIELD_RANGE], *scale = t[FIELD_SCALE], *zero = t[FIELD_ZERO_POINT];
    if (!range && !scale) return misfit(r, zero->name, "found without a scale");
    if (scale && !zero && kind != OF_WEIGHT) return misfit(r, scale->name, "found without a zero point");
    if (range) {
        const bool rows = range->rank == 2 && kind == OF_WEIGHT;
        if (range->dtype != IR_F32 || (range->rank != 1 && !rows) || range->dims[range->rank - 1] != 2)
            return misfit(r, range->name, kind == OF_WEIGHT ? "wanted f32 [2], or [N,2]" : "wanted f32 [2]");
        *by_channel = rows;
        *n = rows ? range->dims[0] : 1;
    } else {
        *n = checkpoint_elements(scale);
        *by_channel = *n != 1;
    }
    if (*n < 1 || (*n != 1 && kind != OF_WEIGHT)) return misfit(r, (range ? range : scale)->name, "wanted one number");
    if (scale && (scale->dtype != IR_F32 || checkpoint_elements(scale) != *n))
        return misfit(r, scale->name, "wanted an f32 for each range");
    if (zero && checkpoint_elements(zero) != *n) return misfit(r, zero->name, "wanted one for each range");
    return POFAC_OK;
}

/* Its width is a number, too. */
static bool is_range(const float range[2]) { return isfinite(range[1] - range[0]) && range[0] <= range[1]; }

static bool is_scale(range_kind kind, range_scale s) {
    return isfinite(s.scale) && s.scale > 0 && s.zero_point >= 0 && s.zero_point <= (kind == OF_WEIGHT ? 0 : 255);
}

/* The ranges of one kind of a module; *out NULL: it has none. */
static pofac_status read_ranges(const file_reader *r, range_kind kind, const checkpoint_tensor *const *t, const float **out,
                                int64_t *n, bool *by_channel) {
    const checkpoint_tensor *range = t[FIELD_RANGE], *scale = t[FIELD_SCALE], *zero = t[FIELD_ZERO_POINT];
    const int bits = r->q->plan.weight_bits;
    *out = NULL;
    if (!range && !scale && !zero) return POFAC_OK;
    TRY(count_ranges(r, kind, t, n, by_channel));
    float *ranges = ARENA_ARRAY(&r->q->memory, float, 2 * (size_t)*n), *scales = ARENA_ARRAY(&r->q->memory, float, (size_t)*n);
    int64_t *zeros = ARENA_ARRAY(&r->q->memory, int64_t, (size_t)*n);
    if (!ranges || !scales || !zeros) return diag_out_of_memory(r->sink);
    if (range) checkpoint_read_f32(range, ranges);
    if (scale) checkpoint_read_f32(scale, scales);
    if (zero) TRY(checkpoint_read_i64(zero, r->sink, zeros));
    for (int64_t i = 0; i < *n; i++) {
        float *at = ranges + 2 * i;
        const range_scale s = {scale ? scales[i] : 1, zero && zeros[i] >= -1 && zeros[i] <= 256 ? (int32_t)zeros[i]
                                                      : zero                                    ? -1
                                                                                                : 0};
        if (range && !is_range(at)) return misfit(r, range->name, "found no range, wanted a finite least and a greatest number");
        if (!is_scale(kind, s))
            return misfit(r, (scale ? scale : zero)->name, "found no scale above 0, or no zero point of 8 bits");
        if (!range) range_of_scale(kind, s, bits, at);
        if (!is_range(at)) return misfit(r, scale->name, "found a scale of more than floats can hold");
        if (range && scale && !same_scale(scale_of(kind, at, bits), (range_scale){s.scale, zero ? s.zero_point : 0}))
            return misfit(r, scale->name, "found another scale, or zero point, than the range gives");
    }
    *out = ranges;
    return POFAC_OK;
}

static pofac_status read_one(const file_reader *r, read_module *m) {
    quantized_module *q = &m->module;
    int64_t n = 1;
    bool by_channel = false;
    TRY(read_ranges(r, OF_INPUT, m->tensors[OF_INPUT], &q->input, &n, &by_channel));
    TRY(read_ranges(r, OF_OUTPUT, m->tensors[OF_OUTPUT], &q->output, &n, &by_channel));
    TRY(read_ranges(r, OF_WEIGHT, m->tensors[OF_WEIGHT], &q->weight, &q->n_weight_ranges, &q->by_channel));
    if (q->weight && (q->input || !q->output)) return POFAC_OK;
    return diag_error(r->sink, POFAC_ERR_INPUT, &(diag_place){.file = r->path}, "module \"%s\": found %s", q->name,
                      q->weight ? "a range of its output, wanted one of its input, too" : "no range of its weight");
}

static pofac_status read_plan(const file_reader *r) {
    const char *text = checkpoint_metadata(r->file, PLAN_KEY);
    r->q->plan = quantization_plan_default();
    if (!text) return POFAC_OK;
    return quantization_plan_parse(r->path, "metadata " PLAN_KEY, text, strlen(text), &r->q->memory, r->sink, &r->q->plan);
}

static pofac_status read_file(file_reader *r) {
    TRY(read_plan(r));
    for (size_t i = 0; i < checkpoint_size(r->file); i++) TRY(collect(r, checkpoint_at(r->file, i)));
    for (size_t i = 0; i < r->q->modules.size; i++) TRY(read_one(r, &r->q->modules.data[i]));
    return POFAC_OK;
}

static pofac_status get_range(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const model_quantization *q = user;
    range_kind kind = OF_INPUT;
    range_field field = FIELD_RANGE;
    const size_t length = parse_name(name, &kind, &field);
    const strmap_entry *e = length && field == FIELD_RANGE ? strmap_get(&q->index, name, length) : NULL;
    const quantized_module *m = e ? &q->modules.data[e->value].module : NULL;
    const float *range = !m ? NULL : kind == OF_INPUT ? m->input : kind == OF_OUTPUT ? m->output : m->weight;
    if (!range) return diag_error(sink, POFAC_ERR_INPUT, NULL, "the quantized model has no \"%s\", wanted one", name);
    const bool rows = kind == OF_WEIGHT && m->by_channel;
    const int64_t dims[2] = {rows ? m->n_weight_ranges : 2, 2};
    *out = tensor_view(IR_F32, rows ? 2 : 1, dims, range);
    return POFAC_OK;
}

/* Takes over `file`. */
static pofac_status read_checkpoint(checkpoint *file, const char *path, const diag_sink *sink, model_quantization **out) {
    model_quantization *q = calloc(1, sizeof *q);
    pofac_status status = POFAC_OK;
    if (q) {
        q->index = (strmap)STRMAP_INIT;
        q->memory = (arena)ARENA_INIT;
        q->source = (tensor_source){.get = get_range, .user = q};
        file_reader r = {q, file, path, sink};
        status = read_file(&r);
    } else {
        status = diag_out_of_memory(sink);
    }
    checkpoint_close(file);
    if (status == POFAC_OK) *out = q;
    else model_quantization_close(q);
    return status;
}

static pofac_status open_file(const char *path, const diag_sink *sink, model_quantization **out) {
    checkpoint *file;
    TRY(checkpoint_open(path, sink, &file));
    return read_checkpoint(file, path, sink, out);
}

pofac_status model_quantization_read_memory(const char *name, const void *bytes, size_t n, const diag_sink *sink,
                                            model_quantization **out) {
    checkpoint *file;
    *out = NULL;
    TRY(checkpoint_open_memory(name, bytes, n, sink, &file));
    return read_checkpoint(file, name, sink, out);
}

pofac_status model_quantization_read(const char *directory, const diag_sink *sink, model_quantization **out) {
    strbuf path = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    *out = NULL;
    strbuf_printf(&path, "%s/" QUANTIZATION_FILE, directory ? directory : "");
    if (!strbuf_ok(&path)) status = diag_out_of_memory(sink);
    else if (directory && file_exists(strbuf_str(&path))) status = open_file(strbuf_str(&path), sink, out);
    strbuf_free(&path);
    return status;
}

void model_quantization_close(model_quantization *q) {
    if (!q) return;
    VEC_FREE(&q->modules);
    strmap_free(&q->index);
    arena_free(&q->memory);
    free(q);
}

const quantization_plan *model_quantization_plan(const model_quantization *q) { return &q->plan; }

size_t model_quantization_size(const model_quantization *q) { return q->modules.size; }

const quantized_module *model_quantization_at(const model_quantization *q, size_t i) { return &q->modules.data[i].module; }

const quantized_module *model_quantization_find(const model_quantization *q, const char *module) {
    const strmap_entry *e = strmap_get(&q->index, module, strlen(module));
    return e ? &q->modules.data[e->value].module : NULL;
}

pass_quantized model_quantization_of(void *q, const char *module) {
    const model_quantization *file = q;
    const quantized_module *m = model_quantization_find(file, module);
    if (!m || file->plan.activations == QUANTIZE_WEIGHTS_ONLY) return PASS_QUANTIZED_NOT;
    const pass_quantized activations = !m->input ? PASS_QUANTIZED_ROWS : m->output ? PASS_QUANTIZED_WHOLE : PASS_QUANTIZED_OPERANDS;
    return m->by_channel ? activations | PASS_QUANTIZED_CHANNELS : activations;
}

const tensor_source *model_quantization_ranges(const model_quantization *q) { return &q->source; }

/* ---- writing ---- */

typedef struct item_list {
    VEC(safetensors_item) list;
    arena memory;
    int bits;
    const diag_sink *sink;
} item_list;

static pofac_status add_item(item_list *items, const char *module, const char *ending, safetensors_item item) {
    item.name = arena_printf(&items->memory, "%s%s", module, ending);
    return item.name && item.data && VEC_PUSH(&items->list, item) ? POFAC_OK : diag_out_of_memory(items->sink);
}

static pofac_status add_ranges(item_list *items, const quantized_module *m, range_kind kind) {
    const float *ranges = kind == OF_INPUT ? m->input : kind == OF_OUTPUT ? m->output : m->weight;
    const bool rows = kind == OF_WEIGHT && m->by_channel;
    const int64_t n = rows ? m->n_weight_ranges : 1;
    if (!ranges) return POFAC_OK;
    float *scales = ARENA_ARRAY(&items->memory, float, (size_t)n);
    int32_t *zeros = ARENA_ARRAY(&items->memory, int32_t, (size_t)n);
    if (!scales || !zeros) return diag_out_of_memory(items->sink);
    for (int64_t i = 0; i < n; i++) {
        const range_scale s = scale_of(kind, ranges + 2 * i, items->bits);
        scales[i] = s.scale;
        zeros[i] = s.zero_point;
    }
    const safetensors_item range = {.dtype = IR_F32, .rank = rows ? 2 : 1, .dims = {rows ? n : 2, 2}, .data = ranges},
                           scale = {.dtype = IR_F32, .rank = 1, .dims = {n}, .data = scales},
                           zero = {.dtype = IR_I32, .rank = 1, .dims = {n}, .data = zeros};
    TRY(add_item(items, m->name, endings[kind][FIELD_RANGE], range));
    TRY(add_item(items, m->name, endings[kind][FIELD_SCALE], scale));
    return add_item(items, m->name, endings[kind][FIELD_ZERO_POINT], zero);
}

pofac_status model_quantization_write(const char *directory, const quantization_plan *plan, const quantized_module *modules,
                                      size_t n, const diag_sink *sink) {
    item_list items = {.memory = ARENA_INIT, .bits = plan->weight_bits, .sink = sink};
    strbuf path = STRBUF_INIT, text = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    strbuf_printf(&path, "%s/" QUANTIZATION_FILE, directory);
    quantization_plan_put(plan, &text);
    for (size_t i = 0; i < n && status == POFAC_OK; i++)
        for (int kind = 0; kind < N_KINDS && status == POFAC_OK; kind++) status = add_ranges(&items, &modules[i], (range_kind)kind);
    const safetensors_metadata metadata = {PLAN_KEY, strbuf_str(&text)};
    if (status == POFAC_OK && (!strbuf_ok(&path) || !strbuf_ok(&text))) status = diag_out_of_memory(sink);
    if (status == POFAC_OK) status = safetensors_write(strbuf_str(&path), items.list.data, items.list.size, &metadata, 1, sink);
    VEC_FREE(&items.list);
    arena_free(&items.memory);
    strbuf_free(&path);
    strbuf_free(&text);
    return status;
}
