/* worker_consume.c: from received parcels to jobs; the courier's and the pulling threads' side of workers. */
#include <stdio.h>
#include <string.h>

#include "clients/c/worker.h"
#include "proto/topic.h"

/* What became of making jobs, outside the lock. */
struct making {
    truc_status status; /* not TRUC_OK: the worker ends */
    const char *why;
    size_t count;
    bool entry_done, parcel_done;
    uint64_t position; /* of the entry that is done */
};

/* --- jobs -------------------------------------------------------------------------------------------------------------------- */

/* Whether an entry has the records that are leased. */
static const char *check_leased(const struct proven_entry *entry, const uint32_t *indexes, size_t count)
{
    if (entry->cut == NULL)
        return indexes == NULL ? count > entry->record_count ? "more records leased than the entry has" : NULL
               : indexes[count - 1] >= entry->record_count ? "an index beyond the entry's records"
                                                           : NULL;
    if (entry->cut_count != count)
        return "a part of an entry with other records than are leased";
    for (size_t i = 0; i < count; i++) {
        if (entry->cut[i].index != (indexes != NULL ? indexes[i] : i))
            return "a part of an entry with other records than are leased";
    }
    return NULL;
}

static const char *check_entry(const struct truc_worker *worker, const struct parcel *parcel, const struct proven_entry *entry)
{
    const uint32_t *indexes;
    size_t count;

    if (memcmp(entry->log_id, worker->client->log_id, LOG_ID_BYTES) != 0)
        return "an entry of another log";
    if (worker->ordered) {
        if (entry->cut != NULL)
            return "a part of an entry";
        return entry->position < worker->consumed_position || entry->position >= parcel->next_position ? "an entry out of order"
                                                                                                       : NULL;
    }
    if (!pattern_match(worker->filter.pattern, entry->topic))
        return "an entry of a topic that was not subscribed to";
    if (!delivery_entry(parcel, worker->entry_index, &indexes, &count))
        return "more entries than are leased";
    return check_leased(entry, indexes, count);
}

/* Unlocked. Begins the next entry of a proven parcel. */
static truc_status begin_entry(struct truc_worker *worker, const struct parcel *parcel, struct proven_entry *entry,
                               const char **ret_why)
{
    const uint32_t *indexes = NULL;
    size_t count = 0;
    truc_status status = entry->status;

    *ret_why = entry->why;
    if (status == TRUC_OK && !entry->kept) {
        parcel_prove_entry(worker->digests, worker->intake.verify, entry, &worker->maker->scratch);
        status = entry->status;
        *ret_why = entry->why;
    }
    if (status == TRUC_OK) {
        *ret_why = check_entry(worker, parcel, entry);
        status = *ret_why != NULL ? TRUC_PROTOCOL : TRUC_OK;
    }
    if (status != TRUC_OK)
        return status;
    *ret_why = "an entry's records cannot be told apart";
    status = message_maker_begin(worker->maker, &worker->filter, entry);
    if (status == TRUC_OK && !worker->ordered && entry->cut == NULL &&
        delivery_entry(parcel, worker->entry_index, &indexes, &count))
        message_maker_choose(worker->maker, indexes, count);
    worker->consumed_position = entry->position + 1;
    return status;
}

/* Unlocked: makes jobs out of the head parcel, which the consumer owns. */
static void make_jobs(struct truc_worker *worker, struct parcel *parcel, struct making *making)
{
    struct message_maker *maker = worker->maker;

    while (making->status == TRUC_OK && making->count == 0) {
        if (maker->entry == NULL) {
            if (worker->entry_index == parcel->entry_count) {
                making->parcel_done = true;
                if (!worker->ordered && parcel->entry_count < delivery_entry_count(parcel)) {
                    making->status = TRUC_PROTOCOL;
                    making->why = "fewer entries than are leased";
                }
                return;
            }
            making->status = begin_entry(worker, parcel, &parcel->entries[worker->entry_index], &making->why);
            if (making->status != TRUC_OK)
                return;
        }
        making->why = "a record that no record may be";
        making->status = message_maker_next(maker, &worker->filter, MESSAGES_AT_ONCE, &making->count);
        making->position = maker->entry->position;
        making->entry_done = making->status == TRUC_OK && (making->count < MESSAGES_AT_ONCE || message_maker_done(maker));
        if (making->entry_done) {
            maker->entry = NULL;
            worker->entry_index++;
        }
    }
}

/* The head parcel is consumed, or is not to be consumed any more. */
static void pop_parcel(struct truc_worker *worker)
{
    struct parcel *parcel = intake_pop(&worker->intake);
    size_t size = parcel->payload.size;

    worker->entry_index = 0;
    worker->place = 0;
    worker->maker->entry = NULL;
    worker->at_work = false;
    if (!parcel->stale) {
        if (parcel->entry_count > 0)
            client_saw(worker->client, parcel->entries[parcel->entry_count - 1].position,
                       parcel->entries[parcel->entry_count - 1].record_count - 1);
        if (worker->ordered) {
            /* Positions behind it that hold nothing wanted are passed with it. */
            worker->consumed_position = worker->intake.head != NULL ? worker->intake.head->from_position : worker->next_position;
            marks_add(&worker->marks, worker->next_number - 1, worker->consumed_position);
            worker->owed += size;
            if (worker->owed >= worker->credit / 8)
                worker_give_credit(worker);
            worker_pump(worker);
        }
    }
    parcel_free(worker->client, parcel);
}

/* What was made of the head parcel goes to the application, as far as it is its turn. */
static enum worked hand_over(struct truc_worker *worker, const struct parcel *parcel, const struct making *making,
                             size_t *ret_count)
{
    size_t count = 0;
    truc_status status = TRUC_OK;

    if (worker->ordered)
        count = worker_hand_ordered(worker, parcel, making->count);
    else
        status = worker_hand_shared(worker, parcel, making->count, &count);
    if (worker->ordered && making->entry_done) {
        marks_add(&worker->marks, worker->next_number - 1, making->position + 1);
        worker_pump(worker); /* an entry of which nobody is given anything is passed at once */
    }
    if (status != TRUC_OK) {
        worker_stop(worker, status, "no memory for what is in hand");
        return WORKED_SOMETHING;
    }
    if (making->parcel_done)
        pop_parcel(worker);
    if (count == 0)
        return WORKED_SOMETHING;
    *ret_count = count;
    return WORKED_JOBS;
}

static enum worked consume_proven(struct truc_worker *worker, size_t *ret_count)
{
    struct making making = {.status = TRUC_OK, .why = ""};
    struct parcel *parcel = worker->intake.head;
    truc_client *client = worker->client;

    worker->at_work = true;
    worker->maker->generation = client->generation;
    (void)pthread_mutex_unlock(&client->lock);
    make_jobs(worker, parcel, &making);
    (void)pthread_mutex_lock(&client->lock);
    if (parcel->stale)
        return WORKED_SOMETHING; /* the connection was lost meanwhile: the parcel goes at the next step */
    if (making.status != TRUC_OK) {
        worker_stop(worker, making.status, making.why);
        return WORKED_SOMETHING;
    }
    return hand_over(worker, parcel, &making, ret_count);
}

/* Records whose turn came when the one before them was settled. */
static enum worked consume_ready(struct truc_worker *worker, size_t *ret_count)
{
    truc_status status = worker_hand_ready(worker, ret_count);

    if (status != TRUC_OK)
        worker_stop(worker, status, "no memory for what is in hand");
    return status == TRUC_OK ? WORKED_JOBS : WORKED_SOMETHING;
}

enum worked worker_consume(struct truc_worker *worker, size_t *ret_count)
{
    struct parcel *head = worker->intake.head;

    worker_take_back(worker);
    if (worker->ended)
        return WORKED_END;
    if (head != NULL && head->stale) {
        pop_parcel(worker);
        return WORKED_SOMETHING;
    }
    if (worker->state == WORKER_OVER) {
        worker->ended = true;
        (void)pthread_cond_broadcast(&worker->client->changed);
        return WORKED_SOMETHING;
    }
    if (turns_first(&worker->turns) != NULL)
        return consume_ready(worker, ret_count);
    if (head == NULL)
        return WORKED_NOTHING;
    if (head->state == PARCEL_PROVEN)
        return consume_proven(worker, ret_count);
    /* Rather than wait for the prover, prove what it has not begun. */
    return intake_prove_ahead(&worker->intake, worker->digests) ? WORKED_SOMETHING : WORKED_NOTHING;
}

/* --- the courier's side ------------------------------------------------------------------------------------------------------- */

static void give(struct truc_worker *worker, size_t count)
{
    truc_client *client = worker->client;
    truc_status status;

    worker->given = worker->jobs[count - 1].lease;
    (void)pthread_mutex_unlock(&client->lock);
    status = worker->on_jobs(worker->context, worker->jobs, count);
    (void)pthread_mutex_lock(&client->lock);
    if (status != TRUC_OK)
        worker_stop(worker, status, "stopped by the callback");
}

/* Gives the worker's next jobs, or its end, to the application. False: nothing to do. */
static bool deliver(struct truc_worker *worker)
{
    truc_client *client = worker->client;
    size_t count = 0;
    enum worked worked = worker_consume(worker, &count);

    if (worked == WORKED_JOBS)
        give(worker, count);
    if (worked != WORKED_END || worker->told)
        return worked == WORKED_SOMETHING || worked == WORKED_JOBS;
    if (worker->on_end != NULL) {
        (void)pthread_mutex_unlock(&client->lock);
        worker->on_end(worker->context, worker->final.status, worker->final.why);
        (void)pthread_mutex_lock(&client->lock);
    }
    worker->told = true;
    (void)pthread_cond_broadcast(&client->changed);
    return true;
}

/* One step for one worker. */
static bool attend(struct truc_worker *worker)
{
    bool busy = worker->on_settled != NULL && worker_tell(worker);

    if (worker->on_jobs == NULL || !worker->entered || worker->closing || worker->told)
        return busy;
    worker->consuming = true;
    if (deliver(worker))
        busy = true;
    worker->consuming = false;
    if (worker->closing)
        (void)pthread_cond_broadcast(&worker->client->changed);
    return busy;
}

bool worker_deliver_one(truc_client *client)
{
    bool busy = false;

    for (struct truc_worker *worker = client->workers; worker != NULL; worker = worker->next) {
        if (attend(worker))
            busy = true;
    }
    if (busy && link_prepare(&client->link)) { /* settlements, credit and cancellations are waiting to be sent */
        (void)pthread_mutex_unlock(&client->lock);
        link_post(&client->link);
        (void)pthread_mutex_lock(&client->lock);
    }
    return busy;
}
