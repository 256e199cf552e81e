/*
 * Steps that pack: where they stand, and the memory of what they make.
 *
 * Lowering puts a packing step right before its reader. There it would cut the series that the reader runs in (plan_step.series), so it
 * moves up over the steps that go block by block, and stands before all of them; each weight that a series reads is packed by then.
 * It stops at a step that uses what it packs.
 *
 * What is packed lives from its step to the step that reads it, or, where that may run with others block by block, to the last of these.
 * Packed forms of different times share slots of their own: the smallest free one that is large enough, else the largest, which
 * grows.
 */
#include "codegen/lower.h"

#define MOST_CROSSED 32 /* steps, so that not all weights of a deep network are packed at once */

/* The first step that uses each buffer. */
static uint32_t *find_makers(const lowering *l) {
    uint32_t *maker = ARENA_ARRAY(l->memory, uint32_t, l->buffers.size + 1);
    for (size_t b = 0; maker && b < l->buffers.size; b++) maker[b] = UINT32_MAX;
    for (size_t i = 0; maker && i < l->steps.size; i++)
        for (uint32_t j = 0; j < l->steps.data[i].n_buffers; j++) {
            const uint32_t b = l->steps.data[i].buffers[j];
            if (b != UINT32_MAX && maker[b] == UINT32_MAX) maker[b] = (uint32_t)i;
        }
    return maker;
}

/* Is it a step that packs for a reader? What it makes is its last operand. */
static bool is_packing(const lowering *l, const uint32_t *maker, size_t step) {
    const plan_step *s = &l->steps.data[step];
    const uint32_t b = s->n_buffers ? s->buffers[s->n_buffers - 1] : UINT32_MAX;
    if (b == UINT32_MAX || maker[b] != step || !lower_is_packed(&l->buffers.data[b])) return false;
    const plan_packing made = l->buffers.data[b].packing; /* steps of one group stay together */
    return made != PACKING_PART_SUMS && made != PACKING_WORKSPACE;
}

static bool share_buffer(const plan_step *a, const plan_step *b) {
    for (uint32_t i = 0; i < a->n_buffers; i++)
        for (uint32_t j = 0; j < b->n_buffers; j++)
            if (a->buffers[i] != UINT32_MAX && a->buffers[i] == b->buffers[j]) return true;
    return false;
}

static void exchange(lowering *l, bool *packs, size_t i, size_t j) {
    const plan_step step = l->steps.data[i];
    const uint32_t kernel = l->step_kernel.data[i];
    const bool is_packing = packs[i];
    l->steps.data[i] = l->steps.data[j];
    l->step_kernel.data[i] = l->step_kernel.data[j];
    packs[i] = packs[j];
    l->steps.data[j] = step;
    l->step_kernel.data[j] = kernel;
    packs[j] = is_packing;
}

/* Where a packing step goes: behind the packing steps that stand before the run of steps which go block by block. */
static size_t find_front(const lowering *l, const bool *packs, size_t step) {
    size_t to = step, crossed = 0;
    while (to > 0 && crossed < MOST_CROSSED) {
        const plan_step *before = &l->steps.data[to - 1];
        if (packs[to - 1] || before->block_rows == 0 || share_buffer(before, &l->steps.data[step])) break;
        to--;
        crossed++;
    }
    return to;
}

static void move_steps(lowering *l, bool *packs) {
    for (size_t i = 0; i < l->steps.size; i++) {
        if (!packs[i]) continue;
        for (size_t at = i, to = find_front(l, packs, i); at > to; at--) exchange(l, packs, at, at - 1);
    }
}

/* ---- slots ---- */

/* Bytes by which packed forms are compared; of non-zeros, those of the whole weight. */
static int64_t compared_bytes(const lowering *l, const plan_buffer *b) {
    int64_t n, rows, columns;
    if (dim_is_const(b->type->dims[0], &n)) return n * (dtype_bits(b->type->dtype) / 8);
    const ir_context *c = l->graph->module->context;
    const ir_symbol symbol = b->type->dims[0].symbol[0];
    if (symbol == 0 || symbol_kind(c, symbol) != SYMBOL_NNZ) return 0;
    const ir_type *pattern = graph_type(l->graph, symbol_value(c, symbol));
    if (pattern->rank != 2 || !dim_is_const(pattern->dims[0], &rows) || !dim_is_const(pattern->dims[1], &columns) ||
        __builtin_mul_overflow(rows, columns, &n))
        return 0;
    return n;
}

typedef struct packed_slot {
    int64_t bytes;
    size_t free_from; /* the first step at which it is free */
} packed_slot;

/* Is free slot a better for so many bytes than free slot b? */
static bool is_better(const packed_slot *a, const packed_slot *b, int64_t bytes) {
    if ((a->bytes >= bytes) != (b->bytes >= bytes)) return a->bytes >= bytes;
    return a->bytes >= bytes ? a->bytes < b->bytes : a->bytes > b->bytes;
}

/* The last step of the run that goes block by block with `step`, else `step`. */
static size_t end_of_run(const lowering *l, size_t step) {
    while (l->steps.data[step].block_rows != 0 && step + 1 < l->steps.size && l->steps.data[step + 1].block_rows != 0) step++;
    return step;
}

/* The first step of the loop that `step` is in, and its last; else `step`: what one step leaves in memory for another, or for itself in the next round, stays
 * through all rounds. */
static size_t first_of_loop(const lowering *l, size_t step) {
    for (size_t i = 0; i < step; i++)
        if (i + l->steps.data[i].loop > step) return i;
    return step;
}

static size_t last_of_loop(const lowering *l, size_t step) {
    const size_t first = first_of_loop(l, step), n = l->steps.data[first].loop;
    return n > 0 ? first + n - 1 : step;
}

static size_t last_use(const lowering *l, uint32_t buffer, size_t maker) {
    size_t last = maker;
    for (size_t i = maker + 1; i < l->steps.size; i++)
        for (uint32_t j = 0; j < l->steps.data[i].n_buffers; j++)
            if (l->steps.data[i].buffers[j] == buffer) last = i;
    return end_of_run(l, last_of_loop(l, last));
}

typedef struct packed_slots {
    packed_slot *slots;
    uint32_t n;
} packed_slots;

static void place(lowering *l, packed_slots *all, uint32_t buffer, size_t maker) {
    plan_buffer *b = &l->buffers.data[buffer];
    const int64_t bytes = compared_bytes(l, b);
    const size_t from = first_of_loop(l, maker);
    uint32_t best = UINT32_MAX;
    for (uint32_t s = 0; s < all->n; s++)
        if (all->slots[s].free_from <= from && (best == UINT32_MAX || is_better(&all->slots[s], &all->slots[best], bytes)))
            best = s;
    if (best == UINT32_MAX) best = all->n++;
    if (all->slots[best].bytes < bytes) all->slots[best].bytes = bytes;
    all->slots[best].free_from = last_use(l, buffer, maker) + 1;
    b->slot = l->n_slots + best;
}

static pofac_status place_packed(lowering *l) {
    packed_slots all = {.slots = ARENA_ARRAY(l->memory, packed_slot, l->buffers.size + 1)};
    const uint32_t *maker = find_makers(l);
    if (!all.slots || !maker) return diag_out_of_memory(l->sink);
    for (size_t i = 0; i < l->steps.size; i++)
        for (uint32_t j = 0; j < l->steps.data[i].n_buffers; j++) {
            const uint32_t b = l->steps.data[i].buffers[j];
            if (b != UINT32_MAX && maker[b] == i && lower_is_packed(&l->buffers.data[b])) place(l, &all, b, i);
        }
    l->n_slots += all.n;
    return POFAC_OK;
}

pofac_status lower_packing(lowering *l) {
    const uint32_t *maker = find_makers(l);
    bool *packs = ARENA_ARRAY(l->memory, bool, l->steps.size + 1);
    if (!maker || !packs) return diag_out_of_memory(l->sink);
    for (size_t i = 0; i < l->steps.size; i++) packs[i] = is_packing(l, maker, i);
    move_steps(l, packs);
    return place_packed(l);
}
