/* Tensors by name, see named_tensors.h. */
#include "tests/unit/named_tensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

ir_tensor *named_tensors_add(named_tensors *t, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims) {
    named_tensor entry = {0};
    if (named_tensors_find(t, name)) fail_msg("a second tensor named %s", name);
    if ((size_t)snprintf(entry.name, sizeof entry.name, "%s", name) >= sizeof entry.name) fail_msg("the name %s is too long", name);
    if (tensor_alloc(dtype, rank, dims, &entry.tensor) != POFAC_OK || !VEC_PUSH(&t->entries, entry)) fail_msg("memory is short");
    return &t->entries.data[t->entries.size - 1].tensor;
}

void named_tensors_add_doubles(named_tensors *t, const char *name, ir_dtype dtype, uint32_t rank, const int64_t *dims,
                               const double *elements) {
    ir_tensor *out = named_tensors_add(t, name, dtype, rank, dims);
    for (int64_t i = 0; i < tensor_elements(out); i++) tensor_set(out, i, elements[i]);
}

ir_tensor *named_tensors_find(const named_tensors *t, const char *name) {
    for (size_t i = 0; i < t->entries.size; i++)
        if (strcmp(t->entries.data[i].name, name) == 0) return &t->entries.data[i].tensor;
    return NULL;
}

static pofac_status get(void *user, const char *name, const diag_sink *sink, ir_tensor *out) {
    const named_tensors *t = user;
    const ir_tensor *found = named_tensors_find(t, name);
    if (!found) return diag_error(sink, POFAC_ERR_INPUT, NULL, "%s %s is missing", t->what ? t->what : "tensor", name);
    *out = *found;
    out->owned = false;
    return POFAC_OK;
}

tensor_source named_tensors_source(named_tensors *t) { return (tensor_source){.get = get, .user = t, .writable = true}; }

void named_tensors_free(named_tensors *t) {
    for (size_t i = 0; i < t->entries.size; i++) tensor_free(&t->entries.data[i].tensor);
    VEC_FREE(&t->entries);
}

void assert_tensors_close(const char *name, const ir_tensor *a, const ir_tensor *b, double absolute, double relative) {
    if (a->dtype != b->dtype || a->rank != b->rank)
        fail_msg("%s: %s of rank %u, wanted %s of rank %u", name, dtype_name(a->dtype), a->rank, dtype_name(b->dtype), b->rank);
    for (uint32_t d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d]) fail_msg("%s: dimension %u is %" PRId64 ", wanted %" PRId64, name, d, a->dims[d], b->dims[d]);
    for (int64_t i = 0; i < tensor_elements(a); i++) {
        double x = tensor_get(a, i), y = tensor_get(b, i);
        if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= absolute + relative * fabs(y)) continue;
        fail_msg("%s: element %" PRId64 " is %.17g, wanted %.17g", name, i, x, y);
    }
}
