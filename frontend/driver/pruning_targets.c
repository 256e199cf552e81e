/* Warnings of targets; see pruning_targets.h. */
#include "frontend/driver/pruning_targets.h"

#include <inttypes.h>

size_t pruning_targets_warn(const pruning_config *c, const pruning_method *method, const prunable_layer *layers,
                            const pruning_choice *chosen, size_t n_chosen, const diag_sink *sink) {
    strbuf blocks = STRBUF_INIT;
    const pruning_choice *first = NULL;
    size_t n = 0;
    double nearest, of_first = 0;
    for (size_t i = 0; i < n_chosen; i++) {
        const prunable_layer *l = &layers[chosen[i].layer];
        if (pruning_target_fits(method, &chosen[i].parameters, l->n_rows, l->n_columns, &nearest)) continue;
        if (n++ > 0) continue;
        first = &chosen[i];
        of_first = nearest;
    }
    if (!first) return 0;
    const pruning_parameters *p = &first->parameters;
    if (pruning_method_is_uniform(method)) strbuf_printf(&blocks, "blocks of %" PRId64 " entries", p->block_size);
    else
        strbuf_printf(&blocks, "blocks of %" PRId64 " inputs and %" PRId64 " outputs of %s", p->block_columns, p->block_rows,
                      layers[first->layer].name);
    diag_warning(sink, &c->place, "%s cannot have a share of %g zeros, they get %g", strbuf_str(&blocks), p->target_sparsity,
                 of_first);
    strbuf_free(&blocks);
    return n;
}
