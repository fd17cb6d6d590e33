/* redrive.h: DEAD: dead letters are given again or dropped, all or none. Layer: core. One thread.
 *
 * To be given again, what the core knows of a record is its place only: the log is asked for the rest (LOOK_RECORDS). Then they
 * wait in subscription.redrives until its pump, which gives them to the share, says so in the topic of dead letters, and saves: all
 * in one block. */
#ifndef TRUC_CORE_REDRIVE_H
#define TRUC_CORE_REDRIVE_H

#include "broker/core/subscription.h"

/* Carries out what waits. joined: letters were given to the log just before. True when there was something: what is saved next must
 * be in its block. */
bool redrive_carry_out(struct core *core, struct subscription *subscription, bool joined);

/* It begins anew or is gone: those that wait are refused. */
void redrive_refuse_all(struct core *core, struct subscription *subscription);

/* Answers of what waited for the disk. */
void redrive_answer(struct core *core, struct connection *connection, const struct pending *pending);
void redrive_answer_conflict(struct core *core, struct connection *connection, const struct pending *pending);

#endif
