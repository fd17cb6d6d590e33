/* rejects.h: what happens to bad rows: the first few are shown on standard error with their line, all are counted, and written as
 * they came to the file that --rejects names. A rejects file of a CSV begins with the CSV's header: mended, it can be imported.
 *
 * Layer: cli/import. One thread. */
#ifndef TRUC_CLI_IMPORT_REJECTS_H
#define TRUC_CLI_IMPORT_REJECTS_H

#include "clients/cli/cli.h"
#include "clients/cli/import/failure.h"
#include "clients/cli/import/progress.h"

struct rejects;

/* path NULL: rows are shown and counted only. input_path must be another file: TRUC_USAGE. TRUC_IO, TRUC_NO_MEMORY. */
truc_status rejects_open(struct cli_context *context, struct progress *progress, const char *path, const char *input_path,
                         struct rejects **ret_rejects, struct failure *failure);

/* Flushes and closes. TRUC_IO when not all could be written. NULL is allowed. */
truc_status rejects_close(struct rejects *rejects, struct failure *failure);

/* One bad row. */
void rejects_add(struct rejects *rejects, struct bytes heading, uint64_t line, const char *why, struct bytes raw);

/* More of the row before. */
void rejects_more(struct rejects *rejects, struct bytes raw);

uint64_t rejects_count(const struct rejects *rejects);

/* Says how many were not shown. */
void rejects_sum_up(struct rejects *rejects);

#endif
