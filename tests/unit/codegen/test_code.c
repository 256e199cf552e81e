/*
 * What the code of kernels looks like: it calls nothing and refers to nothing outside of its object, on every target of the table,
 * also on those of other machines; the inner loop of linear layers keeps everything in registers; code stays compact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/kernel.h"
#include "codegen/target.h"
#include "ir/text.h"
#include "tests/unit/codegen/assembly_text.h"

/* Every kernel once. */
static const char every_kernel[] =
    "graph @g (B <= 64, M <= 32768, S <= 512, T <= 32768) {\n"
    "  %1 = input {name = \"ids\"} : i64[B,S]\n"
    "  %2 = input {name = \"keep\"} : i64[B,S]\n"
    "  %3 = state {name = \"table\"} : f32[100,48]\n"
    "  %4 = state {name = \"w\"} : f32[48,48]\n"
    "  %5 = state {name = \"b\"} : f32[48]\n"
    "  %6 = reshape %1 : i64[B*S]\n"
    "  %7 = reshape %2 : i64[B*S]\n"
    "  %8 = padded_offsets %1 : i32[B+1]\n"
    "  %9 = row_positions %8, %6 : i32[B*S]\n"
    "  %10 = first_rows %8 : i32[B]\n"
    "  %11 = embedding %3, %6 {group = 1} : f32[B*S,48]\n"
    "  %12 = embedding %3, %9 {group = 1} : f32[B*S,48]\n"
    "  %13 = add %11, %12 {group = 1} : f32[B*S,48]\n"
    "  %14 = relayout %13 {group = 1} : f32[B*S,48] tiles<32>\n"
    "  %15:3 = layer_norm %14, %5, %5 {eps = 1e-12, group = 1} : f32[B*S,48] tiles<32>, f32[B*S], f32[B*S]\n"
    "  %16 = linear %15, %4, %5 : f32[B*S,48] tiles<32>\n"
    "  %17:2 = attention %16, %16, %15, %8, %7 {heads = 4, scale = 0.25} : f32[B*S,48] tiles<32>, f32[B*S,4] tiles<32>\n"
    "  %18 = linear %17, %4, %5 {group = 2} : f32[B*S,48] tiles<32>\n"
    "  %19 = gelu %18 {group = 2} : f32[B*S,48] tiles<32>\n"
    "  %20 = gather_rows %19, %10 : f32[B,48] tiles<32>\n"
    "  %21 = tanh %20 : f32[B,48] tiles<32>\n"
    "  %22 = relayout %21 : f32[B,48]\n"
    "  %23 = gelu %22 {form = \"tanh\"} : f32[B,48]\n"
    "  %24 = slice %23 {begin = 3, end = 40} : f32[B,37]\n"
    "  %25 = cast %1 : f32[B,S]\n"
    "  %26:2 = kept_rows %2 {rows = \"T\"} : i32[T], i32[B+1]\n"
    "  %27 = gather_rows %6, %26 : i64[T]\n"
    "  %28 = scatter_rows %27, %26, %6 : i64[B*S]\n"
    "  %29 = add %19, %16 {group = 3} : f32[B*S,48] tiles<32>\n"
    "  %30:3 = layer_norm %29, %5, %5 {eps = 1e-12, group = 3} : f32[B*S,48] tiles<32>, f32[B*S], f32[B*S]\n"
    "  %31 = relayout %30 : f32[B*S,48]\n"
    "  %32 = pattern {name = \"p\"} : pattern[48,48]\n"
    "  %33:2 = linear_weight_gradient %16, %18, %32 : f32[nnz(%32)], f32[48]\n"
    "  %34 = state {name = \"p\"} : f32[nnz(%32)]\n"
    "  %35 = linear %16, %34, %5, %32 : f32[B*S,48] tiles<32>\n"
    "  %36 = linear_input_gradient %16, %33, %32 : f32[B*S,48] tiles<32>\n"
    "  %37 = relayout %36 : f32[B*S,48]\n"
    "  %38:2 = linear_weight_gradient %16, %18 : f32[48,48], f32[48]\n"
    "  %39 = input {name = \"rate\"} : f32[]\n"
    "  %40 = input {name = \"step\"} : i64[]\n"
    "  %41:3 = adamw %34, %33, %34, %34, %39, %39, %40 {weight_decay = 0.01} : f32[nnz(%32)], f32[nnz(%32)], f32[nnz(%32)]\n"
    "  %42:2 = sgd %4, %38, %4, %39, %39 {momentum = 0.9} : f32[48,48], f32[48,48]\n"
    "  %43 = sum_of_squares %33 : f32[]\n"
    "  %44 = clip_factor %43 {max_norm = 1} : f32[]\n"
    "  %45 = dense_to_sparse %38, %32 : f32[nnz(%32)]\n"
    "  %46 = sparse_to_dense %45, %32 : f32[48,48]\n"
    "  %47 = linear %16, %38 : f32[B*S,48] tiles<32>\n"
    "  %48:3 = layer_norm_gradient %16, %35, %5, %15#1, %15#2 : f32[B*S,48] tiles<32>, f32[48], f32[48]\n"
    "  %49 = input {name = \"row_keys\"} : i64[B*S]\n"
    "  %50 = input {name = \"random\"} : i64[2]\n"
    "  %51:3 = attention_gradient %16, %16, %15, %8, %17, %17#1, %16, %7, _, %49, %50 {heads = 4, scale = 0.25, rate = 0.1} : "
    "f32[B*S,48] tiles<32>, f32[B*S,48] tiles<32>, f32[B*S,48] tiles<32>\n"
    "  %52 = cast %30 : bf16[B*S,48] tiles<32>\n"
    "  %70 = cross_entropy %31, %7 : f32[]\n"
    "  %71 = cross_entropy_gradient %31, %7, %70 : f32[B*S,48]\n"
    "  %72 = mean_squared_error %31, %71 : f32[]\n"
    "  %73 = mean_squared_error_gradient %31, %71, %72 : f32[B*S,48]\n"
    "  %74 = row_keys %8, %7, %40 : i64[B*S]\n"
    "  %75 = widen %73 {begin = 1, features = 50} : f32[B*S,50]\n"
    "  %76 = scatter_rows %21, %10, %19 : f32[B*S,48] tiles<32>\n"
    "  %77 = relayout %76 : f32[B*S,48]\n"
    "  %80 = labelled_rows %6 {rows = \"M\"} : i32[M]\n"
    "  %81 = gather_rows %16, %80 : f32[M,48] tiles<32>\n"
    "  %82 = gather_rows %6, %80 : i64[M]\n"
    "  %83:4 = linear_cross_entropy %81, %4, %82, %5, %39 : f32[], f32[M,48] tiles<32>, f32[48,48], f32[48]\n"
    "  %78 = kl_divergence %31, %71 {temperature = 2} : f32[]\n"
    "  %79 = kl_divergence_gradient %31, %71, %78 {temperature = 2} : f32[B*S,48]\n"
    "  %91:2 = squared_distance %16, %15, %7, %39 : f32[], f32[B*S,48] tiles<32>\n"
    "  %92:2 = cosine_distance %16, %15, %7, %39 : f32[], f32[B*S,48] tiles<32>\n"
    "  %93:3 = attention_distance %16, %16, %15, %8, %17#1, %15, %17#1, %7, %39 {heads = 4, scale = 0.25} : f32[], "
    "f32[B*S,48] tiles<32>, f32[B*S,48] tiles<32>\n"
    "  %94 = descend %34, %33, %39, %39 : f32[nnz(%32)]\n"
    "  %95 = state {name = \"range\"} : f32[2]\n"
    "  %96 = quantize %16, %95 : u8[B*S,48] quads<32>\n"
    "  %97 = row_range %16 : f32[B*S,2] tiles<32>\n"
    "  %98 = linear_int8 %96, %95, %34, %95, _, _, %32 : f32[B*S,48] tiles<32>\n"
    "  %99 = linear_int8 %96, %97, %4, %95 : f32[B*S,48] tiles<32>\n"
    "  %100 = observe_range %16, %95 : f32[2]\n"
    "  %101 = state {name = \"ranges\"} : f32[48,2]\n"
    "  %102 = observe_range %4, %101 : f32[48,2]\n"
    "  %103 = fake_quantize %34, %95 : f32[nnz(%32)]\n"
    "  %104 = fake_quantize %4, %101 {scheme = \"symmetric\"} : f32[48,48]\n"
    "  %84 = sampled_rows %6, %74, %50 {rows = \"M\", share = 0.5} : i32[M]\n"
    "  %85 = input {name = \"likely_ids\"} : i32[M,3]\n"
    "  %86 = input {name = \"likely\"} : f32[M,3]\n"
    "  %87:4 = linear_kl_divergence %81, %4, %81, %4, %5, %5, %84, %39 {temperature = 2} : f32[], f32[M,48] tiles<32>, f32[48,48], "
    "f32[48]\n"
    "  %88:4 = linear_soft_cross_entropy %81, %4, %85, %86, %5 {temperature = 2} : f32[], f32[M,48] tiles<32>, f32[48,48], "
    "f32[48]\n"
    "  %90 = embedding_gradient %31, %6 : f32[100,48]\n"
    "  return \"seen\" = %100, \"seen_rows\" = %102, \"fake\" = %103, \"fake_rows\" = %104, \"bytes\" = %98, \"dense_bytes\" = "
    "%99, \"rows\" = %90, \"scores\" = %94, \"apart\" = %91, \"dapart\" = %91#1, \"angle\" = %92, \"dangle\" = %92#1, "
    "\"looks\" = %93, \"dlooks\" = %93#1, \"few\" = %78, \"dfew\" = %79, \"whole\" = %87, \"dwhole\" = %87#2, \"top\" = %88, "
    "\"dtop\" = %88#1, "
    "\"loss\" = %83, \"dloss\" = "
    "%83#1, \"dtable\" = %83#2, \"dclasses\" = %83#3, \"keys\" = %74, "
    "\"wide\" = %75, \"spread\" = %77, \"half\" = %52, \"dgamma\" = %48#1, \"dq\" = %51, \"dk\" = %51#1, \"dv\" = %51#2, \"again\" "
    "= %47, \"there\" = %46, \"clip\" = %44, "
    "\"adamw\" = %41, \"adamw.m\" = %41#1, \"adamw.v\" = %41#2, \"sgd\" = %42, \"sgd.u\" "
    "= %42#1, \"dense\" = %38, \"dx\" "
    "= %37, \"sparse\" = %35, \"dw\" = %33, \"db\" = %33#1, \"norm\" = %31, \"y\" = %24, \"lse\" "
    "= %17#1, "
    "\"cast\" = %25, \"mean\" = %15#1, \"ids\" = %28\n"
    "}\n";

static const char linear_kernel[] = "graph @g (T <= 4096) {\n"
                                    "  %1 = input {name = \"x\"} : f32[T,768] tiles<32>\n"
                                    "  %2 = state {name = \"w\"} : f32[768,768]\n"
                                    "  %3 = state {name = \"b\"} : f32[768]\n"
                                    "  %4 = linear %1, %2, %3 : f32[T,768] tiles<32>\n"
                                    "  return \"y\" = %4\n"
                                    "}\n";

static const char weight_gradient_kernel[] = "graph @g (T <= 4096) {\n"
                                             "  %1 = input {name = \"x\"} : f32[T,768] tiles<32>\n"
                                             "  %2 = input {name = \"dy\"} : f32[T,768] tiles<32>\n"
                                             "  %3 = pattern {name = \"w\"} : pattern[768,768]\n"
                                             "  %4:2 = linear_weight_gradient %1, %2, %3 : f32[nnz(%3)], f32[768]\n"
                                             "  return \"dw\" = %4\n"
                                             "}\n";

static strbuf emit(const char *text, const char *isa, cg_emit_kind kind) {
    strbuf out = STRBUF_INIT, messages = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&messages);
    ir_context *c = context_create();
    ir_module *m = NULL;
    cg_options options = {.cache_dir = NULL};
    if (target_of_row(isa, &sink, &options.target) != POFAC_OK ||
        text_parse_module(c, "test", text, strlen(text), NULL, &sink, &m) != POFAC_OK ||
        cg_emit(m, "g", &options, kind, &sink, &out) != POFAC_OK)
        fail_msg("%s: %s", isa, strbuf_str(&messages));
    module_destroy(m);
    context_destroy(c);
    strbuf_free(&messages);
    return out;
}

/* ---- calls nothing ---- */

static void want_no_word(const char *assembly, const char *isa, const char *word) {
    for (const char *at = assembly; (at = strstr(at, word)) != NULL; at++) {
        const char *end = strchr(at, '\n');
        fail_msg("%s: the code of kernels has \"%.*s\"", isa, (int)(end ? end - at : 20), at);
    }
}

/* Every symbol of the object is defined in it. */
static void want_closed(const strbuf *object, const char *isa) {
    Elf64_Ehdr header;
    assert_true(object->size > sizeof header);
    memcpy(&header, object->data, sizeof header);
    size_t n_symbols = 0;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        memcpy(&section, object->data + header.e_shoff + (size_t)i * sizeof section, sizeof section);
        if (section.sh_type != SHT_SYMTAB) continue;
        for (size_t s = 1; s < section.sh_size / sizeof(Elf64_Sym); s++, n_symbols++) {
            Elf64_Sym symbol;
            memcpy(&symbol, object->data + section.sh_offset + s * sizeof symbol, sizeof symbol);
            if (symbol.st_shndx == SHN_UNDEF) fail_msg("%s: symbol %zu of the object is not defined in it", isa, s);
        }
    }
    assert_true(n_symbols > 0);
}

static void kernels_call_nothing_on_any_target(void **state) {
    (void)state;
    for (size_t i = 0; cg_target_row(i); i++) {
        const char *isa = cg_target_row(i)->name;
        strbuf assembly = emit(every_kernel, isa, CG_EMIT_ASM), object = emit(every_kernel, isa, CG_EMIT_OBJ);
        for (size_t k = 0; cg_kernel_row(k); k++) {
            char symbol[64];
            snprintf(symbol, sizeof symbol, "\n%s_", cg_kernel_row(k)->name);
            if (kernel_rows[k].emit && !strstr(assembly.data, symbol))
                fail_msg("%s: the graph of this test has no kernel %s", isa, cg_kernel_row(k)->name);
        }
        want_no_word(assembly.data, isa, "\tcall");
        want_no_word(assembly.data, isa, "\tbl\t");
        want_no_word(assembly.data, isa, "@PLT");
        want_no_word(assembly.data, isa, "@GOT");
        want_closed(&object, isa);
        /* some 20 kernels; a limit against code that grows unnoticed */
        if (object.size > 200000) fail_msg("%s: %zu bytes of object code, wanted at most 200000", isa, object.size);
        print_message("%-7s %zu bytes of object code\n", isa, object.size);
        strbuf_free(&assembly);
        strbuf_free(&object);
    }
}

static void llvm_text_has_every_kernel(void **state) {
    (void)state;
    strbuf text = emit(linear_kernel, "avx2", CG_EMIT_LLVM);
    assert_non_null(strstr(text.data, "define void @linear_"));
    assert_non_null(strstr(text.data, "call <8 x float> @llvm.fma.v8f32"));
    assert_non_null(strstr(text.data, "\"target-cpu\"=\"x86-64-v3\""));
    strbuf_free(&text);
}

/* ---- facts in LLVM's text ---- */

/* The number behind the last ", align " or " align " of a line; 0 when there is none. */
static unsigned long alignment_of(const char *line, size_t n) {
    unsigned long found = 0;
    for (const char *at = line; (at = memmem(at, (size_t)(line + n - at), "align ", 6)) != NULL; at++)
        found = strtoul(at + 6, NULL, 10);
    return found;
}

static void want_facts_of_line(const char *isa, const char *line, size_t n, size_t *n_functions, size_t *n_accesses) {
    static const char arguments[] = "(ptr noalias %0, ptr noalias %1, i64 %2, i64 %3, ptr noalias %4) #0 {";
    if (strncmp(line, "define ", 7) == 0) {
        ++*n_functions;
        const char *open = memchr(line, '(', n);
        if (!open || n - (size_t)(open - line) != strlen(arguments) || memcmp(open, arguments, strlen(arguments)) != 0)
            fail_msg("%s: found \"%.*s\", wanted \"%s\"", isa, (int)n, line, arguments);
        return;
    }
    if (strncmp(line, "  store ", 8) != 0 && !memmem(line, n, "= load ", 7)) return;
    ++*n_accesses;
    unsigned long align = alignment_of(line, n);
    if (align == 0 || align > 64 || (align & (align - 1)) != 0)
        fail_msg("%s: found \"%.*s\", wanted an alignment from 1 to 64", isa, (int)n, line);
    const char *vector = memchr(line, '<', n); /* no more than the vector has bytes: nothing promises more */
    char *element = NULL;
    unsigned long lanes = vector ? strtoul(vector + 1, &element, 10) : 2,
                  each = vector && strncmp(element, " x i64", 6) == 0 ? 8 : 4;
    if (align > each * lanes) fail_msg("%s: found \"%.*s\", wanted at most align %lu", isa, (int)n, line, each * lanes);
}

/*
 * What the code generator is told: the three pointers of a kernel do not overlap, nothing throws, CPU and features stand at every
 * function, every access has an alignment, within what buffers have. (That alignments are true is what kernel_case.c tests: its inputs
 * end at the edge of a page, wherever they then begin.)
 */
static void facts_stand_in_the_text(void **state) {
    (void)state;
    for (size_t row = 0; cg_target_row(row); row++) {
        const char *isa = cg_target_row(row)->name;
        cg_target target;
        char cpu[128], features[128];
        size_t n_functions = 0, n_accesses = 0;
        assert_int_equal(target_of_row(isa, NULL, &target), POFAC_OK);
        strbuf text = emit(every_kernel, isa, CG_EMIT_LLVM);
        for (const char *line = text.data; *line; line += strcspn(line, "\n"), line += *line == '\n')
            want_facts_of_line(isa, line, strcspn(line, "\n"), &n_functions, &n_accesses);
        assert_true(n_functions > 15 && n_accesses > 300);
        const char *attributes = strstr(text.data, "\nattributes #0 = { nounwind ");
        if (!attributes) fail_msg("%s: the functions of kernels are not nounwind", isa);
        size_t n = strcspn(attributes + 1, "\n");
        snprintf(cpu, sizeof cpu, "\"target-cpu\"=\"%s\"", target.cpu);
        snprintf(features, sizeof features, "\"target-features\"=\"%s\"", target.features);
        if (!*target.features) snprintf(features, sizeof features, "\"target-features\"");
        if (!memmem(attributes, n, cpu, strlen(cpu)) || !memmem(attributes, n, features, strlen(features)))
            fail_msg("%s: found \"%.*s\", wanted %s %s", isa, (int)n, attributes, cpu, features);
        if (strstr(text.data, "fast ") || strstr(text.data, " contract ") || strstr(text.data, "unsafe"))
            fail_msg("%s: the code may round otherwise than it is written", isa);
        strbuf_free(&text);
    }
}

/* ---- the inner loop ---- */

static void linear_keeps_sums_in_registers(void **state) {
    (void)state;
    static const struct {
        const char *isa, *multiply, *broadcast, *single, *stack; /* single: how a broadcast for one vector reads */
        size_t rows, panels;                                     /* beside one vector of tokens */
    } cases[] = {{"avx2", "vfmadd", "vbroadcastss", "vbroadcastss", "(%rsp", 6, 1},
                 {"avx512", "vfmadd", "vbroadcastss", "{1to16}", "(%rsp", 12, 2},
                 {"x86-64", "mulps", "shufps", "shufps", "(%rsp", 4, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf assembly = emit(linear_kernel, cases[i].isa, CG_EMIT_ASM);
        /* 4 rounds of k: a panel with two vectors of tokens; and panels with one, which fetches as many lines as it reads of
         * weights. Each weight is broadcast once. */
        const size_t weights = 4 * cases[i].rows, lines = cases[i].panels * ((4 * weights + 63) / 64);
        assembly_span loop = assembly_inner_loop_with(&assembly, cases[i].multiply, "prefetch", 1);
        assembly_want_count(cases[i].isa, loop, cases[i].multiply, 2 * weights);
        assembly_want_count(cases[i].isa, loop, cases[i].broadcast, weights);
        assembly_want_count(cases[i].isa, loop, cases[i].stack, 0);
        loop = assembly_inner_loop_with(&assembly, cases[i].single, cases[i].multiply, cases[i].panels * weights);
        assembly_want_count(cases[i].isa, loop, "prefetch", lines);
        assembly_want_count(cases[i].isa, loop, cases[i].single, cases[i].panels * weights);
        assembly_want_count(cases[i].isa, loop, cases[i].stack, 0);
        strbuf_free(&assembly);
    }
}

/*
 * The products of attention and its gradient, four rounds each: blocks of scores, of features, and of the sums of keys (which dominate a
 * gradient) are in registers, and so is what they are made of.
 */
static void attention_keeps_sums_in_registers(void **state) {
    (void)state;
    static const char text[] =
        "graph @g (B <= 64, R <= 4096) {\n"
        "  %1 = input {name = \"q\"} : f32[R,768] tiles<32>\n"
        "  %2 = input {name = \"offsets\"} : i32[B+1]\n"
        "  %3 = input {name = \"row_keys\"} : i64[R]\n"
        "  %4 = input {name = \"random\"} : i64[2]\n"
        "  %5:2 = attention %1, %1, %1, %2, _, _, %3, %4 {heads = 12, scale = 0.125, rate = 0.1} : f32[R,768] "
        "tiles<32>, f32[R,12] tiles<32>\n"
        "  %6:3 = attention_gradient %1, %1, %1, %2, %5, %5#1, %1, _, _, %3, %4 {heads = 12, scale = 0.125, rate "
        "= 0.1} : f32[R,768] tiles<32>, f32[R,768] tiles<32>, f32[R,768] tiles<32>\n"
        "  return \"y\" = %5, \"dq\" = %6, \"dk\" = %6#1, \"dv\" = %6#2\n"
        "}\n";
    static const struct {
        const char *isa, *multiply;
        size_t block, keys; /* products in a loop over features or keys, and in the one over queries */
    } cases[] = {
        {"avx2", "vfmadd", 4 * 4 * 2, 4 * 6 * 2}, {"avx512", "vfmadd", 4 * 8 * 2, 4 * 12 * 2}, {"x86-64", "mulps", 32, 32}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf assembly = emit(text, cases[i].isa, CG_EMIT_ASM);
        size_t n_blocks = 0, n_keys = 0;
        for (const char *label = assembly_next_label(assembly.data); label; label = assembly_next_label(label + 1)) {
            const assembly_span loop = assembly_loop_at(label);
            const size_t products = assembly_count(loop, cases[i].multiply);
            if (products != cases[i].block && products != cases[i].keys) continue;
            n_blocks += products == cases[i].block;
            n_keys += products == cases[i].keys;
            assembly_want_count(cases[i].isa, loop, "(%rsp", 0);
        }
        /* scores and features of two kernels, and one for both sums of keys */
        if (n_blocks < 4 || n_keys < 1)
            fail_msg("%s: %zu and %zu loops of products, wanted 4 and 1 at least", cases[i].isa, n_blocks, n_keys);
        strbuf_free(&assembly);
    }
}

/* A batch of entries times a row of dy in registers: a product and V - 1 multiply-adds each, of which x is the operand in memory. */
static void weight_gradients_fold_their_loads(void **state) {
    (void)state;
    static const struct {
        const char *isa, *multiply_add, *multiply;
        size_t batch, vectors;
    } cases[] = {{"avx2", "\tvfmadd231ps\t", "\tvmulps\t", 8, 4}, {"avx512", "\tvfmadd231ps\t", "\tvmulps\t", 16, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf assembly = emit(weight_gradient_kernel, cases[i].isa, CG_EMIT_ASM);
        assembly_span loop = assembly_inner_loop(&assembly, ",8), %");
        assembly_want_count(cases[i].isa, loop, cases[i].multiply_add, cases[i].batch * (cases[i].vectors - 1));
        assembly_want_count(cases[i].isa, loop, cases[i].multiply, cases[i].batch);
        assembly_want_count(cases[i].isa, loop, ",8), %", cases[i].batch * cases[i].vectors); /* each product reads x from memory */
        assembly_want_count(cases[i].isa, loop, "(%rsp", 0);
        assembly_want_count(cases[i].isa, loop, "\tvmovaps\t(", 0);
        assembly_want_count(cases[i].isa, loop, "\tvmovups\t(", 0);
        strbuf_free(&assembly);
    }
}

/*
 * One round of a full tile: `products` multiply-adds, of which x is the operand in memory unless an entry is a block of rows, and
 * nothing but weights and offsets is loaded besides. Nowhere does a vector go to the stack.
 */
static void sparse_linears_fold_their_loads(void **state) {
    (void)state;
    static const struct {
        const char *isa, *variant, *multiply;
        unsigned tile;
        size_t products, folded, broadcasts, shuffles;
    } cases[] = {
        {"avx2", "sparse_linear", "\tvfmadd", 32, 16, 16, 4, 0},
        {"avx2", "sparse_linear shuffled=4", "\tvfmadd", 32, 16, 16, 0, 4},
        {"avx512", "sparse_linear", "\tvfmadd", 64, 16, 16, 1, 3},
        {"avx512", "sparse_linear shuffled=0", "\tvfmadd", 64, 16, 16, 4, 0},
        {"avx512", "sparse_linear unroll=8", "\tvfmadd", 64, 32, 32, 2, 6},
        {"x86-64", "sparse_linear", "\tmulps\t", 16, 16, 4, 0, 4},
        {"avx2", "sparse_linear layout=n_m keep=2 of=4", "\tvfmadd", 32, 16, 16, 4, 0},
        {"avx512", "sparse_linear layout=n_m keep=2 of=4", "\tvfmadd", 64, 16, 16, 1, 3},
        {"avx2", "sparse_linear layout=blocks block_rows=4", "\tvfmadd", 32, 16, 0, 8, 0},
        {"avx512", "sparse_linear layout=blocks block_rows=4", "\tvfmadd", 64, 32, 0, 8, 0},
        {"avx512", "sparse_linear layout=blocks block_rows=4 block_columns=4 unroll=1", "\tvfmadd", 64, 64, 0, 16, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[800], what[120];
        snprintf(what, sizeof what, "%s, %s", cases[i].isa, cases[i].variant);
        snprintf(text, sizeof text,
                 "graph @g (T <= 4096) {\n"
                 "  %%1 = input {name = \"x\"} : f32[T,768] tiles<%u>\n"
                 "  %%2 = pattern {name = \"w\"} : pattern[768,768]\n"
                 "  %%3 = state {name = \"w\"} : f32[nnz(%%2)]\n"
                 "  %%4 = state {name = \"b\"} : f32[768]\n"
                 "  %%5 = linear %%1, %%3, %%4, %%2 {variant = \"%s\"} : f32[T,768] tiles<%u>\n"
                 "  return \"y\" = %%5\n"
                 "}\n",
                 cases[i].tile, cases[i].variant, cases[i].tile);
        strbuf assembly = emit(text, cases[i].isa, CG_EMIT_ASM);
        const assembly_span loop = assembly_inner_loop(&assembly, cases[i].multiply);
        assembly_want_count(what, loop, cases[i].multiply, cases[i].products);
        if (assembly_count_lines(loop, cases[i].multiply, "(%") != cases[i].folded)
            fail_msg("%s: %zu loads of x in multiply-adds, wanted %zu:\n%.*s", what,
                     assembly_count_lines(loop, cases[i].multiply, "(%"), cases[i].folded, (int)(loop.end - loop.begin),
                     loop.begin);
        if (cases[i].broadcasts) assembly_want_count(what, loop, "\tvbroadcastss\t", cases[i].broadcasts);
        assembly_want_count(what, loop, "shufps\t", cases[i].shuffles);
        assembly_want_count(what, loop, "(%rsp", 0);
        assembly_want_no_vector_on_stack(what, &assembly);
        strbuf_free(&assembly);
    }
}

/* Two rounds for one token: a gather each, whose offsets are widened where they are loaded, and a multiply-add with the weights in
 * memory; nothing is loaded besides, and no vector goes to the stack. */
static void one_token_is_gathered(void **state) {
    (void)state;
    static const struct {
        const char *isa, *gather;
        unsigned tile;
    } cases[] = {{"avx512", "\tvgatherdps\t%ymm", 16}, {"avx512", "\tvgatherdps\t%xmm", 32}, {"avx2", "\tvgatherdps\t%xmm", 16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[800];
        snprintf(text, sizeof text,
                 "graph @g (T <= 4096) {\n"
                 "  %%1 = input {name = \"x\"} : f32[T,768] tiles<%u>\n"
                 "  %%2 = pattern {name = \"w\"} : pattern[768,768]\n"
                 "  %%3 = state {name = \"w\"} : f32[nnz(%%2)]\n"
                 "  %%4 = state {name = \"b\"} : f32[768]\n"
                 "  %%5 = linear %%1, %%3, %%4, %%2 : f32[T,768] tiles<%u>\n"
                 "  return \"y\" = %%5\n"
                 "}\n",
                 cases[i].tile, cases[i].tile);
        strbuf assembly = emit(text, cases[i].isa, CG_EMIT_ASM);
        const assembly_span loop = assembly_inner_loop(&assembly, "\tvgatherdps\t");
        assembly_want_count(cases[i].isa, loop, cases[i].gather, 2);
        assembly_want_count(cases[i].isa, loop, "\tvgatherdps\t", 2);
        assembly_want_count(cases[i].isa, loop, "\tprefetch", 2);
        if (assembly_count_lines(loop, "\tvfmadd", "(%") != 2 || assembly_count_lines(loop, "\tvpmovzxwd\t", "(%") != 2)
            fail_msg("%s: wanted two multiply-adds and two widenings with operands in memory:\n%.*s", cases[i].isa,
                     (int)(loop.end - loop.begin), loop.begin);
        if (assembly_count_lines(loop, "\tmov", "(%") != 0 || assembly_count_lines(loop, "\tvmov", "(%") != 0)
            fail_msg("%s: wanted no other loads:\n%.*s", cases[i].isa, (int)(loop.end - loop.begin), loop.begin);
        assembly_want_no_vector_on_stack(cases[i].isa, &assembly);
        strbuf_free(&assembly);
    }
}

/* Updates read and write each stream once; the numbers that all elements share stay in registers. */
static void updates_stream(void **state) {
    (void)state;
    static const char text[] = "graph @g () {\n"
                               "  %1 = state {name = \"p\"} : f32[4096]\n"
                               "  %2 = state {name = \"g\"} : f32[4096]\n"
                               "  %3 = state {name = \"m\"} : f32[4096]\n"
                               "  %4 = state {name = \"v\"} : f32[4096]\n"
                               "  %5 = input {name = \"rate\"} : f32[]\n"
                               "  %6 = input {name = \"step\"} : i64[]\n"
                               "  %7:3 = adamw %1, %2, %3, %4, %5, %5, %6 {weight_decay = 0.01} : f32[4096], f32[4096], f32[4096]\n"
                               "  return \"p\" = %7, \"m\" = %7#1, \"v\" = %7#2\n"
                               "}\n";
    static const char *const isas[] = {"avx2", "avx512"};
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        strbuf assembly = emit(text, isas[i], CG_EMIT_ASM);
        const assembly_span loop = assembly_inner_loop(&assembly, "\tvsqrtps\t");
        assembly_want_count(isas[i], loop, "\tvsqrtps\t", 1);
        assembly_want_count(isas[i], loop, "\tvdivps\t", 1);
        assembly_want_count(isas[i], loop, "\tvmovups\t", 3); /* stores; all that is read is an operand of arithmetic */
        assembly_want_no_vector_on_stack(isas[i], &assembly);
        strbuf_free(&assembly);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_call_nothing_on_any_target),
        cmocka_unit_test(llvm_text_has_every_kernel),
        cmocka_unit_test(facts_stand_in_the_text),
        cmocka_unit_test(linear_keeps_sums_in_registers),
        cmocka_unit_test(attention_keeps_sums_in_registers),
        cmocka_unit_test(weight_gradients_fold_their_loads),
        cmocka_unit_test(sparse_linears_fold_their_loads),
        cmocka_unit_test(one_token_is_gathered),
        cmocka_unit_test(updates_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
