#include "publish_answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/core/connection.h"
#include "proto/protobuf_wire.h"

enum {
    PLACE_BYTES_MAX = 2 * 11 + 9 + 2 + 6, /* of a batch's fields */
    OTHER_BYTES_MAX = 2 + PLACE_BYTES_MAX,
    TEXT_BYTES = 512
};

/* Field numbers: of a PublishOk and of a PublishedBatch the first three are the same. */
enum {
    FIELD_POSITION = 1,
    FIELD_BASE_OFFSET = 2,
    FIELD_APPEND_TIME = 3,
    OK_DUPLICATE = 4,
    OK_TOPIC_CREATED = 5,
    OK_SUBSCRIPTIONS = 6,
    OK_OTHERS = 7,
    OTHER_TOPIC_CREATED = 4,
    OTHER_SUBSCRIPTIONS = 5
};

/* --- hand-laid protobuf, as wire.proto says: fields that are zero are left out ----------------------------------------------- */

static uint8_t *put_number(uint8_t *at, unsigned field, uint64_t number)
{
    if (number == 0)
        return at;
    *at++ = (uint8_t)(field << 3 | WIRE_VARINT);
    return varint_put(at, number);
}

static uint8_t *put_place(uint8_t *at, const struct publish_place *place)
{
    at = put_number(at, FIELD_POSITION, place->position);
    at = put_number(at, FIELD_BASE_OFFSET, place->base_offset);
    if (place->append_time_ns != 0) {
        *at++ = FIELD_APPEND_TIME << 3 | WIRE_FIXED64;
        store_u64(at, (uint64_t)place->append_time_ns);
        at += sizeof(uint64_t);
    }
    return at;
}

static uint8_t *put_other(uint8_t *at, const struct publish_place *place)
{
    uint8_t *begin = at + 2, *end; /* its size is below 128: one byte */

    end = put_place(begin, place);
    end = put_number(end, OTHER_TOPIC_CREATED, place->topic_created);
    end = put_number(end, OTHER_SUBSCRIPTIONS, place->subscriptions);
    at[0] = OK_OTHERS << 3 | WIRE_DELIMITED;
    at[1] = (uint8_t)(end - begin);
    return end;
}

void publish_answer_ok(struct core *core, struct connection *connection, uint64_t request_id, const struct publish_place *places,
                       uint32_t count, bool duplicate)
{
    uint8_t *out, *at;

    if (connection->state == CONNECTION_CLOSING)
        return;
    out = output_room(&core->output, connection, FRAME_PREFIX_BYTES + 2 + (size_t)count * OTHER_BYTES_MAX);
    if (!out) {
        connection_close(core, connection);
        return;
    }
    at = put_place(out + FRAME_PREFIX_BYTES, places);
    at = put_number(at, OK_DUPLICATE, duplicate);
    at = put_number(at, OK_TOPIC_CREATED, places->topic_created);
    at = put_number(at, OK_SUBSCRIPTIONS, places->subscriptions);
    for (uint32_t i = 1; i < count; i++)
        at = put_other(at, &places[i]);
    frame_prefix_write(out, FRAME_PUBLISH_OK, request_id, (size_t)(at - out) - FRAME_PREFIX_BYTES, 0);
    output_written(&core->output, connection, (size_t)(at - out));
}

/* --- refusals ------------------------------------------------------------------------------------------------------------------
 */

void publish_answer_error(struct core *core, struct connection *connection, uint64_t request_id, unsigned number,
                          struct refusal refusal, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above; clang-tidy 14 loses sight of it */
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    va_end(arguments);
    if (number > 0)
        answer_error(core, connection, request_id, refusal, "batch %u of those sent together: %s", number, text);
    else
        answer_error(core, connection, request_id, refusal, "%s", text);
}

void publish_answer_refusal(struct core *core, struct connection *connection, uint64_t request_id,
                            const struct publish_refusal *refusal)
{
    switch (refusal->kind) {
    case PENDING_STORED:
        publish_answer_error(
            core, connection, request_id, refusal->number, refusal_of(TRUC_DUPLICATE),
            "these records are in the log already, their place is no longer remembered; go on with the next batch");
        break;
    case PENDING_SEQUENCE:
        publish_answer_error(
            core, connection, request_id, refusal->number, refusal_actual(TRUC_OUT_OF_SEQUENCE, refusal->actual),
            "sequence %llu is expected: an earlier batch was refused or not sent; drop or mend it, renumber the rest",
            (unsigned long long)refusal->actual);
        break;
    case PENDING_CONFLICT:
        publish_answer_error(
            core, connection, request_id, refusal->number, refusal_actual(TRUC_CONFLICT, refusal->actual),
            "the topic's next offset is %llu, the batch expected %llu; read the topic as far as that, decide anew, "
            "then publish with the offset you have seen",
            (unsigned long long)refusal->actual, (unsigned long long)refusal->expected);
        break;
    case PENDING_MIXED:
        publish_answer_error(core, connection, request_id, refusal->number, refusal_of(TRUC_BAD_BATCH),
                             "it is in the log already, and others sent with it are not, so they were not sent together before; "
                             "a retry is the same batches together");
        break;
    default:
        CORE_INVARIANT(false);
    }
}
