#include "catalog.h"

#include <stdlib.h>

#include "batches.h"

enum { TOPICS_MAX = 64, SUBSCRIPTIONS_MAX = 8192 };

static struct catalog_topic topics[TOPICS_MAX]; /* by id - 1 */
static uint32_t topic_count;
static struct catalog_producer *producers; /* by id - 1; owned */
static size_t producer_count, producer_capacity;
static struct sequence_row *sequences; /* owned; by producer, in a chain */
static uint32_t *sequence_next;        /* owned, like the first ones: numbers + 1 */
static size_t sequence_count, sequence_capacity, next_capacity;
static uint32_t *sequence_first;
static size_t first_capacity;
static struct catalog_subscription *subscriptions[SUBSCRIPTIONS_MAX]; /* owned; by id - 1 */
static uint32_t subscription_last, subscription_first;                /* ids: none is above, none is below */

void catalog_begin(void)
{
    topic_count = 0;
    producer_count = sequence_count = 0;
    subscription_last = 0;
    subscription_first = 1;
}

static void drop_subscription(uint32_t id)
{
    if (subscriptions[id - 1])
        free(subscriptions[id - 1]->lanes);
    free(subscriptions[id - 1]);
    subscriptions[id - 1] = NULL;
    while (subscription_first <= subscription_last && !subscriptions[subscription_first - 1])
        subscription_first++;
}

void catalog_end(void)
{
    while (subscription_first <= subscription_last)
        drop_subscription(subscription_first);
}

/* --- what becomes durable ------------------------------------------------------------------------------------------------------
 */

static void keep_text(char *out, size_t capacity, struct bytes text)
{
    SIM_CHECK(text.size < capacity, "a text of a delta is too long");
    if (text.size > 0)
        memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void take_topic(const struct delta_topic *delta)
{
    struct catalog_topic *topic = &topics[topic_count];

    SIM_CHECK(delta->topic_id == topic_count + 1 && topic_count < TOPICS_MAX, "topic id %u follows %u", delta->topic_id,
              topic_count);
    for (uint32_t i = 0; i < topic_count; i++)
        SIM_CHECK(!bytes_equal(topics[i].row.name, delta->name), "a topic is made a second time");
    memset(topic, 0, sizeof *topic);
    keep_text(topic->name, sizeof topic->name, delta->name);
    topic->row = (struct topic_row){.topic_id = delta->topic_id, .evidence = delta->evidence, .name = bytes_of_text(topic->name)};
    topic_count++;
}

static void take_producer(const struct delta_producer *delta)
{
    struct catalog_producer *producer;

    while (producer_count < delta->producer_id) {
        producers = with_room(producers, producer_count, &producer_capacity, sizeof *producers);
        sequence_first = with_room(sequence_first, producer_count, &first_capacity, sizeof *sequence_first);
        sequence_first[producer_count] = 0;
        memset(&producers[producer_count++], 0, sizeof *producers);
    }
    producer = &producers[delta->producer_id - 1];
    SIM_CHECK(delta->epoch == (producer->there ? producer->row.epoch + 1 : 1), "producer %llu: epoch %u follows %u",
              (unsigned long long)delta->producer_id, delta->epoch, producer->there ? producer->row.epoch : 0);
    producer->there = true;
    keep_text(producer->scope, sizeof producer->scope, delta->scope);
    keep_text(producer->name, sizeof producer->name, delta->name);
    producer->row = (struct producer_row){.producer_id = delta->producer_id, .epoch = delta->epoch, .named = delta->named};
}

static void end_producer(uint64_t id)
{
    SIM_CHECK(catalog_producer(id) && !producers[id - 1].row.named, "a producer ends that is not there, or has a name");
    producers[id - 1].there = false;
    sequence_first[id - 1] = 0;
}

void subscription_row_copy(struct subscription_row *ret_row, const struct subscription_row *row, uint8_t *text)
{
    struct bytes *const texts[] = {&ret_row->owner, &ret_row->name,   &ret_row->pattern, &ret_row->type,
                                   &ret_row->key,   &ret_row->source, &ret_row->headers};
    size_t used = 0;

    *ret_row = *row;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        SIM_CHECK(used + texts[i]->size <= CATALOG_TEXT_BYTES, "the texts of a subscription are too long");
        if (texts[i]->size > 0)
            memcpy(text + used, texts[i]->data, texts[i]->size);
        texts[i]->data = text + used;
        used += texts[i]->size;
    }
}

static void take_subscription(const struct subscription_row *row)
{
    struct catalog_subscription *subscription;

    SIM_CHECK(row->subscription_id > 0 && row->subscription_id <= SUBSCRIPTIONS_MAX, "subscription id %u", row->subscription_id);
    subscription = subscriptions[row->subscription_id - 1];
    if (!subscription) {
        SIM_CHECK(!catalog_find(row->owner, row->name), "two subscriptions have one name");
        subscription = subscriptions[row->subscription_id - 1] = take_memory(sizeof *subscription);
        if (row->subscription_id > subscription_last)
            subscription_last = row->subscription_id;
        if (row->subscription_id < subscription_first)
            subscription_first = row->subscription_id;
    }
    subscription->there = true;
    subscription_row_copy(&subscription->row, row, subscription->text);
}

static void take_cursor(const struct cursor_row *row)
{
    struct catalog_subscription *subscription = catalog_subscription(row->subscription_id);

    SIM_CHECK(subscription, "a cursor of subscription %u, which is not there", row->subscription_id);
    SIM_CHECK(!place_is_before(row->place, subscription->cursor.place), "the cursor of subscription %u goes back",
              row->subscription_id);
    subscription->cursor = *row;
}

static bool same_lane(const struct lane_row *a, uint64_t key, bool aside, struct place place)
{
    return a->key == key && a->aside == aside &&
           ((key != 0 && !aside) || (a->place.position == place.position && a->place.index == place.index));
}

static void take_lane(const struct delta_lane *delta)
{
    struct catalog_subscription *subscription = catalog_subscription(delta->row.subscription_id);
    size_t at = 0;

    SIM_CHECK(subscription, "a lane of subscription %u, which is not there", delta->row.subscription_id);
    while (at < subscription->lane_count &&
           !same_lane(&subscription->lanes[at], delta->row.key, delta->row.aside, delta->row.place))
        at++;
    if (delta->gone) {
        if (at == subscription->lane_count)
            return;
        subscription->lane_count--;
        subscription->lanes[at] = subscription->lanes[subscription->lane_count];
        return;
    }
    if (at == subscription->lane_count) {
        subscription->lanes =
            with_room(subscription->lanes, subscription->lane_count, &subscription->lane_capacity, sizeof *subscription->lanes);
        subscription->lane_count++;
    }
    subscription->lanes[at] = delta->row;
}

void catalog_delta(const struct delta *delta)
{
    switch (delta->kind) {
    case DELTA_TOPIC:
        take_topic(&delta->topic);
        break;
    case DELTA_PRODUCER:
        take_producer(&delta->producer);
        break;
    case DELTA_PRODUCER_END:
        end_producer(delta->producer_end);
        break;
    case DELTA_SUBSCRIPTION:
        take_subscription(&delta->subscription);
        break;
    case DELTA_SUBSCRIPTION_END:
        SIM_CHECK(catalog_subscription(delta->subscription_end), "a subscription ends that is not there");
        drop_subscription(delta->subscription_end);
        break;
    case DELTA_CURSOR:
        take_cursor(&delta->cursor);
        break;
    case DELTA_LANE:
        take_lane(&delta->lane);
        break;
    case DELTA_CLOCK:
        SIM_CHECK(delta->clock.expected_ns != delta->clock.found_ns, "a jump of the clock by nothing");
        break;
    default:
        sim_fail("a delta of kind %u", (unsigned)delta->kind);
    }
}

static struct sequence_row *find_sequence(uint64_t producer_id, uint32_t topic_id)
{
    uint32_t at = producer_id > 0 && producer_id <= producer_count ? sequence_first[producer_id - 1] : 0;

    while (at != 0 && sequences[at - 1].topic_id != topic_id)
        at = sequence_next[at - 1];
    return at != 0 ? &sequences[at - 1] : NULL;
}

static struct sequence_row *provide_sequence(uint64_t producer_id, uint32_t topic_id)
{
    struct sequence_row *row = find_sequence(producer_id, topic_id);

    if (row)
        return row;
    sequences = with_room(sequences, sequence_count, &sequence_capacity, sizeof *sequences);
    sequence_next = with_room(sequence_next, sequence_count, &next_capacity, sizeof *sequence_next);
    sequences[sequence_count] = (struct sequence_row){.producer_id = producer_id, .topic_id = topic_id};
    sequence_next[sequence_count] = sequence_first[producer_id - 1];
    sequence_first[producer_id - 1] = (uint32_t)++sequence_count;
    return &sequences[sequence_count - 1];
}

static void count_sequence(const struct core_append *append)
{
    struct sequence_row *row;

    SIM_CHECK(catalog_producer(append->fields.producer_id) &&
                  catalog_producer(append->fields.producer_id)->row.epoch == append->fields.epoch,
              "position %llu is of producer %llu, epoch %u, which is not open", (unsigned long long)append->position,
              (unsigned long long)append->fields.producer_id, append->fields.epoch);
    row = provide_sequence(append->fields.producer_id, append->fields.topic_id);
    SIM_CHECK(append->fields.first_sequence == row->next_sequence, "producer %llu has sequence %llu stored where %llu follows",
              (unsigned long long)row->producer_id, (unsigned long long)append->fields.first_sequence,
              (unsigned long long)row->next_sequence);
    row->next_sequence += append->fields.record_count;
    if (row->result_count == BATCHES_IN_FLIGHT_MAX)
        memmove(row->results, row->results + 1, (BATCHES_IN_FLIGHT_MAX - 1) * sizeof row->results[0]);
    else
        row->result_count++;
    row->results[row->result_count - 1] = (struct batch_result){append->position, append->base_offset, append->fields.record_count};
}

void catalog_entry(const struct core_append *append, size_t batch_bytes)
{
    struct catalog_topic *topic = catalog_topic(append->fields.topic_id);

    SIM_CHECK(topic, "position %llu is of topic %u, which is not there", (unsigned long long)append->position,
              append->fields.topic_id);
    SIM_CHECK(append->base_offset == topic->row.next_offset, "position %llu: offset %llu where %llu follows",
              (unsigned long long)append->position, (unsigned long long)append->base_offset,
              (unsigned long long)topic->row.next_offset);
    if (topic->row.entry_count++ == 0) {
        topic->row.first_position = append->position;
        topic->row.created_ns = append->append_time_ns;
    }
    topic->row.next_offset += append->fields.record_count;
    topic->row.last_position = append->position;
    topic->row.last_append_ns = append->append_time_ns;
    topic->row.bytes += batch_bytes;
    memcpy(topic->row.last_leaf_hash, append->leaf_hash, DIGEST_BYTES);
    if (append->fields.producer_id != 0)
        count_sequence(append);
}

/* --- asking --------------------------------------------------------------------------------------------------------------------
 */

struct catalog_topic *catalog_topic(uint32_t id)
{
    return id > 0 && id <= topic_count ? &topics[id - 1] : NULL;
}

uint32_t catalog_topics(void)
{
    return topic_count;
}

struct catalog_producer *catalog_producer(uint64_t id)
{
    return id > 0 && id <= producer_count && producers[id - 1].there ? &producers[id - 1] : NULL;
}

uint64_t catalog_next_sequence(uint64_t producer_id, uint32_t topic_id)
{
    const struct sequence_row *row = find_sequence(producer_id, topic_id);

    return row ? row->next_sequence : 0;
}

struct catalog_subscription *catalog_subscription(uint32_t id)
{
    return id > 0 && id <= SUBSCRIPTIONS_MAX ? subscriptions[id - 1] : NULL;
}

struct catalog_subscription *catalog_find(struct bytes owner, struct bytes name)
{
    for (uint32_t i = subscription_first - 1; i < subscription_last; i++) {
        if (subscriptions[i] && bytes_equal(subscriptions[i]->row.owner, owner) && bytes_equal(subscriptions[i]->row.name, name))
            return subscriptions[i];
    }
    return NULL;
}

const struct lane_row *catalog_lane(const struct catalog_subscription *subscription, uint64_t key, bool aside, struct place place)
{
    for (size_t i = 0; i < subscription->lane_count; i++) {
        if (same_lane(&subscription->lanes[i], key, aside, place))
            return &subscription->lanes[i];
    }
    return NULL;
}

/* --- restoring ------------------------------------------------------------------------------------------------------------------
 */

static void restore_producers(struct core *core)
{
    for (size_t i = 0; i < producer_count; i++) {
        struct catalog_producer *producer = &producers[i];

        if (!producer->there)
            continue;
        producer->row.scope = bytes_of_text(producer->scope);
        producer->row.name = bytes_of_text(producer->name);
        SIM_CHECK(core_restore_producer(core, &producer->row) == TRUC_OK, "a producer cannot be restored");
    }
    for (size_t i = 0; i < producer_count; i++) {
        for (uint32_t at = producers[i].there ? sequence_first[i] : 0; at != 0; at = sequence_next[at - 1])
            SIM_CHECK(core_restore_sequence(core, &sequences[at - 1]) == TRUC_OK, "a sequence cannot be restored");
    }
}

void catalog_restore(struct core *core)
{
    for (uint32_t i = 0; i < topic_count; i++) {
        topics[i].row.name = bytes_of_text(topics[i].name);
        SIM_CHECK(core_restore_topic(core, &topics[i].row) == TRUC_OK, "a topic cannot be restored");
    }
    restore_producers(core);
    for (uint32_t i = subscription_first - 1; i < subscription_last; i++) {
        if (subscriptions[i])
            SIM_CHECK(core_restore_subscription(core, &subscriptions[i]->row) == TRUC_OK, "a subscription cannot be restored");
    }
    for (uint32_t i = subscription_first - 1; i < subscription_last; i++) {
        if (!subscriptions[i])
            continue;
        SIM_CHECK(core_restore_cursor(core, &subscriptions[i]->cursor) == TRUC_OK, "a cursor cannot be restored");
        for (size_t lane = 0; lane < subscriptions[i]->lane_count; lane++)
            SIM_CHECK(core_restore_lane(core, &subscriptions[i]->lanes[lane]) == TRUC_OK, "a lane cannot be restored");
    }
}
