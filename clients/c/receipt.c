/* receipt.c: truc_receipt_json: what became of a record in the subscriptions that want it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/inquire.h"
#include "proto/topic.h"
#include "truc/v1/wire.pb-c.h"

enum { NAMES_MAX = 16, WAIT_MS_MAX = 24 * 3600 * 1000, NAME_BYTES = AGENCY_BYTES_MAX + SUBSCRIPTION_NAME_BYTES_MAX + 2 };

/* What is asked, and what came of it. */
struct asking {
    truc_client *client;
    Truc__V1__Receipt question;
    char names[NAMES_MAX][NAME_BYTES]; /* AGENCY/NAME */
    char *pointers[NAMES_MAX];
    bool acknowledged[NAMES_MAX];
    char after[NAME_BYTES]; /* page */
    bool more;
    json_t *object, *list;
    char why[INQUIRY_WHY_BYTES];
};

static truc_status set_names(struct asking *asking, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool full = names[i] != NULL && strchr(names[i], '/') != NULL;
        int size = names[i] == NULL ? NAME_BYTES
                                    : snprintf(asking->names[i], NAME_BYTES, "%s%s%s", full ? "" : asking->client->settings.agency,
                                               full ? "" : "/", names[i]);

        if (size >= NAME_BYTES) {
            (void)snprintf(asking->why, sizeof asking->why, "the name of a subscription is AGENCY/NAME or NAME, at most 64 bytes");
            return TRUC_INVALID_ARGUMENT;
        }
        asking->pointers[i] = asking->names[i];
    }
    asking->question.n_wait_for = count;
    asking->question.wait_for = asking->pointers;
    return TRUC_OK;
}

/* --- the answer -------------------------------------------------------------------------------------------------------------- */

static const char *state_name(Truc__V1__ReceiptState state)
{
    static const char *const names[] = {"unknown",      "ahead", "ready",   "leased", "delayed",
                                        "acknowledged", "dead",  "expired", "passed", "resolved"};

    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : names[0];
}

static json_t *receipt_json(const Truc__V1__SubscriptionReceipt *receipt)
{
    bool ordered = receipt->mode == TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;

    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "owner", receipt->owner, "name", receipt->name, "mode",
                     ordered ? "ordered" : "shared", "state", state_name(receipt->state), "attempts", (json_int_t)receipt->attempts,
                     "resolved_ns", (json_int_t)receipt->resolved_ns, "first_failed_ns", (json_int_t)receipt->first_failed_ns,
                     "last_failed_ns", (json_int_t)receipt->last_failed_ns, "reason", receipt->reason);
}

/* Adds the subscriptions of a page, and remembers which of those named have acknowledged. */
static truc_status add_page(struct asking *asking, const Truc__V1__ReceiptOk *ok)
{
    for (size_t i = 0; i < ok->n_subscriptions; i++) {
        const Truc__V1__SubscriptionReceipt *receipt = ok->subscriptions[i];
        int size = snprintf(asking->after, sizeof asking->after, "%s/%s", receipt->owner, receipt->name);

        if (size >= NAME_BYTES)
            return TRUC_PROTOCOL;
        for (size_t j = 0; j < asking->question.n_wait_for; j++) {
            if (receipt->state == TRUC__V1__RECEIPT_STATE__RECEIPT_ACKNOWLEDGED && strcmp(asking->names[j], asking->after) == 0)
                asking->acknowledged[j] = true;
        }
        if (json_array_append_new(asking->list, receipt_json(receipt)) != 0)
            return TRUC_NO_MEMORY;
    }
    asking->more = ok->more && ok->n_subscriptions > 0; /* an empty page is the end whatever it says */
    return TRUC_OK;
}

static json_t *names_json(char *const *names, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count && list != NULL; i++) {
        if (json_array_append_new(list, json_string(names[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* Begins the object with what the first page says. */
static truc_status begin(struct asking *asking, const Truc__V1__ReceiptOk *ok)
{
    json_decref(asking->object); /* of an asking that waited in vain */
    asking->list = NULL;
    asking->object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:o, s:[]}", "topic", asking->question.topic, "offset",
                               (json_int_t)asking->question.offset, "position", (json_int_t)ok->position, "index",
                               (json_int_t)ok->index, "append_time_ns", (json_int_t)ok->append_time_ns, "waited", ok->waited,
                               "unwanted", names_json(ok->unwanted, ok->n_unwanted), "subscriptions");
    if (asking->object == NULL)
        return TRUC_NO_MEMORY;
    asking->list = json_object_get(asking->object, "subscriptions");
    return TRUC_OK;
}

/* --- asking --------------------------------------------------------------------------------------------------------------------
 */

static truc_status ask_page(struct asking *asking, bool first, bool *ret_waited)
{
    struct inquiry_answer answer = {0};
    uint8_t *memory = NULL;
    void *message = NULL;
    truc_status status =
        inquire_message(asking->client, FRAME_RECEIPT, &asking->question.base, FRAME_RECEIPT_OK, &answer, &memory, &message);

    (void)snprintf(asking->why, sizeof asking->why, "%s", answer.why);
    if (status != TRUC_OK)
        return status;
    if (first) {
        status = begin(asking, message);
        *ret_waited = ((const Truc__V1__ReceiptOk *)message)->waited;
    }
    if (status == TRUC_OK)
        status = add_page(asking, message);
    free(memory);
    return status;
}

/* The first page, after those named are done or the time is over. A long wait is asked for in pieces: each is answered within the
 * time of a request, so that a broker that is gone is noticed. */
static truc_status ask_first(struct asking *asking, uint32_t wait_ms)
{
    int64_t deadline_ns = clock_now_ns() + wait_ms * INT64_C(1000000),
            piece_ms = asking->client->settings.request_timeout_ms / 2 + 1;
    bool waited = false;
    truc_status status;

    for (;;) {
        int64_t left_ms = (deadline_ns - clock_now_ns()) / 1000000;
        bool last = left_ms <= piece_ms;

        asking->question.wait_ms = (uint32_t)(left_ms < 0 ? 0 : last ? left_ms : piece_ms);
        memset(asking->acknowledged, 0, sizeof asking->acknowledged);
        status = ask_page(asking, true, &waited);
        if (status != TRUC_OK || waited || last)
            return status;
    }
}

static truc_status ask_all(struct asking *asking, uint32_t wait_ms)
{
    truc_status status = ask_first(asking, wait_ms);
    bool unused;

    asking->question.wait_ms = 0;
    asking->question.after = asking->after;
    while (status == TRUC_OK && asking->more)
        status = ask_page(asking, false, &unused);
    for (size_t i = 0; status == TRUC_OK && i < asking->question.n_wait_for; i++) {
        if (!asking->acknowledged[i]) {
            (void)snprintf(asking->why, sizeof asking->why, "%s has not acknowledged the record", asking->names[i]);
            status = TRUC_NOT_ACKNOWLEDGED;
        }
    }
    return status;
}

truc_status truc_receipt_json(truc_client *client, const char *topic, uint64_t offset, const char *const *wait_for,
                              size_t wait_count, uint32_t wait_ms, char **ret_json, char **ret_error)
{
    struct asking *asking;
    truc_status status;

    if (client == NULL || topic == NULL || wait_count > NAMES_MAX || (wait_count > 0 && wait_for == NULL) ||
        wait_ms > WAIT_MS_MAX || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    asking = calloc(1, sizeof *asking);
    if (asking == NULL)
        return TRUC_NO_MEMORY;
    asking->client = client;
    truc__v1__receipt__init(&asking->question);
    asking->question.topic = (char *)(uintptr_t)topic; /* read only */
    asking->question.offset = offset;
    status = set_names(asking, wait_for, wait_count);
    if (status == TRUC_OK)
        status = ask_all(asking, wait_count > 0 ? wait_ms : 0);
    if (status == TRUC_OK || status == TRUC_NOT_ACKNOWLEDGED) {
        truc_status written = inquire_json_text(asking->object, ret_json);

        asking->object = NULL;
        status = written != TRUC_OK ? written : status;
    }
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(asking->why[0] != '\0' ? asking->why : truc_status_text(status));
    json_decref(asking->object);
    free(asking);
    return status;
}
