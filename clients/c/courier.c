#include "clients/c/courier.h"

#include "clients/c/client.h"
#include "clients/c/producer.h"
#include "clients/c/reading.h"
#include "clients/c/requester.h"
#include "clients/c/worker.h"

enum { DELIVERIES_AT_ONCE = 128 };

truc_status courier_init(struct courier *courier)
{
    *courier = (struct courier){0};
    if (clock_condition_init(&courier->work) != 0)
        return TRUC_NO_MEMORY;
    courier->initialised = true;
    return TRUC_OK;
}

void courier_fini(struct courier *courier)
{
    if (courier->initialised)
        (void)pthread_cond_destroy(&courier->work);
    courier->initialised = false;
}

void courier_wake(truc_client *client)
{
    (void)pthread_cond_signal(&client->courier.work);
}

void courier_give(truc_client *client, struct send_batch *batch)
{
    struct courier *courier = &client->courier;

    batch->next = NULL;
    if (courier->tail != NULL)
        courier->tail->next = batch;
    else
        courier->head = batch;
    courier->tail = batch;
    (void)pthread_cond_signal(&courier->work);
}

/* Unlocked. Tells the outcome of each record that no thread waits for. */
static void tell(const struct send_batch *batch)
{
    truc_delivery deliveries[DELIVERIES_AT_ONCE];
    size_t count = 0;

    for (uint32_t i = 0; i < batch->record_count; i++) {
        if (!send_batch_waited(batch, i))
            producer_delivery(batch, i, &deliveries[count++]);
        if (count == DELIVERIES_AT_ONCE || (i + 1 == batch->record_count && count > 0)) {
            batch->producer->on_delivery(batch->producer->context, deliveries, count);
            count = 0;
        }
    }
}

/* Locked. Tells all that is decided now; the memory of several batches is given back at once. */
static void tell_all(truc_client *client)
{
    struct courier *courier = &client->courier;
    struct send_batch *batches = courier->head;

    courier->head = courier->tail = NULL;
    (void)pthread_mutex_unlock(&client->lock);
    for (struct send_batch *batch = batches; batch != NULL; batch = batch->next)
        tell(batch);
    (void)pthread_mutex_lock(&client->lock);
    while (batches != NULL) {
        struct send_batch *next = batches->next;

        producer_batch_told(batches->producer, batches);
        batches = next;
    }
}

static void *run(void *argument)
{
    truc_client *client = argument;
    struct courier *courier = &client->courier;

    (void)pthread_mutex_lock(&client->lock);
    for (;;) {
        bool busy = false;

        if (courier->head != NULL) {
            tell_all(client);
            busy = true;
        }
        if (reading_deliver_one(client))
            busy = true;
        if (worker_deliver_one(client))
            busy = true;
        if (requester_tell_one(client))
            busy = true;
        if (busy)
            continue;
        if (courier->stopping)
            break;
        (void)clock_wait(&courier->work, &client->lock, requester_next_ns(client));
    }
    (void)pthread_mutex_unlock(&client->lock);
    return NULL;
}

truc_status courier_start(truc_client *client)
{
    if (client->courier.started)
        return TRUC_OK;
    if (pthread_create(&client->courier.thread, NULL, run, client) != 0)
        return TRUC_NO_MEMORY;
    client->courier.started = true;
    return TRUC_OK;
}

void courier_stop(truc_client *client)
{
    bool started;

    (void)pthread_mutex_lock(&client->lock);
    started = client->courier.started;
    client->courier.stopping = true;
    courier_wake(client);
    (void)pthread_mutex_unlock(&client->lock);
    if (started)
        (void)pthread_join(client->courier.thread, NULL);
}
