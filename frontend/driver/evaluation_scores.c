/* Batches' outputs beside their labels -> losses and metrics; see evaluation_parts.h. */
#include <math.h>
#include <string.h>

#include "frontend/data/example_source.h"
#include "frontend/driver/evaluation_parts.h"
#include "frontend/driver/finite_check.h"
#include "frontend/driver/score_parts.h"

/* ---- what a head is judged by ---- */

static bool is_language_model(const model_spec *s) { return s->head == HEAD_PRETRAINING || s->head == HEAD_MASKED_LM; }

static metric_input main_input(const evaluation_scores *s, bool answers) {
    if (answers) return METRIC_ANSWERS;
    if (s->spec->head == HEAD_SEQUENCE_CLASSIFICATION && s->spec->regression) return METRIC_VALUES;
    return s->has_tags ? METRIC_TAGS : METRIC_CLASSES;
}

void evaluation_scores_begin(evaluation_scores *s, const model_spec *spec, const task_info *task, bool answers, bool is_v2) {
    *s = (evaluation_scores){.spec = spec, .task = task};
    s->has_tags = spec->head == HEAD_TOKEN_CLASSIFICATION && spec->labels;
    s->main = metrics_begin(main_input(s, answers));
    s->main.rules = is_v2 ? ANSWER_RULES_V2 : ANSWER_RULES_V1;
    s->next = metrics_begin(METRIC_CLASSES);
}

void evaluation_scores_free(evaluation_scores *s) {
    metrics_free(&s->main);
    metrics_free(&s->next);
    VEC_FREE(&s->predicted);
    VEC_FREE(&s->wanted);
    VEC_FREE(&s->predicted_values);
    VEC_FREE(&s->wanted_values);
    VEC_FREE(&s->predicted_tags);
    VEC_FREE(&s->wanted_tags);
}

/* ---- losses ---- */

pofac_status evaluation_scores_add_losses(evaluation_scores *s, const executor *e, const train_inputs *inputs,
                                          const diag_sink *sink) {
    size_t n;
    const model_loss *losses = model_graph_losses(s->spec, &n);
    for (size_t i = 0; i < n; i++) {
        ir_tensor mean;
        const int64_t count = train_inputs_counted(inputs, i);
        TRY(executor_output(e, losses[i].output, sink, &mean));
        if (count == 0) continue;
        s->loss_sum[i] += tensor_get(&mean, 0) * (double)count;
        s->loss_count[i] += count;
    }
    return POFAC_OK;
}

/* ---- predictions ---- */

static const ir_tensor *find_labels(const batch *b, const char *name) {
    for (size_t i = 0; i < b->n_tensors; i++)
        if (strcmp(b->names[i], name) == 0) return &b->tensors[i];
    return NULL;
}

static int32_t arg_max(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

static bool push_pair(evaluation_scores *s, int32_t predicted, int32_t wanted) {
    return VEC_PUSH(&s->predicted, predicted) && VEC_PUSH(&s->wanted, wanted);
}

/* Rows [n] of `logits` [n,C] beside labels. */
static pofac_status add_classes(evaluation_scores *s, metrics *m, const ir_tensor *logits, const ir_tensor *labels,
                                const diag_sink *sink) {
    const int64_t rows = tensor_elements(labels), classes = logits->dims[logits->rank - 1];
    s->predicted.size = s->wanted.size = 0;
    for (int64_t i = 0; i < rows; i++)
        if (!push_pair(s, arg_max((const float *)logits->data + i * classes, classes), (int32_t)tensor_get_int(labels, i)))
            return diag_out_of_memory(sink);
    return metrics_add_labels(m, s->predicted.data, s->wanted.data, s->predicted.size, sink);
}

static pofac_status add_values(evaluation_scores *s, const ir_tensor *logits, const ir_tensor *labels, const diag_sink *sink) {
    const int64_t n = tensor_elements(labels);
    s->predicted_values.size = s->wanted_values.size = 0;
    for (int64_t i = 0; i < n; i++)
        if (!VEC_PUSH(&s->predicted_values, tensor_get(logits, i)) || !VEC_PUSH(&s->wanted_values, tensor_get(labels, i)))
            return diag_out_of_memory(sink);
    return metrics_add_values(&s->main, s->predicted_values.data, s->wanted_values.data, (size_t)n, sink);
}

/* The tags of a sentence are those of its labelled tokens: a word's first ones. */
static pofac_status add_sentence(evaluation_scores *s, const float *logits, const int64_t *labels, int64_t length,
                                 const diag_sink *sink) {
    const int64_t classes = s->spec->num_labels;
    s->predicted_tags.size = s->wanted_tags.size = 0;
    for (int64_t i = 0; i < length; i++) {
        if (labels[i] < 0) continue;
        if (!VEC_PUSH(&s->predicted_tags, s->spec->labels[arg_max(logits + i * classes, classes)]) ||
            !VEC_PUSH(&s->wanted_tags, s->spec->labels[labels[i]]))
            return diag_out_of_memory(sink);
    }
    return metrics_add_tags(&s->main, s->predicted_tags.data, s->wanted_tags.data, s->wanted_tags.size, sink);
}

static pofac_status add_tags(evaluation_scores *s, const ir_tensor *logits, const ir_tensor *labels, const diag_sink *sink) {
    const int64_t length = labels->dims[1], classes = s->spec->num_labels;
    for (int64_t b = 0; b < labels->dims[0]; b++)
        TRY(add_sentence(s, (const float *)logits->data + b * length * classes, (const int64_t *)labels->data + b * length, length,
                         sink));
    return POFAC_OK;
}

/* Logits are those of labelled tokens alone, in their order. */
static pofac_status add_masked(evaluation_scores *s, const ir_tensor *logits, const ir_tensor *labels, const diag_sink *sink) {
    const int64_t n = tensor_elements(labels), classes = logits->dims[1];
    s->predicted.size = s->wanted.size = 0;
    int64_t row = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t label = tensor_get_int(labels, i);
        if (label == EXAMPLE_NO_LABEL) continue;
        if (!push_pair(s, arg_max((const float *)logits->data + row++ * classes, classes), (int32_t)label))
            return diag_out_of_memory(sink);
    }
    /* counted by hand: a row for each token of the vocabulary would be much */
    for (size_t i = 0; i < s->wanted.size; i++) s->main.right += s->predicted.data[i] == s->wanted.data[i];
    s->main.rows += s->wanted.size;
    return POFAC_OK;
}

static pofac_status add_language_model(evaluation_scores *s, const executor *e, const batch *b, const diag_sink *sink) {
    const ir_tensor *next = find_labels(b, "next_sentence_label");
    ir_tensor logits;
    TRY(executor_output(e, "prediction_logits", sink, &logits));
    TRY(add_masked(s, &logits, find_labels(b, "labels"), sink));
    if (s->spec->head != HEAD_PRETRAINING || s->spec->arch != MODEL_BERT) return POFAC_OK;
    TRY(executor_output(e, "seq_relationship_logits", sink, &logits));
    return add_classes(s, &s->next, &logits, next, sink);
}

pofac_status evaluation_scores_add(evaluation_scores *s, const executor *e, const batch *b, const diag_sink *sink) {
    const ir_tensor *labels = find_labels(b, "labels");
    ir_tensor logits;
    if (is_language_model(s->spec)) return add_language_model(s, e, b, sink);
    if (s->spec->head == HEAD_QUESTION_ANSWERING) return POFAC_OK;
    TRY(executor_output(e, "logits", sink, &logits));
    if (s->main.input == METRIC_VALUES) return add_values(s, &logits, labels, sink);
    return s->has_tags ? add_tags(s, &logits, labels, sink) : add_classes(s, &s->main, &logits, labels, sink);
}

/* ---- results ---- */

static void put_value(score_result *out, const char *name, double value, bool is_count) {
    out->values[out->n++] = (result_value){name, value, is_count};
}

static pofac_status put_losses(const evaluation_scores *s, const diag_sink *sink, score_result *out) {
    size_t n;
    const model_loss *losses = model_graph_losses(s->spec, &n);
    double means[TRAIN_MAX_LOSSES] = {0}, loss = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->loss_count[i] > 0 && !isfinite(s->loss_sum[i]))
            return diag_error(sink, POFAC_ERR_NUMERIC, NULL, "%s of the evaluation: found %s, wanted a finite number",
                              losses[i].output, not_finite_name(s->loss_sum[i]));
        means[i] = s->loss_sum[i] / (double)s->loss_count[i]; /* none counts: NaN */
        loss += losses[i].factor * means[i];
    }
    put_value(out, "loss", loss, false);
    if (!is_language_model(s->spec)) return POFAC_OK;
    if (n > 1) put_value(out, "mlm_loss", means[0], false);
    if (n > 1) put_value(out, "nsp_loss", means[1], false);
    put_value(out, "mlm_accuracy", s->main.rows ? (double)s->main.right / (double)s->main.rows : NAN, false);
    if (n > 1) score_put_metrics(&s->next, "nsp_accuracy", out);
    put_value(out, "perplexity", exp(means[0]), false);
    return POFAC_OK;
}

static const char *names_of(const evaluation_scores *s, const char *metric_names) {
    if (metric_names) return metric_names;
    if (s->task) return s->task->metrics;
    if (s->main.input == METRIC_VALUES) return "pearson|spearmanr";
    return s->main.input == METRIC_TAGS ? "precision|recall|f1|accuracy" : "accuracy";
}

pofac_status evaluation_scores_finish(evaluation_scores *s, const char *metric_names, const diag_sink *sink, score_result *out) {
    *out = (score_result){.n = 0};
    TRY(metrics_finish(&s->next, sink));
    TRY(put_losses(s, sink, out));
    if (is_language_model(s->spec) || (s->spec->head == HEAD_QUESTION_ANSWERING && s->main.input != METRIC_ANSWERS))
        return POFAC_OK;
    TRY(metrics_finish(&s->main, sink));
    score_put_metrics(&s->main, names_of(s, metric_names), out);
    return POFAC_OK;
}
