/* message.h: records of a proven entry become messages, cut and filtered exactly. Layer: libtruc. Pure but for its own memory; one
 * thread at a time (the consumer of a reader or worker). */
#ifndef TRUC_CLIENT_MESSAGE_H
#define TRUC_CLIENT_MESSAGE_H

#include "clients/c/parcel.h"
#include "proto/record.h"

/* How many messages a callback gets at most at once: they stay in the processor's cache. */
enum { MESSAGES_AT_ONCE = 128 };

/* What a record must be to be delivered. Texts are owned by the reader or worker. */
struct message_filter {
    struct bytes pattern, key, type, agency, system; /* empty: any */
    struct bytes headers;                   /* name, zero byte, value, zero byte, repeated: all must be equal; empty: any */
    int64_t event_since_ns, event_until_ns; /* 0: any */
    bool cut_by_offset;
    uint64_t offset_low, offset_high; /* [low, high) */
    bool reverse;
};

/* Messages of the entry being consumed. */
struct message_maker {
    truc_message messages[MESSAGES_AT_ONCE];
    truc_header *headers; /* of those messages */
    size_t header_count, header_capacity;
    struct bytes *records; /* reverse: the entry's records, to be walked backwards */
    size_t record_capacity;
    struct prove_scratch scratch; /* an entry that had to be proven again */
    char topic[TOPIC_BYTES_MAX + 1], agency[AGENCY_BYTES_MAX + 1], system[SYSTEM_BYTES_MAX + 1];
    const struct proven_entry *entry; /* NULL: none begun */
    struct reader walk;               /* over its raw payload */
    uint32_t index;                   /* of the next record; reverse: how many are left; of a part: in entry->cut */
    uint32_t end;                     /* of a whole entry only records below this are looked at, */
    const uint32_t *chosen;           /* and of those only these, ascending; NULL: all */
    size_t chosen_count, chosen_index;
    uint64_t generation;
};

void message_maker_fini(struct message_maker *maker);

/* Begins an entry, or a part of one (reverse: a whole one); one whose payload was not kept must have been proven again into the
 * maker's scratch. TRUC_NO_MEMORY, TRUC_DAMAGED. */
truc_status message_maker_begin(struct message_maker *maker, const struct message_filter *filter, const struct proven_entry *entry);

/* Behind message_maker_begin, of a whole entry: only records of these indexes (ascending, below the record count; borrowed); NULL:
 * only the first `count`. */
void message_maker_choose(struct message_maker *maker, const uint32_t *indexes, size_t count);

/* Whether no record of the entry is left to look at. */
bool message_maker_done(const struct message_maker *maker);

/* The next messages of the entry, at most `most` of them; 0 with TRUC_OK: the entry is done. TRUC_DAMAGED (a record that no record
 * may be), TRUC_NO_MEMORY. */
truc_status message_maker_next(struct message_maker *maker, const struct message_filter *filter, size_t most, size_t *ret_count);

#endif
