/*
 * Sparse packing; see sparse_packing.h.
 *
 * A group of rows is walked block of columns after block of columns, with a cursor per row into the pattern; the rows of a block are
 * put in order by a counting sort on their numbers of entries. The walk runs twice over all groups: once to count, so that every
 * group knows where it starts, and once to write. Memory beside the results: a few numbers per row of a group and worker, and for
 * transposed layouts the transposed pattern.
 */
#include "runtime/sparse_packing.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/weight_memory.h"

#define ALIGNMENT 64                       /* of the parts of an index */
#define ROWS_BEHIND 8                      /* numbers that stand behind rows and firsts, */
#define OFFSETS_BEHIND 64                  /* offsets, */
#define VALUES_BEHIND SPARSE_VALUES_BEHIND /* and values: kernels look ahead */

/* Counts of a part, or where the next one starts. */
typedef struct extent {
    int64_t buckets, visits, entries;
} extent;

typedef struct group_result {
    extent size;
    int64_t bad_row, bad_column; /* the first group of M with too many non-zeros; row -1: none */
} group_result;

/* Of one worker. "Lines" are what visits are made of: rows, or R rows in BLOCKS. */
typedef struct walk_scratch {
    int64_t *cursor;     /* [row_group] next non-zero of each row */
    int64_t *begin;      /* [row_group] first non-zero of each row in the block at hand */
    uint32_t *entries;   /* [row_group] of each line */
    uint16_t *order;     /* [row_group] lines with entries, as visited */
    uint32_t *histogram; /* [k_block + 2] */
} walk_scratch;

typedef struct pack_job {
    const sparse_layout *layout;
    sparse_memory *memory;     /* of the result */
    const ir_pattern *pattern; /* of the matrix at hand, transposed where the layout is */
    const uint32_t *origin;    /* [nnz] transposed: number of each non-zero in the given pattern; NULL: the same */
    int64_t n_groups, n_k_blocks, lines_per_group;
    unsigned line_rows; /* rows per line */
    walk_scratch *scratch;
    group_result *groups;
    /* what is written, as far as it is not NULL */
    sparse_segment *segments;
    sparse_bucket *buckets;
    uint16_t *rows;
    uint32_t *firsts;
    uint16_t *offsets;
    uint8_t *small_offsets;
    float *values;
    uint32_t *places;
    const ir_tensor *given; /* the source of values */
    extent *starts;         /* [n_groups]; NULL while counting */
    extent total;
} pack_job;

/* ---- one group ---- */

typedef struct group_walk {
    const pack_job *job;
    walk_scratch *s;
    group_result *result;
    int64_t row0, n_rows, n_lines;
    int64_t k0, k_end; /* columns of the block at hand */
    extent at;
} group_walk;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t values_per_entry(const sparse_layout *l) { return l->block_rows * l->block_columns; }

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static int64_t row_end(const group_walk *w, int64_t r) { return w->job->pattern->row_start[w->row0 + r + 1]; }

/* Non-zeros of row r below column `limit`: moves the cursor past them. */
static int64_t skip_to(group_walk *w, int64_t r, int64_t limit) {
    const int32_t *column = w->job->pattern->column;
    int64_t p = w->s->cursor[r], end = row_end(w, r), before = p;
    while (p < end && column[p] < limit) p++;
    w->s->cursor[r] = p;
    return p - before;
}

static uint32_t count_non_zeros(group_walk *w, int64_t row) { return (uint32_t)skip_to(w, row, w->k_end); }

static uint32_t count_places(group_walk *w, int64_t row) {
    const sparse_layout *l = w->job->layout;
    const int64_t n_groups = (w->k_end - w->k0 + l->of - 1) / l->of;
    int64_t found = 0;
    for (int64_t g = 0; g < n_groups; g++) {
        int64_t first = w->k0 + g * l->of, count = skip_to(w, row, smaller(first + l->of, w->k_end));
        found += count;
        if (count <= l->keep || w->result->bad_row >= 0) continue;
        w->result->bad_row = w->row0 + row;
        w->result->bad_column = first;
    }
    return found ? (uint32_t)(n_groups * l->keep) : 0;
}

/* The lowest column of the line's rows at their cursors, below the block's end; -1 when there is none. */
static int64_t next_column(const group_walk *w, int64_t first_row, int64_t n) {
    const int32_t *column = w->job->pattern->column;
    int64_t lowest = w->k_end;
    for (int64_t r = first_row; r < first_row + n; r++)
        if (w->s->cursor[r] < row_end(w, r)) lowest = smaller(lowest, column[w->s->cursor[r]]);
    return lowest < w->k_end ? lowest : -1;
}

static uint32_t count_blocks(group_walk *w, int64_t line) {
    const sparse_layout *l = w->job->layout;
    int64_t first = line * l->block_rows, n = smaller(l->block_rows, w->n_rows - first), column;
    uint32_t count = 0;
    for (; (column = next_column(w, first, n)) >= 0; count++)
        for (int64_t r = first; r < first + n; r++) skip_to(w, r, (column / l->block_columns + 1) * l->block_columns);
    return count;
}

static uint32_t count_entries(group_walk *w, int64_t line) {
    switch (w->job->layout->kind) {
    case SPARSE_BLOCKS: return count_blocks(w, line);
    case SPARSE_N_M: return count_places(w, line);
    default: return count_non_zeros(w, line);
    }
}

/* Counts the block's entries per line, and puts the lines that have any in order: most entries first, equal ones rising. Returns
 * their number; *buckets is how many different numbers of entries there are. */
static int64_t sort_lines(group_walk *w, int64_t *buckets) {
    walk_scratch *s = w->s;
    size_t most = w->job->layout->k_block;
    memset(s->histogram, 0, (most + 2) * sizeof *s->histogram);
    for (int64_t r = 0; r < w->n_rows; r++) s->begin[r] = s->cursor[r];
    for (int64_t i = 0; i < w->n_lines; i++) {
        s->entries[i] = count_entries(w, i);
        s->histogram[s->entries[i] <= most ? s->entries[i] : most]++;
    }
    uint32_t next = 0;
    *buckets = 0;
    for (size_t n = most; n > 0; n--) { /* from counts to first places */
        uint32_t count = s->histogram[n];
        s->histogram[n] = next;
        next += count;
        *buckets += count > 0;
    }
    for (int64_t i = 0; i < w->n_lines; i++)
        if (s->entries[i]) s->order[s->histogram[s->entries[i]]++] = (uint16_t)i;
    return next;
}

/* ---- writing ---- */

/* Number of non-zero p in the pattern's own order. */
static int64_t origin_of(const pack_job *j, int64_t p) { return j->origin ? j->origin[p] : p; }

static void put_value(const pack_job *j, int64_t place, int64_t row, int64_t p) {
    const ir_pattern *pattern = j->pattern;
    if (j->places) j->places[place] = (uint32_t)origin_of(j, p);
    if (!j->values) return;
    int64_t from = origin_of(j, p);
    if (j->given->rank == 2) {
        int64_t column = pattern->column[p];
        from = j->origin ? column * pattern->n_rows + row : row * pattern->n_columns + column;
    }
    j->values[place] = j->given->dtype == IR_F32 ? ((const float *)j->given->data)[from] : (float)tensor_get(j->given, from);
}

static void put_stream(const group_walk *w, int64_t line) {
    const pack_job *j = w->job;
    const int32_t *column = j->pattern->column;
    const int64_t begin = w->s->begin[line], n = w->s->entries[line], e = w->at.entries;
    const uint32_t step = j->layout->tile / 2;
    if (j->offsets)
        for (int64_t i = 0; i < n; i++) j->offsets[e + i] = (uint16_t)((uint32_t)(column[begin + i] - w->k0) * step);
    const bool plain = j->values && !j->origin && j->given->dtype == IR_F32;
    if (plain && j->given->rank == 2) {
        const float *from = (const float *)j->given->data + (w->row0 + line) * j->pattern->n_columns;
        for (int64_t i = 0; i < n; i++) j->values[e + i] = from[column[begin + i]];
    } else if (plain) {
        memcpy(j->values + e, (const float *)j->given->data + begin, (size_t)n * sizeof(float));
    } else if (j->places && !j->values) {
        if (j->origin) memcpy(j->places + e, j->origin + begin, (size_t)n * sizeof *j->places);
        else
            for (int64_t i = 0; i < n; i++) j->places[e + i] = (uint32_t)(begin + i);
    } else if (j->values) {
        for (int64_t i = 0; i < n; i++) put_value(j, e + i, w->row0 + line, begin + i);
    }
}

static void put_places(const group_walk *w, int64_t line) {
    const pack_job *j = w->job;
    const sparse_layout *l = j->layout;
    const int32_t *column = j->pattern->column;
    int64_t p = w->s->begin[line], end = row_end(w, line), e = w->at.entries;
    for (int64_t first = w->k0; first < w->k_end; first += l->of)
        for (unsigned i = 0; i < l->keep; i++, e++) {
            bool has = p < end && column[p] < smaller(first + l->of, w->k_end);
            if (j->small_offsets) j->small_offsets[e] = has ? (uint8_t)((column[p] - first) * (l->tile / 2)) : 0;
            if (has) put_value(j, e, w->row0 + line, p++);
        }
}

static void put_blocks(const group_walk *w, int64_t line) {
    const pack_job *j = w->job;
    const sparse_layout *l = j->layout;
    const int32_t *column = j->pattern->column;
    const int64_t first = line * l->block_rows, n = smaller(l->block_rows, w->n_rows - first);
    int64_t *at = w->s->begin, e = w->at.entries, size = values_per_entry(l);
    for (uint32_t i = 0; i < w->s->entries[line]; i++, e++) {
        int64_t lowest = w->k_end;
        for (int64_t r = first; r < first + n; r++)
            if (at[r] < row_end(w, r)) lowest = smaller(lowest, column[at[r]]);
        int64_t c0 = lowest / l->block_columns * l->block_columns;
        if (j->offsets) j->offsets[e] = (uint16_t)((c0 - w->k0) * (l->tile / 2));
        for (int64_t r = first; r < first + n; r++)
            for (; at[r] < row_end(w, r) && column[at[r]] < c0 + l->block_columns; at[r]++)
                put_value(j, e * size + (column[at[r]] - c0) * l->block_rows + (r - first), w->row0 + r, at[r]);
    }
}

static void put_visit(const group_walk *w, int64_t line) {
    const pack_job *j = w->job;
    if (j->rows) j->rows[w->at.visits] = (uint16_t)(line * j->line_rows);
    if (j->firsts) j->firsts[w->at.visits] = (uint32_t)w->s->begin[line];
    switch (j->layout->kind) {
    case SPARSE_BLOCKS: put_blocks(w, line); break;
    case SPARSE_N_M: put_places(w, line); break;
    default: put_stream(w, line); break;
    }
}

static void put_block(group_walk *w, int64_t n_visits) {
    const pack_job *j = w->job;
    for (int64_t v = 0; v < n_visits;) {
        const uint32_t n = w->s->entries[w->s->order[v]];
        int64_t first = v;
        for (; v < n_visits && w->s->entries[w->s->order[v]] == n; v++) {
            put_visit(w, w->s->order[v]);
            w->at.visits++;
            w->at.entries += n;
        }
        if (j->buckets) j->buckets[w->at.buckets] = (sparse_bucket){(uint16_t)n, (uint16_t)(v - first)};
        w->at.buckets++;
    }
}

static void count_block(group_walk *w, int64_t n_visits, int64_t n_buckets) {
    w->at.visits += n_visits;
    w->at.buckets += n_buckets;
    for (int64_t i = 0; i < w->n_lines; i++) w->at.entries += w->s->entries[i];
}

static void walk_group(void *user, size_t worker, size_t group) {
    const pack_job *j = user;
    const sparse_layout *l = j->layout;
    group_walk w = {.job = j, .s = &j->scratch[worker], .result = &j->groups[group], .row0 = (int64_t)group * l->row_group};
    w.n_rows = smaller(l->row_group, j->pattern->n_rows - w.row0);
    w.n_lines = (w.n_rows + j->line_rows - 1) / j->line_rows;
    if (j->starts) w.at = j->starts[group];
    w.result->bad_row = -1;
    for (int64_t r = 0; r < w.n_rows; r++) w.s->cursor[r] = j->pattern->row_start[w.row0 + r];
    for (int64_t b = 0; b < j->n_k_blocks; b++) {
        int64_t n_buckets;
        w.k0 = b * l->k_block;
        w.k_end = smaller(w.k0 + l->k_block, j->pattern->n_columns);
        if (j->segments)
            j->segments[(int64_t)group * j->n_k_blocks + b] =
                (sparse_segment){(uint32_t)w.at.buckets, (uint32_t)w.at.visits, (uint32_t)w.at.entries, 0};
        int64_t n_visits = sort_lines(&w, &n_buckets);
        if (j->starts) put_block(&w, n_visits);
        else count_block(&w, n_visits, n_buckets);
    }
    w.result->size = w.at;
}

/* ---- all groups ---- */

static const char *layout_fault(const sparse_layout *l) {
    const bool is_n_m = l->kind == SPARSE_N_M, is_blocks = l->kind == SPARSE_BLOCKS;
    if (l->kind == SPARSE_NONE || l->kind >= N_SPARSE_LAYOUTS || sparse_layout_is_int8(l)) return "is of no known kind";
    if (l->tile == 0 || l->tile % 2 != 0) return "wants an even tile";
    if (l->k_block == 0 || l->row_group == 0) return "wants blocks of at least one column and groups of at least one row";
    if (l->block_rows == 0 || l->block_columns == 0 || (!is_blocks && l->block_rows * l->block_columns != 1))
        return "has blocks of a wrong size";
    if (l->k_block % l->block_columns != 0 || l->row_group % l->block_rows != 0) return "cuts blocks in two";
    if ((l->k_block - 1) * (l->tile / 2) > UINT16_MAX && !is_n_m) return "has offsets above 65535";
    if (is_n_m != (l->keep > 0 && l->of > 0) || (is_n_m && l->keep > l->of)) return "keeps a wrong number of columns";
    if (is_n_m && l->k_block % l->of != 0) return "cuts groups of columns in two";
    if (is_n_m && (l->of - 1) * (l->tile / 2) > UINT8_MAX) return "has offsets above 255";
    return NULL;
}

static void job_free(pack_job *j, size_t n_workers) {
    for (size_t i = 0; j->scratch && i < n_workers; i++) {
        free(j->scratch[i].cursor);
        free(j->scratch[i].begin);
        free(j->scratch[i].entries);
        free(j->scratch[i].order);
        free(j->scratch[i].histogram);
    }
    free(j->scratch);
    free(j->groups);
    free(j->starts);
}

static bool make_scratch(pack_job *j, size_t n_workers) {
    const size_t rows = (size_t)smaller(j->layout->row_group, j->pattern->n_rows) + 1;
    j->scratch = calloc(n_workers, sizeof *j->scratch);
    j->groups = calloc((size_t)j->n_groups + 1, sizeof *j->groups);
    if (!j->scratch || !j->groups) return false;
    for (size_t i = 0; i < n_workers; i++) {
        walk_scratch *s = &j->scratch[i];
        s->cursor = malloc(rows * sizeof *s->cursor);
        s->begin = malloc(rows * sizeof *s->begin);
        s->entries = malloc(rows * sizeof *s->entries);
        s->order = malloc(rows * sizeof *s->order);
        s->histogram = malloc(((size_t)j->layout->k_block + 2) * sizeof *s->histogram);
        if (!s->cursor || !s->begin || !s->entries || !s->order || !s->histogram) return false;
    }
    return true;
}

/* Where each group starts, and the total. */
static void add_groups(pack_job *j) {
    extent total = {0, 0, 0};
    for (int64_t g = 0; g < j->n_groups; g++) {
        j->starts[g] = total;
        total.buckets += j->groups[g].size.buckets;
        total.visits += j->groups[g].size.visits;
        total.entries += j->groups[g].size.entries;
    }
    j->total = total;
}

/* The first walk: fills in the job's scratch, starts and total. */
static pofac_status count_all(pack_job *j, const char *name, thread_pool *pool, const diag_sink *sink) {
    const sparse_layout *l = j->layout;
    const ir_pattern *p = j->pattern;
    const char *fault = layout_fault(l);
    if (fault) return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: its sparse layout %s", name, fault);
    if (p->nnz > UINT32_MAX)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s has %lld non-zeros, a sparse layout holds fewer than 2^32", name,
                          (long long)p->nnz);
    j->line_rows = l->block_rows;
    j->n_groups = round_up(p->n_rows, l->row_group) / l->row_group;
    j->n_k_blocks = round_up(p->n_columns, l->k_block) / l->k_block;
    if (!make_scratch(j, thread_pool_threads(pool))) return diag_out_of_memory(sink);
    thread_pool_run(pool, walk_group, j, (size_t)j->n_groups);
    for (int64_t g = 0; g < j->n_groups; g++)
        if (j->groups[g].bad_row >= 0)
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: row %lld has more than %u non-zeros in the %u columns from %lld",
                              name, (long long)j->groups[g].bad_row, l->keep, l->of, (long long)j->groups[g].bad_column);
    j->starts = calloc((size_t)j->n_groups + 1, sizeof *j->starts);
    if (!j->starts) return diag_out_of_memory(sink);
    add_groups(j);
    return POFAC_OK;
}

/* ---- transposing ---- */

typedef struct transposed {
    ir_pattern pattern;
    int64_t *row_start;
    int32_t *column;
    uint32_t *origin;
} transposed;

static void transposed_free(transposed *t) {
    free(t->row_start);
    free(t->column);
    free(t->origin);
}

/* The columns of `p` as rows, by a counting sort, which keeps the order of the rows. */
static pofac_status transpose(const ir_pattern *p, const diag_sink *sink, transposed *t) {
    t->row_start = calloc((size_t)p->n_columns + 2, sizeof *t->row_start);
    t->column = malloc(((size_t)p->nnz + 1) * sizeof *t->column);
    t->origin = malloc(((size_t)p->nnz + 1) * sizeof *t->origin);
    if (!t->row_start || !t->column || !t->origin) return diag_out_of_memory(sink);
    int64_t *next = t->row_start + 1; /* of a column; ends as where the next one starts */
    for (int64_t i = 0; i < p->nnz; i++) next[p->column[i] + 1]++;
    for (int64_t c = 1; c < p->n_columns; c++) next[c] += next[c - 1];
    for (int64_t r = 0; r < p->n_rows; r++)
        for (int64_t i = p->row_start[r]; i < p->row_start[r + 1]; i++) {
            int64_t place = next[p->column[i]]++;
            t->column[place] = (int32_t)r;
            t->origin[place] = (uint32_t)i;
        }
    t->pattern = (ir_pattern){p->n_columns, p->n_rows, p->nnz, t->row_start, t->column};
    return POFAC_OK;
}

/* ---- the results ---- */

struct sparse_packer {
    const ir_pattern *pattern;
    const char *name;
    thread_pool *pool;
    const diag_sink *sink;
    transposed turned; /* once it is needed */
    bool has_turned, has_counted;
    sparse_layout counted; /* that the job has walked over once */
    pack_job job;
};

static void forget_counts(sparse_packer *p) {
    job_free(&p->job, thread_pool_threads(p->pool));
    p->job = (pack_job){0};
    p->has_counted = false;
}

static void packer_end(sparse_packer *p) {
    forget_counts(p);
    transposed_free(&p->turned);
}

/* Where everything starts under a layout: the walk is made once for packings of one layout that follow each other. */
static pofac_status count_layout(sparse_packer *p, const sparse_layout *layout) {
    if (p->has_counted && sparse_layout_equal(&p->counted, layout)) return POFAC_OK;
    forget_counts(p);
    p->counted = *layout;
    p->job = (pack_job){.layout = &p->counted, .pattern = p->pattern};
    if (layout->transposed && p->pattern->nnz <= UINT32_MAX) {
        if (!p->has_turned) TRY(transpose(p->pattern, p->sink, &p->turned));
        p->has_turned = true;
        p->job.pattern = &p->turned.pattern;
        p->job.origin = p->turned.origin;
    }
    TRY(count_all(&p->job, p->name, p->pool, p->sink));
    p->has_counted = true;
    return POFAC_OK;
}

/* Allocates, and lets the job write. */
typedef pofac_status (*write_fn)(pack_job *j, const char *name, thread_pool *pool, const diag_sink *sink);

static pofac_status pack(sparse_packer *p, const sparse_layout *layout, const ir_tensor *given, write_fn write,
                         sparse_memory *memory) {
    pofac_status status = count_layout(p, layout);
    if (status == POFAC_OK) {
        pack_job j = p->job; /* what it owns stays the packer's */
        j.given = given;
        j.memory = memory;
        status = write(&j, p->name, p->pool, p->sink);
    }
    if (status == POFAC_OK) return POFAC_OK;
    weight_memory_give(memory->data, memory->bytes);
    *memory = (sparse_memory){NULL, 0};
    return status;
}

/* `n_bytes` of `fill`, to which the job writes then: in the memory that is there if that is not far too much. */
static pofac_status allocate(pack_job *j, int64_t n_bytes, int fill, const diag_sink *sink) {
    sparse_memory *m = j->memory;
    if (!m->data || m->bytes < (size_t)n_bytes || m->bytes / 2 > (size_t)n_bytes) {
        weight_memory_give(m->data, m->bytes);
        *m = (sparse_memory){weight_memory_take((size_t)n_bytes), (size_t)n_bytes};
        if (!m->data) return diag_out_of_memory(sink);
    }
    memset(m->data, fill, (size_t)n_bytes);
    return POFAC_OK;
}

/* Where the next part of `bytes` starts, and *end moves behind it. */
static uint32_t next_part(int64_t *end, int64_t bytes) {
    int64_t at = *end;
    *end = round_up(at + bytes, ALIGNMENT);
    return (uint32_t)at;
}

/* The index's parts; *bytes of it, which may be too many. */
static sparse_header place_parts(const pack_job *j, int64_t *bytes) {
    const extent n = j->total;
    sparse_header h = {.n_groups = (uint32_t)j->n_groups,
                       .n_k_blocks = (uint32_t)j->n_k_blocks,
                       .n_visits = (uint32_t)n.visits,
                       .n_entries = (uint32_t)n.entries,
                       .n_buckets = (uint32_t)n.buckets,
                       .k_block = j->layout->k_block,
                       .row_group = j->layout->row_group};
    *bytes = sizeof h;
    h.segments = next_part(bytes, (j->n_groups * j->n_k_blocks + 1) * (int64_t)sizeof(sparse_segment));
    h.buckets = next_part(bytes, n.buckets * (int64_t)sizeof(sparse_bucket));
    h.rows = next_part(bytes, (n.visits + ROWS_BEHIND) * (int64_t)sizeof(uint16_t));
    h.firsts = j->layout->kind == SPARSE_STREAM ? next_part(bytes, (n.visits + ROWS_BEHIND) * (int64_t)sizeof(uint32_t)) : 0;
    h.offsets = next_part(bytes, (n.entries + OFFSETS_BEHIND) * (j->layout->kind == SPARSE_N_M ? 1 : 2));
    h.bytes = (uint32_t)*bytes;
    return h;
}

static pofac_status write_index(pack_job *j, const char *name, thread_pool *pool, const diag_sink *sink) {
    const bool is_n_m = j->layout->kind == SPARSE_N_M;
    const extent n = j->total;
    int64_t bytes;
    sparse_header h = place_parts(j, &bytes);
    if (bytes > UINT32_MAX)
        return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s: the index of its sparse layout takes %lld bytes, the limit is 2^32",
                          name, (long long)bytes);
    TRY(allocate(j, bytes, 0, sink));
    char *memory = j->memory->data;
    memcpy(memory, &h, sizeof h);
    j->segments = (sparse_segment *)(memory + h.segments);
    j->buckets = (sparse_bucket *)(memory + h.buckets);
    j->rows = (uint16_t *)(memory + h.rows);
    j->firsts = h.firsts ? (uint32_t *)(memory + h.firsts) : NULL;
    if (is_n_m) j->small_offsets = (uint8_t *)(memory + h.offsets);
    else j->offsets = (uint16_t *)(memory + h.offsets);
    j->segments[j->n_groups * j->n_k_blocks] = (sparse_segment){(uint32_t)n.buckets, (uint32_t)n.visits, (uint32_t)n.entries, 0};
    thread_pool_run(pool, walk_group, j, (size_t)j->n_groups);
    for (int64_t i = 0; i < ROWS_BEHIND && n.visits > 0; i++) {
        j->rows[n.visits + i] = j->rows[n.visits - 1];
        if (j->firsts) j->firsts[n.visits + i] = j->firsts[n.visits - 1];
    }
    return POFAC_OK;
}

static int64_t n_places(const pack_job *j) { return j->total.entries * values_per_entry(j->layout) + VALUES_BEHIND; }

static pofac_status write_values(pack_job *j, const char *name, thread_pool *pool, const diag_sink *sink) {
    (void)name;
    TRY(allocate(j, n_places(j) * (int64_t)sizeof(float), 0, sink));
    j->values = j->memory->data;
    thread_pool_run(pool, walk_group, j, (size_t)j->n_groups);
    return POFAC_OK;
}

static pofac_status write_order(pack_job *j, const char *name, thread_pool *pool, const diag_sink *sink) {
    (void)name;
    TRY(allocate(j, n_places(j) * (int64_t)sizeof(uint32_t), 0xff, sink));
    j->places = j->memory->data;
    thread_pool_run(pool, walk_group, j, (size_t)j->n_groups);
    return POFAC_OK;
}

/* ---- several results of one pattern ---- */

pofac_status sparse_packer_create(const ir_pattern *pattern, const char *name, thread_pool *pool, const diag_sink *sink,
                                  sparse_packer **out) {
    sparse_packer *p = *out = calloc(1, sizeof *p);
    if (!p) return diag_out_of_memory(sink);
    *p = (sparse_packer){.pattern = pattern, .name = name, .pool = pool, .sink = sink};
    return POFAC_OK;
}

void sparse_packer_destroy(sparse_packer *p) {
    if (p) packer_end(p);
    free(p);
}

pofac_status sparse_packer_index(sparse_packer *p, const sparse_layout *layout, sparse_memory *memory) {
    return pack(p, layout, NULL, write_index, memory);
}

pofac_status sparse_packer_order(sparse_packer *p, const sparse_layout *layout, sparse_memory *memory) {
    return pack(p, layout, NULL, write_order, memory);
}

/* ---- one ---- */

/* *n_places of the layout. */
static pofac_status pack_once(const sparse_layout *layout, const ir_pattern *pattern, const ir_tensor *given, const char *name,
                              thread_pool *pool, const diag_sink *sink, write_fn write, void **out, int64_t *places) {
    sparse_packer p = {.pattern = pattern, .name = name, .pool = pool, .sink = sink};
    sparse_memory memory = {NULL, 0};
    const pofac_status status = pack(&p, layout, given, write, &memory);
    *places = status == POFAC_OK ? n_places(&p.job) : 0;
    *out = memory.data;
    packer_end(&p);
    return status;
}

pofac_status sparse_index_make(const sparse_layout *layout, const ir_pattern *pattern, const char *name, thread_pool *pool,
                               const diag_sink *sink, sparse_header **out) {
    void *memory;
    int64_t places;
    const pofac_status status = pack_once(layout, pattern, NULL, name, pool, sink, write_index, &memory, &places);
    *out = memory;
    return status;
}

pofac_status sparse_values_make(const sparse_layout *layout, const ir_pattern *pattern, const ir_tensor *values, const char *name,
                                thread_pool *pool, const diag_sink *sink, float **out, int64_t *n_bytes) {
    void *memory;
    int64_t places;
    const pofac_status status = pack_once(layout, pattern, values, name, pool, sink, write_values, &memory, &places);
    *out = memory;
    *n_bytes = places * (int64_t)sizeof(float);
    return status;
}

pofac_status sparse_order_make(const sparse_layout *layout, const ir_pattern *pattern, const char *name, thread_pool *pool,
                               const diag_sink *sink, uint32_t **out, int64_t *n) {
    void *memory;
    const pofac_status status = pack_once(layout, pattern, NULL, name, pool, sink, write_order, &memory, n);
    *out = memory;
    return status;
}
