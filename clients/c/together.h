/* together.h: batches of several topics that are appended all or none: one PUBLISH frame of a producer's at a time.
 *
 * Layer: libtruc. Under the client's lock. Owned by the producer, made by its first truc_publish_together. together.c: the frame
 * and what becomes of it; together_publish.c: the public function, which fills the frame and waits.
 *
 * The frame is a companion's: on the wire a producer of its own, named NAME#together or unnamed, with sequences of its own. So it
 * is in no order with what waits in the producer's lanes, and neither holds up the other. The companion is in no list of the
 * client's: its producer passes on to it what happens to the connection. Its lanes hold sequences and never a batch.
 *
 *   IDLE --a call's turn--> BUILDING --submitted--> READY <--> SENT --> DONE --taken--> IDLE
 *
 * READY waits for the connection, the companion's opening, the time of the next try, and credit. The bytes are the same at each
 * try, and so are the sequences: an answer that was lost is given again. When the call has run out of time the frame is abandoned:
 * it goes on all the same, and is IDLE as soon as its outcome is known. */
#ifndef TRUC_CLIENT_TOGETHER_H
#define TRUC_CLIENT_TOGETHER_H

#include "clients/c/producer.h"

enum { TOGETHER_TOPICS_MAX = 64 };
#define TOGETHER_NAME_SUFFIX "#together"

enum together_state { TOGETHER_IDLE, TOGETHER_BUILDING, TOGETHER_READY, TOGETHER_SENT, TOGETHER_DONE };

struct together {
    struct truc_producer *companion;
    struct together *ready_next; /* of the client's list of frames that may be sent */
    enum together_state state;
    bool listed;
    bool abandoned; /* nobody waits for the outcome */
    bool attempted; /* sent at least once: the broker may have it */
    struct request request;
    struct send_batch *batches[TOGETHER_TOPICS_MAX]; /* of one topic each; opaque is the part's number; in no lane */
    size_t batch_count;
    struct send_buffer *head; /* frame prefix and header */
    size_t frame_size;        /* as sent */
    int64_t retry_at_ns;
    uint32_t retry_delay_ms;
    /* the outcome */
    truc_status status;
    char why[256];
};

/* The producer's, made when it is missing; then its companion is being opened. TRUC_NO_MEMORY; TRUC_INVALID_ARGUMENT: the
 * producer's name is too long for a companion's. */
truc_status together_find(struct truc_producer *producer, struct together **ret_together);
void together_destroy(struct together *together); /* NULL is allowed; nobody waits for it */

/* The batches are complete: they are sent as soon as possible. Or the companion's failure. */
truc_status together_submit(struct together *together);

/* The batches are dropped, the next call has its turn. */
void together_clear(struct together *together);

/* Waits until no frame is on its way. False: not until the deadline. */
bool together_drain(struct together *together, int64_t deadline_ns); /* NULL is allowed */

/* Sends the frames that may be sent, before all lanes. False: one of them waits until others give credit back. */
bool together_pump(truc_client *client);

/* What happens to the companion. */
void together_schedule(struct together *together); /* opened, or the time of the next try may have come */
void together_disconnected(struct together *together);
void together_forgotten(struct together *together, truc_status status, const char *why); /* its sequences begin anew */
void together_failed(struct together *together, truc_status status, const char *why);

#endif
