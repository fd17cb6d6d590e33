/* topics.c: TOPICS: a page of the topics that match a pattern, in byte order. Layer: core. */
#include "broker/core/answer.h"
#include "broker/core/topic_state.h"
#include "truc/v1/wire.pb-c.h"

enum { INFO_BYTES_MAX = 4 + 3 + 2 * 6 + 2 * 9 + 5 * 11 }; /* a TopicInfo as encoded, besides the topic's name */

struct page {
    Truc__V1__TopicInfo topics[PAGE_ITEMS_MAX], *pointers[PAGE_ITEMS_MAX];
    size_t count, limit, bytes;
    bool more;
};

static void describe(const struct topic *topic, uint32_t index, Truc__V1__TopicInfo *ret_info)
{
    truc__v1__topic_info__init(ret_info);
    ret_info->topic = (char *)(uintptr_t)topic->name; /* read only; the generated type is not const */
    ret_info->topic_id = index + 1;
    ret_info->evidence = (Truc__V1__EvidenceLevel)topic->evidence;
    ret_info->next_offset = topic->durable_offset;
    ret_info->first_position = topic->first_position;
    ret_info->last_position = topic->last_position;
    ret_info->created_ns = topic->created_ns;
    ret_info->last_append_ns = topic->last_append_ns;
    ret_info->bytes = topic->bytes;
    ret_info->entry_count = topic->entry_count;
}

/* False when the page is full. */
static bool add(struct page *page, const struct topic *topic, uint32_t index)
{
    page->bytes += topic->name_size + (size_t)INFO_BYTES_MAX;
    if (page->count == page->limit || page->bytes > PAGE_BYTES_MAX) {
        page->more = true;
        return false;
    }
    describe(topic, index, &page->topics[page->count]);
    page->pointers[page->count] = &page->topics[page->count];
    page->count++;
    return true;
}

/* The bytes that every match begins with. */
static struct bytes literal_prefix(struct bytes pattern)
{
    size_t size = 0;

    while (size < pattern.size && pattern.data[size] != '*' && pattern.data[size] != '>')
        size++;
    if (size < pattern.size && size > 0)
        size--; /* `a.**` matches `a` itself: the dot is no part of it */
    return bytes_of(pattern.data, size);
}

static bool has_prefix(struct bytes text, struct bytes prefix)
{
    return text.size >= prefix.size && (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static void add_exact(struct core *core, struct page *page, struct bytes name, struct bytes after)
{
    uint64_t hash;
    uint32_t index;
    const struct topic *topic = topic_find(core, name, &hash, &index);

    if (topic && topic_is_visible(topic) && order_compare(name, after) > 0)
        (void)add(page, topic, index);
}

static void add_matching(struct core *core, struct page *page, struct bytes pattern, struct bytes after)
{
    struct order_names names = topic_order_names(core);
    struct bytes prefix = literal_prefix(pattern);
    bool from_prefix = order_compare(prefix, after) > 0;
    struct order_cursor cursor = order_after(&core->topics_in_order, &names, from_prefix ? prefix : after);
    const struct topic *topic;
    uint64_t hash;
    uint32_t index;

    if (from_prefix && prefix.size > 0) { /* the cursor is behind a topic that is the prefix itself */
        topic = topic_find(core, prefix, &hash, &index);
        if (topic && topic_is_visible(topic) && pattern_match(pattern, prefix))
            (void)add(page, topic, index);
    }
    while (order_next(&core->topics_in_order, &cursor, &index)) {
        topic = core_topic(core, index);
        if (!has_prefix(topic_name(topic), prefix))
            break;
        if (topic_is_visible(topic) && (pattern.size == 0 || pattern_match(pattern, topic_name(topic))) && !add(page, topic, index))
            break;
    }
}

void core_request_topics(struct core *core, struct connection *connection, const struct frame *frame)
{
    const Truc__V1__Topics *request = request_decode(core, connection, frame, &truc__v1__topics__descriptor);
    Truc__V1__TopicsOk ok = TRUC__V1__TOPICS_OK__INIT;
    struct page page = {.limit = PAGE_ITEMS_MAX};
    struct bytes pattern, after;
    const char *why = "";

    if (!request)
        return;
    pattern = bytes_of_text(request->pattern);
    after = bytes_of_text(request->after);
    if (pattern.size > 0 && pattern_check(pattern, &why) != TRUC_OK) {
        answer_error(core, connection, frame->request_id, refusal_of(TRUC_BAD_PATTERN),
                     "the pattern is not valid (%s); `*` stands for one token, `>` or `**` only at the end, empty for all topics",
                     why);
        return;
    }
    if (request->limit > 0 && request->limit < page.limit)
        page.limit = request->limit;
    if (pattern.size > 0 && pattern_is_exact(pattern))
        add_exact(core, &page, pattern, after);
    else
        add_matching(core, &page, pattern, after);
    ok.topics = page.pointers;
    ok.n_topics = page.count;
    ok.more = page.more;
    answer_message(core, connection, FRAME_TOPICS_OK, frame->request_id, &ok.base, bytes_of(NULL, 0));
}
