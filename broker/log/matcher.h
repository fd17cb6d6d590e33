/* matcher.h: what a reader wants: which topics, and which entries of them. Layer: log, inside. One reader's, one thread at a time.
 */
#ifndef TRUC_LOG_MATCHER_H
#define TRUC_LOG_MATCHER_H

#include "broker/log/feed.h"
#include "proto/directory.h"

struct matcher {
    struct log *log;
    uint8_t pattern_bytes[TOPIC_BYTES_MAX];
    struct bytes pattern;
    bool exact;
    /* topics known so far */
    uint32_t looked;               /* ids up to this one were matched against the pattern */
    uint32_t matched;              /* how many do */
    uint32_t few[FEED_TOPICS_MAX]; /* the first of them */
    uint64_t *bitmap;              /* by id */
    size_t bitmap_words;
    /* entries */
    bool picky; /* anything below is set: */
    bool picky_source, picky_record;
    uint64_t key_hash, type_hash; /* 0: any */
    int64_t event_since_ns, event_until_ns;
    uint8_t agency_bytes[AGENCY_BYTES_MAX], system_bytes[SYSTEM_BYTES_MAX];
    struct bytes agency, system;
};

/* TRUC_BAD_PATTERN, TRUC_BAD_SOURCE (too long). */
truc_status matcher_init(struct matcher *matcher, struct log *log, const struct log_filter *filter);
void matcher_fini(struct matcher *matcher);

/* Looks at topics that came since the last time. TRUC_NO_MEMORY. */
truc_status matcher_update(struct matcher *matcher);

static inline bool matcher_topic(const struct matcher *matcher, uint32_t topic_id)
{
    return topic_id / 64 < matcher->bitmap_words && (matcher->bitmap[topic_id / 64] >> (topic_id % 64) & 1) != 0;
}

/* Whether one record fits by key, type and time, as the directory has them. */
bool matcher_record(const struct matcher *matcher, const struct directory_view *directory, uint32_t index);
/* Whether a batch comes from the source that is wanted. */
bool matcher_source(const struct matcher *matcher, const struct batch_view *batch);
/* The directory of an entry, checked. TRUC_DAMAGED. */
truc_status matcher_directory(const struct entry_view *entry, struct directory_view *ret_directory);

/* Whether an entry of a matching topic is wanted. TRUC_DAMAGED when that cannot be told. */
truc_status matcher_entry(const struct matcher *matcher, const struct entry_view *entry, bool *ret_wanted);

/* Where the matching topics have entries at all, when they are few: [*low, *high), and how many. False: not few. */
bool matcher_extent(const struct matcher *matcher, uint64_t *ret_low, uint64_t *ret_high, uint64_t *ret_entries);

#endif
