/* Recipes: descriptions and options, which win, and what contradicts itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/recipe.h"
#include "tests/unit/fail_alloc.h"

#define MODEL "<model><bert/></model>"
#define DATA "<data kind=\"tensors\" train=\"a.safetensors\"/>"

static char path[64];

static int make_file(void **unused) {
    (void)unused;
    strcpy(path, "/tmp/pofac-recipe-XXXXXX");
    const int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    return fd < 0;
}

static int remove_file(void **unused) {
    (void)unused;
    return unlink(path);
}

typedef struct reading {
    arena memory;
    strbuf said;
    recipe recipe;
    pofac_status status;
} reading;

/* "name=text name=text" as options. */
static reading *read_recipe(const char *sections, const char *options, recipe_use use) {
    reading *r = calloc(1, sizeof *r);
    recipe_option given[16]; /* words of options */
    size_t n = 0;
    char *words = strdup(options), *rest = NULL;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "<pofac xmlns=\"urn:pofac:1\">\n%s\n</pofac>\n", sections);
    fclose(f);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest), n++) {
        char *equals = strchr(word, '=');
        *equals = 0;
        given[n] = (recipe_option){word, equals + 1};
    }
    r->said = (strbuf)STRBUF_INIT;
    const diag_sink sink = diag_sink_to_strbuf(&r->said);
    r->status = recipe_read(path, given, n, use, &r->memory, &sink, &r->recipe);
    free(words);
    return r;
}

static void done(reading *r) {
    arena_free(&r->memory);
    strbuf_free(&r->said);
    free(r);
}

static reading *good(const char *sections, const char *options) {
    reading *r = read_recipe(sections, options, RECIPE_FOR_PLANNING);
    if (r->status != POFAC_OK) fail_msg("%s", strbuf_str(&r->said));
    return r;
}

static void defaults_are_trainers(void **unused) {
    (void)unused;
    reading *r = good(MODEL DATA, "");
    const recipe_train *t = &r->recipe.train;
    assert_int_equal(r->recipe.data.kind, RECIPE_TENSORS);
    assert_true(t->learning_rate == 5e-5 && t->num_train_epochs == 3 && t->max_steps == -1 && t->batch_size == 8);
    assert_true(t->max_grad_norm == 1 && t->weight_decay == 0 && t->beta1 == 0.9 && t->beta2 == 0.999 && t->epsilon == 1e-8);
    assert_true(t->schedule == RATE_LINEAR && t->seed == 42 && t->logging_steps == 500 && t->save_steps == 500);
    assert_string_equal(t->optim, "adamw_torch");
    assert_string_equal(t->metric_for_best_model, "loss");
    assert_false(t->greater_is_better || r->recipe.lock || t->hidden_dropout.is_given);
    assert_true(t->tensorboard && t->mask_padded_logits && r->recipe.leaves_labels);
    done(r);
}

static void options_win(void **unused) {
    (void)unused;
    reading *r =
        good(MODEL DATA "<train learning_rate=\"1e-3\" max_steps=\"7\" seed=\"3\"/>",
             "learning_rate=2e-3 train=b.safetensors metric_for_best_model=eval_accuracy max_memory=2G hidden_dropout_prob=0 "
             "pruning_fn=pattern_lock optim=sgd momentum=0.5");
    const recipe_train *t = &r->recipe.train;
    assert_true(t->learning_rate == 2e-3 && t->max_steps == 7 && t->seed == 3 && t->momentum == 0.5);
    assert_string_equal(r->recipe.data.train, "b.safetensors"); /* where the program is, not where the document is */
    assert_string_equal(t->metric_for_best_model, "accuracy");
    assert_true(t->greater_is_better && t->max_memory == (int64_t)2 << 30 && r->recipe.lock);
    assert_true(t->hidden_dropout.is_given && t->hidden_dropout.rate == 0 && !t->attention_dropout.is_given);
    done(r);
}

static void a_task_says_what_kind_it_is(void **unused) {
    (void)unused;
    reading *r = good(MODEL, "task=sst2 train=x.tsv");
    assert_int_equal(r->recipe.data.kind, RECIPE_GLUE);
    done(r);
    r = good(MODEL, "task=squad_v2 train=x.json");
    assert_int_equal(r->recipe.data.kind, RECIPE_SQUAD);
    assert_int_equal(r->recipe.data.doc_stride, 0);
    done(r);
}

#define PRUNE                                                                                                                      \
    "<prune pruning_fn=\"uniform_magnitude\" target_sparsity=\"0.5\" block_size=\"4\" pruning_frequency=\"7\">"                    \
    "<not_to_prune pattern=\"cls\"/><weight_sparsity_map pattern=\"query\" target_sparsity=\"0.25\"/></prune>"

/* The schedule of the document, with options over it, and what not_to_prune it has. */
static void masks_have_a_schedule(void **unused) {
    (void)unused;
    reading *r = good(MODEL DATA PRUNE "<train lr_rewind=\"true\"/>", "target_sparsity=0.75 begin_pruning_step=3 exponent=2");
    const pruning_config *c = &r->recipe.prune;
    assert_true(r->recipe.prunes && !r->recipe.lock && r->recipe.train.schedule == RATE_LINEAR_REWIND);
    assert_string_equal(c->method, "uniform_magnitude");
    assert_true(c->defaults.values.target_sparsity == 0.75 && c->defaults.values.block_size == 4 && c->exponent == 2);
    assert_true(c->pruning_frequency == 7 && c->begin_pruning_step == 3 && c->end_pruning_step == -1);
    assert_int_equal(c->not_to_prune.n, 1);
    assert_int_equal(c->weight_sparsity_map.n, 1);
    done(r);
    r = good(MODEL DATA PRUNE, "not_to_prune=a.b\nc");
    c = &r->recipe.prune;
    assert_int_equal(c->not_to_prune.n, 2);
    assert_string_equal(c->not_to_prune.data[1].pattern, "c");
    assert_int_equal(c->weight_sparsity_map.n, 1);
    done(r);
    r = good(MODEL DATA, "target_sparsity=0.5");
    assert_string_equal(r->recipe.prune.method, "unstructured_magnitude");
    assert_true(r->recipe.prunes && r->recipe.prune.policy_end_step == 1000);
    done(r);
    r = good(MODEL DATA "<prune pruning_fn=\"pattern_lock\"><not_to_prune pattern=\"pooler\"/></prune>", "");
    assert_true(r->recipe.lock && !r->recipe.prunes && r->recipe.prune.not_to_prune.n == 1);
    done(r);
}

/* A configuration that an option names stands instead of the document's <prune>. */
static void a_configuration_is_read(void **unused) {
    (void)unused;
    char file[] = "/tmp/pofac-pruning-XXXXXX", options[200];
    const int fd = mkstemp(file);
    assert_true(fd >= 0);
    const char text[] = "{\"pruning_fn\": \"unstructured_magnitude\", \"pruning_frequency\": 5, \"not_to_prune\": [\"x\"]}";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    snprintf(options, sizeof options, "pruning_config=%s target_sparsity=0.8 policy_end_step=40", file);
    reading *r = good(MODEL DATA PRUNE, options);
    const pruning_config *c = &r->recipe.prune;
    assert_string_equal(c->method, "unstructured_magnitude");
    assert_true(c->pruning_frequency == 5 && c->defaults.values.target_sparsity == 0.8 && c->policy_end_step == 40);
    assert_string_equal(c->not_to_prune.data[0].pattern, "x");
    assert_int_equal(c->weight_sparsity_map.n, 0);
    done(r);
    unlink(file);
}

/* Options over a document, whose pruning becomes one element, with every allocation that fails. */
static void recipes_are_refused_when_memory_is_short(void **unused) {
    (void)unused;
    static const recipe_option given[] = {{"target_sparsity", "0.75"},
                                          {"not_to_prune", "a\nb"},
                                          {"teacher", "t"},
                                          {"layer_map", "1 2"},
                                          {"cross_model_distillation", "tinybert"}};
    size_t n = 1;
    done(good(MODEL DATA PRUNE, "")); /* writes the document */
    for (bool failed = true; failed; n++) {
        arena memory = ARENA_INIT;
        recipe r;
        fail_alloc_after(n);
        const pofac_status status = recipe_read(path, given, sizeof given / sizeof *given, RECIPE_FOR_PLANNING, &memory, NULL, &r);
        failed = fail_alloc_stop();
        if (failed) assert_int_equal(status, POFAC_ERR_RUNTIME);
        else assert_int_equal(status, POFAC_OK);
        arena_free(&memory);
    }
    assert_in_range(n, 5, 1000);
}

static void a_teacher_has_its_weights(void **unused) {
    (void)unused;
    reading *r = good(MODEL DATA "<teacher from=\"t\"/>", "teacher=big");
    const recipe_distill *d = &r->recipe.distill;
    assert_string_equal(r->recipe.teacher, "big");
    assert_true(d->task_alpha == 0.5 && d->teacher_alpha == 0.5 && d->temperature == 1 && d->token_share == 1);
    assert_true(!d->cross_model && d->n_layer_map == 0 && !r->recipe.teacher_logits);
    done(r);
    r = good(MODEL DATA "<teacher from=\"t\"/><distill temperature=\"2\" cross_model_distillation=\"tinybert\" layer_map=\"1 3\"/>",
             "knowledge_distillation_alpha=1 cross_entropy_alpha=0 token_share=0.25");
    d = &r->recipe.distill;
    assert_true(d->task_alpha == 0 && d->teacher_alpha == 1 && d->temperature == 2 && d->token_share == 0.25);
    assert_string_equal(d->cross_model, "tinybert");
    assert_true(d->n_layer_map == 2 && d->layer_map[1] == 3);
    done(r);
}

/* Each row: sections, options, and the message without the file's name. */
static void contradictions_are_errors(void **unused) {
    (void)unused;
    static const struct {
        const char *sections, *options, *said;
    } rows[] = {
        {MODEL, "",
         "error: found neither <data> nor --kind: wanted what examples are made of (segment_pair_nsp, doc_sentences, concatenate, "
         "glue, squad or tensors)\n"},
        {MODEL, "kind=tensors", "error: found no examples to learn from: wanted --train PATH, or train in <data>\n"},
        {MODEL DATA, "learning_rate=fast", "error: --learning_rate is \"fast\", wanted a number from 0 to 1000000\n"},
        {MODEL DATA, "max_steps=1.5", "error: --max_steps is \"1.5\", wanted an integer from -1 to 1000000000000\n"},
        {MODEL DATA, "max_memory=much", "error: --max_memory: wanted a number of bytes like 512M or 8G\n"},
        {MODEL DATA, "doc_stride=3", "error: --doc_stride: found without kind squad, which it belongs to\n"},
        {MODEL DATA, "nsp_probability=0.1",
         "error: --nsp_probability: is decided when shards are made (`pofac data build`), not when they are read\n"},
        {MODEL DATA, "momentum=0.9", "error: --momentum: found without optim sgd, which it belongs to\n"},
        {MODEL DATA, "optim=sgd adam_beta1=0.8", "error: --adam_beta1: found with optim sgd, which has no moments\n"},
        {MODEL DATA, "group_by_length=true", "error: --group_by_length: found with kind tensors, whose rows are taken in order\n"},
        {MODEL DATA, "early_stopping_patience=2",
         "error: --early_stopping_patience: found without eval_steps, wanted evaluations to stop by\n"},
        {MODEL DATA, "early_stopping_threshold=2",
         "error: --early_stopping_threshold: found without early_stopping_patience, which it belongs to\n"},
        {MODEL DATA, "report_to=none logging_dir=x",
         "error: --logging_dir: found with report_to none, which writes no event files\n"},
        {MODEL DATA, "lr_scheduler_type=linear_rewind",
         "error: --lr_scheduler_type: linear_rewind needs a schedule of pruning, whose masks it goes back to\n"},
        {MODEL DATA, "pruning_fn=unstructured_neural_wiring scheduler=one_shot",
         "--pruning_fn: error: pruning_fn: found unstructured_neural_wiring with the scheduler one_shot, wanted iterative\n"},
        {MODEL DATA, "target_sparsity=1.5", "error: --target_sparsity is \"1.5\", wanted a number from 0 to 1\n"},
        {MODEL DATA, "target_sparsity=0.5 policy_begin_step=7 policy_end_step=7",
         "--pruning_fn: error: policy_end_step: found 7, wanted more than policy_begin_step, which is 7\n"},
        {MODEL DATA, "target_sparsity=0.5 scheduler=one_shot lr_rewind=true",
         "error: --lr_rewind: needs a schedule of pruning, whose masks it goes back to\n"},
        {MODEL DATA, "temperature=2", "error: --temperature: found without a teacher, wanted --teacher DIR, or <teacher>\n"},
        {MODEL DATA, "teacher=x layer_map=1",
         "error: --layer_map: found without cross_model_distillation tinybert, which it belongs to\n"},
        {MODEL DATA, "teacher_logits=x cross_model_distillation=distilbert",
         "error: --cross_model_distillation: found with answers of the teacher from a directory, which has no hidden states\n"},
        {MODEL "<data kind=\"glue\" train=\"x\"/>", "", ":2:35: error: kind: glue needs a task\n"},
        {MODEL "<data kind=\"glue\" task=\"squad\" train=\"x\"/>", "",
         ":2:47: error: task: found squad with kind glue, wanted kind squad\n"},
        {MODEL DATA "<quantize method=\"static\"/>", "",
         ":2:85: error: method: found another than qat, wanted qat: pofac quantize does the others, without training\n"},
        {MODEL DATA "<quantize percentile=\"99\"/>", "",
         ":2:89: error: percentile: found with method qat, whose ranges training learns\n"},
        {MODEL DATA "<quantize weight_bits=\"4\"/>", "", ":2:90: error: weight_bits: found 4 with method qat, wanted 8\n"},
        {MODEL DATA "<quantize requantize_outputs=\"false\"/>", "",
         ":2:97: error: requantize_outputs: found false with method qat, wanted true, or not_to_requantize_output\n"},
        {MODEL DATA "<quantize quantize_embeddings=\"true\"/>", "",
         ":2:67: error: quantize_embeddings: found true, wanted false: training leaves tables in floats, which pofac quantize "
         "stores in "
         "8 bits\n"},
        {MODEL DATA, "quantization_begin=1 pruning_fn=movement target_sparsity=0.5",
         "error: found quantization with movement, whose masks need gradients of all entries; wanted one of them\n"},
        {MODEL DATA "<distill temperature=\"2\"/>", "",
         ":2:89: error: temperature: found without a teacher, wanted --teacher DIR, or <teacher>\n"},
        {MODEL "<prune pruning_fn=\"uniform_neural_wiring\" scheduler=\"one_shot\"/>" DATA, "",
         ":2:42: error: pruning_fn: found uniform_neural_wiring with the scheduler one_shot, wanted iterative\n"},
        {MODEL DATA "<train lr_rewind=\"true\"/>", "",
         ":2:85: error: lr_rewind: needs a schedule of pruning, whose masks it goes back to\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reading *r = read_recipe(rows[i].sections, rows[i].options, RECIPE_FOR_PLANNING);
        const char *said = strbuf_str(&r->said);
        if (rows[i].said[0] == ':') {
            assert_int_equal(r->status, POFAC_ERR_INPUT);
            if (strncmp(said, path, strlen(path)) == 0) said += strlen(path);
            if (strncmp(said, rows[i].said, strlen(rows[i].said)) != 0) fail_msg("row %zu: %s, wanted %s", i, said, rows[i].said);
        } else {
            if (strcmp(said, rows[i].said) != 0) fail_msg("row %zu: %s, wanted %s", i, said, rows[i].said);
            assert_int_equal(r->status, POFAC_ERR_USAGE);
        }
        done(r);
    }
}

static void uses_want_different_things(void **unused) {
    (void)unused;
    reading *r = read_recipe(MODEL DATA, "", RECIPE_FOR_TRAINING);
    assert_int_equal(r->status, POFAC_ERR_USAGE);
    assert_string_equal(strbuf_str(&r->said), "error: training needs --output_dir DIR, for weights, checkpoints and metrics\n");
    done(r);
    r = read_recipe(MODEL "<teacher from=\"x\"/>", "kind=tensors eval=x", RECIPE_FOR_EVALUATION);
    assert_int_equal(r->status, POFAC_OK); /* evaluation has no teacher */
    done(r);
}

/* What a checkpoint keeps, and a message about a run that would go on otherwise quotes. */
static void settings_are_words(void **unused) {
    (void)unused;
    static const char *const lines[] = {"lr_scheduler_type=linear_rewind\n",
                                        "pruning_scheduler=iterative\n",
                                        "init_strategy=er\n",
                                        "pruning_parameters=target_sparsity 0.75, fast_threshold true, block_size 4\n",
                                        "weight_sparsity_map=\"query\": target_sparsity 0.25\n",
                                        "not_to_prune=\"cls\"\n"};
    strbuf text = STRBUF_INIT;
    reading *r = good(MODEL DATA PRUNE "<train lr_rewind=\"true\"/>", "target_sparsity=0.75 fast_threshold=true init_strategy=er");
    recipe_put_settings(&r->recipe, &text);
    done(r);
    assert_true(strbuf_ok(&text));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(strbuf_str(&text), lines[i])) fail_msg("no %s in %s", lines[i], strbuf_str(&text));
    strbuf_free(&text);
}

static void settings_tell_runs_apart(void **unused) {
    (void)unused;
    static const char *const same[] = {"logging_steps=3", "output_dir=x", "eval_steps=2", "save_total_limit=1"};
    static const char *const other[] = {"seed=1",
                                        "weight_decay=0.1",
                                        "max_tokens=9",
                                        "bf16=true",
                                        "hidden_dropout_prob=0.1",
                                        "max_steps=4",
                                        "target_sparsity=0.5",
                                        "teacher=x",
                                        "teacher=x temperature=3",
                                        "teacher_logits=x",
                                        "target_sparsity=0.5 pruning_frequency=3",
                                        "target_sparsity=0.5 not_to_prune=x",
                                        "pruning_fn=pattern_lock",
                                        "quantization_begin=0",
                                        "quantization_begin=2",
                                        "observe_padding=true",
                                        "weight_scales=per_channel",
                                        "not_to_quantize=x",
                                        "not_to_requantize_output=x",
                                        "pruning_fn=pattern_lock not_to_prune=x"};
    enum { N_OTHER = sizeof other / sizeof *other };
    strbuf plain = STRBUF_INIT, text = STRBUF_INIT, texts[N_OTHER];
    reading *r = good(MODEL DATA, "");
    recipe_put_settings(&r->recipe, &plain);
    done(r);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        r = good(MODEL DATA, same[i]);
        strbuf_clear(&text);
        recipe_put_settings(&r->recipe, &text);
        assert_string_equal(strbuf_str(&text), strbuf_str(&plain));
        done(r);
    }
    for (size_t i = 0; i < N_OTHER; i++) { /* from the plain one, and from each other */
        texts[i] = (strbuf)STRBUF_INIT;
        r = good(MODEL DATA, other[i]);
        recipe_put_settings(&r->recipe, &texts[i]);
        done(r);
        assert_string_not_equal(strbuf_str(&texts[i]), strbuf_str(&plain));
        for (size_t k = 0; k < i; k++)
            if (strcmp(strbuf_str(&texts[i]), strbuf_str(&texts[k])) == 0) fail_msg("%s is told as %s", other[i], other[k]);
    }
    for (size_t i = 0; i < N_OTHER; i++) strbuf_free(&texts[i]);
    strbuf_free(&plain);
    strbuf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_trainers),
        cmocka_unit_test(options_win),
        cmocka_unit_test(a_task_says_what_kind_it_is),
        cmocka_unit_test(contradictions_are_errors),
        cmocka_unit_test(masks_have_a_schedule),
        cmocka_unit_test(a_configuration_is_read),
        cmocka_unit_test(recipes_are_refused_when_memory_is_short),
        cmocka_unit_test(a_teacher_has_its_weights),
        cmocka_unit_test(uses_want_different_things),
        cmocka_unit_test(settings_tell_runs_apart),
        cmocka_unit_test(settings_are_words),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
