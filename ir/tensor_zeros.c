/*
 * Counting zeros of either sign. The formats that weights are stored in are read as integers, in blocks whose length the compiler
 * knows, which it turns into vector code: as fast as memory. See tensor.h.
 */
#include <string.h>

#include "ir/tensor.h"

enum { BLOCK = 1024 };

/* Zeros among `n` numbers of 4 bytes (2): those of which nothing but the sign is set. */
static int64_t zeros_of_4(const char *data, int64_t n) {
    int64_t zeros = 0;
    for (; n >= BLOCK; n -= BLOCK, data += 4 * BLOCK) {
        uint32_t found = 0;
        for (int i = 0; i < BLOCK; i++) {
            uint32_t bits;
            memcpy(&bits, data + 4 * i, sizeof bits);
            found += (bits << 1) == 0;
        }
        zeros += found;
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, data + 4 * i, sizeof bits);
        zeros += (bits << 1) == 0;
    }
    return zeros;
}

static int64_t zeros_of_2(const char *data, int64_t n) {
    int64_t zeros = 0;
    for (; n >= BLOCK; n -= BLOCK, data += 2 * BLOCK) {
        uint16_t found = 0;
        for (int i = 0; i < BLOCK; i++) {
            uint16_t bits;
            memcpy(&bits, data + 2 * i, sizeof bits);
            found = (uint16_t)(found + ((uint16_t)(bits << 1) == 0));
        }
        zeros += found;
    }
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, data + 2 * i, sizeof bits);
        zeros += (uint16_t)(bits << 1) == 0;
    }
    return zeros;
}

int64_t tensor_count_zeros(const ir_tensor *t) {
    int64_t n = tensor_elements(t), zeros = 0;
    if (t->dtype == IR_F32) return zeros_of_4(t->data, n);
    if (t->dtype == IR_F16 || t->dtype == IR_BF16) return zeros_of_2(t->data, n);
    unsigned bits = dtype_bits(t->dtype);
    double run[BLOCK], aligned[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t count = n - i < BLOCK ? n - i : BLOCK;
        memcpy(aligned, (const char *)t->data + (size_t)i * bits / 8, ((size_t)count * bits + 7) / 8);
        const ir_tensor view = tensor_view(t->dtype, 1, &count, aligned);
        tensor_get_run(&view, 0, count, run);
        for (int64_t k = 0; k < count; k++) zeros += run[k] == 0.0;
    }
    return zeros;
}
