/* share_said.c: what workers say of their leases, what time says of them, and dead letters. Layer: test of core. */
#include "append_clock.h"
#include "proto/record.h"
#include "share_state.h"

/* --- settling
 * ----------------------------------------------------------------------------------------------------------------------- */

static bool is_sensible(const Truc__V1__Settle *settle)
{
    for (size_t i = 0; i < settle->n_settlements; i++) {
        const Truc__V1__Settlement *one = settle->settlements[i];

        if (one->outcome < TRUC__V1__OUTCOME__OUTCOME_ACK || one->outcome > TRUC__V1__OUTCOME__OUTCOME_RETURN ||
            one->delay_ms > 7u * 24 * 3600 * 1000)
            return false;
    }
    return settle->n_settlements > 0;
}

/* Of a run the first one: the next is first then, for as long as it would have been by itself. */
static void acknowledge(struct sub *sub, uint32_t record)
{
    uint32_t next = share_next_of_run(sub, record);

    if (next != UINT32_MAX)
        sub->states[next].deadline_ns = append_clock_ns() + sub->row.ack_wait_ms * MS;
    share_free(sub, record);
    sub->acknowledged++;
    share_resolve(sub, record, ACKED);
}

static void settle_first(struct sub *sub, uint32_t record, const Truc__V1__Settlement *how)
{
    switch (how->outcome) {
    case TRUC__V1__OUTCOME__OUTCOME_ACK:
        acknowledge(sub, record);
        break;
    case TRUC__V1__OUTCOME__OUTCOME_NACK:
        share_fail(sub, record, how->delay_ms * MS);
        break;
    case TRUC__V1__OUTCOME__OUTCOME_REJECT:
        share_free_rest(sub, record);
        share_free(sub, record);
        sub->states[record].now.failed++;
        sub->states[record].now.doom = DOOMED_REJECTED;
        share_note(sub, record);
        break;
    default: /* RETURN */
        share_free_rest(sub, record);
        share_free(sub, record);
        break;
    }
}

static bool settle_one(struct attachment *attachment, uint64_t lease, const Truc__V1__Settlement *how)
{
    struct sub *sub = attachment->sub;
    struct record_state *state = NULL;
    uint32_t record = 0, first;

    for (size_t i = 0; i < sub->leased_count && !state; i++) {
        record = sub->leased[i];
        if (sub->states[record].holder == attachment && sub->states[record].lease == lease && lease != 0)
            state = &sub->states[record];
    }
    if (!state)
        return false;
    first = share_first_of_run(sub, record);
    if (how->outcome == TRUC__V1__OUTCOME__OUTCOME_EXTEND)
        sub->states[first].deadline_ns = append_clock_ns() + (how->delay_ms != 0 ? how->delay_ms : sub->row.ack_wait_ms) * MS;
    else if (first == record)
        settle_first(sub, record, how);
    else
        return false;
    return true;
}

void share_settle_asked(struct attachment *attachment, struct request *request, const Truc__V1__Settle *settle)
{
    if (!is_sensible(settle))
        return;
    for (size_t i = 0; i < settle->n_settlements; i++) {
        const Truc__V1__Settlement *one = settle->settlements[i];

        for (uint32_t j = 0; j < (one->count == 0 ? 1 : one->count); j++) {
            if (settle_one(attachment, one->first + j, one))
                continue;
            request->stale = with_room(request->stale, request->stale_count, &request->stale_capacity, sizeof *request->stale);
            request->stale[request->stale_count++] = one->first + j;
        }
    }
    request->subscription = attachment->sub->row.subscription_id;
    request->change = attachment->sub->change_count;
}

void share_settled(struct request *request, const Truc__V1__SettleOk *ok)
{
    struct sub *sub = sub_at(request->subscription);
    size_t told = 0;

    for (size_t i = 0; i < ok->n_stale; i++) {
        SIM_CHECK(i == 0 || ok->stale[i]->first != ok->stale[i - 1]->first + ok->stale[i - 1]->count, "one range is told as two");
        for (uint32_t j = 0; j < ok->stale[i]->count; j++, told++)
            SIM_CHECK(told < request->stale_count && ok->stale[i]->first + j == request->stale[told],
                      "lease %llu is told to be stale", (unsigned long long)ok->stale[i]->first + j);
    }
    SIM_CHECK(told == request->stale_count, "of %zu stale leases %zu are told", request->stale_count, told);
    SIM_CHECK(!sub || sub->durable_change >= request->change, "a settlement is confirmed that is not on disk");
}

void share_leave_held(struct attachment *attachment, bool counted)
{
    struct sub *sub = attachment->sub;

    for (size_t i = 0; i < sub->leased_count;) {
        uint32_t record = sub->leased[i];

        if (sub->states[record].holder != attachment) {
            i++;
            continue;
        }
        if (counted)
            share_fail(sub, share_first_of_run(sub, record), 0);
        else
            share_free(sub, record);
        i = 0;
    }
}

void share_time(struct sub *sub)
{
    for (size_t i = 0; i < sub->leased_count;) {
        uint32_t record = sub->leased[i];

        if (sub->states[record].deadline_ns > append_clock_ns() || share_first_of_run(sub, record) != record) {
            i++;
            continue;
        }
        share_fail(sub, record, 0);
        i = 0;
    }
}

/* --- dead letters
 * --------------------------------------------------------------------------------------------------------------------- */

static uint64_t number_of(struct bytes text)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.size; i++)
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    return number;
}

static struct bytes header_of(const struct record_view *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++) {
        struct record_header header = record_header_at(record, i);

        if (bytes_equal(header.name, bytes_of_text(name)))
            return header.value;
    }
    sim_fail("a dead letter without %s", name);
}

void share_letter(const struct core_effect *effect)
{
    static const char *const reasons[] = {"", "attempts", "rejected"};
    struct reader payload = reader_over(effect->prepared->batch.stored);
    struct bytes topic = effect->prepared->batch.topic, encoded, owner = effect->prepared->batch.source;
    struct record_view record;
    struct record_state *state;
    struct sub *sub;
    struct place place;
    truc_status status = TRUC_OK;
    const char *why = "";

    SIM_CHECK(records_next(&payload, &encoded, &status) && record_parse(encoded, &record, &why) == TRUC_OK, "a letter: %s", why);
    sub = sub_named(owner, header_of(&record, "subscription"));
    SIM_CHECK(sub && topic.size == 5 + owner.size + 1 + sub->row.name.size, "a dead letter of a subscription that is not there");
    place = (struct place){number_of(header_of(&record, "position")), (uint32_t)number_of(header_of(&record, "index"))};
    state = &sub->states[store_record_at(place)];
    SIM_CHECK(state->now.outcome == OPEN && state->now.doom != NOT_DOOMED, "record %llu/%u has a dead letter and is %s",
              (unsigned long long)place.position, place.index,
              state->now.outcome == DEAD    ? "dead already"
              : state->now.outcome == ACKED ? "acknowledged"
                                            : "not dead");
    SIM_CHECK(number_of(header_of(&record, "attempts")) == state->now.failed, "a dead letter tells of other attempts");
    SIM_CHECK(bytes_equal(header_of(&record, "reason"), bytes_of_text(reasons[state->now.doom])),
              "a dead letter has another reason");
    SIM_CHECK(state->letter == 0, "record %llu/%u has two dead letters in the log", (unsigned long long)place.position,
              place.index);
    state->letter = effect->append->position + 1;
    sub->dead++;
    share_resolve(sub, store_record_at(place), DEAD);
}
