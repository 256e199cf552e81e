/* The inside of a predictor, for the two ways of predicting: api_tensors.c and api_texts.c. */
#ifndef POFAC_FRONTEND_API_PREDICTOR_H
#define POFAC_FRONTEND_API_PREDICTOR_H

#include "frontend/api/api_parts.h"
#include "frontend/driver/predict_text.h"

struct pofac_predictor {
    const pofac_model *model;
    pofac_log log;
    executor *executor;
    predict_text_options text_options;
    text_predictor *texts; /* NULL: the model takes no texts */
    pofac_tensor *outputs; /* [outputs of the graph] */
    arena inputs;          /* of a run on tensors: what was made for it */
    arena answers;         /* of a run on texts: what came of it */
    const pofac_answer **answer;
    size_t n_answers;
};

#endif
