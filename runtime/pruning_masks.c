/*
 * Masks of pruning; see pruning_masks.h.
 *
 * A method has a threshold for each weight, for each block of entries, or for each group of weights. Weights are tasks of the pool; what fails in one is
 * told after all, for the first weight that failed.
 */
#include "runtime/pruning_masks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/score_threshold.h"

enum { MASKED = PRUNING_MASKED, STRAIGHT = PRUNING_STRAIGHT };
enum { VALUES = PRUNING_VALUES, MOVEMENT = PRUNING_MOVEMENT, CURVATURE = PRUNING_CURVATURE, MASKS = PRUNING_MASKS };
enum { ITERATIVE = PRUNING_ITERATIVE, ONE_SHOT = PRUNING_ONE_SHOT, LOCK = PRUNING_LOCK };

#define PRUNING_METHOD(id, name, function, gradient, needs, schedules, meaning)                                                    \
    static pofac_status function(const pruning_masks_job *job);
#include "runtime/pruning_methods.def"
#undef PRUNING_METHOD

static const pruning_method methods[] = {
#define PRUNING_METHOD(id, name, function, gradient, needs, schedules, meaning)                                                    \
    {name, function, (pruning_gradient)(gradient), (pruning_needs)(needs), schedules, meaning},
#include "runtime/pruning_methods.def"
#undef PRUNING_METHOD
};

const pruning_method *pruning_method_at(size_t i) { return i < sizeof methods / sizeof *methods ? &methods[i] : NULL; }

const pruning_method *pruning_method_find(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0) return &methods[i];
    return NULL;
}

static double sparsity_of(const pruning_masks_job *job, const pruned_weight *w) {
    const pruning_parameters *p = &w->parameters;
    return p->initial_sparsity + (p->target_sparsity - p->initial_sparsity) * job->progress;
}

static int64_t entries_of(const pruned_weight *w) { return w->n_rows * w->n_columns; }

static score_span scores_of(const pruned_weight *w) {
    return (score_span){w->scores ? w->scores : w->values, entries_of(w), w->scores == NULL};
}

/* ---- what can be asked for ---- */

static pofac_status wrong(const pruning_masks_job *job, const pruned_weight *w, const char *what, double found,
                          const char *wanted) {
    return diag_error(job->sink, POFAC_ERR_USAGE, NULL, "%s: %s is %.17g, wanted %s", w->name, what, found, wanted);
}

static bool is_share(double x) { return x >= 0 && x <= 1; }

static pofac_status check_parameters(const pruning_masks_job *job) {
    for (size_t i = 0; i < job->n_weights; i++) {
        const pruned_weight *w = &job->weights[i];
        const pruning_parameters *p = &w->parameters;
        if (!is_share(p->target_sparsity)) return wrong(job, w, "target_sparsity", p->target_sparsity, "0 to 1");
        if (!is_share(p->initial_sparsity)) return wrong(job, w, "initial_sparsity", p->initial_sparsity, "0 to 1");
        if (!(p->threshold_decay >= 0 && p->threshold_decay < 1))
            return wrong(job, w, "threshold_decay", p->threshold_decay, "at least 0 and below 1");
    }
    return POFAC_OK;
}

static pofac_status check_needs(const pruning_method *method, const pruning_masks_job *job) {
    static const char *const wanted[] = {[PRUNING_MOVEMENT] = "scores of its movement in training",
                                         [PRUNING_CURVATURE] = "saliencies from gradients of batches",
                                         [PRUNING_MASKS] = "a mask that is given"};
    for (size_t i = 0; i < job->n_weights && method->needs != PRUNING_VALUES; i++) {
        const pruned_weight *w = &job->weights[i];
        if (method->needs == PRUNING_MASKS ? w->given != NULL : w->scores != NULL) continue;
        return diag_error(job->sink, POFAC_ERR_USAGE, NULL, "%s: found the weight alone, %s wants %s", w->name, method->name,
                          wanted[method->needs]);
    }
    return POFAC_OK;
}

static pofac_status check_divides(const pruning_masks_job *job, const pruned_weight *w, const char *what, int64_t block,
                                  const char *of, int64_t n) {
    if (block >= 1 && n % block == 0) return POFAC_OK;
    return diag_error(job->sink, POFAC_ERR_USAGE, NULL, "%s: %s is %lld, wanted a divisor of its %lld %s", w->name, what,
                      (long long)block, (long long)n, of);
}

/* ---- weights as tasks ---- */

typedef pofac_status (*weight_fn)(const pruning_masks_job *job, pruned_weight *w);

typedef struct weight_tasks {
    const pruning_masks_job *job;
    weight_fn work;
    pofac_status *status; /* [n_weights] */
} weight_tasks;

static void count_kept(pruned_weight *w) { w->kept = mask_ones(w->mask, entries_of(w)); }

static void run_weight(void *user, size_t worker, size_t chunk) {
    const weight_tasks *t = user;
    (void)worker;
    t->status[chunk] = t->work(t->job, &t->job->weights[chunk]);
    if (t->status[chunk] == POFAC_OK) count_kept(&t->job->weights[chunk]);
}

static pofac_status for_each_weight(const pruning_masks_job *job, weight_fn work) {
    weight_tasks t = {job, work, calloc(job->n_weights + 1, sizeof *t.status)};
    pofac_status status = POFAC_OK;
    if (!t.status) return diag_out_of_memory(job->sink);
    thread_pool_run(job->pool, run_weight, &t, job->n_weights);
    for (size_t i = 0; i < job->n_weights && status == POFAC_OK; i++) status = t.status[i];
    free(t.status);
    return status == POFAC_OK ? POFAC_OK : diag_out_of_memory(job->sink); /* nothing else can fail there */
}

/* ---- thresholds ---- */

/* Moves the threshold towards `computed`, in single precision as the reference. */
static float decayed(const pruned_weight *w, float computed) {
    const double decay = w->parameters.threshold_decay;
    const float before = w->threshold * (float)decay, now = (float)(1 - decay) * computed;
    return before + now;
}

/* The k smallest of the scores are not above it; with k = 0 it lies below all. */
static float threshold_of(score_span s, double sparsity, bool fast) {
    const int64_t k = (int64_t)(sparsity * (double)s.n);
    if (k <= 0) return score_least(s) - 1;
    return fast && s.magnitude ? score_histogram_threshold(&s, 1, sparsity) : score_select(s, k);
}

/* ---- each weight by itself ---- */

static pofac_status mask_unstructured(const pruning_masks_job *job, pruned_weight *w) {
    const score_span s = scores_of(w);
    if (s.n == 0) return POFAC_OK;
    w->threshold = decayed(w, threshold_of(s, sparsity_of(job, w), w->parameters.fast_threshold));
    score_keep_above(s, w->threshold, w->mask);
    return POFAC_OK;
}

static pofac_status masks_unstructured(const pruning_masks_job *job) { return for_each_weight(job, mask_unstructured); }

static pofac_status masks_second_order(const pruning_masks_job *job) { return for_each_weight(job, mask_unstructured); }

/* Before the first step all scores are 0, and none lies above another: then magnitudes decide. */
static pofac_status mask_movement(const pruning_masks_job *job, pruned_weight *w) {
    const int64_t n = entries_of(w);
    int64_t i = 0;
    while (i < n && w->scores[i] == 0) i++;
    if (i < n) return mask_unstructured(job, w);
    pruned_weight plain = *w;
    plain.scores = NULL;
    TRY(mask_unstructured(job, &plain));
    w->threshold = 0; /* of magnitudes, which says nothing of scores to come */
    return POFAC_OK;
}

static pofac_status masks_movement(const pruning_masks_job *job) { return for_each_weight(job, mask_movement); }

/* ---- N of every M ---- */

static pofac_status mask_uniform(const pruning_masks_job *job, pruned_weight *w) {
    const score_span all = scores_of(w);
    const int64_t size = w->parameters.block_size, k = (int64_t)(sparsity_of(job, w) * (double)size);
    for (int64_t i = 0; i < all.n; i += size) {
        const score_span s = {all.data + i, size, all.magnitude};
        if (k > 0) score_keep_above(s, score_select(s, k), w->mask + i);
        else memset(w->mask + i, 1, (size_t)size);
    }
    return POFAC_OK;
}

static pofac_status masks_uniform(const pruning_masks_job *job) {
    for (size_t i = 0; i < job->n_weights; i++) {
        const pruned_weight *w = &job->weights[i];
        TRY(check_divides(job, w, "block_size", w->parameters.block_size, "entries", entries_of(w)));
    }
    return for_each_weight(job, mask_uniform);
}

/* ---- blocks ---- */

/* The mean or the largest score of the block at (row, column). Sums run along rows, in single precision. */
static float pool_block(const pruned_weight *w, int64_t row, int64_t column) {
    const pruning_parameters *p = &w->parameters;
    const float *scores = w->scores ? w->scores : w->values;
    float sum = 0, most = -INFINITY;
    for (int64_t r = row; r < row + p->block_rows; r++)
        for (int64_t c = column; c < column + p->block_columns; c++) {
            const float x = scores[r * w->n_columns + c], score = w->scores ? x : fabsf(x);
            sum += score;
            if (score > most || isnan(score)) most = score;
        }
    return p->pooling == PRUNING_MAX ? most : sum / (float)(p->block_rows * p->block_columns);
}

static void expand_block(pruned_weight *w, int64_t row, int64_t column, bool kept) {
    const pruning_parameters *p = &w->parameters;
    for (int64_t r = row; r < row + p->block_rows; r++) memset(w->mask + r * w->n_columns + column, kept, (size_t)p->block_columns);
}

static pofac_status mask_blocks(const pruning_masks_job *job, pruned_weight *w) {
    const pruning_parameters *p = &w->parameters;
    const int64_t across = w->n_columns / p->block_columns, n = w->n_rows / p->block_rows * across;
    if (n == 0) return POFAC_OK;
    float *pooled = malloc((size_t)n * sizeof *pooled);
    if (!pooled) return POFAC_ERR_RUNTIME;
    for (int64_t b = 0; b < n; b++) pooled[b] = pool_block(w, b / across * p->block_rows, b % across * p->block_columns);
    const score_span s = {pooled, n, w->scores == NULL};
    w->threshold = decayed(w, threshold_of(s, sparsity_of(job, w), p->fast_threshold));
    for (int64_t b = 0; b < n; b++)
        expand_block(w, b / across * p->block_rows, b % across * p->block_columns, pooled[b] > w->threshold);
    free(pooled);
    return POFAC_OK;
}

static pofac_status masks_blocks(const pruning_masks_job *job) {
    for (size_t i = 0; i < job->n_weights; i++) {
        const pruned_weight *w = &job->weights[i];
        TRY(check_divides(job, w, "block_dims along the outputs", w->parameters.block_rows, "rows", w->n_rows));
        TRY(check_divides(job, w, "block_dims along the inputs", w->parameters.block_columns, "columns", w->n_columns));
    }
    return for_each_weight(job, mask_blocks);
}

/* ---- groups ---- */

static pofac_status mask_by_threshold(const pruning_masks_job *job, pruned_weight *w) {
    (void)job;
    score_keep_above(scores_of(w), w->threshold, w->mask);
    return POFAC_OK;
}

/* The threshold of the group of weight `first`, which is its first one, into all of them. */
static void find_group_threshold(const pruning_masks_job *job, size_t first, score_span *spans) {
    pruned_weight *leader = &job->weights[first], *last = leader;
    size_t n = 0;
    for (size_t i = first; i < job->n_weights; i++) {
        pruned_weight *w = &job->weights[i];
        if (strcmp(w->parameters.group, leader->parameters.group) != 0) continue;
        if (entries_of(w) > 0) spans[n++] = scores_of(w);
        last = w;
    }
    const double sparsity = sparsity_of(job, last);
    float threshold = 0;
    if (sparsity != 0 && n > 0) threshold = decayed(last, score_histogram_threshold(spans, n, sparsity));
    for (size_t i = first; i < job->n_weights; i++)
        if (strcmp(job->weights[i].parameters.group, leader->parameters.group) == 0) job->weights[i].threshold = threshold;
}

static bool is_first_of_group(const pruning_masks_job *job, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(job->weights[i].parameters.group, job->weights[index].parameters.group) == 0) return false;
    return true;
}

static pofac_status masks_grouped(const pruning_masks_job *job) {
    score_span *spans = calloc(job->n_weights + 1, sizeof *spans);
    if (!spans) return diag_out_of_memory(job->sink);
    for (size_t i = 0; i < job->n_weights; i++)
        if (is_first_of_group(job, i)) find_group_threshold(job, i, spans);
    free(spans);
    return for_each_weight(job, mask_by_threshold);
}

/* ---- locks ---- */

static pofac_status mask_lock(const pruning_masks_job *job, pruned_weight *w) {
    (void)job;
    for (int64_t i = 0; i < entries_of(w); i++) {
        uint32_t bits;
        memcpy(&bits, &w->values[i], sizeof bits); /* workers take denormals for 0 */
        w->mask[i] = bits << 1 != 0;
    }
    return POFAC_OK;
}

static pofac_status masks_lock(const pruning_masks_job *job) { return for_each_weight(job, mask_lock); }

/* ---- masks that are given ---- */

static pofac_status mask_given(const pruning_masks_job *job, pruned_weight *w) {
    (void)job;
    for (int64_t i = 0; i < entries_of(w); i++) w->mask[i] = w->given[i] != 0;
    return POFAC_OK;
}

static pofac_status masks_given(const pruning_masks_job *job) { return for_each_weight(job, mask_given); }

/* ---- all ---- */

pofac_status pruning_masks(const pruning_method *method, const pruning_masks_job *job) {
    TRY(check_parameters(job));
    TRY(check_needs(method, job));
    return method->masks(job);
}

bool pruning_method_is_uniform(const pruning_method *method) { return method->masks == masks_uniform; }

/* Zeros are whole blocks among `n` that compete. */
static double share_of_blocks(double sparsity, int64_t n) {
    return n > 0 ? (double)(int64_t)(sparsity * (double)n) / (double)n : sparsity;
}

bool pruning_target_fits(const pruning_method *method, const pruning_parameters *p, int64_t n_rows, int64_t n_columns,
                         double *nearest) {
    *nearest = p->target_sparsity;
    if (pruning_method_is_uniform(method) && p->block_size >= 1) {
        *nearest = share_of_blocks(p->target_sparsity, p->block_size);
        return *nearest == p->target_sparsity;
    }
    if (method->masks != masks_blocks || (p->block_rows <= 1 && p->block_columns <= 1)) return true;
    *nearest = share_of_blocks(p->target_sparsity, n_rows / p->block_rows * (n_columns / p->block_columns));
    return p->target_sparsity - *nearest <= 0.005;
}
