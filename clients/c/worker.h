/* worker.h: a worker: its part of a subscription, the jobs that came, what became of them, its end.
 *
 * Layer: libtruc. Under the client's lock unless said otherwise. worker.c: the wire side; worker_consume.c: from parcels to jobs,
 * for the courier and for pulling threads; worker_hand.c: which of them are handed over now; worker_settle.c: from settlements to
 * SETTLE frames and their answers; worker_open.c: the public functions.
 *
 *   DELIVER, READ_DATA --> intake --> prover or consumer --> message maker --> jobs --> callback or pull
 *                                                                               |
 *   credit <-- SETTLE <-- settle batches <-- truc_ack ... from any thread <-----'
 *
 * Unlike a reader a worker drops what is here when the connection is lost: the broker takes its leases back. */
#ifndef TRUC_CLIENT_WORKER_H
#define TRUC_CLIENT_WORKER_H

#include "clients/c/client.h"
#include "clients/c/hand.h"
#include "clients/c/intake.h"
#include "clients/c/mark.h"
#include "clients/c/message.h"
#include "clients/c/settle_batch.h"
#include "clients/c/turns.h"
#include "truc/v1/wire.pb-c.h"

enum worker_state {
    WORKER_WAITING, /* for a connection, or for a time */
    WORKER_ASKED,   /* SUBSCRIBE is under way */
    WORKER_ACTIVE,
    WORKER_OVER /* nothing more comes; settlements may still be answered */
};

struct worker_end {
    truc_status status;
    char why[256];
};

/* Settlements of a worker on their way. */
struct settling {
    struct settle_batch *open;                    /* gathers */
    struct settle_batch *ready_head, *ready_tail; /* full, or to be sent again */
    struct settle_batch *sent;                    /* waits for its answer; newest first */
    struct settle_batch *told_head, *told_tail;   /* over, to be told by the courier */
    size_t ready_count, sent_count;
    uint64_t serial;        /* of the newest batch */
    uint64_t telling;       /* serial of the batch that the courier tells now; 0: none */
    uint64_t failures;      /* records since the last flush */
    int64_t retry_at_ns;    /* nothing is sent before; 0: at once */
    int64_t idle_until_ns;  /* what gathers waits for company until then; 0: it does not */
    uint64_t sent_position; /* ordered: acknowledged on the wire below it */
};

struct truc_worker {
    struct truc_worker *next, *previous;
    truc_client *client;
    char *name;
    bool ordered;
    int64_t created_ns; /* of the subscription: another one of its name is not this one */
    char *pattern, *key, *type, *agency, *system;
    uint8_t *headers;
    struct message_filter filter; /* points to those; shared: the pattern alone, the broker has looked at the rest */
    uint64_t credit;              /* shared: records; ordered: bytes */
    uint32_t key_run;             /* shared: records of one key that the broker may lease at once */
    truc_job_callback *on_jobs;   /* NULL: pull */
    truc_settled_callback *on_settled;
    truc_worker_end_callback *on_end;
    void *context;

    enum worker_state state;
    struct request request;
    int64_t retry_at_ns; /* WAITING: when, CLOCK_NEVER: when connected */
    bool opened;         /* it was SUBSCRIBE_OK once */
    bool entered;        /* whoever opens it has its handle: callbacks may come */
    struct intake intake;
    uint64_t granted;       /* shared: records that may still come */
    uint64_t owed;          /* credit to be given back */
    uint64_t last_lease;    /* shared: of the broker's, on this connection */
    uint64_t next_number;   /* the worker's own number of the next record that is handed over */
    uint64_t given;         /* the highest that the application got */
    struct hand hand;       /* shared */
    struct turns turns;     /* shared, with key_run: records of a key whose turn has not come */
    struct marks marks;     /* ordered */
    uint64_t expired;       /* ordered: records passed over since the last SETTLE */
    bool turn;              /* ordered: READ_OK has come */
    uint64_t next_position; /* ordered: behind the last parcel received */
    struct settling settling;
    struct worker_end final; /* OVER */

    /* the consumer's: the courier, or the pulling thread */
    bool consuming; /* somebody is at it, without the lock */
    bool at_work;   /* jobs of the head parcel are, or may be, in the application's hands */
    struct digest_context *digests;
    struct message_maker *maker;
    truc_job jobs[MESSAGES_AT_ONCE];
    struct turn_record *lent;   /* whose messages those jobs may be */
    size_t entry_index;         /* in the head parcel */
    uint64_t place;             /* shared: of the next record, in the head's DELIVER */
    uint64_t consumed_position; /* ordered: what the next entry's position is held against */
    size_t pull_index, pull_count;
    bool ended, told, closing;
    bool interrupted; /* pulling gives nothing any more, though it has not ended */
};

/* What is kept of a DELIVER or READ_DATA beside its payload. */
struct delivery;

/* --- worker.c ------------------------------------------------------------------------------------------------------------------
 */

/* Called by the client. */
void worker_connected(struct truc_worker *worker);
void worker_disconnected(struct truc_worker *worker);
void worker_step(struct truc_worker *worker, int64_t now_ns); /* client thread */

/* Ends what the broker or the client ended: leases and settlements are lost. */
void worker_end(struct truc_worker *worker, truc_status status, const char *why);

/* Ends by itself: gives back what was not given, sends what is settled, cancels. Its settlements may still be answered. */
void worker_stop(struct truc_worker *worker, truc_status status, const char *why);

/* Unlocked. From now on pulls return TRUC_CANCELLED at once, so that the pulling thread comes back and closes. */
void worker_interrupt(struct truc_worker *worker);

/* Gives credit back on the wire. */
void worker_give_credit(struct truc_worker *worker);

/* --- delivery.c ----------------------------------------------------------------------------------------------------------------
 */

/* A DELIVER has come: its records get numbers and are queued. */
truc_status delivery_take(struct truc_worker *worker, const struct frame *frame, struct inbound **inbound, const char **ret_why);

/* What the DELIVER of a parcel says of its entry at an index: which records, NULL: all up to *ret_count. False: it has no such
 * entry. */
bool delivery_entry(const struct parcel *parcel, size_t index, const uint32_t **ret_indexes, size_t *ret_count);
size_t delivery_entry_count(const struct parcel *parcel);

/* Its leases are consecutive. */
uint64_t delivery_first_lease(const struct parcel *parcel);
uint64_t delivery_record_count(const struct parcel *parcel);

/* The attempt of its record at a place. */
uint32_t delivery_attempt(const struct parcel *parcel, uint64_t place);

/* Says whether the job, made of the parcel, is recalled. */
void delivery_mark_recalled(const struct parcel *parcel, truc_job *job);

/* Reads the header of a READ_DATA, which lives in *ret_delivery: the notes of its parcel, or to be freed. */
truc_status delivery_read(const struct frame *frame, struct delivery **ret_delivery, const Truc__V1__ReadData **ret_header,
                          const char **ret_why);

/* --- worker_consume.c ------------------------------------------------------------------------------------------------------------
 */

enum worked { WORKED_NOTHING, WORKED_SOMETHING, WORKED_JOBS, WORKED_END };

/* One step of consuming: proves, or makes jobs (*ret_count of them), or ends. Unlocks meanwhile. */
enum worked worker_consume(struct truc_worker *worker, size_t *ret_count);

/* Courier: one step for every worker. False: there was nothing to do. */
bool worker_deliver_one(truc_client *client);

/* --- worker_hand.c -------------------------------------------------------------------------------------------------------------
 */

/* Shared: the messages made, whose records begin at the worker's place in the parcel, become jobs as far as it is their turn.
 * TRUC_NO_MEMORY. */
truc_status worker_hand_shared(struct truc_worker *worker, const struct parcel *parcel, size_t made, size_t *ret_count);

/* Ordered: those that have not expired. Returns how many. */
size_t worker_hand_ordered(struct truc_worker *worker, const struct parcel *parcel, size_t made);

/* Records whose turn has come become jobs. TRUC_NO_MEMORY. */
truc_status worker_hand_ready(struct truc_worker *worker, size_t *ret_count);

/* The application is done with the messages of the jobs before. */
void worker_take_back(struct truc_worker *worker);

/* --- worker_settle.c -------------------------------------------------------------------------------------------------------------
 */

truc_status worker_settle(struct truc_worker *worker, uint64_t lease, truc_outcome outcome, uint32_t delay_ms);

/* Sends what may be sent now; ordered: the acknowledged place may have moved. */
void worker_pump(struct truc_worker *worker);

/* Gives back one lease that the application never got, and its credit. TRUC_NO_MEMORY. */
truc_status worker_return(struct truc_worker *worker, uint64_t lease);

/* Gives back the leases that the application has not got; out of memory, and the rest of them ends with the subscribing. */
void worker_return_rest(struct truc_worker *worker);

/* Sends everything, whatever waits for an answer. */
void worker_pump_all(struct truc_worker *worker);

/* Unlocked. As truc_ack, but it may wait a moment for worker_hurry, so that it shares the broker's flush with what is sent then. */
truc_status worker_ack_idly(struct truc_worker *worker, uint64_t lease);

/* Unlocked. What waits is queued now; it leaves with the next thing that is sent on the connection, which must follow at once. */
void worker_hurry(struct truc_worker *worker);

/* Every settlement under way has this status now; all leases are gone. Or only those that were not sent. */
void worker_lose(struct truc_worker *worker, truc_status status);
void worker_lose_unsent(struct truc_worker *worker, truc_status status);

/* The serial of the batch that what is settled now is in, or will be in. */
uint64_t worker_last_serial(const struct truc_worker *worker);

/* Whether something up to this serial is still under way. */
bool worker_unsettled(const struct truc_worker *worker, uint64_t serial);

/* Courier: tells what became of settlements. False: nothing to do. Unlocks meanwhile. */
bool worker_tell(struct truc_worker *worker);

void worker_settling_fini(struct truc_worker *worker);

#endif
