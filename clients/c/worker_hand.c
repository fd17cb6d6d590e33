/* worker_hand.c: which of the records that came are handed over: of one key one at a time; ordered, those that have not expired. */
#include <stdlib.h>
#include <time.h>

#include "clients/c/message_copy.h"
#include "clients/c/worker.h"

/* --- shared ------------------------------------------------------------------------------------------------------------------ */

/* Puts a record aside until its turn comes: its frame is gone by then. */
static truc_status put_aside(struct turn *turn, const truc_job *job, uint64_t lease)
{
    struct turn_record *record = malloc(sizeof *record);

    if (record == NULL)
        return TRUC_NO_MEMORY;
    *record = (struct turn_record){.message = message_copy(job->message),
                                   .lease = lease,
                                   .recall_position = job->recall_position,
                                   .attempt = job->attempt,
                                   .recalled = job->recalled};
    if (record->message == NULL) {
        free(record);
        return TRUC_NO_MEMORY;
    }
    turns_wait(turn, record);
    return TRUC_OK;
}

/* Whether a record of a key may be handed over now. */
static truc_status take_turn(struct truc_worker *worker, const truc_job *job, uint64_t key, uint64_t lease, bool *ret_now)
{
    struct turn_place place = {job->message->position, job->message->index};
    struct turn *turn = NULL;
    size_t dropped = 0;
    enum arrival arrival = turns_arrive(&worker->turns, key, place, lease, worker->next_number, &turn, &dropped);

    worker->owed += dropped; /* goes with the next settlements */
    *ret_now = arrival == ARRIVAL_GIVE;
    switch (arrival) {
    case ARRIVAL_WAIT:
        return put_aside(turn, job, lease);
    case ARRIVAL_RETURN:
        return worker_return(worker, lease);
    case ARRIVAL_NO_MEMORY:
        return TRUC_NO_MEMORY;
    default:
        return TRUC_OK;
    }
}

truc_status worker_hand_shared(struct truc_worker *worker, const struct parcel *parcel, size_t made, size_t *ret_count)
{
    uint64_t lease = delivery_first_lease(parcel) + worker->place;
    truc_status status = TRUC_OK;
    size_t count = 0;

    for (size_t i = 0; i < made; i++, lease++, worker->place++) {
        truc_job job = {.size = sizeof job,
                        .message = &worker->maker->messages[i],
                        .attempt = delivery_attempt(parcel, worker->place),
                        .lease = worker->next_number};
        truc_text key = job.message->record.key;
        uint64_t turn_key = key.size > 0 && worker->key_run > 1 ? turns_key(&worker->turns, key) : 0;
        bool now = true;

        delivery_mark_recalled(parcel, &job);
        if (turn_key != 0)
            status = take_turn(worker, &job, turn_key, lease, &now);
        if (status == TRUC_OK && now && !hand_add(&worker->hand, job.lease, (struct hand_item){lease, turn_key}))
            status = TRUC_NO_MEMORY;
        if (status != TRUC_OK)
            return status;
        if (!now)
            continue;
        worker->jobs[count++] = job;
        worker->next_number++;
    }
    if (made > 0)
        turns_consumed(&worker->turns, lease - 1);
    worker_pump(worker); /* what is given back */
    *ret_count = count;
    return TRUC_OK;
}

truc_status worker_hand_ready(struct truc_worker *worker, size_t *ret_count)
{
    const struct turn_record *first = turns_first(&worker->turns);
    uint64_t position = first->message->position;
    size_t count = 0;

    /* Those of one entry, as all jobs that are given at a time. */
    for (; count < MESSAGES_AT_ONCE && first != NULL && first->message->position == position; first = turns_first(&worker->turns)) {
        uint64_t key = 0, lease = first->lease;
        struct turn_record *record = turns_take(&worker->turns, worker->next_number, &key);

        worker->jobs[count++] = (truc_job){.size = sizeof worker->jobs[0],
                                           .message = record->message,
                                           .lease = worker->next_number,
                                           .attempt = record->attempt,
                                           .recalled = record->recalled,
                                           .recall_position = record->recall_position};
        record->next = worker->lent;
        worker->lent = record;
        if (!hand_add(&worker->hand, worker->next_number, (struct hand_item){lease, key}))
            return TRUC_NO_MEMORY;
        worker->next_number++;
    }
    *ret_count = count;
    return TRUC_OK;
}

void worker_take_back(struct truc_worker *worker)
{
    while (worker->lent != NULL) {
        struct turn_record *record = worker->lent;

        worker->lent = record->next;
        turn_record_free(record);
    }
}

/* --- ordered ----------------------------------------------------------------------------------------------------------------- */

static bool has_expired(const truc_message *message, int64_t *now_ns)
{
    int64_t expires_at_ns = message->record.expires_at_ns;

    if (expires_at_ns == 0)
        return false;
    if (*now_ns == 0) {
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        *now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    return expires_at_ns <= *now_ns;
}

size_t worker_hand_ordered(struct truc_worker *worker, const struct parcel *parcel, size_t made)
{
    int64_t now_ns = 0;
    size_t count = 0;

    for (size_t i = 0; i < made; i++) {
        truc_job job = {.size = sizeof job, .message = &worker->maker->messages[i], .attempt = 1};

        if (has_expired(job.message, &now_ns)) {
            worker->expired++;
            continue;
        }
        delivery_mark_recalled(parcel, &job);
        job.lease = worker->next_number++;
        worker->jobs[count++] = job;
    }
    return count;
}
