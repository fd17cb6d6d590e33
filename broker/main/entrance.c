/* What net tells, on its way to the core. On NNG's threads: nothing here blocks. */
#include <sys/random.h>

#include "broker/main/broker_internal.h"
#include "broker/main/logline.h"

static void *on_opened(void *context, uint64_t connection, const char *peer)
{
    struct broker *broker = context;
    struct session *session = session_create(&broker->mailbox, connection, peer);
    if (session != NULL) {
        session->context = broker;
    }
    return session;
}

/* Tells the core of the connection, before anything it says. */
static bool greet(struct session *session)
{
    struct letter *letter = session->greeting;
    if (letter == NULL) {
        return true;
    }
    if (getrandom(letter->event.nonce, sizeof letter->event.nonce, 0) != (ssize_t)sizeof letter->event.nonce) {
        return false;
    }
    session->greeting = NULL;
    session_place(session, letter, true);
    return true;
}

static bool pass_frame(struct session *session, const struct frame *frame, struct net_buffer *buffer)
{
    struct broker *broker = session->context;
    if (frame->kind == FRAME_PUBLISH) {
        return verify_pool_publish(broker->verify_pool, session, frame, buffer);
    }
    struct letter *letter = letter_create(CORE_FRAME, session->connection);
    if (letter == NULL) {
        return false;
    }
    net_buffer_ref(buffer);
    letter->buffer = buffer;
    letter->event.frame = *frame;
    letter->event.request_id = frame->request_id;
    letter->event.frame_bytes = (uint32_t)(FRAME_PREFIX_BYTES + frame->header.size + frame->payload.size);
    session_place(session, letter, true);
    return true;
}

static void on_frame(void *context, const struct frame *frame, struct net_buffer *buffer)
{
    struct session *session = context;
    struct broker *broker = session->context;
    if (!session->broken && (!greet(session) || !pass_frame(session, frame, buffer))) {
        session->broken = true; /* no memory: what follows would be out of order */
        net_close_connection(broker->net, session->connection);
    }
}

static void on_closed(void *context, truc_status status, const char *why)
{
    struct session *session = context;
    struct broker *broker = session->context;
    if (status != TRUC_CLOSED) {
        struct logline line;
        atomic_fetch_add(&broker->faults, 1);
        logline_begin(&line, LOGLINE_connection_ended);
        logline_text(&line, "peer", session->peer);
        logline_text(&line, "status", truc_status_name(status));
        logline_text(&line, "why", why);
        logline_end(&line);
    }
    if (session->greeting == NULL) { /* else the core never heard of it */
        struct letter *letter = session->farewell;
        session->farewell = NULL;
        session_place(session, letter, true);
    }
    session_unref(session);
}

static void on_accept_failed(void *context, const char *url, const char *why, uint64_t suppressed)
{
    struct logline line;
    (void)context;
    logline_begin(&line, LOGLINE_accept_failed);
    logline_text(&line, "listen", url);
    logline_text(&line, "why", why);
    logline_number(&line, "unreported", suppressed);
    logline_text(&line, "next", "raise the limit of open files (ulimit -n), or lower limits.connections_max");
    logline_end(&line);
}

struct net_callbacks entrance_callbacks(struct broker *broker)
{
    return (struct net_callbacks){
        .context = broker, .opened = on_opened, .frame = on_frame, .closed = on_closed, .accept_failed = on_accept_failed};
}
