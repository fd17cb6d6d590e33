/* pull.c: the last records of a topic, pulled one by one, the newest first.
 *
 *     pull URL TOPIC [LIMIT] */
#include <stdio.h>

#include <truc.h>

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "pull: %s: %s; %s\n", what, why != NULL ? why : truc_status_text(status), truc_status_next(status));
    return (int)status;
}

int main(int argc, char **argv)
{
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_reader *reader = NULL;
    const truc_message *message = NULL;
    char *why = NULL;
    truc_status status;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: pull URL TOPIC [LIMIT]\n");
        return TRUC_USAGE;
    }
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status == TRUC_OK)
        status = truc_options_set(options, "reverse", "yes");
    if (status == TRUC_OK)
        status = truc_options_set(options, "limit", argc > 3 ? argv[3] : "10");
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = truc_reader_open(client, argv[2], options, NULL, NULL, NULL, &reader, &why);
    if (status != TRUC_OK)
        return fail("reader", status, why);

    /* A message is borrowed until the next pull. At the end there is none, and the status tells why. */
    while ((status = truc_reader_pull(reader, 10000, &message)) == TRUC_OK && message != NULL)
        (void)printf("offset %llu: %.*s\n", (unsigned long long)message->offset, (int)message->record.data_size,
                     message->record.data_size > 0 ? (const char *)message->record.data : "");

    truc_reader_close(reader);
    truc_client_close(client);
    truc_options_destroy(options);
    return (int)status;
}
