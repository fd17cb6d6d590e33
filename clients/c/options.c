#include "clients/c/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/option_list.h"
#include "proto/limits.h"
#include "proto/topic.h"

struct option_value {
    char *text;
    uint64_t number; /* also of choices */
    int64_t time;
    struct option_bound bound;
};

struct truc_options {
    struct option_value values[OPTION_COUNT];
    char error[256];
};

/* A client's source names a system; a reader's filter may name the agency alone. */
static bool check_source_or_agency(const char *value, const char **ret_why)
{
    struct bytes agency, system;

    return source_filter_split(bytes_of_text(value), &agency, &system, ret_why) == TRUC_OK;
}

static bool check_pattern(const char *value, const char **ret_why)
{
    return pattern_check(bytes_of_text(value), ret_why) == TRUC_OK;
}

#define MS_MAX 86400000u /* a day */

const struct option_row option_table[OPTION_COUNT] = {
    [OPTION_URL] = {"url",
                    "client",
                    OPTION_TEXT,
                    TRUC_URL_DEFAULT,
                    1,
                    255,
                    {0},
                    NULL,
                    "where the broker listens: tcp://HOST:PORT or ipc://PATH"},
    [OPTION_SOURCE] =
        {"source",
         "client, reader or subscription",
         OPTION_TEXT,
         NULL,
         1,
         SOURCE_BYTES_MAX,
         {0},
         check_source_or_agency,
         "client: who publishes, AGENCY/SYSTEM (local/dev when not given); else only records of this agency or AGENCY/SYSTEM"},
    [OPTION_DOMAIN] =
        {"domain", "client", OPTION_TEXT, NULL, 1, DOMAIN_BYTES_MAX, {0}, NULL, "the domain expected; any when not given"},
    [OPTION_CONNECT_TIMEOUT_MS] = {"connect_timeout_ms",
                                   "client",
                                   OPTION_NUMBER,
                                   "10000",
                                   0,
                                   MS_MAX,
                                   {0},
                                   NULL,
                                   "how long truc_client_open tries; 0: one attempt"},
    [OPTION_REQUEST_TIMEOUT_MS] = {"request_timeout_ms",
                                   "client",
                                   OPTION_NUMBER,
                                   "30000",
                                   1,
                                   MS_MAX,
                                   {0},
                                   NULL,
                                   "how long a blocking request, or the opening of a producer or reader, may take"},
    [OPTION_RECONNECT_MIN_MS] = {"reconnect_min_ms",
                                 "client",
                                 OPTION_NUMBER,
                                 "50",
                                 1,
                                 MS_MAX,
                                 {0},
                                 NULL,
                                 "first pause before connecting again; it doubles up to reconnect_max_ms"},
    [OPTION_RECONNECT_MAX_MS] =
        {"reconnect_max_ms", "client", OPTION_NUMBER, "5000", 1, MS_MAX, {0}, NULL, "longest pause before connecting again"},
    [OPTION_MEMORY_FILE] =
        {"memory_file",
         "client",
         OPTION_TEXT,
         NULL,
         1,
         4000,
         {0},
         NULL,
         "file that remembers the highest acknowledged place across runs, so that a log that went back is noticed"},
    [OPTION_NAME] = {"name",
                     "producer",
                     OPTION_TEXT,
                     NULL,
                     1,
                     PRODUCER_NAME_BYTES_MAX,
                     {0},
                     NULL,
                     "name of the producer within its source; its sequences never expire. Unnamed: they end with the session"},
    [OPTION_BATCH_BYTES] = {"batch_bytes",
                            "producer",
                            OPTION_NUMBER,
                            "262144",
                            1,
                            BATCH_RAW_BYTES_MAX,
                            {0},
                            NULL,
                            "a batch closes when it holds this many bytes; one record may be larger"},
    [OPTION_BATCH_RECORDS] = {"batch_records",
                              "producer",
                              OPTION_NUMBER,
                              "65535",
                              1,
                              BATCH_RECORDS_MAX,
                              {0},
                              NULL,
                              "a batch closes when it holds this many records"},
    [OPTION_LINGER_US] = {"linger_us",
                          "producer",
                          OPTION_NUMBER,
                          "1000",
                          0,
                          60000000,
                          {0},
                          NULL,
                          "how long a batch waits for more records; 0: it closes as soon as nothing of its topic is in flight"},
    [OPTION_QUEUE_BYTES] = {"queue_bytes",
                            "producer",
                            OPTION_NUMBER,
                            "67108864",
                            65536,
                            UINT64_C(1) << 40,
                            {0},
                            NULL,
                            "memory for records that wait for their delivery; one record always fits"},
    [OPTION_QUEUE_FULL] = {"queue_full",
                           "producer",
                           OPTION_CHOICE,
                           "block",
                           0,
                           0,
                           {"block", "error"},
                           NULL,
                           "what truc_publish does when queue_bytes are used up: wait, or return TRUC_QUEUE_FULL"},
    [OPTION_CODEC] = {"codec",
                      "producer, requester or server",
                      OPTION_CHOICE,
                      "none",
                      0,
                      0,
                      {"none", "lz4", "zstd"},
                      NULL,
                      "compression of batches"},
    [OPTION_EVIDENCE] = {"evidence",
                         "producer, requester or server",
                         OPTION_CHOICE,
                         "topic",
                         0,
                         0,
                         {"topic", "record", "batch"},
                         NULL,
                         "evidence level wished for new topics; topic: what the topic has"},
    [OPTION_OUTBOX] = {"outbox",
                       "producer",
                       OPTION_TEXT,
                       NULL,
                       1,
                       3900,
                       {0},
                       NULL,
                       "directory that keeps what is not acknowledged across crashes of the process; needs a name"},
    [OPTION_DELIVERY_TIMEOUT_MS] =
        {"delivery_timeout_ms",
         "producer",
         OPTION_NUMBER,
         "0",
         0,
         0x7fffffff,
         {0},
         NULL,
         "a record that is not acknowledged after this time is reported TRUC_TIMED_OUT; 0: it is tried for ever"},
    [OPTION_IN_FLIGHT] = {"in_flight",
                          "producer or requester",
                          OPTION_NUMBER,
                          "16",
                          1,
                          65536,
                          {0},
                          NULL,
                          "producer: batches of a topic that may wait for their acknowledgement at once, at most what the broker "
                          "grants; requester: requests without a reply (1000 when not given)"},
    [OPTION_FROM] =
        {"from",
         "reader",
         OPTION_BOUND,
         NULL,
         0,
         0,
         {0},
         NULL,
         "where reading begins: start, head, position=N, offset=N, time_ns=N; when not given the start (reverse: the head)"},
    [OPTION_UNTIL] = {"until",
                      "reader",
                      OPTION_BOUND,
                      NULL,
                      0,
                      0,
                      {0},
                      NULL,
                      "where reading ends, exclusive (reverse: inclusive); when not given the head as it was when reading began "
                      "(reverse: the start)"},
    [OPTION_FOLLOW] = {"follow", "reader", OPTION_YES_NO, "no", 0, 0, {0}, NULL, "go on with what is published later"},
    [OPTION_REVERSE] = {"reverse", "reader", OPTION_YES_NO, "no", 0, 0, {0}, NULL, "last record first"},
    [OPTION_KEY] =
        {"key", "reader or subscription", OPTION_TEXT, NULL, 1, RECORD_KEY_BYTES_MAX, {0}, NULL, "only records with this key"},
    [OPTION_TYPE] =
        {"type", "reader or subscription", OPTION_TEXT, NULL, 1, RECORD_TYPE_BYTES_MAX, {0}, NULL, "only records of this type"},
    [OPTION_EVENT_SINCE_NS] =
        {"event_since_ns", "reader", OPTION_TIME, NULL, 0, 0, {0}, NULL, "only records whose own time is at or after this"},
    [OPTION_EVENT_UNTIL_NS] =
        {"event_until_ns", "reader", OPTION_TIME, NULL, 0, 0, {0}, NULL, "only records whose own time is before this"},
    [OPTION_LIMIT] = {"limit", "reader", OPTION_NUMBER, "0", 0, UINT64_MAX, {0}, NULL, "end after this many records; 0: no limit"},
    [OPTION_CREDIT_BYTES] = {"credit_bytes",
                             "reader or ordered worker",
                             OPTION_NUMBER,
                             "4194304",
                             65536,
                             1u << 30,
                             {0},
                             NULL,
                             "bytes that the broker may send ahead of what was consumed; bounds the memory"},
    [OPTION_VERIFY] =
        {"verify", "reader or worker", OPTION_YES_NO, "yes", 0, 0, {0}, NULL, "check every digest; no: only structure"},
    [OPTION_PATTERN] =
        {"pattern", "subscription", OPTION_TEXT, NULL, 1, TOPIC_BYTES_MAX, {0}, check_pattern, "topic or pattern; must be given"},
    [OPTION_MODE] = {"mode",
                     "subscription",
                     OPTION_CHOICE,
                     "shared",
                     0,
                     0,
                     {"shared", "ordered"},
                     NULL,
                     "shared: records are leased to many workers; ordered: all records in log order to one"},
    [OPTION_START] =
        {"start",
         "subscription",
         OPTION_BOUND,
         NULL,
         0,
         0,
         {"new"},
         NULL,
         "where it begins: new (what comes from now on, when not given), start, head, position=N, offset=N, time_ns=N"},
    [OPTION_HEADERS] = {"headers",
                        "subscription",
                        OPTION_TEXT,
                        NULL,
                        3,
                        SUBSCRIPTION_HEADERS_BYTES_MAX,
                        {0},
                        headers_check,
                        "only records with all of these headers: NAME=VALUE;NAME=VALUE"},
    [OPTION_ACK_WAIT_MS] = {"ack_wait_ms",
                            "shared subscription",
                            OPTION_NUMBER,
                            "30000",
                            1,
                            DELAY_MS_MAX,
                            {0},
                            NULL,
                            "a lease that is not settled or extended in this time lapses: the record is given again"},
    [OPTION_ATTEMPTS] = {"attempts",
                         "shared subscription",
                         OPTION_NUMBER,
                         "5",
                         0,
                         1000000,
                         {0},
                         NULL,
                         "a record that failed so often is dead; 0: it is tried without limit"},
    [OPTION_IN_FLIGHT_RECORDS] = {"in_flight_records",
                                  "shared subscription",
                                  OPTION_NUMBER,
                                  "10000",
                                  1,
                                  1000000,
                                  {0},
                                  NULL,
                                  "records that may be leased at once, over all workers"},
    [OPTION_BACKOFF_MS] =
        {"backoff_ms",
         "shared subscription",
         OPTION_TEXT,
         NULL,
         1,
         88,
         {0},
         backoffs_check,
         "pauses after the 1st, 2nd, ... failed attempt, as 100,1000,10000; the last repeats; at once when not given"},
    [OPTION_CREDIT] = {"credit",
                       "shared worker or server",
                       OPTION_NUMBER,
                       "1000",
                       1,
                       65536,
                       {0},
                       NULL,
                       "records that it may hold at once, given to it and not settled"},
    [OPTION_KEY_RUN] = {"key_run",
                        "shared worker",
                        OPTION_NUMBER,
                        "1000",
                        1,
                        1024,
                        {0},
                        NULL,
                        "records of one key that the worker may hold at once; the application gets them one by one"},
    [OPTION_THREADS] = {"threads", "server", OPTION_NUMBER, "4", 1, 256, {0}, NULL, "requests that are served at once"},
};

truc_status truc_options_create(truc_options **ret_options)
{
    truc_options *options;

    if (ret_options == NULL)
        return TRUC_INVALID_ARGUMENT;
    options = calloc(1, sizeof *options);
    if (options == NULL)
        return TRUC_NO_MEMORY;
    *ret_options = options;
    return TRUC_OK;
}

void truc_options_destroy(truc_options *options)
{
    if (options == NULL)
        return;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        free(options->values[i].text);
    free(options);
}

const char *truc_options_error(const truc_options *options)
{
    return options == NULL ? "" : options->error;
}

__attribute__((format(printf, 2, 3))) static truc_status refuse(truc_options *options, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 loses va_start when it inlines this */
    (void)vsnprintf(options->error, sizeof options->error, format, arguments);
    va_end(arguments);
    return TRUC_INVALID_ARGUMENT;
}

static bool parse_unsigned(const char *text, uint64_t *ret_number)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_signed(const char *text, int64_t *ret_number)
{
    char *end = NULL;

    if (!((text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] >= '0' && text[1] <= '9')))
        return false;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

bool option_bound_parse(enum option_id id, const char *text, struct option_bound *ret_bound)
{
    const char *head = option_table[id].choices[0];
    struct option_bound bound = {0};
    bool good = true;

    if (head != NULL && strcmp(text, head) == 0) {
        bound.kind = BOUND_AT_HEAD;
    } else if (strcmp(text, "start") == 0) {
        bound.kind = BOUND_AT_START;
    } else if (strcmp(text, "head") == 0) {
        bound.kind = BOUND_AT_HEAD;
    } else if (strncmp(text, "position=", 9) == 0) {
        bound.kind = BOUND_AT_POSITION;
        good = parse_unsigned(text + 9, &bound.value);
    } else if (strncmp(text, "offset=", 7) == 0) {
        bound.kind = BOUND_AT_OFFSET;
        good = parse_unsigned(text + 7, &bound.value);
    } else if (strncmp(text, "time_ns=", 8) == 0) {
        bound.kind = BOUND_AT_TIME;
        good = parse_signed(text + 8, &bound.time_ns);
    } else {
        good = false;
    }
    if (good)
        *ret_bound = bound;
    return good;
}

/* Fills parsed from the text by the row's type. */
static truc_status parse_value(truc_options *options, const struct option_row *row, const char *text, struct option_value *parsed)
{
    const char *why = NULL;
    size_t choice = 0;

    switch (row->type) {
    case OPTION_TEXT:
        if (strlen(text) < row->minimum || strlen(text) > row->maximum)
            return refuse(options, "%s: a text of %llu to %llu bytes is expected", row->name, (unsigned long long)row->minimum,
                          (unsigned long long)row->maximum);
        if (row->check != NULL && !row->check(text, &why))
            return refuse(options, "%s: '%s': %s", row->name, text, why);
        return TRUC_OK;
    case OPTION_NUMBER:
        if (!parse_unsigned(text, &parsed->number) || parsed->number < row->minimum || parsed->number > row->maximum)
            return refuse(options, "%s: a number from %llu to %llu is expected, not '%s'", row->name,
                          (unsigned long long)row->minimum, (unsigned long long)row->maximum, text);
        return TRUC_OK;
    case OPTION_TIME:
        if (!parse_signed(text, &parsed->time))
            return refuse(options, "%s: nanoseconds since 1970-01-01T00:00:00Z are expected, not '%s'", row->name, text);
        return TRUC_OK;
    case OPTION_CHOICE:
        while (row->choices[choice] != NULL && strcmp(row->choices[choice], text) != 0)
            choice++;
        if (row->choices[choice] == NULL)
            return refuse(options, "%s: one of %s, %s%s%s is expected, not '%s'", row->name, row->choices[0], row->choices[1],
                          row->choices[2] != NULL ? ", " : "", row->choices[2] != NULL ? row->choices[2] : "", text);
        parsed->number = choice;
        return TRUC_OK;
    case OPTION_YES_NO:
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
            return refuse(options, "%s: yes or no is expected, not '%s'", row->name, text);
        parsed->number = text[0] == 'y';
        return TRUC_OK;
    case OPTION_BOUND:
        if (!option_bound_parse((enum option_id)(row - option_table), text, &parsed->bound))
            return refuse(options, "%s: %s%sstart, head, position=N, offset=N or time_ns=N is expected, not '%s'", row->name,
                          row->choices[0] != NULL ? row->choices[0] : "", row->choices[0] != NULL ? ", " : "", text);
        return TRUC_OK;
    }
    return TRUC_INTERNAL;
}

truc_status truc_options_set(truc_options *options, const char *name, const char *value)
{
    struct option_value parsed = {0};
    truc_status status;
    size_t id = 0;

    if (options == NULL)
        return TRUC_INVALID_ARGUMENT;
    if (name == NULL || value == NULL)
        return refuse(options, "name and value must be given");
    while (id < OPTION_COUNT && strcmp(option_table[id].name, name) != 0)
        id++;
    if (id == OPTION_COUNT)
        return refuse(options, "there is no option '%s'", name);
    status = parse_value(options, &option_table[id], value, &parsed);
    if (status != TRUC_OK)
        return status;
    parsed.text = strdup(value);
    if (parsed.text == NULL)
        return TRUC_NO_MEMORY;
    free(options->values[id].text);
    options->values[id] = parsed;
    options->error[0] = '\0';
    return TRUC_OK;
}

static const struct option_value *value_of(const truc_options *options, enum option_id id)
{
    return options != NULL && options->values[id].text != NULL ? &options->values[id] : NULL;
}

const char *option_text(const truc_options *options, enum option_id id)
{
    const struct option_value *value = value_of(options, id);

    return value != NULL ? value->text : option_table[id].default_text;
}

uint64_t option_number(const truc_options *options, enum option_id id)
{
    const struct option_row *row = &option_table[id];
    const struct option_value *value = value_of(options, id);
    uint64_t number = 0;

    if (value != NULL)
        return value->number;
    if (row->type == OPTION_NUMBER)
        (void)parse_unsigned(row->default_text, &number);
    else if (row->type == OPTION_YES_NO)
        number = row->default_text[0] == 'y';
    /* The default of every choice is its first one. */
    return number;
}

int64_t option_time(const truc_options *options, enum option_id id)
{
    const struct option_value *value = value_of(options, id);

    return value != NULL ? value->time : 0;
}

struct option_bound option_bound(const truc_options *options, enum option_id id)
{
    const struct option_value *value = value_of(options, id);

    return value != NULL ? value->bound : (struct option_bound){0};
}

bool option_given(const truc_options *options, enum option_id id)
{
    return value_of(options, id) != NULL;
}
