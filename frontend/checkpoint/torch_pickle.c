/*
 * A pickle's bytes -> values: one row of a table per opcode, which says what stands behind it and which function runs it.
 *
 * The machine has a stack of values, a stack of marks (heights of the first), and a memo (values by number). No function calls
 * itself, whatever is nested in the pickle: depth costs marks, and those are counted. Strings are views of the bytes; values, the
 * contents of lists and what calls give live in the caller's arena. Memory is bounded by the number of values, which is limited, and
 * which a call of OrderedDict alone raises by more than one.
 *
 * Source: the opcodes' description in Python's pickletools.py.
 *
 * Left out: what torch.save emits for no checkpoint - sets, calls by NEWOBJ, INST and OBJ, extension codes, persistent ids as text,
 * buffers out of band, and the textual numbers and strings of protocols 0 and 1.
 */
#include "frontend/checkpoint/torch_pickle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "frontend/checkpoint/torch_objects.h"
#include "ir/support/vector.h"

typedef struct machine {
    const pickle_source *from;
    size_t at;          /* of the next byte */
    pickle_place place; /* of the opcode being run */
    arena *memory;
    VEC(pickle_value *) stack;
    VEC(size_t) marks;
    VEC(pickle_value *) memo; /* NULL: nothing was put there */
    size_t n_values;
    const pickle_storage *storages;
    bool stopped;
    const diag_sink *sink;
} machine;

/* What stands behind an opcode. */
typedef struct argument {
    uint64_t number;
    const char *bytes; /* of a text: `number` of them */
} argument;

typedef pofac_status opcode_function(machine *m, argument a);

typedef enum argument_kind {
    NOTHING,
    UNSIGNED_1,
    UNSIGNED_2,
    UNSIGNED_4,
    UNSIGNED_8,
    SIGNED_4,
    TEXT_1, /* as many bytes as the number of 1, 4 or 8 bytes before them says */
    TEXT_4,
    TEXT_8,
    REAL_8, /* big-endian */
    LINES   /* up to the function that runs the opcode */
} argument_kind;

pofac_status pickle_wrong(const pickle_place *place, const char *format, ...) {
    strbuf message = STRBUF_INIT;
    va_list args;
    strbuf_printf(&message, "%s: byte %zu: ", place->from->part, place->from->first + place->at);
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    diag_place where = {.file = place->from->file};
    pofac_status status = strbuf_ok(&message) ? diag_error(place->sink, POFAC_ERR_INPUT, &where, "%s", strbuf_str(&message))
                                              : diag_out_of_memory(place->sink);
    strbuf_free(&message);
    return status;
}

const char *pickle_describe(const pickle_value *v) {
    static const char *const names[] = {
        [PICKLE_NONE] = "None",           [PICKLE_BOOL] = "a bool",     [PICKLE_INTEGER] = "an integer",
        [PICKLE_LONG] = "a long integer", [PICKLE_REAL] = "a number",   [PICKLE_STRING] = "a string",
        [PICKLE_BYTES] = "bytes",         [PICKLE_TUPLE] = "a tuple",   [PICKLE_LIST] = "a list",
        [PICKLE_DICT] = "a dictionary",   [PICKLE_GLOBAL] = "a global", [PICKLE_STORAGE] = "a storage",
        [PICKLE_TENSOR] = "a tensor",     [PICKLE_DEVICE] = "a device",
    };
    return names[v->kind];
}

bool pickle_is_text(const pickle_value *v, const char *text) {
    return v->kind == PICKLE_STRING && v->text.n == strlen(text) && memcmp(v->text.bytes, text, v->text.n) == 0;
}

const pickle_value *pickle_get(const pickle_value *dict, const char *key) {
    if (!dict || dict->kind != PICKLE_DICT) return NULL;
    for (size_t i = dict->items.n; i > 0; i -= 2)
        if (pickle_is_text(dict->items.data[i - 2], key)) return dict->items.data[i - 1];
    return NULL;
}

pickle_value *pickle_new(arena *a, pickle_kind kind) {
    pickle_value *v = ARENA_NEW(a, pickle_value);
    if (v) v->kind = kind;
    return v;
}

static bool reserve_items(arena *a, pickle_value *list, size_t more) {
    if (more <= list->items.capacity - list->items.n) return true;
    size_t capacity = list->items.capacity < 4 ? 4 : 2 * list->items.capacity;
    if (capacity < list->items.n + more) capacity = list->items.n + more;
    pickle_value **data = ARENA_ARRAY(a, pickle_value *, capacity);
    if (!data) return false;
    if (list->items.n) memcpy(data, list->items.data, list->items.n * sizeof *data);
    list->items.data = data;
    list->items.capacity = capacity;
    return true;
}

bool pickle_append(arena *a, pickle_value *list, pickle_value *item) {
    if (!reserve_items(a, list, 1)) return false;
    list->items.data[list->items.n++] = item;
    return true;
}

/* ---- the stack ---- */

static pofac_status count(machine *m, size_t n) {
    if (n > PICKLE_MAX_VALUES - m->n_values)
        return pickle_wrong(&m->place, "found more than %zu values, wanted at most as many", PICKLE_MAX_VALUES);
    m->n_values += n;
    return POFAC_OK;
}

static pofac_status push(machine *m, pickle_value *v) {
    if (!v) return diag_out_of_memory(m->sink);
    TRY(count(m, 1));
    return VEC_PUSH(&m->stack, v) ? POFAC_OK : diag_out_of_memory(m->sink);
}

static pofac_status push_new(machine *m, pickle_kind kind, pickle_value **out) {
    *out = pickle_new(m->memory, kind);
    return push(m, *out);
}

/* Values above the topmost mark. */
static size_t n_above_mark(const machine *m) { return m->stack.size - (m->marks.size ? m->marks.data[m->marks.size - 1] : 0); }

/* Checks that an opcode finds its values. */
static pofac_status need(const machine *m, size_t n) {
    if (n_above_mark(m) >= n) return POFAC_OK;
    return pickle_wrong(&m->place, "found %zu values on the stack, wanted %zu", n_above_mark(m), n);
}

static pickle_value *pop(machine *m) { return m->stack.data[--m->stack.size]; }
static pickle_value *top(const machine *m) { return m->stack.data[m->stack.size - 1]; }

/* The values above the topmost mark, which goes. They stay where they are until something is pushed. */
static pofac_status pop_mark(machine *m, pickle_value ***items, size_t *n) {
    if (m->marks.size == 0) return pickle_wrong(&m->place, "found no mark on the stack, wanted one");
    *n = n_above_mark(m);
    m->stack.size -= *n;
    m->marks.size--;
    *items = *n ? m->stack.data + m->stack.size : NULL;
    return POFAC_OK;
}

static pofac_status make_tuple(machine *m, pickle_value **items, size_t n) {
    pickle_value *tuple = pickle_new(m->memory, PICKLE_TUPLE);
    if (!tuple || !reserve_items(m->memory, tuple, n)) return diag_out_of_memory(m->sink);
    if (n) memcpy(tuple->items.data, items, n * sizeof *items);
    tuple->items.n = n;
    return push(m, tuple);
}

/* Appends to the list or dictionary on top of the stack. */
static pofac_status extend(machine *m, pickle_kind kind, pickle_value **items, size_t n) {
    TRY(need(m, 1));
    pickle_value *into = top(m);
    if (into->kind != kind)
        return pickle_wrong(&m->place, "found %s to add to, wanted %s", pickle_describe(into),
                            kind == PICKLE_LIST ? "a list" : "a dictionary");
    if (kind == PICKLE_DICT && n % 2) return pickle_wrong(&m->place, "found %zu keys and values, wanted pairs", n);
    if (!reserve_items(m->memory, into, n)) return diag_out_of_memory(m->sink);
    if (n) memcpy(into->items.data + into->items.n, items, n * sizeof *items);
    into->items.n += n;
    return POFAC_OK;
}

/* ---- opcodes ---- */

static pofac_status run_proto(machine *m, argument a) {
    if (a.number <= 5) return POFAC_OK;
    return pickle_wrong(&m->place, "found pickle protocol %" PRIu64 ", wanted one from 2 to 5", a.number);
}

static pofac_status run_frame(machine *m, argument a) {
    if (a.number <= m->from->n_bytes - m->at) return POFAC_OK;
    return pickle_wrong(&m->place, "found %zu bytes, wanted %" PRIu64 ", a frame: the pickle is cut short",
                        m->from->n_bytes - m->at, a.number);
}

static pofac_status run_stop(machine *m, argument a) {
    (void)a;
    if (m->stack.size != 1 || m->marks.size)
        return pickle_wrong(&m->place, "found %zu values and %zu marks on the stack at the end, wanted one value", m->stack.size,
                            m->marks.size);
    m->stopped = true;
    return POFAC_OK;
}

static pofac_status run_mark(machine *m, argument a) {
    (void)a;
    if (m->marks.size == PICKLE_MAX_DEPTH)
        return pickle_wrong(&m->place, "found marks nested more than %u deep, wanted at most as many", PICKLE_MAX_DEPTH);
    return VEC_PUSH(&m->marks, m->stack.size) ? POFAC_OK : diag_out_of_memory(m->sink);
}

static pofac_status run_pop(machine *m, argument a) {
    (void)a;
    if (n_above_mark(m) == 0 && m->marks.size) {
        m->marks.size--;
        return POFAC_OK;
    }
    TRY(need(m, 1));
    m->stack.size--;
    return POFAC_OK;
}

static pofac_status run_pop_mark(machine *m, argument a) {
    (void)a;
    pickle_value **items = NULL;
    size_t n = 0;
    return pop_mark(m, &items, &n);
}

static pofac_status run_dup(machine *m, argument a) {
    (void)a;
    TRY(need(m, 1));
    return push(m, top(m));
}

static pofac_status run_none(machine *m, argument a) {
    (void)a;
    pickle_value *v;
    return push_new(m, PICKLE_NONE, &v);
}

static pofac_status push_integer(machine *m, pickle_kind kind, int64_t value) {
    pickle_value *v;
    TRY(push_new(m, kind, &v));
    v->integer = value;
    return POFAC_OK;
}

static pofac_status run_true(machine *m, argument a) {
    (void)a;
    return push_integer(m, PICKLE_BOOL, 1);
}

static pofac_status run_false(machine *m, argument a) {
    (void)a;
    return push_integer(m, PICKLE_BOOL, 0);
}

static pofac_status run_integer(machine *m, argument a) { return push_integer(m, PICKLE_INTEGER, (int64_t)a.number); }

static pofac_status push_text(machine *m, pickle_kind kind, argument a) {
    pickle_value *v;
    TRY(push_new(m, kind, &v));
    v->text.bytes = a.bytes;
    v->text.n = (size_t)a.number;
    return POFAC_OK;
}

static pofac_status run_string(machine *m, argument a) { return push_text(m, PICKLE_STRING, a); }
static pofac_status run_bytes(machine *m, argument a) { return push_text(m, PICKLE_BYTES, a); }

/* Two's complement, little-endian, of any length; no bytes are 0. */
static pofac_status run_long(machine *m, argument a) {
    if (a.number > sizeof(int64_t)) return push_text(m, PICKLE_LONG, a);
    const bool negative = a.number && (unsigned char)a.bytes[a.number - 1] >= 0x80;
    int64_t value = negative ? -1 : 0;
    memcpy(&value, a.bytes, (size_t)a.number);
    return push_integer(m, PICKLE_INTEGER, value);
}

static pofac_status run_real(machine *m, argument a) {
    pickle_value *v;
    TRY(push_new(m, PICKLE_REAL, &v));
    memcpy(&v->real, &a.number, sizeof v->real);
    return POFAC_OK;
}

static pofac_status run_empty_tuple(machine *m, argument a) {
    (void)a;
    return make_tuple(m, NULL, 0);
}

static pofac_status run_empty_list(machine *m, argument a) {
    (void)a;
    pickle_value *v;
    return push_new(m, PICKLE_LIST, &v);
}

static pofac_status run_empty_dict(machine *m, argument a) {
    (void)a;
    pickle_value *v;
    return push_new(m, PICKLE_DICT, &v);
}

static pofac_status run_tuple(machine *m, argument a) {
    (void)a;
    pickle_value **items = NULL;
    size_t n = 0;
    TRY(pop_mark(m, &items, &n));
    return make_tuple(m, items, n);
}

static pofac_status make_short_tuple(machine *m, size_t n) {
    TRY(need(m, n));
    m->stack.size -= n;
    return make_tuple(m, m->stack.data + m->stack.size, n);
}

static pofac_status run_tuple1(machine *m, argument a) {
    (void)a;
    return make_short_tuple(m, 1);
}

static pofac_status run_tuple2(machine *m, argument a) {
    (void)a;
    return make_short_tuple(m, 2);
}

static pofac_status run_tuple3(machine *m, argument a) {
    (void)a;
    return make_short_tuple(m, 3);
}

static pofac_status run_append(machine *m, argument a) {
    (void)a;
    TRY(need(m, 2));
    m->stack.size--;
    return extend(m, PICKLE_LIST, m->stack.data + m->stack.size, 1);
}

static pofac_status run_appends(machine *m, argument a) {
    (void)a;
    pickle_value **items = NULL;
    size_t n = 0;
    TRY(pop_mark(m, &items, &n));
    return extend(m, PICKLE_LIST, items, n);
}

static pofac_status run_setitem(machine *m, argument a) {
    (void)a;
    TRY(need(m, 3));
    m->stack.size -= 2;
    return extend(m, PICKLE_DICT, m->stack.data + m->stack.size, 2);
}

static pofac_status run_setitems(machine *m, argument a) {
    (void)a;
    pickle_value **items = NULL;
    size_t n = 0;
    TRY(pop_mark(m, &items, &n));
    return extend(m, PICKLE_DICT, items, n);
}

static pofac_status put(machine *m, uint64_t number) {
    TRY(need(m, 1));
    const size_t limit = m->from->n_bytes < PICKLE_MAX_VALUES ? m->from->n_bytes : PICKLE_MAX_VALUES; /* torch counts from 0 */
    if (number >= limit) return pickle_wrong(&m->place, "found memo number %" PRIu64 ", wanted one below %zu", number, limit);
    const size_t i = (size_t)number;
    if (!VEC_RESERVE(&m->memo, i + 1)) return diag_out_of_memory(m->sink);
    while (m->memo.size <= i) m->memo.data[m->memo.size++] = NULL;
    m->memo.data[i] = top(m);
    return POFAC_OK;
}

static pofac_status run_put(machine *m, argument a) { return put(m, a.number); }

static pofac_status run_memoize(machine *m, argument a) {
    (void)a;
    return put(m, m->memo.size);
}

static pofac_status run_get(machine *m, argument a) {
    if (a.number >= m->memo.size || !m->memo.data[a.number])
        return pickle_wrong(&m->place, "found memo number %" PRIu64 ", under which nothing was put", a.number);
    return push(m, m->memo.data[a.number]);
}

static pofac_status push_global(machine *m, const char *module, size_t module_bytes, const char *name, size_t name_bytes) {
    pickle_value *v = pickle_new(m->memory, PICKLE_GLOBAL);
    if (!v) return diag_out_of_memory(m->sink);
    TRY(torch_find_global(&m->place, module, module_bytes, name, name_bytes, &v->global));
    return push(m, v);
}

/* A line of the bytes, without its end. */
static pofac_status read_line(machine *m, const char **line, size_t *n) {
    const char *begin = (const char *)m->from->bytes + m->at;
    const size_t left = m->from->n_bytes - m->at;
    const char *end = memchr(begin, '\n', left < PICKLE_MAX_NAME + 1 ? left : PICKLE_MAX_NAME + 1);
    if (!end && left <= PICKLE_MAX_NAME) return pickle_wrong(&m->place, "found no end of a global's name: the pickle is cut short");
    if (!end)
        return pickle_wrong(&m->place, "found a global's name of more than %u bytes, wanted at most as many", PICKLE_MAX_NAME);
    *line = begin;
    *n = (size_t)(end - begin);
    m->at += *n + 1;
    return POFAC_OK;
}

static pofac_status run_global(machine *m, argument a) {
    (void)a;
    const char *module = NULL, *name = NULL;
    size_t module_bytes = 0, name_bytes = 0;
    TRY(read_line(m, &module, &module_bytes));
    TRY(read_line(m, &name, &name_bytes));
    return push_global(m, module, module_bytes, name, name_bytes);
}

static pofac_status run_stack_global(machine *m, argument a) {
    (void)a;
    TRY(need(m, 2));
    const pickle_value *name = pop(m), *module = pop(m);
    if (name->kind != PICKLE_STRING || module->kind != PICKLE_STRING)
        return pickle_wrong(&m->place, "found a global named by %s and %s, wanted strings", pickle_describe(module),
                            pickle_describe(name));
    if (name->text.n > PICKLE_MAX_NAME || module->text.n > PICKLE_MAX_NAME)
        return pickle_wrong(&m->place, "found a global's name of more than %u bytes, wanted at most as many", PICKLE_MAX_NAME);
    return push_global(m, module->text.bytes, module->text.n, name->text.bytes, name->text.n);
}

static pofac_status run_reduce(machine *m, argument a) {
    (void)a;
    TRY(need(m, 2));
    pickle_value *result = NULL;
    const pickle_value *arguments = pop(m), *function = pop(m);
    TRY(torch_call(&m->place, m->memory, function, arguments, &result));
    TRY(push(m, result));
    if (result->kind == PICKLE_DICT) TRY(count(m, result->items.n)); /* copied from a list, which may be copied again */
    return POFAC_OK;
}

static pofac_status run_build(machine *m, argument a) {
    (void)a;
    TRY(need(m, 2));
    const pickle_value *state = pop(m);
    return torch_set_state(&m->place, top(m), state);
}

static pofac_status run_persistent(machine *m, argument a) {
    (void)a;
    TRY(need(m, 1));
    pickle_value *result = NULL;
    TRY(torch_find_storage(&m->place, m->memory, pop(m), &m->storages, &result));
    return push(m, result);
}

/* ---- the machine ---- */

typedef struct opcode {
    const char *name;
    argument_kind argument;
    opcode_function *run;
} opcode;

static const opcode opcodes[256] = {
    [0x80] = {"PROTO", UNSIGNED_1, run_proto},
    [0x95] = {"FRAME", UNSIGNED_8, run_frame},
    ['.'] = {"STOP", NOTHING, run_stop},
    ['('] = {"MARK", NOTHING, run_mark},
    ['0'] = {"POP", NOTHING, run_pop},
    ['1'] = {"POP_MARK", NOTHING, run_pop_mark},
    ['2'] = {"DUP", NOTHING, run_dup},
    ['N'] = {"NONE", NOTHING, run_none},
    [0x88] = {"NEWTRUE", NOTHING, run_true},
    [0x89] = {"NEWFALSE", NOTHING, run_false},
    ['K'] = {"BININT1", UNSIGNED_1, run_integer},
    ['M'] = {"BININT2", UNSIGNED_2, run_integer},
    ['J'] = {"BININT", SIGNED_4, run_integer},
    [0x8a] = {"LONG1", TEXT_1, run_long},
    [0x8b] = {"LONG4", TEXT_4, run_long},
    ['G'] = {"BINFLOAT", REAL_8, run_real},
    ['X'] = {"BINUNICODE", TEXT_4, run_string},
    [0x8c] = {"SHORT_BINUNICODE", TEXT_1, run_string},
    [0x8d] = {"BINUNICODE8", TEXT_8, run_string},
    ['T'] = {"BINSTRING", TEXT_4, run_string}, /* Python 2's strings */
    ['U'] = {"SHORT_BINSTRING", TEXT_1, run_string},
    ['B'] = {"BINBYTES", TEXT_4, run_bytes},
    ['C'] = {"SHORT_BINBYTES", TEXT_1, run_bytes},
    [0x8e] = {"BINBYTES8", TEXT_8, run_bytes},
    [0x96] = {"BYTEARRAY8", TEXT_8, run_bytes},
    [')'] = {"EMPTY_TUPLE", NOTHING, run_empty_tuple},
    ['t'] = {"TUPLE", NOTHING, run_tuple},
    [0x85] = {"TUPLE1", NOTHING, run_tuple1},
    [0x86] = {"TUPLE2", NOTHING, run_tuple2},
    [0x87] = {"TUPLE3", NOTHING, run_tuple3},
    [']'] = {"EMPTY_LIST", NOTHING, run_empty_list},
    ['a'] = {"APPEND", NOTHING, run_append},
    ['e'] = {"APPENDS", NOTHING, run_appends},
    ['}'] = {"EMPTY_DICT", NOTHING, run_empty_dict},
    ['s'] = {"SETITEM", NOTHING, run_setitem},
    ['u'] = {"SETITEMS", NOTHING, run_setitems},
    ['q'] = {"BINPUT", UNSIGNED_1, run_put},
    ['r'] = {"LONG_BINPUT", UNSIGNED_4, run_put},
    [0x94] = {"MEMOIZE", NOTHING, run_memoize},
    ['h'] = {"BINGET", UNSIGNED_1, run_get},
    ['j'] = {"LONG_BINGET", UNSIGNED_4, run_get},
    ['c'] = {"GLOBAL", LINES, run_global},
    [0x93] = {"STACK_GLOBAL", NOTHING, run_stack_global},
    ['R'] = {"REDUCE", NOTHING, run_reduce},
    ['b'] = {"BUILD", NOTHING, run_build},
    ['Q'] = {"BINPERSID", NOTHING, run_persistent},
};

static const unsigned char number_bytes[] = {
    [NOTHING] = 0, [UNSIGNED_1] = 1, [UNSIGNED_2] = 2, [UNSIGNED_4] = 4, [UNSIGNED_8] = 8, [SIGNED_4] = 4,
    [TEXT_1] = 1,  [TEXT_4] = 4,     [TEXT_8] = 8,     [REAL_8] = 8,     [LINES] = 0};

static pofac_status cut_short(const machine *m, const opcode *op, uint64_t wanted) {
    return pickle_wrong(&m->place, "found %zu bytes behind %s, wanted %" PRIu64 ": the pickle is cut short",
                        m->from->n_bytes - m->at, op->name, wanted);
}

static pofac_status read_argument(machine *m, const opcode *op, argument *out) {
    const size_t n = number_bytes[op->argument];
    *out = (argument){0};
    if (n > m->from->n_bytes - m->at) return cut_short(m, op, n);
    memcpy(&out->number, m->from->bytes + m->at, n);
    m->at += n;
    if (op->argument == SIGNED_4) out->number = (uint64_t)(int64_t)(int32_t)(uint32_t)out->number;
    if (op->argument == REAL_8) out->number = __builtin_bswap64(out->number);
    if (op->argument != TEXT_1 && op->argument != TEXT_4 && op->argument != TEXT_8) return POFAC_OK;
    if (out->number > m->from->n_bytes - m->at) return cut_short(m, op, out->number);
    out->bytes = (const char *)m->from->bytes + m->at;
    m->at += (size_t)out->number;
    return POFAC_OK;
}

static pofac_status run_next(machine *m) {
    m->place.at = m->at;
    if (m->at == m->from->n_bytes) return pickle_wrong(&m->place, "found the end, wanted STOP: the pickle is cut short");
    const unsigned char byte = m->from->bytes[m->at++];
    const opcode *op = &opcodes[byte];
    if (!op->run) return pickle_wrong(&m->place, "found opcode 0x%02x, wanted one that torch.save writes", byte);
    argument a;
    TRY(read_argument(m, op, &a));
    return op->run(m, a);
}

pofac_status torch_unpickle(const pickle_source *from, arena *a, const diag_sink *sink, pickle *out) {
    machine m = {.from = from, .place = {from, 0, sink}, .memory = a, .sink = sink};
    pofac_status status = POFAC_OK;
    while (status == POFAC_OK && !m.stopped) status = run_next(&m);
    if (status == POFAC_OK) *out = (pickle){m.stack.data[0], m.storages, m.at};
    VEC_FREE(&m.stack);
    VEC_FREE(&m.marks);
    VEC_FREE(&m.memo);
    return status;
}
