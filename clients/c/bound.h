/* bound.h: a place of the log as the wire says it. Layer: libtruc. Pure. */
#ifndef TRUC_CLIENT_BOUND_H
#define TRUC_CLIENT_BOUND_H

#include "clients/c/options.h"
#include "truc/v1/wire.pb-c.h"

/* NULL when it is absent, else the message filled. */
Truc__V1__Bound *bound_message(const struct option_bound *bound, Truc__V1__Bound *message);

#endif
