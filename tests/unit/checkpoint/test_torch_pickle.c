/* pitfall 15: the unpickler, which runs nothing: what each opcode makes, and every pickle that it refuses, with the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/checkpoint/torch_pickle.h"
#include "tests/unit/checkpoint/torch_files.h"
#include "tests/unit/fail_alloc.h"

typedef struct outcome {
    pofac_status status;
    pickle pickle;
    arena memory;
    strbuf said;
} outcome;

/* The bytes are copied to memory of exactly their size, so that AddressSanitizer sees a read over their end. */
static outcome unpickle(const void *bytes, size_t n) {
    outcome o = {.memory = ARENA_INIT, .said = STRBUF_INIT};
    const diag_sink sink = diag_sink_to_strbuf(&o.said);
    void *copy = arena_copy(&o.memory, bytes, n);
    assert_non_null(copy);
    const pickle_source from = {.file = "x.bin", .part = "data.pkl", .bytes = copy, .n_bytes = n, .first = 0};
    o.status = torch_unpickle(&from, &o.memory, &sink, &o.pickle);
    return o;
}

static void end(outcome *o) {
    arena_free(&o->memory);
    strbuf_free(&o->said);
}

static outcome expect_made(const void *bytes, size_t n, pickle_kind kind) {
    outcome o = unpickle(bytes, n);
    assert_string_equal(strbuf_str(&o.said), "");
    assert_int_equal(o.status, POFAC_OK);
    assert_int_equal(o.pickle.root->kind, kind);
    return o;
}

static void expect_wrong(const void *bytes, size_t n, const char *said) {
    char wanted[400];
    outcome o = unpickle(bytes, n);
    snprintf(wanted, sizeof wanted, "x.bin: error: data.pkl: %s\n", said);
    assert_string_equal(strbuf_str(&o.said), wanted);
    assert_int_equal(o.status, POFAC_ERR_INPUT);
    end(&o);
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int64_t value;
    } rows[] = {
        {BYTES("\x80\x02K\xff."), 255},
        {BYTES("\x80\x05M\xe9\x03."), 1001},
        {BYTES("J\xfe\xff\xff\xff."), -2},
        {BYTES("J\0\0\0\x40."), 1 << 30},
        {BYTES("\x8a\0."), 0},
        {BYTES("\x8a\1\xff."), -1},
        {BYTES("\x8a\2\xff\0."), 255},
        {BYTES("\x8a\6\0\0\0\0\0\1."), INT64_C(1) << 40},
        {BYTES("\x8a\x08\0\0\0\0\0\0\0\x80."), INT64_MIN},
        {BYTES("\x8b\1\0\0\0\7."), 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        outcome o = expect_made(rows[i].bytes, rows[i].n, PICKLE_INTEGER);
        assert_int_equal(o.pickle.root->integer, rows[i].value);
        assert_int_equal(o.pickle.n_bytes, rows[i].n);
        end(&o);
    }
}

static void test_texts(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        pickle_kind kind;
    } rows[] = {
        {BYTES("X\2\0\0\0ab."), PICKLE_STRING},
        {BYTES("\x8c\2ab."), PICKLE_STRING},
        {BYTES("\x8d\2\0\0\0\0\0\0\0ab."), PICKLE_STRING},
        {BYTES("T\2\0\0\0ab."), PICKLE_STRING},
        {BYTES("U\2ab."), PICKLE_STRING},
        {BYTES("B\2\0\0\0ab."), PICKLE_BYTES},
        {BYTES("C\2ab."), PICKLE_BYTES},
        {BYTES("\x8e\2\0\0\0\0\0\0\0ab."), PICKLE_BYTES},
        {BYTES("\x96\2\0\0\0\0\0\0\0ab."), PICKLE_BYTES},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        outcome o = expect_made(rows[i].bytes, rows[i].n, rows[i].kind);
        assert_int_equal(o.pickle.root->text.n, 2);
        assert_memory_equal(o.pickle.root->text.bytes, "ab", 2);
        end(&o);
    }
    outcome o = expect_made(BYTES("\x8a\x09\1\2\3\4\5\6\7\x08\x09."), PICKLE_LONG);
    assert_int_equal(o.pickle.root->text.n, 9);
    end(&o);
}

static void test_constants(void **state) {
    (void)state;
    outcome o = expect_made(BYTES("\x88."), PICKLE_BOOL);
    assert_int_equal(o.pickle.root->integer, 1);
    end(&o);
    o = expect_made(BYTES("\x89."), PICKLE_BOOL);
    assert_int_equal(o.pickle.root->integer, 0);
    end(&o);
    o = expect_made(BYTES("N."), PICKLE_NONE);
    end(&o);
    o = expect_made(BYTES("G\xc0\x04\0\0\0\0\0\0."), PICKLE_REAL);
    assert_true(o.pickle.root->real == -2.5);
    end(&o);
    o = expect_made(BYTES("\x80\x04\x95\2\0\0\0\0\0\0\0N."), PICKLE_NONE);
    end(&o);
}

/* Each makes 1, 2, 3 in a tuple or list, by another way. */
static void test_sequences(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        pickle_kind kind;
    } rows[] = {
        {BYTES("(K\1K\2K\3t."), PICKLE_TUPLE},
        {BYTES("K\1K\2K\3\x87."), PICKLE_TUPLE},
        {BYTES("](K\1K\2K\3e."), PICKLE_LIST},
        {BYTES("]K\1a(K\2K\3e."), PICKLE_LIST},
        {BYTES("]K\1aK\2aK\3a."), PICKLE_LIST},
        {BYTES("]q\0K\1q\1aK\2a0h\0K\3a."), PICKLE_LIST},    /* BINPUT, POP, BINGET: the same list */
        {BYTES("]\x94(K\1K\2K\3e0j\0\0\0\0."), PICKLE_LIST}, /* MEMOIZE, LONG_BINGET */
        {BYTES("]r\1\0\0\0(K\1K\2K\3e0h\1."), PICKLE_LIST},  /* LONG_BINPUT */
        {BYTES("](K\1K\2K\3e(K\7K\x08"
               "1."),
         PICKLE_LIST},                           /* POP_MARK */
        {BYTES("](0(K\1K\2K\3e."), PICKLE_LIST}, /* POP of a mark */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        outcome o = expect_made(rows[i].bytes, rows[i].n, rows[i].kind);
        assert_int_equal(o.pickle.root->items.n, 3);
        for (size_t j = 0; j < 3; j++) assert_int_equal(o.pickle.root->items.data[j]->integer, j + 1);
        end(&o);
    }
    outcome o = expect_made(BYTES(")."), PICKLE_TUPLE);
    assert_int_equal(o.pickle.root->items.n, 0);
    end(&o);
    o = expect_made(BYTES("N\x85."), PICKLE_TUPLE);
    assert_int_equal(o.pickle.root->items.n, 1);
    end(&o);
    o = expect_made(BYTES("]2\x86."), PICKLE_TUPLE); /* DUP */
    assert_ptr_equal(o.pickle.root->items.data[0], o.pickle.root->items.data[1]);
    end(&o);
}

static void test_dictionaries(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {BYTES("}(U\1aK\1U\1bK\2u.")},
        {BYTES("}U\1aK\1sU\1bK\2s.")},
        {BYTES("}(U\1aK\7U\1aK\1U\1bK\2u.")}, /* the later one counts */
        {BYTES("ccollections\nOrderedDict\n)R(U\1aK\1U\1bK\2u.")},
        {BYTES("\x8c\x0b"
               "collections\x8c\x0bOrderedDict\x93)RU\1aK\1sU\1bK\2s}b.")},
        {BYTES("ccollections\nOrderedDict\n](](U\1aK\1e](U\1bK\2ee\x85R.")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        outcome o = expect_made(rows[i].bytes, rows[i].n, PICKLE_DICT);
        assert_int_equal(pickle_get(o.pickle.root, "a")->integer, 1);
        assert_int_equal(pickle_get(o.pickle.root, "b")->integer, 2);
        assert_null(pickle_get(o.pickle.root, "c"));
        assert_null(pickle_get(pickle_get(o.pickle.root, "a"), "a"));
        assert_null(pickle_get(NULL, "a"));
        end(&o);
    }
}

static void test_calls(void **state) {
    (void)state;
    outcome o = expect_made(BYTES("ctorch\nSize\n(K\2K\3t\x85R."), PICKLE_TUPLE);
    assert_int_equal(o.pickle.root->items.n, 2);
    end(&o);
    o = expect_made(BYTES("ctorch\ndevice\nU\3cpu\x85R."), PICKLE_DEVICE);
    end(&o);
    o = expect_made(BYTES("ctorch\nbfloat16\n."), PICKLE_GLOBAL);
    end(&o);

    strbuf b = STRBUF_INIT;
    const torch_view view = {"x", "HalfStorage", "7", 24, 5, 2, {2, 3}, {1, 4}};
    put_tensor(&b, &view);
    PUT(&b, ".");
    o = expect_made(b.data, b.size, PICKLE_TENSOR);
    const pickle_tensor *t = o.pickle.root->tensor;
    assert_int_equal(t->offset, 5);
    assert_int_equal(t->size->items.data[1]->integer, 3);
    assert_int_equal(t->stride->items.data[1]->integer, 4);
    assert_string_equal(t->storage->key, "7");
    assert_int_equal(t->storage->dtype, IR_F16);
    assert_int_equal(t->storage->n_stored, 24);
    assert_int_equal(t->storage->n_elements, 24);
    assert_ptr_equal(o.pickle.storages, t->storage);
    assert_null(t->storage->next);
    end(&o);

    strbuf_clear(&b); /* a parameter is its tensor; the first functions of torch had four arguments */
    PUT(&b, "ctorch._utils\n_rebuild_parameter\n(ctorch._utils\n_rebuild_tensor\n(");
    put_storage(&b, "FloatStorage", "0", 3);
    PUT(&b, "K\0K\3\x85K\1\x85tR\x88}tR.");
    o = expect_made(b.data, b.size, PICKLE_TENSOR);
    assert_int_equal(o.pickle.root->tensor->storage->dtype, IR_F32);
    end(&o);
    strbuf_free(&b);
}

/* (key, first element, number of elements): a part of a storage, which files of the stream form have. */
static void test_storage_views(void **state) {
    (void)state;
    outcome o = expect_made(BYTES("(U\7storagectorch\nFloatStorage\nU\1aU\3cpuK\x0aU\1bK\3K\5\x87tQ."), PICKLE_STORAGE);
    assert_int_equal(o.pickle.root->storage->n_stored, 10);
    assert_int_equal(o.pickle.root->storage->first, 3);
    assert_int_equal(o.pickle.root->storage->n_elements, 5);
    end(&o);
    o = expect_made(BYTES("(U\7storagectorch\nFloatStorage\nU\1aU\3cpuK\x0aNtQ."), PICKLE_STORAGE);
    assert_int_equal(o.pickle.root->storage->n_elements, 10);
    end(&o);
}

#define NOT_ALLOWED ", wanted what tensors are made of: a checkpoint runs no code"
#define CUT ": the pickle is cut short"

static void test_wrong_pickles(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *said;
    } rows[] = {
        {BYTES(""), "byte 0: found the end, wanted STOP" CUT},
        {BYTES("\x80\x02N"), "byte 3: found the end, wanted STOP" CUT},
        {BYTES("\x80"), "byte 0: found 0 bytes behind PROTO, wanted 1" CUT},
        {BYTES("\x80\x06N."), "byte 0: found pickle protocol 6, wanted one from 2 to 5"},
        {BYTES("\x80\x04\x95\4\0\0\0\0\0\0\0N."), "byte 2: found 2 bytes, wanted 4, a frame" CUT},
        {BYTES("M\1"), "byte 0: found 1 bytes behind BININT2, wanted 2" CUT},
        {BYTES("X\3\0\0\0ab"), "byte 0: found 2 bytes behind BINUNICODE, wanted 3" CUT},
        {BYTES("X\xff\xff\xff\xff"
               "ab"),
         "byte 0: found 2 bytes behind BINUNICODE, wanted 4294967295" CUT},
        {BYTES("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
               "a"),
         "byte 0: found 1 bytes behind BINUNICODE8, wanted 18446744073709551615" CUT},
        {BYTES("\x8b\xff\xff\xff\xff"
               "a"),
         "byte 0: found 1 bytes behind LONG4, wanted 4294967295" CUT},
        /* code */
        {BYTES("\x80\x02"
               "cos\nsystem\nX\2\0\0\0id\x85R."),
         "byte 2: found \"os.system\"" NOT_ALLOWED},
        {BYTES("cposix\nsystem\n."), "byte 0: found \"posix.system\"" NOT_ALLOWED},
        {BYTES("cbuiltins\neval\n."), "byte 0: found \"builtins.eval\"" NOT_ALLOWED},
        {BYTES("c__builtin__\nexec\n."), "byte 0: found \"__builtin__.exec\"" NOT_ALLOWED},
        {BYTES("ctorch\nload\n."), "byte 0: found \"torch.load\"" NOT_ALLOWED},
        {BYTES("ctorch.storage\n_load_from_bytes\n."), "byte 0: found \"torch.storage._load_from_bytes\"" NOT_ALLOWED},
        {BYTES("ctransformers.modeling_bert\nBertModel\n."), "byte 0: found \"transformers.modeling_bert.BertModel\"" NOT_ALLOWED},
        {BYTES("ccollections\nOrderedDict\0\n."), "byte 0: found \"collections.OrderedDict\\u0000\"" NOT_ALLOWED},
        {BYTES("c\x1b[31m\nx\n."), "byte 0: found \"\\u001b[31m.x\"" NOT_ALLOWED},
        {BYTES("\x80\x04\x8c\2os\x8c\6system\x93."), "byte 14: found \"os.system\"" NOT_ALLOWED},
        {BYTES("\x8c\2osK\1\x93."), "byte 6: found a global named by a string and an integer, wanted strings"},
        {BYTES("cos"), "byte 0: found no end of a global's name" CUT},
        {BYTES("cos\nsystem"), "byte 0: found no end of a global's name" CUT},
        {BYTES("(S'id'\nios\nsystem\n."), "byte 1: found opcode 0x53, wanted one that torch.save writes"},
        {BYTES("(U\2idios\nsystem\n."), "byte 5: found opcode 0x69, wanted one that torch.save writes"}, /* INST */
        {BYTES("(No."), "byte 2: found opcode 0x6f, wanted one that torch.save writes"},                 /* OBJ */
        {BYTES("N)\x81."), "byte 2: found opcode 0x81, wanted one that torch.save writes"},              /* NEWOBJ */
        {BYTES("N)}\x92."), "byte 3: found opcode 0x92, wanted one that torch.save writes"},             /* NEWOBJ_EX */
        {BYTES("\x82\1."), "byte 0: found opcode 0x82, wanted one that torch.save writes"},              /* EXT1 */
        {BYTES("Pstorage\n."), "byte 0: found opcode 0x50, wanted one that torch.save writes"},          /* PERSID */
        {BYTES("\x97."), "byte 0: found opcode 0x97, wanted one that torch.save writes"},                /* NEXT_BUFFER */
        {BYTES("K\1)R."), "byte 3: found a call of an integer, wanted one of a function"},
        {BYTES("U\2os)R."), "byte 5: found a call of a string, wanted one of a function"},
        {BYTES("ctorch\nFloatStorage\n)R."), "byte 21: found a call of \"torch.FloatStorage\", wanted one of a function"},
        {BYTES("ctorch\nSize\nK\1R."), "byte 14: found a call with an integer, wanted a tuple of arguments"},
        {BYTES("ctorch\nSize\n)R."), "byte 13: Size: found other arguments, wanted a tuple of integers"},
        {BYTES("]}b."), "byte 2: found attributes (a dictionary) for a list, wanted a dictionary of them for an OrderedDict"},
        {BYTES("}Nb."), "byte 2: found attributes (None) for a dictionary, wanted a dictionary of them for an OrderedDict"},
        /* the stack */
        {BYTES("."), "byte 0: found 0 values and 0 marks on the stack at the end, wanted one value"},
        {BYTES("NN."), "byte 2: found 2 values and 0 marks on the stack at the end, wanted one value"},
        {BYTES("N(."), "byte 2: found 1 values and 1 marks on the stack at the end, wanted one value"},
        {BYTES("0."), "byte 0: found 0 values on the stack, wanted 1"},
        {BYTES("2."), "byte 0: found 0 values on the stack, wanted 1"},
        {BYTES("N(2."), "byte 2: found 0 values on the stack, wanted 1"},
        {BYTES("1."), "byte 0: found no mark on the stack, wanted one"},
        {BYTES("Nt."), "byte 1: found no mark on the stack, wanted one"},
        {BYTES("\x85."), "byte 0: found 0 values on the stack, wanted 1"},
        {BYTES("NN\x87."), "byte 2: found 2 values on the stack, wanted 3"},
        {BYTES("NN(N\x86."), "byte 4: found 1 values on the stack, wanted 2"},
        {BYTES("Na."), "byte 1: found 1 values on the stack, wanted 2"},
        {BYTES("NNa."), "byte 2: found None to add to, wanted a list"},
        {BYTES("}Na."), "byte 2: found a dictionary to add to, wanted a list"},
        {BYTES("(Ne."), "byte 2: found 0 values on the stack, wanted 1"},
        {BYTES("NNs."), "byte 2: found 2 values on the stack, wanted 3"},
        {BYTES("]NNs."), "byte 3: found a list to add to, wanted a dictionary"},
        {BYTES("}(Nu."), "byte 3: found 1 keys and values, wanted pairs"},
        {BYTES("u."), "byte 0: found no mark on the stack, wanted one"},
        {BYTES("NR."), "byte 1: found 1 values on the stack, wanted 2"},
        {BYTES("Nb."), "byte 1: found 1 values on the stack, wanted 2"},
        {BYTES("N\x93."), "byte 1: found 1 values on the stack, wanted 2"},
        {BYTES("Q."), "byte 0: found 0 values on the stack, wanted 1"},
        /* the memo */
        {BYTES("q\0."), "byte 0: found 0 values on the stack, wanted 1"},
        {BYTES("Nr\xff\xff\xff\xff."), "byte 1: found memo number 4294967295, wanted one below 7"},
        {BYTES("Nq\4."), "byte 1: found memo number 4, wanted one below 4"},
        {BYTES("h\5."), "byte 0: found memo number 5, under which nothing was put"},
        {BYTES("Nq\1h\0."), "byte 3: found memo number 0, under which nothing was put"},
        {BYTES("j\xff\xff\xff\xff."), "byte 0: found memo number 4294967295, under which nothing was put"},
        /* calls */
        {BYTES("ccollections\nOrderedDict\nK\1\x85R."),
         "byte 28: OrderedDict: found other arguments, wanted none or a list of pairs"},
        {BYTES("ccollections\nOrderedDict\n]K\1a\x85R."), "byte 30: OrderedDict: found an integer as item 0, wanted a pair"},
        {BYTES("ctorch._utils\n_rebuild_tensor_v2\n)R."),
         "byte 34: tensor: found other arguments, wanted a storage, an offset, a size and a stride"},
        {BYTES("ctorch._utils\n_rebuild_tensor_v2\n(NK\0))tR."),
         "byte 40: tensor: found other arguments, wanted a storage, an offset, a size and a stride"},
        {BYTES("ctorch._utils\n_rebuild_parameter\n(K\1tR."), "byte 37: parameter: found other arguments, wanted a tensor"},
        {BYTES("ctorch\nSize\n)\x85N\x86R."), "byte 16: Size: found other arguments, wanted a tuple of integers"},
        {BYTES("NQ."), "byte 1: found another persistent id, wanted the 5 or 6 parts of a storage"},
        {BYTES("(U\6modulectorch\nFloatStorage\nU\1aU\3cpuK\1tQ."),
         "byte 40: found another persistent id, wanted the 5 or 6 parts of a storage"},
        {BYTES("(U\7storageNU\1aU\3cpuK\1tQ."), "byte 22: storage: found None as its class, wanted one of torch's storages"},
        {BYTES("(U\7storagectorch\nSize\nU\1aU\3cpuK\1tQ."),
         "byte 33: storage: found a global as its class, wanted one of torch's storages"},
        {BYTES("(U\7storagectorch\nFloatStorage\nK\1U\3cpuK\1tQ."),
         "byte 40: storage: found an integer as its key, wanted a short name"},
        {BYTES("(U\7storagectorch\nFloatStorage\nU\2\x1b[U\3cpuK\1tQ."),
         "byte 42: storage: found another string as its key, wanted a short name"},
        {BYTES("(U\7storagectorch\nFloatStorage\nU\0U\3cpuK\1tQ."),
         "byte 40: storage: found another string as its key, wanted a short name"},
        {BYTES("(U\7storagectorch\nFloatStorage\nU\1aU\3cpuNtQ."),
         "byte 40: storage: found None as its length, wanted a number of elements from 0"},
        {BYTES("(U\7storagectorch\nFloatStorage\nU\1aU\3cpuJ\xff\xff\xff\xfftQ."),
         "byte 44: storage: found a negative number as its length, wanted a number of elements from 0"},
        {BYTES("(U\7storagectorch\nFloatStorage\nU\1aU\3cpuK\x0aU\1bK\6K\5\x87tQ."),
         "byte 49: storage: found another view, wanted a range of its 10 elements"},
        {BYTES("(U\7storagectorch\nFloatStorage\nU\1aU\3cpuK\x0aK\1tQ."),
         "byte 43: storage: found another view, wanted a range of its 10 elements"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect_wrong(rows[i].bytes, rows[i].n, rows[i].said);
}

static void repeat(strbuf *b, const char *bytes, size_t n, size_t times) {
    for (size_t i = 0; i < times; i++) put_bytes(b, bytes, n);
}

static void test_limits(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    repeat(&b, BYTES("("), PICKLE_MAX_DEPTH + 1);
    expect_wrong(b.data, b.size, "byte 1000: found marks nested more than 1000 deep, wanted at most as many");

    strbuf_clear(&b); /* depth without marks costs nothing, as nothing recurs */
    repeat(&b, BYTES("]"), 100000);
    repeat(&b, BYTES("a"), 99999);
    PUT(&b, ".");
    outcome o = expect_made(b.data, b.size, PICKLE_LIST);
    end(&o);

    strbuf_clear(&b); /* a list in itself */
    PUT(&b, "]q\0h\0a.");
    o = expect_made(b.data, b.size, PICKLE_LIST);
    assert_ptr_equal(o.pickle.root->items.data[0], o.pickle.root);
    end(&o);

    strbuf_clear(&b);
    PUT(&b, "N");
    repeat(&b, BYTES("2"), PICKLE_MAX_VALUES);
    expect_wrong(b.data, b.size, "byte 4194304: found more than 4194304 values, wanted at most as many");

    strbuf_clear(&b); /* each call would copy the list */
    PUT(&b, "K\1K\2\x86q\0"
            "0](");
    repeat(&b, BYTES("h\0"), 100000);
    PUT(&b, "eq\1"
            "0");
    repeat(&b, BYTES("ccollections\nOrderedDict\nh\1\x85R0"), 30);
    expect_wrong(b.data, b.size, "byte 200642: found more than 4194304 values, wanted at most as many");

    strbuf_clear(&b);
    PUT(&b, "c");
    repeat(&b, BYTES("x"), PICKLE_MAX_NAME + 1);
    PUT(&b, "\ny\n.");
    expect_wrong(b.data, b.size, "byte 0: found a global's name of more than 255 bytes, wanted at most as many");

    strbuf_clear(&b);
    PUT(&b, "U\1xX\0\1\0\0");
    repeat(&b, BYTES("x"), PICKLE_MAX_NAME + 1);
    PUT(&b, "\x93.");
    expect_wrong(b.data, b.size, "byte 264: found a global's name of more than 255 bytes, wanted at most as many");
    strbuf_free(&b);
}

static void put_whole(strbuf *b) {
    const torch_view views[] = {{"x", "FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}}, {"y", "FloatStorage", "0", 6, 3, 1, {3}, {1}}};
    PUT(b, "\x80\x04");
    put_bytes(b, BYTES("ccollections\nOrderedDict\n)R\x94("));
    for (size_t i = 0; i < 2; i++) {
        put_text(b, views[i].name);
        put_tensor(b, &views[i]);
    }
    put_text(b, "z");
    PUT(b, "](K\1\x8c\1rG\0\0\0\0\0\0\0\0\x88NC\1bK\1K\2\x86\x85\x85)eu}U\x09_metadata}sb.");
}

static void test_truncation(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    put_whole(&b);
    outcome o = expect_made(b.data, b.size, PICKLE_DICT);
    assert_int_equal(o.pickle.n_bytes, b.size);
    end(&o);
    for (size_t n = 0; n < b.size; n++) {
        o = unpickle(b.data, n);
        if (o.status != POFAC_ERR_INPUT) fail_msg("cut to %zu of %zu bytes: status %d", n, b.size, o.status);
        end(&o);
    }
    strbuf_free(&b);
}

/* Any byte may be anything: an outcome, and no step over the end. */
static void test_changed_bytes(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    put_whole(&b);
    for (size_t i = 0; i < b.size; i++) {
        const char was = b.data[i];
        for (int other = 0; other < 256; other++) {
            b.data[i] = (char)other;
            outcome o = unpickle(b.data, b.size);
            assert_int_equal(o.status == POFAC_OK, o.said.size == 0);
            end(&o);
        }
        b.data[i] = was;
    }
    strbuf_free(&b);
}

static void test_failing_allocations(void **state) {
    (void)state;
    strbuf b = STRBUF_INIT;
    put_whole(&b);
    const pickle_source from = {
        .file = "x.bin", .part = "data.pkl", .bytes = (const unsigned char *)b.data, .n_bytes = b.size, .first = 0};
    for (size_t n = 1;; n++) {
        arena memory = ARENA_INIT;
        pickle p;
        fail_alloc_after(n);
        pofac_status status = torch_unpickle(&from, &memory, NULL, &p);
        bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        arena_free(&memory);
        if (!failed) break;
    }
    strbuf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),      cmocka_unit_test(test_texts),         cmocka_unit_test(test_constants),
        cmocka_unit_test(test_sequences),     cmocka_unit_test(test_dictionaries),  cmocka_unit_test(test_calls),
        cmocka_unit_test(test_storage_views), cmocka_unit_test(test_wrong_pickles), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_truncation),    cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
