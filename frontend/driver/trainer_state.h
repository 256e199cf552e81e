/*
 * trainer_state.json, as Hugging Face's Trainer leaves it in checkpoints and at a run's end, with the fields of TrainerState that all
 * versions of transformers since 4.36 have: its reader refuses others.
 */
#ifndef POFAC_FRONTEND_TRAINER_STATE_H
#define POFAC_FRONTEND_TRAINER_STATE_H

#include "frontend/driver/run_checkpoint.h"

/*
 * Appends the object. log_history are the objects of the first position->metrics_bytes of the run's metrics.jsonl, lines that are none left out; best_model_checkpoint
 * is the best step's, if it is the one at hand or is there. POFAC_ERR_RUNTIME: memory is short, or metrics.jsonl cannot be read.
 */
POFAC_MUST_USE pofac_status trainer_state_put(const run_checkpoint_options *o, const run_position *position, const diag_sink *sink,
                                              strbuf *out);

#endif
