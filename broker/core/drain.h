/* drain.h: shutting down in good order. Layer: core. One thread. */
#ifndef TRUC_CORE_DRAIN_H
#define TRUC_CORE_DRAIN_H

#include "broker/core/core_internal.h"

/* GOAWAY to one connection. */
void drain_tell(struct core *core, struct connection *connection);

/* At the end of a step: is everything done that was promised? */
void drain_settle(struct core *core);

#endif
