/* request.c: truc request: asks, waits for the reply and prints it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/cli.h"
#include "clients/cli/json_text.h"
#include "clients/cli/message_print.h"
#include "clients/cli/pub_record.h"

enum { READ_BYTES = 64 * 1024 };

struct request_options {
    struct pub_options record; /* those that make sense for a request */
};

#define AT(field) offsetof(struct request_options, record.field)
static const struct cli_option options[] = {
    {"key", CLI_TEXT, AT(key), "K", "ordering key: requests of one key are served one after the other", 0, 0, NULL},
    {"type", CLI_TEXT, AT(type), "T", "what is asked for, as vn.gov.dossier.lookup", 0, 0, NULL},
    {"header", CLI_LIST, AT(headers), "N=V", "a header; may be given up to 62 times", 0, 0, NULL},
    {"content-type", CLI_TEXT, AT(content_type), "C",
     "media type of the data; when not given, application/json for a JSON object or array, else none", 0, 0, NULL},
    {"schema", CLI_TEXT, AT(schema), "S", "name of the data's schema", 0, 0, NULL},
    {"id", CLI_TEXT, AT(id), "ID",
     "the request's id: a UUID, hex:DIGITS, or a text of at most 64 bytes; a new UUIDv7 when not given", 0, 0, NULL},
};
#undef AT

/* Standard input to its end, which nothing but its size tells. */
static truc_status read_input(struct cli_context *context, struct out *input)
{
    for (;;) {
        char *room = out_room(input, READ_BYTES);
        ssize_t size = room == NULL ? 0 : read(STDIN_FILENO, room, READ_BYTES);
        if (room == NULL) {
            return cli_error(context, TRUC_NO_MEMORY, "standard input");
        }
        if (size < 0 && errno != EINTR) {
            return cli_error(context, TRUC_IO, "standard input: %s", strerror(errno));
        }
        if (size == 0) {
            return TRUC_OK;
        }
        input->size += size > 0 ? (size_t)size : 0;
        if (input->size > RECORD_BYTES_MAX) {
            return cli_error(context, TRUC_RECORD_TOO_LARGE, "standard input is longer than %d bytes", RECORD_BYTES_MAX);
        }
    }
}

static void set_data(struct pub_record *record, struct bytes data)
{
    static const char json[] = "application/json";
    const struct pub_options *given = record->given;
    record->record.data = data.data;
    record->record.data_size = data.size;
    if (given->content_type != NULL || given->schema != NULL) {
        return;
    }
    struct out scratch;
    out_init(&scratch, -1);
    if (json_text_is_structure(data, &scratch)) {
        record->record.content_type = (truc_text){json, sizeof json - 1};
    }
    out_fini(&scratch);
}

static void print(struct cli_context *context, const truc_message *reply)
{
    struct message_printer printer;
    message_printer_init(&printer, &context->out, context->globals.json ? MESSAGE_JSON : MESSAGE_RAW);
    message_print(&printer, reply);
    message_printer_fini(&printer);
}

static truc_status ask(struct cli_context *context, const char *topic, const truc_record *record)
{
    truc_client *client = NULL;
    truc_requester *requester = NULL;
    truc_message *reply = NULL;
    char *why = NULL;
    truc_status status = cli_client(context, &client);
    if (status != TRUC_OK) {
        return status;
    }
    status = truc_requester_open(client, NULL, &requester, &why);
    if (status == TRUC_OK) {
        status = truc_request_wait(requester, topic, record, cli_timeout_ms(context), &reply, &why);
    }
    if (status == TRUC_OK) {
        print(context, reply);
    } else {
        cli_error(context, status, "%s: %s%s", topic, why != NULL ? why : truc_status_text(status),
                  status == TRUC_TIMED_OUT ? ": is a server at work (`truc serve`), and does its subscription match the topic"
                                           : "");
    }
    truc_free(why);
    truc_message_free(reply);
    truc_requester_close(requester);
    return status;
}

static truc_status run(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    const struct request_options *given = values;
    struct pub_record record;
    struct out input;
    out_init(&input, -1);
    truc_status status = pub_record_fill(context, &given->record, &record);
    if (status == TRUC_OK && operand_count == 2 && strcmp(operands[1], "-") != 0) {
        set_data(&record, bytes_of_text(operands[1]));
    } else if (status == TRUC_OK) {
        status = read_input(context, &input);
        set_data(&record, bytes_of(input.data, input.size));
    }
    if (status == TRUC_OK) {
        status = ask(context, operands[0], &record.record);
    }
    pub_record_fini(&record);
    out_fini(&input);
    return status;
}

static const truc_status exits[] = {TRUC_INVALID_ARGUMENT, TRUC_IO,        TRUC_TIMED_OUT,  TRUC_UNREACHABLE,
                                    TRUC_RECORD_TOO_LARGE, TRUC_BAD_TOPIC, TRUC_BAD_RECORD, TRUC_NOT_ALLOWED};

const struct cli_verb verb_request = {
    .name = "request",
    .summary = "ask, and print the reply",
    .example = "truc request dossier.lookup.H26.16 '{\"code\":\"H26.16-260724-0001\"}' --timeout 5s\n"
               "truc request dossier.lookup.H26.16 --json < question",
    .operands = "TOPIC [DATA|-]",
    .operands_min = 1,
    .operands_max = 2,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct request_options),
    .notes =
        "Publishes a request and waits for its reply until --timeout is over, which is also the request's deadline: later it is "
        "not served any more. Without DATA, or with -, the data is standard input.\n\n"
        "The reply's data is printed with a newline behind it; with --json the whole reply. Requests and replies are records: "
        "replies to this source stand in the topic reply.AGENCY.SYSTEM.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run,
};
