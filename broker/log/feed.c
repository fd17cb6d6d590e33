#include "broker/log/feed.h"

#include <stdlib.h>

static truc_status fill(struct feed *feed, struct feed_buffer *buffer)
{
    buffer->at = 0;
    buffer->count = 0;
    truc_status status = feed->log->engine->postings(feed->log, buffer->topic_id, feed->place, feed->reverse, buffer->postings,
                                                     FEED_POSTINGS, &buffer->count, &buffer->indexed);
    buffer->last = buffer->count < FEED_POSTINGS;
    return status;
}

truc_status feed_begin(struct feed *feed, const struct log *log, const uint32_t *topic_ids, size_t topic_count, bool reverse,
                       uint64_t place)
{
    if (log->engine->postings == NULL) {
        return TRUC_UNSUPPORTED;
    }
    if (feed->buffers == NULL) {
        feed->buffers = calloc(FEED_TOPICS_MAX, sizeof *feed->buffers);
        if (feed->buffers == NULL) {
            return TRUC_NO_MEMORY;
        }
    }
    bool going_on = feed->begun && feed->place == place && feed->topic_count == topic_count;
    feed->begun = false;
    feed->log = log;
    feed->reverse = reverse;
    feed->place = place;
    feed->topic_count = topic_count;
    for (size_t i = 0; i < topic_count; i++) {
        struct feed_buffer *buffer = &feed->buffers[i];
        /* What ended at an older state of the index may go on by now. */
        if (going_on && !buffer->last) {
            continue;
        }
        buffer->topic_id = topic_ids[i];
        truc_status status = fill(feed, buffer);
        if (status != TRUC_OK) {
            return status;
        }
    }
    feed->begun = true;
    return TRUC_OK;
}

void feed_fini(struct feed *feed)
{
    free(feed->buffers);
}

uint64_t feed_indexed(const struct feed *feed)
{
    uint64_t indexed = UINT64_MAX;
    for (size_t i = 0; i < feed->topic_count; i++) {
        indexed = feed->buffers[i].indexed < indexed ? feed->buffers[i].indexed : indexed;
    }
    return indexed;
}

/* The buffer whose front is nearest, filled where it had run empty; NULL when there is none. */
static struct feed_buffer *nearest(struct feed *feed, truc_status *ret_status)
{
    struct feed_buffer *best = NULL;
    *ret_status = TRUC_OK;
    for (size_t i = 0; i < feed->topic_count; i++) {
        struct feed_buffer *buffer = &feed->buffers[i];
        if (buffer->at == buffer->count && !buffer->last) {
            *ret_status = fill(feed, buffer);
            if (*ret_status != TRUC_OK) {
                return NULL;
            }
        }
        if (buffer->at == buffer->count) {
            continue;
        }
        uint64_t position = buffer->postings[buffer->at].position;
        if (best == NULL || (position < best->postings[best->at].position) != feed->reverse) {
            best = buffer;
        }
    }
    return best;
}

bool feed_front(struct feed *feed, struct posting *ret_posting, truc_status *ret_status)
{
    struct feed_buffer *buffer = nearest(feed, ret_status);
    if (buffer != NULL) {
        *ret_posting = buffer->postings[buffer->at];
        feed->place = feed->reverse ? ret_posting->position + 1 : ret_posting->position; /* nothing lies between */
    }
    return buffer != NULL;
}

void feed_pass(struct feed *feed)
{
    truc_status status;
    struct feed_buffer *buffer = nearest(feed, &status);
    if (buffer != NULL) {
        uint64_t position = buffer->postings[buffer->at++].position;
        feed->place = feed->reverse ? position : position + 1;
    }
}
