/*
 * Memory plans, checked by playing them: every step reads the contents that it wants from the slots and writes its results there,
 * over generated graphs. Nothing is shared with the pass but the order of steps; in particular no liveness is computed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/op.h"
#include "tests/unit/graph_generator.h"
#include "tests/unit/passes/pass_case.h"

#define N_GRAPHS 300
#define MAX_VALUES 1024
#define MAX_SERIES 32 /* steps of a series */

typedef struct player {
    uint64_t seed;
    const ir_graph *g;
    ir_value holds[MAX_VALUES];       /* of each slot: the value whose content it has, 0: none */
    ir_value content[MAX_VALUES];     /* of each value: whose content it is, itself or a reshape's source */
    bool written[MAX_VALUES];         /* of each slot */
    const ir_type *tiled[MAX_VALUES]; /* of each written slot: the type of its values, where they are in tiles */
    size_t used_at[MAX_VALUES];       /* of each written slot: the last step that wrote or read it */
    size_t step, n_slots, n_placed;
} player;

static int64_t slot_of(const player *p, ir_value v) {
    const ir_attr *a = node_find_attr(graph_node_of(p->g, v), "slot");
    return a ? a->as.ints.data[p->g->values.data[v].result] : -1;
}

static bool is_leaf(const player *p, ir_value v) { return op_has(graph_node_of(p->g, v)->op, TRAIT_LEAF); }

static int64_t group_of(const ir_node *n) { return node_int(n, "group"); }

static bool is_same_step(const ir_node *a, const ir_node *b) { return a == b || (group_of(a) >= 0 && group_of(a) == group_of(b)); }

static bool is_last_of_step(const player *p, size_t i) {
    for (size_t j = i + 1; j < p->g->nodes.size; j++)
        if (is_same_step(&p->g->nodes.data[i], &p->g->nodes.data[j])) return false;
    return true;
}

static bool is_used_outside(const player *p, ir_value v) {
    const ir_node *maker = graph_node_of(p->g, v);
    for (size_t i = 0; i < p->g->outputs.size; i++)
        if (p->g->outputs.data[i].value == v) return true;
    for (size_t i = 0; i < p->g->nodes.size; i++) {
        const ir_node *n = &p->g->nodes.data[i];
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (n->inputs[k] == v && !is_same_step(n, maker)) return true;
    }
    return false;
}

/* Is it the next content of a state, whose memory it has? */
static bool is_next_content(const player *p, ir_value v) {
    for (size_t i = 0; i < p->g->outputs.size && !is_leaf(p, v); i++) {
        if (p->g->outputs.data[i].value != v) continue;
        for (size_t k = 0; k < p->g->nodes.size; k++)
            if (p->g->nodes.data[k].op == OP_state &&
                strcmp(node_string(&p->g->nodes.data[k], "name"), p->g->outputs.data[i].name) == 0)
                return true;
    }
    return false;
}

/* `when` names the reader in the message. */
static void expect_content(const player *p, ir_value v, const char *when) {
    if (is_leaf(p, v) || is_next_content(p, v)) return;
    int64_t slot = slot_of(p, v);
    if (slot < 0) fail_msg("graph %" PRIu64 ": %%%u has no slot, but %s reads it", p->seed, graph_value_number(p->g, v), when);
    if (p->holds[slot] != p->content[v])
        fail_msg("graph %" PRIu64 ": %s reads %%%u from slot %" PRId64 ", which holds %%%u", p->seed, when,
                 graph_value_number(p->g, v), slot, graph_value_number(p->g, p->holds[slot]));
}

/* A reshape may stand for its source, a value that is computed, where both are in rows. */
static bool is_alias(const player *p, const ir_node *n) {
    return n->op == OP_reshape && !is_leaf(p, n->inputs[0]) && slot_of(p, n->first_result) >= 0 &&
           slot_of(p, n->first_result) == slot_of(p, n->inputs[0]) && graph_type(p->g, n->inputs[0])->layout == LAYOUT_ROWS &&
           graph_type(p->g, n->first_result)->layout == LAYOUT_ROWS;
}

static void read_step(const player *p, const ir_node *last) {
    for (const ir_node *n = p->g->nodes.data; n <= last; n++) {
        if (!is_same_step(n, last)) continue;
        char when[32];
        snprintf(when, sizeof when, "%%%zu", (size_t)(n - p->g->nodes.data) + 1);
        for (uint32_t k = 0; k < n->n_inputs; k++)
            if (n->inputs[k] && !is_same_step(graph_node_of(p->g, n->inputs[k]), last)) expect_content(p, n->inputs[k], when);
    }
}

/* Does the step read the content that the slot has? */
static bool step_reads(const player *p, const ir_node *last, int64_t slot) {
    for (const ir_node *n = p->g->nodes.data; n <= last; n++) {
        if (!is_same_step(n, last)) continue;
        for (uint32_t k = 0; k < n->n_inputs; k++) {
            ir_value v = n->inputs[k];
            if (v && !is_leaf(p, v) && !is_same_step(graph_node_of(p->g, v), last) && slot_of(p, v) == slot) return true;
        }
    }
    return false;
}

static void write_result(player *p, const ir_node *n, ir_value v, const bool *read) {
    int64_t slot = slot_of(p, v);
    p->content[v] = is_alias(p, n) ? p->content[n->inputs[0]] : v;
    bool wanted = is_used_outside(p, v);
    if (is_next_content(p, v)) {
        if (slot >= 0)
            fail_msg("graph %" PRIu64 ": %%%u is state and has slot %" PRId64, p->seed, graph_value_number(p->g, v), slot);
        return;
    }
    if (slot < 0 && wanted) fail_msg("graph %" PRIu64 ": %%%u is used and has no slot", p->seed, graph_value_number(p->g, v));
    if (slot < 0) return;
    if ((size_t)slot >= MAX_VALUES) fail_msg("graph %" PRIu64 ": slot %" PRId64, p->seed, slot);
    bool is_source = false; /* of a reshape that is used */
    for (const ir_node *r = p->g->nodes.data; r < p->g->nodes.data + p->g->nodes.size; r++)
        is_source = is_source || (r->op == OP_reshape && r->inputs[0] == v);
    if (!wanted && !is_source)
        fail_msg("graph %" PRIu64 ": %%%u has slot %" PRId64 " and no reader", p->seed, graph_value_number(p->g, v), slot);
    if (read[slot] && p->content[v] == v)
        fail_msg("graph %" PRIu64 ": %%%u is written to slot %" PRId64 ", from which its step reads", p->seed,
                 graph_value_number(p->g, v), slot);
    const ir_type *type = graph_type(p->g, v), *tiled = type->layout == LAYOUT_TILES ? type : NULL;
    if (p->written[slot] && p->tiled[slot] != tiled && p->step - p->used_at[slot] < MAX_SERIES)
        fail_msg("graph %" PRIu64 ": %%%u shares slot %" PRId64 " with a value in tiles of another type nearby", p->seed,
                 graph_value_number(p->g, v), slot);
    p->written[slot] = true;
    p->tiled[slot] = tiled;
    p->used_at[slot] = p->step;
    p->holds[slot] = p->content[v];
    if ((size_t)slot + 1 > p->n_slots) p->n_slots = (size_t)slot + 1;
    p->n_placed += p->content[v] == v;
}

static void play_step(player *p, const ir_node *last) {
    bool read[MAX_VALUES] = {false};
    read_step(p, last);
    for (int64_t s = 0; s < (int64_t)p->n_slots; s++) {
        read[s] = step_reads(p, last, s);
        if (read[s]) p->used_at[s] = p->step;
    }
    for (const ir_node *n = p->g->nodes.data; n <= last; n++) {
        if (!is_same_step(n, last) || op_has(n->op, TRAIT_LEAF)) continue;
        for (uint32_t r = 0; r < n->n_results; r++) write_result(p, n, node_result(n, r), read);
    }
    if (last->op != OP_reshape && !op_has(last->op, TRAIT_LEAF)) p->step++;
}

static void play(player *p, uint64_t seed, const ir_graph *g) {
    *p = (player){.seed = seed, .g = g};
    if (g->values.size > MAX_VALUES) fail_msg("graph %" PRIu64 " has %zu values", seed, g->values.size);
    for (size_t i = 0; i < g->nodes.size; i++)
        if (is_last_of_step(p, i)) play_step(p, &g->nodes.data[i]);
    for (size_t i = 0; i < g->outputs.size; i++) expect_content(p, g->outputs.data[i].value, g->outputs.data[i].name);
    for (size_t i = 0; i < g->nodes.size; i++)
        if (op_has(g->nodes.data[i].op, TRAIT_LEAF) && node_find_attr(&g->nodes.data[i], "slot"))
            fail_msg("graph %" PRIu64 ": the leaf %%%zu has a slot", seed, i + 1);
}

/* most: slots for a hundred values. */
static void play_generated(const char *pipeline, size_t most) {
    static player p;
    size_t n_slots = 0, n_placed = 0;
    for (uint64_t seed = 0; seed < N_GRAPHS; seed++) {
        generated_graph g;
        graph_options options = {.n_steps = seed % 4 == 0 ? 40 : 12};
        graph_generate(seed, &options, &g);
        ir_module *m = run_pipeline(g.module, pipeline);
        play(&p, seed, m->graphs.data[0]);
        n_slots += p.n_slots;
        n_placed += p.n_placed;
        module_destroy(m);
        generated_graph_free(&g);
    }
    if (100 * n_slots > most * n_placed)
        fail_msg("%s: %zu slots for %zu values, wanted at most %zu %%", pipeline, n_slots, n_placed, most);
}

static void test_plain_graphs(void **state) {
    (void)state;
    play_generated("dce,plan-memory", 50);
}

static void test_dead_code(void **state) {
    (void)state;
    play_generated("plan-memory", 50);
}

static void test_fused_graphs(void **state) {
    (void)state;
    play_generated("infer", 70); /* values in tiles share by type */
}

/* ---- single graphs ---- */

static const char deep[] = "graph @g (T <= 64) {\n"
                           "  %1 = input {name = \"x\"} : f32[T,8]\n"
                           "  %2 = tanh %1 : f32[T,8]\n"
                           "  %3 = tanh %2 : f32[T,8]\n"
                           "  %4 = tanh %3 : f32[T,8]\n"
                           "  %5 = tanh %4 : f32[T,8]\n"
                           "  %6 = tanh %5 : f32[T,8]\n"
                           "  return \"y\" = %6\n"
                           "}\n";

static void test_chain_takes_two_slots(void **state) {
    (void)state;
    static player p;
    ir_context *c = context_create();
    ir_module *m = module_from_text(c, "deep.pir", deep), *planned = run_pipeline(m, "plan-memory");
    play(&p, 0, planned->graphs.data[0]);
    assert_int_equal(p.n_slots, 2);
    module_destroy(m);
    module_destroy(planned);
    context_destroy(c);
}

static void expect_error(const char *name, const char *nodes, const char *wanted) {
    strbuf messages = STRBUF_INIT, text = STRBUF_INIT;
    ir_context *c = context_create();
    ir_module *m;
    strbuf_printf(&text, "graph @g (T <= 64) {\n%s}\n", nodes);
    ir_module *from = module_from_text(c, name, strbuf_str(&text));
    assert_int_equal(try_pipeline(from, "plan-memory", NULL, &messages, &m), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&messages), wanted);
    strbuf_free(&messages);
    strbuf_free(&text);
    context_destroy(c);
}

static void expect_plan(const char *name, const char *nodes) {
    strbuf text = STRBUF_INIT;
    static player p;
    ir_context *c = context_create();
    strbuf_printf(&text, "graph @g (T <= 64) {\n%s}\n", nodes);
    ir_module *m = module_from_text(c, name, strbuf_str(&text)), *planned = run_pipeline(m, "plan-memory");
    play(&p, 0, planned->graphs.data[0]);
    module_destroy(m);
    module_destroy(planned);
    strbuf_free(&text);
    context_destroy(c);
}

static void test_state_is_read_before(void **state) {
    (void)state;
    expect_plan("before.pir", "  %1 = state {name = \"w\"} : f32[8]\n"
                              "  %2 = input {name = \"x\"} : f32[T,8]\n"
                              "  %3 = add %2, %1 : f32[T,8]\n"
                              "  %4 = tanh %1 : f32[8]\n"
                              "  return \"w\" = %4, \"y\" = %3\n");
    expect_plan("same_leaf.pir", "  %1 = state {name = \"w\"} : f32[8]\n"
                                 "  %2 = state {name = \"w\"} : f32[8]\n"
                                 "  %3 = tanh %1 : f32[8]\n"
                                 "  return \"w\" = %2, \"y\" = %3\n");
    expect_error(
        "after.pir",
        "  %1 = state {name = \"w\"} : f32[8]\n"
        "  %2 = input {name = \"x\"} : f32[T,8]\n"
        "  %3 = tanh %1 : f32[8]\n"
        "  %4 = add %2, %1 : f32[T,8]\n"
        "  return \"w\" = %3, \"y\" = %4\n",
        "after.pir:2:3: error: %1 = state: plan-memory: \"w\" is read after %3, its next content, wanted all reads before\n");
    expect_plan("reshaped.pir", "  %1 = state {name = \"w\"} : f32[8]\n" /* the last reshape copies into the state's memory */
                                "  %2 = tanh %1 : f32[8]\n"
                                "  %3 = reshape %2 : f32[2,4]\n"
                                "  %4 = relu %1 : f32[8]\n"
                                "  %5 = reshape %3 : f32[8]\n"
                                "  return \"w\" = %5, \"y\" = %4\n");
    expect_error(
        "returned.pir",
        "  %1 = state {name = \"w\"} : f32[8]\n"
        "  %2 = tanh %1 : f32[8]\n"
        "  return \"w\" = %2, \"old\" = %1\n",
        "returned.pir:2:3: error: %1 = state: plan-memory: \"w\" is read after %2, its next content, wanted all reads before\n");
}

static void test_state_is_computed_once(void **state) {
    (void)state;
    expect_error(
        "swapped.pir",
        "  %1 = state {name = \"v\"} : f32[8]\n"
        "  %2 = state {name = \"w\"} : f32[8]\n"
        "  return \"v\" = %2, \"w\" = %1\n",
        "swapped.pir:2:3: error: %1 = state: plan-memory: the next content of \"v\" is the leaf %2, wanted a computed value\n");
    expect_error(
        "both.pir",
        "  %1 = state {name = \"v\"} : f32[8]\n"
        "  %2 = state {name = \"w\"} : f32[8]\n"
        "  %3 = add %1, %2 : f32[8]\n"
        "  return \"v\" = %3, \"w\" = %3\n",
        "both.pir:4:3: error: %3 = add: plan-memory: the result is the next content of \"v\" and of \"w\", wanted one of them\n");
}

static void test_groups_run_at_their_end(void **state) {
    (void)state;
    expect_plan("late.pir", "  %1 = input {name = \"x\"} : f32[T,8]\n"
                            "  %2 = tanh %1 {group = 1} : f32[T,8]\n"
                            "  %3 = relu %1 : f32[T,8]\n"
                            "  %4 = gelu %2 {group = 1} : f32[T,8]\n"
                            "  %5 = add %2, %3 : f32[T,8]\n"
                            "  return \"y\" = %4, \"z\" = %5\n");
    expect_error(
        "early.pir",
        "  %1 = input {name = \"x\"} : f32[T,8]\n"
        "  %2 = tanh %1 {group = 1} : f32[T,8]\n"
        "  %3 = relu %2 : f32[T,8]\n"
        "  %4 = gelu %2 {group = 1} : f32[T,8]\n"
        "  return \"y\" = %3, \"z\" = %4\n",
        "early.pir:4:3: error: %3 = relu: plan-memory: input 0 is computed by a group that ends at %4, wanted it before\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_graphs),
        cmocka_unit_test(test_dead_code),
        cmocka_unit_test(test_fused_graphs),
        cmocka_unit_test(test_chain_takes_two_slots),
        cmocka_unit_test(test_state_is_read_before),
        cmocka_unit_test(test_state_is_computed_once),
        cmocka_unit_test(test_groups_run_at_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
