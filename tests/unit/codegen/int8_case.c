/* Products of 8 bits; see int8_case.h. */
#include <math.h>
#include <string.h>

#include "tests/unit/codegen/int8_case.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

void int8_case_range(named_tensors *to, const char *name, double min, double max) {
    named_tensors_add_doubles(to, name, IR_F32, 1, DIMS(2), (const double[]){min, max});
}

/* x in bytes, %5. */
static void put_activations(strbuf *text, const int8_case *c) {
    const int K = (int)c->K, W = c->W;
    strbuf_printf(text,
                  "graph @g (T <= 4096) {\n"
                  "  %%1 = input {name = \"x\"} : f32[T,%d]\n"
                  "  %%2 = state {name = \"x.range\"} : f32[2]\n"
                  "  %%3 = relayout %%1 : f32[T,%d] tiles<%d>\n",
                  K, K, W);
    if (c->by_row) strbuf_printf(text, "  %%4 = row_range %%3 : f32[T,2] tiles<%d>\n", W);
    strbuf_printf(text, "  %%5 = quantize %%3, %%%d : u8[T,%d] %s<%d>\n", c->by_row ? 4 : 2, K, c->tiles ? "tiles" : "quads", W);
}

/* %7 and its range, %8. */
static void put_weight(strbuf *text, const int8_case *c) {
    const int N = (int)c->N, K = (int)c->K;
    if (c->sparse)
        strbuf_printf(text, "  %%6 = pattern {name = \"w\"} : pattern[%d,%d]\n  %%7 = state {name = \"w\"} : f32[nnz(%%6)]\n", N,
                      K);
    else strbuf_printf(text, "  %%7 = state {name = \"w\"} : f32[%d,%d]\n", N, K);
    strbuf_puts(text, "  %8 = state {name = \"w.range\"} : ");
    if (c->by_channel) strbuf_printf(text, "f32[%d,2]\n", N);
    else strbuf_puts(text, "f32[2]\n");
}

/* Does something else come to the product, %13? */
static bool adds(const int8_case *c) { return strcmp(c->tail, "add") == 0; }

void int8_case_put_product(strbuf *text, const int8_case *c) {
    const int N = (int)c->N, W = c->W;
    const bool grouped = c->tail[0] || c->bytes;
    put_activations(text, c);
    put_weight(text, c);
    strbuf_printf(text,
                  "  %%9 = state {name = \"b\"} : f32[%d]\n"
                  "  %%10 = state {name = \"out.range\"} : f32[2]\n"
                  "  %%11 = state {name = \"next.range\"} : f32[2]\n",
                  N);
    if (adds(c))
        strbuf_printf(text, "  %%12 = input {name = \"r\"} : f32[T,%d]\n  %%13 = relayout %%12 : f32[T,%d] tiles<%d>\n", N, N, W);
    strbuf_printf(text, "  %%14 = linear_int8 %%5, %%%d, %%7, %%8, %s, %s%s", c->by_row ? 4 : 2, c->bias ? "%9" : "_",
                  c->requantize ? "%10" : "_", c->sparse ? ", %6" : "");
    if (c->variant) strbuf_printf(text, " {variant = \"%s\"%s}", c->variant, grouped ? ", group = 1" : "");
    else if (grouped) strbuf_puts(text, " {group = 1}");
    strbuf_printf(text, " : f32[T,%d] tiles<%d>\n", N, W);
}

void int8_case_put_rest(strbuf *text, const int8_case *c) {
    const int N = (int)c->N, W = c->W;
    int last = 14;
    if (c->tail[0]) {
        strbuf_printf(text, "  %%%d = %s %%%d%s {group = 1} : f32[T,%d] tiles<%d>\n", last + 1, c->tail, last,
                      adds(c) ? ", %13" : "", N, W);
        last++;
    }
    if (c->bytes) {
        strbuf_printf(text, "  %%%d = quantize %%%d, %%11 {group = 1} : u8[T,%d] %s<%d>\n", last + 1, last, N, c->bytes, W);
        last++;
    }
    strbuf_printf(text, "  %%%d = relayout %%%d : %s[T,%d]\n  return \"y\" = %%%d\n}\n", last + 1, last, c->bytes ? "u8" : "f32", N,
                  last + 1);
}

kernel_fixture int8_case_begin(const int8_case *c) {
    kernel_fixture f = kernel_fixture_begin();
    kernel_case_reals(&f.inputs, "x", 2, DIMS(c->T, c->K));
    kernel_case_reals(&f.inputs, "r", 2, DIMS(c->T, c->N));
    kernel_case_reals(&f.state, "w", 2, DIMS(c->N, c->K));
    ir_tensor *b = kernel_case_reals(&f.state, "b", 1, DIMS(c->N));
    for (int64_t i = 0; i < c->N; i += 3) tensor_set(b, i, 1e4 * tensor_get(b, i)); /* beyond 2^23 units */
    int8_case_range(&f.state, "x.range", -0.875, 0.95);
    int8_case_range(&f.state, "out.range", -3, 5);
    int8_case_range(&f.state, "next.range", -0.5, 4);
    if (c->by_channel) {
        ir_tensor *ranges = kernel_case_reals(&f.state, "w.range", 2, DIMS(c->N, 2));
        for (int64_t i = 0; i < 2 * c->N; i++) tensor_set(ranges, i, (i % 2 ? 1 : -1) * fabs(tensor_get(ranges, i)));
    } else int8_case_range(&f.state, "w.range", -1, 0.5);
    int8_case_put_product(&f.text, c);
    return f;
}

/* Of an element of the weight: 1 or -1. */
static int sign_at(int64_t row, int64_t column) {
    const int64_t phase = row / 8;
    if (row % 4 < 2) return row % 4 == 0 ? 1 : -1;
    return (row % 4 == 2 ? phase + column / 2 : phase + column) % 2 ? 1 : -1;
}

void int8_case_go_to_ends(kernel_fixture *f) {
    ir_tensor *x = named_tensors_find(&f->inputs, "x"), *w = named_tensors_find(&f->state, "w");
    const int64_t N = w->dims[0], K = w->dims[1];
    for (int64_t i = 0; i < tensor_elements(x); i++) tensor_set(x, i, 2);
    for (int64_t i = 0; i < N * K; i++)
        if (tensor_get(w, i) != 0) tensor_set(w, i, 3 * sign_at(i / K, i % K));
}

double int8_case_bound(const int8_case *c) {
    const bool exact = strcmp(c->tail, "gelu") != 0 && strcmp(c->tail, "tanh") != 0;
    return exact ? 0 : c->bytes ? 1 : 2e-5;
}

int64_t int8_case_run(kernel_fixture *f, const char *kernel, int8_case_machines on, double absolute) {
    const kernel_case c = {.text = strbuf_str(&f->text),
                           .kernel = kernel,
                           .inputs = &f->inputs,
                           .state = &f->state,
                           .plain = on == INT8_CASE_AND_PLAIN,
                           .absolute = absolute};
    const int64_t compared = kernel_case_run(&c);
    named_tensors_free(&f->inputs);
    named_tensors_free(&f->state);
    strbuf_free(&f->text);
    return compared;
}
