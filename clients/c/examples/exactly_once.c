/* exactly_once.c: records go into a database, each exactly once, whatever is killed and when.
 *
 *     exactly_once URL PATTERN DATABASE RECORDS
 *
 * The place up to which the log was taken is a row of the same database (SQLite), and moves in the same transaction as the data:
 * both are there, or neither. So nothing is acknowledged to anybody, and nothing depends on when this program or the broker dies:
 * started again, it reads on from the row. Ends when the database holds RECORDS records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>
#include <truc.h>

enum { RECORDS_AT_ONCE = 100 }; /* of one transaction */

struct copy {
    sqlite3 *database;
    sqlite3_stmt *insert, *move;
    bool any;                 /* whether there is a place yet */
    uint64_t position, index; /* of the last record taken */
    sqlite3_int64 records;
};

static int fail(const char *what, truc_status status, const char *why)
{
    (void)fprintf(stderr, "exactly_once: %s: %s; %s\n", what, why != NULL && why[0] != '\0' ? why : truc_status_text(status),
                  truc_status_next(status));
    return (int)status;
}

static truc_status database_failed(const struct copy *copy, const char *what)
{
    (void)fail(what, TRUC_IO, sqlite3_errmsg(copy->database));
    return TRUC_IO;
}

/* --- the database ------------------------------------------------------------------------------------------------------------ */

static const char schema[] = "CREATE TABLE IF NOT EXISTS record (topic TEXT, offset INTEGER, data BLOB);"
                             "CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), log_id BLOB,"
                             "    generation INTEGER, position INTEGER, number INTEGER);";

/* Where the database stands. A place belongs to one log: in another one it means nothing. */
static truc_status load(struct copy *copy, const truc_log_place *log)
{
    sqlite3_stmt *select = NULL;
    truc_status status = TRUC_OK;
    int rc;

    if (sqlite3_prepare_v2(copy->database, "SELECT log_id, generation, position, number, (SELECT count(*) FROM record) FROM place",
                           -1, &select, NULL) != SQLITE_OK)
        return database_failed(copy, "place");
    rc = sqlite3_step(select);
    if (rc == SQLITE_ROW) {
        if (sqlite3_column_bytes(select, 0) != (int)sizeof log->log_id ||
            memcmp(sqlite3_column_blob(select, 0), log->log_id, sizeof log->log_id) != 0 ||
            (uint64_t)sqlite3_column_int64(select, 1) != log->generation)
            status = (truc_status)fail("place", TRUC_LOG_MISMATCH, "the database was filled from another log");
        copy->any = true;
        copy->position = (uint64_t)sqlite3_column_int64(select, 2);
        copy->index = (uint64_t)sqlite3_column_int64(select, 3);
        copy->records = sqlite3_column_int64(select, 4);
    } else if (rc != SQLITE_DONE) {
        status = database_failed(copy, "place");
    }
    (void)sqlite3_finalize(select);
    return status;
}

static truc_status open_database(struct copy *copy, const char *path, const truc_log_place *log)
{
    if (sqlite3_open(path, &copy->database) != SQLITE_OK || sqlite3_exec(copy->database, schema, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(copy->database, "INSERT INTO record VALUES (?, ?, ?)", -1, &copy->insert, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(copy->database, "INSERT OR REPLACE INTO place VALUES (1, ?, ?, ?, ?)", -1, &copy->move, NULL) !=
            SQLITE_OK)
        return database_failed(copy, path);
    return load(copy, log);
}

static void close_database(struct copy *copy)
{
    (void)sqlite3_finalize(copy->insert);
    (void)sqlite3_finalize(copy->move);
    (void)sqlite3_close(copy->database);
}

static truc_status take(struct copy *copy, const truc_message *message)
{
    const truc_record *record = &message->record;

    if (sqlite3_bind_text(copy->insert, 1, message->topic, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(copy->insert, 2, (sqlite3_int64)message->offset) != SQLITE_OK ||
        sqlite3_bind_blob64(copy->insert, 3, record->data_size > 0 ? record->data : "", record->data_size, SQLITE_STATIC) !=
            SQLITE_OK ||
        sqlite3_step(copy->insert) != SQLITE_DONE || sqlite3_reset(copy->insert) != SQLITE_OK)
        return database_failed(copy, "insert");
    copy->any = true;
    copy->position = message->position;
    copy->index = message->index;
    copy->records++;
    return TRUC_OK;
}

/* The transaction's end: data and place together. */
static truc_status commit(struct copy *copy, const truc_log_place *log)
{
    if (sqlite3_bind_blob(copy->move, 1, log->log_id, (int)sizeof log->log_id, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(copy->move, 2, (sqlite3_int64)log->generation) != SQLITE_OK ||
        sqlite3_bind_int64(copy->move, 3, (sqlite3_int64)copy->position) != SQLITE_OK ||
        sqlite3_bind_int64(copy->move, 4, (sqlite3_int64)copy->index) != SQLITE_OK || sqlite3_step(copy->move) != SQLITE_DONE ||
        sqlite3_reset(copy->move) != SQLITE_OK || sqlite3_exec(copy->database, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        return database_failed(copy, "commit");
    (void)printf("%lld records\n", (long long)copy->records);
    (void)fflush(stdout);
    return TRUC_OK;
}

/* --- the log ----------------------------------------------------------------------------------------------------------------- */

/* Reads on from the place: a reader begins with whole entries, so that records of its first one may be here already. */
static truc_status open_reader(const struct copy *copy, truc_client *client, const char *pattern, truc_reader **ret_reader)
{
    truc_options *options = NULL;
    char from[40], *why = NULL;
    truc_status status = truc_options_create(&options);

    (void)snprintf(from, sizeof from, "position=%llu", (unsigned long long)copy->position);
    if (status == TRUC_OK)
        status = truc_options_set(options, "from", copy->any ? from : "start");
    if (status == TRUC_OK)
        status = truc_options_set(options, "follow", "yes");
    if (status == TRUC_OK)
        status = truc_reader_open(client, pattern, options, NULL, NULL, NULL, ret_reader, &why);
    if (status != TRUC_OK)
        (void)fail("read", status, why);
    truc_free(why);
    truc_options_destroy(options);
    return status;
}

static bool has(const struct copy *copy, const truc_message *message)
{
    return copy->any &&
           (message->position < copy->position || (message->position == copy->position && message->index <= copy->index));
}

/* One transaction: what is there, at most RECORDS_AT_ONCE, and at least one record. */
static truc_status take_some(struct copy *copy, truc_reader *reader, const truc_log_place *log, long target)
{
    const truc_message *message = NULL;
    truc_status status = TRUC_OK;
    int count = 0;

    if (sqlite3_exec(copy->database, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return database_failed(copy, "begin");
    while (status == TRUC_OK && count < RECORDS_AT_ONCE && copy->records < target) {
        status = truc_reader_pull(reader, count == 0 ? -1 : 0, &message);
        if (status == TRUC_OK && message == NULL)
            status = TRUC_CANCELLED;
        if (status == TRUC_OK && !has(copy, message)) {
            status = take(copy, message);
            count++;
        }
    }
    if (status == TRUC_OK || status == TRUC_TIMED_OUT) /* nothing more for now */
        return commit(copy, log);
    return (truc_status)fail("read", status, NULL);
}

/* What the database says of itself at the end. */
static truc_status count(struct copy *copy)
{
    sqlite3_stmt *select = NULL;
    truc_status status = TRUC_OK;

    if (sqlite3_prepare_v2(copy->database, "SELECT count(*), count(DISTINCT topic || ' ' || offset) FROM record", -1, &select,
                           NULL) != SQLITE_OK ||
        sqlite3_step(select) != SQLITE_ROW)
        status = database_failed(copy, "count");
    else
        (void)printf("in all %lld records, %lld different\n", (long long)sqlite3_column_int64(select, 0),
                     (long long)sqlite3_column_int64(select, 1));
    (void)sqlite3_finalize(select);
    return status;
}

int main(int argc, char **argv)
{
    struct copy copy = {0};
    truc_options *options = NULL;
    truc_client *client = NULL;
    truc_reader *reader = NULL;
    truc_log_place log;
    char *why = NULL;
    long target;
    truc_status status;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: exactly_once URL PATTERN DATABASE RECORDS\n");
        return TRUC_USAGE;
    }
    target = strtol(argv[4], NULL, 10);
    status = truc_options_create(&options);
    if (status == TRUC_OK)
        status = truc_options_set(options, "url", argv[1]);
    if (status != TRUC_OK)
        return fail("options", status, truc_options_error(options));
    status = truc_client_open(options, &client, &why);
    if (status != TRUC_OK)
        return fail("connect", status, why);
    status = truc_client_log(client, &log, NULL);
    if (status == TRUC_OK)
        status = open_database(&copy, argv[3], &log);
    if (status == TRUC_OK)
        status = open_reader(&copy, client, argv[2], &reader);
    while (status == TRUC_OK && copy.records < target)
        status = take_some(&copy, reader, &log, target);
    if (status == TRUC_OK)
        status = count(&copy);
    truc_reader_close(reader);
    close_database(&copy);
    truc_client_close(client);
    truc_options_destroy(options);
    return (int)status;
}
