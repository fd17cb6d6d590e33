/* receipt.h: RECEIPT: what became of a record in the subscriptions that want it. Layer: core. One thread.
 *
 * The log tells where the record is and who wants it (LOOK_RECORDS); for those that are done with it, how and when, from the deltas
 * that made it durable (LOOK_HISTORY). What is not done yet, the core itself tells. A receipt that waits for subscriptions is
 * examined when some subscription may have come to be done with records, a bounded number in each step. */
#ifndef TRUC_CORE_RECEIPT_H
#define TRUC_CORE_RECEIPT_H

#include "broker/core/inquiry.h"
#include "broker/core/subscription.h"

enum {
    RECEIPT_PAGE_MAX = 100,
    RECEIPT_NAMES_MAX = 16,
    RECEIPT_WAIT_MAX_MS = 24 * 3600 * 1000,
    RECEIPT_SUBJECTS_MAX = RECEIPT_PAGE_MAX + RECEIPT_NAMES_MAX
};

/* A subscription whose pattern matches the topic: of the page, or named. */
struct receipt_subject {
    uint32_t subscription; /* its index, which no other one ever has */
    bool listed;           /* of the page */
    bool asked;            /* in the look under way */
    bool wanted;           /* it wants the record, which is: */
    struct share_record record;
    struct share_look now; /* how it stands */
    struct core_look_history history;
};

struct receipt {
    struct inquiry inquiry;
    bool placed; /* it is known where the record is, and who wants it */
    bool more, waited;
    struct bytes topic;
    uint64_t offset;
    struct place place;
    int64_t append_time_ns;
    uint32_t wait_ms;
    int64_t due_boot_ns;
    uint64_t examined; /* core.resolutions then */
    uint32_t name_count, subject_count;
    struct receipt_name {
        struct bytes text; /* as it was given, terminated */
        uint32_t subject;  /* UINT32_MAX: its pattern does not match the topic */
    } names[RECEIPT_NAMES_MAX];
    uint8_t *text; /* topic and names; owned */
    struct receipt_subject subjects[RECEIPT_SUBJECTS_MAX];
};

/* At the end of a step: those that have waited long enough, or whose subscriptions are done, ask the log. */
void receipt_examine(struct core *core);

/* RECEIPT_OK, then it is gone: receipt_answer.c. */
void receipt_answer(struct core *core, struct receipt *receipt);

#endif
