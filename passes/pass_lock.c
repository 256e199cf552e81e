/*
 * Lock: the zeros of linears' weights stay zeros in training (spec of the method: prune once for all, section 2, pattern_lock).
 *
 *   %w = state {name = "w"} : f32[N,K]          %p = pattern {name = "w"} : pattern[N,K]
 *   linear %x, %w, %b                    ->     %v = state {name = "w"} : f32[nnz(%p)]
 *                                               linear %x, %v, %b, %p
 *
 * The pattern is that of the weight's non-zeros, so the weight, its gradient and its moments have no other elements, and no update can
 * make a zero anything else. Below `min_sparsity` percent of zeros products are not worth a sparse kernel: linear then reads
 * sparse_to_dense(%v, %p), and the gradient is taken from the dense one. A weight without zeros is left as it is, and so is one that
 * others than linears read (a tied embedding), that the environment's `locks` refuses, or that the environment lacks. With of_teacher the weights
 * are those of a frozen teacher, which stay as they are where they have fewer zeros.
 */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"
#include "ir/support/strmap.h"
#include "passes/pass.h"
#include "passes/product_weights.h"

/* What becomes of a weight, by name. */
typedef struct locked {
    bool sparse;             /* products on the non-zeros; else made dense */
    ir_value pattern, value; /* of the new graph: the pattern; the non-zeros, or the dense weight made of them */
} locked;

typedef struct lock_state {
    const pass_input *in;
    const ir_graph *g;
    rewriter rw;
    arena memory;
    int64_t min_sparsity, of_teacher;
    strmap index; /* name -> number of `weights` */
    locked *weights;
    bool *other_readers; /* [values] somebody but a linear reads it as its weight */
} lock_state;

/* Enters the weight if it has zeros that stay. */
static pofac_status look_at(lock_state *s, const char *name, const ir_type *type) {
    const pass_environment *e = s->in->environment;
    ir_tensor t;
    int64_t N = 0, K = 0;
    if (!e->state || strmap_get(&s->index, name, strlen(name)) || has_other_readers(s->g, s->other_readers, name)) return POFAC_OK;
    if (!s->of_teacher && e->locks && !e->locks(e->locks_user, name)) return POFAC_OK;
    const pofac_status status = e->state->get(e->state->user, name, NULL, &t);
    if (status == POFAC_ERR_INPUT) return POFAC_OK; /* there is none of that name */
    if (status != POFAC_OK) return diag_out_of_memory(s->in->sink);
    const bool fits = dim_is_const(type->dims[0], &N) && dim_is_const(type->dims[1], &K) && !t.pattern && t.rank == 2 &&
                      t.dims[0] == N && t.dims[1] == K && dtype_class(t.dtype) == DTYPE_FLOAT; /* whoever binds another says so */
    const int64_t zeros = fits ? tensor_count_zeros(&t) : 0;
    tensor_source_release(e->state, name);
    const bool is_sparse = 100.0 * (double)zeros >= (double)s->min_sparsity * (double)(N * K);
    if (zeros == 0 || (s->of_teacher && !is_sparse)) return POFAC_OK;
    const size_t at = s->index.size;
    if (!strmap_put(&s->index, name, strlen(name), at, NULL)) return diag_out_of_memory(s->in->sink);
    s->weights[at] = (locked){.sparse = is_sparse};
    return POFAC_OK;
}

static locked *locked_weight(const lock_state *s, const ir_node *leaf) {
    if (leaf->op != OP_state) return NULL;
    const char *name = node_string(leaf, "name");
    const strmap_entry *e = strmap_get(&s->index, name, strlen(name));
    return e ? &s->weights[e->value] : NULL;
}

static void place_leaf(lock_state *s, const ir_node *n, locked *w) {
    ir_graph *to = s->rw.to;
    ir_context *c = to->module->context;
    const char *name = node_string(n, "name");
    const ir_type *t = graph_type(s->g, n->first_result);
    rewrite_visit(&s->rw, n);
    if (w->pattern == IR_NO_VALUE) {
        w->pattern = build_leaf(to, OP_pattern, name, type_pattern(c, t->dims[0], t->dims[1]));
        const ir_dim nnz = dim_symbol(symbol_nnz(c, w->pattern));
        const ir_attr attrs[] = {attr_string("name", name), attr_bool("frozen", true)};
        w->value = node_add(to, OP_state, NULL, 0, attrs, s->of_teacher ? 2 : 1, type_tensor(c, t->dtype, 1, &nnz));
        if (!w->sparse) w->value = build_binary(to, OP_sparse_to_dense, w->value, w->pattern);
    }
    if (!w->sparse) rewrite_map(&s->rw, n->first_result, w->value);
}

static void place_linear(lock_state *s, const ir_node *n, const locked *w) {
    const ir_value inputs[] = {rewrite_value(&s->rw, n->inputs[0]), w->value, rewrite_value(&s->rw, node_input(n, 2)), w->pattern};
    rewrite_visit(&s->rw, n);
    rewrite_map(&s->rw, n->first_result, node_add(s->rw.to, OP_linear, inputs, 4, NULL, 0, NULL));
}

static pofac_status rewrite_graph(lock_state *s, ir_module *to) {
    TRY(rewrite_begin(&s->rw, s->g, to));
    for (size_t i = 0; i < s->g->nodes.size; i++) {
        const ir_node *n = &s->g->nodes.data[i];
        locked *w = locked_weight(s, n->op == OP_linear ? graph_node_of(s->g, n->inputs[1]) : n);
        if (w && n->op == OP_state) place_leaf(s, n, w);
        else if (w && w->sparse && n->op == OP_linear) place_linear(s, n, w);
        else rewrite_copy_unmarked(&s->rw, n, NULL, NULL);
    }
    return rewrite_finish(&s->rw);
}

static pofac_status lock_graph(void *user, const ir_graph *from, ir_module *to) {
    const pass_input *in = user;
    lock_state s = {.in = in, .g = from, .memory = ARENA_INIT, .index = STRMAP_INIT};
    s.weights = ARENA_ARRAY(&s.memory, locked, from->nodes.size + 1);
    s.other_readers = ARENA_ARRAY(&s.memory, bool, from->values.size + 1);
    pofac_status status =
        s.weights && s.other_readers ? pass_int_option(in, "min_sparsity", &s.min_sparsity) : diag_out_of_memory(in->sink);
    if (status == POFAC_OK) status = pass_int_option(in, "of_teacher", &s.of_teacher);
    if (status == POFAC_OK) find_other_readers(from, s.other_readers);
    for (size_t i = 0; i < from->nodes.size && status == POFAC_OK; i++) {
        const ir_node *n = &from->nodes.data[i];
        if (n->op != OP_linear || node_input(n, 3) != IR_NO_VALUE) continue;
        if (!(s.of_teacher ? is_teacher_weight(from, n) : is_product_weight(from, n))) continue;
        status = look_at(&s, node_string(graph_node_of(from, n->inputs[1]), "name"), graph_type(from, n->inputs[1]));
    }
    if (status == POFAC_OK) status = rewrite_graph(&s, to);
    strmap_free(&s.index);
    arena_free(&s.memory);
    return status;
}

pofac_status pass_lock(const pass_input *in, ir_module **out) {
    pass_input copy = *in;
    return rewrite_module(in->module, lock_graph, &copy, in->sink, out);
}
