/*
 * Predictions of SQuAD's questions; see score.h. The predictions are one JSON object in memory, the data stream by; a prediction that was
 * used becomes null, so what is left at the end is extra.
 */
#include <jansson.h>
#include <string.h>

#include "frontend/data/squad_reader.h"
#include "frontend/driver/score_parts.h"
#include "ir/support/json_text.h"

#define MAX_PREDICTIONS_BYTES ((size_t)1 << 30)

typedef struct scored_questions {
    const score_options *options;
    metrics *metrics;
    json_t *predictions, *odds; /* odds: NULL without a file */
    id_list missing, extra;
    VEC(answer_text) wanted;
    score_result *result;
} scored_questions;

static pofac_status read_object(const char *path, const diag_sink *sink, json_t **out) {
    strbuf text = STRBUF_INIT;
    *out = NULL;
    pofac_status status = inflated_file_read_all(path, MAX_PREDICTIONS_BYTES, sink, &text);
    if (status == POFAC_OK) status = json_parse(path, NULL, strbuf_str(&text), text.size, sink, out);
    if (status == POFAC_OK && !json_is_object(*out)) {
        strbuf found = STRBUF_INIT;
        status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "found %s, wanted an object of predictions by id",
                            json_describe(*out, &found));
        strbuf_free(&found);
    }
    strbuf_free(&text);
    return status;
}

static pofac_status wrong_value(const char *path, const char *id, const json_t *value, const char *wanted, const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    pofac_status status = diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "%s: found %s, wanted %s", id,
                                     value ? json_describe(value, &text) : "nothing", wanted);
    strbuf_free(&text);
    return status;
}

static pofac_status take_wanted(scored_questions *s, const squad_question *q, const diag_sink *sink) {
    const diag_place place = {.file = s->options->data};
    if (q->n_answers == 0 && s->metrics->rules == ANSWER_RULES_V1)
        return diag_error(sink, POFAC_ERR_INPUT, &place, "question %s has no answer, which --task squad_v2 scores", q->id.text);
    s->wanted.size = 0;
    for (size_t i = 0; i < q->n_answers; i++)
        if (!VEC_PUSH(&s->wanted, ((answer_text){q->answers[i].text.text, q->answers[i].text.bytes})))
            return diag_out_of_memory(sink);
    return POFAC_OK;
}

static pofac_status find_odds(const scored_questions *s, const char *id, const diag_sink *sink, double *out) {
    const json_t *value = json_object_get(s->odds, id);
    if (!json_is_number(value)) return wrong_value(s->options->null_odds, id, value, "a number", sink);
    *out = json_number_value(value);
    return POFAC_OK;
}

static pofac_status score_question(scored_questions *s, const squad_question *q, const diag_sink *sink) {
    const json_t *value = json_object_get(s->predictions, q->id.text);
    double odds;
    s->result->rows++;
    TRY(take_wanted(s, q, sink));
    if (!value) {
        id_list_add(&s->missing, q->id.text);
        return metrics_add_unanswered(s->metrics, s->wanted.data, s->wanted.size, sink);
    }
    if (json_is_null(value)) /* a null of the file's own was refused */
        return diag_error(sink, POFAC_ERR_INPUT, &(diag_place){.file = s->options->data}, "found question %s twice, wanted one",
                          q->id.text);
    if (s->odds) TRY(find_odds(s, q->id.text, sink, &odds));
    const answer_text predicted = {json_string_value(value), json_string_length(value)};
    TRY(metrics_add_answer(s->metrics, &predicted, s->wanted.data, s->wanted.size, s->odds ? &odds : NULL, sink));
    return json_object_set_new(s->predictions, q->id.text, json_null()) == 0 ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status score_all(scored_questions *s, const diag_sink *sink) {
    squad_reader *r;
    const squad_question *q = NULL;
    pofac_status status;
    TRY(squad_reader_open(s->options->data, s->options->skip_bad_rows ? SQUAD_BAD_ROWS_SKIP : SQUAD_BAD_ROWS_FAIL, sink, &r));
    do {
        status = squad_reader_next(r, sink, &q);
        if (status == POFAC_OK && q) status = score_question(s, q, sink);
    } while (status == POFAC_OK && q);
    s->result->skipped = squad_reader_counts(r).skipped;
    squad_reader_close(r);
    return status;
}

static pofac_status check_predictions(const scored_questions *s, const diag_sink *sink) {
    const char *id;
    json_t *value;
    json_object_foreach(s->predictions, id, value) if (!json_is_string(value)) return wrong_value(s->options->predictions, id,
                                                                                                  value, "a string", sink);
    return POFAC_OK;
}

/* What nobody asked for is still a string. */
static void list_extra(scored_questions *s) {
    const char *id;
    json_t *value;
    json_object_foreach(s->predictions, id, value) if (json_is_string(value)) id_list_add(&s->extra, id);
}

pofac_status score_questions(const score_options *o, metrics *m, const diag_sink *sink, score_result *out) {
    scored_questions s = {.options = o, .metrics = m, .missing = ID_LIST_INIT, .extra = ID_LIST_INIT, .result = out};
    pofac_status status = read_object(o->predictions, sink, &s.predictions);
    if (status == POFAC_OK) status = check_predictions(&s, sink);
    if (status == POFAC_OK && o->null_odds) status = read_object(o->null_odds, sink, &s.odds);
    if (status == POFAC_OK) status = score_all(&s, sink);
    if (status == POFAC_OK) status = score_report_missing(o, &s.missing, out->rows, "questions", sink);
    if (status == POFAC_OK) list_extra(&s);
    if (status == POFAC_OK) status = score_report_extra(o, &s.extra, "questions", sink);
    out->missing = s.missing.n;
    out->extra = s.extra.n;
    json_decref(s.predictions);
    json_decref(s.odds);
    id_list_free(&s.missing);
    id_list_free(&s.extra);
    VEC_FREE(&s.wanted);
    return status;
}
