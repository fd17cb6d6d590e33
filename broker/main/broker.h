/* broker.h: the broker as a whole: the log, the core and the threads between them and the network. Layer: main.
 *
 *   net's callbacks --frames--> session (order) --letters--> mailbox --> core thread --effects--> net, log thread, reader pool
 *                       \-> verify pool -/                                      ^                       |          |
 *                                                                              '------- letters --------'----------'
 *
 * One thread starts, watches and stops it; everything inside has one owner at a time (see each header). */
#ifndef TRUC_MAIN_BROKER_H
#define TRUC_MAIN_BROKER_H

#include "broker/main/config.h"

struct broker;

enum { BROKER_WHY_BYTES = 512 };

/* Opens the log, restores the core, serves. The configuration is borrowed for the broker's life. */
truc_status broker_start(const struct config *config, bool accept_clock, struct broker **ret_broker, char why[BROKER_WHY_BYTES]);

/* The addresses served, with real ports; NULL beyond the last. */
const char *broker_url(const struct broker *broker, size_t index);

/* Becomes readable when the broker is drained or has failed. */
int broker_finished_fd(const struct broker *broker);
/* TRUC_OK: drained, or not finished; else why it ended. */
truc_status broker_outcome(struct broker *broker, char why[BROKER_WHY_BYTES]);

/* Refuses new publishes, answers what is under way. Once. */
void broker_drain(struct broker *broker);

/* Ends connections and threads, closes the log. NULL is allowed. */
void broker_stop(struct broker *broker);

#endif
