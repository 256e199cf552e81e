/*
 * Definition of a model -> graph: the forward computation of BERT (Devlin et al. 2018) and DistilBERT (Sanh et al. 2019) with one
 * of the heads of heads.def.
 *
 * State leaves carry Hugging Face's parameter names, scopes its module names, so the set of parameters that a model needs is read
 * off its graph. Inputs and outputs have Hugging Face's names too:
 *
 *   inputs    input_ids, attention_mask, token_type_ids (BERT)  i64 [B,S];  or embedding_output f32 [B,S,E] instead of ids and types
 *             with_loss: labels i64 [B,S] (MLM, tokens) or [B] (sequences; f32 [B] for a regression), next_sentence_label i64 [B],
 *             start_positions, end_positions i64 [B]
 *             chosen_rows, heads pretraining and masked-lm: prediction_rows i64 [M], rows of the padded batch (sequence * S + token) that its mask keeps
 *             training: scale.LABELS f32 [] for each labels tensor: 1 / the number of rows that count in the whole step (for a
 *             regression: this run's share of the step's elements), so that runs of a step add up to the step's mean. Heads that
 *             predict tokens compute those that have labels alone, and their logits are no outputs
 *             all_logits: of such heads too, those of all tokens are outputs
 *             dropout: random i64 [2], seed and step; first_example i64 [], the number of the first sequence within the step
 *   outputs   prediction_logits [B,S,V] (chosen_rows: [M,V]), seq_relationship_logits [B,2]; logits [B,num_labels] or [B,S,num_labels]; start_logits, end_logits [B,S];
 *             last_hidden_state [B,S,E], pooler_output [B,E] (head none);  loss.LABELS [] per labels tensor (see model_graph_losses); training: loss [], their sum with the factors
 *             of model_graph_losses
 */
#ifndef POFAC_FRONTEND_MODEL_GRAPH_H
#define POFAC_FRONTEND_MODEL_GRAPH_H

#include "frontend/model/model_spec.h"
#include "ir/graph.h"

typedef struct model_graph_options {
    bool from_embedding_output;
    bool with_loss;
    bool last_hidden_state; /* an output whatever the head */
    bool hidden_states;     /* outputs hidden_states.0 (embeddings) to hidden_states.L, [B,S,E] */
    bool
        mask_padded_logits; /* question answering's softmaxes leave padded positions out (spec: prune-once-for-all.md, section 3) */
    bool without_pooler;    /* head none: no pooler_output */
    bool chosen_rows;       /* heads pretraining and masked-lm predict the tokens of prediction_rows alone */
    bool training;          /* with_loss: an output `loss`, sums scaled by inputs; see above */
    bool all_logits;        /* training: logits of all tokens are outputs, beside those that the loss needs */
    bool dropout;           /* at the places and rates of the spec */
    int64_t max_sequences;  /* bound of B; 0: 65536 */
} model_graph_options;

/* Adds graph `name` to `m`. spec->head must not be HEAD_AUTO. On error the module's status is set and returned. */
POFAC_MUST_USE pofac_status model_graph_build(ir_module *m, const char *name, const model_spec *spec,
                                              const model_graph_options *options);

/* The terms of a head's loss: loss = sum of factor * mean over the rows that count. */
typedef struct model_loss {
    const char *labels; /* name of the input */
    const char *output; /* name of the graph's output: the mean over the batch's rows that count */
    double factor;
    bool per_token;   /* labels are [B,S] */
    bool is_position; /* labels are clamped to [0,S], S does not count */
} model_loss;

/* The distributions over classes that a head predicts. */
typedef struct model_logits {
    const char *output; /* name of the graph's output */
    bool per_token;     /* [B,S,C]; else [B,C], or of places [B,S] */
} model_logits;

/* Those of spec's head; *n of them (0 for head none, and for a regression). */
const model_logits *model_graph_logits(const model_spec *spec, size_t *n);

/* Terms of spec's head; *n of them (0 for head none). */
const model_loss *model_graph_losses(const model_spec *spec, size_t *n);

#endif
