/* Printing tables; see tables.h. */
#include "frontend/driver/tables.h"

#include <string.h>

#include "codegen/codegen.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/tensor_names.h"
#include "frontend/data/corpus.h"
#include "frontend/data/metrics.h"
#include "frontend/data/segment_pairs.h"
#include "frontend/data/tasks.h"
#include "frontend/data/wikitext_templates.h"
#include "frontend/model/model_spec.h"
#include "frontend/model/xml_table.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "ir/sparse_layout.h"
#include "passes/pass.h"
#include "runtime/blas.h"
#include "runtime/pruning_masks.h"

void tables_put(strbuf *out, const char *name, const char *meaning) { strbuf_printf(out, "%-24s %s\n", name, meaning); }

static void put_ops(strbuf *out) {
    for (int op = 0; op < IR_N_OPS; op++) {
        const ir_op_info *info = op_info((ir_op)op);
        tables_put(out, info->name, info->meaning);
        for (size_t i = 0; i < info->n_attrs; i++) {
            const ir_attr_schema *a = &info->attrs[i];
            strbuf_printf(out, "  %-22s %s", a->name, a->meaning);
            if (a->choices) strbuf_printf(out, " (%s)", a->choices);
            if (a->fallback && *a->fallback) strbuf_printf(out, " [%s]", a->fallback);
            strbuf_putc(out, '\n');
        }
    }
}

static void put_passes(strbuf *out) {
    for (size_t i = 0; pass_row(i); i++) {
        tables_put(out, pass_row(i)->name, pass_row(i)->meaning);
        for (size_t k = 0; pass_option_row(k); k++) {
            const pass_option_schema *o = pass_option_row(k);
            if (strcmp(o->pass, pass_row(i)->name) == 0) strbuf_printf(out, "  %-22s %s [%s]\n", o->name, o->meaning, o->fallback);
        }
    }
}

static void put_pipelines(strbuf *out) {
    for (size_t i = 0; pipeline_row(i); i++) {
        tables_put(out, pipeline_row(i)->name, pipeline_row(i)->meaning);
        tables_put(out, "", pipeline_row(i)->passes);
    }
}

static void put_dtypes(strbuf *out) {
    for (int d = 0; d < IR_N_DTYPES; d++) tables_put(out, dtype_name((ir_dtype)d), dtype_meaning((ir_dtype)d));
}

static void put_packings(strbuf *out) {
    for (int p = 0; p < N_PACKINGS; p++) tables_put(out, plan_packing_name((plan_packing)p), plan_packing_meaning((plan_packing)p));
}

static void put_kernels(strbuf *out) {
    for (size_t i = 0; cg_kernel_row(i); i++) tables_put(out, cg_kernel_row(i)->name, cg_kernel_row(i)->meaning);
}

static void put_sparse_layouts(strbuf *out) {
    for (int k = 0; k < N_SPARSE_LAYOUTS; k++)
        tables_put(out, sparse_layout_name((sparse_layout_kind)k), sparse_layout_meaning((sparse_layout_kind)k));
}

static void put_variants(strbuf *out) {
    const char *kernel = "";
    for (size_t i = 0; cg_variant_row(i); i++) {
        const cg_parameter *p = cg_variant_row(i);
        if (strcmp(p->kernel, kernel) != 0) strbuf_printf(out, "%s\n", kernel = p->kernel);
        strbuf_printf(out, "  %-22s %s (", p->name, p->meaning);
        if (p->words) strbuf_puts(out, p->words);
        else strbuf_printf(out, "%lld to %lld", (long long)p->least, (long long)p->most);
        strbuf_puts(out, ")\n");
    }
}

static void put_targets(strbuf *out) {
    for (size_t i = 0; cg_target_row(i); i++) tables_put(out, cg_target_row(i)->name, cg_target_row(i)->meaning);
}

static void put_extensions(strbuf *out) {
    for (size_t i = 0; cg_extension_row(i); i++)
        strbuf_printf(out, "%-24s %s (goes with %s)\n", cg_extension_row(i)->name, cg_extension_row(i)->meaning,
                      cg_extension_isa(i));
}

static void put_architectures(strbuf *out) {
    for (size_t i = 0; cg_architecture_row(i); i++) tables_put(out, cg_architecture_row(i)->name, cg_architecture_row(i)->meaning);
}

static void put_heads(strbuf *out) {
    size_t n;
    const model_head_row *heads = model_heads(&n);
    for (size_t i = 0; i < n; i++) tables_put(out, heads[i].name, heads[i].meaning);
}

static void put_checkpoints(strbuf *out) {
    size_t n;
    const checkpoint_format *formats = checkpoint_formats(&n);
    for (size_t i = 0; i < n; i++) tables_put(out, formats[i].file, formats[i].meaning);
}

static void put_names(strbuf *out) {
    size_t n;
    const tensor_rule *rules = tensor_rules(&n);
    for (size_t i = 0; i < n; i++) {
        const char *other = rules[i].other ? rules[i].other : "";
        strbuf_printf(out, "%-16s %-44s %-34s %s\n", tensor_rule_kind_name(rules[i].kind), rules[i].text, other, rules[i].meaning);
    }
}

static void put_pruning_methods(strbuf *out) {
    for (size_t i = 0; pruning_method_at(i); i++)
        strbuf_printf(out, "%-32s %s\n", pruning_method_at(i)->name, pruning_method_at(i)->meaning);
}

static void put_metrics(strbuf *out) {
    for (size_t i = 0; metrics_row(i); i++)
        strbuf_printf(out, "%-24s %-8s %s\n", metrics_row(i)->name, metric_input_name(metrics_row(i)->input),
                      metrics_row(i)->meaning);
}

static void put_corpora(strbuf *out) {
    const char *name, *meaning;
    for (size_t i = 0; corpus_kind_row(i, &name, &meaning); i++) tables_put(out, name, meaning);
}

static void put_pair_modes(strbuf *out) {
    for (int i = 0; i < N_PAIR_MODES; i++) tables_put(out, pair_mode_name((pair_mode)i), pair_mode_meaning((pair_mode)i));
}

static const table_row rows[] = {
    {"ops", "operations of the IR and their attributes", put_ops},
    {"passes", "passes and their options", put_passes},
    {"pipelines", "named pipelines", put_pipelines},
    {"dtypes", "element types", put_dtypes},
    {"packings", "how weights lie in memory for kernels", put_packings},
    {"sparse_layouts", "how the non-zeros of a weight lie in memory", put_sparse_layouts},
    {"kernels", "kernels that code is emitted for", put_kernels},
    {"variants", "parameters of kernels that --kernel_variant and the IR's `variant` may set", put_variants},
    {"targets", "instruction sets", put_targets},
    {"extensions", "parts of processors beyond instruction sets", put_extensions},
    {"architectures", "machines that object code can be made for (compile --target)", put_architectures},
    {"heads", "what can stand on top of an encoder", put_heads},
    {"checkpoints", "files of weights that are read", put_checkpoints},
    {"names", "how tensors' names in files become a model's", put_names},
    {"corpora", "kinds of corpora that data are made of", put_corpora},
    {"wikitext_templates", "templates whose text is kept from wikitext: name, arguments, what a reader sees",
     wikitext_templates_put},
    {"pair_modes", "how documents become examples for pre-training", put_pair_modes},
    {"tasks", "tasks: columns, labels, metrics and splits of their files", tasks_put},
    {"pruning_methods", "ways to choose which entries of a weight are kept", put_pruning_methods},
    {"metrics", "what predictions are judged by: name, what is compared, meaning", put_metrics},
    {"xml", "elements and attributes of XML descriptions", xml_table_list},
};

const table_row *tables_row(size_t i) { return i < sizeof rows / sizeof *rows ? &rows[i] : NULL; }

pofac_status tables_version(const char *version, strbuf *out) {
    arena a = ARENA_INIT;
    cg_target target;
    pofac_status status = cg_target_host(NULL, &a, NULL, &target);
    strbuf_printf(out, "pofac %s\nLLVM %s\n%s\n", version, cg_llvm_version(), blas_version());
    if (status == POFAC_OK) strbuf_printf(out, "instruction set %s (%s)\n", target.isa, target.cpu);
    arena_free(&a);
    return status;
}
