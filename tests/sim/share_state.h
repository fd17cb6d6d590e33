/* share_state.h: what the model of shared subscriptions knows of each record. Layer: test of core; of share_*.c only.
 *
 * Records of one key that a worker has are a run, in log order; it may be given more behind them. Only the first can be settled and
 * lapses; the others are free when it fails. A record that has failed comes alone. A record that has a time to be delivered at is
 * aside: no part of its key's order. */
#ifndef TRUC_TESTS_SIM_SHARE_STATE_H
#define TRUC_TESTS_SIM_SHARE_STATE_H

#include "share_model.h"

enum outcome { OPEN, ACKED, DEAD, EXPIRED };
enum doom { NOT_DOOMED, DOOMED_ATTEMPTS = 1, DOOMED_REJECTED = 2 }; /* as the letters' reasons */

struct fate { /* of a record, as far as it must survive a crash */
    uint8_t outcome, doom;
    uint32_t failed; /* attempts */
    int64_t not_before_ns;
};

struct record_state {
    bool wanted;
    struct fate now, durable;
    struct attachment *holder; /* leased to; NULL: free */
    uint64_t grant, lease;     /* number of its grant; its lease, 0: not told yet */
    int64_t deadline_ns;       /* of the first of a run */
    uint64_t letter;           /* position of its dead letter + 1; 0: there is none */
};

struct change {
    uint32_t record;
    uint64_t ticket;
    struct fate fate;
};

struct key_list { /* records of one key on disk, in log order */
    uint32_t *records;
    size_t count, capacity;
};
const struct key_list *records_of_key(uint16_t key);

static inline struct place place_of(uint32_t record)
{
    return (struct place){store.records[record].position, store.records[record].index};
}
static inline const struct batch_record *what_of(uint32_t record)
{
    return &store.records[record].what;
}
static inline bool is_aside(uint32_t record)
{
    return what_of(record)->deliver_at_ns != 0;
}
/* In a lane with others: they have its key. */
static inline bool is_in_order(uint32_t record)
{
    return what_of(record)->key != 0 && !is_aside(record);
}
static inline bool is_expired(uint32_t record, int64_t now_ns)
{
    return what_of(record)->expires_at_ns != 0 && what_of(record)->expires_at_ns <= now_ns;
}

/* The highest the append clock ever showed: what was due then is due. */
int64_t share_latest_ns(void);

/* Knows all records that are on disk. */
void share_extend(struct sub *sub);
void share_note(struct sub *sub, uint32_t record);
void share_free(struct sub *sub, uint32_t record);
/* Those behind it in its run, uncounted. */
void share_free_rest(struct sub *sub, uint32_t record);
void share_resolve(struct sub *sub, uint32_t record, enum outcome outcome);
/* A delivery came to nothing; delay_ns 0: the back-off. */
void share_fail(struct sub *sub, uint32_t record, int64_t delay_ns);
/* How many records of one key, in its order, a worker has. */
uint32_t share_run_length(const struct sub *sub, const struct attachment *holder, uint16_t key);
/* The first of the run that the record is in, and the next one behind it; UINT32_MAX: none. */
uint32_t share_first_of_run(const struct sub *sub, uint32_t record);
uint32_t share_next_of_run(const struct sub *sub, uint32_t record);

#endif
