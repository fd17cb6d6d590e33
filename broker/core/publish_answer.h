/* publish_answer.h: what a PUBLISH is answered with. Layer: core. One thread. */
#ifndef TRUC_CORE_PUBLISH_ANSWER_H
#define TRUC_CORE_PUBLISH_ANSWER_H

#include "broker/core/answer.h"

/* PUBLISH_OK, the answer of the hot path: of one batch, or of several in their order. */
void publish_answer_ok(struct core *core, struct connection *connection, uint64_t request_id, const struct publish_place *places,
                       uint32_t count, bool duplicate);

/* ERROR. number: of the batch among those of the PUBLISH, from 1; 0: it had but one, or all are meant. */
void publish_answer_error(struct core *core, struct connection *connection, uint64_t request_id, unsigned number,
                          struct refusal refusal, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The refusals that tell of what is stored, so they wait until it is on disk: PENDING_STORED, _SEQUENCE, _CONFLICT, _MIXED. */
struct publish_refusal {
    enum pending_kind kind;
    unsigned number;
    uint64_t actual, expected; /* what is next; CONFLICT: and what was expected to be */
};
void publish_answer_refusal(struct core *core, struct connection *connection, uint64_t request_id,
                            const struct publish_refusal *refusal);

#endif
