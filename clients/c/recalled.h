/* recalled.h: which records of a DELIVER or READ_DATA frame their senders have recalled. Layer: libtruc. Pure, any thread. */
#ifndef TRUC_CLIENT_RECALLED_H
#define TRUC_CLIENT_RECALLED_H

#include "clients/c/truc.h"
#include "truc/v1/wire.pb-c.h"

/* Marks the job when one of the rows recalls its message and names the message's own agency: nobody else can recall it. */
void recalled_mark(truc_job *job, Truc__V1__Recalled *const *rows, size_t count);

#endif
