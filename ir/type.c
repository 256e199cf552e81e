/*
 * Types, names and symbols: descriptions -> the one copy of each in a context, and arithmetic on symbolic dimensions.
 *
 * Interning is by hash of the bytes: a string's entry also holds the number of the symbol of that name, a type's key is its
 * description with every unused byte zero. Dimensions stay in the form scale * symbol * symbol + offset; what does not fit is
 * refused. Printing orders the symbols of a product by name, so that text does not depend on the order in which a context met them.
 */
#include "ir/type.h"

#include <stdlib.h>
#include <string.h>

#include "ir/support/strmap.h"
#include "ir/support/vector.h"

/* ---- element types ---- */

typedef struct dtype_row {
    const char *name;
    unsigned bits;
    ir_dtype_class class;
    const char *meaning;
} dtype_row;

enum { FLOAT = DTYPE_FLOAT, SIGNED = DTYPE_SIGNED, UNSIGNED = DTYPE_UNSIGNED, BOOLEAN = DTYPE_BOOLEAN };
static const dtype_row dtype_rows[IR_N_DTYPES] = {
#define DTYPE(id, text, bits, class, meaning) {text, bits, (ir_dtype_class) class, meaning},
#include "ir/dtypes.def"
#undef DTYPE
};

const char *dtype_name(ir_dtype d) { return dtype_rows[d].name; }

const char *dtype_meaning(ir_dtype d) { return dtype_rows[d].meaning; }

ir_dtype_class dtype_class(ir_dtype d) { return dtype_rows[d].class; }

unsigned dtype_bits(ir_dtype d) { return dtype_rows[d].bits; }

bool dtype_parse(const char *text, size_t n, ir_dtype *out) {
    for (size_t i = 0; i < IR_N_DTYPES; i++) {
        if (strlen(dtype_rows[i].name) != n || memcmp(dtype_rows[i].name, text, n) != 0) continue;
        *out = (ir_dtype)i;
        return true;
    }
    return false;
}

/* ---- dimensions ---- */

/* A dimension that no binding satisfies: dim_eval gives -1. INT64_MIN + anything that fits stays negative. */
static ir_dim dim_impossible(ir_dim d) {
    d.offset = INT64_MIN;
    return d;
}

ir_dim dim_const(int64_t n) { return (ir_dim){.scale = 0, .offset = n, .symbol = {0, 0}}; }

ir_dim dim_symbol(ir_symbol s) {
    if (s == 0) return dim_impossible(dim_const(0));
    return (ir_dim){.scale = 1, .offset = 0, .symbol = {s, 0}};
}

static unsigned count_symbols(ir_dim d) { return (d.symbol[0] != 0) + (d.symbol[1] != 0); }

static bool scale_dim(ir_dim d, int64_t factor, ir_dim *out) {
    *out = dim_const(0);
    if (factor == 0) return true;
    if (__builtin_mul_overflow(d.scale, factor, &d.scale) || __builtin_mul_overflow(d.offset, factor, &d.offset)) return false;
    *out = d;
    return true;
}

ir_dim dim_mul(ir_dim a, ir_dim b, bool *ok) {
    ir_dim out = dim_const(0);
    unsigned n_a = count_symbols(a), n_b = count_symbols(b);
    *ok = true;
    if (n_b == 0) {
        *ok = scale_dim(a, b.offset, &out);
        return out;
    }
    if (n_a == 0) {
        *ok = scale_dim(b, a.offset, &out);
        return out;
    }
    *ok = n_a == 1 && n_b == 1 && a.offset == 0 && b.offset == 0 && !__builtin_mul_overflow(a.scale, b.scale, &out.scale);
    if (!*ok) return dim_const(0);
    bool sorted = a.symbol[0] <= b.symbol[0];
    out.symbol[0] = sorted ? a.symbol[0] : b.symbol[0];
    out.symbol[1] = sorted ? b.symbol[0] : a.symbol[0];
    return out;
}

ir_dim dim_add(ir_dim a, int64_t n) {
    if (a.offset == INT64_MIN || __builtin_add_overflow(a.offset, n, &a.offset)) return dim_impossible(a);
    return a;
}

bool dim_equal(ir_dim a, ir_dim b) {
    return a.scale == b.scale && a.offset == b.offset && a.symbol[0] == b.symbol[0] && a.symbol[1] == b.symbol[1];
}

bool dim_is_const(ir_dim d, int64_t *value) {
    if (d.scale != 0) return false;
    if (value) *value = d.offset;
    return true;
}

int64_t dim_eval(ir_dim d, ir_binding binding) {
    int64_t product = d.scale;
    for (unsigned i = 0; i < 2; i++) {
        ir_symbol s = d.symbol[i];
        if (s == 0) continue;
        if (s >= binding.size || binding.value[s] < 0) return -1;
        if (__builtin_mul_overflow(product, binding.value[s], &product)) return -1;
    }
    int64_t sum;
    if (__builtin_add_overflow(product, d.offset, &sum) || sum < 0) return -1;
    return sum;
}

/* ---- contexts ---- */

typedef struct symbol_row {
    ir_symbol_kind kind;
    const char *name; /* of named ones */
    ir_value value;   /* of nnz */
} symbol_row;

struct ir_context {
    arena memory;
    strmap strings;          /* value: the symbol of that name, 0 for none */
    strmap nnz;              /* key: the bytes of an ir_value; value: its symbol */
    strmap types;            /* key: the bytes of a canonical ir_type; value: address of the one copy, 0 while it has none */
    VEC(symbol_row) symbols; /* index 0 unused */
    bool failed;
};

ir_context *context_create(void) {
    ir_context *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    if (!VEC_PUSH(&c->symbols, ((symbol_row){SYMBOL_NAMED, "", IR_NO_VALUE}))) {
        free(c);
        return NULL;
    }
    return c;
}

void context_destroy(ir_context *c) {
    if (!c) return;
    strmap_free(&c->strings);
    strmap_free(&c->nnz);
    strmap_free(&c->types);
    VEC_FREE(&c->symbols);
    arena_free(&c->memory);
    free(c);
}

bool context_failed(const ir_context *c) { return c->failed; }

/* The entry of a key in one of the context's tables, made with value 0 where missing; remembers a failure. */
static strmap_entry *intern(ir_context *c, strmap *table, const void *key, size_t n) {
    strmap_entry *entry = strmap_put(table, key, n, 0, NULL);
    if (!entry) c->failed = true;
    return entry;
}

const char *context_string(ir_context *c, const char *text) { return context_string_n(c, text, strlen(text)); }

const char *context_string_n(ir_context *c, const char *text, size_t n) {
    const strmap_entry *entry = intern(c, &c->strings, n ? text : "", n);
    return entry ? entry->key : NULL;
}

static ir_symbol add_symbol(ir_context *c, strmap_entry *entry, symbol_row row) {
    if (entry->value != 0) return (ir_symbol)entry->value;
    if (c->symbols.size >= UINT32_MAX || !VEC_PUSH(&c->symbols, row)) {
        c->failed = true;
        return 0;
    }
    entry->value = c->symbols.size - 1;
    return (ir_symbol)entry->value;
}

ir_symbol symbol_named(ir_context *c, const char *name) {
    strmap_entry *entry = intern(c, &c->strings, name, strlen(name));
    return entry ? add_symbol(c, entry, (symbol_row){SYMBOL_NAMED, entry->key, IR_NO_VALUE}) : 0;
}

ir_symbol symbol_nnz(ir_context *c, ir_value pattern) {
    strmap_entry *entry = intern(c, &c->nnz, (const char *)&pattern, sizeof pattern);
    return entry ? add_symbol(c, entry, (symbol_row){SYMBOL_NNZ, NULL, pattern}) : 0;
}

ir_symbol_kind symbol_kind(const ir_context *c, ir_symbol s) { return c->symbols.data[s].kind; }

const char *symbol_name(const ir_context *c, ir_symbol s) { return c->symbols.data[s].name; }

ir_value symbol_value(const ir_context *c, ir_symbol s) { return c->symbols.data[s].value; }

size_t context_n_symbols(const ir_context *c) { return c->symbols.size - 1; }

/* ---- types ---- */

/* Sets what the description leaves open to one value, padding included, so that equal types have equal bytes. */
static void canonical_type(const ir_type *t, ir_type *out) {
    memset(out, 0, sizeof *out);
    out->kind = t->kind;
    out->rank = t->rank;
    memcpy(out->dims, t->dims, t->rank * sizeof t->dims[0]);
    if (t->kind == TYPE_PATTERN) return;
    out->dtype = t->dtype;
    out->layout = t->layout;
    out->tile = type_is_tiled(t) ? t->tile : 0;
}

const ir_type *type_intern(ir_context *c, const ir_type *type) {
    if (type->rank > IR_MAX_RANK) return NULL;
    ir_type key;
    canonical_type(type, &key);
    strmap_entry *entry = intern(c, &c->types, (const char *)&key, sizeof key);
    if (!entry) return NULL;
    if (entry->value == 0) entry->value = (uint64_t)(uintptr_t)arena_copy(&c->memory, &key, sizeof key);
    if (entry->value == 0) c->failed = true;
    return (const ir_type *)(uintptr_t)entry->value;
}

const ir_type *type_tensor(ir_context *c, ir_dtype dtype, uint32_t rank, const ir_dim *dims) {
    if (rank > IR_MAX_RANK) return NULL;
    ir_type t = {.kind = TYPE_TENSOR, .dtype = dtype, .layout = LAYOUT_ROWS, .rank = rank};
    if (rank > 0) memcpy(t.dims, dims, rank * sizeof dims[0]);
    return type_intern(c, &t);
}

const ir_type *type_pattern(ir_context *c, ir_dim rows, ir_dim columns) {
    ir_type t = {.kind = TYPE_PATTERN, .rank = 2, .dims = {rows, columns}};
    return type_intern(c, &t);
}

const ir_type *type_with_layout(ir_context *c, const ir_type *t, ir_layout layout, uint32_t tile) {
    ir_type out = *t;
    out.layout = layout;
    out.tile = tile;
    return type_intern(c, &out);
}

const ir_type *type_with_dtype(ir_context *c, const ir_type *t, ir_dtype dtype) {
    ir_type out = *t;
    out.dtype = dtype;
    return type_intern(c, &out);
}

ir_dim type_elements(const ir_type *t, bool *ok) {
    ir_dim product = dim_const(1);
    *ok = true;
    for (uint32_t i = 0; i < t->rank && *ok; i++) product = dim_mul(product, t->dims[i], ok);
    return product;
}

int64_t type_bytes(const ir_type *t, ir_binding binding) {
    if (t->kind == TYPE_PATTERN) return -1;
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        int64_t size = dim_eval(t->dims[i], binding);
        if (size < 0) return -1;
        const int64_t whole = i == 0 && type_is_tiled(t)            ? (int64_t)t->tile
                              : i == 1 && t->layout == LAYOUT_QUADS ? 4
                                                                    : 1,
                      past = whole > 0 ? size % whole : 0;
        if (past > 0 && __builtin_add_overflow(size, whole - past, &size)) return -1;
        if (__builtin_mul_overflow(n, size, &n)) return -1;
    }
    int64_t bits;
    if (__builtin_mul_overflow(n, (int64_t)dtype_bits(t->dtype), &bits) || bits > INT64_MAX - 7) return -1;
    return (bits + 7) / 8;
}

/* ---- text ---- */

static void print_symbol(const ir_context *c, ir_symbol s, ir_value_printer print_value, const void *user, strbuf *out) {
    if (symbol_kind(c, s) == SYMBOL_NAMED) {
        strbuf_puts(out, symbol_name(c, s));
        return;
    }
    strbuf_puts(out, "nnz(");
    if (print_value) print_value(user, symbol_value(c, s), out);
    else strbuf_printf(out, "%%%u", symbol_value(c, s));
    strbuf_putc(out, ')');
}

/* Named symbols by name, then nnz by value. */
static bool prints_before(const ir_context *c, ir_symbol a, ir_symbol b) {
    if (symbol_kind(c, a) != symbol_kind(c, b)) return symbol_kind(c, a) == SYMBOL_NAMED;
    if (symbol_kind(c, a) == SYMBOL_NAMED) return strcmp(symbol_name(c, a), symbol_name(c, b)) < 0;
    return symbol_value(c, a) < symbol_value(c, b);
}

void dim_print(const ir_context *c, ir_dim d, ir_value_printer print_value, const void *user, strbuf *out) {
    if (d.scale == 0) {
        strbuf_printf(out, "%lld", (long long)d.offset);
        return;
    }
    if (d.scale != 1) strbuf_printf(out, "%lld*", (long long)d.scale);
    ir_symbol first = d.symbol[0], second = d.symbol[1];
    if (second != 0 && prints_before(c, second, first)) {
        first = d.symbol[1];
        second = d.symbol[0];
    }
    print_symbol(c, first, print_value, user, out);
    if (second != 0) {
        strbuf_putc(out, '*');
        print_symbol(c, second, print_value, user, out);
    }
    if (d.offset != 0) strbuf_printf(out, "%+lld", (long long)d.offset);
}

void type_print(const ir_context *c, const ir_type *t, ir_value_printer print_value, const void *user, strbuf *out) {
    strbuf_puts(out, t->kind == TYPE_PATTERN ? "pattern" : dtype_name(t->dtype));
    strbuf_putc(out, '[');
    for (uint32_t i = 0; i < t->rank; i++) {
        if (i > 0) strbuf_putc(out, ',');
        dim_print(c, t->dims[i], print_value, user, out);
    }
    strbuf_putc(out, ']');
    if (type_is_tiled(t)) strbuf_printf(out, t->layout == LAYOUT_QUADS ? " quads<%u>" : " tiles<%u>", t->tile);
}
