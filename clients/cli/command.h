/* command.h: a command that works on one record: the payload on its standard input, the rest in its environment.
 *
 * Layer: cli. Runs `sh -c COMMAND`; its output is this process's. One thread. */
#ifndef TRUC_CLI_COMMAND_H
#define TRUC_CLI_COMMAND_H

#include <stdint.h>

#include "clients/c/truc.h"

/* What to do while it runs, every interval_ms (0: never). */
struct command_beat {
    void (*beat)(void *context);
    void *context;
    int interval_ms;
};

/* Runs it to its end. *ret_exit: its exit status; 128 and more when a signal ended it. TRUC_IO (errno is set) when it could not be
 * run or waited for, TRUC_NO_MEMORY.
 * Environment: TRUC_TOPIC, TRUC_POSITION, TRUC_OFFSET, TRUC_ATTEMPT, TRUC_KEY, TRUC_TYPE, TRUC_RECORD_SOURCE, TRUC_RECALLED (1: its
 * sender has recalled it, else 0). */
truc_status command_run(const char *command, const truc_job *job, const struct command_beat *beat, int *ret_exit);

#endif
