/* deliver.c: the work of a shared subscription, at the end of each step that touched it: what lapsed, who gets what, what the log
 * is asked for, what is saved. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/clock.h"
#include "broker/core/connection.h"
#include "broker/core/dead.h"
#include "broker/core/pending.h"
#include "broker/core/reader.h"
#include "broker/core/subscription.h"
#include "broker/core/watch.h"
#include "truc/v1/wire.pb-c.h"

#define MS INT64_C(1000000)
enum { RETRY_MS = 100 };

bool subscription_provide_share(struct core *core, struct subscription *subscription)
{
    const struct subscription_row *row = &subscription->row;
    struct share_config config = {.attempts_max = row->attempts_max,
                                  .ack_wait_ns = row->ack_wait_ms * MS,
                                  .backoff_count = row->backoff_count,
                                  .in_flight_max = row->in_flight_max,
                                  .lanes_max = row->in_flight_max + LANES_BESIDE_IN_FLIGHT,
                                  .aside_max = ASIDE_MAX};

    if (subscription->share)
        return true;
    for (uint32_t i = 0; i < row->backoff_count; i++)
        config.backoff_ns[i] = row->backoff_ms[i] * MS;
    if (share_create(&config, subscription->place, &subscription->share) != TRUC_OK)
        return false;
    share_restore_counts(subscription->share, subscription->acknowledged, subscription->dead, subscription->expired);
    subscription->previous_shared = NULL;
    subscription->next_shared = core->subscriptions_shared;
    if (subscription->next_shared)
        subscription->next_shared->previous_shared = subscription;
    core->subscriptions_shared = subscription;
    return true;
}

void subscription_drop_share(struct core *core, struct subscription *subscription)
{
    if (!subscription->share)
        return;
    share_destroy(subscription->share);
    subscription->share = NULL;
    *(subscription->previous_shared ? &subscription->previous_shared->next_shared : &core->subscriptions_shared) =
        subscription->next_shared;
    if (subscription->next_shared)
        subscription->next_shared->previous_shared = subscription->previous_shared;
}

static struct core_reader *open_reading(struct core *core, struct subscription *subscription, bool follows)
{
    struct core_read_spec spec = subscription_read_spec(core, subscription);
    struct core_reader *reader = reader_create_own(core, subscription, NULL);
    struct core_effect *effect;

    if (!reader)
        return NULL;
    if (!reader_keep_spec(reader, &spec) || (follows && !watch_join(core, reader))) {
        reader_drop(core, reader);
        return NULL;
    }
    effect = output_effect(&core->output, EFFECT_SCAN_OPEN);
    effect->reader = reader->number;
    effect->spec = &reader->spec;
    reader->opened = true;
    return reader;
}

bool subscription_provide_readings(struct core *core, struct subscription *subscription)
{
    if (!subscription->scan)
        subscription->scan = open_reading(core, subscription, true);
    if (!subscription->search)
        subscription->search = open_reading(core, subscription, false);
    return subscription->scan && subscription->search;
}

void subscription_drop_readings(struct core *core, struct subscription *subscription)
{
    if (subscription->scanning)
        share_scan_failed(subscription->share);
    if (subscription->searching)
        share_search_failed(subscription->share);
    subscription->scanning = subscription->searching = false;
    if (subscription->scan)
        reader_drop(core, subscription->scan);
    if (subscription->search)
        reader_drop(core, subscription->search);
    subscription->scan = subscription->search = NULL;
}

/* --- asking the log
 * --------------------------------------------------------------------------------------------------------------- */

static bool ask(struct core *core, struct core_reader *reader, const struct share_scan *wanted, struct place until)
{
    struct core_scan *scan = slab_take(&core->output.slab, sizeof *scan);
    struct core_effect *effect;

    if (!scan)
        return false;
    *scan = (struct core_scan){.from = wanted->from,
                               .until = until,
                               .records_max = wanted->records_max,
                               .keys = wanted->keys,
                               .key_count = wanted->key_count};
    effect = output_effect(&core->output, EFFECT_SCAN);
    effect->reader = reader->number;
    effect->scan = scan;
    return true;
}

/* Looks further, or waits at the head until something that may match is durable. */
static void look_further(struct core *core, struct subscription *subscription)
{
    struct place head = {core_visible_position(core), 0};
    struct core_reader *reader = subscription->scan;
    struct share_scan scan;

    if (!reader || subscription->scanning || subscription->row.paused || !share_next_scan(subscription->share, &scan))
        return;
    if (scan.from.position >= head.position || !watch_may_match(reader->watch, scan.from.position)) {
        share_scan_failed(subscription->share); /* not now */
        reader->position = scan.from.position;
        if (reader->state != READER_PARKED)
            watch_park(reader);
        return;
    }
    if (reader->state == READER_PARKED)
        watch_unpark(reader);
    subscription->scanning = ask(core, reader, &scan, head);
    if (!subscription->scanning)
        share_scan_failed(subscription->share);
}

static void search_keys(struct core *core, struct subscription *subscription)
{
    struct share_scan search;

    if (!subscription->search || subscription->searching || subscription->row.paused ||
        !share_next_search(subscription->share, &search))
        return;
    subscription->searching = ask(core, subscription->search, &search, search.until);
    if (!subscription->searching)
        share_search_failed(subscription->share);
}

static void tell_damage(struct core *core, const struct subscription *subscription, const struct core_scanned *scanned)
{
    if (scanned->damaged > 0)
        output_alarm(
            &core->output,
            "subscription %.*s of %.*s passed over %llu damaged entries, the first at position %llu; run `truc log verify`",
            (int)subscription->row.name.size, (const char *)subscription->row.name.data, (int)subscription->row.owner.size,
            (const char *)subscription->row.owner.data, (unsigned long long)scanned->damaged,
            (unsigned long long)scanned->damaged_at);
}

void core_on_scanned(struct core *core, const struct core_event *event)
{
    struct core_reader *reader = reader_find_number(core, event->reader);
    struct subscription *subscription = reader ? reader->subscription : NULL;
    const struct core_scanned *scanned = &event->scanned;
    bool search, failed = event->status != TRUC_OK;

    if (!subscription)
        return;
    search = reader == subscription->search;
    CORE_INVARIANT(search ? subscription->searching : subscription->scanning);
    *(search ? &subscription->searching : &subscription->scanning) = false;
    subscription_touch(core, subscription);
    if (!failed)
        failed = search ? !share_found(subscription->share, scanned->records, scanned->count, scanned->next)
                        : !share_scanned(subscription->share, scanned->records, scanned->count, scanned->next);
    else
        output_alarm(&core->output, "a subscription cannot look at the log: %s",
                     event->why ? event->why : truc_status_text(event->status));
    if (failed && search)
        share_search_failed(subscription->share);
    else if (failed)
        share_scan_failed(subscription->share);
    else
        tell_damage(core, subscription, scanned);
    if (failed)
        subscription_retry(core, subscription);
}

/* --- giving out
 * -------------------------------------------------------------------------------------------------------------------- */

static struct attachment *attachment_by_number(const struct subscription *subscription, uint64_t number)
{
    struct attachment *attachment = subscription->first;

    while (attachment->number != number)
        attachment = attachment->next;
    return attachment;
}

/* What follows, as far as its leases are in a row: a DELIVER names the first one only. */
static void fetch(struct core *core, struct attachment *attachment)
{
    struct core_effect *effect = output_effect(&core->output, EFFECT_FETCH);
    const struct share_lease *leases = attachment->leases;
    uint32_t end = attachment->lease_done + 1;

    while (end < attachment->lease_count && leases[end].lease == leases[end - 1].lease + 1)
        end++;
    effect->reader = attachment->fetch->number;
    effect->places = attachment->places + attachment->lease_done;
    effect->place_count = end - attachment->lease_done;
    attachment->fetching = true;
}

/* Of a run the first one may have been refused, or have lapsed, while others were on their way to the worker: they must not come
 * any more, since the first will come again. Whether one of the next `count` is such. */
static bool drop_lost(struct attachment *attachment, size_t count)
{
    uint32_t begin = attachment->lease_done, kept = begin;
    bool lost = false;

    if (attachment->run_max == 1)
        return false;
    for (uint32_t i = begin; i < attachment->lease_count; i++) {
        if (!share_holds(attachment->subscription->share, attachment->number, attachment->leases[i].lease)) {
            lost |= i - begin < count;
            continue;
        }
        attachment->leases[kept] = attachment->leases[i];
        attachment->places[kept++] = attachment->places[i];
    }
    attachment->lease_count = kept;
    return lost;
}

static void fetch_more(struct core *core, struct attachment *attachment)
{
    (void)drop_lost(attachment, 0);
    if (attachment->lease_done < attachment->lease_count)
        fetch(core, attachment);
    else
        share_hold(attachment->subscription->share, attachment->number, false);
}

/* One worker after the other, each as much as it wants, one set under way per worker. */
static void give_out(struct core *core, struct subscription *subscription)
{
    struct share_lease leases[GRANT_RECORDS_MAX];
    uint64_t worker;
    size_t count;

    if (subscription->row.paused || !subscription->first)
        return;
    while ((count = share_grant(subscription->share, clock_now(core), leases, GRANT_RECORDS_MAX, &worker)) > 0) {
        struct attachment *attachment = attachment_by_number(subscription, worker);

        CORE_INVARIANT(!attachment->fetching);
        memcpy(attachment->leases, leases, count * sizeof leases[0]);
        for (size_t i = 0; i < count; i++)
            attachment->places[i] = leases[i].record.place;
        attachment->lease_count = (uint32_t)count;
        attachment->lease_done = 0;
        share_hold(subscription->share, worker, true);
        fetch(core, attachment);
    }
}

/* The DELIVER of `count` leases that follow one another. */
static size_t encode_deliver(struct core *core, const struct attachment *attachment, size_t count, size_t data_size, uint8_t *out,
                             size_t capacity)
{
    const struct share_lease *leases = attachment->leases + attachment->lease_done;
    Truc__V1__Deliver deliver = TRUC__V1__DELIVER__INIT;
    Truc__V1__DeliverEntry entries[GRANT_RECORDS_MAX], *pointers[GRANT_RECORDS_MAX];
    uint32_t indexes[GRANT_RECORDS_MAX], attempts[GRANT_RECORDS_MAX];
    bool again = false;

    for (size_t i = 0; i < count; i++) {
        indexes[i] = leases[i].record.place.index;
        attempts[i] = leases[i].attempt;
        again |= attempts[i] > 1;
        if (i == 0 || leases[i].record.place.position != leases[i - 1].record.place.position) {
            Truc__V1__DeliverEntry *entry = &entries[deliver.n_entries];

            truc__v1__deliver_entry__init(entry);
            entry->indexes = indexes + i;
            pointers[deliver.n_entries++] = entry;
        }
        entries[deliver.n_entries - 1].records++;
        entries[deliver.n_entries - 1].n_indexes++;
    }
    deliver.entries = pointers;
    deliver.first_lease = leases[0].lease;
    deliver.attempts = attempts;
    deliver.n_attempts = again ? count : 0;
    deliver.durable_position = core_visible_position(core);
    return frame_encode(out, capacity, FRAME_DELIVER, attachment->request_id, &deliver.base, data_size);
}

enum { DELIVER_HEAD_MAX = FRAME_PREFIX_BYTES + 64 + GRANT_RECORDS_MAX * (2 + 4 + 3 + 5 + 6) };

static void send(struct core *core, struct attachment *attachment, const struct core_event *event)
{
    const struct core_read_done *done = &event->done;
    uint8_t *head = slab_take(&core->output.slab, DELIVER_HEAD_MAX);
    struct core_effect *effect;
    size_t size;

    if (!head) {
        output_effect(&core->output, EFFECT_FREE_DATA)->owner = done->owner;
        connection_close(core, attachment->connection);
        return;
    }
    size = encode_deliver(core, attachment, done->entry_count, done->data.size, head, DELIVER_HEAD_MAX);
    CORE_INVARIANT(size > 0);
    output_flush(&core->output, attachment->connection);
    effect = output_effect(&core->output, EFFECT_SEND_DATA);
    effect->connection = attachment->connection->number;
    effect->bytes = bytes_of(head, size);
    effect->data = done->data;
    effect->owner = done->owner;
}

/* A record that cannot be read is nobody's to work on: dead, so that its key does not wait for ever. */
static void reject_damaged(struct core *core, struct attachment *attachment, const char *why)
{
    struct share_lease *lease = &attachment->leases[attachment->lease_done++];

    output_alarm(&core->output, "a record at position %llu cannot be delivered: %s",
                 (unsigned long long)lease->record.place.position, why ? why : "it is damaged");
    (void)share_settle(attachment->subscription->share, attachment->number, lease->lease, SHARE_DAMAGED, 0, clock_now(core));
}

void core_on_fetched(struct core *core, const struct core_event *event)
{
    struct core_reader *reader = reader_find_number(core, event->reader);
    struct attachment *attachment = reader ? reader->attachment : NULL;

    if (!attachment) {
        if (event->done.data.size > 0)
            output_effect(&core->output, EFFECT_FREE_DATA)->owner = event->done.owner;
        return;
    }
    CORE_INVARIANT(attachment->fetching && event->done.entry_count <= attachment->lease_count - attachment->lease_done);
    attachment->fetching = false;
    subscription_touch(core, attachment->subscription);
    if (event->done.data.size > 0 && drop_lost(attachment, event->done.entry_count)) {
        output_effect(&core->output, EFFECT_FREE_DATA)->owner = event->done.owner;
        fetch_more(core, attachment);
        return;
    }
    if (event->done.data.size > 0) {
        send(core, attachment, event);
        if (reader_find_number(core, event->reader) != reader)
            return; /* no memory: the connection went, and with it the attachment */
        attachment->lease_done += event->done.entry_count;
    }
    if (event->status == TRUC_DAMAGED) {
        reject_damaged(core, attachment, event->why);
    } else if (event->status != TRUC_OK) {
        attachment_end(core, attachment, event->status, event->why ? event->why : truc_status_text(event->status));
        return;
    }
    fetch_more(core, attachment);
}

/* --- saving
 * ------------------------------------------------------------------------------------------------------------------------ */

struct saving {
    struct core *core;
    struct subscription *subscription;
    bool joined;
};

static bool put(void *context, const struct delta *delta)
{
    struct saving *saving = context;
    bool done = pending_delta(saving->core, delta, saving->joined);

    saving->joined = true;
    if (done && delta->kind == DELTA_CURSOR) {
        saving->subscription->place = delta->cursor.place;
        saving->subscription->acknowledged = delta->cursor.acknowledged;
        saving->subscription->dead = delta->cursor.dead;
        saving->subscription->expired = delta->cursor.expired;
    }
    return done;
}

/* buried: dead letters were given to the log in this step, what follows must be in their block. */
static void save(struct core *core, struct subscription *subscription, bool buried)
{
    struct saving saving = {.core = core, .subscription = subscription, .joined = buried};

    if (core->failed)
        return;
    if (share_unsaved(subscription->share) && !share_save(subscription->share, subscription->row.subscription_id, put, &saving)) {
        subscription_retry(core, subscription);
        return;
    }
    (void)settle_pend(core, subscription);
}

/* --- the pump
 * ---------------------------------------------------------------------------------------------------------------------- */

void subscription_retry(struct core *core, struct subscription *subscription)
{
    subscription->retry_ns = clock_now(core) + RETRY_MS * MS;
}

static int64_t due_ns(const struct subscription *subscription)
{
    int64_t due = share_due_ns(subscription->share);

    return subscription->retry_ns != 0 && subscription->retry_ns < due ? subscription->retry_ns : due;
}

/* Nobody takes part and nothing waits: what it is costs its row only. */
static bool is_idle(const struct subscription *subscription)
{
    return !subscription->first && !share_unsaved(subscription->share) && !subscription->settles &&
           share_counts(subscription->share).lanes == 0;
}

static void pump(struct core *core, struct subscription *subscription)
{
    int64_t due;
    bool buried;

    if (!subscription->share)
        return;
    subscription->retry_ns = 0;
    share_tick(subscription->share, clock_now(core));
    buried = dead_bury(core, subscription); /* then the next of the key is free */
    give_out(core, subscription);
    search_keys(core, subscription);
    look_further(core, subscription);
    save(core, subscription, buried);
    due = due_ns(subscription);
    if (due < core->shares_due_ns)
        core->shares_due_ns = due;
    if (is_idle(subscription))
        subscription_drop_share(core, subscription);
}

static void touch_due(struct core *core)
{
    int64_t now_ns = clock_now(core), next_ns = INT64_MAX;

    if (core->shares_due_ns > now_ns)
        return;
    for (struct subscription *subscription = core->subscriptions_shared; subscription; subscription = subscription->next_shared) {
        int64_t due = due_ns(subscription);

        if (due <= now_ns)
            subscription_touch(core, subscription);
        else if (due < next_ns)
            next_ns = due;
    }
    core->shares_due_ns = next_ns;
}

void subscription_pump_all(struct core *core)
{
    touch_due(core);
    while (core->subscriptions_touched) {
        struct subscription *subscription = core->subscriptions_touched;

        core->subscriptions_touched = subscription->next_touched;
        subscription->next_touched = NULL;
        subscription->touched = false;
        pump(core, subscription);
    }
}
