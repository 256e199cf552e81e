/* Sources of examples by rule; see made_examples.h. */
#include "tests/unit/data/made_examples.h"

#include <time.h>

size_t made_length(const made_examples *m, uint64_t i) {
    const double u = rng_uniform(rng_key_make(5, "lengths"), i);
    return 1 + (size_t)(u * u * (double)m->max_length) % m->max_length;
}

static pofac_status measure(void *user, uint64_t i, const diag_sink *sink, size_t *n_tokens) {
    (void)sink;
    *n_tokens = made_length(user, i);
    return POFAC_OK;
}

static pofac_status read_example(void *user, uint64_t epoch, uint64_t i, const diag_sink *sink, example_buffer *out) {
    const made_examples *m = user;
    if (i == m->fails_at)
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = "made", .line = 3, .text = "abc", .text_bytes = 2},
                          "example %d cannot be read", (int)i);
    if (m->delay_ns) nanosleep(&(struct timespec){.tv_nsec = (long)m->delay_ns}, NULL);
    out->n_tokens = made_length(m, i);
    for (size_t k = 0; k < out->n_tokens; k++) {
        out->ids[k] = (int32_t)(1000 * epoch + 7 * i + k);
        out->types[k] = k >= (out->n_tokens + 1) / 2;
        out->token_values[2][k] = k % 2 ? EXAMPLE_NO_LABEL : (int32_t)k;
    }
    out->values[0] = (double)(i % 3);
    out->values[1] = (double)i / 4;
    return POFAC_OK;
}

example_source made_source(const made_examples *m) {
    return (example_source){.n_examples = m->n,
                            .fingerprint = 17 + m->n,
                            .max_length = m->max_length,
                            .n_fields = 3,
                            .fields = {{"labels", IR_I64, false}, {"scores", IR_F32, false}, {"tags", IR_I64, true}},
                            .measure = measure,
                            .read = read_example,
                            .user = (void *)m};
}
