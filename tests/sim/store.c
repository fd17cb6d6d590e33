#include "store.h"

#include <stdlib.h>

#include "catalog.h"
#include "invariants.h"
#include "proto/directory.h"
#include "proto/record.h"

struct item {
    uint64_t ticket, position;
    bool joined;
    uint8_t *deltas; /* NULL: the entry at the position */
    size_t deltas_size;
};

struct store store;
static struct item *items; /* not yet durable */
static size_t item_first, item_end, item_capacity;
static size_t block_count; /* so many of them are the block under way */

void store_begin(void)
{
    memset(&store, 0, sizeof store);
    item_first = item_end = block_count = 0;
}

static void drop_entries(size_t keep)
{
    while (store.entry_count > keep) {
        struct stored_entry *entry = &store.entries[--store.entry_count];

        store.record_count = entry->first_record;
        batch_unref(entry->batch);
        free(entry->bytes);
    }
}

static void drop_items(void)
{
    while (item_end > item_first)
        free(items[--item_end].deltas);
    item_first = item_end = block_count = 0;
}

void store_end(void)
{
    drop_items();
    drop_entries(0);
    free(store.entries);
    free(store.records);
}

static struct item *add_item(const struct core_effect *effect)
{
    SIM_CHECK(effect->ticket == store.last_ticket + 1, "ticket %llu follows %llu", (unsigned long long)effect->ticket,
              (unsigned long long)store.last_ticket);
    if (item_first == item_end)
        item_first = item_end = 0;
    items = with_room(items, item_end, &item_capacity, sizeof *items);
    items[item_end] = (struct item){.ticket = effect->ticket, .joined = effect->joined};
    store.last_ticket = effect->ticket;
    return &items[item_end++];
}

void store_deltas(const struct core_effect *effect)
{
    struct reader deltas = reader_over(effect->bytes);
    struct item *item = add_item(effect);
    truc_status status = TRUC_OK;
    struct delta delta;
    uint32_t count = 0;

    for (size_t left = effect->bytes.size; delta_next(&deltas, &delta, &status); left = reader_left(&deltas), count++)
        SIM_CHECK(left - reader_left(&deltas) <= delta_bytes_max(delta.kind), "a delta of kind %u has %zu bytes",
                  (unsigned)delta.kind, left - reader_left(&deltas));
    SIM_CHECK(status == TRUC_OK && count > 0 && count == effect->delta_count, "the core gives the log %u deltas and tells of %u",
              count, effect->delta_count);
    item->deltas = take_memory(effect->bytes.size);
    item->deltas_size = effect->bytes.size;
    memcpy(item->deltas, effect->bytes.data, effect->bytes.size);
}

/* Records of the core's own batches (dead letters): they have a type and a key that nobody filters by. */
static void take_own_records(const struct core_prepared *prepared, struct batch_record *records)
{
    struct reader payload = reader_over(prepared->batch.stored);
    struct record_view view;
    struct bytes encoded;
    truc_status status = TRUC_OK;
    const char *why = "";
    uint32_t count = 0;

    while (records_next(&payload, &encoded, &status)) {
        SIM_CHECK(count < BATCH_RECORDS, "the core's own batch is large");
        SIM_CHECK(record_parse(encoded, &view, &why) == TRUC_OK, "the core's own record: %s", why);
        records[count] = (struct batch_record){.key = key_of_letter(view.key), .type = TYPES, .bytes = (uint32_t)encoded.size};
        records[count].hash = key_hash(records[count].key);
        count++;
    }
    SIM_CHECK(status == TRUC_OK && count == prepared->batch.record_count, "the core's own batch is malformed");
}

/* What a scan will be told of the records. */
static void check_directory(const struct core_prepared *prepared, const struct batch_record *records)
{
    struct directory_view view;

    SIM_CHECK(directory_parse(prepared->directory, &view) == TRUC_OK && view.record_count == prepared->batch.record_count,
              "a directory cannot be parsed");
    for (uint32_t i = 0; i < view.record_count; i++)
        SIM_CHECK(directory_at(&view, DIRECTORY_LENGTH, i) == records[i].bytes &&
                      directory_at(&view, DIRECTORY_KEY, i) == records[i].hash,
                  "a directory tells of other records");
}

static void add_records(struct stored_entry *entry, const struct batch_record *records)
{
    entry->first_record = (uint32_t)store.record_count;
    for (uint32_t i = 0; i < entry->append.fields.record_count; i++) {
        store.records = with_room(store.records, store.record_count, &store.record_capacity, sizeof *store.records);
        store.records[store.record_count++] =
            (struct stored_record){entry->append.position, i, entry->append.fields.topic_id, records[i]};
    }
}

void store_append(const struct core_effect *effect)
{
    const struct core_append *append = effect->append;
    const struct core_prepared *prepared = effect->prepared;
    const struct batch *together = NULL;
    struct batch *batch = batch_of(prepared);
    struct batch_record own[BATCH_RECORDS];
    struct stored_entry *entry;

    add_item(effect)->position = append->position;
    SIM_CHECK(append->position == store.entry_count, "position %llu where %zu follows", (unsigned long long)append->position,
              store.entry_count);
    SIM_CHECK(append->position == 0 || append->append_time_ns > store.entries[append->position - 1].append.append_time_ns,
              "the append time goes back at position %llu", (unsigned long long)append->position);
    store.entries = with_room(store.entries, store.entry_count, &store.entry_capacity, sizeof *store.entries);
    if (store.entry_count > 0 && store.entries[store.entry_count - 1].batch)
        together = store.entries[store.entry_count - 1].batch->with;
    SIM_CHECK(!together || together == batch, "position %llu parts batches that were published together",
              (unsigned long long)append->position);
    entry = &store.entries[store.entry_count++];
    *entry = (struct stored_entry){.append = *append, .batch_bytes = prepared->batch.encoded.size};
    entry->served = entry_served_size(append->leaf_size, prepared->batch.encoded.size);
    entry->size = entry_size(append->leaf_size, prepared->batch.encoded.size, prepared->directory.size);
    entry->bytes = take_memory(entry->size);
    entry_write(entry->bytes, &append->fields, bytes_of(append->leaf, append->leaf_size), prepared->batch.encoded,
                prepared->directory);
    if (batch) {
        entry->batch = batch_ref(batch);
        check_directory(prepared, batch->records);
        add_records(entry, batch->records);
    } else {
        take_own_records(prepared, own);
        check_directory(prepared, own);
        add_records(entry, own);
    }
}

/* --- commits --------------------------------------------------------------------------------------------------------------------
 */

bool store_can_commit(void)
{
    return !store.failed && block_count == 0 && item_end > item_first;
}

bool store_is_idle(void)
{
    return block_count == 0 && item_end == item_first;
}

void store_commit_begin(void)
{
    size_t waiting = item_end - item_first;

    block_count = one_in(3) ? 1 + (size_t)draw(waiting) : waiting;
    while (block_count < waiting && items[item_first + block_count].joined)
        block_count++;
}

static void make_durable(const struct item *item)
{
    struct reader deltas = reader_over(bytes_of(item->deltas, item->deltas_size));
    truc_status status = TRUC_OK;
    struct delta delta;

    if (!item->deltas) {
        const struct stored_entry *entry = &store.entries[item->position];

        catalog_entry(&entry->append, entry->batch_bytes);
        store.head.position++;
        store.head.last_append_ns = entry->append.append_time_ns;
        store.head.record_count += entry->append.fields.record_count;
        return;
    }
    while (delta_next(&deltas, &delta, &status))
        catalog_delta(&delta);
    SIM_CHECK(status == TRUC_OK, "a delta cannot be read back");
}

void store_commit_end(void)
{
    for (; block_count > 0; block_count--) {
        struct item *item = &items[item_first++];

        make_durable(item);
        store.durable_ticket = item->ticket;
        free(item->deltas);
        item->deltas = NULL;
    }
    if (store.head.position > 0 && store.entries[store.head.position - 1].batch)
        SIM_CHECK(!store.entries[store.head.position - 1].batch->with, "half of what was published together is on disk");
    store.head.block++;
    invariants_durable(store.durable_ticket);
}

void store_crash(bool kept)
{
    if (kept && block_count > 0)
        store_commit_end();
    drop_items();
    drop_entries(store.head.position);
    store.last_ticket = store.durable_ticket = 0;
    store.failed = false;
}
