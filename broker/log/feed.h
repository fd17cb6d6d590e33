/* feed.h: the entries of a few topics in log order, from the index. Layer: log, inside. One reader's, one thread at a time.
 *
 * Each topic's postings come through a small buffer; the next one of all is the nearest of the buffers' fronts. The index
 * covers the log below `indexed` only: beyond it whoever asks looks at the blocks themselves. */
#ifndef TRUC_LOG_FEED_H
#define TRUC_LOG_FEED_H

#include "broker/log/base.h"

enum { FEED_TOPICS_MAX = 16, FEED_POSTINGS = 64 };

struct feed_buffer {
    uint32_t topic_id;
    size_t at, count;
    bool last; /* the index had no more when this was filled */
    uint64_t indexed;
    struct posting postings[FEED_POSTINGS];
};

struct feed {
    const struct log *log;
    bool reverse, begun;
    uint64_t place; /* next position to look at; reverse: exclusive */
    size_t topic_count;
    struct feed_buffer *buffers;
};

/* Begins at a place, or goes on there when the feed stands there already. TRUC_NO_MEMORY; TRUC_UNSUPPORTED and others: the
 * index cannot be used. */
truc_status feed_begin(struct feed *feed, const struct log *log, const uint32_t *topic_ids, size_t topic_count, bool reverse,
                       uint64_t place);
void feed_fini(struct feed *feed);

/* Below it (in either direction) the feed gives every entry. */
uint64_t feed_indexed(const struct feed *feed);

/* The next posting, without moving on. False: there is no more. *ret_status may tell that the index cannot be used. */
bool feed_front(struct feed *feed, struct posting *ret_posting, truc_status *ret_status);
void feed_pass(struct feed *feed); /* moves beyond the front */

#endif
