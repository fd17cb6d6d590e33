/* A worker of the shared subscription `work`: acknowledges most records, refuses, rejects and forgets some, and writes down when.
 */
#include "ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct work {
    int ledger;
    uint64_t random;
    truc_worker *handle;
    char places[65536][48]; /* of leases, by their low bits: far more than are in hand at once */
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* one clock for all processes of this machine */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned draw(struct work *work, unsigned below)
{
    work->random = work->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(work->random >> 33) % below;
}

static void line(struct work *work, char kind, uint64_t lease, bool durable)
{
    char text[128];
    int size = snprintf(text, sizeof text, "%c %s %" PRIu64 "\n", kind, work->places[lease % 65536], now_ns());
    ledger_write(work->ledger, text, (size_t)size, durable);
}

/* G: given. T, N, J: about to be acknowledged, refused, rejected. What is forgotten has only its G. */
static void work_on(struct work *work, const truc_job *job)
{
    unsigned dice = draw(work, 1000);
    snprintf(work->places[job->lease % 65536], sizeof work->places[0], "%" PRIu64 " %" PRIu32, job->message->position,
             job->message->index);
    line(work, 'G', job->lease, false);
    if (dice < 20) {
        line(work, 'N', job->lease, false);
        truc_nack(work->handle, job->lease, 1 + draw(work, 40));
    } else if (dice < 23) {
        line(work, 'J', job->lease, false);
        truc_reject(work->handle, job->lease);
    } else if (dice >= 26) {
        line(work, 'T', job->lease, false);
        truc_ack(work->handle, job->lease);
    }
}

/* K: confirmed to be acknowledged or rejected; on disk before anything else is worked on. */
static void on_settled(void *context, const truc_settled *settled, size_t count)
{
    struct work *work = context;
    for (size_t i = 0; i < count; i++) {
        if (settled[i].status == TRUC_OK && (settled[i].outcome == TRUC_OUTCOME_ACK || settled[i].outcome == TRUC_OUTCOME_REJECT))
            line(work, 'K', settled[i].lease, i + 1 == count);
        else if (settled[i].status != TRUC_OK && settled[i].status != TRUC_LEASE_LOST && settled[i].status != TRUC_CLOSED)
            ledger_error(work->ledger, "settling: %s", truc_status_name(settled[i].status));
    }
}

static truc_status create(truc_client *client)
{
    truc_options *options = NULL;
    char *error = NULL;
    if (truc_options_create(&options) != TRUC_OK)
        return TRUC_NO_MEMORY;
    ledger_set(options, "pattern", "ledger.>");
    ledger_set(options, "start", "start");
    ledger_set(options, "ack_wait_ms", "5000");
    ledger_set(options, "attempts", "0");
    truc_status status = truc_subscription_create(client, "work", options, &error);
    truc_free(error);
    truc_options_destroy(options);
    return status;
}

static truc_status open_worker(struct work *work, truc_client *client)
{
    truc_options *options = NULL;
    char *error = NULL;
    if (truc_options_create(&options) != TRUC_OK)
        return TRUC_NO_MEMORY;
    ledger_set(options, "credit", "16");
    truc_status status = truc_worker_open(client, "work", options, NULL, on_settled, NULL, work, &work->handle, &error);
    truc_free(error);
    truc_options_destroy(options);
    return status;
}

int ledger_work(const struct ledger_options *options)
{
    struct work *work = calloc(1, sizeof *work);
    struct ledger_past past;
    if (work == NULL)
        return 2;
    work->random = now_ns();
    work->ledger = ledger_open(options->ledger, &past);
    truc_client *client = ledger_connect(options);
    while (client != NULL && !ledger_stop) {
        truc_status status = create(client);
        if (status == TRUC_OK)
            status = open_worker(work, client);
        if (status == TRUC_OK)
            break;
        if (!truc_status_retriable(status)) {
            ledger_error(work->ledger, "the worker cannot begin: %s", truc_status_name(status));
            break;
        }
        ledger_pause(20);
    }
    int result = work->handle != NULL || ledger_stop ? 0 : 1;
    while (work->handle != NULL && !ledger_stop) {
        const truc_job *job = NULL;
        truc_status status = truc_worker_pull(work->handle, 100, &job);
        if (status == TRUC_OK && job != NULL) {
            work_on(work, job);
        } else if (status != TRUC_TIMED_OUT) {
            ledger_error(work->ledger, "the worker ended: %s", truc_status_name(status));
            result = 1;
            break;
        }
    }
    if (work->handle != NULL)
        truc_worker_close(work->handle, 10000);
    truc_client_close(client);
    free(work);
    return result;
}
