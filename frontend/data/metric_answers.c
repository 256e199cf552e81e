/*
 * Answers to questions; see metrics.h. Sums go in the order of the questions, as in the official scripts, so that the last bit is theirs.
 *
 * The best threshold (evaluate-v2.0.py, find_best_thresh): questions by rising odds of no answer; answering those up to one of them gains
 * its score, or loses a point where there is no answer and something was predicted; it begins with a point for each question
 * without an answer.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/metrics.h"

pofac_status metrics_add_answer(metrics *m, const answer_text *predicted, const answer_text *wanted, size_t n_wanted,
                                const double *odds, const diag_sink *sink) {
    answer_match match;
    TRY(answer_texts_match(&m->texts, m->rules, predicted, wanted, n_wanted, sink, &match));
    const answer_score score = {.f1 = match.f1,
                                .no_answer_odds = odds ? *odds : 0.0,
                                .exact = match.exact,
                                .has_answer = match.has_answer,
                                .is_empty = predicted->bytes == 0};
    if (odds) m->has_odds = true;
    return VEC_PUSH(&m->answers, score) ? POFAC_OK : diag_out_of_memory(sink);
}

pofac_status metrics_add_unanswered(metrics *m, const answer_text *wanted, size_t n_wanted, const diag_sink *sink) {
    answer_match match;
    TRY(answer_texts_match(&m->texts, m->rules, &(answer_text){"", 0}, wanted, n_wanted, sink, &match));
    return VEC_PUSH(&m->answers, ((answer_score){.has_answer = match.has_answer, .no_answer_odds = -INFINITY}))
               ? POFAC_OK
               : diag_out_of_memory(sink);
}

typedef enum which { ALL_QUESTIONS, WITH_ANSWER, WITHOUT_ANSWER } which;

static bool is_of(const answer_score *a, which w) { return w == ALL_QUESTIONS || a->has_answer == (w == WITH_ANSWER); }

static uint64_t count(const metrics *m, which w) {
    uint64_t n = 0;
    for (size_t i = 0; i < m->answers.size; i++) n += is_of(&m->answers.data[i], w);
    return n;
}

static double exact_of(const answer_score *a) { return a->exact; }
static double f1_of(const answer_score *a) { return a->f1; }

/* What counts at the threshold: odds above it take back what was predicted. */
static double at_threshold(const metrics *m, const answer_score *a, double (*score)(const answer_score *)) {
    return a->no_answer_odds > m->no_answer_threshold ? !a->has_answer : score(a);
}

static double mean(const metrics *m, which w, double (*score)(const answer_score *)) {
    double sum = 0.0;
    const uint64_t n = count(m, w);
    for (size_t i = 0; i < m->answers.size; i++)
        if (is_of(&m->answers.data[i], w)) sum += at_threshold(m, &m->answers.data[i], score);
    return n ? 100.0 * sum / (double)n : NAN;
}

double compute_exact_match(const metrics *m) { return mean(m, ALL_QUESTIONS, exact_of); }
double compute_answer_f1(const metrics *m) { return mean(m, ALL_QUESTIONS, f1_of); }
double compute_exact(const metrics *m) { return mean(m, ALL_QUESTIONS, exact_of); }
double compute_total(const metrics *m) { return (double)m->answers.size; }

/* Numbers of no question are none, as the official script leaves them out. */
static double count_or_none(const metrics *m, which w) {
    const uint64_t n = count(m, w);
    return n ? (double)n : NAN;
}

double compute_has_answer_exact(const metrics *m) { return mean(m, WITH_ANSWER, exact_of); }
double compute_has_answer_f1(const metrics *m) { return mean(m, WITH_ANSWER, f1_of); }
double compute_has_answer_total(const metrics *m) { return count_or_none(m, WITH_ANSWER); }
double compute_no_answer_exact(const metrics *m) { return mean(m, WITHOUT_ANSWER, exact_of); }
double compute_no_answer_f1(const metrics *m) { return mean(m, WITHOUT_ANSWER, f1_of); }
double compute_no_answer_total(const metrics *m) { return count_or_none(m, WITHOUT_ANSWER); }

static int by_odds(const void *a, const void *b) {
    const answer_score *x = *(const answer_score *const *)a, *y = *(const answer_score *const *)b;
    if (x->no_answer_odds > y->no_answer_odds || x->no_answer_odds < y->no_answer_odds)
        return x->no_answer_odds > y->no_answer_odds ? 1 : -1;
    return (x > y) - (x < y); /* they lie in the order of the questions */
}

pofac_status metrics_order_answers(metrics *m, const diag_sink *sink) {
    const size_t n = m->has_odds ? m->answers.size : 0;
    m->by_odds.size = 0;
    if (!VEC_RESERVE(&m->by_odds, n)) return diag_out_of_memory(sink);
    for (; m->by_odds.size < n; m->by_odds.size++) m->by_odds.data[m->by_odds.size] = &m->answers.data[m->by_odds.size];
    if (n > 0) qsort(m->by_odds.data, n, sizeof *m->by_odds.data, by_odds);
    return POFAC_OK;
}

typedef struct best_threshold {
    double score, threshold;
} best_threshold;

static best_threshold find_best(const metrics *m, double (*score)(const answer_score *)) {
    const size_t n = m->by_odds.size;
    double now = (double)count(m, WITHOUT_ANSWER);
    best_threshold best = {now, 0.0};
    if (n == 0) return (best_threshold){NAN, NAN};
    for (size_t i = 0; i < n; i++) {
        const answer_score *a = m->by_odds.data[i];
        now += a->has_answer ? score(a) : a->is_empty ? 0.0 : -1.0;
        if (now > best.score) best = (best_threshold){now, a->no_answer_odds};
    }
    best.score = 100.0 * best.score / (double)n;
    return best;
}

double compute_best_exact(const metrics *m) { return find_best(m, exact_of).score; }
double compute_best_exact_threshold(const metrics *m) { return find_best(m, exact_of).threshold; }
double compute_best_f1(const metrics *m) { return find_best(m, f1_of).score; }
double compute_best_f1_threshold(const metrics *m) { return find_best(m, f1_of).threshold; }
