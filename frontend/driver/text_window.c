/*
 * Reading windows of records; see text_window.h. Memory is bounded by the options and WINDOW_BYTES, and beyond them by one record: a
 * long document is read whole.
 */
#include "frontend/driver/text_window.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES ((size_t)16 << 20) /* of text */

static pofac_status add_sequence(text_window *w, size_t index, const diag_sink *sink, text_sequence **out) {
    text_sequence s = {.index = index};
    if (!VEC_PUSH(&w->sequences, s)) return diag_out_of_memory(sink);
    *out = &w->sequences.data[w->sequences.size - 1];
    return POFAC_OK;
}

/* The windows of a question's context. */
static pofac_status add_parts(text_window *w, const text_window_options *o, const record_reader *reader, size_t index,
                              const diag_sink *sink) {
    const diag_place place = record_reader_place(reader, &w->records.data[index], &w->memory);
    qa_windows windows;
    TRY(qa_windows_cut(&o->windows, w->first.size, w->second.size, &place, sink, &windows));
    for (size_t i = 0; i < windows.count; i++) {
        text_sequence *s;
        TRY(add_sequence(w, index, sink, &s));
        TRY(qa_windows_build(&windows, i, o->tokenizer, &w->first, &w->second, sink, &s->encoding));
        s->context_first = qa_windows_context_at(&windows);
        s->part = i;
    }
    return POFAC_OK;
}

/* Questions about one context follow each other: it is tokenized once. */
static bool has_context_of_last(const text_window *w, size_t index) {
    if (index == 0) return false;
    const record *r = &w->records.data[index], *last = r - 1;
    return last->pair && last->pair_bytes == r->pair_bytes && memcmp(last->pair, r->pair, r->pair_bytes) == 0;
}

static pofac_status add_sequences(text_window *w, const text_window_options *o, const record_reader *reader, size_t index,
                                  const diag_sink *sink) {
    const record *r = &w->records.data[index];
    TRY(tokenizer_encode(o->tokenizer, r->text, r->text_bytes, sink, &w->first));
    if (r->pair && !has_context_of_last(w, index)) TRY(tokenizer_encode(o->tokenizer, r->pair, r->pair_bytes, sink, &w->second));
    if (o->is_answering) {
        if (r->pair) return add_parts(w, o, reader, index, sink);
        const diag_place place = record_reader_place(reader, r, &w->memory);
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
    const text_answer answer = {.waiting = w->sequences.size - n_sequences, .spans = QA_ANSWERS_INIT, .text = STRBUF_INIT};
    if (status == POFAC_OK && !VEC_PUSH(&w->answers, answer)) status = diag_out_of_memory(sink);
    if (status == POFAC_OK) return POFAC_OK;
    while (w->sequences.size > n_sequences) encoding_free(&w->sequences.data[--w->sequences.size].encoding);
    w->records.size--;
    return status;
}

static void clear(text_window *w) {
    for (size_t i = 0; i < w->sequences.size; i++) encoding_free(&w->sequences.data[i].encoding);
    for (size_t i = 0; i < w->answers.size; i++) {
        strbuf_free(&w->answers.data[i].text);
        qa_answers_free(&w->answers.data[i].spans);
    }
    w->sequences.size = w->answers.size = w->records.size = 0;
    arena_free(&w->memory);
}

static pofac_status read_records(text_window *w, const text_window_options *o, record_reader *reader, const diag_sink *sink) {
    size_t bytes = 0;
    while (w->records.size < o->most_records && w->sequences.size < o->most_records && bytes < WINDOW_BYTES) {
        record r;
        bool found;
        if (w->records.size > 0 && !record_reader_is_ready(reader)) return POFAC_OK;
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
