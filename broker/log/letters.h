/* letters.h: what the topic of dead letters says last of a record in a subscription. Layer: log, inside. Any thread. */
#ifndef TRUC_LOG_LETTERS_H
#define TRUC_LOG_LETTERS_H

#include "broker/log/history.h"

struct letter_found {
    bool there;
    bool unknown;              /* something of the topic could not be looked at */
    struct dead_letter letter; /* without its texts */
    uint64_t block;            /* that it is in, */
    int64_t block_ns;          /* and that block's append time */
};

/* TRUC_IO, TRUC_NO_MEMORY. */
truc_status letters_find(struct log *log, struct place place, const struct log_history *history, struct letter_found *ret_found);

#endif
