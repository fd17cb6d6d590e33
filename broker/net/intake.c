#include "broker/net/intake.h"

#include <assert.h>

void intake_init(struct intake *intake, struct buffer_account *account_taken, size_t frame_bytes_max)
{
    *intake = (struct intake){.account = account_taken, .frame_bytes_max = frame_bytes_max};
}

void intake_fini(struct intake *intake)
{
    net_buffer_unref(intake->buffer);
    buffer_account_unref(intake->account);
    intake->buffer = NULL;
    intake->account = NULL;
    intake->begin = intake->end = 0;
}

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}
static size_t smallest(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool intake_is_partial(const struct intake *intake)
{
    return intake->end > intake->begin;
}

/* The size of the frame that begins, as far as its prefix tells; a broken prefix is intake_next's to report. */
static size_t frame_size_begun(const struct intake *intake)
{
    struct frame frame;
    size_t size = 0;
    const char *why;
    size_t unread = intake->end - intake->begin;
    if (unread < FRAME_PREFIX_BYTES) {
        return FRAME_PREFIX_BYTES;
    }
    struct bytes arrived = bytes_of(intake->buffer->data + intake->begin, unread);
    if (frame_peek(arrived, intake->frame_bytes_max, &frame, &size, &why) != TRUC_OK || size == 0) {
        return FRAME_PREFIX_BYTES;
    }
    return size;
}

/* Whether the buffer at hand serves for what comes next: `goal` bytes counted from begin. */
static bool buffer_serves(const struct intake *intake, size_t goal)
{
    const struct net_buffer *buffer = intake->buffer;
    if (buffer == NULL) {
        return false;
    }
    size_t room = buffer->capacity - intake->end;
    size_t unread = intake->end - intake->begin;
    if (unread == 0 && buffer->capacity > INTAKE_BYTES_SMALL && !intake->room_filled) {
        return false; /* idle: hold little */
    }
    if (unread < FRAME_PREFIX_BYTES) {
        return room >= smallest(buffer->capacity / 4, INTAKE_BYTES_FIRST);
    }
    return room > 0 && intake->begin + goal <= buffer->capacity;
}

static size_t capacity_wanted(const struct intake *intake, size_t goal)
{
    if (goal > INTAKE_BYTES_STREAM / 2) {
        return goal + INTAKE_BYTES_SLACK;
    }
    size_t level = INTAKE_BYTES_SMALL;
    if (intake->room_filled && intake->logged_in) {
        level = INTAKE_BYTES_STREAM;
    } else if (!intake->logged_in) {
        level = INTAKE_BYTES_FIRST;
    }
    return largest(level, goal + INTAKE_BYTES_FIRST / 2);
}

truc_status intake_room(struct intake *intake, uint8_t **ret_at, size_t *ret_size)
{
    size_t unread = intake->end - intake->begin;
    if (unread == 0 && intake->buffer != NULL && buffer_is_sole(intake->buffer)) {
        intake->begin = intake->end = 0;
    }
    /* What is believed of a declared size: what came whole before, or four times what has arrived. */
    size_t believed = largest(largest(intake->trusted_bytes, INTAKE_BYTES_STREAM), 4 * unread);
    size_t goal = smallest(frame_size_begun(intake), believed);
    if (!buffer_serves(intake, goal)) {
        struct net_buffer *fresh;
        size_t wanted = capacity_wanted(intake, goal);
        if (unread == 0) { /* an idle buffer goes first, so that it does not count against its successor */
            net_buffer_unref(intake->buffer);
            intake->buffer = NULL;
            intake->begin = intake->end = 0;
        }
        truc_status status = buffer_take(intake->account, wanted, &fresh);
        if (status != TRUC_OK) {
            return status;
        }
        if (unread > 0) {
            memcpy(fresh->data, intake->buffer->data + intake->begin, unread);
            net_buffer_unref(intake->buffer);
        }
        intake->buffer = fresh;
        intake->begin = 0;
        intake->end = unread;
    }
    *ret_at = intake->buffer->data + intake->end;
    *ret_size = intake->room_offered = intake->buffer->capacity - intake->end;
    return TRUC_OK;
}

void intake_received(struct intake *intake, size_t size)
{
    assert(size <= intake->room_offered);
    intake->end += size;
    intake->room_filled = size == intake->room_offered;
    intake->room_offered = 0;
}

bool intake_next(struct intake *intake, struct frame *ret_frame, truc_status *ret_status, const char **ret_why)
{
    size_t size = 0;
    *ret_status = TRUC_OK;
    if (intake->buffer == NULL) {
        return false;
    }
    struct bytes arrived = bytes_of(intake->buffer->data + intake->begin, intake->end - intake->begin);
    *ret_status = frame_peek(arrived, intake->frame_bytes_max, ret_frame, &size, ret_why);
    if (*ret_status != TRUC_OK || size == 0 || size > arrived.size) {
        return false;
    }
    intake->begin += size;
    intake->trusted_bytes = largest(intake->trusted_bytes, size);
    return true;
}
