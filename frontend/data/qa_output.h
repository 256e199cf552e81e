/*
 * Answers -> files as Hugging Face's run_qa.py lays them out:
 *
 *   predictions.json         {"ID": "text", ...}                               "" where no answer is the answer, or the context has none
 *   nbest_predictions.json   {"ID": [{"start_logit": ..., "end_logit": ..., "text": ..., "probability": ...}, ...], ...}
 *   null_odds.json           {"ID": score of no answer less the best span's}   only where there may be no answer
 *
 * in the order in which questions are put. Texts are those of the context, by the places of tokens. The files are written as answers
 * come, and appear whole, or not at all.
 */
#ifndef POFAC_FRONTEND_QA_OUTPUT_H
#define POFAC_FRONTEND_QA_OUTPUT_H

#include "frontend/data/qa_answers.h"
#include "frontend/data/squad_reader.h"

typedef struct qa_output qa_output;

/* `path` names the predictions. The others stand beside them: PREFIXpredictions.json has PREFIXnbest_predictions.json and
 * PREFIXnull_odds.json, another NAME.json has NAME_nbest_predictions.json and NAME_null_odds.json. */
POFAC_MUST_USE pofac_status qa_output_open(const char *path, const qa_answer_options *options, const diag_sink *sink,
                                           qa_output **out);

POFAC_MUST_USE pofac_status qa_output_put(qa_output *o, const squad_text *id, const squad_text *context, const qa_answers *answers,
                                          const diag_sink *sink);

/* Ends the files, which appear; frees `o` in any case. */
POFAC_MUST_USE pofac_status qa_output_commit(qa_output *o);
void qa_output_abandon(qa_output *o); /* frees o, nothing appears; NULL is fine */

#endif
