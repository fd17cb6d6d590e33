/* inquire.h: blocking requests: a question that is asked again when the connection was lost under it. Layer: libtruc. */
#ifndef TRUC_CLIENT_INQUIRE_H
#define TRUC_CLIENT_INQUIRE_H

#include "clients/c/client.h"

/* A copy of the answer's header; freed by the caller. */
struct inquiry_answer {
    uint8_t *header;
    size_t header_size;
};

/* Unlocked, not in a callback. Waits for a connection and the answer, at most request_timeout_ms in all. */
truc_status inquire(truc_client *client, enum frame_kind kind, const struct ProtobufCMessage *question, enum frame_kind answer_kind,
                    struct inquiry_answer *ret_answer);

#endif
