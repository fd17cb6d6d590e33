/* What the core decided, carried out. On the core thread. */
#include <assert.h>

#include "broker/main/broker_internal.h"
#include "broker/main/logline.h"

/* A LOGIN_OK lifts the limits of a connection that is not logged in; net must know before the peer does. */
static void note_logins(struct broker *broker, const struct core_effect *effect)
{
    struct bytes rest = effect->bytes;
    struct frame frame;
    size_t size;
    const char *why;
    while (frame_peek(rest, FRAME_BYTES_MAX, &frame, &size, &why) == TRUC_OK && size > 0 && size <= rest.size) {
        if (frame.kind == FRAME_LOGIN_OK) {
            net_logged_in(broker->net, effect->connection);
            return;
        }
        rest = bytes_of(rest.data + size, rest.size - size);
    }
}

static void release(const struct core_effect *effect)
{
    prepared_free(effect->prepared);
}

static void alarm_line(const struct core_effect *effect)
{
    struct logline line;
    logline_begin(&line, LOGLINE_alarm);
    logline_bytes(&line, "text", effect->bytes.data, effect->bytes.size);
    logline_end(&line);
}

static void carry_out_log(struct broker *broker, const struct core_effect *effect)
{
    bool done = effect->kind == EFFECT_APPEND ? log_thread_append(broker->log_thread, effect)
                                              : log_thread_delta(broker->log_thread, effect);
    if (!done) {
        if (effect->kind == EFFECT_APPEND) {
            release(effect);
        }
        log_thread_fail(broker->log_thread, TRUC_NO_MEMORY, "no memory to stage an append");
    }
}

void effects_carry_out(struct broker *broker, struct core_effects effects, bool logins, int64_t *ret_wake_boot_ns)
{
    for (size_t i = 0; i < effects.count; i++) {
        const struct core_effect *effect = &effects.effects[i];
        switch (effect->kind) {
        case EFFECT_SEND:
            if (logins) {
                note_logins(broker, effect);
            }
            net_send(broker->net, effect->connection, effect->bytes);
            break;
        case EFFECT_SEND_DATA:
            net_send_owned(broker->net, effect->connection, effect->bytes, effect->data, reader_pool_give, effect->owner);
            break;
        case EFFECT_FREE_DATA:
            reader_pool_give(effect->owner);
            break;
        case EFFECT_CLOSE:
            net_close_connection(broker->net, effect->connection);
            break;
        case EFFECT_APPEND:
        case EFFECT_DELTA:
            carry_out_log(broker, effect);
            break;
        case EFFECT_RELEASE:
            release(effect);
            break;
        case EFFECT_READ_OPEN:
            if (!reader_pool_open(broker->reader_pool, effect->reader, effect->spec)) {
                log_thread_fail(broker->log_thread, TRUC_NO_MEMORY, "no memory for a reader");
            }
            break;
        case EFFECT_READ:
            reader_pool_read(broker->reader_pool, effect);
            break;
        case EFFECT_SCAN_OPEN:
        case EFFECT_FETCH_OPEN:
            if (!reader_pool_prepare(broker->reader_pool, effect)) {
                log_thread_fail(broker->log_thread, TRUC_NO_MEMORY, "no memory for a reading");
            }
            break;
        case EFFECT_LOOK:
            if (!reader_pool_look(broker->reader_pool, effect)) {
                log_thread_fail(broker->log_thread, TRUC_NO_MEMORY, "no memory for a look at the log");
            }
            break;
        case EFFECT_SCAN:
        case EFFECT_FETCH:
            reader_pool_read(broker->reader_pool, effect);
            break;
        case EFFECT_READ_CLOSE:
            reader_pool_close(broker->reader_pool, effect->reader);
            break;
        case EFFECT_WAKE_AT:
            *ret_wake_boot_ns = effect->boot_ns;
            break;
        case EFFECT_ALARM:
            alarm_line(effect);
            break;
        case EFFECT_DRAINED:
            broker_finish(broker, TRUC_OK, "drained");
            break;
        }
    }
    log_thread_submit(broker->log_thread);
}
