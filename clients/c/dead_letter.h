/* dead_letter.h: the topic of a subscription's dead letters: docs/format.md "Dead letters". Layer: libtruc. Pure but for its
 * reading.
 *
 * A letter is a record of type truc.dead.v1; what was done about it is a later record that names the letter's offset. So a letter
 * is open when nothing behind it names it. */
#ifndef TRUC_CLIENT_DEAD_LETTER_H
#define TRUC_CLIENT_DEAD_LETTER_H

#include "clients/c/topic_read.h"

#define DEAD_LETTER_TYPE "truc.dead.v1"

enum dead_kind { DEAD_OTHER, DEAD_LETTER, DEAD_REDRIVEN, DEAD_DROPPED };

/* What a record of that topic is. *ret_letter: the offset of the letter that it is, or says something of. Records that are not as
 * the broker writes them are DEAD_OTHER. */
enum dead_kind dead_kind_of(const truc_message *message, uint64_t *ret_letter);

/* A header that is a decimal number. False: there is none. */
bool dead_number(const truc_message *message, const char *name, uint64_t *ret_number);

/* The place of the record that is dead. */
bool dead_place(const truc_message *message, uint64_t *ret_position, uint32_t *ret_index);

/* The topic of a subscription, and asks the broker for it. TRUC_NOT_FOUND; *ret_error, if given: why. Unlocked, blocking. */
enum { DEAD_TOPIC_BYTES = 256 };
truc_status dead_topic(truc_client *client, const char *subscription, char topic[DEAD_TOPIC_BYTES], char **ret_error);

#endif
