#include "texts.h"

#include <stdlib.h>

uint8_t *texts_keep(struct bytes *const *texts, size_t count)
{
    uint8_t *memory, *at;
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += texts[i]->size + 1;
    memory = at = malloc(size);
    if (!memory)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (texts[i]->size > 0)
            memcpy(at, texts[i]->data, texts[i]->size);
        texts[i]->data = at;
        at += texts[i]->size;
        *at++ = '\0';
    }
    return memory;
}
