/*
 * Parts of a corpus as jobs of ordered work (ordered_work.h): what the stages that read corpora share.
 */
#ifndef POFAC_FRONTEND_DRIVER_CORPUS_JOB_H
#define POFAC_FRONTEND_DRIVER_CORPUS_JOB_H

#include "frontend/data/corpus.h"

/* The first member of a job's struct. */
typedef struct corpus_job {
    corpus_part *part; /* NULL once it was read */
    corpus_counts counts;
} corpus_job;

/* The next part in a job of n_bytes, all zero but for the part, from malloc; *job is NULL at the end. */
POFAC_MUST_USE pofac_status corpus_job_take(corpus *c, size_t n_bytes, const diag_sink *sink, void **job);

/* Reads the part, counts what was found, and ends its life. */
POFAC_MUST_USE pofac_status corpus_job_read(corpus_job *job, corpus_document_fn take, void *context, const diag_sink *sink);

#endif
