/*
 * Pipelines of any content, as `pofac run` reads them: refused with a message, or stages read earlier ones only, have what their commands take, and their
 * recipes are documents that can be read once all places are known.
 */
#include <stddef.h>
#include <stdint.h>

#include "frontend/driver/pipeline.h"
#include "tests/fuzz/input_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) abort();                                                                                                 \
    } while (0)

static pofac_status check_option(const void *row, const char *value, const diag_place *place, const diag_sink *sink) {
    (void)row;
    return *value ? POFAC_OK : diag_error(sink, POFAC_ERR_INPUT, place, "found nothing, wanted a value");
}

static const pipeline_option build_options[] = {{"vocab", PIPELINE_READS, NULL, NULL},
                                                {"output_dir", PIPELINE_WRITES, NULL, NULL},
                                                {"kind", PIPELINE_VALUE, NULL, NULL},
                                                {"cased", PIPELINE_FLAG, NULL, NULL}};
static const pipeline_option train_options[] = {{"output_dir", PIPELINE_WRITES, NULL, NULL},
                                                {"target_parameter", PIPELINE_LINES, NULL, NULL},
                                                {"learning_rate", PIPELINE_VALUE, NULL, NULL}};
static const pipeline_command commands[] = {{"data build", build_options, 4, 1, 3, "CORPUS...", true},
                                            {"train", train_options, 3, 1, 1, "RECIPE", true},
                                            {"list", NULL, 0, 0, 1, "", false}};
static const pipeline_program program = {.commands = commands, .n_commands = 3, .version = "1", .check_option = check_option};

static void count(void *user, const diag *d) {
    strbuf rendered = STRBUF_INIT;
    diag_render(d, &rendered);
    CHECK(rendered.size > 0);
    strbuf_free(&rendered);
    ++*(size_t *)user;
}

/* The recipe is XML that the reader of documents takes; the schema knew it before, so it only may lack files. */
static void check_recipe(const pipeline_stage *s, const pipeline_places *places, arena *a) {
    strbuf text = STRBUF_INIT;
    xml_document *document;
    pipeline_put_recipe(s, places, "/folder", &text);
    CHECK(strbuf_ok(&text));
    CHECK(xml_document_parse("recipe.xml", strbuf_str(&text), text.size, a, NULL, &document) == POFAC_OK);
    strbuf_free(&text);
}

static void check_stage(const pipeline *p, size_t i, const char **directories, arena *a) {
    const pipeline_stage *s = &p->stages[i];
    const pipeline_places places = {.pipeline = p, .stages = directories, .own = "own"};
    size_t n_arguments = s->has_recipe;
    CHECK(s->command && pipeline_find_stage(p, s->name) == i && !strchr(s->name, '/'));
    for (size_t k = 0; k < s->n_reads; k++) CHECK(s->reads[k] < i && (k == 0 || s->reads[k] > s->reads[k - 1]));
    for (size_t k = 0; k < s->n_words; k++) {
        const pipeline_word *w = &s->words[k];
        strbuf text = STRBUF_INIT;
        CHECK(!w->option || pipeline_option_find(s->command, w->option->name) == w->option);
        CHECK(w->kind != PIPELINE_WRITES || strncmp(w->value, "${out}", 6) == 0);
        pipeline_put_text(&places, w->value, &text);
        CHECK(strbuf_ok(&text));
        strbuf_free(&text);
        n_arguments += !w->option;
    }
    CHECK(n_arguments >= s->command->min_arguments && n_arguments <= s->command->max_arguments);
    if (s->has_recipe) check_recipe(s, &places, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const xml_parameter given = {"seed", "2"};
    arena a = ARENA_INIT;
    size_t messages = 0;
    const diag_sink sink = {count, &messages};
    const pipeline *p = NULL;
    put(data, size);
    const pofac_status status = pipeline_read(path, &given, size % 2, &program, &a, &sink, &p);
    CHECK((status == POFAC_OK) == (messages == 0));
    if (status == POFAC_OK) {
        const char **directories = ARENA_ARRAY(&a, const char *, p->n_stages);
        CHECK(p->n_stages > 0 && directories);
        for (size_t i = 0; i < p->n_stages; i++) directories[i] = "somewhere/else";
        for (size_t i = 0; i < p->n_stages; i++) check_stage(p, i, directories, &a);
        for (size_t i = 0; i < p->n_rows; i++)
            for (size_t k = 0; k < p->rows[i].n_cells; k++) CHECK(p->rows[i].cells[k].stage < p->n_stages);
    }
    arena_free(&a);
    return 0;
}
