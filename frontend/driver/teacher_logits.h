/*
 * A teacher's logits that were kept on disk (make_logits.h) -> inputs of a step, for those who learn from a teacher many times and run it once.
 *
 * For an output O of the head:
 *
 *   teacher_logits.O f32   [B,classes] of sequences; of tokens [B,S,classes], [B,S,top_k] of those that are kept in part, or [B,S] where S are the classes
 *                          (question answering)
 *   teacher_ids.O    i32   [B,S,top_k] classes of what is kept in part
 *
 * Padding has zeros. What is kept belongs to the data: other examples, another masking, another number of them, or another head are errors, and so is
 * an epoch that is not there; examples that are the same in every epoch need one.
 */
#ifndef POFAC_FRONTEND_TEACHER_LOGITS_H
#define POFAC_FRONTEND_TEACHER_LOGITS_H

#include "frontend/driver/logits_file.h"
#include "frontend/model/model_spec.h"
#include "ir/batch_source.h"

#define LOGITS_MOST_OUTPUTS 2

/* An output of a head whose logits a student learns from. */
typedef struct logits_output {
    const char *output;       /* of the graph */
    const char *logits, *ids; /* inputs of a step */
    int64_t classes;          /* 1 where the classes are positions */
    bool per_token, is_position, is_vocabulary;
} logits_output;

/* Those of spec's head; their number, 0 for a regression or no head. */
size_t logits_outputs(const model_spec *spec, logits_output out[LOGITS_MOST_OUTPUTS]);

/* The info that all files have in common, but for the teacher, per_file and every_epoch. top_k and is_half count for vocabularies larger than top_k alone. */
void logits_info_of(const model_spec *spec, uint64_t data, uint64_t n_examples, int64_t top_k, bool is_half, logits_file_info *out);

typedef struct teacher_logits teacher_logits;

/* What they are wanted for. */
typedef struct teacher_logits_use {
    const model_spec *spec;    /* of the student; outlives them */
    uint64_t data, n_examples; /* fingerprint and number of the examples to learn from */
    uint64_t epochs;           /* that the run takes */
} teacher_logits_use;

/* POFAC_ERR_INPUT: as above, or what is there is unfinished; damage in what is kept is found where it is read. */
POFAC_MUST_USE pofac_status teacher_logits_open(const char *dir, const teacher_logits_use *use, const diag_sink *sink,
                                                teacher_logits **out);
void teacher_logits_close(teacher_logits *t); /* NULL is fine */

const logits_file_info *teacher_logits_info(const teacher_logits *t);

/* The inputs of one batch, in memory that is used again for the next. All zero at first. */
typedef struct teacher_batch {
    size_t n;
    const char *names[2 * LOGITS_MOST_OUTPUTS];
    ir_tensor tensors[2 * LOGITS_MOST_OUTPUTS];
    size_t capacity[2 * LOGITS_MOST_OUTPUTS]; /* bytes */
    void *memory[2 * LOGITS_MOST_OUTPUTS];
} teacher_batch;

/* Of a padded batch, whose examples are named. POFAC_ERR_INPUT: damage, or examples of other lengths. */
POFAC_MUST_USE pofac_status teacher_logits_read(teacher_logits *t, const batch *b, const diag_sink *sink, teacher_batch *out);
void teacher_batch_free(teacher_batch *b);

#endif
