/*
 * oneDNN (its interface of version 2) as a peer of linear layers in 8 bits: dense, u8 by s8 to sums in 32 bits, with weights and activations in the layouts
 * that it chooses. One thread.
 */
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/int8_peer.h"

struct int8_product {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, w, y;
};

/* *out: memory of the primitive for `what`, filled from `rows` where given. */
static dnnl_status_t take(const int8_product *p, dnnl_query_t what, const dnnl_memory_desc_t *layout, const void *rows,
                          dnnl_memory_t *out) {
    const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(p->description, what, 0);
    dnnl_memory_t given = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_status_t status = dnnl_memory_create(out, wanted, p->engine, DNNL_MEMORY_ALLOCATE);
    if (status != dnnl_success || !rows) return status;
    status = dnnl_memory_create(&given, layout, p->engine, (void *)(uintptr_t)rows);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&description, layout, p->engine, wanted, p->engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&primitive, description);
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, given}, {DNNL_ARG_TO, *out}};
    if (status == dnnl_success) status = dnnl_primitive_execute(primitive, p->stream, 2, arguments);
    if (status == dnnl_success) status = dnnl_stream_wait(p->stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(given);
    return status;
}

static dnnl_status_t make(int8_product *p, int64_t N, int64_t K, int64_t tokens, const uint8_t *x, const int8_t *w) {
    const dnnl_dims_t x_dims = {tokens, K}, w_dims = {N, K}, y_dims = {tokens, N};
    dnnl_memory_desc_t x_any, w_any, y_any, x_rows, w_rows;
    dnnl_inner_product_desc_t operation;
    dnnl_memory_desc_init_by_tag(&x_any, 2, x_dims, dnnl_u8, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&w_any, 2, w_dims, dnnl_s8, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&y_any, 2, y_dims, dnnl_s32, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&x_rows, 2, x_dims, dnnl_u8, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&w_rows, 2, w_dims, dnnl_s8, dnnl_ab);
    dnnl_status_t status = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_inner_product_forward_desc_init(&operation, dnnl_forward_inference, &x_any, &w_any, NULL, &y_any);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&p->description, &operation, NULL, p->engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&p->primitive, p->description);
    if (status == dnnl_success) status = take(p, dnnl_query_src_md, &x_rows, x, &p->x);
    if (status == dnnl_success) status = take(p, dnnl_query_weights_md, &w_rows, w, &p->w);
    return status == dnnl_success ? take(p, dnnl_query_dst_md, NULL, NULL, &p->y) : status;
}

int8_product *int8_peer_create(int64_t N, int64_t K, int64_t tokens, const uint8_t *x, const int8_t *w) {
    int8_product *p = calloc(1, sizeof *p);
    void (*set_threads)(int);
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&set_threads, &symbol, sizeof symbol); /* ISO C has no conversion of a pointer to a pointer to a function */
    if (set_threads) set_threads(1);
    if (p && set_threads && make(p, N, K, tokens, x, w) == dnnl_success) return p;
    int8_peer_destroy(p);
    return NULL;
}

void int8_peer_run(int8_product *p) {
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, p->x}, {DNNL_ARG_WEIGHTS, p->w}, {DNNL_ARG_DST, p->y}};
    dnnl_primitive_execute(p->primitive, p->stream, 3, arguments);
    dnnl_stream_wait(p->stream);
}

const int32_t *int8_peer_sums(const int8_product *p) {
    void *sums = NULL;
    dnnl_memory_get_data_handle(p->y, &sums);
    return sums;
}

void int8_peer_destroy(int8_product *p) {
    if (!p) return;
    dnnl_memory_destroy(p->x);
    dnnl_memory_destroy(p->w);
    dnnl_memory_destroy(p->y);
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->description);
    dnnl_stream_destroy(p->stream);
    dnnl_engine_destroy(p->engine);
    free(p);
}
