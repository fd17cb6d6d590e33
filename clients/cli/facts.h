/* facts.h: what the broker tells of itself, made fit to print: times as text, members as lines. Layer: cli. */
#ifndef TRUC_CLI_FACTS_H
#define TRUC_CLI_FACTS_H

#include "clients/cli/cli.h"

/* A copy in which each integer member NAME_ns became NAME, a time in UTC (null for 0: never). Nothing but the object's own
 * members is looked at. NULL when out of memory. */
json_t *facts_with_times(const json_t *object);

/* One line per member: name, blanks, value. */
void facts_print(struct out *out, const json_t *object);

#endif
