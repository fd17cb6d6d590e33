#include "clients/cli/pub_record.h"

#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

static truc_status check_text(struct pub_record *record, const char *option, const char *text, size_t bytes_max,
                              truc_text *ret_text)
{
    size_t size = strlen(text);
    if (!utf8_valid(bytes_of(text, size))) {
        return cli_error(record->context, TRUC_BAD_RECORD, "--%s is not valid UTF-8", option);
    }
    if (size > bytes_max) {
        return cli_error(record->context, TRUC_BAD_RECORD, "--%s is %zu bytes long; %zu are allowed", option, size, bytes_max);
    }
    *ret_text = (truc_text){text, size};
    return TRUC_OK;
}

static truc_status fill_headers(struct pub_record *record)
{
    const struct cli_list *list = &record->given->headers;
    if (list->count == 0) {
        return TRUC_OK;
    }
    if (list->count > RECORD_HEADERS_MAX) {
        return cli_error(record->context, TRUC_BAD_RECORD, "%zu headers; a record holds at most %d", list->count,
                         RECORD_HEADERS_MAX);
    }
    record->headers = calloc(list->count, sizeof *record->headers);
    if (record->headers == NULL) {
        return cli_error(record->context, TRUC_NO_MEMORY, "the headers");
    }
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        truc_text whole;
        if (equals == NULL || equals == list->items[i]) {
            return cli_error(record->context, TRUC_USAGE, "--header takes NAME=VALUE, not '%s'", list->items[i]);
        }
        truc_status status = check_text(record, "header", list->items[i], 2 * RECORD_TEXT_BYTES_MAX, &whole);
        if (status != TRUC_OK) {
            return status;
        }
        record->headers[i].name = (truc_text){whole.data, (size_t)(equals - whole.data)};
        status = check_text(record, "header", equals + 1, RECORD_TEXT_BYTES_MAX, &record->headers[i].value);
        if (status != TRUC_OK) {
            return status;
        }
        if (record->headers[i].name.size > RECORD_TEXT_BYTES_MAX) {
            return cli_error(record->context, TRUC_BAD_RECORD, "--header: a name is longer than %d bytes", RECORD_TEXT_BYTES_MAX);
        }
    }
    record->record.headers = record->headers;
    record->record.header_count = list->count;
    return TRUC_OK;
}

static truc_status fill_key_and_id(struct pub_record *record)
{
    const struct pub_options *given = record->given;
    if (given->key != NULL) {
        const char *why = "";
        size_t size = 0;
        truc_status status = cli_key_normalise(bytes_of_text(given->key), &record->key, &size, &why);
        if (status != TRUC_OK) {
            return cli_error(record->context, status, "--key: %s", why);
        }
        record->record.key = (truc_text){record->key, size};
    }
    if (given->id != NULL) {
        size_t size = 0;
        if (given->lines) {
            return cli_error(record->context, TRUC_USAGE, "--id names one record and cannot stand with --lines");
        }
        if (cli_id_parse(given->id, record->id, &size) != TRUC_OK) {
            return cli_error(record->context, TRUC_USAGE, "--id takes a UUID, hex:DIGITS or a text of at most %d bytes",
                             RECORD_ID_BYTES_MAX);
        }
        record->record.id = (truc_text){(const char *)record->id, size};
    }
    return TRUC_OK;
}

static truc_status fill_how(struct pub_record *record)
{
    const struct pub_options *given = record->given;
    if (given->together && (given->deliver_at.given || given->expect_offset.given)) {
        return cli_error(record->context, TRUC_USAGE, "--%s cannot stand with --together",
                         given->deliver_at.given ? "deliver-at" : "expect-offset");
    }
    if (given->expect_offset.given && given->lines) {
        return cli_error(record->context, TRUC_USAGE, "--expect-offset is for one record and cannot stand with --lines");
    }
    if (given->deliver_at.given && given->deliver_at.ns < 0) {
        return cli_error(record->context, TRUC_USAGE, "--deliver-at %s is before 1970", given->deliver_at.text);
    }
    record->how.deliver_at_ns = given->deliver_at.given ? given->deliver_at.ns : 0;
    record->how.conditional = given->expect_offset.given;
    record->how.expected_offset = given->expect_offset.value;
    return TRUC_OK;
}

truc_status pub_record_fill(struct cli_context *context, const struct pub_options *given, struct pub_record *record)
{
    *record = (struct pub_record){.context = context, .given = given, .record = TRUC_RECORD_INIT, .how = TRUC_PUBLISH_HOW_INIT};
    const struct {
        const char *option, *text;
        size_t bytes_max;
        truc_text *field;
    } texts[] = {
        {"type", given->type, RECORD_TYPE_BYTES_MAX, &record->record.type},
        {"content-type", given->content_type, RECORD_TEXT_BYTES_MAX, &record->record.content_type},
        {"schema", given->schema, RECORD_TEXT_BYTES_MAX, &record->record.schema},
        {"correlation", given->correlation, RECORD_TEXT_BYTES_MAX, &record->record.correlation_id},
    };
    truc_status status = fill_how(record);
    for (size_t i = 0; status == TRUC_OK && i < CLI_COUNT(texts); i++) {
        if (texts[i].text != NULL) {
            status = check_text(record, texts[i].option, texts[i].text, texts[i].bytes_max, texts[i].field);
        }
    }
    if (status == TRUC_OK) {
        status = fill_key_and_id(record);
    }
    if (status == TRUC_OK) {
        status = fill_headers(record);
    }
    record->record.time_ns = given->time.given ? given->time.ns : 0;
    record->record.expires_at_ns = given->expires.given ? given->expires.ns : 0;
    return status;
}

void pub_record_fini(struct pub_record *record)
{
    free(record->headers);
    free(record->key);
}
