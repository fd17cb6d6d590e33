/* topic.c: topic names, patterns and sources, all walked token by token. */
#include "proto/topic.h"

#include "proto/limits.h"

static const struct bytes local_agency = {(const uint8_t *)"local", 5};

static truc_status refuse(truc_status status, const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return status;
}

static bool is_topic_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_agency_byte(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_system_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Tokens of a dotted name. A name of n dots has n + 1 tokens, any of which may be empty. */
struct tokens {
    struct bytes rest;
    bool ended;
};

static struct tokens tokens_of(struct bytes name)
{
    return (struct tokens){name, name.size == 0};
}

static bool tokens_next(struct tokens *tokens, struct bytes *ret_token)
{
    if (tokens->ended)
        return false;
    const uint8_t *dot = memchr(tokens->rest.data, '.', tokens->rest.size);
    if (dot == NULL) {
        *ret_token = tokens->rest;
        tokens->ended = true;
    } else {
        size_t size = (size_t)(dot - tokens->rest.data);
        *ret_token = bytes_of(tokens->rest.data, size);
        tokens->rest = bytes_of(dot + 1, tokens->rest.size - size - 1);
        /* A name that ends in a dot has an empty last token, which the next call yields. */
    }
    return true;
}

static bool token_is(struct bytes token, const char *text)
{
    return bytes_equal(token, bytes_of_text(text));
}

static bool token_is_plain(struct bytes token)
{
    for (size_t i = 0; i < token.size; i++) {
        if (!is_topic_byte(token.data[i]))
            return false;
    }
    return token.size != 0;
}

truc_status topic_check(struct bytes topic, const char **ret_why)
{
    struct tokens tokens = tokens_of(topic);
    struct bytes token;
    size_t count = 0;

    if (topic.size == 0)
        return refuse(TRUC_BAD_TOPIC, ret_why, "a topic is not empty");
    if (topic.size > TOPIC_BYTES_MAX)
        return refuse(TRUC_BAD_TOPIC, ret_why, "a topic has at most 255 bytes");
    while (tokens_next(&tokens, &token)) {
        if (token.size == 0)
            return refuse(TRUC_BAD_TOPIC, ret_why, "a topic has no empty token: no dot at its ends, no two dots together");
        if (!token_is_plain(token))
            return refuse(TRUC_BAD_TOPIC, ret_why, "a topic's tokens hold only A-Z a-z 0-9 _ -");
        if (++count > TOPIC_TOKENS_MAX)
            return refuse(TRUC_BAD_TOPIC, ret_why, "a topic has at most 32 tokens");
    }
    return TRUC_OK;
}

truc_status pattern_check(struct bytes pattern, const char **ret_why)
{
    struct tokens tokens = tokens_of(pattern);
    struct bytes token;
    size_t count = 0;

    if (pattern.size == 0)
        return refuse(TRUC_BAD_PATTERN, ret_why, "a pattern is not empty");
    if (pattern.size > TOPIC_BYTES_MAX)
        return refuse(TRUC_BAD_PATTERN, ret_why, "a pattern has at most 255 bytes");
    while (tokens_next(&tokens, &token)) {
        if (token.size == 0)
            return refuse(TRUC_BAD_PATTERN, ret_why, "a pattern has no empty token: no dot at its ends, no two dots together");
        if (++count > TOPIC_TOKENS_MAX)
            return refuse(TRUC_BAD_PATTERN, ret_why, "a pattern has at most 32 tokens");
        if (token_is(token, ">") || token_is(token, "**")) {
            if (!tokens.ended)
                return refuse(TRUC_BAD_PATTERN, ret_why, "`>` and `**` stand only at the end of a pattern");
        } else if (!token_is(token, "*") && !token_is_plain(token)) {
            return refuse(TRUC_BAD_PATTERN, ret_why, "a pattern's tokens hold only A-Z a-z 0-9 _ -, or are a wildcard alone");
        }
    }
    return TRUC_OK;
}

bool pattern_is_exact(struct bytes pattern)
{
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.data[i] == '*' || pattern.data[i] == '>')
            return false;
    }
    return true;
}

/* Topics that are the broker's own: a leading wildcard does not reach them. */
static bool topic_is_reserved(struct bytes topic)
{
    struct tokens tokens = tokens_of(topic);
    struct bytes first;
    return tokens_next(&tokens, &first) && (token_is(first, "sys") || token_is(first, "dead"));
}

bool pattern_match(struct bytes pattern, struct bytes topic)
{
    struct tokens pattern_tokens = tokens_of(pattern), topic_tokens = tokens_of(topic);
    struct bytes wanted, token;

    if (pattern.size > 0 && (pattern.data[0] == '*' || pattern.data[0] == '>') && topic_is_reserved(topic))
        return false;
    while (tokens_next(&pattern_tokens, &wanted)) {
        if (token_is(wanted, "**"))
            return true;
        if (!tokens_next(&topic_tokens, &token))
            return false;
        if (token_is(wanted, ">"))
            return true;
        if (!token_is(wanted, "*") && !bytes_equal(wanted, token))
            return false;
    }
    return topic_tokens.ended;
}

static const char *agency_fault(struct bytes agency)
{
    struct tokens tokens = tokens_of(agency);
    struct bytes token;

    if (bytes_equal(agency, local_agency))
        return NULL;
    if (agency.size == 0)
        return "a source has an agency";
    if (agency.size > AGENCY_BYTES_MAX)
        return "an agency code has at most 35 bytes";
    while (tokens_next(&tokens, &token)) {
        if (token.size < 1 || token.size > 4)
            return "an agency code's groups have 1 to 4 characters";
        for (size_t i = 0; i < token.size; i++) {
            if (!is_agency_byte(token.data[i]))
                return "an agency code holds only 0-9 A-Z and dots";
        }
    }
    return NULL;
}

static const char *system_fault(struct bytes system)
{
    if (system.size == 0)
        return "a source has a system: AGENCY/SYSTEM";
    if (system.size > SYSTEM_BYTES_MAX)
        return "a system's name has at most 32 bytes";
    for (size_t i = 0; i < system.size; i++) {
        if (!is_system_byte(system.data[i]))
            return "a system's name holds only a-z 0-9 _ -";
    }
    return NULL;
}

truc_status agency_check(struct bytes agency, const char **ret_why)
{
    const char *fault = agency_fault(agency);
    return fault == NULL ? TRUC_OK : refuse(TRUC_BAD_SOURCE, ret_why, fault);
}

truc_status source_check(struct bytes agency, struct bytes system, const char **ret_why)
{
    const char *fault = agency_fault(agency);
    if (fault == NULL)
        fault = system_fault(system);
    return fault == NULL ? TRUC_OK : refuse(TRUC_BAD_SOURCE, ret_why, fault);
}

truc_status source_split(struct bytes source, struct bytes *ret_agency, struct bytes *ret_system, const char **ret_why)
{
    const uint8_t *slash = source.size == 0 ? NULL : memchr(source.data, '/', source.size);
    if (slash == NULL)
        return refuse(TRUC_BAD_SOURCE, ret_why, "a source is written AGENCY/SYSTEM");

    struct bytes agency = bytes_of(source.data, (size_t)(slash - source.data));
    struct bytes system = bytes_of(slash + 1, source.size - agency.size - 1);
    truc_status status = source_check(agency, system, ret_why);
    if (status == TRUC_OK) {
        *ret_agency = agency;
        *ret_system = system;
    }
    return status;
}

truc_status source_filter_split(struct bytes source, struct bytes *ret_agency, struct bytes *ret_system, const char **ret_why)
{
    if (source.size != 0 && memchr(source.data, '/', source.size) != NULL)
        return source_split(source, ret_agency, ret_system, ret_why);
    truc_status status = agency_check(source, ret_why);
    if (status == TRUC_OK) {
        *ret_agency = source;
        *ret_system = bytes_of(NULL, 0);
    }
    return status;
}
