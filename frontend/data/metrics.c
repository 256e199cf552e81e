/* The table of metrics, and sums of losses; see metrics.h. */
#include "frontend/data/metrics.h"

#include <math.h>
#include <string.h>

static const metric_row rows[] = {
#define METRIC(id, input, name, scale, meaning) {name, METRIC_##input, METRIC_##scale, compute_##id, meaning},
#include "frontend/metrics.def"
};

const metric_row *metrics_row(size_t i) { return i < sizeof rows / sizeof *rows ? &rows[i] : NULL; }

const char *metric_input_name(metric_input input) {
    static const char *const names[] = {"labels", "values", "tags", "answers", "losses"};
    return names[input];
}

const metric_row *metrics_find(metric_input input, const char *name, size_t n) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].input == input && strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0) return &rows[i];
    return NULL;
}

metrics metrics_begin(metric_input input) { return (metrics){.input = input, .no_answer_threshold = 1.0}; }

void metrics_free(metrics *m) {
    VEC_FREE(&m->labels);
    VEC_FREE(&m->values);
    VEC_FREE(&m->ranks);
    VEC_FREE(&m->answers);
    VEC_FREE(&m->by_odds);
    answer_texts_free(&m->texts);
}

void metrics_add_loss(metrics *m, double sum, uint64_t n) {
    m->loss += sum;
    m->losses += n;
}

pofac_status metrics_finish(metrics *m, const diag_sink *sink) {
    if (m->input == METRIC_VALUES) return metrics_rank_values(m, sink);
    return m->input == METRIC_ANSWERS ? metrics_order_answers(m, sink) : POFAC_OK;
}

double compute_mean_loss(const metrics *m) { return m->losses ? m->loss / (double)m->losses : NAN; }

double compute_perplexity(const metrics *m) { return exp(compute_mean_loss(m)); }
