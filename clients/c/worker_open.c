/* worker_open.c: opening, pulling from, settling with, flushing, waiting for and closing workers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/subscription.h"
#include "clients/c/worker.h"
#include "proto/digest.h"

static void destroy(struct truc_worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->maker != NULL)
        message_maker_fini(worker->maker);
    free(worker->maker);
    digest_context_destroy(worker->digests);
    worker_settling_fini(worker);
    worker_take_back(worker);
    turns_fini(&worker->turns);
    hand_fini(&worker->hand);
    marks_fini(&worker->marks);
    free(worker->name);
    free(worker->pattern);
    free(worker->key);
    free(worker->type);
    free(worker->agency);
    free(worker->system);
    free(worker->headers);
    free(worker);
}

/* --- open -------------------------------------------------------------------------------------------------------------------- */

static bool copy_text(const char *text, size_t size, char **ret_text, struct bytes *ret_bytes)
{
    if (size == 0)
        return true;
    *ret_text = strndup(text, size);
    if (*ret_text == NULL)
        return false;
    *ret_bytes = bytes_of(*ret_text, size);
    return true;
}

static bool copy_headers(struct truc_worker *worker, const Truc__V1__SubscriptionInfo *info)
{
    size_t size = 0;
    uint8_t *at;

    for (size_t i = 0; i < info->n_headers; i++)
        size += strlen(info->headers[i]->name) + info->headers[i]->value.len + 2;
    if (size == 0)
        return true;
    worker->headers = calloc(1, size); /* the zero bytes are there */
    if (worker->headers == NULL)
        return false;
    at = worker->headers;
    for (size_t i = 0; i < info->n_headers; i++) {
        size_t name_size = strlen(info->headers[i]->name), value_size = info->headers[i]->value.len;

        memcpy(at, info->headers[i]->name, name_size);
        if (value_size > 0)
            memcpy(at + name_size + 1, info->headers[i]->value.data, value_size);
        at += name_size + 1 + value_size + 1;
    }
    worker->filter.headers = bytes_of(worker->headers, size);
    return true;
}

/* An ordered worker gets whole entries and looks itself for what the subscription wants of them. */
static bool copy_filter(struct truc_worker *worker, const Truc__V1__SubscriptionInfo *info)
{
    struct message_filter *filter = &worker->filter;
    const char *slash = strchr(info->source, '/');
    size_t agency_size = slash != NULL ? (size_t)(slash - info->source) : strlen(info->source);

    if (!copy_text(info->pattern, strlen(info->pattern), &worker->pattern, &filter->pattern))
        return false;
    if (!worker->ordered)
        return true;
    return copy_text((const char *)info->key.data, info->key.len, &worker->key, &filter->key) &&
           copy_text((const char *)info->type.data, info->type.len, &worker->type, &filter->type) &&
           copy_text(info->source, agency_size, &worker->agency, &filter->agency) &&
           (slash == NULL || copy_text(slash + 1, strlen(slash + 1), &worker->system, &filter->system)) &&
           copy_headers(worker, info);
}

static truc_status create(truc_client *client, const char *name, const Truc__V1__SubscriptionInfo *info,
                          const truc_options *options, struct truc_worker **ret_worker)
{
    struct truc_worker *worker = calloc(1, sizeof *worker);

    if (worker == NULL)
        return TRUC_NO_MEMORY;
    worker->client = worker->intake.client = client;
    worker->state = WORKER_WAITING;
    worker->retry_at_ns = CLOCK_NEVER;
    worker->next_number = 1;
    worker->ordered = info->mode == TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;
    worker->created_ns = info->created_ns;
    worker->credit = option_number(options, worker->ordered ? OPTION_CREDIT_BYTES : OPTION_CREDIT);
    worker->key_run = worker->ordered ? 0 : (uint32_t)option_number(options, OPTION_KEY_RUN);
    worker->turns.seed = (uint64_t)clock_now_ns() ^ (uintptr_t)worker;
    worker->intake.verify = option_number(options, OPTION_VERIFY) != 0;
    worker->intake.unpacked_max = option_number(options, OPTION_CREDIT_BYTES);
    worker->name = strdup(name);
    worker->maker = calloc(1, sizeof *worker->maker);
    worker->digests = digest_context_create();
    if (worker->name == NULL || worker->maker == NULL || worker->digests == NULL || !copy_filter(worker, info)) {
        destroy(worker);
        return TRUC_NO_MEMORY;
    }
    *ret_worker = worker;
    return TRUC_OK;
}

/* Locked. Starts what the worker needs and puts it into the client's list. */
static truc_status begin(truc_client *client, struct truc_worker *worker, char *why, size_t why_size)
{
    truc_status status = TRUC_OK;

    if (client->state == CLIENT_FAILED) {
        (void)snprintf(why, why_size, "%s", client->text);
        return client->status;
    }
    status = prover_start(client);
    if (status == TRUC_OK && (worker->on_jobs != NULL || worker->on_settled != NULL))
        status = courier_start(client);
    if (status != TRUC_OK)
        return status;
    if (worker->ordered && worker->credit > client->limits.read_credit_bytes_max)
        worker->credit = client->limits.read_credit_bytes_max;
    worker->intake.pulled = worker->on_jobs == NULL;
    worker->next = client->workers;
    if (worker->next != NULL)
        worker->next->previous = worker;
    client->workers = worker;
    if (client->state == CLIENT_UP)
        worker_connected(worker);
    return TRUC_OK;
}

static void unlink_worker(truc_client *client, struct truc_worker *worker)
{
    if (worker->previous != NULL)
        worker->previous->next = worker->next;
    else
        client->workers = worker->next;
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
}

/* Locked. Waits until it takes part. */
static truc_status await_opened(truc_client *client, struct truc_worker *worker, char *why, size_t why_size)
{
    int64_t deadline_ns = clock_deadline(client->settings.request_timeout_ms);

    while (!worker->opened && worker->state != WORKER_OVER) {
        if (clock_wait(&client->changed, &client->lock, deadline_ns))
            continue;
        (void)snprintf(why, why_size, "the broker did not let the worker in in time%s%s", client->text[0] != '\0' ? ": " : "",
                       client->text);
        return client->status != TRUC_OK ? client->status : TRUC_TIMED_OUT;
    }
    if (worker->opened)
        return TRUC_OK;
    (void)snprintf(why, why_size, "%s", worker->final.why);
    return worker->final.status;
}

/* Unlocked. Takes the worker in and waits until the broker has. On failure it is gone. */
static truc_status enter(truc_client *client, struct truc_worker *worker, truc_worker **ret_worker, char *why, size_t why_size)
{
    truc_status status;

    (void)pthread_mutex_lock(&client->lock);
    status = begin(client, worker, why, why_size);
    if (status != TRUC_OK) {
        (void)pthread_mutex_unlock(&client->lock);
        destroy(worker);
        return status;
    }
    client_unlock(client);
    (void)pthread_mutex_lock(&client->lock);
    status = await_opened(client, worker, why, why_size);
    if (status == TRUC_OK) {
        *ret_worker = worker; /* a callback may settle at once, and needs it */
        worker->entered = true;
        courier_wake(client);
    } else {
        worker_stop(worker, status, why);
        unlink_worker(client, worker);
    }
    client_unlock(client);
    if (status != TRUC_OK)
        destroy(worker);
    return status;
}

truc_status truc_worker_open(truc_client *client, const char *subscription, const truc_options *options, truc_job_callback *on_jobs,
                             truc_settled_callback *on_settled, truc_worker_end_callback *on_end, void *context,
                             truc_worker **ret_worker, char **ret_error)
{
    struct inquiry_answer answer = {0};
    const Truc__V1__SubscriptionInfo *info = NULL;
    struct truc_worker *worker = NULL;
    uint8_t *memory = NULL;
    char why[512] = "";
    truc_status status;

    if (client == NULL || subscription == NULL || ret_worker == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = subscription_change(client, subscription, TRUC__V1__SUBSCRIPTION_ACTION__SUBSCRIPTION_ACTION_UNSPECIFIED, NULL,
                                 &answer, &memory, &info);
    if (status == TRUC_OK)
        status = create(client, subscription, info, options, &worker);
    free(memory);
    (void)snprintf(why, sizeof why, "%s", answer.why);
    if (status == TRUC_OK) {
        worker->on_jobs = on_jobs;
        worker->on_settled = on_settled;
        worker->on_end = on_end;
        worker->context = context;
        status = enter(client, worker, ret_worker, why, sizeof why);
    }
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(why[0] != '\0' ? why : truc_status_text(status));
    return status;
}

/* --- pull -------------------------------------------------------------------------------------------------------------------- */

/* Locked. Brings jobs to pull from, or the end. */
static truc_status fill(struct truc_worker *worker, int64_t deadline_ns)
{
    truc_client *client = worker->client;

    while (worker->pull_index == worker->pull_count) {
        size_t count = 0;
        enum worked worked;

        if (worker->interrupted)
            return TRUC_CANCELLED;
        worked = worker_consume(worker, &count);
        if (worked == WORKED_END)
            return TRUC_OK;
        if (worked == WORKED_JOBS) {
            worker->pull_index = 0;
            worker->pull_count = count;
        }
        if (link_prepare(&client->link)) {
            (void)pthread_mutex_unlock(&client->lock);
            link_post(&client->link);
            (void)pthread_mutex_lock(&client->lock);
        } else if (worked == WORKED_NOTHING && !clock_wait(&client->changed, &client->lock, deadline_ns)) {
            return TRUC_TIMED_OUT;
        }
    }
    return TRUC_OK;
}

truc_status truc_worker_pull(truc_worker *worker, int timeout_ms, const truc_job **ret_job)
{
    truc_client *client;
    truc_status status;

    if (worker == NULL || ret_job == NULL || worker->on_jobs != NULL || client_in_callback(worker->client))
        return TRUC_INVALID_ARGUMENT;
    client = worker->client;
    (void)pthread_mutex_lock(&client->lock);
    worker->consuming = true;
    status = fill(worker, clock_deadline(timeout_ms));
    worker->consuming = false;
    *ret_job = NULL;
    if (status == TRUC_OK && worker->pull_index < worker->pull_count) {
        *ret_job = &worker->jobs[worker->pull_index++];
        worker->given = (*ret_job)->lease;
    } else if (status == TRUC_OK) {
        status = worker->final.status;
    }
    client_unlock(client);
    return status;
}

void worker_interrupt(struct truc_worker *worker)
{
    (void)pthread_mutex_lock(&worker->client->lock);
    worker->interrupted = true;
    (void)pthread_cond_broadcast(&worker->client->changed);
    (void)pthread_mutex_unlock(&worker->client->lock);
}

/* --- settle --------------------------------------------------------------------------------------------------------------------
 */

truc_status truc_ack(truc_worker *worker, uint64_t lease)
{
    return worker_settle(worker, lease, TRUC_OUTCOME_ACK, 0);
}

truc_status truc_nack(truc_worker *worker, uint64_t lease, uint32_t delay_ms)
{
    return worker_settle(worker, lease, TRUC_OUTCOME_NACK, delay_ms);
}

truc_status truc_reject(truc_worker *worker, uint64_t lease)
{
    return worker_settle(worker, lease, TRUC_OUTCOME_REJECT, 0);
}

truc_status truc_extend(truc_worker *worker, uint64_t lease, uint32_t delay_ms)
{
    return worker_settle(worker, lease, TRUC_OUTCOME_EXTEND, delay_ms);
}

/* Locked. Waits until everything settled so far is answered and told. */
static truc_status flush(struct truc_worker *worker, int64_t deadline_ns)
{
    truc_client *client = worker->client;
    uint64_t serial = worker_last_serial(worker);

    while (worker_unsettled(worker, serial)) {
        if (!clock_wait(&client->changed, &client->lock, deadline_ns))
            return TRUC_TIMED_OUT;
    }
    if (worker->settling.failures == 0)
        return TRUC_OK;
    worker->settling.failures = 0;
    return TRUC_LEASE_LOST;
}

truc_status truc_worker_flush(truc_worker *worker, int timeout_ms)
{
    truc_client *client;
    truc_status status;

    if (worker == NULL || client_in_callback(worker->client))
        return TRUC_INVALID_ARGUMENT;
    client = worker->client;
    (void)pthread_mutex_lock(&client->lock);
    status = flush(worker, clock_deadline(timeout_ms));
    client_unlock(client);
    return status;
}

/* --- end -----------------------------------------------------------------------------------------------------------------------
 */

truc_status truc_worker_wait(truc_worker *worker, int timeout_ms)
{
    int64_t deadline_ns = clock_deadline(timeout_ms);
    truc_status status = TRUC_OK;
    truc_client *client;

    if (worker == NULL || client_in_callback(worker->client))
        return TRUC_INVALID_ARGUMENT;
    client = worker->client;
    (void)pthread_mutex_lock(&client->lock);
    while (worker->on_jobs != NULL ? !worker->told : worker->state != WORKER_OVER) {
        if (!clock_wait(&client->changed, &client->lock, deadline_ns)) {
            status = TRUC_TIMED_OUT;
            break;
        }
    }
    if (status == TRUC_OK)
        status = worker->final.status;
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

truc_status truc_worker_close(truc_worker *worker, int timeout_ms)
{
    int64_t deadline_ns = clock_deadline(timeout_ms);
    truc_client *client;
    truc_status status;

    if (worker == NULL)
        return TRUC_OK;
    if (client_in_callback(worker->client))
        return TRUC_INVALID_ARGUMENT;
    client = worker->client;
    (void)pthread_mutex_lock(&client->lock);
    worker->closing = true;
    while (worker->consuming)
        (void)clock_wait(&client->changed, &client->lock, CLOCK_NEVER);
    worker_stop(worker, TRUC_CANCELLED, "the worker was closed");
    client_unlock(client);
    (void)pthread_mutex_lock(&client->lock);
    status = flush(worker, deadline_ns);
    worker_lose(worker, TRUC_LEASE_LOST);
    worker->at_work = false;
    intake_drop(&worker->intake, NULL);
    worker->closing = false;
    courier_wake(client);
    while ((worker->on_jobs != NULL && !worker->told) || worker_unsettled(worker, UINT64_MAX))
        (void)clock_wait(&client->changed, &client->lock, CLOCK_NEVER);
    unlink_worker(client, worker);
    client_unlock(client);
    destroy(worker);
    return status;
}
