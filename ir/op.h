/*
 * The table of operations (ops.def): what each op is called, takes and gives, and the functions of its columns.
 *
 * Besides its own attributes, every node may carry these, which change no value and which evaluators ignore:
 *   group  INT   number of the fused group that the node belongs to (pass `fuse`); absent: a group of its own
 *   slot   INTS  memory slot of each result, -1 for none (pass `plan-memory`)
 */
#ifndef POFAC_IR_OP_H
#define POFAC_IR_OP_H

#include "ir/graph.h"

typedef enum ir_trait {
    TRAIT_LEAF = 1,
    TRAIT_DECLARED = 2,
    TRAIT_ELEMENTWISE = 4,
    TRAIT_ROWWISE = 8,
    TRAIT_COMMUTATIVE = 16,
    TRAIT_WEIGHTED = 32,
    TRAIT_TILED = 64,
    TRAIT_PRODUCT = 128,
    TRAIT_ACCUMULATES = 256
} ir_trait;

/* The label of rows that do not count in a loss, from PyTorch's CrossEntropyLoss(ignore_index=-100). */
#define IR_IGNORED_LABEL (-100)

/* No op has more attributes than this, `group` and `slot` included; a test walks the table. */
#define OP_MAX_ATTRS 32

typedef struct ir_attr_schema {
    const char *name;
    ir_attr_kind kind;
    const char *fallback; /* text of the default; NULL: must be written */
    const char *choices;  /* "a|b" of an enum, else NULL */
    const char *meaning;
} ir_attr_schema;

/* What a shape rule gets: types of the inputs (NULL for an absent optional one), attributes, the declared type; it fills result[].
 * A rule reports what is wrong through infer_error and returns its status; a result left NULL means that the context had no memory
 * for it. */
typedef struct ir_infer {
    ir_context *context;
    const ir_graph *graph; /* nodes before this one; for type_print with graph_print_value */
    const ir_node *node;   /* op, attrs, inputs; results not yet set */
    const ir_type *const *input;
    const ir_type *declared;
    const ir_type **result;
    const diag_sink *sink;
    const diag_place *place;
} ir_infer;
typedef pofac_status (*ir_infer_fn)(ir_infer *in);
/* Sends "OP: message" and returns POFAC_ERR_INPUT. */
POFAC_PRINTF(2, 3) pofac_status infer_error(const ir_infer *in, const char *format, ...);

/* What an evaluator gets: input tensors (NULL for an absent optional one) and result tensors, allocated to the inferred shapes
 * under the binding and zeroed. Sums are accumulated in double. Evaluators are the meaning of the op: slow and exact. */
typedef struct ir_eval {
    const ir_module *module;
    const ir_graph *graph;
    const ir_node *node;
    const ir_tensor *const *input;
    ir_tensor *const *result;
    const diag_sink *sink;
} ir_eval;
typedef pofac_status (*ir_eval_fn)(const ir_eval *e);
/* Sends "OP: message" with the node's location and returns POFAC_ERR_INPUT. */
POFAC_PRINTF(2, 3) pofac_status eval_error(const ir_eval *e, const char *format, ...);

/* Sends "%N = OP: message" at the node's location, N as graph_value_number gives it, and returns POFAC_ERR_INPUT: for whoever
 * judges a node of a whole graph. */
POFAC_PRINTF(4, 5)
pofac_status node_error(const ir_graph *g, const ir_node *n, const diag_sink *sink, const char *format, ...);

/* Adds the nodes of the gradients of a node's inputs (ir/gradient.h). */
typedef struct ir_gradient ir_gradient;
typedef void (*ir_gradient_fn)(const ir_gradient *g);

typedef struct ir_op_info {
    const char *name;
    uint8_t min_inputs, max_inputs, n_results;
    uint32_t traits;
    const ir_attr_schema *attrs;
    size_t n_attrs;
    ir_infer_fn infer;
    ir_eval_fn eval;
    ir_gradient_fn gradient; /* NULL: no gradient passes */
    const char *meaning;
} ir_op_info;

const ir_op_info *op_info(ir_op op);
bool op_parse(const char *name, size_t n, ir_op *out);
/* Schema of an attribute of the op, `group` and `slot` included; NULL when there is none. */
const ir_attr_schema *op_attr_schema(ir_op op, const char *name);
/* Columns of an attribute's schema as messages name them: "an integer"; the default as a number. */
const char *attr_kind_name(ir_attr_kind kind);
int64_t attr_schema_int(const ir_attr_schema *schema);
double attr_schema_float(const ir_attr_schema *schema);
bool attr_is_default(const ir_attr_schema *schema, const ir_attr *attr); /* floats are compared by their bits */

/* What must hold of a node: number of inputs; an attribute's name, kind and choice; its written attributes being complete. */
POFAC_MUST_USE pofac_status op_check_arity(ir_op op, size_t n_inputs, const diag_place *place, const diag_sink *sink);
POFAC_MUST_USE pofac_status op_check_attr(ir_op op, const ir_attr *attr, const diag_place *place, const diag_sink *sink);
POFAC_MUST_USE pofac_status op_check_complete(const ir_node *n, const diag_place *place, const diag_sink *sink);

/* Runs the shape rule of a node whose inputs are values of `g`: fills result[n_results]. `declared` as in node_add. */
POFAC_MUST_USE pofac_status op_infer(const ir_graph *g, const ir_node *n, const ir_type *declared, const diag_sink *sink,
                                     const ir_type **result);

static inline bool op_has(ir_op op, ir_trait trait) { return (op_info(op)->traits & trait) != 0; }

/* The columns of ops.def, one function per row, in ir/ops/FAMILY.c. */
#define OP(id, min_in, max_in, n_results, traits, infer, eval, gradient, meaning) pofac_status infer(ir_infer *in);
#define OP_ATTR(op, name, kind, fallback, choices, meaning)
#include "ir/ops.def"
#undef OP
#undef OP_ATTR
pofac_status eval_constant(const ir_eval *e);
pofac_status eval_reshape(const ir_eval *e);
pofac_status eval_slice(const ir_eval *e);
pofac_status eval_gather_rows(const ir_eval *e);
pofac_status eval_cast(const ir_eval *e);
pofac_status eval_relayout(const ir_eval *e);
pofac_status eval_padded_offsets(const ir_eval *e);
pofac_status eval_row_positions(const ir_eval *e);
pofac_status eval_first_rows(const ir_eval *e);
pofac_status eval_kept_rows(const ir_eval *e);
pofac_status eval_labelled_rows(const ir_eval *e);
pofac_status eval_sampled_rows(const ir_eval *e);
pofac_status eval_scatter_rows(const ir_eval *e);
pofac_status eval_add(const ir_eval *e);
pofac_status eval_sub(const ir_eval *e);
pofac_status eval_mul(const ir_eval *e);
pofac_status eval_relu(const ir_eval *e);
pofac_status eval_tanh(const ir_eval *e);
pofac_status eval_gelu(const ir_eval *e);
pofac_status eval_embedding(const ir_eval *e);
pofac_status eval_linear(const ir_eval *e);
pofac_status eval_layer_norm(const ir_eval *e);
pofac_status eval_linear_input_gradient(const ir_eval *e);
pofac_status eval_linear_weight_gradient(const ir_eval *e);
pofac_status eval_attention(const ir_eval *e);
pofac_status eval_cross_entropy(const ir_eval *e);
pofac_status eval_linear_cross_entropy(const ir_eval *e);
pofac_status eval_kl_divergence(const ir_eval *e);
pofac_status eval_linear_kl_divergence(const ir_eval *e);
pofac_status eval_linear_soft_cross_entropy(const ir_eval *e);
pofac_status eval_observe_range(const ir_eval *e);
pofac_status eval_fake_quantize(const ir_eval *e);
pofac_status eval_fake_quantize_gradient(const ir_eval *e);
pofac_status eval_mean_squared_error(const ir_eval *e);
pofac_status eval_row_range(const ir_eval *e);
pofac_status eval_quantize(const ir_eval *e);
pofac_status eval_linear_int8(const ir_eval *e);
pofac_status eval_widen(const ir_eval *e);
pofac_status eval_div(const ir_eval *e);
pofac_status eval_sqrt(const ir_eval *e);
pofac_status eval_relu_gradient(const ir_eval *e);
pofac_status eval_tanh_gradient(const ir_eval *e);
pofac_status eval_gelu_gradient(const ir_eval *e);
pofac_status eval_clip_factor(const ir_eval *e);
pofac_status eval_embedding_gradient(const ir_eval *e);
pofac_status eval_layer_norm_gradient(const ir_eval *e);
pofac_status eval_dense_to_sparse(const ir_eval *e);
pofac_status eval_sparse_to_dense(const ir_eval *e);
pofac_status eval_row_keys(const ir_eval *e);
pofac_status eval_dropout(const ir_eval *e);
pofac_status eval_attention_gradient(const ir_eval *e);
pofac_status eval_cross_entropy_gradient(const ir_eval *e);
pofac_status eval_mean_squared_error_gradient(const ir_eval *e);
pofac_status eval_kl_divergence_gradient(const ir_eval *e);
pofac_status eval_squared_distance(const ir_eval *e);
pofac_status eval_cosine_distance(const ir_eval *e);
pofac_status eval_attention_distance(const ir_eval *e);
pofac_status eval_sum_of_squares(const ir_eval *e);
pofac_status eval_adamw(const ir_eval *e);
pofac_status eval_sgd(const ir_eval *e);
pofac_status eval_descend(const ir_eval *e);

void gradient_reshape(const ir_gradient *g);
void gradient_slice(const ir_gradient *g);
void gradient_gather_rows(const ir_gradient *g);
void gradient_cast(const ir_gradient *g);
void gradient_relayout(const ir_gradient *g);
void gradient_scatter_rows(const ir_gradient *g);
void gradient_add(const ir_gradient *g);
void gradient_sub(const ir_gradient *g);
void gradient_mul(const ir_gradient *g);
void gradient_relu(const ir_gradient *g);
void gradient_tanh(const ir_gradient *g);
void gradient_gelu(const ir_gradient *g);
void gradient_embedding(const ir_gradient *g);
void gradient_linear(const ir_gradient *g);
void gradient_layer_norm(const ir_gradient *g);
void gradient_dense_to_sparse(const ir_gradient *g);
void gradient_sparse_to_dense(const ir_gradient *g);
void gradient_dropout(const ir_gradient *g);
void gradient_attention(const ir_gradient *g);
void gradient_cross_entropy(const ir_gradient *g);
void gradient_linear_cross_entropy(const ir_gradient *g);
void gradient_linear_kl_divergence(const ir_gradient *g);
void gradient_linear_soft_cross_entropy(const ir_gradient *g);
void gradient_mean_squared_error(const ir_gradient *g);
void gradient_fake_quantize(const ir_gradient *g);
void gradient_kl_divergence(const ir_gradient *g);
void gradient_squared_distance(const ir_gradient *g);
void gradient_cosine_distance(const ir_gradient *g);
void gradient_attention_distance(const ir_gradient *g);

#endif
