/* batch_recalls.h: which records a batch recalls. Layer: main; uses proto. Any thread.
 *
 * A recall is a record of type RECALL_TYPE; the directory's flags tell whether there is one, so that a batch without costs the look
 * at a column. What it names (docs/format.md "Recalls") must be a record of its own topic and log. */
#ifndef TRUC_MAIN_BATCH_RECALLS_H
#define TRUC_MAIN_BATCH_RECALLS_H

#include "broker/core/core.h"
#include "proto/directory.h"

/* Whether any record is a recall. */
bool batch_has_recalls(const struct directory_view *directory);

/* The offsets that the recalls of a checked payload name, in order. TRUC_BAD_RECORD with *ret_bad, the number of the record that is
 * wrong; TRUC_BAD_BATCH: there are more than RECALLS_PER_BATCH_MAX. Both with *ret_why. */
truc_status batch_recalls(struct bytes raw, const struct directory_view *directory, struct bytes topic,
                          const uint8_t log_id[LOG_ID_BYTES], uint64_t offsets[RECALLS_PER_BATCH_MAX], uint32_t *ret_count,
                          uint32_t *ret_bad, const char **ret_why);

#endif
