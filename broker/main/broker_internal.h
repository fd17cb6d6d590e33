/* broker_internal.h: what broker.c (life cycle), entrance.c (net's callbacks) and core_thread.c share. Layer: main. */
#ifndef TRUC_MAIN_BROKER_INTERNAL_H
#define TRUC_MAIN_BROKER_INTERNAL_H

#include "broker/log/engine.h"
#include "broker/main/broker.h"
#include "broker/main/log_thread.h"
#include "broker/main/mailbox.h"
#include "broker/main/reader_pool.h"
#include "broker/main/verify_pool.h"
#include "broker/net/net.h"

struct broker {
    const struct config *config;
    struct mailbox mailbox;
    struct log *log;
    struct net *net;
    struct core *core;
    struct publish_rules rules;
    struct publisher *core_publisher; /* the core thread's */
    struct verify_pool *verify_pool;
    struct log_thread *log_thread;
    struct reader_pool *reader_pool;
    pthread_t core_thread;
    bool core_thread_runs;
    struct letter *drain; /* made beforehand; NULL once sent */
    char *urls[CONFIG_LISTEN_MAX];
    size_t url_count;
    int finished_fd;
    atomic_ullong faults; /* connections ended for a fault */

    pthread_mutex_t mutex;  /* guards what follows */
    bool notify_log_thread; /* the log's notify may reach the log thread */
    truc_status outcome;
    char outcome_why[BROKER_WHY_BYTES];
};

/* The broker ends: drained (TRUC_OK) or failed. Any thread. */
void broker_finish(struct broker *broker, truc_status status, const char *why);

/* entrance.c */
struct net_callbacks entrance_callbacks(struct broker *broker);

/* core_thread.c */
void *core_thread_run(void *broker);

/* effects.c: carries the effects of a step out, in order. logins: a LOGIN was among the events. */
void effects_carry_out(struct broker *broker, struct core_effects effects, bool logins, int64_t *ret_wake_boot_ns);

/* stats.c */
struct stats {
    int64_t due_ns; /* CLOCK_MONOTONIC; the core thread's */
    uint64_t last_activity;
    uint64_t steps, events;
};
void stats_tell(struct broker *broker, struct stats *stats);

#endif
