#include "clients/c/recalled.h"

#include <string.h>

void recalled_mark(truc_job *job, Truc__V1__Recalled *const *rows, size_t count)
{
    const truc_message *message = job->message;

    for (size_t i = 0; i < count; i++) {
        if (rows[i]->position != message->position || rows[i]->index != message->index ||
            strcmp(rows[i]->agency, message->source) != 0)
            continue;
        job->recalled = true;
        job->recall_position = rows[i]->recall_position;
        return;
    }
}
