/* share_disk.c: what of a shared subscription is on disk, and what comes back after a crash. Layer: test of core. */
#include "append_clock.h"
#include "share_state.h"

/* --- the disk
 * ------------------------------------------------------------------------------------------------------------------------- */

/* The last delta of a save. */
void share_cursor(struct sub *sub, uint64_t ticket, const struct cursor_row *cursor)
{
    SIM_CHECK(cursor->acknowledged == sub->acknowledged && cursor->dead == sub->dead,
              "subscription %u counts %llu acknowledged and %llu dead, there are %llu and %llu", sub->row.subscription_id,
              (unsigned long long)cursor->acknowledged, (unsigned long long)cursor->dead, (unsigned long long)sub->acknowledged,
              (unsigned long long)sub->dead);
    for (; sub->change_saved < sub->change_end; sub->change_saved++)
        sub->changes[sub->change_saved].ticket = ticket;
}

void share_durable(struct sub *sub, uint64_t ticket)
{
    while (sub->change_first < sub->change_saved && sub->changes[sub->change_first].ticket <= ticket) {
        const struct change *change = &sub->changes[sub->change_first++];

        sub->states[change->record].durable = change->fate;
        sub->durable_change++;
    }
}

static bool is_open_on_disk(const struct catalog_subscription *row, uint32_t record, const struct lane_row **ret_lane)
{
    struct place place = place_of(record);

    *ret_lane = catalog_lane(row, what_of(record)->hash, is_aside(record), place);
    if (*ret_lane)
        return !place_is_before(place, (*ret_lane)->place);
    return !place_is_before(place, row->cursor.place);
}

/* What the disk says of a record that it takes for unresolved. */
static struct fate fate_on_disk(const struct lane_row *lane, uint32_t record)
{
    struct place place = place_of(record);

    if (!lane || lane->place.position != place.position || lane->place.index != place.index)
        return (struct fate){.outcome = OPEN};
    return (struct fate){.outcome = OPEN, .doom = lane->dead, .failed = lane->attempts, .not_before_ns = lane->not_before_ns};
}

/* A delay that is over says nothing any more; what stands aside has its deliver_at until then. */
static bool same_fate(const struct fate *disk, const struct fate *known, uint32_t record)
{
    int64_t not_before_ns = known->failed == 0 && is_aside(record) ? what_of(record)->deliver_at_ns : known->not_before_ns;

    return disk->outcome == known->outcome && disk->doom == known->doom && disk->failed == known->failed &&
           (disk->not_before_ns == not_before_ns ||
            (disk->not_before_ns <= share_latest_ns() && not_before_ns <= share_latest_ns()) ||
            (disk->not_before_ns == 0 && known->failed == 0));
}

static void crash_record(struct sub *sub, const struct catalog_subscription *row, uint32_t record)
{
    struct record_state *state = &sub->states[record];
    unsigned long long position = place_of(record).position;
    const struct lane_row *lane;
    struct fate fate;

    if (state->letter > store.head.position)
        state->letter = 0;
    if (is_open_on_disk(row, record, &lane)) {
        SIM_CHECK(state->durable.outcome == OPEN, "record %llu/%u of subscription %u comes again: it was %s on disk", position,
                  place_of(record).index, sub->row.subscription_id, state->durable.outcome == ACKED ? "acknowledged" : "dead");
        fate = fate_on_disk(lane, record);
    } else if (state->durable.outcome == OPEN && is_expired(record, share_latest_ns())) {
        fate = state->durable;
        fate.outcome = EXPIRED;
        state->durable = fate;
    } else {
        SIM_CHECK(state->durable.outcome != OPEN, "record %llu/%u of subscription %u is lost: nobody settled it", position,
                  place_of(record).index, sub->row.subscription_id);
        fate = state->durable;
    }
    SIM_CHECK(fate.outcome != OPEN || same_fate(&fate, &state->durable, record),
              "record %llu/%u of subscription %u has on disk %u attempts, is dead for %u, waits until %lld; it had %u, %u, %lld",
              position, place_of(record).index, sub->row.subscription_id, fate.failed, fate.doom, (long long)fate.not_before_ns,
              state->durable.failed, state->durable.doom, (long long)state->durable.not_before_ns);
    if (fate.outcome == OPEN && state->now.outcome != OPEN)
        sub->open_count++;
    else if (fate.outcome != OPEN && state->now.outcome == OPEN)
        sub->open_count--;
    state->now = fate;
}

void share_crash(struct sub *sub, const struct catalog_subscription *row)
{
    SIM_CHECK(sub->state_count <= store.head.record_count, "records that were never on disk were given out");
    sub->change_first = sub->change_end = sub->change_saved = 0;
    sub->change_count = sub->durable_change;
    memset(sub->open_from, 0, sizeof sub->open_from);
    sub->acknowledged = sub->dead = 0;
    sub->undone = 0;
    share_extend(sub);
    for (uint32_t record = 0; record < sub->state_count; record++) {
        if (!sub->states[record].wanted)
            continue;
        crash_record(sub, row, record);
        sub->acknowledged += sub->states[record].now.outcome == ACKED;
        sub->dead += sub->states[record].now.outcome == DEAD;
    }
    SIM_CHECK(sub->acknowledged == row->cursor.acknowledged && sub->dead == row->cursor.dead,
              "subscription %u counts %llu acknowledged and %llu dead on disk, there are %llu and %llu", sub->row.subscription_id,
              (unsigned long long)row->cursor.acknowledged, (unsigned long long)row->cursor.dead,
              (unsigned long long)sub->acknowledged, (unsigned long long)sub->dead);
}

bool share_done(struct sub *sub)
{
    share_extend(sub);
    for (; sub->open_count > 0 && sub->undone < sub->state_count; sub->undone++) {
        const struct record_state *state = &sub->states[sub->undone];

        if (state->wanted && state->now.outcome == OPEN && !is_expired(sub->undone, share_latest_ns()))
            return false;
    }
    return sub->change_first == sub->change_end;
}
