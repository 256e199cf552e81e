/*
 * Labels: how often each is wanted, predicted and right; see metrics.h. Matthews' correlation of any number of classes is Gorodkin's R_K
 * (2004), as scikit-learn computes it:
 *     (c s - sum_k t_k p_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2))
 * with s rows, c right ones, t_k rows wanted and p_k predicted of class k.
 */
#include <math.h>

#include "frontend/data/metrics.h"

/* The counts of a label; NULL when memory is short. */
static label_count *count_of(metrics *m, int32_t label) {
    const size_t at = (size_t)label;
    while (m->labels.size <= at)
        if (!VEC_PUSH(&m->labels, (label_count){0})) return NULL;
    return &m->labels.data[at];
}

pofac_status metrics_add_labels(metrics *m, const int32_t *predicted, const int32_t *wanted, size_t n, const diag_sink *sink) {
    for (size_t i = 0; i < n; i++) {
        if (wanted[i] < 0) continue;
        label_count *w = count_of(m, wanted[i]), *p = w && predicted[i] >= 0 ? count_of(m, predicted[i]) : NULL;
        if (!w || (!p && predicted[i] >= 0)) return diag_out_of_memory(sink);
        w = &m->labels.data[wanted[i]]; /* the list may have moved */
        w->wanted++;
        if (p) p->predicted++;
        w->right += predicted[i] == wanted[i];
        m->rows++;
        m->right += predicted[i] == wanted[i];
    }
    return POFAC_OK;
}

double compute_accuracy(const metrics *m) { return m->rows ? (double)m->right / (double)m->rows : NAN; }

double compute_nsp_accuracy(const metrics *m) { return compute_accuracy(m); }

double compute_binary_f1(const metrics *m) {
    const label_count none = {0}, *one = m->labels.size > 1 ? &m->labels.data[1] : &none;
    const uint64_t sum = one->wanted + one->predicted; /* 2 tp + fp + fn */
    return sum ? 2.0 * (double)one->right / (double)sum : 0.0;
}

double compute_matthews(const metrics *m) {
    const double s = (double)m->rows, c = (double)m->right;
    double both = 0.0, predicted = 0.0, wanted = 0.0, without = s; /* without: rows predicted as no label, a class of their own */
    if (m->rows == 0) return NAN;
    for (size_t k = 0; k < m->labels.size; k++) {
        const double t = (double)m->labels.data[k].wanted, p = (double)m->labels.data[k].predicted;
        both += t * p;
        predicted += p * p;
        wanted += t * t;
        without -= p;
    }
    predicted += without * without;
    const double variance = (s * s - predicted) * (s * s - wanted);
    return variance > 0.0 ? (c * s - both) / sqrt(variance) : 0.0;
}
