#include "broker/main/letter.h"

#include <stdio.h>
#include <stdlib.h>

struct letter *letter_create(enum core_event_kind kind, uint64_t connection)
{
    struct letter *letter = calloc(1, sizeof *letter);
    if (letter != NULL) {
        letter->event.kind = kind;
        letter->event.connection = connection;
    }
    return letter;
}

void letter_blame(struct letter *letter, truc_status status, const char *why)
{
    snprintf(letter->why, sizeof letter->why, "%s", why);
    letter->event.status = status;
    letter->event.why = letter->why;
}

void letter_free(struct letter *letter)
{
    if (letter == NULL) {
        return;
    }
    net_buffer_unref(letter->buffer);
    letter->buffer = NULL;
    if (letter->release != NULL) {
        letter->release(letter);
    } else {
        free(letter);
    }
}
