/* slug.h: any text as a token of a topic, and the guard against two texts becoming the same one.
 *
 * The rule: an agency code (below) stays as it is, with its dots. Of any other text the Unicode form NFD is taken, nonspacing marks
 * are dropped, U+0111 and U+0110 become d and D, everything outside A-Z a-z 0-9 _ - becomes `-`, runs of `-` become one,
 * and `-` at both ends is dropped. What is then empty has no slug.
 *
 * An agency code is a letter and two digits, then groups of 1 to 4 of A-Z 0-9 behind dots (H26.16), or the older form with groups
 * of 3, 2 and 2 in front of the letter and two digits (000.00.16.H26); 35 characters at most.
 *
 * Layer: cli/import. One thread. */
#ifndef TRUC_CLI_IMPORT_SLUG_H
#define TRUC_CLI_IMPORT_SLUG_H

#include "clients/cli/import/failure.h"
#include "clients/cli/output.h"

bool slug_is_agency(struct bytes text);

/* Appends the slug of a UTF-8 text. TRUC_BAD_ROW when it has none, TRUC_NO_MEMORY; failure is set. */
truc_status slug_append(struct bytes text, struct out *out, struct failure *failure);

/* The texts that one place of a template has met, by their slugs. Bounded by IMPORT_SLUGS_MAX. */
struct slugs;
struct slugs *slugs_create(void); /* NULL when out of memory */
void slugs_destroy(struct slugs *slugs);

/* Notes that text became slug. TRUC_SLUG_CLASH when another text did so before (texts that are equal in NFC are the same),
 * naming both; TRUC_TOO_MANY, TRUC_NO_MEMORY. place names the column. */
truc_status slugs_note(struct slugs *slugs, struct bytes slug, struct bytes text, struct bytes place, struct failure *failure);

#endif
