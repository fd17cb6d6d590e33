/* read.c: reads everything that a pattern matches, by callback, every digest checked.
 *
 *     read URL PATTERN
 *
 * Add the option follow=yes to go on with what is published later. */
#include <stdio.h>

#include <truc.h>

/* On libtruc's callback thread. Everything in a message is borrowed until the callback returns. */
static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    unsigned long long *total = context;

    for (size_t i = 0; i < count; i++) {
        const truc_message *message = &messages[i];

        (void)printf("%llu.%u %s %.*s %.*s\n", (unsigned long long)message->position, message->index, message->topic,
                     (int)message->record.key.size, message->record.key.data != NULL ? message->record.key.data : "",
                     (int)message->record.data_size, message->record.data_size > 0 ? (const char *)message->record.data : "");
    }
    *total += count;
    return TRUC_OK;
}

static void on_end(void *context, truc_status status, const char *why, uint64_t next_position)
{
    (void)context;
    if (status != TRUC_OK)
        (void)fprintf(stderr, "read: ended at position %llu: %s; %s\n", (unsigned long long)next_position, why,
                      truc_status_next(status));
}

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "read: %s: %s; %s\n", what, why != NULL ? why : truc_status_text(status), truc_status_next(status));
    return (int)status;
}

int main(int argc, char **argv)
{
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_reader *reader = NULL;
    unsigned long long total = 0;
    char *why = NULL;
    truc_status status;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: read URL PATTERN\n");
        return TRUC_USAGE;
    }
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = truc_reader_open(client, argv[2], NULL, on_message, on_end, &total, &reader, &why);
    if (status != TRUC_OK)
        return fail("reader", status, why);
    status = truc_reader_wait(reader, -1);
    truc_reader_close(reader);
    (void)fprintf(stderr, "%llu records\n", total);

    truc_client_close(client);
    truc_options_destroy(options);
    return (int)status;
}
