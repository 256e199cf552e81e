/* Learning rates; see learning_rate.h. All in double, as the reference's Python. */
#include "runtime/learning_rate.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = {[RATE_CONSTANT] = "constant",
                                    [RATE_CONSTANT_WITH_WARMUP] = "constant_with_warmup",
                                    [RATE_LINEAR] = "linear",
                                    [RATE_COSINE] = "cosine",
                                    [RATE_LINEAR_REWIND] = "linear_rewind"};

const char *rate_schedule_name(rate_schedule schedule) { return names[schedule]; }

bool rate_schedule_parse(const char *name, rate_schedule *out) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (rate_schedule)i;
        return true;
    }
    return false;
}

static double at_least(double low, double x) { return x < low ? low : x; }
static double ratio(int64_t a, int64_t b) { return (double)a / at_least(1, (double)b); }

/* The window's steps are left out of the decay: wo = max_steps - window. */
static double rewound(const rate_plan *p, int64_t i) {
    const int64_t window = p->window_end - p->window_begin, rest = p->max_steps - window;
    if (i >= p->window_begin && i < p->window_end) {
        const int64_t begin = (i - p->window_begin) / p->frequency * p->frequency;
        return ratio(rest - i + begin, rest - p->warmup_steps);
    }
    return ratio(p->max_steps - (i < p->window_begin ? window : 0) - i, rest - p->warmup_steps);
}

double rate_factor(const rate_plan *p, int64_t i) {
    if (p->schedule == RATE_CONSTANT) return 1;
    if (i < p->warmup_steps) return ratio(i, p->warmup_steps);
    switch (p->schedule) {
    case RATE_LINEAR: return at_least(0, ratio(p->max_steps - i, p->max_steps - p->warmup_steps));
    case RATE_COSINE: return at_least(0, 0.5 * (1 + cos(M_PI * ratio(i - p->warmup_steps, p->max_steps - p->warmup_steps))));
    case RATE_LINEAR_REWIND: return at_least(0, rewound(p, i));
    case RATE_CONSTANT:
    case RATE_CONSTANT_WITH_WARMUP: break;
    }
    return 1;
}

int64_t rate_warmup_steps(double share, int64_t max_steps) { return (int64_t)ceil(share * (double)max_steps); }
