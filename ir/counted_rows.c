/*
 * Works out the operands of a node by the evaluators of what makes them: labels, keys and random numbers are inputs that a few ops on
 * integers lay out (reshape, rows gathered by a mask, keys of rows). Anything else is left to whoever runs the graph.
 */
#include "ir/counted_rows.h"

#include <string.h>

#include "ir/op.h"
#include "ir/support/rng.h"

#define MAX_DEPTH 8 /* of what makes an operand: keys of the kept rows of an unpadded batch take 4 */
#define MAX_OPERANDS 3
#define MAX_RESULTS 2

typedef struct row_counter {
    const ir_graph *graph;
    const tensor_source *inputs;
    ir_binding binding;
    const diag_sink *sink;
} row_counter;

static bool lays_out_rows(ir_op op) {
    return op == OP_reshape || op == OP_gather_rows || op == OP_cast || op == OP_kept_rows || op == OP_padded_offsets ||
           op == OP_row_keys || op == OP_constant;
}

static pofac_status work_out(const row_counter *c, ir_value v, int depth, ir_tensor *out, bool *known);

/* *known: all operands are; those that were worked out are to be freed in any case. */
static pofac_status work_out_operands(const row_counter *c, const ir_node *n, int depth, ir_tensor operand[MAX_OPERANDS],
                                      bool *known) {
    memset(operand, 0, MAX_OPERANDS * sizeof *operand);
    *known = n->n_inputs <= MAX_OPERANDS;
    for (uint32_t i = 0; i < n->n_inputs && *known; i++) TRY(work_out(c, n->inputs[i], depth, &operand[i], known));
    return POFAC_OK;
}

static void free_operands(ir_tensor operand[MAX_OPERANDS]) {
    for (int i = 0; i < MAX_OPERANDS; i++) tensor_free(&operand[i]);
}

static pofac_status make_results(const row_counter *c, const ir_node *n, ir_tensor result[MAX_RESULTS], bool *known) {
    for (uint32_t r = 0; r < n->n_results; r++) {
        const ir_type *t = graph_type(c->graph, node_result(n, r));
        int64_t dims[IR_MAX_RANK];
        for (uint32_t d = 0; d < t->rank; d++) {
            dims[d] = dim_eval(t->dims[d], c->binding);
            *known = *known && dims[d] >= 0;
        }
        if (!*known) return POFAC_OK;
        if (tensor_alloc(t->dtype, t->rank, dims, &result[r]) != POFAC_OK) return diag_out_of_memory(c->sink);
    }
    return POFAC_OK;
}

static pofac_status run_evaluator(const row_counter *c, const ir_node *n, const ir_tensor operand[MAX_OPERANDS],
                                  ir_tensor result[MAX_RESULTS]) {
    const ir_tensor *input[MAX_OPERANDS] = {&operand[0], &operand[1], &operand[2]};
    ir_tensor *results[MAX_RESULTS] = {&result[0], &result[1]};
    const ir_eval e = {
        .module = c->graph->module, .graph = c->graph, .node = n, .input = input, .result = results, .sink = c->sink};
    return op_info(n->op)->eval(&e);
}

/* The tensor of a value, to be freed; not *known where it depends on more than inputs. */
static pofac_status work_out(const row_counter *c, ir_value v, int depth, ir_tensor *out, bool *known) {
    const ir_node *n = graph_node_of(c->graph, v);
    ir_tensor operand[MAX_OPERANDS], result[MAX_RESULTS] = {{.rank = 0}};
    if (n->op == OP_input) {
        TRY(c->inputs->get(c->inputs->user, node_string(n, "name"), c->sink, out));
        out->owned = false;
        return POFAC_OK;
    }
    *known = *known && lays_out_rows(n->op) && n->n_results <= MAX_RESULTS && depth < MAX_DEPTH;
    if (!*known) return POFAC_OK;
    pofac_status status = work_out_operands(c, n, depth + 1, operand, known);
    if (status == POFAC_OK && *known) status = make_results(c, n, result, known);
    if (status == POFAC_OK && *known) status = run_evaluator(c, n, operand, result);
    free_operands(operand);
    const uint32_t wanted = v - n->first_result;
    for (uint32_t r = 0; r < MAX_RESULTS; r++)
        if (r != wanted) tensor_free(&result[r]);
    *out = result[wanted];
    return status;
}

static const char *labels_name(const row_counter *c, const ir_node *n) {
    const ir_node *leaf = graph_node_of(c->graph, n->inputs[0]);
    while (leaf->op != OP_input && leaf->n_inputs > 0) leaf = graph_node_of(c->graph, leaf->inputs[0]);
    return leaf->op == OP_input ? node_string(leaf, "name") : "labels";
}

/* The shape rules of the two ops say that keys are as many as labels, and random numbers two. */
static int64_t count_rows(const ir_node *n, const ir_tensor operand[MAX_OPERANDS]) {
    const ir_tensor *labels = &operand[0], *keys = &operand[1], *random = &operand[2];
    const bool draws = n->op == OP_sampled_rows;
    const double share = draws ? node_float(n, "share") : 0;
    const uint64_t seed = draws ? (uint64_t)tensor_get_int(random, 0) : 0, step = draws ? (uint64_t)tensor_get_int(random, 1) : 0;
    const int64_t n_rows = tensor_elements(labels);
    int64_t count = 0;
    for (int64_t r = 0; r < n_rows; r++) {
        if (tensor_get_int(labels, r) != IR_IGNORED_LABEL) count++;
        else if (draws) count += rng_draws(seed, step, (uint64_t)tensor_get_int(keys, r), share);
    }
    return count;
}

pofac_status count_chosen_rows(const ir_graph *g, const ir_node *n, const tensor_source *inputs, ir_binding binding,
                               const diag_sink *sink, int64_t *count, const char **name) {
    const row_counter c = {g, inputs, binding, sink};
    ir_tensor operand[MAX_OPERANDS];
    bool known;
    *count = -1;
    *name = labels_name(&c, n);
    const pofac_status status = work_out_operands(&c, n, 0, operand, &known);
    const bool fits = n->op == OP_labelled_rows || (operand[1].rank == 1 && operand[1].dims[0] == operand[0].dims[0]);
    if (status == POFAC_OK && known && fits) *count = count_rows(n, operand);
    free_operands(operand);
    return status;
}
