/* store_read.c: what the log answers to readings: the same as broker/log promises, by looking at every record. Layer: test of core.
 */
#include <stdlib.h>

#include "catalog.h"
#include "proto/cut.h"
#include "proto/topic.h"
#include "store.h"

/* --- filters ---------------------------------------------------------------------------------------------------------------------
 */

static void keep_text(char *out, size_t capacity, struct bytes text)
{
    SIM_CHECK(text.size < capacity, "a text of a reading is too long");
    if (text.size > 0)
        memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

void filter_make(struct store_filter *ret_filter, struct bytes pattern, struct bytes key, struct bytes type, struct bytes agency,
                 struct bytes system)
{
    memset(ret_filter, 0, sizeof *ret_filter);
    keep_text(ret_filter->pattern, sizeof ret_filter->pattern, pattern);
    keep_text(ret_filter->agency, sizeof ret_filter->agency, agency);
    keep_text(ret_filter->system, sizeof ret_filter->system, system);
    ret_filter->type = TYPES;
    for (uint16_t i = 1; key.size > 0 && i <= KEYS; i++)
        ret_filter->key = bytes_equal(key_text(i), key) ? i : ret_filter->key;
    for (uint8_t i = 0; type.size > 0 && i < TYPES; i++)
        ret_filter->type = bytes_equal(type_text(i), type) ? i : ret_filter->type;
}

static bool wants_topic(struct store_filter *filter, uint32_t topic_id)
{
    while (filter->known < topic_id && filter->known < catalog_topics()) {
        if (pattern_match(bytes_of_text(filter->pattern), bytes_of_text(catalog_topic(filter->known + 1)->name)))
            filter->topics[0] |= UINT64_C(1) << filter->known;
        filter->known++;
    }
    return (filter->topics[0] >> (topic_id - 1) & 1) != 0;
}

static bool wants_source(const struct store_filter *filter, const struct stored_entry *entry)
{
    struct entry_view view;
    struct batch_view batch;
    const char *why = "";

    if (filter->agency[0] == '\0')
        return true;
    SIM_CHECK(entry_parse(bytes_of(entry->bytes, entry->size), &view) == TRUC_OK &&
                  batch_parse(view.batch, &batch, &why) == TRUC_OK,
              "an entry cannot be parsed");
    return bytes_equal(batch.source, bytes_of_text(filter->agency)) &&
           (filter->system[0] == '\0' || bytes_equal(batch.system, bytes_of_text(filter->system)));
}

static bool wants(const struct store_filter *filter, const struct batch_record *record)
{
    return (filter->key == 0 || filter->key == record->key) && (filter->type == TYPES || filter->type == record->type);
}

bool filter_wants_entry(struct store_filter *filter, uint64_t position)
{
    const struct stored_entry *entry = &store.entries[position];
    bool any = false;

    if (!wants_topic(filter, entry->append.fields.topic_id) || !wants_source(filter, entry))
        return false;
    for (uint32_t i = 0; i < entry->append.fields.record_count && !any; i++)
        any = wants(filter, &store.records[entry->first_record + i].what);
    return any;
}

bool filter_wants_record(struct store_filter *filter, uint32_t record)
{
    const struct stored_record *stored = &store.records[record];

    return wants_topic(filter, stored->topic_id) && wants(filter, &stored->what) &&
           wants_source(filter, &store.entries[stored->position]);
}

uint32_t store_record_at(struct place place)
{
    SIM_CHECK(place.position < store.entry_count && place.index < store.entries[place.position].append.fields.record_count,
              "there is no record %u at position %llu", place.index, (unsigned long long)place.position);
    return store.entries[place.position].first_record + place.index;
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------------------------- */

static struct core_entry_ref refs[256]; /* of the last answer */

static void refer(const struct stored_entry *entry, size_t size, struct core_read_done *done)
{
    SIM_CHECK(done->ref_count < sizeof refs / sizeof refs[0], "too many references");
    done->refs = refs;
    refs[done->ref_count++] = (struct core_entry_ref){.position = entry->append.position,
                                                      .base_offset = entry->append.base_offset,
                                                      .topic_id = entry->append.fields.topic_id,
                                                      .record_count = entry->append.fields.record_count,
                                                      .size = (uint32_t)size};
}

static void copy_entry(const struct stored_entry *entry, struct core_read_done *done, uint8_t *out, size_t *used)
{
    memcpy(out + *used, entry->bytes, entry->served);
    *used += entry->served;
    done->entry_count++;
    done->record_count += entry->append.fields.record_count;
}

void store_read(struct store_filter *filter, const struct store_read *read, struct core_read_done *ret_done)
{
    enum { ROOM = 64 * 1024 };
    uint8_t *out = take_memory(ROOM);
    size_t used = 0, room = read->bytes_max < ROOM ? read->bytes_max : ROOM, most = sizeof refs / sizeof refs[0];
    uint64_t at = read->from;

    SIM_CHECK(read->from <= store.head.position && read->until <= store.head.position, "a reading above what is on disk");
    memset(ret_done, 0, sizeof *ret_done);
    while (at != read->until) {
        uint64_t position = read->reverse ? at - 1 : at;

        if (filter_wants_entry(filter, position)) {
            const struct stored_entry *entry = &store.entries[position];

            if (used + entry->served > room || ret_done->ref_count == most ||
                (read->entries_max > 0 && ret_done->entry_count == read->entries_max) || (used > 0 && one_in(12)))
                break;
            copy_entry(entry, ret_done, out, &used);
            if (read->references)
                refer(entry, entry->served, ret_done);
        }
        at = read->reverse ? at - 1 : at + 1;
    }
    ret_done->next = at;
    if (used == 0) {
        free(out);
        return;
    }
    ret_done->data = bytes_of(out, used);
    ret_done->owner = out;
}

static bool is_searched(const struct core_scan *scan, uint64_t hash)
{
    for (size_t i = 0; i < scan->key_count; i++) {
        if (scan->keys[i] == hash)
            return true;
    }
    return scan->key_count == 0;
}

static struct place place_of(uint32_t record)
{
    return (struct place){store.records[record].position, store.records[record].index};
}

void store_scan(struct store_filter *filter, const struct core_scan *scan, struct share_record *records, size_t room,
                struct core_scanned *ret_scanned)
{
    size_t most = scan->records_max < room ? scan->records_max : room, count = 0;
    uint32_t at = scan->from.position < store.head.position ? store.entries[scan->from.position].first_record
                                                            : (uint32_t)store.head.record_count;

    SIM_CHECK(!place_is_before((struct place){store.head.position, 0}, scan->until), "a scan above what is on disk");
    SIM_CHECK(scan->records_max > 0, "a scan that wants nothing");
    for (size_t i = 1; i < scan->key_count; i++)
        SIM_CHECK(scan->keys[i - 1] < scan->keys[i], "the keys of a search do not ascend");
    *ret_scanned = (struct core_scanned){.records = records, .next = scan->until};
    for (; at < store.head.record_count && place_is_before(place_of(at), scan->until); at++) {
        const struct batch_record *what = &store.records[at].what;

        if (place_is_before(place_of(at), scan->from))
            continue;
        if (count == most || (count > 0 && one_in(24))) {
            ret_scanned->next = place_of(at);
            break;
        }
        if (is_searched(scan, what->hash) && filter_wants_record(filter, at))
            records[count++] = (struct share_record){.place = place_of(at),
                                                     .bytes = what->bytes,
                                                     .key = what->hash,
                                                     .deliver_at_ns = what->deliver_at_ns,
                                                     .expires_at_ns = what->expires_at_ns};
    }
    ret_scanned->count = count;
}

/* --- fetching
 * --------------------------------------------------------------------------------------------------------------------- */

static size_t serve(struct cutter *cutter, const struct place *places, size_t count, uint8_t *out, size_t room)
{
    const struct stored_entry *entry = &store.entries[places[0].position];
    uint32_t indexes[BATCH_RECORDS];
    struct entry_view view;
    size_t size = entry->served;
    bool cut = count < entry->append.fields.record_count && entry->append.leaf[2] == EVIDENCE_RECORD;

    for (size_t i = 0; i < count; i++) {
        (void)store_record_at(places[i]);
        SIM_CHECK(i == 0 || places[i - 1].index < places[i].index, "the places of a fetch do not ascend");
        indexes[i] = places[i].index;
    }
    if (cut) {
        SIM_CHECK(entry_parse(bytes_of(entry->bytes, entry->size), &view) == TRUC_OK && cutter_take(cutter, &view, NULL) == TRUC_OK,
                  "an entry cannot be cut");
        size = cutter_size(cutter, indexes, count);
    }
    SIM_CHECK(size <= room, "a fetch is too large for the simulator");
    if (cut)
        cutter_write(cutter, indexes, count, out);
    else
        memcpy(out, entry->bytes, entry->served);
    return size;
}

void store_fetch(const struct place *places, size_t count, struct core_read_done *ret_done)
{
    enum { ROOM = 512 * 1024 };
    static struct cutter *cutter;
    static uint8_t room[ROOM] __attribute__((aligned(8)));
    size_t used = 0, first = 0;
    uint8_t *out;

    memset(ret_done, 0, sizeof *ret_done);
    if (!cutter)
        cutter = cutter_create();
    SIM_CHECK(cutter, "no memory");
    while (first < count) {
        size_t end = first, size;

        SIM_CHECK(places[first].position < store.head.position, "a fetch above what is on disk");
        while (end < count && places[end].position == places[first].position)
            end++;
        size = serve(cutter, places + first, end - first, room + used, sizeof room - used);
        refer(&store.entries[places[first].position], size, ret_done);
        used += size;
        first = end;
    }
    out = take_memory(used);
    memcpy(out, room, used);
    ret_done->entry_count = (uint32_t)count;
    ret_done->data = bytes_of(out, used);
    ret_done->owner = out;
}

/* --- looking
 * ---------------------------------------------------------------------------------------------------------------------- */

enum { LOOKS = 256 };

static void look_at_record(struct store_filter *filter, const struct core_look *look, struct place place,
                           struct core_look_record *ret_record)
{
    const struct batch_record *what;
    uint32_t record;

    *ret_record = (struct core_look_record){.wanted = false};
    if (place.position >= look->head || place.index >= store.entries[place.position].append.fields.record_count)
        return;
    record = store_record_at(place);
    what = &store.records[record].what;
    if (filter_wants_record(filter, record))
        *ret_record = (struct core_look_record){.wanted = true,
                                                .bytes = what->bytes,
                                                .key = what->hash,
                                                .deliver_at_ns = what->deliver_at_ns,
                                                .expires_at_ns = what->expires_at_ns};
}

static void look_for_records(const struct core_look *look, struct core_looked *looked)
{
    static struct core_look_record found[LOOKS];
    const struct place *places = look->places;

    SIM_CHECK(look->subject_count * look->place_count <= LOOKS, "a look at too much");
    if (look->by_offset) {
        const struct stored_entry *entry = &store.entries[store_find_offset(look->topic, look->offset)];

        looked->place = (struct place){entry->append.position, (uint32_t)(look->offset - entry->append.base_offset)};
        looked->append_time_ns = entry->append.append_time_ns;
        places = &looked->place;
    }
    for (size_t i = 0; i < look->subject_count; i++) {
        const struct core_read_spec *spec = &look->subjects[i].spec;
        struct store_filter filter;

        filter_make(&filter, spec->pattern, spec->key, spec->type, spec->agency, spec->system);
        for (size_t j = 0; j < look->place_count; j++)
            look_at_record(&filter, look, places[j], &found[i * look->place_count + j]);
    }
    looked->records = found;
}

static void look_for_lag(const struct core_look *look, struct core_look_lag *ret_lag)
{
    struct store_filter filter;

    filter_make(&filter, look->subjects[0].spec.pattern, bytes_of(NULL, 0), bytes_of(NULL, 0), bytes_of(NULL, 0),
                bytes_of(NULL, 0));
    for (uint64_t at = look->places[0].position; at < look->head; at++) {
        const struct stored_entry *entry = &store.entries[at];

        if (!filter_wants_entry(&filter, at))
            continue;
        if (ret_lag->records == 0)
            ret_lag->since_ns = entry->append.append_time_ns;
        ret_lag->records += entry->append.fields.record_count;
        ret_lag->bytes += entry->batch_bytes;
    }
}

void store_look(const struct core_look *look, struct core_looked *ret_looked)
{
    static const struct core_look_history unknown[LOOKS];

    SIM_CHECK(look->head <= store.head.position, "a look at what is not on disk");
    SIM_CHECK(look->subject_count <= LOOKS, "a look for too many");
    *ret_looked = (struct core_looked){.place = {0}};
    if (look->kind == LOOK_RECORDS)
        look_for_records(look, ret_looked);
    else if (look->kind == LOOK_HISTORY)
        ret_looked->histories = unknown;
    else
        look_for_lag(look, &ret_looked->lag);
}

/* --- finding
 * ---------------------------------------------------------------------------------------------------------------------- */

uint64_t store_find_time(int64_t at_ns)
{
    uint64_t position = 0;

    while (position < store.head.position && store.entries[position].append.append_time_ns < at_ns)
        position++;
    return position;
}

uint64_t store_find_offset(struct bytes topic, uint64_t offset)
{
    for (uint64_t position = 0; position < store.head.position; position++) {
        const struct core_append *append = &store.entries[position].append;

        if (bytes_equal(bytes_of_text(catalog_topic(append->fields.topic_id)->name), topic) && offset >= append->base_offset &&
            offset < append->base_offset + append->fields.record_count)
            return position;
    }
    sim_fail("the core asks for offset %llu, which is not on disk", (unsigned long long)offset);
}
