#include "broker/log/verify_state.h"

#include <stdlib.h>

void seen_fini(struct seen *seen)
{
    free(seen->topics);
    free(seen->producers);
    free(seen->subscriptions);
    free(seen->sequences);
}

static bool grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = realloc(*array, wanted * size);
    if (grown != NULL) {
        *array = grown;
        *capacity = wanted;
    }
    return grown != NULL;
}

static truc_status add_topic(struct seen *seen, const struct delta_topic *topic, const char **ret_why)
{
    if (topic->topic_id != seen->topic_count + 1) {
        *ret_why = "a topic's id does not follow the last one";
        return TRUC_DAMAGED;
    }
    if (!grow((void **)&seen->topics, seen->topic_count, &seen->topic_capacity, sizeof *seen->topics)) {
        return TRUC_NO_MEMORY;
    }
    struct seen_topic *added = &seen->topics[seen->topic_count++];
    *added = (struct seen_topic){.name_size = (uint8_t)topic->name.size, .evidence = topic->evidence};
    memcpy(added->name, topic->name.data, topic->name.size);
    return TRUC_OK;
}

static truc_status add_producer(struct seen *seen, const struct delta_producer *producer, const char **ret_why)
{
    uint64_t id = producer->producer_id;
    if (id == seen->producer_count + 1) {
        if (!grow((void **)&seen->producers, seen->producer_count, &seen->producer_capacity, sizeof *seen->producers)) {
            return TRUC_NO_MEMORY;
        }
        seen->producers[seen->producer_count++] = (struct seen_producer){.producer_id = id, .epoch = producer->epoch};
        return TRUC_OK;
    }
    if (id > seen->producer_count || seen->producers[id - 1].ended || producer->epoch <= seen->producers[id - 1].epoch) {
        *ret_why = "a producer's id or epoch does not follow what was before";
        return TRUC_DAMAGED;
    }
    seen->producers[id - 1].epoch = producer->epoch;
    return TRUC_OK;
}

/* NULL with *ret_why when it was not created, or has ended. */
static struct seen_subscription *standing(struct seen *seen, uint32_t subscription_id, const char **ret_why)
{
    if (subscription_id == 0 || subscription_id > seen->subscription_count || seen->subscriptions[subscription_id - 1].ended) {
        *ret_why = "what it says is of a subscription that is not there";
        return NULL;
    }
    return &seen->subscriptions[subscription_id - 1];
}

static truc_status add_subscription(struct seen *seen, const struct subscription_row *row, const char **ret_why)
{
    if (row->subscription_id == seen->subscription_count + 1) {
        if (!grow((void **)&seen->subscriptions, seen->subscription_count, &seen->subscription_capacity,
                  sizeof *seen->subscriptions)) {
            return TRUC_NO_MEMORY;
        }
        seen->subscriptions[seen->subscription_count++] = (struct seen_subscription){.mode = row->mode};
        return TRUC_OK;
    }
    if (row->subscription_id > seen->subscription_count) {
        *ret_why = "a subscription's id does not follow the last one";
        return TRUC_DAMAGED;
    }
    const struct seen_subscription *known = standing(seen, row->subscription_id, ret_why);
    if (known != NULL && known->mode != row->mode) {
        *ret_why = "a subscription changes its mode";
        known = NULL;
    }
    return known == NULL ? TRUC_DAMAGED : TRUC_OK;
}

/* Cursors may go back: a subscription can be set to an earlier place. */
static truc_status check_subscription_state(struct seen *seen, const struct delta *delta, const char **ret_why)
{
    uint32_t id = delta->kind == DELTA_CURSOR ? delta->cursor.subscription_id : delta->lane.row.subscription_id;
    const struct seen_subscription *subscription = standing(seen, id, ret_why);
    if (subscription == NULL) {
        return TRUC_DAMAGED;
    }
    bool shared = subscription->mode == SUBSCRIPTION_SHARED;
    if (!shared && (delta->kind == DELTA_LANE || delta->cursor.place.index != 0)) {
        *ret_why = "an ordered subscription has a lane, or a cursor within an entry";
        return TRUC_DAMAGED;
    }
    if (delta->kind == DELTA_LANE && delta->lane.row.aside && delta->lane.row.place.position >= seen->position) {
        *ret_why = "a lane aside is of a record that was not in the log yet";
        return TRUC_DAMAGED;
    }
    return TRUC_OK;
}

static truc_status end_subscription(struct seen *seen, uint32_t subscription_id, const char **ret_why)
{
    struct seen_subscription *subscription = standing(seen, subscription_id, ret_why);
    if (subscription == NULL) {
        return TRUC_DAMAGED;
    }
    subscription->ended = true;
    return TRUC_OK;
}

truc_status seen_delta(struct seen *seen, const struct delta *delta, const char **ret_why)
{
    switch (delta->kind) {
    case DELTA_TOPIC:
        return add_topic(seen, &delta->topic, ret_why);
    case DELTA_PRODUCER:
        return add_producer(seen, &delta->producer, ret_why);
    case DELTA_PRODUCER_END:
        if (delta->producer_end > seen->producer_count || seen->producers[delta->producer_end - 1].ended) {
            *ret_why = "a producer ends that is not there";
            return TRUC_DAMAGED;
        }
        seen->producers[delta->producer_end - 1].ended = true;
        return TRUC_OK;
    case DELTA_SUBSCRIPTION:
        return add_subscription(seen, &delta->subscription, ret_why);
    case DELTA_SUBSCRIPTION_END:
        return end_subscription(seen, delta->subscription_end, ret_why);
    case DELTA_CURSOR:
    case DELTA_LANE:
        return check_subscription_state(seen, delta, ret_why);
    case DELTA_LOG:
    case DELTA_CLOCK:
    case DELTA_RECALL:
        break;
    }
    return TRUC_OK;
}

struct seen_topic *seen_topic(struct seen *seen, uint32_t topic_id)
{
    return topic_id != 0 && topic_id <= seen->topic_count ? &seen->topics[topic_id - 1] : NULL;
}

static struct seen_sequence *bucket_of(struct seen_sequence *buckets, size_t capacity, uint64_t producer_id, uint32_t topic_id)
{
    size_t at = (size_t)((producer_id * 0x9e3779b97f4a7c15u ^ topic_id) * 0xff51afd7ed558ccdu >> 20) & (capacity - 1);
    while (buckets[at].producer_id != 0 && (buckets[at].producer_id != producer_id || buckets[at].topic_id != topic_id)) {
        at = (at + 1) & (capacity - 1);
    }
    return &buckets[at];
}

static bool grow_sequences(struct seen *seen)
{
    if (seen->sequence_count * 3 < seen->sequence_capacity * 2) {
        return true;
    }
    size_t capacity = seen->sequence_capacity == 0 ? 256 : seen->sequence_capacity * 2;
    struct seen_sequence *buckets = calloc(capacity, sizeof *buckets);
    if (buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < seen->sequence_capacity; i++) {
        const struct seen_sequence *old = &seen->sequences[i];
        if (old->producer_id != 0) {
            *bucket_of(buckets, capacity, old->producer_id, old->topic_id) = *old;
        }
    }
    free(seen->sequences);
    seen->sequences = buckets;
    seen->sequence_capacity = capacity;
    return true;
}

truc_status seen_entry(struct seen *seen, const struct entry_fields *fields, const char **ret_why)
{
    if (fields->producer_id == 0) {
        return TRUC_OK;
    }
    /* A producer may end, or be opened again, later in the very block that holds the entry. */
    if (fields->producer_id > seen->producer_count || fields->epoch > seen->producers[fields->producer_id - 1].epoch) {
        *ret_why = "its producer, or the producer's epoch, is not known";
        return TRUC_DAMAGED;
    }
    if (!grow_sequences(seen)) {
        return TRUC_NO_MEMORY;
    }
    struct seen_sequence *sequence = bucket_of(seen->sequences, seen->sequence_capacity, fields->producer_id, fields->topic_id);
    if (sequence->next_sequence != fields->first_sequence) {
        *ret_why = "its producer's sequence does not follow the last one";
        return TRUC_DAMAGED;
    }
    if (sequence->producer_id == 0) {
        *sequence = (struct seen_sequence){.producer_id = fields->producer_id, .topic_id = fields->topic_id};
        seen->sequence_count++;
    }
    sequence->next_sequence = fields->first_sequence + fields->record_count;
    return TRUC_OK;
}
