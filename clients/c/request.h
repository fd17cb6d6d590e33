/* request.h: what waits for an answer on the present connection, found by request id.
 *
 * Layer: libtruc. Under the client's lock. A request is embedded in whatever waits; its id is 0 when it does not. Ids are never
 * reused: slot number below, serial number above. When the connection is lost all requests are forgotten at once and their owners
 * are told by the client, each kind in its own way. */
#ifndef TRUC_CLIENT_REQUEST_H
#define TRUC_CLIENT_REQUEST_H

#include "clients/c/link.h"

struct request {
    uint64_t id;
    /* An answer has come. Ends the request by request_end unless more answers follow (a reader). TRUC_PROTOCOL breaks the link. */
    truc_status (*answer)(struct request *request, const struct frame *frame, struct inbound **inbound, const char **ret_why);
};

struct request_table {
    struct request **slots;
    uint32_t *free_slots; /* a stack */
    uint32_t capacity, free_count;
    uint64_t serial;
};

enum { REQUEST_SLOT_BITS = 20 };

void request_table_fini(struct request_table *table);
uint32_t request_count(const struct request_table *table);

/* Gives the request an id. TRUC_NO_MEMORY, TRUC_TOO_MANY. */
truc_status request_begin(struct request_table *table, struct request *request);
void request_end(struct request_table *table, struct request *request); /* nothing when it does not wait */
struct request *request_find(const struct request_table *table, uint64_t id);
void request_forget_all(struct request_table *table);

#endif
