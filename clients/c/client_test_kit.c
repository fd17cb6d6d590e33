#undef NDEBUG
#include "clients/c/client_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/entry.h"
#include "proto/record.h"

struct ledger *ledger_create(void)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    assert_non_null(ledger);
    (void)pthread_mutex_init(&ledger->lock, NULL);
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    (void)pthread_mutex_destroy(&ledger->lock);
    free(ledger);
}

void ledger_on_delivery(void *context, const truc_delivery *deliveries, size_t count)
{
    struct ledger *ledger = context;

    (void)pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < count && ledger->count < LEDGER_MAX; i++) {
        ledger->numbers[ledger->count] = (uint64_t)(uintptr_t)deliveries[i].opaque;
        ledger->offsets[ledger->count] = deliveries[i].offset;
        ledger->statuses[ledger->count++] = deliveries[i].status;
    }
    (void)pthread_mutex_unlock(&ledger->lock);
}

size_t ledger_count(struct ledger *ledger, truc_status status)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < ledger->count; i++)
        count += ledger->statuses[i] == status;
    (void)pthread_mutex_unlock(&ledger->lock);
    return count;
}

static truc_options *options_from(const char *name, va_list arguments)
{
    truc_options *options = NULL;

    assert_int_equal(truc_options_create(&options), TRUC_OK);
    for (; name != NULL; name = va_arg(arguments, const char *)) {
        const char *value = va_arg(arguments, const char *);

        if (truc_options_set(options, name, value) != TRUC_OK)
            fail_msg("%s", truc_options_error(options));
    }
    return options;
}

truc_options *kit_options(const char *name, ...)
{
    va_list arguments;
    truc_options *options;

    va_start(arguments, name);
    options = options_from(name, arguments);
    va_end(arguments);
    return options;
}

truc_client *kit_client(const char *url, ...)
{
    va_list arguments;
    truc_options *options;
    truc_client *client = NULL;
    char *why = NULL;

    va_start(arguments, url);
    options = options_from(va_arg(arguments, const char *), arguments);
    va_end(arguments);
    assert_int_equal(truc_options_set(options, "url", url), TRUC_OK);
    assert_int_equal(truc_options_set(options, "reconnect_min_ms", "1"), TRUC_OK);
    assert_int_equal(truc_options_set(options, "reconnect_max_ms", "20"), TRUC_OK);
    if (truc_client_open(options, &client, &why) != TRUC_OK)
        fail_msg("client: %s", why);
    truc_options_destroy(options);
    return client;
}

truc_producer *kit_producer(truc_client *client, struct ledger *ledger, ...)
{
    va_list arguments;
    truc_options *options;
    truc_producer *producer = NULL;
    char *why = NULL;

    va_start(arguments, ledger);
    options = options_from(va_arg(arguments, const char *), arguments);
    va_end(arguments);
    if (truc_producer_open(client, options, ledger != NULL ? ledger_on_delivery : NULL, ledger, &producer, &why) != TRUC_OK)
        fail_msg("producer: %s", why);
    truc_options_destroy(options);
    return producer;
}

void kit_publish(truc_producer *producer, const char *topic, uint64_t first, uint64_t last, size_t size, uint64_t bad_every)
{
    uint8_t *data = calloc(1, size);

    assert_non_null(data);
    for (uint64_t number = first; number < last; number++) {
        truc_record record = TRUC_RECORD_INIT;
        truc_status status;

        memcpy(data, &number, sizeof number);
        record.data = data;
        record.data_size = size;
        if (bad_every != 0 && number % bad_every == bad_every - 1)
            record.key = (truc_text){"the-bad-one", 11};
        status = truc_publish(producer, topic, &record, (void *)(uintptr_t)number);
        if (status != TRUC_OK)
            fail_msg("publish %llu: %s", (unsigned long long)number, truc_status_name(status));
    }
    free(data);
}

size_t kit_stored(struct fake_broker *broker, const char *topic, uint64_t *ret_numbers, size_t capacity)
{
    uint8_t *scratch = NULL;
    size_t scratch_capacity = 0, count = 0;
    uint64_t last = 0;

    fake_broker_lock(broker);
    for (size_t i = 0; i < broker->entry_count; i++) {
        struct reader served = reader_over(bytes_of(broker->entries[i].bytes, broker->entries[i].size)), records;
        struct entry_view view;
        struct batch_view batch;
        struct bytes raw, encoded;
        struct record_view record;
        truc_status status;

        if (strcmp(broker->entries[i].topic, topic) != 0)
            continue;
        assert_true(entry_served_next(&served, &view, &status));
        assert_int_equal(batch_parse(view.batch, &batch, NULL), TRUC_OK);
        assert_int_equal(batch_raw(&batch, &scratch, &scratch_capacity, &raw), TRUC_OK);
        records = reader_over(raw);
        while (records_next(&records, &encoded, &status)) {
            uint64_t number;

            assert_int_equal(record_parse(encoded, &record, NULL), TRUC_OK);
            assert_true(record.data.size >= sizeof number);
            memcpy(&number, record.data.data, sizeof number);
            if (count > 0 && number <= last)
                fail_msg("number %llu stands behind %llu", (unsigned long long)number, (unsigned long long)last);
            last = number;
            if (count < capacity && ret_numbers != NULL)
                ret_numbers[count] = number;
            count++;
        }
    }
    fake_broker_unlock(broker);
    free(scratch);
    return count;
}

void kit_assert_stored(struct fake_broker *broker, const char *topic, uint64_t count)
{
    uint64_t *numbers = calloc(count + 1, sizeof *numbers);

    assert_non_null(numbers);
    assert_int_equal(kit_stored(broker, topic, numbers, count), count);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(numbers[i], i);
    free(numbers);
}
