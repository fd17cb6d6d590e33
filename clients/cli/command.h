/* command.h: a command that works on one record: the payload on its standard input, the rest in its environment.
 *
 * Layer: cli. Runs `sh -c COMMAND`. Any thread. */
#ifndef TRUC_CLI_COMMAND_H
#define TRUC_CLI_COMMAND_H

#include <stdint.h>

#include "clients/c/truc.h"
#include "clients/cli/output.h"

/* What to do while it runs, every interval_ms (0: never). */
struct command_beat {
    void (*beat)(void *context);
    void *context;
    int interval_ms;
};

/* Runs it to its end; its output is this process's. *ret_exit: its exit status; 128 and more when a signal ended it. TRUC_IO (errno
 * is set) when it could not be run or waited for, TRUC_NO_MEMORY.
 * Environment: TRUC_TOPIC, TRUC_POSITION, TRUC_OFFSET, TRUC_ATTEMPT, TRUC_KEY, TRUC_TYPE, TRUC_ID, TRUC_RECORD_SOURCE,
 * TRUC_RECALLED (1: its sender has recalled it, else 0). */
truc_status command_run(const char *command, const truc_job *job, const struct command_beat *beat, int *ret_exit);

/* The same, but what it writes to its standard output is appended to `output`, which is in memory. TRUC_RECORD_TOO_LARGE: that is
 * more than a record holds; it was stopped by a closed pipe. */
truc_status command_reply(const char *command, const truc_job *job, struct out *output, int *ret_exit);

#endif
