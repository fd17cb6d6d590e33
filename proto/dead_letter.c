#include "dead_letter.h"

enum { NUMBER_BYTES = 20, HEADERS_MAX = 7 };

static const char *const types[] = {
    [LETTER_DEAD] = "truc.dead.v1", [LETTER_REDRIVEN] = "truc.dead.redriven.v1", [LETTER_DROPPED] = "truc.dead.dropped.v1"};
static const char *const reasons[] = {[LETTER_ATTEMPTS] = "attempts", [LETTER_REJECTED] = "rejected", [LETTER_DAMAGED] = "damaged"};
static const struct {
    const char *text;
    size_t size; /* with the zero byte */
} domains[] = {[LETTER_DEAD] = {"truc-dead-v1", 13},
               [LETTER_REDRIVEN] = {"truc-dead-redriven-v1", 22},
               [LETTER_DROPPED] = {"truc-dead-dropped-v1", 21}};

const char *dead_letter_type(enum dead_letter_kind kind)
{
    return types[kind];
}

const char *dead_letter_reason_text(enum dead_letter_reason reason)
{
    return reasons[reason];
}

static struct bytes number_text(uint64_t number, char out[NUMBER_BYTES])
{
    char *at = out + NUMBER_BYTES;

    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return bytes_of(at, (size_t)(out + NUMBER_BYTES - at));
}

static bool number_of(struct bytes text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number))
            return false;
    }
    *ret_number = number;
    return true;
}

static uint8_t *put(uint8_t *at, struct bytes text)
{
    memcpy(at, text.data, text.size);
    return at + text.size;
}

struct bytes dead_letter_topic(struct bytes agency, struct bytes subscription, uint8_t out[LETTER_TOPIC_BYTES_MAX])
{
    uint8_t *at = put(out, bytes_of("dead.", 5));

    at = put(at, agency);
    *at++ = '.';
    at = put(at, subscription);
    return bytes_of(out, (size_t)(at - out));
}

struct bytes dead_letter_key(struct place place, char out[LETTER_KEY_BYTES_MAX])
{
    char digits[NUMBER_BYTES];
    uint8_t *at = put((uint8_t *)out, number_text(place.position, digits));

    *at++ = '.';
    at = put(at, number_text(place.index, digits));
    return bytes_of(out, (size_t)(at - (uint8_t *)out));
}

void dead_letter_derive(struct digest_context *context, const uint8_t secret[HASH_SECRET_BYTES], const struct dead_letter *letter,
                        uint32_t subscription_id, uint64_t offset, uint8_t ret_derived[DIGEST_BYTES])
{
    uint8_t where[8 + 4 + 4 + 8];
    bool dead = letter->kind == LETTER_DEAD;
    const struct bytes parts[] = {bytes_of(domains[letter->kind].text, domains[letter->kind].size),
                                  bytes_of(secret, HASH_SECRET_BYTES), bytes_of(where, dead ? sizeof where - 8 : sizeof where)};

    store_u64(where, letter->place.position);
    store_u32(where + 8, letter->place.index);
    store_u32(where + 12, subscription_id);
    store_u64(where + 16, offset);
    digest_parts(context, parts, sizeof parts / sizeof parts[0], ret_derived);
}

/* --- writing ------------------------------------------------------------------------------------------------------------------ */

static size_t dead_headers(const struct dead_letter *letter, char (*numbers)[NUMBER_BYTES], struct record_header *headers)
{
    const struct record_header all[] = {
        {bytes_of_text("reason"), bytes_of_text(reasons[letter->reason])},
        {bytes_of_text("attempts"), number_text(letter->attempts, numbers[0])},
        {bytes_of_text("position"), number_text(letter->place.position, numbers[1])},
        {bytes_of_text("index"), number_text(letter->place.index, numbers[2])},
        {bytes_of_text("first-failed-ns"), number_text((uint64_t)letter->first_failed_ns, numbers[3])},
        {bytes_of_text("last-failed-ns"), number_text((uint64_t)letter->last_failed_ns, numbers[4])},
        {bytes_of_text("subscription"), letter->subscription},
    };

    memcpy(headers, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static size_t other_headers(const struct dead_letter *letter, char (*numbers)[NUMBER_BYTES], struct record_header *headers)
{
    const struct record_header all[] = {
        {bytes_of_text("letter-offset"), number_text(letter->letter_offset, numbers[0])},
        {bytes_of_text("position"), number_text(letter->place.position, numbers[1])},
        {bytes_of_text("index"), number_text(letter->place.index, numbers[2])},
        {bytes_of_text("subscription"), letter->subscription},
        {bytes_of_text("by"), letter->by},
    };

    memcpy(headers, all, sizeof all);
    return sizeof all / sizeof all[0];
}

uint8_t *dead_letter_write(const struct dead_letter *letter, const uint8_t id[LETTER_ID_BYTES], int64_t time_ns, uint8_t *out)
{
    char numbers[5][NUMBER_BYTES], key[LETTER_KEY_BYTES_MAX];
    struct record_header headers[HEADERS_MAX];
    size_t count = letter->kind == LETTER_DEAD ? dead_headers(letter, numbers, headers) : other_headers(letter, numbers, headers);
    struct record_view view = {.id = bytes_of(id, LETTER_ID_BYTES),
                               .type = bytes_of_text(types[letter->kind]),
                               .key = dead_letter_key(letter->place, key),
                               .time_ns = time_ns};

    return record_encode(&view, headers, count, varint_put(out, record_encoded_size(&view, headers, count)));
}

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

static bool text_is(struct bytes text, const char *wanted)
{
    return bytes_equal(text, bytes_of_text(wanted));
}

static bool read_reason(struct bytes text, enum dead_letter_reason *ret_reason)
{
    for (int reason = LETTER_ATTEMPTS; reason < LETTER_REASONS; reason++) {
        if (text_is(text, reasons[reason])) {
            *ret_reason = (enum dead_letter_reason)reason;
            return true;
        }
    }
    return false;
}

/* What the headers say; a bit for each that was there. */
enum { SAID_POSITION = 1, SAID_INDEX = 2, SAID_REASON = 4, SAID_OFFSET = 8 };

static bool read_header(struct record_header header, struct dead_letter *letter, unsigned *said)
{
    uint64_t number = 0;
    bool numeric = number_of(header.value, &number);

    if (text_is(header.name, "position")) {
        letter->place.position = number;
        *said |= SAID_POSITION;
        return numeric;
    }
    if (text_is(header.name, "index")) {
        letter->place.index = (uint32_t)number;
        *said |= SAID_INDEX;
        return numeric && number <= UINT32_MAX;
    }
    if (text_is(header.name, "attempts")) {
        letter->attempts = (uint32_t)number;
        return numeric && number <= UINT32_MAX;
    }
    if (text_is(header.name, "first-failed-ns") || text_is(header.name, "last-failed-ns")) {
        *(header.name.data[0] == 'f' ? &letter->first_failed_ns : &letter->last_failed_ns) = (int64_t)number;
        return numeric && number <= INT64_MAX;
    }
    if (text_is(header.name, "letter-offset")) {
        letter->letter_offset = number;
        *said |= SAID_OFFSET;
        return numeric;
    }
    if (text_is(header.name, "subscription"))
        letter->subscription = header.value;
    else if (text_is(header.name, "by"))
        letter->by = header.value;
    else if (text_is(header.name, "reason")) {
        *said |= SAID_REASON;
        return read_reason(header.value, &letter->reason);
    }
    return true;
}

bool dead_letter_read(const struct record_view *record, struct dead_letter *ret_letter)
{
    struct dead_letter letter = {.kind = LETTER_DEAD};
    unsigned said = 0, wanted;

    while (letter.kind <= LETTER_DROPPED && !text_is(record->type, types[letter.kind]))
        letter.kind++;
    if (letter.kind > LETTER_DROPPED)
        return false;
    for (size_t i = 0; i < record->header_count; i++) {
        if (!read_header(record_header_at(record, i), &letter, &said))
            return false;
    }
    wanted = SAID_POSITION | SAID_INDEX | (letter.kind == LETTER_DEAD ? SAID_REASON : SAID_OFFSET);
    if ((said & wanted) != wanted)
        return false;
    *ret_letter = letter;
    return true;
}
