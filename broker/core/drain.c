#include "drain.h"

#include "broker/core/inquiry.h"
#include "truc/v1/wire.pb-c.h"

enum { RECONNECT_AFTER_MS = 500 };

void drain_tell(struct core *core, struct connection *connection)
{
    Truc__V1__GoAway goaway = TRUC__V1__GO_AWAY__INIT;

    goaway.reason = "the broker is shutting down; what is under way is still answered, then reconnect";
    goaway.reconnect_after_ms = RECONNECT_AFTER_MS;
    answer_message(core, connection, FRAME_GOAWAY, 0, &goaway.base, bytes_of(NULL, 0));
}

void core_on_drain(struct core *core)
{
    if (core->draining)
        return;
    core->draining = true;
    inquiry_refuse_all(core, refusal_retry(TRUC_DRAINING, RETRY_STATE_MS),
                       "the broker is shutting down; ask again when it is back");
    for (struct connection *connection = core->connection_first, *next; connection; connection = next) {
        next = connection->next;
        if (connection->state == CONNECTION_LOGGED_IN)
            drain_tell(core, connection);
    }
}

void drain_settle(struct core *core)
{
    if (!core->draining || core->drained || core->pending.count > 0)
        return;
    core->drained = true;
    output_end(&core->output); /* the last answers go out first */
    (void)output_effect(&core->output, EFFECT_DRAINED);
}
