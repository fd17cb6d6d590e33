/* outbox.h: what a named producer has taken over and the broker has not acknowledged, in files that survive the process.
 *
 * Layer: libtruc. Under the client's lock but for outbox_open, outbox_close and the I/O inside outbox_work. A directory of its own:
 * `lock` (flock) and segments (outbox_segment.h), which together are one log of items. A place in it is segment number times
 * segment size plus offset.
 *
 *   publish   the record is stored into the mapped segment before truc_publish returns: a killed process loses nothing
 *   send      a batch is sent only when the disk has its records (one flush for all batches that wait)
 *   answer    ACKED and REFUSED items follow, lazily: a REFUSED one is on disk before anything renumbered is sent
 *   delete    a segment goes when no record in it or before it is open
 *
 * After a crash the items are replayed into a list of open records per topic. Their sequences follow from their order, so what
 * the broker has (PRODUCER_OK's last sequences) is dropped and the rest sent again under the same numbers. */
#ifndef TRUC_CLIENT_OUTBOX_H
#define TRUC_CLIENT_OUTBOX_H

#include <pthread.h>

#include "clients/c/outbox_segment.h"

struct outbox;
struct truc_producer;

/* Unlocked. Opens or creates, takes the lock, replays. limit_bytes bounds the files. TRUC_LOCKED, TRUC_IO, TRUC_DISK_FULL,
 * TRUC_DAMAGED, TRUC_LOG_MISMATCH (its records belong to another log), TRUC_INVALID_ARGUMENT (to another producer), TRUC_NO_MEMORY.
 */
truc_status outbox_open(const char *directory, const struct outbox_identity *identity, uint64_t limit_bytes,
                        struct outbox **ret_outbox, char *why, size_t why_size);
void outbox_close(struct outbox *outbox); /* NULL is allowed */
const char *outbox_why(const struct outbox *outbox);

/* The producer knows its sequences: what the broker has is dropped, the rest put into the lanes. Once. TRUC_LOG_WENT_BACK,
 * TRUC_CONFLICT, TRUC_NO_MEMORY. */
truc_status outbox_resume(struct outbox *outbox, struct truc_producer *producer);

bool outbox_has_room(const struct outbox *outbox, size_t topic_size, const struct batch_how *how, size_t record_size);
/* Returns the record's place. There must be room. */
uint64_t outbox_append(struct outbox *outbox, const char *topic, size_t topic_size, uint64_t sequence, const struct batch_how *how,
                       struct bytes record);
uint64_t outbox_end(const struct outbox *outbox);
uint64_t outbox_synced(const struct outbox *outbox); /* the disk has everything below */
void outbox_want_sync(struct outbox *outbox);

void outbox_acked(struct outbox *outbox, const char *topic, size_t topic_size, uint64_t next_sequence);
void outbox_refused(struct outbox *outbox, const char *topic, size_t topic_size, uint64_t sequence, uint32_t count);

/* Client thread: syncs, makes the next segment, deletes those in which no record of the producer's is open.
 * Unlocks meanwhile. Any failure is for good. */
bool outbox_has_work(const struct outbox *outbox);
truc_status outbox_work(struct outbox *outbox, struct truc_producer *producer, pthread_mutex_t *lock);

#endif
