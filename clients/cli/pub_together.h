/* pub_together.h: the records of one `truc pub --together`: gathered first, then published all or none. Layer: cli. */
#ifndef TRUC_CLI_PUB_TOGETHER_H
#define TRUC_CLI_PUB_TOGETHER_H

#include "clients/cli/cli.h"

struct pub_together {
    struct cli_context *context;
    struct gathered *records;
    size_t count, capacity;
    struct out data; /* their payloads, one after the other */
};

void pub_together_init(struct pub_together *together, struct cli_context *context);
void pub_together_fini(struct pub_together *together);

/* Takes a record: its topic and texts are borrowed until the end, its payload is copied. TRUC_NO_MEMORY; TRUC_BATCH_TOO_LARGE,
 * printed. */
truc_status pub_together_add(struct pub_together *together, const char *topic, const truc_record *record);

/* Publishes them and says where they are, or why none is; printed. */
truc_status pub_together_send(struct pub_together *together, truc_producer *producer);

#endif
