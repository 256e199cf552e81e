/*
 * The road from a model to predictions: graph, passes, code, session. Every stage can be had by itself.
 */
#ifndef POFAC_FRONTEND_ROAD_H
#define POFAC_FRONTEND_ROAD_H

#include "codegen/codegen.h"
#include "frontend/driver/loaded_model.h"
#include "passes/pass.h"
#include "runtime/session.h"

#define ROAD_GRAPH "infer"

/* How kernels of linears are chosen. */
typedef enum road_tuning {
    ROAD_TUNE_AUTO, /* by measurement, once per machine (measured_cost.h) */
    ROAD_TUNE_OFF,  /* by the rule of ir/cost.h */
    ROAD_TUNE_AGAIN /* by measurement, whatever was measured before */
} road_tuning;

/* How a quantized model (loaded_model_quantization) computes. */
typedef enum road_quantization {
    ROAD_UNQUANTIZED, /* as if it were none: in fp32 */
    ROAD_INTEGER,     /* in integers */
    ROAD_SIMULATED    /* as in its training: in fp32, on what 8 bits hold */
} road_quantization;

typedef struct road_options {
    const char *pipeline; /* NULL: "infer"; of a quantized model "infer-int8" or "infer-simulated" */
    road_quantization quantization;
    const char *isa;       /* NULL: native */
    const char *cache_dir; /* NULL: the user's cache directory */
    bool no_cache;
    const char *jit_debug; /* "perf,gdb": who is told of the code (cg_jit_debug_parse); NULL: nobody */
    road_tuning tune;
    int64_t tune_tokens;         /* of a typical batch, for which kernels are chosen; 0: as the passes that choose say */
    const char *kernel_variants; /* pins (kernel_pins.h), one a line; NULL: none */
    struct kernel_reasons
        *kernel_reasons; /* which notes why kernels were chosen (kernel_reasons.h); its `rest` becomes this road's. NULL: nobody */
    strbuf *kernel_choices;                         /* where road_optimize appends what was chosen, as such pins; NULL: nowhere */
    size_t threads;                                 /* 0: default */
    const pass_observer *observer;                  /* may be NULL */
    const tensor_source *state;                     /* in which road_optimize counts zeros; NULL: what the model's checkpoint has */
    bool (*prunes)(void *user, const char *weight); /* of the pass prune (pass_environment) */
    void *prunes_user;
    bool (*locks)(void *user, const char *weight); /* of the pass lock; NULL: all weights */
    void *locks_user;
    pass_quantized (*quantizes)(void *user,
                                const char *module); /* of the pass quantize; road_build then simulates 8 bits by known ranges */
    void *quantizes_user;
    model_graph_options graph;
    int64_t layers; /* of the encoder, the first ones: road_build makes a graph of them alone; 0: all */
} road_options;

/* The frontend's graph, parameters bound; of a quantized model (but for ROAD_UNQUANTIZED), and with `quantizes`, behind the pass quantize{trained=0}. The ranges
 * of a quantized model are in loaded_model_state; those of `quantizes` are no parameters of the model: whoever runs the graph has them among its weights. */
POFAC_MUST_USE pofac_status road_build(loaded_model *model, const road_options *options, const diag_sink *sink, ir_module **out);

/* The graph after the pipeline, which looks at the weights that the model's checkpoint has. Takes over `module`. */
POFAC_MUST_USE pofac_status road_optimize(const loaded_model *model, ir_module *module, const road_options *options,
                                          const diag_sink *sink, ir_module **out);

/* The same without choosing kernels, layouts and memory: the graph as the interpreter runs it, in integers where the options say so. */
POFAC_MUST_USE pofac_status road_build_for_interpreter(loaded_model *model, const road_options *options, const diag_sink *sink,
                                                       ir_module **out);

/* How the road's graph computes: "fp32", "integer" or "simulated". */
const char *road_arithmetic(const loaded_model *model, const road_options *options);

/* Target and cache of code generation; strings in `a`. */
POFAC_MUST_USE pofac_status road_codegen_options(const road_options *options, arena *a, const diag_sink *sink, cg_options *out);

/* All of it: a model that runs. The loaded model must outlive it. */
typedef struct runnable {
    plan *plan;
    thread_pool *pool;
    session *session;
    double build_seconds, pack_seconds; /* graph + passes + code; packing of weights */
    bool borrows_plan;                  /* the plan is somebody else's (shared_plan.h) */
} runnable;
POFAC_MUST_USE pofac_status runnable_create(loaded_model *model, const road_options *options, const diag_sink *sink, runnable *out);
/* All but the session, which is NULL then. */
POFAC_MUST_USE pofac_status runnable_compile(loaded_model *model, const road_options *options, const diag_sink *sink,
                                             runnable *out);
void runnable_destroy(runnable *r);

#endif
