/* dead_list.c: truc_dead_json: the letters of a subscription.
 *
 * The topic is read twice, and not kept: first what was done, of which a byte is noted for each offset; then the letters of the
 * page. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/dead_letter.h"
#include "clients/c/inquire.h"

enum { FIRST_CAPACITY = 1024 };

/* What was done about the letters from an offset on: an enum dead_kind for each; DEAD_LETTER: nothing. */
struct deeds {
    uint64_t from;
    uint8_t *kinds;
    size_t count, capacity;
};

static bool make_room(struct deeds *deeds, size_t count)
{
    size_t capacity = deeds->capacity == 0 ? FIRST_CAPACITY : deeds->capacity;
    uint8_t *kinds;

    while (capacity < count)
        capacity *= 2;
    if (capacity > deeds->capacity) {
        kinds = realloc(deeds->kinds, capacity);
        if (kinds == NULL)
            return false;
        deeds->kinds = kinds;
        deeds->capacity = capacity;
    }
    memset(deeds->kinds + deeds->count, LETTER_DEAD, count - deeds->count);
    deeds->count = count;
    return true;
}

static truc_status note_deed(void *context, const truc_message *message)
{
    struct deeds *deeds = context;
    struct dead_letter said;

    if (!dead_letter_of(message, &said) || said.kind == LETTER_DEAD || said.letter_offset < deeds->from)
        return TRUC_OK;
    if (said.letter_offset - deeds->from >= deeds->count && !make_room(deeds, (size_t)(said.letter_offset - deeds->from) + 1))
        return TRUC_NO_MEMORY;
    deeds->kinds[said.letter_offset - deeds->from] = (uint8_t)said.kind;
    return TRUC_OK;
}

static enum dead_letter_kind deed_of(const struct deeds *deeds, uint64_t letter)
{
    return letter - deeds->from < deeds->count ? (enum dead_letter_kind)deeds->kinds[letter - deeds->from] : LETTER_DEAD;
}

/* --- the page ---------------------------------------------------------------------------------------------------------------- */

struct page {
    const struct deeds *deeds;
    bool all, more;
    unsigned limit;
    uint64_t next;
    json_t *list;
};

static json_t *letter_json(const truc_message *message, const struct dead_letter *letter, enum dead_letter_kind deed)
{
    const char *state = deed == LETTER_REDRIVEN ? "redriven" : deed == LETTER_DROPPED ? "dropped" : "open";

    return json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "offset", (json_int_t)message->offset, "state", state,
                     "reason", dead_letter_reason_text(letter->reason), "attempts", (json_int_t)letter->attempts, "position",
                     (json_int_t)letter->place.position, "index", (json_int_t)letter->place.index, "first_failed_ns",
                     (json_int_t)letter->first_failed_ns, "last_failed_ns", (json_int_t)letter->last_failed_ns, "append_time_ns",
                     (json_int_t)message->append_time_ns);
}

static truc_status list_letter(void *context, const truc_message *message)
{
    struct page *page = context;
    struct dead_letter letter;
    enum dead_letter_kind deed;

    if (!dead_letter_of(message, &letter) || letter.kind != LETTER_DEAD)
        return TRUC_OK;
    deed = deed_of(page->deeds, message->offset);
    if (!page->all && deed != LETTER_DEAD)
        return TRUC_OK;
    if (json_array_size(page->list) == page->limit) {
        page->more = true;
        return TRUC_CANCELLED;
    }
    page->next = message->offset + 1;
    return json_array_append_new(page->list, letter_json(message, &letter, deed)) == 0 ? TRUC_OK : TRUC_NO_MEMORY;
}

/* A topic that is not there, or ends before, holds no letters. */
static truc_status read_on(truc_client *client, const struct topic_read *read, topic_visit *visit, void *context)
{
    truc_status status = topic_read(client, read, visit, context, NULL);

    return status == TRUC_NOT_FOUND || status == TRUC_OUT_OF_RANGE ? TRUC_OK : status;
}

truc_status truc_dead_json(truc_client *client, const char *subscription, uint64_t from, unsigned limit, bool all, char **ret_json,
                           uint64_t *ret_next, bool *ret_more)
{
    char topic[DEAD_TOPIC_BYTES];
    struct deeds deeds = {.from = from};
    struct page page = {.deeds = &deeds, .all = all, .limit = limit, .next = from};
    struct topic_read read = {.topic = topic, .by_offset = true, .from = from};
    truc_status status;

    if (client == NULL || subscription == NULL || limit == 0 || ret_json == NULL || client_in_callback(client))
        return TRUC_INVALID_ARGUMENT;
    status = dead_topic(client, subscription, topic, NULL);
    if (status == TRUC_OK)
        status = read_on(client, &read, note_deed, &deeds);
    if (status == TRUC_OK) {
        page.list = json_array();
        read.type = dead_letter_type(LETTER_DEAD);
        status = page.list == NULL ? TRUC_NO_MEMORY : read_on(client, &read, list_letter, &page);
        if (status == TRUC_CANCELLED && page.more)
            status = TRUC_OK;
    }
    free(deeds.kinds);
    if (status != TRUC_OK) {
        json_decref(page.list);
        return status;
    }
    status = inquire_json_text(page.list, ret_json);
    if (status == TRUC_OK && ret_next != NULL)
        *ret_next = page.next;
    if (status == TRUC_OK && ret_more != NULL)
        *ret_more = page.more;
    return status;
}
