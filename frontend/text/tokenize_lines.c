/*
 * Lines to JSON lines: reads blocks from a descriptor, cuts them into lines and tokenizes each. The rest of a block, a line without
 * its end, moves to the buffer's front; the buffer grows only where one line does not fit. Output is collected, and handed over in
 * large pieces and before each wait for more input.
 */
#include "frontend/text/tokenize_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/vector.h"

#define READ_BYTES 65536u /* asked for at least, per read: a pipe's capacity on Linux */
#define HANDED_OVER_BYTES (1u << 20)
#define MAX_DIGITS 20 /* of 2^64 - 1 */
#define LONGEST_PLAIN_TOKEN 250u

typedef struct line_job {
    const tokenizer *t;
    tokenize_lines_mode mode;
    const diag_sink *sink;
    tokenize_lines_write write;
    void *user;
    encoding tokens, built;
    strbuf out;
    char *input; /* [input_bytes] read, not yet tokenized */
    size_t input_bytes, input_capacity;
} line_job;

/* Collects short texts, so that the string buffer is asked once for many of them. */
typedef struct gathering {
    strbuf *out;
    size_t size;
    char bytes[4096];
} gathering;

static void flush(gathering *g) {
    strbuf_append(g->out, g->bytes, g->size);
    g->size = 0;
}

/* Makes room for n bytes, at most as many as fit in all; they are to be written at the end. */
static void make_room(gathering *g, size_t n) {
    if (sizeof g->bytes - g->size < n) flush(g);
}

static void put_text(gathering *g, const char *text, size_t n) {
    memcpy(g->bytes + g->size, text, n);
    g->size += n;
}

static void put_number(gathering *g, size_t number) {
    char digits[MAX_DIGITS];
    size_t first = sizeof digits;
    do digits[--first] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    put_text(g, digits + first, sizeof digits - first);
}

/* A token in quotes. Tokens are UTF-8, so only these three kinds of bytes are written otherwise. */
static void put_token(gathering *g, const char *token) {
    make_room(g, LONGEST_PLAIN_TOKEN + 2);
    char *to = g->bytes + g->size, *first = to;
    *to++ = '"';
    for (size_t i = 0; token[i]; i++) {
        unsigned char c = (unsigned char)token[i];
        if (i == LONGEST_PLAIN_TOKEN || c < 0x20 || c == '"' || c == '\\') {
            flush(g);
            strbuf_put_json(g->out, token, strlen(token));
            return;
        }
        *to++ = (char)c;
    }
    *to++ = '"';
    g->size += (size_t)(to - first);
}

static void put_separator(gathering *g, size_t i) {
    make_room(g, 2 * MAX_DIGITS + 6); /* with an offset after it */
    if (i > 0) put_text(g, ", ", 2);
}

void encoding_put_json(const tokenizer *t, const encoding *e, strbuf *out) {
    gathering g;
    g.out = out;
    g.size = 0;
    strbuf_puts(out, "{\"tokens\": [");
    for (size_t i = 0; i < e->size; i++) {
        put_separator(&g, i);
        put_token(&g, tokenizer_token(t, e->tokens[i].id));
    }
    flush(&g);
    strbuf_puts(out, "], \"ids\": [");
    for (size_t i = 0; i < e->size; i++) {
        put_separator(&g, i);
        put_number(&g, (size_t)e->tokens[i].id);
    }
    flush(&g);
    strbuf_puts(out, "], \"offsets\": [");
    for (size_t i = 0; i < e->size; i++) {
        put_separator(&g, i);
        put_text(&g, "[", 1);
        put_number(&g, e->tokens[i].begin);
        put_text(&g, ", ", 2);
        put_number(&g, e->tokens[i].end);
        put_text(&g, "]", 1);
    }
    flush(&g);
    strbuf_puts(out, "]}");
}

static pofac_status hand_over(line_job *job) {
    if (!strbuf_ok(&job->out)) return diag_out_of_memory(job->sink);
    if (job->out.size == 0) return POFAC_OK;
    pofac_status status = job->write(job->user, job->out.data, job->out.size);
    strbuf_clear(&job->out);
    return status;
}

static pofac_status take_line(line_job *job, const char *line, size_t n_bytes) {
    const encoding *shown = &job->tokens;
    TRY(tokenizer_encode(job->t, line, n_bytes, job->sink, &job->tokens));
    if (job->mode == TOKENIZE_WITH_SPECIALS) {
        TRY(tokenizer_build_single(job->t, &job->tokens, TOKENIZER_NO_LIMIT, job->sink, &job->built));
        shown = &job->built;
    }
    encoding_put_json(job->t, shown, &job->out);
    strbuf_putc(&job->out, '\n');
    return job->out.size < HANDED_OVER_BYTES ? POFAC_OK : hand_over(job);
}

/* Tokenizes all complete lines of the input, of which the first `searched` bytes hold no newline, and keeps the rest. */
static pofac_status take_lines(line_job *job, size_t searched) {
    size_t begin = 0;
    while (searched < job->input_bytes) {
        const char *newline = memchr(job->input + searched, '\n', job->input_bytes - searched);
        if (!newline) break;
        size_t end = (size_t)(newline - job->input);
        TRY(take_line(job, job->input + begin, end - begin));
        begin = searched = end + 1;
    }
    job->input_bytes -= begin;
    if (begin > 0) memmove(job->input, job->input + begin, job->input_bytes);
    return hand_over(job);
}

/* Appends what one read gives; *n_read is 0 at the end of the input. */
static pofac_status read_more(line_job *job, int fd, const char *name, size_t *n_read) {
    if (!vector_reserve((void **)&job->input, &job->input_capacity, 1, job->input_bytes + READ_BYTES))
        return diag_out_of_memory(job->sink);
    ssize_t n;
    do n = read(fd, job->input + job->input_bytes, job->input_capacity - job->input_bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0) return diag_error(job->sink, POFAC_ERR_RUNTIME, &(diag_place){.file = name}, "cannot read: %s", strerror(errno));
    *n_read = (size_t)n;
    job->input_bytes += *n_read;
    return POFAC_OK;
}

static pofac_status run(line_job *job, int fd, const char *name) {
    size_t n_read = 0;
    do {
        size_t searched = job->input_bytes;
        TRY(read_more(job, fd, name, &n_read));
        TRY(take_lines(job, searched));
    } while (n_read > 0);
    if (job->input_bytes > 0) TRY(take_line(job, job->input, job->input_bytes));
    return hand_over(job);
}

pofac_status tokenize_lines(const tokenizer *t, int fd, const char *name, tokenize_lines_mode mode, const diag_sink *sink,
                            tokenize_lines_write write, void *user) {
    line_job job = {.t = t, .mode = mode, .sink = sink, .write = write, .user = user};
    pofac_status status = run(&job, fd, name);
    encoding_free(&job.tokens);
    encoding_free(&job.built);
    strbuf_free(&job.out);
    free(job.input);
    return status;
}
