#include "clients/cli/import/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clients/cli/import/progress.h"

struct sender {
    struct cli_context *context;
    truc_client *client;
    truc_producer *producer;
    struct sender_options options;
    uint64_t sent;
    int64_t started_ns; /* monotonic: when the first record was sent */
    int64_t first_event_ns;
    int64_t quiet_since_ns; /* monotonic: since when nothing was delivered, while waiting */
    bool told_waiting;
    pthread_mutex_t lock; /* guards outcome */
    struct sender_outcome outcome;
};

enum { WAIT_MS = 200, TELL_AFTER_MS = 3000 };

/* --- deliveries, on the callback thread -----------------------------------------------------------------------------------------
 */

static void note_failure(struct sender_outcome *outcome, const truc_delivery *delivery)
{
    /* What follows a refused record in its topic is refused for being out of sequence: the first one is the cause. */
    if (outcome->failed != TRUC_OK) {
        return;
    }
    outcome->failed = delivery->status;
    outcome->failed_line = (uint64_t)(uintptr_t)delivery->opaque;
    (void)snprintf(outcome->failed_topic, sizeof outcome->failed_topic, "%s", delivery->topic);
    (void)snprintf(outcome->failed_why, sizeof outcome->failed_why, "%s",
                   delivery->why[0] != '\0' ? delivery->why : truc_status_text(delivery->status));
}

static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct sender *sender = context;
    (void)pthread_mutex_lock(&sender->lock);
    struct sender_outcome *outcome = &sender->outcome;
    for (size_t i = 0; i < count; i++) {
        const truc_delivery *delivery = &deliveries[i];
        outcome->delivered++;
        if (delivery->status != TRUC_OK && delivery->status != TRUC_DUPLICATE) {
            note_failure(outcome, delivery);
            continue;
        }
        outcome->stored++;
        if (delivery->offset == UINT64_MAX) { /* stored, but its place is no longer remembered */
            continue;
        }
        outcome->first_position =
            !outcome->placed || delivery->position < outcome->first_position ? delivery->position : outcome->first_position;
        outcome->last_position =
            !outcome->placed || delivery->position > outcome->last_position ? delivery->position : outcome->last_position;
        outcome->placed = true;
    }
    (void)pthread_mutex_unlock(&sender->lock);
}

void sender_outcome(struct sender *sender, struct sender_outcome *ret_outcome)
{
    (void)pthread_mutex_lock(&sender->lock);
    *ret_outcome = sender->outcome;
    (void)pthread_mutex_unlock(&sender->lock);
}

/* --- life ------------------------------------------------------------------------------------------------------------------------
 */

static truc_status producer_options(const struct sender *sender, truc_options *options)
{
    truc_status status = truc_options_set(options, "name", sender->options.producer);
    if (status == TRUC_OK) {
        status = truc_options_set(options, "queue_full", "error"); /* so that waiting for room can be stopped */
    }
    if (status == TRUC_OK && sender->options.outbox != NULL) {
        status = truc_options_set(options, "outbox", sender->options.outbox);
    }
    return status;
}

static truc_status open_producer(struct sender *sender, struct failure *failure)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);
    if (status != TRUC_OK) {
        return failure_set(failure, status, "while opening the producer");
    }
    status = producer_options(sender, options);
    if (status != TRUC_OK) {
        (void)failure_set(failure, TRUC_USAGE, "%s", truc_options_error(options));
        status = TRUC_USAGE;
    } else {
        status = truc_producer_open(sender->client, options, on_delivery, sender, &sender->producer, &why);
        if (status != TRUC_OK) {
            (void)failure_set(failure, status, "opening producer %s: %s", sender->options.producer,
                              why != NULL ? why : truc_status_text(status));
        }
    }
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

truc_status sender_open(struct cli_context *context, truc_client *client, const struct sender_options *options,
                        struct sender **ret_sender, struct failure *failure)
{
    struct sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while opening the producer");
    }
    sender->context = context;
    sender->client = client;
    sender->options = *options;
    if (pthread_mutex_init(&sender->lock, NULL) != 0) {
        free(sender);
        return failure_set(failure, TRUC_NO_MEMORY, "while opening the producer");
    }
    truc_status status = open_producer(sender, failure);
    if (status == TRUC_OK) {
        status = sender_flush(sender, failure); /* what an earlier run left in the outbox: counted there, not here */
        (void)pthread_mutex_lock(&sender->lock);
        sender->outcome = (struct sender_outcome){.failed = sender->outcome.failed};
        (void)pthread_mutex_unlock(&sender->lock);
    }
    if (status != TRUC_OK) {
        sender_close(sender);
        return status;
    }
    *ret_sender = sender;
    return TRUC_OK;
}

void sender_close(struct sender *sender)
{
    if (sender == NULL) {
        return;
    }
    if (sender->producer != NULL) {
        (void)truc_producer_close(sender->producer, 0);
    }
    (void)pthread_mutex_destroy(&sender->lock);
    free(sender);
}

truc_status sender_stored(struct sender *sender, const char *topic, uint64_t *ret_stored, struct failure *failure)
{
    truc_status status = truc_producer_sequence(sender->producer, topic, ret_stored);
    return status == TRUC_OK
               ? status
               : failure_set(failure, status, "asking what is stored in topic %s: %s", topic, truc_status_text(status));
}

/* --- sending ---------------------------------------------------------------------------------------------------------------------
 */

static truc_status failed_before(struct sender *sender, struct failure *failure)
{
    struct sender_outcome outcome;
    sender_outcome(sender, &outcome);
    if (outcome.failed == TRUC_OK) {
        return TRUC_OK;
    }
    if (outcome.failed_line == 0) {
        return failure_set(failure, outcome.failed, "a record of the outbox for topic %s: %s", outcome.failed_topic,
                           outcome.failed_why);
    }
    return failure_set(failure, outcome.failed, "the row of line %" PRIu64 ", for topic %s: %s", outcome.failed_line,
                       outcome.failed_topic, outcome.failed_why);
}

/* Says once that the broker is away, when nothing has moved for a while. */
static void tell_waiting(struct sender *sender)
{
    char state[200];
    bool connected;
    truc_client_state(sender->client, &connected, state, sizeof state);
    int64_t now = monotonic_ns();
    if (connected) {
        sender->quiet_since_ns = now;
        sender->told_waiting = false;
    } else if (!sender->told_waiting && now - sender->quiet_since_ns > (int64_t)TELL_AFTER_MS * 1000000) {
        sender->told_waiting = true;
        cli_note(sender->context, "waiting for the broker: %s", state);
    }
}

/* Waits a moment for deliveries. *ret_empty: nothing is waiting any more. */
static truc_status wait_once(struct sender *sender, bool *ret_empty, struct failure *failure)
{
    truc_status status = truc_flush(sender->producer, WAIT_MS);
    *ret_empty = status == TRUC_OK;
    if (status != TRUC_OK && status != TRUC_TIMED_OUT) {
        truc_status cause = failed_before(sender, failure);
        return cause != TRUC_OK ? cause
                                : failure_set(failure, status, "waiting for acknowledgements: %s", truc_status_text(status));
    }
    if (cli_stopped()) {
        return failure_set(failure, TRUC_CANCELLED, "stopped");
    }
    tell_waiting(sender);
    return failed_before(sender, failure);
}

truc_status sender_flush(struct sender *sender, struct failure *failure)
{
    bool empty = false;
    truc_status status = TRUC_OK;
    sender->quiet_since_ns = monotonic_ns();
    while (status == TRUC_OK && !empty) {
        status = wait_once(sender, &empty, failure);
    }
    return status;
}

/* When a record is due, by the monotonic clock. */
static int64_t due_ns(const struct sender *sender, const struct built *built)
{
    double after = 0;
    if (sender->options.rate > 0) {
        after = (double)sender->sent / sender->options.rate * 1e9;
    } else if (sender->options.speed > 0) {
        after = ((double)built->record.time_ns - (double)sender->first_event_ns) / sender->options.speed;
    }
    return sender->started_ns + (after >= 9e18 ? INT64_C(9000000000000000000) - sender->started_ns : (int64_t)after);
}

static truc_status wait_until_due(struct sender *sender, const struct built *built, struct failure *failure)
{
    if (sender->sent == 0) {
        sender->started_ns = monotonic_ns();
        sender->first_event_ns = built->record.time_ns;
    }
    int64_t due = due_ns(sender, built);
    for (int64_t now = monotonic_ns(); now < due; now = monotonic_ns()) {
        if (cli_stopped()) {
            return failure_set(failure, TRUC_CANCELLED, "stopped");
        }
        int64_t step = due - now < (int64_t)WAIT_MS * 1000000 ? due - now : (int64_t)WAIT_MS * 1000000;
        struct timespec pause = {0, (long)step};
        (void)nanosleep(&pause, NULL);
    }
    return TRUC_OK;
}

truc_status sender_send(struct sender *sender, const struct built *built, struct failure *failure)
{
    truc_status status = TRUC_OK;
    if (sender->options.rate > 0 || sender->options.speed > 0) {
        status = wait_until_due(sender, built, failure);
    }
    if (status == TRUC_OK && (sender->sent & 63) == 0) {
        status = cli_stopped() ? failure_set(failure, TRUC_CANCELLED, "stopped") : failed_before(sender, failure);
    }
    if (status != TRUC_OK) {
        return status;
    }
    bool waiting = false;
    for (;;) {
        status = truc_publish(sender->producer, built->topic, &built->record, (void *)(uintptr_t)built->line);
        if (status == TRUC_OK) {
            sender->sent++;
            return TRUC_OK;
        }
        if (status != TRUC_QUEUE_FULL) {
            truc_status cause = failed_before(sender, failure);
            return cause != TRUC_OK ? cause
                                    : failure_set(failure, status, "the row of line %" PRIu64 ", for topic %s: %s", built->line,
                                                  built->topic, truc_status_text(status));
        }
        sender->quiet_since_ns = waiting ? sender->quiet_since_ns : monotonic_ns();
        waiting = true;
        bool empty;
        status = wait_once(sender, &empty, failure);
        if (status != TRUC_OK) {
            return status;
        }
    }
}
