#include "share_state.h"

#include <stdlib.h>

#include "append_clock.h"

static struct key_list keys[KEYS_MAX + 1];
static uint32_t keys_end; /* records below it are in their list */
static int64_t latest_ns;

void keys_begin(void)
{
    for (uint16_t key = 0; key <= KEYS_MAX; key++)
        keys[key].count = 0;
    keys_end = 0;
    latest_ns = 0;
}

void keys_durable(void)
{
    for (; keys_end < store.head.record_count; keys_end++) {
        struct key_list *list = &keys[what_of(keys_end)->key];

        list->records = with_room(list->records, list->count, &list->capacity, sizeof *list->records);
        list->records[list->count++] = keys_end;
    }
}

const struct key_list *records_of_key(uint16_t key)
{
    return &keys[key];
}

int64_t share_latest_ns(void)
{
    if (append_clock_ns() > latest_ns)
        latest_ns = append_clock_ns();
    return latest_ns;
}

void share_extend(struct sub *sub)
{
    while (sub->state_count < store.head.record_count) {
        uint32_t record = (uint32_t)sub->state_count;
        struct record_state *state;

        sub->states = with_room(sub->states, sub->state_count, &sub->state_capacity, sizeof *sub->states);
        state = &sub->states[sub->state_count++];
        *state = (struct record_state){.wanted = !place_is_before(place_of(record), sub->start) &&
                                                 filter_wants_record(&sub->filter, record)};
        sub->open_count += state->wanted;
    }
}

void share_note(struct sub *sub, uint32_t record)
{
    if (sub->change_first == sub->change_end)
        sub->change_first = sub->change_end = sub->change_saved = 0;
    sub->changes = with_room(sub->changes, sub->change_end, &sub->change_capacity, sizeof *sub->changes);
    sub->changes[sub->change_end++] = (struct change){.record = record, .fate = sub->states[record].now};
    sub->change_count++;
}

void share_free(struct sub *sub, uint32_t record)
{
    size_t at = 0;

    while (sub->leased[at] != record)
        at++;
    sub->leased_count--;
    sub->leased[at] = sub->leased[sub->leased_count];
    sub->states[record].holder = NULL;
    sub->states[record].lease = sub->states[record].grant = 0;
}

static bool in_one_run(const struct sub *sub, uint32_t a, uint32_t b)
{
    return is_in_order(a) && is_in_order(b) && what_of(a)->key == what_of(b)->key && sub->states[a].holder == sub->states[b].holder;
}

uint32_t share_first_of_run(const struct sub *sub, uint32_t record)
{
    uint32_t first = record;

    for (size_t i = 0; i < sub->leased_count; i++) {
        if (sub->leased[i] < first && in_one_run(sub, sub->leased[i], record))
            first = sub->leased[i];
    }
    return first;
}

uint32_t share_next_of_run(const struct sub *sub, uint32_t record)
{
    uint32_t next = UINT32_MAX;

    for (size_t i = 0; i < sub->leased_count; i++) {
        if (sub->leased[i] > record && sub->leased[i] < next && in_one_run(sub, sub->leased[i], record))
            next = sub->leased[i];
    }
    return next;
}

uint32_t share_run_length(const struct sub *sub, const struct attachment *holder, uint16_t key)
{
    uint32_t length = 0;

    for (size_t i = 0; i < sub->leased_count; i++) {
        uint32_t record = sub->leased[i];

        length += is_in_order(record) && what_of(record)->key == key && sub->states[record].holder == holder;
    }
    return length;
}

void share_free_rest(struct sub *sub, uint32_t record)
{
    uint32_t next;

    while ((next = share_next_of_run(sub, record)) != UINT32_MAX)
        share_free(sub, next);
}

void share_resolve(struct sub *sub, uint32_t record, enum outcome outcome)
{
    sub->states[record].now.outcome = (uint8_t)outcome;
    sub->open_count--;
    if (outcome != EXPIRED) /* that shows when others of its key are given; on disk it may be earlier or later */
        share_note(sub, record);
}

void share_fail(struct sub *sub, uint32_t record, int64_t delay_ns)
{
    struct fate *fate = &sub->states[record].now;
    const struct subscription_row *row = &sub->row;
    uint32_t tries;

    share_free_rest(sub, record);
    share_free(sub, record);
    fate->failed++;
    tries = fate->failed < row->backoff_count ? fate->failed : row->backoff_count;
    if (row->attempts_max != 0 && fate->failed >= row->attempts_max) {
        fate->doom = DOOMED_ATTEMPTS;
    } else {
        if (delay_ns == 0 && tries > 0)
            delay_ns = row->backoff_ms[tries - 1] * MS;
        fate->not_before_ns = delay_ns == 0 ? 0 : append_clock_ns() + delay_ns;
    }
    share_note(sub, record);
}

void share_fini(struct sub *sub)
{
    free(sub->states);
    free(sub->leased);
    free(sub->changes);
}
