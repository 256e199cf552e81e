/*
 * Losses: scalars [] that training makes small, means over what counts. Where nothing counts the mean is NaN, as 0/0.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ops/operands.h"

/* The label of rows that do not count, from PyTorch's CrossEntropyLoss(ignore_index=-100). */
#define IGNORED_LABEL (-100)

pofac_status infer_cross_entropy(ir_infer *in) {
    const ir_type *logits = in->input[0], *labels = in->input[1], *keep = infer_input(in, 2);
    TRY(want_rank(in, logits, "logits", 2, "[R,C]"));
    TRY(want_float(in, logits, "logits"));
    TRY(want_integer(in, labels, "labels"));
    TRY(want_type(in, labels, "labels", type_tensor(in->context, labels->dtype, 1, logits->dims)));
    if (keep) {
        TRY(want_integer_or_bool(in, keep, "keep"));
        TRY(want_type(in, keep, "keep", type_tensor(in->context, keep->dtype, 2, logits->dims)));
    }
    return infer_result(in, 0, type_tensor(in->context, logits->dtype, 0, NULL));
}

/* -log softmax(row)[label] over the kept classes; +inf when the label's class is left out. `first` is the row's place in `keep`. */
static double row_loss(const double *row, int64_t n_classes, const ir_tensor *keep, int64_t first, int64_t label) {
    double top = -INFINITY, total = 0;
    if (keep && tensor_get_int(keep, first + label) == 0) return INFINITY;
    for (int64_t c = 0; c < n_classes; c++)
        if ((!keep || tensor_get_int(keep, first + c) != 0) && !(row[c] <= top)) top = row[c];
    for (int64_t c = 0; c < n_classes; c++)
        if (!keep || tensor_get_int(keep, first + c) != 0) total += exp(row[c] - top);
    return log(total) - (row[label] - top);
}

pofac_status eval_cross_entropy(const ir_eval *e) {
    const ir_tensor *logits = e->input[0], *labels = e->input[1], *keep = eval_input(e, 2);
    int64_t n_rows = logits->dims[0], n_classes = logits->dims[1], counted = 0;
    bool clamp = strcmp(node_string(e->node, "labels"), "clamp") == 0;
    double sum = 0, *row = alloc_doubles(n_classes, 1);
    if (!row) return diag_out_of_memory(e->sink);
    for (int64_t r = 0; r < n_rows; r++) {
        int64_t label = tensor_get_int(labels, r);
        if (clamp) label = label < 0 ? 0 : label > n_classes ? n_classes : label;
        if (label == (clamp ? n_classes : IGNORED_LABEL)) continue;
        if (label < 0 || label >= n_classes) {
            free(row);
            return eval_error(e, "row %" PRId64 " has label %" PRId64 ", wanted 0 to %" PRId64 ", or %d to leave it out", r, label,
                              n_classes - 1, IGNORED_LABEL);
        }
        tensor_get_run(logits, r * n_classes, n_classes, row);
        sum += row_loss(row, n_classes, keep, r * n_classes, label);
        counted++;
    }
    free(row);
    tensor_set(e->result[0], 0, sum / (double)counted);
    return POFAC_OK;
}

pofac_status infer_mean_squared_error(ir_infer *in) {
    TRY(want_float(in, in->input[0], "x"));
    TRY(want_type(in, in->input[1], "y", in->input[0]));
    return infer_result(in, 0, type_tensor(in->context, in->input[0]->dtype, 0, NULL));
}

pofac_status eval_mean_squared_error(const ir_eval *e) {
    int64_t n = tensor_elements(e->input[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = tensor_get(e->input[0], i) - tensor_get(e->input[1], i);
        sum += d * d;
    }
    tensor_set(e->result[0], 0, sum / (double)n);
    return POFAC_OK;
}
