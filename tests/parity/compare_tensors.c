/*
 * Compares tensors of two files, element by element, and says which differs most and where.
 *
 *   compare_tensors FOUND EXPECTED [--tolerance=X] [--relative=X] [--ending=TEXT] [--mask=FILE] [NAME[ROW]=EXPECTED_NAME ...]
 *
 * Without pairs, every tensor of EXPECTED must be in FOUND with the same shape; with --ending those whose names end so, one at least. A pair
 * compares row ROW of the tensor NAME of FOUND with a tensor of EXPECTED, which may be shorter in its first dimension: rows are padded. --mask:
 * a file with attention_mask [B,S]; tensors whose first dimensions are [B,S] are compared where it is not 0. Numbers may differ by
 * `tolerance` + `relative` * |expected|, both 0 by default; a NaN differs from everything. Exit status: 0 equal within that, 1 not, 2 usage,
 * 3 a file cannot be read.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/checkpoint/checkpoint.h"
#include "ir/support/text_ends.h"

typedef struct comparison {
    checkpoint *found, *expected, *mask_file;
    ir_tensor mask; /* [B,S], rank 0 when there is none */
    double tolerance, relative;
    const char *ending; /* of names */
    const diag_sink *sink;
    bool differs;
} comparison;

static void print_diag(void *user, const diag *d) {
    strbuf text = STRBUF_INIT;
    diag_render(d, &text);
    fputs(strbuf_str(&text), user);
    strbuf_free(&text);
}

static const checkpoint_tensor *find(comparison *c, checkpoint *file, const char *role, const char *name) {
    const checkpoint_tensor *t = checkpoint_get(file, name);
    if (t) return t;
    printf("%s: not among the %s tensors\n", name, role);
    c->differs = true;
    return NULL;
}

/* Is element `i` of a tensor with these dimensions at a padded position? */
static bool is_padded(const comparison *c, const checkpoint_tensor *t, int64_t i) {
    if (c->mask.rank != 2 || t->rank < 2 || t->dims[0] != c->mask.dims[0] || t->dims[1] != c->mask.dims[1]) return false;
    int64_t inner = checkpoint_elements(t) / (t->dims[0] * t->dims[1]);
    return tensor_get(&c->mask, i / inner) == 0.0;
}

static void print_place(const checkpoint_tensor *t, int64_t i) {
    int64_t index[CHECKPOINT_MAX_RANK];
    for (uint32_t d = t->rank; d-- > 0;) {
        index[d] = i % t->dims[d];
        i /= t->dims[d];
    }
    printf("%s[", t->name);
    for (uint32_t d = 0; d < t->rank; d++) printf("%s%lld", d ? "," : "", (long long)index[d]);
    printf("]");
}

static double allowed(const comparison *c, double expected) { return c->tolerance + c->relative * fabs(expected); }

/* Elements [first, first + n) of `found` against all n of `expected`. */
static pofac_status compare_elements(comparison *c, const checkpoint_tensor *found, int64_t first,
                                     const checkpoint_tensor *expected) {
    int64_t n = checkpoint_elements(expected), worst = 0, compared = 0;
    double largest = 0.0, most = -INFINITY; /* by how much more than is allowed */
    ir_tensor x = {0}, y = {0};
    pofac_status status = checkpoint_load(found, IR_F32, c->sink, &x);
    if (status == POFAC_OK) status = checkpoint_load(expected, IR_F32, c->sink, &y);
    for (int64_t i = 0; status == POFAC_OK && i < n; i++) {
        if (is_padded(c, expected, i)) continue;
        double difference = fabs(tensor_get(&x, first + i) - tensor_get(&y, i));
        if (isnan(difference)) difference = INFINITY;
        const double over = isinf(difference) ? difference : difference - allowed(c, tensor_get(&y, i));
        compared++;
        if (difference > largest) largest = difference;
        if (over <= most) continue;
        most = over;
        worst = i;
    }
    if (status == POFAC_OK && most > 0) {
        const double value = tensor_get(&x, first + worst), wanted = tensor_get(&y, worst);
        print_place(expected, worst);
        printf(" is %.9g, wanted %.9g: they differ by %.3g, allowed are %.3g\n", value, wanted, fabs(value - wanted),
               allowed(c, wanted));
        c->differs = true;
    } else if (status == POFAC_OK) {
        printf("%s: %lld elements within %.3g\n", expected->name, (long long)compared, largest);
    }
    tensor_free(&x);
    tensor_free(&y);
    return status;
}

static void shapes_differ(comparison *c, const checkpoint_tensor *found, const checkpoint_tensor *expected) {
    strbuf text = STRBUF_INIT;
    checkpoint_print_shape(found->rank, found->dims, &text);
    strbuf_puts(&text, ", wanted ");
    checkpoint_print_shape(expected->rank, expected->dims, &text);
    printf("%s: its shape is %s\n", expected->name, strbuf_str(&text));
    strbuf_free(&text);
    c->differs = true;
}

static pofac_status compare_all(comparison *c) {
    size_t n = 0;
    for (size_t i = 0; i < checkpoint_size(c->expected); i++) {
        const checkpoint_tensor *expected = checkpoint_at(c->expected, i);
        if (!text_ends_with(expected->name, c->ending)) continue;
        n++;
        const checkpoint_tensor *found = find(c, c->found, "found", expected->name);
        if (!found) continue;
        if (found->rank != expected->rank || memcmp(found->dims, expected->dims, expected->rank * sizeof *found->dims) != 0)
            shapes_differ(c, found, expected);
        else TRY(compare_elements(c, found, 0, expected));
    }
    if (n > 0) return POFAC_OK;
    printf("%s: none among the expected tensors\n", *c->ending ? c->ending : "tensors");
    c->differs = true;
    return POFAC_OK;
}

/* Row `row` of found [N,A,...] against expected [A',...], A' <= A. */
static pofac_status compare_row(comparison *c, const checkpoint_tensor *found, int64_t row, const checkpoint_tensor *expected) {
    bool fits =
        found->rank == expected->rank + 1 && expected->rank > 0 && row < found->dims[0] && expected->dims[0] <= found->dims[1];
    for (uint32_t d = 1; fits && d < expected->rank; d++) fits = found->dims[d + 1] == expected->dims[d];
    if (fits) return compare_elements(c, found, row * (checkpoint_elements(found) / found->dims[0]), expected);
    shapes_differ(c, found, expected);
    return POFAC_OK;
}

/* NAME[ROW]=EXPECTED_NAME. */
static pofac_status compare_pair(comparison *c, char *pair) {
    char *bracket = strchr(pair, '['), *equals = strstr(pair, "]=");
    if (!bracket || !equals) {
        fprintf(stderr, "error: found \"%s\", wanted NAME[ROW]=EXPECTED_NAME\n", pair);
        return POFAC_ERR_USAGE;
    }
    *bracket = 0;
    const checkpoint_tensor *found = find(c, c->found, "found", pair), *expected = find(c, c->expected, "expected", equals + 2);
    return found && expected ? compare_row(c, found, strtoll(bracket + 1, NULL, 10), expected) : POFAC_OK;
}

static pofac_status open_mask(comparison *c, const char *path) {
    TRY(checkpoint_open(path, c->sink, &c->mask_file));
    const checkpoint_tensor *t = checkpoint_get(c->mask_file, "attention_mask");
    if (!t) return diag_error(c->sink, POFAC_ERR_INPUT, &(diag_place){.file = path}, "there is no attention_mask");
    return checkpoint_load(t, IR_I64, c->sink, &c->mask);
}

static pofac_status compare(comparison *c, int argc, char **argv) {
    bool pairs = false;
    TRY(checkpoint_open(argv[1], c->sink, &c->found));
    TRY(checkpoint_open(argv[2], c->sink, &c->expected));
    for (int i = 3; i < argc; i++) {
        if (strncmp(argv[i], "--tolerance=", 12) == 0) c->tolerance = strtod(argv[i] + 12, NULL);
        else if (strncmp(argv[i], "--relative=", 11) == 0) c->relative = strtod(argv[i] + 11, NULL);
        else if (strncmp(argv[i], "--ending=", 9) == 0) c->ending = argv[i] + 9;
        else if (strncmp(argv[i], "--mask=", 7) == 0) TRY(open_mask(c, argv[i] + 7));
        else pairs = true;
    }
    if (!pairs) return compare_all(c);
    for (int i = 3; i < argc; i++)
        if (argv[i][0] != '-') TRY(compare_pair(c, argv[i]));
    return POFAC_OK;
}

int main(int argc, char **argv) {
    const diag_sink sink = {print_diag, stderr};
    if (argc < 3) {
        fprintf(stderr, "usage: compare_tensors FOUND EXPECTED [--tolerance=X] [--relative=X] [--ending=TEXT] [--mask=FILE] "
                        "[NAME[ROW]=EXPECTED_NAME ...]\n");
        return POFAC_ERR_USAGE;
    }
    comparison c = {.sink = &sink, .ending = ""};
    pofac_status status = compare(&c, argc, argv);
    tensor_free(&c.mask);
    checkpoint_close(c.mask_file);
    checkpoint_close(c.expected);
    checkpoint_close(c.found);
    return status == POFAC_OK ? c.differs : (int)status;
}
