/*
 * oneDNN (its interface of version 2) as a peer of linear layers: dense, in f32, with weights in the layout that it chooses. Inner
 * product or matrix product, activations in rows or in a layout of its choice as well. Debian's has threads of OpenMP; they wait
 * passively when OMP_WAIT_POLICY and GOMP_SPINCOUNT say so before the program starts.
 */
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/linear_peers.h"

enum { INNER_PRODUCT, INNER_PRODUCT_ANY, MATMUL };
static const char *const ways[] = {"inner product", "inner product, own activations", "matmul", NULL};

typedef struct product {
    linear_task task;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, w, y; /* in the primitive's layouts */
    dnnl_memory_desc_t y_rows;
    void (*set_threads)(int); /* of the OpenMP library that oneDNN has brought */
} product;

/* `from` in the layout that `to` has. */
static dnnl_status_t reorder(const product *p, dnnl_memory_t from, dnnl_memory_t to) {
    const dnnl_memory_desc_t *from_layout, *to_layout;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_memory_get_memory_desc(from, &from_layout);
    dnnl_memory_get_memory_desc(to, &to_layout);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&description, from_layout, p->engine, to_layout, p->engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&primitive, description);
    if (status == dnnl_success) status = dnnl_primitive_execute(primitive, p->stream, 2, arguments);
    if (status == dnnl_success) status = dnnl_stream_wait(p->stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    return status;
}

/* *out: memory of the primitive for `what`, filled from `rows` where given. */
static dnnl_status_t take(const product *p, dnnl_query_t what, const dnnl_memory_desc_t *layout, const float *rows,
                          dnnl_memory_t *out) {
    dnnl_memory_t given = NULL;
    dnnl_status_t status =
        dnnl_memory_create(out, dnnl_primitive_desc_query_md(p->description, what, 0), p->engine, DNNL_MEMORY_ALLOCATE);
    if (status != dnnl_success || !rows) return status;
    status = dnnl_memory_create(&given, layout, p->engine, (void *)(uintptr_t)rows);
    if (status == dnnl_success) status = reorder(p, given, *out);
    dnnl_memory_destroy(given);
    return status;
}

static dnnl_status_t describe(product *p, size_t way) {
    const linear_task *t = &p->task;
    const dnnl_format_tag_t free_or_rows = way == INNER_PRODUCT_ANY ? dnnl_format_tag_any : dnnl_ab;
    const dnnl_dims_t x_dims = {t->tokens, t->K}, w_dims = {t->N, t->K}, y_dims = {t->tokens, t->N}, turned_dims = {t->K, t->N};
    dnnl_memory_desc_t x, w, y;
    union {
        dnnl_inner_product_desc_t inner_product;
        dnnl_matmul_desc_t matmul;
    } operation;
    dnnl_memory_desc_init_by_tag(&x, 2, x_dims, dnnl_f32, free_or_rows);
    dnnl_memory_desc_init_by_tag(&w, 2, way == MATMUL ? turned_dims : w_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&y, 2, y_dims, dnnl_f32, free_or_rows);
    dnnl_status_t status =
        way == MATMUL ? dnnl_matmul_desc_init(&operation.matmul, &x, &w, NULL, &y)
                      : dnnl_inner_product_forward_desc_init(&operation.inner_product, dnnl_forward_inference, &x, &w, NULL, &y);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&p->description, &operation, NULL, p->engine, NULL);
    return status == dnnl_success ? dnnl_primitive_create(&p->primitive, p->description) : status;
}

static dnnl_status_t fill(product *p, size_t way) {
    const linear_task *t = &p->task;
    const dnnl_dims_t x_dims = {t->tokens, t->K}, w_dims = {t->N, t->K}, y_dims = {t->tokens, t->N}, turned_dims = {t->K, t->N};
    dnnl_memory_desc_t x, w;
    dnnl_memory_desc_init_by_tag(&x, 2, x_dims, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&w, 2, way == MATMUL ? turned_dims : w_dims, dnnl_f32, way == MATMUL ? dnnl_ba : dnnl_ab);
    dnnl_memory_desc_init_by_tag(&p->y_rows, 2, y_dims, dnnl_f32, dnnl_ab);
    dnnl_status_t status = take(p, dnnl_query_src_md, &x, t->x, &p->x);
    if (status == dnnl_success) status = take(p, dnnl_query_weights_md, &w, t->w, &p->w);
    return status == dnnl_success ? take(p, dnnl_query_dst_md, NULL, NULL, &p->y) : status;
}

static void destroy(void *user) {
    product *p = user;
    dnnl_memory_destroy(p->x);
    dnnl_memory_destroy(p->w);
    dnnl_memory_destroy(p->y);
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->description);
    dnnl_stream_destroy(p->stream);
    dnnl_engine_destroy(p->engine);
    free(p);
}

static void *create(const linear_task *task, size_t way) {
    product *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->task = *task;
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&p->set_threads, &symbol, sizeof symbol); /* ISO C has no conversion of a pointer to a pointer to a function */
    if (p->set_threads) p->set_threads((int)thread_pool_threads(task->pool));
    if (p->set_threads && dnnl_engine_create(&p->engine, dnnl_cpu, 0) == dnnl_success &&
        dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) == dnnl_success && describe(p, way) == dnnl_success &&
        fill(p, way) == dnnl_success)
        return p;
    destroy(p);
    return NULL;
}

static void run(void *user) {
    const product *p = user;
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, p->x}, {DNNL_ARG_WEIGHTS, p->w}, {DNNL_ARG_DST, p->y}};
    p->set_threads((int)thread_pool_threads(p->task.pool));
    dnnl_primitive_execute(p->primitive, p->stream, 3, arguments);
    dnnl_stream_wait(p->stream);
}

static void result(void *user, float *y) {
    const product *p = user;
    dnnl_memory_t rows = NULL;
    if (dnnl_memory_create(&rows, &p->y_rows, p->engine, y) == dnnl_success) reorder(p, p->y, rows);
    dnnl_memory_destroy(rows);
}

const linear_peer linear_peer_onednn = {"oneDNN", ways, create, run, result, destroy};
