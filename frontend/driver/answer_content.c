/* Answers as JSON; see answer_content.h. */
#include "frontend/driver/answer_content.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_text(strbuf *out, const char *text) { strbuf_put_json(out, text, strlen(text)); }

/* A number that JSON can hold, whatever the locale's decimal point. */
static void put_number(strbuf *out, double x) {
    char text[40];
    if (!isfinite(x)) {
        strbuf_puts(out, "null");
        return;
    }
    snprintf(text, sizeof text, "%.7g", x);
    size_t whole = strspn(text, "-0123456789"), point = strcspn(text + whole, "0123456789e");
    strbuf_append(out, text, whole);
    if (point) strbuf_putc(out, '.');
    strbuf_puts(out, text + whole + point);
}

/* "NAME": SCORE, with commas between. */
static void put_named_scores(const answer_content *c, strbuf *out) {
    for (size_t i = 0; i < c->n_labels; i++) {
        if (i) strbuf_puts(out, ", ");
        put_text(out, c->labels[i].name);
        strbuf_puts(out, ": ");
        put_number(out, c->labels[i].score);
    }
}

static void put_regression(const answer_content *c, strbuf *out) {
    if (c->n_labels == 1) {
        strbuf_puts(out, "{\"score\": ");
        put_number(out, c->labels[0].score);
        strbuf_puts(out, "}");
        return;
    }
    strbuf_puts(out, "{\"scores\": {");
    put_named_scores(c, out);
    strbuf_puts(out, "}}");
}

static void put_classes(const answer_content *c, strbuf *out) {
    strbuf_puts(out, "{\"label\": ");
    put_text(out, c->labels[c->best].name);
    strbuf_puts(out, ", \"score\": ");
    put_number(out, c->labels[c->best].score);
    strbuf_puts(out, ", \"probabilities\": {");
    put_named_scores(c, out);
    strbuf_puts(out, "}}");
}

static void put_tokens(const answer_content *c, strbuf *out) {
    strbuf_puts(out, "{\"tokens\": [");
    for (size_t i = 0; i < c->n_spans; i++) {
        const answer_span *s = &c->spans[i];
        strbuf_puts(out, i ? ", {\"token\": " : "{\"token\": ");
        put_text(out, s->text);
        strbuf_puts(out, ", \"label\": ");
        put_text(out, s->choices[0].name);
        strbuf_puts(out, ", \"score\": ");
        put_number(out, s->score);
        strbuf_printf(out, ", \"begin\": %zu, \"end\": %zu%s}", s->begin, s->end, s->in_pair ? ", \"pair\": true" : "");
    }
    strbuf_puts(out, "]}");
}

static void put_candidates(const answer_span *s, strbuf *out) {
    strbuf_puts(out, "\"candidates\": [");
    for (size_t i = 0; i < s->n_choices; i++) {
        strbuf_puts(out, i ? ", {\"token\": " : "{\"token\": ");
        put_text(out, s->choices[i].name);
        strbuf_printf(out, ", \"id\": %d, \"score\": ", (int)s->choices[i].id);
        put_number(out, s->choices[i].score);
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
}

static void put_masks(const answer_content *c, strbuf *out) {
    strbuf_puts(out, "{\"masks\": [");
    for (size_t i = 0; i < c->n_spans; i++) {
        const answer_span *s = &c->spans[i];
        strbuf_printf(out, "%s{\"begin\": %zu, \"end\": %zu, %s", i ? ", " : "", s->begin, s->end,
                      s->in_pair ? "\"pair\": true, " : "");
        put_candidates(s, out);
        strbuf_putc(out, '}');
    }
    strbuf_putc(out, ']');
    if (c->has_next) {
        strbuf_puts(out, ", \"is_next\": ");
        put_number(out, c->is_next);
    }
    strbuf_putc(out, '}');
}

static void put_span(const answer_span *s, strbuf *out) {
    strbuf_puts(out, "{\"answer\": ");
    strbuf_put_json(out, s->text, s->text_bytes);
    strbuf_puts(out, ", \"score\": ");
    put_number(out, s->score);
    strbuf_printf(out, ", \"begin\": %zu, \"end\": %zu}", s->begin, s->end);
}

static void put_embedding(const answer_content *c, strbuf *out) {
    strbuf_puts(out, "{\"embedding\": [");
    for (size_t i = 0; i < c->n_embedding; i++) {
        if (i) strbuf_puts(out, ", ");
        put_number(out, c->embedding[i]);
    }
    strbuf_puts(out, "]}");
}

void answer_content_put_json(const model_spec *spec, const answer_content *c, strbuf *out) {
    switch (spec->head) {
    case HEAD_SEQUENCE_CLASSIFICATION:
        if (spec->regression) put_regression(c, out);
        else put_classes(c, out);
        return;
    case HEAD_TOKEN_CLASSIFICATION: put_tokens(c, out); return;
    case HEAD_MASKED_LM:
    case HEAD_PRETRAINING: put_masks(c, out); return;
    case HEAD_QUESTION_ANSWERING: put_span(&c->spans[0], out); return;
    case HEAD_AUTO:
    case HEAD_NONE: break;
    }
    put_embedding(c, out);
}
