/*
 * Pipelines as text, run on a small module: text that is refused has one error with its place; text that is not prints, reads back and
 * prints the same; and passes run in any order on what others leave, since all of them take every valid module.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"
#include "passes/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS_RUN 40

static const char module_text[] = "graph @classifier (B <= 8, S <= 16) {\n"
                                  "  %1 = input {name = \"mask\"} : i64[B,S]\n"
                                  "  %2 = reshape %1 : i64[B*S]\n"
                                  "  %3 = input {name = \"ids\"} : i64[B,S]\n"
                                  "  %4 = reshape %3 : i64[B*S]\n"
                                  "  %5 = padded_offsets %3 : i32[B+1]\n"
                                  "  %6 = row_positions %5, %4 : i32[B*S]\n"
                                  "  %7 = state {name = \"words\"} : f32[9,4]\n"
                                  "  %8 = state {name = \"positions\"} : f32[16,4]\n"
                                  "  %9 = state {name = \"vector\"} : f32[4]\n"
                                  "  scope \"embeddings\"\n"
                                  "  %10 = embedding %7, %4 : f32[B*S,4]\n"
                                  "  %11 = embedding %8, %6 : f32[B*S,4]\n"
                                  "  %12 = add %11, %10 : f32[B*S,4]\n"
                                  "  %13:3 = layer_norm %12, %9, %9 {eps = 1e-12} : f32[B*S,4], f32[B*S], f32[B*S]\n"
                                  "  scope \"encoder.layer.0\"\n"
                                  "  %14 = state {name = \"weight\"} : f32[4,4]\n"
                                  "  %15 = linear %13, %14, %9 : f32[B*S,4]\n"
                                  "  %16 = linear %13, %14, %9 : f32[B*S,4]\n"
                                  "  %17:2 = attention %15, %16, %13, %5, %2 {heads = 2, scale = 0.5} : f32[B*S,4], f32[B*S,2]\n"
                                  "  %18 = linear %17, %14 : f32[B*S,4]\n"
                                  "  %19 = add %18, %13 : f32[B*S,4]\n"
                                  "  %20:3 = layer_norm %19, %9, %9 {eps = 1e-12} : f32[B*S,4], f32[B*S], f32[B*S]\n"
                                  "  %21 = linear %20, %14 : f32[B*S,4]\n"
                                  "  %22 = gelu %21 : f32[B*S,4]\n"
                                  "  %23 = pattern {name = \"sparse\"} : pattern[4,4]\n"
                                  "  %24 = state {name = \"sparse\"} : f32[nnz(%23)]\n"
                                  "  %25 = linear %22, %24, _, %23 : f32[B*S,4]\n"
                                  "  scope \"head\"\n"
                                  "  %26 = constant {value = [1]} : f32[4]\n"
                                  "  %27 = sub %26, %26 : f32[4]\n"
                                  "  %28 = add %25, %27 : f32[B*S,4]\n"
                                  "  %29 = first_rows %5 : i32[B]\n"
                                  "  %30 = gather_rows %28, %29 : f32[B,4]\n"
                                  "  %31 = linear %30, %14, %9 : f32[B,4]\n"
                                  "  %32 = tanh %31 : f32[B,4]\n"
                                  "  return \"logits\" = %32\n"
                                  "}\n"
                                  "graph @step (T <= 64) {\n"
                                  "  %1 = input {name = \"x\"} : f32[T,4]\n"
                                  "  %2 = state {name = \"weight\"} : f32[4,4]\n"
                                  "  %3 = linear %1, %2 {group = 1} : f32[T,4]\n"
                                  "  %4 = gelu %3 {group = 1, slot = [0]} : f32[T,4]\n"
                                  "  %5 = relayout %4 {slot = [1]} : f32[T,4] tiles<16>\n"
                                  "  %6 = cast %5 : f64[T,4] tiles<16>\n"
                                  "  %7 = slice %6 {begin = 0, end = 2} : f64[T,2] tiles<16>\n"
                                  "  %8 = reshape %7 : f64[2*T]\n"
                                  "  %9 = tanh %2 : f32[4,4]\n"
                                  "  return \"y\" = %8, \"weight\" = %9\n"
                                  "}\n";

static void check_place(void *user, const diag *d) {
    size_t *errors = user;
    (*errors)++;
    if (d->status != POFAC_ERR_USAGE || !d->place.file || !d->place.line || !d->place.column || !d->place.text) abort();
}

static void check_printed(const pass_pipeline *p) {
    strbuf text = STRBUF_INIT, again = STRBUF_INIT;
    arena memory = ARENA_INIT;
    pass_pipeline back;
    pipeline_print(p, 0, &text);
    if (pipeline_parse(strbuf_str(&text), &memory, NULL, &back) != POFAC_OK || back.n_steps != p->n_steps) abort();
    pipeline_print(&back, 0, &again);
    if (strcmp(strbuf_str(&text), strbuf_str(&again)) != 0) abort();
    arena_free(&memory);
    strbuf_free(&text);
    strbuf_free(&again);
}

static void check_run(const pass_pipeline *p) {
    ir_context *c = context_create();
    ir_module *m, *out;
    if (!c || text_parse_module(c, "module.pir", module_text, sizeof module_text - 1, NULL, NULL, &m) != POFAC_OK) abort();
    if (pipeline_run(p, m, NULL, NULL, NULL, &out) != POFAC_OK) abort();
    module_destroy(out);
    context_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena memory = ARENA_INIT;
    size_t errors = 0;
    const diag_sink sink = {check_place, &errors};
    pass_pipeline p;
    char *text = arena_strndup(&memory, (const char *)data, size);
    if (!text) abort();
    pofac_status status = pipeline_parse(text, &memory, &sink, &p);
    if (errors != (status != POFAC_OK) || (status != POFAC_OK && p.n_steps > 0)) abort();
    if (status == POFAC_OK) check_printed(&p);
    if (status == POFAC_OK && p.n_steps <= MAX_STEPS_RUN) check_run(&p);
    arena_free(&memory);
    return 0;
}
