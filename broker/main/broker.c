#include "broker/main/broker_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/main/catalog_copy.h"
#include "broker/main/logline.h"

enum { NET_GRACE_MS = 500, STARVED_STALL_MS = 2000 };

void broker_finish(struct broker *broker, truc_status status, const char *why)
{
    uint64_t one = 1;
    pthread_mutex_lock(&broker->mutex);
    if (broker->outcome == TRUC_OK) {
        broker->outcome = status;
        snprintf(broker->outcome_why, sizeof broker->outcome_why, "%s", why);
    }
    pthread_mutex_unlock(&broker->mutex);
    ssize_t written = write(broker->finished_fd, &one, sizeof one); /* an eventfd takes it */
    (void)written;
}

static void capacity_changed(void *context)
{
    struct broker *broker = context;
    pthread_mutex_lock(&broker->mutex);
    if (broker->notify_log_thread) {
        log_thread_capacity_changed(broker->log_thread);
    }
    pthread_mutex_unlock(&broker->mutex);
}

static void notify_enable(struct broker *broker, bool enabled)
{
    pthread_mutex_lock(&broker->mutex);
    broker->notify_log_thread = enabled;
    pthread_mutex_unlock(&broker->mutex);
}

static void readers_starve(void *context)
{
    struct broker *broker = context;
    (void)net_end_stalled(broker->net, STARVED_STALL_MS);
}

static int64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static truc_status open_log(struct broker *broker, struct catalog_copy *copy, char *why)
{
    const struct config *config = broker->config;
    struct log_options options;
    struct catalog_visitor visitor = catalog_copy_visitor(copy);
    char log_why[LOG_WHY_BYTES] = "";
    log_options_init(&options);
    options.engine = config->engine;
    options.directory = config->data;
    options.domain = config->domain_given ? config->domain : NULL;
    options.now_ns = wall_ns();
    options.segment_bytes = config->segment_bytes;
    options.cache_bytes = config->cache_bytes;
    options.index_flush_bytes = config->index_flush_bytes;
    options.segments_open_max = (uint32_t)config->segments_open_max;
    options.notify = capacity_changed;
    options.notify_context = broker;
    truc_status status = log_open(&options, &visitor, &broker->log, log_why);
    if (status != TRUC_OK) {
        snprintf(why, BROKER_WHY_BYTES, "%s", log_why[0] != '\0' ? log_why : truc_status_text(status));
    }
    return status;
}

/* Callbacks are short, and the other threads want the cores as well: one for every two cores. */
static uint32_t callback_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 4 ? 1 : (uint32_t)(cores / 2);
}

static truc_status create_net(struct broker *broker, char *why)
{
    const struct config *config = broker->config;
    struct net_options options;
    struct net_callbacks callbacks = entrance_callbacks(broker);
    char net_why[NET_WHY_BYTES] = "";
    net_options_init(&options);
    options.connections_max = (uint32_t)config->connections_max;
    options.handshake_timeout_ms = (uint32_t)config->handshake_timeout;
    options.stall_timeout_ms = (uint32_t)config->stall_timeout;
    options.receive_bytes_total_max = config->receive_bytes_max;
    options.callback_threads = callback_threads();
    /* Twice the credit: buffers are freed whole. One frame of the largest size must always fit. */
    options.receive_bytes_max = (uint32_t)(2 * config->publish_credit_bytes + FRAME_BYTES_MAX);
    options.send_bytes_max =
        (uint32_t)(config->read_chunk_bytes * READ_BLOCKS_UNSENT_MAX * config->readers_per_connection_max +
                               2 * (uint64_t)FRAME_BYTES_MAX <
                           UINT32_MAX
                       ? config->read_chunk_bytes * READ_BLOCKS_UNSENT_MAX * config->readers_per_connection_max +
                             2 * (uint64_t)FRAME_BYTES_MAX
                       : UINT32_MAX);
    truc_status status = net_create(&options, &callbacks, &broker->net, net_why);
    if (status != TRUC_OK) {
        snprintf(why, BROKER_WHY_BYTES, "%s", net_why);
    } else if (net_connections_max(broker->net) < config->connections_max) {
        struct logline line;
        logline_begin(&line, LOGLINE_limits);
        logline_text(&line, "key", "limits.connections_max");
        logline_number(&line, "configured", config->connections_max);
        logline_number(&line, "used", net_connections_max(broker->net));
        logline_text(&line, "why", "the hard limit of open files is lower");
        logline_end(&line);
    }
    return status;
}

static truc_status digest_again(void *context, struct core_prepared *prepared, enum evidence evidence)
{
    return publish_digest_again(context, prepared, evidence);
}

static truc_status create_core(struct broker *broker, const struct catalog_copy *copy, bool accept_clock, char *why)
{
    const struct config *config = broker->config;
    const struct log_identity *identity = log_identity(broker->log);
    struct log_usage usage = log_usage(broker->log);
    struct core_config core_config;
    broker->core_publisher = publisher_create();
    if (broker->core_publisher == NULL) {
        snprintf(why, BROKER_WHY_BYTES, "no memory to serve with");
        return TRUC_NO_MEMORY;
    }
    core_config_init(&core_config);
    snprintf(core_config.domain, sizeof core_config.domain, "%s", identity->domain);
    memcpy(core_config.log_id, identity->log_id, LOG_ID_BYTES);
    memcpy(core_config.hash_secret, identity->hash_secret, HASH_SECRET_BYTES);
    core_config.generation = identity->generation;
    core_config.last_producer_id = log_ids(broker->log).last_producer;
    core_config.last_subscription_id = log_ids(broker->log).last_subscription;
    snprintf(core_config.engine, sizeof core_config.engine, "%s", usage.engine);
    core_config.durable = usage.durable;
    snprintf(core_config.agent, sizeof core_config.agent, "trucd/%s", TRUC_VERSION);
    core_config.families = config->families;
    core_config.family_count = config->topic_count;
    core_config.record_bytes_max = (uint32_t)config->record_bytes_max;
    core_config.batch_bytes_max = (uint32_t)config->batch_bytes_max;
    core_config.publish_credit_bytes = (uint32_t)config->publish_credit_bytes;
    core_config.pending_bytes_max = config->pending_bytes_max;
    core_config.read_credit_bytes_max = (uint32_t)config->read_credit_bytes_max;
    core_config.read_chunk_bytes = (uint32_t)config->read_chunk_bytes;
    core_config.readers_per_connection_max = (uint32_t)config->readers_per_connection_max;
    core_config.readers_max = (uint32_t)config->readers_max;
    core_config.connections_max = net_connections_max(broker->net);
    core_config.producers_max = (uint32_t)config->producers_max;
    core_config.topics_max = (uint32_t)config->topics_max;
    core_config.subscriptions_max = (uint32_t)config->subscriptions_max;
    core_config.recalls_max = (uint32_t)config->recalls_max;
    core_config.producer_grace_ms = (uint32_t)config->producer_grace;
    core_config.clock_jump_ms = (uint32_t)config->clock_jump;
    core_config.clock_behind_ms = config->clock_behind > UINT32_MAX ? UINT32_MAX : (uint32_t)config->clock_behind;
    core_config.accept_clock = accept_clock;
    core_config.digest_again = digest_again;
    core_config.digest_context = broker->core_publisher;
    truc_status status = core_create(&core_config, &broker->core);
    if (status == TRUC_OK) {
        struct catalog_visitor visitor = {.context = broker->core,
                                          .topic = core_restore_topic,
                                          .producer = core_restore_producer,
                                          .sequence = core_restore_sequence,
                                          .subscription = core_restore_subscription,
                                          .cursor = core_restore_cursor,
                                          .lane = core_restore_lane,
                                          .recall = core_restore_recall};
        status = catalog_copy_visit(copy, &visitor);
    }
    if (status != TRUC_OK) {
        snprintf(why, BROKER_WHY_BYTES, "the state of topics and producers could not be restored: %s", truc_status_text(status));
    }
    return status;
}

static truc_status start_threads(struct broker *broker, char *why)
{
    const struct config *config = broker->config;
    struct reader_pool_options readers = {.log = broker->log,
                                          .mailbox = &broker->mailbox,
                                          .thread_count = (unsigned)config->reader_threads,
                                          .block_bytes = config->read_chunk_bytes,
                                          .block_bytes_total = config->read_bytes_max,
                                          .starved = readers_starve,
                                          .starved_context = broker};
    broker->rules.families = config->families;
    broker->rules.family_count = config->topic_count;
    broker->rules.record_bytes_max = (uint32_t)config->record_bytes_max;
    broker->rules.batch_bytes_max = (uint32_t)config->batch_bytes_max;
    memcpy(broker->rules.hash_secret, log_identity(broker->log)->hash_secret, HASH_SECRET_BYTES);
    memcpy(broker->rules.log_id, log_identity(broker->log)->log_id, LOG_ID_BYTES);
    broker->verify_pool = verify_pool_create(&broker->rules, (unsigned)config->verify_threads);
    broker->log_thread = log_thread_create(broker->log, &broker->mailbox);
    broker->reader_pool = reader_pool_create(&readers);
    broker->drain = letter_create(CORE_DRAIN, 0);
    struct letter *start = letter_create(CORE_START, 0);
    if (broker->verify_pool == NULL || broker->log_thread == NULL || broker->reader_pool == NULL || broker->drain == NULL ||
        start == NULL) {
        letter_free(start);
        snprintf(why, BROKER_WHY_BYTES, "no memory or no threads to serve with");
        return TRUC_NO_MEMORY;
    }
    struct log_head head = log_head(broker->log);
    struct log_capacity capacity = log_capacity(broker->log);
    start->event.head = (struct core_head){head.block, head.position, head.last_append_ns, head.record_count};
    start->event.capacity = (struct core_capacity){capacity.available_bytes, capacity.full};
    mailbox_put(&broker->mailbox, start);
    if (pthread_create(&broker->core_thread, NULL, core_thread_run, broker) != 0) {
        snprintf(why, BROKER_WHY_BYTES, "no thread for the core");
        return TRUC_NO_MEMORY;
    }
    broker->core_thread_runs = true;
    notify_enable(broker, true);
    return TRUC_OK;
}

static truc_status listen_all(struct broker *broker, char *why)
{
    char net_why[NET_WHY_BYTES] = "";
    for (size_t i = 0; i < broker->config->listen_count; i++) {
        truc_status status = net_listen(broker->net, broker->config->listen[i], &broker->urls[i], net_why);
        if (status != TRUC_OK) {
            snprintf(why, BROKER_WHY_BYTES, "%s", net_why);
            return status;
        }
        broker->url_count++;
    }
    return TRUC_OK;
}

static void tell_started(struct broker *broker, int64_t began_ns)
{
    const struct log_identity *identity = log_identity(broker->log);
    struct log_head head = log_head(broker->log);
    struct core_counts counts = core_counts(broker->core); /* before the core thread owns it */
    struct logline line;
    logline_begin(&line, LOGLINE_started);
    logline_text(&line, "version", TRUC_VERSION);
    logline_number(&line, "pid", (uint64_t)getpid());
    logline_text(&line, "data", broker->config->data);
    logline_text(&line, "engine", broker->config->engine);
    logline_text(&line, "domain", identity->domain);
    logline_hex(&line, "log_id", identity->log_id, LOG_ID_BYTES);
    logline_number(&line, "generation", identity->generation);
    logline_number(&line, "block", head.block);
    logline_number(&line, "position", head.position);
    logline_number(&line, "records", head.record_count);
    logline_number(&line, "topics", counts.topics);
    logline_number(&line, "producers", counts.producers);
    logline_number(&line, "took_ms", (uint64_t)((wall_ns() - began_ns) / 1000000));
    logline_end(&line);
}

truc_status broker_start(const struct config *config, bool accept_clock, struct broker **ret_broker, char why[BROKER_WHY_BYTES])
{
    int64_t began_ns = wall_ns();
    struct catalog_copy copy = {0};
    struct broker *broker = calloc(1, sizeof *broker);
    int finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (broker == NULL || finished_fd < 0) {
        free(broker);
        snprintf(why, BROKER_WHY_BYTES, "no memory or no descriptors");
        return TRUC_NO_MEMORY;
    }
    broker->config = config;
    broker->finished_fd = finished_fd;
    pthread_mutex_init(&broker->mutex, NULL);
    mailbox_init(&broker->mailbox);
    truc_status status = open_log(broker, &copy, why);
    if (status == TRUC_OK) {
        status = create_net(broker, why);
    }
    if (status == TRUC_OK) {
        status = create_core(broker, &copy, accept_clock, why);
    }
    catalog_copy_fini(&copy);
    if (status == TRUC_OK) {
        tell_started(broker, began_ns);
        status = start_threads(broker, why);
    }
    if (status == TRUC_OK) {
        status = listen_all(broker, why);
    }
    if (status != TRUC_OK) {
        broker_stop(broker);
        return status;
    }
    *ret_broker = broker;
    return TRUC_OK;
}

const char *broker_url(const struct broker *broker, size_t index)
{
    return index < broker->url_count ? broker->urls[index] : NULL;
}

int broker_finished_fd(const struct broker *broker)
{
    return broker->finished_fd;
}

truc_status broker_outcome(struct broker *broker, char why[BROKER_WHY_BYTES])
{
    pthread_mutex_lock(&broker->mutex);
    truc_status status = broker->outcome;
    snprintf(why, BROKER_WHY_BYTES, "%s", broker->outcome_why);
    pthread_mutex_unlock(&broker->mutex);
    return status;
}

void broker_drain(struct broker *broker)
{
    struct letter *letter = broker->drain;
    broker->drain = NULL;
    if (letter != NULL) {
        mailbox_put(&broker->mailbox, letter);
    }
}

void broker_stop(struct broker *broker)
{
    if (broker == NULL) {
        return;
    }
    /* From the entrance to the log: each stage is stopped when nothing can come to it any more. */
    if (broker->net != NULL) {
        net_shutdown(broker->net, broker->url_count > 0 ? NET_GRACE_MS : 0);
    }
    if (broker->verify_pool != NULL) {
        verify_pool_stop(broker->verify_pool);
    }
    mailbox_close(&broker->mailbox);
    if (broker->core_thread_runs) {
        pthread_join(broker->core_thread, NULL);
    }
    notify_enable(broker, false);
    log_thread_destroy(broker->log_thread);
    reader_pool_destroy(broker->reader_pool);
    core_destroy(broker->core);
    publisher_destroy(broker->core_publisher);
    log_close(broker->log);
    mailbox_fini(&broker->mailbox);
    verify_pool_destroy(broker->verify_pool);
    net_close(broker->net);
    letter_free(broker->drain);
    for (size_t i = 0; i < broker->url_count; i++) {
        free(broker->urls[i]);
    }
    pthread_mutex_destroy(&broker->mutex);
    close(broker->finished_fd);
    free(broker);
}
