/* reading.h: one reader of the core's, as the reader pool keeps it: what it asks, and its answers. Layer: main.
 *
 * The pool's mutex guards the fields above `log_reader`; those from it on belong to the worker that has the reading in hand. */
#ifndef TRUC_MAIN_READING_H
#define TRUC_MAIN_READING_H

#include "broker/core/share.h"
#include "broker/log/scan.h"
#include "broker/main/look.h"

enum { SCAN_RECORDS_MAX = 1024 };

enum reading_request { REQUEST_RESOLVE, REQUEST_READ, REQUEST_SCAN, REQUEST_FETCH, REQUEST_LOOK };

enum reading_state { READING_IDLE, READING_QUEUED, READING_RUNNING, READING_HELD /* until its blocks have gone out */ };

struct reading {
    struct reading *next; /* in the pool's queue */
    void *pool;
    enum reading_state state;
    bool closed;
    unsigned unsent;      /* blocks not given back */
    unsigned letters_out; /* of the two */
    unsigned turn;
    struct letter letters[2]; /* a request may be made while the answer before it is still being stepped */
    enum reading_request request;
    uint64_t from, until; /* of READ */
    uint32_t bytes_max, entries_max;
    struct core_scan scan; /* of SCAN; its keys are in keys */
    size_t place_count;    /* of FETCH */

    struct log_reader *log_reader;
    struct log_scanner *log_scanner;
    struct log_fetcher *log_fetcher;
    struct look *look;
    struct log_scan_record *found;   /* SCAN_RECORDS_MAX, what a scan finds */
    struct share_record *records[2]; /* of each letter, as many */
    struct core_entry_ref *refs[2];  /* of each letter, ref_capacity: what entries its data are */
    size_t ref_capacity[2];
    uint64_t *keys;             /* SEARCH_KEYS_MAX; of a scan */
    struct place *places;       /* GRANT_RECORDS_MAX; of a fetch; all owned */
    struct core_read_spec spec; /* its texts are in texts */
    uint8_t texts[];
};

struct reading *reading_create(uint64_t number, const struct core_read_spec *spec); /* NULL: no memory */
void reading_destroy(struct reading *reading);

/* Makes what scans or fetches need. False: no memory, or the pattern is not one. */
bool reading_prepare(struct reading *reading, struct log *log, bool scans);

/* Answers a scan, into a CORE_SCANNED. */
void reading_scan(struct reading *reading, struct letter *letter);

/* Tells what the entries of a letter's data are. TRUC_NO_MEMORY, TRUC_DAMAGED; the letter is then as it was. */
truc_status reading_tell_refs(struct reading *reading, struct letter *letter);

/* What the bounds mean, into a CORE_READ_RESOLVED. */
void reading_resolve(struct reading *reading, struct log *log, struct letter *letter);

#endif
