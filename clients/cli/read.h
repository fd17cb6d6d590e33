/* read.h: what `truc tail` and `truc replay` share: a reader run to its end into standard output. Layer: cli. */
#ifndef TRUC_CLI_READ_H
#define TRUC_CLI_READ_H

#include "clients/cli/cli.h"
#include "clients/cli/message_print.h"

/* What both take. */
struct read_filter {
    const char *key, *type, *source;
    struct cli_uint limit;
    struct cli_time event_since, event_until;
};

struct read_request {
    const char *pattern;
    const char *from, *until; /* as libtruc's bounds ("offset=12"); NULL: its defaults */
    const struct read_filter *filter;
    bool follow, reverse, digest;
    enum message_shape shape;
};

/* Checks the pattern; TRUC_BAD_PATTERN, printed. */
truc_status read_check_pattern(struct cli_context *context, const char *pattern);

/* Runs it. Interrupted by SIGINT or SIGTERM, or by a closed pipe: TRUC_CANCELLED. Errors are printed. */
truc_status read_run(struct cli_context *context, const struct read_request *request);

#endif
