/* pub_wait.h: truc pub --wait-for: which offsets were published, and waiting until subscriptions have acknowledged them. Layer:
 * cli. */
#ifndef TRUC_CLI_PUB_WAIT_H
#define TRUC_CLI_PUB_WAIT_H

#include "clients/cli/cli.h"

struct pub_range {
    uint64_t first, last;
};

/* The offsets of the records stored, in one topic; mostly few ranges, as deliveries come in order. */
struct pub_wait {
    struct pub_range *ranges;
    size_t count, capacity;
    bool incomplete; /* out of memory */
};

void pub_wait_fini(struct pub_wait *wait);
void pub_wait_note(struct pub_wait *wait, uint64_t offset);

/* Waits for each record, for at most so long in all. TRUC_NOT_ACKNOWLEDGED, printed with the first record that is not. */
truc_status pub_wait_run(struct cli_context *context, const struct pub_wait *wait, const char *topic,
                         const struct cli_list *subscriptions, int64_t timeout_ns);

#endif
