/* Small models; see api_case.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/api/api_case.h"
#include "tests/unit/checkpoint/checkpoint_files.h"

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\n";

/* The folder goes from the texts. */
static void collect(void *user, const pofac_message *m) {
    api_case *c = user;
    const size_t n = strlen(c->folder);
    if (m->severity != POFAC_ERROR) {
        assert_int_equal(m->status, POFAC_OK);
        c->n_notes++;
        return;
    }
    assert_int_not_equal(m->status, POFAC_OK);
    assert_non_null(strstr(m->rendered, m->text));
    for (const char *at = m->rendered; *at;) {
        if (strncmp(at, c->folder, n) == 0 && at[n] == '/') at += n + 1;
        else strbuf_putc(&c->messages, *at++);
    }
}

void api_case_describe(api_case *c, void **state, int hidden_size, int layers) {
    char text[1024];
    snprintf(
        text, sizeof text,
        "<pofac xmlns=\"urn:pofac:1\"><model num_labels=\"3\"><bert vocab_size=\"%d\" hidden_size=\"%d\" num_hidden_layers=\"%d\" "
        "num_attention_heads=\"2\" intermediate_size=\"%d\" max_position_embeddings=\"%d\" initializer_range=\"0.5\"/>"
        "<tokenizer vocab=\"vocab.txt\"/></model></pofac>",
        API_CASE_VOCAB, hidden_size, layers, 4 * hidden_size, API_CASE_POSITIONS);
    put_file(state, "model.xml", text, strlen(text));
    put_file(state, "vocab.txt", vocabulary, sizeof vocabulary - 1);
    snprintf(c->path, sizeof c->path, "%s/model.xml", c->folder);
}

void api_case_begin(api_case *c, void **state) {
    *c = (api_case){.messages = STRBUF_INIT, .options = POFAC_MODEL_OPTIONS_INIT};
    snprintf(c->folder, sizeof c->folder, "%s", file_path(state, ""));
    snprintf(c->cache, sizeof c->cache, "%s/objects", c->folder);
    api_case_describe(c, state, 16, 1);
    c->log = (pofac_log){collect, c};
    c->options.cache_dir = c->cache;
    c->options.threads = 1;
    c->options.tune = "off";
}

void api_case_end(api_case *c) {
    if (c->messages.size) fail_msg("found the messages\n%s, wanted none", strbuf_str(&c->messages));
    strbuf_free(&c->messages);
}

void api_case_wants(api_case *c, const char *message) {
    strbuf_putc(&c->messages, 0);
    assert_string_equal(c->messages.data, message);
    strbuf_clear(&c->messages);
}

pofac_model *api_case_open(api_case *c, const char *head) {
    pofac_model *m;
    c->options.head = head;
    const pofac_status status = pofac_model_open(c->path, &c->options, &c->log, &m);
    if (status != POFAC_OK) fail_msg("head %s: found status %s and\n%s", head, pofac_status_name(status), strbuf_str(&c->messages));
    return m;
}

pofac_predictor *api_case_predictor(api_case *c, const pofac_model *model) {
    pofac_predictor *p;
    assert_int_equal(pofac_predictor_create(model, NULL, &c->log, &p), POFAC_OK);
    return p;
}
