#include "clients/c/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/client.h"
#include "clients/c/producer.h"
#include "clients/c/sender.h"
#include "proto/topic.h"

enum { FIRST_LANES = 64, FIRST_PAYLOAD_BYTES = 1024, HOLDS_SKIPPED = 15 };

/* --- the table ------------------------------------------------------------------------------------------------------------ */

static uint32_t hash_name(const char *name, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a: names come from our own application */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    return hash;
}

struct lane *lane_lookup(struct truc_producer *producer, const char *topic, size_t size)
{
    uint32_t hash = hash_name(topic, size);
    struct lane *lane = producer->lane_capacity == 0 ? NULL : producer->lanes[hash & (producer->lane_capacity - 1)];

    while (lane != NULL && (lane->hash != hash || lane->name_size != size || memcmp(lane->name, topic, size) != 0))
        lane = lane->hash_next;
    return lane;
}

static truc_status grow_table(struct truc_producer *producer)
{
    size_t capacity = producer->lane_capacity == 0 ? FIRST_LANES : producer->lane_capacity * 2;
    struct lane **lanes = calloc(capacity, sizeof(struct lane *));

    if (lanes == NULL)
        return TRUC_NO_MEMORY;
    for (size_t i = 0; i < producer->lane_capacity; i++) {
        struct lane *lane = producer->lanes[i];

        while (lane != NULL) {
            struct lane *next = lane->hash_next;

            lane->hash_next = lanes[lane->hash & (capacity - 1)];
            lanes[lane->hash & (capacity - 1)] = lane;
            lane = next;
        }
    }
    free(producer->lanes);
    producer->lanes = lanes;
    producer->lane_capacity = capacity;
    return TRUC_OK;
}

truc_status lane_find(struct truc_producer *producer, const char *topic, size_t size, struct lane **ret_lane)
{
    struct lane *lane = producer->last_lane;
    truc_status status;

    if (lane != NULL && lane->name_size == size && memcmp(lane->name, topic, size) == 0) {
        *ret_lane = lane;
        return TRUC_OK;
    }
    lane = lane_lookup(producer, topic, size);
    if (lane == NULL) {
        status = topic_check(bytes_of(topic, size), NULL);
        if (status == TRUC_OK && producer->lane_count >= producer->lane_capacity)
            status = grow_table(producer);
        if (status != TRUC_OK)
            return status;
        lane = calloc(1, sizeof *lane + size + 1);
        if (lane == NULL)
            return TRUC_NO_MEMORY;
        memcpy(lane->name, topic, size);
        lane->name_size = (uint16_t)size;
        lane->hash = hash_name(topic, size);
        lane->producer = producer;
        lane->header_bytes = (uint32_t)send_batch_headroom(&(struct batch_header_fields){
            .topic = bytes_of(topic, size),
            .source = bytes_of_text(producer->client->settings.agency),
            .system = bytes_of_text(producer->client->settings.system),
            .evidence = EVIDENCE_BATCH,
            .producer_id = UINT64_MAX,
            .epoch = UINT32_MAX,
            .first_sequence = UINT64_MAX,
            .record_count = UINT32_MAX,
            .deliver_at_ns = INT64_MAX,
            .conditional = true,
            .expected_offset = UINT64_MAX,
        });
        lane->hash_next = producer->lanes[lane->hash & (producer->lane_capacity - 1)];
        producer->lanes[lane->hash & (producer->lane_capacity - 1)] = lane;
        producer->lane_count++;
    }
    producer->last_lane = lane;
    *ret_lane = lane;
    return TRUC_OK;
}

void lanes_free(struct truc_producer *producer)
{
    for (size_t i = 0; i < producer->lane_capacity; i++) {
        while (producer->lanes[i] != NULL) {
            struct lane *lane = producer->lanes[i];

            producer->lanes[i] = lane->hash_next;
            sender_remove(producer->client, lane);
            free(lane);
        }
    }
    free(producer->lanes);
    producer->lanes = NULL;
    producer->lane_capacity = producer->lane_count = 0;
}

/* --- batches in ------------------------------------------------------------------------------------------------------------- */

struct send_batch *lane_batch_for(struct lane *lane, size_t size, const struct batch_how *how)
{
    const struct producer_settings *settings = &lane->producer->settings;
    struct send_batch *batch = lane->tail;

    if (batch == NULL || batch->state != BATCH_OPEN || batch->record_count >= settings->batch_records ||
        batch->payload_size + size > settings->batch_bytes || !batch_how_alike(&batch->how, how))
        return NULL;
    return batch;
}

/* Links a batch behind another of the lane (NULL: at the end). */
static void link_batch(struct lane *lane, struct send_batch *batch, struct send_batch *after)
{
    if (after == NULL)
        after = lane->tail;
    batch->lane = lane;
    batch->previous = after;
    batch->next = after != NULL ? after->next : NULL;
    if (batch->next != NULL)
        batch->next->previous = batch;
    else
        lane->tail = batch;
    if (after != NULL)
        after->next = batch;
    else
        lane->head = batch;
}

static void unlink_batch(struct lane *lane, struct send_batch *batch)
{
    if (lane->unsent == batch)
        lane->unsent = batch->next;
    if (batch->previous != NULL)
        batch->previous->next = batch->next;
    else
        lane->head = batch->next;
    if (batch->next != NULL)
        batch->next->previous = batch->previous;
    else
        lane->tail = batch->previous;
    batch->next = batch->previous = NULL;
}

/* A lane that fills its batches begins with full buffers, which are all of one size and come from the store. */
static size_t first_capacity(const struct lane *lane, size_t size)
{
    size_t limit = lane->producer->settings.batch_bytes;
    size_t capacity = lane->size_hint > FIRST_PAYLOAD_BYTES ? lane->size_hint : FIRST_PAYLOAD_BYTES;

    if (capacity > limit / 2)
        capacity = limit;
    if (size > capacity)
        capacity = size > limit / 2 && size <= limit ? limit : size;
    return capacity;
}

size_t lane_open_bytes(const struct lane *lane, size_t size)
{
    return sizeof(struct send_batch) + lane->header_bytes + first_capacity(lane, size);
}

void lane_drop_empty(struct lane *lane, struct send_batch *batch)
{
    assert(batch->record_count == 0 && batch == lane->tail);
    unlink_batch(lane, batch);
    batch->status = TRUC_CANCELLED;
    producer_batch_decided(lane->producer, batch);
}

truc_status lane_open_batch(struct lane *lane, size_t size, const struct batch_how *how, struct send_batch **ret_batch)
{
    struct truc_producer *producer = lane->producer;
    struct send_batch *batch = send_batch_create(producer->client, lane->header_bytes, first_capacity(lane, size));

    if (batch == NULL)
        return TRUC_NO_MEMORY;
    batch->how = *how;
    link_batch(lane, batch, NULL);
    if (lane->unsent == NULL)
        lane->unsent = batch;
    producer_batch_opened(producer, batch, NULL);
    *ret_batch = batch;
    return TRUC_OK;
}

void lane_close_batch(struct lane *lane, struct send_batch *batch)
{
    struct truc_producer *producer = lane->producer;
    truc_client *client = producer->client;

    assert(batch->state == BATCH_OPEN);
    producer_unlinger(producer, batch);
    lane->size_hint = (uint32_t)batch->payload_size;
    if (producer->settings.codec == CODEC_NONE) {
        batch->state = BATCH_CLOSED;
        return;
    }
    batch->state = BATCH_PACKING;
    batch->pack_next = NULL;
    if (client->pack_tail != NULL)
        client->pack_tail->pack_next = batch;
    else
        client->pack_head = batch;
    client->pack_tail = batch;
    client_wake_at(client, 0);
}

/* --- sending ---------------------------------------------------------------------------------------------------------------- */

bool lane_sendable(const struct lane *lane, int64_t now_ns)
{
    const struct truc_producer *producer = lane->producer;
    const struct send_batch *batch = lane->unsent;
    uint32_t limit = producer->settings.in_flight;

    if (limit > producer->client->limits.batches_in_flight_max)
        limit = producer->client->limits.batches_in_flight_max;
    if (producer->state != PRODUCER_OPENED || lane->recovering || lane->sync_wait || batch == NULL || lane->in_flight >= limit)
        return false;
    if (now_ns != 0 && lane->retry_at_ns > now_ns)
        return false;
    return batch->state == BATCH_CLOSED ||
           (batch->state == BATCH_OPEN && batch->urgent && lane->in_flight == 0 && batch->record_count > 0);
}

static void wait_in_line(struct lane *lane, int64_t at_ns)
{
    struct truc_producer *producer = lane->producer;

    if (!lane->waiting) {
        lane->waiting = true;
        lane->wait_previous = NULL;
        lane->wait_next = producer->wait_head;
        if (lane->wait_next != NULL)
            lane->wait_next->wait_previous = lane;
        producer->wait_head = lane;
    }
    if (at_ns < producer->wait_at_ns) {
        producer->wait_at_ns = at_ns;
        client_wake_at(producer->client, at_ns);
    }
}

void lane_unwait(struct lane *lane)
{
    if (!lane->waiting)
        return;
    if (lane->wait_previous != NULL)
        lane->wait_previous->wait_next = lane->wait_next;
    else
        lane->producer->wait_head = lane->wait_next;
    if (lane->wait_next != NULL)
        lane->wait_next->wait_previous = lane->wait_previous;
    lane->waiting = false;
}

bool lane_synced(struct lane *lane, const struct send_batch *batch)
{
    struct outbox *outbox = lane->producer->outbox;

    if (outbox == NULL || outbox_synced(outbox) >= batch->outbox_end)
        return true;
    outbox_want_sync(outbox);
    lane->sync_wait = true;
    client_wake_at(lane->producer->client, 0);
    return false;
}

/* Whether the lane had better wait a moment for the threads that it has just let go. */
static bool holds_back(struct lane *lane)
{
    if (lane->hold_until_ns == 0 || lane->unsent->state != BATCH_OPEN)
        return false;
    if (lane->unsent->record_count < lane->hold_count && clock_now_ns() < lane->hold_until_ns)
        return true;
    if (lane->unsent->record_count < lane->hold_count / 2)
        lane->hold_skip = HOLDS_SKIPPED; /* they have other things to do */
    lane->hold_until_ns = 0;
    return false;
}

/* A batch with waiting threads was acknowledged. */
static void expect_back(struct lane *lane, const struct send_batch *batch)
{
    enum { HOLD_NS_LEAST = 50000, HOLD_NS_MOST = 20000000 };
    int64_t now_ns, hold_ns;

    lane->hold_until_ns = 0;
    if (batch->waited_count == 0 || batch->sent_ns == 0)
        return;
    /* Together with those that gathered meanwhile: else two groups would take turns for ever. */
    lane->hold_count =
        batch->waited_count + (lane->unsent != NULL && lane->unsent->state == BATCH_OPEN ? lane->unsent->record_count : 0);
    if (lane->hold_count < 2)
        return;
    if (lane->hold_skip > 0) {
        lane->hold_skip--;
        return;
    }
    now_ns = clock_now_ns();
    hold_ns = (now_ns - batch->sent_ns) / 2;
    hold_ns = hold_ns < HOLD_NS_LEAST ? HOLD_NS_LEAST : hold_ns > HOLD_NS_MOST ? HOLD_NS_MOST : hold_ns;
    lane->hold_until_ns = now_ns + hold_ns;
}

void lane_schedule(struct lane *lane)
{
    if (lane->ready)
        return;
    if (lane->sync_wait) {
        wait_in_line(lane, CLOCK_NEVER);
        return;
    }
    if (!lane_sendable(lane, 0))
        return;
    if (lane->retry_at_ns != 0 && lane->retry_at_ns > clock_now_ns())
        wait_in_line(lane, lane->retry_at_ns);
    else if (holds_back(lane))
        wait_in_line(lane, lane->hold_until_ns);
    else
        sender_add(lane->producer->client, lane);
}

/* Moves unsent to the first batch at or behind `from` that is to be sent, and next_sequence with it. */
static void find_unsent(struct lane *lane, struct send_batch *from)
{
    while (from != NULL && (from->state == BATCH_ACKED || from->state == BATCH_REFUSED || from->state == BATCH_SENT)) {
        if (from->state == BATCH_ACKED)
            lane->next_sequence = from->first_sequence + from->record_count;
        from = from->next;
    }
    lane->unsent = from;
}

void lane_sent(struct lane *lane, struct send_batch *batch)
{
    lane->in_flight++;
    lane->retry_at_ns = 0;
    lane->next_sequence = batch->first_sequence + batch->record_count;
    find_unsent(lane, batch->next);
}

/* --- outcomes --------------------------------------------------------------------------------------------------------------- */

/* Lets out at the head what is decided; after a refusal begins again as soon as nothing is in flight. */
static void settle(struct lane *lane)
{
    struct send_batch *batch = lane->head;

    while (batch != NULL) {
        struct send_batch *next = batch->next;

        if (batch->state == BATCH_ACKED || batch->state == BATCH_REFUSED) {
            if (batch->state == BATCH_ACKED) {
                uint64_t behind = batch->first_sequence + batch->record_count;

                if (behind > lane->acked_next)
                    lane->acked_next = behind;
                lane->pending_records -= batch->record_count;
            }
            unlink_batch(lane, batch);
            producer_batch_decided(lane->producer, batch);
        } else if (!(batch->reported && batch->attempted)) {
            break; /* those behind a batch that was already reported need not wait for it */
        }
        batch = next;
    }
    if (lane->recovering && lane->in_flight == 0) {
        lane->recovering = false;
        lane->next_sequence = lane->acked_next;
        find_unsent(lane, lane->head);
    }
    lane_schedule(lane);
}

static char *copy_why(const char *why)
{
    return why == NULL || why[0] == '\0' ? NULL : strdup(why); /* without memory the status's own text serves */
}

static void decide(struct lane *lane, struct send_batch *batch, truc_status status, const char *why)
{
    batch->state = BATCH_REFUSED;
    batch->status = status;
    free(batch->why);
    batch->why = copy_why(why);
    lane->pending_records -= batch->record_count;
}

void lane_acked(struct lane *lane, struct send_batch *batch, const struct batch_place *place)
{
    lane->in_flight--;
    lane->retry_delay_ms = 0;
    batch->state = BATCH_ACKED;
    batch->status = place->base_offset == UINT64_MAX ? TRUC_DUPLICATE : TRUC_OK;
    batch->place = *place;
    expect_back(lane, batch);
    settle(lane);
}

/* The sequence of a batch that is undecided, as the outbox counts: refused ones are gone. */
static uint64_t sequence_of(const struct lane *lane, const struct send_batch *batch)
{
    uint64_t sequence = lane->acked_next;

    for (const struct send_batch *earlier = lane->head; earlier != batch; earlier = earlier->next) {
        if (earlier->state != BATCH_REFUSED)
            sequence += earlier->record_count;
    }
    return sequence;
}

static void retry(struct lane *lane, struct send_batch *batch, uint32_t after_ms)
{
    enum { DELAY_FIRST_MS = 10, DELAY_MAX_MS = 2000 };

    batch->state = BATCH_CLOSED;
    lane->retry_delay_ms = lane->retry_delay_ms == 0 ? DELAY_FIRST_MS : lane->retry_delay_ms * 2;
    if (lane->retry_delay_ms > DELAY_MAX_MS)
        lane->retry_delay_ms = DELAY_MAX_MS;
    lane->retry_at_ns = clock_now_ns() + (int64_t)(after_ms > lane->retry_delay_ms ? after_ms : lane->retry_delay_ms) * 1000000;
}

/* A refusal that one record may have caused: the batch is parted until that record stands alone. False: it cannot be. */
static bool part(struct lane *lane, struct send_batch *batch, truc_status status)
{
    struct send_batch *second;

    if (status != TRUC_BAD_RECORD && status != TRUC_RECORD_TOO_LARGE && status != TRUC_BATCH_TOO_LARGE)
        return false;
    if (batch->record_count < 2 || batch->reported || send_batch_split(batch, &second) != TRUC_OK)
        return false;
    link_batch(lane, second, batch);
    producer_batch_opened(lane->producer, second, batch);
    producer_charge(lane->producer, batch);
    producer_charge(lane->producer, second);
    return true;
}

void lane_refused(struct lane *lane, struct send_batch *batch, const struct client_refusal *refusal)
{
    struct truc_producer *producer = lane->producer;
    bool follows = lane->recovering;

    if (refusal->status == TRUC_DUPLICATE) {
        lane_acked(lane, batch, &(struct batch_place){.base_offset = UINT64_MAX, .duplicate = true});
        return;
    }
    lane->in_flight--;
    lane->recovering = true;
    if (refusal->status == TRUC_FENCED || (refusal->status == TRUC_OUT_OF_SEQUENCE && !follows)) {
        /* Out of sequence without a cause of ours: the broker has more or fewer records than it told. Nothing can be sent safely.
         */
        batch->state = BATCH_CLOSED;
        producer_fail(producer, refusal->status, refusal->text);
        return;
    }
    if (refusal->status == TRUC_UNKNOWN_PRODUCER) {
        batch->state = BATCH_CLOSED;
        producer_reopen(producer);
    } else if (refusal->status == TRUC_OUT_OF_SEQUENCE) {
        batch->state = BATCH_CLOSED;
    } else if (truc_status_retriable(refusal->status)) {
        retry(lane, batch, refusal->retry_after_ms);
    } else if (!part(lane, batch, refusal->status)) {
        if (producer->outbox != NULL)
            outbox_refused(producer->outbox, lane->name, lane->name_size, sequence_of(lane, batch), batch->record_count);
        if (refusal->status == TRUC_CONFLICT && batch->how.conditional)
            batch->place.base_offset = refusal->actual;
        decide(lane, batch, refusal->status, refusal->text);
    }
    settle(lane);
}

void lane_disconnected(struct lane *lane)
{
    for (struct send_batch *batch = lane->head; batch != NULL; batch = batch->next) {
        if (batch->state == BATCH_SENT)
            batch->state = BATCH_CLOSED;
    }
    lane->in_flight = 0;
    lane->recovering = true;
    settle(lane);
}

void lane_forgotten(struct lane *lane, truc_status status, const char *why)
{
    for (struct send_batch *batch = lane->head; batch != NULL; batch = batch->next) {
        if (batch->attempted && (batch->state == BATCH_CLOSED || batch->state == BATCH_SENT))
            decide(lane, batch, status, why);
    }
    lane->in_flight = 0;
    lane->recovering = true;
    settle(lane);
    lane->acked_next = lane->next_sequence = 0;
}

void lane_fail(struct lane *lane, truc_status status, const char *why)
{
    for (struct send_batch *batch = lane->head; batch != NULL; batch = batch->next) {
        if (batch->state != BATCH_ACKED && batch->state != BATCH_REFUSED)
            decide(lane, batch, status, why);
    }
    lane->in_flight = 0;
    lane->recovering = true;
    settle(lane);
}

bool lane_expire(struct lane *lane, struct send_batch *batch)
{
    static const char unsent[] = "not sent within delivery_timeout_ms: it is not stored";
    static const char unknown[] = "sent but not acknowledged within delivery_timeout_ms: it may be stored, or still become so";

    if (batch->attempted) {
        if (!producer_report(lane->producer, batch, TRUC_TIMED_OUT, unknown))
            return false;
    } else {
        decide(lane, batch, TRUC_TIMED_OUT, unsent);
        if (lane->unsent == batch)
            find_unsent(lane, batch);
    }
    settle(lane);
    return true;
}
