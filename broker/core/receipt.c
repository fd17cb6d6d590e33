#include "receipt.h"

#include <stdlib.h>

#include "broker/core/connection.h"
#include "broker/core/reader.h"
#include "broker/core/subscription_answer.h"
#include "broker/core/texts.h"
#include "broker/core/topic_state.h"
#include "truc/v1/wire.pb-c.h"

#define MS INT64_C(1000000)
enum { EXAMINED_PER_STEP = 256, NO_SUBJECT = UINT32_MAX };

/* --- how it stands ---------------------------------------------------------------------------------------------------------------
 */

static struct share_look ordered_standing(const struct subscription *subscription, struct place place)
{
    const struct core_reader *reader = subscription->first ? subscription->first->reader : NULL;

    if (place.position < subscription->place.position)
        return (struct share_look){.standing = STANDING_RESOLVED};
    return (struct share_look){.standing = reader && place.position < reader->position ? STANDING_LEASED : STANDING_AHEAD};
}

static struct share_look shared_standing(const struct subscription *subscription, const struct share_record *record)
{
    struct place place = record->place;
    struct share_look look;

    if (!subscription->share) { /* no key waits: everything below its place is done */
        bool below = place.position < subscription->place.position ||
                     (place.position == subscription->place.position && place.index < subscription->place.index);

        return (struct share_look){.standing = below ? STANDING_RESOLVED : STANDING_AHEAD};
    }
    look = share_look_at(subscription->share, record);
    /* What is settled and could not be given to the log yet may come again. */
    if (look.standing == STANDING_RESOLVED && share_unsaved(subscription->share))
        look.standing = STANDING_LEASED;
    return look;
}

static struct share_look standing(const struct subscription *subscription, const struct share_record *record)
{
    return subscription->row.mode == SUBSCRIPTION_ORDERED ? ordered_standing(subscription, record->place)
                                                          : shared_standing(subscription, record);
}

/* Whether nothing is to be waited for of a name. */
static bool is_done(const struct core *core, const struct receipt *receipt, const struct receipt_name *name)
{
    const struct receipt_subject *subject;
    const struct subscription *subscription;

    if (name->subject == NO_SUBJECT)
        return true;
    subject = &receipt->subjects[name->subject];
    if (!subject->wanted)
        return true;
    subscription = core_subscription(core, subject->subscription);
    return !subscription->text || standing(subscription, &subject->record).standing == STANDING_RESOLVED;
}

static bool all_done(const struct core *core, const struct receipt *receipt)
{
    for (uint32_t i = 0; i < receipt->name_count; i++) {
        if (!is_done(core, receipt, &receipt->names[i]))
            return false;
    }
    return true;
}

/* --- waiting ---------------------------------------------------------------------------------------------------------------------
 */

static void wait(struct core *core, struct receipt *receipt)
{
    inquiry_wait(core, &receipt->inquiry, &core->receipts_waiting);
    if (receipt->due_boot_ns < core->receipts_due_boot_ns)
        core->receipts_due_boot_ns = receipt->due_boot_ns;
}

static void end_of_time(struct core *core)
{
    int64_t next_ns = INT64_MAX;

    if (core->receipts_due_boot_ns > core->now.boot_ns)
        return;
    for (struct inquiry *inquiry = core->receipts_waiting.first, *next; inquiry; inquiry = next) {
        const struct receipt *receipt = (const struct receipt *)inquiry;

        next = inquiry->next;
        if (receipt->due_boot_ns <= core->now.boot_ns)
            inquiry_ask(core, inquiry);
        else if (receipt->due_boot_ns < next_ns)
            next_ns = receipt->due_boot_ns;
    }
    core->receipts_due_boot_ns = next_ns;
}

void receipt_examine(struct core *core)
{
    end_of_time(core);
    for (int i = 0; core->receipts_waiting.first; i++) {
        struct receipt *receipt = (struct receipt *)core->receipts_waiting.first;

        if (receipt->examined == core->resolutions)
            return;
        if (i == EXAMINED_PER_STEP) { /* the others' turn comes in a moment */
            if (core->now.boot_ns + MS < core->receipts_due_boot_ns)
                core->receipts_due_boot_ns = core->now.boot_ns + MS;
            return;
        }
        receipt->examined = core->resolutions;
        if (all_done(core, receipt))
            inquiry_ask(core, &receipt->inquiry);
        else
            wait(core, receipt);
    }
}

/* --- asking the log --------------------------------------------------------------------------------------------------------------
 */

static void prepare(struct core *core, struct inquiry *inquiry)
{
    struct receipt *receipt = (struct receipt *)inquiry;

    if (!receipt->placed)
        return;
    for (uint32_t i = 0; i < receipt->subject_count; i++) {
        struct receipt_subject *subject = &receipt->subjects[i];
        const struct subscription *subscription = core_subscription(core, subject->subscription);

        if (subject->wanted && subscription->text)
            subject->now = standing(subscription, &subject->record);
    }
    receipt->waited = all_done(core, receipt);
}

static void describe(const struct core *core, const struct receipt *receipt, const struct receipt_subject *subject,
                     struct core_look_subject *out)
{
    const struct subscription *subscription = core_subscription(core, subject->subscription);

    *out = (struct core_look_subject){.spec = subscription_read_spec(core, subscription),
                                      .subscription = subscription->row.subscription_id,
                                      .shared = subscription->row.mode == SUBSCRIPTION_SHARED,
                                      .key = subject->record.key,
                                      .deliver_at_ns = subject->record.deliver_at_ns,
                                      .expires_at_ns = subject->record.expires_at_ns,
                                      .created_ns = subscription->row.created_ns,
                                      .owner = subscription->row.owner,
                                      .name = subscription->row.name};
    out->spec.pattern = receipt->topic; /* which matches the pattern, and is found at once */
}

static bool look(struct core *core, struct inquiry *inquiry, struct core_look *look)
{
    struct receipt *receipt = (struct receipt *)inquiry;
    struct core_look_subject *subjects = slab_take(&core->output.slab, sizeof *subjects * (receipt->subject_count + 1));

    if (!subjects) {
        inquiry_refuse(core, inquiry, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                       "the broker has no memory to look at the log; retry after the time given");
        return false;
    }
    for (uint32_t i = 0; i < receipt->subject_count; i++) {
        struct receipt_subject *subject = &receipt->subjects[i];

        subject->asked = core_subscription(core, subject->subscription)->text &&
                         (!receipt->placed || (subject->listed && subject->wanted && subject->now.standing == STANDING_RESOLVED));
        if (subject->asked)
            describe(core, receipt, subject, &subjects[look->subject_count++]);
    }
    if (receipt->placed && look->subject_count == 0) {
        receipt_answer(core, receipt);
        return false;
    }
    look->kind = receipt->placed ? LOOK_HISTORY : LOOK_RECORDS;
    look->by_offset = !receipt->placed;
    look->topic = receipt->topic;
    look->offset = receipt->offset;
    look->places = &receipt->place;
    look->place_count = 1;
    look->subjects = subjects;
    return true;
}

/* Who wants it is known. */
static void take_records(struct core *core, struct receipt *receipt, const struct core_looked *looked)
{
    const struct core_look_record *record = looked->records;

    receipt->placed = true;
    receipt->place = looked->place;
    receipt->append_time_ns = looked->append_time_ns;
    for (uint32_t i = 0; i < receipt->subject_count; i++) {
        struct receipt_subject *subject = &receipt->subjects[i];

        if (!subject->asked)
            continue;
        subject->wanted = record->wanted;
        subject->record = (struct share_record){.place = looked->place,
                                                .bytes = record->bytes,
                                                .key = record->key,
                                                .deliver_at_ns = record->deliver_at_ns,
                                                .expires_at_ns = record->expires_at_ns};
        record++;
    }
    receipt->examined = core->resolutions;
    if (receipt->due_boot_ns > core->now.boot_ns && !all_done(core, receipt))
        wait(core, receipt);
    else
        inquiry_ask(core, &receipt->inquiry);
}

static void take_histories(struct receipt *receipt, const struct core_looked *looked)
{
    const struct core_look_history *history = looked->histories;

    for (uint32_t i = 0; i < receipt->subject_count; i++) {
        if (receipt->subjects[i].asked)
            receipt->subjects[i].history = *history++;
    }
}

static void looked(struct core *core, struct inquiry *inquiry, const struct core_event *event)
{
    struct receipt *receipt = (struct receipt *)inquiry;

    if (event->status != TRUC_OK) {
        inquiry_refuse(core, inquiry, refusal_of(event->status), event->why ? event->why : truc_status_text(event->status));
    } else if (!receipt->placed) {
        take_records(core, receipt, &event->looked);
    } else {
        take_histories(receipt, &event->looked);
        receipt_answer(core, receipt);
    }
}

static void fini(struct core *core, struct inquiry *inquiry)
{
    (void)core;
    free(((struct receipt *)inquiry)->text);
}

static const struct inquiry_kind receipt_kind = {.prepare = prepare, .look = look, .looked = looked, .fini = fini};

/* --- RECEIPT ---------------------------------------------------------------------------------------------------------------------
 */

/* The request may be answered, or is refused. */
struct wish {
    struct core *core;
    struct connection *connection;
    uint64_t request_id;
    const Truc__V1__Receipt *request;
};

static bool check_place(const struct wish *wish)
{
    uint64_t offset = wish->request->offset, hash;
    const struct topic *topic;
    uint32_t index;

    topic = topic_find(wish->core, bytes_of_text(wish->request->topic), &hash, &index);
    if (!topic || !topic_is_visible(topic)) {
        answer_error(wish->core, wish->connection, wish->request_id, refusal_of(TRUC_NOT_FOUND),
                     "there is no such topic; `truc topic ls` lists the topics");
        return false;
    }
    if (offset >= topic->durable_offset) {
        answer_error(wish->core, wish->connection, wish->request_id, refusal_actual(TRUC_OUT_OF_RANGE, topic->durable_offset),
                     "the topic's next offset is %llu, so there is no record %llu yet; `truc topic info` states the range",
                     (unsigned long long)topic->durable_offset, (unsigned long long)offset);
        return false;
    }
    return true;
}

static bool check_limits(const struct wish *wish)
{
    if (wish->request->n_wait_for <= RECEIPT_NAMES_MAX && wish->request->wait_ms <= RECEIPT_WAIT_MAX_MS)
        return true;
    answer_error(wish->core, wish->connection, wish->request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                 "a receipt waits for at most %d subscriptions, and at most 24 hours; ask again then", RECEIPT_NAMES_MAX);
    return false;
}

/* AGENCY/NAME, or NAME of the own agency. False: it is neither. */
static bool split(const struct wish *wish, const char *text, struct bytes *ret_owner, struct bytes *ret_name)
{
    const char *slash = strchr(text, '/');

    *ret_owner = slash ? bytes_of(text, (size_t)(slash - text)) : connection_agency(wish->connection);
    *ret_name = bytes_of_text(slash ? slash + 1 : text);
    return ret_owner->size <= AGENCY_BYTES_MAX && subscription_name_is_valid(*ret_name);
}

static struct receipt_subject *add_subject(struct receipt *receipt, const struct subscription *subscription)
{
    struct receipt_subject *subject = &receipt->subjects[receipt->subject_count++];

    CORE_INVARIANT(receipt->subject_count <= RECEIPT_SUBJECTS_MAX);
    subject->subscription = subscription->index;
    return subject;
}

/* The first ones whose pattern matches, of all agencies, in byte order of owner and name; one more than a page, if there is. */
struct page {
    const struct core *core;
    struct bytes after; /* only those behind it */
    size_t count;
    const struct subscription *items[RECEIPT_PAGE_MAX + 1];
};

static void add_to_page(void *context, struct pattern_member *member)
{
    struct page *page = context;
    const struct subscription *subscription =
        (const struct subscription *)((const char *)member - offsetof(struct subscription, pattern));
    struct bytes name = subscription_full_name(subscription);
    size_t at = page->count;

    if (subscription->change_ticket > page->core->committed_ticket || order_compare(name, page->after) <= 0)
        return;
    while (at > 0 && order_compare(name, subscription_full_name(page->items[at - 1])) < 0)
        at--;
    if (at > RECEIPT_PAGE_MAX)
        return;
    if (page->count <= RECEIPT_PAGE_MAX)
        page->count++;
    memmove(page->items + at + 1, page->items + at, (page->count - at - 1) * sizeof page->items[0]);
    page->items[at] = subscription;
}

static bool collect_page(const struct wish *wish, struct receipt *receipt)
{
    struct page page = {.core = wish->core};
    uint8_t text[AGENCY_BYTES_MAX + 1 + SUBSCRIPTION_NAME_BYTES_MAX];
    struct bytes owner, name;

    if (wish->request->after[0] != '\0') {
        if (!split(wish, wish->request->after, &owner, &name)) {
            answer_error(wish->core, wish->connection, wish->request_id, refusal_of(TRUC_INVALID_ARGUMENT),
                         "`after` is not AGENCY/NAME of a subscription; take the last one of the page before");
            return false;
        }
        memcpy(text, owner.data, owner.size);
        text[owner.size] = '\0';
        memcpy(text + owner.size + 1, name.data, name.size);
        page.after = bytes_of(text, owner.size + 1 + name.size);
    }
    pattern_tree_visit(&wish->core->patterns, receipt->topic, add_to_page, &page);
    receipt->more = page.count > RECEIPT_PAGE_MAX;
    for (size_t i = 0; i < page.count && i < RECEIPT_PAGE_MAX; i++)
        add_subject(receipt, page.items[i])->listed = true;
    return true;
}

static bool find_name(const struct wish *wish, struct receipt *receipt, struct receipt_name *wanted)
{
    const struct subscription *subscription = NULL;
    struct bytes owner, name;

    if (split(wish, (const char *)wanted->text.data, &owner, &name))
        subscription = subscription_find(wish->core, owner, name);
    if (!subscription) {
        answer_error(wish->core, wish->connection, wish->request_id, refusal_of(TRUC_NOT_FOUND),
                     "there is no subscription %s to wait for; name it as AGENCY/NAME, or NAME of the own agency",
                     (const char *)wanted->text.data);
        return false;
    }
    wanted->subject = NO_SUBJECT;
    if (!pattern_match(subscription->row.pattern, receipt->topic))
        return true;
    for (uint32_t i = 0; i < receipt->subject_count; i++) {
        if (receipt->subjects[i].subscription == subscription->index)
            wanted->subject = i;
    }
    if (wanted->subject == NO_SUBJECT) {
        wanted->subject = receipt->subject_count;
        (void)add_subject(receipt, subscription);
    }
    return true;
}

static bool keep_texts(const struct wish *wish, struct receipt *receipt)
{
    struct bytes *texts[1 + RECEIPT_NAMES_MAX] = {&receipt->topic};

    receipt->topic = bytes_of_text(wish->request->topic);
    receipt->name_count = (uint32_t)wish->request->n_wait_for;
    for (uint32_t i = 0; i < receipt->name_count; i++) {
        receipt->names[i].text = bytes_of_text(wish->request->wait_for[i]);
        texts[1 + i] = &receipt->names[i].text;
    }
    receipt->text = texts_keep(texts, 1 + receipt->name_count);
    if (receipt->text)
        return true;
    answer_error(wish->core, wish->connection, wish->request_id, refusal_retry(TRUC_NO_MEMORY, RETRY_STATE_MS),
                 "the broker has no memory for this; retry after the time given");
    return false;
}

static bool fill(const struct wish *wish, struct receipt *receipt)
{
    if (!keep_texts(wish, receipt) || !collect_page(wish, receipt))
        return false;
    for (uint32_t i = 0; i < receipt->name_count; i++) {
        if (!find_name(wish, receipt, &receipt->names[i]))
            return false;
    }
    receipt->offset = wish->request->offset;
    receipt->due_boot_ns = wish->core->now.boot_ns + wish->request->wait_ms * MS;
    return true;
}

void core_request_receipt(struct core *core, struct connection *connection, const struct frame *frame)
{
    struct wish wish = {.core = core, .connection = connection, .request_id = frame->request_id};
    struct receipt *receipt;

    wish.request = request_decode(core, connection, frame, &truc__v1__receipt__descriptor);
    if (!wish.request || !check_place(&wish) || !check_limits(&wish))
        return;
    receipt = inquiry_begin(core, connection, frame->request_id, &receipt_kind, sizeof *receipt);
    if (!receipt)
        return;
    if (fill(&wish, receipt)) {
        inquiry_ask(core, &receipt->inquiry);
    } else {
        (void)inquiry_leave(core, &receipt->inquiry);
        inquiry_destroy(core, &receipt->inquiry);
    }
}
