/* publish.c: a department publishes a dossier's new status and knows that it arrived.
 *
 *     publish [URL]
 *
 * truc_publish_wait returns when the record is on the broker's disk, or says why it is not. */
#include <stdio.h>
#include <string.h>

#include <truc.h>

static truc_text text(const char *s)
{
    return (truc_text){s, strlen(s)};
}

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "publish: %s: %s; %s\n", what, why != NULL ? why : truc_status_text(status), truc_status_next(status));
    return (int)status;
}

int main(int argc, char **argv)
{
    static const char status_message[] = "{\"dossier\":\"H26.16-200605-0001\",\"status\":2}";
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_producer *producer = NULL;
    truc_record record = TRUC_RECORD_INIT;
    truc_delivery delivery;
    char *why = NULL;
    truc_status status;

    status = truc_options_create(&options);
    if (status == TRUC_OK && argc > 1)
        status = truc_options_set(options, "url", argv[1]);
    if (status == TRUC_OK)
        status = truc_options_set(options, "source", "H26.16/portal");
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));

    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = truc_producer_open(client, NULL, NULL, NULL, &producer, &why);
    if (status != TRUC_OK)
        return fail("producer", status, why);

    record.type = text("vn.gov.dossier.status");
    record.key = text("H26.16-200605-0001"); /* records of one dossier keep their order */
    record.content_type = text("application/json");
    record.data = status_message;
    record.data_size = sizeof status_message - 1;
    status = truc_publish_wait(producer, "dossier.status.H26.16", &record, 10000, &delivery);
    if (status != TRUC_OK)
        return fail("publish", status, NULL);
    (void)printf("on disk at position %llu, offset %llu\n", (unsigned long long)delivery.position,
                 (unsigned long long)delivery.offset);

    (void)truc_producer_close(producer, 1000);
    truc_client_close(client);
    truc_options_destroy(options);
    return 0;
}
