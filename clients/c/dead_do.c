/* dead_do.c: truc_dead_do: has letters redriven or dropped.
 *
 * Whether a letter is open is for whoever reads its topic to find out; so that two do not act on one letter, the broker takes the
 * request only when the topic has not grown since it was read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/dead_letter.h"
#include "clients/c/inquire.h"
#include "truc/v1/wire.pb-c.h"

enum { LETTERS_MAX = 256, TRIES_MAX = 16, WHY_BYTES = 512 };

struct wanted {
    uint64_t offset, position;
    uint32_t index;
    bool found;
    enum dead_letter_kind deed; /* 0: none yet */
};

/* What is asked for, and what the topic says of it so far. */
struct doing {
    char topic[DEAD_TOPIC_BYTES];
    struct wanted letters[LETTERS_MAX]; /* by offset */
    size_t count;
    uint64_t next_offset; /* read up to here */
    enum dead_letter_kind wish;
    unsigned asked; /* DEAD requests that may have been heard */
    char why[WHY_BYTES];
};

static int compare(const void *left, const void *right)
{
    const struct wanted *a = left, *b = right;

    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static truc_status set_letters(struct doing *doing, const uint64_t *offsets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        doing->letters[i].offset = offsets[i];
    doing->count = count;
    qsort(doing->letters, count, sizeof doing->letters[0], compare);
    for (size_t i = 1; i < count; i++) {
        if (doing->letters[i].offset != doing->letters[i - 1].offset)
            continue;
        (void)snprintf(doing->why, sizeof doing->why, "offset %" PRIu64 " is named twice", doing->letters[i].offset);
        return TRUC_INVALID_ARGUMENT;
    }
    doing->next_offset = doing->letters[0].offset;
    return TRUC_OK;
}

static truc_status note(void *context, const truc_message *message)
{
    struct doing *doing = context;
    struct wanted key = {0}, *letter;
    struct dead_letter said;

    doing->next_offset = message->offset + 1;
    if (!dead_letter_of(message, &said))
        return TRUC_OK;
    key.offset = said.letter_offset;
    letter = bsearch(&key, doing->letters, doing->count, sizeof doing->letters[0], compare);
    if (letter == NULL)
        return TRUC_OK;
    if (said.kind == LETTER_DEAD) {
        letter->found = true;
        letter->position = said.place.position;
        letter->index = said.place.index;
    } else {
        letter->deed = said.kind;
    }
    return TRUC_OK;
}

/* Whether all are open letters. TRUC_EXISTS: not any more; *ret_ours: it may have been this very request, whose answer was lost. */
static truc_status judge(struct doing *doing, bool *ret_ours)
{
    size_t done = 0, as_wished = 0;
    const struct wanted *first_done = NULL;

    for (size_t i = 0; i < doing->count; i++) {
        const struct wanted *letter = &doing->letters[i];

        if (!letter->found) {
            (void)snprintf(doing->why, sizeof doing->why, "offset %" PRIu64 " of %s is no dead letter", letter->offset,
                           doing->topic);
            return TRUC_NOT_FOUND;
        }
        if (letter->deed == 0)
            continue;
        done++;
        as_wished += letter->deed == doing->wish;
        if (first_done == NULL)
            first_done = letter;
    }
    *ret_ours = doing->asked > 1 && as_wished == doing->count;
    if (done == 0)
        return TRUC_OK;
    (void)snprintf(doing->why, sizeof doing->why, "the letter at offset %" PRIu64 " of %s was %s already", first_done->offset,
                   doing->topic, first_done->deed == LETTER_REDRIVEN ? "redriven" : "dropped");
    return TRUC_EXISTS;
}

static truc_status ask(truc_client *client, struct doing *doing, const char *subscription)
{
    Truc__V1__Dead dead = TRUC__V1__DEAD__INIT;
    Truc__V1__DeadLetter rows[LETTERS_MAX], *pointers[LETTERS_MAX];
    struct inquiry_answer answer = {0};
    truc_status status;

    for (size_t i = 0; i < doing->count; i++) {
        truc__v1__dead_letter__init(&rows[i]);
        rows[i].offset = doing->letters[i].offset;
        rows[i].position = doing->letters[i].position;
        rows[i].index = doing->letters[i].index;
        pointers[i] = &rows[i];
    }
    dead.name = (char *)(uintptr_t)subscription; /* read only */
    dead.action =
        doing->wish == LETTER_REDRIVEN ? TRUC__V1__DEAD_ACTION__DEAD_ACTION_REDRIVE : TRUC__V1__DEAD_ACTION__DEAD_ACTION_DROP;
    dead.n_letters = doing->count;
    dead.letters = pointers;
    dead.expected_offset = doing->next_offset;
    status = inquire(client, FRAME_DEAD, &dead.base, FRAME_DEAD_OK, &answer);
    doing->asked += answer.asked;
    (void)snprintf(doing->why, sizeof doing->why, "%s", answer.why);
    free(answer.header);
    return status;
}

/* Reads what is new; with `awaited` waits for the first of it, which the broker has and may not have made durable yet. */
static truc_status read_on(truc_client *client, struct doing *doing, bool awaited)
{
    struct topic_read read = {
        .topic = doing->topic, .by_offset = true, .from = doing->next_offset, .follow = awaited, .limit = awaited};
    truc_status status = topic_read(client, &read, note, doing, NULL);

    if (status == TRUC_OK && awaited) {
        read = (struct topic_read){.topic = doing->topic, .by_offset = true, .from = doing->next_offset};
        status = topic_read(client, &read, note, doing, NULL);
    }
    return status == TRUC_NOT_FOUND || status == TRUC_OUT_OF_RANGE ? TRUC_OK : status; /* then no letter was found */
}

static truc_status carry_out(truc_client *client, struct doing *doing, const char *subscription)
{
    truc_status status = TRUC_CONFLICT;

    for (unsigned tries = 0; status == TRUC_CONFLICT && tries < TRIES_MAX; tries++) {
        bool ours = false;

        status = read_on(client, doing, tries > 0);
        if (status == TRUC_OK)
            status = judge(doing, &ours);
        if (status == TRUC_EXISTS && ours)
            return TRUC_OK;
        if (status == TRUC_OK)
            status = ask(client, doing, subscription);
    }
    return status;
}

truc_status truc_dead_do(truc_client *client, const char *subscription, truc_dead_action action, const uint64_t *offsets,
                         size_t count, char **ret_error)
{
    struct doing *doing;
    truc_status status;

    if (client == NULL || subscription == NULL || offsets == NULL || count == 0 || count > LETTERS_MAX ||
        (action != TRUC_DEAD_REDRIVE && action != TRUC_DEAD_DROP) || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    doing = calloc(1, sizeof *doing);
    if (doing == NULL)
        return TRUC_NO_MEMORY;
    doing->wish = action == TRUC_DEAD_REDRIVE ? LETTER_REDRIVEN : LETTER_DROPPED;
    status = set_letters(doing, offsets, count);
    if (status == TRUC_OK) {
        status = dead_topic(client, subscription, doing->topic, ret_error);
        if (status == TRUC_OK)
            status = carry_out(client, doing, subscription);
        else
            ret_error = NULL; /* told */
    }
    if (status != TRUC_OK && ret_error != NULL)
        *ret_error = client_text_copy(doing->why[0] != '\0' ? doing->why : truc_status_text(status));
    free(doing);
    return status;
}
