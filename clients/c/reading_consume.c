/* reading_consume.c: from received parcels to messages; the courier's and the pulling threads' side of readers. */
#include <stdio.h>
#include <string.h>

#include "clients/c/reading.h"
#include "truc/v1/wire.pb-c.h"

/* What became of making messages, outside the lock. */
struct making {
    truc_status status; /* not TRUC_OK: the reader ends */
    const char *why;
    uint64_t next_position;
    size_t count;
    bool parcel_done;
};

void reading_finish(struct truc_reader *reader, truc_status status, const char *why, uint64_t next_position)
{
    Truc__V1__Cancel cancel = TRUC__V1__CANCEL__INIT;
    truc_client *client = reader->client;

    if (reader->ended)
        return;
    if ((reader->state == READING_ACTIVE || reader->state == READING_ASKED) && reader->request.id != 0 &&
        client->state == CLIENT_UP)
        (void)client_send(client, FRAME_CANCEL, NULL, reader->request.id, &cancel.base);
    request_end(&client->requests, &reader->request);
    reader->state = READING_OVER;
    reader->ended = true;
    reader->end.status = status;
    reader->end.next_position = next_position;
    (void)snprintf(reader->end.why, sizeof reader->end.why, "%s", why);
    intake_drop(&reader->intake, NULL);
    courier_wake(client);
    (void)pthread_cond_broadcast(&client->changed);
}

/* --- messages ----------------------------------------------------------------------------------------------------------------- */

/* Whether the entry may stand here: of this log, within the bounds, in order. */
static const char *check_place(const struct truc_reader *reader, const struct proven_entry *entry)
{
    if (memcmp(entry->log_id, reader->client->log_id, LOG_ID_BYTES) != 0)
        return "an entry of another log";
    if (entry->cut != NULL)
        return "a part of an entry";
    if (reader->reverse ? entry->position >= reader->consumed_position || entry->position < reader->until_position
                        : entry->position < reader->consumed_position || entry->position >= reader->until_position)
        return "an entry out of order or out of bounds";
    return NULL;
}

/* Unlocked. Begins the next entry of a proven parcel. */
static truc_status begin_entry(struct truc_reader *reader, struct proven_entry *entry, struct making *making)
{
    truc_status status = entry->status;

    making->why = entry->why;
    if (status == TRUC_OK && !entry->kept) {
        parcel_prove_entry(reader->digests, reader->intake.verify, entry, &reader->maker->scratch);
        status = entry->status;
        making->why = entry->why;
    }
    if (status == TRUC_OK) {
        making->why = check_place(reader, entry);
        status = making->why != NULL ? TRUC_PROTOCOL : TRUC_OK;
    }
    if (status == TRUC_OK) {
        making->why = "an entry's records cannot be told apart";
        status = message_maker_begin(reader->maker, &reader->filter, entry);
    }
    if (status == TRUC_OK)
        reader->consumed_position = reader->reverse ? entry->position : entry->position + 1;
    return status;
}

/* Unlocked: makes messages out of the head parcel, which the consumer owns. */
static void make_messages(struct truc_reader *reader, struct parcel *parcel, struct making *making)
{
    struct message_maker *maker = reader->maker;
    uint64_t left = reader->limit - reader->delivered;
    size_t most = left < MESSAGES_AT_ONCE ? (size_t)left : MESSAGES_AT_ONCE;

    while (making->status == TRUC_OK && making->count == 0) {
        struct proven_entry *entry = &parcel->entries[reader->entry_index];

        if (maker->entry == NULL) {
            if (reader->entry_index == parcel->entry_count) {
                making->parcel_done = true;
                return;
            }
            making->next_position = reader->consumed_position;
            making->status = begin_entry(reader, entry, making);
            if (making->status != TRUC_OK)
                return;
        }
        making->next_position = entry->position;
        making->why = "a record that no record may be";
        making->status = message_maker_next(maker, &reader->filter, most, &making->count);
        if (making->status == TRUC_OK && making->count == 0) {
            maker->entry = NULL;
            reader->entry_index++;
        }
    }
}

/* The head parcel is consumed. */
static void pop_parcel(struct truc_reader *reader)
{
    struct parcel *parcel = intake_pop(&reader->intake);
    size_t size = parcel->payload.size;

    reader->entry_index = 0;
    reader->consumed_position = parcel->next_position;
    if (parcel->entry_count > 0)
        client_saw(reader->client, parcel->entries[parcel->entry_count - 1].position,
                   parcel->entries[parcel->entry_count - 1].record_count - 1);
    parcel_free(reader->client, parcel);
    reading_give_credit(reader, size);
}

static enum consumed consume_proven(struct truc_reader *reader, size_t *ret_count)
{
    struct making making = {.status = TRUC_OK, .why = ""};
    struct parcel *parcel = reader->intake.head;
    truc_client *client = reader->client;

    reader->maker->generation = client->generation;
    (void)pthread_mutex_unlock(&client->lock);
    make_messages(reader, parcel, &making);
    (void)pthread_mutex_lock(&client->lock);
    if (making.status != TRUC_OK) {
        reading_finish(reader, making.status, making.why, making.next_position);
        return CONSUMED_SOMETHING;
    }
    if (making.parcel_done) {
        pop_parcel(reader);
        return CONSUMED_SOMETHING;
    }
    reader->delivered += making.count;
    *ret_count = making.count;
    return CONSUMED_MESSAGES;
}

/* Behind the last parcel. An end that came too early, as when the broker counted records that were not wanted, is none. */
static enum consumed consume_end(struct truc_reader *reader)
{
    if (reader->state != READING_OVER)
        return CONSUMED_NOTHING;
    if (reader->final.status == TRUC_OK && reader->opened && !reading_at_until(reader) &&
        reader->next_position != reader->asked_position) {
        reader->asked_position = reader->next_position;
        reading_ask_again(reader, 0);
        return CONSUMED_SOMETHING;
    }
    reading_finish(reader, reader->final.status, reader->final.why, reader->final.next_position);
    return CONSUMED_SOMETHING;
}

enum consumed reading_consume(struct truc_reader *reader, size_t *ret_count)
{
    const struct message_maker *maker = reader->maker;

    if (reader->ended)
        return CONSUMED_END;
    if (reader->delivered >= reader->limit) {
        const struct proven_entry *entry = maker->entry;
        uint64_t next = reader->consumed_position;

        if (entry != NULL) { /* in the middle of an entry, or at its end */
            bool done = maker->index == (reader->reverse ? 0 : entry->record_count);

            next = reader->reverse != done ? entry->position + 1 : entry->position;
        }
        reading_finish(reader, TRUC_OK, "", next);
        return CONSUMED_SOMETHING;
    }
    if (reader->intake.head == NULL)
        return consume_end(reader);
    if (reader->intake.head->state == PARCEL_PROVEN)
        return consume_proven(reader, ret_count);
    /* Rather than wait for the prover, prove what it has not begun. */
    return intake_prove_ahead(&reader->intake, reader->digests) ? CONSUMED_SOMETHING : CONSUMED_NOTHING;
}

/* --- the courier's side ------------------------------------------------------------------------------------------------------ */

/* Gives the reader's next messages, or its end, to the application. False: nothing to do. */
static bool deliver(struct truc_reader *reader)
{
    truc_client *client = reader->client;
    size_t count = 0;
    enum consumed consumed = reading_consume(reader, &count);
    truc_status status;

    if (consumed == CONSUMED_MESSAGES) {
        (void)pthread_mutex_unlock(&client->lock);
        status = reader->on_message(reader->context, reader->maker->messages, count);
        (void)pthread_mutex_lock(&client->lock);
        if (status != TRUC_OK)
            reading_finish(reader, status, "stopped by the callback", reader->maker->messages[count - 1].position);
        return true;
    }
    if (consumed == CONSUMED_END && !reader->told) {
        if (reader->on_end != NULL) {
            (void)pthread_mutex_unlock(&client->lock);
            reader->on_end(reader->context, reader->end.status, reader->end.why, reader->end.next_position);
            (void)pthread_mutex_lock(&client->lock);
        }
        reader->told = true;
        (void)pthread_cond_broadcast(&client->changed);
        return true;
    }
    return consumed == CONSUMED_SOMETHING;
}

bool reading_deliver_one(truc_client *client)
{
    bool busy = false;

    for (struct truc_reader *reader = client->readers; reader != NULL; reader = reader->next) {
        if (reader->on_message == NULL || !reader->opened || reader->closing || reader->told)
            continue;
        reader->consuming = true;
        if (deliver(reader))
            busy = true;
        reader->consuming = false;
        if (reader->closing)
            (void)pthread_cond_broadcast(&client->changed);
    }
    if (busy) { /* credit and cancellations are waiting to be sent */
        bool ready = link_prepare(&client->link);

        if (ready) {
            (void)pthread_mutex_unlock(&client->lock);
            link_post(&client->link);
            (void)pthread_mutex_lock(&client->lock);
        }
    }
    return busy;
}
