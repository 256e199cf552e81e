/* The table of sparse layouts; see sparse_layout.h. */
#include "ir/sparse_layout.h"

#include <string.h>

static const char *const names[][2] = {
    {"none", "dense"},
#define SPARSE_LAYOUT(id, name, meaning) {name, meaning},
#include "ir/sparse_layouts.def"
#undef SPARSE_LAYOUT
};

const char *sparse_layout_name(sparse_layout_kind kind) { return names[kind][0]; }

const char *sparse_layout_meaning(sparse_layout_kind kind) { return names[kind][1]; }

bool sparse_layout_equal(const sparse_layout *a, const sparse_layout *b) { return memcmp(a, b, sizeof *a) == 0; }
