/*
 * What torch.save pickles: values, and the machine that makes them of the pickle's bytes without running anything.
 *
 * A pickle is a program for a stack machine that can call any function of Python. Here it can call none: the names that it may use
 * are the rows of an allow-list (torch_objects.c), and what calls of them would give is made here as plain data. Anything else is
 * an error that names it.
 *
 * Opcodes: Python's pickletools.py; those that pickle protocols 2 to 5 emit for what a checkpoint holds.
 */
#ifndef POFAC_FRONTEND_TORCH_PICKLE_H
#define POFAC_FRONTEND_TORCH_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/type.h"

/* Each bounds memory, whatever the file says; real checkpoints stay a hundredfold below (BERT-Large: 390 tensors, 20 values each). */
#define PICKLE_MAX_VALUES ((size_t)1 << 22) /* made or pushed on the stack again */
#define PICKLE_MAX_DEPTH 1000u              /* lists, tuples and dictionaries being built within one another */
#define PICKLE_MAX_NAME 255u                /* bytes of a global's module, and of its name */

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_LONG, /* an integer of more than 64 bits */
    PICKLE_REAL,
    PICKLE_STRING,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_GLOBAL, /* a row of the allow-list, not called */
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_DEVICE
} pickle_kind;

typedef struct pickle_value pickle_value;
typedef struct torch_global torch_global;

/* The storage of tensors, or a part of one: elements [first, first + n_elements) of the n_stored that are stored as `key`. */
typedef struct pickle_storage pickle_storage;
struct pickle_storage {
    const char *key; /* 0-terminated */
    ir_dtype dtype;
    int64_t n_stored, first, n_elements;
    const pickle_storage *next; /* the one that the pickle names before this one */
};

/* A tensor as the pickle describes it, not checked against its storage. */
typedef struct pickle_tensor {
    const pickle_storage *storage;
    int64_t offset;
    const pickle_value *size, *stride; /* tuples of integers */
} pickle_tensor;

struct pickle_value {
    pickle_kind kind;
    union {
        int64_t integer; /* of a bool: 0 or 1 */
        double real;
        struct {
            const char *bytes; /* not 0-terminated; of a PICKLE_LONG two's complement, little-endian */
            size_t n;
        } text;
        struct {
            pickle_value **data; /* of a dictionary: key, value, key, value, ... */
            size_t n, capacity;
        } items;
        const torch_global *global;
        const pickle_storage *storage;
        const pickle_tensor *tensor;
    };
};

/* Where a pickle stands. The strings of values are views of `bytes`. */
typedef struct pickle_source {
    const char *file, *part; /* for messages: `FILE: error: PART: byte N: ...` */
    const unsigned char *bytes;
    size_t n_bytes;
    size_t first; /* position of bytes[0], as messages count */
} pickle_source;

typedef struct pickle {
    const pickle_value *root;
    const pickle_storage *storages; /* all that it names, the last one first */
    size_t n_bytes;                 /* that were read: a pickle ends where its STOP is */
} pickle;

/* Values live in the arena. POFAC_ERR_INPUT: malformed, cut short, beyond a limit, or a global that is not on the allow-list. */
POFAC_MUST_USE pofac_status torch_unpickle(const pickle_source *from, arena *a, const diag_sink *sink, pickle *out);

/* The value of a string key, NULL where there is none or `dict` is no dictionary; of equal keys the last one counts, as in Python. */
const pickle_value *pickle_get(const pickle_value *dict, const char *key);

bool pickle_is_text(const pickle_value *v, const char *text); /* a string that reads so */

/* "a tuple", "an integer", ... */
const char *pickle_describe(const pickle_value *v);

/* An opcode's place, for messages. */
typedef struct pickle_place {
    const pickle_source *from;
    size_t at; /* in from->bytes */
    const diag_sink *sink;
} pickle_place;

/* Sends `FILE: error: PART: byte N: ...` and returns POFAC_ERR_INPUT. */
POFAC_PRINTF(2, 3) pofac_status pickle_wrong(const pickle_place *place, const char *format, ...);

/* A new value; NULL when memory is short. */
pickle_value *pickle_new(arena *a, pickle_kind kind);

/* Appends to a list or a dictionary; false when memory is short. */
bool pickle_append(arena *a, pickle_value *list, pickle_value *item);

#endif
