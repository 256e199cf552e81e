/* What a model says of one text, as numbers and names (text_answer.h reads it off the outputs), and as a JSON object (predict_text.h). */
#ifndef POFAC_FRONTEND_ANSWER_CONTENT_H
#define POFAC_FRONTEND_ANSWER_CONTENT_H

#include "frontend/model/model_spec.h"
#include "ir/support/strbuf.h"

/* A label, or a token of the vocabulary. */
typedef struct answer_choice {
    const char *name;
    int64_t id;
    double score; /* its probability; of a regression, the number */
} answer_choice;

/* A part of the record's text, or of its second one. */
typedef struct answer_span {
    size_t begin, end; /* bytes */
    bool in_pair;
    const char *text; /* token-classification: the token; question-answering: [text_bytes] of the context; else NULL */
    size_t text_bytes;
    size_t n_choices;
    const answer_choice *choices; /* token-classification: the label; fill-mask: the first candidates */
    double score;                 /* token-classification: the label's; question-answering: the span's; else 0 */
} answer_span;

typedef struct answer_content {
    size_t n_labels, best;
    const answer_choice *labels; /* sequence-classification: all, in their order; `best` is the likeliest */
    size_t n_spans;
    const answer_span *spans;
    size_t n_embedding;
    const float *embedding; /* head none */
    bool has_next;
    double is_next;
} answer_content;

/* Appends the object, without a newline. */
void answer_content_put_json(const model_spec *spec, const answer_content *c, strbuf *out);

#endif
