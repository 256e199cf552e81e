/*
 * Series: runs of steps that go through the same rows, each block of rows on its own (kernel_by_block), so that a session may run all
 * of them for one block before any for the next one. What a step writes is then read while it is in the cache, and what lives within
 * the series needs memory for one block per thread.
 *
 * A step joins the series before it when
 *   - it goes through the same rows, and one's blocks divide the other's;
 *   - what a step of the series makes and another one reads is in tiles with these rows, so that a block reads its own rows of it; memory that a group's
 *     first step leaves for the next one may be anything, if that stands behind the series;
 *   - values that share a slot, one of them made in the series, are of one type: then rows of a block lie at the same place in both,
 *     and no block overwrites what another one reads (plan-memory gives values in tiles slots by type).
 * Steps join greedily, in their order.
 */
#include "codegen/lower.h"

#define MAX_SERIES 32 /* steps */

/* From which step to which a buffer is used; its maker comes first. */
typedef struct buffer_life {
    size_t first, last;
} buffer_life;

typedef struct series_search {
    lowering *l;
    buffer_life *lives; /* [buffers] */
} series_search;

static bool find_lives(series_search *s) {
    const lowering *l = s->l;
    s->lives = ARENA_ARRAY(l->memory, buffer_life, l->buffers.size + 1);
    if (!s->lives) return false;
    for (size_t b = 0; b < l->buffers.size; b++) s->lives[b].first = SIZE_MAX;
    for (size_t i = 0; i < l->steps.size; i++) {
        const plan_step *step = &l->steps.data[i];
        for (uint32_t j = 0; j < step->n_buffers; j++) {
            if (step->buffers[j] == UINT32_MAX) continue;
            buffer_life *life = &s->lives[step->buffers[j]];
            if (life->first == SIZE_MAX) life->first = i;
            life->last = i;
        }
    }
    for (size_t b = 0; b < l->buffers.size; b++)
        for (size_t o = 0; o < l->graph->outputs.size; o++)
            if (l->graph->outputs.data[o].value == l->buffers.data[b].value) s->lives[b].last = SIZE_MAX;
    return true;
}

static bool is_slot(const series_search *s, uint32_t buffer) {
    return buffer != UINT32_MAX && s->l->buffers.data[buffer].kind == PLAN_SLOT;
}

/* Is the buffer a value in tiles, with the rows that the step goes through block by block? */
static bool goes_by_block(const series_search *s, uint32_t buffer, const plan_step *step) {
    const ir_type *t = s->l->buffers.data[buffer].type;
    return type_is_tiled(t) && t->rank == 2 && dim_equal(t->dims[0], step->rows) && step->block_rows % t->tile == 0 &&
           type_features(t) > 0 && s->l->buffers.data[buffer].packing == PACKING_NONE;
}

/* Is it memory that the step leaves for others of its group? */
static bool is_left_for_others(const series_search *s, uint32_t buffer, size_t step) {
    return s->l->buffers.data[buffer].packing == PACKING_WORKSPACE && s->lives[buffer].first == step;
}

/* May two buffers that steps of a series use be what they are? first: the series' first step. */
static bool agree(const series_search *s, uint32_t a, uint32_t b, size_t first) {
    const plan_buffer *x = &s->l->buffers.data[a], *y = &s->l->buffers.data[b];
    if (a == b || x->slot != y->slot) return true;
    if (s->lives[a].first < first && s->lives[b].first < first) return true; /* nobody writes there */
    return x->type == y->type && type_is_tiled(x->type);
}

/* Can `step`, the last of steps [first, step], run block by block with the others? */
static bool joins(const series_search *s, size_t first, size_t step) {
    const plan_step *steps = s->l->steps.data, *last = &steps[step];
    if (last->block_rows == 0 || !dim_equal(last->rows, steps[first].rows)) return false;
    for (uint32_t i = 0; i < last->n_buffers; i++)
        if (is_slot(s, last->buffers[i]) && s->lives[last->buffers[i]].first >= first &&
            !goes_by_block(s, last->buffers[i], last) && !is_left_for_others(s, last->buffers[i], step))
            return false;
    for (size_t other = first; other <= step; other++) {
        const plan_step *o = &steps[other];
        if (o->block_rows % last->block_rows != 0 && last->block_rows % o->block_rows != 0) return false;
        for (uint32_t i = 0; i < last->n_buffers; i++)
            for (uint32_t j = 0; j < o->n_buffers; j++)
                if (is_slot(s, last->buffers[i]) && is_slot(s, o->buffers[j]) && !agree(s, last->buffers[i], o->buffers[j], first))
                    return false;
    }
    return true;
}

/* Do all buffers of the slot that the series' steps [first, end) use live within it? */
static bool is_own_slot(const series_search *s, uint32_t slot, size_t first, size_t end) {
    for (size_t i = first; i < end; i++) {
        const plan_step *step = &s->l->steps.data[i];
        for (uint32_t j = 0; j < step->n_buffers; j++) {
            const uint32_t b = step->buffers[j];
            if (is_slot(s, b) && s->l->buffers.data[b].slot == slot && (s->lives[b].first < first || s->lives[b].last >= end))
                return false;
        }
    }
    return true;
}

/* Of a value in tiles. */
static int64_t row_bytes(const ir_type *t) {
    const int64_t features = type_features(t);
    return dtype_bits(t->dtype) / 8 * (t->layout == LAYOUT_QUADS ? (features + 3) / 4 * 4 : features);
}

static void mark_series(series_search *s, size_t first, size_t end) {
    s->l->steps.data[first].series = (uint32_t)(end - first);
    for (size_t i = first; i < end && end - first > 1; i++) {
        const plan_step *step = &s->l->steps.data[i];
        for (uint32_t j = 0; j < step->n_buffers; j++) {
            if (!is_slot(s, step->buffers[j])) continue;
            plan_buffer *b = &s->l->buffers.data[step->buffers[j]];
            if (is_own_slot(s, b->slot, first, end)) b->series_row_bytes = row_bytes(b->type);
        }
    }
}

pofac_status lower_series(lowering *l) {
    series_search s = {.l = l};
    if (!find_lives(&s)) return diag_out_of_memory(l->sink);
    for (size_t first = 0, end; first < l->steps.size; first = end) {
        end = first + 1;
        if (joins(&s, first, first))
            while (end < l->steps.size && end - first < MAX_SERIES && joins(&s, first, end)) end++;
        mark_series(&s, first, end);
    }
    return POFAC_OK;
}
