/* fake_read.c: the one reader of the fake broker. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "clients/c/fake_broker.h"
#include "proto/topic.h"
#include "truc/v1/wire.pb-c.h"

enum { ENTRIES_PER_FRAME = 8 };

void fake_read_end(struct fake_broker *broker, truc_status status)
{
    Truc__V1__ReadEnd end = TRUC__V1__READ_END__INIT;
    char empty[] = "";

    end.status = (uint32_t)status;
    end.message = empty;
    end.next_position = broker->reader_position;
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_READ_END, broker->reader_id, &end.base, bytes_of(NULL, 0));
    broker->reader_id = 0;
}

/* Sends what the credit allows. */
void fake_read_serve(struct fake_broker *broker, enum fake_deed deed)
{
    static uint8_t payload[FRAME_BYTES_MAX];

    while (broker->reader_id != 0 && broker->reader_credit > 0) {
        Truc__V1__ReadData data = TRUC__V1__READ_DATA__INIT;
        uint64_t until = broker->reader_follow ? broker->entry_count : broker->reader_until;
        size_t size = 0;

        while (data.entry_count < ENTRIES_PER_FRAME && broker->reader_position != until) {
            uint64_t position = broker->reader_reverse ? broker->reader_position - 1 : broker->reader_position;
            const struct fake_entry *entry = &broker->entries[position];

            broker->reader_position = broker->reader_reverse ? position : position + 1;
            if (!pattern_match(bytes_of_text(broker->reader_pattern), bytes_of_text(entry->topic)))
                continue;
            if (size + entry->size > sizeof payload)
                break;
            memcpy(payload + size, entry->bytes, entry->size);
            if (position == broker->damage_position)
                payload[size + entry->size - 9] ^= 1;
            size += entry->size;
            data.entry_count++;
        }
        if (size > 0) {
            data.next_position = broker->reader_position;
            data.durable_position = broker->entry_count;
            broker->reader_credit -= (int64_t)size;
            fake_broker_answer(broker, deed, FRAME_READ_DATA, broker->reader_id, &data.base, bytes_of(payload, size));
            deed = FAKE_NORMAL;
        }
        if (broker->reader_position == until) {
            if (!broker->reader_follow)
                fake_read_end(broker, TRUC_OK);
            return;
        }
    }
}

/* From an offset on. TRUC_OUT_OF_RANGE, TRUC_NOT_FOUND. */
static truc_status find_offset(struct fake_broker *broker, const Truc__V1__Read *read, Truc__V1__ReadOk *ok)
{
    uint64_t next_offset = fake_broker_next_offset(broker, read->pattern);

    if (read->from == NULL || read->from->at_case != TRUC__V1__BOUND__AT_OFFSET)
        return TRUC_OK;
    if (next_offset == 0)
        return TRUC_NOT_FOUND;
    if (read->from->offset > next_offset)
        return TRUC_OUT_OF_RANGE;
    ok->from_offset = read->from->offset;
    ok->until_offset = UINT64_MAX;
    ok->exact = true;
    for (size_t i = 0; i < broker->entry_count; i++) {
        if (strcmp(broker->entries[i].topic, read->pattern) == 0 && broker->entries[i].base_offset <= read->from->offset)
            broker->reader_position = i;
    }
    return TRUC_OK;
}

static uint64_t bound_of(const struct fake_broker *broker, const Truc__V1__Bound *bound, uint64_t absent)
{
    uint64_t position = bound == NULL                                    ? absent
                        : bound->at_case == TRUC__V1__BOUND__AT_POSITION ? bound->position
                                                                         : broker->entry_count;

    return position < broker->entry_count ? position : broker->entry_count;
}

void fake_read_begin(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame)
{
    uint8_t memory[8192];
    struct arena arena = {memory, memory + sizeof memory};
    const char *why;
    const Truc__V1__Read *read = frame_header_decode(&arena, &truc__v1__read__descriptor, frame->header, &why);
    Truc__V1__ReadOk ok = TRUC__V1__READ_OK__INIT;
    truc_status status;

    assert(read != NULL);
    if (deed == FAKE_REFUSE) {
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, broker->refuse_status, 0);
        return;
    }
    broker->reader_id = frame->request_id;
    broker->reader_reverse = read->reverse;
    broker->reader_follow = read->follow;
    broker->reader_credit = (int64_t)read->credit_bytes;
    (void)snprintf(broker->reader_pattern, sizeof broker->reader_pattern, "%s", read->pattern);
    broker->reader_position = bound_of(broker, read->from, read->reverse ? broker->entry_count : 0);
    broker->reader_until = bound_of(broker, read->until, read->reverse ? 0 : broker->entry_count);
    status = find_offset(broker, read, &ok);
    if (status != TRUC_OK) {
        broker->reader_id = 0;
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, status, 0);
        return;
    }
    ok.from_position = broker->reader_position;
    ok.until_position = read->follow ? UINT64_MAX : broker->reader_until;
    ok.durable_position = broker->entry_count;
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_READ_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    fake_read_serve(broker, deed);
}

void fake_read_credit(struct fake_broker *broker, enum fake_deed deed, const struct frame *frame)
{
    uint8_t memory[256];
    struct arena arena = {memory, memory + sizeof memory};
    const char *why;
    const Truc__V1__Credit *credit = frame_header_decode(&arena, &truc__v1__credit__descriptor, frame->header, &why);

    assert(credit != NULL);
    fake_share_credit(broker, frame->request_id, credit->bytes);
    if (frame->request_id != broker->reader_id)
        return;
    broker->reader_credit += (int64_t)credit->bytes;
    fake_read_serve(broker, deed);
}
