#include "reader.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/recalled.h"
#include "broker/core/subscription_answer.h"
#include "broker/core/texts.h"
#include "broker/core/watch.h"
#include "truc/v1/wire.pb-c.h"

enum { ENTRY_BYTES_MAX = BATCH_BYTES_MAX + 64 + LEAF_BYTES_MAX + 64, READ_DATA_HEAD_MAX = FRAME_PREFIX_BYTES + 3 * 11 };
_Static_assert((int)ENTRY_BYTES_MAX + (int)READ_DATA_HEAD_MAX + (int)READ_DATA_RECALLED_MAX * (int)RECALLED_BYTES_MAX <=
                   (int)FRAME_BYTES_MAX,
               "the largest entry must fit into a frame");

static struct core_reader *create(struct core *core)
{
    struct core_reader *reader;
    uint32_t index;

    if (!table_reserve(&core->readers_by_number, 1))
        return NULL;
    reader = pool_take(&core->readers, &index);
    if (!reader)
        return NULL;
    reader->number = ++core->last_reader;
    reader->index = index;
    reader->state = READER_RESOLVING;
    table_add(&core->readers_by_number, table_mix(reader->number), index);
    return reader;
}

struct core_reader *reader_create_own(struct core *core, struct subscription *subscription, struct attachment *attachment)
{
    struct core_reader *reader = create(core);

    if (reader) {
        reader->subscription = subscription;
        reader->attachment = attachment;
        reader->state = READER_STARVED;
    }
    return reader;
}

struct core_reader *reader_create(struct core *core, struct connection *connection, uint64_t request_id)
{
    struct core_reader *reader = create(core);

    if (!reader)
        return NULL;
    reader->request_id = request_id;
    reader->connection = connection;
    reader->next = connection->readers;
    if (reader->next)
        reader->next->previous = reader;
    connection->readers = reader;
    connection->reader_count++;
    return reader;
}

struct core_reader *reader_find(struct connection *connection, uint64_t request_id)
{
    struct core_reader *reader = connection->readers;

    while (reader && reader->request_id != request_id)
        reader = reader->next;
    return reader;
}

/* The spec's texts live as long as the reader. */
bool reader_keep_spec(struct core_reader *reader, const struct core_read_spec *spec)
{
    struct bytes *const texts[] = {&reader->spec.pattern, &reader->spec.key,    &reader->spec.type,
                                   &reader->spec.agency,  &reader->spec.system, &reader->spec.headers};

    reader->spec = *spec;
    reader->text = texts_keep(texts, sizeof texts / sizeof texts[0]);
    return reader->text != NULL;
}

struct core_reader *reader_find_number(const struct core *core, uint64_t number)
{
    uint32_t index;

    for (struct table_probe probe = table_probe(&core->readers_by_number, table_mix(number));
         table_next(&core->readers_by_number, &probe, &index);) {
        struct core_reader *reader = pool_at(&core->readers, index);

        if (reader->number == number)
            return reader;
    }
    return NULL;
}

void reader_drop(struct core *core, struct core_reader *reader)
{
    struct connection *connection = reader->connection;

    watch_leave(core, reader);
    if (connection) {
        *(reader->previous ? &reader->previous->next : &connection->readers) = reader->next;
        if (reader->next)
            reader->next->previous = reader->previous;
        connection->reader_count--;
    }
    table_remove(&core->readers_by_number, table_mix(reader->number), reader->index);
    if (reader->opened)
        output_effect(&core->output, EFFECT_READ_CLOSE)->reader = reader->number;
    reader->next = core->readers_gone;
    core->readers_gone = reader;
}

void reader_bury(struct core *core)
{
    while (core->readers_gone) {
        struct core_reader *reader = core->readers_gone;

        core->readers_gone = reader->next;
        free(reader->text);
        free(reader->question);
        pool_give(&core->readers, reader->index);
    }
}

void reader_drop_all(struct core *core, struct connection *connection)
{
    while (connection->readers)
        reader_drop(core, connection->readers);
}

void reader_answer_ok(struct core *core, struct core_reader *reader)
{
    Truc__V1__ReadOk ok = TRUC__V1__READ_OK__INIT;

    ok.from_position = reader->position;
    ok.until_position = reader->until;
    ok.durable_position = core_visible_position(core);
    ok.exact = reader->exact;
    if (reader->exact) {
        ok.from_offset = reader->from_offset;
        ok.until_offset = reader->until_offset;
    }
    answer_message(core, reader->connection, FRAME_READ_OK, reader->request_id, &ok.base, bytes_of(NULL, 0));
}

void reader_end(struct core *core, struct core_reader *reader, truc_status status, const char *why)
{
    Truc__V1__ReadEnd end = TRUC__V1__READ_END__INIT;
    struct connection *connection = reader->connection;
    uint64_t request_id = reader->request_id;
    char text[384];
    size_t size = strnlen(why, sizeof text - 1);

    memcpy(text, why, size);
    text[size] = '\0';
    for (size_t i = 0; i < size; i++) { /* a reason of the log names paths: keep what is sent readable everywhere */
        if ((unsigned char)text[i] >= 0x80)
            text[i] = '?';
    }
    end.status = (uint32_t)status;
    end.message = text;
    end.next_position = reader->position;
    if (reader->attachment) {
        attachment_end(core, reader->attachment, status, text);
        return;
    }
    reader_drop(core, reader);
    answer_message(core, connection, FRAME_READ_END, request_id, &end.base, bytes_of(NULL, 0));
}

/* Is there credit to ask for more? A small rest is not worth a read unless the client can give no more back by itself. */
static bool has_credit(const struct core *core, const struct core_reader *reader)
{
    if (!reader->large && reader->credit >= (int64_t)core->config.read_chunk_bytes)
        return true;
    return reader->credit > 0 && reader->credit * 2 >= reader->window;
}

static void ask(struct core *core, struct core_reader *reader)
{
    struct core_effect *effect = output_effect(&core->output, EFFECT_READ);
    uint64_t entries_max = reader->limited ? reader->records_left : 0;

    effect->reader = reader->number;
    effect->from = reader->position;
    effect->until = reader->read_until;
    if (reader->large) {
        effect->bytes_max = ENTRY_BYTES_MAX;
        effect->entries_max = 1;
    } else {
        effect->bytes_max =
            reader->credit < (int64_t)core->config.read_chunk_bytes ? (uint32_t)reader->credit : core->config.read_chunk_bytes;
        effect->entries_max = reader->cut && reader->limited ? 1 : entries_max > UINT32_MAX ? UINT32_MAX : (uint32_t)entries_max;
    }
    reader->state = READER_READING;
}

void reader_advance(struct core *core, struct core_reader *reader)
{
    uint64_t visible = core_visible_position(core);

    if (reader->subscription) {
        subscription_touch(core, reader->subscription);
        return;
    }
    if (reader->state == READER_RESOLVING || reader->state == READER_READING)
        return;
    if (reader->connection->state == CONNECTION_CLOSING)
        return; /* its last answer found no memory: it is gone already */
    if (reader->limited && !reader->filtered && reader->records_left == 0) {
        reader_end(core, reader, TRUC_OK, "");
        return;
    }
    if (reader->spec.follow) {
        if (reader->position >= visible || !watch_may_match(reader->watch, reader->position)) {
            if (reader->state != READER_PARKED)
                watch_park(reader);
            return;
        }
        reader->read_until = visible;
    } else {
        if (reader->position == reader->until) {
            reader_end(core, reader, TRUC_OK, "");
            return;
        }
        reader->read_until = reader->until;
    }
    if (has_credit(core, reader))
        ask(core, reader);
    else
        reader->state = READER_STARVED;
}

void core_on_read_resolved(struct core *core, const struct core_event *event)
{
    struct core_reader *reader = reader_find_number(core, event->reader);
    const struct core_read_spec *spec;

    if (!reader || reader->state != READER_RESOLVING)
        return;
    if (reader->question) {
        question_answered(core, reader, event);
        return;
    }
    spec = &reader->spec;
    if (event->status != TRUC_OK) {
        struct connection *connection = reader->connection;
        uint64_t request_id = reader->request_id;

        reader_drop(core, reader);
        answer_error(core, connection, request_id, refusal_of(event->status), "the reading cannot begin: %s; %s",
                     event->why ? event->why : truc_status_text(event->status), truc_status_next(event->status));
        return;
    }
    /* What was resolved meanwhile may lie above the head of the request; nothing above that was asked for. */
    reader->position = event->from < spec->head ? event->from : spec->head;
    reader->until = event->until < spec->head ? event->until : spec->head;
    if (spec->follow)
        reader->until = UINT64_MAX;
    else if (spec->reverse ? reader->until > reader->position : reader->until < reader->position)
        reader->until = reader->position;
    reader->state = READER_STARVED;
    reader_answer_ok(core, reader);
    reader_advance(core, reader);
}

/* There is no memory to send it with: the client asks again. */
static void refuse_data(struct core *core, struct connection *connection, const struct core_read_done *done)
{
    output_effect(&core->output, EFFECT_FREE_DATA)->owner = done->owner;
    connection_close(core, connection);
}

/* READ_DATA: the payload goes out as it came from the log. */
static void send_data(struct core *core, struct core_reader *reader, const struct core_read_done *done, struct recalled *recalled)
{
    Truc__V1__ReadData header = TRUC__V1__READ_DATA__INIT;
    struct connection *connection = reader->connection;
    size_t size = READ_DATA_HEAD_MAX + recalled_bytes_max(recalled);
    uint8_t *head = slab_take(&core->output.slab, size);
    struct core_effect *effect;

    if (!head) {
        refuse_data(core, connection, done);
        return;
    }
    header.entry_count = done->entry_count;
    header.next_position = done->next;
    header.durable_position = core_visible_position(core);
    header.n_recalled = recalled ? recalled->count : 0;
    header.recalled = recalled ? recalled->pointers : NULL;
    size = frame_encode(head, size, FRAME_READ_DATA, reader->request_id, &header.base, done->data.size);
    CORE_INVARIANT(size > 0);
    output_flush(&core->output, connection);
    effect = output_effect(&core->output, EFFECT_SEND_DATA);
    effect->connection = connection->number;
    effect->bytes = bytes_of(head, size);
    effect->data = done->data;
    effect->owner = done->owner;
}

/* What the client asked for in records; the first entry of a cut reading counts as one, being only partly wanted. */
static void count_records(struct core_reader *reader, const struct core_read_done *done)
{
    uint64_t count = reader->cut ? 1 : done->record_count;

    reader->cut = false;
    if (!reader->limited || reader->filtered)
        return;
    reader->records_left -= count < reader->records_left ? count : reader->records_left;
}

/* The log's answer. False when it was not used: the entry is larger than the credit, and asked for again later. What is not used of
 * it is cut off *done. */
static bool take_data(struct core *core, struct core_reader *reader, struct core_read_done *done)
{
    struct recalled *recalled;

    if (done->data.size == 0)
        return true;
    if ((int64_t)done->data.size > reader->credit && reader->credit * 2 < reader->window) {
        reader->large = true;
        output_effect(&core->output, EFFECT_FREE_DATA)->owner = done->owner;
        return false;
    }
    reader->large = false;
    if (!recalled_of_entries(core, done, &recalled)) {
        refuse_data(core, reader->connection, done);
        return true;
    }
    reader->credit -= (int64_t)done->data.size;
    count_records(reader, done);
    send_data(core, reader, done, recalled);
    return true;
}

void core_on_read_done(struct core *core, const struct core_event *event)
{
    struct core_reader *reader = reader_find_number(core, event->reader);
    struct core_read_done done = event->done;
    struct connection *connection;

    if (!reader || reader->state != READER_READING) {
        if (done.data.size > 0)
            output_effect(&core->output, EFFECT_FREE_DATA)->owner = done.owner;
        return;
    }
    connection = reader->connection;
    reader->state = READER_STARVED;
    if (take_data(core, reader, &done)) {
        if (connection->state == CONNECTION_CLOSING)
            return; /* out of memory on the way: the reader went with its connection */
        if (event->status == TRUC_OK && done.data.size == 0 && done.next == reader->position) {
            if (reader->large) {
                reader_end(core, reader, TRUC_INTERNAL,
                           "the log reads nothing where an entry should be; report it with the broker's log");
                return;
            }
            reader->large = true;
        }
        reader->position = done.next;
    }
    if (event->status != TRUC_OK)
        reader_end(core, reader, event->status, event->why ? event->why : truc_status_text(event->status));
    else
        reader_advance(core, reader);
}
