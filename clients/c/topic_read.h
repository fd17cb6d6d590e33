/* topic_read.h: reads a topic to its end, or to a limit, record by record. Layer: libtruc. No state; blocking, not in a callback.
 */
#ifndef TRUC_CLIENT_TOPIC_READ_H
#define TRUC_CLIENT_TOPIC_READ_H

#include "clients/c/client.h"

struct topic_read {
    const char *topic;
    const char *type, *key; /* NULL: any */
    bool by_offset;         /* from an offset on (the topic must be there), else from a position on */
    uint64_t from;
    uint64_t limit; /* 0: to the end */
    bool follow;    /* waits for what has not come yet; needs a limit */
    int timeout_ms; /* between two records; 0: that of requests */
};

/* Anything but TRUC_OK ends the reading with it. */
typedef truc_status topic_visit(void *context, const truc_message *message);

/* TRUC_OK at the end; TRUC_NOT_FOUND and TRUC_OUT_OF_RANGE as the broker says of an offset. *ret_error, if given: why. */
truc_status topic_read(truc_client *client, const struct topic_read *read, topic_visit *visit, void *context, char **ret_error);

#endif
