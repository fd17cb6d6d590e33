/* reading_open.c: opening, pulling from, waiting for and closing readers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/reading.h"
#include "proto/digest.h"
#include "proto/topic.h"

static void destroy(struct truc_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->maker != NULL)
        message_maker_fini(reader->maker);
    free(reader->maker);
    digest_context_destroy(reader->digests);
    free(reader->pattern);
    free(reader->key);
    free(reader->type);
    free(reader->agency);
    free(reader->system);
    free(reader);
}

static bool copy_option(const truc_options *options, enum option_id id, char **ret_text, struct bytes *ret_bytes)
{
    const char *text = option_text(options, id);

    if (text == NULL)
        return true;
    *ret_text = strdup(text);
    if (*ret_text == NULL)
        return false;
    *ret_bytes = bytes_of_text(*ret_text);
    return true;
}

/* AGENCY or AGENCY/SYSTEM; the options have checked it. */
static bool copy_source(const truc_options *options, struct truc_reader *reader)
{
    const char *text = option_text(options, OPTION_SOURCE), *slash;

    if (text == NULL)
        return true;
    slash = strchr(text, '/');
    reader->agency = slash == NULL ? strdup(text) : strndup(text, (size_t)(slash - text));
    if (reader->agency == NULL)
        return false;
    reader->filter.agency = bytes_of_text(reader->agency);
    if (slash == NULL)
        return true;
    reader->system = strdup(slash + 1);
    if (reader->system == NULL)
        return false;
    reader->filter.system = bytes_of_text(reader->system);
    return true;
}

static truc_status read_settings(struct truc_reader *reader, const char *pattern, const truc_options *options)
{
    struct message_filter *filter = &reader->filter;

    reader->pattern = strdup(pattern);
    if (reader->pattern == NULL || !copy_option(options, OPTION_KEY, &reader->key, &filter->key) ||
        !copy_option(options, OPTION_TYPE, &reader->type, &filter->type) || !copy_source(options, reader))
        return TRUC_NO_MEMORY;
    filter->pattern = bytes_of_text(reader->pattern);
    filter->event_since_ns = option_time(options, OPTION_EVENT_SINCE_NS);
    filter->event_until_ns = option_time(options, OPTION_EVENT_UNTIL_NS);
    reader->from = option_bound(options, OPTION_FROM);
    reader->until = option_bound(options, OPTION_UNTIL);
    reader->follow = option_number(options, OPTION_FOLLOW) != 0;
    reader->reverse = filter->reverse = option_number(options, OPTION_REVERSE) != 0;
    reader->intake.verify = option_number(options, OPTION_VERIFY) != 0;
    reader->limit = option_number(options, OPTION_LIMIT);
    if (reader->limit == 0)
        reader->limit = UINT64_MAX;
    reader->credit_bytes = option_number(options, OPTION_CREDIT_BYTES);
    return TRUC_OK;
}

static truc_status create(truc_client *client, const char *pattern, const truc_options *options, struct truc_reader **ret_reader,
                          char *why, size_t why_size)
{
    struct truc_reader *reader;
    const char *rule = "";
    truc_status status = pattern_check(bytes_of_text(pattern), &rule);

    if (status != TRUC_OK) {
        (void)snprintf(why, why_size, "'%s': %s", pattern, rule);
        return status;
    }
    reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return TRUC_NO_MEMORY;
    reader->client = reader->intake.client = client;
    reader->state = READING_WAITING;
    reader->retry_at_ns = CLOCK_NEVER;
    reader->asked_position = UINT64_MAX;
    reader->maker = calloc(1, sizeof *reader->maker);
    reader->digests = digest_context_create();
    status = reader->maker == NULL || reader->digests == NULL ? TRUC_NO_MEMORY : read_settings(reader, pattern, options);
    if (status == TRUC_OK && reader->follow && reader->reverse) {
        (void)snprintf(why, why_size, "follow and reverse exclude each other");
        status = TRUC_INVALID_ARGUMENT;
    }
    if (status != TRUC_OK) {
        destroy(reader);
        return status;
    }
    *ret_reader = reader;
    return TRUC_OK;
}

/* Locked. Starts what the reader needs and puts it into the client's list. */
static truc_status begin(truc_client *client, struct truc_reader *reader, char *why, size_t why_size)
{
    truc_status status = TRUC_OK;

    if (client->state == CLIENT_FAILED) {
        (void)snprintf(why, why_size, "%s", client->text);
        return client->status;
    }
    status = prover_start(client);
    if (status == TRUC_OK && reader->on_message != NULL)
        status = courier_start(client);
    if (status != TRUC_OK)
        return status;
    if (reader->credit_bytes > client->limits.read_credit_bytes_max)
        reader->credit_bytes = client->limits.read_credit_bytes_max;
    reader->intake.pulled = reader->on_message == NULL;
    reader->intake.unpacked_max = reader->credit_bytes;
    reader->next = client->readers;
    if (reader->next != NULL)
        reader->next->previous = reader;
    client->readers = reader;
    if (client->state == CLIENT_UP)
        reading_connected(reader);
    return TRUC_OK;
}

static void unlink_reader(truc_client *client, struct truc_reader *reader)
{
    if (reader->previous != NULL)
        reader->previous->next = reader->next;
    else
        client->readers = reader->next;
    if (reader->next != NULL)
        reader->next->previous = reader->previous;
}

/* Locked. Waits until the bounds are known. */
static truc_status await_opened(truc_client *client, struct truc_reader *reader, char *why, size_t why_size)
{
    int64_t deadline_ns = clock_deadline(client->settings.request_timeout_ms);

    while (!reader->opened && reader->state != READING_OVER) {
        if (clock_wait(&client->changed, &client->lock, deadline_ns))
            continue;
        (void)snprintf(why, why_size, "the broker did not open the reader in time%s%s", client->text[0] != '\0' ? ": " : "",
                       client->text);
        return client->status != TRUC_OK ? client->status : TRUC_TIMED_OUT;
    }
    if (reader->opened)
        return TRUC_OK;
    (void)snprintf(why, why_size, "%s", reader->final.why);
    return reader->final.status;
}

truc_status truc_reader_open(truc_client *client, const char *pattern, const truc_options *options,
                             truc_message_callback *on_message, truc_end_callback *on_end, void *context, truc_reader **ret_reader,
                             char **ret_error)
{
    struct truc_reader *reader = NULL;
    char why[512] = "";
    truc_status status;

    if (client == NULL || pattern == NULL || ret_reader == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = create(client, pattern, options, &reader, why, sizeof why);
    if (status != TRUC_OK)
        goto done;
    reader->on_message = on_message;
    reader->on_end = on_end;
    reader->context = context;
    (void)pthread_mutex_lock(&client->lock);
    status = begin(client, reader, why, sizeof why);
    if (status != TRUC_OK) {
        (void)pthread_mutex_unlock(&client->lock);
        destroy(reader);
        goto done;
    }
    client_unlock(client);
    (void)pthread_mutex_lock(&client->lock);
    status = await_opened(client, reader, why, sizeof why);
    if (status == TRUC_OK) {
        *ret_reader = reader;
        courier_wake(client);
    } else {
        reading_finish(reader, status, why, 0);
        unlink_reader(client, reader);
    }
    client_unlock(client);
    if (status != TRUC_OK)
        destroy(reader);
done:
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(why[0] != '\0' ? why : truc_status_text(status));
    return status;
}

truc_status truc_reader_bounds(truc_reader *reader, uint64_t *ret_from_position, uint64_t *ret_until_position)
{
    if (reader == NULL)
        return TRUC_INVALID_ARGUMENT;
    (void)pthread_mutex_lock(&reader->client->lock);
    if (ret_from_position != NULL)
        *ret_from_position = reader->from_position;
    if (ret_until_position != NULL)
        *ret_until_position = reader->until_position;
    (void)pthread_mutex_unlock(&reader->client->lock);
    return TRUC_OK;
}

/* Locked. Brings messages to pull from, or the end. */
static truc_status fill(struct truc_reader *reader, int64_t deadline_ns)
{
    truc_client *client = reader->client;

    for (;;) {
        enum consumed consumed = reading_consume(reader, &reader->pull_count);

        if (consumed == CONSUMED_MESSAGES || consumed == CONSUMED_END)
            return TRUC_OK;
        if (link_prepare(&client->link)) {
            (void)pthread_mutex_unlock(&client->lock);
            link_post(&client->link);
            (void)pthread_mutex_lock(&client->lock);
        } else if (consumed == CONSUMED_NOTHING && !clock_wait(&client->changed, &client->lock, deadline_ns)) {
            return TRUC_TIMED_OUT;
        }
    }
}

truc_status truc_reader_pull(truc_reader *reader, int timeout_ms, const truc_message **ret_message)
{
    truc_client *client;
    truc_status status = TRUC_OK;

    if (reader == NULL || ret_message == NULL || reader->on_message != NULL || client_in_callback(reader->client))
        return TRUC_INVALID_ARGUMENT;
    client = reader->client;
    /* What is made already needs no lock: one thread pulls. */
    if (reader->pull_index < reader->pull_count) {
        *ret_message = &reader->maker->messages[reader->pull_index++];
        return TRUC_OK;
    }
    (void)pthread_mutex_lock(&client->lock);
    reader->pull_index = reader->pull_count = 0;
    reader->consuming = true;
    status = fill(reader, clock_deadline(timeout_ms));
    reader->consuming = false;
    if (status == TRUC_OK && reader->pull_count > 0) {
        *ret_message = &reader->maker->messages[reader->pull_index++];
    } else {
        *ret_message = NULL;
        if (status == TRUC_OK)
            status = reader->end.status;
    }
    client_unlock(client);
    return status;
}

truc_status truc_reader_wait(truc_reader *reader, int timeout_ms)
{
    int64_t deadline_ns = clock_deadline(timeout_ms);
    truc_status status = TRUC_OK;
    truc_client *client;

    if (reader == NULL || client_in_callback(reader->client))
        return TRUC_INVALID_ARGUMENT;
    client = reader->client;
    (void)pthread_mutex_lock(&client->lock);
    while (reader->on_message != NULL ? !reader->told : !reader->ended) {
        if (!clock_wait(&client->changed, &client->lock, deadline_ns)) {
            status = TRUC_TIMED_OUT;
            break;
        }
    }
    if (status == TRUC_OK)
        status = reader->end.status;
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

void truc_reader_close(truc_reader *reader)
{
    truc_client *client;

    if (reader == NULL || client_in_callback(reader->client))
        return;
    client = reader->client;
    (void)pthread_mutex_lock(&client->lock);
    reader->closing = true;
    while (reader->consuming)
        (void)clock_wait(&client->changed, &client->lock, CLOCK_NEVER);
    reading_finish(reader, TRUC_CANCELLED, "the reader was closed", reader->consumed_position);
    reader->closing = false;
    while (reader->on_message != NULL && !reader->told)
        (void)clock_wait(&client->changed, &client->lock, CLOCK_NEVER);
    unlink_reader(client, reader);
    client_unlock(client);
    destroy(reader);
}
