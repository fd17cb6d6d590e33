/* subscription_state.c: subscriptions by name and id, and what is told of them. Layer: core. */
#include "broker/core/subscription.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/texts.h"
#include "truc/v1/wire.pb-c.h"

enum { OWNED_NAME_BYTES_MAX = AGENCY_BYTES_MAX + 1 + SUBSCRIPTION_NAME_BYTES_MAX };

/* Owner, a zero byte and name stand one after the other in the text, so both are one name for table and order. */
static struct bytes full_name(const struct subscription *subscription)
{
    return bytes_of(subscription->text, subscription->row.owner.size + 1 + subscription->row.name.size);
}

static struct bytes name_of(const void *context, uint32_t index)
{
    return full_name(core_subscription(context, index));
}

struct order_names subscription_order_names(const struct core *core)
{
    return (struct order_names){name_of, core};
}

struct subscription *subscription_find(const struct core *core, struct bytes owner, struct bytes name)
{
    uint8_t text[OWNED_NAME_BYTES_MAX];
    struct bytes wanted;
    uint32_t index;

    if (owner.size > AGENCY_BYTES_MAX || name.size == 0 || name.size > SUBSCRIPTION_NAME_BYTES_MAX)
        return NULL;
    memcpy(text, owner.data, owner.size);
    text[owner.size] = '\0';
    memcpy(text + owner.size + 1, name.data, name.size);
    wanted = bytes_of(text, owner.size + 1 + name.size);
    for (struct table_probe probe = table_probe(&core->subscriptions_by_name, core_hash(core, wanted));
         table_next(&core->subscriptions_by_name, &probe, &index);) {
        struct subscription *subscription = core_subscription(core, index);

        if (bytes_equal(full_name(subscription), wanted))
            return subscription;
    }
    return NULL;
}

static bool keep_texts(struct subscription *subscription, const struct subscription_row *row)
{
    struct subscription_row *kept = &subscription->row;
    struct bytes *const texts[] = {&kept->owner, &kept->name,   &kept->pattern, &kept->type,
                                   &kept->key,   &kept->source, &kept->headers};

    *kept = *row;
    subscription->text = texts_keep(texts, sizeof texts / sizeof texts[0]);
    return subscription->text != NULL;
}

/* Ids are dense, rows may be missing: what was removed keeps its slot. */
static struct subscription *take_slot(struct core *core, uint32_t id)
{
    uint32_t index;

    while (core->subscriptions.touched < id) {
        if (!pool_take(&core->subscriptions, &index))
            return NULL;
    }
    return core_subscription(core, id - 1);
}

struct subscription *subscription_add(struct core *core, const struct subscription_row *row, struct place place)
{
    struct order_names names = subscription_order_names(core);
    struct subscription *subscription;

    if (!table_reserve(&core->subscriptions_by_name, 1))
        return NULL;
    subscription = take_slot(core, row->subscription_id);
    if (!subscription || !keep_texts(subscription, row))
        return NULL;
    subscription->index = row->subscription_id - 1;
    subscription->place = place;
    if (!order_add(&core->subscriptions_in_order, &names, subscription->index)) {
        free(subscription->text);
        *subscription = (struct subscription){0};
        return NULL;
    }
    table_add(&core->subscriptions_by_name, core_hash(core, full_name(subscription)), subscription->index);
    if (row->subscription_id > core->last_subscription)
        core->last_subscription = row->subscription_id;
    core->subscription_count++;
    return subscription;
}

/* Takes it out of everything; its texts stay with the caller. */
static void forget(struct core *core, struct subscription *subscription)
{
    struct order_names names = subscription_order_names(core);

    CORE_INVARIANT(!subscription->first && !subscription->scan && !subscription->search);
    if (subscription->touched) {
        struct subscription **link = &core->subscriptions_touched;

        while (*link != subscription)
            link = &(*link)->next_touched;
        *link = subscription->next_touched;
    }
    order_remove(&core->subscriptions_in_order, &names, subscription->index);
    table_remove(&core->subscriptions_by_name, core_hash(core, full_name(subscription)), subscription->index);
    subscription_drop_share(core, subscription);
    *subscription = (struct subscription){0};
    core->subscription_count--;
}

struct subscription *subscription_renew(struct core *core, struct subscription *old, struct place place)
{
    struct subscription_row row = old->row;
    struct subscription *renewed;
    uint8_t *text = old->text; /* the row's texts are in it until they are copied */

    forget(core, old);
    row.subscription_id = core->last_subscription + 1;
    renewed = subscription_add(core, &row, place);
    free(text);
    return renewed;
}

void subscription_fini(struct subscription *subscription)
{
    share_destroy(subscription->share);
    free(subscription->text);
}

void subscription_destroy(struct core *core, struct subscription *subscription)
{
    uint8_t *text = subscription->text;

    forget(core, subscription);
    free(text);
}
void subscription_touch(struct core *core, struct subscription *subscription)
{
    if (subscription->touched)
        return;
    subscription->touched = true;
    subscription->next_touched = core->subscriptions_touched;
    core->subscriptions_touched = subscription;
}

/* --- what is told ------------------------------------------------------------------------------------------------------------- */

static ProtobufCBinaryData binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data}; /* read only */
}

static char *text(struct bytes bytes)
{
    return (char *)(uintptr_t)bytes.data; /* terminated; read only, the generated type is not const */
}

static bool describe_headers(struct core *core, struct bytes headers, Truc__V1__SubscriptionInfo *info)
{
    size_t count = 0, at = 0;
    Truc__V1__HeaderEquals *messages, **pointers;

    for (size_t i = 0; i < headers.size; i++)
        count += headers.data[i] == '\0';
    count /= 2;
    if (count == 0)
        return true;
    messages = slab_take(&core->output.slab, count * sizeof *messages);
    pointers = slab_take(&core->output.slab, count * sizeof(Truc__V1__HeaderEquals *));
    if (!messages || !pointers)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = (const char *)headers.data + at;
        size_t name_size = strlen(name), value_size = strlen(name + name_size + 1);

        truc__v1__header_equals__init(&messages[i]);
        messages[i].name = (char *)(uintptr_t)name;
        messages[i].value = binary(bytes_of(headers.data + at + name_size + 1, value_size));
        pointers[i] = &messages[i];
        at += name_size + value_size + 2;
    }
    info->headers = pointers;
    info->n_headers = count;
    return true;
}

static void describe_state(const struct core *core, const struct subscription *subscription, Truc__V1__SubscriptionInfo *info)
{
    struct share_counts counts;

    info->position = info->scan_position = subscription->place.position;
    info->head_position = core_visible_position(core);
    info->acknowledged = subscription->acknowledged;
    info->dead = subscription->dead;
    info->expired = subscription->expired;
    info->connected = subscription->attachment_count;
    if (subscription->share) {
        counts = share_counts(subscription->share);
        info->position = counts.oldest.position;
        info->scan_position = share_scan_place(subscription->share).position;
        info->in_flight = counts.leased;
        info->ready = counts.ready;
        info->delayed = counts.delayed;
        info->lanes = counts.lanes;
        info->aside = counts.aside;
        info->lanes_full = counts.full;
    }
    info->lag_positions = info->head_position > info->position ? info->head_position - info->position : 0;
}

bool subscription_describe(struct core *core, struct subscription *subscription, Truc__V1__SubscriptionInfo *ret_info)
{
    struct subscription_row *row = &subscription->row;

    truc__v1__subscription_info__init(ret_info);
    ret_info->owner = text(row->owner);
    ret_info->name = text(row->name);
    ret_info->pattern = text(row->pattern);
    ret_info->mode = (Truc__V1__SubscriptionMode)row->mode;
    ret_info->paused = row->paused;
    ret_info->key = binary(row->key);
    ret_info->type = binary(row->type);
    ret_info->source = text(row->source);
    ret_info->ack_wait_ms = row->ack_wait_ms;
    ret_info->attempts_max = row->attempts_max;
    ret_info->in_flight_max = row->in_flight_max;
    ret_info->backoff_ms = row->backoff_ms;
    ret_info->n_backoff_ms = row->backoff_count;
    ret_info->created_ns = row->created_ns;
    describe_state(core, subscription, ret_info);
    return describe_headers(core, row->headers, ret_info);
}
