/* pofac compile: a model through passes and code generation, with every stage to look at. */
#include <string.h>
#include <unistd.h>

#include "frontend/cli/arguments.h"
#include "frontend/driver/code_report.h"
#include "frontend/driver/compile_model.h"

static const option_row rows[] = {
    {"emit", OPTION_CHOICE, "ir|llvm|asm|obj", NULL, 0, 0, "write the optimized IR, LLVM IR, assembly or object code"},
    {"output", OPTION_WRITES, "FILE", NULL, 0, 0,
     "where --emit writes; without --emit, the compiled model: one file that runs by itself; -o FILE does the same"},
    {"target", OPTION_TEXT, "MACHINE", NULL, 0, 0,
     "code of --emit for another machine (a row of `pofac list targets`, or TRIPLE[:[CPU][,+FEATURE]...]), or code in a compiled "
     "model (rows and native, "
     "with commas)"},
    {"with_loss", OPTION_FLAG, NULL, NULL, 0, 0, "include the head's loss in the graph"},
    {"graph_only", OPTION_FLAG, NULL, NULL, 0, 0, "stop before code generation (with --print_before and the like)"},
    OPTIONS_MODEL,
    OPTIONS_COMPILE,
    OPTIONS_PASSES,
};

static pofac_status emit_ir(const command_input *in, const ir_module *m) {
    strbuf text = STRBUF_INIT;
    text_print_module(m, (text_print_options){.locations = option_flag(in->options, "print_locations")}, &text);
    pofac_status status = strbuf_ok(&text) ? arguments_write(in, strbuf_str(&text), text.size) : diag_out_of_memory(in->sink);
    strbuf_free(&text);
    return status;
}

static pofac_status emit_code(const command_input *in, const ir_module *m, const road_options *road, const char *what) {
    cg_options codegen = {.isolated = true}; /* for machines elsewhere; the other branch sets all of it */
    const char *target = option_text(in->options, "target");
    if (target) TRY(cg_target_elsewhere(target, in->memory, in->sink, &codegen.target));
    else TRY(road_codegen_options(road, in->memory, in->sink, &codegen));
    cg_emit_kind kind = strcmp(what, "llvm") == 0 ? CG_EMIT_LLVM : strcmp(what, "asm") == 0 ? CG_EMIT_ASM : CG_EMIT_OBJ;
    strbuf bytes = STRBUF_INIT;
    pofac_status status = cg_emit(m, ROAD_GRAPH, &codegen, kind, in->sink, &bytes);
    if (status == POFAC_OK)
        status = strbuf_ok(&bytes) ? arguments_write(in, strbuf_str(&bytes), bytes.size) : diag_out_of_memory(in->sink);
    strbuf_free(&bytes);
    return status;
}

static pofac_status print_code(const command_input *in, const plan *p) {
    code_report report;
    strbuf table = STRBUF_INIT;
    pofac_status status = code_report_make(p, in->memory, in->sink, &report);
    if (status == POFAC_OK) code_report_put_table(&report, &table);
    if (status == POFAC_OK)
        status = strbuf_ok(&table) ? arguments_print(in->sink, strbuf_str(&table), table.size) : diag_out_of_memory(in->sink);
    strbuf_free(&table);
    return status;
}

/* Compiles into the object cache and says what came out. Takes over the module. */
static pofac_status summarize(const command_input *in, ir_module *m, const road_options *road) {
    cg_options codegen;
    plan *p = NULL;
    pofac_status status = road_codegen_options(road, in->memory, in->sink, &codegen);
    if (status == POFAC_OK) status = cg_compile(m, ROAD_GRAPH, &codegen, in->sink, &p);
    else module_destroy(m);
    if (status != POFAC_OK) return status;
    size_t evaluators = 0;
    for (size_t i = 0; i < p->n_steps; i++) evaluators += plan_step_is_evaluator(&p->steps[i]);
    printf("target    %s\nsteps     %zu, %zu of them by reference evaluators\nkernels   %u distinct, %u from the object cache\n",
           p->target, p->n_steps, evaluators, p->n_kernels, p->n_kernels_cached);
    printf("code      %zu bytes\nslots     %u\ncompiled  in %.1f ms\n\n", p->code_bytes, p->n_slots, p->compile_seconds * 1e3);
    status = print_code(in, p);
    plan_destroy(p);
    return status;
}

/* Writes the compiled model and says what is in it. */
static pofac_status write_compiled(const command_input *in, loaded_model *model) {
    const option_values *o = in->options;
    const char *path = option_text(o, "output"), *target = option_text(o, "target");
    road_options road = arguments_road(o);
    compiled_report r;
    if (target && strcmp(target, "native") != 0) road.tune = ROAD_TUNE_OFF; /* this machine's clock says nothing about another */
    TRY(compile_model(model, &road, target, path, in->sink, &r));
    printf("%s: %.1f MB; %zu parameters in rows, %zu packed parts; code of %zu kernels for %zu target%s, %zu bytes\n", path,
           1e-6 * (double)r.file_bytes, r.n_parameters, r.n_packed, r.n_objects, r.n_targets, r.n_targets == 1 ? "" : "s",
           r.object_bytes);
    return POFAC_OK;
}

static pofac_status compile_stages(const command_input *in, loaded_model *model) {
    const option_values *o = in->options;
    const char *emit = option_text(o, "emit");
    road_options road = arguments_road(o);
    dump_options dump;
    pass_observer observer = arguments_observer(in, &dump);
    ir_module *module;
    road.observer = &observer;
    if (option_given(o, "target")) road.tune = ROAD_TUNE_OFF; /* this machine's clock says nothing about another */
    road.graph.with_loss = option_flag(o, "with_loss");
    size_t n_losses;
    (void)model_graph_losses(loaded_model_spec(model), &n_losses);
    if (road.graph.with_loss && n_losses == 0)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--with_loss: the head %s has no loss",
                          model_head_name(loaded_model_spec(model)->head));
    TRY(road_build(model, &road, in->sink, &module));
    TRY(road_optimize(model, module, &road, in->sink, &module));
    if (!emit && !option_flag(o, "graph_only") && !option_given(o, "stop_after")) return summarize(in, module, &road);
    pofac_status status = POFAC_OK;
    if (emit) status = strcmp(emit, "ir") == 0 ? emit_ir(in, module) : emit_code(in, module, &road, emit);
    module_destroy(module);
    return status;
}

/* Is a compiled model wanted, and not a stage to look at? */
static bool wants_compiled(const option_values *o) { return option_given(o, "output") && !option_given(o, "emit"); }

static pofac_status check_options(const command_input *in) {
    const option_values *o = in->options;
    const char *emit = option_text(o, "emit");
    if (wants_compiled(o) && (option_flag(o, "graph_only") || option_flag(o, "with_loss") || option_given(o, "stop_after")))
        return diag_error(
            in->sink, POFAC_ERR_USAGE, NULL,
            "--output without --emit writes a compiled model: found --graph_only, --with_loss or --stop_after, wanted none");
    if (wants_compiled(o) && strcmp(option_text(o, "output"), "-") == 0)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--output is -, wanted a file: a compiled model is mapped");
    if (option_given(o, "target") && !wants_compiled(o) && (!emit || strcmp(emit, "ir") == 0))
        return diag_error(
            in->sink, POFAC_ERR_USAGE, NULL,
            "--target needs --emit=llvm, asm or obj, or --output FILE: code for another machine can be written, not run here");
    if (option_given(o, "target") && option_given(o, "isa"))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--target and --isa exclude each other: --isa is about this machine");
    if (option_given(o, "target") && strcmp(option_text(o, "target"), "native") != 0 &&
        strcmp(option_text(o, "tune"), "again") == 0)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL,
                          "--target and --tune again exclude each other: this machine's clock says nothing about another");
    if (emit && strcmp(emit, "obj") == 0 && !option_given(o, "output") && isatty(STDOUT_FILENO))
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "object code is not for terminals; give --output FILE");
    return POFAC_OK;
}

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    loaded_model_options model_options = arguments_model(o);
    loaded_model *model;
    TRY(check_options(in));
    TRY(loaded_model_open(o->arguments[0], &model_options, in->sink, &model));
    pofac_status status = wants_compiled(o) ? write_compiled(in, model) : compile_stages(in, model);
    loaded_model_close(model);
    return status;
}

const command command_compile = {
    .name = "compile",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .run = run,
    .meaning = "compile a model into one file that runs by itself; or print its IR before and after passes, or write IR or code",
    .details = "pofac compile MODEL -o model.pofac; pofac predict model.pofac texts.txt\n"
               "Without --emit and --output, fills the object cache and prints a summary.\n"
               "MACHINE is for example avx2, neon, aarch64-linux-gnu, aarch64-linux-gnu:neoverse-n1, x86_64-linux-gnu:znver3 or\n"
               "riscv64-linux-gnu:+v; `pofac list architectures` shows what triples may begin with."};
