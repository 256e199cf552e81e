/*
 * What a checkpoint's pickle may name and call: the allow-list, and what each call gives. Only the unpickler uses this.
 */
#ifndef POFAC_FRONTEND_TORCH_OBJECTS_H
#define POFAC_FRONTEND_TORCH_OBJECTS_H

#include "frontend/checkpoint/torch_pickle.h"

/* The global of that name, or an error with its name: it is not on the allow-list. */
POFAC_MUST_USE pofac_status torch_find_global(const pickle_place *place, const char *module, size_t module_bytes, const char *name,
                                              size_t name_bytes, const torch_global **out);

/* function(*arguments), as data. */
POFAC_MUST_USE pofac_status torch_call(const pickle_place *place, arena *a, const pickle_value *function,
                                       const pickle_value *arguments, pickle_value **out);

/* The storage that a persistent id stands for: ('storage', class, key, location, number of elements[, view]). It becomes the first
 * of *list. */
POFAC_MUST_USE pofac_status torch_find_storage(const pickle_place *place, arena *a, const pickle_value *id,
                                               const pickle_storage **list, pickle_value **out);

/* What BUILD does: the attributes `state` for `object`. State dictionaries carry versions of modules so, which are not needed. */
POFAC_MUST_USE pofac_status torch_set_state(const pickle_place *place, const pickle_value *object, const pickle_value *state);

#endif
