/* subscription_answer.h: what the requests about subscriptions have in common. Layer: core. One thread. */
#ifndef TRUC_CORE_SUBSCRIPTION_ANSWER_H
#define TRUC_CORE_SUBSCRIPTION_ANSWER_H

#include "broker/core/subscription.h"

#define SUBSCRIPTION_NAME_TEXT                                                                                                     \
    "the subscription's name is not valid; 1 to 64 of letters, digits, `_` and `-`, for example mirror or stats-2026"

bool subscription_name_is_valid(struct bytes name);

/* The subscription of the connection's agency with this name. NULL: the client was told. */
struct subscription *subscription_named(struct core *core, struct connection *connection, uint64_t request_id, const char *name);

/* Whether the log takes a change now. False: the client was told. */
bool subscription_can_change(struct core *core, struct connection *connection, uint64_t request_id);

/* Where a bound is. Absent: the head, if that may be. False: the client was told; or the log has to be asked, and the frame will be
 * handled once more when it has answered. */
struct Truc__V1__Bound;
bool subscription_bound(struct core *core, struct connection *connection, const struct frame *frame, struct bytes pattern,
                        const struct Truc__V1__Bound *bound, bool absent_is_head, struct place *ret_place);
/* The log has answered. */
void question_answered(struct core *core, struct core_reader *reader, const struct core_event *event);

/* Gives the definition to the log, and with `cursor` where it stands. False, with nothing done: no memory. */
bool subscription_save(struct core *core, struct subscription *subscription, bool cursor);

/* SUBSCRIPTION_OK (kind PENDING_SUBSCRIPTION or _REMOVAL) once everything given to the log so far is durable; or at once. */
void subscription_answer_later(struct core *core, struct connection *connection, uint64_t request_id,
                               struct subscription *subscription, enum pending_kind kind);
void subscription_answer(struct core *core, struct connection *connection, uint64_t request_id, struct subscription *subscription);

#endif
