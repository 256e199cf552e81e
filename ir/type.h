/*
 * Types of values: element type, shape with symbolic dimensions, and layout. Types, names and symbols are interned in an
 * ir_context, so equality is pointer equality, across all modules of one context.
 *
 * A dimension is   scale * symbol0 * symbol1 + offset   (either symbol may be absent): `768`, `B`, `B*S`, `B+1`, `2*T`, `nnz(%3)`.
 * Named symbols are declared by a graph with an upper bound and bound to numbers when a plan runs, never when it is compiled.
 * `nnz(%v)` is the number of non-zeros of the pattern value %v of the same graph; since it names a value, the rewriting helper
 * (rewrite.h) maps it when nodes are copied.
 */
#ifndef POFAC_IR_TYPE_H
#define POFAC_IR_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/strbuf.h"

typedef enum ir_dtype {
#define DTYPE(id, text, bits, class, meaning) IR_##id,
#include "ir/dtypes.def"
#undef DTYPE
    IR_N_DTYPES
} ir_dtype;

typedef enum ir_dtype_class { DTYPE_FLOAT, DTYPE_SIGNED, DTYPE_UNSIGNED, DTYPE_BOOLEAN } ir_dtype_class;

const char *dtype_name(ir_dtype d);
const char *dtype_meaning(ir_dtype d);
ir_dtype_class dtype_class(ir_dtype d);
unsigned dtype_bits(ir_dtype d);
bool dtype_parse(const char *text, size_t n, ir_dtype *out);

/* A value of a graph: 1-based number, 0 is none. Declared here because nnz(%v) names one. */
typedef uint32_t ir_value;
#define IR_NO_VALUE 0u

/* A symbol: index into the context's table, 0 is none. */
typedef uint32_t ir_symbol;

typedef struct ir_dim {
    int64_t scale; /* 0 exactly when both symbols are none */
    int64_t offset;
    ir_symbol symbol[2]; /* sorted, none last */
} ir_dim;

ir_dim dim_const(int64_t n);
ir_dim dim_symbol(ir_symbol s);               /* of no symbol: a dimension that dim_eval refuses */
ir_dim dim_mul(ir_dim a, ir_dim b, bool *ok); /* *ok = false when the product is not of the form above or overflows */
ir_dim dim_add(ir_dim a, int64_t n);          /* on overflow a dimension that dim_eval refuses */
bool dim_equal(ir_dim a, ir_dim b);
bool dim_is_const(ir_dim d, int64_t *value); /* value may be NULL */

/* Numbers for symbols, indexed by ir_symbol; a symbol that is not bound reads -1. */
typedef struct ir_binding {
    const int64_t *value;
    size_t size;
} ir_binding;

/* The number that `d` stands for, or -1 when a symbol is unbound or the result overflows or is negative. */
int64_t dim_eval(ir_dim d, ir_binding binding);

#define IR_MAX_RANK 4

typedef enum ir_layout {
    LAYOUT_ROWS, /* row-major, the last dimension contiguous */
    /* tiles<W>, rank 2 [R,E]: W rows side by side for each feature, [ceil(R/W)][E][W]; lanes past R hold anything finite */
    LAYOUT_TILES,
    /* quads<W>, rank 2 [R,E] of 8 bits: four neighbouring features of a row in 32 bits, [ceil(R/W)][ceil(E/4)][W][4]; lanes past R and places past E hold
       anything */
    LAYOUT_QUADS
} ir_layout;

typedef enum ir_type_kind {
    TYPE_TENSOR,
    TYPE_PATTERN /* positions of the non-zeros of an [N,K] matrix, ordered by row, then column; dims are N and K */
} ir_type_kind;

typedef struct ir_type {
    ir_type_kind kind;
    ir_dtype dtype; /* of tensors */
    ir_layout layout;
    uint32_t tile; /* W of tiles and quads, else 0 */
    uint32_t rank;
    ir_dim dims[IR_MAX_RANK];
} ir_type;

/* Are rows side by side, W in a tile? */
static inline bool type_is_tiled(const ir_type *t) { return t->layout != LAYOUT_ROWS; }

typedef struct ir_context ir_context;

ir_context *context_create(void); /* NULL when memory is short */
void context_destroy(ir_context *c);
bool context_failed(const ir_context *c); /* some string, symbol or type could not be given: no more nodes are added */

/* The one copy of a string in the context; NULL only when memory is short. "" for an empty one. */
const char *context_string(ir_context *c, const char *text);
const char *context_string_n(ir_context *c, const char *text, size_t n);

typedef enum ir_symbol_kind { SYMBOL_NAMED, SYMBOL_NNZ } ir_symbol_kind;
ir_symbol symbol_named(ir_context *c, const char *name); /* 0 when memory is short */
ir_symbol symbol_nnz(ir_context *c, ir_value pattern);
ir_symbol_kind symbol_kind(const ir_context *c, ir_symbol s);
const char *symbol_name(const ir_context *c, ir_symbol s); /* NULL for nnz */
ir_value symbol_value(const ir_context *c, ir_symbol s);   /* the pattern of nnz, else IR_NO_VALUE */
size_t context_n_symbols(const ir_context *c);             /* symbols are 1 .. n */

/* The one copy of a type. NULL when memory is short. */
const ir_type *type_intern(ir_context *c, const ir_type *type);
const ir_type *type_tensor(ir_context *c, ir_dtype dtype, uint32_t rank, const ir_dim *dims);
const ir_type *type_pattern(ir_context *c, ir_dim rows, ir_dim columns);
/* The same tensor type in another layout / of another element type. */
const ir_type *type_with_layout(ir_context *c, const ir_type *t, ir_layout layout, uint32_t tile);
const ir_type *type_with_dtype(ir_context *c, const ir_type *t, ir_dtype dtype);

/* Number of elements as a dimension; *ok as in dim_mul. */
ir_dim type_elements(const ir_type *t, bool *ok);
/* Bytes of a tensor under a binding, in its layout (tiles: rows rounded up to W; quads: features to 4 as well); -1 when a symbol is unbound or it overflows. */
int64_t type_bytes(const ir_type *t, ir_binding binding);

/* Text forms: "B*S", "f32[T,768]", "f32[T,768] tiles<32>", "u8[T,768] quads<32>", "pattern[3072,768]". nnz prints as nnz(VALUE), where `print_value`
 * writes the value; NULL writes % and the value's id. */
typedef void (*ir_value_printer)(const void *user, ir_value v, strbuf *out);
void dim_print(const ir_context *c, ir_dim d, ir_value_printer print_value, const void *user, strbuf *out);
void type_print(const ir_context *c, const ir_type *t, ir_value_printer print_value, const void *user, strbuf *out);

#endif
