/* text.c: keys and record ids between people and records. */
#include "clients/cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "proto/limits.h"
#include "proto/utf8.h"

/* --- keys ----------------------------------------------------------------------------------------------------------------- */

static bool holds_controls(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

truc_status cli_key_normalise(struct bytes text, char **ret_key, size_t *ret_size, const char **ret_why)
{
    utf8proc_uint8_t *key = NULL;
    if (!utf8_valid(text)) {
        *ret_why = "the key is not valid UTF-8";
        return TRUC_BAD_RECORD;
    }
    if (holds_controls((const char *)text.data, text.size)) {
        *ret_why = "the key holds control characters";
        return TRUC_BAD_RECORD;
    }
    if (text.size > 16 * RECORD_KEY_BYTES_MAX) { /* NFC never makes a text that much shorter */
        *ret_why = "the key is longer than 255 bytes";
        return TRUC_BAD_RECORD;
    }
    utf8proc_ssize_t size = utf8proc_map(text.data, (utf8proc_ssize_t)text.size, &key, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (size < 0) {
        *ret_why = utf8proc_errmsg(size);
        return size == UTF8PROC_ERROR_NOMEM ? TRUC_NO_MEMORY : TRUC_BAD_RECORD;
    }
    if (size > RECORD_KEY_BYTES_MAX) {
        free(key);
        *ret_why = "the key is longer than 255 bytes";
        return TRUC_BAD_RECORD;
    }
    *ret_key = (char *)key;
    *ret_size = (size_t)size;
    return TRUC_OK;
}

/* --- ids ------------------------------------------------------------------------------------------------------------------ */

/* RFC 9562: version 1 to 8 in byte 6, variant 10 in byte 8. ASCII text never has that variant. */
static bool is_uuid(struct bytes id)
{
    return id.size == 16 && id.data[6] >> 4 >= 1 && id.data[6] >> 4 <= 8 && id.data[8] >> 6 == 2;
}

static bool is_plain(struct bytes id)
{
    return utf8_valid(id) && !holds_controls((const char *)id.data, id.size) && (id.size < 4 || memcmp(id.data, "hex:", 4) != 0);
}

void cli_id_print(struct out *out, struct bytes id)
{
    static const size_t groups[] = {4, 2, 2, 2, 6};
    if (is_uuid(id)) {
        size_t at = 0;
        for (size_t i = 0; i < CLI_COUNT(groups); i++) {
            if (i > 0) {
                out_bytes(out, "-", 1);
            }
            out_hex(out, bytes_of(id.data + at, groups[i]));
            at += groups[i];
        }
    } else if (is_plain(id)) {
        out_bytes(out, id.data, id.size);
    } else {
        out_text(out, "hex:");
        out_hex(out, id);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex digits, dashes between them ignored when `dashes`, into at most RECORD_ID_BYTES_MAX bytes. */
static bool hex_parse(const char *text, bool dashes, uint8_t *ret_id, size_t *ret_size)
{
    size_t size = 0;
    for (const char *c = text; *c != '\0';) {
        if (dashes && *c == '-') {
            c++;
            continue;
        }
        int high = hex_digit(c[0]), low = high < 0 ? -1 : hex_digit(c[1]);
        if (low < 0 || size == RECORD_ID_BYTES_MAX) {
            return false;
        }
        ret_id[size++] = (uint8_t)(high << 4 | low);
        c += 2;
    }
    *ret_size = size;
    return size > 0;
}

static bool uuid_shape(const char *text)
{
    return strlen(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
}

truc_status cli_id_parse(const char *text, uint8_t *ret_id, size_t *ret_size)
{
    uint8_t id[RECORD_ID_BYTES_MAX];
    size_t size = strlen(text), uuid_size = 0;
    if (uuid_shape(text) && hex_parse(text, true, id, &uuid_size) && is_uuid(bytes_of(id, uuid_size))) {
        size = uuid_size;
    } else if (strncmp(text, "hex:", 4) == 0) {
        if (!hex_parse(text + 4, false, id, &size)) {
            return TRUC_USAGE;
        }
    } else if (size == 0 || size > RECORD_ID_BYTES_MAX || !utf8_valid(bytes_of_text(text)) || holds_controls(text, size)) {
        return TRUC_USAGE;
    } else {
        memcpy(id, text, size);
    }
    memcpy(ret_id, id, size);
    *ret_size = size;
    return TRUC_OK;
}
