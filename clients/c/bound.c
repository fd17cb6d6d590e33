#include "clients/c/bound.h"

Truc__V1__Bound *bound_message(const struct option_bound *bound, Truc__V1__Bound *message)
{
    truc__v1__bound__init(message);
    switch (bound->kind) {
    case BOUND_ABSENT:
        return NULL;
    case BOUND_AT_START:
        message->at_case = TRUC__V1__BOUND__AT_POSITION;
        message->position = 0;
        break;
    case BOUND_AT_HEAD:
        message->at_case = TRUC__V1__BOUND__AT_HEAD;
        message->head = 1;
        break;
    case BOUND_AT_POSITION:
        message->at_case = TRUC__V1__BOUND__AT_POSITION;
        message->position = bound->value;
        break;
    case BOUND_AT_OFFSET:
        message->at_case = TRUC__V1__BOUND__AT_OFFSET;
        message->offset = bound->value;
        break;
    case BOUND_AT_TIME:
        message->at_case = TRUC__V1__BOUND__AT_APPEND_TIME_NS;
        message->append_time_ns = bound->time_ns;
        break;
    }
    return message;
}
