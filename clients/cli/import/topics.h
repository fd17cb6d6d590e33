/* topics.h: the topics that an import writes to, and how far it is in each. Layer: cli/import. Bounded (bounds.h). One thread. */
#ifndef TRUC_CLI_IMPORT_TOPICS_H
#define TRUC_CLI_IMPORT_TOPICS_H

#include "clients/cli/import/failure.h"

struct topic_state {
    bool asked;         /* stored is known */
    uint64_t stored;    /* records of this producer that the broker has */
    uint64_t met;       /* rows of this pass that go to the topic */
    uint64_t read_from; /* position from which its stored records are still to be compared */
};

struct topics;

struct topics *topics_create(void); /* NULL when out of memory */
void topics_destroy(struct topics *topics);

/* The number of a topic, added when it is new. TRUC_TOO_MANY, TRUC_NO_MEMORY; failure is set. */
truc_status topics_number(struct topics *topics, struct bytes name, uint32_t *ret_topic, struct failure *failure);

struct topic_state *topics_state(struct topics *topics, uint32_t topic); /* borrowed until the next topics_number */
const char *topics_name(const struct topics *topics, uint32_t topic);    /* likewise */
size_t import_topics_count(const struct topics *topics);

/* Sets `met` of all topics to zero: a new pass. */
void topics_restart(struct topics *topics);

#endif
