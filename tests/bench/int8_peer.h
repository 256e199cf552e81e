/*
 * A library's product of bytes, dense, as a peer of integer linears: sums i32 [tokens,N] of x u8 [tokens,K] by w s8 [N,K], both in rows. oneDNN is optional:
 * CMake sets HAVE_ONEDNN where it finds it.
 */
#ifndef POFAC_TESTS_BENCH_INT8_PEER_H
#define POFAC_TESTS_BENCH_INT8_PEER_H

#include <stdint.h>

typedef struct int8_product int8_product;

/* NULL: the library cannot. Packs the weight, and brings x into the layout that the library likes. */
int8_product *int8_peer_create(int64_t N, int64_t K, int64_t tokens, const uint8_t *x, const int8_t *w);
void int8_peer_run(int8_product *p);
const int32_t *int8_peer_sums(const int8_product *p); /* of the last run */
void int8_peer_destroy(int8_product *p);

#endif
