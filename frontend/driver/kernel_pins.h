/* Variants of linears that the user has pinned: a cost source that answers for them, and asks another one for the rest. */
#ifndef POFAC_FRONTEND_KERNEL_PINS_H
#define POFAC_FRONTEND_KERNEL_PINS_H

#include "ir/cost.h"

#define KERNEL_PIN_INPUT_GRADIENT "input_gradient" /* the word before such a variant */

typedef struct kernel_pins kernel_pins;

/*
 * `lines`: pins, one a line, "VARIANT" for all linears or "REGEX:VARIANT" for weights in whose names the POSIX extended regular expression
 * is found; the last one that fits a weight counts. VARIANT is the text of the attribute, "sparse_linear layout=stream k_block=128".
 * One of a kernel of weight gradients is for those of graphs that train; the others are for forward products, and for input gradients
 * where the kernel has them. They decide between sparse and dense for all products of a weight; those without a pin get codegen's choice.
 * One of a kernel of integer products is for linears that compute in integers, and those take no other.
 * "input_gradient VARIANT" is for the input gradient alone, and without VARIANT leaves that to codegen.
 * A sparse variant is for weights that may be sparse (ir/cost.h), others pass it by. POFAC_ERR_USAGE with a message about option
 * --kernel_variant: an empty variant, one that codegen does not know, a malformed expression, two tile widths.
 */
POFAC_MUST_USE pofac_status kernel_pins_parse(const char *lines, const diag_sink *sink, kernel_pins **out);
void kernel_pins_destroy(kernel_pins *p); /* NULL is fine */

/* The tile width that pins name; 0: none. */
int64_t kernel_pins_tile(const kernel_pins *p);

/* `rest` NULL: the rule of ir/cost.h. Both outlive the source. */
void kernel_pins_set_rest(kernel_pins *p, const cost_source *rest);
cost_source kernel_pins_source(kernel_pins *p);

#endif
