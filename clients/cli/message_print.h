/* message_print.h: a record as people and programs see it.
 *
 * Layer: cli. One printer per stream, used by one thread at a time. Fast: it must keep up with a replay, so texts that repeat from
 * record to record are made once and nothing is allocated per record. */
#ifndef TRUC_CLI_MESSAGE_PRINT_H
#define TRUC_CLI_MESSAGE_PRINT_H

#include "clients/c/truc.h"
#include "clients/cli/output.h"
#include "clients/cli/timestamp.h"

enum message_shape {
    MESSAGE_JSON, /* one line: docs/cli.md "The JSON line" */
    MESSAGE_LINE, /* one line for a human; control characters cannot reach the terminal */
    MESSAGE_RAW   /* the payload's bytes and a newline */
};

struct message_printer {
    struct out *out; /* borrowed */
    enum message_shape shape;
    struct out scratch;
    uint8_t log_id[16];
    uint64_t generation;
    char log_text[128]; /* {"log_id":"...","generation":N,"position": ; "" before the first record */
    size_t log_text_size;
    int64_t append_time_ns;
    char append_text[TIMESTAMP_TEXT_BYTES];
    size_t append_text_size;
    bool recalled; /* set before a record that its sender has recalled, and by which entry */
    uint64_t recall_position;
};

void message_printer_init(struct message_printer *printer, struct out *out, enum message_shape shape);
void message_printer_fini(struct message_printer *printer);

/* Appends the record to printer->out; errors stick there. */
void message_print(struct message_printer *printer, const truc_message *message);

/* Bytes as text for a terminal: what is not printable becomes \xNN. */
void print_plain_text(struct out *out, struct bytes text);

#endif
