#include "clients/c/requester.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/message_copy.h"
#include "clients/c/request_producer.h"

enum { IN_FLIGHT_DEFAULT = 1000 };

/* --- what comes back, on the courier's thread ------------------------------------------------------------------------------------
 */

/* Unlocked. Ends a call, unless it has ended already. */
static void finish(struct truc_requester *requester, uint64_t serial, truc_status status, const truc_message *reply,
                   const char *why)
{
    truc_client *client = requester->client;
    struct call *call;

    (void)pthread_mutex_lock(&client->lock);
    call = calls_find(&requester->calls, serial);
    if (call != NULL)
        calls_take(&requester->calls, call);
    if (requester->over != TRUC_OK)
        (void)pthread_cond_broadcast(&client->changed);
    (void)pthread_mutex_unlock(&client->lock);
    if (call == NULL)
        return;
    call->on_reply(call->opaque, status, reply, why);
    free(call);
}

static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].status != TRUC_OK && deliveries[i].status != TRUC_DUPLICATE)
            finish(context, (uintptr_t)deliveries[i].opaque, deliveries[i].status, NULL, deliveries[i].why);
    }
}

static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    struct truc_requester *requester = context;

    for (size_t i = 0; i < count; i++) {
        uint64_t serial = request_serial(&requester->names, messages[i].record.correlation_id);

        if (serial != 0)
            finish(requester, serial, TRUC_OK, &messages[i], "");
    }
    return TRUC_OK;
}

/* Locked. The first cause stays. */
static void be_over(struct truc_requester *requester, truc_status status, const char *why)
{
    if (requester->over != TRUC_OK)
        return;
    requester->over = status;
    (void)snprintf(requester->why, sizeof requester->why, "%s", why);
    courier_wake(requester->client);
}

static void on_end(void *context, truc_status status, const char *why, uint64_t next_position)
{
    struct truc_requester *requester = context;

    (void)next_position;
    (void)pthread_mutex_lock(&requester->client->lock);
    be_over(requester, status != TRUC_OK ? status : TRUC_CLOSED, why);
    (void)pthread_mutex_unlock(&requester->client->lock);
}

static struct call *take_ended(struct truc_requester *requester)
{
    int64_t now_ns;
    struct call *call;

    if (requester->over != TRUC_OK)
        return calls_take_due(&requester->calls, INT64_MAX);
    if (requester->look_at_ns == CLOCK_NEVER)
        return NULL;
    now_ns = clock_now_ns();
    if (requester->look_at_ns > now_ns)
        return NULL;
    call = calls_take_due(&requester->calls, now_ns);
    if (call == NULL)
        requester->look_at_ns = calls_next_deadline(&requester->calls);
    return call;
}

static bool tell(struct truc_requester *requester)
{
    truc_client *client = requester->client;
    truc_status status = requester->over != TRUC_OK ? requester->over : TRUC_TIMED_OUT;
    const char *why = requester->over != TRUC_OK ? requester->why : "no reply came by the deadline";
    struct call *call = take_ended(requester);

    if (call == NULL)
        return false;
    requester->telling = true;
    (void)pthread_mutex_unlock(&client->lock);
    call->on_reply(call->opaque, status, NULL, why);
    free(call);
    (void)pthread_mutex_lock(&client->lock);
    requester->telling = false;
    if (requester->over != TRUC_OK)
        (void)pthread_cond_broadcast(&client->changed);
    return true;
}

bool requester_tell_one(truc_client *client)
{
    bool busy = false;

    for (struct truc_requester *requester = client->requesters; requester != NULL; requester = requester->next) {
        if (tell(requester))
            busy = true;
    }
    return busy;
}

int64_t requester_next_ns(const truc_client *client)
{
    int64_t next_ns = CLOCK_NEVER;

    for (const struct truc_requester *requester = client->requesters; requester != NULL; requester = requester->next) {
        if (requester->over == TRUC_OK && requester->look_at_ns < next_ns)
            next_ns = requester->look_at_ns;
    }
    return next_ns;
}

/* --- requests ---------------------------------------------------------------------------------------------------------------- */

/* The call comes first: the reply may be here before the publishing function has returned. */
static truc_status begin(struct truc_requester *requester, truc_reply_callback *on_reply, void *opaque, int64_t deadline_ns,
                         uint64_t *ret_serial)
{
    truc_client *client = requester->client;
    truc_status status;

    (void)pthread_mutex_lock(&client->lock);
    status = requester->over;
    if (status == TRUC_OK && requester->calls.count >= requester->in_flight)
        status = TRUC_QUEUE_FULL;
    if (status == TRUC_OK) {
        struct call *call = calls_add(&requester->calls, on_reply, opaque, deadline_ns);

        if (call == NULL)
            status = TRUC_NO_MEMORY;
        else
            *ret_serial = call->serial;
    }
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

/* Its deadline counts now, unless it has ended already; or it was not published. */
static void settle(struct truc_requester *requester, uint64_t serial, truc_status status)
{
    truc_client *client = requester->client;
    struct call *call;

    (void)pthread_mutex_lock(&client->lock);
    call = calls_find(&requester->calls, serial);
    if (call != NULL && status == TRUC_OK) {
        calls_arm(&requester->calls, call);
        /* Mostly somebody's deadline is earlier, or was: the courier, which looks then, need not be woken. */
        if (call->deadline_ns < requester->look_at_ns || requester->over != TRUC_OK) {
            requester->look_at_ns = call->deadline_ns;
            courier_wake(client);
        }
    } else if (call != NULL) {
        calls_take(&requester->calls, call);
        free(call);
    }
    (void)pthread_mutex_unlock(&client->lock);
}

static int64_t wall_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

truc_status truc_request(truc_requester *requester, const char *topic, const truc_record *request, int timeout_ms,
                         truc_reply_callback *on_reply, void *opaque)
{
    char correlation[CORRELATION_DIGITS + 1];
    truc_header headers[RECORD_HEADERS_MAX];
    truc_record record;
    uint64_t serial;
    truc_status status;

    if (requester == NULL || topic == NULL || timeout_ms < 1 || on_reply == NULL)
        return TRUC_INVALID_ARGUMENT;
    status = request_dress(&requester->names, request, wall_clock_ns() + (int64_t)timeout_ms * 1000000, headers, &record);
    if (status == TRUC_OK)
        status = begin(requester, on_reply, opaque, clock_deadline(timeout_ms), &serial);
    if (status != TRUC_OK)
        return status;
    request_correlation(&requester->names, serial, correlation);
    record.correlation_id = (truc_text){correlation, CORRELATION_DIGITS};
    status = truc_publish(requester->producer, topic, &record, (void *)(uintptr_t)serial);
    settle(requester, serial, status);
    return status;
}

/* A thread that waits for its reply. */
struct waiting {
    truc_client *client;
    pthread_cond_t told;
    bool done;
    truc_status status;
    truc_message *reply;
    char *why;
};

static void on_reply_waited(void *opaque, truc_status status, const truc_message *reply, const char *why)
{
    struct waiting *waiting = opaque;
    truc_message *copy = reply != NULL ? message_copy(reply) : NULL;
    char *text = status != TRUC_OK ? client_text_copy(why) : NULL;

    (void)pthread_mutex_lock(&waiting->client->lock);
    waiting->status = reply != NULL && copy == NULL ? TRUC_NO_MEMORY : status;
    waiting->reply = copy;
    waiting->why = text;
    waiting->done = true;
    (void)pthread_cond_signal(&waiting->told);
    (void)pthread_mutex_unlock(&waiting->client->lock);
}

/* Why a request was not even tried. */
static const char *refusal_text(truc_status status)
{
    return status == TRUC_INVALID_ARGUMENT ? "a request needs a topic and a timeout_ms of 1 or more; correlation_id, expires_at_ns "
                                             "and the headers " REQUEST_REPLY_TO " and " REQUEST_REPLY_KEY
                                             " are the requester's to set"
           : status == TRUC_QUEUE_FULL ? "in_flight requests are without a reply, or the broker does not take more for now"
                                       : truc_status_text(status);
}

truc_status truc_request_wait(truc_requester *requester, const char *topic, const truc_record *request, int timeout_ms,
                              truc_message **ret_reply, char **ret_error)
{
    struct waiting waiting = {0};
    truc_status status;

    if (requester == NULL || ret_reply == NULL || client_in_callback(requester->client))
        return TRUC_INVALID_ARGUMENT;
    waiting.client = requester->client;
    if (clock_condition_init(&waiting.told) != 0)
        return TRUC_NO_MEMORY;
    status = truc_request(requester, topic, request, timeout_ms, on_reply_waited, &waiting);
    if (status == TRUC_OK) {
        (void)pthread_mutex_lock(&waiting.client->lock);
        while (!waiting.done)
            (void)clock_wait(&waiting.told, &waiting.client->lock, CLOCK_NEVER);
        (void)pthread_mutex_unlock(&waiting.client->lock);
        status = waiting.status;
    }
    (void)pthread_cond_destroy(&waiting.told);
    if (status == TRUC_OK)
        *ret_reply = waiting.reply;
    else if (ret_error != NULL)
        *ret_error = waiting.why != NULL ? waiting.why : client_text_copy(refusal_text(status));
    if (status == TRUC_OK || ret_error == NULL)
        free(waiting.why);
    return status;
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void destroy(struct truc_requester *requester)
{
    truc_reader_close(requester->reader);
    (void)truc_producer_close(requester->producer, 0);
    calls_fini(&requester->calls);
    free(requester);
}

static truc_status follow_replies(struct truc_requester *requester, char **ret_error)
{
    truc_options *options = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "follow", "yes");
    if (status == TRUC_OK)
        status = truc_options_set(options, "from", "head");
    if (status == TRUC_OK)
        status = truc_options_set(options, "key", requester->names.key);
    if (status == TRUC_OK)
        status = truc_reader_open(requester->client, requester->names.topic, options, on_message, on_end, requester,
                                  &requester->reader, ret_error);
    truc_options_destroy(options);
    return status;
}

truc_status truc_requester_open(truc_client *client, const truc_options *options, truc_requester **ret_requester, char **ret_error)
{
    struct truc_requester *requester;
    char *why = NULL;
    truc_status status;

    if (client == NULL || ret_requester == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    requester = calloc(1, sizeof *requester);
    status = requester == NULL ? TRUC_NO_MEMORY : TRUC_OK;
    if (status != TRUC_OK)
        goto done;
    requester->client = client;
    requester->look_at_ns = CLOCK_NEVER;
    requester->in_flight = option_given(options, OPTION_IN_FLIGHT) ? option_number(options, OPTION_IN_FLIGHT) : IN_FLIGHT_DEFAULT;
    status = request_names_make(&requester->names, client->settings.agency, client->settings.system);
    if (status == TRUC_OK)
        status = request_producer_open(client, options, on_delivery, requester, &requester->producer, &why);
    if (status == TRUC_OK)
        status = follow_replies(requester, &why);
    if (status != TRUC_OK) {
        destroy(requester);
        goto done;
    }
    (void)pthread_mutex_lock(&client->lock);
    requester->next = client->requesters;
    if (requester->next != NULL)
        requester->next->previous = requester;
    client->requesters = requester;
    (void)pthread_mutex_unlock(&client->lock);
    *ret_requester = requester;
done:
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = why != NULL ? why : client_text_copy(truc_status_text(status));
    else
        free(why);
    return status;
}

void truc_requester_close(truc_requester *requester)
{
    truc_client *client;

    if (requester == NULL || client_in_callback(requester->client))
        return;
    client = requester->client;
    (void)pthread_mutex_lock(&client->lock);
    be_over(requester, TRUC_CLOSED, "the requester was closed");
    while (requester->calls.count > 0 || requester->telling)
        (void)clock_wait(&client->changed, &client->lock, CLOCK_NEVER);
    if (requester->previous != NULL)
        requester->previous->next = requester->next;
    else
        client->requesters = requester->next;
    if (requester->next != NULL)
        requester->next->previous = requester->previous;
    (void)pthread_mutex_unlock(&client->lock);
    destroy(requester);
}
