/* place.h: a record by its place, as the verbs on single records take it: TOPIC OFFSET. Layer: cli. */
#ifndef TRUC_CLI_PLACE_H
#define TRUC_CLI_PLACE_H

#include "clients/cli/cli.h"

/* Checks TOPIC and OFFSET. TRUC_BAD_TOPIC, TRUC_USAGE, printed. */
truc_status place_parse(struct cli_context *context, const char *topic, const char *offset, uint64_t *ret_offset);

/* A decimal number of an operand, named for the error. TRUC_USAGE, printed. */
truc_status place_number(struct cli_context *context, const char *name, const char *text, uint64_t *ret_number);

/* Checks, and reads the record: a message for truc_message_free. Errors are printed. */
truc_status place_read(struct cli_context *context, const char *topic, const char *offset, truc_message **ret_message);

/* Decodes a JSON text of libtruc's and frees it; NULL when out of memory, printed as TRUC_NO_MEMORY about `what`. */
json_t *place_json(struct cli_context *context, char *take_text, const char *what);

/* A time of an object, as a text or "-". */
const char *place_time(const json_t *object, const char *name, char text[TIMESTAMP_TEXT_BYTES]);

#endif
