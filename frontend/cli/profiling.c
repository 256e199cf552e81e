/* Profiles to stderr or a file; see profiling.h. */
#include "frontend/cli/profiling.h"

#include <string.h>

#include "ir/support/file_map.h"

pofac_status profiling_check(const command_input *in) {
    const char *form = option_text(in->options, "profile"), *path = option_text(in->options, "profile_output");
    if (path && !form)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--profile_output needs --profile, which says what to write");
    if (form && strcmp(form, "trace") == 0 && !path)
        return diag_error(in->sink, POFAC_ERR_USAGE, NULL, "--profile=trace needs --profile_output FILE");
    return POFAC_OK;
}

bool profiling_is_on(const command_input *in) { return option_given(in->options, "profile"); }

static void put(const run_profile *p, const char *form, strbuf *out) {
    if (strcmp(form, "json") == 0) run_profile_put_json(p, out);
    else if (strcmp(form, "trace") == 0) run_profile_put_trace(p, out);
    else run_profile_put_text(p, out);
}

pofac_status profiling_write(const command_input *in, const run_profile *p) {
    const char *path = option_text(in->options, "profile_output");
    if (!profiling_is_on(in) || run_profile_runs(p) == 0) return POFAC_OK;
    strbuf text = STRBUF_INIT;
    pofac_status status = POFAC_OK;
    put(p, option_text(in->options, "profile"), &text);
    if (!strbuf_ok(&text)) status = diag_out_of_memory(in->sink);
    else if (path) status = file_write_all(path, text.data, text.size, in->sink);
    else fputs(strbuf_str(&text), stderr);
    strbuf_free(&text);
    return status;
}
