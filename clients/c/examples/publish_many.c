/* publish_many.c: many records at full speed, each with its own outcome, kept in an outbox until the broker has them.
 *
 *     publish_many URL OUTBOX_DIRECTORY [COUNT]
 *
 * truc_publish returns at once; the delivery callback tells what became of each record. Kill this program at any moment and run it
 * again: what was in the outbox is sent first, nothing is lost, nothing is stored twice. truc_producer_sequence tells how many
 * records this producer has published before, so that the program goes on where it stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <truc.h>

struct tally {
    unsigned long long stored, failed;
};

/* On libtruc's callback thread. */
static void on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct tally *tally = context;

    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].status == TRUC_OK || deliveries[i].status == TRUC_DUPLICATE) {
            tally->stored++;
        } else {
            tally->failed++;
            (void)fprintf(stderr, "record %llu: %s\n", (unsigned long long)deliveries[i].sequence, deliveries[i].why);
        }
    }
}

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "publish_many: %s: %s; %s\n", what, why != NULL ? why : truc_status_text(status),
                  truc_status_next(status));
    return (int)status;
}

static truc_status publish_from(truc_producer *producer, unsigned long long first, unsigned long long count)
{
    truc_status status = TRUC_OK;

    for (unsigned long long i = first; i < count && status == TRUC_OK; i++) {
        char key[32], data[64];
        truc_record record = TRUC_RECORD_INIT;

        record.key = (truc_text){key, (size_t)snprintf(key, sizeof key, "H26.16-%08llu", i)};
        record.data = data;
        record.data_size = (size_t)snprintf(data, sizeof data, "{\"number\":%llu}", i);
        status = truc_publish(producer, "example.many", &record, NULL);
    }
    return status;
}

int main(int argc, char **argv)
{
    unsigned long long count = argc > 3 ? strtoull(argv[3], NULL, 10) : 10000;
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_producer *producer = NULL;
    struct tally tally = {0, 0};
    uint64_t first = 0;
    char *why = NULL;
    truc_status status;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: publish_many URL OUTBOX_DIRECTORY [COUNT]\n");
        return TRUC_USAGE;
    }
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status == TRUC_OK)
        status = truc_options_set(options, "name", "publish-many");
    if (status == TRUC_OK)
        status = truc_options_set(options, "outbox", argv[2]);
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = truc_producer_open(client, options, on_delivery, &tally, &producer, &why);
    if (status != TRUC_OK)
        return fail("producer", status, why);

    status = truc_producer_sequence(producer, "example.many", &first);
    if (status == TRUC_OK)
        status = publish_from(producer, first, count);
    if (status == TRUC_OK)
        status = truc_flush(producer, 60000);
    if (status != TRUC_OK)
        return fail("publish", status, NULL);
    (void)truc_producer_close(producer, 1000); /* after it no callback runs any more */
    (void)printf("began at %llu, stored %llu, failed %llu\n", (unsigned long long)first, tally.stored, tally.failed);

    truc_client_close(client);
    truc_options_destroy(options);
    return tally.failed == 0 ? 0 : 1;
}
