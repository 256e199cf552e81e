/* Deep copies of diagnostics; see kept_diags.h. */
#include "frontend/data/kept_diags.h"

/* A copy of `text`, NULL for NULL; a failed copy is noted. */
static const char *keep_text(kept_diags *k, const char *text) {
    const char *kept = text ? arena_strdup(&k->texts, text) : NULL;
    if (text && !kept) k->is_short = true;
    return kept;
}

static void emit_kept(void *user, const diag *d) {
    kept_diags *k = user;
    diag kept = *d;
    kept.message = keep_text(k, d->message);
    kept.place.file = keep_text(k, d->place.file);
    kept.place.text = d->place.text ? arena_strndup(&k->texts, d->place.text, d->place.text_bytes) : NULL;
    if (!kept.message || !VEC_PUSH(&k->diags, kept)) k->is_short = true;
}

diag_sink kept_diags_sink(kept_diags *k) { return (diag_sink){emit_kept, k}; }

void kept_diags_send(const kept_diags *k, const diag_sink *to) {
    for (size_t i = 0; to && i < k->diags.size; i++) to->emit(to->user, &k->diags.data[i]);
    if (k->is_short) (void)diag_out_of_memory(to);
}

void kept_diags_free(kept_diags *k) {
    VEC_FREE(&k->diags);
    arena_free(&k->texts);
    k->is_short = false;
}
