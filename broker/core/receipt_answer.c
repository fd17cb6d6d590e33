/* receipt_answer.c: RECEIPT_OK. Layer: core. */
#include "broker/core/receipt.h"

#include "truc/v1/wire.pb-c.h"

/* What the log says of it. */
static void tell_history(const struct core_look_history *history, Truc__V1__SubscriptionReceipt *out)
{
    static const Truc__V1__ReceiptState states[] = {
        [RESOLUTION_UNKNOWN] = TRUC__V1__RECEIPT_STATE__RECEIPT_RESOLVED,
        [RESOLUTION_ACKNOWLEDGED] = TRUC__V1__RECEIPT_STATE__RECEIPT_ACKNOWLEDGED,
        [RESOLUTION_DEAD] = TRUC__V1__RECEIPT_STATE__RECEIPT_DEAD,
        [RESOLUTION_EXPIRED] = TRUC__V1__RECEIPT_STATE__RECEIPT_EXPIRED,
        [RESOLUTION_PASSED] = TRUC__V1__RECEIPT_STATE__RECEIPT_PASSED,
        [RESOLUTION_DONE] = TRUC__V1__RECEIPT_STATE__RECEIPT_RESOLVED,
    };

    out->state = states[history->resolution];
    out->attempts = history->attempts;
    out->resolved_ns = history->resolved_ns;
    out->first_failed_ns = history->first_failed_ns;
    out->last_failed_ns = history->last_failed_ns;
    if (history->reason)
        out->reason = (char *)(uintptr_t)history->reason; /* read only; the generated type is not const */
}

static void tell_present(const struct share_look *look, Truc__V1__SubscriptionReceipt *out)
{
    static const Truc__V1__ReceiptState states[] = {
        [STANDING_AHEAD] = TRUC__V1__RECEIPT_STATE__RECEIPT_AHEAD,   [STANDING_WAITING] = TRUC__V1__RECEIPT_STATE__RECEIPT_READY,
        [STANDING_LEASED] = TRUC__V1__RECEIPT_STATE__RECEIPT_LEASED, [STANDING_DELAYED] = TRUC__V1__RECEIPT_STATE__RECEIPT_DELAYED,
        [STANDING_DEAD] = TRUC__V1__RECEIPT_STATE__RECEIPT_DELAYED, /* until the log takes its dead letter */
    };

    out->state = states[look->standing];
    out->attempts = look->attempts + (look->standing == STANDING_LEASED);
    out->first_failed_ns = look->first_failed_ns;
    out->last_failed_ns = look->last_failed_ns;
}

static void tell(const struct subscription *subscription, const struct receipt_subject *subject, Truc__V1__SubscriptionReceipt *out)
{
    truc__v1__subscription_receipt__init(out);
    out->owner = (char *)(uintptr_t)subscription->row.owner.data; /* both terminated */
    out->name = (char *)(uintptr_t)subscription->row.name.data;
    out->mode = (Truc__V1__SubscriptionMode)subscription->row.mode;
    if (subject->asked)
        tell_history(&subject->history, out);
    else
        tell_present(&subject->now, out);
}

void receipt_answer(struct core *core, struct receipt *receipt)
{
    Truc__V1__ReceiptOk ok = TRUC__V1__RECEIPT_OK__INIT;
    Truc__V1__SubscriptionReceipt messages[RECEIPT_PAGE_MAX], *pointers[RECEIPT_PAGE_MAX];
    char *unwanted[RECEIPT_NAMES_MAX];
    struct connection *connection = inquiry_leave(core, &receipt->inquiry);

    for (uint32_t i = 0; i < receipt->subject_count; i++) {
        const struct receipt_subject *subject = &receipt->subjects[i];
        const struct subscription *subscription = core_subscription(core, subject->subscription);

        if (!subject->listed || !subject->wanted || !subscription->text)
            continue;
        tell(subscription, subject, &messages[ok.n_subscriptions]);
        pointers[ok.n_subscriptions] = &messages[ok.n_subscriptions];
        ok.n_subscriptions++;
    }
    for (uint32_t i = 0; i < receipt->name_count; i++) {
        const struct receipt_name *name = &receipt->names[i];

        if (name->subject == UINT32_MAX || !receipt->subjects[name->subject].wanted)
            unwanted[ok.n_unwanted++] = (char *)(uintptr_t)name->text.data;
    }
    ok.position = receipt->place.position;
    ok.index = receipt->place.index;
    ok.append_time_ns = receipt->append_time_ns;
    ok.subscriptions = pointers;
    ok.more = receipt->more;
    ok.waited = receipt->waited;
    ok.unwanted = unwanted;
    answer_message(core, connection, FRAME_RECEIPT_OK, receipt->inquiry.request_id, &ok.base, bytes_of(NULL, 0));
    inquiry_destroy(core, &receipt->inquiry);
}
