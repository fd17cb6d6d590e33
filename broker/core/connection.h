/* connection.h: connections and what frames they may send when. Layer: core. One thread.
 *
 * NEW -HELLO-> GREETED -LOGIN-> LOGGED_IN; CLOSING after a fatal error, until CORE_DISCONNECTED: whatever still arrives then is
 * dropped. A connection that is being closed has neither readers nor producers any more. */
#ifndef TRUC_CORE_CONNECTION_H
#define TRUC_CORE_CONNECTION_H

#include "broker/core/core_internal.h"

/* NULL when it is unknown (gone already). */
struct connection *connection_find(struct core *core, uint64_t number);

/* The connection that a pending request came from, if it is still there and not being closed. */
struct connection *connection_of_pending(struct core *core, const struct pending *pending);

/* Lets go of readers and producers, flushes what is gathered, records EFFECT_CLOSE. */
void connection_close(struct core *core, struct connection *connection);

/* A frame other than PUBLISH: is it allowed now, and who handles it. */
void connection_frame(struct core *core, const struct core_event *event);

static inline struct bytes connection_agency(const struct connection *connection)
{
    return bytes_of(connection->scope, connection->agency_size);
}

static inline struct bytes connection_system(const struct connection *connection)
{
    return bytes_of(connection->scope + connection->agency_size + 1, (size_t)connection->scope_size - connection->agency_size - 1);
}

static inline struct bytes connection_scope(const struct connection *connection)
{
    return bytes_of(connection->scope, connection->scope_size);
}

#endif
