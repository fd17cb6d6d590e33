/* message_copy.h: a message that owns what it points to. Layer: libtruc. Pure but for its memory. */
#ifndef TRUC_CLIENT_MESSAGE_COPY_H
#define TRUC_CLIENT_MESSAGE_COPY_H

#include "clients/c/truc.h"

/* A copy in one piece of memory, for truc_message_free; NULL when out of memory. */
truc_message *message_copy(const truc_message *message);

#endif
