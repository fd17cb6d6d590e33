/* utf8.h: strict UTF-8. Layer: proto. Pure, any thread.
 *
 * Valid is what RFC 3629 calls valid: no overlong forms, no surrogates, nothing above U+10FFFF. U+0000 is valid. */
#ifndef TRUC_PROTO_UTF8_H
#define TRUC_PROTO_UTF8_H

#include "bytes.h"

bool utf8_valid_beyond_ascii(const uint8_t *at, const uint8_t *end);

/* Nearly all texts on the bus are short ASCII: they are judged eight bytes at a time, in place. */
static inline bool utf8_valid(struct bytes text)
{
    const uint64_t high_bits = 0x8080808080808080u;
    const uint8_t *at = text.data;
    size_t left = text.size;

    for (; left >= 8; at += 8, left -= 8) {
        if (load_u64(at) & high_bits)
            return utf8_valid_beyond_ascii(at, at + left);
    }
    for (; left > 0; at++, left--) {
        if (*at >= 0x80)
            return utf8_valid_beyond_ascii(at, at + left);
    }
    return true;
}

#endif
