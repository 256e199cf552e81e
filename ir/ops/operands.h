/*
 * Checks and small moves that several families of ops share: types of operands in shape rules, contents of operands in evaluators.
 * Every message has the form "NAME is FOUND, wanted WANTED".
 */
#ifndef POFAC_IR_OPS_OPERANDS_H
#define POFAC_IR_OPS_OPERANDS_H

#include "ir/op.h"

/* Type or tensor of operand number i; NULL when it is absent. */
static inline const ir_type *infer_input(const ir_infer *in, uint32_t i) { return i < in->node->n_inputs ? in->input[i] : NULL; }
static inline const ir_tensor *eval_input(const ir_eval *e, uint32_t i) { return i < e->node->n_inputs ? e->input[i] : NULL; }

/* Text of a type or dimension for a message; long ones are cut. Used in place: type_text_of(in, t).text. */
typedef struct type_text {
    char text[192];
} type_text;
type_text type_text_of(const ir_infer *in, const ir_type *t);
type_text dim_text_of(const ir_infer *in, ir_dim d);

/* Sets result number r; a NULL type means that memory was short. */
POFAC_MUST_USE pofac_status infer_result(ir_infer *in, uint32_t r, const ir_type *t);

/* Each refuses a type that is not so; `name` is the operand's name in messages, `shape` the wanted dimensions, e.g. "[R,K]". */
POFAC_MUST_USE pofac_status want_tensor(const ir_infer *in, const ir_type *t, const char *name);
POFAC_MUST_USE pofac_status want_rank(const ir_infer *in, const ir_type *t, const char *name, uint32_t rank, const char *shape);
POFAC_MUST_USE pofac_status want_float(const ir_infer *in, const ir_type *t, const char *name);
POFAC_MUST_USE pofac_status want_integer(const ir_infer *in, const ir_type *t, const char *name); /* not bool */
POFAC_MUST_USE pofac_status want_integer_or_bool(const ir_infer *in, const ir_type *t, const char *name);
/* Exactly `wanted`; a NULL `wanted` means that memory was short. */
POFAC_MUST_USE pofac_status want_type(const ir_infer *in, const ir_type *t, const char *name, const ir_type *wanted);
/* Row offsets of a ragged batch: i32[B+1]. */
POFAC_MUST_USE pofac_status want_offsets_type(const ir_infer *in, const ir_type *t);
/* The declared type: a tensor whose layout fits its rank. */
POFAC_MUST_USE pofac_status want_declared(const ir_infer *in);

/* Offsets start at 0, never fall, and end at n_rows (anywhere when n_rows is -1). */
POFAC_MUST_USE pofac_status want_offsets(const ir_eval *e, const ir_tensor *offsets, int64_t n_rows);

/* Copies n elements between tensors of one dtype. */
void copy_elements(ir_tensor *to, int64_t to_first, const ir_tensor *from, int64_t from_first, int64_t n);

/* a * b doubles from malloc, at least one; NULL when memory is short or the size overflows. */
double *alloc_doubles(int64_t a, int64_t b);

#endif
