/* load_request.c: requests through the log to a server in this process, on a connection of its own, and their replies back. */
#include "bench/load/lane.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SUBSCRIPTION "bench-request"
enum { DEADLINE_MS = 60000, CLOSE_MS = 10000 };

struct asking {
    const struct load_spec *spec;
    struct load_window window;
    truc_client *asks, *serves;
    truc_requester *requester;
    truc_server *server;
    struct payload_ring ring;
    struct load_result *result; /* by the callbacks, once the first requests are sent */
    _Atomic bool stopped;
};

/* One of those who ask again when they have their reply. */
struct asker {
    struct asking *asking;
    uint64_t sent_ns;
};

static void take_error(struct load_result *result, char *error, truc_status status)
{
    snprintf(result->why, sizeof result->why, "%s", error ? error : truc_status_text(status));
    truc_free(error);
}

static truc_status on_request(void *context, const truc_job *request, truc_record *reply)
{
    (void)context;
    reply->data = request->message->record.data;
    reply->data_size = request->message->record.data_size;
    return TRUC_OK;
}

static void on_reply(void *opaque, truc_status status, const truc_message *reply, const char *why);

static truc_status ask(struct asker *asker)
{
    struct asking *asking = asker->asking;
    truc_record record = TRUC_RECORD_INIT;
    record.data = payload_next(&asking->ring);
    record.data_size = asking->spec->payload_size;
    asker->sent_ns = load_now_ns();
    return truc_request(asking->requester, asking->spec->topic, &record, DEADLINE_MS, on_reply, asker);
}

static void on_reply(void *opaque, truc_status status, const truc_message *reply, const char *why)
{
    struct asker *asker = opaque;
    struct asking *asking = asker->asking;
    struct load_result *result = asking->result;
    uint64_t now_ns = load_now_ns();
    (void)reply;
    if (atomic_load_explicit(&asking->stopped, memory_order_relaxed))
        return;
    if (status == TRUC_OK && load_window_counts(&asking->window, now_ns)) {
        result->records++;
        histogram_add(&result->latency, now_ns - asker->sent_ns);
    }
    if (status == TRUC_OK)
        status = ask(asker);
    if (status != TRUC_OK && result->failures++ == 0) /* this one asks no more */
        snprintf(result->why, sizeof result->why, "%s", why[0] ? why : truc_status_text(status));
}

static truc_status serve(struct asking *asking)
{
    truc_options *options = NULL;
    char *error = NULL;
    truc_status status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "pattern", asking->spec->topic);
    if (status == TRUC_OK)
        status = truc_subscription_create(asking->serves, SUBSCRIPTION, options, &error);
    if (status == TRUC_OK)
        status = truc_server_open(asking->serves, SUBSCRIPTION, NULL, on_request, NULL, &asking->server, &error);
    if (status != TRUC_OK)
        take_error(asking->result, error, status);
    truc_options_destroy(options);
    return status;
}

static truc_status open_requester(struct asking *asking, uint32_t waiting)
{
    truc_options *options = NULL;
    char text[16], *error = NULL;
    truc_status status = truc_options_create(&options);
    snprintf(text, sizeof text, "%u", waiting);
    if (status == TRUC_OK)
        status = truc_options_set(options, "in_flight", text);
    if (status == TRUC_OK && asking->spec->codec)
        status = truc_options_set(options, "codec", asking->spec->codec);
    if (status == TRUC_OK && asking->spec->evidence)
        status = truc_options_set(options, "evidence", asking->spec->evidence);
    if (status == TRUC_OK)
        status = truc_requester_open(asking->asks, options, &asking->requester, &error);
    if (status != TRUC_OK)
        take_error(asking->result, error, status);
    truc_options_destroy(options);
    return status;
}

static truc_status open_all(struct asking *asking, uint32_t waiting)
{
    truc_status status =
        payload_ring_init(&asking->ring, asking->spec->payload_size, asking->spec->seed) < 0 ? TRUC_NO_MEMORY : TRUC_OK;
    if (status == TRUC_OK)
        status = lane_client_open(asking->spec, &asking->serves, asking->result->why);
    if (status == TRUC_OK)
        status = lane_client_open(asking->spec, &asking->asks, asking->result->why);
    if (status == TRUC_OK)
        status = serve(asking);
    return status == TRUC_OK ? open_requester(asking, waiting) : status;
}

static void close_all(struct asking *asking)
{
    truc_requester_close(asking->requester);
    truc_server_close(asking->server, CLOSE_MS);
    if (asking->server)
        truc_subscription_change(asking->serves, SUBSCRIPTION, TRUC_SUBSCRIPTION_REMOVE, NULL);
    truc_client_close(asking->asks);
    truc_client_close(asking->serves);
    payload_ring_fini(&asking->ring);
}

static void wait_until(uint64_t due_ns)
{
    struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000u), .tv_nsec = (long)(due_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        continue;
}

truc_status load_request(const struct load_spec *spec, struct load_result *ret_result)
{
    uint32_t waiting = spec->waiting ? spec->waiting : 1;
    struct asking asking = {.spec = spec, .result = ret_result};
    struct asker *askers = calloc(waiting, sizeof *askers);
    *ret_result = (struct load_result){.seconds = spec->seconds_s};
    histogram_init(&ret_result->latency);
    truc_status status = askers ? open_all(&asking, waiting) : TRUC_NO_MEMORY;
    if (status == TRUC_OK)
        load_window_start(&asking.window, spec);
    for (uint32_t i = 0; i < waiting && status == TRUC_OK; i++) {
        askers[i].asking = &asking;
        status = ask(&askers[i]);
    }
    if (status == TRUC_OK)
        wait_until(atomic_load(&asking.window.end_ns));
    atomic_store(&asking.stopped, true);
    close_all(&asking);
    free(askers);
    return status;
}
