/* A plan's JSON within some text: what files of plans (quantization_plan.c) and quantized models (model_quantization.c) share. */
#ifndef POFAC_FRONTEND_QUANTIZATION_JSON_H
#define POFAC_FRONTEND_QUANTIZATION_JSON_H

#include "frontend/driver/model_quantization.h"

/* n bytes of `file`; `part` is NULL, or says what they are within it (json_parse). Texts in `a`; errors as quantization_plan_read. */
POFAC_MUST_USE pofac_status quantization_plan_parse(const char *file, const char *part, const void *bytes, size_t n, arena *a,
                                                    const diag_sink *sink, quantization_plan *out);

#endif
