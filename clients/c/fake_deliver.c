/* fake_deliver.c: what the fake broker gives to the session that takes part in a subscription. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/fake_broker.h"
#include "proto/cut.h"
#include "proto/record.h"
#include "proto/topic.h"
#include "truc/v1/wire.pb-c.h"

enum { ENTRIES_AT_ONCE = 16, RECORDS_AT_ONCE = 64 };

static uint8_t payload[FRAME_BYTES_MAX] __attribute__((aligned(8))); /* one thread answers */

static uint32_t records_of(const struct fake_entry *entry)
{
    struct reader served = reader_over(bytes_of(entry->bytes, entry->size));
    struct entry_view view;
    truc_status status;
    bool there = entry_served_next(&served, &view, &status);

    assert(there);
    return view.fields.record_count;
}

static uint32_t key_number(struct fake_subscription *subscription, struct bytes key)
{
    uint64_t hash = 14695981039346656037u;

    if (key.size == 0)
        return 0;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ key.data[i]) * 1099511628211u;
    for (uint32_t i = 0; i < subscription->key_count; i++) {
        if (subscription->keys[i] == hash)
            return i + 1;
    }
    assert(subscription->key_count < FAKE_KEYS_MAX);
    subscription->keys[subscription->key_count++] = hash;
    return subscription->key_count;
}

/* Numbers the keys of an entry's records, which are the last ones looked at. */
static void read_keys(struct fake_subscription *subscription, const struct fake_entry *entry, size_t first)
{
    struct reader served = reader_over(bytes_of(entry->bytes, entry->size)), walk;
    uint8_t *scratch = NULL;
    size_t capacity = 0;
    struct entry_view view;
    struct batch_view batch;
    struct record_view record;
    struct bytes raw, encoded;
    const char *why;
    truc_status status = TRUC_OK;

    if (!entry_served_next(&served, &view, &status) || batch_parse(view.batch, &batch, &why) != TRUC_OK ||
        batch_raw(&batch, &scratch, &capacity, &raw) != TRUC_OK)
        abort();
    walk = reader_over(raw);
    for (uint32_t index = 0; first < subscription->record_count && records_next(&walk, &encoded, &status); index++) {
        if (subscription->records[first].index != index)
            continue;
        status = record_parse(encoded, &record, &why);
        assert(status == TRUC_OK);
        subscription->records[first++].key = key_number(subscription, record.key);
    }
    free(scratch);
}

/* Looks at what was published since. */
static void scan(struct fake_broker *broker, struct fake_subscription *subscription)
{
    uint32_t every = broker->share.every == 0 ? 1 : broker->share.every;

    for (; subscription->position < broker->entry_count; subscription->position++) {
        const struct fake_entry *entry = &broker->entries[subscription->position];
        uint32_t count = pattern_match(bytes_of_text(subscription->pattern), bytes_of_text(entry->topic)) ? records_of(entry) : 0;
        size_t first = subscription->record_count;

        for (uint32_t index = 0; index < count; index += every) {
            if (subscription->record_count == subscription->record_capacity) {
                subscription->record_capacity = subscription->record_capacity * 2 + 64;
                subscription->records =
                    realloc(subscription->records, subscription->record_capacity * sizeof subscription->records[0]);
                assert(subscription->records != NULL);
            }
            subscription->records[subscription->record_count++] =
                (struct fake_record){.position = subscription->position, .index = index, .state = FAKE_FREE};
        }
        if (count > 0)
            read_keys(subscription, entry, first);
    }
}

/* One DELIVER being put together. */
struct parcelling {
    Truc__V1__Deliver header;
    Truc__V1__DeliverEntry entries[ENTRIES_AT_ONCE], *pointers[ENTRIES_AT_ONCE];
    uint32_t indexes[8192], attempts[8192];
    size_t records, size, last_size; /* of the entry put last */
};

/* Appends one entry with these records, whole or cut. */
static void put_entry(struct fake_broker *broker, struct parcelling *parcelling, uint64_t position, uint32_t *indexes, size_t count)
{
    const struct fake_entry *stored = &broker->entries[position];
    struct reader served = reader_over(bytes_of(stored->bytes, stored->size));
    Truc__V1__DeliverEntry *entry = &parcelling->entries[parcelling->header.n_entries];
    struct entry_view view;
    truc_status status;
    bool there = entry_served_next(&served, &view, &status);
    size_t before = parcelling->size;

    assert(there);
    if (broker->share.cutter == NULL)
        broker->share.cutter = cutter_create();
    truc__v1__deliver_entry__init(entry);
    entry->records = (uint32_t)count;
    if (count < view.fields.record_count) {
        entry->n_indexes = count;
        entry->indexes = indexes;
    }
    if (count < view.fields.record_count && cutter_take(broker->share.cutter, &view) == TRUC_OK) {
        cutter_write(broker->share.cutter, indexes, count, payload + parcelling->size);
        parcelling->size += cutter_size(broker->share.cutter, indexes, count);
        broker->share.cuts++;
    } else {
        memcpy(payload + parcelling->size, stored->bytes, stored->size);
        parcelling->size += stored->size;
    }
    parcelling->last_size = parcelling->size - before;
    parcelling->pointers[parcelling->header.n_entries++] = entry;
}

static void harm(struct fake_broker *broker, struct parcelling *parcelling)
{
    struct fake_share *share = &broker->share;
    Truc__V1__Deliver *header = &parcelling->header;
    Truc__V1__DeliverEntry *entry = &parcelling->entries[0];

    switch (share->delivers == share->harm_at ? share->harm : HARM_NONE) {
    case HARM_INDEX_BEYOND:
    case HARM_INDEX_ORDER:
    case HARM_INDEX_COUNT:
        entry->indexes = parcelling->indexes;
        entry->n_indexes = entry->records - (share->harm == HARM_INDEX_COUNT);
        if (share->harm == HARM_INDEX_BEYOND)
            parcelling->indexes[entry->records - 1] = 100000;
        if (share->harm == HARM_INDEX_ORDER)
            parcelling->indexes[1] = parcelling->indexes[0];
        break;
    case HARM_INDEX_OTHER:
        parcelling->indexes[entry->records - 1]++;
        break;
    case HARM_LEASE_BACK:
        header->first_lease -= 1;
        break;
    case HARM_ENTRY_MISSING:
        parcelling->size -= parcelling->last_size;
        break;
    case HARM_ENTRY_MORE:
        memcpy(payload + parcelling->size, broker->entries[0].bytes, broker->entries[0].size);
        parcelling->size += broker->entries[0].size;
        break;
    case HARM_ATTEMPTS:
        header->attempts = parcelling->attempts;
        header->n_attempts = parcelling->records + 1;
        break;
    case HARM_BYTES:
        payload[parcelling->size - 9] ^= 1;
        break;
    case HARM_TOPIC:
        for (size_t i = 0; i < broker->entry_count; i++) {
            if (!pattern_match(bytes_of_text(share->taken->pattern), bytes_of_text(broker->entries[i].topic))) {
                memcpy(payload, broker->entries[i].bytes, broker->entries[i].size);
                parcelling->size = broker->entries[i].size;
                header->n_entries = 1;
            }
        }
        break;
    default:
        break;
    }
}

/* Every record of the entry, whether it is given or not. Returns how many. */
static size_t tell_recalled(const struct fake_share *share, Truc__V1__Recalled *rows, Truc__V1__Recalled **pointers)
{
    if (share->recalled_by == NULL)
        return 0;
    for (uint32_t i = 0; i < 10; i++) {
        truc__v1__recalled__init(&rows[i]);
        rows[i].position = share->recalled_position;
        rows[i].index = i;
        rows[i].agency = (char *)(uintptr_t)share->recalled_by;
        rows[i].recall_position = share->recalled_position + 1000;
        pointers[i] = &rows[i];
    }
    return 10;
}

/* How many records of each key are leased, up to the record being looked at; more than a run: its turn has not come. */
struct runs {
    uint32_t leased[FAKE_KEYS_MAX + 1];
};

/* Whether a record may be leased now: those of its key before it are done or leased to the same worker, and the run is not over. */
static bool may_lease(const struct fake_share *share, struct runs *runs, const struct fake_record *record)
{
    uint32_t *leased = &runs->leased[record->key];
    bool may = record->state == FAKE_FREE && (record->key == 0 || *leased < share->key_run);

    if (record->key == 0 || record->state == FAKE_DONE || record->state == FAKE_DEAD)
        return may;
    *leased = may || record->state == FAKE_LEASED ? *leased + 1 : share->key_run; /* none overtakes it */
    return may;
}

/* Leases what is free, as much as a frame and the credit take. False: there was nothing. */
static bool deliver(struct fake_broker *broker)
{
    static struct parcelling parcelling;
    struct fake_share *share = &broker->share;
    struct fake_subscription *subscription = share->taken;
    bool boundless = share->harm == HARM_CREDIT && share->delivers + 1 == share->harm_at;
    size_t most = boundless                     ? sizeof parcelling.indexes / sizeof parcelling.indexes[0]
                  : share->records_at_once != 0 ? share->records_at_once
                                                : RECORDS_AT_ONCE;
    struct runs runs = {0};
    Truc__V1__Recalled recalled[RECORDS_AT_ONCE], *recalled_pointers[RECORDS_AT_ONCE];
    bool again = false;

    parcelling = (struct parcelling){.header = TRUC__V1__DELIVER__INIT};
    if (!boundless && (int64_t)most > share->credit)
        most = share->credit > 0 ? (size_t)share->credit : 0;
    for (size_t i = 0; i < subscription->record_count && parcelling.records < most;) {
        size_t first = parcelling.records;
        uint64_t position = subscription->records[i].position;

        for (; i < subscription->record_count && subscription->records[i].position == position && parcelling.records < most; i++) {
            struct fake_record *record = &subscription->records[i];

            if (!may_lease(share, &runs, record))
                continue;
            record->state = FAKE_LEASED;
            record->lease = share->next_lease + parcelling.records;
            again = again || record->attempts > 0;
            parcelling.attempts[parcelling.records] = record->attempts + 1;
            parcelling.indexes[parcelling.records++] = record->index;
        }
        if (parcelling.records > first)
            put_entry(broker, &parcelling, position, parcelling.indexes + first, parcelling.records - first);
        if (parcelling.header.n_entries == ENTRIES_AT_ONCE)
            break;
    }
    if (parcelling.records == 0)
        return false;
    parcelling.header.entries = parcelling.pointers;
    parcelling.header.first_lease = share->next_lease;
    parcelling.header.durable_position = broker->entry_count;
    if (again) {
        parcelling.header.attempts = parcelling.attempts;
        parcelling.header.n_attempts = parcelling.records;
    }
    parcelling.header.recalled = recalled_pointers;
    parcelling.header.n_recalled = tell_recalled(share, recalled, recalled_pointers);
    share->next_lease += parcelling.records;
    share->credit -= (int64_t)parcelling.records;
    share->delivers++;
    harm(broker, &parcelling);
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_DELIVER, share->subscribe_id, &parcelling.header.base,
                       bytes_of(payload, parcelling.size));
    return true;
}

/* Ordered: the next entries within the credit. False: there was nothing. */
static bool read_on(struct fake_broker *broker)
{
    struct fake_share *share = &broker->share;
    Truc__V1__ReadData data = TRUC__V1__READ_DATA__INIT;
    Truc__V1__Recalled recalled[RECORDS_AT_ONCE], *recalled_pointers[RECORDS_AT_ONCE];
    size_t size = 0;

    if (share->credit <= 0 || share->sent_position == broker->entry_count)
        return false;
    for (; share->sent_position < broker->entry_count && data.entry_count < ENTRIES_AT_ONCE; share->sent_position++) {
        const struct fake_entry *entry = &broker->entries[share->sent_position];

        if (!pattern_match(bytes_of_text(share->taken->pattern), bytes_of_text(entry->topic)))
            continue;
        memcpy(payload + size, entry->bytes, entry->size);
        size += entry->size;
        data.entry_count++;
    }
    data.next_position = share->sent_position;
    data.durable_position = broker->entry_count;
    data.recalled = recalled_pointers;
    data.n_recalled = tell_recalled(share, recalled, recalled_pointers);
    share->credit -= (int64_t)size;
    share->delivers++;
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_READ_DATA, share->subscribe_id, &data.base, bytes_of(payload, size));
    return true;
}

void fake_share_serve(struct fake_broker *broker)
{
    struct fake_share *share = &broker->share;

    if (share->taken == NULL || share->taken->paused)
        return;
    if (share->taken->ordered) {
        while (read_on(broker))
            ;
        return;
    }
    scan(broker, share->taken);
    while (deliver(broker))
        ;
}
