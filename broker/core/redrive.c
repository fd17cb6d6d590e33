#include "redrive.h"

#include <stdio.h>

#include "broker/core/connection.h"
#include "broker/core/dead.h"
#include "broker/core/inquiry.h"
#include "broker/core/pending.h"
#include "broker/core/subscription_answer.h"
#include "truc/v1/wire.pb-c.h"

#define CONFLICT_TEXT "the topic of dead letters goes on to offset %llu; read on from where you were, then say again what to do"
#define GONE_TEXT "the subscription was removed or reset meanwhile; `truc subscription ls` lists what there is"

struct redrive {
    struct inquiry inquiry;
    uint32_t subscription; /* its index, which no other one ever has */
    bool drop;
    uint64_t expected_offset;
    uint8_t by_size;
    uint8_t by[SOURCE_BYTES_MAX];
    size_t count;
    struct place places[LETTERS_MAX];
    uint64_t offsets[LETTERS_MAX];
    struct share_record records[LETTERS_MAX]; /* what the log says of them */
};

/* --- answers ---------------------------------------------------------------------------------------------------------------------
 */

static void pend(struct core *core, struct connection *connection, uint64_t request_id, enum pending_kind kind, uint64_t position,
                 uint64_t base_offset)
{
    struct pending pending = {.ticket = core->last_ticket,
                              .kind = (uint8_t)kind,
                              .connection = connection->number,
                              .connection_index = connection->index,
                              .request_id = request_id,
                              .position = position,
                              .base_offset = base_offset,
                              .memory_bytes = PENDING_OVERHEAD};

    if (core->pending.count == 0)
        (kind == PENDING_DEAD ? redrive_answer : redrive_answer_conflict)(core, connection, &pending);
    else if (pending_reserve(core, 1))
        pending_add(core, &pending);
    else
        connection_close(core, connection); /* the client asks again, and sees what is done already */
}

void redrive_answer(struct core *core, struct connection *connection, const struct pending *pending)
{
    Truc__V1__DeadOk ok = TRUC__V1__DEAD_OK__INIT;

    ok.position = pending->position;
    ok.base_offset = pending->base_offset;
    answer_message(core, connection, FRAME_DEAD_OK, pending->request_id, &ok.base, bytes_of(NULL, 0));
}

void redrive_answer_conflict(struct core *core, struct connection *connection, const struct pending *pending)
{
    answer_error(core, connection, pending->request_id, refusal_actual(TRUC_CONFLICT, pending->base_offset), CONFLICT_TEXT,
                 (unsigned long long)pending->base_offset);
}

/* --- carrying out ----------------------------------------------------------------------------------------------------------------
 */

static bool append(struct core *core, struct subscription *subscription, const struct redrive *redrive, bool joined)
{
    struct dead_letter letters[LETTERS_MAX];

    for (size_t i = 0; i < redrive->count; i++)
        letters[i] = (struct dead_letter){.kind = redrive->drop ? LETTER_DROPPED : LETTER_REDRIVEN,
                                          .place = redrive->places[i],
                                          .subscription = subscription->row.name,
                                          .letter_offset = redrive->offsets[i],
                                          .by = bytes_of(redrive->by, redrive->by_size)};
    return dead_append(core, subscription, letters, redrive->count, joined);
}

/* Room for the letters, and for the lanes and the cursor that are saved with them: what follows the letters does not fail. */
static bool reserve(struct core *core, const struct redrive *redrive)
{
    uint32_t more = (uint32_t)redrive->count + 8;

    return !core->capacity.full &&
           pending_log_has_room(core, dead_log_bytes(redrive->count) + (uint64_t)more * (DELTA_BYTES_MAX + LOG_OVERHEAD)) &&
           pending_has_room(core, dead_log_bytes(redrive->count)) && pending_reserve(core, more) &&
           output_reserve(&core->output, more);
}

static bool refuse_letter(struct core *core, struct redrive *redrive, size_t letter, truc_status status, const char *what)
{
    char text[256];

    (void)snprintf(text, sizeof text, "letter %zu, offset %llu, of the record at position %llu, index %u: %s", letter,
                   (unsigned long long)redrive->offsets[letter], (unsigned long long)redrive->places[letter].position,
                   redrive->places[letter].index, what);
    inquiry_refuse(core, &redrive->inquiry, refusal_of(status), text);
    return false;
}

/* Not one is held already, and each is of the past: below the place that was scanned. */
static bool can_be_given(struct core *core, struct subscription *subscription, struct redrive *redrive)
{
    for (size_t i = 0; i < redrive->count; i++) {
        struct share_look look = share_look_at(subscription->share, &redrive->records[i]);

        if (look.standing == STANDING_AHEAD)
            return refuse_letter(core, redrive, i, TRUC_NOT_FOUND,
                                 "the subscription has not come to it, so it is not dead; read the letters again");
        if (look.standing != STANDING_RESOLVED)
            return refuse_letter(core, redrive, i, TRUC_EXISTS,
                                 "the record waits to be worked on already; leave the letter out, nothing was given again");
    }
    return true;
}

static bool give_again(struct core *core, struct subscription *subscription, struct redrive *redrive)
{
    if (!can_be_given(core, subscription, redrive))
        return false;
    switch (share_reserve_again(subscription->share, (uint32_t)redrive->count)) {
    case SHARE_AGAIN_OK:
        break;
    case SHARE_AGAIN_FULL:
        inquiry_refuse(core, &redrive->inquiry, refusal_retry(TRUC_TOO_MANY, RETRY_STATE_MS),
                       "too many records wait aside already; give fewer again, or retry when some are done");
        return false;
    default:
        inquiry_refuse(core, &redrive->inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory to give records again; retry after the time given");
        return false;
    }
    return true;
}

/* Appends, then nothing fails any more. False: it was refused. */
static bool carry_out(struct core *core, struct subscription *subscription, struct redrive *redrive, bool joined)
{
    uint64_t base_offset = dead_next_offset(core, subscription), position = core->next_position, request_id;
    struct connection *connection;

    if (base_offset != redrive->expected_offset) { /* somebody else did something meanwhile */
        connection = inquiry_leave(core, &redrive->inquiry);
        pend(core, connection, redrive->inquiry.request_id, PENDING_DEAD_CONFLICT, 0, base_offset);
        inquiry_destroy(core, &redrive->inquiry);
        return false;
    }
    if (!redrive->drop && !give_again(core, subscription, redrive))
        return false;
    if (!reserve(core, redrive) || !append(core, subscription, redrive, joined)) {
        inquiry_refuse(core, &redrive->inquiry, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                       "the log takes nothing now; retry after the time given");
        return false;
    }
    for (size_t i = 0; !redrive->drop && i < redrive->count; i++) {
        enum share_again given = share_give_again(subscription->share, &redrive->records[i]);

        CORE_INVARIANT(given == SHARE_AGAIN_OK);
    }
    connection = inquiry_leave(core, &redrive->inquiry);
    request_id = redrive->inquiry.request_id;
    inquiry_destroy(core, &redrive->inquiry);
    pend(core, connection, request_id, PENDING_DEAD, position, base_offset);
    return true;
}

bool redrive_carry_out(struct core *core, struct subscription *subscription, bool joined)
{
    while (subscription->redrives.first)
        joined |= carry_out(core, subscription, (struct redrive *)subscription->redrives.first, joined);
    return joined;
}

void redrive_refuse_all(struct core *core, struct subscription *subscription)
{
    while (subscription->redrives.first)
        inquiry_refuse(core, subscription->redrives.first, refusal_of(TRUC_NOT_FOUND), GONE_TEXT);
}

/* --- asking the log --------------------------------------------------------------------------------------------------------------
 */

/* NULL: it is gone, which was answered. */
static struct subscription *subscription_of(struct core *core, struct redrive *redrive)
{
    struct subscription *subscription = core_subscription(core, redrive->subscription);

    if (subscription->text)
        return subscription;
    inquiry_refuse(core, &redrive->inquiry, refusal_of(TRUC_NOT_FOUND), GONE_TEXT);
    return NULL;
}

static bool look(struct core *core, struct inquiry *inquiry, struct core_look *look)
{
    struct redrive *redrive = (struct redrive *)inquiry;
    struct subscription *subscription = subscription_of(core, redrive);
    struct core_look_subject *subject;

    if (!subscription)
        return false;
    subject = slab_take(&core->output.slab, sizeof *subject);
    if (!subject) {
        inquiry_refuse(core, inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory to look at the log; retry after the time given");
        return false;
    }
    *subject = (struct core_look_subject){.spec = subscription_read_spec(core, subscription)};
    look->kind = LOOK_RECORDS;
    look->subjects = subject;
    look->subject_count = 1;
    look->places = redrive->places;
    look->place_count = redrive->count;
    return true;
}

static void looked(struct core *core, struct inquiry *inquiry, const struct core_event *event)
{
    struct redrive *redrive = (struct redrive *)inquiry;
    struct subscription *subscription = subscription_of(core, redrive);
    const struct core_look_record *records = event->looked.records;

    if (!subscription)
        return;
    if (event->status != TRUC_OK) {
        inquiry_refuse(core, inquiry, refusal_of(event->status), event->why ? event->why : truc_status_text(event->status));
        return;
    }
    for (size_t i = 0; i < redrive->count; i++) {
        if (records[i].damaged) {
            (void)refuse_letter(core, redrive, i, TRUC_DAMAGED, "it cannot be read; drop the letter, and run `truc log verify`");
            return;
        }
        if (!records[i].wanted) {
            (void)refuse_letter(core, redrive, i, TRUC_NOT_FOUND,
                                "no record of this subscription is there; take places as the letters say them");
            return;
        }
        redrive->records[i] = (struct share_record){.place = redrive->places[i],
                                                    .bytes = records[i].bytes,
                                                    .key = records[i].key,
                                                    .deliver_at_ns = records[i].deliver_at_ns,
                                                    .expires_at_ns = records[i].expires_at_ns};
    }
    if (!subscription_provide_share(core, subscription)) {
        inquiry_refuse(core, inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory to give records again; retry after the time given");
        return;
    }
    inquiry_wait(core, inquiry, &subscription->redrives);
    subscription_touch(core, subscription);
}

static const struct inquiry_kind redrive_kind = {.look = look, .looked = looked};

/* --- DEAD ------------------------------------------------------------------------------------------------------------------------
 */

static bool refuse(struct core *core, struct connection *connection, uint64_t request_id, const char *text)
{
    answer_error(core, connection, request_id, refusal_of(TRUC_INVALID_ARGUMENT), "%s", text);
    return false;
}

static bool check_letters(struct core *core, struct connection *connection, uint64_t request_id, const Truc__V1__Dead *request,
                          uint64_t next_offset)
{
    if (request->n_letters == 0 || request->n_letters > LETTERS_MAX)
        return refuse(core, connection, request_id, "a DEAD holds 1 to 256 letters; say the others in a frame of their own");
    for (size_t i = 0; i < request->n_letters; i++) {
        const Truc__V1__DeadLetter *letter = request->letters[i];

        for (size_t j = 0; j < i; j++) {
            if (request->letters[j]->offset == letter->offset)
                return refuse(core, connection, request_id, "a letter is named twice; name each offset once");
            if (request->action == TRUC__V1__DEAD_ACTION__DEAD_ACTION_REDRIVE &&
                request->letters[j]->position == letter->position && request->letters[j]->index == letter->index)
                return refuse(core, connection, request_id,
                              "two letters are of one record, which can be given again once only; name one of them");
        }
        if (letter->offset >= next_offset) {
            answer_error(core, connection, request_id, refusal_actual(TRUC_OUT_OF_RANGE, next_offset),
                         "letter %zu is at offset %llu, the topic of dead letters ends at %llu; take offsets as they were read", i,
                         (unsigned long long)letter->offset, (unsigned long long)next_offset);
            return false;
        }
    }
    return true;
}

static bool check(struct core *core, struct connection *connection, uint64_t request_id, const Truc__V1__Dead *request,
                  const struct subscription *subscription)
{
    uint64_t next_offset = dead_next_offset(core, subscription);

    if (subscription->row.mode != SUBSCRIPTION_SHARED)
        return refuse(core, connection, request_id, "an ordered subscription has no dead letters; only shared ones have");
    if (request->action != TRUC__V1__DEAD_ACTION__DEAD_ACTION_REDRIVE && request->action != TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP)
        return refuse(core, connection, request_id, "there is nothing else to do with a dead letter: redrive it, or drop it");
    if (!subscription_can_change(core, connection, request_id))
        return false;
    if (subscription->change_ticket > core->committed_ticket) {
        answer_error(core, connection, request_id, refusal_retry(TRUC_BUSY, RETRY_BUSY_MS),
                     "the subscription is being written to disk; retry after the time given");
        return false;
    }
    if (request->expected_offset != next_offset) {
        pend(core, connection, request_id, PENDING_DEAD_CONFLICT, 0, next_offset);
        return false;
    }
    return check_letters(core, connection, request_id, request, next_offset);
}

void core_request_dead(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Dead *request = request_decode(core, connection, frame, &truc__v1__dead__descriptor);
    struct bytes by = connection_scope(connection);
    struct subscription *subscription;
    struct redrive *redrive;

    if (!request)
        return;
    subscription = subscription_named(core, connection, frame->request_id, request->name);
    if (!subscription || !check(core, connection, frame->request_id, request, subscription))
        return;
    redrive = inquiry_begin(core, connection, frame->request_id, &redrive_kind, sizeof *redrive);
    if (!redrive)
        return;
    redrive->subscription = subscription->index;
    redrive->drop = request->action == TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP;
    redrive->expected_offset = request->expected_offset;
    redrive->by_size = (uint8_t)by.size;
    memcpy(redrive->by, by.data, by.size);
    redrive->count = request->n_letters;
    for (size_t i = 0; i < redrive->count; i++) {
        redrive->places[i] = (struct place){request->letters[i]->position, request->letters[i]->index};
        redrive->offsets[i] = request->letters[i]->offset;
    }
    if (redrive->drop)
        (void)carry_out(core, subscription, redrive, false);
    else
        inquiry_ask(core, &redrive->inquiry);
}
