/* answer.h: answers and recalls as records: docs/format.md "Answers". Layer: libtruc. Pure, any thread. */
#ifndef TRUC_CLIENT_ANSWER_H
#define TRUC_CLIENT_ANSWER_H

#include "clients/c/truc.h"
#include "proto/limits.h"

#define ANSWER_TYPE "truc.answer.v1"
#define RECALL_TYPE "truc.recall.v1"
#define ANSWER_RELATION "answer"
#define RECALL_RELATION "recall"

enum {
    ANSWER_REASON_BYTES_MAX = 4096,
    ANSWER_TOPIC_BYTES = 7 + AGENCY_BYTES_MAX + 1,
    ANSWER_KEY_BYTES = 2 * RECORD_ID_BYTES_MAX + 1
};

/* Where the answers to a record are, and under which key. */
void answer_topic(const truc_message *message, char topic[ANSWER_TOPIC_BYTES]);
void answer_key(const truc_message *message, char key[ANSWER_KEY_BYTES]);

#endif
