/* load_work.c: workers of one subscription, each on a connection of its own, that acknowledge at once. */
#include "bench/load/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOSE_WORKER_MS = 10000, POLL_NS = 2000000, SILENT_NS = 1000000000 };

static void subscription_name(uint32_t number, char name[32])
{
    snprintf(name, 32, "bench-work-%u", (unsigned)number);
}

struct working {
    const struct load_spec *spec;
    bool ordered;
    _Atomic uint64_t begin_ns, last_ns; /* of the first job, of the last acknowledgement that is on disk */
    _Atomic uint64_t settled, given, lost, stuck;
    _Atomic bool ended;
    char why[256]; /* of who ended first */
};

struct load_worker {
    struct working *working;
    truc_client *client;
    truc_worker *worker;
    uint64_t acknowledged; /* ordered: the last lease that was */
    volatile uint8_t sink; /* the payload is looked at, as an application would */
};

/* The one key that is never settled. */
static bool is_stuck(const struct working *working, const truc_record *record)
{
    return working->spec->stuck && record->key.size == 2 && memcmp(record->key.data, "k0", 2) == 0;
}

static truc_status on_jobs(void *context, const truc_job *jobs, size_t count)
{
    struct load_worker *own = context;
    struct working *working = own->working;
    uint64_t none = 0, stuck = 0;
    atomic_compare_exchange_strong(&working->begin_ns, &none, load_now_ns());
    for (size_t i = 0; i < count; i++) {
        const truc_record *record = &jobs[i].message->record;
        own->sink = record->data_size ? ((const uint8_t *)record->data)[0] : 0;
        if (is_stuck(working, record))
            stuck++;
        else if (!working->ordered || i + 1 == count)
            (void)truc_ack(own->worker, jobs[i].lease);
    }
    atomic_fetch_add_explicit(&working->given, count - stuck, memory_order_relaxed);
    atomic_fetch_add_explicit(&working->stuck, stuck, memory_order_relaxed);
    return TRUC_OK;
}

static void on_settled(void *context, const truc_settled *settled, size_t count)
{
    struct load_worker *own = context;
    struct working *working = own->working;
    uint64_t done = 0;
    for (size_t i = 0; i < count; i++) {
        if (settled[i].status != TRUC_OK)
            atomic_fetch_add_explicit(&working->lost, 1, memory_order_relaxed);
        else if (!working->ordered)
            done++;
        else if (settled[i].lease > own->acknowledged) {
            done += settled[i].lease - own->acknowledged; /* everything up to it */
            own->acknowledged = settled[i].lease;
        }
    }
    atomic_store_explicit(&working->last_ns, load_now_ns(), memory_order_relaxed);
    atomic_fetch_add_explicit(&working->settled, done, memory_order_relaxed);
}

static void on_end(void *context, truc_status status, const char *why)
{
    struct load_worker *own = context;
    struct working *working = own->working;
    if (status != TRUC_CANCELLED && !atomic_exchange(&working->ended, true))
        snprintf(working->why, sizeof working->why, "a worker ended: %s", why && why[0] ? why : truc_status_text(status));
}

static truc_status blame(char why[256], const truc_options *options, char *error, truc_status status)
{
    if (status != TRUC_OK)
        snprintf(why, 256, "%s",
                 error                                       ? error
                 : options && truc_options_error(options)[0] ? truc_options_error(options)
                                                             : truc_status_text(status));
    truc_free(error);
    return status;
}

static truc_status subscribe(truc_client *client, const struct load_spec *spec, uint32_t number, char why[256])
{
    truc_options *options = NULL;
    char name[32], pattern[300], *error = NULL;
    truc_status status = truc_options_create(&options);
    bool ordered = spec->mode && strcmp(spec->mode, "ordered") == 0;
    subscription_name(number, name);
    snprintf(pattern, sizeof pattern, spec->topics > 1 ? "%s.>" : "%s", spec->topic);
    if (status == TRUC_OK)
        status = truc_options_set(options, "pattern", pattern);
    if (status == TRUC_OK)
        status = truc_options_set(options, "start", "start");
    if (status == TRUC_OK && spec->mode)
        status = truc_options_set(options, "mode", spec->mode);
    if (status == TRUC_OK && !ordered)
        status = truc_options_set(options, "ack_wait_ms", "600000"); /* nobody fails here, nobody is to be taken for it */
    if (status == TRUC_OK && spec->in_flight)
        status = truc_options_set(options, "in_flight_records", spec->in_flight);
    if (status == TRUC_OK)
        status = truc_subscription_create(client, name, options, &error);
    blame(why, options, error, status);
    truc_options_destroy(options);
    return status;
}

static truc_status join(struct load_worker *own, uint32_t number, char why[256])
{
    truc_options *options = NULL;
    char name[32], *error = NULL;
    subscription_name(number, name);
    truc_status status = lane_client_open(own->working->spec, &own->client, why);
    if (status != TRUC_OK)
        return status;
    status = truc_options_create(&options);
    if (status == TRUC_OK && own->working->spec->verify)
        status = truc_options_set(options, "verify", own->working->spec->verify);
    if (status == TRUC_OK)
        status = truc_worker_open(own->client, name, options, on_jobs, on_settled, on_end, own, &own->worker, &error);
    blame(why, options, error, status);
    truc_options_destroy(options);
    return status;
}

/* Until everything that was filled in is done, the time is over, or nothing more comes. */
static void wait_for_end(const struct load_spec *spec, struct working *working)
{
    uint64_t limit_ns = (uint64_t)(spec->seconds_s * 1e9), opened_ns = load_now_ns();
    for (;;) {
        uint64_t now_ns = load_now_ns(), begin_ns = atomic_load(&working->begin_ns), last_ns = atomic_load(&working->last_ns);
        uint64_t since_ns = last_ns ? last_ns : opened_ns;
        if (atomic_load(&working->ended) || (begin_ns && now_ns - begin_ns >= limit_ns) ||
            (now_ns > since_ns && now_ns - since_ns > SILENT_NS &&
             atomic_load(&working->settled) == atomic_load(&working->given)) ||
            now_ns - opened_ns >= limit_ns + SILENT_NS)
            return;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

static truc_status work(const struct load_spec *spec, struct working *working, struct load_result *ret_result)
{
    struct load_worker *workers = calloc(spec->workers, sizeof *workers);
    truc_status status = workers ? TRUC_OK : TRUC_NO_MEMORY;
    for (uint32_t i = 0; status == TRUC_OK && i < spec->workers; i++) {
        workers[i].working = working;
        status = join(&workers[i], i % spec->subscriptions, ret_result->why);
    }
    if (status == TRUC_OK)
        wait_for_end(spec, working);
    ret_result->records = atomic_load(&working->settled);
    ret_result->failures = atomic_load(&working->lost);
    if (atomic_load(&working->last_ns) > atomic_load(&working->begin_ns))
        ret_result->seconds = (double)(atomic_load(&working->last_ns) - atomic_load(&working->begin_ns)) / 1e9;
    for (uint32_t i = 0; workers && i < spec->workers; i++) {
        truc_worker_close(workers[i].worker, CLOSE_WORKER_MS);
        truc_client_close(workers[i].client);
    }
    free(workers);
    if (status == TRUC_OK && atomic_load(&working->ended)) {
        memcpy(ret_result->why, working->why, sizeof working->why);
        status = TRUC_INTERNAL;
    } else if (status == TRUC_OK && ret_result->records == 0) {
        snprintf(ret_result->why, sizeof ret_result->why, "there was nothing to work on");
        status = TRUC_NOT_FOUND;
    }
    return status;
}

truc_status load_work(const struct load_spec *spec, struct load_result *ret_result)
{
    struct working working = {.spec = spec, .ordered = spec->mode && strcmp(spec->mode, "ordered") == 0};
    truc_client *client = NULL;
    truc_status status;
    uint32_t made = 0;
    status = load_begin(spec, &client, ret_result);
    if (status != TRUC_OK)
        return status;
    for (; status == TRUC_OK && made < spec->subscriptions; made += status == TRUC_OK)
        status = subscribe(client, spec, made, ret_result->why);
    if (status == TRUC_OK)
        status = work(spec, &working, ret_result);
    while (made > 0) {
        char name[32];
        subscription_name(--made, name);
        (void)truc_subscription_change(client, name, TRUC_SUBSCRIPTION_REMOVE, NULL);
    }
    truc_client_close(client);
    return status;
}
