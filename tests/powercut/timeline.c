#include "timeline.h"

#include "proto/frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool trace_open(struct trace *trace, const char *path)
{
    *trace = (struct trace){0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *data = fstat(fd, &status) == 0 && status.st_size > 0 ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                                                               : MAP_FAILED;
    close(fd);
    if (data == MAP_FAILED)
        return false;
    trace->data = data;
    trace->size = (size_t)status.st_size;
    size_t capacity = 0;
    for (size_t at = 0; trace->size - at >= sizeof(struct trace_event);) {
        struct trace_event event;
        memcpy(&event, trace->data + at, sizeof event);
        size_t whole = sizeof event + event.name_size + (size_t)event.size;
        if (whole > trace->size - at)
            break;
        if (trace->count == capacity) {
            capacity = capacity == 0 ? 4096 : capacity * 2;
            size_t *moved = realloc(trace->starts, capacity * sizeof *moved);
            if (moved == NULL) {
                trace_close(trace);
                return false;
            }
            trace->starts = moved;
        }
        trace->starts[trace->count++] = at;
        at += whole;
    }
    return true;
}

void trace_close(struct trace *trace)
{
    if (trace->data != NULL)
        munmap((void *)(uintptr_t)trace->data, trace->size);
    free(trace->starts);
    *trace = (struct trace){0};
}

const struct trace_event *trace_at(const struct trace *trace, size_t number, const char **ret_name, const uint8_t **ret_data)
{
    static _Thread_local struct trace_event event; /* the list is not aligned */
    const uint8_t *at = trace->data + trace->starts[number - 1];
    memcpy(&event, at, sizeof event);
    *ret_name = (const char *)at + sizeof event;
    *ret_data = at + sizeof event + event.name_size;
    return &event;
}

/* --- what the sends say ----------------------------------------------------------------------------------------------------- */

enum { STREAMS_MAX = 4096, SENDS_MAX = 256 };

/* One socket's bytes that do not yet make a frame. */
struct stream {
    uint8_t *data;
    size_t size, capacity;
};

/* A send that was begun: how much of it went out is told later. */
struct send {
    uint64_t ticket, number, descriptor, size;
    const uint8_t *data;
};

/* A number of a header's field; 0 when it is absent. Fields of other kinds are skipped. */
static uint64_t header_number(struct bytes header, uint64_t wanted)
{
    struct reader r = reader_over(header);
    uint64_t found = 0;
    while (reader_left(&r) > 0 && !r.failed) {
        uint64_t tag = reader_varint(&r), value = 0;
        if ((tag & 7) == 0)
            value = reader_varint(&r);
        else if ((tag & 7) == 1)
            value = reader_u64(&r);
        else if ((tag & 7) == 2)
            reader_delimited(&r);
        else
            reader_u32(&r);
        if (tag >> 3 == wanted)
            found = value;
    }
    return r.failed ? 0 : found;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Positions below what a frame returns must be on disk before it is sent. */
static uint64_t told_by(struct timeline *timeline, const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_PUBLISH_OK:
        timeline->acknowledgements++;
        return header_number(frame->header, 1) + 1;
    case FRAME_READ_DATA:
        timeline->deliveries += header_number(frame->header, 1);
        return larger(header_number(frame->header, 2), header_number(frame->header, 3));
    case FRAME_HELLO_OK:
        return header_number(frame->header, 7);
    case FRAME_PONG:
        return header_number(frame->header, 2);
    case FRAME_READ_OK:
        return header_number(frame->header, 3);
    case FRAME_LOG_INFO_OK:
        return header_number(frame->header, 6);
    default:
        return 0;
    }
}

static bool stream_add(struct stream *stream, const uint8_t *data, size_t size)
{
    if (stream->size + size > stream->capacity) {
        size_t capacity = (stream->size + size) * 2;
        uint8_t *moved = realloc(stream->data, capacity);
        if (moved == NULL)
            return false;
        stream->data = moved;
        stream->capacity = capacity;
    }
    memcpy(stream->data + stream->size, data, size);
    stream->size += size;
    return true;
}

/* Takes the whole frames off a stream's front. */
static bool stream_frames(struct timeline *timeline, struct stream *stream, uint64_t *need, const char **ret_why)
{
    size_t at = 0;
    for (;;) {
        struct frame frame;
        size_t size = 0;
        if (frame_peek(bytes_of(stream->data + at, stream->size - at), FRAME_BYTES_MAX, &frame, &size, ret_why) != TRUC_OK)
            return false;
        if (size == 0 || size > stream->size - at)
            break;
        *need = larger(*need, told_by(timeline, &frame));
        at += size;
    }
    memmove(stream->data, stream->data + at, stream->size - at);
    stream->size -= at;
    return true;
}

struct sockets {
    struct stream streams[STREAMS_MAX];
    struct send sends[SENDS_MAX];
    size_t send_count;
};

static bool sent(struct timeline *timeline, struct sockets *sockets, const struct trace_event *event, const char **ret_why)
{
    for (size_t i = 0; i < sockets->send_count; i++) {
        struct send send = sockets->sends[i];
        if (send.ticket != event->ticket)
            continue;
        sockets->sends[i] = sockets->sends[--sockets->send_count];
        size_t size = (size_t)(event->offset < send.size ? event->offset : send.size);
        struct stream *stream = &sockets->streams[send.descriptor % STREAMS_MAX];
        return size == 0 ||
               (stream_add(stream, send.data, size) && stream_frames(timeline, stream, &timeline->needs[send.number], ret_why));
    }
    return true;
}

bool timeline_build(struct timeline *timeline, const struct trace *trace, const char **ret_why)
{
    struct sockets *sockets = calloc(1, sizeof *sockets);
    *timeline = (struct timeline){.needs = calloc(trace->count + 1, sizeof *timeline->needs)};
    *ret_why = "out of memory";
    bool fine = sockets != NULL && timeline->needs != NULL;
    for (size_t number = 1; fine && number <= trace->count; number++) {
        const char *name;
        const uint8_t *data;
        const struct trace_event *event = trace_at(trace, number, &name, &data);
        if (event->kind == TRACE_SEND && sockets->send_count < SENDS_MAX) {
            sockets->sends[sockets->send_count++] = (struct send){event->ticket, number, event->file, event->size, data};
        } else if (event->kind == TRACE_SENT) {
            fine = sent(timeline, sockets, event, ret_why);
        } else if (event->kind == TRACE_HANGUP) {
            sockets->streams[event->file % STREAMS_MAX].size = 0;
        } else if (event->kind == TRACE_START) {
            sockets->send_count = 0;
            for (size_t i = 0; i < STREAMS_MAX; i++)
                sockets->streams[i].size = 0;
        }
    }
    for (size_t number = 1; fine && number <= trace->count; number++)
        timeline->needs[number] = larger(timeline->needs[number], timeline->needs[number - 1]);
    for (size_t i = 0; sockets != NULL && i < STREAMS_MAX; i++)
        free(sockets->streams[i].data);
    free(sockets);
    return fine;
}

void timeline_fini(struct timeline *timeline)
{
    free(timeline->needs);
    *timeline = (struct timeline){0};
}
