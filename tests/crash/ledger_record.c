#include "ledger.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

const char *const ledger_topics[TOPIC_COUNT] = {"ledger.dossier.filed", "ledger.dossier.status", "ledger.dossier.closed",
                                                "ledger.tick"};

size_t ledger_topic_index(const char *topic)
{
    size_t i = 0;
    while (i < TOPIC_COUNT && strcmp(topic, ledger_topics[i]) != 0)
        i++;
    return i;
}

/* "producer topic number size\n", then bytes that follow from it, then a checksum of it all. */
size_t record_fill(uint8_t out[RECORD_BYTES_LIMIT], const char *producer, size_t topic, uint64_t number)
{
    uint64_t random = XXH3_64bits_withSeed(producer, strlen(producer), number * TOPIC_COUNT + topic);
    size_t filler = random % 8 == 0 ? 1500 : 16 + random % 200;
    int head = snprintf((char *)out, 128, "%.60s %zu %llu %zu\n", producer, topic, (unsigned long long)number, filler);
    size_t size = (size_t)head;
    for (size_t i = 0; i < filler; i++) {
        if (i % 8 == 0)
            random = XXH3_64bits_withSeed(&random, sizeof random, i);
        out[size++] = (uint8_t)(random >> (8 * (i % 8)));
    }
    XXH64_hash_t checksum = XXH3_64bits(out, size);
    memcpy(out + size, &checksum, sizeof checksum);
    return size + sizeof checksum;
}

bool record_read(const void *data, size_t size, size_t topic, char producer[64], uint64_t *ret_number)
{
    char head[128] = "";
    size_t claimed_topic, filler;
    unsigned long long number;
    memcpy(head, data, size < sizeof head - 1 ? size : sizeof head - 1);
    if (sscanf(head, "%60s %zu %llu %zu", producer, &claimed_topic, &number, &filler) != 4 || claimed_topic != topic)
        return false;
    uint8_t again[RECORD_BYTES_LIMIT];
    *ret_number = number;
    return record_fill(again, producer, topic, number) == size && memcmp(again, data, size) == 0;
}
