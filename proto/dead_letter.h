/* dead_letter.h: dead letters, and what became of them, as records. Layer: proto (the core writes them, the log finds them again).
 * Pure, no allocation, any thread. docs/format.md "Dead letters".
 *
 * They are in the topic dead.AGENCY.SUBSCRIPTION and name the record they are about by its place. All that are about one record
 * have the key "POSITION.INDEX", so that they are in order and found by it. The id is made from the log's secret, that place, the
 * subscription's number and, but for the dead letter itself, the record's own offset: so it says which subscription of that name
 * the record is of, since a subscription that was reset or made again has a new number. */
#ifndef TRUC_PROTO_DEAD_LETTER_H
#define TRUC_PROTO_DEAD_LETTER_H

#include "catalog.h"
#include "digest.h"
#include "directory.h"
#include "record.h"

enum dead_letter_kind {
    LETTER_DEAD = 1, /* nobody could work on the record */
    LETTER_REDRIVEN, /* it is given again */
    LETTER_DROPPED   /* nothing more is to be done about it */
};

/* Why it is dead; also the numbers of lane_row.dead. */
enum dead_letter_reason { LETTER_ATTEMPTS = 1, LETTER_REJECTED = 2, LETTER_DAMAGED = 3, LETTER_REASONS };

struct dead_letter {
    enum dead_letter_kind kind;
    struct place place;        /* of the record that it is about */
    struct bytes subscription; /* its name */
    /* of a dead one */
    enum dead_letter_reason reason;
    uint32_t attempts;                       /* that failed */
    int64_t first_failed_ns, last_failed_ns; /* append clock; 0: none failed */
    /* of the others */
    uint64_t letter_offset; /* of the dead letter, in the same topic */
    struct bytes by;        /* AGENCY/SYSTEM of who asked for it */
};

enum {
    LETTER_RECORD_BYTES_MAX = 1024,
    LETTER_KEY_BYTES_MAX = 32,
    LETTER_ID_BYTES = 16,
    LETTER_TOPIC_BYTES_MAX = 5 + AGENCY_BYTES_MAX + 1 + SUBSCRIPTION_NAME_BYTES_MAX
};

/* "truc.dead.v1" and so on. */
const char *dead_letter_type(enum dead_letter_kind kind);

/* "attempts", "rejected", "damaged". */
const char *dead_letter_reason_text(enum dead_letter_reason reason);

/* The topic of an agency's subscription. */
struct bytes dead_letter_topic(struct bytes agency, struct bytes subscription, uint8_t out[LETTER_TOPIC_BYTES_MAX]);

/* The key of all that are about the record at a place. */
struct bytes dead_letter_key(struct place place, char out[LETTER_KEY_BYTES_MAX]);

/* What id and salt seed of a batch are made from; the id is its first LETTER_ID_BYTES. offset: the record's own (not of a dead
 * one). */
void dead_letter_derive(struct digest_context *context, const uint8_t secret[HASH_SECRET_BYTES], const struct dead_letter *letter,
                        uint32_t subscription_id, uint64_t offset, uint8_t ret_derived[DIGEST_BYTES]);

/* Writes the record, preceded by its length (records_next), of at most LETTER_RECORD_BYTES_MAX bytes; returns its end. */
uint8_t *dead_letter_write(const struct dead_letter *letter, const uint8_t id[LETTER_ID_BYTES], int64_t time_ns, uint8_t *out);

/* Reads one; texts are borrowed. False: it is not a letter. */
bool dead_letter_read(const struct record_view *record, struct dead_letter *ret_letter);

#endif
