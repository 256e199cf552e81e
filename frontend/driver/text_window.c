/*
 * Reading windows of records; see text_window.h. Memory is bounded by the options and WINDOW_BYTES, and beyond them by one record: a
 * long document is read whole.
 */
#include "frontend/driver/text_window.h"

#include <stdlib.h>

#define WINDOW_BYTES ((size_t)16 << 20) /* of text */

static pofac_status add_sequence(text_window *w, size_t index, const diag_sink *sink, text_sequence **out) {
    text_sequence s = {.index = index};
    if (!VEC_PUSH(&w->sequences, s)) return diag_out_of_memory(sink);
    *out = &w->sequences.data[w->sequences.size - 1];
    return POFAC_OK;
}

static diag_place place_of(const record_reader *reader, const record *r) {
    return (diag_place){.file = record_reader_name(reader), .line = (uint32_t)r->line};
}

/* Windows [CLS] question [SEP] part of the context [SEP], doc_stride tokens apart, as the reference cuts them: the question is
 * whole, and consecutive windows share (room - doc_stride) tokens. */
static pofac_status add_parts(text_window *w, const text_window_options *o, const record_reader *reader, size_t index,
                              const diag_sink *sink) {
    size_t n_question = w->first.size, n_context = w->second.size;
    if (n_question + 4 > o->max_length) {
        diag_place place = place_of(reader, &w->records.data[index]);
        return diag_error(sink, POFAC_ERR_INPUT, &place, "the question has %zu tokens, which leaves no room for the context in %zu",
                          n_question, o->max_length);
    }
    size_t room = o->max_length - n_question - 3, stride = o->doc_stride < room ? o->doc_stride : room, first = 0;
    for (size_t part_number = 0;; part_number++, first += stride) {
        size_t n = n_context - first < room ? n_context - first : room;
        encoding part = {n ? w->second.tokens + first : NULL, n, n};
        text_sequence *s;
        TRY(add_sequence(w, index, sink, &s));
        TRY(tokenizer_build_pair(o->tokenizer, &w->first, &part, o->max_length, sink, &s->encoding));
        s->context_first = n_question + 2;
        s->part = part_number;
        if (first + n >= n_context) return POFAC_OK;
    }
}

static pofac_status add_sequences(text_window *w, const text_window_options *o, const record_reader *reader, size_t index,
                                  const diag_sink *sink) {
    const record *r = &w->records.data[index];
    TRY(tokenizer_encode(o->tokenizer, r->text, r->text_bytes, sink, &w->first));
    if (r->pair) TRY(tokenizer_encode(o->tokenizer, r->pair, r->pair_bytes, sink, &w->second));
    if (o->is_answering) {
        if (r->pair) return add_parts(w, o, reader, index, sink);
        diag_place place = place_of(reader, r);
        return diag_error(
            sink, POFAC_ERR_INPUT, &place,
            "found one text, wanted a question and a context: two TSV columns, or a JSON object with both keys (--format)");
    }
    text_sequence *s;
    TRY(add_sequence(w, index, sink, &s));
    if (r->pair) return tokenizer_build_pair(o->tokenizer, &w->first, &w->second, o->max_length, sink, &s->encoding);
    return tokenizer_build_single(o->tokenizer, &w->first, o->max_length, sink, &s->encoding);
}

/* All of a record or nothing. */
static pofac_status add_record(text_window *w, const text_window_options *o, const record_reader *reader, const record *r,
                               const diag_sink *sink) {
    size_t index = w->records.size, n_sequences = w->sequences.size;
    if (!VEC_PUSH(&w->records, *r)) return diag_out_of_memory(sink);
    pofac_status status = add_sequences(w, o, reader, index, sink);
    const text_answer answer = {.waiting = w->sequences.size - n_sequences, .text = STRBUF_INIT};
    if (status == POFAC_OK && !VEC_PUSH(&w->answers, answer)) status = diag_out_of_memory(sink);
    if (status == POFAC_OK) return POFAC_OK;
    while (w->sequences.size > n_sequences) encoding_free(&w->sequences.data[--w->sequences.size].encoding);
    w->records.size--;
    return status;
}

static void clear(text_window *w) {
    for (size_t i = 0; i < w->sequences.size; i++) encoding_free(&w->sequences.data[i].encoding);
    for (size_t i = 0; i < w->answers.size; i++) strbuf_free(&w->answers.data[i].text);
    w->sequences.size = w->answers.size = w->records.size = 0;
    arena_free(&w->memory);
}

static pofac_status read_records(text_window *w, const text_window_options *o, record_reader *reader, const diag_sink *sink) {
    size_t bytes = 0;
    while (w->records.size < o->most_records && w->sequences.size < o->most_records && bytes < WINDOW_BYTES) {
        record r;
        bool found;
        if (w->records.size > 0 && !line_reader_is_ready(record_reader_lines(reader))) return POFAC_OK;
        TRY(record_reader_next(reader, &w->memory, sink, &r, &found));
        if (!found) return POFAC_OK;
        bytes += r.text_bytes + r.pair_bytes;
        TRY(add_record(w, o, reader, &r, sink));
    }
    return POFAC_OK;
}

/* Longest first; of equal ones the earlier. */
static int compare_sequences(const void *a, const void *b) {
    const text_sequence *x = a, *y = b;
    if (x->encoding.size != y->encoding.size) return x->encoding.size > y->encoding.size ? -1 : 1;
    if (x->index != y->index) return x->index < y->index ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

pofac_status text_window_read(text_window *w, const text_window_options *options, record_reader *reader, const diag_sink *sink) {
    clear(w);
    pofac_status status = read_records(w, options, reader, sink);
    for (size_t i = 0; i < w->sequences.size; i++) w->sequences.data[i].record = &w->records.data[w->sequences.data[i].index];
    if (w->sequences.size) qsort(w->sequences.data, w->sequences.size, sizeof *w->sequences.data, compare_sequences);
    return status;
}

void text_window_free(text_window *w) {
    clear(w);
    VEC_FREE(&w->records);
    VEC_FREE(&w->answers);
    VEC_FREE(&w->sequences);
    encoding_free(&w->first);
    encoding_free(&w->second);
}
