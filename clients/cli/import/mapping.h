/* mapping.h: what the command line says about how rows become records, compiled; and the making itself.
 *
 * Layer: cli/import. Owns the buffers that built records borrow from, until the next mapping_* call. One thread. */
#ifndef TRUC_CLI_IMPORT_MAPPING_H
#define TRUC_CLI_IMPORT_MAPPING_H

#include "clients/cli/import/built.h"
#include "clients/cli/import/row.h"
#include "clients/cli/option.h"

/* As given; texts are borrowed while compiling only. */
struct mapping_options {
    const char *topic, *key, *type, *time;
    const char *as;          /* NULL: JSON */
    struct cli_list sets;    /* FIELD=TEMPLATE */
    struct cli_list maps;    /* COLUMN=FILE */
    struct cli_list headers; /* NAME=TEMPLATE */
};

struct mapping;

/* TRUC_USAGE naming the option, map_load's statuses, TRUC_NO_MEMORY; failure is set. columns and zone are borrowed for life. */
truc_status mapping_create(const struct mapping_options *options, struct columns *columns, const struct zone *zone,
                           struct mapping **ret_mapping, struct failure *failure);
void mapping_destroy(struct mapping *mapping);

/* Whether the file has every column that is named. TRUC_USAGE naming the first that it has not, and the nearest that it has. */
truc_status mapping_check(const struct mapping *mapping, struct failure *failure);

/* A digest of everything that decides what a row becomes: templates, translations, payload type, zone. */
truc_status mapping_digest(const struct mapping *mapping, uint8_t ret_digest[DIGEST_BYTES]);

/* Says whose rows they are, for the ids. To be called before mapping_complete. */
truc_status mapping_identify(struct mapping *mapping, const char *source, const char *producer);

/* The first half: row, line and topic of a row. TRUC_BAD_ROW; TRUC_SLUG_CLASH, TRUC_TOO_MANY, TRUC_NO_MEMORY end the run. */
truc_status mapping_topic(struct mapping *mapping, const struct row *row, struct built *ret_built, struct failure *failure);

/* The second half, for the same row. TRUC_BAD_ROW, TRUC_NO_MEMORY. */
truc_status mapping_complete(struct mapping *mapping, const struct row *row, struct built *built, struct failure *failure);

#endif
