/* client_thread.c: the client's own thread: connects, keeps time, and does what may block. */
#include "clients/c/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/c/pack.h"
#include "clients/c/producer.h"
#include "clients/c/reading.h"
#include "clients/c/sender.h"
#include "clients/c/worker.h"
#include "truc/v1/wire.pb-c.h"

#define MS INT64_C(1000000)

/* Schedules the next attempt: the pause doubles, with up to a quarter of it at random so that many clients spread out. */
static void schedule_reconnect(truc_client *client)
{
    int delay = client->reconnect_delay_ms;

    client->jitter = client->jitter * 1103515245u + 12345u;
    delay += (int)((client->jitter >> 16) % (unsigned)(delay / 4 + 1));
    if (delay < client->reconnect_floor_ms)
        delay = client->reconnect_floor_ms;
    client->reconnect_floor_ms = 0;
    client->reconnect_at_ns = clock_now_ns() + delay * MS;
    client->reconnect_delay_ms = client->reconnect_delay_ms > client->settings.reconnect_max_ms / 2
                                     ? client->settings.reconnect_max_ms
                                     : client->reconnect_delay_ms * 2;
}

static truc_status pong(struct request *request, const struct frame *frame, struct inbound **inbound, const char **ret_why)
{
    truc_client *client = (truc_client *)((char *)request - offsetof(truc_client, heartbeat));

    (void)frame;
    (void)inbound;
    (void)ret_why;
    client->ping_pending = false;
    request_end(&client->requests, request);
    return TRUC_OK;
}

/* A peer that is gone without a word is noticed: silence is broken by a ping, and ends the connection when it lasts. */
static void watch_silence(truc_client *client, int64_t now_ns)
{
    int64_t limit_ns = client->settings.request_timeout_ms * MS;
    int64_t silent_ns = now_ns - client->last_received_ns;
    Truc__V1__Ping ping = TRUC__V1__PING__INIT;

    if (client->state == CLIENT_GREETING) {
        if (now_ns >= client->greeting_until_ns)
            link_break(&client->link, TRUC_TIMED_OUT, "no answer to the hello");
        else
            client_wake_at(client, client->greeting_until_ns);
        return;
    }
    if (silent_ns >= limit_ns) {
        link_break(&client->link, TRUC_TIMED_OUT, "the broker does not answer");
        return;
    }
    if (silent_ns >= limit_ns / 2 && !client->ping_pending) {
        client->heartbeat.answer = pong;
        client->ping_pending = client_send(client, FRAME_PING, &client->heartbeat, 0, &ping.base) == TRUC_OK;
    }
    client_wake_at(client, client->last_received_ns + (client->ping_pending ? limit_ns : limit_ns / 2));
}

static void step_link(truc_client *client, int64_t now_ns)
{
    truc_status status;
    int timeout_ms = client->settings.request_timeout_ms;

    switch (client->link.state) {
    case LINK_CLOSED:
        if (client->state == CLIENT_FAILED)
            return;
        if (now_ns < client->reconnect_at_ns) {
            client_wake_at(client, client->reconnect_at_ns);
            return;
        }
        (void)pthread_mutex_unlock(&client->lock);
        status = link_dial(&client->link, timeout_ms);
        (void)pthread_mutex_lock(&client->lock);
        if (status != TRUC_OK) {
            schedule_reconnect(client);
            client_wake_at(client, client->reconnect_at_ns);
        }
        return;
    case LINK_BROKEN:
        (void)pthread_mutex_unlock(&client->lock);
        link_teardown(&client->link);
        (void)pthread_mutex_lock(&client->lock);
        session_lost(client);
        schedule_reconnect(client);
        client_wake_at(client, client->reconnect_at_ns);
        return;
    case LINK_OPEN:
        watch_silence(client, now_ns);
        return;
    case LINK_DIALING:
        return;
    }
}

static void step_memory(truc_client *client, int64_t now_ns)
{
    struct memory *memory = &client->memory;
    truc_log_place place = memory->place;
    truc_status status;

    if (!memory->dirty)
        return;
    if (now_ns < memory->save_at_ns && !client->stopping) {
        client_wake_at(client, memory->save_at_ns);
        return;
    }
    memory->dirty = false;
    (void)pthread_mutex_unlock(&client->lock);
    status = memory_file_write(memory->path, &place);
    (void)pthread_mutex_lock(&client->lock);
    memory->failed = status != TRUC_OK;
    if (memory->failed && !client->stopping) {
        memory->dirty = true;
        memory->save_at_ns = now_ns + MS * 10 * MEMORY_SAVE_INTERVAL_MS;
        client_wake_at(client, memory->save_at_ns);
    }
}

void *client_thread_run(void *argument)
{
    truc_client *client = argument;

    (void)pthread_mutex_lock(&client->lock);
    while (!client->stopping) {
        int64_t now_ns = clock_now_ns();

        client->wake_at_ns = CLOCK_NEVER;
        step_link(client, now_ns);
        for (struct truc_producer *producer = client->producers; producer != NULL; producer = producer->next)
            producer_step(producer, now_ns);
        for (struct truc_reader *reader = client->readers; reader != NULL; reader = reader->next)
            reading_step(reader, now_ns);
        for (struct truc_worker *worker = client->workers; worker != NULL; worker = worker->next)
            worker_step(worker, now_ns);
        pack_step(client);
        step_memory(client, now_ns);
        sender_pump(client);
        if (link_prepare(&client->link)) {
            (void)pthread_mutex_unlock(&client->lock);
            link_post(&client->link);
            (void)pthread_mutex_lock(&client->lock);
        }
        while (!client->stopping && clock_now_ns() < client->wake_at_ns)
            (void)clock_wait(&client->wake, &client->lock, client->wake_at_ns);
    }
    step_memory(client, clock_now_ns());
    (void)pthread_mutex_unlock(&client->lock);
    return NULL;
}
