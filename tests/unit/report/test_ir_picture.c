/* Pictures of graphs: one encoder layer's nodes and what they read, marks of what a pass has changed, escaped texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "frontend/report/ir_picture.h"
#include "ir/text.h"
#include "tests/unit/fail_alloc.h"

static const char before_text[] = "graph @g (B <= 8) {\n"
                                  "  %1 = input {name = \"x\"} : f32[B,4]\n"
                                  "  %2 = gelu %1 : f32[B,4]\n"
                                  "  scope \"encoder.layer.0.output.dense\"\n"
                                  "  %3 = state {name = \"m.weight\"} : f32[4,4]\n"
                                  "  %4 = state {name = \"m.bias\"} : f32[4]\n"
                                  "  %5 = linear %2, %3, %4 : f32[B,4]\n"
                                  "  %6 = gelu %5 : f32[B,4]\n"
                                  "  %7 = add %2, %6 : f32[B,4]\n"
                                  "  scope \"pooler\"\n"
                                  "  %8 = tanh %7 : f32[B,4]\n"
                                  "  return \"y\" = %8\n"
                                  "}\n";

/* As a pass might leave it: a tanh for the gelu, the linear in a group, and another node before the layer. */
static const char after_text[] = "graph @g (B <= 8) {\n"
                                 "  %1 = input {name = \"x\"} : f32[B,4]\n"
                                 "  %2 = gelu %1 : f32[B,4]\n"
                                 "  %9 = gelu %2 : f32[B,4]\n"
                                 "  scope \"encoder.layer.0.output.dense\"\n"
                                 "  %3 = state {name = \"m.weight\"} : f32[4,4]\n"
                                 "  %4 = state {name = \"m.bias\"} : f32[4]\n"
                                 "  %5 = linear %9, %3, %4 : f32[B,4]\n"
                                 "  %6 = tanh %5 : f32[B,4]\n"
                                 "  %7 = add %9, %6 : f32[B,4]\n"
                                 "  scope \"pooler\"\n"
                                 "  %8 = tanh %7 : f32[B,4]\n"
                                 "  return \"y\" = %8\n"
                                 "}\n";

typedef struct parsed {
    ir_context *context;
    ir_module *module;
    arena memory;
} parsed;

static parsed parse(const char *text) {
    parsed p = {context_create(), NULL, ARENA_INIT};
    strbuf messages = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&messages);
    if (text_parse_module(p.context, "g.pir", text, strlen(text), NULL, &sink, &p.module) != POFAC_OK)
        fail_msg("%s", strbuf_str(&messages));
    strbuf_free(&messages);
    return p;
}

static ir_view view_of(parsed *p, const char *title) {
    ir_view v;
    assert_int_equal(ir_view_make(module_find_graph(p->module, "g"), title, &p->memory, NULL, &v), POFAC_OK);
    return v;
}

static void parsed_free(parsed *p) {
    module_destroy(p->module);
    context_destroy(p->context);
    arena_free(&p->memory);
}

static void a_layer_and_what_it_reads(void **state) {
    (void)state;
    parsed p = parse(before_text);
    const ir_view v = view_of(&p, "before");
    const char *const ops[] = {"gelu", "linear", "gelu", "add"};
    const size_t edges[][2] = {{0, 1}, {1, 2}, {0, 3}, {2, 3}};
    assert_int_equal(v.n_nodes, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(v.nodes[i].op, ops[i]);
        assert_int_equal(v.nodes[i].outside, i == 0);
    }
    assert_string_equal(v.nodes[1].place, "output.dense");
    assert_string_equal(v.nodes[1].type, "f32[B,4]");
    assert_string_equal(v.nodes[1].leaves, "weight f32[4,4], bias f32[4]");
    assert_int_equal(v.n_edges, 4);
    assert_memory_equal(v.edges, edges, sizeof edges);
    parsed_free(&p);
}

static void changes_are_marked(void **state) {
    (void)state;
    parsed p = parse(before_text), q = parse(after_text);
    ir_view before = view_of(&p, "before"), after = view_of(&q, "after x");
    assert_int_equal(ir_view_compare(&before, &after, NULL), POFAC_OK);
    assert_int_equal(after.n_new, 1);
    assert_int_equal(after.n_gone, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(before.nodes[i].goes, i == 2);
        assert_int_equal(after.nodes[i].is_new, i == 2);
    }
    ir_view same = view_of(&p, "same");
    before = view_of(&p, "before");
    assert_int_equal(ir_view_compare(&before, &same, NULL), POFAC_OK);
    assert_int_equal(same.n_new + same.n_gone, 0);
    parsed_free(&p);
    parsed_free(&q);
}

static void drawings_are_escaped(void **state) {
    (void)state;
    parsed p = parse(before_text), q = parse(after_text);
    ir_view before = view_of(&p, "before"), after = view_of(&q, "after <b>");
    strbuf out = STRBUF_INIT;
    assert_int_equal(ir_view_compare(&before, &after, NULL), POFAC_OK);
    assert_int_equal(ir_view_put(&after, NULL, &out), POFAC_OK);
    const char *const parts[] = {"<b>after &lt;b&gt;</b> <span class=\"quiet\">4 nodes; 1 new or changed, in place of 1</span>",
                                 "<g class=\"node new\"><title>%7 = tanh %6 : f32[B,4]</title>", "class=\"op\"",
                                 ">from gelu</text>", "class=\"head\""};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(strbuf_str(&out), parts[i])) fail_msg("found no %s in %s", parts[i], strbuf_str(&out));
    strbuf_free(&out);
    parsed_free(&p);
    parsed_free(&q);
}

static void too_large_graphs_are_refused(void **state) {
    (void)state;
    strbuf text = STRBUF_INIT, message = STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&message);
    ir_view v;
    strbuf_puts(&text, "graph @g () {\n  %1 = input {name = \"x\"} : f32[4]\n");
    for (int i = 2; i < 500; i++) strbuf_printf(&text, "  %%%d = gelu %%%d : f32[4]\n", i, i - 1);
    strbuf_puts(&text, "  return \"y\" = %499\n}\n");
    parsed p = parse(strbuf_str(&text));
    assert_int_equal(ir_view_make(module_find_graph(p.module, "g"), "t", &p.memory, &sink, &v), POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&message), "error: picture of a graph: found 498 nodes, wanted at most 400\n");
    strbuf_free(&text);
    strbuf_free(&message);
    parsed_free(&p);
}

static void short_memory_is_told(void **state) {
    (void)state;
    size_t failed = 0;
    parsed p = parse(before_text), q = parse(after_text);
    for (size_t n = 1;; n++) {
        arena a = ARENA_INIT;
        ir_view before, after;
        strbuf out = STRBUF_INIT;
        fail_alloc_after(n);
        pofac_status status = ir_view_make(module_find_graph(p.module, "g"), "t", &a, NULL, &before);
        if (status == POFAC_OK) status = ir_view_make(module_find_graph(q.module, "g"), "t", &a, NULL, &after);
        if (status == POFAC_OK) status = ir_view_compare(&before, &after, NULL);
        if (status == POFAC_OK) status = ir_view_put(&after, NULL, &out);
        if (status == POFAC_OK && !strbuf_ok(&out)) status = POFAC_ERR_RUNTIME;
        const bool has_failed = fail_alloc_stop();
        strbuf_free(&out);
        arena_free(&a);
        assert_int_equal(status, has_failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        if (!has_failed) break;
        failed++;
    }
    assert_true(failed >= 8);
    parsed_free(&p);
    parsed_free(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_layer_and_what_it_reads), cmocka_unit_test(changes_are_marked),
                                       cmocka_unit_test(drawings_are_escaped), cmocka_unit_test(too_large_graphs_are_refused),
                                       cmocka_unit_test(short_memory_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
