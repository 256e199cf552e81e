/* Writing answers; see qa_output.h. JSON as Python's json.dumps writes it with indent=4, but UTF-8 is not escaped. */
#include "frontend/data/qa_output.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/file_map.h"
#include "ir/support/json_text.h"
#include "ir/support/vector.h"

enum { PREDICTIONS, N_BEST, NULL_ODDS, N_FILES };

struct qa_output {
    qa_answer_options options;
    file_writer *files[N_FILES]; /* NULL: is not written */
    strbuf texts[N_FILES];
    bool has_some;
    VEC(qa_choice) choices;
};

/* The name of another file beside `path`. */
static bool put_name(const char *path, const char *name, strbuf *out) {
    static const char ending[] = "predictions.json", plain[] = ".json";
    const size_t n = strlen(path), n_ending = sizeof ending - 1, n_plain = sizeof plain - 1;
    strbuf_clear(out);
    if (n >= n_ending && strcmp(path + n - n_ending, ending) == 0) {
        strbuf_append(out, path, n - n_ending);
    } else {
        strbuf_append(out, path, n >= n_plain && strcmp(path + n - n_plain, plain) == 0 ? n - n_plain : n);
        strbuf_putc(out, '_');
    }
    strbuf_puts(out, name);
    return strbuf_ok(out);
}

static pofac_status open_files(qa_output *o, const char *path, const diag_sink *sink) {
    static const char *const names[N_FILES] = {NULL, "nbest_predictions.json", "null_odds.json"};
    strbuf name = STRBUF_INIT;
    pofac_status status = file_writer_open(path, sink, &o->files[PREDICTIONS]);
    for (int i = N_BEST; i < N_FILES && status == POFAC_OK; i++) {
        if (i == NULL_ODDS && !o->options.may_be_null) continue;
        status =
            put_name(path, names[i], &name) ? file_writer_open(strbuf_str(&name), sink, &o->files[i]) : diag_out_of_memory(sink);
    }
    strbuf_free(&name);
    return status;
}

pofac_status qa_output_open(const char *path, const qa_answer_options *options, const diag_sink *sink, qa_output **out) {
    *out = NULL;
    qa_output *o = calloc(1, sizeof *o);
    if (!o) return diag_out_of_memory(sink);
    o->options = *options;
    pofac_status status = open_files(o, path, sink);
    if (status == POFAC_OK) *out = o;
    else qa_output_abandon(o);
    return status;
}

static void put_text(const qa_span *span, const squad_text *context, strbuf *out) {
    strbuf_put_json(out, span ? context->text + span->begin_byte : "", span ? span->end_byte - span->begin_byte : 0);
}

static void put_choice(const qa_choice *c, const squad_text *context, strbuf *out) {
    strbuf_puts(out, "        {\n            \"start_logit\": ");
    json_put_real((double)c->start_logit, out);
    strbuf_puts(out, ",\n            \"end_logit\": ");
    json_put_real((double)c->end_logit, out);
    strbuf_puts(out, ",\n            \"text\": ");
    put_text(c->span, context, out);
    strbuf_puts(out, ",\n            \"probability\": ");
    json_put_real(c->probability, out);
    strbuf_puts(out, "\n        }");
}

pofac_status qa_output_put(qa_output *o, const squad_text *id, const squad_text *context, const qa_answers *answers,
                           const diag_sink *sink) {
    double null_odds;
    const qa_span *best = qa_answers_best(answers, &o->options, &null_odds);
    if (!VEC_RESERVE(&o->choices, answers->size + 1)) return diag_out_of_memory(sink);
    o->choices.size = qa_answers_list(answers, &o->options, o->choices.data);
    for (int i = 0; i < N_FILES; i++) {
        strbuf_clear(&o->texts[i]);
        strbuf_puts(&o->texts[i], o->has_some ? ",\n    " : "{\n    ");
        strbuf_put_json(&o->texts[i], id->text, id->bytes);
        strbuf_puts(&o->texts[i], ": ");
    }
    o->has_some = true;
    put_text(best, context, &o->texts[PREDICTIONS]);
    json_put_real(null_odds, &o->texts[NULL_ODDS]);
    for (size_t i = 0; i < o->choices.size; i++) {
        strbuf_puts(&o->texts[N_BEST], i ? ",\n" : "[\n");
        put_choice(&o->choices.data[i], context, &o->texts[N_BEST]);
    }
    strbuf_puts(&o->texts[N_BEST], "\n    ]");
    for (int i = 0; i < N_FILES; i++) {
        if (!strbuf_ok(&o->texts[i])) return diag_out_of_memory(sink);
        if (o->files[i]) TRY(file_writer_write(o->files[i], o->texts[i].data, o->texts[i].size));
    }
    return POFAC_OK;
}

pofac_status qa_output_commit(qa_output *o) {
    const char *end = o->has_some ? "\n}\n" : "{}\n";
    pofac_status status = POFAC_OK;
    for (int i = 0; i < N_FILES; i++)
        if (o->files[i] && status == POFAC_OK) status = file_writer_write(o->files[i], end, strlen(end));
    for (int i = 0; i < N_FILES && status == POFAC_OK; i++) {
        file_writer *file = o->files[i];
        o->files[i] = NULL;
        if (file) status = file_writer_commit(file);
    }
    qa_output_abandon(o);
    return status;
}

void qa_output_abandon(qa_output *o) {
    if (!o) return;
    for (int i = 0; i < N_FILES; i++) {
        file_writer_abandon(o->files[i]);
        strbuf_free(&o->texts[i]);
    }
    VEC_FREE(&o->choices);
    free(o);
}
