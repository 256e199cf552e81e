/* Best evaluations and early stopping; see best_model.h. */
#include "frontend/driver/best_model.h"

#include <math.h>

best_verdict best_model_take(best_model *b, const best_model_rule *rule, int64_t step, double metric) {
    best_verdict v = {false, false};
    const double gain = !b->has_best ? INFINITY : rule->greater_is_better ? metric - b->metric : b->metric - metric;
    const bool is_number = !isnan(metric);
    v.is_best = is_number && gain > 0;
    b->evaluations_without_gain = is_number && gain > rule->threshold ? 0 : b->evaluations_without_gain + 1;
    if (v.is_best) {
        b->has_best = true;
        b->metric = metric;
        b->step = step;
    }
    v.stops = rule->patience > 0 && b->evaluations_without_gain >= rule->patience;
    return v;
}
