/*
 * A JSON object with one large array in it -> the array's elements, one tree after the other, so that memory is bounded by the largest
 * element. Where an element begins and ends is found by counting brackets outside of strings; what stands between is jansson's to judge.
 * The object's other values are read as JSON and dropped.
 */
#ifndef POFAC_FRONTEND_JSON_ELEMENTS_H
#define POFAC_FRONTEND_JSON_ELEMENTS_H

#include "frontend/data/inflated_file.h"

struct json_t;

typedef struct json_elements json_elements;

/* The array is the value of `key`; both texts outlive the reader. Values of more than max_bytes are refused. */
POFAC_MUST_USE pofac_status json_elements_open(const char *path, const char *key, size_t max_bytes, const diag_sink *sink,
                                               json_elements **out);
void json_elements_close(json_elements *e); /* NULL is fine */

/* The next element, which the caller ends with json_decref; *out is NULL at the end, when all of the file has been read. POFAC_ERR_INPUT:
 * `FILE:LINE:COL: error: found 'x', wanted ...` outside of values, `FILE: error: data[3]: invalid JSON at byte 13: ...` within; the key
 * is missing or stands twice. After an error the reader can only be closed. */
POFAC_MUST_USE pofac_status json_elements_next(json_elements *e, const diag_sink *sink, struct json_t **out);

size_t json_elements_index(const json_elements *e); /* of the last element, from 0 */
const inflated_file *json_elements_file(const json_elements *e);

#endif
