#include "ledger.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IN_FLIGHT_MAX = 2000, KEY_COUNT = 50, KEYLESS_TOPIC = 3 }; /* share.py knows the latter two */

struct producer {
    const struct ledger_options *options;
    int ledger;
    struct ledger_past past;
    truc_producer *handle;
    uint64_t next[TOPIC_COUNT];
    atomic_uint_fast64_t delivered;
    atomic_bool failed;
};

/* Acknowledgements are on the ledger's disk before the next ones are asked for: one write and one flush a callback. */
static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct producer *producer = context;
    char lines[64 * 1024];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const truc_delivery *d = &deliveries[i];
        uint64_t number = (uint64_t)(uintptr_t)d->opaque;
        if (sizeof lines - size < 512) {
            ledger_write(producer->ledger, lines, size, true);
            size = 0;
        }
        int n = 0;
        if (d->status == TRUC_OK)
            n = snprintf(lines + size, sizeof lines - size, "A %s %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64 "\n", d->topic,
                         d->sequence, d->position, d->index, d->offset);
        else if (d->status == TRUC_DUPLICATE)
            n = snprintf(lines + size, sizeof lines - size, "D %s %" PRIu64 "\n", d->topic, d->sequence);
        else if (d->status != TRUC_CLOSED)
            atomic_store(&producer->failed, true);
        if (d->status != TRUC_OK && d->status != TRUC_DUPLICATE && d->status != TRUC_CLOSED)
            ledger_error(producer->ledger, "%s %" PRIu64 ": %s: %s", d->topic, d->sequence, truc_status_name(d->status), d->why);
        /* What an outbox kept from an earlier process has no opaque of this one; sequences are numbers here. */
        if (d->status == TRUC_OK && d->opaque != NULL && number != d->sequence + 1)
            ledger_error(producer->ledger, "%s: number %" PRIu64 " was delivered as sequence %" PRIu64, d->topic, number - 1,
                         d->sequence);
        size += n > 0 ? (size_t)n : 0;
    }
    if (size > 0)
        ledger_write(producer->ledger, lines, size, true);
    atomic_fetch_add(&producer->delivered, count);
}

/* Where each topic goes on. What was acknowledged, or accepted into the outbox, must be counted there. */
static bool resume(struct producer *producer)
{
    for (size_t t = 0; t < TOPIC_COUNT; t++) {
        truc_status status = truc_producer_sequence(producer->handle, ledger_topics[t], &producer->next[t]);
        if (status != TRUC_OK) {
            ledger_error(producer->ledger, "%s: truc_producer_sequence: %s", ledger_topics[t], truc_status_name(status));
            return false;
        }
        uint64_t next = producer->next[t], accepted = producer->past.accepted[t];
        if (next < producer->past.acknowledged[t] || next < accepted) {
            ledger_error(producer->ledger, "%s: goes on at %" PRIu64 ", but %" PRIu64 " were acknowledged and %" PRIu64 " accepted",
                         ledger_topics[t], next, producer->past.acknowledged[t], accepted);
            return false;
        }
        /* A kill between truc_publish and its line leaves one more than the ledger knows. */
        if (producer->options->outbox != NULL && next > accepted + 1) {
            ledger_error(producer->ledger, "%s: goes on at %" PRIu64 ", but only %" PRIu64 " were accepted", ledger_topics[t], next,
                         accepted);
            return false;
        }
    }
    return true;
}

static bool publish_one(struct producer *producer, size_t topic)
{
    uint8_t data[RECORD_BYTES_LIMIT];
    char key[24];
    uint64_t number = producer->next[topic];
    truc_record record = TRUC_RECORD_INIT;
    record.data = data;
    record.data_size = record_fill(data, producer->options->name, topic, number);
    if (topic != KEYLESS_TOPIC)
        record.key = (truc_text){key, (size_t)snprintf(key, sizeof key, "k%" PRIu64, number % KEY_COUNT)};
    truc_status status = truc_publish(producer->handle, ledger_topics[topic], &record, (void *)(uintptr_t)(number + 1));
    if (status != TRUC_OK) {
        ledger_error(producer->ledger, "%s %" PRIu64 ": truc_publish: %s", ledger_topics[topic], number, truc_status_name(status));
        return false;
    }
    producer->next[topic]++;
    if (producer->options->outbox != NULL) {
        /* A kill loses no bytes that were written, so this line needs no flush. */
        char line[300];
        int size = snprintf(line, sizeof line, "Q %s %" PRIu64 "\n", ledger_topics[topic], number);
        ledger_write(producer->ledger, line, (size_t)size, false);
    }
    return true;
}

static truc_status open_producer(struct producer *producer, truc_client *client)
{
    truc_options *options = NULL;
    char *error = NULL;
    if (truc_options_create(&options) != TRUC_OK)
        return TRUC_NO_MEMORY;
    ledger_set(options, "name", producer->options->name);
    ledger_set(options, "batch_bytes", "8192"); /* many batches under way when the kill comes */
    if (producer->options->outbox != NULL)
        ledger_set(options, "outbox", producer->options->outbox);
    truc_status status = truc_producer_open(client, options, on_delivery, producer, &producer->handle, &error);
    if (status != TRUC_OK)
        fprintf(stderr, "ledger: producer: %s: %s\n", truc_status_name(status), error != NULL ? error : "");
    truc_free(error);
    truc_options_destroy(options);
    return status;
}

/* Publishes at the rate, in bursts of a few milliseconds, until it is told to stop. */
static void publish_until_stopped(struct producer *producer)
{
    uint64_t published = 0, random = (uint64_t)time(NULL);
    while (!ledger_stop && !atomic_load(&producer->failed)) {
        for (uint64_t i = 0; i <= producer->options->rate / 200; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if (!publish_one(producer, (size_t)(random >> 33) % TOPIC_COUNT)) {
                atomic_store(&producer->failed, true);
                return;
            }
            published++;
        }
        if (published - atomic_load(&producer->delivered) > IN_FLIGHT_MAX)
            truc_flush(producer->handle, 100);
        else
            ledger_pause(5);
    }
}

/* Opens, which sends what an outbox kept; publishes unless only that is wanted; closes when everything is delivered. */
static int produce(const struct ledger_options *options, bool publish)
{
    struct producer producer = {.options = options};
    producer.ledger = ledger_open(options->ledger, &producer.past);
    truc_client *client = ledger_connect(options);
    truc_status status = TRUC_UNREACHABLE;
    while (client != NULL && !ledger_stop) {
        status = open_producer(&producer, client);
        if (status == TRUC_OK || !truc_status_retriable(status))
            break;
        ledger_pause(20);
    }
    int result = 1;
    if (status == TRUC_OK && resume(&producer)) {
        if (publish)
            publish_until_stopped(&producer);
        status = truc_producer_close(producer.handle, 30000);
        if (status != TRUC_OK)
            ledger_error(producer.ledger, "not everything was delivered at the end: %s", truc_status_name(status));
        result = status == TRUC_OK && !atomic_load(&producer.failed) ? 0 : 1;
    } else if (ledger_stop) {
        result = 0; /* stopped before it had begun: what is left is left to a drain */
    } else {
        ledger_error(producer.ledger, "could not go on: %s", truc_status_name(status));
    }
    truc_client_close(client);
    return result;
}

int ledger_produce(const struct ledger_options *options)
{
    return produce(options, true);
}

int ledger_drain(const struct ledger_options *options)
{
    return produce(options, false);
}
