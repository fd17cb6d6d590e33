/* answered.c: a document with its answers: sent, received, accepted, recalled, the recall agreed to; and then the whole thread.
 *
 *     answered URL
 *
 * Sender (H26.16/portal) and receiver (H26.17/intake) are in one program here, on a connection each; usually they are two. Every
 * answer is a record that is related to the document: what either side said, and when, can be proven like the document itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <truc.h>

#define TOPIC "document.sent.H26.17"
enum { WAIT_MS = 10000 };

/* One side. */
struct party {
    truc_client *client;
    truc_producer *producer;
    truc_worker *worker; /* the receiver's */
};

static truc_status fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "answered: %s: %s; %s\n", what, why != NULL && why[0] != '\0' ? why : truc_status_text(status),
                  truc_status_next(status));
    return status;
}

static truc_status join(const char *url, const char *source, struct party *party)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "url", url);
    if (status == TRUC_OK)
        status = truc_options_set(options, "source", source);
    if (status == TRUC_OK)
        status = truc_client_open(options, &party->client, &why);
    if (status == TRUC_OK)
        status = truc_producer_open(party->client, NULL, NULL, NULL, &party->producer, &why);
    if (status != TRUC_OK)
        (void)fail(source, status, why);
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

static truc_status take_part(struct party *receiver)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "pattern", TOPIC);
    if (status == TRUC_OK)
        status = truc_subscription_create(receiver->client, "documents", options, &why);
    if (status == TRUC_OK)
        status = truc_worker_open(receiver->client, "documents", NULL, NULL, NULL, NULL, NULL, &receiver->worker, &why);
    if (status != TRUC_OK)
        (void)fail("subscription", status, why);
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

/* --- the sender -------------------------------------------------------------------------------------------------------------- */

static truc_status send_document(const struct party *sender, uint64_t *ret_offset)
{
    static const char text[] = "Decision 7 of the department", type[] = "vn.gov.document", key[] = "H26.16-7";
    truc_record record = TRUC_RECORD_INIT;
    truc_delivery delivery;
    truc_status status;

    record.data = text;
    record.data_size = sizeof text - 1;
    record.type = (truc_text){type, sizeof type - 1};
    record.key = (truc_text){key, sizeof key - 1};
    status = truc_publish_wait(sender->producer, TOPIC, &record, WAIT_MS, &delivery);
    if (status != TRUC_OK)
        return fail("send", status, NULL);
    *ret_offset = delivery.offset;
    return TRUC_OK;
}

static truc_status recall_document(const struct party *sender, uint64_t offset)
{
    truc_message *document = NULL;
    char *why = NULL;
    truc_status status = truc_message_read(sender->client, TOPIC, offset, WAIT_MS, &document, &why);

    if (status == TRUC_OK)
        status = truc_recall(sender->producer, document, "a page is missing", NULL);
    if (status == TRUC_OK)
        status = truc_flush(sender->producer, WAIT_MS);
    if (status != TRUC_OK)
        (void)fail("recall", status, why);
    truc_free(why);
    truc_message_free(document);
    return status;
}

/* --- the receiver ------------------------------------------------------------------------------------------------------------ */

static truc_status answer(const struct party *receiver, const truc_message *document, truc_answer_status said, const char *reason)
{
    truc_status status = truc_answer(receiver->producer, document, said, reason, NULL);

    if (status == TRUC_OK)
        status = truc_flush(receiver->producer, WAIT_MS); /* said only when it is on disk */
    if (status != TRUC_OK)
        return fail(truc_answer_name(said), status, NULL);
    return TRUC_OK;
}

/* A document: a recalled one that nobody has worked on yet need not be begun. */
static truc_status take_document(const struct party *receiver, const truc_job *job)
{
    const truc_message *document = job->message;
    truc_status status;

    if (job->recalled)
        return answer(receiver, document, TRUC_ANSWER_RECALL_AGREED, "not begun");
    status = answer(receiver, document, TRUC_ANSWER_RECEIVED, NULL);
    if (status == TRUC_OK)
        status = answer(receiver, document, TRUC_ANSWER_ACCEPTED, "registered as 2026/118");
    return status;
}

/* A recall of what was given before: the answer belongs to the document, which is read again. */
static truc_status take_recall(const struct party *receiver, const truc_job *job)
{
    truc_message *document = NULL;
    char *why = NULL;
    truc_status status =
        truc_message_read(receiver->client, job->message->topic, job->message->record.relates_to.offset, WAIT_MS, &document, &why);

    if (status == TRUC_OK)
        status = answer(receiver, document, TRUC_ANSWER_RECALL_AGREED, "struck off the register");
    else
        (void)fail("the recalled document", status, why);
    truc_free(why);
    truc_message_free(document);
    return status;
}

/* The next record, whatever it is. Acknowledged last: what a crash interrupts is done again. */
static truc_status take_next(const struct party *receiver)
{
    static const char recall[] = "truc.recall.v1";
    const truc_job *job = NULL;
    truc_status status = truc_worker_pull(receiver->worker, WAIT_MS, &job);
    const truc_record *record;

    if (status != TRUC_OK)
        return fail("pull", status, NULL);
    record = &job->message->record;
    if (record->type.size == sizeof recall - 1 && memcmp(record->type.data, recall, record->type.size) == 0)
        status = take_recall(receiver, job);
    else
        status = take_document(receiver, job);
    if (status == TRUC_OK)
        status = truc_ack(receiver->worker, job->lease);
    return status;
}

static truc_status show_thread(const struct party *sender, uint64_t offset)
{
    char *json = NULL, *why = NULL;
    truc_status status = truc_thread_json(sender->client, TOPIC, offset, &json, &why);

    if (status == TRUC_OK)
        (void)printf("%s\n", json);
    else
        (void)fail("thread", status, why);
    truc_free(json);
    truc_free(why);
    return status;
}

int main(int argc, char **argv)
{
    struct party sender = {0}, receiver = {0};
    uint64_t offset = 0;
    truc_status status;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: answered URL\n");
        return TRUC_USAGE;
    }
    status = join(argv[1], "H26.17/intake", &receiver);
    if (status == TRUC_OK)
        status = take_part(&receiver);
    if (status == TRUC_OK)
        status = join(argv[1], "H26.16/portal", &sender);
    if (status == TRUC_OK)
        status = send_document(&sender, &offset);
    if (status == TRUC_OK)
        status = take_next(&receiver);
    if (status == TRUC_OK)
        status = recall_document(&sender, offset);
    if (status == TRUC_OK)
        status = take_next(&receiver);
    if (status == TRUC_OK)
        status = show_thread(&sender, offset);
    /* Waits for the acknowledgements; the clients close the rest. */
    if (truc_worker_close(receiver.worker, WAIT_MS) != TRUC_OK && status == TRUC_OK)
        status = fail("close", TRUC_LEASE_LOST, NULL);
    truc_client_close(receiver.client);
    truc_client_close(sender.client);
    return (int)status;
}
