/* utf8.c: the part of the UTF-8 check that sees more than ASCII. Table 3-7 of the Unicode standard. */
#include "proto/utf8.h"

/* How many bytes the well-formed sequence at `at` has; 0 when it is not well-formed. */
static size_t sequence_size(const uint8_t *at, size_t left)
{
    uint8_t first = at[0], second_min = 0x80, second_max = 0xbf;
    size_t size;

    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if ((first & 0xf0) == 0xe0) {
        size = 3;
        if (first == 0xe0)
            second_min = 0xa0; /* shorter forms exist below */
        else if (first == 0xed)
            second_max = 0x9f; /* surrogates */
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
        if (first == 0xf0)
            second_min = 0x90;
        else if (first == 0xf4)
            second_max = 0x8f; /* above U+10FFFF */
    } else {
        return 0;
    }
    if (left < size || at[1] < second_min || at[1] > second_max)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool utf8_valid_beyond_ascii(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        size_t size = sequence_size(at, (size_t)(end - at));
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}
