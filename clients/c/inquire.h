/* inquire.h: blocking requests: a question that is asked again when the connection was lost under it. Layer: libtruc. */
#ifndef TRUC_CLIENT_INQUIRE_H
#define TRUC_CLIENT_INQUIRE_H

#include "clients/c/client.h"

enum { INQUIRY_WHY_BYTES = 256 };

/* What came back. The header is a copy, freed by the caller, and there on TRUC_OK only. */
struct inquiry_answer {
    uint8_t *header;
    size_t header_size;
    unsigned asked;              /* how often: after a lost connection the question is asked again, though it may have been heard */
    char why[INQUIRY_WHY_BYTES]; /* the broker's words when it refused; "" */
};

/* Unlocked, not in a callback. Waits for a connection and the answer, at most request_timeout_ms in all. Begin with a zeroed
 * answer. */
truc_status inquire(truc_client *client, enum frame_kind kind, const struct ProtobufCMessage *question, enum frame_kind answer_kind,
                    struct inquiry_answer *answer);

/* Asks and decodes: the message lives in *ret_memory, to be freed. The answer, if given, gets what a refusal says. */
truc_status inquire_message(truc_client *client, enum frame_kind kind, const struct ProtobufCMessage *question,
                            enum frame_kind answer_kind, struct inquiry_answer *answer, uint8_t **ret_memory, void **ret_message);

/* A JSON value as compact text; takes the reference, NULL is out of memory. */
struct json_t;
truc_status inquire_json_text(struct json_t *take_json, char **ret_text);

#endif
