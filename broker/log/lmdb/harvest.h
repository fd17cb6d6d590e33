/* harvest.h: what blocks bring to catalog and index, gathered block by block and written in one transaction. Layer: log, engine
 * lmdb. One thread. Payloads are not read: what is taken from an entry's header, leaf and batch header is checked against the
 * block's table, whose checksum holds. */
#ifndef TRUC_LOG_LMDB_HARVEST_H
#define TRUC_LOG_LMDB_HARVEST_H

#include "broker/log/lmdb/last_words.h"
#include "broker/log/lmdb/postings.h"

enum { HARVEST_ENTRIES_MAX = 16384, HARVEST_DELTAS_MAX = 262144 };

struct harvest_entry;
struct harvest_end;

struct harvest {
    struct derived *derived;
    MDB_txn *txn;
    struct digest_context *digests;
    struct harvest_entry *entries; /* capacity grows beyond HARVEST_ENTRIES_MAX only for a block that holds more */
    size_t count, capacity;
    struct harvest_end *ended; /* producers and subscriptions that end, after everything else of them */
    size_t ended_count, ended_capacity;
    struct last_words words;
    uint64_t delta_count;
    struct derived_mark mark;
};

void harvest_fini(struct harvest *harvest);

/* Begins to gather into a transaction, from a mark on. */
void harvest_begin(struct harvest *harvest, struct derived *derived, MDB_txn *txn, const struct derived_mark *mark);
/* Takes the block at mark.block. TRUC_DAMAGED (why names it), TRUC_NO_MEMORY, TRUC_DISK_FULL, TRUC_IO. */
truc_status harvest_block(struct harvest *harvest, const struct block_view *view, char *why);
/* Writes everything and the new mark, which is left in harvest->mark; the caller commits. */
truc_status harvest_write(struct harvest *harvest, char *why);

#endif
