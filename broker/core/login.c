/* login.c: LOGIN: who publishes and reads on this connection. Until authentication exists it is what the client says. Layer: core.
 */
#include "broker/core/answer.h"
#include "broker/core/connection.h"
#include "broker/core/drain.h"
#include "truc/v1/wire.pb-c.h"

void core_request_login(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Login *login = request_decode(core, connection, frame, &truc__v1__login__descriptor);
    Truc__V1__LoginOk ok = TRUC__V1__LOGIN_OK__INIT;
    struct bytes agency, system;
    const char *why = "";

    if (!login)
        return;
    if (strcmp(login->algorithm, "none") != 0 || login->key_id.len != 0 || login->signature.len != 0) {
        answer_fatal(
            core, connection, frame->request_id, TRUC_UNSUPPORTED,
            "this broker knows only the login algorithm `none`, without key and signature; use that or upgrade the broker");
        return;
    }
    agency = bytes_of_text(login->source);
    system = bytes_of_text(login->system);
    if (source_check(agency, system, &why) != TRUC_OK) {
        answer_fatal(core, connection, frame->request_id, TRUC_BAD_SOURCE,
                     "the source is not valid (%s); log in as AGENCY/SYSTEM, for example H26.16/portal", why);
        return;
    }
    CORE_INVARIANT(agency.size + 1 + system.size <= SOURCE_BYTES_MAX);
    memcpy(connection->scope, agency.data, agency.size);
    connection->scope[agency.size] = '/';
    memcpy(connection->scope + agency.size + 1, system.data, system.size);
    connection->agency_size = (uint8_t)agency.size;
    connection->scope_size = (uint8_t)(agency.size + 1 + system.size);
    connection->state = CONNECTION_LOGGED_IN;
    ok.session_id = ++core->last_session;
    answer_message(core, connection, FRAME_LOGIN_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
    if (core->draining)
        drain_tell(core, connection);
}
