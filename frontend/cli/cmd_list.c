/* pofac list: the tables that pofac is made of. */
#include <string.h>

#include "codegen/codegen.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/tensor_names.h"
#include "frontend/cli/command.h"
#include "frontend/model/model_spec.h"
#include "frontend/model/xml_reference.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "passes/pass.h"

static void row(const char *name, const char *meaning) { printf("%-24s %s\n", name, meaning); }

static void list_ops(void) {
    for (int op = 0; op < IR_N_OPS; op++) {
        const ir_op_info *info = op_info((ir_op)op);
        row(info->name, info->meaning);
        for (size_t i = 0; i < info->n_attrs; i++) {
            const ir_attr_schema *a = &info->attrs[i];
            printf("  %-22s %s", a->name, a->meaning);
            if (a->choices) printf(" (%s)", a->choices);
            if (a->fallback && *a->fallback) printf(" [%s]", a->fallback);
            putchar('\n');
        }
    }
}

static void list_passes(void) {
    for (size_t i = 0; pass_row(i); i++) {
        row(pass_row(i)->name, pass_row(i)->meaning);
        for (size_t k = 0; pass_option_row(k); k++)
            if (strcmp(pass_option_row(k)->pass, pass_row(i)->name) == 0)
                printf("  %-22s %s [%s]\n", pass_option_row(k)->name, pass_option_row(k)->meaning, pass_option_row(k)->fallback);
    }
}

static void list_pipelines(void) {
    for (size_t i = 0; pipeline_row(i); i++)
        printf("%-24s %s\n%-24s %s\n", pipeline_row(i)->name, pipeline_row(i)->meaning, "", pipeline_row(i)->passes);
}

static void list_dtypes(void) {
    for (int d = 0; d < IR_N_DTYPES; d++) row(dtype_name((ir_dtype)d), dtype_meaning((ir_dtype)d));
}

static void list_packings(void) {
    for (int p = 0; p < N_PACKINGS; p++) row(plan_packing_name((plan_packing)p), plan_packing_meaning((plan_packing)p));
}

static void list_kernels(void) {
    for (size_t i = 0; cg_kernel_row(i); i++) row(cg_kernel_row(i)->name, cg_kernel_row(i)->meaning);
}

static void list_targets(void) {
    for (size_t i = 0; cg_target_row(i); i++) row(cg_target_row(i)->name, cg_target_row(i)->meaning);
}

static void list_heads(void) {
    size_t n;
    const model_head_row *heads = model_heads(&n);
    for (size_t i = 0; i < n; i++) row(heads[i].name, heads[i].meaning);
}

static void list_checkpoints(void) {
    size_t n;
    const checkpoint_format *formats = checkpoint_formats(&n);
    for (size_t i = 0; i < n; i++) row(formats[i].file, formats[i].meaning);
}

static void list_names(void) {
    size_t n;
    const tensor_rule *rules = tensor_rules(&n);
    for (size_t i = 0; i < n; i++)
        printf("%-16s %-44s %-34s %s\n", tensor_rule_kind_name(rules[i].kind), rules[i].text, rules[i].other ? rules[i].other : "",
               rules[i].meaning);
}

static void list_xml(void) {
    strbuf text = STRBUF_INIT;
    xml_reference_write(&text);
    fputs(strbuf_str(&text), stdout);
    strbuf_free(&text);
}

static void list_commands(void) {
    for (size_t i = 0; command_row(i); i++) row(command_row(i)->name, command_row(i)->meaning);
}

static const struct {
    const char *name;
    void (*print)(void);
    const char *meaning;
} tables[] = {
    {"ops", list_ops, "operations of the IR and their attributes"},
    {"passes", list_passes, "passes and their options"},
    {"pipelines", list_pipelines, "named pipelines"},
    {"dtypes", list_dtypes, "element types"},
    {"packings", list_packings, "how weights lie in memory for kernels"},
    {"kernels", list_kernels, "kernels that code is emitted for"},
    {"targets", list_targets, "instruction sets"},
    {"heads", list_heads, "what can stand on top of an encoder"},
    {"checkpoints", list_checkpoints, "files of weights that are read"},
    {"names", list_names, "how tensors' names in files become a model's"},
    {"xml", list_xml, "elements and attributes of XML descriptions"},
    {"commands", list_commands, "sub-commands"},
};
#define N_TABLES (sizeof tables / sizeof *tables)

static pofac_status run(const command_input *in) {
    if (in->options->n_arguments == 0) {
        for (size_t i = 0; i < N_TABLES; i++) row(tables[i].name, tables[i].meaning);
        return POFAC_OK;
    }
    const char *word = in->options->arguments[0], *names[N_TABLES];
    for (size_t i = 0; i < N_TABLES; i++) {
        names[i] = tables[i].name;
        if (strcmp(word, names[i]) != 0) continue;
        tables[i].print();
        return POFAC_OK;
    }
    const char *near = diag_nearest(word, names, N_TABLES);
    if (near) return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown table \"%s\"; did you mean \"%s\"?", word, near);
    return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "unknown table \"%s\"; `pofac list` names them", word);
}

const command command_list = {
    .name = "list",
    .arguments = "[TABLE]",
    .max_arguments = 1,
    .run = run,
    .meaning = "print a table: ops, passes, pipelines, kernels, targets, heads, ... (without a name: which there are)"};
