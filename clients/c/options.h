/* options.h: the options of everything that is opened with options: one table is parser, ranges, defaults and manual.
 *
 * Layer: libtruc. A truc_options belongs to one thread at a time; the objects opened with it copy what they need. */
#ifndef TRUC_CLIENT_OPTIONS_H
#define TRUC_CLIENT_OPTIONS_H

#include "clients/c/truc.h"

enum option_id {
    OPTION_URL,
    OPTION_SOURCE,
    OPTION_DOMAIN,
    OPTION_CONNECT_TIMEOUT_MS,
    OPTION_REQUEST_TIMEOUT_MS,
    OPTION_RECONNECT_MIN_MS,
    OPTION_RECONNECT_MAX_MS,
    OPTION_MEMORY_FILE,
    OPTION_NAME,
    OPTION_BATCH_BYTES,
    OPTION_BATCH_RECORDS,
    OPTION_LINGER_US,
    OPTION_QUEUE_BYTES,
    OPTION_QUEUE_FULL,
    OPTION_CODEC,
    OPTION_EVIDENCE,
    OPTION_OUTBOX,
    OPTION_DELIVERY_TIMEOUT_MS,
    OPTION_IN_FLIGHT,
    OPTION_FROM,
    OPTION_UNTIL,
    OPTION_FOLLOW,
    OPTION_REVERSE,
    OPTION_KEY,
    OPTION_TYPE,
    OPTION_EVENT_SINCE_NS,
    OPTION_EVENT_UNTIL_NS,
    OPTION_LIMIT,
    OPTION_CREDIT_BYTES,
    OPTION_VERIFY,
    OPTION_PATTERN,
    OPTION_MODE,
    OPTION_START,
    OPTION_HEADERS,
    OPTION_ACK_WAIT_MS,
    OPTION_ATTEMPTS,
    OPTION_IN_FLIGHT_RECORDS,
    OPTION_BACKOFF_MS,
    OPTION_CREDIT,
    OPTION_KEY_RUN,
    OPTION_THREADS,
    OPTION_COUNT
};

enum option_type { OPTION_TEXT, OPTION_NUMBER, OPTION_TIME, OPTION_CHOICE, OPTION_YES_NO, OPTION_BOUND };

/* Values of choices, in the order of the table. */
enum { QUEUE_FULL_BLOCK, QUEUE_FULL_ERROR };
enum { EVIDENCE_CHOICE_TOPIC, EVIDENCE_CHOICE_RECORD, EVIDENCE_CHOICE_BATCH };
enum { MODE_CHOICE_SHARED, MODE_CHOICE_ORDERED };

struct option_row {
    const char *name;
    const char *scope; /* whose option it is */
    enum option_type type;
    const char *default_text;                               /* NULL: none */
    uint64_t minimum, maximum;                              /* of a number, or of a text's size */
    const char *choices[4];                                 /* of a bound: the first is another word for head */
    bool (*check)(const char *value, const char **ret_why); /* NULL: none */
    const char *help;
};
extern const struct option_row option_table[OPTION_COUNT];

/* Where a reader begins or ends, or a subscription begins. */
enum bound_kind { BOUND_ABSENT, BOUND_AT_START, BOUND_AT_HEAD, BOUND_AT_POSITION, BOUND_AT_OFFSET, BOUND_AT_TIME };
struct option_bound {
    enum bound_kind kind;
    uint64_t value;
    int64_t time_ns;
};

/* Values as set, or the defaults; options may be NULL: all defaults. */
const char *option_text(const truc_options *options, enum option_id id); /* NULL: not set and no default */
uint64_t option_number(const truc_options *options, enum option_id id);  /* also choices and yes/no */
int64_t option_time(const truc_options *options, enum option_id id);     /* 0: not set */
struct option_bound option_bound(const truc_options *options, enum option_id id);
bool option_given(const truc_options *options, enum option_id id); /* not by default */

/* Reads a bound by an option's rules, outside of any truc_options. */
bool option_bound_parse(enum option_id id, const char *text, struct option_bound *ret_bound);

#endif
