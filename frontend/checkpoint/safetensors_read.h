/* Reading a part of a safetensors file, for the reader of sharded checkpoints. */
#ifndef POFAC_FRONTEND_SAFETENSORS_READ_H
#define POFAC_FRONTEND_SAFETENSORS_READ_H

#include "frontend/checkpoint/checkpoint_build.h"

typedef struct safetensors_filter {
    bool (*wants)(void *user, const char *name);
    void *user;
} safetensors_filter;

/* As safetensors_read, but adds the tensors that the filter wants alone. The whole file is checked. */
POFAC_MUST_USE pofac_status safetensors_read_some(const char *path, const safetensors_filter *filter, const diag_sink *sink,
                                                  checkpoint *c);

#endif
