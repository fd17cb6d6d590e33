/* summary.h: what an import says at its end, for people and with --json. Layer: cli/import. */
#ifndef TRUC_CLI_IMPORT_SUMMARY_H
#define TRUC_CLI_IMPORT_SUMMARY_H

#include "clients/cli/cli.h"
#include "clients/cli/import/built.h"

struct summary {
    const char *path, *producer;
    uint64_t rows, sent, skipped, rejected, topics, keys;
    bool keys_more; /* there are more than `keys` */
    bool dry_run;   /* set by summary_sample: `shown` records would be sent */
    uint64_t samples;
    bool placed; /* the positions are known */
    uint64_t first_position, last_position;
    double seconds, sending_seconds;
};

/* A record that a dry run would send: counted, and the first few shown. */
void summary_sample(struct summary *summary, struct cli_context *context, const struct built *built);

void summary_print(const struct summary *summary, struct cli_context *context);

#endif
