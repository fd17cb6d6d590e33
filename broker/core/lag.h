/* lag.h: SUBSCRIPTION_CHANGE that only looks: the state of a subscription, with what lies between it and the head, for which the
 * log is asked, and who is connected. Layer: core. One thread. */
#ifndef TRUC_CORE_LAG_H
#define TRUC_CORE_LAG_H

#include "broker/core/subscription.h"

void lag_request(struct core *core, struct connection *connection, uint64_t request_id, const struct subscription *subscription);

#endif
