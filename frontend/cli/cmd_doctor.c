/* pofac doctor: what the machine offers, and what that means for pofac. */
#include "frontend/cli/arguments.h"
#include "frontend/driver/doctor.h"

#ifndef POFAC_VERSION
#error "the build defines POFAC_VERSION"
#endif

static const option_row rows[] = {
    {"json", OPTION_FLAG, NULL, NULL, 0, 0, "print one JSON object"},
    OPTIONS_THREADS,
    {"isa", OPTION_TEXT, "NAME", "native", 0, 0, "instruction set to ask about (`pofac list targets`)"},
    {"cache_dir", OPTION_TEXT, "DIR", NULL, 0, 0, "object cache to look at; default $XDG_CACHE_HOME/pofac/objects"},
};

static pofac_status run(const command_input *in) {
    const option_values *o = in->options;
    const road_options road = {
        .isa = option_text(o, "isa"), .cache_dir = option_text(o, "cache_dir"), .threads = (size_t)option_whole(o, "threads")};
    doctor_report report;
    TRY(doctor_examine(&road, "", in->memory, in->sink, &report));
    strbuf text = STRBUF_INIT;
    if (option_flag(o, "json")) doctor_put_json(&report, POFAC_VERSION, &text);
    else doctor_put_text(&report, &text);
    pofac_status status = strbuf_ok(&text) ? arguments_print(in->sink, strbuf_str(&text), text.size) : diag_out_of_memory(in->sink);
    strbuf_free(&text);
    return status;
}

const command command_doctor = {.name = "doctor",
                                .arguments = "",
                                .rows = rows,
                                .n_rows = sizeof rows / sizeof *rows,
                                .run = run,
                                .meaning =
                                    "report processor, threads, caches, memory, libraries and object cache, and what each means",
                                .details = "Warnings change nothing about the exit status, which is 0."};
