/* Copies of a step's batches, and what is counted in them; see train_inputs.h. Memory is used again from step to step. */
#include "frontend/driver/train_inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/example_source.h"
#include "ir/support/rng.h"
#include "ir/support/vector.h"

/* Memory of one tensor. */
typedef struct kept_tensor {
    void *data;
    size_t capacity;
} kept_tensor;

typedef struct kept_batch {
    batch batch; /* its tensors are views of `memory` */
    kept_tensor memory[BATCH_MAX_TENSORS];
    teacher_batch teacher;
    int64_t counted[TRAIN_MAX_LOSSES];
    int64_t first_example;
} kept_batch;

/* Scales of terms between layers (passes/distill_hidden.h): 1 / the step's count of what they are means of. */
typedef enum between_layers { SCALE_STATES, SCALE_ATTENTIONS, SCALE_PADDED_ATTENTIONS, N_BETWEEN_LAYERS } between_layers;
static const char *const between_layers_names[N_BETWEEN_LAYERS] = {"scale.distill.hidden_states", "scale.distill.attentions",
                                                                   "scale.distill.padded_attentions"};

typedef struct scale_input {
    char name[64];
    float value;
} scale_input;

struct train_inputs {
    const model_loss *losses;
    const model_logits *logits;
    size_t n_losses, n_logits;
    bool is_regression;
    uint64_t seed;
    teacher_logits *teacher;   /* NULL: none */
    VEC(kept_batch *) batches; /* all that ever were; the step has the first `size` */
    size_t size, selected;
    double token_share;
    int64_t drawn; /* tokens that distillation learns from, where it does so from a share */
    int64_t tokens, examples, counted[TRAIN_MAX_LOSSES];
    int64_t pairs, padded_pairs; /* of tokens within a sequence: kept ones; of all places */
    float between_layers[N_BETWEEN_LAYERS];
    scale_input scales[TRAIN_MAX_LOSSES], distill_scales[TRAIN_MAX_LOSSES];
    float learning_rate, keep;
    int64_t step, random[2], first_example;
    int64_t forwards, forward; /* runs before the step; before the selected run */
    VEC(int64_t) prediction_rows;
    tensor_source source;
};

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out);

pofac_status train_inputs_create(const model_spec *spec, uint64_t seed, const diag_sink *sink, train_inputs **out) {
    train_inputs *t = calloc(1, sizeof *t);
    *out = t;
    if (!t) return diag_out_of_memory(sink);
    t->losses = model_graph_losses(spec, &t->n_losses);
    t->logits = model_graph_logits(spec, &t->n_logits);
    t->is_regression = spec->head == HEAD_SEQUENCE_CLASSIFICATION && spec->regression;
    t->seed = seed;
    t->token_share = 1;
    for (size_t i = 0; i < t->n_losses; i++) snprintf(t->scales[i].name, sizeof t->scales[i].name, "scale.%s", t->losses[i].labels);
    for (size_t i = 0; i < t->n_logits; i++)
        snprintf(t->distill_scales[i].name, sizeof t->distill_scales[i].name, "scale.distill.%s", t->logits[i].output);
    t->source = (tensor_source){.get = get_input, .user = t};
    return POFAC_OK;
}

static void free_batch(kept_batch *k) {
    for (size_t i = 0; i < BATCH_MAX_TENSORS; i++) free(k->memory[i].data);
    teacher_batch_free(&k->teacher);
    free(k);
}

void train_inputs_destroy(train_inputs *t) {
    if (!t) return;
    for (size_t i = 0; i < t->batches.size; i++) free_batch(t->batches.data[i]);
    VEC_FREE(&t->batches);
    VEC_FREE(&t->prediction_rows);
    free(t);
}

void train_inputs_set_teacher(train_inputs *t, teacher_logits *teacher) { t->teacher = teacher; }

void train_inputs_set_token_share(train_inputs *t, double share) { t->token_share = share; }

void train_inputs_begin(train_inputs *t, int64_t step, double learning_rate) {
    t->size = t->selected = 0;
    t->drawn = t->tokens = t->examples = t->pairs = t->padded_pairs = 0;
    memset(t->counted, 0, sizeof t->counted);
    t->step = step;
    t->random[0] = (int64_t)t->seed;
    t->random[1] = step;
    t->learning_rate = (float)learning_rate;
}

void train_inputs_set_forwards(train_inputs *t, int64_t forwards) { t->forwards = forwards; }

/* ---- copies ---- */

static pofac_status keep_tensor(kept_tensor *memory, const ir_tensor *from, const diag_sink *sink, ir_tensor *to) {
    const size_t bytes = tensor_bytes(from);
    if (bytes > memory->capacity) {
        void *data = realloc(memory->data, bytes);
        if (!data) return diag_out_of_memory(sink);
        memory->data = data;
        memory->capacity = bytes;
    }
    if (bytes) memcpy(memory->data, from->data, bytes);
    *to = *from;
    to->data = memory->data;
    to->owned = false;
    return POFAC_OK;
}

static pofac_status keep_batch(kept_batch *k, const batch *b, const diag_sink *sink) {
    k->batch = *b;
    k->batch.examples = NULL;
    for (size_t i = 0; i < b->n_tensors; i++) TRY(keep_tensor(&k->memory[i], &b->tensors[i], sink, &k->batch.tensors[i]));
    return POFAC_OK;
}

static const ir_tensor *find_tensor(const batch *b, const char *name) {
    for (size_t i = 0; i < b->n_tensors; i++)
        if (strcmp(b->names[i], name) == 0) return &b->tensors[i];
    return NULL;
}

/* ---- counting ---- */

/* Positions are clamped to [0,S], and S does not count. */
static int64_t count_rows(const model_loss *loss, const ir_tensor *labels, int64_t length) {
    const int64_t elements = tensor_elements(labels);
    int64_t n = 0;
    if (labels->dtype != IR_I64) return elements;
    for (int64_t i = 0; i < elements; i++) {
        const int64_t label = ((const int64_t *)labels->data)[i];
        n += loss->is_position ? label < length : label != EXAMPLE_NO_LABEL;
    }
    return n;
}

static pofac_status count_batch(train_inputs *t, kept_batch *k, const diag_sink *sink) {
    const ir_tensor *ids = find_tensor(&k->batch, "input_ids");
    const int64_t length = ids && ids->rank == 2 ? ids->dims[1] : 0;
    for (size_t i = 0; i < t->n_losses; i++) {
        const ir_tensor *labels = find_tensor(&k->batch, t->losses[i].labels);
        if (!labels)
            return diag_error(sink, POFAC_ERR_INPUT, NULL, "found a batch without %s, wanted what is learned from",
                              t->losses[i].labels);
        k->counted[i] = count_rows(&t->losses[i], labels, length);
    }
    return POFAC_OK;
}

/* Tokens that distillation draws, as op sampled_rows does with keys of op row_keys: number of the sequence in the step, place in it. */
static void count_drawn(train_inputs *t, const kept_batch *k) {
    const ir_tensor *mask = find_tensor(&k->batch, "attention_mask"), *labels = find_tensor(&k->batch, "labels");
    if (t->token_share == 1 || !mask || mask->rank != 2 || mask->dtype != IR_I64) return;
    const bool has_labels = labels && labels->rank == 2 && labels->dtype == IR_I64;
    const int64_t length = mask->dims[1], *kept = mask->data, *label = has_labels ? labels->data : NULL;
    for (int64_t i = 0; i < mask->dims[0] * length; i++) {
        const uint64_t key = ((uint64_t)(k->first_example + i / length) << 32) + (uint64_t)(i % length);
        const bool is_labelled = label && label[i] != EXAMPLE_NO_LABEL;
        t->drawn += kept[i] != 0 && (is_labelled || rng_draws(t->seed, (uint64_t)t->step, key, t->token_share));
    }
}

static void count_pairs(train_inputs *t, const kept_batch *k) {
    const ir_tensor *mask = find_tensor(&k->batch, "attention_mask");
    if (!mask || mask->rank != 2 || mask->dtype != IR_I64) return;
    const int64_t length = mask->dims[1], *kept = mask->data;
    for (int64_t b = 0; b < mask->dims[0]; b++) {
        int64_t n = 0;
        for (int64_t i = 0; i < length; i++) n += kept[b * length + i] != 0;
        t->pairs += n * n;
        t->padded_pairs += length * length;
    }
}

pofac_status train_inputs_add(train_inputs *t, const batch *b, const diag_sink *sink) {
    if (t->size == t->batches.size) {
        kept_batch *fresh = calloc(1, sizeof *fresh);
        if (!fresh || !VEC_PUSH(&t->batches, fresh)) {
            free(fresh);
            return diag_out_of_memory(sink);
        }
    }
    kept_batch *k = t->batches.data[t->size];
    TRY(keep_batch(k, b, sink));
    if (t->teacher) TRY(teacher_logits_read(t->teacher, b, sink, &k->teacher));
    TRY(count_batch(t, k, sink));
    k->first_example = t->examples;
    count_pairs(t, k);
    count_drawn(t, k);
    for (size_t i = 0; i < t->n_losses; i++) t->counted[i] += k->counted[i];
    t->tokens += b->n_tokens;
    t->examples += b->n_sequences;
    t->size++;
    return POFAC_OK;
}

size_t train_inputs_size(const train_inputs *t) { return t->size; }
int64_t train_inputs_tokens(const train_inputs *t) { return t->tokens; }
int64_t train_inputs_examples(const train_inputs *t) { return t->examples; }
int64_t train_inputs_counted(const train_inputs *t, size_t loss) { return t->counted[loss]; }
int64_t train_inputs_counted_in(const train_inputs *t, size_t i, size_t loss) { return t->batches.data[i]->counted[loss]; }

/* ---- one run ---- */

static pofac_status find_prediction_rows(train_inputs *t, const kept_batch *k, const diag_sink *sink) {
    const ir_tensor *labels = find_tensor(&k->batch, "labels");
    t->prediction_rows.size = 0;
    const bool is_per_token = labels && labels->rank == 2 && labels->dtype == IR_I64;
    const int64_t n = is_per_token ? tensor_elements(labels) : 0;
    for (int64_t i = 0; i < n; i++)
        if (((const int64_t *)labels->data)[i] != EXAMPLE_NO_LABEL && !VEC_PUSH(&t->prediction_rows, i))
            return diag_out_of_memory(sink);
    if (t->prediction_rows.size == 0 && !VEC_PUSH(&t->prediction_rows, 0)) return diag_out_of_memory(sink);
    return POFAC_OK;
}

pofac_status train_inputs_select(train_inputs *t, size_t i, const diag_sink *sink, const tensor_source **out) {
    const kept_batch *k = t->batches.data[i];
    t->selected = i;
    t->keep = i == 0 ? 0.0f : 1.0f;
    t->first_example = k->first_example;
    t->forward = t->forwards + (int64_t)i;
    for (size_t l = 0; l < t->n_losses; l++) {
        const double all = (double)t->counted[l], own = (double)k->counted[l];
        if (t->counted[l] == 0) t->scales[l].value = 0.0f;
        else t->scales[l].value = (float)(t->is_regression ? own / all : 1.0 / all);
    }
    for (size_t l = 0; l < t->n_logits; l++) {
        const int64_t tokens = t->token_share == 1 ? t->tokens : t->drawn, rows = t->logits[l].per_token ? tokens : t->examples;
        t->distill_scales[l].value = rows == 0 ? 0.0f : (float)(1.0 / (double)rows);
    }
    const int64_t between[N_BETWEEN_LAYERS] = {t->tokens, t->pairs, t->padded_pairs};
    for (size_t l = 0; l < N_BETWEEN_LAYERS; l++) t->between_layers[l] = between[l] == 0 ? 0.0f : (float)(1.0 / (double)between[l]);
    TRY(find_prediction_rows(t, k, sink));
    *out = &t->source;
    return POFAC_OK;
}

static bool scale_at(const char *scale, const float *value, const char **name, ir_tensor *out) {
    *name = scale;
    *out = tensor_view(IR_F32, 0, NULL, value);
    return true;
}

/* Inputs that are made here: scales first, then these. */
static bool made_input(const train_inputs *t, size_t place, const char **name, ir_tensor *out) {
    static const int64_t two = 2;
    const int64_t rows = (int64_t)t->prediction_rows.size;
    if (place < t->n_losses) return scale_at(t->scales[place].name, &t->scales[place].value, name, out);
    place -= t->n_losses;
    if (place < t->n_logits) return scale_at(t->distill_scales[place].name, &t->distill_scales[place].value, name, out);
    place -= t->n_logits;
    if (place < N_BETWEEN_LAYERS) return scale_at(between_layers_names[place], &t->between_layers[place], name, out);
    switch (place - N_BETWEEN_LAYERS) {
    case 0: *name = "learning_rate", *out = tensor_view(IR_F32, 0, NULL, &t->learning_rate); return true;
    case 1: *name = "step", *out = tensor_view(IR_I64, 0, NULL, &t->step); return true;
    case 2: *name = "keep", *out = tensor_view(IR_F32, 0, NULL, &t->keep); return true;
    case 3: *name = "random", *out = tensor_view(IR_I64, 1, &two, t->random); return true;
    case 4: *name = "first_example", *out = tensor_view(IR_I64, 0, NULL, &t->first_example); return true;
    case 5: *name = "prediction_rows", *out = tensor_view(IR_I64, 1, &rows, t->prediction_rows.data); return true;
    case 6: *name = "forward", *out = tensor_view(IR_I64, 0, NULL, &t->forward); return true;
    default: return false;
    }
}

bool train_inputs_at(const train_inputs *t, size_t place, const char **name, ir_tensor *out) {
    const kept_batch *k = t->size > 0 ? t->batches.data[t->selected] : NULL;
    const size_t n = k ? k->batch.n_tensors : 0, n_teacher = k ? k->teacher.n : 0;
    if (place >= n + n_teacher) return made_input(t, place - n - n_teacher, name, out);
    *name = place < n ? k->batch.names[place] : k->teacher.names[place - n];
    *out = place < n ? k->batch.tensors[place] : k->teacher.tensors[place - n];
    return true;
}

static pofac_status get_input(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const char *found;
    for (size_t i = 0; train_inputs_at(user, i, &found, out); i++)
        if (strcmp(found, name) == 0) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_INPUT, NULL, "the data have no input \"%s\"", name);
}
