/* failure.h: why something failed: a status and a sentence. Layer: cli/import. No allocation, any thread. */
#ifndef TRUC_CLI_IMPORT_FAILURE_H
#define TRUC_CLI_IMPORT_FAILURE_H

#include "proto/bytes.h"
#include "proto/status.h"

enum { FAILURE_BYTES = 768, QUOTED_BYTES = 96 };

struct failure {
    truc_status status;
    char why[FAILURE_BYTES];
};

/* Sets both and returns the status, so that callers can `return failure_set(...)`. */
truc_status failure_set(struct failure *failure, truc_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A value as a message may show it: in quotes, control characters and broken UTF-8 as `?`, cut when long. */
struct quoted {
    char text[QUOTED_BYTES];
};
struct quoted quote(struct bytes value);

#endif
