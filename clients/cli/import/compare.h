/* compare.h: whether rows that the broker should have are what it has.
 *
 * Rows are gathered as digests, IMPORT_COMPARE_ROWS at a time, and then looked up topic by topic with a reader that goes on where
 * the last gathering stopped: memory is bounded, and each topic is read once. A stored record is a row's when it has the row's id;
 * once one is found the producer's number is known, and later ones are told by producer and sequence.
 *
 * Layer: cli/import. Borrows everything given. One thread; blocks while it reads. */
#ifndef TRUC_CLI_IMPORT_COMPARE_H
#define TRUC_CLI_IMPORT_COMPARE_H

#include "clients/cli/cli.h"
#include "clients/cli/import/built.h"
#include "clients/cli/import/topics.h"

struct compare;

truc_status compare_create(struct cli_context *context, truc_client *client, struct topics *topics, const char *path,
                           struct compare **ret_compare, struct failure *failure);
void compare_destroy(struct compare *compare); /* NULL is allowed */

/* The row that should be the record with this sequence in its topic; sequences of a topic come in order from 0. TRUC_ROW_CHANGED
 * naming the line, TRUC_CANCELLED when stopped, the reader's statuses, TRUC_NO_MEMORY. */
truc_status compare_add(struct compare *compare, uint32_t topic, uint64_t sequence, const struct built *built,
                        struct failure *failure);

/* Looks up what is gathered. Same statuses. */
truc_status compare_finish(struct compare *compare, struct failure *failure);

#endif
