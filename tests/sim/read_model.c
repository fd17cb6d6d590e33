#include "read_model.h"

#include "world.h"

enum { READS_MAX = 2048 };

struct read {
    uint64_t connection, request_id;
    struct attachment *attachment; /* of an ordered subscription; NULL: a plain reading */
    struct store_filter filter;
    bool begun, follow, reverse, limited;
    uint64_t next, until, sent, granted, records_left;
};

static struct read reads[READS_MAX];
static size_t read_count;

void read_model_begin(void)
{
    read_count = 0;
}

static struct read *find(uint64_t connection, uint64_t request_id)
{
    for (size_t i = 0; i < read_count; i++) {
        if (reads[i].connection == connection && reads[i].request_id == request_id)
            return &reads[i];
    }
    return NULL;
}

void read_model_ends(uint64_t connection, uint64_t request_id)
{
    struct read *read = find(connection, request_id);

    if (!read)
        return;
    read_count--;
    *read = reads[read_count];
}

void read_model_left(uint64_t connection)
{
    for (size_t i = 0; i < read_count;) {
        if (reads[i].connection != connection) {
            i++;
            continue;
        }
        read_count--;
        reads[i] = reads[read_count];
    }
}

void read_model_crash(void)
{
    read_count = 0;
}

static struct read *add(struct connection *connection, uint64_t request_id)
{
    SIM_CHECK(read_count < READS_MAX, "too many readings");
    reads[read_count] = (struct read){.connection = connection->number, .request_id = request_id};
    return &reads[read_count++];
}

void read_model_asked(struct connection *connection, uint64_t request_id, const Truc__V1__Read *asked)
{
    struct read *read = add(connection, request_id);

    filter_make(&read->filter, bytes_of_text(asked->pattern), bytes_of(asked->key.data, asked->key.len),
                bytes_of(asked->type.data, asked->type.len), bytes_of(NULL, 0), bytes_of(NULL, 0));
    read->follow = asked->follow;
    read->reverse = asked->reverse;
    read->limited = asked->records_max > 0;
    read->records_left = asked->records_max;
    read->granted = asked->credit_bytes;
}

void read_model_credit(struct connection *connection, uint64_t request_id, uint64_t bytes)
{
    struct read *read = find(connection->number, request_id);
    struct attachment *attachment = attachment_of(connection->number, request_id);

    if (read)
        read->granted += bytes;
    else if (attachment)
        attachment->credit += bytes;
}

/* The one active attachment: the first one. */
static struct read *begin_ordered(struct connection *connection, uint64_t request_id, const Truc__V1__ReadOk *ok)
{
    struct attachment *attachment = attachment_of(connection->number, request_id);
    struct read *read;

    SIM_CHECK(attachment && attachment->sub->row.mode == SUBSCRIPTION_ORDERED, "READ_OK for nobody's reading");
    SIM_CHECK(attachment == attachment->sub->attachments, "two subscribers of an ordered subscription are active");
    SIM_CHECK(!attachment->sub->row.paused, "a paused subscription is read");
    SIM_CHECK(ok->from_position == attachment->sub->place.position, "subscription %u goes on at %llu, acknowledged is %llu",
              attachment->sub->row.subscription_id, (unsigned long long)ok->from_position,
              (unsigned long long)attachment->sub->place.position);
    read = add(connection, request_id);
    read->attachment = attachment;
    read->filter = attachment->sub->filter;
    read->follow = true;
    read->granted = attachment->credit;
    return read;
}

void read_model_ok(struct connection *connection, uint64_t request_id, const Truc__V1__ReadOk *ok)
{
    struct read *read = find(connection->number, request_id);

    if (!read)
        read = begin_ordered(connection, request_id, ok);
    SIM_CHECK(!read->begun, "READ_OK comes twice");
    SIM_CHECK(ok->durable_position <= store.head.position && ok->from_position <= store.head.position, "a reading above the head");
    read->begun = true;
    read->next = ok->from_position;
    read->until = ok->until_position;
}

static void compare(struct read *read, struct reader *payload, uint64_t position)
{
    const struct stored_entry *entry = &store.entries[position];
    static uint8_t *scratch;
    static size_t capacity;
    struct entry_view view;
    struct batch_view batch;
    struct leaf leaf;
    struct bytes raw;
    truc_status status = TRUC_OK;
    const char *why = "";

    SIM_CHECK(entry_served_next(payload, &view, &status), "position %llu is wanted and left out", (unsigned long long)position);
    SIM_CHECK(load_u64(view.leaf.data + 24) == position, "position %llu comes where %llu is wanted",
              (unsigned long long)load_u64(view.leaf.data + 24), (unsigned long long)position);
    SIM_CHECK(memcmp(view.leaf.data - ENTRY_HEADER_BYTES, entry->bytes, entry->served) == 0, "position %llu has other bytes",
              (unsigned long long)position);
    if (world.proves)
        SIM_CHECK(entry_prove(digests, &view, &leaf, &batch, &scratch, &capacity, &raw, &why) == TRUC_OK, "position %llu fails: %s",
                  (unsigned long long)position, why);
    read->records_left -=
        entry->append.fields.record_count < read->records_left ? entry->append.fields.record_count : read->records_left;
}

void read_model_data(struct connection *connection, uint64_t request_id, const Truc__V1__ReadData *data, struct bytes payload)
{
    struct read *read = find(connection->number, request_id);
    struct reader entries = reader_over(payload);
    struct entry_view view;
    truc_status status = TRUC_OK;

    SIM_CHECK(read && read->begun, "READ_DATA for nobody's reading");
    SIM_CHECK(read->sent < read->granted, "a reader gets more than its credit");
    SIM_CHECK(data->next_position <= store.head.position && data->durable_position <= store.head.position,
              "a reader is shown what is not on disk");
    SIM_CHECK(!read->limited || read->records_left > 0, "a reader gets more records than it wants");
    read->sent += payload.size;
    SIM_CHECK(read->reverse ? data->next_position <= read->next : data->next_position >= read->next, "a reader goes back");
    while (read->next != data->next_position) {
        uint64_t position = read->reverse ? read->next - 1 : read->next;

        if (filter_wants_entry(&read->filter, position))
            compare(read, &entries, position);
        read->next = read->reverse ? read->next - 1 : read->next + 1;
    }
    SIM_CHECK(!entry_served_next(&entries, &view, &status) && status == TRUC_OK, "a reader gets what it does not want");
}

static void check_read_to_end(struct read *read)
{
    SIM_CHECK(!read->follow, "a reading that follows ends by itself");
    for (uint64_t at = read->next; at != read->until; at = read->reverse ? at - 1 : at + 1)
        SIM_CHECK(!filter_wants_entry(&read->filter, read->reverse ? at - 1 : at), "a reading ends early");
}

void read_model_end(struct connection *connection, uint64_t request_id, const Truc__V1__ReadEnd *end)
{
    struct attachment *attachment = attachment_of(connection->number, request_id);
    struct read *read = find(connection->number, request_id);

    if (attachment) {
        attachment_leaves(attachment, false);
        return;
    }
    if (!read)
        return; /* the subscription is gone, or was reset: its deltas told */
    if (end->status == TRUC_OK && read->begun && !(read->limited && read->records_left == 0))
        check_read_to_end(read);
    read_model_ends(connection->number, request_id);
}

/* --- ordered
 * ----------------------------------------------------------------------------------------------------------------------- */

/* Reading stops; the subscriber stands by with what credit is left. */
void ordered_paused(struct sub *sub)
{
    for (struct attachment *at = sub->attachments; at; at = at->next) {
        struct read *read = find(at->connection, at->request_id);

        if (!read)
            continue;
        at->credit = read->granted > read->sent ? read->granted - read->sent : 0;
        read_model_ends(at->connection, at->request_id);
    }
}

void ordered_cursor(struct sub *sub, const struct cursor_row *cursor)
{
    const struct attachment *active = sub->attachments;
    const struct read *read = active ? find(active->connection, active->request_id) : NULL;

    SIM_CHECK(read, "an ordered subscription moves and nobody reads it");
    SIM_CHECK(cursor->place.index == 0, "an ordered subscription stands within an entry");
    for (uint64_t at = read->next; at < cursor->place.position; at++)
        SIM_CHECK(!filter_wants_entry(&sub->filter, at), "more is acknowledged than was sent");
}

void ordered_settled(struct request *request)
{
    struct sub *sub = sub_at(request->subscription);
    const struct catalog_subscription *row = catalog_subscription(request->subscription);

    if (!sub || !sub->there || !row)
        return;
    SIM_CHECK(row->cursor.place.position >= request->position, "position %llu is acknowledged, on disk is %llu",
              (unsigned long long)request->position, (unsigned long long)row->cursor.place.position);
    if (request->position > sub->confirmed)
        sub->confirmed = request->position;
}

/* By what is on disk: whoever acknowledged last may have gone before that was confirmed, and nothing is left to acknowledge. */
bool ordered_done(struct sub *sub)
{
    const struct catalog_subscription *row = catalog_subscription(sub->row.subscription_id);

    for (uint64_t at = row ? row->cursor.place.position : 0; at < store.head.position; at++) {
        if (filter_wants_entry(&sub->filter, at))
            return false;
    }
    return true;
}
