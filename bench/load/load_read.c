#include "bench/load/lane.h"

#include <stdio.h>
#include <string.h>

enum { ROUND_MS = 600000 };

struct reading {
    struct load_window *window;
    uint64_t records, seen;
    volatile uint8_t sink; /* the payload is looked at, as an application would */
    bool latencies;
    struct histogram *latency;
    truc_status end_status;
    char why[256];
};

static truc_status on_message(void *context, const truc_message *messages, size_t count)
{
    struct reading *reading = context;
    uint64_t now_ns = load_now_ns();
    bool counts = load_window_counts(reading->window, now_ns);
    for (size_t i = 0; i < count; i++) {
        const truc_record *record = &messages[i].record;
        reading->sink = record->data_size ? ((const uint8_t *)record->data)[0] : 0;
        if (reading->latencies && counts && record->data_size >= sizeof(uint64_t)) {
            uint64_t due_ns;
            memcpy(&due_ns, record->data, sizeof due_ns);
            if (due_ns && due_ns < now_ns)
                histogram_add(reading->latency, now_ns - due_ns);
        }
    }
    reading->seen += count;
    if (counts)
        reading->records += count;
    /* past the window a following reader is closed by its owner; a bounded one need not read on */
    return !reading->latencies && load_window_over(reading->window, now_ns) ? TRUC_CANCELLED : TRUC_OK;
}

static void on_end(void *context, truc_status status, const char *why, uint64_t next_position)
{
    struct reading *reading = context;
    (void)next_position;
    reading->end_status = status;
    snprintf(reading->why, sizeof reading->why, "%s", why ? why : "");
}

static truc_status reader_open(truc_client *client, const struct load_spec *spec, bool follow, struct reading *reading,
                               truc_reader **ret_reader, char why[256])
{
    truc_options *options = NULL;
    char pattern[300], *error = NULL;
    truc_status status = truc_options_create(&options);
    snprintf(pattern, sizeof pattern, spec->topics > 1 ? "%s.>" : "%s", spec->topic);
    if (status == TRUC_OK && spec->verify)
        status = truc_options_set(options, "verify", spec->verify);
    if (status == TRUC_OK)
        status = truc_options_set(options, "from", follow ? "head" : "start");
    if (status == TRUC_OK && follow)
        status = truc_options_set(options, "follow", "yes");
    if (status == TRUC_OK)
        status = truc_reader_open(client, spec->pattern ? spec->pattern : pattern, options, on_message, on_end, reading, ret_reader,
                                  &error);
    if (status != TRUC_OK)
        snprintf(why, 256, "%s", error ? error : options ? truc_options_error(options) : truc_status_text(status));
    truc_free(error);
    truc_options_destroy(options);
    return status;
}

/* One pass over the log. */
static truc_status read_once(truc_client *client, const struct load_spec *spec, struct reading *reading, char why[256])
{
    truc_reader *reader = NULL;
    uint64_t before = reading->seen;
    truc_status status = reader_open(client, spec, false, reading, &reader, why);
    if (status != TRUC_OK)
        return status;
    status = truc_reader_wait(reader, ROUND_MS);
    truc_reader_close(reader);
    if (status == TRUC_OK)
        status = reading->end_status;
    if (status == TRUC_CANCELLED)
        return TRUC_OK;
    if (status == TRUC_OK && reading->seen == before) {
        snprintf(why, 256, "there is nothing to read");
        return TRUC_NOT_FOUND;
    }
    if (status != TRUC_OK)
        snprintf(why, 256, "%s", reading->why[0] ? reading->why : truc_status_text(status));
    return status;
}

truc_status load_read(const struct load_spec *spec, struct load_result *ret_result)
{
    struct load_window window = {.end_ns = UINT64_MAX};
    struct reading reading = {.window = &window};
    truc_client *client = NULL;
    truc_status status;
    status = load_begin(spec, &client, ret_result);
    if (status != TRUC_OK)
        return status;
    load_window_start(&window, spec);
    while (status == TRUC_OK && !load_window_over(&window, load_now_ns()))
        status = read_once(client, spec, &reading, ret_result->why);
    ret_result->records = reading.records;
    truc_client_close(client);
    return status;
}

truc_status load_e2e(const struct load_spec *spec, struct load_result *ret_result)
{
    struct load_window window = {.end_ns = UINT64_MAX};
    static struct load_result publishing;
    struct reading reading = {.window = &window, .latencies = true, .latency = &ret_result->latency};
    truc_client *client = NULL;
    truc_reader *reader = NULL;
    *ret_result = (struct load_result){.seconds = spec->seconds_s};
    truc_status status = lane_client_open(spec, &client, ret_result->why);
    if (status != TRUC_OK)
        return status;
    status = reader_open(client, spec, true, &reading, &reader, ret_result->why);
    if (status == TRUC_OK) {
        load_window_start(&window, spec);
        status = load_publish(spec, &publishing);
        ret_result->failures = publishing.failures;
        if (status != TRUC_OK || publishing.failures)
            memcpy(ret_result->why, publishing.why, sizeof ret_result->why);
        truc_reader_close(reader);
    }
    ret_result->records = reading.records;
    truc_client_close(client);
    return status;
}
