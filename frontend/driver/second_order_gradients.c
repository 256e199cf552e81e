/* Gradients -> curvature -> masks, group by group; see second_order_gradients.h. */
#include "frontend/driver/second_order_gradients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/training_parts.h"
#include "runtime/second_order.h"

/* Gradients count as steps behind all that a run could reach, so their dropout is none of a step's. */
#define FIRST_STEP (INT64_C(1) << 40)

/* A weight: where its part of the state lies, and what becomes of it, which waits until all groups are through. */
typedef struct curved_weight {
    state_entry *weight, *mask, *threshold, *gradient;
    int64_t entries;
    second_order *curvature; /* while its group is looked at */
    float *values, *scores;  /* [entries] */
} curved_weight;

typedef struct update_work {
    const second_order_update *u;
    const diag_sink *sink;
    const pruning_method *method;
    double progress;
    curved_weight *weights; /* [n_weights] */
    batch_position begin;   /* of the source, and in the end */
} update_work;

/* ---- groups ---- */

/* What can be had without swapping, files that the system keeps in memory included; where it does not say, half of the machine. */
static int64_t available_bytes(void) {
    char line[128];
    long long kilobytes = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %lld kB", &kilobytes) != 1) continue;
    if (f) fclose(f);
    if (kilobytes > 0 && kilobytes < INT64_MAX / 1024) return kilobytes * 1024;
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (int64_t)pages / 2 * size : INT64_C(1) << 30;
}

/* A group is never empty, whatever there is. */
static int64_t bytes_at_a_time(int64_t max_bytes) { return max_bytes > 0 ? max_bytes : available_bytes() / 2; }

/* How many of n weights make the first group, and its bytes. */
static size_t take_group(const int64_t *entries, size_t n, const second_order_options *o, int64_t most, int64_t *bytes) {
    size_t count = 0;
    *bytes = 0;
    while (count < n) {
        const int64_t more = second_order_bytes(entries[count], o);
        int64_t sum;
        if (__builtin_add_overflow(*bytes, more, &sum) || (count > 0 && sum > most)) break;
        *bytes = sum;
        count++;
    }
    return count > 0 || n == 0 ? count : 1;
}

pofac_status second_order_needs(const int64_t *entries, size_t n, const second_order_options *o, int64_t max_bytes,
                                const diag_sink *sink, second_order_need *out) {
    const int64_t most = bytes_at_a_time(max_bytes);
    *out = (second_order_need){0};
    TRY(second_order_check(o, sink));
    for (size_t first = 0; first < n; out->n_groups++) {
        int64_t bytes;
        first += take_group(entries + first, n - first, o, most, &bytes);
        if (bytes > out->bytes) out->bytes = bytes;
    }
    return POFAC_OK;
}

/* ---- gradients ---- */

static pofac_status go_to(const update_work *w, const batch_position *position) {
    return w->u->source->set_position(w->u->source->user, position, w->sink);
}

/* The epoch that the last step's batches were of: `at` where it goes on, or the epoch's begin, if that step ended it. */
static batch_position within_epoch(batch_position at) {
    if (at.index == 0 && at.epoch > 0) return (batch_position){.fingerprint = at.fingerprint, .epoch = at.epoch - 1};
    return at;
}

/* `keep` is a factor, which leaves a sum that is no number as it is. */
static void clear_sums(training *t) {
    static const char begin[] = "gradient.";
    state_store *s = training_state(t);
    for (size_t i = 0; i < state_store_size(s); i++) {
        const state_entry *e = state_store_at(s, i);
        if (strncmp(e->name, begin, sizeof begin - 1) == 0 && tensor_bytes(&e->tensor))
            memset(e->tensor.data, 0, tensor_bytes(&e->tensor));
    }
}

/* Gradient number `number` into the sums of the state, which it starts anew. Behind the epoch's last batch comes its first one. */
static pofac_status make_gradient(const update_work *w, int64_t number) {
    const second_order_update *u = w->u;
    const batch *b;
    const tensor_source *inputs;
    TRY(u->source->next(u->source->user, w->sink, &b));
    if (!b) return diag_error(w->sink, POFAC_ERR_INPUT, NULL, "found no batch, wanted one for gradients");
    train_inputs_begin(u->inputs, FIRST_STEP + u->step * u->options.n_gradients + number, 0);
    TRY(train_inputs_add(u->inputs, b, w->sink));
    if (b->ends_epoch) TRY(go_to(w, &(batch_position){.fingerprint = w->begin.fingerprint, .epoch = b->epoch}));
    TRY(train_inputs_select(u->inputs, 0, w->sink, &inputs));
    clear_sums(u->training);
    return training_run(u->training, inputs, w->sink);
}

static pofac_status make_gradients(const update_work *w, size_t first, size_t n) {
    for (int64_t g = 0; g < w->u->options.n_gradients; g++) {
        TRY(make_gradient(w, g));
        for (size_t i = first; i < first + n; i++) {
            const ir_tensor *sum = &w->weights[i].gradient->tensor;
            second_order_add(w->weights[i].curvature, sum->data, sum->pattern);
        }
    }
    return POFAC_OK;
}

/* ---- one group ---- */

/* The weight as products read it. */
static void take_values(curved_weight *c) {
    const float *original = c->weight->tensor.data;
    const uint8_t *mask = c->mask->tensor.data;
    for (int64_t i = 0; i < c->entries; i++) c->values[i] = mask[i] ? original[i] : 0;
}

static pofac_status begin_weight(const update_work *w, curved_weight *c) {
    const size_t bytes = (size_t)c->entries * sizeof(float);
    c->values = malloc(bytes + 1);
    c->scores = malloc(bytes + 1);
    if (!c->values || !c->scores) return diag_out_of_memory(w->sink);
    take_values(c);
    return second_order_create(c->entries, &w->u->options, w->u->training->run.pool, w->sink, &c->curvature);
}

/* Scores, the masks that they will make, and what that makes of the values. */
static pofac_status finish_group(const update_work *w, size_t first, size_t n, pruned_weight *pruned) {
    for (size_t i = 0; i < n; i++) {
        const curved_weight *c = &w->weights[first + i];
        const pruned_parameter *p = &w->u->weights[first + i];
        second_order_saliency(c->curvature, c->values, c->scores);
        pruned[i] = (pruned_weight){.name = p->name,
                                    .n_rows = c->weight->tensor.dims[0],
                                    .n_columns = c->weight->tensor.dims[1],
                                    .values = c->values,
                                    .scores = c->scores,
                                    .parameters = p->parameters,
                                    .threshold = *(const float *)c->threshold->tensor.data,
                                    .mask = malloc((size_t)c->entries + 1)};
        if (!pruned[i].mask) return diag_out_of_memory(w->sink);
    }
    const pruning_masks_job job = {pruned, n, w->progress, w->u->training->run.pool, w->sink};
    TRY(pruning_masks(w->method, &job));
    for (size_t i = 0; i < n; i++)
        second_order_prune(w->weights[first + i].curvature, pruned[i].mask, w->weights[first + i].values);
    return POFAC_OK;
}

static pofac_status work_on_group(const update_work *w, size_t first, size_t n) {
    pruned_weight *pruned = calloc(n + 1, sizeof *pruned);
    pofac_status status = pruned ? POFAC_OK : diag_out_of_memory(w->sink);
    for (size_t i = first; i < first + n && status == POFAC_OK; i++) status = begin_weight(w, &w->weights[i]);
    if (status == POFAC_OK) status = make_gradients(w, first, n);
    if (status == POFAC_OK) status = finish_group(w, first, n, pruned);
    for (size_t i = 0; i < n; i++) {
        if (pruned) free(pruned[i].mask);
        second_order_destroy(w->weights[first + i].curvature);
        w->weights[first + i].curvature = NULL;
    }
    free(pruned);
    return status;
}

/* Every group has the same gradients. */
static pofac_status work_on_all(update_work *w, const int64_t *entries) {
    const second_order_update *u = w->u;
    const int64_t most = bytes_at_a_time(u->max_bytes);
    u->source->get_position(u->source->user, &w->begin);
    const batch_position start = within_epoch(w->begin);
    for (size_t first = 0, n; first < u->n_weights; first += n) {
        int64_t bytes;
        n = take_group(entries + first, u->n_weights - first, &u->options, most, &bytes);
        pofac_status status = go_to(w, &start);
        if (status == POFAC_OK) status = work_on_group(w, first, n);
        const pofac_status back = u->source->set_position(u->source->user, &w->begin, status == POFAC_OK ? w->sink : NULL);
        if (status != POFAC_OK || back != POFAC_OK) return status != POFAC_OK ? status : back;
    }
    clear_sums(u->training); /* the next step's are its own, whatever the last gradient was */
    return POFAC_OK;
}

/* Ranges of 8 bits are the steps' alone. */
static pofac_status work_on_groups(update_work *w, const int64_t *entries) {
    state_store *state = training_state(w->u->training);
    float *ranges = malloc((size_t)state_store_count_ranges(state) * sizeof *ranges + 1);
    if (!ranges) return diag_out_of_memory(w->sink);
    state_store_save_ranges(state, ranges);
    const pofac_status status = work_on_all(w, entries);
    state_store_restore_ranges(state, ranges);
    free(ranges);
    return status;
}

/* ---- all ---- */

static pofac_status find_entry(const update_work *w, const char *begin, const char *weight, const char *ending, state_entry **out) {
    strbuf name = STRBUF_INIT;
    strbuf_printf(&name, "%s%s%s", begin, weight, ending);
    pofac_status status = strbuf_ok(&name) ? POFAC_OK : diag_out_of_memory(w->sink);
    if (status == POFAC_OK) *out = state_store_find(training_state(w->u->training), strbuf_str(&name));
    if (status == POFAC_OK && !*out)
        status = diag_error(w->sink, POFAC_ERR_USAGE, NULL, "found no state \"%s\" in the step, wanted it for curvature",
                            strbuf_str(&name));
    strbuf_free(&name);
    return status;
}

static pofac_status find_state(update_work *w, int64_t *entries) {
    for (size_t i = 0; i < w->u->n_weights; i++) {
        const char *name = w->u->weights[i].name;
        curved_weight *c = &w->weights[i];
        TRY(find_entry(w, "", name, "", &c->weight));
        TRY(find_entry(w, "", name, IR_MASK, &c->mask));
        TRY(find_entry(w, "", name, STATE_THRESHOLD, &c->threshold));
        TRY(find_entry(w, "gradient.", name, "", &c->gradient));
        c->entries = entries[i] = tensor_elements(&c->weight->tensor);
    }
    return POFAC_OK;
}

/* The values, and masks from the scores, which are those that the values were made for. */
static pofac_status install(const update_work *w, mask_update *out) {
    const second_order_update *u = w->u;
    for (size_t i = 0; i < u->n_weights; i++) {
        curved_weight *c = &w->weights[i];
        memcpy(c->weight->tensor.data, c->values, (size_t)c->entries * sizeof *c->values);
        u->weights[i].scores = c->scores;
    }
    const pofac_status status = training_update_masks(u->training, w->progress, w->sink, out);
    for (size_t i = 0; i < u->n_weights; i++) u->weights[i].scores = NULL;
    return status;
}

/* Where nothing is pruned yet, nobody need know what could be: any scores keep all. */
static bool keeps_all(const update_work *w) {
    for (size_t i = 0; i < w->u->n_weights; i++) {
        const pruning_parameters *p = &w->u->weights[i].parameters;
        const double sparsity = p->initial_sparsity + (p->target_sparsity - p->initial_sparsity) * w->progress;
        if (sparsity * (double)w->weights[i].entries >= 1) return false;
    }
    return true;
}

static pofac_status keep_all(const update_work *w, mask_update *out) {
    for (size_t i = 0; i < w->u->n_weights; i++) w->u->weights[i].scores = w->weights[i].weight->tensor.data;
    const pofac_status status = training_update_masks(w->u->training, w->progress, w->sink, out);
    for (size_t i = 0; i < w->u->n_weights; i++) {
        w->u->weights[i].scores = NULL;
        *(float *)w->weights[i].threshold->tensor.data = 0; /* says nothing of saliencies to come */
    }
    return status;
}

static pofac_status check(const second_order_update *u, const pruning_method **method, const diag_sink *sink) {
    const training_pruning *p = training_pruning_of(u->training);
    if (!p || p->method->needs != PRUNING_CURVATURE || p->weights != u->weights || p->n_weights != u->n_weights)
        return diag_error(sink, POFAC_ERR_USAGE, NULL, "found a step that does not prune by curvature, wanted one that does");
    *method = p->method;
    if (!u->training->accumulate)
        return diag_error(sink, POFAC_ERR_USAGE, NULL,
                          "found a step of one run, wanted one of several, whose gradients stay apart");
    return second_order_check(&u->options, sink);
}

pofac_status second_order_update_masks(const second_order_update *u, double progress, const diag_sink *sink, mask_update *out) {
    update_work w = {.u = u, .sink = sink, .progress = progress};
    *out = (mask_update){0};
    TRY(check(u, &w.method, sink));
    w.weights = calloc(u->n_weights + 1, sizeof *w.weights);
    int64_t *entries = calloc(u->n_weights + 1, sizeof *entries);
    pofac_status status = w.weights && entries ? find_state(&w, entries) : diag_out_of_memory(sink);
    if (status == POFAC_OK && keeps_all(&w)) {
        status = keep_all(&w, out);
    } else {
        if (status == POFAC_OK) status = work_on_groups(&w, entries);
        if (status == POFAC_OK) status = install(&w, out);
    }
    for (size_t i = 0; w.weights && i < u->n_weights; i++) {
        free(w.weights[i].values);
        free(w.weights[i].scores);
    }
    free(w.weights);
    free(entries);
    return status;
}
