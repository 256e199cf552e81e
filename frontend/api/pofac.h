/*
 * pofac: compiled, sparse BERT models on CPUs. A model is opened and compiled once and predicts from many threads; a trainer
 * trains step by step.
 *
 * Errors. Functions that can fail return a pofac_status that must be looked at; the message - place, what was found, what was
 * wanted - goes to the pofac_log that the object was made with. The library never prints, and never ends the process. After an
 * error no output is set but where a function says so, and the object can be used on or destroyed. NULL where an argument is
 * wanted is POFAC_ERR_USAGE.
 *
 * Ownership. What _open and _create make is the caller's until _close or _destroy, which take NULL. Everything that a function
 * hands out besides belongs to the object and lives as long as the function says. Arguments are read during the call only, but for
 * pofac_log.user.
 *
 * Threads. A model never changes once it is open: any number of threads use it. A predictor, and a trainer, are used by one thread
 * at a time; any number of them work side by side. Results have the same bits whatever the number of threads and of predictors,
 * and whatever texts stand in one call. Logs are called by the thread that called the function. That thread's
 * locale is "C" meanwhile, in the log too, and the program's does not matter.
 *
 * Structures of options and of results begin with size_bytes, which the caller sets to the structure's size (the macros ..._INIT
 * do): fields that later versions append read as 0, which always means the default. A structure that is larger than the library's
 * and sets what the library does not know is POFAC_ERR_USAGE. NULL in place of options means all defaults.
 *
 * Letters: B sequences, S padded length, E hidden size, V vocabulary, C labels.
 */
#ifndef POFAC_H
#define POFAC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POFAC_VERSION_MAJOR 0
#define POFAC_VERSION_MINOR 1
#define POFAC_VERSION_PATCH 0

#define POFAC_API __attribute__((visibility("default")))

#ifndef POFAC_IR_SUPPORT_STATUS_H /* the library's own files have it from there (status_numbers.h) */
typedef enum pofac_status {
    POFAC_OK = 0,
    POFAC_ERR_RUNTIME = 1,    /* failure at run time: out of memory, disk full, a library refused */
    POFAC_ERR_USAGE = 2,      /* the caller asked for something that does not exist */
    POFAC_ERR_INPUT = 3,      /* a file, a text or a tensor is malformed or does not fit the model */
    POFAC_ERR_NUMERIC = 4,    /* NaN or Inf where a number was needed */
    POFAC_ERR_INTERRUPTED = 5 /* stopped as pofac_trainer_stop asked */
} pofac_status;
#define POFAC_MUST_USE __attribute__((warn_unused_result))
#endif

/* The version of the library that runs, "0.1.0"; the macros above are those of the header. */
POFAC_API const char *pofac_version(void);

/* "ok", "runtime", "usage", "input", "numeric", "interrupted"; of other numbers "unknown". */
POFAC_API const char *pofac_status_name(pofac_status status);

/* ---- messages ---- */

typedef enum pofac_severity { POFAC_ERROR = 0, POFAC_WARNING = 1, POFAC_NOTE = 2 } pofac_severity;

/* Texts live until the log returns. */
typedef struct pofac_message {
    pofac_severity severity;
    pofac_status status;   /* of errors; else POFAC_OK */
    const char *file;      /* NULL: no place is known */
    uint32_t line, column; /* from 1; 0: not known */
    const char *text;      /* "found ..., wanted ..." */
    const char *rendered;  /* as a program prints it: "FILE:LINE:COL: error: text" and more lines, ending in a newline */
} pofac_message;

/* Where messages go. `emit` NULL: nowhere. Logs that several objects share are called by several threads at a time. */
typedef struct pofac_log {
    void (*emit)(void *user, const pofac_message *message);
    void *user; /* must outlive the object */
} pofac_log;

/* ---- models ---- */

typedef struct pofac_model pofac_model;

typedef struct pofac_model_options {
    size_t size_bytes;
    uint64_t seed;            /* of parameters that the checkpoint lacks */
    const char *head;         /* a row of `pofac list heads`, "sequence-classification"; NULL: as the model says */
    int64_t num_labels;       /* 0: as the model says */
    const char *vocab;        /* file of a vocabulary instead of the model's own; NULL: none */
    size_t threads;           /* that open, compile and pack, at most; 0: the processors that the process may use */
    const char *quantization; /* of a quantized model: NULL or "integer"; "simulate": fp32 on what 8 bits hold; "off": as if none */
    const char *isa;          /* instruction set, a row of `pofac list targets`; NULL or "native": this machine's */
    const char
        *tune; /* choice of kernels: NULL or "auto": measured once on this machine; "off": by a rule; "again": measured anew */
    int64_t tune_tokens;   /* of a typical batch, for which kernels are chosen; 0: 128 */
    const char *cache_dir; /* of compiled kernels; NULL: $XDG_CACHE_HOME/pofac/objects */
    int no_cache;          /* not 0: compile all, keep nothing */
    int last_hidden_state; /* not 0: pofac_predictor_run gives last_hidden_state [B,S,E] too */
} pofac_model_options;

#define POFAC_MODEL_OPTIONS_INIT                                                                                                   \
    { sizeof(pofac_model_options), 42, NULL, 0, NULL, 0, NULL, NULL, NULL, 0, NULL, 0, 0 }

/*
 * Opens `path` - a directory of Hugging Face's, an XML description or a compiled model -, compiles it for this machine and packs
 * its weights, once for all predictors. `log` is kept for messages of the model's; NULL: none. POFAC_ERR_INPUT: the files;
 * POFAC_ERR_USAGE: the options.
 */
POFAC_API POFAC_MUST_USE pofac_status pofac_model_open(const char *path, const pofac_model_options *options, const pofac_log *log,
                                                       pofac_model **out);

/* All predictors of the model are to be destroyed before. */
POFAC_API void pofac_model_close(pofac_model *model);

/*
 * Writes `path` as one file that runs by itself, without a compiler: what `pofac compile PATH -o FILE` does. `targets`: rows of
 * `pofac list targets` with commas between, of this machine's architecture; NULL: this machine. POFAC_ERR_USAGE: the model is
 * compiled already, quantization is "simulate", or a target is none; POFAC_ERR_INPUT, POFAC_ERR_RUNTIME: files. The file appears
 * whole or not at all. Code for targets other than this machine is made in a child process: meanwhile no other thread may open or
 * compile a model, or make a trainer, for the child would inherit a lock of the compiler that they hold.
 */
POFAC_API POFAC_MUST_USE pofac_status pofac_compile(const char *path, const pofac_model_options *options, const char *targets,
                                                    const char *file, const pofac_log *log);

typedef struct pofac_model_info {
    size_t size_bytes;
    const char *head;       /* as in the options; never NULL */
    const char *arithmetic; /* "fp32", "integer" or "simulated" */
    const char *target;     /* that the code was made for; lives as long as the model, as all texts here */
    int64_t num_labels;     /* C; of heads without labels 0 */
    int64_t vocab_size, hidden_size, num_layers, num_heads, intermediate_size;
    int64_t max_length;           /* most tokens of a sequence, [CLS] and [SEP] included */
    int has_tokenizer;            /* 0: the model takes tensors only */
    int is_regression;            /* answers are scores, not probabilities */
    int64_t mapped_weight_bytes;  /* read where the file is mapped */
    int64_t private_weight_bytes; /* packed, converted or drawn: once, however many predictors there are */
} pofac_model_info;

#define POFAC_MODEL_INFO_INIT                                                                                                      \
    { sizeof(pofac_model_info), NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Fills as much of *out as its size_bytes covers. POFAC_ERR_USAGE: that covers nothing. */
POFAC_API POFAC_MUST_USE pofac_status pofac_model_get_info(const pofac_model *model, pofac_model_info *out);

/* The name of label i, "LABEL_i" where the model has no names; NULL when i is not in [0, num_labels). Lives as long as the model.
 * */
POFAC_API const char *pofac_model_label(const pofac_model *model, int64_t i);

/* ---- prediction ---- */

typedef struct pofac_predictor pofac_predictor;

typedef struct pofac_predictor_options {
    size_t size_bytes;
    size_t threads;       /* of its own that a run takes, the caller's among them; 0: 1 */
    int64_t batch_size;   /* most texts of a run; 0: 32 */
    int64_t batch_tokens; /* most tokens of a run, unless it is one text; 0: 4096 */
    int64_t max_length;   /* texts: longer ones are cut, contexts of questions read in windows; 0: what the model takes */
    int64_t top_k;        /* candidates of a [MASK]; 0: 5 */
    int64_t doc_stride;   /* questions: tokens between the starts of windows; 0: 128, or a third of a window where that is less */
    int doc_stride_is_overlap; /* not 0: doc_stride counts the tokens that windows share */
    int64_t max_query_length;  /* questions: longer ones lose their last tokens; 0: 64 */
    int64_t max_answer_length; /* questions: tokens of an answer; 0: 30 */
} pofac_predictor_options;

#define POFAC_PREDICTOR_OPTIONS_INIT                                                                                               \
    { sizeof(pofac_predictor_options), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* What a thread predicts with: memory for activations, none for weights, which are the model's. `log` is kept. The model must
 * outlive it. Many threads may call it on one model at the same time. */
POFAC_API POFAC_MUST_USE pofac_status pofac_predictor_create(const pofac_model *model, const pofac_predictor_options *options,
                                                             const pofac_log *log, pofac_predictor **out);
POFAC_API void pofac_predictor_destroy(pofac_predictor *predictor);

/* Memory of the predictor's own by its largest run so far: activations and scratch. */
POFAC_API int64_t pofac_predictor_memory_bytes(const pofac_predictor *predictor);

typedef enum pofac_dtype { POFAC_F32 = 0, POFAC_I64 = 1, POFAC_I32 = 2 } pofac_dtype;

#define POFAC_MAX_RANK 4

/* Numbers, the last dimension's side by side. */
typedef struct pofac_tensor {
    const char *name;
    pofac_dtype dtype;
    uint32_t rank;
    int64_t dims[POFAC_MAX_RANK];
    const void *data;
} pofac_tensor;

/*
 * Runs the model once. Inputs, by name, in any order: input_ids [B,S]; attention_mask [B,S], 1 for tokens and 0 for padding, all 1
 * if absent; token_type_ids [B,S], all 0 if absent; all i64 or i32. Models without embedding tables take embedding_output f32
 * [B,S,E] instead of input_ids. Heads over a vocabulary take prediction_rows [M] too: the tokens b*S+s that are predicted, of those
 * that the mask keeps; all of these if absent.
 *
 * *outputs, n of them, f32, live until the predictor's next call: logits [B,C], of token-classification [B,S,C]; start_logits,
 * end_logits [B,S]; prediction_logits [M,V]; seq_relationship_logits [B,2]; last_hidden_state [B,S,E]; pooler_output [B,E]. What
 * padding has in them is of no meaning.
 *
 * POFAC_ERR_INPUT: an input is missing, of another shape, or has an id that the model lacks. POFAC_ERR_USAGE: an input that the
 * model does not take. POFAC_ERR_NUMERIC: a result is not finite; the outputs are set all the same.
 */
POFAC_API POFAC_MUST_USE pofac_status pofac_predictor_run(pofac_predictor *predictor, const pofac_tensor *inputs, size_t n_inputs,
                                                          const pofac_tensor **outputs, size_t *n_outputs);

/* UTF-8, 0-terminated. `pair`: the second text of a pair, or of a question the context; NULL: none. */
typedef struct pofac_text {
    const char *text, *pair;
} pofac_text;

/* A label, or a token of the vocabulary. */
typedef struct pofac_choice {
    const char *name;
    int64_t id;
    double score; /* its probability; of a regression, the number */
} pofac_choice;

/* A part of a text: bytes [begin, end) of it. */
typedef struct pofac_span {
    size_t begin, end;
    int in_pair;                 /* not 0: of `pair` */
    const char *text;            /* what stands there; of token-classification the token */
    size_t n_choices;            /* token-classification: 1, its label; fill-mask: the likeliest tokens, best first */
    const pofac_choice *choices; /* [n_choices] */
    double score;                /* questions: probability of the answer; token-classification: of the label; else 0 */
} pofac_span;

/* What the model says of a text, by its head:
 *   sequence-classification  labels [C] in their order, and the likeliest of them, `best`; of a regression their scores
 *   token-classification     a span for each token
 *   question-answering       one span, of the context; with begin = end where it has no answer
 *   masked-lm, pretraining   a span for each [MASK]; is_next
 *   none                     embedding [E]: the pooled output, or the first token's hidden state where there is no pooler */
typedef struct pofac_answer {
    size_t n_labels, best;
    const pofac_choice *labels;
    size_t n_spans;
    const pofac_span *spans;
    size_t n_embedding;
    const float *embedding;
    double is_next; /* of a pair with BERT's pretraining head, the probability that the second text follows the first; else -1 */
} pofac_answer;

/*
 * Predicts on n texts, in batches of about one length. *answers has n pointers, in the texts' order; they and all behind them live
 * until the predictor's next call. POFAC_ERR_INPUT: the model has no tokenizer, or a question no context (messages count texts
 * from 1); POFAC_ERR_NUMERIC: the model gives a number that is none.
 */
POFAC_API POFAC_MUST_USE pofac_status pofac_predictor_answer(pofac_predictor *predictor, const pofac_text *texts, size_t n,
                                                             const pofac_answer *const **answers);

/* Answer i of the last pofac_predictor_answer as `pofac predict` prints it, a JSON object without a newline; lives until the
 * predictor's next call of another kind. POFAC_ERR_USAGE: there is no answer i. */
POFAC_API POFAC_MUST_USE pofac_status pofac_predictor_answer_json(pofac_predictor *predictor, size_t i, const char **json);

/* ---- training ---- */

typedef struct pofac_trainer pofac_trainer;

/* An option of `pofac train`, without its dashes: {"learning_rate", "3e-5"}. Of not_to_prune, not_to_quantize and
 * not_to_requantize_output, patterns with newlines between them. */
typedef struct pofac_option {
    const char *name, *value;
} pofac_option;

typedef struct pofac_trainer_options {
    size_t size_bytes;
    const char
        *recipe_text; /* an XML description; `path` then is its name in messages, and its folder is where relative paths start */
    const pofac_option *options; /* [n_options] over the recipe's */
    size_t n_options;
    const char *head; /* these as in pofac_model_options */
    int64_t num_labels;
    const char *vocab;
    size_t threads;
    const char *isa, *tune, *cache_dir;
    int no_cache;
} pofac_trainer_options;

#define POFAC_TRAINER_OPTIONS_INIT                                                                                                 \
    { sizeof(pofac_trainer_options), NULL, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, 0 }

/*
 * Opens a run of training, as `pofac train PATH` does: reads the recipe (or, of a Hugging Face directory, the options alone),
 * opens the data, compiles the step, and with the option resume_from_checkpoint goes on from there. The run's directory,
 * output_dir, gets metrics.jsonl and checkpoints, and is locked until pofac_trainer_destroy. Log and options are kept.
 * POFAC_ERR_INPUT: files; POFAC_ERR_USAGE: options.
 */
POFAC_API POFAC_MUST_USE pofac_status pofac_trainer_create(const char *path, const pofac_trainer_options *options,
                                                           const pofac_log *log, pofac_trainer **out);
POFAC_API void pofac_trainer_destroy(pofac_trainer *trainer);

/* Steps that are done, those before a checkpoint too; all steps; and whether none is left: after the last one, or when early
 * stopping says so. */
POFAC_API int64_t pofac_trainer_steps_done(const pofac_trainer *trainer);
POFAC_API int64_t pofac_trainer_max_steps(const pofac_trainer *trainer);
POFAC_API int pofac_trainer_is_done(const pofac_trainer *trainer);

typedef struct pofac_step {
    size_t size_bytes;
    int64_t step;           /* its number, from 1 */
    double epoch;           /* behind it */
    double loss, task_loss; /* mean over the step; task_loss: its part that labels tell, the loss where there is no teacher */
    double distill_loss, hidden_loss; /* with a teacher: the divergence before its factor, and that of hidden states; else 0 */
    double learning_rate, grad_norm;
    double sparsity; /* share of zeros of the weights that are pruned, or locked; else 0 */
    int64_t tokens, examples;
} pofac_step;

#define POFAC_STEP_INIT                                                                                                            \
    { sizeof(pofac_step), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/*
 * The next step: forward, backward, update, and where it is their turn new masks, a line of metrics, an evaluation, a checkpoint.
 * The same bits as `pofac train`. *out may be NULL. POFAC_ERR_USAGE: none is left. POFAC_ERR_NUMERIC: loss or norm are no numbers;
 * the state before the step is saved as a checkpoint, and the run is over. POFAC_ERR_INTERRUPTED: pofac_trainer_stop was called;
 * a checkpoint is saved, and the next call goes on; the step is done and *out is set, but where an evaluation was left over from
 * the call before and stopped again: then out->step is 0. After other errors only pofac_trainer_destroy.
 */
POFAC_API POFAC_MUST_USE pofac_status pofac_trainer_step(pofac_trainer *trainer, pofac_step *out);

/* Asks the trainer to stop behind the step that runs, or behind the next one. Any thread may call it at any time of the trainer's
 * life; also a signal handler. */
POFAC_API void pofac_trainer_stop(pofac_trainer *trainer);

typedef struct pofac_metric {
    const char *name; /* "loss", "accuracy", "f1" */
    double value;
} pofac_metric;

/* The scores of the weights as they are, on the recipe's data to evaluate on; they live until the next call. POFAC_ERR_USAGE:
 * there are none; POFAC_ERR_INTERRUPTED: pofac_trainer_stop was called; a checkpoint is saved, and there are no scores. */
POFAC_API POFAC_MUST_USE pofac_status pofac_trainer_evaluate(pofac_trainer *trainer, const pofac_metric **metrics, size_t *n);

/* Saves output_dir/checkpoint-STEP, from which a run goes on bit for bit; nothing when it is there. */
POFAC_API POFAC_MUST_USE pofac_status pofac_trainer_save_checkpoint(pofac_trainer *trainer);

/* Writes the weights as they are as a Hugging Face directory, which is made; of a run that learns 8 bits with its ranges. */
POFAC_API POFAC_MUST_USE pofac_status pofac_trainer_save_model(pofac_trainer *trainer, const char *directory);

/* Ends the run as `pofac train` does: takes back the best weights where load_best_model_at_end wants it, and writes the model and
 * its results into output_dir. Once, and the last call but pofac_trainer_destroy; POFAC_ERR_USAGE when steps are left. */
POFAC_API POFAC_MUST_USE pofac_status pofac_trainer_finish(pofac_trainer *trainer);

#ifdef __cplusplus
}
#endif

#endif
