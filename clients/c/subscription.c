/* subscription.c: creating, changing and listing subscriptions. */
#include "clients/c/subscription.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/c/bound.h"
#include "clients/c/option_list.h"

/* Gives the application its error text. */
static truc_status fail(truc_status status, const char *why, char **ret_error)
{
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(why[0] != '\0' ? why : truc_status_text(status));
    return status;
}

/* --- create ------------------------------------------------------------------------------------------------------------------ */

/* The question, with what it points to. */
struct creation {
    Truc__V1__SubscriptionCreate message;
    Truc__V1__Bound start;
    uint32_t backoffs[SUBSCRIPTION_BACKOFFS_MAX];
    Truc__V1__HeaderEquals headers[HEADERS_MAX], *header_pointers[HEADERS_MAX];
    char header_names[SUBSCRIPTION_HEADERS_BYTES_MAX + HEADERS_MAX]; /* one behind the other, terminated */
};

static char *text_field(const char *text)
{
    static char empty[1];

    return text != NULL ? (char *)(uintptr_t)text : empty; /* read only */
}

static ProtobufCBinaryData binary_field(const char *text)
{
    return (ProtobufCBinaryData){.len = text == NULL ? 0 : strlen(text), .data = (uint8_t *)text_field(text)};
}

static void set_headers(struct creation *creation, const char *text)
{
    struct bytes name, value;
    size_t used = 0;

    while (headers_next(&text, &name, &value)) {
        Truc__V1__HeaderEquals *header = &creation->headers[creation->message.n_headers];

        truc__v1__header_equals__init(header);
        header->name = creation->header_names + used;
        memcpy(header->name, name.data, name.size);
        header->name[name.size] = '\0';
        used += name.size + 1;
        header->value = (ProtobufCBinaryData){.len = value.size, .data = (uint8_t *)(uintptr_t)value.data};
        creation->header_pointers[creation->message.n_headers++] = header;
    }
    creation->message.headers = creation->header_pointers;
}

static void set_shared(struct creation *creation, const truc_options *options)
{
    Truc__V1__SubscriptionCreate *message = &creation->message;
    const char *backoffs = option_text(options, OPTION_BACKOFF_MS);
    uint64_t attempts = option_number(options, OPTION_ATTEMPTS);

    message->ack_wait_ms = (uint32_t)option_number(options, OPTION_ACK_WAIT_MS);
    message->attempts_max = attempts == 0 ? UINT32_MAX : (uint32_t)attempts;
    message->in_flight_max = (uint32_t)option_number(options, OPTION_IN_FLIGHT_RECORDS);
    while (backoffs != NULL && backoffs_next(&backoffs, &creation->backoffs[message->n_backoff_ms]))
        message->n_backoff_ms++;
    message->backoff_ms = creation->backoffs;
}

/* What only shared subscriptions have must not be given for others: nobody is to believe that it counts. */
static const char *check_ordered(const truc_options *options)
{
    static const enum option_id shared_only[] = {OPTION_ACK_WAIT_MS, OPTION_ATTEMPTS, OPTION_IN_FLIGHT_RECORDS, OPTION_BACKOFF_MS};

    for (size_t i = 0; i < sizeof shared_only / sizeof shared_only[0]; i++) {
        if (option_given(options, shared_only[i]))
            return option_table[shared_only[i]].name;
    }
    return NULL;
}

static truc_status set_creation(struct creation *creation, const char *name, const truc_options *options, char *why,
                                size_t why_size)
{
    Truc__V1__SubscriptionCreate *message = &creation->message;
    struct option_bound start = option_bound(options, OPTION_START);
    bool ordered = option_number(options, OPTION_MODE) == MODE_CHOICE_ORDERED;
    const char *headers = option_text(options, OPTION_HEADERS), *wrong = ordered ? check_ordered(options) : NULL;

    if (option_text(options, OPTION_PATTERN) == NULL) {
        (void)snprintf(why, why_size, "the option pattern is missing");
        return TRUC_INVALID_ARGUMENT;
    }
    if (wrong != NULL) {
        (void)snprintf(why, why_size, "%s: ordered subscriptions have no such option", wrong);
        return TRUC_INVALID_ARGUMENT;
    }
    truc__v1__subscription_create__init(message);
    message->name = text_field(name);
    message->pattern = text_field(option_text(options, OPTION_PATTERN));
    message->mode =
        ordered ? TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED : TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_SHARED;
    message->start = bound_message(&start, &creation->start);
    message->key = binary_field(option_text(options, OPTION_KEY));
    message->type = binary_field(option_text(options, OPTION_TYPE));
    message->source = text_field(option_text(options, OPTION_SOURCE));
    if (headers != NULL)
        set_headers(creation, headers);
    if (!ordered)
        set_shared(creation, options);
    return TRUC_OK;
}

truc_status truc_subscription_create(truc_client *client, const char *name, const truc_options *options, char **ret_error)
{
    struct inquiry_answer answer = {0};
    struct creation *creation;
    truc_status status;

    if (client == NULL || name == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    creation = calloc(1, sizeof *creation);
    if (creation == NULL)
        return fail(TRUC_NO_MEMORY, "", ret_error);
    status = set_creation(creation, name, options, answer.why, sizeof answer.why);
    if (status == TRUC_OK)
        status = inquire(client, FRAME_SUBSCRIPTION_CREATE, &creation->message.base, FRAME_SUBSCRIPTION_OK, &answer);
    free(answer.header);
    free(creation);
    return fail(status, answer.why, ret_error);
}

/* --- change ------------------------------------------------------------------------------------------------------------------ */

truc_status subscription_change(truc_client *client, const char *name, Truc__V1__SubscriptionAction action, Truc__V1__Bound *place,
                                struct inquiry_answer *answer, uint8_t **ret_memory, const Truc__V1__SubscriptionInfo **ret_info)
{
    Truc__V1__SubscriptionChange change = TRUC__V1__SUBSCRIPTION_CHANGE__INIT;
    const Truc__V1__SubscriptionOk *ok;
    uint8_t *memory = NULL;
    void *message = NULL;
    truc_status status;

    change.name = text_field(name);
    change.action = action;
    change.place = place;
    status = inquire_message(client, FRAME_SUBSCRIPTION_CHANGE, &change.base, FRAME_SUBSCRIPTION_OK, answer, &memory, &message);
    if (status != TRUC_OK)
        return status;
    ok = message;
    if (ok->info == NULL && action != TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE) {
        free(memory);
        return TRUC_PROTOCOL;
    }
    *ret_memory = memory;
    *ret_info = ok->info;
    return TRUC_OK;
}

static truc_status change(truc_client *client, const char *name, Truc__V1__SubscriptionAction action, Truc__V1__Bound *place,
                          char **ret_error)
{
    struct inquiry_answer answer = {0};
    const Truc__V1__SubscriptionInfo *info;
    uint8_t *memory = NULL;
    truc_status status = subscription_change(client, name, action, place, &answer, &memory, &info);

    free(memory);
    /* Removed by the first asking, whose answer was lost. */
    if (status == TRUC_NOT_FOUND && action == TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_REMOVE && answer.asked > 1)
        status = TRUC_OK;
    return fail(status, answer.why, ret_error);
}

truc_status truc_subscription_change(truc_client *client, const char *name, truc_subscription_action action, char **ret_error)
{
    if (client == NULL || name == NULL || client_in_callback(client) ||
        (action != TRUC_SUBSCRIPTION_PAUSE && action != TRUC_SUBSCRIPTION_RESUME && action != TRUC_SUBSCRIPTION_REMOVE))
        return TRUC_INVALID_ARGUMENT;
    return change(client, name, (Truc__V1__SubscriptionAction)action, NULL, ret_error);
}

truc_status truc_subscription_reset(truc_client *client, const char *name, const char *place, char **ret_error)
{
    struct option_bound bound;
    Truc__V1__Bound message;

    if (client == NULL || name == NULL || place == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    if (!option_bound_parse(OPTION_START, place, &bound))
        return fail(TRUC_INVALID_ARGUMENT, "the place is one of new, start, head, position=N, offset=N, time_ns=N", ret_error);
    return change(client, name, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_RESET, bound_message(&bound, &message),
                  ret_error);
}

/* --- look -------------------------------------------------------------------------------------------------------------------- */

static int64_t wall_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

truc_status truc_subscription_info_json(truc_client *client, const char *name, char **ret_json)
{
    struct inquiry_answer answer = {0};
    const Truc__V1__SubscriptionInfo *info;
    uint8_t *memory = NULL;
    truc_status status;

    if (client == NULL || name == NULL || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = subscription_change(client, name, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_UNSPECIFIED, NULL, &answer,
                                 &memory, &info);
    if (status != TRUC_OK)
        return status;
    status = inquire_json_text(subscription_json(info, wall_ns()), ret_json);
    free(memory);
    return status;
}

truc_status truc_subscriptions_json(truc_client *client, const char *after, unsigned limit, char **ret_json, bool *ret_more)
{
    Truc__V1__Subscriptions question = TRUC__V1__SUBSCRIPTIONS__INIT;
    const Truc__V1__SubscriptionsOk *page;
    uint8_t *memory = NULL;
    void *message = NULL;
    json_t *list;
    truc_status status;

    if (client == NULL || after == NULL || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    question.after = text_field(after);
    question.limit = limit;
    status = inquire_message(client, FRAME_SUBSCRIPTIONS, &question.base, FRAME_SUBSCRIPTIONS_OK, NULL, &memory, &message);
    if (status != TRUC_OK)
        return status;
    page = message;
    list = json_array();
    for (size_t i = 0; i < page->n_subscriptions && list != NULL; i++) {
        if (json_array_append_new(list, subscription_json(page->subscriptions[i], 0)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    status = inquire_json_text(list, ret_json);
    if (status == TRUC_OK && ret_more != NULL)
        *ret_more = page->more;
    free(memory);
    return status;
}
