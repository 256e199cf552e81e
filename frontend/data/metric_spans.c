/*
 * Tags of sentences as spans; see metrics.h. Where a span begins and ends is seqeval's default mode, which is conlleval's: by the letters
 * B, I, O, E, S before the first '-' and the type behind it, whatever the scheme. Both sequences are walked at once: spans are equal
 * when they begin together, end together and have one type.
 */
#include <math.h>
#include <string.h>

#include "frontend/data/metrics.h"

typedef struct tag {
    char letter;
    const char *type; /* "_": none */
} tag;

static const tag outside = {'O', "_"};

/* "B-PER", "BPER" or "B". */
static tag read_tag(const char *text) {
    if (!*text) return outside;
    const char *dash = strchr(text + 1, '-'), *type = dash ? dash + 1 : text + 1;
    return (tag){*text, *type ? type : "_"};
}

static bool ends(tag last, tag next) {
    if (last.letter == 'E' || last.letter == 'S') return true;
    if ((last.letter == 'B' || last.letter == 'I') && (next.letter == 'B' || next.letter == 'S' || next.letter == 'O')) return true;
    return last.letter != 'O' && last.letter != '.' && strcmp(last.type, next.type) != 0;
}

static bool begins(tag last, tag next) {
    if (next.letter == 'B' || next.letter == 'S') return true;
    if ((last.letter == 'E' || last.letter == 'S' || last.letter == 'O') && (next.letter == 'E' || next.letter == 'I')) return true;
    return next.letter != 'O' && next.letter != '.' && strcmp(last.type, next.type) != 0;
}

typedef struct walk {
    tag last;
    size_t begin; /* of the span that is open */
    bool ended;   /* at the last step */
    tag ended_tag;
    size_t ended_begin;
} walk;

static void step(walk *w, tag next, size_t at) {
    w->ended = ends(w->last, next);
    w->ended_tag = w->last;
    w->ended_begin = w->begin;
    if (begins(w->last, next)) w->begin = at;
    w->last = next;
}

pofac_status metrics_add_tags(metrics *m, const char *const *predicted, const char *const *wanted, size_t n,
                              const diag_sink *sink) {
    (void)sink; /* nothing can fail */
    walk p = {.last = outside}, w = {.last = outside};
    for (size_t i = 0; i <= n; i++) {
        step(&p, i < n ? read_tag(predicted[i]) : outside, i);
        step(&w, i < n ? read_tag(wanted[i]) : outside, i);
        m->spans_predicted += p.ended;
        m->spans_wanted += w.ended;
        m->spans_right += p.ended && w.ended && p.ended_begin == w.ended_begin && strcmp(p.ended_tag.type, w.ended_tag.type) == 0;
        if (i == n) break;
        m->rows++;
        m->right += strcmp(predicted[i], wanted[i]) == 0;
    }
    return POFAC_OK;
}

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : 0.0; }

double compute_entity_precision(const metrics *m) { return share(m->spans_right, m->spans_predicted); }

double compute_entity_recall(const metrics *m) { return share(m->spans_right, m->spans_wanted); }

double compute_entity_f1(const metrics *m) {
    const double precision = compute_entity_precision(m), recall = compute_entity_recall(m), sum = precision + recall;
    return sum > 0.0 ? 2 * precision * recall / sum : 0.0;
}

double compute_tag_accuracy(const metrics *m) { return m->rows ? (double)m->right / (double)m->rows : NAN; }
