/* hash_pieces.h, compiled for processors with AVX2. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/support/hash_pieces.h"

uint64_t hash_avx2(const void *bytes, size_t n) { return hash_in_pieces(bytes, n); }
