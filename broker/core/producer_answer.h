/* producer_answer.h: PRODUCER_OK, a page of a producer's sequences. Layer: core. One thread. */
#ifndef TRUC_CORE_PRODUCER_ANSWER_H
#define TRUC_CORE_PRODUCER_ANSWER_H

#include "broker/core/core_internal.h"

/* The durable next sequences of the topics after `after_topic`, as many as a page holds. */
void producer_answer_ok(struct core *core, struct connection *connection, uint64_t request_id, struct producer *producer,
                        struct bytes after_topic);

#endif
