/* subscription_json.c: a subscription as JSON: docs/libtruc.md "JSON texts". */
#include <jansson.h>

#include "clients/c/subscription.h"

/* Keys and values are UTF-8 by the broker's rules; what is not is left out rather than altered. */
static json_t *bytes_json(ProtobufCBinaryData bytes)
{
    json_t *text = json_stringn(bytes.len > 0 ? (const char *)bytes.data : "", bytes.len);

    return text != NULL ? text : json_null();
}

static json_t *number_json(uint64_t number)
{
    return json_integer((json_int_t)number);
}

/* "NAME=VALUE" each: a name may come twice. NULL when out of memory. */
static json_t *headers_json(const Truc__V1__SubscriptionInfo *info)
{
    json_t *list = json_array();

    for (size_t i = 0; i < info->n_headers && list != NULL; i++) {
        ProtobufCBinaryData value = info->headers[i]->value;
        json_t *text =
            json_sprintf("%s=%.*s", info->headers[i]->name, (int)value.len, value.len > 0 ? (const char *)value.data : "");

        if (json_array_append_new(list, text != NULL ? text : json_null()) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *backoffs_json(const Truc__V1__SubscriptionInfo *info)
{
    json_t *list = json_array();

    for (size_t i = 0; i < info->n_backoff_ms && list != NULL; i++) {
        if (json_array_append_new(list, number_json(info->backoff_ms[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *sources_json(const Truc__V1__SubscriptionInfo *info)
{
    json_t *list = json_array();

    for (size_t i = 0; i < info->n_sources && list != NULL; i++) {
        if (json_array_append_new(list, json_string(info->sources[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* Adds the members of `more`; takes both references, NULL when out of memory. */
static json_t *add(json_t *object, json_t *more)
{
    if (object != NULL && (more == NULL || json_object_update(object, more) != 0)) {
        json_decref(object);
        object = NULL;
    }
    json_decref(more);
    return object;
}

/* Adds what only is told of one subscription. How long its oldest record waits is reckoned from the time the broker appended that
 * to this machine's: the broker keeps its append clock near its own wall clock. */
static json_t *add_lag(json_t *object, const Truc__V1__SubscriptionInfo *info, int64_t wall_ns)
{
    int64_t waits_ns = info->lag_since_ns != 0 && info->lag_since_ns < wall_ns ? wall_ns - info->lag_since_ns : 0;

    return add(object, json_pack("{s:o, s:o, s:b, s:o, s:o, s:o}", "lag_records", number_json(info->lag_records), "lag_bytes",
                                 number_json(info->lag_bytes), "lag_more", info->lag_more, "lag_since_ns",
                                 number_json((uint64_t)info->lag_since_ns), "lag_seconds",
                                 number_json((uint64_t)(waits_ns / 1000000000)), "sources", sources_json(info)));
}

/* Adds what only shared subscriptions have; takes the reference, NULL when out of memory. */
static json_t *add_shared(json_t *object, const Truc__V1__SubscriptionInfo *info)
{
    uint32_t attempts = info->attempts_max == UINT32_MAX ? 0 : info->attempts_max;

    return add(object,
               json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "ack_wait_ms",
                         number_json(info->ack_wait_ms), "attempts", number_json(attempts), "in_flight_records",
                         number_json(info->in_flight_max), "backoff_ms", backoffs_json(info), "scan_position",
                         number_json(info->scan_position), "in_flight", number_json(info->in_flight), "ready",
                         number_json(info->ready), "delayed", number_json(info->delayed), "dead", number_json(info->dead), "aside",
                         number_json(info->aside), "lanes", number_json(info->lanes), "lanes_full", info->lanes_full));
}

json_t *subscription_json(const Truc__V1__SubscriptionInfo *info, int64_t wall_ns)
{
    bool ordered = info->mode == TRUC__V1__SUBSCRIPTION_MODE__SUBSCRIPTION_MODE_ORDERED;
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                               info->name, "owner", info->owner, "pattern", info->pattern, "mode", ordered ? "ordered" : "shared",
                               "paused", info->paused, "key", bytes_json(info->key), "type", bytes_json(info->type), "source",
                               info->source, "headers", headers_json(info), "created_ns", number_json((uint64_t)info->created_ns),
                               "position", number_json(info->position), "head_position", number_json(info->head_position),
                               "lag_positions", number_json(info->lag_positions), "acknowledged", number_json(info->acknowledged),
                               "expired", number_json(info->expired), "connected", number_json(info->connected));

    if (wall_ns != 0)
        object = add_lag(object, info, wall_ns);
    return ordered ? object : add_shared(object, info);
}
