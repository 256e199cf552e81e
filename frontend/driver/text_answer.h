/* A head's numbers for one text -> what a user reads (answer_content.h), also as JSON. */
#ifndef POFAC_FRONTEND_TEXT_ANSWER_H
#define POFAC_FRONTEND_TEXT_ANSWER_H

#include "frontend/data/qa_answers.h"
#include "frontend/driver/answer_content.h"
#include "frontend/driver/records.h"
#include "frontend/model/model_spec.h"
#include "frontend/text/tokenizer.h"
#include "ir/tensor.h"

/* One sequence of a batch: row `row` of the outputs, of `encoding`'s length. */
typedef struct text_sequence {
    const record *record;
    encoding encoding;
    size_t index;         /* of the record in its window of records */
    size_t part;          /* question answering: which window of the context it is, from 0 */
    size_t context_first; /* question answering: token of the window's first context token */
    int64_t row;
    int64_t prediction; /* fill-mask: row of prediction_logits [M,V] for its first mask; the others follow */
} text_sequence;

/* A number of an output that is none: NaN or infinite. */
typedef struct text_fault {
    const char *output; /* NULL: there is none */
    double value;
} text_fault;

/* The first such number among those that the sequence's answer is made of: those of its own tokens, not of padding. */
POFAC_MUST_USE pofac_status text_answer_check(const model_spec *spec, const tokenizer *t, const tensor_source *outputs,
                                              const text_sequence *s, const diag_sink *sink, text_fault *out);
/* What one sequence says, in `a`; not for question answering. `outputs` has the graph's outputs by name (model_graph.h), in which the
 * embedding lies; `top_k` candidates of a mask are listed. */
POFAC_MUST_USE pofac_status text_answer_read(const model_spec *spec, const tokenizer *t, const tensor_source *outputs,
                                             const text_sequence *s, int64_t top_k, arena *a, const diag_sink *sink,
                                             answer_content *out);
/* Appends it as an object, without a newline. */
POFAC_MUST_USE pofac_status text_answer_put(const model_spec *spec, const tokenizer *t, const tensor_source *outputs,
                                            const text_sequence *s, int64_t top_k, const diag_sink *sink, strbuf *out);

/* Question answering: lets the spans of a window compete with those of the record's other windows, in whichever order they run; the best
 * one; and appends it as an object. */
POFAC_MUST_USE pofac_status text_answer_improve(const tensor_source *outputs, const text_sequence *s, const qa_answer_options *o,
                                                const diag_sink *sink, qa_answers *answers);
answer_span text_answer_span(const record *r, const qa_answers *answers, const qa_answer_options *o);
void text_answer_put_span(const record *r, const qa_answers *answers, const qa_answer_options *o, strbuf *out);

#endif
