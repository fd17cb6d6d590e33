/* dead_do.c: truc dead redrive and truc dead drop. */
#include <inttypes.h>
#include <stdlib.h>

#include "clients/cli/place.h"

enum { PAGE_LETTERS = 1000, LETTERS_AT_ONCE = 256, OPERANDS_MAX = 1001 };

struct do_options {
    bool all;
};

static const struct cli_option options[] = {
    {"all", CLI_FLAG, offsetof(struct do_options, all), NULL, "every letter that is open now", 0, 0, NULL},
};

/* The letters to be dealt with. */
struct letters {
    uint64_t *offsets;
    size_t count, capacity;
};

static bool add(struct letters *letters, uint64_t offset)
{
    if (letters->count == letters->capacity) {
        size_t capacity = letters->capacity == 0 ? LETTERS_AT_ONCE : letters->capacity * 2;
        uint64_t *offsets = realloc(letters->offsets, capacity * sizeof *offsets);
        if (offsets == NULL) {
            return false;
        }
        letters->offsets = offsets;
        letters->capacity = capacity;
    }
    letters->offsets[letters->count++] = offset;
    return true;
}

static truc_status take_operands(struct cli_context *context, char *const *operands, size_t count, struct letters *letters)
{
    truc_status status = TRUC_OK;
    for (size_t i = 0; i < count && status == TRUC_OK; i++) {
        uint64_t offset = 0;
        status = place_number(context, "OFFSET", operands[i], &offset);
        if (status == TRUC_OK && !add(letters, offset)) {
            status = cli_error(context, TRUC_NO_MEMORY, "the letters");
        }
    }
    return status;
}

/* Those that are open now: a record that dies again meanwhile has a new letter, which waits for another run. */
static truc_status take_all(struct cli_context *context, truc_client *client, const char *subscription, struct letters *letters)
{
    uint64_t from = 0;
    bool more = true;
    while (more) {
        char *text = NULL;
        truc_status status = truc_dead_json(client, subscription, from, PAGE_LETTERS, false, &text, &from, &more);
        if (status != TRUC_OK) {
            return cli_error(context, status, "%s: %s", subscription,
                             status == TRUC_NOT_FOUND ? "there is no such subscription" : truc_status_text(status));
        }
        json_t *page = place_json(context, text, "a page of letters");
        bool added = page != NULL;
        for (size_t i = 0; i < json_array_size(page) && added; i++) {
            added = add(letters, (uint64_t)json_integer_value(json_object_get(json_array_get(page, i), "offset")));
        }
        json_decref(page);
        if (!added) {
            return page == NULL ? TRUC_NO_MEMORY : cli_error(context, TRUC_NO_MEMORY, "the letters");
        }
    }
    return TRUC_OK;
}

struct doing {
    struct cli_context *context;
    truc_client *client;
    const char *subscription;
    truc_dead_action action;
    bool all;
    uint64_t done;
};

/* Some of them, all or none. With --all what somebody else has dealt with meanwhile is no error. */
static truc_status deal_with(struct doing *doing, const uint64_t *offsets, size_t count)
{
    char *why = NULL;
    truc_status status = truc_dead_do(doing->client, doing->subscription, doing->action, offsets, count, &why);
    if (status == TRUC_OK) {
        doing->done += count;
    } else if (status == TRUC_EXISTS && doing->all && count == 1) {
        status = TRUC_OK;
    } else if (status == TRUC_EXISTS && doing->all) {
        status = TRUC_OK;
        for (size_t i = 0; i < count && status == TRUC_OK; i++) {
            status = deal_with(doing, offsets + i, 1); /* count 1: no deeper */
        }
    } else {
        cli_error(doing->context, status, "%s: %s", doing->subscription, why != NULL ? why : truc_status_text(status));
    }
    truc_free(why);
    return status;
}

static truc_status run(struct cli_context *context, const struct do_options *given, truc_dead_action action, char *const *operands,
                       size_t operand_count)
{
    struct doing doing = {.context = context, .subscription = operands[0], .action = action, .all = given->all};
    struct letters letters = {.offsets = NULL};
    if (given->all == (operand_count > 1)) {
        return cli_error(context, TRUC_USAGE, "give the letters' OFFSETs, or --all");
    }
    truc_status status = take_operands(context, operands + 1, operand_count - 1, &letters);
    if (status == TRUC_OK) {
        status = cli_client(context, &doing.client);
    }
    if (status == TRUC_OK && given->all) {
        status = take_all(context, doing.client, operands[0], &letters);
    }
    for (size_t i = 0; i < letters.count && status == TRUC_OK; i += LETTERS_AT_ONCE) {
        size_t left = letters.count - i;
        status = deal_with(&doing, letters.offsets + i, left < LETTERS_AT_ONCE ? left : LETTERS_AT_ONCE);
    }
    free(letters.offsets);
    if (doing.done > 0 || status == TRUC_OK) {
        const char *what = action == TRUC_DEAD_REDRIVE ? "redriven" : "dropped";
        if (context->globals.json) {
            out_format(&context->out, "{\"%s\":%" PRIu64 "}\n", what, doing.done);
        } else {
            out_format(&context->out, "%s %" PRIu64 " letter%s\n", what, doing.done, doing.done == 1 ? "" : "s");
        }
    }
    return status;
}

static truc_status run_redrive(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    return run(context, values, TRUC_DEAD_REDRIVE, operands, operand_count);
}

static truc_status run_drop(struct cli_context *context, const void *values, char *const *operands, size_t operand_count)
{
    return run(context, values, TRUC_DEAD_DROP, operands, operand_count);
}

static const truc_status exits[] = {TRUC_INVALID_ARGUMENT, TRUC_TIMED_OUT, TRUC_UNREACHABLE, TRUC_NOT_FOUND,
                                    TRUC_CONFLICT,         TRUC_TOO_MANY,  TRUC_EXISTS};

const struct cli_verb verb_dead_redrive = {
    .name = "dead redrive",
    .summary = "have dead records given again",
    .example = "truc dead redrive intake 12 15\ntruc dead redrive intake --all",
    .operands = "SUBSCRIPTION [OFFSET...]",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct do_options),
    .notes =
        "Each is given again when its key's turn comes, as if it had never failed; several of a key in log order. That it was done "
        "is recorded, and on disk when truc ends with 0. Up to 256 letters are dealt with all or none; more of them in such "
        "pieces. A letter about which something was done is EXISTS; with --all such are passed over.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run_redrive,
};

const struct cli_verb verb_dead_drop = {
    .name = "dead drop",
    .summary = "close dead letters: nothing more is to be done",
    .example = "truc dead drop intake 12\ntruc dead drop intake --all",
    .operands = "SUBSCRIPTION [OFFSET...]",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .options = options,
    .option_count = CLI_COUNT(options),
    .options_size = sizeof(struct do_options),
    .notes =
        "The records and their letters stay in the log; that they were dropped, and by whom, is recorded. All or none as with truc "
        "dead redrive.",
    .exits = exits,
    .exit_count = CLI_COUNT(exits),
    .run = run_drop,
};
