/* producer_open.c: opening, flushing and closing producers. */
#include "clients/c/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clients/c/pack.h"
#include "clients/c/sender.h"
#include "clients/c/together.h"

enum { BATCH_MARGIN_BYTES = 4096 };

static void destroy(struct truc_producer *producer)
{
    if (producer == NULL)
        return;
    outbox_close(producer->outbox);
    while (producer->generations != NULL) {
        struct generation *next = producer->generations->next;

        free(producer->generations);
        producer->generations = next;
    }
    (void)pthread_cond_destroy(&producer->room);
    free(producer->page_after);
    free(producer->settings.name);
    free(producer);
}

static void read_settings(struct truc_producer *producer, const truc_options *options)
{
    struct producer_settings *settings = &producer->settings;

    settings->batch_bytes = option_number(options, OPTION_BATCH_BYTES);
    settings->batch_records = (uint32_t)option_number(options, OPTION_BATCH_RECORDS);
    settings->linger_ns = (int64_t)option_number(options, OPTION_LINGER_US) * 1000;
    settings->queue_bytes = option_number(options, OPTION_QUEUE_BYTES);
    settings->queue_full_error = option_number(options, OPTION_QUEUE_FULL) == QUEUE_FULL_ERROR;
    settings->codec = (enum codec)option_number(options, OPTION_CODEC);
    settings->evidence = (enum evidence)option_number(options, OPTION_EVIDENCE);
    settings->delivery_timeout_ns = (int64_t)option_number(options, OPTION_DELIVERY_TIMEOUT_MS) * 1000000;
    settings->in_flight = (uint32_t)option_number(options, OPTION_IN_FLIGHT);
}

/* Batches must fit into what the broker takes, whole frames into its credit. */
static void fit_to_limits(struct truc_producer *producer)
{
    const struct client_limits *limits = &producer->client->limits;
    struct producer_settings *settings = &producer->settings;
    size_t largest = limits->batch_bytes_max;

    if (largest > limits->frame_bytes_max)
        largest = limits->frame_bytes_max;
    if (largest > limits->publish_credit_bytes)
        largest = limits->publish_credit_bytes;
    largest = largest > (size_t)2 * BATCH_MARGIN_BYTES ? largest - BATCH_MARGIN_BYTES : largest / 2;
    if (settings->batch_bytes > largest)
        settings->batch_bytes = largest;
    if (settings->batch_records > limits->batch_records_max)
        settings->batch_records = limits->batch_records_max;
}

/* With a name (NULL: none) and no other settings. */
static truc_status create(truc_client *client, const char *name, struct truc_producer **ret_producer)
{
    struct truc_producer *producer = calloc(1, sizeof *producer);
    uint64_t seed[UUID7_SEED_WORDS];
    truc_status status = TRUC_NO_MEMORY;

    if (producer == NULL)
        return TRUC_NO_MEMORY;
    if (clock_condition_init(&producer->room) != 0) {
        free(producer);
        return TRUC_NO_MEMORY;
    }
    producer->client = client;
    producer->state = PRODUCER_WAITING;
    producer->open_at_ns = CLOCK_NEVER;
    producer->wait_at_ns = CLOCK_NEVER;
    producer->generations = producer->generation = calloc(1, sizeof *producer->generation);
    if (name != NULL)
        producer->settings.name = strdup(name);
    if (producer->generation == NULL || (name != NULL && producer->settings.name == NULL))
        goto done;
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        status = TRUC_INTERNAL;
        goto done;
    }
    uuid7_seed(&producer->uuid, seed);
    status = TRUC_OK;
    *ret_producer = producer;
done:
    if (status != TRUC_OK)
        destroy(producer);
    return status;
}

truc_status producer_create_companion(const struct truc_producer *producer, struct truc_producer **ret_companion)
{
    const struct producer_settings *settings = &producer->settings;
    char name[PRODUCER_NAME_BYTES_MAX + 1];
    struct truc_producer *companion;
    truc_status status;

    if (settings->name != NULL &&
        snprintf(name, sizeof name, "%s" TOGETHER_NAME_SUFFIX, settings->name) > (int)PRODUCER_NAME_BYTES_MAX)
        return TRUC_INVALID_ARGUMENT;
    status = create(producer->client, settings->name != NULL ? name : NULL, &companion);
    if (status != TRUC_OK)
        return status;
    companion->settings.evidence = settings->evidence;
    *ret_companion = companion;
    return TRUC_OK;
}

void producer_destroy_companion(struct truc_producer *companion)
{
    request_end(&companion->client->requests, &companion->opening);
    lanes_free(companion);
    destroy(companion);
}

static truc_status open_outbox(struct truc_producer *producer, const truc_options *options, char *why, size_t why_size)
{
    const char *directory = option_text(options, OPTION_OUTBOX);
    truc_client *client = producer->client;
    struct outbox_identity identity;

    if (directory == NULL)
        return TRUC_OK;
    if (producer->settings.name == NULL || producer->settings.delivery_timeout_ns != 0) {
        (void)snprintf(why, why_size, "%s",
                       producer->settings.name == NULL ? "an outbox needs a producer with a name"
                                                       : "with an outbox records never time out: leave delivery_timeout_ms at 0");
        return TRUC_INVALID_ARGUMENT;
    }
    (void)pthread_mutex_lock(&client->lock);
    memcpy(identity.log_id, client->log_id, sizeof identity.log_id);
    identity.generation = client->generation;
    (void)snprintf(identity.owner, sizeof identity.owner, "%s/%s/%s", client->settings.agency, client->settings.system,
                   producer->settings.name);
    identity.record_bytes_max = client->limits.record_bytes_max;
    (void)pthread_mutex_unlock(&client->lock);
    return outbox_open(directory, &identity, producer->settings.queue_bytes, &producer->outbox, why, why_size);
}

static void link_producer(truc_client *client, struct truc_producer *producer)
{
    producer->next = client->producers;
    if (producer->next != NULL)
        producer->next->previous = producer;
    client->producers = producer;
}

static void unlink_producer(truc_client *client, struct truc_producer *producer)
{
    if (producer->previous != NULL)
        producer->previous->next = producer->next;
    else
        client->producers = producer->next;
    if (producer->next != NULL)
        producer->next->previous = producer->previous;
}

/* Locked. Waits until the broker has answered; then TRUC_OK or what came. */
static truc_status await_opened(truc_client *client, struct truc_producer *producer, char *why, size_t why_size)
{
    int64_t deadline_ns = clock_deadline(client->settings.request_timeout_ms);

    while (producer->state != PRODUCER_OPENED && producer->state != PRODUCER_FAILED) {
        if (clock_wait(&client->changed, &client->lock, deadline_ns))
            continue;
        (void)snprintf(why, why_size, "the broker did not open the producer in time%s%s", client->text[0] != '\0' ? ": " : "",
                       client->text);
        return client->status != TRUC_OK ? client->status : TRUC_TIMED_OUT;
    }
    if (producer->state == PRODUCER_OPENED)
        return TRUC_OK;
    (void)snprintf(why, why_size, "%s", producer->why);
    return producer->failure;
}

/* Locked, unlinks and frees; nothing of it may be in flight any more but answers, which are forgotten. */
static void remove_and_destroy(truc_client *client, struct truc_producer *producer)
{
    producer->closing = true;
    producer_fail(producer, TRUC_CLOSED, "the producer was closed");
    while (producer->stepping || producer->callers > 0 || producer->generation->batch_count > 0 ||
           producer->generations != producer->generation)
        (void)clock_wait(&client->changed, &client->lock, CLOCK_NEVER);
    together_destroy(producer->together);
    request_end(&client->requests, &producer->opening);
    lanes_free(producer);
    unlink_producer(client, producer);
    (void)pthread_mutex_unlock(&client->lock);
    destroy(producer);
    (void)pthread_mutex_lock(&client->lock);
}

truc_status truc_producer_open(truc_client *client, const truc_options *options, truc_delivery_callback *on_delivery, void *context,
                               truc_producer **ret_producer, char **ret_error)
{
    struct truc_producer *producer = NULL;
    char why[512] = "";
    truc_status status;

    if (client == NULL || ret_producer == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = create(client, option_text(options, OPTION_NAME), &producer);
    if (status == TRUC_OK) {
        producer->on_delivery = on_delivery;
        producer->context = context;
        read_settings(producer, options);
        status = open_outbox(producer, options, why, sizeof why);
    }
    if (status != TRUC_OK) {
        destroy(producer);
        goto done;
    }
    (void)pthread_mutex_lock(&client->lock);
    if (on_delivery != NULL)
        status = courier_start(client);
    if (status == TRUC_OK && client->state == CLIENT_FAILED) {
        status = client->status;
        (void)snprintf(why, sizeof why, "%s", client->text);
    }
    if (status != TRUC_OK) {
        (void)pthread_mutex_unlock(&client->lock);
        destroy(producer);
        goto done;
    }
    fit_to_limits(producer);
    link_producer(client, producer);
    if (client->state == CLIENT_UP)
        producer_connected(producer);
    client_unlock(client);

    (void)pthread_mutex_lock(&client->lock);
    status = await_opened(client, producer, why, sizeof why);
    if (status == TRUC_OK)
        *ret_producer = producer;
    else
        remove_and_destroy(client, producer);
    sender_pump(client);
    client_unlock(client);
done:
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(why[0] != '\0' ? why : truc_status_text(status));
    return status;
}

truc_status truc_producer_sequence(truc_producer *producer, const char *topic, uint64_t *ret_next)
{
    const struct lane *lane;
    truc_status status = TRUC_OK;

    if (producer == NULL || topic == NULL || ret_next == NULL)
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&producer->client->lock);
    if (producer->state == PRODUCER_FAILED) {
        status = producer->failure;
    } else {
        lane = lane_lookup(producer, topic, strlen(topic));
        *ret_next = lane == NULL ? 0 : lane->acked_next + lane->pending_records;
    }
    (void)pthread_mutex_unlock(&producer->client->lock);
    return status;
}

/* Locked. */
static truc_status flush(struct truc_producer *producer, int64_t deadline_ns)
{
    truc_client *client = producer->client;
    uint64_t number = producer->generation->number;

    producer_close_open(producer);
    if (producer->outbox != NULL) {
        outbox_want_sync(producer->outbox);
        client_wake_at(client, 0);
    }
    if (producer->generation->batch_count > 0) {
        struct generation *fresh = calloc(1, sizeof *fresh);

        if (fresh == NULL)
            return TRUC_NO_MEMORY;
        fresh->number = number + 1;
        producer->generation->next = fresh;
        producer->generation = fresh;
        producer_close_urgent(producer);
    }
    sender_pump(client);
    if (link_prepare(&client->link)) {
        (void)pthread_mutex_unlock(&client->lock);
        link_post(&client->link);
        (void)pthread_mutex_lock(&client->lock);
    }
    while (producer->generations->number <= number && producer->generations != producer->generation) {
        if (!clock_wait(&client->changed, &client->lock, deadline_ns))
            return TRUC_TIMED_OUT;
    }
    return TRUC_OK;
}

truc_status truc_flush(truc_producer *producer, int timeout_ms)
{
    truc_status status;

    if (producer == NULL || client_in_callback(producer->client))
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&producer->client->lock);
    status = flush(producer, clock_deadline(timeout_ms));
    client_unlock(producer->client);
    return status;
}

truc_status truc_producer_close(truc_producer *producer, int timeout_ms)
{
    int64_t deadline_ns = clock_deadline(timeout_ms);
    truc_client *client;
    truc_status status;

    if (producer == NULL)
        return TRUC_OK;
    client = producer->client;
    if (client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&client->lock);
    status = flush(producer, deadline_ns);
    if (!together_drain(producer->together, deadline_ns) && status == TRUC_OK)
        status = TRUC_TIMED_OUT;
    remove_and_destroy(client, producer);
    client_unlock(client);
    return status;
}
