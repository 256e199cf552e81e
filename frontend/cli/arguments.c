/* The shared options; see arguments.h. */
#include "frontend/cli/arguments.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/model_directory.h"
#include "ir/support/directory.h"
#include "ir/support/file_map.h"

loaded_model_options arguments_model(const option_values *o) {
    loaded_model_options m = {.num_labels = option_whole(o, "num_labels"),
                              .seed = (uint64_t)option_whole(o, "seed"),
                              .threads = (size_t)option_whole(o, "threads"),
                              .vocab = option_text(o, "vocab")};
    if (!model_head_parse(option_text(o, "head"), &m.head)) m.head = HEAD_AUTO;
    return m;
}

ir_dtype arguments_dtype(const option_values *o) {
    const char *name = option_text(o, "dtype");
    return strcmp(name, "f16") == 0 ? IR_F16 : strcmp(name, "bf16") == 0 ? IR_BF16 : IR_F32;
}

road_options arguments_road(const option_values *o) {
    const char *tune = option_text(o, "tune"), *quantization = option_text(o, "quantization");
    return (road_options){.tune = strcmp(tune, "off") == 0     ? ROAD_TUNE_OFF
                                  : strcmp(tune, "again") == 0 ? ROAD_TUNE_AGAIN
                                                               : ROAD_TUNE_AUTO,
                          .tune_tokens = option_whole(o, "tune_tokens"),
                          .kernel_variants = option_text(o, "kernel_variant"),
                          .pipeline = option_given(o, "pipeline") ? option_text(o, "pipeline") : NULL,
                          .quantization = strcmp(quantization, "off") == 0        ? ROAD_UNQUANTIZED
                                          : strcmp(quantization, "simulate") == 0 ? ROAD_SIMULATED
                                                                                  : ROAD_INTEGER,
                          .isa = option_text(o, "isa"),
                          .cache_dir = option_text(o, "cache_dir"),
                          .no_cache = option_flag(o, "no_cache"),
                          .jit_debug = option_text(o, "jit_debug"),
                          .threads = (size_t)option_whole(o, "threads")};
}

static void print_dump(void *user, const char *title, const ir_module *m) {
    const dump_options *d = user;
    strbuf text = STRBUF_INIT;
    text_print_module(m, d->print, &text);
    printf("; ---- %s ----\n%s\n", title, strbuf_str(&text));
    strbuf_free(&text);
}

static void print_time(void *user, const char *pass, double seconds) {
    (void)user;
    fprintf(stderr, "%-20s %10.3f ms\n", pass, seconds * 1e3);
}

static void write_reproducer(void *user, const char *pass, const char *text) {
    const dump_options *d = user;
    if (file_write_all(d->reproducer, text, strlen(text), d->sink) == POFAC_OK)
        diag_note(d->sink, NULL, "pass %s failed; %s has its input and the pipeline that remained", pass, d->reproducer);
}

pass_observer arguments_observer(const command_input *in, dump_options *dump) {
    const option_values *o = in->options;
    *dump = (dump_options){.print = {.locations = option_flag(o, "print_locations"),
                                     .scope = option_text(o, "print_scope"),
                                     .fold_layers = !option_flag(o, "full_layers")},
                           .reproducer = option_text(o, "reproducer"),
                           .sink = in->sink};
    return (pass_observer){.print_before = option_text(o, "print_before"),
                           .print_after = option_text(o, "print_after"),
                           .print_changed = option_flag(o, "print_changed"),
                           .stop_after = option_text(o, "stop_after"),
                           .dump = print_dump,
                           .timed = option_flag(o, "time_passes") ? print_time : NULL,
                           .reproducer = write_reproducer,
                           .user = dump};
}

pofac_status arguments_print(const diag_sink *sink, const char *bytes, size_t n) {
    if (fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0) return POFAC_OK;
    return diag_error(sink, POFAC_ERR_RUNTIME, NULL, "cannot write to standard output: %s", strerror(errno));
}

pofac_status arguments_write(const command_input *in, const char *bytes, size_t n) {
    const char *path = option_text(in->options, "output");
    if (path && strcmp(path, "-") != 0) return file_write_all(path, bytes, n, in->sink);
    return arguments_print(in->sink, bytes, n);
}

pofac_status arguments_check_output(const command_input *in, const char *path, argument_kind kind, const char *overwrite) {
    const diag_place place = {.file = path};
    struct stat s;
    if (option_flag(in->options, overwrite) || stat(path, &s) != 0) return POFAC_OK;
    static const char *const leftovers[] = {MODEL_DIRECTORY_NEW, NULL}; /* of a process that was killed */
    if (kind == ARGUMENT_DIRECTORY && directory_has_only(path, leftovers)) return POFAC_OK;
    return diag_error(in->sink, POFAC_ERR_USAGE, &place, "found something there, wanted a new one, or --%s", overwrite);
}
