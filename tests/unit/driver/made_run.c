/* A run's state for tests, see made_run.h. */
#include "tests/unit/driver/made_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "frontend/driver/road.h"
#include "ir/op.h"
#include "ir/support/rng.h"

#define MASK "mask.classifier"

static bool is_sparse(const made_run_options *o, const ir_node *leaf, const ir_graph *g) {
    return o->sparse && strstr(node_string(leaf, "name"), o->sparse) && graph_type(g, leaf->first_result)->rank == 2;
}

/* The leaf, and those of its moments and of its gradient, in the form that a training step has them. */
static void add_leaves(const made_run_options *o, ir_graph *to, const ir_graph *g, const ir_node *leaf) {
    static const char *const adamw[] = {"%s", "gradient.%s", "%s.exp_avg", "%s.exp_avg_sq", NULL},
                             *const sgd[] = {"%s", "gradient.%s", "%s.momentum_buffer", NULL}, *const none[] = {"%s", NULL};
    const char *name = node_string(leaf, "name"), *const *forms = o->without_moments ? none : o->with_momentum ? sgd : adamw;
    ir_context *c = to->module->context;
    const ir_type *type = graph_type(g, leaf->first_result);
    if (is_sparse(o, leaf, g)) {
        const ir_value p = build_leaf(to, OP_pattern, name, type_pattern(c, type->dims[0], type->dims[1]));
        const ir_dim nnz = dim_symbol(symbol_nnz(c, p));
        type = type_tensor(c, IR_F32, 1, &nnz);
    }
    for (; *forms; forms++) {
        char text[256];
        snprintf(text, sizeof text, *forms, name);
        build_leaf(to, OP_state, text, type);
    }
}

static pofac_status get_initial(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    static const unsigned char mask[5] = {0};
    static const int64_t n = 5;
    const tensor_source *model = user;
    if (strcmp(name, MASK) != 0) return model->get(model->user, name, sink, out);
    *out = tensor_view(IR_BOOL, 1, &n, mask);
    return POFAC_OK;
}

/* Any bits, but that some are zeros of both signs. */
static void fill(state_store *s, uint64_t seed) {
    for (size_t i = 0; i < state_store_size(s); i++) {
        state_entry *e = state_store_at(s, i);
        float *values = e->tensor.data;
        if (strcmp(e->name, MASK) == 0) memcpy(e->tensor.data, (unsigned char[5]){1, 0, (unsigned char)(seed & 1), 1, 1}, 5);
        else
            for (int64_t k = 0; k < tensor_elements(&e->tensor); k++) {
                const double u = rng_uniform(rng_key_make(seed, e->name), (uint64_t)k);
                values[k] = u < 0.05 ? 0.0f : u < 0.1 ? -0.0f : (float)(u - 0.5);
            }
    }
}

made_run made_run_create(const made_run_options *o) {
    made_run r = {0};
    assert_int_equal(loaded_model_open(o->path, &o->model, NULL, &r.model), POFAC_OK);
    assert_int_equal(road_build(r.model, &(road_options){0}, NULL, &r.module), POFAC_OK);
    const ir_graph *g = r.module->graphs.data[0];
    ir_module *leaves = module_create(loaded_model_context(r.model), NULL);
    ir_graph *to = module_add_graph(leaves, "leaves");
    for (size_t i = 0; i < g->nodes.size; i++)
        if (g->nodes.data[i].op == OP_state) add_leaves(o, to, g, &g->nodes.data[i]);
    const ir_dim five = dim_const(5);
    if (o->with_mask) build_leaf(to, OP_state, MASK, type_tensor(loaded_model_context(r.model), IR_BOOL, 1, &five));
    assert_int_equal(leaves->status, POFAC_OK);
    const tensor_source initial = {.get = get_initial, .user = (void *)(uintptr_t)loaded_model_state(r.model)};
    assert_int_equal(state_store_create(leaves, &initial, NULL, &r.state), POFAC_OK);
    module_destroy(leaves);
    if (o->seed) fill(r.state, o->seed);
    return r;
}

void made_run_free(made_run *r) {
    state_store_destroy(r->state);
    module_destroy(r->module);
    loaded_model_close(r->model);
}

void assert_same_state(state_store *a, state_store *b, const char *skip) {
    for (size_t i = 0; i < state_store_size(a); i++) {
        const state_entry *x = state_store_at(a, i), *y = state_store_find(b, x->name);
        if (skip && strncmp(x->name, skip, strlen(skip)) == 0) continue;
        if (!y) {
            fail_msg("%s: is not there", x->name);
            return;
        }
        assert_int_equal(tensor_bytes(&x->tensor), tensor_bytes(&y->tensor));
        if (x->tensor.dtype != IR_F32) {
            assert_memory_equal(x->tensor.data, y->tensor.data, tensor_bytes(&x->tensor));
            continue;
        }
        for (int64_t k = 0; k < tensor_elements(&x->tensor); k++) {
            uint32_t u, v;
            memcpy(&u, (const char *)x->tensor.data + 4 * k, 4);
            memcpy(&v, (const char *)y->tensor.data + 4 * k, 4);
            if (u != v) fail_msg("%s[%lld]: %08x, wanted %08x", x->name, (long long)k, v, u);
        }
    }
}
