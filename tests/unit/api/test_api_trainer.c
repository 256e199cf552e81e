/* Trainers through the C API: a run in steps, being asked to stop and going on, scores, models that are written, what is wrong, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ir/support/file_map.h"
#include "tests/unit/api/api_case.h"
#include "tests/unit/checkpoint/checkpoint_files.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/temporary_folder.h"

#define RECIPE(train)                                                                                                              \
    "<pofac xmlns=\"urn:pofac:1\"><model head=\"sequence-classification\" num_labels=\"2\"><bert vocab_size=\"10\" "               \
    "hidden_size=\"16\" num_hidden_layers=\"1\" num_attention_heads=\"2\" intermediate_size=\"32\" "                               \
    "max_position_embeddings=\"16\"/><tokenizer vocab=\"vocab.txt\"/></model><data kind=\"glue\" task=\"sst2\" "                   \
    "train=\"train.tsv\" " train " max_seq_length=\"16\"/><train max_steps=\"6\" per_device_train_batch_size=\"4\" "               \
    "learning_rate=\"1e-3\" logging_steps=\"1\" eval_steps=\"3\"/></pofac>"

static const char recipe[] = RECIPE("eval=\"train.tsv\"");

typedef struct trainer_case {
    api_case api;
    char path[288], directory[288];
    pofac_option given[4];
    pofac_trainer_options options;
} trainer_case;

static void begin(trainer_case *c, void **state) {
    static const char rows[] = "sentence\tlabel\na b\t0\nc d\t1\ne\t0\nb a\t1\nc\t0\nd d d\t1\ne e\t0\n";
    api_case_begin(&c->api, state);
    put_file(state, "recipe.xml", recipe, sizeof recipe - 1);
    put_file(state, "train.tsv", rows, sizeof rows - 1);
    snprintf(c->path, sizeof c->path, "%s/recipe.xml", c->api.folder);
    snprintf(c->directory, sizeof c->directory, "%s/run", c->api.folder);
    c->given[0] = (pofac_option){"output_dir", c->directory};
    c->options = (pofac_trainer_options)POFAC_TRAINER_OPTIONS_INIT;
    c->options.options = c->given;
    c->options.n_options = 1;
    c->options.threads = 1;
    c->options.tune = "off";
    c->options.cache_dir = c->api.cache;
}

static void end(trainer_case *c) {
    folder_remove(c->directory);
    api_case_end(&c->api);
}

static pofac_trainer *create(trainer_case *c) {
    pofac_trainer *t;
    const pofac_status status = pofac_trainer_create(c->path, &c->options, &c->api.log, &t);
    if (status != POFAC_OK) fail_msg("found status %s and\n%s", pofac_status_name(status), strbuf_str(&c->api.messages));
    return t;
}

static bool is_there(const char *directory, const char *name) {
    char path[600];
    struct stat s;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return stat(path, &s) == 0;
}

/* The hash of a run's weights would do; their bytes say where they differ. */
static void read_weights(const char *directory, file_map *out) {
    char path[600];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    assert_int_equal(file_map_open(path, NULL, out), POFAC_OK);
}

static void a_run_goes_step_by_step(void **state) {
    trainer_case c;
    const pofac_metric *metrics;
    size_t n;
    begin(&c, state);
    pofac_trainer *t = create(&c);
    assert_int_equal(pofac_trainer_max_steps(t), 6);
    assert_int_equal(pofac_trainer_steps_done(t), 0);
    assert_int_equal(pofac_trainer_finish(t), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: found 0 steps of 6, wanted all before the run is finished\n");
    for (int64_t i = 1; i <= 6; i++) {
        pofac_step s = POFAC_STEP_INIT;
        assert_false(pofac_trainer_is_done(t));
        assert_int_equal(pofac_trainer_step(t, i == 4 ? NULL : &s), POFAC_OK);
        assert_int_equal(pofac_trainer_steps_done(t), i);
        if (i == 4) continue;
        assert_int_equal(s.step, i);
        assert_int_equal(s.size_bytes, sizeof s);
        assert_true(isfinite(s.loss) && s.loss > 0.1 && s.loss == s.task_loss);
        assert_true(s.grad_norm > 0 && s.distill_loss == 0 && s.hidden_loss == 0 && s.sparsity == 0);
        assert_true(fabs(s.learning_rate - 1e-3 * (double)(7 - i) / 6) < 1e-12);
        assert_int_equal(s.examples, i % 2 ? 4 : 3);
        assert_true(s.tokens >= 3 * s.examples);
        assert_true(fabs(s.epoch - 0.5 * (double)i) < 1e-12);
    }
    assert_true(pofac_trainer_is_done(t));
    pofac_step s = POFAC_STEP_INIT;
    assert_int_equal(pofac_trainer_step(t, &s), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: found no step left, wanted one\n");
    assert_int_equal(pofac_trainer_evaluate(t, &metrics, &n), POFAC_OK);
    assert_int_equal(n, 2);
    assert_string_equal(metrics[0].name, "loss");
    assert_string_equal(metrics[1].name, "accuracy");
    assert_true(metrics[1].value >= 0 && metrics[1].value <= 1);
    assert_false(is_there(c.directory, "model.safetensors"));
    assert_int_equal(pofac_trainer_finish(t), POFAC_OK);
    assert_true(is_there(c.directory, "model.safetensors") && is_there(c.directory, "eval_results.json"));
    assert_int_equal(pofac_trainer_finish(t), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: found a run that is finished, wanted one that goes on\n");
    assert_int_equal(pofac_trainer_step(t, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: found a run that is finished, wanted one that goes on\n");
    pofac_trainer_destroy(t);
    end(&c);
}

static void *ask(void *user) {
    pofac_trainer_stop(user);
    return NULL;
}

/* Asked to stop behind step 2, going on in the same trainer; asked again, going on in another one: the weights of a run that was left alone. */
static void stopping_and_going_on(void **state) {
    trainer_case c;
    file_map wanted, found;
    char other[320];
    pofac_step s = POFAC_STEP_INIT;
    pthread_t thread;
    begin(&c, state);
    pofac_trainer *t = create(&c);
    while (!pofac_trainer_is_done(t)) assert_int_equal(pofac_trainer_step(t, NULL), POFAC_OK);
    assert_int_equal(pofac_trainer_finish(t), POFAC_OK);
    pofac_trainer_destroy(t);
    read_weights(c.directory, &wanted);

    snprintf(other, sizeof other, "%s/other", c.api.folder);
    c.given[0].value = other;
    t = create(&c);
    assert_int_equal(pofac_trainer_step(t, NULL), POFAC_OK);
    assert_int_equal(pthread_create(&thread, NULL, ask, t), 0);
    pthread_join(thread, NULL);
    assert_int_equal(pofac_trainer_step(t, &s), POFAC_ERR_INTERRUPTED);
    assert_int_equal(s.step, 2);
    assert_true(is_there(other, "checkpoint-2"));
    pofac_trainer_stop(t);
    assert_int_equal(pofac_trainer_step(t, &s), POFAC_ERR_INTERRUPTED); /* behind it comes an evaluation */
    assert_int_equal(s.step, 3);
    assert_true(is_there(other, "checkpoint-3"));
    assert_int_equal(pofac_trainer_step(t, &s), POFAC_OK);
    assert_int_equal(s.step, 4);
    assert_int_equal(pofac_trainer_save_checkpoint(t), POFAC_OK);
    assert_int_equal(pofac_trainer_save_checkpoint(t), POFAC_OK); /* it is there */
    assert_true(is_there(other, "checkpoint-4"));
    assert_int_equal(pofac_trainer_step(t, &s), POFAC_OK);
    pofac_trainer_destroy(t); /* step 5 is lost */

    c.given[1] = (pofac_option){"resume_from_checkpoint", "last"};
    c.options.n_options = 2;
    t = create(&c);
    assert_int_equal(pofac_trainer_steps_done(t), 4);
    while (!pofac_trainer_is_done(t)) assert_int_equal(pofac_trainer_step(t, NULL), POFAC_OK);
    assert_int_equal(pofac_trainer_finish(t), POFAC_OK);
    pofac_trainer_destroy(t);
    read_weights(other, &found);
    assert_int_equal(found.size_bytes, wanted.size_bytes);
    assert_memory_equal(found.data, wanted.data, wanted.size_bytes);
    file_map_close(&found);
    file_map_close(&wanted);
    folder_remove(other);
    end(&c);
}

/* The recipe as a text; the model that is written opens and predicts. */
static void a_text_makes_a_model(void **state) {
    static const pofac_text text = {"a b", NULL};
    const pofac_answer *const *answers;
    trainer_case c;
    char name[320], written[320];
    file_map saved, finished;
    begin(&c, state);
    snprintf(name, sizeof name, "%s/nowhere.xml", c.api.folder);
    snprintf(written, sizeof written, "%s/written/model", c.api.folder);
    char *copy = strdup(recipe);
    c.options.recipe_text = copy;
    pofac_trainer *t;
    assert_int_equal(pofac_trainer_create(name, &c.options, &c.api.log, &t), POFAC_OK);
    memset(copy, 'x', strlen(copy)); /* nobody reads it any more */
    while (!pofac_trainer_is_done(t)) assert_int_equal(pofac_trainer_step(t, NULL), POFAC_OK);
    assert_int_equal(pofac_trainer_save_model(t, written), POFAC_OK);
    assert_int_equal(pofac_trainer_finish(t), POFAC_OK);
    pofac_trainer_destroy(t);
    free(copy);
    read_weights(written, &saved);
    read_weights(c.directory, &finished);
    assert_int_equal(saved.size_bytes, finished.size_bytes);
    assert_memory_equal(saved.data, finished.data, saved.size_bytes);
    file_map_close(&saved);
    file_map_close(&finished);

    snprintf(c.api.path, sizeof c.api.path, "%s", c.directory);
    pofac_model *m = api_case_open(&c.api, NULL);
    pofac_predictor *p = api_case_predictor(&c.api, m);
    assert_int_equal(pofac_predictor_answer(p, &text, 1, &answers), POFAC_OK);
    assert_int_equal(answers[0]->n_labels, 2);
    assert_string_equal(answers[0]->labels[0].name, "negative");
    pofac_predictor_destroy(p);
    pofac_model_close(m);
    snprintf(written, sizeof written, "%s/written", c.api.folder);
    folder_remove(written);
    end(&c);
}

static void wrong_recipes_are_errors(void **state) {
    trainer_case c;
    pofac_trainer *t;
    const pofac_metric *metrics;
    size_t n;
    begin(&c, state);
    const struct {
        pofac_option option;
        const char *message;
    } rows[] = {
        {{"learn_rate", "1"}, "error: found the option \"learn_rate\", wanted an option of a recipe (pofac train --help)\n"},
        {{NULL, "1"}, "error: name or value of an option: found NULL, wanted something\n"},
        {{"seed", NULL}, "error: name or value of an option: found NULL, wanted something\n"},
    };
    c.options.n_options = 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        c.given[1] = rows[i].option;
        assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, &t), POFAC_ERR_USAGE);
        assert_null(t);
        api_case_wants(&c.api, rows[i].message);
    }
    c.given[1] = (pofac_option){"learning_rate", "fast"};
    assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, &t), POFAC_ERR_USAGE);
    assert_non_null(strstr(strbuf_str(&c.api.messages), "--learning_rate"));
    strbuf_clear(&c.api.messages);
    c.options.n_options = 0; /* no output_dir */
    assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, &t), POFAC_ERR_USAGE);
    assert_non_null(strstr(strbuf_str(&c.api.messages), "output_dir"));
    strbuf_clear(&c.api.messages);
    c.options.recipe_text = "<pofac>";
    assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, &t), POFAC_ERR_INPUT);
    assert_non_null(strstr(strbuf_str(&c.api.messages), "recipe.xml:1:"));
    strbuf_clear(&c.api.messages);
    c.options.recipe_text = NULL;
    assert_int_equal(pofac_trainer_create(NULL, &c.options, &c.api.log, &t), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: path: found NULL, wanted something\n");
    assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: out: found NULL, wanted something\n");
    assert_int_equal(pofac_trainer_step(NULL, NULL), POFAC_ERR_USAGE);
    assert_int_equal(pofac_trainer_evaluate(NULL, &metrics, &n), POFAC_ERR_USAGE);
    assert_int_equal(pofac_trainer_save_checkpoint(NULL), POFAC_ERR_USAGE);
    assert_int_equal(pofac_trainer_save_model(NULL, "x"), POFAC_ERR_USAGE);
    assert_int_equal(pofac_trainer_finish(NULL), POFAC_ERR_USAGE);
    assert_int_equal(pofac_trainer_steps_done(NULL), 0);
    assert_int_equal(pofac_trainer_max_steps(NULL), 0);
    assert_true(pofac_trainer_is_done(NULL));
    pofac_trainer_stop(NULL);
    pofac_trainer_destroy(NULL);

    static const char unmeasured[] = RECIPE("");
    c.options.recipe_text = unmeasured;
    c.options.n_options = 1;
    assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, &t), POFAC_ERR_USAGE); /* eval_steps, and no data */
    assert_non_null(strstr(strbuf_str(&c.api.messages), "eval_steps"));
    strbuf_clear(&c.api.messages);
    end(&c);
}

/* Two trainers cannot have one directory. */
static void a_directory_has_one_trainer(void **state) {
    trainer_case c;
    pofac_trainer *t, *other;
    begin(&c, state);
    t = create(&c);
    assert_int_equal(pofac_trainer_create(c.path, &c.options, &c.api.log, &other), POFAC_ERR_RUNTIME);
    assert_null(other);
    api_case_wants(&c.api, "run: error: another process is training here\n");
    assert_int_equal(pofac_trainer_save_model(t, NULL), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: directory: found NULL, wanted something\n");
    assert_int_equal(pofac_trainer_step(t, &(pofac_step){0}), POFAC_ERR_USAGE);
    api_case_wants(&c.api, "error: pofac_step: found size_bytes 0, wanted the structure's size\n");
    assert_int_equal(pofac_trainer_steps_done(t), 0);
    pofac_trainer_destroy(t);
    end(&c);
}

/* A locale that writes 0,5, made in the test's folder where the machine has its source. */
static bool make_comma_locale(const char *folder) {
    char command[700];
    snprintf(command, sizeof command, "localedef --no-archive -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >'%s/said.txt' 2>&1", folder,
             folder);
    const int ended = system(command);
    setenv("LOCPATH", folder, 1);
    return ended == 0 && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void run_all(pofac_trainer *t) {
    while (!pofac_trainer_is_done(t)) assert_int_equal(pofac_trainer_step(t, NULL), POFAC_OK);
    assert_int_equal(pofac_trainer_finish(t), POFAC_OK);
    pofac_trainer_destroy(t);
}

static void the_locale_does_not_matter(void **state) {
    trainer_case c;
    char other[300], copies[600];
    file_map wanted, found;
    begin(&c, state);
    run_all(create(&c));
    snprintf(other, sizeof other, "%s/other", c.api.folder);
    snprintf(copies, sizeof copies, "%s/locales", c.api.folder);
    assert_int_equal(mkdir(copies, 0700), 0);
    const bool has_commas = make_comma_locale(copies);
    c.given[0].value = other;
    char half[16] = "";
    if (has_commas) {
        run_all(create(&c));
        snprintf(half, sizeof half, "%.1f", 0.5); /* the program's locale is as it was */
    }
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    folder_remove(copies);
    if (has_commas) {
        assert_string_equal(half, "0,5");
        read_weights(c.directory, &wanted);
        read_weights(other, &found);
        assert_int_equal(found.size_bytes, wanted.size_bytes);
        assert_memory_equal(found.data, wanted.data, wanted.size_bytes);
        file_map_close(&wanted);
        file_map_close(&found);
        folder_remove(other);
    }
    end(&c);
    if (!has_commas) {
        print_message("SKIP: no locale with a decimal comma can be made\n");
        skip();
    }
}

static void failing_allocations(void **state) {
    trainer_case c;
    begin(&c, state);
    pofac_trainer_destroy(create(&c)); /* fills the cache */
    size_t n_failed = 0;
    for (size_t n = 1;; n += 1 + n / 4) {
        pofac_trainer *t = NULL;
        folder_remove(c.directory);
        fail_alloc_after(n);
        pofac_status status = pofac_trainer_create(c.path, &c.options, &c.api.log, &t);
        if (status == POFAC_OK) status = pofac_trainer_step(t, NULL);
        const bool failed = fail_alloc_stop();
        pofac_trainer_destroy(t);
        strbuf_clear(&c.api.messages);
        if (!failed) {
            assert_int_equal(status, POFAC_OK);
            break;
        }
        n_failed++;
        if (status != POFAC_OK && status != POFAC_ERR_RUNTIME) fail_msg("allocation %zu fails: status %d", n, status);
    }
    assert_true(n_failed > 15);
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_goes_step_by_step),     cmocka_unit_test(stopping_and_going_on),
        cmocka_unit_test(a_text_makes_a_model),        cmocka_unit_test(wrong_recipes_are_errors),
        cmocka_unit_test(a_directory_has_one_trainer), cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
