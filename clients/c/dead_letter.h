/* dead_letter.h: the topic of a subscription's dead letters: docs/format.md "Dead letters". Layer: libtruc. Pure but for its
 * reading.
 *
 * A letter is a record of type truc.dead.v1; what was done about it is a later record that names the letter's offset. So a letter
 * is open when nothing behind it names it. */
#ifndef TRUC_CLIENT_DEAD_LETTER_H
#define TRUC_CLIENT_DEAD_LETTER_H

#include "clients/c/topic_read.h"
#include "proto/dead_letter.h"

/* What a record of that topic is; texts are borrowed from the message. letter_offset is always that of the letter, its own if it is
 * one. False: it is not as the broker writes them. */
bool dead_letter_of(const truc_message *message, struct dead_letter *ret_letter);

/* The topic of a subscription, and asks the broker for it. TRUC_NOT_FOUND; *ret_error, if given: why. Unlocked, blocking. */
enum { DEAD_TOPIC_BYTES = 256 };
truc_status dead_topic(truc_client *client, const char *subscription, char topic[DEAD_TOPIC_BYTES], char **ret_error);

#endif
