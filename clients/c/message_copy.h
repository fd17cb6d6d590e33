/* message_copy.h: a message that owns its memory. Layer: libtruc. Pure, any thread. */
#ifndef TRUC_CLIENT_MESSAGE_COPY_H
#define TRUC_CLIENT_MESSAGE_COPY_H

#include "clients/c/truc.h"

/* One allocation with all that the message points to, for truc_message_free; NULL when out of memory. */
truc_message *message_copy(const truc_message *message);

#endif
