/*
 * Sparse weights in 8 bits; see int8_sparse_packing.h.
 *
 * All non-zeros are quantized first. Then, as in sparse_packing.c, groups of rows are walked twice by the threads of the pool, to count and to
 * write: the entries of all rows of a block of columns are made, and the rows put in order by their number.
 *
 * Pairs: the non-zeros of a row in falling order; the largest goes with the smallest, which is a positive with a negative one as long as there are both,
 * and else goes alone, with a zero, where the two leave 16 bits together.
 */
#include "runtime/int8_sparse_packing.h"

#include <stdlib.h>
#include <string.h>

#include "ir/quantization.h"
#include "runtime/int8_packing.h"
#include "runtime/weight_memory.h"

#define ALIGNMENT 64 /* of the parts */
#define ROWS_BEHIND 8
#define OFFSETS_BEHIND 64
#define VALUES_BEHIND 64
#define RUN 256 /* non-zeros that are read at a time */

typedef struct entry {
    uint16_t offset[4]; /* of quads the first alone */
    int8_t value[4];
} entry;

/* A non-zero in 8 bits. */
typedef struct place {
    uint16_t offset;
    int8_t value;
} place;

/* Counts of a part, or where the next one starts. */
typedef struct extent {
    int64_t buckets, visits, entries;
} extent;

/* Of one worker. */
typedef struct walk_scratch {
    int64_t *cursor;     /* [row_group] next non-zero of each row */
    int64_t *begin;      /* [row_group + 1] first entry of each row in the block at hand */
    uint16_t *order;     /* [row_group] rows as visited */
    uint32_t *histogram; /* [k_block + 2] */
    entry *entries;      /* of the block */
    place *places;       /* [2 k_block] of a row, and the same in order */
} walk_scratch;

typedef struct pack_job {
    const sparse_layout *layout;
    const ir_pattern *pattern;
    const ir_tensor *given, *range;
    int8_t *bytes; /* [nnz] */
    int64_t n_groups, n_k_blocks;
    walk_scratch *scratch;
    size_t n_scratch;
    extent *groups; /* [n_groups] sizes of the groups, then where they start */
    bool writes;
    sparse_header *header;
    /* its parts */
    sparse_segment *segments;
    sparse_bucket *buckets;
    uint16_t *rows, *offsets;
    int8_t *values;
    int32_t *sums;
} pack_job;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Are entries any four non-zeros of a row? */
static bool has_any_columns(const sparse_layout *l) { return l->kind == SPARSE_FOURS || l->kind == SPARSE_PAIRS; }

static int64_t offsets_per_entry(const sparse_layout *l) { return has_any_columns(l) ? 4 : 1; }

static int64_t values_per_entry(const sparse_layout *l) { return l->kind == SPARSE_PAIRS ? 8 : 4; }

/* ---- bytes ---- */

static void quantize_row(void *user, size_t worker, size_t row) {
    (void)worker;
    const pack_job *j = user;
    const int64_t *start = j->pattern->row_start, at = j->range->rank == 2 ? 2 * (int64_t)row : 0;
    const value_range range = {(float)tensor_get(j->range, at), (float)tensor_get(j->range, at + 1)};
    const float scale = quantization_of(range, QUANTIZE_SYMMETRIC).scale;
    for (int64_t i = start[row]; i < start[row + 1]; i += RUN) {
        const int64_t n = smaller(RUN, start[row + 1] - i);
        double wide[RUN];
        float x[RUN];
        tensor_get_run(j->given, i, n, wide);
        for (int64_t k = 0; k < n; k++) x[k] = (float)wide[k];
        int8_encode_run(x, n, scale, j->bytes + i);
    }
}

/* ---- entries ---- */

/* Do the products of both values with any bytes add up within 16 bits? */
static bool is_pair(int a, int b) {
    const int most = (a > 0 ? a : 0) + (b > 0 ? b : 0), least = (a < 0 ? a : 0) + (b < 0 ? b : 0);
    return most <= 128 && least >= -128;
}

/* The group of four columns of non-zero *p as one entry or two; *p moves behind it. */
static int64_t make_quad(const pack_job *j, int64_t *p, int64_t end, int64_t k0, entry out[2]) {
    const int32_t *column = j->pattern->column, group = column[*p] / 4;
    entry e = {.offset = {(uint16_t)((group - k0 / 4) * (j->layout->tile / 2))}}, rest = e;
    bool has_any = false, has_rest = false;
    for (; *p < end && column[*p] / 4 == group; (*p)++) {
        e.value[column[*p] % 4] = j->bytes[*p];
        has_any |= j->bytes[*p] != 0;
    }
    for (int i = 0; i < 4 && j->layout->kind == SPARSE_SPLIT_QUADS; i += 2) {
        if (is_pair(e.value[i], e.value[i + 1])) continue;
        rest.value[i + 1] = e.value[i + 1];
        e.value[i + 1] = 0;
        has_rest = true;
    }
    out[0] = e;
    out[1] = rest;
    return has_any + has_rest;
}

/* n places by falling values, equal ones as they come. */
static void sort_places(const place *from, int64_t n, place *to) {
    uint32_t next[256] = {0};
    for (int64_t i = 0; i < n; i++) next[127 - from[i].value]++;
    for (uint32_t i = 0, first = 0; i < 256; i++) {
        const uint32_t count = next[i];
        next[i] = first;
        first += count;
    }
    for (int64_t i = 0; i < n; i++) to[next[127 - from[i].value]++] = from[i];
}

static void put_pair(entry *out, int64_t number, place a, place b) {
    entry *e = &out[number / 2];
    const int at = number % 2 ? 2 : 0;
    if (at == 0) *e = (entry){.offset = {0}};
    e->offset[at] = a.offset;
    e->offset[at + 1] = b.offset;
    e->value[at] = a.value;
    e->value[at + 1] = b.value;
}

/* Non-zeros [p, end) of a row, four by four as they come. */
static int64_t make_fours(const pack_job *j, int64_t p, int64_t end, int64_t k0, entry *out) {
    int64_t n = 0;
    for (; p < end; p++) {
        entry *e = &out[n / 4];
        const uint16_t offset = (uint16_t)((j->pattern->column[p] - k0) * (j->layout->tile / 4));
        if (!j->bytes[p]) continue;
        if (n % 4 == 0) *e = (entry){.offset = {offset, offset, offset, offset}};
        e->offset[n % 4] = offset;
        e->value[n++ % 4] = j->bytes[p];
    }
    return (n + 3) / 4;
}

/* Likewise in pairs. */
static int64_t make_pairs(const pack_job *j, walk_scratch *s, int64_t p, int64_t end, int64_t k0, entry *out) {
    place *found = s->places, *sorted = found + j->layout->k_block;
    int64_t n = 0, pairs = 0;
    for (; p < end; p++)
        if (j->bytes[p]) found[n++] = (place){(uint16_t)((j->pattern->column[p] - k0) * (j->layout->tile / 4)), j->bytes[p]};
    sort_places(found, n, sorted);
    for (int64_t low = 0, high = n - 1; low <= high;) {
        const place a = sorted[low], b = sorted[high], none = {a.offset, 0};
        if (low < high && is_pair(a.value, b.value)) put_pair(out, pairs++, a, b), low++, high--;
        else if (abs(a.value) >= abs(b.value)) put_pair(out, pairs++, a, none), low++;
        else put_pair(out, pairs++, b, none), high--;
    }
    return (pairs + 1) / 2;
}

/* The entries of row r of the group in columns [k0, k_end). */
static int64_t make_entries(const pack_job *j, walk_scratch *s, int64_t r, int64_t row, int64_t k0, int64_t k_end, entry *out) {
    const ir_pattern *pattern = j->pattern;
    int64_t p = s->cursor[r], end = p, n = 0;
    while (end < pattern->row_start[row + 1] && pattern->column[end] < k_end) end++;
    s->cursor[r] = end;
    if (j->layout->kind == SPARSE_FOURS) return make_fours(j, p, end, k0, out);
    if (j->layout->kind == SPARSE_PAIRS) return make_pairs(j, s, p, end, k0, out);
    entry made[2];
    while (p < end) {
        const int64_t count = make_quad(j, &p, end, k0, made);
        memcpy(out + n, made, (size_t)count * sizeof *made);
        n += count;
    }
    return n;
}

/* ---- one group ---- */

typedef struct group_walk {
    const pack_job *job;
    walk_scratch *s;
    int64_t n_rows;
    extent at;
} group_walk;

/* Rows with entries, and in the first block all of them: most entries first, equal ones rising. Returns their number. */
static int64_t sort_rows(const group_walk *w, bool all) {
    walk_scratch *s = w->s;
    const size_t most = w->job->layout->k_block;
    memset(s->histogram, 0, (most + 2) * sizeof *s->histogram);
    for (int64_t r = 0; r < w->n_rows; r++) s->histogram[s->begin[r + 1] - s->begin[r]]++;
    uint32_t next = 0;
    for (size_t n = most + 1; n-- > 0;) { /* from counts to first places */
        const uint32_t count = s->histogram[n];
        s->histogram[n] = next;
        if (n > 0 || all) next += count;
    }
    for (int64_t r = 0; r < w->n_rows; r++) {
        const int64_t n = s->begin[r + 1] - s->begin[r];
        if (n > 0 || all) s->order[s->histogram[n]++] = (uint16_t)r;
    }
    return next;
}

static void put_visit(const group_walk *w, int64_t r) {
    const pack_job *j = w->job;
    const int64_t per_entry = offsets_per_entry(j->layout);
    j->rows[w->at.visits] = (uint16_t)r;
    int64_t e = w->at.entries;
    for (int64_t i = w->s->begin[r]; i < w->s->begin[r + 1]; i++, e++) {
        const entry *from = &w->s->entries[i];
        const int8_t *v = from->value;
        int8_t *to = j->values + e * values_per_entry(j->layout);
        memcpy(j->offsets + e * per_entry, from->offset, (size_t)per_entry * sizeof *j->offsets);
        if (j->layout->kind != SPARSE_PAIRS) memcpy(to, v, 4);
        else memcpy(to, (const int8_t[]){v[0], v[1], v[0], v[1], v[2], v[3], v[2], v[3]}, 8);
    }
}

static void put_block(group_walk *w, int64_t n_visits) {
    const pack_job *j = w->job;
    const walk_scratch *s = w->s;
    for (int64_t v = 0; v < n_visits;) {
        const int64_t first = v, n = s->begin[s->order[v] + 1] - s->begin[s->order[v]];
        for (; v < n_visits && s->begin[s->order[v] + 1] - s->begin[s->order[v]] == n; v++) {
            if (j->writes) put_visit(w, s->order[v]);
            w->at.visits++;
            w->at.entries += n;
        }
        if (j->writes) j->buckets[w->at.buckets] = (sparse_bucket){(uint16_t)n, (uint16_t)(v - first)};
        w->at.buckets++;
    }
}

static void add_row_sums(const pack_job *j, int64_t row0, int64_t n_rows) {
    for (int64_t r = row0; r < row0 + n_rows; r++) {
        int32_t sum = 0;
        for (int64_t p = j->pattern->row_start[r]; p < j->pattern->row_start[r + 1]; p++) sum += j->bytes[p];
        j->sums[r] = sum;
    }
}

static void walk_group(void *user, size_t worker, size_t group) {
    const pack_job *j = user;
    const sparse_layout *l = j->layout;
    const int64_t row0 = (int64_t)group * l->row_group;
    group_walk w = {.job = j, .s = &j->scratch[worker], .n_rows = smaller(l->row_group, j->pattern->n_rows - row0)};
    if (j->writes) w.at = j->groups[group];
    for (int64_t r = 0; r < w.n_rows; r++) w.s->cursor[r] = j->pattern->row_start[row0 + r];
    for (int64_t b = 0; b < j->n_k_blocks; b++) {
        const int64_t k0 = b * l->k_block;
        if (j->writes)
            j->segments[(int64_t)group * j->n_k_blocks + b] =
                (sparse_segment){(uint32_t)w.at.buckets, (uint32_t)w.at.visits, (uint32_t)w.at.entries, 0};
        w.s->begin[0] = 0;
        for (int64_t r = 0; r < w.n_rows; r++)
            w.s->begin[r + 1] =
                w.s->begin[r] + make_entries(j, w.s, r, row0 + r, k0, k0 + l->k_block, w.s->entries + w.s->begin[r]);
        put_block(&w, sort_rows(&w, b == 0));
    }
    if (j->writes) add_row_sums(j, row0, w.n_rows);
    else j->groups[group] = w.at;
}

/* ---- all groups ---- */

static const char *layout_fault(const sparse_layout *l) {
    const bool any = has_any_columns(l);
    if (!sparse_layout_is_int8(l)) return "is not one of 8 bits";
    if (l->tile == 0 || l->tile % 4 != 0) return "wants a tile of a multiple of 4";
    if (l->k_block == 0 || l->k_block % 4 != 0 || l->row_group == 0)
        return "wants blocks of a multiple of 4 columns and groups of at least one row";
    if ((any ? (l->k_block - 1) * (l->tile / 4) : (l->k_block / 4 - 1) * (l->tile / 2)) > UINT16_MAX)
        return "has offsets above 65535";
    return NULL;
}

static void job_free(pack_job *j) {
    for (size_t i = 0; j->scratch && i < j->n_scratch; i++) {
        free(j->scratch[i].cursor);
        free(j->scratch[i].begin);
        free(j->scratch[i].order);
        free(j->scratch[i].histogram);
        free(j->scratch[i].entries);
        free(j->scratch[i].places);
    }
    free(j->scratch);
    free(j->groups);
    free(j->bytes);
}

/* The most non-zeros of a group, each of which makes an entry at most. */
static int64_t most_of_group(const pack_job *j) {
    const ir_pattern *p = j->pattern;
    int64_t most = 0;
    for (int64_t row = 0; row < p->n_rows; row += j->layout->row_group) {
        const int64_t n = p->row_start[smaller(row + j->layout->row_group, p->n_rows)] - p->row_start[row];
        if (n > most) most = n;
    }
    return most;
}

static bool make_scratch(pack_job *j) {
    const size_t rows = (size_t)smaller(j->layout->row_group, j->pattern->n_rows) + 2, columns = j->layout->k_block,
                 entries = (size_t)most_of_group(j) + 2;
    j->groups = calloc((size_t)j->n_groups + 1, sizeof *j->groups);
    j->bytes = malloc((size_t)j->pattern->nnz + 1);
    j->scratch = calloc(j->n_scratch, sizeof *j->scratch);
    for (size_t i = 0; j->scratch && i < j->n_scratch; i++) {
        walk_scratch *s = &j->scratch[i];
        s->cursor = malloc(rows * sizeof *s->cursor);
        s->begin = malloc(rows * sizeof *s->begin);
        s->order = malloc(rows * sizeof *s->order);
        s->histogram = malloc((columns + 2) * sizeof *s->histogram);
        s->entries = malloc(entries * sizeof *s->entries);
        s->places = malloc(2 * columns * sizeof *s->places);
        if (!s->cursor || !s->begin || !s->order || !s->histogram || !s->entries || !s->places) return false;
    }
    return j->groups && j->bytes && j->scratch;
}

/* Sizes become starts; returns the total. */
static extent add_groups(pack_job *j) {
    extent total = {0, 0, 0};
    for (int64_t g = 0; g < j->n_groups; g++) {
        const extent size = j->groups[g];
        j->groups[g] = total;
        total.buckets += size.buckets;
        total.visits += size.visits;
        total.entries += size.entries;
    }
    return total;
}

/* Where the next part of `bytes` starts, and *end moves behind it. */
static uint32_t next_part(int64_t *end, int64_t bytes) {
    const int64_t at = *end;
    *end = (at + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return (uint32_t)at;
}

/* *bytes of it may be too many. */
static sparse_header place_parts(const pack_job *j, extent n, int64_t *bytes) {
    const sparse_layout *l = j->layout;
    sparse_header h = {.n_groups = (uint32_t)j->n_groups,
                       .n_k_blocks = (uint32_t)j->n_k_blocks,
                       .n_visits = (uint32_t)n.visits,
                       .n_entries = (uint32_t)n.entries,
                       .n_buckets = (uint32_t)n.buckets,
                       .k_block = l->k_block,
                       .row_group = l->row_group};
    *bytes = sizeof h;
    h.segments = next_part(bytes, (j->n_groups * j->n_k_blocks + 1) * (int64_t)sizeof(sparse_segment));
    h.buckets = next_part(bytes, n.buckets * (int64_t)sizeof(sparse_bucket));
    h.rows = next_part(bytes, (n.visits + ROWS_BEHIND) * (int64_t)sizeof(uint16_t));
    h.offsets = next_part(bytes, (n.entries * offsets_per_entry(l) + OFFSETS_BEHIND) * (int64_t)sizeof(uint16_t));
    h.values = next_part(bytes, n.entries * values_per_entry(l) + VALUES_BEHIND);
    h.sums = next_part(bytes, j->pattern->n_rows * (int64_t)sizeof(int32_t));
    h.bytes = (uint32_t)*bytes;
    return h;
}

static pofac_status allocate(pack_job *j, const char *name, const diag_sink *sink) {
    const extent n = add_groups(j);
    int64_t bytes;
    const sparse_header h = place_parts(j, n, &bytes);
    if (bytes > UINT32_MAX)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: in 8 bits it takes %lld bytes in its sparse layout, the limit is 2^32",
                          name, (long long)bytes);
    char *memory = weight_memory_take((size_t)bytes);
    if (!memory) return diag_out_of_memory(sink);
    memset(memory, 0, (size_t)bytes);
    memcpy(memory, &h, sizeof h);
    j->header = (sparse_header *)(void *)memory;
    j->segments = (sparse_segment *)(void *)(memory + h.segments);
    j->buckets = (sparse_bucket *)(void *)(memory + h.buckets);
    j->rows = (uint16_t *)(void *)(memory + h.rows);
    j->offsets = (uint16_t *)(void *)(memory + h.offsets);
    j->values = (int8_t *)memory + h.values;
    j->sums = (int32_t *)(void *)(memory + h.sums);
    j->segments[j->n_groups * j->n_k_blocks] = (sparse_segment){(uint32_t)n.buckets, (uint32_t)n.visits, (uint32_t)n.entries, 0};
    return POFAC_OK;
}

static pofac_status make(pack_job *j, const char *name, thread_pool *pool, const diag_sink *sink) {
    if (!make_scratch(j)) return diag_out_of_memory(sink);
    thread_pool_run(pool, quantize_row, j, (size_t)j->pattern->n_rows);
    thread_pool_run(pool, walk_group, j, (size_t)j->n_groups);
    TRY(allocate(j, name, sink));
    j->writes = true;
    thread_pool_run(pool, walk_group, j, (size_t)j->n_groups);
    return POFAC_OK;
}

pofac_status int8_sparse_make(const sparse_layout *layout, const ir_pattern *pattern, const ir_tensor *values,
                              const ir_tensor *range, const char *name, thread_pool *pool, const diag_sink *sink,
                              sparse_header **out) {
    const char *fault = layout_fault(layout);
    *out = NULL;
    if (fault) return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: its sparse layout %s", name, fault);
    if (pattern->nnz > UINT32_MAX)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s has %lld non-zeros, a sparse layout holds fewer than 2^32", name,
                          (long long)pattern->nnz);
    pack_job j = {.layout = layout, .pattern = pattern, .given = values, .range = range, .n_scratch = thread_pool_threads(pool)};
    j.n_groups = (pattern->n_rows + layout->row_group - 1) / layout->row_group;
    j.n_k_blocks = (pattern->n_columns + layout->k_block - 1) / layout->k_block;
    const pofac_status status = make(&j, name, pool, sink);
    job_free(&j);
    *out = j.header;
    return status;
}
