/* ledger.h: what the programs of the crash test share: records that prove themselves, and a ledger outside of Truc.
 *
 * Layer: tests; libtruc only. Record number n of a producer in a topic has bytes that anyone can compute again, so a record that
 * was lost, doubled, moved or altered is found by looking at the log alone. A ledger is a text file of whole lines:
 *
 *   # start             a process begins (and ends a line that a kill cut short)
 *   Q topic n           accepted into the outbox
 *   A topic n position index offset   acknowledged; on disk (fdatasync) before anything that follows
 *   D topic n           acknowledged as a duplicate whose place is no longer known
 *   S position index topic offset hash   seen by a reader
 *   G, T, N, J, K position index time   of a worker: see share.py
 *   E text              something that must never be
 */
#ifndef TRUC_TESTS_CRASH_LEDGER_H
#define TRUC_TESTS_CRASH_LEDGER_H

#include "clients/c/truc.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOPIC_COUNT = 4, RECORD_BYTES_LIMIT = 2048 };
extern const char *const ledger_topics[TOPIC_COUNT];

/* Index of a topic, or TOPIC_COUNT. */
size_t ledger_topic_index(const char *topic);

/* Writes the bytes of a record; returns their number. */
size_t record_fill(uint8_t out[RECORD_BYTES_LIMIT], const char *producer, size_t topic, uint64_t number);

/* Whose record it is, from its bytes; false when they are not what that producer would have written there. */
bool record_read(const void *data, size_t size, size_t topic, char producer[64], uint64_t *ret_number);

/* --- the file -------------------------------------------------------------------------------------------------------------- */

/* What an earlier process of the same ledger left: per topic one more than the highest number of a line's kind. */
struct ledger_past {
    uint64_t accepted[TOPIC_COUNT], acknowledged[TOPIC_COUNT];
    bool seen;
    uint64_t seen_position; /* of the last whole S line */
};

/* Opens, reads the past, writes the start line. Exits the program when it cannot: there is no test without it. */
int ledger_open(const char *path, struct ledger_past *ret_past);

/* Appends text. durable: on disk when it returns. Exits the program on failure. */
void ledger_write(int fd, const char *text, size_t size, bool durable);

/* An E line, also to stderr. */
void ledger_error(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- the programs ------------------------------------------------------------------------------------------------------------ */

struct ledger_options {
    const char *url, *name, *ledger, *outbox, *out;
    uint64_t rate; /* records a second */
};

/* Set by SIGTERM: finish what is under way and exit. */
extern volatile sig_atomic_t ledger_stop;

/* Connects, however often it takes; NULL when told to stop meanwhile. */
truc_client *ledger_connect(const struct ledger_options *options);

/* A pause that SIGTERM ends. */
void ledger_pause(unsigned ms);

/* truc_options_set; exits the program when it fails. */
void ledger_set(truc_options *options, const char *name, const char *value);

int ledger_produce(const struct ledger_options *options);
int ledger_drain(const struct ledger_options *options);
int ledger_follow(const struct ledger_options *options);
int ledger_work(const struct ledger_options *options);
int ledger_dump(const struct ledger_options *options);

#endif
