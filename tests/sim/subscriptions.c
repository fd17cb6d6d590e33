#include "subscriptions.h"

#include <stdlib.h>

#include "clients.h"
#include "proto/topic.h"
#include "read_model.h"
#include "share_model.h"

enum { SUBS_MAX = 8192 };

static struct sub *subs[SUBS_MAX]; /* by id - 1; owned */
static uint32_t last_id, first_id; /* none is above, none is below */
static struct attachment *asking;  /* of the SUBSCRIBE of this step, until it is confirmed */

void subscriptions_begin(void)
{
    last_id = 0;
    first_id = 1;
    asking = NULL;
}

static void drop(uint32_t id)
{
    struct sub *sub = subs[id - 1];

    if (!sub)
        return;
    while (sub->attachments)
        attachment_leaves(sub->attachments, false);
    share_fini(sub);
    free(sub);
    subs[id - 1] = NULL;
    while (first_id <= last_id && !subs[first_id - 1])
        first_id++;
}

void subscriptions_end(void)
{
    while (first_id <= last_id)
        drop(first_id);
}

struct sub *sub_at(uint32_t id)
{
    return id > 0 && id <= last_id ? subs[id - 1] : NULL;
}

uint32_t sub_first(void)
{
    return first_id;
}

uint32_t sub_last(void)
{
    return last_id;
}

struct sub *sub_named(struct bytes owner, struct bytes name)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        struct sub *sub = subs[id - 1];

        if (sub && sub->there && bytes_equal(sub->row.owner, owner) && bytes_equal(sub->row.name, name))
            return sub;
    }
    return NULL;
}

/* --- definitions
 * ------------------------------------------------------------------------------------------------------------------- */

static void define(const struct subscription_row *row)
{
    struct sub *sub;
    struct bytes agency = {0}, system = {0};

    SIM_CHECK(row->subscription_id > 0 && row->subscription_id <= SUBS_MAX, "subscription id %u", row->subscription_id);
    if (row->subscription_id > last_id)
        last_id = row->subscription_id;
    sub = subs[row->subscription_id - 1];
    if (sub && !sub->there) { /* its end was given to the log: the number must not be used again */
        SIM_CHECK(!catalog_subscription(row->subscription_id), "subscription id %u is used again", row->subscription_id);
        drop(row->subscription_id);
        sub = NULL;
    }
    if (!sub) {
        SIM_CHECK(!sub_named(row->owner, row->name), "two subscriptions have one name");
        sub = subs[row->subscription_id - 1] = take_memory(sizeof *sub);
        if (row->subscription_id < first_id)
            first_id = row->subscription_id;
    }
    sub->there = true;
    subscription_row_copy(&sub->row, row, sub->text);
    if (row->source.size > 0)
        SIM_CHECK(source_filter_split(row->source, &agency, &system, NULL) == TRUC_OK, "a subscription's source");
    if (!sub->started)
        filter_make(&sub->filter, row->pattern, row->key, row->type, agency, system);
    if (row->paused)
        ordered_paused(sub);
}

static void end(uint32_t id)
{
    struct sub *sub = sub_at(id);

    SIM_CHECK(sub && sub->there, "subscription %u ends and is not there", id);
    while (sub->attachments)
        attachment_leaves(sub->attachments, false);
    sub->there = false;
}

static void move(uint64_t ticket, const struct cursor_row *cursor)
{
    struct sub *sub = sub_at(cursor->subscription_id);

    SIM_CHECK(sub && sub->there, "a cursor of subscription %u, which is not there", cursor->subscription_id);
    if (!sub->started) {
        SIM_CHECK(cursor->place.position <= store.head.position && cursor->place.index == 0,
                  "a subscription begins above the head");
        sub->started = true;
        sub->start = sub->place = cursor->place;
        sub->confirmed = cursor->place.position;
        return;
    }
    SIM_CHECK(!place_is_before(cursor->place, sub->place), "the cursor of subscription %u goes back", cursor->subscription_id);
    SIM_CHECK(cursor->place.position <= store.head.position, "subscription %u is beyond what is on disk", cursor->subscription_id);
    if (sub->row.mode == SUBSCRIPTION_ORDERED)
        ordered_cursor(sub, cursor);
    else
        share_cursor(sub, ticket, cursor);
    sub->place = cursor->place;
}

void subscriptions_delta(uint64_t ticket, const struct delta *delta)
{
    if (delta->kind == DELTA_SUBSCRIPTION)
        define(&delta->subscription);
    else if (delta->kind == DELTA_SUBSCRIPTION_END)
        end(delta->subscription_end);
    else if (delta->kind == DELTA_CURSOR)
        move(ticket, &delta->cursor);
}

void subscriptions_durable(void)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        if (!subs[id - 1])
            continue;
        if (!subs[id - 1]->there && !catalog_subscription(id))
            drop(id);
        else if (subs[id - 1]->row.mode == SUBSCRIPTION_SHARED)
            share_durable(subs[id - 1], store.durable_ticket);
    }
}

void subscriptions_crash(void)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        struct sub *sub = subs[id - 1];
        const struct catalog_subscription *row = catalog_subscription(id);

        SIM_CHECK(!row || sub, "subscription %u comes from nowhere", id);
        if (!sub)
            continue;
        while (sub->attachments)
            attachment_leaves(sub->attachments, false);
        if (!row) {
            drop(id);
            continue;
        }
        sub->there = true;
        subscription_row_copy(&sub->row, &row->row, sub->text);
        SIM_CHECK(!place_is_before(sub->place, row->cursor.place), "the cursor of subscription %u was never given to the log", id);
        if (sub->row.mode == SUBSCRIPTION_SHARED)
            share_crash(sub, row);
        else
            SIM_CHECK(row->cursor.place.position >= sub->confirmed, "subscription %u was acknowledged below %llu and is at %llu",
                      id, (unsigned long long)sub->confirmed, (unsigned long long)row->cursor.place.position);
        sub->place = row->cursor.place;
    }
}

/* --- who takes part
 * ------------------------------------------------------------------------------------------------------------------ */

struct attachment *attachment_of(uint64_t connection, uint64_t request_id)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        for (struct attachment *at = subs[id - 1] ? subs[id - 1]->attachments : NULL; at; at = at->next) {
            if (at->connection == connection && at->request_id == request_id)
                return at;
        }
    }
    return NULL;
}

struct attachment *attachment_fetching(uint64_t reader)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        for (struct attachment *at = subs[id - 1] ? subs[id - 1]->attachments : NULL; at; at = at->next) {
            if (at->fetch == reader)
                return at;
        }
    }
    return NULL;
}

/* Whether it does shows in this step. */
void subscriptions_subscribe(struct connection *connection, uint64_t request_id, const Truc__V1__Subscribe *subscribe)
{
    struct sub *sub = sub_named(client_agency(connection->client), bytes_of_text(subscribe->name));
    struct attachment **link;

    if (!sub || attachment_of(connection->number, request_id))
        return;
    asking = take_memory(sizeof *asking);
    asking->connection = connection->number;
    asking->request_id = request_id;
    asking->sub = sub;
    asking->run_max = subscribe->key_run_max > 0 ? subscribe->key_run_max : 1;
    asking->credit = subscribe->credit < 65536 ? subscribe->credit : 65536;
    for (link = &sub->attachments; *link; link = &(*link)->next)
        ;
    *link = asking;
}

void subscriptions_fetch_open(uint64_t reader)
{
    SIM_CHECK(asking && asking->fetch == 0 && asking->sub->row.mode == SUBSCRIPTION_SHARED, "records are fetched for nobody");
    asking->fetch = reader;
}

void subscriptions_subscribed(struct connection *connection, uint64_t request_id)
{
    struct attachment *attachment = attachment_of(connection->number, request_id);

    SIM_CHECK(attachment && attachment == asking, "SUBSCRIBE_OK without a SUBSCRIBE");
    SIM_CHECK(catalog_subscription(attachment->sub->row.subscription_id), "somebody takes part in what is not on disk");
    SIM_CHECK((attachment->fetch != 0) == (attachment->sub->row.mode == SUBSCRIPTION_SHARED),
              "a worker for whom nothing is fetched");
    attachment->confirmed = true;
}

void subscriptions_stepped(void)
{
    struct attachment *attachment = asking;

    asking = NULL;
    if (attachment && !attachment->confirmed)
        attachment_leaves(attachment, false);
}

void attachment_leaves(struct attachment *attachment, bool counted)
{
    struct attachment **link = &attachment->sub->attachments;

    if (attachment == asking)
        asking = NULL;
    share_leave_held(attachment, counted);
    read_model_ends(attachment->connection, attachment->request_id);
    while (*link != attachment)
        link = &(*link)->next;
    *link = attachment->next;
    free(attachment);
}

void subscriptions_left(uint64_t connection)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        struct attachment *next;

        for (struct attachment *at = subs[id - 1] ? subs[id - 1]->attachments : NULL; at; at = next) {
            next = at->next;
            if (at->connection == connection)
                attachment_leaves(at, true);
        }
    }
}
