/* subscription.h: what an agency's subscription is and how it stands, asked of the broker. Layer: libtruc. No state; blocking. */
#ifndef TRUC_CLIENT_SUBSCRIPTION_H
#define TRUC_CLIENT_SUBSCRIPTION_H

#include "clients/c/inquire.h"
#include "truc/v1/wire.pb-c.h"

/* SUBSCRIPTION_CHANGE; the info lives in *ret_memory, to be freed. The answer, zeroed before, gets what a refusal says. */
truc_status subscription_change(truc_client *client, const char *name, Truc__V1__SubscriptionAction action, Truc__V1__Bound *place,
                                struct inquiry_answer *answer, uint8_t **ret_memory, const Truc__V1__SubscriptionInfo **ret_info);

/* As docs/libtruc.md says; NULL when out of memory. wall_ns: this machine's time, 0: without what only is told of one subscription,
 * its lag and who is connected. */
struct json_t *subscription_json(const Truc__V1__SubscriptionInfo *info, int64_t wall_ns);

#endif
