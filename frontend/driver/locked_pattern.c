/* Patterns before and after a run; see locked_pattern.h. */
#include "frontend/driver/locked_pattern.h"

#include <inttypes.h>

#include "frontend/checkpoint/checkpoint.h"

typedef struct drift {
    int64_t new_entries, lost_entries, first; /* first: of the new ones */
} drift;

static drift compare(const ir_tensor *before, const ir_tensor *after) {
    drift d = {0, 0, -1};
    for (int64_t i = 0; i < tensor_elements(before); i++) {
        const bool was = tensor_get(before, i) != 0, is = tensor_get(after, i) != 0;
        if (was && !is) d.lost_entries++;
        if (!was && is && d.new_entries++ == 0) d.first = i;
    }
    return d;
}

static pofac_status report(const char *dir, const char *name, const ir_tensor *w, const drift *d, const diag_sink *sink) {
    const diag_place place = {.file = dir};
    const int64_t columns = w->dims[w->rank - 1];
    if (d->lost_entries > 0)
        diag_warning(sink, &place, "%s: %" PRId64 " entries that were not 0 have become 0", name, d->lost_entries);
    if (d->new_entries == 0) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_RUNTIME, &place,
                      "%s: found %" PRId64 " entries that were 0 before and are not, the first at [%" PRId64 ", %" PRId64
                      "], wanted the pattern that was locked",
                      name, d->new_entries, d->first / columns, d->first % columns);
}

static pofac_status check_weight(const checkpoint *result, const loaded_model *model, const char *dir, const char *name,
                                 const diag_sink *sink) {
    const tensor_source *stored = loaded_model_stored(model);
    const checkpoint_tensor *found = checkpoint_get(result, name);
    ir_tensor before, after;
    pofac_status status = stored->get(stored->user, name, NULL, &before);
    if (status == POFAC_ERR_INPUT) return POFAC_OK; /* of the seed: there was nothing to lock */
    if (status != POFAC_OK) return diag_out_of_memory(sink);
    status =
        found ? checkpoint_load(found, IR_F32, sink, &after)
              : diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = dir}, "found no tensor %s, wanted the locked one", name);
    if (status == POFAC_OK) {
        if (tensor_elements(&before) == tensor_elements(&after)) {
            const drift d = compare(&before, &after);
            status = report(dir, name, &before, &d, sink);
        } else {
            status =
                diag_error(sink, POFAC_ERR_RUNTIME, &(diag_place){.file = dir}, "%s: found %" PRId64 " entries, wanted %" PRId64,
                           name, tensor_elements(&after), tensor_elements(&before));
        }
        tensor_free(&after);
    }
    tensor_source_release(stored, name);
    return status;
}

pofac_status locked_pattern_check(const mask_schedule *s, const loaded_model *model, const char *dir, const diag_sink *sink) {
    checkpoint *result;
    TRY(checkpoint_open(dir, sink, &result));
    pofac_status status = POFAC_OK;
    for (size_t i = 0; i < s->n && status == POFAC_OK; i++)
        status = check_weight(result, model, dir, s->pruning.weights[i].name, sink);
    checkpoint_close(result);
    return status;
}
