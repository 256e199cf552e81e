/*
 * The rewriting helper: graph of module A + a pass's decisions -> graph of module B.
 *
 * One array maps old values to new ones. Types carry values only in nnz(%v), so a declared type is copied by mapping those; every
 * other type is inferred anew from the mapped inputs. Both modules share one context.
 */
#include "ir/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "ir/op.h"

/* Adds the graph with its bounds; NULL on error. */
static ir_graph *begin_graph(const ir_graph *from, ir_module *module) {
    ir_graph *to = module_add_graph(module, from->name);
    for (size_t i = 0; to && i < from->n_bounds; i++) {
        graph_declare_symbol(to, symbol_name(module->context, from->bounds[i].symbol), from->bounds[i].upper);
    }
    return module->status == POFAC_OK ? to : NULL;
}

pofac_status rewrite_begin(rewriter *rw, const ir_graph *from, ir_module *module) {
    *rw = (rewriter){.from = from};
    if (from->module->context != module->context) {
        module_error(module, NULL, "graph @%s is of another context, wanted that of the new module", from->name);
    }
    TRY(module->status);
    rw->map = calloc(from->values.size, sizeof *rw->map);
    if (!rw->map) return module->status = diag_out_of_memory(module->sink);
    rw->to = begin_graph(from, module);
    if (!rw->to) {
        free(rw->map);
        rw->map = NULL;
    }
    return module->status;
}

void rewrite_visit(rewriter *rw, const ir_node *n) {
    rw->to->scope = n->scope; /* interned in the shared context already */
    rw->to->location = n->location;
}

ir_value rewrite_value(rewriter *rw, ir_value old) {
    if (old == IR_NO_VALUE) return IR_NO_VALUE;
    if (old < rw->from->values.size && rw->map[old] != IR_NO_VALUE) return rw->map[old];
    if (old >= rw->from->values.size) {
        module_error(rw->to->module, &rw->to->location, "graph @%s: the pass asks for value %u, wanted one of the %zu old values",
                     rw->from->name, old, rw->from->values.size - 1);
        return IR_NO_VALUE;
    }
    module_error(rw->to->module, &rw->to->location, "graph @%s: %%%u = %s has no new value, wanted one where the pass uses it",
                 rw->from->name, graph_value_number(rw->from, old), op_info(graph_node_of(rw->from, old)->op)->name);
    return IR_NO_VALUE;
}

void rewrite_map(rewriter *rw, ir_value old, ir_value new_value) {
    if (old != IR_NO_VALUE && old < rw->from->values.size) rw->map[old] = new_value;
}

/* The dimension with each nnz mapped; a symbol that memory was too short for makes it one that nothing satisfies. */
static ir_dim map_dim(rewriter *rw, ir_dim d, bool *changed) {
    ir_context *c = rw->to->module->context;
    for (unsigned i = 0; i < 2; i++) {
        if (d.symbol[i] == 0 || symbol_kind(c, d.symbol[i]) != SYMBOL_NNZ) continue;
        ir_symbol mapped = symbol_nnz(c, rewrite_value(rw, symbol_value(c, d.symbol[i])));
        if (mapped == 0) return dim_symbol(0);
        *changed = *changed || mapped != d.symbol[i];
        d.symbol[i] = mapped;
    }
    if (d.symbol[1] != 0 && d.symbol[0] > d.symbol[1]) {
        ir_symbol first = d.symbol[0];
        d.symbol[0] = d.symbol[1];
        d.symbol[1] = first;
    }
    return d;
}

const ir_type *rewrite_type(rewriter *rw, const ir_type *type) {
    if (!type) return NULL;
    ir_type mapped = *type;
    bool changed = false;
    for (uint32_t i = 0; i < type->rank; i++) mapped.dims[i] = map_dim(rw, type->dims[i], &changed);
    return changed ? type_intern(rw->to->module->context, &mapped) : type;
}

void rewrite_copy(rewriter *rw, const ir_node *n) { rewrite_copy_with(rw, n, NULL, NULL); }

/* Adds the node's copy with these attributes and maps its results; `inputs` and `declared` NULL: the mapped ones. */
static void copy_node(rewriter *rw, const ir_node *n, const ir_value *inputs, const ir_attr *attrs, size_t n_attrs,
                      const ir_type *declared) {
    rewrite_visit(rw, n);
    ir_value mapped[UINT8_MAX];
    for (uint32_t i = 0; i < n->n_inputs && !inputs; i++) mapped[i] = rewrite_value(rw, n->inputs[i]);
    if (!op_has(n->op, TRAIT_DECLARED)) {
        declared = NULL;
    } else if (!declared) {
        declared = rewrite_type(rw, graph_type(rw->from, n->first_result));
    }
    ir_value first = node_add(rw->to, n->op, inputs ? inputs : mapped, n->n_inputs, attrs, n_attrs, declared);
    if (first == IR_NO_VALUE) return;
    for (uint32_t r = 0; r < n->n_results; r++) rewrite_map(rw, node_result(n, r), first + r);
}

void rewrite_copy_with(rewriter *rw, const ir_node *n, const ir_attr *extra, const char *without) {
    ir_attr attrs[OP_MAX_ATTRS + 1];
    size_t n_attrs = 0;
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        if (without && strcmp(n->attrs[i].name, without) == 0) continue;
        if (extra && strcmp(n->attrs[i].name, extra->name) == 0) continue;
        attrs[n_attrs++] = n->attrs[i];
    }
    if (extra) attrs[n_attrs++] = *extra;
    copy_node(rw, n, NULL, attrs, n_attrs, NULL);
}

void rewrite_copy_unmarked(rewriter *rw, const ir_node *n, const ir_value *inputs, const ir_type *declared) {
    ir_attr attrs[OP_MAX_ATTRS];
    size_t n_attrs = 0;
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const char *name = n->attrs[i].name;
        if (strcmp(name, "group") != 0 && strcmp(name, "slot") != 0) attrs[n_attrs++] = n->attrs[i];
    }
    copy_node(rw, n, inputs, attrs, n_attrs, declared);
}

pofac_status rewrite_finish(rewriter *rw) { return rewrite_finish_with(rw, NULL); }

pofac_status rewrite_finish_with(rewriter *rw, bool (*keeps)(const char *output)) {
    pofac_status status = POFAC_ERR_RUNTIME; /* begin has failed and said why */
    if (rw->to) {
        for (size_t i = 0; i < rw->from->outputs.size; i++) {
            const ir_output *output = &rw->from->outputs.data[i];
            if (keeps && !keeps(output->name)) continue;
            graph_add_output(rw->to, output->name, rewrite_value(rw, output->value));
        }
        status = graph_finish(rw->to);
    }
    free(rw->map);
    rw->map = NULL;
    return status;
}

static pofac_status rewrite_all(const ir_module *from, rewrite_graph_fn rewrite, void *user, ir_module *to) {
    for (size_t i = 0; i < from->constants.size; i++) {
        if (!module_add_constant(to, from->constants.data[i].name, &from->constants.data[i].tensor)) return to->status;
    }
    for (size_t i = 0; i < from->graphs.size; i++) TRY(rewrite(user, from->graphs.data[i], to));
    return to->status;
}

pofac_status rewrite_module(const ir_module *from, rewrite_graph_fn rewrite, void *user, const diag_sink *sink, ir_module **out) {
    *out = NULL;
    ir_module *to = module_create(from->context, sink);
    if (!to) return diag_out_of_memory(sink);
    pofac_status status = rewrite_all(from, rewrite, user, to);
    if (status == POFAC_OK) {
        *out = to;
    } else {
        module_destroy(to);
    }
    return status;
}
