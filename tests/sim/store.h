/* store.h: the log: what the core gave to it, what of that is on disk, and reading what is. Layer: test of core.
 *
 * Appends and deltas wait in the order of their tickets. A block takes the first of them, but never parts what is joined; while it
 * is under way the rest waits. What is durable survives a crash; of a block under way all or nothing. */
#ifndef TRUC_TESTS_SIM_STORE_H
#define TRUC_TESTS_SIM_STORE_H

#include "batches.h"
#include "broker/core/core.h"
#include "broker/core/share.h"
#include "sim.h"

struct stored_record {
    uint64_t position;
    uint32_t index, topic_id;
    struct batch_record what;
};

struct stored_entry { /* its position is its number */
    struct core_append append;
    struct batch *batch; /* a reference; NULL: the core's own */
    uint32_t first_record;
    uint8_t *bytes;                   /* owned; the entry as stored */
    size_t size, served, batch_bytes; /* served: without directory */
};

struct store {
    struct stored_entry *entries; /* accepted; owned */
    size_t entry_count, entry_capacity;
    struct stored_record *records; /* of all entries, one after the other */
    size_t record_count, record_capacity;
    struct core_head head; /* durable */
    uint64_t last_ticket, durable_ticket;
    bool failed; /* a flush has failed */
};
extern struct store store;

void store_begin(void);
void store_end(void);

void store_append(const struct core_effect *effect);
void store_deltas(const struct core_effect *effect);

/* Whether something waits and no block is under way; then begins one. */
bool store_can_commit(void);
void store_commit_begin(void);
/* The block is on disk. */
void store_commit_end(void);
/* The process is gone: what was not durable is lost, of a block under way perhaps (kept) not. */
void store_crash(bool kept);
/* Nothing waits. */
bool store_is_idle(void);

/* --- reading what is durable ---------------------------------------------------------------------------------------------------
 */

/* A reading's filter, copied from a core_read_spec. */
struct store_filter {
    char pattern[TOPIC_BYTES_MAX + 1];
    uint16_t key; /* 0: any */
    uint8_t type; /* TYPES: any */
    char agency[AGENCY_BYTES_MAX + 1], system[SYSTEM_BYTES_MAX + 1];
    uint32_t known;     /* topics asked for so far, and whether they match: */
    uint64_t topics[1]; /* a bit each */
};
void filter_make(struct store_filter *ret_filter, struct bytes pattern, struct bytes key, struct bytes type, struct bytes agency,
                 struct bytes system);
bool filter_wants_entry(struct store_filter *filter, uint64_t position);
bool filter_wants_record(struct store_filter *filter, uint32_t record);

uint32_t store_record_at(struct place place); /* number of the record at a place; fails when there is none */

struct store_read {
    uint64_t from, until;
    uint32_t bytes_max, entries_max;
    bool reverse, references;
};
/* As log_reader_read does; ret_done->data is allocated, the references are borrowed until the next answer. */
void store_read(struct store_filter *filter, const struct store_read *read, struct core_read_done *ret_done);
/* As log_scan does, at most `room` records. */
void store_scan(struct store_filter *filter, const struct core_scan *scan, struct share_record *records, size_t room,
                struct core_scanned *ret_scanned);
/* As log_fetch does, so many of the places. */
void store_fetch(const struct place *places, size_t count, struct core_read_done *ret_done);
/* What look_answer of the broker finds; histories are not looked for, which a broker may answer. Borrowed until the next one. */
void store_look(const struct core_look *look, struct core_looked *ret_looked);
/* First durable position at or after a time. */
uint64_t store_find_time(int64_t at_ns);
/* Position of the entry that holds an offset of a topic (durable). */
uint64_t store_find_offset(struct bytes topic, uint64_t offset);

#endif
