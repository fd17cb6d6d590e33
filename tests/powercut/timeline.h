/* timeline.h: what trucd had told anyone by an event of the trace: a position below which everything must be on disk.
 *
 * Layer: tests. Reads the frames out of the recorded sends: acknowledgements, entries given to readers, and every answer that
 * states the durable head. One thread. */
#ifndef TRUC_TESTS_POWERCUT_TIMELINE_H
#define TRUC_TESTS_POWERCUT_TIMELINE_H

#include "trace.h"

#include <stdbool.h>
#include <stddef.h>

/* A trace in memory: event i (from 1) begins at data + starts[i - 1]. */
struct trace {
    const uint8_t *data;
    size_t size;
    size_t *starts;
    size_t count;
};

/* Maps a file and finds its events; an event cut short at the end (trucd was killed) is left out. False: errno tells. */
bool trace_open(struct trace *trace, const char *path);
void trace_close(struct trace *trace);

/* The event of a number with its name and data. */
const struct trace_event *trace_at(const struct trace *trace, size_t number, const char **ret_name, const uint8_t **ret_data);

struct timeline {
    uint64_t *needs; /* needs[number]: positions below it were told to somebody by that event */
    uint64_t acknowledgements, deliveries;
};

/* False: out of memory, or the sends are not frames (*ret_why). */
bool timeline_build(struct timeline *timeline, const struct trace *trace, const char **ret_why);
void timeline_fini(struct timeline *timeline);

#endif
