#include "clients/cli/json_text.h"

#include "proto/utf8.h"

/* What may come next. */
enum expect { EXPECT_VALUE, EXPECT_VALUE_OR_CLOSE, EXPECT_NAME, EXPECT_NAME_OR_CLOSE, EXPECT_COLON, EXPECT_COMMA_OR_CLOSE };

struct json {
    const uint8_t *at, *end;
    char *to;
    size_t depth;
    uint64_t is_object[JSON_TEXT_DEPTH_MAX / 64]; /* a bit per open bracket */
};

static bool in_object(const struct json *j)
{
    return (j->is_object[(j->depth - 1) / 64] >> ((j->depth - 1) % 64) & 1) != 0;
}

static bool take_string(struct json *j)
{
    const uint8_t *from = j->at++;
    for (; j->at < j->end; j->at++) {
        uint8_t c = *j->at;
        if (c == '"') {
            j->at++;
            memcpy(j->to, from, (size_t)(j->at - from));
            j->to += j->at - from;
            return true;
        }
        if (c < 0x20) {
            return false;
        }
        if (c != '\\') {
            continue;
        }
        if (++j->at == j->end) {
            return false;
        }
        if (*j->at == 'u') {
            for (int i = 0; i < 4; i++) {
                if (++j->at == j->end ||
                    !((*j->at >= '0' && *j->at <= '9') || ((*j->at | 0x20) >= 'a' && (*j->at | 0x20) <= 'f'))) {
                    return false;
                }
            }
        } else if (*j->at == '\0' || strchr("\"\\/bfnrt", *j->at) == NULL) {
            return false;
        }
    }
    return false;
}

static bool take_word(struct json *j, const char *word, size_t size)
{
    if ((size_t)(j->end - j->at) < size || memcmp(j->at, word, size) != 0) {
        return false;
    }
    memcpy(j->to, word, size);
    j->to += size;
    j->at += size;
    return true;
}

static size_t skip_digits(struct json *j)
{
    const uint8_t *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9') {
        j->at++;
    }
    return (size_t)(j->at - from);
}

static bool take_number(struct json *j)
{
    const uint8_t *from = j->at;
    if (*j->at == '-') {
        j->at++;
    }
    const uint8_t *whole = j->at;
    size_t digits = skip_digits(j);
    if (digits == 0 || (digits > 1 && *whole == '0')) {
        return false;
    }
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (skip_digits(j) == 0) {
            return false;
        }
    }
    if (j->at < j->end && (*j->at | 0x20) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-')) {
            j->at++;
        }
        if (skip_digits(j) == 0) {
            return false;
        }
    }
    memcpy(j->to, from, (size_t)(j->at - from));
    j->to += j->at - from;
    return true;
}

static bool take_scalar(struct json *j)
{
    switch (*j->at) {
    case '"':
        return take_string(j);
    case 't':
        return take_word(j, "true", 4);
    case 'f':
        return take_word(j, "false", 5);
    case 'n':
        return take_word(j, "null", 4);
    default:
        return take_number(j);
    }
}

static bool take_open(struct json *j, enum expect *expect)
{
    bool object = *j->at == '{';
    if (j->depth == JSON_TEXT_DEPTH_MAX) {
        return false;
    }
    uint64_t bit = UINT64_C(1) << (j->depth % 64), *word = &j->is_object[j->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    j->depth++;
    *j->to++ = (char)*j->at++;
    *expect = object ? EXPECT_NAME_OR_CLOSE : EXPECT_VALUE_OR_CLOSE;
    return true;
}

static bool take_close(struct json *j)
{
    if (*j->at != (in_object(j) ? '}' : ']')) {
        return false;
    }
    j->depth--;
    *j->to++ = (char)*j->at++;
    return true;
}

static bool take_token(struct json *j, enum expect *expect)
{
    uint8_t c = *j->at;
    switch (*expect) {
    case EXPECT_COLON:
        *expect = EXPECT_VALUE;
        return take_word(j, ":", 1);
    case EXPECT_COMMA_OR_CLOSE:
        if (c != ',') {
            return take_close(j);
        }
        *expect = in_object(j) ? EXPECT_NAME : EXPECT_VALUE;
        return take_word(j, ",", 1);
    case EXPECT_NAME_OR_CLOSE:
    case EXPECT_NAME:
        if (c == '}' && *expect == EXPECT_NAME_OR_CLOSE) {
            *expect = EXPECT_COMMA_OR_CLOSE;
            return take_close(j);
        }
        *expect = EXPECT_COLON;
        return c == '"' && take_string(j);
    case EXPECT_VALUE_OR_CLOSE:
        if (c == ']') {
            *expect = EXPECT_COMMA_OR_CLOSE;
            return take_close(j);
        }
        /* fall through */
    case EXPECT_VALUE:
        if (c == '{' || c == '[') {
            return take_open(j, expect);
        }
        *expect = EXPECT_COMMA_OR_CLOSE;
        return take_scalar(j);
    }
    return false;
}

static void skip_space(struct json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r')) {
        j->at++;
    }
}

bool json_text_compact(struct bytes text, struct out *out)
{
    struct json j = {.at = text.data, .end = text.data + text.size};
    enum expect expect = EXPECT_VALUE;
    if (text.size == 0 || !utf8_valid(text) || (j.to = out_room(out, text.size)) == NULL) {
        return false;
    }
    do {
        skip_space(&j);
        if (j.at == j.end || !take_token(&j, &expect)) {
            return false;
        }
    } while (j.depth > 0 || expect != EXPECT_COMMA_OR_CLOSE);
    skip_space(&j);
    if (j.at != j.end) {
        return false;
    }
    out->size = (size_t)(j.to - out->data);
    return true;
}

bool json_text_is_structure(struct bytes text, struct out *scratch)
{
    size_t i = 0;
    while (i < text.size && (text.data[i] == ' ' || text.data[i] == '\n' || text.data[i] == '\t' || text.data[i] == '\r')) {
        i++;
    }
    if (i == text.size || (text.data[i] != '{' && text.data[i] != '[')) {
        return false;
    }
    scratch->size = 0;
    return json_text_compact(text, scratch);
}
