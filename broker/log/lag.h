/* lag.h: how much lies before somebody who reads a pattern. Layer: log. Any thread. */
#ifndef TRUC_LOG_LAG_H
#define TRUC_LOG_LAG_H

#include "broker/log/engine.h"

struct log_lag {
    uint64_t records, bytes; /* of entries as stored, but for what is around batch and directory */
    int64_t since_ns;        /* append time of the first entry; 0: there is none */
    bool more;               /* at least: there was too much to look at, or some of it cannot be read */
};

/* Entries of topics that match the pattern, from a position to another one. Looks at some 512 MiB of the log at most, of which each
 * block counts by its table alone. TRUC_BAD_PATTERN, TRUC_IO, TRUC_NO_MEMORY. */
truc_status log_lag(struct log *log, struct bytes pattern, uint64_t from, uint64_t until, struct log_lag *ret_lag, char *why);

#endif
