#include "clients/cli/import/topics.h"

#include <stdlib.h>

#include "clients/cli/import/bounds.h"
#include "clients/cli/import/intern.h"

struct topics {
    struct intern *names;
    struct topic_state *states;
    size_t state_capacity;
};

struct topics *topics_create(void)
{
    struct topics *topics = calloc(1, sizeof *topics);
    if (topics == NULL) {
        return NULL;
    }
    topics->names = intern_create(IMPORT_TOPICS_MAX, IMPORT_TOPICS_BYTES_MAX);
    if (topics->names == NULL) {
        free(topics);
        return NULL;
    }
    return topics;
}

void topics_destroy(struct topics *topics)
{
    if (topics == NULL) {
        return;
    }
    intern_destroy(topics->names);
    free(topics->states);
    free(topics);
}

truc_status topics_number(struct topics *topics, struct bytes name, uint32_t *ret_topic, struct failure *failure)
{
    bool fresh;
    uint32_t topic;
    truc_status status = intern_add(topics->names, name, &topic, &fresh);
    if (status == TRUC_OK) {
        void *array = topics->states;
        status = intern_array_fit(topics->names, &array, &topics->state_capacity, sizeof *topics->states);
        topics->states = array;
    }
    if (status == TRUC_TOO_MANY) {
        return failure_set(failure, status, "the rows go to more than %d topics", IMPORT_TOPICS_MAX);
    }
    if (status != TRUC_OK) {
        return failure_set(failure, status, "while counting topics");
    }
    *ret_topic = topic;
    return TRUC_OK;
}

struct topic_state *topics_state(struct topics *topics, uint32_t topic)
{
    return &topics->states[topic];
}

const char *topics_name(const struct topics *topics, uint32_t topic)
{
    return (const char *)intern_at(topics->names, topic).data;
}

size_t import_topics_count(const struct topics *topics)
{
    return intern_count(topics->names);
}

void topics_restart(struct topics *topics)
{
    for (size_t i = 0; i < intern_count(topics->names); i++) {
        topics->states[i].met = 0;
    }
}
