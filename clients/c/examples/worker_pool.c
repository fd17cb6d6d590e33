/* worker_pool.c: threads that share one subscription; each record is acknowledged after its work is done.
 *
 *     worker_pool URL SUBSCRIPTION PATTERN THREADS RECORDS
 *
 * Creates the subscription from the start of the log when it is not there, and ends after RECORDS acknowledgements. Started several
 * times, also on several machines, the processes share the records, too. Work may be begun twice when a process dies in it or a
 * lease lapses: make it so that this does no harm, by the record's place (topic and offset) for example. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <truc.h>

struct pool {
    truc_client *client;
    const char *subscription;
    long target;
    atomic_long done;
};

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "worker_pool: %s: %s; %s\n", what, why != NULL && why[0] != '\0' ? why : truc_status_text(status),
                  truc_status_next(status));
    return (int)status;
}

/* The work. False: it failed, and is to be tried again. */
static bool do_work(const truc_job *job)
{
    const truc_record *record = &job->message->record;

    (void)printf("%s %llu attempt %u: %.*s\n", job->message->topic, (unsigned long long)job->message->offset, job->attempt,
                 (int)record->data_size, record->data_size > 0 ? (const char *)record->data : "");
    return true;
}

/* One thread: a worker of its own, so that what it holds is bounded by its own credit. */
static void *run(void *argument)
{
    struct pool *pool = argument;
    truc_options *options = NULL;
    truc_worker *worker = NULL;
    const truc_job *job = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "credit", "16"); /* little: what one thread holds the others cannot have */
    if (status == TRUC_OK)
        status = truc_worker_open(pool->client, pool->subscription, options, NULL, NULL, NULL, NULL, &worker, &why);
    if (status != TRUC_OK)
        (void)fail("worker", status, why);
    while (status == TRUC_OK && atomic_load(&pool->done) < pool->target) {
        status = truc_worker_pull(worker, 100, &job);
        if (status == TRUC_TIMED_OUT) {
            status = TRUC_OK;
            continue;
        }
        if (status != TRUC_OK)
            break;
        /* Both return at once; what became of it would come by on_settled, or by the closing. */
        if (!do_work(job))
            (void)truc_nack(worker, job->lease, 0);
        else if (truc_ack(worker, job->lease) == TRUC_OK)
            atomic_fetch_add(&pool->done, 1);
    }
    /* Gives back what was not pulled, and waits until the acknowledgements are on the broker's disk. */
    status = truc_worker_close(worker, 10000);
    if (status != TRUC_OK)
        (void)fail("close", status, NULL);
    truc_free(why);
    truc_options_destroy(options);
    return NULL;
}

static truc_status create(truc_client *client, const char *name, const char *pattern)
{
    truc_options *options = NULL;
    char *why = NULL;
    truc_status status = truc_options_create(&options);

    if (status == TRUC_OK)
        status = truc_options_set(options, "pattern", pattern);
    if (status == TRUC_OK)
        status = truc_options_set(options, "start", "start");
    if (status == TRUC_OK)
        status = truc_options_set(options, "backoff_ms", "1000,10000,60000");
    if (status == TRUC_OK)
        status = truc_subscription_create(client, name, options, &why);
    if (status != TRUC_OK)
        (void)fail("subscription", status, why != NULL ? why : truc_options_error(options));
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

int main(int argc, char **argv)
{
    struct pool pool = {0};
    truc_options *options = NULL;
    pthread_t threads[64];
    long count, started = 0;
    char *why = NULL;
    truc_status status;

    if (argc != 6) {
        (void)fprintf(stderr, "usage: worker_pool URL SUBSCRIPTION PATTERN THREADS RECORDS\n");
        return TRUC_USAGE;
    }
    count = strtol(argv[4], NULL, 10);
    pool.target = strtol(argv[5], NULL, 10);
    pool.subscription = argv[2];
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &pool.client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = create(pool.client, argv[2], argv[3]);
    while (status == TRUC_OK && started < count && started < 64 && pthread_create(&threads[started], NULL, run, &pool) == 0)
        started++;
    for (long i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)fprintf(stderr, "%ld records acknowledged\n", atomic_load(&pool.done));
    truc_client_close(pool.client);
    truc_options_destroy(options);
    return (int)status;
}
