/* outbox_replay.h: the items of an outbox add up to the records of each topic that are still open. Layer: libtruc. Pure.
 *
 * A topic's open records are dense: their sequences are first_sequence, first_sequence + 1, ... in the order in which they came.
 * Until the first of them, first_sequence is only the least it can have: what ACKED and REFUSED items speak of before it stood in
 * segments that are deleted. */
#ifndef TRUC_CLIENT_OUTBOX_REPLAY_H
#define TRUC_CLIENT_OUTBOX_REPLAY_H

#include "clients/c/outbox_segment.h"

struct open_record {
    struct bytes record; /* borrowed from its segment */
    struct batch_how how;
};

struct open_topic {
    struct open_topic *next; /* of the list */
    struct open_topic *hash_next;
    uint64_t first_sequence;
    struct open_record *records;
    size_t begin, count, capacity; /* records[begin .. begin + count) are open */
    bool begun;                    /* a record has come */
    uint8_t name_size;
    char name[TOPIC_BYTES_MAX + 1];
};

struct outbox_replay {
    struct open_topic *topics; /* in order of appearance */
    struct open_topic **last;
    struct open_topic **table;
    size_t capacity, count;
};

void outbox_replay_init(struct outbox_replay *replay);
void outbox_replay_fini(struct outbox_replay *replay);

/* Takes the next item in. TRUC_DAMAGED when it cannot follow what came before. TRUC_NO_MEMORY. */
truc_status outbox_replay_add(struct outbox_replay *replay, const struct outbox_item *item);

/* Everything below a sequence is stored. */
void open_topic_drop(struct open_topic *topic, uint64_t next_sequence);

#endif
