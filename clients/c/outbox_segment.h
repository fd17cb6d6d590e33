/* outbox_segment.h: one file of an outbox: fixed size, filled from the front, mapped into memory.
 *
 * Layer: libtruc. What is stored into the mapping is in the page cache at once, so it survives the process; outbox_segment_sync
 * puts it on the disk. The file is allocated in full when it is made, so that a full disk shows then and never as SIGBUS.
 *
 * Header, 512 bytes:                               Item, 8-aligned:
 *    0 u64 magic "TRUCOUT1"                          0 u32 size: all of it, a multiple of 8; 0: nothing more
 *    8 u32 version = 1   12 u32 file size            4 u8 kind   5 u8 topic size   6 u16 padding bytes at the end
 *   16 u64 segment number                            8 u64 sequence
 *   24 u8[16] log id   40 u64 generation            16 u64 checksum, XXH3-64 of bytes 0..15 and 24..size
 *   48 u16 owner size  50 owner: AGENCY/SYSTEM/NAME 24 topic, how (kind 4 only), body, zeros
 *  504 u64 checksum, XXH3-64 of bytes 0..503
 *
 * How: i64 deliver_at_ns, u64 expected offset, u64 whether there is one (0, 1). */
#ifndef TRUC_CLIENT_OUTBOX_SEGMENT_H
#define TRUC_CLIENT_OUTBOX_SEGMENT_H

#include "clients/c/batch_how.h"
#include "clients/c/truc.h"
#include "proto/bytes.h"
#include "proto/limits.h"

enum {
    OUTBOX_HEADER_BYTES = 512,
    OUTBOX_ITEM_BYTES = 24,
    OUTBOX_HOW_BYTES = 24,
    OUTBOX_OWNER_BYTES_MAX = SOURCE_BYTES_MAX + 1 + PRODUCER_NAME_BYTES_MAX
};

enum outbox_kind {
    OUTBOX_RECORD = 1,   /* sequence: the record's; body: the record */
    OUTBOX_ACKED = 2,    /* everything of the topic below sequence is stored */
    OUTBOX_REFUSED = 3,  /* body u32 count: that many records from sequence on are gone; later ones move down */
    OUTBOX_RECORD_AS = 4 /* as OUTBOX_RECORD, of a record that is published in some way */
};

struct outbox_identity {
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t generation;
    char owner[OUTBOX_OWNER_BYTES_MAX + 1];
    size_t record_bytes_max;
};

struct outbox_segment {
    struct outbox_segment *next;
    uint64_t number;
    uint8_t *map;
    uint32_t size, used;
    int fd;
    bool dirty; /* written since the last sync began */
};

/* Unlocked; I/O. directory is an open descriptor; the file's name is its number. TRUC_IO, TRUC_DISK_FULL, TRUC_NO_MEMORY. */
truc_status outbox_segment_create(int directory, uint64_t number, uint32_t size, const struct outbox_identity *identity,
                                  struct outbox_segment **ret_segment);
/* Maps an existing one; used is then the header alone. *ret_identity without record_bytes_max. TRUC_DAMAGED. */
truc_status outbox_segment_open(int directory, uint64_t number, struct outbox_segment **ret_segment,
                                struct outbox_identity *ret_identity);
truc_status outbox_segment_sync(const struct outbox_segment *segment);
truc_status outbox_segment_delete(int directory, struct outbox_segment *segment); /* unlinks, closes */
void outbox_segment_close(struct outbox_segment *segment);                        /* NULL is allowed */

struct outbox_item {
    enum outbox_kind kind;
    uint64_t sequence;
    struct batch_how how; /* of OUTBOX_RECORD_AS, else zero */
    struct bytes topic, body;
};

static inline size_t outbox_item_size(enum outbox_kind kind, size_t topic_size, size_t body_size)
{
    return align8(OUTBOX_ITEM_BYTES + topic_size + (kind == OUTBOX_RECORD_AS ? OUTBOX_HOW_BYTES : 0) + body_size);
}

/* Stores only; the item must fit. */
void outbox_segment_append(struct outbox_segment *segment, const struct outbox_item *item);

/* The item at *at, which moves behind it. False: there is none; *ret_torn tells whether something stands there that is none. */
bool outbox_segment_next(const struct outbox_segment *segment, uint32_t *at, struct outbox_item *ret_item, bool *ret_torn);

/* Cuts everything from `at` on. */
void outbox_segment_cut(struct outbox_segment *segment, uint32_t at);

#endif
