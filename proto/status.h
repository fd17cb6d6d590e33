/* status.h: the one list of outcomes, shared by wire, library, command line and `truc explain`.
 *
 * Layer: public (installed with truc.h). No state, any thread. */
#ifndef TRUC_STATUS_H
#define TRUC_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum truc_status {
#define TRUC_STATUS(number, name, retriable, text, next) TRUC_##name = (number),
#include "status.def"
#undef TRUC_STATUS
} truc_status;

/* The code's name, e.g. "OUT_OF_SEQUENCE"; "UNKNOWN" for a number that is not in the list. Static storage. */
const char *truc_status_name(truc_status status);

/* One line saying what happened. Static storage. */
const char *truc_status_text(truc_status status);

/* One line saying what to do next. Static storage. */
const char *truc_status_next(truc_status status);

/* Whether the same request, unchanged, may succeed later. */
bool truc_status_retriable(truc_status status);

/* Finds a status by its name (any letter case) or decimal number. False when there is none. */
bool truc_status_find(const char *name_or_number, truc_status *ret_status);

/* How many statuses there are, and the one at an index below that: for listings. */
size_t truc_status_count(void);
truc_status truc_status_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
