/* reader.h: readers, from READ to READ_END. Layer: core. One thread.
 *
 *     RESOLVING -bounds known-> READING <-> STARVED (no credit) ; READING -> PARKED (follows, at the head) -> READING ; -> gone
 *
 * One read is under way per reader; the next is asked for as soon as the previous one was sent. Credit counts payload bytes. An
 * entry larger than the credit left is sent once half of the window is free: a client that gives credit back at the latest when
 * it has used half of its window therefore never stalls. */
#ifndef TRUC_CORE_READER_H
#define TRUC_CORE_READER_H

#include "broker/core/core_internal.h"

/* Adds a reader to a connection; its spec and limits are filled in by the caller. NULL when out of memory. */
struct core_reader *reader_create(struct core *core, struct connection *connection, uint64_t request_id);

/* A reading of a subscription's own, for itself or for an attachment: it has no connection and is answered to nobody. */
struct core_reader *reader_create_own(struct core *core, struct subscription *subscription, struct attachment *attachment);
/* Copies what is to be read, with its texts. False when out of memory. */
bool reader_keep_spec(struct core_reader *reader, const struct core_read_spec *spec);
/* NULL when it is gone. */
struct core_reader *reader_find_number(const struct core *core, uint64_t number);

/* The reader that a request of the connection opened; NULL when there is none (any more). */
struct core_reader *reader_find(struct connection *connection, uint64_t request_id);

/* Goes on as far as bounds, credit and the durable head allow. The reader may be gone afterwards. */
void reader_advance(struct core *core, struct core_reader *reader);

/* READ_OK: the bounds are known. */
void reader_answer_ok(struct core *core, struct core_reader *reader);

/* READ_END, then the reader is gone. */
void reader_end(struct core *core, struct core_reader *reader, truc_status status, const char *why);

/* The reader is gone without a word. */
void reader_drop(struct core *core, struct core_reader *reader);
/* At the beginning of a step: the memory of those that went in the last one. */
void reader_bury(struct core *core);
void reader_drop_all(struct core *core, struct connection *connection);

#endif
