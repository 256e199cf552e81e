/* Building a doctor's report row by row; between doctor.c and doctor_machine.c. */
#ifndef POFAC_FRONTEND_DOCTOR_ROWS_H
#define POFAC_FRONTEND_DOCTOR_ROWS_H

#include "frontend/driver/doctor.h"

typedef struct doctor {
    const char *root;
    arena *a;
    doctor_report *report;
    bool failed; /* memory is short */
} doctor;

#define DOCTOR_MAX_ROWS 64

/* Adds a row; found and meaning come from doctor_text. */
void doctor_add(doctor *d, const char *topic, const char *name, doctor_level level, int64_t number, const char *found,
                const char *meaning);
/* A text in the report's memory; never NULL. */
POFAC_PRINTF(2, 3) const char *doctor_text(doctor *d, const char *format, ...);
/* "3.2 GB" */
const char *doctor_bytes(doctor *d, int64_t bytes);

/* The rows about the machine: cpu model, processors and threads, caches, memory, huge pages. */
void doctor_add_cpu(doctor *d);
void doctor_add_threads(doctor *d, size_t wanted);
void doctor_add_caches(doctor *d);
void doctor_add_memory(doctor *d);

#endif
