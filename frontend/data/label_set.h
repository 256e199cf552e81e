/*
 * The labels of a classification: their names in the order of a model's outputs, and which of them a file's words and numbers mean.
 *
 * A task and a model that is trained for it often number the same labels differently (SNLI's order is not MNLI's, nor every model's). Names decide:
 * a file's number stands for a name by the task's order, a name for an output by the model's id2label. Names are equal where they
 * differ in case, '-', '_' and ' ' alone. A model whose labels are LABEL_0, LABEL_1, ... has no names: its order is taken to be the
 * task's.
 */
#ifndef POFAC_FRONTEND_DATA_LABEL_SET_H
#define POFAC_FRONTEND_DATA_LABEL_SET_H

#include <stdint.h>

#include "frontend/data/tasks.h"
#include "ir/support/strmap.h"

typedef struct label_set {
    size_t n;
    const char *const *names; /* [n] in the model's order */
    const int32_t *number;    /* [n] the label that number i of a file stands for */
} label_set;

/* What a model says of its labels. */
typedef struct label_owner {
    const char *file; /* for messages */
    size_t n;
    const char *const *names; /* [n] by output: id2label */
} label_owner;

/* The labels of `task` as `model` orders them; model NULL: in the task's order. A task that leaves its labels open takes the model's, and has none
 * (n = 0) without a model. Lives in `a` and uses the names of `model`. POFAC_ERR_INPUT when the sets differ: `FILE: id2label: found "a", "b",
 * wanted the labels of task ...`. A note says so when the model has no names. */
POFAC_MUST_USE pofac_status label_set_make(const task_info *task, const label_owner *model, arena *a, const diag_sink *sink,
                                           label_set *out);

/* Are they names, and not LABEL_0, LABEL_1, ...: what a configuration has that names none? */
bool label_set_has_names(const char *const *names, size_t n);

/* The same from names alone, which must be no two equal ones; numbers are places among them. False when memory is short. */
bool label_set_from_names(const char *const *names, size_t n, arena *a, label_set *out);

/* The label that a file's text means: a name, or else a number; -1 when it is neither. */
int32_t label_set_find(const label_set *s, const char *text, size_t n);

/* Appends `"a", "b" or "c"`, for messages: the first eight and how many more there are. */
void label_set_put(const label_set *s, strbuf *out);

/* Labels as files have them, when nobody says beforehand which there are: add what is found, then sort: numbers by value if all are
 * whole numbers, else bytewise, as Hugging Face's scripts do. */
typedef struct label_collector {
    strmap found;
} label_collector;

#define LABEL_COLLECTOR_INIT                                                                                                       \
    { STRMAP_INIT }

bool label_collector_add(label_collector *c, const char *text, size_t n); /* false when memory is short */
bool label_collector_sort(const label_collector *c, arena *a, label_set *out);
void label_collector_free(label_collector *c);

#endif
