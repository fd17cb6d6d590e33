/* scan.h: records by their places: which ones are wanted, and then those alone. Layer: log. What shared subscriptions are served
 * from. Threads: as a log_reader; each object by one thread at a time. Nothing above the durable head is ever looked at. */
#ifndef TRUC_LOG_SCAN_H
#define TRUC_LOG_SCAN_H

#include "broker/log/engine.h"

/* --- which: the directory tells, and where a hash is not enough the record itself ------------------------------------------- */

struct log_scanner; /* what it knows of topics, and where it stands; holds no transaction between calls */

struct log_scan_filter {
    struct log_filter filter; /* key and type are exact here: what matches by hash is looked at */
    struct bytes headers;     /* name, zero byte, value, zero byte, repeated; all must be equal. Copied */
};

struct log_scan_record {
    struct place place;
    uint32_t bytes; /* as encoded */
    uint64_t key;   /* hash, 0: none */
    int64_t deliver_at_ns, expires_at_ns;
};

/* TRUC_BAD_PATTERN, TRUC_BAD_SOURCE, TRUC_INVALID_ARGUMENT (key, type or headers are too long or malformed), TRUC_NO_MEMORY. */
truc_status log_scanner_create(struct log *log, const struct log_scan_filter *filter, struct log_scanner **ret_scanner);
void log_scanner_destroy(struct log_scanner *scanner); /* NULL is allowed */

struct log_scan {
    /* in */
    struct place from, until; /* until: exclusive, at most the durable head */
    const uint64_t *keys;     /* ascending hashes: only records with one of them; key_count 0: all */
    size_t key_count;
    struct log_scan_record *records;
    size_t records_max; /* at least 1 */
    /* out */
    size_t count;
    struct place next;   /* all wanted records in [from, next) were given; next == until: that was all */
    uint64_t damaged;    /* entries that cannot be read were passed over: how many, */
    uint64_t damaged_at; /* and the position of the first one */
};

/* Looks on until records_max are found, `until` is reached, or some 64 MiB were looked at. A damaged entry is passed over, and
 * counted; its records are nobody's. Payloads are looked at only where a filter needs it: a damaged one that was not is found by
 * log_fetch. TRUC_IO, TRUC_NO_MEMORY; also on TRUC_OK `why` tells of damage that was passed over, else it is empty. */
truc_status log_scan(struct log_scanner *scanner, struct log_scan *scan, char *why);

/* --- those alone -------------------------------------------------------------------------------------------------------------- */

struct log_fetcher;                                      /* scratch for cutting: the digests of the entry it cut last are kept */
struct log_fetcher *log_fetcher_create(struct log *log); /* NULL when out of memory */
void log_fetcher_destroy(struct log_fetcher *fetcher);   /* NULL is allowed */

struct log_fetch {
    /* in */
    const struct place *places; /* ascending, distinct, below the durable head */
    size_t count;
    uint8_t *out; /* 8-aligned: an entry for each position named, one after the other: whole when all its records are named or it
                   * cannot be cut (evidence `batch`), else cut (proto/cut.h) */
    size_t capacity;
    /* out */
    size_t size;   /* bytes written */
    size_t done;   /* places served; some of a position only when a frame holds no more */
    size_t needed; /* when not 0: the next entry alone needs this capacity, and nothing was written */
};

/* TRUC_OK with done < count: it was full. TRUC_DAMAGED: what was served stands, and places[done] is in an entry that cannot be read
 * (why names it) or that has no such record. TRUC_IO, TRUC_NO_MEMORY. */
truc_status log_fetch(struct log_fetcher *fetcher, struct log_fetch *fetch, char *why);

#endif
