/* What was chosen, as pins: a cost source that passes questions on and notes the answers, so that another run chooses the same without measuring. */
#ifndef POFAC_FRONTEND_KERNEL_CHOICES_H
#define POFAC_FRONTEND_KERNEL_CHOICES_H

#include "ir/cost.h"
#include "ir/support/strbuf.h"

typedef struct kernel_choices {
    const cost_source *rest; /* who answers */
    strbuf *out;             /* lines of kernel_pins.h, appended: those of the weights that got a variant */
} kernel_choices;

/* `c` outlives it. */
cost_source kernel_choices_source(kernel_choices *c);

#endif
