#include "broker/log/matcher.h"

#include <stdlib.h>

#include "proto/topic.h"

enum { MATCH_STEP = 1024 }; /* topics looked at under one hold of the lock */

truc_status matcher_init(struct matcher *matcher, struct log *log, const struct log_filter *filter)
{
    if (pattern_check(filter->pattern, NULL) != TRUC_OK || filter->pattern.size > TOPIC_BYTES_MAX) {
        return TRUC_BAD_PATTERN;
    }
    if (filter->agency.size > AGENCY_BYTES_MAX || filter->system.size > SYSTEM_BYTES_MAX) {
        return TRUC_BAD_SOURCE;
    }
    *matcher = (struct matcher){.log = log, .event_since_ns = filter->event_since_ns, .event_until_ns = filter->event_until_ns};
    memcpy(matcher->pattern_bytes, filter->pattern.data, filter->pattern.size);
    matcher->pattern = bytes_of(matcher->pattern_bytes, filter->pattern.size);
    matcher->exact = pattern_is_exact(matcher->pattern);
    if (filter->agency.size > 0) {
        memcpy(matcher->agency_bytes, filter->agency.data, filter->agency.size);
        matcher->agency = bytes_of(matcher->agency_bytes, filter->agency.size);
    }
    if (filter->system.size > 0) {
        memcpy(matcher->system_bytes, filter->system.data, filter->system.size);
        matcher->system = bytes_of(matcher->system_bytes, filter->system.size);
    }
    const uint8_t *secret = log->identity.hash_secret;
    matcher->key_hash = filter->key.size > 0 ? directory_hash(secret, filter->key) : 0;
    matcher->type_hash = filter->type.size > 0 ? directory_hash(secret, filter->type) : 0;
    matcher->picky_source = matcher->agency.size > 0 || matcher->system.size > 0;
    matcher->picky_record =
        matcher->key_hash != 0 || matcher->type_hash != 0 || filter->event_since_ns != 0 || filter->event_until_ns != 0;
    matcher->picky = matcher->picky_source || matcher->picky_record;
    return TRUC_OK;
}

void matcher_fini(struct matcher *matcher)
{
    free(matcher->bitmap);
}

static void found(void *context, uint32_t topic_id)
{
    struct matcher *matcher = context;
    if (matcher->matched < FEED_TOPICS_MAX) {
        matcher->few[matcher->matched] = topic_id;
    }
    matcher->matched++;
}

static truc_status grow_bitmap(struct matcher *matcher, uint32_t last_id)
{
    size_t words = last_id / 64 + (size_t)1;
    if (words > matcher->bitmap_words) {
        words += words / 2;
        uint64_t *bitmap = realloc(matcher->bitmap, words * sizeof *bitmap);
        if (bitmap == NULL) {
            return TRUC_NO_MEMORY;
        }
        memset(bitmap + matcher->bitmap_words, 0, (words - matcher->bitmap_words) * sizeof *bitmap);
        matcher->bitmap = bitmap;
        matcher->bitmap_words = words;
    }
    return TRUC_OK;
}

truc_status matcher_update(struct matcher *matcher)
{
    uint32_t count = topics_count(&matcher->log->topics);
    if (matcher->looked == count || (matcher->exact && matcher->matched > 0)) {
        return TRUC_OK;
    }
    if (matcher->exact) {
        struct topic_row row;
        if (topics_find(&matcher->log->topics, matcher->pattern, &row, NULL)) {
            if (grow_bitmap(matcher, row.topic_id) != TRUC_OK) {
                return TRUC_NO_MEMORY;
            }
            matcher->bitmap[row.topic_id / 64] |= (uint64_t)1 << (row.topic_id % 64);
            found(matcher, row.topic_id);
        }
        matcher->looked = count;
        return TRUC_OK;
    }
    if (grow_bitmap(matcher, count) != TRUC_OK) {
        return TRUC_NO_MEMORY;
    }
    while (matcher->looked < count) {
        uint32_t left = count - matcher->looked;
        matcher->looked += topics_match(&matcher->log->topics, matcher->pattern, matcher->looked + 1,
                                        left < MATCH_STEP ? left : MATCH_STEP, matcher->bitmap, found, matcher);
    }
    return TRUC_OK;
}

bool matcher_record(const struct matcher *matcher, const struct directory_view *directory, uint32_t index)
{
    int64_t time_ns = (int64_t)directory_at(directory, DIRECTORY_TIME, index);
    return (matcher->key_hash == 0 || directory_at(directory, DIRECTORY_KEY, index) == matcher->key_hash) &&
           (matcher->type_hash == 0 || directory_at(directory, DIRECTORY_TYPE, index) == matcher->type_hash) &&
           (matcher->event_since_ns == 0 || time_ns >= matcher->event_since_ns) &&
           (matcher->event_until_ns == 0 || time_ns < matcher->event_until_ns);
}

bool matcher_source(const struct matcher *matcher, const struct batch_view *batch)
{
    return (matcher->agency.size == 0 || bytes_equal(matcher->agency, batch->source)) &&
           (matcher->system.size == 0 || bytes_equal(matcher->system, batch->system));
}

truc_status matcher_directory(const struct entry_view *entry, struct directory_view *ret_directory)
{
    struct directory_view directory;
    if (entry_directory_check(entry) != TRUC_OK || directory_parse(entry->directory, &directory) != TRUC_OK ||
        directory.record_count != entry->fields.record_count) {
        return TRUC_DAMAGED;
    }
    *ret_directory = directory;
    return TRUC_OK;
}

truc_status matcher_entry(const struct matcher *matcher, const struct entry_view *entry, bool *ret_wanted)
{
    bool wanted = true;
    if (matcher->picky_source) {
        struct batch_view batch;
        const char *why;
        if (batch_parse(entry->batch, &batch, &why) != TRUC_OK) {
            return TRUC_DAMAGED;
        }
        wanted = matcher_source(matcher, &batch);
    }
    if (wanted && matcher->picky_record) {
        struct directory_view directory;
        truc_status status = matcher_directory(entry, &directory);
        if (status != TRUC_OK) {
            return status;
        }
        wanted = false;
        for (uint32_t i = 0; !wanted && i < directory.record_count; i++) { /* key, type and time of one record at once */
            wanted = matcher_record(matcher, &directory, i);
        }
    }
    *ret_wanted = wanted;
    return TRUC_OK;
}

bool matcher_extent(const struct matcher *matcher, uint64_t *ret_low, uint64_t *ret_high, uint64_t *ret_entries)
{
    if (matcher->matched > FEED_TOPICS_MAX) {
        return false;
    }
    uint64_t low = UINT64_MAX, high = 0, entries = 0;
    for (uint32_t i = 0; i < matcher->matched; i++) {
        struct topic_row row;
        if (topics_get(&matcher->log->topics, matcher->few[i], &row, NULL) && row.entry_count > 0) {
            low = row.first_position < low ? row.first_position : low;
            high = row.last_position >= high ? row.last_position + 1 : high;
            entries += row.entry_count;
        }
    }
    *ret_low = low;
    *ret_high = high;
    *ret_entries = entries;
    return true;
}
