/*
 * Selection by a heap whose top is the least of the k largest so far (see largest_logits.h): most numbers are below it and cost one comparison. The heap
 * then gives them up from the least to the largest (heapsort).
 */
#include "frontend/driver/largest_logits.h"

#include <math.h>
#include <stdbool.h>

typedef struct logit_heap {
    float *values;
    int32_t *ids;
    int64_t size;
} logit_heap;

/* Does a come behind b? */
static bool is_behind(float a, int32_t a_id, float b, int32_t b_id) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? a_id > b_id : isnan(b);
    return a < b || (a == b && a_id > b_id);
}

/* Puts the pair into the place `at`, or below it: what comes last stands on top. */
static void sift_down(logit_heap *h, int64_t at, float value, int32_t id) {
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= h->size) break;
        if (child + 1 < h->size && is_behind(h->values[child + 1], h->ids[child + 1], h->values[child], h->ids[child])) child++;
        if (!is_behind(h->values[child], h->ids[child], value, id)) break;
        h->values[at] = h->values[child];
        h->ids[at] = h->ids[child];
        at = child;
    }
    h->values[at] = value;
    h->ids[at] = id;
}

void largest_logits(const float *logits, int64_t n, int64_t k, float *values, int32_t *ids) {
    logit_heap h = {values, ids, k};
    for (int64_t i = 0; i < k; i++) {
        values[i] = logits[i];
        ids[i] = (int32_t)i;
    }
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift_down(&h, i, values[i], ids[i]);
    for (int64_t i = k; i < n; i++)
        if (!(logits[i] <= values[0]) && !isnan(values[0])) sift_down(&h, 0, logits[i], (int32_t)i);
    while (h.size > 1) { /* the last one goes behind the rest */
        const float value = values[0], end = values[h.size - 1];
        const int32_t id = ids[0], end_id = ids[h.size - 1];
        h.size--;
        sift_down(&h, 0, end, end_id);
        values[h.size] = value;
        ids[h.size] = id;
    }
}
