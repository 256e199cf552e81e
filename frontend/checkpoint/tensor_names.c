/*
 * Names in a file -> names in a model, by the rows of frontend/names.def.
 *
 * Every tensor's name is rewritten (prefixes off, endings replaced) and looked up among the wanted ones, as it is, with an optional
 * prefix, and without one. Parameters that are left take the tensor that is tied to them. What then remains of the file is ignored,
 * a second copy of a tied tensor, or unexpected.
 */
#include "frontend/checkpoint/tensor_names.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint_build.h"
#include "ir/support/strmap.h"
#include "ir/support/text_ends.h"

static const tensor_rule rules[] = {
#define NAME_PREFIX(prefix, meaning) {RULE_PREFIX, prefix, NULL, meaning},
#define NAME_ENDING(ending, instead, meaning) {RULE_ENDING, ending, instead, meaning},
#define NAME_OPTIONAL_PREFIX(prefix, meaning) {RULE_OPTIONAL_PREFIX, prefix, NULL, meaning},
#define NAME_IGNORED(ending, meaning) {RULE_IGNORED, ending, NULL, meaning},
#define NAME_TIED(name, other, meaning) {RULE_TIED, name, other, meaning},
#include "frontend/names.def"
#undef NAME_PREFIX
#undef NAME_ENDING
#undef NAME_OPTIONAL_PREFIX
#undef NAME_IGNORED
#undef NAME_TIED
};

#define N_RULES (sizeof rules / sizeof *rules)

typedef struct matcher {
    const checkpoint *c;
    const wanted_tensor *wanted;
    size_t n_wanted, n_tensors;
    strmap index;       /* name of a parameter -> its number */
    strmap left;        /* rewritten name of a tensor that is no parameter -> its number */
    const char **names; /* [n_tensors] rewritten */
    bool *used;         /* [n_tensors] */
    arena memory;
    strbuf name;
    const diag_sink *sink;
    tensor_match *out;
} matcher;

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* The name with prefixes taken off and endings replaced; NULL when memory is short. */
static const char *rewrite(const char *name, arena *a) {
    for (size_t i = 0; name && i < N_RULES; i++) {
        const tensor_rule *rule = &rules[i];
        if (rule->kind == RULE_PREFIX && starts_with(name, rule->text)) name += strlen(rule->text);
        if (rule->kind == RULE_ENDING && text_ends_with(name, rule->text))
            name = arena_printf(a, "%.*s%s", (int)(strlen(name) - strlen(rule->text)), name, rule->other);
    }
    return name;
}

/* The number of the parameter that a rewritten name stands for, SIZE_MAX for none. False when memory is short. */
static bool find_wanted(matcher *m, const char *name, size_t *out) {
    const strmap_entry *e = strmap_get(&m->index, name, strlen(name));
    for (size_t i = 0; !e && i < N_RULES; i++) {
        if (rules[i].kind != RULE_OPTIONAL_PREFIX) continue;
        const size_t prefix = strlen(rules[i].text);
        if (starts_with(name, rules[i].text)) e = strmap_get(&m->index, name + prefix, strlen(name) - prefix);
        if (e) break;
        strbuf_clear(&m->name);
        strbuf_puts(&m->name, rules[i].text);
        strbuf_puts(&m->name, name);
        if (!strbuf_ok(&m->name)) return false;
        e = strmap_get(&m->index, strbuf_str(&m->name), m->name.size);
    }
    *out = e ? (size_t)e->value : SIZE_MAX;
    return true;
}

static pofac_status claimed_twice(matcher *m, const checkpoint_tensor *a, const checkpoint_tensor *b, size_t wanted) {
    diag_place place = {.file = b->file};
    strbuf text = STRBUF_INIT;
    checkpoint_put_name(a->name, &text);
    strbuf_puts(&text, " and ");
    checkpoint_put_name(b->name, &text);
    pofac_status status = diag_error(m->sink, POFAC_ERR_INPUT, &place, "found %s, wanted one of them: both stand for %s",
                                     strbuf_str(&text), m->wanted[wanted].name);
    strbuf_free(&text);
    return status;
}

static pofac_status index_wanted(matcher *m) {
    for (size_t i = 0; i < m->n_wanted; i++)
        if (!strmap_put(&m->index, m->wanted[i].name, strlen(m->wanted[i].name), i, NULL)) return diag_out_of_memory(m->sink);
    return POFAC_OK;
}

static pofac_status claim_by_name(matcher *m) {
    for (size_t i = 0; i < m->n_tensors; i++) {
        const checkpoint_tensor *t = checkpoint_at(m->c, i);
        size_t wanted;
        m->names[i] = rewrite(t->name, &m->memory);
        if (!m->names[i] || !find_wanted(m, m->names[i], &wanted)) return diag_out_of_memory(m->sink);
        if (wanted == SIZE_MAX) {
            if (!strmap_put(&m->left, m->names[i], strlen(m->names[i]), i, NULL)) return diag_out_of_memory(m->sink);
            continue;
        }
        if (m->out->tensors[wanted]) return claimed_twice(m, m->out->tensors[wanted], t, wanted);
        m->out->tensors[wanted] = t;
        m->used[i] = true;
    }
    return POFAC_OK;
}

/* The tensor that the file has for `name`, whether it is claimed or not. */
static const checkpoint_tensor *find_tied(matcher *m, const char *name) {
    const strmap_entry *e = strmap_get(&m->index, name, strlen(name));
    if (e) return m->out->tensors[e->value];
    e = strmap_get(&m->left, name, strlen(name));
    if (!e) return NULL;
    m->used[e->value] = true;
    return checkpoint_at(m->c, (size_t)e->value);
}

/* Gives a parameter without a tensor the one that is tied to it. */
static void claim_tied(matcher *m, const char *name, const char *other) {
    const strmap_entry *e = strmap_get(&m->index, name, strlen(name));
    if (e && !m->out->tensors[e->value]) m->out->tensors[e->value] = find_tied(m, other);
}

static bool is_parameter(const matcher *m, const char *name) {
    const strmap_entry *e = strmap_get(&m->index, name, strlen(name));
    return e && m->out->tensors[e->value];
}

static bool is_redundant(const matcher *m, const char *name) {
    for (size_t i = 0; i < N_RULES; i++) {
        const tensor_rule *rule = &rules[i];
        if (rule->kind == RULE_IGNORED && text_ends_with(name, rule->text)) return true;
        if (rule->kind != RULE_TIED) continue;
        if (strcmp(name, rule->text) == 0 && is_parameter(m, rule->other)) return true;
        if (strcmp(name, rule->other) == 0 && is_parameter(m, rule->text)) return true;
    }
    return false;
}

static void sort_the_rest(matcher *m) {
    tensor_match *out = m->out;
    for (size_t i = 0; i < m->n_wanted; i++)
        if (!out->tensors[i]) out->missing[out->n_missing++] = i;
    for (size_t i = 0; i < m->n_tensors; i++) {
        if (m->used[i]) continue;
        if (is_redundant(m, m->names[i])) out->redundant[out->n_redundant++] = checkpoint_at(m->c, i);
        else out->unexpected[out->n_unexpected++] = checkpoint_at(m->c, i);
    }
}

static bool same_shape(const wanted_tensor *w, const checkpoint_tensor *t) {
    if (w->rank != t->rank) return false;
    for (uint32_t i = 0; i < w->rank; i++)
        if (w->dims[i] != t->dims[i]) return false;
    return true;
}

static pofac_status check_tensor(const wanted_tensor *w, const checkpoint_tensor *t, const diag_sink *sink) {
    const bool floats = dtype_class(t->dtype) == DTYPE_FLOAT;
    if (floats && same_shape(w, t)) return POFAC_OK;
    diag_place place = {.file = t->file};
    strbuf text = STRBUF_INIT;
    checkpoint_put_name(t->name, &text);
    if (strcmp(t->name, w->name) != 0) strbuf_printf(&text, " (%s)", w->name);
    strbuf_printf(&text, ": found %s", dtype_name(t->dtype));
    checkpoint_print_shape(t->rank, t->dims, &text);
    strbuf_puts(&text, ", wanted ");
    strbuf_puts(&text, floats ? dtype_name(t->dtype) : "floats ");
    checkpoint_print_shape(w->rank, w->dims, &text);
    pofac_status status =
        strbuf_ok(&text) ? diag_error(sink, POFAC_ERR_INPUT, &place, "%s", strbuf_str(&text)) : diag_out_of_memory(sink);
    strbuf_free(&text);
    return status;
}

/* A message for each of the first tensors that do not fit, and one that counts the others: a wrong hidden size makes all of them wrong. */
static pofac_status check_tensors(const matcher *m) {
    enum { SHOWN = 8 };
    pofac_status status = POFAC_OK;
    size_t wrong = 0;
    for (size_t i = 0; i < m->n_wanted; i++) {
        if (!m->out->tensors[i]) continue;
        pofac_status checked = check_tensor(&m->wanted[i], m->out->tensors[i], wrong < SHOWN ? m->sink : NULL);
        if (checked == POFAC_OK) continue;
        status = checked;
        wrong++;
    }
    if (wrong > SHOWN) diag_note(m->sink, NULL, "%zu more tensors do not fit", wrong - SHOWN);
    return status;
}

static pofac_status match(matcher *m) {
    TRY(index_wanted(m));
    TRY(claim_by_name(m));
    for (size_t i = 0; i < N_RULES; i++) {
        if (rules[i].kind != RULE_TIED) continue;
        claim_tied(m, rules[i].text, rules[i].other);
        claim_tied(m, rules[i].other, rules[i].text);
    }
    sort_the_rest(m);
    return check_tensors(m);
}

pofac_status tensor_names_match(const checkpoint *c, const wanted_tensor *wanted, size_t n_wanted, arena *a, const diag_sink *sink,
                                tensor_match *out) {
    const size_t n = checkpoint_size(c);
    *out = (tensor_match){.tensors = ARENA_ARRAY(a, const checkpoint_tensor *, n_wanted),
                          .missing = ARENA_ARRAY(a, size_t, n_wanted),
                          .unexpected = ARENA_ARRAY(a, const checkpoint_tensor *, n),
                          .redundant = ARENA_ARRAY(a, const checkpoint_tensor *, n)};
    if (!out->tensors || !out->missing || !out->unexpected || !out->redundant) return diag_out_of_memory(sink);
    matcher m = {.c = c,
                 .wanted = wanted,
                 .n_wanted = n_wanted,
                 .n_tensors = n,
                 .index = STRMAP_INIT,
                 .left = STRMAP_INIT,
                 .memory = ARENA_INIT,
                 .name = STRBUF_INIT,
                 .sink = sink,
                 .out = out};
    m.names = ARENA_ARRAY(&m.memory, const char *, n);
    m.used = ARENA_ARRAY(&m.memory, bool, n);
    pofac_status status = m.names && m.used ? match(&m) : diag_out_of_memory(sink);
    strmap_free(&m.index);
    strmap_free(&m.left);
    strbuf_free(&m.name);
    arena_free(&m.memory);
    return status;
}

const tensor_rule *tensor_rules(size_t *n) {
    *n = N_RULES;
    return rules;
}

const char *tensor_rule_kind_name(tensor_rule_kind kind) {
    static const char *const names[] = {[RULE_PREFIX] = "prefix",
                                        [RULE_ENDING] = "ending",
                                        [RULE_OPTIONAL_PREFIX] = "optional prefix",
                                        [RULE_IGNORED] = "ignored",
                                        [RULE_TIED] = "tied"};
    return names[kind];
}
