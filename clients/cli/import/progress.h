/* progress.h: the bar on a terminal. Layer: cli/import. Draws at most ten times a second; nothing when nobody looks. One thread. */
#ifndef TRUC_CLI_IMPORT_PROGRESS_H
#define TRUC_CLI_IMPORT_PROGRESS_H

#include "clients/cli/cli.h"

struct progress {
    struct cli_context *context;
    bool active, drawn;
    int64_t next_ns;  /* when to draw again, by the monotonic clock */
    unsigned skipped; /* calls since the clock was last asked */
};

void progress_init(struct progress *progress, struct cli_context *context);

/* Shows what is under way: 0 <= done <= 1, and how many rows. Cheap when it is not time yet. */
void progress_show(struct progress *progress, const char *what, double done, uint64_t rows);

/* Takes the bar away, before anything else is written and at the end. */
void progress_clear(struct progress *progress);

/* The monotonic clock. */
int64_t monotonic_ns(void);

#endif
