/*
 * What a training run shall do: the sections <data>, <train>, <prune>, <quantize>, <teacher> and <distill> of a description (frontend/xml.def), with options of the
 * command line of the same names over them (recipe_option_name). A model without a description has the table's defaults and the options alone.
 *
 * Every value is checked against its row of the table, wherever it comes from, and contradictions are errors: of a document at the
 * place of the value, of an option by its name.
 */
#ifndef POFAC_FRONTEND_RECIPE_H
#define POFAC_FRONTEND_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/driver/model_quantization.h"
#include "frontend/model/pruning_config.h"
#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "runtime/learning_rate.h"

typedef enum recipe_kind {
    RECIPE_NO_DATA,
    RECIPE_SEGMENT_PAIRS, /* the three kinds of shards */
    RECIPE_DOC_SENTENCES,
    RECIPE_CONCATENATE,
    RECIPE_GLUE,
    RECIPE_SQUAD,
    RECIPE_TENSORS
} recipe_kind;

const char *recipe_kind_name(recipe_kind kind); /* as the table has it; "none" for RECIPE_NO_DATA */
bool recipe_kind_is_shards(recipe_kind kind);

/* Attributes of <data>; what the document leaves open and has no default is NULL or 0. */
typedef struct recipe_data {
    recipe_kind kind;
    const char *task; /* of kinds glue and squad */
    const char *train, *eval;
    bool skip_bad_rows, use_wwm, pad_to_max_length;
    int64_t max_seq_length, doc_stride, max_query_length, max_answer_length, n_best_size; /* doc_stride 0: not given */
    double mlm_probability;
    int64_t max_train_samples, max_eval_samples;
} recipe_data;

/* Attributes of <train>. */
typedef struct recipe_train {
    const char *output_dir, *resume_from_checkpoint;
    bool overwrite_output_dir;
    int64_t max_steps; /* -1: num_train_epochs says */
    double num_train_epochs;
    int64_t batch_size, eval_batch_size, accumulation_steps, max_tokens;
    bool group_by_length;
    double learning_rate, warmup_ratio;
    int64_t warmup_steps;
    rate_schedule schedule;
    const char *optim;
    double momentum, weight_decay, beta1, beta2, epsilon, max_grad_norm;
    bool mask_padded_logits;
    model_rate hidden_dropout, attention_dropout, classifier_dropout;
    bool bf16;
    const char *recompute; /* NULL: left to max_memory */
    int64_t max_memory;    /* bytes; 0: not bounded */
    uint64_t seed;
    int64_t logging_steps, eval_steps, save_steps, save_total_limit; /* eval_steps, save_total_limit 0: not given */
    bool load_best_model_at_end;
    const char *metric_for_best_model; /* without "eval_" */
    bool greater_is_better;
    int64_t early_stopping_patience; /* 0: none */
    double early_stopping_threshold;
    bool tensorboard;
    const char *logging_dir; /* NULL: runs in output_dir */
} recipe_train;

/* Attributes of <distill>. */
typedef struct recipe_distill {
    double task_alpha, teacher_alpha, temperature;
    double token_share;       /* of tokens without labels; 1: the divergence is taken over all */
    const char *cross_model;  /* "distilbert", "tinybert"; NULL: no term on hidden states */
    const int64_t *layer_map; /* [n_layer_map] the teacher's layer for each of the model's, from 0 */
    size_t n_layer_map;       /* 0: evenly spread */
} recipe_distill;

typedef struct recipe {
    const char *path; /* of the model, as given: a description or a directory */
    const char *text; /* the description, where it was given as a text, of text_bytes; else NULL */
    size_t text_bytes;
    model_head head;                /* that the description names, or HEAD_AUTO */
    bool leaves_labels;             /* a description that says nothing of labels: they are the task's */
    bool lock;                      /* <prune> by a method that locks: zeros stay zeros */
    bool prunes;                    /* <prune> by a method with masks that change */
    pruning_config prune;           /* with either of them */
    bool quantizes;                 /* <quantize>: linears learn to compute in 8 bits */
    quantization_plan quantization; /* with it */
    const char *teacher;            /* <teacher from>: NULL where there is none */
    const char *teacher_logits;     /* <teacher logits>: its answers in a directory, instead of running it; NULL: none */
    recipe_distill distill;         /* with either of them */
    recipe_data data;
    recipe_train train;
} recipe;

/* An option `name` ("learning_rate") with its text; of not_to_prune, not_to_quantize and not_to_requantize_output, patterns with newlines between them. */
typedef struct recipe_option {
    const char *name, *text;
} recipe_option;

/* What the option of an attribute is called: its name, but pruning_config, pruning_override, pruning_masks, teacher and teacher_logits for prune's config, override and
 * masks and teacher's from and logits. pruning_config stands instead of the whole <prune> of the document, quantization_config of its <quantize>. */
const char *recipe_option_name(const char *element, const char *attribute);

/* What a recipe is read for: training wants data and a directory for its output, planning it only the data, evaluation data to measure with. */
typedef enum recipe_use { RECIPE_FOR_TRAINING, RECIPE_FOR_PLANNING, RECIPE_FOR_EVALUATION } recipe_use;

/* Reads the description `path`, or takes the options alone where `path` is a directory. All texts live in `a`. POFAC_ERR_INPUT: the
 * document, or a configuration of pruning; POFAC_ERR_USAGE: the options; of both, a value or a contradiction. */
POFAC_MUST_USE pofac_status recipe_read(const char *path, const recipe_option *options, size_t n, recipe_use use, arena *a,
                                        const diag_sink *sink, recipe *out);

/* The same of a description of n_bytes that came from `path`: its name in messages, and where relative paths start. */
POFAC_MUST_USE pofac_status recipe_read_text(const char *path, const char *text, size_t n_bytes, const recipe_option *options,
                                             size_t n, recipe_use use, arena *a, const diag_sink *sink, recipe *out);

/* POFAC_ERR_USAGE: one of the names is no option's. */
POFAC_MUST_USE pofac_status recipe_check_options(const recipe_option *options, size_t n, const diag_sink *sink);

/* Appends all that determines the numbers of a run, a line NAME=VALUE each: what a checkpoint's settings are held against. */
void recipe_put_settings(const recipe *r, strbuf *out);

#endif
