/* conditional.c: takes the next number in a register of dossiers, also while others do the same.
 *
 *     conditional URL TOPIC REGISTER_CODE
 *
 * The topic is the register: entry number N stands at offset N. Whoever wants the next number publishes on the condition that the
 * entry gets the offset that was next when it looked; a conflict tells what is next now, and it decides again. Two never get the
 * same number, and none is left out. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <truc.h>

enum { WAIT_MS = 10000, TRIES_MAX = 1000 };

/* Handed from the delivery callback to the main thread. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool is_told;
    truc_status status;
    uint64_t offset;
};

static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct outcome *outcome = context;

    (void)pthread_mutex_lock(&outcome->lock);
    outcome->is_told = count > 0; /* one record at a time */
    outcome->status = deliveries[0].status;
    outcome->offset = deliveries[0].offset;
    (void)pthread_cond_signal(&outcome->told);
    (void)pthread_mutex_unlock(&outcome->lock);
}

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "conditional: %s: %s; %s\n", what, why != NULL ? why : truc_status_text(status),
                  truc_status_next(status));
    return (int)status;
}

/* One try. TRUC_OK: *offset is the entry's; TRUC_CONFLICT: *offset is the next one. */
static truc_status try_at(truc_producer *producer, struct outcome *outcome, const char *topic, const char *code, uint64_t *offset)
{
    truc_record record = TRUC_RECORD_INIT;
    truc_publish_how how = TRUC_PUBLISH_HOW_INIT;
    char entry[256];
    truc_status status;

    record.data = entry;
    record.data_size = (size_t)snprintf(entry, sizeof entry, "{\"number\":%" PRIu64 ",\"code\":\"%.100s\"}", *offset, code);
    how.conditional = true;
    how.expected_offset = *offset;
    outcome->is_told = false;
    status = truc_publish_as(producer, topic, &record, &how, NULL);
    if (status != TRUC_OK)
        return status;
    (void)pthread_mutex_lock(&outcome->lock);
    while (!outcome->is_told)
        (void)pthread_cond_wait(&outcome->told, &outcome->lock);
    *offset = outcome->offset;
    status = outcome->status;
    (void)pthread_mutex_unlock(&outcome->lock);
    return status;
}

int main(int argc, char **argv)
{
    struct outcome outcome = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, TRUC_OK, 0};
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_producer *producer = NULL;
    char *why = NULL;
    uint64_t offset = 0;
    unsigned tries = 0;
    truc_status status;

    if (argc != 4)
        return fail("usage: conditional URL TOPIC REGISTER_CODE", TRUC_USAGE, NULL);
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = truc_producer_open(client, NULL, on_delivery, &outcome, &producer, &why);
    if (status != TRUC_OK)
        return fail("producer", status, why);

    do
        status = try_at(producer, &outcome, argv[2], argv[3], &offset);
    while (status == TRUC_CONFLICT && ++tries < TRIES_MAX);
    if (status != TRUC_OK)
        return fail("publish", status, NULL);
    (void)printf("%s has number %" PRIu64 " after %u conflicts\n", argv[3], offset, tries);

    (void)truc_producer_close(producer, WAIT_MS);
    truc_client_close(client);
    truc_options_destroy(options);
    return 0;
}
