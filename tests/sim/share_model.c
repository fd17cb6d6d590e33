#include "share_model.h"

#include <stdlib.h>

#include "append_clock.h"
#include "proto/cut.h"
#include "proto/record.h"
#include "world.h"

enum outcome { OPEN, ACKED, DEAD };
enum doom { NOT_DOOMED, DOOMED_ATTEMPTS = 1, DOOMED_REJECTED = 2 }; /* as the letters' reasons */

struct fate { /* of a record, as far as it must survive a crash */
    uint8_t outcome, doom;
    uint32_t failed; /* attempts */
    int64_t not_before_ns;
};

struct record_state {
    bool wanted;
    struct fate now, durable;
    struct attachment *holder; /* leased to; NULL: free */
    uint64_t grant, lease;     /* 0: not told yet */
    int64_t deadline_ns;
};

struct change {
    uint32_t record;
    uint64_t ticket;
    struct fate fate;
};

struct key_list {
    uint32_t *records; /* owned */
    size_t count, capacity;
};
static struct key_list keys[KEYS + 1];
static uint32_t keys_end; /* records below it are in their list */
static uint64_t last_grant;

void keys_begin(void)
{
    for (uint16_t key = 0; key <= KEYS; key++)
        keys[key].count = 0;
    keys_end = 0;
    last_grant = 0;
}

void keys_durable(void)
{
    for (; keys_end < store.head.record_count; keys_end++) {
        struct key_list *list = &keys[store.records[keys_end].what.key];

        list->records = with_room(list->records, list->count, &list->capacity, sizeof *list->records);
        list->records[list->count++] = keys_end;
    }
}

static struct place place_of(uint32_t record)
{
    return (struct place){store.records[record].position, store.records[record].index};
}

/* Knows all records that are on disk. */
static void extend(struct sub *sub)
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

static void note(struct sub *sub, uint32_t record)
{
    if (sub->change_first == sub->change_end)
        sub->change_first = sub->change_end = sub->change_saved = 0;
    sub->changes = with_room(sub->changes, sub->change_end, &sub->change_capacity, sizeof *sub->changes);
    sub->changes[sub->change_end++] = (struct change){.record = record, .fate = sub->states[record].now};
    sub->change_count++;
}

static void set_free(struct sub *sub, uint32_t record)
{
    size_t at = 0;

    while (sub->leased[at] != record)
        at++;
    sub->leased_count--;
    sub->leased[at] = sub->leased[sub->leased_count];
    sub->states[record].holder = NULL;
    sub->states[record].lease = sub->states[record].grant = 0;
}

static void resolve(struct sub *sub, uint32_t record, enum outcome outcome)
{
    sub->states[record].now.outcome = (uint8_t)outcome;
    sub->open_count--;
    note(sub, record);
}

/* A delivery came to nothing. */
static void fail(struct sub *sub, uint32_t record, int64_t delay_ns)
{
    struct fate *fate = &sub->states[record].now;
    const struct subscription_row *row = &sub->row;

    set_free(sub, record);
    fate->failed++;
    if (row->attempts_max != 0 && fate->failed >= row->attempts_max) {
        fate->doom = DOOMED_ATTEMPTS;
    } else {
        if (delay_ns == 0 && row->backoff_count > 0)
            delay_ns = row->backoff_ms[(fate->failed < row->backoff_count ? fate->failed : row->backoff_count) - 1] * MS;
        fate->not_before_ns = delay_ns == 0 ? 0 : append_clock_ns() + delay_ns;
    }
    note(sub, record);
}

/* --- giving
 * ------------------------------------------------------------------------------------------------------------------------- */

static bool is_first_of_key(struct sub *sub, uint32_t record)
{
    uint16_t key = store.records[record].what.key;
    const struct key_list *list = &keys[key];
    uint32_t at = sub->open_from[key];

    if (key == 0)
        return true;
    while (at < list->count && (!sub->states[list->records[at]].wanted || sub->states[list->records[at]].now.outcome != OPEN))
        at++;
    sub->open_from[key] = at;
    return at < list->count && list->records[at] == record;
}

static void grant(struct attachment *attachment, struct place place)
{
    struct sub *sub = attachment->sub;
    uint32_t record = store_record_at(place), number = attachment->granted_count;
    struct record_state *state = &sub->states[record];
    unsigned long long position = place.position;

    SIM_CHECK(record < sub->state_count && state->wanted, "record %llu/%u is given to subscription %u, which does not want it",
              position, place.index, sub->row.subscription_id);
    SIM_CHECK(state->now.outcome == OPEN, "record %llu/%u is given again: it is %s", position, place.index,
              state->now.outcome == ACKED ? "acknowledged" : "dead");
    SIM_CHECK(!state->holder, "record %llu/%u is given to two workers at once", position, place.index);
    SIM_CHECK(state->now.doom == NOT_DOOMED, "record %llu/%u is given again: it waits for its dead letter", position, place.index);
    SIM_CHECK(state->now.not_before_ns <= append_clock_ns(), "record %llu/%u is given %lld ns too early", position, place.index,
              (long long)(state->now.not_before_ns - append_clock_ns()));
    SIM_CHECK(is_first_of_key(sub, record), "record %llu/%u overtakes an earlier one of its key", position, place.index);
    SIM_CHECK(attachment->credit > 0, "a worker is given more than its credit");
    SIM_CHECK(sub->leased_count < sub->row.in_flight_max, "more than %u records are in flight", sub->row.in_flight_max);
    attachment->credit--;
    attachment->granted[number] = record;
    attachment->attempts[number] = state->now.failed + 1;
    attachment->grants[number] = ++last_grant;
    attachment->granted_count++;
    state->holder = attachment;
    state->grant = last_grant;
    state->lease = 0;
    state->deadline_ns = append_clock_ns() + sub->row.ack_wait_ms * MS;
    sub->leased = with_room(sub->leased, sub->leased_count, &sub->leased_capacity, sizeof *sub->leased);
    sub->leased[sub->leased_count++] = record;
}

void share_fetch(struct attachment *attachment, const struct place *places, size_t count)
{
    extend(attachment->sub);
    if (attachment->granted_done < attachment->granted_count) { /* the rest of those given before */
        SIM_CHECK(count == attachment->granted_count - attachment->granted_done, "a fetch of other records than were left");
        for (size_t i = 0; i < count; i++)
            SIM_CHECK(store_record_at(places[i]) == attachment->granted[attachment->granted_done + i], "a fetch of other records");
        return;
    }
    SIM_CHECK(!attachment->sub->row.paused, "a paused subscription gives records out");
    attachment->granted_count = attachment->granted_done = 0;
    for (size_t i = 0; i < count; i++) {
        SIM_CHECK(i == 0 || place_is_before(places[i - 1], places[i]), "records are not given in log order");
        grant(attachment, places[i]);
    }
}

/* --- delivering
 * --------------------------------------------------------------------------------------------------------------------- */

static void prove_part(const struct entry_view *view, const uint32_t *records, size_t count)
{
    static struct cut_record *parts;
    static size_t capacity;
    const struct stored_entry *entry = &store.entries[store.records[records[0]].position];
    struct entry_view whole;
    struct batch_view batch;
    struct leaf leaf;
    size_t part_count;
    const char *why = "";

    SIM_CHECK(count < entry->append.fields.record_count, "an entry is cut of which all records are given");
    SIM_CHECK(cut_prove(digests, view, &leaf, &batch, &parts, &capacity, &part_count, &why) == TRUC_OK, "a cut entry fails: %s",
              why);
    SIM_CHECK(part_count == count, "a cut entry holds %zu records, %zu are given", part_count, count);
    SIM_CHECK(entry_parse(bytes_of(entry->bytes, entry->size), &whole) == TRUC_OK && bytes_equal(view->leaf, whole.leaf),
              "a cut entry has another leaf");
    for (size_t i = 0; i < count; i++)
        SIM_CHECK(parts[i].index == store.records[records[i]].index, "a cut entry holds another record");
}

static void prove_entry(const struct entry_view *view, const uint32_t *records, size_t count)
{
    const struct stored_entry *entry = &store.entries[store.records[records[0]].position];

    if (entry_is_cut(view)) {
        if (world.proves)
            prove_part(view, records, count);
        else
            SIM_CHECK(load_u64(view->leaf.data + 24) == entry->append.position, "another entry is delivered");
        return;
    }
    SIM_CHECK(bytes_equal(view->leaf, bytes_of(entry->append.leaf, entry->append.leaf_size)), "another entry is delivered");
}

static void took(struct attachment *attachment, uint32_t number, uint64_t lease)
{
    struct sub *sub = attachment->sub;
    struct record_state *state = &sub->states[attachment->granted[number]];

    for (size_t i = 0; i < sub->leased_count; i++)
        SIM_CHECK(sub->states[sub->leased[i]].lease != lease, "lease %llu is given twice", (unsigned long long)lease);
    if (state->holder == attachment && state->grant == attachment->grants[number])
        state->lease = lease; /* else it has lapsed on the way */
}

void share_delivered(struct attachment *attachment, const Truc__V1__Deliver *deliver, struct bytes payload)
{
    struct reader entries = reader_over(payload);
    const uint32_t *records = attachment->granted + attachment->granted_done;
    uint32_t left = attachment->granted_count - attachment->granted_done, count = 0;
    struct entry_view view;
    truc_status status = TRUC_OK;

    for (size_t i = 0; i < deliver->n_entries; i++) {
        const Truc__V1__DeliverEntry *entry = deliver->entries[i];

        SIM_CHECK(entry->records > 0 && count + entry->records <= left, "more is delivered than was given");
        SIM_CHECK(entry_served_next(&entries, &view, &status), "entry %zu of a delivery is missing", i);
        prove_entry(&view, records + count, entry->records);
        for (uint32_t j = 0; j < entry->records; j++) {
            const struct stored_record *record = &store.records[records[count + j]];

            SIM_CHECK((entry->n_indexes > 0 ? entry->indexes[j] : j) == record->index &&
                          record->position == store.records[records[count]].position,
                      "another record is delivered than was given");
        }
        count += entry->records;
    }
    SIM_CHECK(count > 0 && !entry_served_next(&entries, &view, &status) && status == TRUC_OK, "a delivery holds something else");
    SIM_CHECK(deliver->n_attempts == 0 || deliver->n_attempts == count, "a delivery tells of other attempts");
    for (uint32_t i = 0; i < count; i++) {
        SIM_CHECK((deliver->n_attempts > 0 ? deliver->attempts[i] : 1) == attachment->attempts[attachment->granted_done + i],
                  "attempt %u is told as %u", attachment->attempts[attachment->granted_done + i],
                  deliver->n_attempts > 0 ? deliver->attempts[i] : 1);
        took(attachment, attachment->granted_done + i, deliver->first_lease + i);
    }
    attachment->granted_done += count;
}

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

static bool settle_one(struct attachment *attachment, uint64_t lease, const Truc__V1__Settlement *how)
{
    struct sub *sub = attachment->sub;
    struct record_state *state = NULL;
    uint32_t record = 0;

    for (size_t i = 0; i < sub->leased_count && !state; i++) {
        record = sub->leased[i];
        if (sub->states[record].holder == attachment && sub->states[record].lease == lease && lease != 0)
            state = &sub->states[record];
    }
    if (!state)
        return false;
    switch (how->outcome) {
    case TRUC__V1__OUTCOME__OUTCOME_ACK:
        set_free(sub, record);
        sub->acknowledged++;
        resolve(sub, record, ACKED);
        break;
    case TRUC__V1__OUTCOME__OUTCOME_NACK:
        fail(sub, record, how->delay_ms * MS);
        break;
    case TRUC__V1__OUTCOME__OUTCOME_REJECT:
        set_free(sub, record);
        state->now.failed++;
        state->now.doom = DOOMED_REJECTED;
        note(sub, record);
        break;
    case TRUC__V1__OUTCOME__OUTCOME_EXTEND:
        state->deadline_ns = append_clock_ns() + (how->delay_ms != 0 ? how->delay_ms : sub->row.ack_wait_ms) * MS;
        break;
    default: /* RETURN */
        set_free(sub, record);
        break;
    }
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

        if (sub->states[record].holder != attachment)
            i++;
        else if (counted)
            fail(sub, record, 0);
        else
            set_free(sub, record);
    }
}

void share_time(struct sub *sub)
{
    for (size_t i = 0; i < sub->leased_count;) {
        uint32_t record = sub->leased[i];

        if (sub->states[record].deadline_ns <= append_clock_ns())
            fail(sub, record, 0);
        else
            i++;
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
    sub->dead++;
    resolve(sub, store_record_at(place), DEAD);
}

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
    uint64_t hash = store.records[record].what.hash;

    *ret_lane = catalog_lane(row, hash, place);
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

static bool same_fate(const struct fate *a, const struct fate *b)
{
    return a->outcome == b->outcome && a->doom == b->doom && a->failed == b->failed && a->not_before_ns == b->not_before_ns;
}

static void crash_record(struct sub *sub, const struct catalog_subscription *row, uint32_t record)
{
    struct record_state *state = &sub->states[record];
    unsigned long long position = place_of(record).position;
    const struct lane_row *lane;
    struct fate fate;

    if (!is_open_on_disk(row, record, &lane)) {
        SIM_CHECK(state->durable.outcome != OPEN, "record %llu/%u of subscription %u is lost: nobody settled it", position,
                  place_of(record).index, sub->row.subscription_id);
        fate = state->durable;
    } else {
        SIM_CHECK(state->durable.outcome == OPEN, "record %llu/%u of subscription %u comes again: it was %s on disk", position,
                  place_of(record).index, sub->row.subscription_id, state->durable.outcome == ACKED ? "acknowledged" : "dead");
        fate = fate_on_disk(lane, record);
    }
    SIM_CHECK(same_fate(&fate, &state->durable), "record %llu/%u of subscription %u has %u attempts on disk instead of %u",
              position, place_of(record).index, sub->row.subscription_id, fate.failed, state->durable.failed);
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
    extend(sub);
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
    extend(sub);
    return sub->open_count == 0 && sub->change_first == sub->change_end;
}

void share_fini(struct sub *sub)
{
    free(sub->states);
    free(sub->leased);
    free(sub->changes);
}
