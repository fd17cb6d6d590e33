#include "clients/cli/import/slug.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "clients/cli/import/bounds.h"
#include "clients/cli/import/intern.h"

static bool is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}
static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_level1(const uint8_t *group, size_t size)
{
    return size == 3 && is_upper(group[0]) && is_digit(group[1]) && is_digit(group[2]);
}

bool slug_is_agency(struct bytes text)
{
    size_t sizes[AGENCY_BYTES_MAX + 1] = {0}, groups = 1, last = 0;
    if (text.size == 0 || text.size > AGENCY_BYTES_MAX) {
        return false;
    }
    bool fits = true; /* every group is 1 to 4 characters */
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '.') {
            last = i + 1;
            groups++;
        } else if (is_upper(text.data[i]) || is_digit(text.data[i])) {
            sizes[groups - 1]++;
        } else {
            return false;
        }
    }
    for (size_t i = 0; i < groups; i++) {
        fits = fits && sizes[i] >= 1 && sizes[i] <= 4;
    }
    bool newer = fits && is_level1(text.data, sizes[0]);
    bool older = groups == 4 && sizes[0] == 3 && sizes[1] == 2 && sizes[2] == 2 && is_level1(text.data + last, sizes[3]);
    return newer || older;
}

static bool may_stand(uint8_t c)
{
    return is_upper(c) || is_digit(c) || (c >= 'a' && c <= 'z') || c == '_';
}

/* Code points of an NFD text, as bytes of a slug: 0 drops, '-' replaces. */
static uint8_t slug_byte(utf8proc_int32_t point)
{
    if (point == 0x111) {
        return 'd';
    }
    if (point == 0x110) {
        return 'D';
    }
    if (point < 0x80) {
        return may_stand((uint8_t)point) ? (uint8_t)point : '-';
    }
    return utf8proc_category(point) == UTF8PROC_CATEGORY_MN ? 0 : '-';
}

static void append_points(const uint8_t *text, size_t size, struct out *out, size_t from)
{
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate(text + at, (utf8proc_ssize_t)(size - at), &point);
        if (step <= 0) { /* cannot be: values are UTF-8 */
            point = ' ';
            step = 1;
        }
        at += (size_t)step;
        uint8_t byte = slug_byte(point);
        bool again = byte == '-' && (out->size == from || out->data[out->size - 1] == '-');
        if (byte != 0 && !again) {
            out_bytes(out, &byte, 1);
        }
    }
    if (out->size > from && out->data[out->size - 1] == '-') {
        out->size--;
    }
}

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

truc_status slug_append(struct bytes text, struct out *out, struct failure *failure)
{
    size_t from = out->size;
    if (slug_is_agency(text)) {
        out_bytes(out, text.data, text.size);
    } else if (is_ascii(text)) {
        append_points(text.data, text.size, out, from);
    } else {
        utf8proc_uint8_t *apart = NULL;
        utf8proc_ssize_t size = utf8proc_map(text.data, (utf8proc_ssize_t)text.size, &apart, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
        if (size == UTF8PROC_ERROR_NOMEM) {
            return failure_set(failure, TRUC_NO_MEMORY, "while making a topic");
        }
        if (size < 0) {
            return failure_set(failure, TRUC_BAD_ROW, "%s is not a text: %s", quote(text).text, utf8proc_errmsg(size));
        }
        append_points(apart, (size_t)size, out, from);
        free(apart);
    }
    if (out->status != TRUC_OK) {
        return failure_set(failure, out->status, "while making a topic");
    }
    if (out->size == from) {
        return failure_set(failure, TRUC_BAD_ROW, "%s holds nothing that a topic can hold", quote(text).text);
    }
    return TRUC_OK;
}

/* --- the guard ---------------------------------------------------------------------------------------------------------------- */

struct slugs {
    struct intern *slugs, *texts; /* the same numbers: text i became slug i */
};

struct slugs *slugs_create(void)
{
    struct slugs *slugs = calloc(1, sizeof *slugs);
    if (slugs == NULL) {
        return NULL;
    }
    slugs->slugs = intern_create(IMPORT_SLUGS_MAX, IMPORT_SLUG_BYTES_MAX);
    slugs->texts = intern_create(IMPORT_SLUGS_MAX, IMPORT_SLUG_BYTES_MAX);
    if (slugs->slugs == NULL || slugs->texts == NULL) {
        slugs_destroy(slugs);
        return NULL;
    }
    return slugs;
}

void slugs_destroy(struct slugs *slugs)
{
    if (slugs == NULL) {
        return;
    }
    intern_destroy(slugs->slugs);
    intern_destroy(slugs->texts);
    free(slugs);
}

static truc_status note_composed(struct slugs *slugs, struct bytes slug, struct bytes text, struct bytes place,
                                 struct failure *failure)
{
    uint32_t slug_number, text_number;
    bool slug_new, text_new;
    truc_status status = intern_add(slugs->slugs, slug, &slug_number, &slug_new);
    if (status == TRUC_OK && !slug_new) {
        struct bytes before = intern_at(slugs->texts, slug_number);
        return bytes_equal(before, text)
                   ? TRUC_OK
                   : failure_set(failure, TRUC_SLUG_CLASH, "in --topic, {%s}: %s and %s both become %s", (const char *)place.data,
                                 quote(before).text, quote(text).text, quote(slug).text);
    }
    if (status == TRUC_OK) { /* a text has one slug, so a new slug means a new text: the numbers stay equal */
        status = intern_add(slugs->texts, text, &text_number, &text_new);
    }
    if (status == TRUC_TOO_MANY) {
        return failure_set(failure, status, "{%s} in --topic has more than %d different values: a topic is for many records",
                           (const char *)place.data, IMPORT_SLUGS_MAX);
    }
    return status == TRUC_OK ? TRUC_OK : failure_set(failure, status, "while keeping the values of {%s}", (const char *)place.data);
}

truc_status slugs_note(struct slugs *slugs, struct bytes slug, struct bytes text, struct bytes place, struct failure *failure)
{
    if (is_ascii(text)) {
        return note_composed(slugs, slug, text, place, failure);
    }
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t size = utf8proc_map(text.data, (utf8proc_ssize_t)text.size, &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (size < 0) {
        return failure_set(failure, TRUC_NO_MEMORY, "while making a topic");
    }
    truc_status status = note_composed(slugs, slug, bytes_of(composed, (size_t)size), place, failure);
    free(composed);
    return status;
}
