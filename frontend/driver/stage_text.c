/* Texts of stages with directories in them, and the documents of their recipes; see pipeline.h. */
#include <string.h>

#include "frontend/driver/pipeline.h"

#define STAGE_REFERENCE "stage:"

/* What stands for ${NAME}, the n bytes at `name`; NULL: nothing does, and the text stays. */
static const char *place_of(const pipeline_places *places, const char *name, size_t n) {
    const size_t prefix = strlen(STAGE_REFERENCE);
    if (n == 3 && memcmp(name, "out", 3) == 0) return places->own;
    for (size_t i = 0; i < places->pipeline->n_stages && n > prefix; i++) {
        const char *stage = places->pipeline->stages[i].name;
        if (strlen(stage) == n - prefix && memcmp(stage, name + prefix, n - prefix) == 0) return places->stages[i];
    }
    return NULL;
}

void pipeline_put_text(const pipeline_places *places, const char *text, strbuf *out) {
    for (const char *at = text; *at;) {
        const char *hole = strstr(at, "${");
        strbuf_append(out, at, hole ? (size_t)(hole - at) : strlen(at));
        if (!hole) return;
        const size_t n = strcspn(hole + 2, "}"), whole = n + 2 + (hole[2 + n] == '}');
        const char *place = place_of(places, hole + 2, n);
        if (place) strbuf_puts(out, place);
        else strbuf_append(out, hole, whole);
        at = hole + whole;
    }
}

/* As the value of an attribute in double quotes. */
static void put_escaped(strbuf *out, const char *text) {
    for (; *text; text++) {
        if (strchr("<&\"\t\n\r", *text)) strbuf_printf(out, "&#%d;", *text);
        else strbuf_putc(out, *text);
    }
}

typedef struct recipe_writer {
    const pipeline_places *places;
    const char *folder;
    strbuf value; /* of the attribute at hand */
    strbuf *out;
} recipe_writer;

static void put_attribute(recipe_writer *w, const xml_attr *attr) {
    const bool is_path = attr->row->type == XML_TYPE_PATH;
    const char *text = is_path ? attr->value.as.string : attr->text;
    strbuf_clear(&w->value);
    if (w->folder || !is_path || pipeline_is_inner_path(text)) pipeline_put_text(w->places, text, &w->value);
    strbuf_printf(w->out, " %s=\"", attr->row->name);
    if (is_path && w->folder && strbuf_str(&w->value)[0] != '/') {
        put_escaped(w->out, w->folder);
        strbuf_putc(w->out, '/');
    }
    put_escaped(w->out, strbuf_str(&w->value));
    strbuf_putc(w->out, '"');
    w->out->failed |= w->value.failed;
}

static void put_element(recipe_writer *w, const xml_element *e, int depth) {
    strbuf_printf(w->out, "%*s<%s", 2 * depth, "", e->row->name);
    for (size_t i = 0; i < e->n_attrs; i++)
        if (e->attrs[i].written) put_attribute(w, &e->attrs[i]);
    strbuf_puts(w->out, e->first_child ? ">\n" : "/>\n");
    for (const xml_element *child = e->first_child; child; child = child->next) put_element(w, child, depth + 1);
    if (e->first_child) strbuf_printf(w->out, "%*s</%s>\n", 2 * depth, "", e->row->name);
}

void pipeline_put_recipe(const pipeline_stage *s, const pipeline_places *places, const char *folder, strbuf *out) {
    recipe_writer w = {.places = places, .folder = folder, .value = STRBUF_INIT, .out = out};
    strbuf_puts(out, "<pofac xmlns=\"" XML_NAMESPACE "\">\n");
    for (size_t i = 0; i < s->n_sections; i++) put_element(&w, s->sections[i], 1);
    strbuf_puts(out, "</pofac>\n");
    strbuf_free(&w.value);
}
