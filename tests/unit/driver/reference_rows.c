/* Rows of a reference's batches; see reference_rows.h. */
#include "tests/unit/driver/reference_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

void reference_rows_take(const checkpoint *file, int64_t first, int64_t n, named_tensors *rows, batch *out) {
    named_tensors_free(rows);
    rows->what = "input";
    *out = (batch){.n_sequences = n, .n_tensors = checkpoint_size(file)};
    for (size_t i = 0; i < out->n_tensors; i++) {
        const checkpoint_tensor *from = checkpoint_at(file, i);
        ir_tensor all;
        if (checkpoint_load(from, IR_I64, NULL, &all) != POFAC_OK) fail_msg("%s cannot be read", from->name);
        const int64_t row = tensor_elements(&all) / all.dims[0], dims[2] = {n, row};
        ir_tensor *to = named_tensors_add(rows, from->name, IR_I64, all.rank, dims);
        for (int64_t k = 0; k < n * row; k++) tensor_set_int(to, k, tensor_get_int(&all, first * row + k));
        for (int64_t k = 0; k < n * row && strcmp(from->name, "attention_mask") == 0; k++) out->n_tokens += tensor_get_int(to, k);
        out->names[i] = from->name;
        tensor_free(&all);
    }
    for (size_t i = 0; i < out->n_tensors; i++) out->tensors[i] = *named_tensors_find(rows, out->names[i]);
}

double reference_number(const char *line, const char *key) {
    const char *at = strstr(line, key);
    if (!at) fail_msg("%s has no %s", line, key);
    return strtod(at + strlen(key), NULL);
}
