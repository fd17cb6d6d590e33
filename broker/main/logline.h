/* logline.h: the broker's only log: one line of key=value pairs per event on stderr. Layer: main. Any thread.
 *
 *     ts=2026-01-01T00:00:00.000Z level=info event=started domain=local/dev head=17
 *
 * Values that are empty or hold anything but letters, digits and ._:/+-[]@% are quoted, with \" \\ \n and \xHH escapes. An event
 * that comes more than LOGLINE_PER_SECOND_MAX times within a second is cut off; the next line of that event says
 * suppressed=COUNT. */
#ifndef TRUC_MAIN_LOGLINE_H
#define TRUC_MAIN_LOGLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum logline_event {
#define LOGLINE_EVENT(name, level, text) LOGLINE_##name,
#include "broker/main/logline.def"
#undef LOGLINE_EVENT
    LOGLINE_EVENTS
};

enum { LOGLINE_BYTES_MAX = 2048, LOGLINE_PER_SECOND_MAX = 10 };

struct logline {
    bool muted;
    size_t size;
    char text[LOGLINE_BYTES_MAX];
};

void logline_begin(struct logline *line, enum logline_event event);
void logline_text(struct logline *line, const char *key, const char *value);
void logline_bytes(struct logline *line, const char *key, const void *value, size_t size);
void logline_hex(struct logline *line, const char *key, const uint8_t *value, size_t size);
void logline_number(struct logline *line, const char *key, uint64_t value);
void logline_end(struct logline *line); /* writes it with one write */

/* The table, for docs. */
const char *logline_event_name(enum logline_event event);
const char *logline_event_level(enum logline_event event);
const char *logline_event_text(enum logline_event event);

#endif
