#include "clients/cli/message_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "clients/cli/cli.h"
#include "clients/cli/json_text.h"
#include "clients/cli/payload.h"
#include "proto/utf8.h"

#define OUT_LITERAL(out, text) out_bytes(out, text, sizeof(text) - 1)

void message_printer_init(struct message_printer *printer, struct out *out, enum message_shape shape)
{
    *printer = (struct message_printer){.out = out, .shape = shape};
    out_init(&printer->scratch, -1);
}

void message_printer_fini(struct message_printer *printer)
{
    out_fini(&printer->scratch);
}

static struct bytes text_bytes(truc_text text)
{
    return bytes_of(text.data, text.size);
}

static const char *append_time(struct message_printer *printer, int64_t ns)
{
    if (printer->append_text_size == 0 || printer->append_time_ns != ns) {
        printer->append_text_size = timestamp_print(ns, printer->append_text);
        printer->append_time_ns = ns;
    }
    return printer->append_text;
}

/* --- payloads ------------------------------------------------------------------------------------------------------------- */

/* The media type without parameters: "application/json; charset=utf-8" is application/json. */
static struct bytes media_type(truc_text content_type)
{
    const char *semicolon = content_type.size > 0 ? memchr(content_type.data, ';', content_type.size) : NULL;
    size_t size = semicolon != NULL ? (size_t)(semicolon - content_type.data) : content_type.size;
    while (size > 0 && content_type.data[size - 1] == ' ') {
        size--;
    }
    return bytes_of(content_type.data, size);
}

static bool media_is(struct bytes media, const char *name)
{
    return media.size == strlen(name) && strncasecmp((const char *)media.data, name, media.size) == 0;
}

static bool media_begins(struct bytes media, const char *prefix)
{
    size_t size = strlen(prefix);
    return media.size > size && strncasecmp((const char *)media.data, prefix, size) == 0;
}

static bool media_is_json(struct bytes media)
{
    static const char suffix[] = "+json";
    size_t size = sizeof suffix - 1;
    return media_is(media, "application/json") ||
           (media.size > size && strncasecmp((const char *)media.data + media.size - size, suffix, size) == 0);
}

static bool media_is_protobuf(struct bytes media)
{
    return media.size == 0 || media_is(media, PAYLOAD_CONTENT_TYPE) || media_is(media, "application/x-protobuf") ||
           media_is(media, "application/vnd.google.protobuf");
}

/* Appends the payload as JSON when it is of a kind that has a JSON form and really is what it says. */
static bool print_known_data(const truc_record *record, struct out *out)
{
    struct bytes data = bytes_of(record->data, record->data_size), media = media_type(record->content_type);
    if (media_is_json(media)) {
        return json_text_compact(data, out);
    }
    if (record->schema.size > 0 && media_is_protobuf(media)) {
        const struct payload_type *type = payload_type_find(text_bytes(record->schema));
        return type != NULL && payload_to_json(type, data, out) == TRUC_OK;
    }
    if (media_begins(media, "text/") && utf8_valid(data)) {
        out_json_string(out, data);
        return true;
    }
    return false;
}

/* --- the JSON line -------------------------------------------------------------------------------------------------------- */

static bool same_text(truc_text a, truc_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A name that comes again has an array of its values, in order; so the object's names stay unique. */
static void json_headers(const truc_record *record, struct out *out)
{
    bool first = true;
    OUT_LITERAL(out, "{");
    for (size_t i = 0; i < record->header_count; i++) {
        truc_text name = record->headers[i].name;
        size_t earlier = 0, later = i + 1;
        while (earlier < i && !same_text(record->headers[earlier].name, name)) {
            earlier++;
        }
        if (earlier < i) {
            continue;
        }
        while (later < record->header_count && !same_text(record->headers[later].name, name)) {
            later++;
        }
        bool again = later < record->header_count;
        out_bytes(out, ",", first ? 0 : 1);
        first = false;
        out_json_string(out, text_bytes(name));
        out_bytes(out, ":[", again ? 2 : 1);
        out_json_string(out, text_bytes(record->headers[i].value));
        for (; later < record->header_count; later++) {
            if (same_text(record->headers[later].name, name)) {
                OUT_LITERAL(out, ",");
                out_json_string(out, text_bytes(record->headers[later].value));
            }
        }
        out_bytes(out, "]", again ? 1 : 0);
    }
    OUT_LITERAL(out, "}");
}

static void json_log(struct message_printer *printer, const truc_message *message)
{
    bool same = printer->log_text_size > 0 && printer->generation == message->generation &&
                memcmp(printer->log_id, message->log_id, sizeof printer->log_id) == 0;
    if (!same) {
        struct out *scratch = &printer->scratch;
        scratch->size = 0;
        OUT_LITERAL(scratch, "{\"log_id\":\"");
        out_hex(scratch, bytes_of(message->log_id, sizeof printer->log_id));
        OUT_LITERAL(scratch, "\",\"generation\":");
        out_u64(scratch, message->generation);
        OUT_LITERAL(scratch, ",\"position\":");
        memcpy(printer->log_id, message->log_id, sizeof printer->log_id);
        printer->generation = message->generation;
        printer->log_text_size = scratch->size < sizeof printer->log_text ? scratch->size : 0;
        memcpy(printer->log_text, scratch->data != NULL ? scratch->data : "", printer->log_text_size);
    }
    out_bytes(printer->out, printer->log_text, printer->log_text_size);
}

static void json_id(struct message_printer *printer, truc_text id)
{
    printer->scratch.size = 0;
    cli_id_print(&printer->scratch, text_bytes(id));
    out_json_string(printer->out, bytes_of(printer->scratch.data, printer->scratch.size));
}

static void json_time(struct out *out, int64_t ns)
{
    char text[TIMESTAMP_TEXT_BYTES];
    if (ns == 0) {
        OUT_LITERAL(out, "null");
        return;
    }
    size_t size = timestamp_print(ns, text);
    OUT_LITERAL(out, "\"");
    out_bytes(out, text, size);
    OUT_LITERAL(out, "\"");
}

/* What most records do not have, and whoever follows requests, answers and deadlines looks for. */
static void json_rare(struct message_printer *printer, const truc_record *record)
{
    struct out *out = printer->out;
    if (record->expires_at_ns != 0) {
        OUT_LITERAL(out, ",\"expires_at\":");
        json_time(out, record->expires_at_ns);
    }
    if (record->correlation_id.size > 0) {
        OUT_LITERAL(out, ",\"correlation_id\":");
        out_json_string(out, text_bytes(record->correlation_id));
    }
    if (record->relates_to.topic.size > 0 || record->relates_to.id.size > 0 || record->relates_to.relation.size > 0) {
        OUT_LITERAL(out, ",\"relates_to\":{\"topic\":");
        out_json_string(out, text_bytes(record->relates_to.topic));
        OUT_LITERAL(out, ",\"offset\":");
        out_u64(out, record->relates_to.offset);
        OUT_LITERAL(out, ",\"id\":");
        json_id(printer, record->relates_to.id);
        OUT_LITERAL(out, ",\"relation\":");
        out_json_string(out, text_bytes(record->relates_to.relation));
        OUT_LITERAL(out, "}");
    }
}

static void print_json(struct message_printer *printer, const truc_message *message)
{
    struct out *out = printer->out;
    const truc_record *record = &message->record;
    json_log(printer, message);
    out_u64(out, message->position);
    OUT_LITERAL(out, ",\"index\":");
    out_u64(out, message->index);
    OUT_LITERAL(out, ",\"topic\":");
    out_json_string(out, bytes_of_text(message->topic));
    OUT_LITERAL(out, ",\"offset\":");
    out_u64(out, message->offset);
    OUT_LITERAL(out, ",\"append_time\":\"");
    append_time(printer, message->append_time_ns);
    out_bytes(out, printer->append_text, printer->append_text_size);
    OUT_LITERAL(out, "\",\"time\":");
    json_time(out, record->time_ns);
    OUT_LITERAL(out, ",\"id\":");
    json_id(printer, record->id);
    OUT_LITERAL(out, ",\"type\":");
    out_json_string(out, text_bytes(record->type));
    OUT_LITERAL(out, ",\"key\":");
    out_json_string(out, text_bytes(record->key));
    OUT_LITERAL(out, ",\"source\":\"");
    out_text(out, message->source); /* agency codes and systems need no escapes: proto/topic.h */
    OUT_LITERAL(out, "/");
    out_text(out, message->system);
    OUT_LITERAL(out, "\",\"headers\":");
    json_headers(record, out);
    OUT_LITERAL(out, ",\"content_type\":");
    out_json_string(out, text_bytes(record->content_type));
    json_rare(printer, record);
    size_t before = out->size;
    OUT_LITERAL(out, ",\"data\":");
    if (!print_known_data(record, out)) {
        out->size = before < out->size ? before : out->size;
        OUT_LITERAL(out, ",\"data_base64\":\"");
        out_base64(out, bytes_of(record->data, record->data_size));
        OUT_LITERAL(out, "\"");
    }
    if (printer->recalled) {
        OUT_LITERAL(out, ",\"recalled\":true,\"recall_position\":");
        out_u64(out, printer->recall_position);
    }
    OUT_LITERAL(out, "}\n");
}

/* --- the line for humans -------------------------------------------------------------------------------------------------- */

void print_plain_text(struct out *out, struct bytes text)
{
    bool readable = utf8_valid(text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool second_set = c == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0; /* U+0080..U+009F */
        if (c < 0x20 || c == 0x7f || second_set || (c >= 0x80 && !readable)) {
            out_format(out, "\\x%02x", c);
            if (second_set) {
                out_format(out, "\\x%02x", text.data[++i]);
            }
        } else {
            out_bytes(out, &c, 1);
        }
    }
}

static void print_line(struct message_printer *printer, const truc_message *message)
{
    struct out *out = printer->out, *scratch = &printer->scratch;
    const truc_record *record = &message->record;
    append_time(printer, message->append_time_ns);
    out_bytes(out, printer->append_text, printer->append_text_size);
    out_format(out, "  %s %" PRIu64 "  %s/%s", message->topic, message->offset, message->source, message->system);
    if (record->key.size > 0) {
        OUT_LITERAL(out, "  key=");
        print_plain_text(out, text_bytes(record->key));
    }
    if (record->type.size > 0) {
        OUT_LITERAL(out, "  type=");
        print_plain_text(out, text_bytes(record->type));
    }
    if (printer->recalled) {
        OUT_LITERAL(out, "  RECALLED");
    }
    OUT_LITERAL(out, "  ");
    scratch->size = 0;
    struct bytes data = bytes_of(record->data, record->data_size);
    if (print_known_data(record, scratch)) {
        print_plain_text(out, bytes_of(scratch->data, scratch->size));
    } else if (utf8_valid(data)) {
        print_plain_text(out, data);
    } else {
        out_format(out, "(%zu bytes)", data.size);
    }
    OUT_LITERAL(out, "\n");
}

void message_print(struct message_printer *printer, const truc_message *message)
{
    switch (printer->shape) {
    case MESSAGE_JSON:
        print_json(printer, message);
        break;
    case MESSAGE_LINE:
        print_line(printer, message);
        break;
    case MESSAGE_RAW:
        out_bytes(printer->out, message->record.data, message->record.data_size);
        OUT_LITERAL(printer->out, "\n");
        break;
    }
}
