/* A run's model -> sizes, the picture of a weight, time by kernel, and the graph of a layer after each pass; see report_parts.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/bench_run.h"
#include "frontend/driver/report_parts.h"
#include "frontend/report/ir_picture.h"
#include "frontend/report/weight_picture.h"

/* ---- messages become sentences ---- */

/* Keeps the first error's text; warnings go on. */
typedef struct listener {
    report *r;
    strbuf error;
} listener;

static void hear(void *user, const diag *d) {
    listener *l = user;
    if (d->severity == DIAG_ERROR && l->error.size == 0) {
        if (d->place.file) strbuf_printf(&l->error, "%s: ", d->place.file);
        strbuf_puts(&l->error, d->message);
    }
    if (d->severity == DIAG_WARNING && l->r->sink) l->r->sink->emit(l->r->sink->user, d);
}

/* What ended a part of the page: memory and signals end the report, all else is a sentence. */
static pofac_status take_failure(report *r, report_run *run, const char *part, pofac_status status, listener *heard) {
    if (status == POFAC_ERR_RUNTIME && strstr(strbuf_str(&heard->error), "out of memory")) return diag_out_of_memory(r->sink);
    if (status != POFAC_OK && status != POFAC_ERR_INTERRUPTED)
        status =
            report_miss(r, run, "No %s: %s.", part, heard->error.size ? strbuf_str(&heard->error) : "a failure without a message");
    strbuf_clear(&heard->error);
    return status;
}

/* ---- sizes ---- */

static void put_group(const size_group *g, const char *class, strbuf *out) {
    strbuf_printf(out, "<tr%s><th scope=\"row\">", class);
    report_put_text(g->name, out);
    strbuf_printf(out, "</th><td>%" PRId64 "</td><td>%.2f %%</td>", g->parameters, 100 * size_factor(g->zeros, g->parameters));
    const int64_t bytes[] = {g->dense_bytes, g->file_bytes, g->memory_bytes};
    for (int i = 0; i < 3; i++) {
        strbuf_printf(out, "<td data-value=\"%" PRId64 "\">", bytes[i]);
        report_put_bytes(bytes[i], out);
        strbuf_puts(out, "</td>");
    }
    strbuf_printf(out, "<td>%.2f x</td><td>%.2f x</td></tr>\n", size_factor(g->dense_bytes, g->file_bytes),
                  size_factor(g->dense_bytes, g->memory_bytes));
}

static void put_sizes(const size_report *s, strbuf *out) {
    const size_group *e = &s->encoder;
    strbuf_puts(out, "<h3>Size</h3>\n<div class=\"scroll\" tabindex=\"0\"><table "
                     "class=\"sizes\"><thead><tr><th scope=\"col\">layer</th><th scope=\"col\">parameters</th><th "
                     "scope=\"col\">zeros</th><th scope=\"col\">in f32</th>"
                     "<th scope=\"col\">in the file</th><th scope=\"col\">in memory</th><th scope=\"col\">f32 / file</th><th "
                     "scope=\"col\">f32 / memory</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < s->n_layers; i++) put_group(&s->layers[i], "", out);
    put_group(&s->all, " class=\"sum\"", out);
    put_group(e, "", out);
    strbuf_printf(
        out,
        "</tbody></table></div>\n<p class=\"quiet\">Nominal compression of the encoder's weights, positions not counted: %.2f x; "
        "really %.2f x in the file and %.2f x in memory.",
        size_factor(8 * e->dense_bytes, e->nonzero_bits), size_factor(e->dense_bytes, e->file_bytes),
        size_factor(e->dense_bytes, e->memory_bytes));
    for (size_t i = 0; i < s->n_files; i++) {
        strbuf_puts(out, i ? ", " : " Files: ");
        report_put_text(s->files[i].name, out);
        strbuf_putc(out, ' ');
        report_put_bytes(s->files[i].bytes, out);
    }
    if (s->n_files) strbuf_putc(out, '.');
    strbuf_puts(out, "</p>\n");
}

/* ---- a weight ---- */

/* The row that is shown: by the option, or the first weight of a linear with a share of zeros that chance does not give. */
static const inspect_row *choose_weight(const report *r, const inspect_result *inspected) {
    for (size_t i = 0; i < inspected->n_rows; i++) {
        const inspect_row *row = &inspected->rows[i];
        const char *layer = r->options->layer;
        if (row->prunable && (layer ? strstr(row->name, layer) != NULL : 20 * row->zeros >= row->elements)) return row;
    }
    return NULL;
}

static void put_weight_text(const weight_picture *p, const inspect_row *row, strbuf *out) {
    const int64_t entries = p->rows * p->columns;
    strbuf_puts(out, "<div><p><code>");
    report_put_text(row->name, out);
    strbuf_printf(out, "</code></p><p>%" PRId64 " x %" PRId64 ", <b>%.2f %%</b> zeros, %" PRId64 " entries that are not.</p><p>",
                  p->rows, p->columns, 100 * size_factor(entries - p->nonzeros, entries), p->nonzeros);
    if (p->block_rows * p->block_columns == 1) strbuf_puts(out, "A dark pixel is an entry that is not zero.");
    else
        strbuf_printf(out,
                      "A pixel is a block of %" PRId64 " x %" PRId64
                      " entries: white, where all are zero; darkest, where %.0f %% are not (least: %.0f %%).",
                      p->block_rows, p->block_columns, 100 * p->greatest, 100 * p->least);
    strbuf_printf(out, " Rows without an entry: %" PRId64 ", columns: %" PRId64 ".</p><p class=\"quiet\">Kernel: <code>",
                  p->empty_rows, p->empty_columns);
    report_put_text(row->kernel, out);
    strbuf_puts(out, "</code>; in memory as <code>");
    report_put_text(row->layout, out);
    strbuf_puts(out, "</code>.</p></div>");
}

static pofac_status put_weight(loaded_model *model, const inspect_row *row, const diag_sink *sink, strbuf *out) {
    const tensor_source *state = loaded_model_state(model);
    weight_picture picture;
    ir_tensor t;
    TRY(state->get(state->user, row->name, sink, &t));
    pofac_status status = weight_picture_make(&t, sink, &picture);
    tensor_source_release(state, row->name);
    TRY(status);
    strbuf_puts(out, "<h3>Non-zeros of a weight</h3>\n<div class=\"pair\">");
    status = weight_picture_put(&picture, row->name, sink, out);
    put_weight_text(&picture, row, out);
    strbuf_puts(out, "</div>\n");
    weight_picture_free(&picture);
    return status;
}

static pofac_status put_weight_or_miss(report *r, report_run *run, loaded_model *model, const inspect_result *inspected,
                                       const diag_sink *sink) {
    const inspect_row *row = choose_weight(r, inspected);
    run->has_layer = row != NULL;
    if (row) return put_weight(model, row, sink, &run->model);
    if (r->options->layer) return report_miss(r, run, "No weight of a linear layer whose name has \"%s\".", r->options->layer);
    return report_miss(r, run,
                       "No picture of non-zeros, as no weight has a share of zeros: `pofac prune`, or training with --pruning_fn, "
                       "makes them; --layer NAME shows "
                       "any weight.");
}

static pofac_status show_sizes(report *r, report_run *run, loaded_model *model, listener *heard) {
    const diag_sink sink = {hear, heard};
    inspect_result inspected;
    pofac_status status = inspect_model(model, &r->options->road, &r->memory, &sink, &inspected);
    if (status == POFAC_OK) status = size_report_make(model, &inspected, &r->memory, &sink, &run->size);
    run->has_size = status == POFAC_OK;
    if (status == POFAC_OK) put_sizes(&run->size, &run->model);
    if (status == POFAC_OK) status = put_weight_or_miss(r, run, model, &inspected, &sink);
    return take_failure(r, run, "sizes", status, heard);
}

/* ---- time ---- */

static pofac_status keep_profile(const run_profile *p, const bench_options *o, const bench_result *result, arena *a,
                                 const diag_sink *sink, report_bench *out) {
    size_t n;
    const profile_row *rows = run_profile_kernels(p, &n);
    *out = (report_bench){.target = result->target,
                          .threads = (int64_t)result->threads,
                          .batch = o->batch,
                          .sequence = o->sequence,
                          .median_ms = result->median_ms,
                          .p90_ms = result->p90_ms,
                          .tokens_per_second = result->tokens_per_second,
                          .kernels = ARENA_ARRAY(a, report_kernel, n + 1),
                          .n_kernels = n};
    for (size_t i = 0; out->kernels && i < n; i++) {
        out->kernels[i] = (report_kernel){.name = arena_strdup(a, rows[i].name),
                                          .steps = (int64_t)rows[i].n_steps,
                                          .ms = profile_row_ms(p, &rows[i]),
                                          .share = profile_row_share(p, &rows[i]),
                                          .gflops = profile_row_gflops(&rows[i]),
                                          .gbytes = profile_row_gbytes(&rows[i])};
        if (!out->kernels[i].name) return diag_out_of_memory(sink);
    }
    if (!out->kernels) return diag_out_of_memory(sink);
    out->is_there = true;
    report_bench_sort(out);
    return POFAC_OK;
}

static pofac_status measure(report *r, report_run *run, loaded_model *model, listener *heard) {
    const diag_sink sink = {hear, heard};
    const report_options *o = r->options;
    const int64_t most = loaded_model_spec(model)->max_position_embeddings;
    const bench_options options = {.batch = o->batch,
                                   .sequence = o->sequence < most ? o->sequence : most,
                                   .warmup = o->warmup,
                                   .iterations = o->iterations,
                                   .seed = o->model.seed,
                                   .stop = o->stop};
    bench_result result;
    run_profile *profile = run_profile_create();
    if (!profile) return diag_out_of_memory(r->sink);
    pofac_status status = bench_run(model, &o->road, &options, profile, &r->memory, &sink, &result);
    if (status == POFAC_OK) status = keep_profile(profile, &options, &result, &r->memory, &sink, &run->bench);
    run_profile_destroy(profile);
    return take_failure(r, run, "time by kernel", status, heard);
}

/* ---- the graph ---- */

typedef struct views {
    arena *a;
    const diag_sink *sink;
    pofac_status status;
    VEC(ir_view) list;
} views;

static void add_view(void *user, const char *title, const ir_module *m) {
    views *v = user;
    ir_view view;
    if (v->status != POFAC_OK) return;
    v->status = ir_view_make(module_find_graph(m, ROAD_GRAPH), title, v->a, v->sink, &view);
    if (v->status == POFAC_OK && !VEC_PUSH(&v->list, view)) v->status = diag_out_of_memory(v->sink);
}

/* Passes that change something outside of the layer alone are not shown: their picture would be that of before. */
static pofac_status compare_views(views *v) {
    size_t n = v->list.size ? 1 : 0;
    for (size_t i = 1; i < v->list.size; i++) {
        ir_view *before = &v->list.data[n - 1], *after = &v->list.data[i];
        TRY(ir_view_compare(before, after, v->sink));
        if (after->n_new || after->n_gone || after->n_edges != before->n_edges) v->list.data[n++] = *after;
    }
    v->list.size = n;
    return POFAC_OK;
}

static pofac_status make_views(report *r, loaded_model *model, views *v) {
    road_options road = r->options->road;
    const pass_observer observer = {.print_changed = true, .dump = add_view, .user = v};
    ir_module *m;
    road.observer = &observer;
    road.layers = 1;
    TRY(road_build(model, &road, v->sink, &m));
    add_view(v, "before all passes", m);
    TRY(road_optimize(model, m, &road, v->sink, &m));
    module_destroy(m);
    TRY(v->status);
    return compare_views(v);
}

static pofac_status show_graph(report *r, report_run *run, loaded_model *model, listener *heard) {
    const diag_sink sink = {hear, heard};
    arena memory = ARENA_INIT;
    views v = {&memory, &sink, POFAC_OK, {NULL, 0, 0}};
    pofac_status status = make_views(r, model, &v);
    if (status == POFAC_OK)
        strbuf_puts(&run->model, "<h3>One encoder layer, pass by pass</h3>\n<p class=\"quiet\">The model with its first layer "
                                 "alone. Each picture is the graph after a pass that "
                                 "changed the layer: <span class=\"key new\"></span>made or changed by this pass, <span "
                                 "class=\"key goes\"></span>changed or taken away by the next, "
                                 "<span class=\"key group\"></span>filled with one colour: one kernel. Parameters stand in the "
                                 "boxes that read them.</p>\n<div class=\"strip\" tabindex=\"0\">");
    for (size_t i = 0; i < v.list.size && status == POFAC_OK; i++) status = ir_view_put(&v.list.data[i], &sink, &run->model);
    if (status == POFAC_OK) strbuf_puts(&run->model, "</div>\n");
    VEC_FREE(&v.list);
    arena_free(&memory);
    return take_failure(r, run, "graph of a layer", status, heard);
}

/* ---- all of it ---- */

static pofac_status show(report *r, report_run *run, loaded_model *model, listener *heard) {
    const model_spec *s = loaded_model_spec(model);
    strbuf_printf(&run->model,
                  "<p>%s, %" PRId64 " layers, hidden %" PRId64 ", %" PRId64 " heads, intermediate %" PRId64 ", vocabulary %" PRId64
                  "; head %s; computes in %s.</p>\n",
                  model_arch_name(s->arch), s->num_hidden_layers, s->hidden_size, s->num_attention_heads, s->intermediate_size,
                  s->vocab_size, model_head_name(s->head), road_arithmetic(model, &r->options->road));
    TRY(show_sizes(r, run, model, heard));
    if (interruption_check(r->options->stop)) return POFAC_ERR_INTERRUPTED;
    if (r->options->bench) TRY(measure(r, run, model, heard));
    else if (!run->bench.is_there) TRY(report_miss(r, run, "No time by kernel: it is measured without --bench=false."));
    report_put_bench(&run->bench, &run->model);
    return show_graph(r, run, model, heard);
}

pofac_status report_model(report *r, report_run *run) {
    listener heard = {r, STRBUF_INIT};
    const diag_sink sink = {hear, &heard};
    loaded_model *model = NULL;
    if (!run->model_path) {
        report_put_bench(&run->bench, &run->model);
        return POFAC_OK;
    }
    pofac_status status = loaded_model_open(run->model_path, &r->options->model, &sink, &model);
    if (status == POFAC_OK) status = show(r, run, model, &heard);
    else if (status == POFAC_ERR_INPUT && run->is_only_model)
        diag_error(r->sink, status, NULL, "%s", heard.error.size ? strbuf_str(&heard.error) : run->path);
    else status = take_failure(r, run, "model", status, &heard);
    loaded_model_close(model);
    strbuf_free(&heard.error);
    return status;
}
