/* Memory of a plan, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/plan.h"

typedef struct sizes {
    ir_context *context;
    ir_symbol t;
    int64_t values[8];
    plan_buffer buffers[8];
    plan plan;
} sizes;

static void begin(sizes *s) {
    *s = (sizes){.context = context_create()};
    assert_non_null(s->context);
    s->t = symbol_named(s->context, "T");
    for (size_t i = 0; i < 8; i++) s->values[i] = -1;
    s->plan = (plan){.buffers = s->buffers};
}

static void add_buffer(sizes *s, plan_buffer_kind kind, uint32_t slot, ir_dim rows, int64_t columns, uint32_t tile) {
    ir_dim dims[2] = {rows, dim_const(columns)};
    const ir_type *type = type_tensor(s->context, IR_F32, 2, dims);
    if (tile) type = type_with_layout(s->context, type, LAYOUT_TILES, tile);
    s->buffers[s->plan.n_buffers++] = (plan_buffer){.kind = kind, .slot = slot, .type = type};
    if (kind == PLAN_SLOT && slot >= s->plan.n_slots) s->plan.n_slots = slot + 1;
}

static int64_t arena_of(sizes *s, int64_t t, int64_t *slots) {
    s->values[s->t] = t;
    return plan_arena_bytes(&s->plan, (ir_binding){s->values, 8}, slots);
}

static void slots_are_as_large_as_their_largest_buffer(void **unused) {
    (void)unused;
    int64_t slots[3];
    sizes s;
    begin(&s);
    ir_dim t = dim_symbol(s.t);
    add_buffer(&s, PLAN_SLOT, 0, t, 3, 0);             /* 12 T */
    add_buffer(&s, PLAN_SLOT, 2, dim_const(5), 10, 0); /* 200 */
    add_buffer(&s, PLAN_SLOT, 0, dim_const(1), 40, 0); /* 160 */
    add_buffer(&s, PLAN_STATE, 0, dim_const(9999), 9999, 0);
    add_buffer(&s, PLAN_INPUT, 0, t, 9999, 0);
    add_buffer(&s, PLAN_SLOT, 1, t, 2, 16); /* 8 T, T rounded up to 16 */
    assert_int_equal(arena_of(&s, 1, slots), 192 + 128 + 256);
    assert_int_equal(slots[0], 192);
    assert_int_equal(slots[1], 128);
    assert_int_equal(slots[2], 256);
    assert_int_equal(arena_of(&s, 17, slots), 256 + 256 + 256);
    assert_int_equal(slots[0], 256);
    assert_int_equal(slots[1], 256);
    context_destroy(s.context);
}

static void no_slots(void **unused) {
    (void)unused;
    int64_t none;
    sizes s;
    begin(&s);
    assert_int_equal(arena_of(&s, 1, &none), 0);
    add_buffer(&s, PLAN_INPUT, 0, dim_const(1), 2, 0);
    assert_int_equal(arena_of(&s, 1, &none), 0);
    context_destroy(s.context);
}

static void what_cannot_be_counted(void **unused) {
    (void)unused;
    int64_t slots[40];
    sizes s;
    begin(&s);
    add_buffer(&s, PLAN_SLOT, 0, dim_symbol(s.t), 1, 0);
    assert_int_equal(arena_of(&s, -1, slots), -1);            /* unbound */
    assert_int_equal(arena_of(&s, INT64_MAX / 2, slots), -1); /* one buffer is too large */
    const int64_t half = INT64_C(1) << 57;                    /* 2^59 bytes each */
    assert_int_equal(arena_of(&s, half, slots), INT64_C(1) << 59);
    for (uint32_t slot = 1; slot < 8; slot++) add_buffer(&s, PLAN_SLOT, slot, dim_symbol(s.t), 1, 0);
    assert_int_equal(s.plan.n_slots, 8);
    assert_int_equal(arena_of(&s, half, slots), INT64_C(1) << 62);
    plan_buffer many[40]; /* their sum is 2^64 */
    for (uint32_t i = 0; i < 40; i++) {
        many[i] = s.buffers[0];
        many[i].slot = i;
    }
    s.plan.buffers = many;
    s.plan.n_buffers = s.plan.n_slots = 40;
    assert_int_equal(arena_of(&s, half, slots), -1);
    context_destroy(s.context);
}

static void count_end(void *code) { ++*(int *)code; }

/* The plan lives in its own arena, as code generation makes it. */
static void a_plan_frees_what_it_owns(void **unused) {
    (void)unused;
    int ends = 0;
    arena memory = ARENA_INIT;
    ir_context *c = context_create();
    plan *p = ARENA_NEW(&memory, plan);
    assert_non_null(p);
    p->module = module_create(c, NULL);
    assert_non_null(p->module);
    assert_non_null(module_add_graph(p->module, "g"));
    p->code = &ends;
    p->free_code = count_end;
    p->memory = memory;
    plan_destroy(p);
    assert_int_equal(ends, 1);
    plan_destroy(NULL);
    context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_as_large_as_their_largest_buffer),
        cmocka_unit_test(no_slots),
        cmocka_unit_test(what_cannot_be_counted),
        cmocka_unit_test(a_plan_frees_what_it_owns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
