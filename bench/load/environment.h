/* environment.h: what a figure was measured on, and what its disk can do at that moment. Layer: bench. */
#ifndef TRUC_LOAD_ENVIRONMENT_H
#define TRUC_LOAD_ENVIRONMENT_H

#include <stddef.h>

#include "proto/status.h"

struct environment {
    char cpu[128], kernel[128];
    long cores;
    double flush_p50_us, flush_p99_us; /* pwrite of 4 KiB + fdatasync over allocated space */
    double device_mb_per_s;            /* pwrite of 1 MiB + fdatasync, growing file */
};

/* Measures in `directory` for about a second, in a file of its own that is removed. TRUC_IO with why. */
truc_status environment_measure(const char *directory, struct environment *ret_environment, char *why, size_t why_size);

#endif
