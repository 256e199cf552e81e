/*
 * Configurations of pruning: the files that the reference's examples have, the same in XML, precedence of rules, Erdos-Renyi targets, the schedule by its formula,
 * and every wrong value's message; names' patterns in Python's syntax.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/model/name_pattern.h"
#include "frontend/model/pruning_config.h"
#include "tests/unit/fail_alloc.h"

#define FILE_NAME "test_pruning_config.json"

typedef struct config_case {
    arena memory;
    strbuf messages;
    diag_sink sink;
    pruning_config config;
} config_case;

static void begin(config_case *c) {
    *c = (config_case){.memory = ARENA_INIT, .messages = STRBUF_INIT};
    c->sink = diag_sink_to_strbuf(&c->messages);
}

static void end(config_case *c) {
    arena_free(&c->memory);
    strbuf_free(&c->messages);
}

static void put_file(const char *text) {
    FILE *f = fopen(FILE_NAME, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static pofac_status read_text(config_case *c, const char *text) {
    put_file(text);
    return pruning_config_read(FILE_NAME, &c->memory, &c->sink, &c->config);
}

static pofac_status read_xml(config_case *c, const char *prune) {
    xml_document *document;
    char text[2000];
    snprintf(text, sizeof text,
             "<pofac xmlns=\"urn:pofac:1\"><model><bert hidden_size=\"64\" num_attention_heads=\"2\"/></model>%s</pofac>", prune);
    assert_int_equal(xml_document_parse("recipe.xml", text, strlen(text), &c->memory, &c->sink, &document), POFAC_OK);
    return pruning_config_of_xml(xml_child(document->root, "prune"), &c->memory, &c->sink, &c->config);
}

static const prunable_layer layers[] = {
    {"bert.encoder.layer.0.attention.self.query", 128, 128},
    {"bert.encoder.layer.0.intermediate.dense", 512, 128},
    {"bert.encoder.layer.0.output.dense", 128, 512},
    {"bert.encoder.layer.10.output.dense", 128, 512},
    {"bert.pooler.dense", 128, 128},
    {"cls.predictions.transform.dense", 128, 128},
    {"cls.seq_relationship", 2, 128},
};
#define N_LAYERS (sizeof layers / sizeof *layers)

/* "2=0.9 3=0.5": indices of the layers that are chosen, and their targets. */
static void want_choice(config_case *c, const char *wanted) {
    pruning_choice *chosen;
    size_t n;
    strbuf found = STRBUF_INIT;
    if (pruning_config_select(&c->config, layers, N_LAYERS, &c->memory, &c->sink, &chosen, &n) != POFAC_OK)
        fail_msg("%s", strbuf_str(&c->messages));
    for (size_t i = 0; i < n; i++)
        strbuf_printf(&found, "%s%zu=%.4g", i ? " " : "", chosen[i].layer, chosen[i].parameters.target_sparsity);
    assert_string_equal(strbuf_str(&found), wanted);
    strbuf_free(&found);
}

/* ---- reading ---- */

static const char stage2[] = "{\"begin_pruning_step\": 0, \"end_pruning_step\": 80000, \"init_strategy\": \"uniform\", "
                             "\"not_to_prune\": [\"cls\", \"teacher\"], \"policy_begin_step\": 0, \"policy_end_step\": 50000, "
                             "\"prune_layer_types\": {\"Linear\": {\"name\": \"weight\"}}, "
                             "\"pruning_fn\": \"unstructured_magnitude\", \"pruning_fn_default_kwargs\": "
                             "{\"initial_sparsity\": 0.0, \"target_sparsity\": 0.9}, \"pruning_frequency\": 1000, "
                             "\"scheduler\": \"iterative\"}";

static void check_stage2(config_case *c) {
    const pruning_config *p = &c->config;
    assert_string_equal(strbuf_str(&c->messages), "");
    assert_string_equal(p->method, "unstructured_magnitude");
    assert_int_equal(p->scheduler, PRUNING_SCHEDULE_ITERATIVE);
    assert_int_equal(p->end_pruning_step, 80000);
    assert_int_equal(p->policy_end_step, 50000);
    assert_int_equal(p->pruning_frequency, 1000);
    want_choice(c, "0=0.9 1=0.9 2=0.9 3=0.9 4=0.9");
}

static void the_references_files(void **unused) {
    (void)unused;
    config_case c;
    begin(&c);
    assert_int_equal(read_text(&c, stage2), POFAC_OK);
    check_stage2(&c);
    end(&c);
    begin(&c);
    assert_int_equal(read_text(&c, "{\"not_to_prune\": [\"classifier\", \"teacher\"], \"prune_layer_types\": {\"Linear\": "
                                   "{\"name\": \"weight\"}, \"QuantizedLinear\": {\"name\": \"weight\"}}, \"pruning_fn\": "
                                   "\"pattern_lock\", \"scheduler\": \"one_shot\"}"),
                     POFAC_OK);
    assert_string_equal(strbuf_str(&c.messages), "");
    assert_string_equal(c.config.method, "pattern_lock");
    assert_int_equal(c.config.scheduler, PRUNING_SCHEDULE_ONE_SHOT);
    assert_true(pruning_config_progress(&c.config, 0) == 1);
    assert_false(pruning_config_is_due(&c.config, 0));
    want_choice(&c, "0=0 1=0 2=0 3=0 4=0 5=0 6=0");
    end(&c);
}

static void the_same_as_xml(void **unused) {
    (void)unused;
    config_case c;
    begin(&c);
    assert_int_equal(read_xml(&c, "<prune pruning_fn=\"unstructured_magnitude\" target_sparsity=\"0.9\" end_pruning_step=\"80000\" "
                                  "policy_end_step=\"50000\" pruning_frequency=\"1000\"><not_to_prune pattern=\"cls\"/>"
                                  "<not_to_prune pattern=\"teacher\"/></prune>"),
                     POFAC_OK);
    check_stage2(&c);
    end(&c);
    begin(&c); /* a file, and over it what is written beside it */
    put_file(stage2);
    assert_int_equal(read_xml(&c, "<prune config=\"" FILE_NAME "\" target_sparsity=\"0.5\" scheduler=\"one_shot\">"
                                  "<not_to_prune pattern=\"pooler|cls\"/></prune>"),
                     POFAC_OK);
    assert_int_equal(c.config.policy_end_step, 50000);
    assert_int_equal(c.config.scheduler, PRUNING_SCHEDULE_ONE_SHOT);
    want_choice(&c, "0=0.5 1=0.5 2=0.5 3=0.5");
    end(&c);
}

static void parameters_of_methods(void **unused) {
    (void)unused;
    config_case c;
    pruning_choice *chosen;
    size_t n;
    begin(&c);
    assert_int_equal(
        read_text(&c, "{\"pruning_fn\": \"block_structured_magnitude\", \"pruning_fn_default_kwargs\": {\"block_dims\": [4, 8], "
                      "\"pooling_type\": \"max\", \"target_sparsity\": 1, \"threshold_decay\": 0.5, \"fast_threshold\": true, "
                      "\"block_size\": 16, \"group\": \"g\", \"group_initial_sparsity\": 0.25}, "
                      "\"weight_sparsity_map\": {\"query$\": {\"block_dims\": 2}, \"pooler\": {\"block_dims\": [3]}}}"),
        POFAC_OK);
    assert_int_equal(pruning_config_select(&c.config, layers, N_LAYERS, &c.memory, &c.sink, &chosen, &n), POFAC_OK);
    assert_int_equal(n, N_LAYERS);
    const pruning_parameters *p = &chosen[1].parameters;
    assert_int_equal(p->block_columns, 4);
    assert_int_equal(p->block_rows, 8);
    assert_int_equal(p->pooling, PRUNING_MAX);
    assert_true(p->target_sparsity == 1 && p->threshold_decay == 0.5 && p->fast_threshold && p->initial_sparsity == 0.25);
    assert_int_equal(p->block_size, 16);
    assert_string_equal(p->group, "g");
    assert_int_equal(chosen[0].parameters.block_rows * 10 + chosen[0].parameters.block_columns, 22);
    assert_int_equal(chosen[4].parameters.block_rows * 10 + chosen[4].parameters.block_columns, 31);
    end(&c);
}

/* ---- texts over files, and files of what was read ---- */

static const char everything[] =
    "{\"pruning_fn\": \"second_order\", \"scheduler\": \"one_shot\", \"init_strategy\": \"erk\", \"exponent\": 2.5, "
    "\"initial_step\": 4, "
    "\"fisher_block_size\": 32, \"fisher_gradients\": 64, \"fisher_damping\": 1e-6, \"masks\": \"/m.safetensors\", "
    "\"not_to_prune\": [\"a\\\"b\", \"cls\"], \"policy_begin_step\": 2, \"policy_end_step\": 9, \"begin_pruning_step\": 1, "
    "\"end_pruning_step\": 8, \"pruning_frequency\": 3, \"pruning_fn_default_kwargs\": {\"block_dims\": [4, 8], "
    "\"pooling_type\": \"max\", \"group_target_sparsity\": 0.9, \"threshold_decay\": 0.5, \"fast_threshold\": true, "
    "\"block_size\": 16, \"group\": \"g\"}, \"prune_layer_types\": {\"Linear\": {\"name\": \"weight\", \"target_sparsity\": 0.1}}, "
    "\"weight_sparsity_map\": {\"query$\": {\"initial_sparsity\": 0.25}, \"key\": {}}, "
    "\"explicit_prune\": {\"pooler\": {\"name\": \"weight\", \"block_dims\": 2}}}";

/* What is printed reads back as the same, and is printed as the same text; of `stage2` it is what the package itself writes, but for white space and order. */
static void files_come_back(void **unused) {
    (void)unused;
    static const char *const texts[] = {stage2, everything, "{\"pruning_fn\": \"pattern_lock\", \"prune_layer_types\": {}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        config_case c;
        strbuf first = STRBUF_INIT, second = STRBUF_INIT;
        begin(&c);
        assert_int_equal(read_text(&c, texts[i]), POFAC_OK);
        pruning_config_print(&c.config, &first);
        assert_int_equal(read_text(&c, strbuf_str(&first)), POFAC_OK);
        assert_string_equal(strbuf_str(&c.messages), "");
        if (i == 0) check_stage2(&c);
        pruning_config_print(&c.config, &second);
        assert_string_equal(strbuf_str(&second), strbuf_str(&first));
        json_t *wanted = json_loads(texts[i], 0, NULL), *found = json_loads(strbuf_str(&first), 0, NULL);
        assert_non_null(wanted);
        assert_non_null(found);
        const char *key;
        json_t *value;
        if (i == 0 && !json_equal(wanted, found)) fail_msg("found %s, wanted %s", strbuf_str(&first), texts[i]);
        json_object_foreach(wanted, key, value) if (!json_object_get(found, key)) fail_msg("text %zu: no %s", i, key);
        json_decref(wanted);
        json_decref(found);
        strbuf_free(&first);
        strbuf_free(&second);
        end(&c);
    }
}

static void overriding_texts(void **unused) {
    (void)unused;
    config_case c;
    begin(&c);
    assert_int_equal(read_text(&c, stage2), POFAC_OK);
    assert_int_equal(
        pruning_config_override("{\"pruning_fn_default_kwargs\": {\"target_sparsity\": 0.5}, \"not_to_prune\": [\"pooler|cls\"], "
                                "\"pruning_frequency\": 7}",
                                "--pruning_override", &c.memory, &c.sink, &c.config),
        POFAC_OK);
    assert_int_equal(c.config.pruning_frequency, 7);
    assert_int_equal(c.config.policy_end_step, 50000);
    assert_string_equal(c.config.method, "unstructured_magnitude");
    want_choice(&c, "0=0.5 1=0.5 2=0.5 3=0.5");
    end(&c);
    begin(&c); /* over a file and attributes */
    put_file(stage2);
    assert_int_equal(read_xml(&c, "<prune config=\"" FILE_NAME "\" target_sparsity=\"0.7\" pruning_frequency=\"3\" "
                                  "override=\"{&quot;pruning_frequency&quot;: 9}\"/>"),
                     POFAC_OK);
    assert_int_equal(c.config.pruning_frequency, 9);
    want_choice(&c, "0=0.7 1=0.7 2=0.7 3=0.7 4=0.7");
    end(&c);
    static const struct {
        const char *text, *where, *message;
        pofac_status status;
    } wrong[] = {
        {"[1]", "--pruning_override", "--pruning_override: error: found an array, wanted an object\n", POFAC_ERR_USAGE},
        {"{\"exponent\": 0}", "--pruning_override",
         "--pruning_override: error: exponent: found 0, wanted a number above 0, at most 1000\n", POFAC_ERR_USAGE},
        {"{\"exponent\": 0}", "recipe.xml", "recipe.xml: error: exponent: found 0, wanted a number above 0, at most 1000\n",
         POFAC_ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(&c);
        c.config = pruning_config_default();
        assert_int_equal(pruning_config_override(wrong[i].text, wrong[i].where, &c.memory, &c.sink, &c.config), wrong[i].status);
        assert_string_equal(strbuf_str(&c.messages), wrong[i].message);
        end(&c);
    }
}

static void curvature_and_masks(void **unused) {
    (void)unused;
    static const char *const texts[] = {"{\"pruning_fn\": \"second_order\", \"fisher_block_size\": 32, \"fisher_gradients\": 64, "
                                        "\"fisher_damping\": 1e-6, \"masks\": \"m.safetensors\"}",
                                        "{\"pruning_fn\": \"second_order\"}"};
    for (int k = 0; k < 4; k++) {
        config_case c;
        begin(&c);
        assert_int_equal(k < 2 ? read_text(&c, texts[k])
                         : k == 2
                             ? read_xml(&c, "<prune pruning_fn=\"second_order\" fisher_block_size=\"32\" fisher_gradients=\"64\" "
                                            "fisher_damping=\"1e-6\" masks=\"m.safetensors\"/>")
                             : read_xml(&c, "<prune pruning_fn=\"second_order\"/>"),
                         POFAC_OK);
        assert_string_equal(strbuf_str(&c.messages), "");
        assert_int_equal(c.config.second_order.block_size, k % 2 ? 50 : 32);
        assert_int_equal(c.config.second_order.n_gradients, k % 2 ? 1024 : 64);
        assert_true(c.config.second_order.damping == (k % 2 ? 1e-7 : 1e-6));
        if (k % 2) assert_null(c.config.masks);
        else assert_string_equal(c.config.masks, "m.safetensors");
        end(&c);
    }
}

/* ---- which layers ---- */

static void precedence(void **unused) {
    (void)unused;
    config_case c;
    begin(&c);
    assert_int_equal(read_text(&c,
                               "{\"pruning_fn\": \"x\", \"pruning_fn_default_kwargs\": {\"target_sparsity\": 0.1}, "
                               "\"prune_layer_types\": {\"Linear\": {\"name\": \"weight\", \"target_sparsity\": 0.2}}, "
                               "\"not_to_prune\": [\"pooler\", \"cls\"], \"weight_sparsity_map\": {\"layer\\\\.\\\\d\\\\.output\": "
                               "{\"target_sparsity\": 0.3}, \"pooler\": {\"target_sparsity\": 0.4}}, "
                               "\"explicit_prune\": {\"seq_\": {\"name\": \"weight\", \"initial_sparsity\": 0.5}, "
                               "\"query\": {\"name\": \"weight\", \"target_sparsity\": 0.6}}}"),
                     POFAC_OK);
    want_choice(&c,
                "0=0.6 1=0.2 2=0.3 3=0.2 6=0.1"); /* the map wins over the type, not_to_prune over both, explicit_prune over all */
    assert_string_equal(strbuf_str(&c.messages), "");
    end(&c);
    begin(&c);
    assert_int_equal(
        read_text(&c, "{\"pruning_fn\": \"x\", \"prune_layer_types\": {\"Conv2d\": {\"name\": \"weight\"}}, \"explicit_prune\": "
                      "{\"pooler\": {\"name\": \"weight\"}}}"),
        POFAC_OK);
    want_choice(&c, "4=0");
    end(&c);
}

static void two_entries_that_match(void **unused) {
    (void)unused;
    config_case c;
    pruning_choice *chosen;
    size_t n;
    begin(&c);
    assert_int_equal(read_text(&c, "{\"pruning_fn\": \"x\", \"weight_sparsity_map\": {\"layer\": {}, \"output\": {}}}"), POFAC_OK);
    assert_int_equal(pruning_config_select(&c.config, layers, N_LAYERS, &c.memory, &c.sink, &chosen, &n), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&c.messages),
                        FILE_NAME ": error: weight_sparsity_map: both \"layer\" and \"output\" match the layer "
                                  "bert.encoder.layer.0.output.dense, wanted one of them at most\n");
    end(&c);
}

/* Shares of zeros of all layers together. */
static double total_sparsity(const pruning_choice *chosen, size_t n) {
    double zeros = 0, all = 0;
    for (size_t i = 0; i < N_LAYERS; i++) all += (double)(layers[i].n_rows * layers[i].n_columns);
    for (size_t i = 0; i < n; i++) {
        const prunable_layer *l = &layers[chosen[i].layer];
        zeros += chosen[i].parameters.target_sparsity * (double)(l->n_rows * l->n_columns);
    }
    return zeros / all;
}

static void erdos_renyi(void **unused) {
    (void)unused;
    static const double targets[] = {0.3, 0.5, 0.8, 0.95};
    for (size_t t = 0; t < 4; t++) {
        config_case c;
        pruning_choice *chosen;
        size_t n;
        char text[200];
        begin(&c);
        snprintf(text, sizeof text,
                 "{\"pruning_fn\": \"x\", \"init_strategy\": \"er%s\", \"pruning_fn_default_kwargs\": {\"target_sparsity\": %g}}",
                 t % 2 ? "k" : "", targets[t]);
        assert_int_equal(read_text(&c, text), POFAC_OK);
        assert_int_equal(pruning_config_select(&c.config, layers, N_LAYERS, &c.memory, &c.sink, &chosen, &n), POFAC_OK);
        if (fabs(total_sparsity(chosen, n) - targets[t]) > 1e-12)
            fail_msg("at %g the whole has %.17g", targets[t], total_sparsity(chosen, n));
        double scale = -1; /* densities are in proportion to (N + K) / (N K) */
        for (size_t i = 0; i < n; i++) {
            const prunable_layer *l = &layers[chosen[i].layer];
            const double found = (1 - chosen[i].parameters.target_sparsity) * (double)(l->n_rows * l->n_columns) /
                                 (double)(l->n_rows + l->n_columns);
            assert_true(scale < 0 || fabs(found - scale) < 1e-9 * scale);
            scale = found;
        }
        assert_true(n < N_LAYERS); /* the classifier's two rows stay dense */
        end(&c);
    }
}

static void erdos_renyi_as_the_reference(void **unused) {
    (void)unused;
    static const prunable_layer shapes[] = {{"w0", 32, 48}, {"w1", 64, 64}, {"w2", 16, 128}, {"ties", 32, 48}};
    const char *shared = getenv("POFAC_SHARED");
    char path[512];
    if (!shared || !*shared) {
        print_message("SKIP: ../shared is absent\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/fixtures/pruning-methods/erdos_renyi_0.8.json", shared);
    json_t *wanted = json_load_file(path, 0, NULL);
    assert_non_null(wanted);
    for (int k = 0; k < 2; k++) {
        config_case c;
        pruning_choice *chosen;
        size_t n;
        begin(&c);
        assert_int_equal(
            read_text(
                &c,
                k ? "{\"pruning_fn\": \"x\", \"init_strategy\": \"erk\", \"pruning_fn_default_kwargs\": {\"target_sparsity\": 0.8}}"
                  : "{\"pruning_fn\": \"x\", \"init_strategy\": \"er\", \"pruning_fn_default_kwargs\": {\"target_sparsity\": "
                    "0.8}}"),
            POFAC_OK);
        assert_int_equal(pruning_config_select(&c.config, shapes, 4, &c.memory, &c.sink, &chosen, &n), POFAC_OK);
        assert_int_equal(n, 4);
        for (size_t i = 0; i < 4; i++) {
            const double target = json_number_value(json_object_get(json_object_get(wanted, k ? "erk" : "er"), shapes[i].name));
            assert_true(fabs(chosen[i].parameters.target_sparsity - target) < 1e-12);
        }
        end(&c);
    }
    json_decref(wanted);
}

/* ---- when ---- */

static void the_schedule(void **unused) {
    (void)unused;
    pruning_config c = pruning_config_default();
    c.pruning_frequency = 7;
    c.begin_pruning_step = 3;
    c.end_pruning_step = 40;
    c.policy_begin_step = 5;
    c.policy_end_step = 30;
    size_t due = 0;
    for (int64_t g = 0; g < 60; g++) {
        const double x = 1 - (double)(g - 5) / 25, cubed = x * x * x, wanted = 1 - fmin(fmax(cubed, 0), 1);
        if (fabs(pruning_config_progress(&c, g) - wanted) > 1e-15)
            fail_msg("step %d: %.17g, wanted %.17g", (int)g, pruning_config_progress(&c, g), wanted);
        const bool is_due = g == 3 || g == 10 || g == 17 || g == 24 || g == 31 || g == 38;
        assert_int_equal(pruning_config_is_due(&c, g), is_due);
        due += is_due;
    }
    assert_int_equal(due, 6);
    c.end_pruning_step = -1;
    assert_true(pruning_config_is_due(&c, 3 + 7 * 1000));
    c.policy_end_step = 5; /* a window without length */
    assert_true(pruning_config_progress(&c, 4) == 0 && pruning_config_progress(&c, 5) == 1);
}

/* ---- what is wrong ---- */

static void wrong_files(void **unused) {
    (void)unused;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "found an array, wanted an object"},
        {"{}", "pruning_fn: found nothing, wanted the name of a method"},
        {"{\"pruning_fn\": 3}", "pruning_fn: found 3, wanted a string"},
        {"{\"pruning_fn\": \"x\", \"scheduler\": \"cubic\"}", "scheduler: found \"cubic\", wanted \"iterative\" or \"one_shot\""},
        {"{\"pruning_fn\": \"x\", \"init_strategy\": 1}", "init_strategy: found 1, wanted \"uniform\", \"er\" or \"erk\""},
        {"{\"pruning_fn\": \"x\", \"fisher_damping\": 0}", "fisher_damping: found 0, wanted a number above 0, at most 1000"},
        {"{\"pruning_fn\": \"x\", \"fisher_block_size\": 1025}", "fisher_block_size: found 1025, wanted an integer from 1 to 1024"},
        {"{\"pruning_fn\": \"x\", \"masks\": 1}", "masks: found 1, wanted a string"},
        {"{\"pruning_fn\": \"x\", \"pruning_frequency\": 0}",
         "pruning_frequency: found 0, wanted an integer from 1 to 1000000000000"},
        {"{\"pruning_fn\": \"x\", \"end_pruning_step\": -2}",
         "end_pruning_step: found -2, wanted an integer from -1 to 1000000000000"},
        {"{\"pruning_fn\": \"x\", \"exponent\": 0}", "exponent: found 0, wanted a number above 0, at most 1000"},
        {"{\"pruning_fn\": \"x\", \"not_to_prune\": \"cls\"}", "not_to_prune: found \"cls\", wanted an array of strings"},
        {"{\"pruning_fn\": \"x\", \"not_to_prune\": [\"a\", {}]}", "not_to_prune[1]: found an object, wanted a string"},
        {"{\"pruning_fn\": \"x\", \"prune_layer_types\": []}", "prune_layer_types: found an array, wanted an object"},
        {"{\"pruning_fn\": \"x\", \"prune_layer_types\": {\"Linear\": {\"name\": \"bias\"}}}",
         "prune_layer_types.Linear.name: found \"bias\", wanted \"weight\""},
        {"{\"pruning_fn\": \"x\", \"pruning_fn_default_kwargs\": {\"target_sparsity\": 1.5}}",
         "pruning_fn_default_kwargs.target_sparsity: found 1.5, wanted a number from 0 to 1"},
        {"{\"pruning_fn\": \"x\", \"pruning_fn_default_kwargs\": {\"threshold_decay\": 1}}",
         "pruning_fn_default_kwargs.threshold_decay: found 1, wanted a number from 0 to below 1"},
        {"{\"pruning_fn\": \"x\", \"pruning_fn_default_kwargs\": {\"fast_threshold\": 1}}",
         "pruning_fn_default_kwargs.fast_threshold: found 1, wanted true or false"},
        {"{\"pruning_fn\": \"x\", \"pruning_fn_default_kwargs\": {\"block_dims\": [1, 2, 3]}}",
         "pruning_fn_default_kwargs.block_dims: found an array, wanted one or two integers"},
        {"{\"pruning_fn\": \"x\", \"weight_sparsity_map\": {\"a\": {\"pooling_type\": \"min\"}}}",
         "weight_sparsity_map.a.pooling_type: found \"min\", wanted \"avg\" or \"max\""},
        {"{\"pruning_fn\": \"x\", \"explicit_prune\": {\"a\": 1}}", "explicit_prune.a: found 1, wanted an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_case c;
        char wanted[300];
        begin(&c);
        assert_int_equal(read_text(&c, cases[i].text), POFAC_ERR_INPUT);
        snprintf(wanted, sizeof wanted, FILE_NAME ": error: %s\n", cases[i].message);
        assert_string_equal(strbuf_str(&c.messages), wanted);
        end(&c);
    }
    config_case c;
    begin(&c);
    assert_int_equal(
        read_text(&c, "{\"pruning_fn\": \"x\", \"prune_frequency\": 5, \"pruning_fn_default_kwargs\": {\"sparsity\": 1}}"),
        POFAC_OK);
    assert_string_equal(strbuf_str(&c.messages),
                        FILE_NAME ": warning: prune_frequency is unknown, and ignored\n" FILE_NAME
                                  ": warning: pruning_fn_default_kwargs.sparsity is unknown, and ignored\n");
    end(&c);
}

static void failing_allocations(void **unused) {
    (void)unused;
    put_file("{\"pruning_fn\": \"x\", \"init_strategy\": \"er\", \"not_to_prune\": [\"a\"], \"explicit_prune\": {\"pooler\": "
             "{\"block_size\": 2}}}");
    for (size_t n = 1;; n++) {
        config_case c;
        pruning_choice *chosen;
        size_t n_chosen;
        begin(&c);
        fail_alloc_after(n);
        pofac_status status = pruning_config_read(FILE_NAME, &c.memory, NULL, &c.config);
        if (status == POFAC_OK) status = pruning_config_override("{\"masks\": \"m\"}", "--o", &c.memory, NULL, &c.config);
        if (status == POFAC_OK) status = pruning_config_select(&c.config, layers, N_LAYERS, &c.memory, NULL, &chosen, &n_chosen);
        const bool failed = fail_alloc_stop();
        end(&c);
        if (!failed) break;
        if (status == POFAC_OK) continue; /* a library made do without */
        assert_true(status == POFAC_ERR_RUNTIME || status == POFAC_ERR_INPUT || status == POFAC_ERR_USAGE);
    }
}

/* ---- patterns ---- */

static void patterns(void **unused) {
    (void)unused;
    static const struct {
        const char *pattern, *name;
        bool found;
    } cases[] = {
        {"cls", "cls.predictions", true},
        {"cls", "bert.encoder", false},
        {"^cls", "x.cls", false},
        {"layer\\.\\d+\\.", "layer.10.a", true},
        {"layer\\.\\d\\.", "layer.10.a", false},
        {"(?:query|key)$", "self.key", true},
        {"(?:query|key)$", "self.keys", false},
        {"a.*?b", "xaccb", true},
        {"[0-3]\\.", "layer.2.x", true},
        {"[^0-9]x", "9x", false},
        {"\\D{2}", "a1", false},
        {"a\\?", "a?", true},
        {"a\\?", "b", false},
        {"[]x]y", "]y", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        name_pattern *p;
        assert_int_equal(name_pattern_create(cases[i].pattern, NULL, NULL, &p), POFAC_OK);
        if (name_pattern_found(p, cases[i].name) != cases[i].found)
            fail_msg("\"%s\" in \"%s\": wanted %d", cases[i].pattern, cases[i].name, cases[i].found);
        name_pattern_destroy(p);
    }
    static const char *const wrong[] = {"(?=a)", "(a", "a\\1", "(?i)a", "[a", "[\\d]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        strbuf said = STRBUF_INIT;
        const diag_sink sink = diag_sink_to_strbuf(&said);
        const diag_place place = {.file = "f"};
        name_pattern *p;
        assert_int_equal(name_pattern_create(wrong[i], &place, &sink, &p), POFAC_ERR_INPUT);
        assert_null(p);
        assert_non_null(strstr(strbuf_str(&said), "wanted a regular expression\n"));
        strbuf_free(&said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_references_files),
        cmocka_unit_test(the_same_as_xml),
        cmocka_unit_test(parameters_of_methods),
        cmocka_unit_test(files_come_back),
        cmocka_unit_test(overriding_texts),
        cmocka_unit_test(curvature_and_masks),
        cmocka_unit_test(precedence),
        cmocka_unit_test(two_entries_that_match),
        cmocka_unit_test(erdos_renyi),
        cmocka_unit_test(erdos_renyi_as_the_reference),
        cmocka_unit_test(the_schedule),
        cmocka_unit_test(wrong_files),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
