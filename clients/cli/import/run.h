/* run.h: an import from its options to its summary. Layer: cli/import. */
#ifndef TRUC_CLI_IMPORT_RUN_H
#define TRUC_CLI_IMPORT_RUN_H

#include "clients/cli/cli.h"

struct import_options {
    const char *format, *delimiter;
    const char *topic, *key, *type, *time, *as;
    struct cli_list sets, maps, headers;
    const char *producer, *outbox, *rejects;
    struct cli_number rate, speed;
    bool dry_run;
};

/* Returns the exit status; it has been told. */
truc_status import_run(struct cli_context *context, const struct import_options *options, const char *path);

#endif
