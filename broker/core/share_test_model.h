/* share_test_model.h: what must hold of a share, told by a model that knows every record. Layer: core (tests). One thread.
 * share_test_model.c: what the share does. share_test_journal.c: what the disk does. share_test_check.c: what must hold.
 *
 * The share's deltas, dead letters and what a save settles go into a journal, of which a first part is durable. A crash cuts it
 * anywhere behind that (but for what one block holds), and the catalog is what the rest adds up to. The model fails the test when
 *
 *   - a record is given out that is settled, leased, delayed, dead or expired; or, of its key, is not the first unresolved one or
 * in a worker's run right behind it, or comes though another one has begun, or not in turn with what stands aside and is due;
 *   - a run is settled out of order, or goes on behind a record that was refused;
 *   - its attempt is not the one after those that failed; a worker has more than its credit, all have more than in_flight_max;
 *   - a record expires that may not, or is counted other than once;
 *   - after a crash a record is neither resolved in truth nor by the catalog unresolved (it is lost), or one is unresolved that was
 *     settled durably (it would be given again), or durable attempts are forgotten;
 *   - a record has two dead letters, unless a crash parted the first from its save, or it was given again in between. */
#ifndef TRUC_CORE_SHARE_TEST_MODEL_H
#define TRUC_CORE_SHARE_TEST_MODEL_H

#include "share_test_kit.h"

enum { MODEL_KEYS = 48, MODEL_WORKERS = 6, MODEL_RECORDS_MAX = 2048, MODEL_LEASES_MAX = 256 };

enum model_state { MODEL_OPEN, MODEL_ACKED, MODEL_DEAD, MODEL_EXPIRED };

struct model_record {
    enum model_state state, durable_state;
    uint32_t attempts, durable_attempts;
    int64_t not_before_ns, first_failed_ns, last_failed_ns;
    uint64_t lease;          /* 0: none */
    enum dead_reason doomed; /* waits for its dead letter; 0: it does not */
    uint32_t letters;        /* dead letters that are durable, since it was last given again */
    bool changed;            /* since the last save */
    bool aside;              /* it has a time to be delivered at, or was given again */
    bool told;               /* aside: the share knows of it */
    bool passing;            /* it has expired, and was not passed over before this grant */
};

struct model_lease {
    uint64_t lease, worker;
    size_t record;
    int64_t deadline_ns;
};

struct model_worker {
    uint64_t number; /* 0: not there */
    uint32_t credit, run_max;
};

struct model_entry { /* of the journal */
    enum { ENTRY_DELTA, ENTRY_LETTER, ENTRY_CHANGE, ENTRY_AGAIN } kind;
    bool with_next; /* in one block with the entry behind it */
    struct delta delta;
    size_t record; /* of all but DELTA */
    enum model_state state;
    uint32_t attempts;
};

struct model {
    struct share_config config;
    struct kit_log log;
    struct kit_catalog catalog;
    struct model_record records[MODEL_RECORDS_MAX];
    struct model_lease leases[MODEL_LEASES_MAX];
    size_t lease_count;
    struct model_worker workers[MODEL_WORKERS];
    struct model_entry *journal; /* owned; not yet durable */
    size_t journal_count, journal_capacity;
    size_t open_from[MODEL_KEYS + 1]; /* no record of the key below it is open */
    uint64_t last_lease, last_worker;
    uint32_t lanes_above; /* restored ones above lanes_max: those above the scan place, and what they became in an earlier life */
    uint32_t aside_above; /* so with aside_max */
    uint64_t expired;     /* as the share counts them */
    bool settled;         /* something waits to be saved */
    int64_t now_ns, ticked_ns;
    size_t looked; /* the record that was looked at last */
};

void model_init(struct model *model, const struct share_config *config);
void model_fini(struct model *model);

struct model_worker *model_worker(struct model *model, uint64_t number);

/* --- what the share did ---------------------------------------------------------------------------------------------------------
 */

/* A record was added to the log: it is the last one. */
void model_added(struct model *model);
void model_scanned(struct model *model, const struct share_record *records, size_t count);
/* Before and after each share_grant. */
void model_granting(struct model *model, const struct share *share);
void model_granted(struct model *model, const struct share *share, uint64_t worker, const struct share_lease *leases, size_t count);
void model_settled(struct model *model, uint64_t worker, uint64_t lease, enum share_outcome outcome, int64_t delay_ns, bool taken);
void model_left(struct model *model, struct model_worker *worker, bool counted);
void model_ticked(struct model *model, const struct share *share);
void model_buried(struct model *model, const struct share_dead *dead);
void model_again(struct model *model, size_t record, enum share_again outcome);
/* For share_save: context is the model. */
bool model_put(void *context, const struct delta *delta);
void model_saved(struct model *model);
/* Everything in the journal from an entry on is one block. */
void model_join(struct model *model, size_t from);

void model_write(struct model *model, struct model_entry entry);

/* --- what the disk did ----------------------------------------------------------------------------------------------------------
 */

/* The journal is durable up to about an entry. */
void model_durable(struct model *model, size_t count);
/* So it is, and what is behind is lost; then the catalog tells what is unresolved. A share is to be restored from that. */
void model_crashed(struct model *model, size_t count);

/* --- what must hold -------------------------------------------------------------------------------------------------------------
 */

/* Nothing open of the record's key is before it. */
void model_check_first(struct model *model, size_t record);
/* It may be given out: in a grant that began with this lease, to a worker with so long runs. */
void model_check_turn(struct model *model, const struct share *share, size_t record, uint64_t first_lease, uint32_t run_max);
/* Between any two steps. */
void model_check(struct model *model, const struct share *share);
/* Whether a record cannot be read any more: then it may never come, and if it does it ends as damaged. */
bool model_is_damaged(const struct model *model, size_t record);
bool model_has_expired(const struct model *model, size_t record);
/* What waited for a time that was ticked waits no more. */
void model_pass_time(struct model *model, const struct share *share);
/* Whether every record is resolved, or damaged. */
bool model_is_done(const struct model *model);
/* When all is done, saved and durable. */
void model_check_end(struct model *model, const struct share *share);

#endif
