#undef NDEBUG /* a test kit that checks nothing in release would be none */
#include "clients/c/fake_share.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/fake_broker.h"
#include "proto/cut.h"
#include "truc/v1/wire.pb-c.h"

enum { ARENA_BYTES = 2 * 1024 * 1024 };

/* One thread answers: its scratch. */
static uint8_t arena_memory[ARENA_BYTES] __attribute__((aligned(16)));

static void *decode(const struct frame *frame)
{
    struct arena arena = {arena_memory, arena_memory + sizeof arena_memory};
    const char *why;
    void *message = frame_header_decode(&arena, frame_header_descriptor(frame->kind), frame->header, &why);

    assert(message != NULL);
    return message;
}

static struct fake_subscription *find(struct fake_broker *broker, const char *name)
{
    for (size_t i = 0; i < broker->share.count; i++) {
        if (strcmp(broker->share.subscriptions[i].name, name) == 0)
            return &broker->share.subscriptions[i];
    }
    return NULL;
}

size_t fake_share_count(const struct fake_broker *broker, enum fake_record_state state)
{
    size_t count = 0;

    for (size_t s = 0; s < broker->share.count; s++) {
        for (size_t i = 0; i < broker->share.subscriptions[s].record_count; i++)
            count += broker->share.subscriptions[s].records[i].state == state;
    }
    return count;
}

static void release(struct fake_share *share, bool counted)
{
    for (size_t s = 0; s < share->count; s++) {
        for (size_t i = 0; i < share->subscriptions[s].record_count; i++) {
            struct fake_record *record = &share->subscriptions[s].records[i];

            if (record->state != FAKE_LEASED)
                continue;
            record->state = FAKE_FREE;
            record->lease = 0;
            record->attempts += counted;
        }
    }
}

void fake_share_lapse(struct fake_broker *broker)
{
    release(&broker->share, true);
    fake_share_serve(broker);
}

void fake_share_connected(struct fake_broker *broker)
{
    release(&broker->share, true);
    broker->share.subscribe_id = 0;
    broker->share.taken = NULL;
    broker->share.next_lease = 1; /* as after a restart */
}

void fake_share_fini(struct fake_share *share)
{
    for (size_t i = 0; i < share->count; i++) {
        free(share->subscriptions[i].records);
        free(share->subscriptions[i].created);
    }
    cutter_destroy(share->cutter);
}

/* --- what there is --------------------------------------------------------------------------------------------------------------
 */

static void fill_info(const struct fake_broker *broker, struct fake_subscription *subscription, Truc__V1__SubscriptionInfo *info)
{
    static char owner[] = "H26.16";
    truc__v1__subscription_info__init(info);
    info->owner = owner;
    info->name = subscription->name;
    info->pattern = subscription->pattern;
    info->mode = subscription->ordered ? TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED
                                       : TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED;
    info->paused = subscription->paused;
    info->created_ns = subscription->created_ns;
    info->position = subscription->position;
    info->head_position = broker->entry_count;
    info->ack_wait_ms = 30000;
    info->attempts_max = UINT32_MAX;
}

static void answer_info(struct fake_broker *broker, unsigned deed, uint64_t id, struct fake_subscription *subscription)
{
    Truc__V1__SubscriptionOk ok = TRUC__V1__SUBSCRIPTION_OK__INIT;
    Truc__V1__SubscriptionInfo info;

    fill_info(broker, subscription, &info);
    ok.info = &info;
    fake_broker_answer(broker, deed, FRAME_SUBSCRIPTION_OK, id, &ok.base, bytes_of(NULL, 0));
}

static uint64_t bound_of(const struct fake_broker *broker, const Truc__V1__Bound *bound)
{
    return bound != NULL && bound->at_case == TRUC__V1__BOUND__AT_POSITION && bound->position < broker->entry_count
               ? bound->position
               : broker->entry_count;
}

static void on_create(struct fake_broker *broker, unsigned deed, const struct frame *frame)
{
    const Truc__V1__SubscriptionCreate *create = decode(frame);
    struct fake_subscription *subscription = find(broker, create->name);

    if (subscription != NULL && (subscription->created_size != frame->header.size ||
                                 memcmp(subscription->created, frame->header.data, frame->header.size) != 0)) {
        fake_broker_refuse(broker, deed, frame->request_id, TRUC_EXISTS, 0);
        return;
    }
    if (subscription == NULL) {
        assert(broker->share.count < FAKE_SUBSCRIPTIONS_MAX);
        subscription = &broker->share.subscriptions[broker->share.count++];
        *subscription = (struct fake_subscription){.created_ns = ++broker->share.clock_ns};
        (void)snprintf(subscription->name, sizeof subscription->name, "%s", create->name);
        (void)snprintf(subscription->pattern, sizeof subscription->pattern, "%s", create->pattern);
        subscription->ordered = create->mode == TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;
        subscription->position = bound_of(broker, create->start);
        subscription->created = malloc(frame->header.size);
        assert(subscription->created != NULL);
        memcpy(subscription->created, frame->header.data, frame->header.size);
        subscription->created_size = frame->header.size;
    }
    answer_info(broker, deed, frame->request_id, subscription);
}

static void end_session(struct fake_broker *broker, truc_status status)
{
    Truc__V1__ReadEnd end = TRUC__V1__READ_END__INIT;
    char text[] = "ended by the test";

    if (broker->share.subscribe_id == 0)
        return;
    end.status = (uint32_t)status;
    end.message = text;
    fake_broker_answer(broker, FAKE_NORMAL, FRAME_READ_END, broker->share.subscribe_id, &end.base, bytes_of(NULL, 0));
    broker->share.subscribe_id = 0;
    broker->share.taken = NULL;
    release(&broker->share, false);
}

static void on_change(struct fake_broker *broker, unsigned deed, const struct frame *frame)
{
    const Truc__V1__SubscriptionChange *change = decode(frame);
    struct fake_subscription *subscription = find(broker, change->name);

    if (subscription == NULL) {
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, TRUC_NOT_FOUND, 0);
        return;
    }
    switch (change->action) {
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_PAUSE:
        subscription->paused = true;
        break;
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESUME:
        subscription->paused = false;
        break;
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET:
        if (broker->share.taken == subscription)
            end_session(broker, TRUC_CANCELLED);
        subscription->record_count = 0;
        subscription->position = bound_of(broker, change->place);
        break;
    case TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE:
        if (broker->share.taken == subscription)
            end_session(broker, TRUC_NOT_FOUND);
        answer_info(broker, deed, frame->request_id, subscription);
        free(subscription->records);
        free(subscription->created);
        *subscription = broker->share.subscriptions[--broker->share.count];
        return;
    default:
        break;
    }
    answer_info(broker, deed, frame->request_id, subscription);
    fake_share_serve(broker);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct fake_subscription *)left)->name, ((const struct fake_subscription *)right)->name);
}

static void on_list(struct fake_broker *broker, unsigned deed, const struct frame *frame)
{
    const Truc__V1__Subscriptions *question = decode(frame);
    struct fake_share *share = &broker->share;
    Truc__V1__SubscriptionsOk page = TRUC__V1__SUBSCRIPTIONS_OK__INIT;
    Truc__V1__SubscriptionInfo infos[FAKE_SUBSCRIPTIONS_MAX], *pointers[FAKE_SUBSCRIPTIONS_MAX];

    assert(share->taken == NULL); /* it would move */
    qsort(share->subscriptions, share->count, sizeof share->subscriptions[0], compare_names);
    for (size_t i = 0; i < share->count; i++) {
        if (strcmp(share->subscriptions[i].name, question->after) <= 0)
            continue;
        page.more = page.n_subscriptions == question->limit;
        if (page.more)
            break;
        fill_info(broker, &share->subscriptions[i], &infos[page.n_subscriptions]);
        pointers[page.n_subscriptions] = &infos[page.n_subscriptions];
        page.n_subscriptions++;
    }
    page.subscriptions = pointers;
    fake_broker_answer(broker, deed, FRAME_SUBSCRIPTIONS_OK, frame->request_id, &page.base, bytes_of(NULL, 0));
}

/* --- taking part --------------------------------------------------------------------------------------------------------------
 */

static void on_subscribe(struct fake_broker *broker, unsigned deed, const struct frame *frame)
{
    const Truc__V1__Subscribe *subscribe = decode(frame);
    struct fake_share *share = &broker->share;
    Truc__V1__SubscribeOk ok = TRUC__V1__SUBSCRIBE_OK__INIT;
    Truc__V1__ReadOk turn = TRUC__V1__READ_OK__INIT;
    Truc__V1__SubscriptionInfo info;
    struct fake_subscription *subscription = find(broker, subscribe->name);

    if (subscription == NULL || deed == FAKE_REFUSE) {
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, subscription == NULL ? TRUC_NOT_FOUND : broker->refuse_status,
                           0);
        return;
    }
    share->taken = subscription;
    share->subscribe_id = frame->request_id;
    share->credit = (int64_t)subscribe->credit;
    share->key_run = subscribe->key_run_max > 1 ? subscribe->key_run_max : 1;
    assert(share->key_run <= 64);
    fill_info(broker, subscription, &info);
    ok.info = &info;
    fake_broker_answer(broker, deed, FRAME_SUBSCRIBE_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    if (subscription->ordered) {
        share->sent_position = turn.from_position = subscription->position;
        turn.until_position = UINT64_MAX;
        fake_broker_answer(broker, FAKE_NORMAL, FRAME_READ_OK, frame->request_id, &turn.base, bytes_of(NULL, 0));
    }
    fake_share_serve(broker);
}

/* --- settling -------------------------------------------------------------------------------------------------------------------
 */

/* Of a run the first is settled first. */
static bool is_first(const struct fake_subscription *subscription, const struct fake_record *record)
{
    for (const struct fake_record *other = subscription->records; record->key != 0 && other < record; other++) {
        if (other->key == record->key && other->state == FAKE_LEASED)
            return false;
    }
    return true;
}

static void free_behind(struct fake_subscription *subscription, const struct fake_record *record)
{
    for (size_t i = 0; record->key != 0 && i < subscription->record_count; i++) {
        struct fake_record *other = &subscription->records[i];

        if (other <= record || other->key != record->key || other->state != FAKE_LEASED)
            continue;
        other->state = FAKE_FREE;
        other->lease = 0;
    }
}

/* False: the lease is stale. */
static bool settle_one(struct fake_share *share, uint64_t lease, Truc__V1__Outcome outcome)
{
    struct fake_subscription *subscription = share->taken;
    struct fake_record *record = NULL;

    for (size_t i = 0; subscription != NULL && i < subscription->record_count && record == NULL; i++) {
        if (subscription->records[i].state == FAKE_LEASED && subscription->records[i].lease == lease)
            record = &subscription->records[i];
    }
    if (record == NULL || (outcome != TRUC__V1__OUTCOME__OUTCOME_EXTEND && !is_first(subscription, record)))
        return false;
    if (outcome != TRUC__V1__OUTCOME__OUTCOME_EXTEND && outcome != TRUC__V1__OUTCOME__OUTCOME_ACK)
        free_behind(subscription, record);
    share->settled += outcome != TRUC__V1__OUTCOME__OUTCOME_EXTEND;
    switch (outcome) {
    case TRUC__V1__OUTCOME__OUTCOME_ACK:
        record->state = FAKE_DONE;
        break;
    case TRUC__V1__OUTCOME__OUTCOME_NACK:
        record->attempts++;
        record->state = FAKE_FREE;
        break;
    case TRUC__V1__OUTCOME__OUTCOME_REJECT:
        record->state = FAKE_DEAD;
        share->rejected++;
        break;
    case TRUC__V1__OUTCOME__OUTCOME_RETURN:
        record->state = FAKE_FREE;
        share->returned++;
        share->returned_late += share->cancels > 0;
        break;
    default:
        share->extended++;
        break;
    }
    return true;
}

static void on_settle(struct fake_broker *broker, unsigned deed, const struct frame *frame)
{
    static Truc__V1__Settlement stale[1000], *pointers[1000];
    const Truc__V1__Settle *settle = decode(frame);
    struct fake_share *share = &broker->share;
    Truc__V1__SettleOk ok = TRUC__V1__SETTLE_OK__INIT;

    assert(settle->n_settlements >= 1 && settle->n_settlements <= 1000);
    if (deed == FAKE_REFUSE) {
        fake_broker_refuse(broker, FAKE_NORMAL, frame->request_id, broker->refuse_status, 0);
        return;
    }
    share->settles++;
    share->settlements += settle->n_settlements;
    share->expired += settle->expired;
    for (size_t i = 0; i < settle->n_settlements; i++) {
        const Truc__V1__Settlement *item = settle->settlements[i];
        uint32_t count = item->count == 0 ? 1 : item->count;

        assert(settle->subscribe_id == share->subscribe_id || share->subscribe_id == 0);
        if (share->taken != NULL && share->taken->ordered) {
            assert(item->first >= share->taken->position && item->first <= broker->entry_count);
            share->taken->position = item->first;
            continue;
        }
        for (uint32_t j = 0; j < count; j++) {
            if (settle_one(share, item->first + j, item->outcome))
                continue;
            share->stale++;
            assert(ok.n_stale < 1000);
            truc__v1__settlement__init(&stale[ok.n_stale]);
            stale[ok.n_stale].first = item->first + j;
            stale[ok.n_stale].outcome = item->outcome;
            pointers[ok.n_stale] = &stale[ok.n_stale];
            ok.n_stale++;
        }
    }
    ok.stale = pointers;
    fake_broker_answer(broker, deed, FRAME_SETTLE_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    fake_share_serve(broker);
}

void fake_share_credit(struct fake_broker *broker, uint64_t id, uint64_t more)
{
    if (id != broker->share.subscribe_id)
        return;
    broker->share.credits++;
    broker->share.credit += (int64_t)more;
    fake_share_serve(broker);
}

void fake_share_cancel(struct fake_broker *broker, uint64_t id)
{
    if (id != broker->share.subscribe_id)
        return;
    broker->share.cancels++;
    end_session(broker, TRUC_CANCELLED);
}

bool fake_share_handle(struct fake_broker *broker, unsigned deed, const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_SUBSCRIPTION_CREATE:
        on_create(broker, deed, frame);
        return true;
    case FRAME_SUBSCRIPTION_CHANGE:
        on_change(broker, deed, frame);
        return true;
    case FRAME_SUBSCRIPTIONS:
        on_list(broker, deed, frame);
        return true;
    case FRAME_SUBSCRIBE:
        on_subscribe(broker, deed, frame);
        return true;
    case FRAME_SETTLE:
        on_settle(broker, deed, frame);
        return true;
    default:
        return false;
    }
}
