/* The stats line. On the core thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/main/broker_internal.h"
#include "broker/main/logline.h"

/* Anonymous memory of this process, which is what the documented bound speaks of; 0: unknown. */
static uint64_t anonymous_bytes(void)
{
    uint64_t kilobytes = 0;
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            kilobytes = strtoull(line + 8, NULL, 10);
            break;
        }
    }
    fclose(status);
    return kilobytes * 1024;
}

void stats_tell(struct broker *broker, struct stats *stats)
{
    struct core_counts counts = core_counts(broker->core);
    struct log_thread_counts log_counts = log_thread_counts(broker->log_thread);
    struct log_head head = log_head(broker->log);
    struct log_usage usage = log_usage(broker->log);
    struct logline line;
    if (stats->events == stats->last_activity) {
        return;
    }
    stats->last_activity = stats->events;
    logline_begin(&line, LOGLINE_stats);
    logline_number(&line, "connections", counts.connections);
    logline_number(&line, "readers", counts.readers);
    logline_number(&line, "topics", counts.topics);
    logline_number(&line, "producers", counts.producers);
    logline_number(&line, "records", head.record_count);
    logline_number(&line, "position", head.position);
    logline_number(&line, "log_bytes", usage.bytes);
    logline_number(&line, "segments", usage.segment_count);
    logline_number(&line, "events", stats->events);
    logline_number(&line, "steps", stats->steps);
    logline_number(&line, "appends", log_counts.appends);
    logline_number(&line, "commits", log_counts.commits);
    logline_number(&line, "faults", atomic_load(&broker->faults));
    logline_number(&line, "anonymous_bytes", anonymous_bytes());
    logline_end(&line);
}
