/*
 * How large a model is: as papers count it, and in bytes that are really there - in its file and in memory, positions of non-zeros included -, by layer and in all.
 *
 * The nominal compression is Prune Once for All's (spec: prune once for all, section 7): of the weights of linear layers in the encoder alone, 32 bits of all over the bits of those
 * that are not zero, at their precision; positions cost nothing in it.
 */
#ifndef POFAC_FRONTEND_SIZE_REPORT_H
#define POFAC_FRONTEND_SIZE_REPORT_H

#include "frontend/driver/inspect_model.h"

/* Sizes of some parameters. */
typedef struct size_group {
    const char *name; /* "embeddings", "encoder.layer.0", "classifier" */
    int64_t parameters, zeros;
    int64_t rounded_zeros; /* weights that are not zero, but 0 in 8 bits */
    int64_t dense_bytes;   /* of all in f32 */
    int64_t file_bytes;    /* in the model's file, as it is coded there; 0: drawn from the seed */
    int64_t memory_bytes;  /* as kernels read them */
    int64_t nonzero_bits;  /* of those that are not zero, at their precision */
} size_group;

typedef struct size_file {
    const char *name; /* without its directory */
    int64_t bytes;
} size_file;

typedef struct size_report {
    size_group *layers; /* in the order of the model, in the inspection's arena */
    size_t n_layers;
    size_group all, encoder; /* encoder: weights of linear layers in its layers */
    size_file *files;        /* that the parameters are in */
    size_t n_files;
    int64_t code_bytes; /* of a compiled model's object code, in its file */
} size_report;

/* Of an inspected model; everything lives in `a`. */
POFAC_MUST_USE pofac_status size_report_make(loaded_model *model, const inspect_result *inspected, arena *a, const diag_sink *sink,
                                             size_report *out);

/* part / whole, or whole / part as a factor; 0 of nothing. */
double size_factor(int64_t whole, int64_t part);

/* Appends the report: as a table and sentences; as the members "layers", "size" and "files" of a JSON object, each behind a comma. */
void size_report_print(const size_report *r, strbuf *out);
void size_report_put_json(const size_report *r, strbuf *out);

#endif
