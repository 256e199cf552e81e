/*
 * Questions out of SQuAD's JSON; see squad_reader.h. Articles come one by one (json_elements.h); texts point into the article's tree.
 * Places in characters become bytes through marks, one for every MARK_CHARACTERS characters of the context.
 */
#include "frontend/data/squad_reader.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/data/json_elements.h"
#include "ir/support/json_text.h"
#include "ir/support/vector.h"

#define MARK_CHARACTERS 64u
#define WARNINGS_SHOWN 5u            /* of rows that are left out: what is wrong, without a line for each of a large file */
#define REALIGN_BYTES ((size_t)1024) /* places that were counted in bytes or in UTF-16 lie this near */

typedef enum level { LEVEL_ARTICLE, LEVEL_PARAGRAPH, LEVEL_QUESTION } level;

struct squad_reader {
    json_elements *articles;
    squad_bad_rows bad_rows;
    bool row_is_bad; /* an error was found in the row at hand, and is to be passed over */
    squad_counts counts;
    json_t *article; /* NULL: the next one is to be read */
    squad_text title;
    const json_t *paragraphs, *questions;         /* questions: of the paragraph at hand; NULL: the next one is to be entered */
    size_t article_at, paragraph_at, question_at; /* indices of the row at hand */
    squad_text context;
    size_t context_characters;
    VEC(size_t) marks; /* byte of each MARK_CHARACTERS-th character of the context */
    VEC(squad_answer) answers;
    squad_question question;
};

pofac_status squad_reader_open(const char *path, squad_bad_rows bad_rows, const diag_sink *sink, squad_reader **out) {
    *out = NULL;
    squad_reader *r = calloc(1, sizeof *r);
    if (!r) return diag_out_of_memory(sink);
    r->bad_rows = bad_rows;
    pofac_status status = json_elements_open(path, "data", SQUAD_MAX_ARTICLE_BYTES, sink, &r->articles);
    if (status == POFAC_OK) *out = r;
    else free(r);
    return status;
}

void squad_reader_close(squad_reader *r) {
    if (!r) return;
    json_decref(r->article);
    json_elements_close(r->articles);
    VEC_FREE(&r->marks);
    VEC_FREE(&r->answers);
    free(r);
}

/* ---- rows that are wrong ---- */

/* `FILE: error: data[1].paragraphs[2].qas[3]MESSAGE`, or a warning when the row is passed over and is one of the first. */
POFAC_PRINTF(4, 5)
static pofac_status bad_row(squad_reader *r, level at, const diag_sink *sink, const char *format, ...) {
    r->row_is_bad = r->bad_rows != SQUAD_BAD_ROWS_FAIL;
    if (r->row_is_bad && r->counts.skipped >= WARNINGS_SHOWN) return POFAC_ERR_INPUT;
    strbuf text = STRBUF_INIT;
    va_list args;
    strbuf_printf(&text, "data[%zu]", r->article_at);
    if (at >= LEVEL_PARAGRAPH) strbuf_printf(&text, ".paragraphs[%zu]", r->paragraph_at);
    if (at >= LEVEL_QUESTION) strbuf_printf(&text, ".qas[%zu]", r->question_at);
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    const diag_place place = {.file = inflated_file_name(squad_reader_file(r))};
    pofac_status status = POFAC_ERR_INPUT;
    if (!strbuf_ok(&text)) {
        r->row_is_bad = false;
        status = diag_out_of_memory(sink);
    } else if (r->row_is_bad) {
        diag_warning(sink, &place, "row skipped: %s", strbuf_str(&text));
    } else {
        status = diag_error(sink, status, &place, "%s", strbuf_str(&text));
    }
    strbuf_free(&text);
    return status;
}

/* `inner` is the path from the row to the value: ".title". */
static pofac_status bad_value(squad_reader *r, level at, const char *inner, const json_t *value, const char *wanted,
                              const diag_sink *sink) {
    strbuf text = STRBUF_INIT;
    pofac_status status =
        bad_row(r, at, sink, "%s: found %s, wanted %s", inner, value ? json_describe(value, &text) : "nothing", wanted);
    strbuf_free(&text);
    return status;
}

static pofac_status read_string(squad_reader *r, level at, const json_t *row, const char *key, const char *inner,
                                const diag_sink *sink, squad_text *out) {
    const json_t *value = json_object_get(row, key);
    if (!json_is_string(value)) return bad_value(r, at, inner, value, "a string", sink);
    *out = (squad_text){json_string_value(value), json_string_length(value)};
    return POFAC_OK;
}

static pofac_status read_array(squad_reader *r, level at, const json_t *row, const char *key, const char *inner,
                               const diag_sink *sink, const json_t **out) {
    const json_t *value = json_object_get(row, key);
    if (!json_is_array(value)) return bad_value(r, at, inner, value, "an array", sink);
    *out = value;
    return POFAC_OK;
}

/* ---- characters and bytes ---- */

static bool begins_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

/* jansson has checked the UTF-8. */
static pofac_status mark_context(squad_reader *r, const diag_sink *sink) {
    r->marks.size = r->context_characters = 0;
    for (size_t i = 0; i < r->context.bytes; i++) {
        if (!begins_character(r->context.text[i])) continue;
        if (r->context_characters++ % MARK_CHARACTERS == 0 && !VEC_PUSH(&r->marks, i)) return diag_out_of_memory(sink);
    }
    return POFAC_OK;
}

/* The byte at which a character begins, the end included; SIZE_MAX: there is no such character. */
static size_t byte_of_character(const squad_reader *r, json_int_t character) {
    if (character < 0 || (uint64_t)character > r->context_characters) return SIZE_MAX;
    if ((size_t)character == r->context_characters) return r->context.bytes;
    size_t at = r->marks.data[(size_t)character / MARK_CHARACTERS];
    for (size_t left = (size_t)character % MARK_CHARACTERS; left > 0; left--) do
            at++;
        while (!begins_character(r->context.text[at]));
    return at;
}

static bool stands_at(const squad_text *context, const squad_text *answer, size_t at) {
    return at <= context->bytes && answer->bytes <= context->bytes - at &&
           memcmp(context->text + at, answer->text, answer->bytes) == 0;
}

/* Where `answer` stands nearest to `at`, of two places the earlier; beyond REALIGN_BYTES the first place of all. SIZE_MAX: nowhere. */
static size_t nearest_place(const squad_text *context, const squad_text *answer, size_t at) {
    for (size_t d = 1; at != SIZE_MAX && d <= REALIGN_BYTES; d++) {
        if (d <= at && stands_at(context, answer, at - d)) return at - d;
        if (stands_at(context, answer, at + d)) return at + d;
    }
    const char *found = strstr(context->text, answer->text);
    return found ? (size_t)(found - context->text) : SIZE_MAX;
}

/* ---- a question ---- */

/* Finds where the answer stands; `start` counts characters. */
static pofac_status place_answer(squad_reader *r, const json_t *start, const char *inner, const diag_sink *sink,
                                 squad_answer *answer) {
    const json_int_t character = json_integer_value(start);
    size_t at = byte_of_character(r, character);
    answer->begin = at;
    if (at != SIZE_MAX && stands_at(&r->context, &answer->text, at)) return POFAC_OK;
    if (r->bad_rows == SQUAD_BAD_ROWS_REALIGN) {
        answer->begin = nearest_place(&r->context, &answer->text, at);
        if (answer->begin != SIZE_MAX) {
            r->counts.realigned++;
            return POFAC_OK;
        }
    }
    strbuf text = STRBUF_INIT;
    strbuf_put_json(&text, answer->text.text, answer->text.bytes);
    pofac_status status =
        bad_row(r, LEVEL_QUESTION, sink, "%s: found %s, which does not stand at character %" JSON_INTEGER_FORMAT " of the context",
                inner, strbuf_str(&text), character);
    strbuf_free(&text);
    return status;
}

static pofac_status read_answer(squad_reader *r, const json_t *row, size_t index, const diag_sink *sink) {
    squad_answer answer = {0};
    char inner[64];
    snprintf(inner, sizeof inner, ".answers[%zu]", index);
    if (!json_is_object(row)) return bad_value(r, LEVEL_QUESTION, inner, row, "an object", sink);
    snprintf(inner, sizeof inner, ".answers[%zu].text", index);
    TRY(read_string(r, LEVEL_QUESTION, row, "text", inner, sink, &answer.text));
    if (answer.text.bytes == 0) return bad_row(r, LEVEL_QUESTION, sink, "%s: found \"\", wanted some text of the context", inner);
    snprintf(inner, sizeof inner, ".answers[%zu].answer_start", index);
    const json_t *start = json_object_get(row, "answer_start");
    if (!json_is_integer(start)) return bad_value(r, LEVEL_QUESTION, inner, start, "a whole number", sink);
    snprintf(inner, sizeof inner, ".answers[%zu]", index);
    TRY(place_answer(r, start, inner, sink, &answer));
    return VEC_PUSH(&r->answers, answer) ? POFAC_OK : diag_out_of_memory(sink);
}

static pofac_status read_answers(squad_reader *r, const json_t *row, const diag_sink *sink) {
    const json_t *answers = json_object_get(row, "answers"), *impossible = json_object_get(row, "is_impossible");
    r->answers.size = 0;
    if (impossible && !json_is_boolean(impossible))
        return bad_value(r, LEVEL_QUESTION, ".is_impossible", impossible, "true or false", sink);
    if (answers && !json_is_null(answers)) TRY(read_array(r, LEVEL_QUESTION, row, "answers", ".answers", sink, &answers));
    for (size_t i = 0; i < json_array_size(answers); i++) TRY(read_answer(r, json_array_get(answers, i), i, sink));
    if (json_is_true(impossible) && r->answers.size > 0)
        return bad_row(r, LEVEL_QUESTION, sink, ": found is_impossible beside %zu answers, wanted none", r->answers.size);
    r->question.answers = r->answers.data;
    r->question.n_answers = r->answers.size;
    r->question.is_impossible = json_is_true(impossible);
    return POFAC_OK;
}

static pofac_status read_question(squad_reader *r, const diag_sink *sink) {
    const json_t *row = json_array_get(r->questions, r->question_at);
    const uint64_t realigned = r->counts.realigned;
    r->question = (squad_question){.title = r->title, .context = r->context, .paragraph = r->counts.paragraphs - 1};
    if (!json_is_object(row)) return bad_value(r, LEVEL_QUESTION, "", row, "an object", sink);
    TRY(read_string(r, LEVEL_QUESTION, row, "id", ".id", sink, &r->question.id));
    TRY(read_string(r, LEVEL_QUESTION, row, "question", ".question", sink, &r->question.question));
    pofac_status status = read_answers(r, row, sink);
    if (status != POFAC_OK) r->counts.realigned = realigned; /* those of a row that is left out do not count */
    return status;
}

/* ---- what surrounds it ---- */

static pofac_status enter_paragraph(squad_reader *r, const diag_sink *sink) {
    const json_t *row = json_array_get(r->paragraphs, r->paragraph_at);
    if (!json_is_object(row)) return bad_value(r, LEVEL_PARAGRAPH, "", row, "an object", sink);
    TRY(read_string(r, LEVEL_PARAGRAPH, row, "context", ".context", sink, &r->context));
    TRY(read_array(r, LEVEL_PARAGRAPH, row, "qas", ".qas", sink, &r->questions));
    r->question_at = 0;
    r->counts.paragraphs++;
    return mark_context(r, sink);
}

static pofac_status enter_article(squad_reader *r, const diag_sink *sink) {
    r->title = (squad_text){"", 0};
    if (!json_is_object(r->article)) return bad_value(r, LEVEL_ARTICLE, "", r->article, "an object", sink);
    if (json_object_get(r->article, "title")) TRY(read_string(r, LEVEL_ARTICLE, r->article, "title", ".title", sink, &r->title));
    TRY(read_array(r, LEVEL_ARTICLE, r->article, "paragraphs", ".paragraphs", sink, &r->paragraphs));
    r->paragraph_at = 0;
    r->counts.articles++;
    return POFAC_OK;
}

static void leave_article(squad_reader *r) {
    json_decref(r->article);
    r->article = NULL;
    r->paragraphs = r->questions = NULL;
}

static pofac_status next_article(squad_reader *r, const diag_sink *sink) {
    TRY(json_elements_next(r->articles, sink, &r->article));
    if (!r->article) return POFAC_OK;
    r->article_at = json_elements_index(r->articles);
    pofac_status status = enter_article(r, sink);
    if (status != POFAC_OK) leave_article(r);
    return status;
}

static void count(squad_reader *r) {
    r->counts.questions++;
    r->counts.answers += r->question.n_answers;
    r->counts.impossible += r->question.is_impossible;
}

/* One step towards the next question; *out when it is reached. A row that is at fault lies behind the reader afterwards. */
static pofac_status step(squad_reader *r, const diag_sink *sink, const squad_question **out, bool *at_end) {
    pofac_status status = POFAC_OK;
    if (!r->article) {
        TRY(next_article(r, sink));
        *at_end = !r->article;
    } else if (!r->questions) {
        if (r->paragraph_at < json_array_size(r->paragraphs)) {
            status = enter_paragraph(r, sink);
            if (status != POFAC_OK) r->questions = NULL;
            if (status != POFAC_OK) r->paragraph_at++;
        } else {
            leave_article(r);
        }
    } else if (r->question_at < json_array_size(r->questions)) {
        status = read_question(r, sink);
        r->question_at++;
        if (status == POFAC_OK) *out = &r->question;
    } else {
        r->questions = NULL;
        r->paragraph_at++;
    }
    return status;
}

pofac_status squad_reader_next(squad_reader *r, const diag_sink *sink, const squad_question **out) {
    bool at_end = false;
    *out = NULL;
    while (!*out && !at_end) {
        r->row_is_bad = false;
        pofac_status status = step(r, sink, out, &at_end);
        if (status != POFAC_OK && !r->row_is_bad) return status;
        if (r->row_is_bad) r->counts.skipped++;
    }
    if (*out) count(r);
    return POFAC_OK;
}

squad_counts squad_reader_counts(const squad_reader *r) { return r->counts; }

const inflated_file *squad_reader_file(const squad_reader *r) { return json_elements_file(r->articles); }
