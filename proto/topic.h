/* topic.h: topic names, patterns, sources. Layer: proto. Pure, any thread.
 *
 * A topic is dotted tokens [A-Za-z0-9_-]+, at most TOPIC_BYTES_MAX bytes and TOPIC_TOKENS_MAX tokens.
 * A pattern may hold `*` (one token) and end in `>` (one or more tokens) or `**` (zero or more).
 * A pattern whose first token is a wildcard never matches topics whose first token is `sys` or `dead`. */
#ifndef TRUC_PROTO_TOPIC_H
#define TRUC_PROTO_TOPIC_H

#include "bytes.h"
#include "status.h"

/* TRUC_OK or TRUC_BAD_TOPIC / TRUC_BAD_PATTERN; *ret_why (if given) gets a static text naming the rule broken. */
truc_status topic_check(struct bytes topic, const char **ret_why);
truc_status pattern_check(struct bytes pattern, const char **ret_why);

/* Whether the pattern holds no wildcard and so names one topic. */
bool pattern_is_exact(struct bytes pattern);

/* Whether a valid pattern matches a valid topic. Linear, no recursion. */
bool pattern_match(struct bytes pattern, struct bytes topic);

/* The agency code grammar of both national forms, leniently: tokens [0-9A-Z]{1,4} with dots, at most AGENCY_BYTES_MAX;
 * "local" is accepted for development. System: [a-z0-9_-]+ of at most SYSTEM_BYTES_MAX. */
truc_status agency_check(struct bytes agency, const char **ret_why);
truc_status source_check(struct bytes agency, struct bytes system, const char **ret_why);

/* Splits "AGENCY/SYSTEM" and checks both. TRUC_BAD_SOURCE with *ret_why. */
truc_status source_split(struct bytes source, struct bytes *ret_agency, struct bytes *ret_system, const char **ret_why);

/* The same for what chooses records by their source: AGENCY alone (system is then empty) or AGENCY/SYSTEM. */
truc_status source_filter_split(struct bytes source, struct bytes *ret_agency, struct bytes *ret_system, const char **ret_why);

#endif
