/*
 * From a pipeline's document to its stages; see pipeline.h. What frontend/xml.def can say has been checked by the reader of documents, with
 * parameters in place; here come names, commands and what stages say of each other.
 */
#include <string.h>

#include "frontend/driver/pipeline.h"
#include "frontend/driver/recipe.h"
#include "ir/support/file_map.h"

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
#define STAGE_REFERENCE "${stage:"
#define OWN_DIRECTORY "${out}"
#define SHARED_STAGES "shared" /* the directory of stages that a sweep does not change */

typedef struct reader {
    const char *path;
    const pipeline_program *program;
    pipeline *p;
    pipeline_stage *stages; /* of p, with those before the current one filled in */
    size_t n_read;
    arena *a;
    const diag_sink *sink;
} reader;

#define WRONG(r, place, ...) diag_error((r)->sink, POFAC_ERR_INPUT, (place), __VA_ARGS__)

static const diag_place *place_of(const xml_element *e, const char *attribute) {
    const xml_attr *attr = xml_attr_get(e, attribute);
    return attr ? &attr->place : &e->place;
}

static size_t count_children(const xml_element *e, const char *name) {
    size_t n = 0;
    for (const xml_element *child = xml_child(e, name); child; child = xml_next(child)) n++;
    return n;
}

const pipeline_option *pipeline_option_find(const pipeline_command *command, const char *name) {
    for (size_t i = 0; i < command->n_options; i++)
        if (strcmp(command->options[i].name, name) == 0) return &command->options[i];
    return NULL;
}

size_t pipeline_find_stage(const pipeline *p, const char *name) {
    size_t i = 0;
    while (i < p->n_stages && strcmp(p->stages[i].name, name) != 0) i++;
    return i;
}

bool pipeline_is_inner_path(const char *path) {
    return strncmp(path, STAGE_REFERENCE, strlen(STAGE_REFERENCE)) == 0 || strncmp(path, OWN_DIRECTORY, strlen(OWN_DIRECTORY)) == 0;
}

/* A name that is a directory's, too. */
static pofac_status check_name(const reader *r, const xml_element *e, const char *what) {
    const char *name = xml_attr_string(e, "name");
    if (!name[strspn(name, NAME_BYTES)] && name[0] != '.' && name[0] != '-') return POFAC_OK;
    return WRONG(r, place_of(e, "name"),
                 "found the %s %s, wanted a name of letters, digits, -, _ and . that begins with a letter, a digit or _", what,
                 name);
}

/* ---- what stages read of each other ---- */

static pofac_status unknown_stage(const reader *r, const diag_place *place, const char *name) {
    const char **names = ARENA_ARRAY(r->a, const char *, r->n_read + 1);
    if (!names) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < r->n_read; i++) names[i] = r->stages[i].name;
    const char *near = diag_nearest(name, names, r->n_read);
    if (near) return WRONG(r, place, "found the stage %s, wanted an earlier one; did you mean %s?", name, near);
    return WRONG(r, place, "found the stage %s, wanted the name of an earlier one", name);
}

/* The number of the earlier stage `name`. */
static pofac_status find_stage(const reader *r, const diag_place *place, const char *name, const char *reader_name, size_t *out) {
    const size_t i = pipeline_find_stage(r->p, name);
    *out = i;
    if (i < r->n_read) return POFAC_OK;
    if (i == r->n_read && reader_name)
        return WRONG(r, place, "found the stage %s in itself, wanted an earlier one; ${out} is its own directory", name);
    if (i < r->p->n_stages && reader_name)
        return WRONG(r, place, "found the stage %s in %s, which comes before it; stages read earlier ones only", name, reader_name);
    return unknown_stage(r, place, name);
}

/* Notes the stages that `text` names. */
static pofac_status note_references(const reader *r, const diag_place *place, const char *text, const char *own, bool *seen) {
    for (const char *at = strstr(text, STAGE_REFERENCE); at; at = strstr(at, STAGE_REFERENCE)) {
        at += strlen(STAGE_REFERENCE);
        const char *name = arena_strndup(r->a, at, strcspn(at, "}"));
        size_t stage;
        if (!name) return diag_out_of_memory(r->sink);
        TRY(find_stage(r, place, name, own, &stage));
        seen[stage] = true;
    }
    return POFAC_OK;
}

static pofac_status note_element(const reader *r, const xml_element *e, const char *own, bool *seen) {
    for (size_t i = 0; i < e->n_attrs; i++)
        if (e->attrs[i].written) TRY(note_references(r, &e->attrs[i].place, e->attrs[i].text, own, seen));
    for (const xml_element *child = e->first_child; child; child = child->next) TRY(note_element(r, child, own, seen));
    return POFAC_OK;
}

static pofac_status find_reads(const reader *r, pipeline_stage *s) {
    bool *seen = ARENA_ARRAY(r->a, bool, r->p->n_stages + 1);
    size_t *reads = ARENA_ARRAY(r->a, size_t, r->n_read + 1);
    if (!seen || !reads) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < s->n_words; i++) TRY(note_references(r, &s->words[i].place, s->words[i].value, s->name, seen));
    for (size_t i = 0; i < s->n_sections; i++) TRY(note_element(r, s->sections[i], s->name, seen));
    for (size_t i = 0; i < r->n_read; i++)
        if (seen[i]) reads[s->n_reads++] = i;
    s->reads = reads;
    return POFAC_OK;
}

/* ---- recipes ---- */

static bool is_recipe_element(const xml_element *e) { return strcmp(e->row->parent, "pofac") == 0; }

/* The path of a description beside the pipeline's. */
static const char *beside(const reader *r, const char *path) {
    const char *slash = strrchr(r->path, '/');
    if (path[0] == '/' || !slash) return path;
    return arena_printf(r->a, "%.*s/%s", (int)(slash - r->path), r->path, path);
}

/* Elements of the stage, and of its recipe those that the stage does not have. */
static pofac_status read_sections(const reader *r, const xml_element *e, pipeline_stage *s) {
    const char *file = xml_attr_string(e, "recipe");
    const xml_element **sections = ARENA_ARRAY(r->a, const xml_element *, xml_element_count());
    const xml_element *root = NULL;
    if (!sections) return diag_out_of_memory(r->sink);
    if (file) {
        const char *path = beside(r, file);
        xml_document *document;
        if (!path) return diag_out_of_memory(r->sink);
        if (!file_exists(path)) return WRONG(r, place_of(e, "recipe"), "found no file %s, wanted a description", path);
        TRY(xml_document_read(path, r->a, r->sink, &document));
        root = document->root;
    }
    for (const xml_element *child = e->first_child; child; child = child->next)
        if (is_recipe_element(child)) sections[s->n_sections++] = child;
    for (const xml_element *child = root ? root->first_child : NULL; child; child = child->next)
        if (!xml_child(e, child->row->name)) sections[s->n_sections++] = child;
    s->sections = sections;
    s->has_recipe = s->n_sections > 0;
    for (size_t i = 0; i < s->n_sections; i++)
        if (strcmp(s->sections[i]->row->name, "model") == 0) return POFAC_OK;
    return s->has_recipe ? WRONG(r, &e->place, "found no <model> in the stage %s, wanted one in its recipe", s->name) : POFAC_OK;
}

/* ---- commands ---- */

static pofac_status find_command(const reader *r, const xml_element *e, pipeline_stage *s) {
    const char *name = xml_attr_string(e, "command");
    const char **names = ARENA_ARRAY(r->a, const char *, r->program->n_commands + 1);
    if (!names) return diag_out_of_memory(r->sink);
    if (!name && !s->has_recipe)
        return WRONG(r, &e->place, "found the stage %s without a command and without a recipe, wanted one of them", s->name);
    if (!name) name = "train";
    for (size_t i = 0; i < r->program->n_commands; i++) {
        names[i] = r->program->commands[i].name;
        if (strcmp(names[i], name) == 0) s->command = &r->program->commands[i];
    }
    if (s->command) return POFAC_OK;
    const char *near = diag_nearest(name, names, r->program->n_commands);
    if (near) return WRONG(r, place_of(e, "command"), "found the command %s, wanted one of pofac's; did you mean %s?", name, near);
    return WRONG(r, place_of(e, "command"), "found the command %s, wanted one that `pofac list commands` shows", name);
}

static pofac_status find_option(const reader *r, const xml_element *e, const pipeline_stage *s, pipeline_word *out) {
    const char *name = xml_attr_string(e, "name");
    out->option = pipeline_option_find(s->command, name);
    if (out->option) return POFAC_OK;
    const char **names = ARENA_ARRAY(r->a, const char *, s->command->n_options + 1);
    if (!names) return diag_out_of_memory(r->sink);
    for (size_t i = 0; i < s->command->n_options; i++) names[i] = s->command->options[i].name;
    const char *near = diag_nearest(name, names, s->command->n_options);
    if (near)
        return WRONG(r, place_of(e, "name"), "found the option %s of %s, which it does not have; did you mean %s?", name,
                     s->command->name, near);
    return WRONG(r, place_of(e, "name"), "found the option %s of %s, which it does not have; see `pofac %s --help`", name,
                 s->command->name, s->command->name);
}

/* A value of an attribute of recipes that is given as an option: what its row says. */
static pofac_status check_recipe_value(const reader *r, const pipeline_word *w) {
    for (size_t i = 0; i < xml_attribute_count(); i++) {
        const xml_attribute_row *row = xml_attribute_at(i);
        const xml_element_row *element = xml_element_row_find(row->element);
        if (strcmp(element->parent, "pofac") != 0 || strcmp(row->element, "model") == 0 || strcmp(row->element, "quantize") == 0)
            continue;
        if (strcmp(recipe_option_name(row->element, row->name), w->option->name) != 0) continue;
        xml_value value;
        if (xml_value_read(row, w->value, r->a, &value) == XML_READ) return POFAC_OK;
        strbuf wanted = STRBUF_INIT;
        xml_value_wanted(row, &wanted);
        const pofac_status status =
            WRONG(r, &w->place, "%s: found \"%s\", wanted %s", w->option->name, w->value, strbuf_str(&wanted));
        strbuf_free(&wanted);
        return status;
    }
    return POFAC_OK;
}

/* What is written belongs into the stage's directory: elsewhere nobody would know when it is out of date. */
static pofac_status check_output(const reader *r, const pipeline_word *w) {
    const size_t n = strlen(OWN_DIRECTORY);
    const bool is_own = strncmp(w->value, OWN_DIRECTORY, n) == 0 && (w->value[n] == 0 || w->value[n] == '/');
    if (is_own && !strstr(w->value, "/..")) return POFAC_OK;
    return WRONG(r, &w->place, "%s: found %s, wanted a path in the stage's directory: ${out}/NAME", w->option->name, w->value);
}

/* Options that are the pipeline's to set. */
static pofac_status check_reserved(const reader *r, const pipeline_word *w) {
    static const char *const names[] = {"resume_from_checkpoint", "resume", "overwrite_output_dir", "overwrite"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(w->option->name, names[i]) == 0)
            return WRONG(r, &w->place, "found the option %s, which `pofac run` sets", names[i]);
    return POFAC_OK;
}

/* A recipe may say where in the stage's directory it writes. One in a file of its own may be used without the pipeline as well: what that says of other
 * places is replaced. */
static pofac_status check_section_outputs(const reader *r, const xml_element *e, const pipeline_stage *s) {
    for (size_t i = 0; i < s->n_sections; i++) {
        const xml_element *section = s->sections[i];
        const bool is_own = xml_child(e, section->row->name) == section;
        for (size_t k = 0; k < section->n_attrs; k++) {
            const xml_attr *attr = &section->attrs[k];
            const pipeline_option *o = pipeline_option_find(s->command, recipe_option_name(section->row->name, attr->row->name));
            if (!attr->written || !o || o->kind != PIPELINE_WRITES || !(is_own || pipeline_is_inner_path(attr->text))) continue;
            TRY(check_output(r, &(pipeline_word){.option = o, .value = attr->text, .place = attr->place}));
        }
    }
    return POFAC_OK;
}

static pofac_status read_option(const reader *r, const xml_element *e, const pipeline_stage *s, pipeline_word *out) {
    TRY(find_option(r, e, s, out));
    out->kind = out->option->kind;
    out->place = *place_of(e, "value");
    out->value = xml_attr_string(e, "value");
    TRY(check_reserved(r, out));
    if (!out->value && out->kind != PIPELINE_FLAG)
        return WRONG(r, &e->place, "found the option %s without a value, wanted one", out->option->name);
    if (!out->value) out->value = "true";
    for (size_t i = 0; i < s->n_words; i++)
        if (s->words[i].option == out->option && out->kind != PIPELINE_LINES)
            return WRONG(r, &e->place, "found a second option %s, wanted one", out->option->name);
    if (out->kind == PIPELINE_WRITES) return check_output(r, out);
    if (strstr(out->value, "${")) return POFAC_OK; /* a directory that is not known yet */
    TRY(r->program->check_option(out->option->row, out->value, &out->place, r->sink));
    return s->has_recipe ? check_recipe_value(r, out) : POFAC_OK;
}

/* Of what is read, ./ is the document's folder. */
static pofac_status resolve(const reader *r, pipeline_word *w) {
    if (w->kind == PIPELINE_READS && strncmp(w->value, "./", 2) == 0) w->value = beside(r, w->value + 2);
    return w->value ? POFAC_OK : diag_out_of_memory(r->sink);
}

static pofac_status check_arguments(const reader *r, const xml_element *e, const pipeline_stage *s, size_t n) {
    if (s->has_recipe) n++;
    if (n >= s->command->min_arguments && n <= s->command->max_arguments) return POFAC_OK;
    return WRONG(r, &e->place, "found %zu argument%s of %s, wanted %s", n, n == 1 ? "" : "s", s->command->name,
                 *s->command->arguments ? s->command->arguments : "none");
}

static pofac_status read_words(const reader *r, const xml_element *e, pipeline_stage *s) {
    const size_t n_arguments = count_children(e, "argument");
    pipeline_word *words =
        ARENA_ARRAY(r->a, pipeline_word, n_arguments + count_children(e, "option") + count_children(e, "set") + 1);
    if (!words) return diag_out_of_memory(r->sink);
    s->words = words;
    for (const xml_element *at = xml_child(e, "argument"); at; at = xml_next(at)) {
        words[s->n_words] = (pipeline_word){.kind = s->command->arguments_are_paths ? PIPELINE_READS : PIPELINE_VALUE,
                                            .value = xml_attr_string(at, "value"),
                                            .place = *place_of(at, "value")};
        TRY(resolve(r, &words[s->n_words++]));
    }
    TRY(check_arguments(r, e, s, n_arguments));
    for (const xml_element *at = e->first_child; at; at = at->next) {
        const bool is_set = strcmp(at->row->name, "set") == 0;
        if (!is_set && strcmp(at->row->name, "option") != 0) continue;
        if (is_set && !s->has_recipe)
            return WRONG(r, &at->place, "found <set> in the stage %s, which has no recipe; wanted <option>", s->name);
        TRY(read_option(r, at, s, &words[s->n_words]));
        TRY(resolve(r, &words[s->n_words++]));
    }
    return POFAC_OK;
}

static pofac_status check_stage_name(const reader *r, const xml_element *e) {
    const char *name = xml_attr_string(e, "name");
    TRY(check_name(r, e, "stage"));
    if (strcmp(name, SHARED_STAGES) == 0 || strstr(name, ".json") || strstr(name, ".md"))
        return WRONG(r, place_of(e, "name"), "found the stage %s, wanted another name: the pipeline has a file or directory of it",
                     name);
    for (size_t i = 0; i < r->n_read; i++)
        if (strcmp(r->stages[i].name, name) == 0)
            return WRONG(r, place_of(e, "name"), "found a second stage %s, wanted one (the first is in line %u)", name,
                         (unsigned)r->stages[i].place.line);
    return POFAC_OK;
}

static pofac_status read_stage(reader *r, const xml_element *e, pipeline_stage *s) {
    s->place = e->place;
    TRY(check_stage_name(r, e));
    TRY(read_sections(r, e, s));
    TRY(find_command(r, e, s));
    TRY(check_section_outputs(r, e, s));
    TRY(read_words(r, e, s));
    return find_reads(r, s);
}

static pofac_status read_stages(reader *r, const xml_element *root) {
    const size_t n = count_children(root, "stage");
    r->stages = ARENA_ARRAY(r->a, pipeline_stage, n + 1);
    if (!r->stages) return diag_out_of_memory(r->sink);
    for (const xml_element *e = xml_child(root, "stage"); e; e = xml_next(e))
        r->stages[r->p->n_stages++].name = xml_attr_string(e, "name");
    r->p->stages = r->stages;
    for (const xml_element *e = xml_child(root, "stage"); e; e = xml_next(e)) {
        TRY(read_stage(r, e, &r->stages[r->n_read]));
        r->n_read++;
    }
    return n ? POFAC_OK : WRONG(r, &root->place, "found no <stage> in <pipeline>, wanted one");
}

/* ---- results and parameters ---- */

static pofac_status read_cell(const reader *r, const xml_element *e, const pipeline_result_row *row, pipeline_result_cell *out) {
    *out = (pipeline_result_cell){.column = xml_attr_string(e, "column"),
                                  .file = xml_attr_string(e, "file"),
                                  .key = xml_attr_string(e, "key"),
                                  .format = xml_attr_string(e, "format"),
                                  .place = *place_of(e, "key")};
    TRY(find_stage(r, place_of(e, "stage"), xml_attr_string(e, "stage"), NULL, &out->stage));
    if (out->file[0] == '/' || strstr(out->file, ".."))
        return WRONG(r, place_of(e, "file"), "found the file %s, wanted one in the stage's directory", out->file);
    for (size_t i = 0; i < row->n_cells; i++)
        if (strcmp(row->cells[i].column, out->column) == 0)
            return WRONG(r, place_of(e, "column"), "found a second cell of the column %s in the row %s, wanted one", out->column,
                         row->name);
    return POFAC_OK;
}

/* A column has one format. */
static pofac_status check_formats(const reader *r, const pipeline_result_row *rows, size_t n, const pipeline_result_cell *cell) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < rows[i].n_cells; k++)
            if (strcmp(rows[i].cells[k].column, cell->column) == 0 && strcmp(rows[i].cells[k].format, cell->format) != 0)
                return WRONG(r, &cell->place, "found the format %s in the column %s, wanted %s, as above", cell->format,
                             cell->column, rows[i].cells[k].format);
    return POFAC_OK;
}

static pofac_status read_results(const reader *r, const xml_element *results) {
    pipeline_result_row *rows = ARENA_ARRAY(r->a, pipeline_result_row, count_children(results, "row") + 1);
    if (!rows) return diag_out_of_memory(r->sink);
    r->p->rows = rows;
    for (const xml_element *e = xml_child(results, "row"); e; e = xml_next(e)) {
        pipeline_result_row *row = &rows[r->p->n_rows];
        pipeline_result_cell *cells = ARENA_ARRAY(r->a, pipeline_result_cell, count_children(e, "cell") + 1);
        if (!cells) return diag_out_of_memory(r->sink);
        *row = (pipeline_result_row){.name = xml_attr_string(e, "name"), .cells = cells};
        for (const xml_element *cell = xml_child(e, "cell"); cell; cell = xml_next(cell)) {
            TRY(read_cell(r, cell, row, &cells[row->n_cells]));
            TRY(check_formats(r, rows, r->p->n_rows, &cells[row->n_cells]));
            row->n_cells++;
        }
        r->p->n_rows++;
    }
    return POFAC_OK;
}

static pofac_status read_parameters(const reader *r, const xml_element *root, const xml_parameter *given, size_t n_given) {
    const size_t n = count_children(root, "parameter");
    xml_parameter *all = ARENA_ARRAY(r->a, xml_parameter, n + 1);
    const char **names = ARENA_ARRAY(r->a, const char *, n + 1);
    if (!all || !names) return diag_out_of_memory(r->sink);
    r->p->parameters = all;
    for (const xml_element *e = xml_child(root, "parameter"); e; e = xml_next(e)) {
        names[r->p->n_parameters] = xml_attr_string(e, "name");
        all[r->p->n_parameters++] = (xml_parameter){xml_attr_string(e, "name"), xml_attr_string(e, "value")};
    }
    for (size_t i = 0; i < n_given; i++) {
        size_t k = 0;
        while (k < n && strcmp(names[k], given[i].name) != 0) k++;
        if (k < n) continue;
        const diag_place place = {.file = r->path};
        const char *near = diag_nearest(given[i].name, names, n);
        if (near)
            return diag_error(r->sink, POFAC_ERR_USAGE, &place, "unknown parameter %s; did you mean %s?", given[i].name, near);
        return diag_error(r->sink, POFAC_ERR_USAGE, &place, "unknown parameter %s; the pipeline has %s", given[i].name,
                          n ? "others" : "none");
    }
    return POFAC_OK;
}

pofac_status pipeline_read(const char *path, const xml_parameter *given, size_t n_given, const pipeline_program *program, arena *a,
                           const diag_sink *sink, const pipeline **out) {
    xml_document *document;
    TRY(xml_pipeline_read(path, given, n_given, a, sink, &document));
    reader r = {.path = document->path, .program = program, .p = ARENA_NEW(a, pipeline), .a = a, .sink = sink};
    if (!r.p) return diag_out_of_memory(sink);
    const xml_element *root = xml_child(document->root, "pipeline");
    r.p->path = document->path;
    r.p->name = xml_attr_string(root, "name");
    TRY(check_name(&r, root, "pipeline"));
    TRY(read_parameters(&r, root, given, n_given));
    TRY(read_stages(&r, root));
    TRY(read_results(&r, xml_child(root, "results")));
    *out = r.p;
    return POFAC_OK;
}
