/* share_given.c: what a shared subscription gives to its workers, and what is delivered of that. Layer: test of core. */
#include "append_clock.h"
#include "proto/cut.h"
#include "share_state.h"
#include "world.h"

static uint64_t last_grant;

/* --- whose turn it is
 * --------------------------------------------------------------------------------------------------------------- */

/* Whether it is the first open record of its key, but for those that the worker has, and those that have expired: these are passed
 * over when their turn comes, so that it shows now. */
static void check_order(struct sub *sub, uint32_t record, const struct attachment *attachment)
{
    const struct key_list *list = records_of_key(what_of(record)->key);
    uint32_t at = sub->open_from[what_of(record)->key], *from = &sub->open_from[what_of(record)->key];
    bool run = false;

    for (; at < list->count && list->records[at] != record; at++) {
        uint32_t before = list->records[at];
        const struct record_state *state = &sub->states[before];

        if (!state->wanted || state->now.outcome != OPEN || is_aside(before)) {
            *from += *from == at && (!state->wanted || state->now.outcome != OPEN);
            continue;
        }
        if (state->holder == attachment) {
            SIM_CHECK(state->now.failed == 0 && sub->states[record].now.failed == 0,
                      "record %llu/%u comes with one that has failed", (unsigned long long)place_of(record).position,
                      place_of(record).index);
            run = true;
            continue;
        }
        SIM_CHECK(!run && !state->holder && is_expired(before, append_clock_ns()),
                  "record %llu/%u overtakes %llu/%u, an earlier one of its key", (unsigned long long)place_of(record).position,
                  place_of(record).index, (unsigned long long)place_of(before).position, place_of(before).index);
        share_resolve(sub, before, EXPIRED);
    }
    SIM_CHECK(at < list->count, "a record is not where its key is");
}

/* Of the lanes of a key (its own, and each record aside) one is at work: with a lease, or a failed attempt. */
static void check_turn(struct sub *sub, uint32_t record, const struct attachment *attachment)
{
    const struct key_list *list = records_of_key(what_of(record)->key);

    for (size_t i = 0; i < sub->leased_count; i++) {
        uint32_t other = sub->leased[i];

        SIM_CHECK(what_of(other)->key != what_of(record)->key ||
                      (is_in_order(other) && is_in_order(record) && sub->states[other].holder == attachment),
                  "two workers have records of one key, %llu/%u and %llu/%u", (unsigned long long)place_of(record).position,
                  place_of(record).index, (unsigned long long)place_of(other).position, place_of(other).index);
    }
    if (sub->states[record].now.failed > 0)
        return;
    for (uint32_t at = sub->open_from[what_of(record)->key]; at < list->count; at++) {
        uint32_t other = list->records[at];
        const struct record_state *state = &sub->states[other];

        SIM_CHECK(other >= sub->state_count || other == record || !state->wanted || state->now.outcome != OPEN ||
                      state->now.failed == 0 || is_expired(other, share_latest_ns()),
                  "record %llu/%u is given while %llu/%u of its key has failed", (unsigned long long)place_of(record).position,
                  place_of(record).index, (unsigned long long)place_of(other).position, place_of(other).index);
    }
}

static void check_free(struct sub *sub, uint32_t record)
{
    const struct record_state *state = &sub->states[record];
    struct place place = place_of(record);
    unsigned long long position = place.position;
    int64_t due_ns = is_aside(record) && what_of(record)->deliver_at_ns > state->now.not_before_ns ? what_of(record)->deliver_at_ns
                                                                                                   : state->now.not_before_ns;

    SIM_CHECK(state->wanted, "record %llu/%u is given to subscription %u, which does not want it", position, place.index,
              sub->row.subscription_id);
    SIM_CHECK(state->now.outcome == OPEN, "record %llu/%u is given again: it is %s", position, place.index,
              state->now.outcome == ACKED  ? "acknowledged"
              : state->now.outcome == DEAD ? "dead"
                                           : "expired");
    SIM_CHECK(!state->holder, "record %llu/%u is given to two workers at once", position, place.index);
    SIM_CHECK(state->now.doom == NOT_DOOMED, "record %llu/%u is given again: it waits for its dead letter", position, place.index);
    SIM_CHECK(due_ns <= share_latest_ns(), "record %llu/%u is given %lld ns too early", position, place.index,
              (long long)(due_ns - share_latest_ns()));
    SIM_CHECK(!is_expired(record, append_clock_ns()), "record %llu/%u is given although it has expired", position, place.index);
}

static void grant(struct attachment *attachment, struct place place)
{
    struct sub *sub = attachment->sub;
    uint32_t record = store_record_at(place), number = attachment->granted_count;
    struct record_state *state;

    SIM_CHECK(record < sub->state_count, "a record is given that is not on disk");
    check_free(sub, record);
    if (is_in_order(record))
        check_order(sub, record, attachment);
    if (what_of(record)->key != 0)
        check_turn(sub, record, attachment);
    SIM_CHECK(attachment->credit > 0, "a worker is given more than its credit");
    SIM_CHECK(sub->leased_count < sub->row.in_flight_max, "more than %u records are in flight", sub->row.in_flight_max);
    state = &sub->states[record];
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

static void check_runs(const struct attachment *attachment)
{
    for (uint32_t i = 0; i < attachment->granted_count; i++)
        SIM_CHECK(share_run_length(attachment->sub, attachment, what_of(attachment->granted[i])->key) <= attachment->run_max,
                  "a run is longer than %u", attachment->run_max);
}

void share_fetch(struct attachment *attachment, const struct place *places, size_t count)
{
    share_extend(attachment->sub);
    if (attachment->rest_due) { /* of those given before */
        SIM_CHECK(count <= attachment->granted_count - attachment->granted_done, "a fetch of more records than were left");
        for (size_t i = 0; i < count; i++)
            SIM_CHECK(store_record_at(places[i]) == attachment->granted[attachment->granted_done + i], "a fetch of other records");
        attachment->rest_due = false;
        return;
    }
    SIM_CHECK(attachment->granted_done == attachment->granted_count || attachment->run_max > 1, "a worker is given more too soon");
    SIM_CHECK(!attachment->sub->row.paused, "a paused subscription gives records out");
    attachment->granted_count = attachment->granted_done = 0;
    for (size_t i = 0; i < count; i++) {
        SIM_CHECK(i == 0 || place_is_before(places[i - 1], places[i]), "records are not given in log order");
        grant(attachment, places[i]);
    }
    check_runs(attachment);
}

/* --- on the way
 * --------------------------------------------------------------------------------------------------------------------- */

static bool is_lost(const struct attachment *attachment, uint32_t number)
{
    const struct record_state *state = &attachment->sub->states[attachment->granted[number]];

    return state->holder != attachment || state->grant != attachment->grants[number];
}

/* Of runs what was freed meanwhile does not come any more. Whether one of the next `count` is such. */
static bool drop_lost(struct attachment *attachment, uint32_t count)
{
    uint32_t begin = attachment->granted_done, kept = begin;
    bool lost = false;

    if (attachment->run_max == 1)
        return false;
    for (uint32_t i = begin; i < attachment->granted_count; i++) {
        if (is_lost(attachment, i)) {
            lost = lost || i - begin < count;
            continue;
        }
        attachment->granted[kept] = attachment->granted[i];
        attachment->attempts[kept] = attachment->attempts[i];
        attachment->grants[kept++] = attachment->grants[i];
    }
    attachment->granted_count = kept;
    return lost;
}

void share_fetched(struct attachment *attachment, const struct core_read_done *done)
{
    attachment->sent_first = attachment->granted_done;
    attachment->sent_count = 0;
    if (!drop_lost(attachment, done->entry_count)) {
        attachment->sent_count = done->entry_count;
        attachment->granted_done += done->entry_count;
        (void)drop_lost(attachment, 0);
    }
    attachment->rest_due = attachment->granted_done < attachment->granted_count;
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

    for (size_t i = 0; i < sub->leased_count; i++)
        SIM_CHECK(sub->states[sub->leased[i]].lease != lease, "lease %llu is given twice", (unsigned long long)lease);
    if (!is_lost(attachment, number)) /* else it has lapsed on the way */
        sub->states[attachment->granted[number]].lease = lease;
}

void share_delivered(struct attachment *attachment, const Truc__V1__Deliver *deliver, struct bytes payload)
{
    struct reader entries = reader_over(payload);
    const uint32_t *records = attachment->granted + attachment->sent_first;
    uint32_t count = 0;
    struct entry_view view;
    truc_status status = TRUC_OK;

    for (size_t i = 0; i < deliver->n_entries; i++) {
        const Truc__V1__DeliverEntry *entry = deliver->entries[i];

        SIM_CHECK(entry->records > 0 && count + entry->records <= attachment->sent_count, "more is delivered than was given");
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
    SIM_CHECK(count > 0 && count == attachment->sent_count, "less is delivered than was given");
    SIM_CHECK(!entry_served_next(&entries, &view, &status) && status == TRUC_OK, "a delivery holds something else");
    SIM_CHECK(deliver->n_attempts == 0 || deliver->n_attempts == count, "a delivery tells of other attempts");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t attempt = attachment->attempts[attachment->sent_first + i];

        SIM_CHECK((deliver->n_attempts > 0 ? deliver->attempts[i] : 1) == attempt, "attempt %u is told as %u", attempt,
                  deliver->n_attempts > 0 ? deliver->attempts[i] : 1);
        took(attachment, attachment->sent_first + i, deliver->first_lease + i);
    }
    attachment->sent_count = 0;
}
