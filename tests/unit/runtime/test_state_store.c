/* The state of a training run: what lies in it at the beginning, what is refused, and that no failing allocation leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "runtime/pattern_state.h"
#include "runtime/state_store.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/text_case.h"

typedef struct store_case {
    text_case text;
    named_tensors initial;
    tensor_source source;
    state_store *store;
} store_case;

static void begin(store_case *c, const char *nodes) {
    *c = (store_case){.initial.what = "weight"};
    text_case_begin(&c->text, nodes);
    assert_non_null(c->text.module);
    c->source = named_tensors_source(&c->initial);
}

static void end(store_case *c) {
    state_store_destroy(c->store);
    named_tensors_free(&c->initial);
    text_case_end(&c->text);
}

static pofac_status create(store_case *c) {
    strbuf_clear(&c->text.messages);
    return state_store_create(c->text.module, &c->source, &c->text.sink, &c->store);
}

static void refuse(store_case *c, pofac_status status, const char *message) {
    const pofac_status found = create(c);
    assert_string_equal(strbuf_str(&c->text.messages), message);
    assert_int_equal(found, status);
    assert_null(c->store);
}

static void assert_elements(const store_case *c, const char *name, const double *wanted, int64_t n) {
    const state_entry *e = state_store_find(c->store, name);
    if (!e) fail_msg("there is no entry %s", name);
    assert_int_equal(tensor_elements(&e->tensor), n);
    assert_int_equal((uintptr_t)e->tensor.data % 64, 0);
    for (int64_t i = 0; i < n; i++)
        if (tensor_get(&e->tensor, i) != wanted[i])
            fail_msg("%s[%d] is %g, wanted %g", name, (int)i, tensor_get(&e->tensor, i), wanted[i]);
}

#define SPARSE_AND_DENSE                                                                                                           \
    "%1 = pattern {name = \"w\"} : pattern[2,3]\n"                                                                                 \
    "%2 = state {name = \"w\"} : f32[nnz(%1)]\n"                                                                                   \
    "%3 = state {name = \"w.exp_avg\"} : f32[nnz(%1)]\n"                                                                           \
    "%4 = state {name = \"gradient.w\"} : f32[nnz(%1)]\n"                                                                          \
    "%5 = state {name = \"b\"} : f32[2]\n"                                                                                         \
    "%6 = state {name = \"b.momentum_buffer\"} : f32[2]\n"                                                                         \
    "%7 = state {name = \"b\"} : f32[2]\n"                                                                                         \
    "return \"w\" = %2\n"

static void add_weights(store_case *c, ir_dtype dtype) {
    named_tensors_add_doubles(&c->initial, "w", dtype, 2, (int64_t[]){2, 3}, (const double[]){0, 5, 0, -1, 0, 0.25});
    named_tensors_add_doubles(&c->initial, "b", dtype, 1, (int64_t[]){2}, (const double[]){7, 8});
}

static void parameters_are_copied_and_the_rest_is_zero(void **unused) {
    (void)unused;
    static const ir_dtype dtypes[] = {IR_F32, IR_F64, IR_F16, IR_BF16};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        store_case c;
        begin(&c, SPARSE_AND_DENSE);
        add_weights(&c, dtypes[i]);
        assert_int_equal(create(&c), POFAC_OK);
        assert_int_equal(state_store_size(c.store), 5);
        assert_string_equal(state_store_at(c.store, 0)->name, "w");
        assert_string_equal(state_store_at(c.store, 4)->name, "b.momentum_buffer");
        assert_elements(&c, "w", (const double[]){5, -1, 0.25}, 3);
        assert_elements(&c, "w.exp_avg", (const double[3]){0}, 3);
        assert_elements(&c, "gradient.w", (const double[3]){0}, 3);
        assert_elements(&c, "b", (const double[]){7, 8}, 2);
        assert_elements(&c, "b.momentum_buffer", (const double[2]){0}, 2);
        assert_int_equal(state_store_find(c.store, "w")->tensor.dtype, IR_F32);
        assert_int_equal(state_store_bytes(c.store), 13 * 4);
        assert_int_equal(state_store_pattern_bytes(c.store), 3 * 8 + 3 * 4);
        assert_null(state_store_find(c.store, "x"));
        end(&c);
    }
}

static void non_zeros_carry_one_pattern(void **unused) {
    (void)unused;
    store_case c;
    begin(&c, SPARSE_AND_DENSE);
    add_weights(&c, IR_F32);
    assert_int_equal(create(&c), POFAC_OK);
    const ir_pattern *p = state_store_find(c.store, "w")->tensor.pattern;
    assert_non_null(p);
    assert_ptr_equal(state_store_find(c.store, "w.exp_avg")->tensor.pattern, p);
    assert_ptr_equal(state_store_find(c.store, "gradient.w")->tensor.pattern, p);
    assert_null(state_store_find(c.store, "b")->tensor.pattern);
    assert_int_equal(p->nnz, 3);
    assert_int_equal(p->row_start[1], 1);
    assert_int_equal(p->column[0], 1);
    assert_int_equal(p->column[1], 0);
    assert_int_equal(p->column[2], 2);

    /* a non-zero that becomes 0 stays in the pattern, which comes from the positions and not from the numbers */
    ((float *)state_store_find(c.store, "w")->tensor.data)[1] = 0;
    pattern_state *again = pattern_state_create();
    ir_tensor found;
    assert_int_equal(pattern_state_pattern(again, "w", state_store_source(c.store), &c.text.sink, &found), POFAC_OK);
    assert_int_equal(found.pattern->nnz, 3);
    assert_int_equal(found.dims[1], 3);
    assert_ptr_equal(found.pattern->column, p->column);
    pattern_state_release(again, "w");
    assert_int_equal(pattern_state_pattern(again, "w", state_store_source(c.store), &c.text.sink, &found), POFAC_OK);
    assert_ptr_equal(found.pattern->column, p->column);
    pattern_state_destroy(again);
    end(&c);
}

static void the_source_gives_the_memory_itself(void **unused) {
    (void)unused;
    store_case c;
    ir_tensor t;
    begin(&c, SPARSE_AND_DENSE);
    add_weights(&c, IR_F32);
    assert_int_equal(create(&c), POFAC_OK);
    const tensor_source *source = state_store_source(c.store);
    assert_true(source->writable);
    assert_int_equal(source->get(source->user, "b", &c.text.sink, &t), POFAC_OK);
    assert_ptr_equal(t.data, state_store_find(c.store, "b")->tensor.data);
    assert_false(t.owned);
    assert_int_equal(source->get(source->user, "x", &c.text.sink, &t), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.text.messages), "there is no state \"x\" in the training run");
    end(&c);
}

static void what_does_not_fit_is_refused(void **unused) {
    (void)unused;
    store_case c;
    begin(&c, "%1 = state {name = \"w\"} : f32[3,2]\n return \"y\" = %1\n");
    refuse(&c, POFAC_ERR_INPUT, "weight w is missing");
    add_weights(&c, IR_F32);
    refuse(&c, POFAC_ERR_INPUT, "state w is f32[2,3], wanted f32[3,2]");
    end(&c);

    begin(&c, "%1 = state {name = \"b\"} : i64[2]\n return \"y\" = %1\n");
    add_weights(&c, IR_F32);
    refuse(&c, POFAC_ERR_INPUT, "state b is f32[2], wanted i64[2]");
    end(&c);

    begin(&c, "%1 = pattern {name = \"b\"} : pattern[2,1]\n %2 = state {name = \"b\"} : f32[nnz(%1)]\n return \"y\" = %2\n");
    add_weights(&c, IR_F32);
    refuse(&c, POFAC_ERR_INPUT, "b: found a tensor of rank 1, a pattern needs a matrix");
    end(&c);

    begin(&c, "%1 = state {name = \"w\"} : f32[2,3]\n %2 = pattern {name = \"w\"} : pattern[2,3]\n"
              "%3 = state {name = \"w\"} : f32[nnz(%2)]\n return \"y\" = %1, \"z\" = %3\n");
    add_weights(&c, IR_F32);
    refuse(&c, POFAC_ERR_INPUT, "state w is f32[2,3], wanted f32[3]");
    end(&c);

    begin(&c, "%1 = state {name = \"b\"} : f32[N]\n return \"y\" = %1\n");
    add_weights(&c, IR_F32);
    refuse(&c, POFAC_ERR_INPUT, "state b: dimension 0 is no number and counts no pattern's non-zeros, wanted one of these");
    end(&c);

    begin(&c, "%1 = state {name = \"m.exp_avg\"} : f32[4294967296,4294967296]\n return \"y\" = %1\n");
    refuse(&c, POFAC_ERR_INPUT, "state m.exp_avg: its bytes cannot be counted in 63 bits");
    end(&c);

    begin(&c, "%1 = state {name = \"m.exp_avg\"} : f32[1048576,1048576,4096]\n return \"y\" = %1\n");
    refuse(&c, POFAC_ERR_RUNTIME, "out of memory");
    end(&c);
}

static void allocations_may_fail(void **unused) {
    (void)unused;
    for (size_t n = 1;; n++) {
        store_case c;
        begin(&c, SPARSE_AND_DENSE);
        add_weights(&c, IR_F16);
        fail_alloc_after(n);
        const pofac_status status = create(&c);
        const bool failed = fail_alloc_stop();
        if ((status == POFAC_OK) == failed) fail_msg("allocation %d: status %d", (int)n, (int)status);
        if (failed) assert_int_equal(status, POFAC_ERR_RUNTIME);
        end(&c);
        if (!failed) break;
    }
}

static void names_say_whose_they_are(void **unused) {
    (void)unused;
    static const char *const names[][2] = {{"a.weight.exp_avg", "a.weight"},
                                           {"a.exp_avg_sq", "a"},
                                           {"a.b.momentum_buffer", "a.b"},
                                           {"gradient.a.b", "a.b"},
                                           {"a.mask", "a"},
                                           {"a.scores", "a"},
                                           {"a.threshold", "a"},
                                           {"a.weight", NULL},
                                           {".exp_avg", NULL},
                                           {"gradient.", NULL},
                                           {"exp_avg.bias", NULL},
                                           {"", NULL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length;
        const char *found = state_parameter_of(names[i][0], &length);
        if (!found != !names[i][1]) fail_msg("%s: found %s", names[i][0], found ? found : "nothing");
        if (found && (length != strlen(names[i][1]) || memcmp(found, names[i][1], length) != 0))
            fail_msg("%s: found %.*s, wanted %s", names[i][0], (int)length, found, names[i][1]);
    }
}

#define MASKED                                                                                                                     \
    "%1 = state {name = \"w\"} : f32[2,3]\n"                                                                                       \
    "%2 = pattern {name = \"w.mask\"} : pattern[2,3]\n"                                                                            \
    "%3 = dense_to_sparse %1, %2 : f32[nnz(%2)]\n"                                                                                 \
    "%4 = state {name = \"gradient.w\"} : f32[nnz(%2)]\n"                                                                          \
    "%5 = state {name = \"w.scores\"} : f32[2,3]\n"                                                                                \
    "%6 = add %3, %4 : f32[nnz(%2)]\n"                                                                                             \
    "return \"sum\" = %6, \"scores\" = %5\n"

static void masks_are_state(void **unused) {
    (void)unused;
    store_case c;
    begin(&c, MASKED);
    named_tensors_add_doubles(&c.initial, "w", IR_F32, 2, (int64_t[]){2, 3}, (const double[]){1, 2, 3, 4, 0, 6});
    assert_int_equal(create(&c), POFAC_OK);
    assert_int_equal(state_store_size(c.store), 5);
    assert_elements(&c, "w.mask", (const double[]){1, 1, 1, 1, 1, 1}, 6);
    assert_elements(&c, "w.threshold", (const double[]){0}, 1);
    assert_elements(&c, "w.scores", (const double[6]){0}, 6);
    assert_elements(&c, "gradient.w", (const double[6]){0}, 6);
    assert_int_equal(state_store_find(c.store, "w.mask")->tensor.dtype, IR_U8);
    assert_int_equal(state_store_masks_version(c.store), 0);

    /* other masks: the sums have other places, of which positions are those of the new ones */
    state_entry *sums = state_store_find(c.store, "gradient.w");
    ((float *)sums->tensor.data)[2] = 9;
    memcpy(state_store_find(c.store, "w.mask")->tensor.data, (const uint8_t[]){0, 1, 0, 1, 0, 1}, 6);
    assert_int_equal(state_store_masks_changed(c.store, &c.text.sink), POFAC_OK);
    assert_int_equal(state_store_masks_version(c.store), 1);
    assert_elements(&c, "gradient.w", (const double[3]){0}, 3);
    assert_int_equal(sums->tensor.pattern->nnz, 3);
    assert_int_equal(sums->tensor.pattern->column[1], 0);
    assert_int_equal(sums->tensor.pattern->column[2], 2);
    memset(state_store_find(c.store, "w.mask")->tensor.data, 0, 6);
    assert_int_equal(state_store_masks_changed(c.store, &c.text.sink), POFAC_OK);
    assert_elements(&c, "gradient.w", NULL, 0);
    end(&c);
}

/* Ranges of 8 bits begin as none, of a tensor or of each row, and go away and come back together. */
static void ranges_are_state(void **unused) {
    (void)unused;
    static const double none[] = {INFINITY, -INFINITY, INFINITY, -INFINITY, INFINITY, -INFINITY};
    store_case c;
    float saved[8];
    begin(&c, "%1 = state {name = \"m.input_range\"} : f32[2]\n"
              "%2 = state {name = \"m.weight_range\"} : f32[3,2]\n"
              "%3 = state {name = \"b\"} : f32[2]\n"
              "return \"b\" = %3\n");
    named_tensors_add_doubles(&c.initial, "b", IR_F32, 1, (int64_t[]){2}, (const double[]){7, 8});
    assert_int_equal(create(&c), POFAC_OK);
    assert_elements(&c, "m.input_range", none, 2);
    assert_elements(&c, "m.weight_range", none, 6);
    assert_int_equal(state_store_count_ranges(c.store), 8);
    tensor_set(&state_store_find(c.store, "m.weight_range")->tensor, 5, 3);
    state_store_save_ranges(c.store, saved);
    assert_true(saved[7] == 3);
    for (int64_t i = 0; i < 2; i++) tensor_set(&state_store_find(c.store, "m.input_range")->tensor, i, 4);
    tensor_set(&state_store_find(c.store, "m.weight_range")->tensor, 5, 4);
    tensor_set(&state_store_find(c.store, "b")->tensor, 0, 4);
    state_store_restore_ranges(c.store, saved);
    assert_elements(&c, "m.input_range", none, 2);
    assert_elements(&c, "m.weight_range", (const double[]){INFINITY, -INFINITY, INFINITY, -INFINITY, INFINITY, 3}, 6);
    assert_elements(&c, "b", (const double[]){4, 8}, 2);
    end(&c);
    assert_true(state_is_range("m.output_range") && !state_is_range(".output_range") && !state_is_range("teacher.m.input_range"));
}

static void frozen_state_is_the_initial_one(void **unused) {
    (void)unused;
    store_case c;
    begin(&c, "%1 = state {name = \"w\"} : f32[2]\n"
              "%2 = state {name = \"teacher.w\"} : f32[2]\n"
              "%3 = add %1, %2 : f32[2]\n"
              "return \"sum\" = %3\n");
    named_tensors_add_doubles(&c.initial, "w", IR_F32, 1, (int64_t[]){2}, (const double[]){1, 2});
    named_tensors_add_doubles(&c.initial, "teacher.w", IR_F32, 1, (int64_t[]){2}, (const double[]){3, 4});
    assert_int_equal(create(&c), POFAC_OK);
    const tensor_source *source = state_store_source(c.store);
    ir_tensor found;
    assert_int_equal(state_store_size(c.store), 1);
    assert_int_equal(source->get(source->user, "teacher.w", &c.text.sink, &found), POFAC_OK);
    assert_ptr_equal(found.data, named_tensors_find(&c.initial, "teacher.w")->data);
    tensor_source_release(source, "teacher.w");
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_copied_and_the_rest_is_zero),
        cmocka_unit_test(non_zeros_carry_one_pattern),
        cmocka_unit_test(the_source_gives_the_memory_itself),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(allocations_may_fail),
        cmocka_unit_test(names_say_whose_they_are),
        cmocka_unit_test(masks_are_state),
        cmocka_unit_test(ranges_are_state),
        cmocka_unit_test(frozen_state_is_the_initial_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
