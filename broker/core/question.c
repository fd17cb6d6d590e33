/* question.c: where a subscription begins, when that is said as an offset or a time: the log has to be asked, and the request waits
 * as the bytes it came in. Layer: core. */
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/reader.h"
#include "broker/core/subscription_answer.h"
#include "broker/core/topic_state.h"
#include "truc/v1/wire.pb-c.h"

struct question {
    uint64_t connection, request_id;
    uint32_t connection_index;
    enum frame_kind kind;
    size_t size;
    uint8_t header[];
};

static bool ask(struct core *core, struct connection *connection, const struct frame *frame, const struct core_read_spec *spec)
{
    struct core_reader *reader = reader_create_own(core, NULL, NULL);
    struct question *question = malloc(sizeof *question + frame->header.size);
    struct core_effect *effect;

    if (reader)
        reader->question = question;
    else
        free(question);
    if (!reader || !question || !reader_keep_spec(reader, spec)) {
        if (reader)
            reader_drop(core, reader);
        answer_error(core, connection, frame->request_id, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                     "the broker has no memory for this; retry after the time given");
        return false;
    }
    *question = (struct question){.connection = connection->number,
                                  .request_id = frame->request_id,
                                  .connection_index = connection->index,
                                  .kind = frame->kind,
                                  .size = frame->header.size};
    memcpy(question->header, frame->header.data, frame->header.size);
    effect = output_effect(&core->output, EFFECT_READ_OPEN);
    effect->reader = reader->number;
    effect->spec = &reader->spec;
    reader->opened = true;
    reader->state = READER_RESOLVING;
    return false;
}

void question_answered(struct core *core, struct core_reader *reader, const struct core_event *event)
{
    struct question *question = reader->question;
    struct pending of = {.connection = question->connection, .connection_index = question->connection_index};
    struct connection *connection = connection_of_pending(core, &of);
    struct frame frame = {
        .kind = question->kind, .request_id = question->request_id, .header = bytes_of(question->header, question->size)};
    struct place place = {.position = event->from};

    if (connection && event->status != TRUC_OK) {
        answer_error(core, connection, frame.request_id, refusal_of(event->status), "the place cannot be found: %s; %s",
                     event->why ? event->why : truc_status_text(event->status), truc_status_next(event->status));
    } else if (connection) {
        core->answer = &place;
        if (frame.kind == FRAME_SUBSCRIPTION_CREATE)
            core_request_subscription_create(core, connection, &frame);
        else
            core_request_subscription_change(core, connection, &frame);
        core->answer = NULL;
    }
    reader_drop(core, reader);
}

static bool refuse(struct core *core, struct connection *connection, const struct frame *frame, struct refusal refusal,
                   const char *text, uint64_t number)
{
    answer_error(core, connection, frame->request_id, refusal, text, (unsigned long long)number);
    return false;
}

/* Offsets count the records of one topic, which must be there. */
static bool check_offset(struct core *core, struct connection *connection, const struct frame *frame, struct bytes pattern,
                         uint64_t offset, const struct topic **ret_topic)
{
    const struct topic *topic;
    uint64_t hash;
    uint32_t index;

    if (!pattern_is_exact(pattern))
        return refuse(core, connection, frame, refusal_of(TRUC_INVALID_ARGUMENT),
                      "offset %llu counts the records of one topic, the pattern may match several; use a position or a time",
                      offset);
    topic = topic_find(core, pattern, &hash, &index);
    if (!topic || !topic_is_visible(topic))
        return refuse(core, connection, frame, refusal_of(TRUC_NOT_FOUND),
                      "the topic does not exist, so it has no offset %llu; `truc topic ls` lists the topics", offset);
    if (offset > topic->durable_offset)
        return refuse(core, connection, frame, refusal_actual(TRUC_OUT_OF_RANGE, topic->durable_offset),
                      "offset %llu is beyond the topic's end; `truc topic info` states the range", offset);
    *ret_topic = topic;
    return true;
}

bool subscription_bound(struct core *core, struct connection *connection, const struct frame *frame, struct bytes pattern,
                        const Truc__V1__Bound *bound, bool absent_is_head, struct place *ret_place)
{
    uint64_t head = core_visible_position(core);
    struct core_read_spec spec = {.pattern = pattern, .follow = true, .head = head};
    const struct topic *topic;

    *ret_place = (struct place){.position = head};
    if (core->answer) {
        ret_place->position = core->answer->position < head ? core->answer->position : head;
        return true;
    }
    switch (bound ? bound->at_case : TRUC__V1__BOUND__AT__NOT_SET) {
    case TRUC__V1__BOUND__AT_POSITION:
        if (bound->position > head)
            return refuse(core, connection, frame, refusal_actual(TRUC_OUT_OF_RANGE, head),
                          "position %llu is beyond the durable head; `truc log info` states the range", bound->position);
        ret_place->position = bound->position;
        return true;
    case TRUC__V1__BOUND__AT_OFFSET:
        if (!check_offset(core, connection, frame, pattern, bound->offset, &topic))
            return false;
        if (bound->offset == topic->durable_offset)
            return true;
        spec.from_kind = BOUND_OFFSET;
        spec.from = bound->offset;
        return ask(core, connection, frame, &spec);
    case TRUC__V1__BOUND__AT_APPEND_TIME_NS:
        spec.from_kind = BOUND_TIME;
        spec.from_ns = bound->append_time_ns;
        return ask(core, connection, frame, &spec);
    case TRUC__V1__BOUND__AT_HEAD:
        return true;
    default:
        return absent_is_head ||
               refuse(core, connection, frame, refusal_of(TRUC_INVALID_ARGUMENT),
                      "a reset needs a place to go on at: a position, an offset, a time, or the head (%llu)", head);
    }
}
