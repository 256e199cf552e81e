/* Parts of a corpus as jobs; see corpus_job.h. */
#include "frontend/driver/corpus_job.h"

#include <stdlib.h>

pofac_status corpus_job_take(corpus *c, size_t n_bytes, const diag_sink *sink, void **job) {
    corpus_part *part;
    TRY(corpus_next_part(c, sink, &part));
    if (!part) return POFAC_OK;
    corpus_job *j = calloc(1, n_bytes);
    if (!j) {
        corpus_part_destroy(part);
        return diag_out_of_memory(sink);
    }
    j->part = part;
    *job = j;
    return POFAC_OK;
}

pofac_status corpus_job_read(corpus_job *job, corpus_document_fn take, void *context, const diag_sink *sink) {
    pofac_status status = corpus_part_read(job->part, take, context, sink, &job->counts);
    corpus_part_destroy(job->part);
    job->part = NULL;
    return status;
}
