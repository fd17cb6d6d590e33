/* read.c: READ: is what the client wants to read well said? Layer: core. */
#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/reader.h"
#include "broker/core/topic_state.h"
#include "broker/core/watch.h"
#include "truc/v1/wire.pb-c.h"

/* A request under examination. Everything is borrowed from the decoded message. */
struct wish {
    struct core *core;
    struct connection *connection;
    uint64_t request_id;
    const Truc__V1__Read *read;
    struct core_read_spec spec;
    const struct topic *topic; /* of an exact pattern, when it can be seen */
    bool exact;
};

static bool refuse(const struct wish *wish, truc_status status, const char *text)
{
    answer_error(wish->core, wish->connection, wish->request_id, refusal_of(status), "%s", text);
    return false;
}

static bool check_room(const struct wish *wish)
{
    struct core *core = wish->core;

    if (reader_find(wish->connection, wish->request_id)) {
        answer_fatal(core, wish->connection, 0, TRUC_PROTOCOL,
                     "READ with the id of a reader that is still open; give every request its own id");
        return false;
    }
    if (wish->connection->reader_count < core->config.readers_per_connection_max &&
        core->readers_by_number.count < core->config.readers_max)
        return true;
    answer_error(core, wish->connection, wish->request_id, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                 "%u readers are open on this connection (at most %u) and %u in all (at most %u); close some, or raise the limit "
                 "in the broker's configuration",
                 wish->connection->reader_count, core->config.readers_per_connection_max, core->readers_by_number.count,
                 core->config.readers_max);
    return false;
}

static bool check_pattern(struct wish *wish)
{
    const char *why = "";
    uint64_t hash;
    uint32_t index;

    wish->spec.pattern = bytes_of_text(wish->read->pattern);
    if (pattern_check(wish->spec.pattern, &why) != TRUC_OK) {
        answer_error(wish->core, wish->connection, wish->request_id, refusal_of(TRUC_BAD_PATTERN),
                     "the pattern is not valid (%s); `*` stands for one token, `>` or `**` only at the end", why);
        return false;
    }
    wish->exact = pattern_is_exact(wish->spec.pattern);
    if (wish->exact) {
        const struct topic *topic = topic_find(wish->core, wish->spec.pattern, &hash, &index);

        wish->topic = topic && topic_is_visible(topic) ? topic : NULL;
    }
    return true;
}

static bool check_filters(struct wish *wish)
{
    const Truc__V1__Read *read = wish->read;
    struct bytes source = bytes_of_text(read->source);
    struct core_read_spec *spec = &wish->spec;

    spec->key = bytes_of(read->key.data, read->key.len);
    spec->type = bytes_of(read->type.data, read->type.len);
    spec->event_since_ns = read->event_since_ns;
    spec->event_until_ns = read->event_until_ns;
    spec->reverse = read->reverse;
    spec->follow = read->follow;
    if (spec->key.size > RECORD_KEY_BYTES_MAX || spec->type.size > RECORD_TYPE_BYTES_MAX)
        return refuse(wish, TRUC_INVALID_ARGUMENT, "key or type is longer than 255 bytes; no record has such a one");
    if (spec->follow && spec->reverse)
        return refuse(wish, TRUC_INVALID_ARGUMENT, "a reading cannot both follow and run in reverse; leave one of them out");
    if (source.size == 0)
        return true;
    if (source_filter_split(source, &spec->agency, &spec->system, NULL) != TRUC_OK)
        return refuse(wish, TRUC_BAD_SOURCE,
                      "the source to read from is not valid; write AGENCY or AGENCY/SYSTEM, for example H26.16/portal");
    return true;
}

static bool check_offset(const struct wish *wish, const Truc__V1__Bound *bound)
{
    if (!bound || bound->at_case != TRUC__V1__BOUND__AT_OFFSET)
        return true;
    if (!wish->exact)
        return refuse(wish, TRUC_INVALID_ARGUMENT,
                      "an offset counts the records of one topic, the pattern may match several; use a position or a time, or name "
                      "one topic");
    if (!wish->topic && !wish->spec.follow)
        return refuse(wish, TRUC_NOT_FOUND, "the topic does not exist, so it has no offsets; `truc topic ls` lists the topics");
    return true;
}

/* A bound as positions know it. Offsets at or beyond the topic's end are its head, so the log is asked only for offsets it has. */
static void translate(const struct wish *wish, const Truc__V1__Bound *bound, enum core_bound absent, enum core_bound *ret_kind,
                      uint64_t *ret_place, int64_t *ret_time)
{
    uint64_t next_offset = wish->topic ? wish->topic->durable_offset : 0;

    *ret_kind = absent;
    if (!bound)
        return;
    switch (bound->at_case) {
    case TRUC__V1__BOUND__AT_POSITION:
        *ret_kind = BOUND_POSITION;
        *ret_place = bound->position;
        break;
    case TRUC__V1__BOUND__AT_OFFSET:
        *ret_kind = bound->offset < next_offset ? BOUND_OFFSET : BOUND_HEAD;
        *ret_place = bound->offset;
        break;
    case TRUC__V1__BOUND__AT_APPEND_TIME_NS:
        *ret_kind = BOUND_TIME;
        *ret_time = bound->append_time_ns;
        break;
    case TRUC__V1__BOUND__AT_HEAD:
        *ret_kind = BOUND_HEAD;
        break;
    default:
        break;
    }
}

static bool check_bounds(struct wish *wish)
{
    const Truc__V1__Read *read = wish->read;
    const Truc__V1__Bound *from = read->from, *until = wish->spec.follow ? NULL : read->until;
    const Truc__V1__Bound *low = read->reverse ? until : from;
    struct core_read_spec *spec = &wish->spec;

    spec->head = core_visible_position(wish->core);
    if (!check_offset(wish, from) || !check_offset(wish, until))
        return false;
    translate(wish, from, read->reverse ? BOUND_HEAD : BOUND_START, &spec->from_kind, &spec->from, &spec->from_ns);
    translate(wish, until, read->reverse ? BOUND_START : BOUND_HEAD, &spec->until_kind, &spec->until, &spec->until_ns);
    if (low && low->at_case == TRUC__V1__BOUND__AT_POSITION && low->position > spec->head) {
        answer_error(wish->core, wish->connection, wish->request_id, refusal_actual(TRUC_OUT_OF_RANGE, spec->head),
                     "position %llu is beyond the durable head %llu; `truc log info` states the range",
                     (unsigned long long)low->position, (unsigned long long)spec->head);
        return false;
    }
    if (low && wish->topic && low->at_case == TRUC__V1__BOUND__AT_OFFSET && low->offset > wish->topic->durable_offset) {
        answer_error(wish->core, wish->connection, wish->request_id, refusal_actual(TRUC_OUT_OF_RANGE, wish->topic->durable_offset),
                     "offset %llu is beyond the topic's next offset %llu; `truc topic info` states the range",
                     (unsigned long long)low->offset, (unsigned long long)wish->topic->durable_offset);
        return false;
    }
    return true;
}

static void keep_limits(const struct wish *wish, struct core_reader *reader)
{
    const struct core_read_spec *spec = &wish->spec;
    const Truc__V1__Read *read = wish->read;
    bool cut_from = read->from && read->from->at_case == TRUC__V1__BOUND__AT_OFFSET;
    bool cut_until = read->until && read->until->at_case == TRUC__V1__BOUND__AT_OFFSET && !spec->follow;

    reader->exact = wish->exact;
    reader->cut = cut_from;
    reader->from_offset = cut_from ? read->from->offset : spec->reverse ? UINT64_MAX : 0;
    reader->until_offset = cut_until ? read->until->offset : spec->reverse ? 0 : UINT64_MAX;
    reader->credit = read->credit_bytes < wish->core->config.read_credit_bytes_max
                         ? (int64_t)read->credit_bytes
                         : (int64_t)wish->core->config.read_credit_bytes_max;
    reader->window = reader->credit;
    reader->limited = read->records_max > 0;
    reader->records_left = read->records_max;
    reader->filtered = spec->key.size > 0 || spec->type.size > 0 || spec->event_since_ns != 0 || spec->event_until_ns != 0;
}

/* A topic that does not exist has nothing to read, and needs no log to say so. */
static void end_at_once(struct core *core, struct core_reader *reader)
{
    reader->position = reader->until = reader->spec.head;
    reader->state = READER_STARVED;
    reader_answer_ok(core, reader);
    reader_advance(core, reader);
}

void core_request_read(struct core *core, struct connection *connection, const struct frame *frame)
{
    struct wish wish = {.core = core, .connection = connection, .request_id = frame->request_id};
    struct core_effect *effect;
    struct core_reader *reader;

    wish.read = request_decode(core, connection, frame, &truc__v1__read__descriptor);
    if (!wish.read || !check_room(&wish) || !check_pattern(&wish) || !check_filters(&wish) || !check_bounds(&wish))
        return;
    reader = reader_create(core, connection, frame->request_id);
    if (reader && (!reader_keep_spec(reader, &wish.spec) || (wish.spec.follow && !watch_join(core, reader)))) {
        reader_drop(core, reader);
        reader = NULL;
    }
    if (!reader) {
        (void)refuse(&wish, TRUC_NO_MEMORY, "the broker has no memory for another reader; retry later or lower its limits");
        return;
    }
    keep_limits(&wish, reader);
    if (wish.exact && !wish.topic && !wish.spec.follow) {
        end_at_once(core, reader);
        return;
    }
    effect = output_effect(&core->output, EFFECT_READ_OPEN);
    effect->reader = reader->number;
    effect->spec = &reader->spec;
    reader->opened = true;
}
