/*
 * Kernels: what a row of kernels.def is made of.
 *
 *   describe   looks at a group of nodes and says whether the row computes it, and then everything that code and plan need:
 *   operands, dims, how the work is cut, and named parameters
 *   emit       writes the code from the parameters and the target alone, never from the graph
 *
 * So the text of the parameters (kernel_variant) together with the target is the key of the code: two groups with equal texts share
 * one function.
 */
#ifndef POFAC_CODEGEN_KERNEL_H
#define POFAC_CODEGEN_KERNEL_H

#include "codegen/codegen.h"
#include "codegen/expression.h"
#include "codegen/llvm_emit.h"
#include "codegen/variant.h"

#define KERNEL_MAX_OPERANDS 24
#define KERNEL_MAX_PARAMS 24
#define KERNEL_MAX_DIMS 5

/* A set of nodes that run as one. */
typedef struct cg_group {
    const ir_graph *graph;
    const uint32_t *nodes; /* indices into the graph, rising */
    size_t n_nodes;
    const bool *stored; /* [values] needs a buffer: read outside of this group, or an output of the graph */
} cg_group;

typedef struct cg_operand {
    ir_value value;
    plan_packing packing;
    uint32_t packing_parameter;
    sparse_layout sparse;
    ir_value range; /* as in plan_buffer */
    bool aside;     /* of the next content of a state: not in the state's memory, but in a slot from which a step copies it there */
    const ir_type *workspace; /* of PACKING_WORKSPACE: what it holds; else NULL */
} cg_operand;

typedef enum cg_param_kind { PARAM_INT, PARAM_REAL, PARAM_DTYPE } cg_param_kind;
typedef struct cg_param {
    const char *name; /* a literal */
    cg_param_kind kind;
    union {
        int64_t number;
        double real;
        ir_dtype dtype;
    } as;
} cg_param;

typedef struct cg_kernel {
    size_t row; /* of kernels.def */
    cg_param params[KERNEL_MAX_PARAMS];
    unsigned n_params;
    cg_expression expression; /* n_stores = 0: none */
    cg_operand operands[KERNEL_MAX_OPERANDS];
    unsigned n_operands;
    ir_dim dims[KERNEL_MAX_DIMS];
    unsigned n_dims;
    ir_dim work, scratch_bytes, flops, bytes;
    int64_t work_per_unit, grain;
    ir_dim rows; /* as in plan_step */
    int64_t block_rows, block_units;
    const cg_variant *variant; /* what the user or a pass asks of the row, while it describes the group; or NULL */
    bool in_place;             /* results may lie where operands of their type do */
    const char *next;          /* row that describes the step after this one, for the same group; NULL: this is the last one */
    ir_dim loop_work;          /* as in plan_step, of a loop that begins with this step and ends with the last one of the group; */
    int64_t loop_work_per_round; /* 0: there is none */
    bool light;                  /* a few numbers per sequence or token: compiled fast rather than well. A function of params */
    bool failed;                 /* too many operands or params: the row does not take the group */
} cg_kernel;

typedef bool (*kernel_describe_fn)(const cg_group *g, const cg_target *target, cg_kernel *k);
typedef void (*kernel_emit_fn)(emitter *e, const cg_kernel *k);

typedef struct kernel_row {
    const char *name;
    kernel_describe_fn describe;
    kernel_emit_fn emit;  /* NULL: nothing is emitted, the runtime has */
    plan_library library; /* the function */
} kernel_row;
extern const kernel_row kernel_rows[];
extern const size_t n_kernel_rows;

#define KERNEL(name, describe, emit, meaning)                                                                                      \
    bool describe(const cg_group *g, const cg_target *target, cg_kernel *k);                                                       \
    void emit(emitter *e, const cg_kernel *k);
#define LIBRARY_KERNEL(name, describe, function, meaning) bool describe(const cg_group *g, const cg_target *target, cg_kernel *k);
#include "codegen/kernels.def"
#undef KERNEL
#undef LIBRARY_KERNEL

/* The first row that takes the group, described; with a variant, its row alone. False when none does. */
bool kernel_choose(const cg_group *g, const cg_target *target, const cg_variant *variant, cg_kernel *out);

/* The step after `k` by its row `next`, for the same group; false when it has none, or that does not take the group. */
bool kernel_next(const cg_group *g, const cg_target *target, const cg_kernel *k, cg_kernel *out);

/* "linear N=768 K=768 W=32 ...": row and parameters. */
void kernel_variant(const cg_kernel *k, strbuf *out);

/* ---- for describe ---- */
/* A parameter of the variant, or `otherwise` where none sets it. */
int64_t kernel_option(const cg_kernel *k, const char *name, int64_t otherwise);
/* Adds an operand and returns its number. */
unsigned kernel_operand(cg_kernel *k, ir_value value);
unsigned kernel_packed_operand(cg_kernel *k, ir_value value, plan_packing packing, uint32_t parameter);
/* PACKING_SPARSE_INDEX of a pattern, or PACKING_SPARSE_VALUES of its non-zeros. */
unsigned kernel_sparse_operand(cg_kernel *k, ir_value value, plan_packing packing, const sparse_layout *layout);
/* A weight in 8 bits by its range, which like the weight is state that stays, or a constant; a layout of kind SPARSE_NONE: it is dense. */
unsigned kernel_quantized_operand(cg_kernel *k, ir_value weight, ir_value range, plan_packing packing, uint32_t parameter,
                                  const sparse_layout *layout);
/* Memory of so many f32 that the steps of this group share by its number; operands of all of them name the same. */
unsigned kernel_workspace(cg_kernel *k, const cg_group *g, uint32_t number, ir_dim elements);
/* Is the value state that no graph of the module replaces? Its packed forms are made once, as those of constants; other values' by a
 * step before their reader. */
bool kernel_keeps_state(const ir_graph *g, ir_value v);
/* That step, for an operand of PACKING_SPARSE_VALUES; false when its layout has places that cannot be counted beforehand. */
bool kernel_pack_values(const ir_graph *g, const cg_operand *values, cg_kernel *k);
/* That step, for an operand in panels or transposed panels. */
bool kernel_pack_panels(const ir_graph *g, const cg_operand *panels, cg_kernel *k);
/* The step that copies the next content of a state from aside into the state's memory. */
bool kernel_copy_next(const ir_graph *g, ir_value next, cg_kernel *k);
/* The step that makes an operand of PACKING_SQUARE_SUMS; false when its elements are no ir_dim. */
bool kernel_sum_squares(const ir_graph *g, const cg_operand *sums, cg_kernel *k);
/* The step that makes the result of operand number `operand` of `maker`, of PACKING_PART_SUMS; false when it has no fixed size. */
bool kernel_sum_parts(const ir_graph *g, const cg_kernel *maker, unsigned operand, cg_kernel *k);
/* What such a step makes or, of PACKING_PART_SUMS and PACKING_WORKSPACE, reads: the type of the packed form. NULL when memory is short, or
 * its elements cannot be counted. */
const ir_type *kernel_packed_type(const ir_graph *g, const cg_operand *operand);
unsigned kernel_dim(cg_kernel *k, ir_dim dim);
void kernel_set(cg_kernel *k, const char *name, int64_t value);
void kernel_set_real(cg_kernel *k, const char *name, double value);
void kernel_set_dtype(cg_kernel *k, const char *name, ir_dtype value);
/* Puts the elementwise nodes [first, n) of the group into k->expression, with operands for what they read from outside and for the
 * results that are stored. `full`: the type of full
 * operands. Values that the kernel computes itself must stand in the expression already (kernel_computed). False when a node does
 * not fit. */
bool kernel_express(cg_kernel *k, const cg_group *g, size_t first, const ir_type *full);
void kernel_computed(cg_kernel *k, ir_value value);
/* Says that `units` units after one another go through the next `block_rows` of `rows` rows in tiles, and no others of them. */
void kernel_by_block(cg_kernel *k, ir_dim rows, int64_t block_rows, int64_t units);
/* dim * scale + offset as a dim; 0 where that is not of its form (estimates), with *ok = false when ok is not NULL. */
ir_dim kernel_scaled(ir_dim dim, int64_t scale, int64_t offset, bool *ok);

/* ---- for emit ---- */
int64_t kernel_get(const cg_kernel *k, const char *name); /* 0 when it is not set */
void kernel_operands(emitter *e, const cg_kernel *k, cg_val pointer[KERNEL_MAX_OPERANDS]);
double kernel_get_real(const cg_kernel *k, const char *name);
ir_dtype kernel_get_dtype(const cg_kernel *k, const char *name);

/* ---- about nodes and types ---- */
const ir_node *group_node(const cg_group *g, size_t i);
const ir_node *group_last(const cg_group *g);
/* The only node of the group if it is an `op`, else NULL. */
const ir_node *group_single(const cg_group *g, ir_op op);
/* f32 [R,E] in tiles with a width that vectors divide and E a number. */
bool is_f32_tiles(const ir_type *t);
/* A linear, or its input gradient, of activations in such tiles with a dense f32 weight [N,K] of constant dims. */
bool is_dense_tiled_linear(const cg_group *g, const ir_node *n);
bool is_f32_rows(const ir_type *t);                /* f32, LAYOUT_ROWS, a tensor */
int64_t type_features(const ir_type *t);           /* the last dimension, -1 when it is not a number */
bool is_leaf_value(const ir_graph *g, ir_value v); /* state, constant or input */

/* The elements of a tensor in blocks: units of `block` elements. dims gets the number of elements. False when that is no ir_dim. */
bool kernel_over_elements(cg_kernel *k, const ir_type *t, int64_t block);

/* Copies `count` elements (a value) of element_bytes each. */
void emit_copy(emitter *e, cg_val to, cg_val from, cg_val count, unsigned element_bytes);

/* Vectors side by side in loops over a tile. */
unsigned tile_vectors(unsigned lanes, int64_t width, unsigned most);

/* Lanes of the vectors that run over a tile of W rows. */
unsigned tile_lanes(unsigned max_lanes, int64_t width);

/*
 * Lanes of tile t that hold some of the rows [0, n_rows), rounded up to whole vectors; `lanes` at least. The vectors behind them
 * hold no row: kernels neither compute nor write them, and whoever reads them must not care what they hold.
 */
cg_val tile_live_lanes(emitter *e, cg_val n_rows, cg_val t, int64_t width, unsigned lanes);

#endif
