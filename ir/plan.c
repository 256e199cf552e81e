/* The plan's few functions; see plan.h. */
#include "ir/plan.h"

#include <stdlib.h>

static const struct {
    const char *name, *meaning;
} packings[] = {
#define PACKING(id, name, meaning) {name, meaning},
#include "ir/packings.def"
#undef PACKING
};

const char *plan_packing_name(plan_packing p) { return packings[p].name; }

const char *plan_packing_meaning(plan_packing p) { return packings[p].meaning; }

void plan_destroy(plan *p) {
    if (!p) return;
    if (p->free_code) p->free_code(p->code);
    module_destroy(p->module);
    arena memory = p->memory; /* the plan itself may live in it */
    arena_free(&memory);
}

int64_t plan_arena_bytes(const plan *p, ir_binding binding, int64_t *slot_bytes) {
    int64_t total = 0;
    for (uint32_t slot = 0; slot < p->n_slots; slot++) slot_bytes[slot] = 0;
    for (size_t i = 0; i < p->n_buffers; i++) {
        const plan_buffer *b = &p->buffers[i];
        if (b->kind != PLAN_SLOT) continue;
        int64_t bytes = type_bytes(b->type, binding);
        if (bytes < 0 || bytes > INT64_MAX - 63) return -1;
        bytes = (bytes + 63) / 64 * 64;
        if (bytes > slot_bytes[b->slot]) slot_bytes[b->slot] = bytes;
    }
    for (uint32_t slot = 0; slot < p->n_slots; slot++)
        if (__builtin_add_overflow(total, slot_bytes[slot], &total)) return -1;
    return total;
}
