#include "clients/cli/import/feed.h"

#include <errno.h>
#include <stdlib.h>

#include "clients/cli/import/spool.h"

struct feed {
    struct feed_options options;
    const char *what;
    bool report;
    struct rows *rows; /* of the pass under way; NULL between passes and when ordered by time */
    struct row row;
    struct built built;
    uint64_t row_count;
    bool columns_checked;
    struct spool *spool; /* by_time: filled by the first pass */
};

truc_status feed_create(const struct feed_options *options, struct feed **ret_feed, struct failure *failure)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        return failure_set(failure, TRUC_NO_MEMORY, "while opening %s", options->path);
    }
    feed->options = *options;
    row_init(&feed->row);
    *ret_feed = feed;
    return TRUC_OK;
}

void feed_destroy(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    rows_close(feed->rows);
    row_fini(&feed->row);
    spool_destroy(feed->spool);
    free(feed);
}

/* Puts the file's name, and the line when there is one, before a reason. */
static truc_status located(const struct feed *feed, uint64_t line, struct failure *failure)
{
    struct failure reason = *failure;
    if (line == 0) {
        return failure_set(failure, reason.status, "%.200s: %.540s", feed->options.path, reason.why);
    }
    return failure_set(failure, reason.status, "%.200s:%llu: %.520s", feed->options.path, (unsigned long long)line, reason.why);
}

static void report_bad(struct feed *feed, const char *why)
{
    if (feed->report) {
        rejects_add(feed->options.rejects, rows_heading(feed->rows), feed->row.line, why,
                    bytes_of(feed->row.raw.data, feed->row.raw.size));
    }
}

static truc_status open_rows(struct feed *feed, struct failure *failure)
{
    rows_close(feed->rows);
    feed->rows = NULL;
    feed->row_count = 0;
    truc_status status =
        rows_open(feed->options.path, feed->options.format, feed->options.delimiter, feed->options.columns, &feed->rows, failure);
    if (status == TRUC_BAD_ROW) {
        return located(feed, 0, failure);
    }
    if (status == TRUC_OK && feed->options.format == ROWS_CSV) {
        feed->columns_checked = true;
        status = mapping_check(feed->options.mapping, failure);
    }
    return status;
}

/* The next row of the file whose topic is known. */
static enum feed_kind next_of_file(struct feed *feed, struct failure *failure)
{
    for (;;) {
        progress_show(feed->options.progress, feed->what, rows_progress(feed->rows), feed->row_count);
        enum row_kind kind = rows_next(feed->rows, &feed->row, failure);
        switch (kind) {
        case ROW_GOOD:
            break;
        case ROW_BAD:
            feed->row_count++;
            report_bad(feed, failure->why);
            continue;
        case ROW_REST:
            if (feed->report) {
                rejects_more(feed->options.rejects, bytes_of(feed->row.raw.data, feed->row.raw.size));
            }
            continue;
        case ROW_END:
            if (!feed->columns_checked) {
                feed->columns_checked = true;
                if (mapping_check(feed->options.mapping, failure) != TRUC_OK) {
                    return FEED_FAILED;
                }
            }
            return FEED_END;
        case ROW_FAILED:
            (void)located(feed, 0, failure);
            return FEED_FAILED;
        }
        feed->row_count++;
        truc_status status = mapping_topic(feed->options.mapping, &feed->row, &feed->built, failure);
        if (status == TRUC_OK) {
            return FEED_ROW;
        }
        if (status != TRUC_BAD_ROW) {
            (void)located(feed, feed->row.line, failure);
            return FEED_FAILED;
        }
        report_bad(feed, failure->why);
    }
}

static truc_status complete_of_file(struct feed *feed, struct failure *failure)
{
    truc_status status = mapping_complete(feed->options.mapping, &feed->row, &feed->built, failure);
    if (status == TRUC_BAD_ROW) {
        report_bad(feed, failure->why);
    } else if (status != TRUC_OK) {
        (void)located(feed, feed->row.line, failure);
    }
    return status;
}

/* Reads the file once in silence, so that a column it does not have is found before rows are called bad for lacking it. */
static truc_status look_for_columns(struct feed *feed, struct failure *failure)
{
    feed->report = false;
    truc_status status = open_rows(feed, failure);
    enum feed_kind kind = FEED_ROW;
    while (status == TRUC_OK && !feed->columns_checked && kind == FEED_ROW) {
        kind = next_of_file(feed, failure);
    }
    return kind == FEED_FAILED ? failure->status : status;
}

/* Reads the whole file into the spool. Bad rows are told now: records are made only here. */
static truc_status fill_spool(struct feed *feed, struct failure *failure)
{
    truc_status status = look_for_columns(feed, failure);
    feed->report = true;
    if (status == TRUC_OK) {
        status = open_rows(feed, failure);
    }
    if (status == TRUC_OK) {
        status = spool_create(&feed->spool, failure);
    }
    while (status == TRUC_OK) {
        enum feed_kind kind = next_of_file(feed, failure);
        if (kind == FEED_END) {
            break;
        }
        status = kind == FEED_FAILED ? failure->status : complete_of_file(feed, failure);
        if (status == TRUC_OK) {
            status = spool_add(feed->spool, &feed->built, failure);
        } else if (status == TRUC_BAD_ROW) {
            status = TRUC_OK;
        }
    }
    rows_close(feed->rows);
    feed->rows = NULL;
    return status == TRUC_OK ? spool_sort(feed->spool, failure) : status;
}

truc_status import_feed_begin(struct feed *feed, const char *what, bool report, struct failure *failure)
{
    feed->what = what;
    if (!feed->options.by_time) {
        feed->report = report;
        return open_rows(feed, failure);
    }
    if (feed->spool == NULL) {
        feed->what = "sorting";
        truc_status status = fill_spool(feed, failure);
        feed->what = what;
        if (status != TRUC_OK) {
            return status;
        }
    }
    spool_rewind(feed->spool);
    return TRUC_OK;
}

enum feed_kind feed_next(struct feed *feed, struct built **ret_built, struct failure *failure)
{
    *ret_built = &feed->built;
    if (!feed->options.by_time) {
        return next_of_file(feed, failure);
    }
    bool more;
    progress_show(feed->options.progress, feed->what, spool_progress(feed->spool), feed->row_count);
    if (spool_next(feed->spool, &feed->built, &more, failure) != TRUC_OK) {
        return FEED_FAILED;
    }
    return more ? FEED_ROW : FEED_END;
}

truc_status feed_complete(struct feed *feed, struct failure *failure)
{
    return feed->options.by_time ? TRUC_OK : complete_of_file(feed, failure);
}

uint64_t feed_rows(const struct feed *feed)
{
    return feed->row_count;
}
