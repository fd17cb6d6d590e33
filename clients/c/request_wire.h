/* request_wire.h: what marks records as requests and replies (docs/format.md "Requests"). Layer: libtruc. Pure, any thread. */
#ifndef TRUC_CLIENT_REQUEST_WIRE_H
#define TRUC_CLIENT_REQUEST_WIRE_H

#include "clients/c/truc.h"
#include "proto/limits.h"

#define REQUEST_REPLY_TO "reply-to"
#define REQUEST_REPLY_KEY "reply-key"
#define REPLY_RELATION "reply"

enum {
    REQUEST_HEADERS = 2,         /* that a requester adds */
    REPLY_KEY_DIGITS = 32,       /* of a requester's own, random */
    CORRELATION_RUN_DIGITS = 16, /* random, of the requester; then the serial */
    CORRELATION_DIGITS = 32
};

/* A requester's names, all terminated. */
struct request_names {
    char topic[TOPIC_BYTES_MAX + 1]; /* reply.AGENCY.SYSTEM */
    char key[REPLY_KEY_DIGITS + 1];
    char run[CORRELATION_RUN_DIGITS + 1];
};

/* TRUC_INTERNAL: no randomness. */
truc_status request_names_make(struct request_names *ret_names, const char *agency, const char *system);

/* correlation_id of the requester's request with this serial. */
void request_correlation(const struct request_names *names, uint64_t serial, char ret_text[CORRELATION_DIGITS + 1]);

/* The serial that a reply's correlation_id names; 0: it is none of the requester's. */
uint64_t request_serial(const struct request_names *names, truc_text correlation);

/* The request to publish: a copy of the application's with the two headers, in `headers`. The correlation is set by the caller.
 * TRUC_INVALID_ARGUMENT: it brings along what is the requester's to set; TRUC_BAD_RECORD: too many headers. */
truc_status request_dress(const struct request_names *names, const truc_record *request, int64_t expires_at_ns,
                          truc_header headers[RECORD_HEADERS_MAX], truc_record *ret_record);

/* Where the reply to a request is wanted. False: it does not say, or names a topic in which no replies belong. */
bool request_wants_reply(const truc_record *request, char ret_topic[TOPIC_BYTES_MAX + 1], truc_text *ret_key);

/* Marks a record as the reply to a request; it borrows the request's texts. */
void reply_dress(const truc_message *request, truc_text key, truc_record *reply);

#endif
