/* feed.h: a file's rows as records, in the order they are sent, as often as asked for.
 *
 * In the file's order, rows are read anew in each pass. Ordered by time (--speed), the first pass builds all records into an
 * unlinked temporary file ($TMPDIR, else /tmp) and sorts an index of it in memory: 16 bytes a row, at most IMPORT_SORT_ROWS_MAX.
 *
 * Layer: cli/import. Borrows mapping, columns, rejects, progress. One thread. */
#ifndef TRUC_CLI_IMPORT_FEED_H
#define TRUC_CLI_IMPORT_FEED_H

#include "clients/cli/import/mapping.h"
#include "clients/cli/import/rejects.h"
#include "clients/cli/import/rows.h"

struct feed_options {
    const char *path;
    enum rows_format format;
    char delimiter;
    bool by_time;
    struct columns *columns;
    struct mapping *mapping;
    struct rejects *rejects;
    struct progress *progress;
};

enum feed_kind { FEED_ROW, FEED_END, FEED_FAILED };

struct feed;

truc_status feed_create(const struct feed_options *options, struct feed **ret_feed, struct failure *failure);
void feed_destroy(struct feed *feed); /* NULL is allowed */

/* Begins a pass, named for the progress bar. In one with `report`, bad rows go to rejects; in the others they are passed over in
 * silence. A CSV's columns are checked here (mapping_check), another format's at the end of the first pass. */
truc_status import_feed_begin(struct feed *feed, const char *what, bool report, struct failure *failure);

/* The next row whose topic is known: ret_built has row, line, topic and, ordered by time, everything. Borrowed until the
 * next call. FEED_FAILED: failure says why, with the line. */
enum feed_kind feed_next(struct feed *feed, struct built **ret_built, struct failure *failure);

/* Makes the record of the row at hand. TRUC_BAD_ROW: it cannot be made; told to rejects already when reporting. */
truc_status feed_complete(struct feed *feed, struct failure *failure);

/* Rows read in this pass, bad ones included. */
uint64_t feed_rows(const struct feed *feed);

#endif
