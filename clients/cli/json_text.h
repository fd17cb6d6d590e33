/* json_text.h: JSON that somebody else wrote, checked and put on one line without touching its values.
 *
 * Layer: cli. Pure, any thread. Numbers and escapes stay as they were written, so nothing is lost to rounding; a parser in between
 * would lose. */
#ifndef TRUC_CLI_JSON_TEXT_H
#define TRUC_CLI_JSON_TEXT_H

#include "clients/cli/output.h"

enum { JSON_TEXT_DEPTH_MAX = 512 };

/* Appends the text without insignificant white space when it is one JSON value (RFC 8259) in UTF-8, nested at most
 * JSON_TEXT_DEPTH_MAX deep; else returns false and leaves `out` as it was. Not recursive. */
bool json_text_compact(struct bytes text, struct out *out);

/* Whether the text is one JSON object or array. `scratch`, in memory, is overwritten. */
bool json_text_is_structure(struct bytes text, struct out *scratch);

#endif
